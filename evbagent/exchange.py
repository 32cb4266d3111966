"""Clients that have something changed: VSIs, from either end, and DCB settings.

They say it on a stream of their own, so that no answer is lost on the way to a client that reads. Who may say it is the
kernel's word: a stream that was asked for at the socket of those who may change something is theirs; on others, which
anybody may ask for, each message comes with its sender's credentials.
"""

import logging
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from msgspec import MsgspecError
from msgspec.json import decode, encode

from evbagent.messages import MAX_MESSAGE_OCTETS, MAX_UNANSWERED, VERSION, BadRequest, id_of
from evbagent.stream import Pair

log = logging.getLogger(__name__)

OUTBOX_OCTETS = 1 << 20
NOT_PERMITTED = "only root, members of the agent's group, and the user that it runs as may change anything"

_CREDENTIALS = struct.Struct("iII")
_CREDENTIALS_SPACE = socket.CMSG_SPACE(_CREDENTIALS.size)  # and none for descriptors: the kernel drops those


class ControlError(Exception):
    """A request that cannot be answered; the text goes to the client."""


class VsiSession(Protocol):
    """What one client asks of the VSIs of one interface."""

    def request(self, specs: list[Any]) -> None:
        """Take the requests. Each is answered once, at once or later. ControlError when none can be taken."""

    def closed(self) -> None:
        """The client is gone; nobody is to be answered any more."""


