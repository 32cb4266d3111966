"""A private stream of messages to one client of the control socket."""

import socket
from asyncio import get_running_loop
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.json import encode

from evbagent.messages import MAX_REQUEST_OCTETS, VERSION

QUEUED_EVENTS = 256


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

    def __init__(self, ended: Callable[["Stream"], None]) -> None:
        super().__init__(ended)
        self._lost = 0

    def send(self, message: Mapping[str, Any], last: bool = False) -> None:
        """Send, or queue for a client that is slow. Beyond the queue events are lost, and the client is told so."""
        # The report of a gap takes a place too, between what was before the gap and what is after it.
        if len(self._queue) + bool(self._lost) >= QUEUED_EVENTS and not last:
            self._lost += 1
            return
        self._report_loss()
        super().send(message, last)

    def _sent(self, octets: int) -> None:
        if not self._queue:
            self._report_loss()

    def _report_loss(self) -> None:
        if self._lost:
            self._queue.append(encode({"v": VERSION, "event": "overflow", "lost": self._lost}))
            self._lost = 0

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
