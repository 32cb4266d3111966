"""A blocking client of the control socket. Light: nothing but the standard library."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, Self

from evbagent.messages import VERSION, check_socket_path, socket_path
from evbagent.statefile import default_directory

REPLY_SECONDS = 5.0
RECEIVE_BUFFER = 1 << 20
MAX_DATAGRAM = 1 << 18


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
        try:
            check_socket_path(self._path)
        except ValueError as error:
            raise ClientError(str(error)) from error
        # Another client may have had our address, and an answer of its may still be on its way.
        self._ids = count(int.from_bytes(os.urandom(4), "big"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind("")  # the kernel makes a name, so that the agent can answer
        try:
            self._socket.connect(str(self._path))
        except PermissionError as error:
            self._socket.close()
            raise ClientError(f"no permission to ask the agent at {self._path}") from error
        except OSError as error:
            self._socket.close()
            raise self._not_running() from error

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
            return reply.get("data")
        try:
            # The offset is shared with whoever else has the descriptor: read from the start, whatever it is.
            return json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
        finally:
            os.close(descriptor)

    def events(self, interface: str | None = None) -> Iterator[dict[str, Any]]:
        """Follow events, of one interface (a glob) or all, until the agent ends (then AgentNotRunning)."""
        with self._stream("watch", {"interface": interface}) as stream:
            while (event := self._next(stream))["event"] != "ending":
                del event["v"]
                yield event
        raise AgentNotRunning("the agent has ended")

    def wait(self, interface: str, condition: str, timeout: float | None) -> None:
        """Return when it holds. WaitTimeout after `timeout` seconds."""
        with self._stream("wait", {"interface": interface, "for": condition, "timeout": timeout}) as stream:
            answer = self._next(stream)
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
            self._socket.send(json.dumps(message).encode())
            while True:
                self._socket.settimeout(max(0.001, deadline - monotonic()))
                datagram, descriptors, _, _ = socket.recv_fds(self._socket, MAX_DATAGRAM, 1)
                reply = _parse(datagram)
                if reply.get("id") == request_id:
                    break
                for descriptor in descriptors:
                    os.close(descriptor)
        except TimeoutError:
            raise ClientError(f"the agent at {self._path} does not answer") from None
        except OSError as error:
            raise self._not_running() from error
        if not reply.get("ok"):
            raise ClientError(str(reply.get("error")))
        return reply, descriptors[0] if descriptors else None

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
        except OSError:
            data = b""
        if not data:
            raise AgentNotRunning("the agent is gone")
        return _parse(data)

    def _not_running(self) -> AgentNotRunning:
        return AgentNotRunning(f"no agent answers at {self._path}: start it with `evbagent run`")


def _parse(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ClientError(f"the agent answers what is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ClientError("the agent answers what is not an object")
    return document