class Exchange(Pair):
    """Takes a client's messages one after the other. One that does not read what it is told is not read from either."""

    def __init__(self, ended: Callable[[Any], None], permitted: bool = False) -> None:
        """`permitted`: whoever has asked for it may change things."""
        super().__init__(ended)
        self._permitted = permitted
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._unsent_octets = 0
        self._reading = True
        self._deaf = False
        self._closed = False
        self.refused = 0  # requests for which there was no room
        self.errors = 0  # messages that were answered with an error

    @property
    def is_paused(self) -> bool:
        """Whether it is not read from, since it does not read."""
        return not self._reading

    def close(self) -> None:
        self._closed = True
        super().close()

    def _take(self, message: Mapping[str, Any]) -> None:
        """Do what a client says who may. BadRequest and ControlError go back to it."""
        raise NotImplementedError

    def _put(self, message: bytes) -> None:
        if self._deaf or self._closed:
            return
        self._unsent_octets += len(message)
        super()._put(message)
        if self._reading and self._unsent_octets > OUTBOX_OCTETS:
            self._reading = False
            self._loop.remove_reader(self._socket)  # sending tells, too, when the client is gone

    def _sent(self, octets: int) -> None:
        self._unsent_octets -= octets
        if not self._reading and self._unsent_octets <= OUTBOX_OCTETS // 2:
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)

    def _refused(self) -> None:
        """The client has left, perhaps with something said that is not read yet: it counts all the same."""
        self._deaf = True
        self._queue.clear()
        self._unsent_octets = 0
        self._loop.remove_writer(self._socket)
        if self._last:
            self._ended(self)
        elif not self._reading:
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        """One message at a time: it may hold hundreds of requests, and others wait."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(MAX_MESSAGE_OCTETS + 1, _CREDENTIALS_SPACE)
        except (BlockingIOError, ConnectionResetError):
            return  # reset: it has left with answers unread; what it has said can be read next
        except OSError:
            data = b""
        if not data:
            self._ended(self)
            return
        if not self._permitted and not _may_change(ancillary):
            self.errors += 1
            self.send({"error": NOT_PERMITTED}, last=True)
            return
        try:
            self._take(_object(decode_strictly(data, MAX_MESSAGE_OCTETS)))
        except (BadRequest, ControlError) as error:
            self.errors += 1
            self.send({"error": str(error)})
        except Exception:
            self.errors += 1
            log.exception("control socket: a message failed")
            self.send({"error": "the agent failed to answer; its log says why"})


class VsiExchange(Exchange):
    """`{"requests": [SPEC, ...]}` from the client, `{"answers": [ANSWER, ...]}` to it, any number of each."""

    def __init__(
        self,
        open_session: Callable[[Callable[[list[dict[str, Any]]], None]], VsiSession],
        ended: Callable[["VsiExchange"], None],
        permitted: bool = False,
    ) -> None:
        super().__init__(ended, permitted)
        self._unanswered = 0
        self._answers: list[dict[str, Any]] = []
        try:
            self._session = open_session(self._answer)
        except BaseException:
            super().close()
            self.client_end.close()
            raise

    def close(self) -> None:
        if not self._closed:
            super().close()
            self._session.closed()

    def _take(self, message: Mapping[str, Any]) -> None:
        specs = message.get("requests")
        if not isinstance(specs, list):
            raise BadRequest("requests: is an array")
        accepted = specs[: MAX_UNANSWERED - self._unanswered]
        self._unanswered += len(specs)
        self.refused += len(specs) - len(accepted)
        self._answer([_refusal(spec) for spec in specs[len(accepted) :]])
        try:
            self._session.request(accepted)
        except Exception:
            self._unanswered -= len(accepted)
            raise

    def _answer(self, answers: list[dict[str, Any]]) -> None:
        """What is answered at about the same time goes in one message; the last answer for now waits for no other."""
        if not answers or self._closed:
            return
        self._unanswered -= len(answers)
        self._answers += answers
        if not self._unanswered:
            self._send_answers()
        elif len(self._answers) == len(answers):
            self._loop.call_soon(self._send_answers)

    def _send_answers(self) -> None:
        answers, self._answers = self._answers, []
        for message in packed("answers", answers):
            if self._closed:
                return
            self._put(message)


class OrderExchange(Exchange):
    """Any message from a client who may, and it is done; what there is to tell of it (`key`) comes before the end."""

    def __init__(
        self,
        carry_out: Callable[[], list[dict[str, Any]]],
        key: str,
        ended: Callable[["OrderExchange"], None],
        permitted: bool = False,
    ) -> None:
        super().__init__(ended, permitted)
        self._carry_out = carry_out
        self._key = key

    def _take(self, message: Mapping[str, Any]) -> None:
        for part in packed(self._key, self._carry_out()):
            self._put(part)
        self.send({"done": True}, last=True)


def packed(key: str, entries: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Messages, none of which is too large, unless an entry is so alone."""
    head = encode({"v": VERSION, key: []})[:-2]
    octets = len(head)
    part: list[bytes] = []
    for entry in map(encode, entries):
        if part and octets + len(entry) + len(",]}") > MAX_MESSAGE_OCTETS:
            yield head + b",".join(part) + b"]}"
            octets, part = len(head), []
        octets += len(entry) + len(",")
        part.append(entry)
    if part:
        yield head + b",".join(part) + b"]}"


def decode_strictly(data: bytes, limit: int) -> Any:
    """What json.loads lets through (NaN, half a surrogate pair) could not go back with the reply."""
    if len(data) > limit:
        raise BadRequest(f"a request has at most {limit} octets")
    try:
        return decode(data)
    except RecursionError:
        raise BadRequest("not JSON that is read here: nested too deeply") from None
    except (MsgspecError, ValueError) as error:
        raise BadRequest(f"not JSON: {error}") from error


def _object(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise BadRequest("a message is a JSON object")
    return document


def _may_change(ancillary: Iterable[tuple[int, int, bytes]]) -> bool:
    """Who may change the network anyway may have the agent do it."""
    return any(
        kind == socket.SCM_CREDENTIALS and _CREDENTIALS.unpack(value)[1] in (0, os.geteuid())
        for _, kind, value in ancillary
    )


def _refusal(spec: Any) -> dict[str, Any]:
    return {
        "id": id_of(spec),
        "result": "invalid",
        "response": None,
        "text": f"{MAX_UNANSWERED} requests of this session are not answered yet",
        "vsi": None,
    }
