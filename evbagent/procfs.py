"""What /proc and /run say about other programs on the agent's interfaces. What cannot be read says nothing."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from re import match
from time import monotonic_ns
from typing import NamedTuple

ETH_P_ALL = 0x0003
SEARCH_BUDGET_NS = 10_000_000

# /proc/PID/comm holds 15 characters.
PROGRAMS: Mapping[str, str] = {
    "lldpd": "lldpd",
    "lldpad": "lldpad",
    "systemd-network": "systemd-networkd",
    "NetworkManager": "NetworkManager",
    "evbagent": "evbagent",
}
# Whose sockets belong to users of their own: said also where other users' processes cannot be looked into.
USERS: Mapping[str, str] = {"_lldpd": "lldpd", "lldpd": "lldpd", "systemd-network": "systemd-networkd"}
LLDPAD_SOCKET = "@/com/intel/lldpad"
_END = object()


class PacketBinding(NamedTuple):
    """A packet socket. `ifindex` 0: of all interfaces; `ethertype` ETH_P_ALL: of all protocols."""

    ethertype: int
    ifindex: int
    user: int
    inode: int


class Program(NamedTuple):
    """`pid` is None where only its name can be told."""

    name: str
    pid: int | None = None

    def __str__(self) -> str:
        return self.name if self.pid is None else f"{self.name} (pid {self.pid})"


class Proc:
    """Reads one machine's files, as the agent's network namespace has them."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._proc = root / "proc"
        self._net = self._proc / "thread-self" / "net"

    def packet_sockets(self) -> list[PacketBinding]:
        """Those of this network namespace, our own aside."""
        ours = set(self._sockets_of(self._proc / "self"))
        return [found for found in parse_packet_sockets(_text(self._net / "packet")) if found.inode not in ours]

    def received_packets(self) -> Mapping[str, int]:
        """By interface name."""
        return parse_received_packets(_text(self._net / "dev"))

    def user_name(self, user: int) -> str | None:
        """From the file alone: a directory service may take its time."""
        entries = (line.split(":") for line in _text(self._root / "etc/passwd").splitlines())
        return next((entry[0] for entry in entries if len(entry) > 2 and entry[2] == str(user)), None)

    def lldpad_is_here(self) -> bool:
        """Its control socket is an abstract address of this network namespace."""
        return LLDPAD_SOCKET in _text(self._net / "unix").split()

    def pid_file(self, name: str) -> int | None:
        """The process of /run/NAME.pid, if it still is that program."""
        number = match(r"\d+", _text(self._root / "run" / f"{name}.pid"))  # lldpad's goes on with zero octets
        return int(number[0]) if number and self.program(int(number[0])).name == name else None

    def processes(self) -> list[int]:
        try:
            return sorted(int(name) for name in os.listdir(self._proc) if name.isdecimal())
        except OSError:
            return []

    def sockets(self, pid: int) -> Iterator[int]:
        return self._sockets_of(self._proc / str(pid))

    def program(self, pid: int) -> Program:
        name = _text(self._proc / str(pid) / "comm").strip()
        words = _text(self._proc / str(pid) / "cmdline").split("\0")
        if any(Path(word).name == "evbagent" for word in words[:2]) or ("-m", "evbagent") in pairwise(words):
            name = "evbagent"
        return Program(PROGRAMS.get(name, name or "a program"), pid)

    def _sockets_of(self, process: Path) -> Iterator[int]:
        """Inodes of its sockets; none where we may not look."""
        try:
            with os.scandir(process / "fd") as descriptors:
                for descriptor in descriptors:
                    with suppress(OSError):
                        target = os.readlink(descriptor.path)
                        if target.startswith("socket:["):
                            yield int(target[len("socket:[") : -1])
        except OSError:
            return


class Owners:
    """Finds the programs that packet sockets belong to.

    A search goes through every process, and may take some looks on a machine that has many: each ends when its time is
    over, and the next goes on from there. Who is found, or is not, is remembered until the socket is gone.
    """

    def __init__(self, proc: Proc, clock_ns: Callable[[], int] = monotonic_ns) -> None:
        self._proc = proc
        self._clock_ns = clock_ns
        self._known: dict[int, Program | None] = {}
        self._wanted: set[int] = set()
        self._search: Iterator[None] | None = None

    def find(self, sockets: Collection[PacketBinding]) -> Mapping[int, Program | None]:
        """By inode, those that are known by now; None: it cannot be told."""
        inodes = {found.inode for found in sockets}
        self._known = {inode: program for inode, program in self._known.items() if inode in inodes}
        self._wanted &= inodes
        new = inodes - self._known.keys() - self._wanted
        if new:
            self._wanted |= new
            self._search = self._look_through()
        began = self._clock_ns()
        while self._search is not None and self._clock_ns() - began < SEARCH_BUDGET_NS:
            if next(self._search, _END) is _END:
                self._search = None
                self._guess([found for found in sockets if found.inode in self._wanted])
                self._wanted.clear()
        return self._known

    def _look_through(self) -> Iterator[None]:
        for pid in self._proc.processes():
            if not self._wanted:
                return
            found = self._wanted.intersection(self._proc.sockets(pid))
            if found:
                program = self._proc.program(pid)
                self._known |= dict.fromkeys(found, program)
                self._wanted -= found
            yield

    def _guess(self, left: Collection[PacketBinding]) -> None:
        """Of sockets whose process we may not look into: by the user, by what else is to be seen of lldpad."""
        for found in left:
            name = USERS.get(self._proc.user_name(found.user) or "")
            if name is None and found.ethertype != ETH_P_ALL and found.user == 0 and self._proc.lldpad_is_here():
                name = "lldpad"
            self._known[found.inode] = None if name is None else Program(name, self._proc.pid_file(name))


def parse_packet_sockets(text: str) -> list[PacketBinding]:
    """/proc/net/packet: sk, RefCnt, Type, Proto (hex), Iface, R, Rmem, User, Inode."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 9:
            with suppress(ValueError):
                found.append(PacketBinding(int(fields[3], 16), int(fields[4]), int(fields[7]), int(fields[8])))
    return found


def parse_received_packets(text: str) -> dict[str, int]:
    """/proc/net/dev: two lines of titles, then `name: bytes packets ...`."""
    found = {}
    for line in text.splitlines()[2:]:
        name, colon, counters = line.rpartition(":")
        fields = counters.split()
        if colon and len(fields) > 1 and fields[1].isdecimal():
            found[name.strip()] = int(fields[1])
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return ""
