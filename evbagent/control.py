"""The control socket: requests and replies, events for those who watch, answers for those who wait.

asyncio-dgram receives. It does not send: asyncio keeps one queue for all peers of a datagram socket, and one UNIX peer
that does not read would keep everybody waiting. Each client has a queue of its own here, bounded.
"""

import json
import logging
import os
import socket
from array import array
from asyncio import CancelledError, Task, TimerHandle, create_task, get_running_loop
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, fcntl
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from msgspec.json import encode

from evbagent.messages import (
    INLINE_OCTETS,
    MAX_REQUEST_OCTETS,
    VERSION,
    BadRequest,
    check_request,
    check_socket_path,
)

log = logging.getLogger(__name__)

MAX_SUBSCRIBERS = 1024
MAX_WAITERS = 1024
QUEUED_EVENTS = 256
RETRY_SECONDS = 0.01
MAX_RETRY_SECONDS = 1.0

Address = str | bytes


class ControlError(Exception):
    """A request that cannot be answered; the text goes to the client."""


class Handler(Protocol):
    """Who knows the answers. Both raise ControlError for what there is not."""

    def show(self, what: str, glob: str | None) -> Any: ...
    def holds(self, interface: str, condition: str) -> bool: ...


@dataclass(slots=True)
class _Waiter:
    address: Address
    request_id: Any
    interface: str
    condition: str
    timer: TimerHandle | None = None


@dataclass(slots=True)
class _Outbox:
    """What a client that is slow to read has still to get."""

    datagrams: deque[tuple[bytes, int | None]] = field(default_factory=deque)
    lost: int = 0
    delay: float = RETRY_SECONDS
    timer: TimerHandle | None = None


