"""The control socket: one reply to each request, and a private stream for each client that watches or waits.

asyncio-dgram receives the requests. It sends nothing: asyncio keeps one queue for all peers of a datagram socket, and
the kernel one send buffer, so a few clients that do not read would stop the replies to everybody. Events go through
socket pairs instead. The client gets the other end with the reply; ours says at once when the client is gone.
"""

import json
import logging
import os
import socket
from array import array
from asyncio import CancelledError, Task, TimerHandle, create_task, get_running_loop
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
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

MAX_STREAMS = 1024
QUEUED_EVENTS = 256
UNSENT_REPLIES = 256
RETRY_SECONDS = 0.01
SEND_BUFFER = 8 << 20
SO_SNDBUFFORCE = 32

Address = str | bytes


class ControlError(Exception):
    """A request that cannot be answered; the text goes to the client."""


class Handler(Protocol):
    """Who knows the answers. Both raise ControlError for what there is not."""

    def show(self, what: str, glob: str | None) -> Any: ...
    def holds(self, interface: str, condition: str) -> bool: ...


class Stream:
    """Our end of the pair to one client. `ended` is called when the client is gone, or when all is said."""

    def __init__(self, ended: Callable[["Stream"], None]) -> None:
        self._socket, self.client_end = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self._ended = ended
        self._queue: deque[bytes] = deque()
        self._lost = 0
        self._last = False
        self._loop = get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    def send(self, message: Mapping[str, Any], last: bool = False) -> None:
        """Send, or queue for a client that is slow. Beyond the queue events are lost, and the client is told so."""
        self._last |= last
        if len(self._queue) >= QUEUED_EVENTS and not last:
            self._lost += 1
            return
        self._queue.append(encode({"v": VERSION, **message}))
        if len(self._queue) == 1:
            self._flush()

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()

    def _flush(self) -> None:
        while self._queue:
            try:
                self._socket.send(self._queue[0])
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._flush)
                return
            except OSError:
                self._ended(self)
                return
            self._queue.popleft()
            if self._lost and not self._queue:
                self._queue.append(encode({"v": VERSION, "event": "overflow", "lost": self._lost}))
                self._lost = 0
        self._loop.remove_writer(self._socket)
        if self._last:
            self._ended(self)

    def _readable(self) -> None:
        """Clients say nothing here: they close their end, or are closed by the kernel when they die."""
        try:
            said = self._socket.recv(MAX_REQUEST_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._ended(self)


class ControlServer:
    """Serves one socket. `publish` may be called at any time between `start` and `close`."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self.ignored_requests = 0
        self.lost_replies = 0
        self._path = path
        self._handler = handler
        self._socket: socket.socket | None = None
        self._receiving: Task[None] | None = None
        self._watching: dict[Stream, str | None] = {}
        self._waiting: dict[Stream, tuple[str, str, TimerHandle | None]] = {}
        self._unsent: deque[tuple[Address, bytes, int | None]] = deque()
        self._retry: TimerHandle | None = None

    async def start(self) -> None:
        """Listen. OSError or ValueError when the path cannot be had; a dead agent's socket there is replaced."""
        from asyncio_dgram import from_socket  # after the first frames are out: it takes 20 ms to import

        check_socket_path(self._path)
        with suppress(FileNotFoundError):
            self._path.unlink()  # the lock on the state directory says that nobody alive is listening there
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        with suppress(PermissionError):
            listener.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER)
        listener.bind(str(self._path))
        os.chmod(self._path, 0o666)
        self._socket = listener.dup()
        self._receiving = create_task(self._receive(await from_socket(listener)))

    def close(self) -> None:
        """Tell those who wait, hang up on those who watch, withdraw the socket."""
        if self._receiving:
            self._receiving.cancel()
        for stream in [*self._watching, *self._waiting]:
            stream.send({"event": "ending"}, last=True)
            self._end(stream)
        if self._retry:
            self._retry.cancel()
        for _, _, descriptor in self._unsent:
            _close(descriptor)
        self._unsent.clear()
        if self._socket:
            self._socket.close()
            self._socket = None
            with suppress(FileNotFoundError):
                self._path.unlink()

    def publish(self, event: Mapping[str, Any]) -> None:
        """Give an event to those who watch its interface, and look again at what others wait for."""
        interface = event.get("interface")
        for stream, glob in list(self._watching.items()):
            if glob is None or interface is None or fnmatchcase(interface, glob):
                stream.send(event)
        for stream, (its_interface, condition, _) in list(self._waiting.items()):
            if self._handler.holds(its_interface, condition):
                stream.send({"held": True}, last=True)

    async def _receive(self, listener: Any) -> None:
        try:
            while True:
                try:
                    data, address = await listener.recv()
                except CancelledError:
                    raise
                except OSError as error:
                    log.debug("control socket: %s", error)
                    continue
                if address:
                    self._take(data, address)
                else:
                    self.ignored_requests += 1  # it has no name, so it cannot be answered
        finally:
            listener.close()

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
                stream = self._stream(address, request_id)
                self._watching[stream] = request.get("interface")
            case "wait":
                self._wait(request, request_id, address)

    def _wait(self, request: dict[str, Any], request_id: Any, address: Address) -> None:
        held = self._handler.holds(request["interface"], request["for"])
        stream = self._stream(address, request_id)
        timer = None
        if request.get("timeout") is not None:
            timer = get_running_loop().call_later(request["timeout"], stream.send, {"held": False}, True)
        self._waiting[stream] = (request["interface"], request["for"], timer)
        if held:
            stream.send({"held": True}, last=True)

    def _stream(self, address: Address, request_id: Any) -> Stream:
        """A new stream, its other end sent to the client."""
        if len(self._watching) + len(self._waiting) >= MAX_STREAMS:
            raise ControlError(f"{MAX_STREAMS} clients are watching or waiting already")
        stream = Stream(self._end)
        descriptor = stream.client_end.detach()
        self._send(address, encode({"v": VERSION, "id": request_id, "ok": True, "fd": True}), descriptor)
        return stream

    def _end(self, stream: Stream) -> None:
        if stream not in self._watching and stream not in self._waiting:
            return
        self._watching.pop(stream, None)
        _, _, timer = self._waiting.pop(stream, ("", "", None))
        if timer:
            timer.cancel()
        stream.close()

    def _reply(self, address: Address, request_id: Any, data: Any) -> None:
        datagram = encode({"v": VERSION, "id": request_id, "ok": True, "data": data})
        if len(datagram) <= INLINE_OCTETS:
            self._send(address, datagram)
            return
        reply = encode({"v": VERSION, "id": request_id, "ok": True, "fd": True})
        self._send(address, reply, _sealed(encode(data)))

    def _reply_error(self, address: Address, request_id: Any, text: str) -> None:
        self._send(address, encode({"v": VERSION, "id": request_id, "ok": False, "error": text}))

    def _send(self, address: Address, datagram: bytes, descriptor: int | None = None) -> None:
        """Send a reply, soon if not now; a client that leaves many unread loses some."""
        if self._try(address, datagram, descriptor):
            return
        if len(self._unsent) >= UNSENT_REPLIES:
            _close(self._unsent.popleft()[2])
            self.lost_replies += 1
        self._unsent.append((address, datagram, descriptor))
        if self._retry is None:
            self._retry = get_running_loop().call_later(RETRY_SECONDS, self._send_unsent)

    def _send_unsent(self) -> None:
        self._retry = None
        unsent, self._unsent = self._unsent, deque()
        for reply in unsent:
            self._send(*reply)

    def _try(self, address: Address, datagram: bytes, descriptor: int | None) -> bool:
        """Whether the reply is dealt with: sent, or its reader is gone."""
        if self._socket is None:
            _close(descriptor)
            return True
        rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))]
        try:
            self._socket.sendmsg([datagram], rights, socket.MSG_DONTWAIT, address)
        except BlockingIOError:
            return False
        except OSError as error:
            log.debug("control client %r is gone: %s", address, error)
        _close(descriptor)
        return True


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
