"""Requests about VSIs on the streams that the control socket gives for them, with clients of every kind."""

import asyncio
import json
import os
import socket
import struct
from array import array
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from evbagent import control, exchange
from evbagent.control import ControlError, ControlServer
from evbagent.exchange import OUTBOX_OCTETS, packed
from evbagent.messages import MAX_MESSAGE_OCTETS, MAX_UNANSWERED
from evbagent.vsiroom import MOST_UNANSWERED
from tests.support.fakevsis import INSTANCE, FakeVsis, granted

STRANGER = 12345
SPEC = {"id": 7, "request": "associate", "instance": INSTANCE, "filter": ["0-52:54:00:00:00:01"]}


def serve(directory: Path, test: Callable[[ControlServer, FakeVsis], Awaitable[None]]) -> None:
    """Run `test` against a server in `directory`."""

    async def run() -> None:
        vsis = FakeVsis()
        server = ControlServer(directory / "control.sock", vsis)
        await server.start()
        try:
            async with asyncio.timeout(20):
                await test(server, vsis)
        finally:
            server.close()

    asyncio.run(run())


class Conversation:
    """A client's end of a stream, and the request that it came with."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    def __del__(self) -> None:
        self.socket.close()

    def say(self, message: Any) -> None:
        self.socket.send(message if isinstance(message, bytes) else json.dumps(message).encode())

    def ask(self, *specs: Any) -> None:
        self.say({"requests": specs})

    async def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.data())
        assert message.pop("v") == 1
        return message

    async def data(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, 1 << 18)

    async def answers(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < count:
            found += (await self.hear())["answers"]
        assert len(found) == count
        return found


async def ask(directory: Path, at: str = "control.sock", **request: Any) -> tuple[dict[str, Any], Conversation | None]:
    """A reply, and the stream that comes with it."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.bind("")
        client.sendto(json.dumps({"v": 1, "id": 1, **request}).encode(), str(directory / at))
        ready = loop.create_future()
        loop.add_reader(client, lambda: ready.done() or ready.set_result(None))
        await ready
        loop.remove_reader(client)
        data, descriptors, _, _ = socket.recv_fds(client, 1 << 18, 1)
        if not descriptors:
            return json.loads(data), None
        end = socket.socket(fileno=descriptors[0])
        end.setblocking(False)
        return json.loads(data), Conversation(end)


async def converse(directory: Path, at: str = "control.sock", **request: Any) -> Conversation:
    reply, conversation = await ask(directory, at, **(request or {"op": "vsi", "interface": "eth0"}))
    assert reply == {"v": 1, "id": 1, "ok": True, "fd": True} and conversation
    return conversation


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0)


def test_requests_are_answered_at_once_or_later_in_any_order(tmp_path: Path) -> None:
    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        vsis.switch = lambda spec: granted(spec) if spec["id"] == "now" else None
        client = await converse(tmp_path)
        client.ask({**SPEC, "id": "one"}, {**SPEC, "id": "now"})
        client.ask({**SPEC, "id": "two"})
        client.ask()
        (now,) = await client.answers(1)
        assert (now["id"], now["result"], now["vsi"]["vsi-id"]) == ("now", "granted", INSTANCE)
        (session,) = vsis.sessions
        await until(lambda: len(session.later) == 2)
        for spec in reversed(session.later):
            session.answer([granted(spec)])
        message = await client.hear()
        assert [answer["id"] for answer in message["answers"]] == ["two", "one"], "one message for one moment"
        assert vsis.asked[0] == ("eth0", {**SPEC, "id": "one"})

    serve(tmp_path, test)


def test_the_last_answer_waits_for_no_other(tmp_path: Path) -> None:
    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        vsis.switch = lambda spec: None
        client = await converse(tmp_path)
        client.ask({**SPEC, "id": "one"}, {**SPEC, "id": "two"})
        await until(lambda: vsis.sessions and len(vsis.sessions[0].later) == 2)
        (session,) = vsis.sessions
        session.answer([granted(session.later[0])])
        with pytest.raises(BlockingIOError):
            client.socket.recv(1, socket.MSG_PEEK)
        session.answer([granted(session.later[1])])
        assert client.socket.recv(1, socket.MSG_PEEK), "nothing can come that would go with it"
        assert [answer["id"] for answer in (await client.hear())["answers"]] == ["one", "two"]

    serve(tmp_path, test)


