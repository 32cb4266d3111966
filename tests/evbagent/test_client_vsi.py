"""The client's sessions about VSIs against a real control socket, in a thread beside it."""

import socket
from pathlib import Path
from typing import Any

import pytest

from evbagent import client as client_module
from evbagent.client import AgentNotRunning, Client, ClientError, VsiSession, WaitTimeout
from evbagent.exchange import OUTBOX_OCTETS
from evbagent.messages import MAX_MESSAGE_OCTETS
from tests.support.fakevsis import INSTANCE, FakeVsis, granted, served

SPEC: dict[str, Any] = {"id": 1, "request": "associate", "instance": INSTANCE, "filter": ["0-52:54:00:00:00:01"]}


def test_thousands_are_answered_before_the_first_is_read(tmp_path: Path) -> None:
    """More than both ends and the sockets between them hold: neither may wait for the other for ever."""

    def verbose(spec: dict[str, Any]) -> dict[str, Any]:
        return granted(spec) | {"text": "x" * 3000}

    vsis = FakeVsis(verbose)
    count = 4 * OUTBOX_OCTETS // 3000
    with served(tmp_path, vsis), Client(tmp_path) as client, client.vsi("eth0") as session:
        client.close()
        for start in range(0, count, 100):
            session.request({**SPEC, "id": start + number} for number in range(100))
        assert [answer["id"] for answer in session.answers(10)] == list(range(len(vsis.asked)))
        assert list(session.answers(10)) == []
        session.request([SPEC])
        assert next(session.answers())["text"] == "x" * 3000
        assert vsis.asked[0] == ("eth0", {**SPEC, "id": 0})
    assert vsis.sessions[0].closings == 1


def test_answers_may_take_their_time_but_not_more(tmp_path: Path) -> None:
    vsis = FakeVsis(lambda spec: granted(spec) if spec["id"] else None)
    with served(tmp_path, vsis), Client(tmp_path) as client, client.vsi("eth0") as session:
        session.request([SPEC, {**SPEC, "id": 0}])
        answers = session.answers(0.02)
        assert next(answers)["id"] == 1
        with pytest.raises(WaitTimeout, match=r"has not answered within 0\.02 s"):
            next(answers)


def test_an_interface_that_is_not_served_and_a_message_that_is_not_taken(tmp_path: Path) -> None:
    with served(tmp_path, FakeVsis()), Client(tmp_path) as client:
        with pytest.raises(ClientError, match="eth9 is not served"):
            client.vsi("eth9")
        with client.vsi("eth0") as session:
            session._say(b"{}")
            session._unanswered = 1
            with pytest.raises(ClientError, match="requests: is an array"):
                next(session.answers(5))


def test_a_request_that_no_message_holds_is_refused_here(tmp_path: Path) -> None:
    with served(tmp_path, FakeVsis()), Client(tmp_path) as client, client.vsi("eth0") as session:
        with pytest.raises(ClientError, match="at most 65521 octets"):
            session.request([{**SPEC, "filter": ["x" * MAX_MESSAGE_OCTETS]}])
        room = MAX_MESSAGE_OCTETS - len(b'{"requests":[]}')
        fits = {**SPEC, "vm-name": ""}
        fits["vm-name"] = "y" * (room - len(client_module.json.dumps(fits, separators=(",", ":"))))
        session.request([SPEC, fits, SPEC])
        assert len(list(session.answers(5))) == 3


def test_an_agent_that_ends_meanwhile(tmp_path: Path) -> None:
    with Ending(tmp_path, FakeVsis(lambda spec: None)) as (agent, session):
        session.request([SPEC])
        agent.__exit__(None, None, None)
        with pytest.raises(AgentNotRunning, match="ended"):
            next(session.answers(5))
        with pytest.raises(AgentNotRunning, match="gone"):
            next(session.answers(5))
        with pytest.raises(AgentNotRunning, match="gone"):
            session.request([SPEC])


class Ending:
    """A session with an agent that may be ended before it."""

    def __init__(self, directory: Path, vsis: FakeVsis) -> None:
        self._agent = served(directory, vsis)
        self._directory = directory

    def __enter__(self) -> tuple[Any, VsiSession]:
        self._agent.__enter__()
        with Client(self._directory) as client:
            self._session = client.vsi("eth0")
        return self._agent, self._session

    def __exit__(self, *_: object) -> None:
        self._session.close()


@pytest.mark.parametrize("message", [b"{}", b'{"answers":1}', b'{"answers":[1]}', b"[", b"[]"])
def test_an_answer_that_is_none_is_an_error(message: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, VsiSession(theirs, Path("/run/evbagent/control.sock")) as session:
        session.request([SPEC])
        ours.send(message)
        with pytest.raises(ClientError, match="answers what"):
            next(session.answers(5))


def test_withdrawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vsis = FakeVsis()
    vsis.held = [{"interface": "eth0", "vsi-id": str(number)} for number in range(5000)]
    with served(tmp_path, vsis), Client(tmp_path) as client:
        assert client.withdraw(everything=True) == vsis.held
        assert client.withdraw("eth*", "77") == [{"interface": "eth0", "vsi-id": "77"}]
        assert client.withdraw(instance="none") == []
        with pytest.raises(ClientError, match="eth9 is not served"):
            client.withdraw("eth9")
        with pytest.raises(ClientError, match="all:"):
            client.withdraw()
        assert vsis.withdrawals == [(None, None), ("eth*", "77"), (None, "none")]
        monkeypatch.setattr(client_module, "REPLY_SECONDS", 0.02)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        monkeypatch.setattr(client, "_stream", lambda *_: theirs)
        with ours, pytest.raises(ClientError, match="hangs"):
            client.withdraw("eth0")
