"""The lab's network namespaces: each is held by a process, and gone with it."""

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from time import clock_gettime_ns, monotonic, sleep
from typing import IO, Any, Self, TypeVar

from pyroute2 import IPRoute

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
CLOCK_REALTIME = 0


class LabError(Exception):
    """The lab cannot be built here; the text says what is missing."""


class Namespace:
    """A network namespace, or (without `new`) the one that the lab's own process is in."""

    def __init__(self, name: str, new: bool = True) -> None:
        self.name = name
        self._holder: subprocess.Popen[bytes] | None = None
        if new:
            self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
            wait_for(lambda: _inode(self.path) not in (0, _inode("/proc/self/ns/net")), f"namespace {name}")

    @property
    def pid(self) -> int:
        return self._holder.pid if self._holder else os.getpid()

    @property
    def path(self) -> str:
        return f"/proc/{self.pid}/ns/net"

    def command(self, words: Sequence[str]) -> list[str]:
        """The command line that runs `words` in here."""
        return [*([] if self._holder is None else ["nsenter", f"--net={self.path}", "--"]), *words]

    def popen(self, words: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self.command(words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def run(self, words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)

    def call(self, function: Callable[[], T]) -> T:
        """What `function` returns when called in a thread inside; sockets that it opens stay inside."""
        if self._holder is None:
            return function()
        results: list[T] = []
        errors: list[BaseException] = []

        def enter_and_call() -> None:
            try:
                _enter(self.path)
                results.append(function())
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=enter_and_call)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def links(self, function: Callable[[IPRoute], T]) -> T:
        """What `function` returns, given netlink inside."""

        def with_netlink() -> T:
            with IPRoute() as route:
                return function(route)

        return self.call(with_netlink)

    def set_link(self, name: str, **settings: Any) -> None:
        """Change a link, as `ip link set` would."""
        self.links(lambda route: route.link("set", index=route.link_lookup(ifname=name)[0], **settings))

    def close(self) -> None:
        if self._holder:
            self._holder.kill()
            self._holder.wait()


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame on a tap: when (ns since the epoch, by the kernel), whether it was leaving, and its octets."""

    time: int
    outgoing: bool
    data: bytes


class Tap:
    """Sees and sends every frame of one interface."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        self.seen: list[Seen] = []
        self._socket = namespace.call(lambda: _tap(interface))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, frame: bytes) -> None:
        """An interface that is down or full loses the frame, as it would a guest's."""
        with suppress(OSError):
            self._socket.send(frame)

    def read(self) -> None:
        """Take in what has arrived."""
        while True:
            try:
                data, ancillary, _, address = self._socket.recvmsg(65536, 64)
            except BlockingIOError:
                return
            except OSError:
                return  # the interface went down
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2]) if ancillary else (0, clock_gettime_ns(0))
            self.seen.append(Seen(seconds * 10**9 + nanoseconds, address[2] == PACKET_OUTGOING, data))

    def close(self) -> None:
        self._socket.close()


def wait_for(condition: Callable[[], bool], what: str, timeout: float = 5.0, pause: float = 0.002) -> None:
    """Return when `condition` holds; LabError when it does not in time (seconds)."""
    deadline = monotonic() + timeout
    while not condition():
        if monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout:g} s")
        sleep(pause)


def _tap(interface: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    try:
        tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    except PermissionError:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    tap.bind((interface, ETH_P_ALL))
    return tap


def _enter(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
