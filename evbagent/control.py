"""The control socket: one reply to each request, and a private stream for each client that watches, waits or changes.

asyncio-dgram receives the requests. It sends nothing: asyncio keeps one queue for all peers of a datagram socket, and
the kernel one send buffer, so a few clients that do not read would stop the replies to everybody. Events go through
socket pairs instead. The client gets the other end with the reply; ours says at once when the client is gone. Replies
leave by a socket of their own, which is left to its readers, for a new one, when its buffer is full.
"""

import errno
import logging
import os
import resource
import socket
import stat
from array import array
from asyncio import CancelledError, Task, TimerHandle, create_task, get_running_loop
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, fcntl
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from msgspec import Raw
from msgspec.json import encode

from evbagent.exchange import ControlError as ControlError
from evbagent.exchange import Exchange, VsiExchange, VsiSession, WithdrawalExchange, decode_strictly
from evbagent.messages import (
    INLINE_OCTETS,
    MAX_REQUEST_OCTETS,
    VERSION,
    BadRequest,
    check_id,
    check_request,
    check_socket_path,
)
from evbagent.stream import Pair, Stream

log = logging.getLogger(__name__)

MAX_STREAMS = 1024
UNSENT_REPLIES = 256
UNSENT_REPLIES_EACH = 4
RETRY_SECONDS = 0.01
MAX_RETRY_SECONDS = 0.5
SEND_BUFFER = 8 << 20
SO_SNDBUFFORCE = 32

Address = str | bytes


class Handler(Protocol):
    """Who knows the answers. All raise ControlError for what there is not."""

    def show(self, what: str, glob: str | None) -> Any: ...
    def holds(self, interface: str, condition: str) -> bool: ...

    def open_vsi(self, interface: str, answer: Callable[[list[dict[str, Any]]], None]) -> VsiSession:
        """A session of requests about the interface's VSIs, which go to `answer`, in any order."""

    def withdraw(self, interface: str | None, instance: str | None) -> list[dict[str, Any]]:
        """As a switch, deassociate the VSIs meant (None: all), and say which those were."""


