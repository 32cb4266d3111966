"""Links that come up at a known moment, and what the kernel saw on them."""

import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fcntl import ioctl

from tests.support.lldpdus import evb_octets
from tests.support.namespaces import ETH_P_ALL, SO_TIMESTAMPNS, CapturedFrame, Namespace, PacketTap

ETHERTYPE_LLDP = 0x88CC
SECOND = 1_000_000_000
MILLISECOND = 1_000_000

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


class WideTap(PacketTap):
    """Sees all links of a namespace, in both directions."""

    def __init__(self, namespace: Namespace) -> None:
        self.interface = f"all links of {namespace.name}"
        self.socket = namespace.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def lldpdus_until(self, end_ns: int) -> Iterable[CapturedFrame]:
        """LLDPDUs as they come, until this CLOCK_REALTIME."""
        while (left := end_ns - time.time_ns()) > 0:
            frame = self.receive(left / SECOND)
            if frame is not None and frame.ethertype == ETHERTYPE_LLDP:
                yield frame


class LinkSwitch:
    """Puts one link up and down without starting a program."""

    def __init__(self, namespace: Namespace, link: str) -> None:
        self._socket = namespace.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        self._name = link.encode()

    def __enter__(self) -> "LinkSwitch":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def set(self, up: bool) -> int:
        """Returns CLOCK_REALTIME just before."""
        flags = struct.unpack("16sH14x", ioctl(self._socket, _SIOCGIFFLAGS, struct.pack("16s16x", self._name)))[1]
        wanted = struct.pack("16sH14x", self._name, flags | _IFF_UP if up else flags & ~_IFF_UP)
        before = time.time_ns()
        ioctl(self._socket, _SIOCSIFFLAGS, wanted)
        return before


@dataclass(slots=True)
class Negotiation:
    """Reads off the wire when reflective relay is agreed: the bridge grants it to a station that it has heard, and the
    station says that it is on after it has heard so. The same rule for everybody, whatever they remember of before.
    """

    station: bytes
    bridge: bytes
    asked: bool = False
    granted: bool = False

    def agreed_by(self, frame: CapturedFrame) -> bool:
        """Whether this LLDPDU is the one that completes it."""
        octets = evb_octets(frame.payload)
        if octets is None:
            return False
        if frame.source == self.bridge:
            self.granted = self.asked and octets.relay_control and octets.relay_capable
        elif frame.source == self.station:
            self.asked = self.asked or octets.relay_request
            return self.granted and octets.relay_status == 1
        return False


def many_links(near: Namespace, far: Namespace, count: int) -> list[str]:
    """`count` cables, up; the names at the near end, `up0`, `up1`, ...; at the far end they are `sw0`, `sw1`, ..."""
    names = [f"up{number}" for number in range(count)]
    pairs = [f"link add name {name} type veth peer name sw{name[2:]} netns {far.pid}" for name in names]
    _batch(near, [*pairs, *(f"link set {name} up" for name in names)])
    _batch(far, [f"link set sw{name[2:]} up" for name in names])
    return names


def _batch(namespace: Namespace, lines: Sequence[str]) -> None:
    namespace.run("ip -batch -", input="\n".join(lines) + "\n", timeout=60)
