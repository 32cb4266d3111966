"""The control socket with real UNIX sockets: every kind of client, none of which may spoil it for the others."""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from evbagent.client import AgentNotRunning, Client, ClientError, WaitTimeout
from evbagent.control import MAX_STREAMS, QUEUED_EVENTS, ControlError, ControlServer
from evbagent.messages import MAX_REQUEST_OCTETS


class Handler:
    """Answers from a table."""

    def __init__(self, data: Any = None) -> None:
        self.data = data
        self.held: set[tuple[str, str]] = set()

    def show(self, what: str, glob: str | None) -> Any:
        if what == "dcbx":
            raise ControlError("there is no dcbx to show")
        if what == "vsis":
            raise RuntimeError("a bug in what makes the answer")
        return {"what": what, "glob": glob} if self.data is None else self.data

    def holds(self, interface: str, condition: str) -> bool:
        if condition == "rain":
            raise ControlError("cannot wait for 'rain'")
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

    def __init__(self, directory: Path, bound: bool = True) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if bound:
            self.socket.bind("")
        self.socket.connect(str(directory / "control.sock"))
        self.socket.setblocking(False)

    def __del__(self) -> None:
        self.socket.close()

    def send(self, data: bytes | dict[str, Any]) -> None:
        self.socket.send(data if isinstance(data, bytes) else json.dumps(data).encode())

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
        (b"[" * 10_000, "JSON"),
        (b"[1]", "object"),
        (b"null", "object"),
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

    serve(tmp_path, test)


def test_a_bug_behind_one_request_does_not_end_the_service(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        assert (await client.ask(op="show", what="vsis"))["ok"] is False
        assert (await client.ask(op="ping"))["ok"] is True

    serve(tmp_path, test)


def test_clients_without_a_name_or_that_vanish_are_passed_over(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        Raw(tmp_path, bound=False).send({"v": 1, "id": 1, "op": "ping"})
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


def test_streams_are_bounded_and_freed_at_once_by_those_who_leave(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        client = Raw(tmp_path)
        waiting = {"op": "wait", "interface": "eth0", "for": "neighbor"}
        crowd = [await client.stream(**(waiting if number % 2 else {"op": "watch"})) for number in range(MAX_STREAMS)]
        assert "already" in (await client.ask(op="watch"))["error"]
        assert "already" in (await client.ask(**waiting))["error"]
        assert (await client.ask(op="ping"))["ok"]
        crowd.pop().socket.close()
        await asyncio.sleep(0)
        await client.stream(op="watch")
        crowd.clear()

    serve(tmp_path, test)


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


def test_unread_replies_are_bounded(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        rude = Raw(tmp_path)
        while not server.lost_replies:
            with suppress(BlockingIOError):
                rude.send({"v": 1, "id": 1, "op": "show", "what": "neighbors"})
            await asyncio.sleep(0)
        rude.socket.close()
        client = Raw(tmp_path)
        assert (await client.ask(op="ping"))["ok"]

    serve(tmp_path, test, data="x" * 50_000)


def test_a_dead_agents_socket_is_replaced_and_anyone_may_ask(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(tmp_path / "control.sock"))
    dead.close()

    async def test(server: ControlServer, handler: Handler) -> None:
        assert (await Raw(tmp_path).ask(op="ping"))["ok"]
        assert os.stat(tmp_path / "control.sock").st_mode & 0o777 == 0o666

    serve(tmp_path, test)


def test_the_client_reads_large_answers_whole(tmp_path: Path) -> None:
    rows = [{"number": number, "text": "x" * 1000} for number in range(5000)]

    async def test(server: ControlServer, handler: Handler) -> None:
        def ask() -> None:
            with Client(tmp_path) as client:
                assert client.request("show", what="neighbors") == rows
                assert client.request("ping") == {"version": 1}

        before = len(os.listdir("/proc/self/fd"))
        await asyncio.to_thread(ask)
        assert len(os.listdir("/proc/self/fd")) <= before + 1

    serve(tmp_path, test, data=rows)


def test_the_client_waits_watches_and_reports_refusals(tmp_path: Path) -> None:
    async def test(server: ControlServer, handler: Handler) -> None:
        loop = asyncio.get_running_loop()

        def ask() -> None:
            with Client(tmp_path) as client:
                with pytest.raises(WaitTimeout, match=r"no neighbor within 0\.01 s"):
                    client.wait("eth0", "neighbor", 0.01)
                with pytest.raises(ClientError, match="rain"):
                    client.wait("eth0", "rain", 1)
                handler.held.add(("eth0", "neighbor"))
                client.wait("eth0", "neighbor", 1)
                events = client.events("eth0")
                loop.call_soon_threadsafe(publish_once_watched)
                assert next(events) == {"event": "link", "interface": "eth0"}
                loop.call_soon_threadsafe(server.close)
                with pytest.raises(AgentNotRunning, match="ended"):
                    next(events)

        def publish_once_watched() -> None:
            if server._watching:
                server.publish({"event": "link", "interface": "eth0"})
            else:
                loop.call_soon(publish_once_watched)

        await asyncio.to_thread(ask)

    serve(tmp_path, test)


def test_without_an_agent_the_client_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(AgentNotRunning, match="evbagent run"):
        Client(tmp_path)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(tmp_path / "control.sock"))
    dead.close()
    with pytest.raises(AgentNotRunning, match="evbagent run"):
        Client(tmp_path)


def test_a_path_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="longer than"):
        Client(tmp_path / ("d" * 120))
