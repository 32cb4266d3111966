"""The control socket with real UNIX sockets: every kind of client, none of which may spoil it for the others."""

import asyncio
import json
import os
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from evbagent import control, replies
from evbagent import stream as stream_module
from evbagent.control import ControlError, ControlServer
from evbagent.messages import INLINE_OCTETS, MAX_REQUEST_OCTETS
from evbagent.replies import UNSENT_REPLIES_EACH
from evbagent.share import Share
from evbagent.stream import MOST_EVENT_OCTETS, QUEUED_EVENTS, QUEUED_OCTETS


class Handler:
    """Answers from a table."""

    def __init__(self, data: Any = None) -> None:
        self.data = data
        self.held: set[tuple[str, str]] = set()
        self.failing: dict[str, Exception] = {}
        self.reloads = 0
        self.fault = ""

    def show(self, what: str, glob: str | None) -> Any:
        if what == "dcbx":
            raise ControlError("there is no dcbx to show")
        if what == "vsis":
            raise RuntimeError("a bug in what makes the answer")
        if what == "evb":
            return object()
        return {"what": what, "glob": glob} if self.data is None else self.data

    def open_vsi(self, interface: str, answer: Any) -> Any:
        raise ControlError("no VSIs here")

    def withdraw(self, interface: str | None, instance: str | None) -> Any:
        raise ControlError("no VSIs here")

    def reload(self) -> None:
        self.reloads += 1
        if self.fault:
            raise ControlError(self.fault)

    def change_dcb(self, interface: str, action: str) -> Any:
        raise ControlError("no DCB here")

    def holds(self, interface: str, condition: str) -> bool:
        if condition == "rain":
            raise ControlError("cannot wait for 'rain'")
        if condition in self.failing:
            raise self.failing[condition]
        return (interface, condition) in self.held


def serve(directory: Path, test: Callable[[ControlServer, Handler], Awaitable[None]], data: Any = None) -> None:
    """Run `test` against a server in `directory`."""

    async def run() -> None:
        handler = Handler(data)
        server = ControlServer(directory / "control.sock", handler)
        await server.start()
        try:
            async with asyncio.timeout(5):
                await test(server, handler)
        finally:
            server.close()

    asyncio.run(run())


@contextmanager
def open_files(wanted: int) -> Iterator[None]:
    """Let this process have so many descriptors and no more, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        pytest.skip(f"needs {wanted} open files, and may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def readable(source: socket.socket) -> None:
    """Return when there is something to read."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(source, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(source)


class Raw:
    """A client that says what it likes."""

    def __init__(
        self, directory: Path, name: str | None = "", connected: bool = False, at: str = "control.sock"
    ) -> None:
        self.path = str(directory / at)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if name is not None:
            self.socket.bind(name)
        if connected:
            self.socket.connect(self.path)
        self.socket.setblocking(False)

    def __del__(self) -> None:
        self.socket.close()

    def send(self, data: bytes | dict[str, Any]) -> None:
        self.socket.sendto(data if isinstance(data, bytes) else json.dumps(data).encode(), self.path)

    async def receive(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        reply: dict[str, Any] = json.loads(await loop.sock_recv(self.socket, 1 << 18))
        return reply

    async def stream(self, **request: Any) -> "Raw":
        """The stream that comes with the reply."""
        self.send({"v": 1, "id": 7, **request})
        await readable(self.socket)
        data, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 18, 1)
        assert json.loads(data) == {"v": 1, "id": 7, "ok": True, "fd": True}
        stream = Raw.__new__(Raw)
        stream.socket = socket.socket(fileno=descriptors[0])
        return stream

    async def ask(self, **request: Any) -> dict[str, Any]:
        self.send({"v": 1, "id": 7, **request})
        return await self.receive()


