"""How fast news from the wire reach those who wait for them: readers of the state file, and guests."""

import ctypes
import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from evbagent.statefile import read_state
from tests.bench.report import Row, Samples, alone
from tests.bench.wire import MILLISECOND
from tests.support.agent import Agent
from tests.support.lldpdus import BRIDGE_REFLECTS, evb_tlv, frame, lldpdu, tlv
from tests.support.namespaces import Namespace, PacketTap, wait_until
from tests.support.rig import BRIDGE_MAC, Cable, make_cable

CHANGES = 40
BETWEEN_CHANGES_S = 0.1
PATIENCE_S = 2.0

CHANGES_A_SECOND = 1000
LOAD_S = 5.0

REMODES = 20

# RRCAP and RRCTR gone, the rest as in BRIDGE_REFLECTS.
BRIDGE_WITHDRAWS = b"\0" + BRIDGE_REFLECTS[1:]


def event_to_state(directory: Path) -> list[Row]:
    """An LLDPDU changes the answer: until a reader woken by inotify has read and checked the new file."""
    samples: list[float] = []
    with _station(directory) as station, _Watch(station.agent.state_dir) as watch:
        for number in range(CHANGES):
            active = number % 2 == 1
            watch.drain()
            arrived = station.hear(active)
            while not station.says(active):
                watch.wait(PATIENCE_S)
            samples.append((time.time_ns() - arrived) / MILLISECOND)
            time.sleep(BETWEEN_CHANGES_S)
    note = "LLDPDU on the wire to the new file read and checked; no peer has such a file"
    return [alone("event-to-state", "ms", Samples(tuple(samples)), note)]


def state_rewrites(directory: Path) -> list[Row]:
    """1,000 LLDPDUs a second, each of which changes the state: how often the file is rewritten."""
    with _station(directory) as station, _Watch(station.agent.state_dir) as watch:
        watch.drain()
        rewrites = 0
        number = 0
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + LOAD_S:
            due = int((now - begun) * CHANGES_A_SECOND)
            while number < due:
                number += 1
                station.send(number % 2 == 1, name=f"change {number}")
            rewrites += watch.drain()
            time.sleep(0.001)
        took = time.monotonic() - begun

        def last_is_known() -> bool:
            uplink = station.agent.uplink(station.cable.uplink)
            return f'"change {number}"' in json.dumps(uplink)

        wait_until(last_is_known, "the last change is in the file")
    note = f"under {number / took:.0f} changes a second; no peer has such a file"
    return [Row("state-rewrites", "rewrites/s", rewrites / took, note=note)]


def remode(directory: Path) -> list[Row]:
    """An LLDPDU changes the answer: until the kernel says that the guest's device is in the other mode."""
    rows = []
    for name, kind, moved in (("remode", "macvtap", False), ("remode-moved", "macvlan", True)):
        with _station(directory) as station, Namespace("guest") as guest:
            station.agent.evbagent("attach", station.cable.uplink, "--name", "guest0", "--kind", kind)
            where = station.cable.station
            if moved:
                where.ip(f"link set guest0 netns {guest.pid}")
                where = guest
            where.ip("link set guest0 up")  # the kernel says nothing about a device that is down
            with _Modes(where, "guest0") as modes:
                samples = [_remode(station, modes, active=number % 2 == 1) for number in range(REMODES)]
        place = "in a guest's network namespace" if moved else "beside the agent"
        note = f"LLDPDU on the wire to the kernel's notice, {kind} {place}; no peer does this"
        rows.append(alone(name, "ms", Samples(tuple(samples)), note))
    return rows


def _remode(station: "_Station", modes: "_Modes", *, active: bool) -> float:
    arrived = station.hear(active)
    changed = modes.wait_for(_VEPA if active else _BRIDGE)
    time.sleep(BETWEEN_CHANGES_S)
    return (changed - arrived) / MILLISECOND