def test_an_interface_that_is_not_served_gives_no_session(tmp_path: Path) -> None:
    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        await ask(tmp_path, op="ping")
        files = len(os.listdir("/proc/self/fd"))
        reply, conversation = await ask(tmp_path, op="vsi", interface="eth9")
        assert reply["error"] == "eth9 is not served" and conversation is None
        assert not server._exchanges and len(os.listdir("/proc/self/fd")) == files

    serve(tmp_path, test)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (b'{"requests": [NaN]}', "JSON"),
        (b"[" * 10_000, "nested"),
        (b"[]", "object"),
        (b"null", "object"),
        ({}, "requests:"),
        ({"requests": None}, "requests:"),
        ({"requests": {"id": 1}}, "requests:"),
        (b'{"requests": []' + b" " * MAX_MESSAGE_OCTETS + b"}", f"at most {MAX_MESSAGE_OCTETS} octets"),
        ({"requests": ["unwanted"]}, "not now"),
        ({"requests": ["a bug"]}, "its log says why"),
    ],
)
def test_a_bad_message_is_named_and_the_session_goes_on(tmp_path: Path, message: Any, named: str) -> None:
    def switch(spec: Any) -> Any:
        if spec == "unwanted":
            raise ControlError("not now")
        return granted(spec)

    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        vsis.switch = switch
        client = await converse(tmp_path)
        client.say(message)
        error = (await client.hear())["error"]
        assert named in error and len(error) < 200
        assert server.counters["control-errors"] == 1
        client.ask(SPEC)
        assert (await client.answers(1))[0]["id"] == 7

    serve(tmp_path, test)


def test_what_a_client_does_not_read_waits_and_it_is_not_read_from(tmp_path: Path) -> None:
    """And nobody else notices, and nothing is lost."""
    asked = 0

    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        nonlocal asked
        silent, other = await converse(tmp_path), await converse(tmp_path)
        while True:
            for _ in range(100):
                await asyncio.sleep(0)
            try:
                silent.ask(*[{**SPEC, "id": asked + number} for number in range(300)])
            except BlockingIOError:
                break
            asked += 300
        taken = len(vsis.asked)
        assert taken < asked
        (held,) = [held for held in server._exchanges if held._queue]
        assert server.counters["control-paused-sessions"] == 1
        assert OUTBOX_OCTETS < held._unsent_octets < OUTBOX_OCTETS + 2_000_000 and len(held._queue) > 1
        other.ask({**SPEC, "id": "other"})
        assert (await other.answers(1))[0]["id"] == "other"
        assert len(vsis.asked) == taken + 1
        assert [answer["id"] for answer in await silent.answers(asked)] == list(range(asked))
        assert not held._queue and held._unsent_octets == 0
        assert server.counters["control-paused-sessions"] == 0

    serve(tmp_path, test)


def test_one_that_dies_without_reading_is_let_go(tmp_path: Path) -> None:
    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        silent = await converse(tmp_path)
        with suppress(BlockingIOError):
            while True:
                silent.ask(*[SPEC] * 300)
                for _ in range(10):
                    await asyncio.sleep(0)
        silent.socket.close()
        await until(lambda: not server._exchanges)
        assert [session.closings for session in vsis.sessions] == [1]

    serve(tmp_path, test)


