"""Capture files in memory, put together without the project's own reader."""

from collections.abc import Iterable
from struct import pack

from tests.support.lldpdus import NEAREST_BRIDGE, frame, lldpdu

MAC = bytes.fromhex("0200000000aa")
LLDP = frame(MAC, lldpdu(MAC), NEAREST_BRIDGE)
OTHER = bytes.fromhex("020000000001 020000000002 0800".replace(" ", "")) + bytes(range(46))
TIME = 1_700_000_000_123_456_789

SECTION, INTERFACE, PACKET, SIMPLE, NAMES, STATISTICS, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6


class Dribble:
    """A stream that gives a few octets at a time, as a pipe may."""

    def __init__(self, data: bytes, at_a_time: int = 1) -> None:
        self._data = data
        self._at = 0
        self._at_a_time = at_a_time

    def read(self, size: int) -> bytes:
        part = self._data[self._at : self._at + min(size, self._at_a_time)]
        self._at += len(part)
        return part


def pcap(
    frames: Iterable[bytes],
    *,
    order: str = "<",
    nano: bool = False,
    linktype: int = 1,
    snaplen: int = 262144,
    version: tuple[int, int] = (2, 4),
    time: int = TIME,
) -> bytes:
    """A file whose frames were captured a microsecond apart."""
    header = pack(f"{order}IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, *version, 0, 0, snaplen, linktype)
    return header + b"".join(
        record(data, order=order, nano=nano, time=time + 1000 * index) for index, data in enumerate(frames)
    )


def record(
    data: bytes, *, order: str = "<", nano: bool = False, time: int = TIME, size: int | None = None, wire: int = 0
) -> bytes:
    seconds, fraction = divmod(time, 1_000_000_000)
    fraction = fraction if nano else fraction // 1000
    return pack(f"{order}IIII", seconds, fraction, len(data) if size is None else size, wire or len(data)) + data


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = pack(f"{order}I", 12 + len(body))
    return pack(f"{order}I", kind) + length + body + length


def section(order: str = "<", major: int = 1) -> bytes:
    return block(SECTION, pack(f"{order}IHHq", 0x1A2B3C4D, major, 0, -1), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(linktype: int = 1, snaplen: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    return block(INTERFACE, pack(f"{order}HHI", linktype, 0, snaplen) + options, order)


def packet(data: bytes, ticks: int = 0, at: int = 0, order: str = "<", wire: int = 0, options: bytes = b"") -> bytes:
    head = pack(f"{order}IIIII", at, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire or len(data))
    return block(ENHANCED, head + data + bytes(-len(data) % 4) + options, order)


def old_packet(data: bytes, ticks: int = 0, at: int = 0, order: str = "<") -> bytes:
    head = pack(f"{order}HHIIII", at, 0xFFFF, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(PACKET, head + data, order)


def simple_packet(data: bytes, wire: int = 0, order: str = "<") -> bytes:
    return block(SIMPLE, pack(f"{order}I", wire or len(data)) + data, order)