class ControlServer:
    """Serves one socket. `publish` may be called at any time between `start` and `close`."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self.ignored_requests = 0
        self._path = path
        self._handler = handler
        self._socket: socket.socket | None = None
        self._receiving: Task[None] | None = None
        self._subscribers: dict[Address, str | None] = {}
        self._waiters: list[_Waiter] = []
        self._outboxes: dict[Address, _Outbox] = {}

    async def start(self) -> None:
        """Listen. OSError or ValueError when the path cannot be had; a dead agent's socket there is replaced."""
        from asyncio_dgram import from_socket  # after the first frames are out: it takes 20 ms to import

        check_socket_path(self._path)
        with suppress(FileNotFoundError):
            self._path.unlink()  # the lock on the state directory says that nobody alive is listening there
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        listener.bind(str(self._path))
        os.chmod(self._path, 0o666)
        self._socket = listener.dup()
        self._receiving = create_task(self._receive(await from_socket(listener)))

    def close(self) -> None:
        if self._receiving:
            self._receiving.cancel()
        for waiter in self._waiters:
            self._reply_error(waiter.address, waiter.request_id, "the agent is ending")
            if waiter.timer:
                waiter.timer.cancel()
        self._waiters.clear()
        for outbox in self._outboxes.values():
            if outbox.timer:
                outbox.timer.cancel()
            for _, descriptor in outbox.datagrams:
                _close(descriptor)
        if self._socket:
            self._socket.close()
            with suppress(FileNotFoundError):
                self._path.unlink()
            self._socket = None

    def publish(self, event: Mapping[str, Any]) -> None:
        """Give an event to those who watch its interface, and look again at what others wait for."""
        if self._subscribers:
            datagram = encode({"v": VERSION, **event})
            interface = event.get("interface")
            for address, glob in list(self._subscribers.items()):
                if glob is None or interface is None or fnmatchcase(interface, glob):
                    self._send_event(address, datagram)
        for waiter in list(self._waiters):
            self._check(waiter)

    async def _receive(self, stream: Any) -> None:
        try:
            while True:
                try:
                    data, address = await stream.recv()
                except OSError as error:
                    log.debug("control socket: %s", error)
                    continue
                if not address:
                    self.ignored_requests += 1  # it has no name, so it cannot be answered
                    continue
                self._take(data, address)
        except CancelledError:
            raise
        finally:
            stream.close()

    def _take(self, data: bytes, address: Address) -> None:
        request_id: Any = None
        try:
            if len(data) > MAX_REQUEST_OCTETS:
                raise BadRequest(f"a request has at most {MAX_REQUEST_OCTETS} octets")
            try:
                document = json.loads(data)
            except (ValueError, RecursionError) as error:
                raise BadRequest(f"not JSON: {error}") from error
            if isinstance(document, dict):
                request_id = document.get("id")
            self._answer(check_request(document), request_id, address)
        except (BadRequest, ControlError) as error:
            self._reply_error(address, request_id, str(error))
        except Exception:
            # One client's request must not end the service for all others.
            log.exception("control socket: request failed")
            self._reply_error(address, request_id, "the agent failed to answer; its log says why")

    def _answer(self, request: dict[str, Any], request_id: Any, address: Address) -> None:
        match request["op"]:
            case "ping":
                self._reply(address, request_id, {"version": VERSION})
            case "show":
                self._reply(address, request_id, self._handler.show(request["what"], request.get("interface")))
            case "watch":
                self._make_room()
                if address not in self._subscribers and len(self._subscribers) >= MAX_SUBSCRIBERS:
                    raise ControlError(f"{MAX_SUBSCRIBERS} clients are watching already")
                self._subscribers[address] = request.get("interface")
                self._reply(address, request_id, None)
            case "unwatch":
                self._subscribers.pop(address, None)
                self._reply(address, request_id, None)
            case "wait":
                self._wait(request, request_id, address)

    def _wait(self, request: dict[str, Any], request_id: Any, address: Address) -> None:
        waiter = _Waiter(address, request_id, request["interface"], request["for"])
        if self._handler.holds(waiter.interface, waiter.condition):
            self._reply(address, request_id, True)
            return
        self._make_room()
        if len(self._waiters) >= MAX_WAITERS:
            raise ControlError(f"{MAX_WAITERS} clients are waiting already")
        if request.get("timeout") is not None:
            waiter.timer = get_running_loop().call_later(request["timeout"], self._time_out, waiter)
        self._waiters.append(waiter)

    def _check(self, waiter: _Waiter) -> None:
        if waiter in self._waiters and self._handler.holds(waiter.interface, waiter.condition):
            self._finish(waiter, True)

    def _time_out(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._finish(waiter, False)

    def _finish(self, waiter: _Waiter, held: bool) -> None:
        if waiter.timer:
            waiter.timer.cancel()
        self._waiters.remove(waiter)
        self._reply(waiter.address, waiter.request_id, held)

    def _make_room(self) -> None:
        """When a table is full, find out who is still there."""
        if len(self._subscribers) < MAX_SUBSCRIBERS and len(self._waiters) < MAX_WAITERS:
            return
        for address in {*self._subscribers, *(waiter.address for waiter in self._waiters)}:
            self._send_event(address, encode({"v": VERSION, "event": "alive"}))

    def _reply(self, address: Address, request_id: Any, data: Any) -> None:
        datagram = encode({"v": VERSION, "id": request_id, "ok": True, "data": data})
        if len(datagram) <= INLINE_OCTETS:
            self._send(address, datagram)
            return
        reply = encode({"v": VERSION, "id": request_id, "ok": True, "fd": True})
        self._send(address, reply, _sealed(encode(data)))

    def _reply_error(self, address: Address, request_id: Any, text: str) -> None:
        self._send(address, encode({"v": VERSION, "id": request_id, "ok": False, "error": text}))

    def _send_event(self, address: Address, datagram: bytes) -> None:
        outbox = self._outboxes.get(address)
        if outbox and len(outbox.datagrams) >= QUEUED_EVENTS:
            outbox.lost += 1
            return
        self._send(address, datagram)

    def _send(self, address: Address, datagram: bytes, descriptor: int | None = None) -> None:
        outbox = self._outboxes.get(address)
        if outbox is None and self._try(address, datagram, descriptor):
            return
        if outbox is None:
            if self._socket is None:
                _close(descriptor)
                return
            outbox = self._outboxes[address] = _Outbox()
            self._retry_later(address, outbox)
        outbox.datagrams.append((datagram, descriptor))

    def _try(self, address: Address, datagram: bytes, descriptor: int | None) -> bool:
        """Whether the datagram is dealt with: sent, or its reader is gone and forgotten."""
        if self._socket is None:
            return False
        rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))]
        try:
            self._socket.sendmsg([datagram], rights, socket.MSG_DONTWAIT, address)
        except BlockingIOError:
            return False
        except OSError as error:
            log.debug("control client %r is gone: %s", address, error)
            self._forget(address)
        _close(descriptor)
        return True

    def _retry_later(self, address: Address, outbox: _Outbox) -> None:
        outbox.timer = get_running_loop().call_later(outbox.delay, self._retry, address)
        outbox.delay = min(2 * outbox.delay, MAX_RETRY_SECONDS)

    def _retry(self, address: Address) -> None:
        outbox = self._outboxes.get(address)
        if outbox is None:
            return
        while outbox.datagrams:
            datagram, descriptor = outbox.datagrams[0]
            if not self._try(address, datagram, descriptor):
                self._retry_later(address, outbox)
                return
            if address not in self._outboxes:
                return
            outbox.datagrams.popleft()
            outbox.delay = RETRY_SECONDS
        del self._outboxes[address]
        if outbox.lost:
            self._send(address, encode({"v": VERSION, "event": "overflow", "lost": outbox.lost}))

    def _forget(self, address: Address) -> None:
        self._subscribers.pop(address, None)
        outbox = self._outboxes.pop(address, None)
        if outbox:
            if outbox.timer:
                outbox.timer.cancel()
            for _, descriptor in list(outbox.datagrams)[1:]:
                _close(descriptor)
        for waiter in [waiter for waiter in self._waiters if waiter.address == address]:
            if waiter.timer:
                waiter.timer.cancel()
            self._waiters.remove(waiter)


def _sealed(data: bytes) -> int:
    """A descriptor to read `data` from, which nobody can change any more."""
    descriptor = os.memfd_create("evbagent-reply", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
    return descriptor


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