def test_what_was_asked_by_one_who_has_left_counts(tmp_path: Path) -> None:
    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        hasty = await converse(tmp_path)
        for number in range(20):
            hasty.ask({**SPEC, "id": number})
        hasty.socket.close()
        await until(lambda: not server._exchanges)
        assert [spec["id"] for _, spec in vsis.asked] == list(range(20))
        rude = await converse(tmp_path)
        rude.ask({**SPEC, "id": 20})
        (ours,) = server._exchanges
        await until(lambda: len(vsis.asked) == 21 and not ours._answers)
        rude.ask({**SPEC, "id": 21})
        rude.socket.close()  # with an answer unread, for which the kernel resets the connection
        await until(lambda: not server._exchanges)
        assert [spec["id"] for _, spec in vsis.asked] == list(range(22))
        assert [session.closings for session in vsis.sessions] == [1, 1]
        vsis.sessions[0].answer([granted(SPEC)])  # the stack may be slower than the client

    serve(tmp_path, test)


def test_requests_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_UNANSWERED", 10)

    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        vsis.switch = lambda spec: None
        client = await converse(tmp_path)
        client.ask(*[{**SPEC, "id": number} for number in range(12)], "no object", {**SPEC, "id": "x" * 65})
        refused = await client.answers(4)
        assert [(answer["id"], answer["result"]) for answer in refused] == [
            (10, "invalid"),
            (11, "invalid"),
            (None, "invalid"),
            (None, "invalid"),
        ]
        assert "10 requests of this session" in refused[0]["text"]
        (session,) = vsis.sessions
        session.answer([granted(session.later.pop())])
        await client.answers(1)
        client.ask({**SPEC, "id": 13}, {**SPEC, "id": 14})
        assert [answer["id"] for answer in await client.answers(1)] == [14]
        assert len(session.later) == 10
        counted = {name: count for name, count in server.counters.items() if count}
        assert counted == {"control-streams": 1, "control-refused": 5}
        client.socket.close()
        await until(lambda: not server._exchanges)
        assert server.counters["control-refused"] == 5

    serve(tmp_path, test)
    assert MAX_UNANSWERED == MOST_UNANSWERED / 4, "no client alone can use up what there is for all"


def test_the_session_is_told_once_that_the_client_has_left(tmp_path: Path) -> None:
    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        leaving, staying = await converse(tmp_path), await converse(tmp_path)
        leaving.socket.close()
        await until(lambda: vsis.sessions[0].closings)
        vsis.switch = lambda spec: None
        staying.ask(SPEC)
        await until(lambda: vsis.asked)
        server.close()
        assert await staying.hear() == {"event": "ending"}
        assert await staying.data() == b""
        assert [session.closings for session in vsis.sessions] == [1, 1]
        vsis.sessions[1].answer([granted(SPEC)])

    serve(tmp_path, test)


def test_sessions_are_counted_among_the_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_STREAMS", 64)

    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        kept = [await converse(tmp_path) for _ in range(64)]
        for request in ({"op": "vsi", "interface": "eth0"}, {"op": "watch"}, {"op": "switch-deassociate", "all": True}):
            reply, _ = await ask(tmp_path, **request)
            assert "already" in reply["error"]
        kept.pop().socket.close()
        await until(lambda: len(server._exchanges) == 63)
        await converse(tmp_path)

    serve(tmp_path, test)


def forged(user: int) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("iII", os.getpid(), user, os.getgid())


CHANGES = [{}, {"op": "switch-deassociate", "all": True}, {"op": "reload"}]


@pytest.mark.parametrize("request_", CHANGES)
def test_only_who_may_change_the_network_may_ask_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: dict[str, Any]
) -> None:
    message = json.dumps({"requests": [SPEC]}).encode()

    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        client = await converse(tmp_path, **request_)
        sender = STRANGER if os.geteuid() == 0 else os.geteuid()
        as_sender = [forged(sender)] if os.geteuid() == 0 else []
        with monkeypatch.context() as patch:
            patch.setattr(exchange.os, "geteuid", lambda: STRANGER + 1)
            client.socket.sendmsg([message], as_sender)
            assert "only root" in (await client.hear())["error"]
            assert await client.data() == b"", "there is nothing more to say"
        assert vsis.asked == [] and vsis.withdrawals == [] and vsis.reloads == 0
        monkeypatch.setattr(exchange.os, "geteuid", lambda: sender)
        client = await converse(tmp_path, **request_)
        client.socket.sendmsg([message], as_sender)
        assert "error" not in await client.hear()

    serve(tmp_path, test)


