"""A blocking client of the control socket. Light: nothing but the standard library."""

import json
import os
import socket
from collections.abc import Iterator
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
        self._ids = count(1)
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

    def request(self, operation: str, patience: float | None = REPLY_SECONDS, **arguments: Any) -> Any:
        """Ask, and return the answer's data. `patience` in seconds, None: for ever. Raises ClientError."""
        request_id = next(self._ids)
        message = {"v": VERSION, "id": request_id, "op": operation, **arguments}
        try:
            self._socket.send(json.dumps(message).encode())
        except OSError as error:
            raise self._not_running() from error
        deadline = None if patience is None else monotonic() + patience
        while True:
            reply, data = self._receive(deadline)
            if reply.get("id") == request_id and "ok" in reply:
                break
        if not reply["ok"]:
            raise ClientError(str(reply.get("error")))
        return data if reply.get("fd") else reply.get("data")

    def events(self, interface: str | None = None) -> Iterator[dict[str, Any]]:
        """Follow events, of one interface (a glob) or all, until the agent ends (then AgentNotRunning)."""
        self.request("watch", interface=interface)
        while True:
            event, _ = self._receive(None)
            if "event" in event and event["event"] != "alive":
                del event["v"]
                yield event

    def wait(self, interface: str, condition: str, timeout: float | None) -> None:
        """Return when it holds. WaitTimeout after `timeout` seconds."""
        patience = None if timeout is None else timeout + REPLY_SECONDS
        held = self.request("wait", patience, **{"interface": interface, "for": condition, "timeout": timeout})
        if not held:
            raise WaitTimeout(f"{interface}: no {condition} within {timeout:g} s")

    def _receive(self, deadline: float | None) -> tuple[dict[str, Any], Any]:
        """The next datagram, and the data of the descriptor that came with it."""
        try:
            # Even without a deadline: look now and then whether the agent is still there.
            self._socket.settimeout(1.0 if deadline is None else max(0.001, deadline - monotonic()))
            while True:
                try:
                    datagram, descriptors, _, _ = socket.recv_fds(self._socket, MAX_DATAGRAM, 1)
                    break
                except TimeoutError:
                    if deadline is not None:
                        raise ClientError(f"the agent at {self._path} does not answer") from None
                    self._socket.send(json.dumps({"v": VERSION, "id": None, "op": "ping"}).encode())
        except OSError as error:
            raise self._not_running() from error
        try:
            data = None
            if descriptors:
                # The agent and its reader share the descriptor's offset: read from the start, whatever it is.
                size = os.fstat(descriptors[0]).st_size
                data = json.loads(os.pread(descriptors[0], size, 0))
            return json.loads(datagram), data
        except ValueError as error:
            raise ClientError(f"the agent at {self._path} answers what is not JSON: {error}") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _not_running(self) -> AgentNotRunning:
        return AgentNotRunning(f"no agent answers at {self._path}: start it with `evbagent run`")
