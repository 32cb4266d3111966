"""LLDPDUs as octets, written and read without the project's own codec."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NEAREST_BRIDGE = bytes.fromhex("0180c200000e")
NEAREST_NON_TPMR_BRIDGE = bytes.fromhex("0180c2000003")
NEAREST_CUSTOMER_BRIDGE = bytes.fromhex("0180c2000000")
ETHERTYPE = bytes.fromhex("88cc")
RATIFIED = bytes.fromhex("0080c20d")
DRAFT = bytes.fromhex("001b3f00")

BRIDGE_REFLECTS = bytes.fromhex("03056e5414")  # RRCAP RRCTR; the station's RRREQ RRSTAT 1; R 3 RTE 14, bridge, 20, 20
STATION_ASKS = bytes.fromhex("00076e9414")  # RRREQ RRSTAT 3; R 3 RTE 14, station, 20, 20


def tlv(kind: int, value: bytes) -> bytes:
    return (kind << 9 | len(value)).to_bytes(2, "big") + value


def lldpdu(mac: bytes, *more: bytes, ttl: int = 120, port: bytes | None = None, end: bool = True) -> bytes:
    """Chassis ID and Port ID by MAC address, a TTL, then `more` TLVs."""
    head = tlv(1, b"\4" + mac) + tlv(2, b"\3" + (mac if port is None else port)) + tlv(3, ttl.to_bytes(2, "big"))
    return head + b"".join(more) + (tlv(0, b"") if end else b"")


def evb_tlv(body: bytes, kind: bytes = RATIFIED) -> bytes:
    return tlv(127, kind + body)


def frame(mac: bytes, payload: bytes, destination: bytes = NEAREST_CUSTOMER_BRIDGE) -> bytes:
    return (destination + mac + ETHERTYPE + payload).ljust(60, b"\0")


def walk(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each TLV before the End TLV."""
    offset = 0
    while offset + 2 <= len(payload) and (header := int.from_bytes(payload[offset : offset + 2], "big")):
        yield header >> 9, payload[offset + 2 : offset + 2 + (header & 0x1FF)]
        offset += 2 + (header & 0x1FF)


def evb(payload: bytes, kind: bytes = RATIFIED) -> bytes:
    """What follows OUI and subtype in the EVB TLV; empty when there is none."""
    return next((value[4:] for type_, value in walk(payload) if type_ == 127 and value[:4] == kind), b"")


def time_to_live(payload: bytes) -> int | None:
    return next((int.from_bytes(value, "big") for type_, value in walk(payload) if type_ == 3), None)


@dataclass(frozen=True, slots=True)
class EvbOctets:
    """The ratified EVB TLV's five octets, field by field (IEEE 802.1Q D.2.12)."""

    bridge_status: int
    station_status: int
    retries: int
    rte: int
    mode: int
    rwd_remote: bool
    rwd: int
    rka_remote: bool
    rka: int

    @property
    def relay_control(self) -> bool:
        return bool(self.bridge_status & 1)

    @property
    def relay_capable(self) -> bool:
        return bool(self.bridge_status & 2)

    @property
    def relay_request(self) -> bool:
        return bool(self.station_status & 4)

    @property
    def relay_status(self) -> int:
        return self.station_status & 3


def evb_octets(payload: bytes) -> EvbOctets | None:
    """The ratified EVB TLV of an LLDPDU."""
    body = evb(payload)
    if len(body) != 5:
        return None
    return EvbOctets(
        bridge_status=body[0],
        station_status=body[1],
        retries=body[2] >> 5,
        rte=body[2] & 31,
        mode=body[3] >> 6,
        rwd_remote=bool(body[3] & 32),
        rwd=body[3] & 31,
        rka_remote=bool(body[4] & 32),
        rka=body[4] & 31,
    )


@dataclass(frozen=True, slots=True)
class Captured:
    """One frame of a capture. `time` is in microseconds."""

    number: int
    time: int
    data: bytes


def read_pcap(file: Path) -> list[Captured]:
    """The frames of a classic pcap file with microsecond times, in either byte order."""
    data = file.read_bytes()
    order = {b"\xd4\xc3\xb2\xa1": "little", b"\xa1\xb2\xc3\xd4": "big"}.get(data[:4])
    assert order == "little" or order == "big", f"{file} is not a pcap file with microsecond times"
    frames: list[Captured] = []
    offset = 24
    while offset < len(data):
        seconds, micros, length, _ = (
            int.from_bytes(data[offset + start : offset + start + 4], order) for start in (0, 4, 8, 12)
        )
        offset += 16
        frames.append(Captured(len(frames) + 1, seconds * 1_000_000 + micros, data[offset : offset + length]))
        offset += length
    return frames
