"""A private stream of messages to one client of the control socket."""

import socket
from asyncio import get_running_loop
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.json import encode

from evbagent.messages import MAX_REQUEST_OCTETS, VERSION

QUEUED_EVENTS = 256
QUEUED_OCTETS = 1 << 18
MOST_QUEUED_OCTETS = 16 << 20
"""Of all streams together."""
MOST_EVENT_OCTETS = 1 << 17
"""The kernel takes no message that does not fit into a socket's buffer."""


class Backlog:
    """What all streams together have not sent yet, in octets; how many events were lost on them, or given to none."""

    __slots__ = ("lost", "octets", "skipped")

    def __init__(self) -> None:
        self.octets = 0
        self.lost = 0
        self.skipped = 0


class Pair:
    """Our end of a pair of sockets, the other for a client, and what is still to be sent.

    `ended` is called when the client is gone, or when all is said.
    """

    def __init__(self, ended: Callable[[Any], None]) -> None:
        self._socket, self.client_end = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self._ended = ended
        self._queue: deque[bytes] = deque()
        self._last = False
        self._loop = get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    def send(self, message: Mapping[str, Any], last: bool = False) -> None:
        """Send, or queue for a client that is slow; after the last message the pair ends."""
        self._last |= last
        self._put(encode({"v": VERSION, **message}))

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()

    def _put(self, message: bytes) -> None:
        self._queue.append(message)
        if len(self._queue) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._queue:
            try:
                self._socket.send(self._queue[0])
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._flush)
                return
            except OSError:
                self._refused()
                return
            self._sent(len(self._queue.popleft()))
        self._loop.remove_writer(self._socket)
        if self._last:
            self._ended(self)

    def _sent(self, octets: int) -> None:
        """A message of so many has left the queue."""

    def _refused(self) -> None:
        """The client takes nothing any more."""
        self._ended(self)

    def _readable(self) -> None:
        """The client says something, or is gone."""
        raise NotImplementedError


class Stream(Pair):
    """Events for a client, or the one answer that it waits for. It says nothing itself."""

    def __init__(self, ended: Callable[["Stream"], None], backlog: Backlog | None = None) -> None:
        super().__init__(ended)
        self._backlog = backlog or Backlog()
        self._octets = 0
        self._lost = 0
        self._skipped = self._backlog.skipped

    def close(self) -> None:
        super().close()
        self._count(-self._octets)

    def send(self, message: Mapping[str, Any], last: bool = False) -> None:
        """Send, or queue for a client that is slow; after the last message the stream ends."""
        self._last |= last
        self.tell(encode({"v": VERSION, **message}))

    def tell(self, message: bytes) -> None:
        """Send, or queue. Beyond the queue events are lost, and the client is told so; the last message never is."""
        self._note_skipped()
        if not self._last and not self._has_room(len(message)):
            self._lost += 1
            self._backlog.lost += 1
            if self._queue:
                return  # told when there is room
            message = self._loss()
        elif self._lost:
            self._put(self._loss())
        self._put(message)

    def tell_skipped(self) -> None:
        """That there were events which nobody was given, if nothing has said so yet."""
        self._note_skipped()
        if self._lost and not self._queue:
            self._put(self._loss())

    def _note_skipped(self) -> None:
        self._lost += self._backlog.skipped - self._skipped
        self._skipped = self._backlog.skipped

    def _has_room(self, octets: int) -> bool:
        if octets > MOST_EVENT_OCTETS:
            return False
        if not self._queue:
            return True
        # The report of a gap takes a place too, between what was before the gap and what is after it.
        return (
            len(self._queue) + bool(self._lost) < QUEUED_EVENTS
            and self._octets + octets <= QUEUED_OCTETS
            and self._backlog.octets + octets <= MOST_QUEUED_OCTETS
        )

    def _put(self, message: bytes) -> None:
        self._count(len(message))
        super()._put(message)

    def _sent(self, octets: int) -> None:
        self._count(-octets)
        if not self._queue and self._lost:
            report = self._loss()
            self._count(len(report))
            self._queue.append(report)

    def _loss(self) -> bytes:
        """What the client is told of what it has lost."""
        lost, self._lost = self._lost, 0
        return encode({"v": VERSION, "event": "overflow", "lost": lost})

    def _count(self, octets: int) -> None:
        self._octets += octets
        self._backlog.octets += octets

    def _readable(self) -> None:
        """Clients say nothing here: they close their end, or are closed by the kernel when they die."""
        if _has_left(self._socket):
            self._ended(self)


class LongAnswer:
    """Octets for a client to read until their end. `ended` is called when it has let go of it.

    As long as it has not it is known, unlike a file whose descriptor was given away.
    """

    def __init__(self, data: bytes, ended: Callable[["LongAnswer"], None]) -> None:
        self.octets = len(data)
        self._socket, self.client_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._ended = ended
        self._rest = memoryview(data)
        self._loop = get_running_loop()
        self._loop.add_reader(self._socket, self._readable)
        self._flush()

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()

    def _flush(self) -> None:
        try:
            while self._rest:
                self._rest = self._rest[self._socket.send(self._rest) :]
            self._socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self._loop.add_writer(self._socket, self._flush)
        except OSError:
            self._ended(self)
        else:
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        """Clients say nothing here."""
        if _has_left(self._socket):
            self._ended(self)


def _has_left(client: socket.socket) -> bool:
    try:
        return not client.recv(MAX_REQUEST_OCTETS)
    except BlockingIOError:
        return False
    except OSError:
        return True
