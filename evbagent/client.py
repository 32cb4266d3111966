"""A blocking client of the control socket. Light: nothing but the standard library."""

import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, Self

from evbagent.messages import VERSION, check_socket_path, socket_path
from evbagent.statefile import default_directory

REPLY_SECONDS = 5.0
MAX_DATAGRAM = 1 << 18

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
            # The offset is shared with whoever else has the descriptor: read from the start, whatever it is.
            return json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
        except ValueError as error:
            raise ClientError(f"the agent answers what is not JSON: {error}") from error
        finally:
            os.close(descriptor)

    def events(self, interface: str | None = None) -> Iterator[dict[str, Any]]:
        """Follow events, of one interface (a glob) or all, until the agent ends (then AgentNotRunning)."""
        with self._stream("watch", {"interface": interface}) as stream:
            while (event := self._next(stream)).get("event") != "ending":
                event.pop("v", None)
                yield event
        raise AgentNotRunning("the agent has ended")

    def wait(self, interface: str, condition: str, timeout: float | None) -> None:
        """Return when it holds. WaitTimeout after `timeout` seconds."""
        with self._stream("wait", {"interface": interface, "for": condition, "timeout": timeout}) as stream:
            if timeout is not None:
                stream.settimeout(timeout + REPLY_SECONDS)
            answer = self._next(stream)
        if "error" in answer:
            raise ClientError(str(answer["error"]))
        if "held" not in answer:
            raise AgentNotRunning("the agent has ended")
        if not answer["held"]:
            raise WaitTimeout(f"{interface}: no {condition} within {timeout:g} s")

    def _ask(self, operation: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
        """The reply, and the descriptor that came with it."""
        request_id = next(self._ids)
        message = {"v": VERSION, "id": request_id, "op": operation, **arguments}
        deadline = monotonic() + REPLY_SECONDS
        try:
            self._socket.settimeout(REPLY_SECONDS)
            self._socket.sendto(json.dumps(message).encode(), str(self._path))
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

    def _next(self, stream: socket.socket) -> dict[str, Any]:
        try:
            data = stream.recv(MAX_DATAGRAM)
        except TimeoutError as error:
            raise ClientError(f"the agent at {self._path} does not answer: it hangs") from error
        except OSError:
            data = b""
        if not data:
            raise AgentNotRunning("the agent is gone")
        return _parse(data)

    def _not_running(self) -> AgentNotRunning:
        return AgentNotRunning(f"no agent answers at {self._path}: start it with `evbagent run`")


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
