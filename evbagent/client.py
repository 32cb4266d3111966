"""A blocking client of the control socket. Light: nothing but the standard library."""

import json
import os
import socket
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from select import POLLIN, POLLOUT, poll
from time import monotonic
from typing import Any, Self

from evbagent.messages import CHANGE_SOCKET_NAME, MAX_MESSAGE_OCTETS, VERSION, check_socket_path, socket_path
from evbagent.statefile import default_directory

REPLY_SECONDS = 5.0
RELOAD_SECONDS = 30.0
MAX_DATAGRAM = 1 << 18
REQUESTS_AT_ONCE = 64
"""An ECPDU takes 42 of the usual ones: the switch gets the first while the agent reads the next."""

_CREDENTIALS = struct.Struct("iII")
_ANCILLARY_OCTETS = socket.CMSG_SPACE(struct.calcsize("i")) + socket.CMSG_SPACE(_CREDENTIALS.size)


class ClientError(Exception):
    """The agent cannot be asked, or has refused; the text says what and what to do."""


class AgentNotRunning(ClientError):
    """Nobody answers at the socket."""


class WaitTimeout(ClientError):
    """What was waited for did not happen in time."""


class Client:
    """One connection. Use it as a context manager."""

    def __init__(self, state_dir: Path | None = None) -> None:
        self._path = socket_path(state_dir or default_directory())
        # Another client may have had our address, and an answer of its may still be on its way.
        self._ids = count(int.from_bytes(os.urandom(4), "big"))
        try:
            check_socket_path(self._path)
            with _datagram_socket() as probe:
                probe.connect(str(self._path))
            self._owner = os.stat(self._path).st_uid
        except PermissionError as error:
            raise ClientError(f"no permission to ask the agent at {self._path}") from error
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise self._not_running() from error
        except OSError as error:
            raise ClientError(f"cannot ask the agent at {self._path}: {error}") from error
        # Not connected: the agent answers from another socket than it is asked at (see control.py). Then anybody may
        # write to us, and the kernel says who it was.
        self._socket = _datagram_socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("")  # the kernel makes a name, so that the agent can answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def request(self, operation: str, **arguments: Any) -> Any:
        """Ask, and return the answer's data. Raises ClientError."""
        reply, descriptor = self._ask(operation, arguments)
        if descriptor is None:
            if reply.get("fd"):
                raise ClientError("the agent's answer was lost on its way: are too many files open?")
            return reply.get("data")
        try:
            return json.loads(b"".join(_octets(descriptor, self._path)))
        except ValueError as error:
            raise ClientError(f"the agent answers what is not JSON: {error}") from error
        finally:
            os.close(descriptor)

    def events(self, interface: str | None = None) -> Iterator[dict[str, Any]]:
        """Follow events, of one interface (a glob) or all, until the agent ends (then AgentNotRunning)."""
        with self._stream("watch", {"interface": interface}) as stream:
            while (event := _next(stream, self._path)).get("event") != "ending":
                event.pop("v", None)
                yield event
        raise AgentNotRunning("the agent has ended")

    def wait(self, interface: str, condition: str, timeout: float | None) -> None:
        """Return when it holds. WaitTimeout after `timeout` seconds."""
        with self._stream("wait", {"interface": interface, "for": condition, "timeout": timeout}) as stream:
            if timeout is not None:
                stream.settimeout(timeout + REPLY_SECONDS)
            answer = _next(stream, self._path)
        if "error" in answer:
            raise ClientError(str(answer["error"]))
        if "held" not in answer:
            raise AgentNotRunning("the agent has ended")
        if not answer["held"]:
            raise WaitTimeout(f"{interface}: no {condition} within {timeout:g} s")

    def vsi(self, interface: str) -> "VsiSession":
        """Requests about VSIs of one interface; it outlives the client. Use it as a context manager."""
        return VsiSession(self._stream("vsi", {"interface": interface}), self._path)

    def withdraw(
        self, interface: str | None = None, instance: str | None = None, everything: bool = False
    ) -> list[dict[str, Any]]:
        """Have the switch deassociate an instance, those on some interfaces (a glob), or everything; returns which."""
        arguments = {"interface": interface, "instance": instance, "all": everything}
        return self._change("switch-deassociate", arguments, "withdrawn")

    def change_dcb(self, interface: str, action: str) -> list[dict[str, Any]]:
        """Have what has been agreed written to the NIC (`apply`), or what was there before (`restore`)."""
        return self._change("dcbx", {"interface": interface, "action": action}, "changes")

    def _change(self, operation: str, arguments: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        done: list[dict[str, Any]] = []
        with self._stream(operation, arguments) as stream:
            stream.settimeout(REPLY_SECONDS)
            _say(stream, b'{"confirmed":true}', self._path)
            while not (part := _next(stream, self._path)).get("done"):
                done += _checked(part, key)
        return done

    def reload(self) -> None:
        """Have the agent read its configuration again. ClientError says what is wrong with it; it is not used then."""
        with self._stream("reload", {}) as stream:
            stream.settimeout(RELOAD_SECONDS)
            _say(stream, b'{"confirmed":true}', self._path)
            answer = _next(stream, self._path)
        if "error" in answer:
            raise ClientError(str(answer["error"]))

    def _ask(self, operation: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
        """The reply, and the descriptor that came with it."""
        request_id = next(self._ids)
        message = {"v": VERSION, "id": request_id, "op": operation, **arguments}
        deadline = monotonic() + REPLY_SECONDS
        try:
            self._socket.settimeout(REPLY_SECONDS)
            self._send(json.dumps(message).encode())
            while (left := deadline - monotonic()) > 0:
                self._socket.settimeout(left)
                reply, descriptor = self._receive()
                if reply.get("id") == request_id:
                    if not reply.get("ok"):
                        raise ClientError(str(reply.get("error")))
                    return reply, descriptor
                if descriptor is not None:
                    os.close(descriptor)
        except TimeoutError:
            pass
        except OSError as error:
            raise self._not_running() from error
        # Names that the kernel makes are those of one network namespace; the socket's path reaches into others.
        raise ClientError(
            f"the agent at {self._path} does not answer: it hangs, or runs in another network namespace than this"
        )

    def _send(self, request: bytes) -> None:
        """By the socket of those who may change something, if that is for us, since there is always room for them."""
        try:
            self._socket.sendto(request, str(self._path.with_name(CHANGE_SOCKET_NAME)))
        except (PermissionError, FileNotFoundError, ConnectionRefusedError):
            self._socket.sendto(request, str(self._path))

    def _receive(self) -> tuple[dict[str, Any], int | None]:
        """A datagram, and the descriptor that came with it; an empty one if it is not from the socket's owner."""
        datagram, ancillary, _, _ = self._socket.recvmsg(MAX_DATAGRAM, _ANCILLARY_OCTETS, socket.MSG_CMSG_CLOEXEC)
        sender = descriptor = None
        for _, kind, value in ancillary:
            if kind == socket.SCM_CREDENTIALS:
                sender = _CREDENTIALS.unpack(value)[1]
            elif kind == socket.SCM_RIGHTS and len(value) == struct.calcsize("i"):
                (descriptor,) = struct.unpack("i", value)
        try:
            return (_parse(datagram) if sender == self._owner else {}), descriptor
        except ClientError:
            if descriptor is not None:
                os.close(descriptor)
            raise

    def _stream(self, operation: str, arguments: Mapping[str, Any]) -> socket.socket:
        _, descriptor = self._ask(operation, arguments)
        if descriptor is None:
            raise ClientError(f"the agent at {self._path} gave no stream to read from")
        stream = socket.socket(fileno=descriptor)
        stream.setblocking(True)
        return stream

    def _not_running(self) -> AgentNotRunning:
        return AgentNotRunning(f"no agent answers at {self._path}: start it with `evbagent run`")


class VsiSession:
    """Requests about VSIs, and their answers as they come. The agent goes on with what it was asked when this ends."""

    def __init__(self, stream: socket.socket, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._unanswered = 0
        self._answers: deque[dict[str, Any]] = deque()
        stream.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()

    def request(self, specs: Iterable[Mapping[str, Any]]) -> None:
        """Ask; returns when the agent is going to read it. Raises ClientError."""
        for message, requests in _packed(specs):
            # The agent does not read from those who do not read its answers: take them meanwhile.
            while not self._say(message):
                self._await(POLLIN | POLLOUT, None)
                self._read()
            self._unanswered += requests

    def answers(self, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """Each answer, until there is one for every request. WaitTimeout when that takes more than `timeout` seconds.

        Raises ClientError, and then it cannot be told any more which requests are going to be answered.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while self._unanswered:
            while self._answers:
                self._unanswered -= 1
                yield self._answers.popleft()
            if self._unanswered and not self._read():
                left = None if deadline is None else max(0.0, deadline - monotonic())
                if not self._await(POLLIN, left):
                    raise WaitTimeout(f"the agent at {self._path} has not answered within {timeout:g} s")

    def _say(self, message: bytes) -> bool:
        """Whether there was room for it."""
        try:
            _say(self._stream, message, self._path)
        except BlockingIOError:
            return False
        return True

    def _read(self) -> bool:
        """Take what has come. Whether that was something."""
        try:
            self._answers.extend(_checked(_next(self._stream, self._path), "answers"))
        except BlockingIOError:
            return False
        return True

    def _await(self, events: int, seconds: float | None) -> bool:
        poller = poll()
        poller.register(self._stream, events)
        return bool(poller.poll(None if seconds is None else seconds * 1000))


def _octets(descriptor: int, path: Path) -> Iterator[bytes]:
    """All that there is to read."""
    poller = poll()
    poller.register(descriptor, POLLIN)
    while poller.poll(REPLY_SECONDS * 1000):
        data = os.read(descriptor, MAX_DATAGRAM)
        if not data:
            return
        yield data
    raise _hangs(path)


def _packed(specs: Iterable[Mapping[str, Any]]) -> Iterator[tuple[bytes, int]]:
    """Messages that the agent takes, and how many requests each holds."""
    empty = len(b'{"requests":[]}')
    octets, part = empty, list[bytes]()
    for spec in specs:
        entry = json.dumps(spec, separators=(",", ":")).encode()
        if len(entry) + empty > MAX_MESSAGE_OCTETS:
            raise ClientError(f"a request has at most {MAX_MESSAGE_OCTETS - empty} octets, not {len(entry)}")
        if part and (octets + len(entry) > MAX_MESSAGE_OCTETS or len(part) == REQUESTS_AT_ONCE):
            yield b'{"requests":[' + b",".join(part) + b"]}", len(part)
            octets, part = empty, []
        octets += len(entry) + len(b",")
        part.append(entry)
    if part:
        yield b'{"requests":[' + b",".join(part) + b"]}", len(part)


def _say(stream: socket.socket, message: bytes, path: Path) -> None:
    """BlockingIOError where `stream` is one that does not block."""
    try:
        stream.send(message)
    except BlockingIOError:
        raise
    except TimeoutError as error:
        raise _hangs(path) from error
    except OSError as error:
        raise AgentNotRunning("the agent is gone") from error


def _next(stream: socket.socket, path: Path) -> dict[str, Any]:
    """The next message. BlockingIOError where `stream` is one that does not block."""
    try:
        data = stream.recv(MAX_DATAGRAM)
    except BlockingIOError:
        raise
    except TimeoutError as error:
        raise _hangs(path) from error
    except OSError:
        data = b""
    if not data:
        raise AgentNotRunning("the agent is gone")
    return _parse(data)


def _checked(message: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The entries in a message of an exchange; ClientError when it says something else."""
    if "error" in message:
        raise ClientError(str(message["error"]))
    if message.get("event") == "ending":
        raise AgentNotRunning("the agent has ended")
    entries = message.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ClientError(f"the agent answers what has no {key}")
    return entries


def _hangs(path: Path) -> ClientError:
    return ClientError(f"the agent at {path} does not answer: it hangs")


def _datagram_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ClientError(f"the agent answers what is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ClientError("the agent answers what is not an object")
    return document
