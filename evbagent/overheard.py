"""LLDPDUs that leave on an interface, whoever sends them: what the neighbor hears beside this agent."""

import socket
import struct
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from threading import Thread

from evbagent.link import bind
from protocols.errors import DecodeError
from protocols.frame import ETHERTYPE_LLDP, HEADER, Scope
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.tlvs import Lldpdu, Msap, OrganizationalTlv, SystemName, printable
from protocols.stack import EDITIONS

SO_ATTACH_FILTER = 26
MAXIMUM_FRAME = 65535
MOST_FRAMES = 1000
MOST_DIFFERENT = 32
EVB_TLVS = frozenset((edition.oui, edition.subtype) for edition in EDITIONS.values())

# Classic BPF: code, jump if true, jump if false, operand. Accepts untagged LLDP frames that are leaving.
LOAD_WORD, LOAD_HALF, JUMP_EQUAL, RETURN = 0x20, 0x28, 0x15, 0x06
SKF_AD_PKTTYPE, SKF_AD_VLAN_TAG_PRESENT = 0xFFFFF000 + 4, 0xFFFFF000 + 48
PACKET_OUTGOING = 4
FILTER = (
    (LOAD_WORD, 0, 0, SKF_AD_PKTTYPE),
    (JUMP_EQUAL, 0, 5, PACKET_OUTGOING),
    (LOAD_HALF, 0, 0, 12),
    (JUMP_EQUAL, 0, 3, ETHERTYPE_LLDP),
    (LOAD_WORD, 0, 0, SKF_AD_VLAN_TAG_PRESENT),
    (JUMP_EQUAL, 0, 1, 0),
    (RETURN, 0, 0, 0xFFFFFFFF),
    (RETURN, 0, 0, 0),
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What one sender says in one scope. `chassis`, `port` and `system` are printable; `evb`: it speaks EVB."""

    source: bytes
    scope: Scope
    msap: Msap
    chassis: str
    port: str
    system: str = ""
    evb: bool = False


class Tap:
    """Collects, in the kernel, the LLDP frames that leave on an interface.

    While it is open every frame that leaves costs the kernel a little more, so it is for a minute now and then. It
    does not see frames of its own process any differently from others'. OSError when it cannot be had.
    """

    def __init__(self, ifindex: int) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            self._socket.setblocking(False)
            code = array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in FILTER))
            program = struct.pack("HP", len(FILTER), code.buffer_info()[0])
            self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
            bind(self._socket, ifindex)
        except OSError:
            self._socket.close()
            raise

    def frames(self) -> list[bytes]:
        """Those that have left since it was opened, or last asked."""
        found: list[bytes] = []
        while len(found) < MOST_FRAMES:
            try:
                found.append(self._socket.recv(MAXIMUM_FRAME))
            except OSError:  # no more, or the interface went down
                break
        return found

    def close(self) -> None:
        """In a thread: the kernel takes some 10 ms, in which frames and timers would wait."""
        Thread(target=self._socket.close, name="close-tap", daemon=True).start()


def announcements(frames: Iterable[bytes]) -> Counter[Announcement]:
    """Who says what, how many times. Goodbyes, and what nobody could read, say nothing.

    A guest may send LLDPDUs as fast as it likes, and timers wait meanwhile: of many different ones some are read.
    """
    found: Counter[Announcement] = Counter()
    for frame, times in islice(Counter(frames).items(), MOST_DIFFERENT):
        scope = Scope.of(frame[:6])
        try:
            pdu = decode_lldpdu(frame[HEADER:]).pdu
        except DecodeError:
            continue
        if scope is not None and pdu.ttl:
            found[_announcement(frame[6:12], scope, pdu)] += times
    return found


def _announcement(source: bytes, scope: Scope, pdu: Lldpdu) -> Announcement:
    names = (tlv.text for tlv in pdu.optional if isinstance(tlv, SystemName))
    evb = any(isinstance(tlv, OrganizationalTlv) and (tlv.oui, tlv.subtype) in EVB_TLVS for tlv in pdu.optional)
    chassis, port = printable(pdu.chassis_id.text), printable(pdu.port_id.text)
    return Announcement(source, scope, pdu.msap, chassis, port, printable(next(names, "")), evb)
