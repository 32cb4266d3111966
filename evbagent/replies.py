"""Replies to clients of the control sockets: datagrams, some with a file descriptor.

asyncio keeps one queue for all peers of a datagram socket, and the kernel one send buffer, so a few clients that do not
read would stop the replies to everybody. They leave by a socket of their own, which is left to its readers, for a new
one, when its buffer is full.
"""

import errno
import logging
import os
import socket
from array import array
from asyncio import TimerHandle, get_running_loop
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

UNSENT_REPLIES = 256
UNSENT_REPLIES_EACH = 4
RETRY_SECONDS = 0.01
MAX_RETRY_SECONDS = 0.5

log = logging.getLogger(__name__)

Address = str | bytes


class Replies:
    """`lost` counts those that a client left unread for too long."""

    def __init__(self) -> None:
        self.lost = 0
        self._asked: Sequence[socket.socket] = ()
        self._sender: socket.socket | None = None
        self._unsent: deque[tuple[Address, bytes, int | None]] = deque()
        self._retry: TimerHandle | None = None
        self._retry_delay = RETRY_SECONDS

    def open(self, asked: Sequence[socket.socket]) -> None:
        """`asked`: the sockets that clients write to, open until `close` or until there are others."""
        self._asked = asked
        self._sender = self._sender or datagram_socket()

    def close(self) -> None:
        if self._retry:
            self._retry.cancel()
        for _, _, descriptor in self._unsent:
            _close(descriptor)
        self._unsent.clear()
        if self._sender:
            self._sender.close()
            self._sender = None

    def send(self, address: Address, datagram: bytes, descriptor: int | None = None) -> None:
        """Send a reply, soon if not now; a client that leaves many unread loses some, and nobody else does."""
        waiting = sum(reply[0] == address for reply in self._unsent)
        if not waiting and self._try(address, datagram, descriptor):
            return
        if waiting >= UNSENT_REPLIES_EACH or len(self._unsent) >= UNSENT_REPLIES:
            _close(descriptor)
            self.lost += 1
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
        rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))]
        if self._sender is None:
            return
        try:
            self._sender.sendmsg([datagram], rights, socket.MSG_DONTWAIT, address)
        except BlockingIOError:
            # This reader's queue is full; or ours is, of what others have not read, and then a new socket gets through.
            if fresh:
                raise
            self._sender.close()
            self._sender = datagram_socket()
            self._put(address, datagram, descriptor, fresh=True)
        except PermissionError:
            self._put_as_asked(address, datagram, rights)

    def _put_as_asked(self, address: Address, datagram: bytes, rights: Any) -> None:
        """A client that has connected takes datagrams from none but the socket that it has asked.

        Nothing but that socket's buffer bounds what it leaves unread, at the cost of others that have connected, and of
        nobody else.
        """
        *others, last = self._asked
        for asked in others:
            with suppress(PermissionError):
                asked.sendmsg([datagram], rights, socket.MSG_DONTWAIT, address)
                return
        last.sendmsg([datagram], rights, socket.MSG_DONTWAIT, address)


def datagram_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
