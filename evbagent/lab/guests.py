"""Guests: processes in network namespaces of their own that send each other numbered frames and count them.

A guest has a device as a network interface in its namespace (a container), or holds the character device of a macvtap
that stays on the host (a virtual machine).
"""

import fcntl
import os
import select
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from time import CLOCK_REALTIME, clock_gettime_ns
from typing import Any, NoReturn

from evbagent.lab.links import Namespace

ETHERTYPE = 0x88B5  # IEEE 802: local experimental
ANSWER_SECONDS = 10.0
INTERVAL_NS = 1_000_000
FRAME = 2048

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


class GuestError(Exception):
    """A guest cannot do what it was told; the text says why."""


class Guest:
    """The lab's end of a guest."""

    def __init__(self, name: str, mac: bytes) -> None:
        """To be made while the process has one thread: the guest is a fork of it."""
        self.name = name
        self.mac = mac
        self.namespace = Namespace()
        self._pipe, theirs = Pipe()
        with self.namespace.entered():
            if os.fork() == 0:
                self._pipe.close()
                _live(_Guest(theirs, mac))
        theirs.close()

    def use_interface(self, name: str) -> None:
        """Its device is this interface, in its namespace."""
        self._ask("use_interface", name)

    def use_tap(self, path: str) -> None:
        """Its device is this character device."""
        self._ask("use_tap", path)

    def leave_device(self) -> None:
        self._ask("leave_device")

    def send(self, to: "Guest", count: int) -> set[int]:
        """Send so many frames, one a millisecond; their numbers."""
        return {number for number, _ in self._ask("send", to.mac, count)}

    def start_stream(self, to: "Guest") -> None:
        """Send a frame a millisecond until `stop_stream`."""
        self._ask("start_stream", to.mac)

    def stop_stream(self) -> list[tuple[int, int]]:
        """Number and time (ns, CLOCK_REALTIME) of each frame of the stream."""
        return [(number, time) for number, time in self._ask("stop_stream")]

    def received(self) -> set[int]:
        """The numbers of the frames of other guests that have reached it."""
        return set(self._ask("received"))

    def last_received(self) -> int:
        """The greatest of them; 0 for none."""
        return int(self._ask("last_received"))

    def _ask(self, what: str, *arguments: object) -> Any:
        self._pipe.send((what, arguments))
        if not self._pipe.poll(ANSWER_SECONDS):
            raise GuestError(f"{self.name} does not answer")
        done, answer = self._pipe.recv()
        if not done:
            raise GuestError(f"{self.name}: {answer}")
        return answer


def frame(destination: bytes, source: bytes, number: int) -> bytes:
    """A guest's frame."""
    return (destination + source + struct.pack("!HQ", ETHERTYPE, number)).ljust(60, b"\0")


def frame_number(data: bytes) -> int | None:
    """The number in a guest's frame, None for any other frame."""
    if len(data) < 22 or int.from_bytes(data[12:14], "big") != ETHERTYPE:
        return None
    return int.from_bytes(data[14:22], "big")


@dataclass(slots=True)
class _Guest:
    """The guest's own side: one loop over what it is told, what arrives, and what is due."""

    pipe: Connection
    mac: bytes
    device: socket.socket | int | None = None
    number: int = 0
    numbers: set[int] = field(default_factory=set)
    last: int = 0
    stream: list[tuple[int, int]] = field(default_factory=list)
    destination: bytes | None = None
    due: int = 0

    def live(self) -> NoReturn:
        while True:
            timeout = None
            if self.destination is not None:
                timeout = max(0, self.due - clock_gettime_ns(CLOCK_REALTIME)) / 1e9
            waited = [self.pipe] if self.device is None else [self.pipe, self.device]
            readable, _, _ = select.select(waited, [], [], timeout)
            if self.device in readable:
                self.take_in()
            if self.pipe in readable:
                self.obey(*self.pipe.recv())
            if self.destination is not None and clock_gettime_ns(CLOCK_REALTIME) >= self.due:
                self.emit(self.destination)

    def obey(self, what: str, arguments: tuple[Any, ...]) -> None:
        commands: Mapping[str, Callable[..., Any]] = {
            "use_interface": self.use_interface,
            "use_tap": self.use_tap,
            "leave_device": self.leave_device,
            "send": self.send,
            "start_stream": self.start_stream,
            "stop_stream": self.stop_stream,
            "received": lambda: self.numbers,
            "last_received": lambda: self.last,
        }
        try:
            self.pipe.send((True, commands[what](*arguments)))
        except OSError as error:
            self.pipe.send((False, str(error)))

    def use_interface(self, name: str) -> None:
        device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
        device.bind((name, ETHERTYPE))
        self.device = device

    def use_tap(self, path: str) -> None:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        # Frames as they are: the default has a header for offloads before each.
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"", IFF_TAP | IFF_NO_PI))
        self.device = device

    def leave_device(self) -> None:
        if isinstance(self.device, socket.socket):
            self.device.close()
        elif self.device is not None:
            os.close(self.device)
        self.device = None

    def send(self, destination: bytes, count: int) -> list[tuple[int, int]]:
        self.start_stream(destination)
        for _ in range(count):
            pause = self.due - clock_gettime_ns(CLOCK_REALTIME)
            if pause > 0:
                select.select([], [], [], pause / 1e9)
            self.emit(destination)
        return self.stop_stream()

    def start_stream(self, destination: bytes) -> None:
        self.destination = destination
        self.due = clock_gettime_ns(CLOCK_REALTIME)

    def stop_stream(self) -> list[tuple[int, int]]:
        self.destination = None
        sent, self.stream = self.stream, []
        return sent

    def emit(self, destination: bytes) -> None:
        self.number += 1
        data = frame(destination, self.mac, self.number)
        self.stream.append((self.number, clock_gettime_ns(CLOCK_REALTIME)))
        self.due += INTERVAL_NS
        try:
            if isinstance(self.device, socket.socket):
                self.device.send(data)
            elif self.device is not None:
                os.write(self.device, data)
        except OSError:
            pass  # the interface is down or its queue full: the frame is lost, and will be missed

    def take_in(self) -> None:
        while True:
            try:
                if isinstance(self.device, socket.socket):
                    data = self.device.recv(FRAME)
                else:
                    data = os.read(self.device or -1, FRAME)
            except OSError:
                return
            number = frame_number(data)
            if number is not None and data[6:12] != self.mac:
                self.numbers.add(number)
                self.last = max(self.last, number)


def _live(guest: _Guest) -> NoReturn:
    """Runs in the guest's process; ends when the lab does."""
    try:
        guest.live()
    except EOFError:
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
    os._exit(1)