class ControlServer:
    """Serves one socket. `publish` may be called at any time between `start` and `close`."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self.ignored_requests = 0
        self.lost_replies = 0
        self._path = path
        self._handler = handler
        self._inode: tuple[int, int] | None = None
        self._socket: socket.socket | None = None
        self._sender: socket.socket | None = None
        self._receiving: Task[None] | None = None
        self._watching: dict[Stream, str | None] = {}
        self._waiting: dict[Stream, tuple[str, str, TimerHandle | None]] = {}
        self._exchanges: set[Exchange] = set()
        self._unsent: deque[tuple[Address, bytes, int | None]] = deque()
        self._retry: TimerHandle | None = None
        self._retry_delay = RETRY_SECONDS

    async def start(self) -> None:
        """Listen. OSError when the path is too long or somebody else's; a dead agent's socket there is replaced."""
        from asyncio_dgram import from_socket  # after the first frames are out: it takes 20 ms to import

        check_socket_path(self._path)
        _make_way(self._path)
        listener = _datagram_socket()
        try:
            with suppress(PermissionError):
                listener.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER)
            listener.bind(str(self._path))
            os.chmod(self._path, 0o666)
            requests = await from_socket(listener)
        except BaseException:
            listener.close()
            raise
        self._inode = _inode(self._path)
        self._socket = listener.dup()
        self._sender = _datagram_socket()
        self._receiving = create_task(self._receive(requests))

    def close(self) -> None:
        """Tell those who wait, hang up on those who watch, withdraw the socket."""
        if self._receiving:
            self._receiving.cancel()
        for stream in [*self._watching, *self._waiting, *self._exchanges]:
            stream.send({"event": "ending"}, last=True)
            self._end(stream)
        if self._retry:
            self._retry.cancel()
        for _, _, descriptor in self._unsent:
            _close(descriptor)
        self._unsent.clear()
        if self._socket and self._sender:
            self._socket.close()
            self._sender.close()
            self._socket = self._sender = None
            if self._inode == _inode(self._path):
                self._path.unlink(missing_ok=True)

    @property
    def is_watched(self) -> bool:
        """Whether an event would reach anybody: it costs something to put one into words."""
        return bool(self._watching or self._waiting)

    def publish(self, event: Mapping[str, Any]) -> None:
        """Give an event to those who watch its interface, and look again at what others wait for."""
        interface = event.get("interface")
        for stream, glob in list(self._watching.items()):
            if glob is None or interface is None or fnmatchcase(interface, glob):
                stream.send(event)
        answers: dict[tuple[str, str], Mapping[str, Any] | None] = {}
        for stream, (its_interface, condition, _) in list(self._waiting.items()):
            question = its_interface, condition
            if question not in answers:
                answers[question] = self._holds(*question)
            if answer := answers[question]:
                stream.send(answer, last=True)

    def _holds(self, interface: str, condition: str) -> Mapping[str, Any] | None:
        """What to tell those who wait for it; None: nothing yet. Whoever publishes has no part in what fails here."""
        try:
            return {"held": True} if self._handler.holds(interface, condition) else None
        except ControlError as error:
            return {"error": str(error)}
        except Exception:
            log.exception("control socket: cannot tell whether %s has %r", interface, condition)
            return {"error": "the agent failed to answer; its log says why"}

    async def _receive(self, listener: Any) -> None:
        from asyncio_dgram import TransportClosed

        try:
            while True:
                try:
                    data, address = await listener.recv()
                except CancelledError:
                    raise
                except OSError as error:
                    log.debug("control socket: %s", error)
                    continue
                except TransportClosed:
                    log.error("control socket: closed by an error; the agent goes on without it")
                    return
                # Who has no name cannot be answered. Our own name would have us answer ourselves, and again.
                if address and os.fspath(address) != str(self._path):
                    self._take(data, address)
                else:
                    self.ignored_requests += 1
        finally:
            listener.close()

    def _take(self, data: bytes, address: Address) -> None:
        request_id: int | str | None = None
        try:
            document = decode_strictly(data, MAX_REQUEST_OCTETS)
            if isinstance(document, dict) and ("ok" in document or "event" in document):
                self.ignored_requests += 1  # the answer of another such server: to answer it would never end
                return
            request_id = check_id(document)
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
            case "vsi":
                self._check_room()
                open_session = partial(self._handler.open_vsi, request["interface"])
                self._exchange(VsiExchange(open_session, self._end), address, request_id)
            case "switch-deassociate":
                self._check_room()
                withdraw = partial(self._handler.withdraw, request.get("interface"), request.get("instance"))
                self._exchange(WithdrawalExchange(withdraw, self._end), address, request_id)

    def _wait(self, request: dict[str, Any], request_id: Any, address: Address) -> None:
        held = self._handler.holds(request["interface"], request["for"])
        stream = self._stream(address, request_id)
        timer = None
        if request.get("timeout") is not None:
            timer = get_running_loop().call_later(request["timeout"], stream.send, {"held": False}, True)
        self._waiting[stream] = (request["interface"], request["for"], timer)
        if held:
            stream.send({"held": True}, last=True)

    def _exchange(self, exchange: Exchange, address: Address, request_id: Any) -> None:
        self._exchanges.add(exchange)
        self._hand_over(exchange, address, request_id)

    def _stream(self, address: Address, request_id: Any) -> Stream:
        """A new stream, its other end sent to the client."""
        self._check_room()
        stream = Stream(self._end)
        self._hand_over(stream, address, request_id)
        return stream

    def _check_room(self) -> None:
        # Each takes a file descriptor, and the agent's other work needs some too.
        limit = min(MAX_STREAMS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        if len(self._watching) + len(self._waiting) + len(self._exchanges) >= limit:
            raise ControlError(f"{limit} clients are watching or waiting already")

    def _hand_over(self, pair: Pair, address: Address, request_id: Any) -> None:
        descriptor = pair.client_end.detach()
        self._send(address, encode({"v": VERSION, "id": request_id, "ok": True, "fd": True}), descriptor)

    def _end(self, pair: Pair) -> None:
        match pair:
            case Stream() if pair in self._watching:
                del self._watching[pair]
            case Stream() if pair in self._waiting:
                _, _, timer = self._waiting.pop(pair)
                if timer:
                    timer.cancel()
            case Exchange() if pair in self._exchanges:
                self._exchanges.remove(pair)
            case _:
                return
        pair.close()

    def _reply(self, address: Address, request_id: Any, data: Any) -> None:
        body = encode(data)
        head = {"v": VERSION, "id": request_id, "ok": True}
        if len(body) <= INLINE_OCTETS:
            self._send(address, encode({**head, "data": Raw(body)}))
        else:
            self._send(address, encode({**head, "fd": True}), _sealed(body))

    def _reply_error(self, address: Address, request_id: Any, text: str) -> None:
        self._send(address, encode({"v": VERSION, "id": request_id, "ok": False, "error": text}))

    def _send(self, address: Address, datagram: bytes, descriptor: int | None = None) -> None:
        """Send a reply, soon if not now; a client that leaves many unread loses some, and nobody else does."""
        waiting = sum(reply[0] == address for reply in self._unsent)
        if not waiting and self._try(address, datagram, descriptor):
            return
        if waiting >= UNSENT_REPLIES_EACH or len(self._unsent) >= UNSENT_REPLIES:
            _close(descriptor)
            self.lost_replies += 1
            return
        self._unsent.append((address, datagram, descriptor))
        if self._retry is None:
            self._retry_delay = RETRY_SECONDS
            self._retry = get_running_loop().call_later(self._retry_delay, self._send_unsent)

    def _send_unsent(self) -> None:
        """Try again, ever more seldom while nobody reads; in order for each client."""
        unsent, self._unsent = self._unsent, deque()
        full: set[Address] = set()
        for reply in unsent:
            if reply[0] in full or not self._try(*reply):
                full.add(reply[0])
                self._unsent.append(reply)
        self._retry = None
        if self._unsent:
            progress = len(self._unsent) < len(unsent)
            self._retry_delay = RETRY_SECONDS if progress else min(2 * self._retry_delay, MAX_RETRY_SECONDS)
            self._retry = get_running_loop().call_later(self._retry_delay, self._send_unsent)

    def _try(self, address: Address, datagram: bytes, descriptor: int | None) -> bool:
        """Whether the reply is dealt with: sent, or its reader is gone."""
        try:
            self._put(address, datagram, descriptor)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS):
                return False
            log.debug("control client %r is gone: %s", address, error)
        _close(descriptor)
        return True

    def _put(self, address: Address, datagram: bytes, descriptor: int | None, fresh: bool = False) -> None:
        if self._socket is None or self._sender is None:
            return
        rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))]
        try:
            self._sender.sendmsg([datagram], rights, socket.MSG_DONTWAIT, address)
        except BlockingIOError:
            # This reader's queue is full; or ours is, of what others have not read, and then a new socket gets through.
            if fresh:
                raise
            self._sender.close()
            self._sender = _datagram_socket()
            self._put(address, datagram, descriptor, fresh=True)
        except PermissionError:
            # A client that has connected takes datagrams from none but the listening socket. Nothing but that socket's
            # buffer bounds what it leaves unread, at the cost of others that have connected, and of nobody else.
            self._socket.sendmsg([datagram], rights, socket.MSG_DONTWAIT, address)


def _datagram_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def _make_way(path: Path) -> None:
    """Remove a dead agent's socket. OSError when what is there is alive, or no socket."""
    with suppress(FileNotFoundError), _datagram_socket() as probe:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(f"{path} is in the way: it is not a socket")
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise OSError(f"another agent answers at {path}")


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _sealed(data: bytes) -> int:
    """A descriptor to read `data` from, which nobody can change any more."""
    descriptor = os.memfd_create("evbagent-reply", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
        file.flush()
        file.seek(0)  # the offset goes along
    fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
    return descriptor


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