@dataclass(frozen=True, slots=True)
class _Station:
    """Our agent on a cable, at whose other end LLDPDUs are made by hand."""

    cable: Cable
    agent: Agent
    far: PacketTap
    near: PacketTap

    def send(self, active: bool, name: str = "switch") -> bytes:
        evb = evb_tlv(BRIDGE_REFLECTS if active else BRIDGE_WITHDRAWS)
        data = frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC, tlv(5, name.encode()), evb))
        self.far.send(data)
        return data

    def hear(self, active: bool) -> int:
        """Let the agent hear a switch that reflects, or does not; returns the kernel's time of its arrival."""
        self.near.drain()
        data = self.send(active)
        return self.near.wait_for(lambda frame: frame.data == data, "the frame just sent").timestamp_ns

    def says(self, active: bool) -> bool:
        document = read_state(self.agent.state_dir).document
        mode = document["uplinks"][0]["forwarding"]["mode"] if document else None
        return mode == ("vepa" if active else "veb")


@contextmanager
def _station(directory: Path) -> Iterator[_Station]:
    """The agent has heard the switch, and that it reflects."""
    with ExitStack() as stack:
        enter = stack.enter_context
        cable = make_cable(enter(Namespace("station")), enter(Namespace("switch")))
        agent = enter(Agent(cable.station, directory, [cable.uplink]))
        far = enter(PacketTap(cable.bridge, cable.port))
        station = _Station(cable, agent, far, enter(PacketTap(cable.station, cable.uplink)))
        station.hear(active=True)
        wait_until(lambda: station.says(active=True), "the agent has heard of the switch")
        time.sleep(1)
        yield station


class _Watch:
    """Tells when a new state file is in its place."""

    def __init__(self, directory: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._inotify >= 0 and libc.inotify_add_watch(self._inotify, os.fsencode(directory), _IN_MOVED_TO) >= 0

    def __enter__(self) -> "_Watch":
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._inotify)

    def wait(self, seconds: float) -> None:
        assert select.select([self._inotify], [], [], seconds)[0], f"no new state file within {seconds:g} s"
        self.drain()

    def drain(self) -> int:
        """How many files came since the last look."""
        try:
            data = os.read(self._inotify, 1 << 16)
        except BlockingIOError:
            return 0
        count = offset = 0
        while offset < len(data):
            offset += 16 + struct.unpack_from("I", data, offset + 12)[0]
            count += 1
        return count


class _Modes:
    """What the kernel says about the mode of a macvlan or macvtap, when it says it."""

    def __init__(self, namespace: Namespace, name: str) -> None:
        self._index = namespace.interface_index(name)
        self._socket = namespace.call(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, _RTMGRP_LINK))

    def __enter__(self) -> "_Modes":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def wait_for(self, mode: int) -> int:
        """CLOCK_REALTIME when the news that it is in this mode was here."""
        deadline = time.monotonic() + PATIENCE_S
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                break
            now = time.time_ns()
            if struct.unpack_from("i", data, _NLMSG_HEADER + 4)[0] == self._index and _mode(data) == mode:
                return now
        raise AssertionError(f"the guest's device was not re-moded within {PATIENCE_S:g} s")


def _mode(message: bytes) -> int | None:
    """The mode in an RTM_NEWLINK about a macvlan."""
    attributes = message[_NLMSG_HEADER + _IFINFOMSG :]
    for kind in (_IFLA_LINKINFO, _IFLA_INFO_DATA, _IFLA_MACVLAN_MODE):
        found = dict(_attributes(attributes)).get(kind)
        if found is None:
            return None
        attributes = found
    return int(struct.unpack("I", attributes)[0])


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, offset)
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += max(4, length + 3 & ~3)


_IN_MOVED_TO = 0x80
_RTMGRP_LINK = 1
_NLMSG_HEADER, _IFINFOMSG = 16, 16
_IFLA_LINKINFO, _IFLA_INFO_DATA, _IFLA_MACVLAN_MODE = 18, 2, 1
_VEPA, _BRIDGE = 2, 4
