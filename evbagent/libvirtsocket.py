"""The NETLINK_ROUTE socket that libvirt sends its requests to, and who may send any."""

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from errno import EADDRINUSE
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

CAP_NET_ADMIN = 12
RECEIVE_BUFFER = 4 << 20
MOST_OCTETS = 1 << 16
DATAGRAMS_PER_WAKE_UP = 64
# Port ids as libnl makes them from a process id: no other process of the pid namespace takes these. More would have
# ten digits, of which libvirt would not see the end of the number.
PORT_IDS_OF_A_PROCESS = 200
_STEP = 1 << 22

_SO_RCVBUFFORCE = 33
_CREDENTIALS = struct.Struct("=iII")

Receive = Callable[[bytes, int, bool], None]


class LibvirtSocket:
    """`receive` takes each datagram, the port id to answer to, and whether its sender may ask for anything.

    `failed` takes what went wrong, in words. Every socket belongs to the network namespace it was made in.
    """

    def __init__(self, receive: Receive, failed: Callable[[str], None]) -> None:
        self._receive = receive
        self._failed = failed
        self._socket: socket.socket | None = None
        self._loop: AbstractEventLoop | None = None
        self.port_id = 0

    def open(self, loop: "AbstractEventLoop") -> None:
        """Bind to a port id that nobody has, our process id if possible. Raises OSError."""
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            with suppress(PermissionError):
                opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
            self.port_id = _bind(opened)
        except BaseException:
            opened.close()
            raise
        self._socket, self._loop = opened, loop
        loop.add_reader(opened, self._readable)

    def send(self, port_id: int, message: bytes) -> OSError | None:
        """Returns why it could not be sent: nobody is there any more, or does not read."""
        assert self._socket is not None
        try:
            self._socket.sendto(message, (port_id, 0))
        except OSError as error:
            return error
        return None

    def close(self) -> None:
        if self._socket is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE_UP):
            if self._socket is None:
                return
            try:
                data, ancillary, _, sender = self._socket.recvmsg(MOST_OCTETS, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                return
            except OSError as error:  # ENOBUFS: more came in than there was room for
                self._failed(f"requests were lost: {error.strerror}")
                continue
            self._receive(data, sender[0], _may_ask(ancillary))


def has_net_admin(pid: int, uid: int, proc: Path = Path("/proc")) -> bool:
    """Whether the process has CAP_NET_ADMIN in effect.

    The kernel lets nobody send to a process who has not got it in the user namespace of the network namespace; this is
    for kernels and filters that do. Of a process that has ended, or is of another pid namespace, the user decides.
    """
    try:
        status = (proc / str(pid) / "status").read_text() if pid > 0 else ""
    except (OSError, UnicodeDecodeError):
        status = ""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            with suppress(ValueError):
                return bool(int(value, 16) >> CAP_NET_ADMIN & 1)
    return uid == 0


def _may_ask(ancillary: list[tuple[int, int, bytes]]) -> bool:
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(value) >= _CREDENTIALS.size:
            pid, uid, _ = _CREDENTIALS.unpack_from(value)
            return has_net_admin(pid, uid)
    return False


def _bind(opened: socket.socket) -> int:
    pid = os.getpid() % _STEP
    for number in range(PORT_IDS_OF_A_PROCESS):
        port_id = pid + number * _STEP
        try:
            opened.bind((port_id, 0))
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise
        else:
            return port_id
    raise OSError(EADDRINUSE, os.strerror(EADDRINUSE))
