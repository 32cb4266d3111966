"""The client against a real server, in a thread beside it, and against impostors."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from evbagent import client as client_module
from evbagent.client import AgentNotRunning, Client, ClientError, WaitTimeout
from evbagent.control import ControlError, ControlServer
from evbagent.messages import INLINE_OCTETS

ROOT = Path(__file__).parents[2]


class Handler:
    """Answers from what the test sets."""

    def __init__(self) -> None:
        self.data: Any = None
        self.broken = False
        self.reloads = 0
        self.held: set[tuple[str, str]] = set()

    def show(self, what: str, glob: str | None) -> Any:
        return {"what": what, "glob": glob} if self.data is None else self.data

    def open_vsi(self, interface: str, answer: Any) -> Any:
        raise ControlError("no VSIs here")

    def withdraw(self, interface: str | None, instance: str | None) -> Any:
        raise ControlError("no VSIs here")

    def reload(self) -> None:
        self.reloads += 1
        if self.broken:
            raise ControlError("evbagent.toml: nonsense")

    def change_dcb(self, interface: str, action: str) -> Any:
        raise ControlError("no DCB here")

    def holds(self, interface: str, condition: str) -> bool:
        if self.broken:
            raise ControlError("broken")
        if condition == "rain":
            raise ControlError("cannot wait for 'rain'")
        return (interface, condition) in self.held


class Agent:
    """What a client's thread may do to the server's loop."""

    def __init__(self, server: ControlServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server, self._loop = server, loop

    def do(self, action: Callable[..., Any], *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(action, *arguments)

    def when(self, operation: str, action: Callable[..., Any], *arguments: Any) -> None:
        """Do it once the next request of that kind has been dealt with."""
        original = self.server._answer

        def answer(request: dict[str, Any], asker: Any) -> None:
            original(request, asker)
            if request["op"] == operation:
                self.server._answer = original
                self._loop.call_soon(action, *arguments)

        self.server._answer = answer


def serve(directory: Path, test: Callable[[Agent], None], handler: Handler | None = None) -> None:
    """Run `test` in a thread beside a server in `directory`."""

    async def run() -> None:
        server = ControlServer(directory / "control.sock", handler or Handler())
        await server.start()
        try:
            async with asyncio.timeout(10):
                await asyncio.to_thread(test, Agent(server, asyncio.get_running_loop()))
        finally:
            server.close()

    asyncio.run(run())


def test_answers_small_and_large_come_whole_and_leave_nothing_open(tmp_path: Path) -> None:
    handler = Handler()

    def test(agent: Agent) -> None:
        with Client(tmp_path) as client:
            files = len(os.listdir("/proc/self/fd"))
            for octets in (10, INLINE_OCTETS - 9, INLINE_OCTETS - 4, INLINE_OCTETS, 60_000, 5_000_000):
                handler.data = ["\N{SNOWMAN}" * (octets // 3)]
                assert client.request("show", what="neighbors") == handler.data
            assert client.request("ping") == {"version": 1}
            assert len(os.listdir("/proc/self/fd")) == files

    serve(tmp_path, test, handler)


def test_a_large_answer_of_an_agent_that_hangs_or_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "REPLY_SECONDS", 0.02)
    for last, said in ((False, "hangs"), (True, "not JSON")):
        (tmp_path / "control.sock").unlink(missing_ok=True)
        with AskedImpostor(tmp_path) as (client, answer):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            with ours, theirs:
                ours.send(b'["half an ans')
                if last:
                    ours.close()
                answer({"ok": True, "fd": True}, theirs.fileno())
                with pytest.raises(ClientError, match=said):
                    client.request("ping")


def test_an_answer_whose_descriptor_is_lost_is_an_error(tmp_path: Path) -> None:
    with AskedImpostor(tmp_path) as (client, answer):
        answer({"ok": True, "fd": True})
        with pytest.raises(ClientError, match="lost on its way"):
            client.request("ping")


def test_waiting(tmp_path: Path) -> None:
    handler = Handler()

    def holds(server: ControlServer) -> None:
        handler.held.add(("eth0", "neighbor"))
        server.publish({"event": "link", "interface": "eth0"})

    def test(agent: Agent) -> None:
        with Client(tmp_path) as client:
            with pytest.raises(WaitTimeout, match=r"eth0: no neighbor within 0\.01 s"):
                client.wait("eth0", "neighbor", 0.01)
            with pytest.raises(ClientError, match="rain"):
                client.wait("eth0", "rain", 1)
            agent.when("wait", lambda: holds(agent.server))
            client.wait("eth0", "neighbor", None)
            client.wait("eth0", "neighbor", 0)

    serve(tmp_path, test, handler)


def test_watching_until_the_agent_ends(tmp_path: Path) -> None:
    def test(agent: Agent) -> None:
        with Client(tmp_path) as client:
            events = client.events("eth0")
            agent.when(
                "watch", lambda: [agent.server.publish({"event": "link", "interface": f"eth{n}"}) for n in (1, 0)]
            )
            assert next(events) == {"event": "link", "interface": "eth0"}
            agent.do(agent.server.publish, {"event": "configuration", "interface": None})
            assert next(events) == {"event": "configuration", "interface": None}
            agent.do(agent.server.close)
            with pytest.raises(AgentNotRunning, match="ended"):
                next(events)

    serve(tmp_path, test)


def test_waiters_are_told_when_the_agent_ends_or_cannot_tell(tmp_path: Path) -> None:
    handler = Handler()

    def breaks(server: ControlServer) -> None:
        handler.broken = True
        server.publish({"event": "link", "interface": "eth0"})

    def test(agent: Agent) -> None:
        with Client(tmp_path) as client:
            agent.when("wait", breaks, agent.server)
            with pytest.raises(ClientError, match="broken"):
                client.wait("eth0", "neighbor", None)
            handler.broken = False
            agent.when("wait", agent.server.close)
            with pytest.raises(AgentNotRunning, match="ended"):
                client.wait("eth0", "neighbor", None)

    serve(tmp_path, test, handler)


def test_without_an_agent_the_client_says_how_to_start_one(tmp_path: Path) -> None:
    for directory in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(AgentNotRunning, match="evbagent run"):
            Client(directory)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    with pytest.raises(AgentNotRunning, match="evbagent run"):
        Client(tmp_path)


def test_a_path_too_long_or_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="longer than"):
        Client(tmp_path / ("d" * 120))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.bind(str(tmp_path / "control.sock"))
        stream.listen()
        with pytest.raises(ClientError, match="cannot ask"):
            Client(tmp_path)


def test_an_agent_that_hangs_is_waited_for_no_longer_than_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "REPLY_SECONDS", 0.02)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "control.sock"))
        with Client(tmp_path) as client:
            for _ in range(3 + int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) // 100):
                with pytest.raises(ClientError, match="does not answer"):
                    client.request("ping")
        with Client(tmp_path) as client:
            client._socket.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    client._socket.sendto(b"full", str(tmp_path / "control.sock"))
            with pytest.raises(ClientError, match="does not answer"):
                client.request("ping")


def test_an_agent_that_hangs_later_is_waited_for_no_longer_than_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "REPLY_SECONDS", 0.02)
    with AskedImpostor(tmp_path) as (client, answer):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            answer({"ok": True, "fd": True}, theirs.fileno())
            with pytest.raises(ClientError, match="hangs"):
                client.wait("eth0", "neighbor", 0.01)


class AskedImpostor:
    """A client, and who answers it before it has asked, knowing the id that it is going to use."""

    def __init__(self, directory: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "control.sock"))
        self._client = Client(directory)

    def __enter__(self) -> tuple[Client, Callable[..., None]]:
        client_id = next(self._client._ids)
        self._client._ids = iter(range(client_id, client_id + 10))  # type: ignore[assignment]

        def answer(reply: Any, *descriptors: int) -> None:
            if isinstance(reply, dict):
                reply = json.dumps({"v": 1, "id": client_id, **reply}).encode()
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
            self._socket.sendmsg([reply], rights, 0, self._client._socket.getsockname())

        return self._client, answer

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._socket.close()


@pytest.mark.parametrize("reply", [b"", b"{", b"\xff", b"[]", b'"ok"'])
def test_an_answer_that_is_none_is_an_error(tmp_path: Path, reply: bytes) -> None:
    with AskedImpostor(tmp_path) as (client, answer):
        answer(reply)
        with pytest.raises(ClientError, match="answers what is not"):
            client.request("ping")


def test_answers_to_others_are_passed_over(tmp_path: Path) -> None:
    with AskedImpostor(tmp_path) as (client, answer):
        for stray in ({"id": 3, "ok": True, "data": "wrong"}, {"event": "link", "id": None}):
            answer(stray)
        answer({"ok": True, "data": "right"})
        assert client.request("ping") == "right"


def test_only_the_owner_of_the_socket_is_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "REPLY_SECONDS", 0.02)
    with AskedImpostor(tmp_path) as (client, answer):
        client._owner += 1
        answer({"ok": True, "data": "forged"})
        with pytest.raises(ClientError, match="does not answer"):
            client.request("ping")


def test_the_client_needs_little(tmp_path: Path) -> None:
    """It starts for every command of a person or script; the heavy libraries are the agent's."""
    code = (
        "import sys; import evbagent.client, evbagent.commands_vsi; "
        "print(*sorted({'asyncio', 'msgspec', 'pyroute2', 'construct', 'asyncio_dgram', 'logging'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("only_socket", ["both", "control.sock"])
def test_reload_returns_when_it_is_done_or_raises_what_is_wrong(tmp_path: Path, only_socket: str) -> None:
    """Where there is no socket for changes for us, the agent judges by who we are."""
    handler = Handler()

    def test(agent: Agent) -> None:
        if only_socket != "both":
            (tmp_path / "change.sock").unlink()
        with Client(tmp_path) as client:
            client.reload()
            assert handler.reloads == 1
            handler.broken = True
            with pytest.raises(ClientError, match=r"evbagent\.toml: nonsense"):
                client.reload()

    serve(tmp_path, test, handler)