def test_show_is_answered_with_its_id(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        reply = await Raw(tmp_path).ask(op="show", what="neighbors", interface="eth*")
        assert reply == {"v": 1, "id": 7, "ok": True, "data": {"what": "neighbors", "glob": "eth*"}}

    serve(tmp_path, test)


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 10_000, "nested"),
        (b'{"v": 1, "op": ' + b"[" * 500 + b"]" * 500 + b"}", "op:"),
        (b'{"v": 1, "op": "ping", "id": ' + b"[" * 500 + b"]" * 500 + b"}", "id:"),
        (b'{"v": 1, "op": "ping", "id": "\\ud800"}', "JSON"),
        (b'{"v": 1, "op": "ping", "id": NaN}', "JSON"),
        (b'{"v": 1, "op": "ping", "id": 1' + b"0" * 100 + b"}", "id:"),
        (b'{"v": 1, "op": "ping"} {}', "JSON"),
        (b'{"v": 1, "op": "pi\x00ng"}', "JSON"),
        (b'{"v": 1, "op": "show", "what": "neighb', "JSON"),
        (b"\x00" * 100_000, "octets"),
        (b"[1]", "object"),
        (b"null", "object"),
        ({"v": 1, "op": "ping", "id": "x" * 65}, "id:"),
        ({"op": "show", "what": "neighbors"}, "v:"),
        ({"v": 2, "op": "ping"}, "v:"),
        ({"v": 1}, "op:"),
        ({"v": 1, "op": "reboot"}, "op:"),
        ({"v": 1, "op": ["show"]}, "op:"),
        ({"v": 1, "op": "show"}, "what:"),
        ({"v": 1, "op": "show", "what": {}}, "what:"),
        ({"v": 1, "op": "show", "what": "neighbors", "interface": 5}, "interface:"),
        ({"v": 1, "op": "show", "what": "neighbors", "interface": "x" * 256}, "interface:"),
        ({"v": 1, "op": "wait"}, "interface:"),
        ({"v": 1, "op": "wait", "interface": "eth0"}, "for:"),
        ({"v": 1, "op": "wait", "interface": "eth0", "for": "neighbor", "timeout": "soon"}, "timeout:"),
        ({"v": 1, "op": "wait", "interface": "eth0", "for": "neighbor", "timeout": -1}, "timeout:"),
        ({"v": 1, "op": "wait", "interface": "eth0", "for": "neighbor", "timeout": True}, "timeout:"),
        ({"v": 1, "op": "wait", "interface": "eth0", "for": "rain"}, "rain"),
        ({"v": 1, "op": "show", "what": "dcbx"}, "no dcbx"),
        (b'{"v": 1, "op": "ping", "x": "' + b"x" * MAX_REQUEST_OCTETS + b'"}', "octets"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(tmp_path: Path, request_: bytes | dict[str, Any], named: str) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        client.send(request_)
        reply = await client.receive()
        assert reply["ok"] is False
        assert named in reply["error"]
        assert (await client.ask(op="ping"))["ok"] is True
        assert server.counters["control-errors"] == 1

    serve(tmp_path, test)


def test_a_bug_behind_one_request_does_not_end_the_service(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        for what in ("vsis", "evb"):
            assert "its log says why" in (await client.ask(op="show", what=what))["error"]
        assert (await client.ask(op="ping"))["ok"] is True

    serve(tmp_path, test)


def test_clients_without_a_name_or_that_vanish_are_passed_over(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        Raw(tmp_path, name=None).send({"v": 1, "id": 1, "op": "ping"})
        gone = Raw(tmp_path)
        gone.send({"v": 1, "id": 1, "op": "watch"})
        gone.send({"v": 1, "id": 2, "op": "wait", "interface": "eth0", "for": "neighbor"})
        gone.socket.close()
        client = Raw(tmp_path)
        assert (await client.ask(op="ping"))["ok"] is True
        server.publish({"event": "link", "interface": "eth0"})
        assert (await client.ask(op="ping"))["ok"] is True
        assert server.ignored_requests == 1
        assert not server._watching and not server._waiting

    serve(tmp_path, test)


def test_a_slow_subscriber_holds_nobody_up_and_learns_what_it_missed(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        slow, quick = [await Raw(tmp_path).stream(op="watch") for _ in range(2)]
        idle = [await Raw(tmp_path).stream(op="watch") for _ in range(50)]
        published = QUEUED_EVENTS + 1000
        for number in range(published):
            server.publish({"event": "link", "interface": "eth0", "number": number})
            assert (await quick.receive())["number"] == number
        assert (await Raw(tmp_path).ask(op="ping"))["ok"]
        got = [await slow.receive()]
        while got[-1]["event"] != "overflow":
            got.append(await slow.receive())
        assert [event["number"] for event in got[:-1]] == list(range(len(got) - 1))
        assert got[-1]["lost"] == published - (len(got) - 1) > 0
        server.publish({"event": "link", "interface": "eth0", "number": "again"})
        assert (await slow.receive())["number"] == "again"
        assert len(idle) == 50

    serve(tmp_path, test)


def test_subscribers_get_the_interfaces_they_asked_for(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        one = await Raw(tmp_path).stream(op="watch", interface="eth1*")
        everything = await Raw(tmp_path).stream(op="watch")
        for interface in ("eth0", "eth10", None):
            server.publish({"event": "link", "interface": interface})
        assert [(await one.receive())["interface"] for _ in range(2)] == ["eth10", None]
        assert [(await everything.receive())["interface"] for _ in range(3)] == ["eth0", "eth10", None]

    serve(tmp_path, test)


def test_a_gap_is_reported_where_it_is(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        slow = await Raw(tmp_path).stream(op="watch")
        published = 0

        def publish(count: int) -> None:
            nonlocal published
            for _ in range(count):
                server.publish({"event": "link", "interface": "eth0", "number": published})
                published += 1

        (ours,) = server._watching
        publish(QUEUED_EVENTS + 1000)
        number = gaps = after = 0
        while number < published:
            event = await slow.receive()
            if event["event"] == "overflow":
                number += event["lost"]
                gaps += 1
            else:
                assert event["number"] == number
                number += 1
                after += gaps == 1
            await asyncio.sleep(0)
            if not gaps and 0 < len(ours._queue) < QUEUED_EVENTS - 10 and published < QUEUED_EVENTS + 1010:
                publish(10)  # there is room in the queue again, and something left in it
        assert gaps == 1 and after == 10

    serve(tmp_path, test)


def test_a_thousand_subscribers_that_never_read_hold_nobody_up(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        idle = [await client.stream(op="watch") for _ in range(1000)]
        quick = await client.stream(op="watch")
        for number in range(20):
            server.publish({"event": "link", "interface": "eth0", "number": number, "text": "x" * 300})
            assert json.loads(quick.socket.recv(1 << 16))["number"] == number
        assert (await client.ask(op="ping"))["ok"] is True
        idle.clear()
        while len(server._watching) > 1:
            await asyncio.sleep(0)

    with open_files(8192):
        serve(tmp_path, test)


def test_streams_are_bounded_and_freed_at_once_by_those_who_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MAX_STREAMS", 64)

    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        waiting = {"op": "wait", "interface": "eth0", "for": "neighbor"}
        crowd = [await client.stream(**(waiting if number % 2 else {"op": "watch"})) for number in range(64)]
        assert "already" in (await client.ask(op="watch"))["error"]
        assert "already" in (await client.ask(**waiting))["error"]
        assert (await client.ask(op="ping"))["ok"]
        crowd.pop().socket.close()
        await asyncio.sleep(0)
        await client.stream(op="watch")
        crowd.clear()

    serve(tmp_path, test)


def test_those_who_may_change_something_find_room_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_STREAMS", 8)
    monkeypatch.setattr(control, "KEPT_STREAMS", 2)

    async def test(server: ControlServer, handler: Handler) -> None:
        client, member = Raw(tmp_path), Raw(tmp_path, at="change.sock")
        crowd = [await client.stream(op="watch") for _ in range(8)]
        assert "already" in (await client.ask(op="watch"))["error"]
        crowd += [await member.stream(op="reload") for _ in range(2)]
        assert "already" in (await member.ask(op="reload"))["error"]
        assert len(crowd) == 10

    serve(tmp_path, test)


def test_both_sockets_answer_alike(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        for at in ("control.sock", "change.sock"):
            for connected in (False, True):
                client = Raw(tmp_path, at=at, connected=connected)
                assert (await client.ask(op="ping"))["ok"] is True
                stream = await client.stream(op="watch")
                server.publish({"event": "link", "interface": "eth0"})
                assert (await stream.receive())["event"] == "link"

    serve(tmp_path, test)


def test_who_may_write_to_which_socket_is_for_the_kernel_to_judge(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        modes = {name: (tmp_path / name).stat() for name in ("control.sock", "change.sock")}
        assert {name: status.st_mode & 0o777 for name, status in modes.items()} == {
            "control.sock": 0o666,
            "change.sock": 0o660,
        }
        assert {status.st_gid for status in modes.values()} == {os.getegid()}

    serve(tmp_path, test)


def test_a_socket_of_ours_that_writes_to_another_is_not_answered(tmp_path: Path) -> None:
    """It would go on for ever."""

    async def test(server: ControlServer, handler: Handler) -> None:
        for source, target in (("control.sock", "change.sock"), ("change.sock", "control.sock")):
            (ours,) = [listener.socket for listener in server._listeners if listener.path.name == source]
            ours.sendto(b'{"v": 1, "id": 1, "op": "ping"}', str(tmp_path / target))
        assert (await Raw(tmp_path).ask(op="ping"))["ok"] is True
        assert (await Raw(tmp_path, at="change.sock").ask(op="ping"))["ok"] is True
        assert server.ignored_requests == 2

    serve(tmp_path, test)


def test_reload_answers_when_it_is_done_or_with_what_is_wrong(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        member = Raw(tmp_path, at="change.sock")
        stream = await member.stream(op="reload")
        assert handler.reloads == 0, "opening the stream is no order yet"
        stream.socket.send(b'{"confirmed": true}')
        assert await stream.receive() == {"v": 1, "done": True}
        handler.fault = "evbagent.toml: nonsense"
        stream = await member.stream(op="reload")
        stream.socket.send(b'{"confirmed": true}')
        assert await stream.receive() == {"v": 1, "error": "evbagent.toml: nonsense"}
        assert handler.reloads == 2

    serve(tmp_path, test)


def test_streams_leave_descriptors_for_the_agents_other_work(tmp_path: Path) -> None:
    """Without any it could not write its state file."""

    async def test(server: ControlServer, handler: Handler) -> None:
        client, probe = Raw(tmp_path, connected=True), Raw(tmp_path)
        for _ in range(400):  # whose ends nobody takes out of the socket
            with suppress(BlockingIOError):
                client.send({"v": 1, "id": 7, "op": "watch"})
            await probe.ask(op="ping")
            with suppress(BlockingIOError):
                client.send({"v": 1, "id": 7, "op": "show", "what": "neighbors"})
            await probe.ask(op="ping")
        assert (len(server._watching), len(server._long_answers)) == (128, 32)
        for stream in list(server._watching):
            server._end(stream)

    with open_files(256):
        serve(tmp_path, test, data="x" * 100_000)


def test_wait_answers_at_once_later_or_not_in_time(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        def waiting(interface: str, timeout: float | None = None) -> dict[str, Any]:
            return {"op": "wait", "interface": interface, "for": "neighbor", "timeout": timeout}

        client = Raw(tmp_path)
        handler.held.add(("eth0", "neighbor"))
        assert await (await client.stream(**waiting("eth0"))).receive() == {"v": 1, "held": True}
        later, never = await client.stream(**waiting("eth1", 4)), await client.stream(**waiting("eth2", 0.01))
        handler.held.add(("eth1", "neighbor"))
        server.publish({"event": "neighbor-added", "interface": "eth1"})
        assert await later.receive() == {"v": 1, "held": True}
        assert await never.receive() == {"v": 1, "held": False}
        assert not server._waiting

    serve(tmp_path, test)


def test_those_who_wait_and_watch_are_told_when_the_agent_ends(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        streams = [
            await client.stream(op="wait", interface="eth1", **{"for": "neighbor"}),
            await client.stream(op="watch"),
        ]
        server.close()
        for stream in streams:
            assert await stream.receive() == {"v": 1, "event": "ending"}
            assert stream.socket.recv(10) == b""
        assert not (tmp_path / "control.sock").exists()

    serve(tmp_path, test)


@pytest.mark.parametrize(
    ("failure", "said"), [(ControlError("no more of that"), "no more of that"), (KeyError("bug"), "its log says why")]
)
def test_a_condition_that_fails_later_is_no_trouble_to_who_publishes(
    tmp_path: Path, failure: Exception, said: str
) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        one = await client.stream(op="wait", interface="eth0", **{"for": "vsi=1"})
        other = await client.stream(op="wait", interface="eth0", **{"for": "neighbor"})
        handler.failing["vsi=1"] = failure
        handler.held.add(("eth0", "neighbor"))
        server.publish({"event": "link", "interface": "eth0"})
        assert said in (await one.receive())["error"]
        assert await other.receive() == {"v": 1, "held": True}
        assert not server._waiting

    serve(tmp_path, test)


def test_the_timer_of_a_wait_ends_with_its_client(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        stream = await Raw(tmp_path).stream(op="wait", interface="eth0", timeout=3600, **{"for": "neighbor"})
        ((_, _, timer),) = server._waiting._streams.values()
        assert timer is not None
        stream.socket.close()
        while server._waiting:
            await asyncio.sleep(0)
        assert timer.cancelled()

    serve(tmp_path, test)


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("name", ["", "client"])
def test_a_client_may_have_any_name_and_may_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, connected: bool
) -> None:
    monkeypatch.chdir(tmp_path)

    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path, name, connected)
        stream = await client.stream(op="watch")
        server.publish({"event": "link", "interface": "eth0"})
        assert (await stream.receive())["event"] == "link"
        assert (await client.ask(op="ping"))["ok"] is True

    serve(tmp_path, test)


def test_an_answer_is_never_answered(tmp_path: Path) -> None:
    """A client that has taken another server's name would have the two answer each other for ever."""

    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        client.send({"v": 1, "id": 1, "ok": False, "error": "op: None is none of ping"})
        client.send({"v": 1, "event": "link"})
        assert (await client.ask(op="ping"))["ok"] is True
        assert server.ignored_requests == 2
        # Bound to the very name that we have, seen from another mount namespace, say.
        (tmp_path / "control.sock").rename(tmp_path / "ours")
        mirror = Raw(tmp_path, str(tmp_path / "control.sock"))
        mirror.path = str(tmp_path / "ours")
        mirror.send({"v": 1, "id": 1, "op": "ping"})
        client.path = mirror.path
        assert (await client.ask(op="ping"))["ok"] is True
        assert server.ignored_requests == 3

    serve(tmp_path, test)


def test_unread_replies_are_bounded_for_each(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        rude, other = Raw(tmp_path), Raw(tmp_path)
        files = len(os.listdir("/proc/self/fd"))
        for number in range(600):  # many times what one sending socket may have on its way
            rude.send({"v": 1, "id": number, "op": "show", "what": "neighbors"})
            assert (await other.ask(op="ping"))["ok"]
        assert server.replies.lost > 0
        assert len(server.replies._unsent) == UNSENT_REPLIES_EACH
        handler.data = "x"
        rude.send({"v": 1, "id": "last", "op": "show", "what": "neighbors"})
        numbers = [(await rude.receive())["id"]]
        while len(numbers) < UNSENT_REPLIES_EACH or server.replies._unsent:
            numbers.append((await rude.receive())["id"])
        assert numbers == list(range(len(numbers)))
        assert len(os.listdir("/proc/self/fd")) <= files

    serve(tmp_path, test, data="x" * (INLINE_OCTETS - 10))


def test_a_client_that_leaves_with_replies_unsent_leaves_nothing(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        rude, other = Raw(tmp_path), Raw(tmp_path)
        files = len(os.listdir("/proc/self/fd"))
        while not server.replies.lost:
            rude.send({"v": 1, "id": 1, "op": "show", "what": "neighbors"})
            await other.ask(op="ping")
        rude.socket.close()
        while server.replies._unsent or server.replies._retry or server._long_answers:
            await asyncio.sleep(0.01)
        assert len(os.listdir("/proc/self/fd")) < files

    serve(tmp_path, test, data="x" * 100_000)


async def long_answer(client: Raw) -> socket.socket:
    """The descriptor that comes with one."""
    client.send({"v": 1, "id": 7, "op": "show", "what": "neighbors"})
    await readable(client.socket)
    data, descriptors, _, _ = socket.recv_fds(client.socket, 1 << 18, 1)
    assert json.loads(data) == {"v": 1, "id": 7, "ok": True, "fd": True}
    return socket.socket(fileno=descriptors[0])


def test_long_answers_that_are_not_read_are_bounded_and_members_find_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MAX_LONG_ANSWERS", 4)
    monkeypatch.setattr(control, "KEPT_LONG_ANSWERS", 2)

    async def test(server: ControlServer, handler: Handler) -> None:
        client, member = Raw(tmp_path), Raw(tmp_path, at="change.sock")
        for _ in range(4):  # whose descriptors nobody takes out of the socket
            client.send({"v": 1, "id": 7, "op": "show", "what": "neighbors"})
        other = Raw(tmp_path)
        assert "not read their answers" in (await other.ask(op="show", what="neighbors"))["error"]
        assert (await other.ask(op="ping"))["ok"]
        held = [await long_answer(member) for _ in range(2)]
        assert "not read their answers" in (await member.ask(op="show", what="neighbors"))["error"]
        counted = {name: count for name, count in server.counters.items() if count}
        assert counted == {"control-long-answers": 6, "control-refused": 2, "control-errors": 2}
        client.socket.close()
        while len(server._long_answers) > 2:
            await asyncio.sleep(0)
        held += [await long_answer(other)]
        for answer in held:
            answer.close()
        while server._long_answers:
            await asyncio.sleep(0)

    serve(tmp_path, test, data="x" * 3_000_000)


def test_octets_of_long_answers_that_are_not_read_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_LONG_OCTETS", 2_500_000)
    monkeypatch.setattr(control, "KEPT_LONG_OCTETS", 1_000_000)

    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        held = [await long_answer(client), await long_answer(client)]
        assert "not read their answers" in (await client.ask(op="show", what="neighbors"))["error"]
        member = Raw(tmp_path, at="change.sock")
        held.append(await long_answer(member))
        assert "not read their answers" in (await member.ask(op="show", what="neighbors"))["error"]
        for answer in held:
            answer.close()
        while server._long_answers:
            await asyncio.sleep(0)
        handler.data = "x" * 5_000_000  # one that is longer than all may be together is given alone
        answer = await long_answer(client)
        assert "not read their answers" in (await client.ask(op="show", what="neighbors"))["error"]
        answer.setblocking(False)
        loop = asyncio.get_running_loop()
        read = 0
        while data := await loop.sock_recv(answer, 1 << 20):
            read += len(data)
        assert read == 5_000_002
        answer.close()

    serve(tmp_path, test, data="x" * 1_000_000)


def test_who_talks_into_its_answer_is_no_trouble(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        answer = await long_answer(client)
        for _ in range(10):
            answer.send(b"x" * 1000)
            assert (await client.ask(op="ping"))["ok"]
        assert len(server._long_answers) == 1
        answer.close()

    serve(tmp_path, test, data="x" * 1_000_000)


def test_what_slow_watchers_have_waiting_is_bounded_for_each_and_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "MOST_QUEUED_OCTETS", 5 * QUEUED_OCTETS)

    async def test(server: ControlServer, handler: Handler) -> None:
        slow = [await Raw(tmp_path).stream(op="watch") for _ in range(10)]
        quick = await Raw(tmp_path).stream(op="watch")
        for number in range(60):
            server.publish({"event": "link", "interface": "eth0", "number": number, "text": "x" * 50_000})
            assert (await quick.receive())["number"] == number
            assert all(ours._octets <= QUEUED_OCTETS for ours in server._watching)
        assert 4 * QUEUED_OCTETS < server._backlog.octets <= 5 * QUEUED_OCTETS
        lost = server.counters["control-lost-events"]
        assert lost > 0
        told = 0
        for client in slow:
            number = -1
            while number < 59:
                event = await client.receive()
                if event["event"] == "overflow":
                    number += event["lost"]
                    told += event["lost"]
                else:
                    number += 1
                    assert event["number"] == number
        assert told == lost and server._backlog.octets == 0
        slow.clear()

    serve(tmp_path, test)


def test_an_event_that_no_socket_takes_is_lost_and_not_the_stream(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = await Raw(tmp_path).stream(op="watch")
        server.publish({"event": "neighbor-added", "interface": "eth0", "text": "x" * MOST_EVENT_OCTETS})
        server.publish({"event": "link", "interface": "eth0"})
        assert await client.receive() == {"v": 1, "event": "overflow", "lost": 1}
        assert (await client.receive())["event"] == "link"

    serve(tmp_path, test)


def test_watchers_take_a_share_of_the_time_only_and_are_told_what_they_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        clock = [0.0]
        server._share = Share(0.1, 0.5, lambda: clock[0], lambda: clock[0])
        monkeypatch.setattr(control, "TELL_SKIPPED_S", 0.01)
        one, other = await Raw(tmp_path).stream(op="watch"), await Raw(tmp_path).stream(op="watch", interface="eth*")

        def publish(number: int, seconds: float) -> None:
            with server._share:
                clock[0] += seconds  # as if there were a thousand of them
            server.publish({"event": "link", "interface": "eth0", "number": number})

        publish(1, 0.05)
        publish(2, 0.2)
        publish(3, 0)
        for watcher in (one, other):
            assert (await watcher.receive())["number"] == 1
            assert await watcher.receive() == {"v": 1, "event": "overflow", "lost": 2}
        assert server.counters["control-skipped-events"] == 2
        clock[0] += 1
        publish(4, 0)
        late = await Raw(tmp_path).stream(op="watch")
        publish(5, 0)
        for watcher in (one, other):
            assert [(await watcher.receive())["number"] for _ in range(2)] == [4, 5]
        assert (await late.receive())["number"] == 5, "what was before it came is no concern of it"

    serve(tmp_path, test)


def test_the_queue_of_a_watcher_that_leaves_counts_no_more(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = await Raw(tmp_path).stream(op="watch")
        for _ in range(500):
            server.publish({"event": "link", "interface": "eth0", "text": "x" * 1000})
        assert server._backlog.octets > 0
        client.socket.close()
        while server._watching:
            await asyncio.sleep(0)
        assert server._backlog.octets == 0

    serve(tmp_path, test)


def test_what_thousands_wait_for_takes_a_share_of_the_time_only(tmp_path: Path) -> None:
    class Slow(Handler):
        looks = 0

        def holds(self, interface: str, condition: str) -> bool:
            self.looks += 1
            time.sleep(0.001)
            return super().holds(interface, condition)

    async def test() -> None:
        handler = Slow()
        server = ControlServer(tmp_path / "control.sock", handler)
        await server.start()
        client = Raw(tmp_path)
        waiting = [await client.stream(op="wait", interface=f"eth{n}", **{"for": "neighbor"}) for n in range(20)]
        handler.looks = 0
        begun = time.monotonic()
        while time.monotonic() - begun < 0.6:
            server.publish({"event": "link", "interface": "eth0"})
            await asyncio.sleep(0)
        assert 20 <= handler.looks <= 20 * 4, "20 ms each time, with eight times that in between"
        assert server.counters["control-late-looks"] in (handler.looks // 20 - 1, handler.looks // 20)
        handler.held.add(("eth7", "neighbor"))
        server.publish({"event": "link", "interface": "eth7"})
        assert await waiting[7].receive() == {"v": 1, "held": True}
        server.close()

    asyncio.run(test())


def test_unread_replies_of_all_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "UNSENT_REPLIES", 10)

    async def test(server: ControlServer, handler: Handler) -> None:
        crowd = [Raw(tmp_path) for _ in range(5)]
        for rude in crowd:
            lost = server.replies.lost
            while server.replies.lost == lost:
                rude.send({"v": 1, "id": 1, "op": "ping"})
                await Raw(tmp_path).ask(op="ping")
            assert len(server.replies._unsent) <= 10
        assert server.counters["control-lost-replies"] == 5
        crowd.clear()

    serve(tmp_path, test)


def test_a_dead_agents_socket_is_replaced_and_anyone_may_ask(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(tmp_path / "control.sock"))
    dead.close()

    async def test(server: ControlServer, handler: Handler) -> None:
        assert (await Raw(tmp_path).ask(op="ping"))["ok"]
        assert os.stat(tmp_path / "control.sock").st_mode & 0o777 == 0o666

    serve(tmp_path, test)


@pytest.mark.parametrize("lost", [["control.sock"], ["change.sock"], ["control.sock", "change.sock"]])
def test_sockets_that_were_removed_are_there_again(
    tmp_path: Path, lost: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "LOOK_S", 0.01)
    directory = tmp_path / "state"
    directory.mkdir()

    async def test(server: ControlServer, handler: Handler) -> None:
        watcher = await Raw(directory).stream(op="watch")
        for name in lost:
            (directory / name).unlink()
        if len(lost) == 2:
            directory.rmdir()
            await asyncio.sleep(0.05)  # nobody makes it for some time
            directory.mkdir()
        names = ("control.sock", "change.sock")
        while not all((directory / name).is_socket() for name in names):
            await asyncio.sleep(0.01)
        for name, mode in zip(names, (0o666, 0o660), strict=True):
            assert (directory / name).stat().st_mode & 0o777 == mode
            assert (await Raw(directory, at=name).ask(op="ping"))["ok"] is True
            assert (await Raw(directory, at=name, connected=True).ask(op="ping"))["ok"] is True
        server.publish({"event": "link", "interface": "eth0"})
        assert (await watcher.receive())["event"] == "link"

    serve(directory, test)
    assert not list(directory.iterdir())


def test_sockets_of_another_agent_are_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LOOK_S", 0.01)

    async def test(server: ControlServer, handler: Handler) -> None:
        for name in ("control.sock", "change.sock"):
            (tmp_path / name).unlink()
        other = ControlServer(tmp_path / "control.sock", Handler("another's"))
        await other.start()
        try:
            await asyncio.sleep(0.1)
            assert (await Raw(tmp_path).ask(op="show", what="neighbors"))["data"] == "another's"
        finally:
            other.close()
        while not all((tmp_path / name).is_socket() for name in ("control.sock", "change.sock")):
            await asyncio.sleep(0.01)

    serve(tmp_path, test)


def test_an_agent_that_lives_keeps_its_socket(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        with pytest.raises(OSError, match="another agent answers"):
            await ControlServer(tmp_path / "control.sock", Handler()).start()
        assert (await Raw(tmp_path).ask(op="ping"))["ok"] is True

    serve(tmp_path, test)


def test_a_successors_socket_is_left_alone(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        for name in ("control.sock", "change.sock"):
            (tmp_path / name).unlink()
        successor = ControlServer(tmp_path / "control.sock", Handler())
        await successor.start()
        server.close()
        server.close()
        assert (await Raw(tmp_path).ask(op="ping"))["ok"] is True
        successor.close()
        assert not list(tmp_path.iterdir())

    serve(tmp_path, test)


@pytest.mark.parametrize("name", ["control.sock", "change.sock"])
def test_what_is_no_socket_is_not_removed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(OSError, match="is not a socket"):
        asyncio.run(ControlServer(tmp_path / "control.sock", Handler()).start())
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "precious")]


def test_a_path_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / ("d" * 120) / "control.sock", Handler())
    with pytest.raises(OSError, match="longer than"):
        asyncio.run(server.start())
    server.publish({"event": "link", "interface": "eth0"})
    server.close()