@pytest.mark.parametrize("request_", CHANGES)
def test_whoever_could_write_to_the_socket_for_changes_may_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: dict[str, Any]
) -> None:
    """As a member of the agent's group, who has no other claim."""

    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        client = await converse(tmp_path, "change.sock", **request_)
        monkeypatch.setattr(exchange.os, "geteuid", lambda: STRANGER + 1)
        as_sender = [forged(STRANGER)] if os.geteuid() == 0 else []
        client.socket.sendmsg([json.dumps({"requests": [SPEC]}).encode()], as_sender)
        assert "error" not in await client.hear()
        assert len(vsis.asked) + len(vsis.withdrawals) + vsis.reloads == 1

    serve(tmp_path, test)


def test_descriptors_from_a_client_are_not_taken(tmp_path: Path) -> None:
    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        client = await converse(tmp_path)
        files = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [0, 1, 2]))
            client.socket.sendmsg([json.dumps({"requests": [SPEC]}).encode()], [rights])
            await client.answers(1)
        assert len(os.listdir("/proc/self/fd")) == files

    serve(tmp_path, test)


@pytest.mark.parametrize(
    ("request_", "meant"),
    [
        ({"all": True}, (None, None)),
        ({"interface": "eth*"}, ("eth*", None)),
        ({"interface": "eth0", "instance": INSTANCE}, ("eth0", INSTANCE)),
    ],
)
def test_a_switch_withdraws_when_the_client_confirms(
    tmp_path: Path, request_: dict[str, Any], meant: tuple[str | None, str | None]
) -> None:
    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        vsis.held = [{"interface": "eth0", "vsi-id": INSTANCE}] * 4000
        client = await converse(tmp_path, op="switch-deassociate", **request_)
        assert vsis.withdrawals == []
        client.say(b"{}")
        withdrawn: list[dict[str, Any]] = []
        while (part := await client.hear()) != {"done": True}:
            withdrawn += part["withdrawn"]
        assert withdrawn == vsis.held
        assert await client.data() == b"" and not server._exchanges
        assert vsis.withdrawals == [meant]

    serve(tmp_path, test)


def test_what_cannot_be_withdrawn_is_an_error(tmp_path: Path) -> None:
    async def test(server: ControlServer, vsis: FakeVsis) -> None:
        client = await converse(tmp_path, op="switch-deassociate", interface="eth9")
        client.say(b"{}")
        assert await client.hear() == {"error": "eth9 is not served"}
        gone = await converse(tmp_path, op="switch-deassociate", all=True)
        vsis.held = [{"interface": "eth0", "vsi-id": INSTANCE}] * 40_000
        gone.say(b"{}")
        gone.socket.close()
        client.socket.close()
        await until(lambda: not server._exchanges)
        assert vsis.withdrawals == [(None, None)]

    serve(tmp_path, test)


def test_messages_are_filled_but_not_beyond_what_they_hold() -> None:
    entries = [{"id": number, "text": "x" * (number % 700)} for number in range(3000)]
    messages = list(packed("answers", entries))
    assert [entry for message in messages for entry in json.loads(message)["answers"]] == entries
    assert all(len(message) <= MAX_MESSAGE_OCTETS for message in messages)
    assert all(len(message) > MAX_MESSAGE_OCTETS - 1000 for message in messages[:-1])
    too_long = {"text": "y" * (MAX_MESSAGE_OCTETS + 1)}
    sizes = [len(json.loads(message)["answers"]) for message in packed("answers", [entries[0], too_long, entries[1]])]
    assert sizes == [1, 1, 1]
    assert list(packed("answers", [])) == []
    exact = {"t": "z" * (MAX_MESSAGE_OCTETS - len(b'{"v":1,"answers":[{"t":""}]}'))}
    assert [len(message) for message in packed("answers", [exact])] == [MAX_MESSAGE_OCTETS]
