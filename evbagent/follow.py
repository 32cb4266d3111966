"""Tables that follow the kernel: read whole once, then kept by its news, and read again when news were lost.

`netlink.LinkMonitor` does the same for interfaces alone, and reports each change; here many kinds of news come in one
order over one socket, and what counts is what all of them add up to.
"""

import logging
import socket
from collections.abc import Callable, Sequence
from errno import ENOBUFS
from typing import TYPE_CHECKING, Protocol

from evbagent import rtnl
from evbagent.rtnl import RequestSocket

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle

NETLINK_ADD_MEMBERSHIP = 1
RECEIVE_BUFFER = 2 << 20
DATAGRAMS_PER_WAKE_UP = 64
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class Table(Protocol):
    """Something that the kernel tells about in messages of some kinds."""

    @property
    def groups(self) -> tuple[int, ...]:
        """The multicast groups of rtnetlink in which its news come, beside that of interfaces."""

    def read(self, requests: RequestSocket) -> None:
        """Forget everything and ask for it anew. Raises OSError, and is then as it was."""

    def take(self, kind: int, data: bytes, offset: int) -> None:
        """One message of the kernel's; it may be none of this table's."""


class Follower:
    """Keeps tables as the kernel has them. `on_change` is called after each batch of news, whatever it was."""

    def __init__(
        self, tables: Sequence[Table], on_change: Callable[[], None], *, receive_buffer: int = RECEIVE_BUFFER
    ) -> None:
        self.overflows = 0
        self._receive_buffer = receive_buffer
        self._tables = tables
        self._on_change = on_change
        self._socket: socket.socket | None = None
        self._loop: AbstractEventLoop | None = None
        self._lost = False
        self._retry: TimerHandle | None = None

    def start(self, loop: "AbstractEventLoop") -> None:
        """Subscribes, then reads: the tables are complete afterwards, and followed from then on."""
        self._loop = loop
        self._socket = rtnl.subscribe(self._receive_buffer)
        try:
            for group in sorted({group for table in self._tables for group in table.groups}):
                self._socket.setsockopt(rtnl.SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
            self._read()
        except OSError:
            self.close()
            raise
        loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._socket is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        """Takes a bounded number of datagrams, so that a burst of news does not keep frames waiting."""
        if self._take_datagrams() and self._lost:
            # What was still queued is older than a new reading, and would undo what that says: first take it all.
            self._recover()
        else:
            self._on_change()

    def _take_datagrams(self) -> bool:
        """Whether all that there were have been taken."""
        assert self._socket is not None
        for _ in range(DATAGRAMS_PER_WAKE_UP):
            try:
                data, (sender, _groups) = self._socket.recvfrom(rtnl.DATAGRAM)
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise
                self.overflows += 1
                self._lost = True
                continue
            if sender == 0:
                for kind, _, offset in rtnl.messages(data):
                    for table in self._tables:
                        table.take(kind, data, offset)
        if self._lost and self._loop is not None:  # there may be nothing left to wake us
            self._loop.call_soon(self._look_again)
        return False

    def _look_again(self) -> None:
        if self._socket is not None:
            self._readable()

    def _recover(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        try:
            self._read()
        except OSError as error:
            log.warning("cannot read the host's network settings after an overflow, will try again: %s", error)
            if self._loop is not None:
                self._retry = self._loop.call_later(RETRY_SECONDS, self._recover)
            return
        self._lost = False
        self._on_change()

    def _read(self) -> None:
        requests = RequestSocket()
        try:
            for table in self._tables:
                table.read(requests)
        finally:
            requests.close()
