"""Frames out of pcap and pcapng files, gzipped or not, one after the other and in bounded memory.

The formats are those of the IETF drafts draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from gzip import BadGzipFile, GzipFile
from struct import Struct
from typing import Any, NamedTuple, Protocol
from zlib import error as ZlibError

CHUNK = 1 << 17
# libpcap's limits, beyond which a length is garbage: a frame in a pcap file is of at most 256 KiB, or of as much as the
# file's header allows, and no block of a pcapng file has more than 16 MiB.
MAX_FRAME = 1 << 18
MAX_RECORD = 1 << 24

SECOND = 1_000_000_000


class Frame(NamedTuple):
    """One captured frame.

    `number` counts all frames of the capture from 1; `time` is in nanoseconds since 1970, None where the capture has
    none; `length` is how many octets the frame had before it was cut to `data`.
    """

    number: int
    time: int | None
    linktype: int
    data: bytes
    length: int


class CaptureError(Exception):
    """What makes the rest of a capture unreadable, and at which octet of it (of what is in it, if it is compressed)."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason}, at octet {offset}")
        self.reason = reason
        self.offset = offset


class Octets(Protocol):
    """A binary file. `read` may return less than was asked for, and nothing at the end."""

    def read(self, size: int, /) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Frames worth looking at, so that others cost next to nothing: those with one of these two octets at the offset
    that is named for their link type. A frame too short for that may be among them."""

    offsets: Mapping[int, int]
    protocols: Collection[bytes]


@dataclass(slots=True)
class Capture:
    """The frames of a capture, read while they are iterated over, once. CaptureError where there is no reading on.

    `linktypes`: those of all interfaces met so far, selected or not.
    """

    stream: Octets
    selection: Selection | None = None
    linktypes: set[int] = field(default_factory=set)

    def __iter__(self) -> Iterator[Frame]:
        window = _Window(self.stream)
        window.fill(0, 4)
        magic = window.data[:4]
        if magic == _SECTION_MAGIC:
            return self._read_pcapng(window)
        if magic in _PCAP_MAGICS:
            return self._read_pcap(window, *_PCAP_MAGICS[magic])
        raise CaptureError("neither a pcap nor a pcapng file" if magic else "an empty file", 0)

    def _read_pcap(self, window: "_Window", order: str, scale: int, extra: int = 0) -> Iterator[Frame]:
        header = Struct(f"{order}4xHH8xII")
        if not window.fill(0, header.size):
            raise CaptureError(f"file header of {len(window.data)} octets", 0)
        major, minor, snaplen, network = header.unpack_from(window.data)
        if major != 2:
            raise CaptureError(f"version {major}.{minor} of pcap is not known", 4)
        interface = self._interface(network & 0xFFFF, fcs=network >> 28 << 1 if network & 1 << 26 else 0)
        probe, wanted = interface.probe, interface.wanted
        most = min(max(snaplen, MAX_FRAME), MAX_RECORD)
        record = Struct(f"{order}4I{extra}x")
        unpack, head = record.unpack_from, record.size
        data, at, number = window.data, header.size, 0
        while True:
            if at + head > len(data):
                if not window.fill(at, head):
                    break
                data, at = window.data, 0
            seconds, fraction, size, length = unpack(data, at)
            start = at + head
            end = start + size
            if size > most or end > len(data):
                if size > most:
                    raise CaptureError(f"frame {number + 1} claims {size} octets", window.base + at)
                if not window.fill(at, head + size):
                    left = len(window.data) - head
                    raise CaptureError(f"frame {number + 1} has {left} of {size} octets", window.base)
                data, at, start, end = window.data, 0, head, head + size
            number += 1
            if wanted is None or data[start + probe : start + probe + 2] in wanted:
                yield interface.frame(number, seconds * SECOND + fraction * scale, data[start:end], length)
            at = end
        if window.data:
            raise CaptureError(f"frame {number + 1} has {len(window.data)} of {head} octets of header", window.base)

    def _read_pcapng(self, window: "_Window") -> Iterator[Frame]:
        layouts = _LITTLE
        interfaces: list[_Interface] = []
        number = 0
        for kind, at, end in _blocks(window):
            data = window.data
            if kind == _ENHANCED_PACKET and end - at >= _PACKET_HEAD:
                where, high, low, size, length = layouts.packet.unpack_from(data, at + 8)
                start = at + _PACKET_HEAD
                ticks = high << 32 | low
            elif kind == _SECTION:
                layouts, interfaces = _section(data[at:end], window.base + at), []
                continue
            elif kind == _INTERFACE:
                interfaces.append(self._described(data[at + 8 : end], layouts, window.base + at))
                continue
            elif kind in (_ENHANCED_PACKET, _PACKET, _SIMPLE_PACKET):
                where, ticks, size, length, start = _other_packet(kind, data[at:end], layouts, window.base + at)
                # A simple packet block does not say how much there is of the frame: the interface's limit does.
                if kind == _SIMPLE_PACKET and interfaces:
                    size = min(length, interfaces[0].snaplen or length)
                start += at
            else:
                continue
            number += 1
            if where >= len(interfaces):
                raise CaptureError(f"frame {number} is of interface {where}, not described", window.base + at)
            if start + size > end:
                raise CaptureError(f"frame {number} claims {size} octets of {end - start}", window.base + at)
            interface = interfaces[where]
            wanted, probe = interface.wanted, start + interface.probe
            if wanted is None or data[probe : probe + 2] in wanted:
                time = None if ticks is None else interface.time(ticks)
                yield interface.frame(number, time, data[start : start + size], length)

    def _described(self, body: bytes, layouts: "_Layouts", offset: int) -> "_Interface":
        """What an Interface Description Block says (draft-ietf-opsawg-pcapng 4.2)."""
        if len(body) < layouts.interface.size:
            raise CaptureError(f"interface block of {len(body)} octets", offset)
        linktype, snaplen = layouts.interface.unpack_from(body)
        per_second, shift, fcs = 1_000_000, 0, 0
        at = layouts.interface.size
        while at + 4 <= len(body):
            code, length = layouts.option.unpack_from(body, at)
            value = body[at + 4 : at + 4 + length]
            if code == _END_OF_OPTIONS:
                break
            if length != _OPTION_SIZES.get(code, length) or len(value) < length:
                raise CaptureError(f"interface option {code} of {length} octets", offset)
            if code == _TIME_RESOLUTION:
                per_second = (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F)
            elif code == _TIME_OFFSET:
                (shift,) = layouts.time_offset.unpack(value)
            elif code == _FCS_LENGTH:
                fcs = value[0]
            at += 4 + (length + 3) // 4 * 4
        return self._interface(linktype, snaplen, per_second, shift, fcs)

    def _interface(
        self, linktype: int, snaplen: int = 0, per_second: int = 1, shift: int = 0, fcs: int = 0
    ) -> "_Interface":
        self.linktypes.add(linktype)
        wanted: Collection[bytes] | None = None
        probe = 0
        if self.selection is not None:
            known = linktype in self.selection.offsets
            wanted = self.selection.protocols if known else frozenset()
            probe = self.selection.offsets[linktype] if known else 0
        return _Interface(linktype, snaplen, wanted, probe, per_second, shift * SECOND, fcs)


def _blocks(window: "_Window") -> Iterator[tuple[int, int, int]]:
    """Type, beginning and end of each block, lengths left out, in what the window then shows."""
    order = _LITTLE
    data, at = window.data, 0
    while True:
        if at + _SMALLEST_BLOCK > len(data):
            if not window.fill(at, _SMALLEST_BLOCK):
                break
            data, at = window.data, 0
        if data[at : at + 4] == _SECTION_MAGIC:
            order = _byte_order(data[at + 8 : at + 12], window.base + at)
        kind, total = order.block.unpack_from(data, at)
        end = at + total
        if end > len(data) or total < _SMALLEST_BLOCK or total & 3:
            if not _SMALLEST_BLOCK <= total <= MAX_RECORD or total & 3:
                raise CaptureError(f"block of type {kind:#x} claims {total} octets", window.base + at)
            if not window.fill(at, total):
                left = len(window.data)
                raise CaptureError(f"block of type {kind:#x} has {left} of {total} octets", window.base)
            data, at, end = window.data, 0, total
        if data[at + 4 : at + 8] != data[end - 4 : end]:
            raise CaptureError(f"block of type {kind:#x} does not end with its length, {total}", window.base + at)
        yield kind, at, end - 4
        at = end
    if window.data:
        raise CaptureError(f"a block has {len(window.data)} of at least {_SMALLEST_BLOCK} octets", window.base)


def _other_packet(kind: int, block: bytes, layouts: "_Layouts", offset: int) -> tuple[int, int | None, int, int, int]:
    """Interface, time, captured and original length of a frame, and where in its block it begins."""
    if kind == _SIMPLE_PACKET and len(block) >= _SIMPLE_HEAD:
        (length,) = layouts.length.unpack_from(block, 8)
        return 0, None, 0, length, _SIMPLE_HEAD
    if kind == _PACKET and len(block) >= _PACKET_HEAD:
        _, high, low, size, length = layouts.packet.unpack_from(block, 8)
        (where,) = layouts.port.unpack_from(block, 8)
        return where, high << 32 | low, size, length, _PACKET_HEAD
    raise CaptureError(f"packet block of {len(block)} octets without its trailer", offset)


class _Interface(NamedTuple):
    """Where frames came from. `shift` is in nanoseconds, `fcs` how many octets of checksum end each frame."""

    linktype: int
    snaplen: int
    wanted: Collection[bytes] | None
    probe: int
    per_second: int
    shift: int
    fcs: int

    def time(self, ticks: int) -> int:
        return ticks * SECOND // self.per_second + self.shift

    def frame(self, number: int, time: int | None, data: bytes, length: int) -> Frame:
        if self.fcs:
            length = max(0, length - self.fcs)
            data = data[:length]
        return Frame(number, time, self.linktype, data, length)


class _Window:
    """The part of a stream that is being looked at; `base` is where in the stream it begins."""

    def __init__(self, stream: Octets) -> None:
        self.data = b""
        self.base = 0
        self._stream = _Lazy(stream)

    def fill(self, at: int, need: int) -> bool:
        """Drop what lies before `at` and read on until `need` octets are there; False: the stream ends before that."""
        self.base += at
        self.data = self.data[at:]
        parts, have = [self.data], len(self.data)
        while have < need:
            try:
                part = self._stream.read(CHUNK)
            except (BadGzipFile, EOFError, ZlibError) as error:
                raise CaptureError(f"its compression is damaged ({error})", self.base + have) from error
            except OSError as error:
                raise CaptureError(f"it cannot be read ({error.strerror})", self.base + have) from error
            if not part:
                break
            parts.append(part)
            have += len(part)
        self.data = b"".join(parts)
        return have >= need


class _Lazy:
    """A stream, perhaps a pipe, or what is in it if it is of gzip's making: the first read finds out."""

    def __init__(self, stream: Octets) -> None:
        self._stream = stream
        self._opened = False

    def read(self, size: int, /) -> bytes:
        if not self._opened:
            head = b""
            while len(head) < len(_GZIP_MAGIC) and (part := self._stream.read(len(_GZIP_MAGIC) - len(head))):
                head += part
            whole = _Rejoined(head, self._stream)
            self._stream = _Unzipped(whole) if head == _GZIP_MAGIC else whole
            self._opened = True
        return self._stream.read(size) or b""


class _Rejoined:
    """A stream whose first octets were read already."""

    def __init__(self, head: bytes, stream: Octets) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return self._stream.read(size) or b""


class _Unzipped:
    """Reads as little ahead as gzip can, so that whatever precedes a damage is returned."""

    def __init__(self, stream: Octets) -> None:
        opened: Any = stream
        self._file = GzipFile(fileobj=opened)

    def read(self, size: int, /) -> bytes:
        return self._file.read1(size)


class _Layouts:
    """Parts of pcapng's blocks in one byte order."""

    def __init__(self, order: str) -> None:
        self.block = Struct(f"{order}II")
        self.interface = Struct(f"{order}HxxI")
        self.packet = Struct(f"{order}5I")
        self.port = Struct(f"{order}H")
        self.length = Struct(f"{order}I")
        self.version = self.option = Struct(f"{order}HH")
        self.time_offset = Struct(f"{order}q")


def _section(block: bytes, offset: int) -> _Layouts:
    """What the blocks that follow this Section Header Block are read by (draft-ietf-opsawg-pcapng 4.1)."""
    layouts = _byte_order(block[8:12], offset)
    if len(block) < _SECTION_HEAD:
        raise CaptureError(f"section header of {len(block)} octets", offset)
    major, minor = layouts.version.unpack_from(block, 12)
    if major != 1:
        raise CaptureError(f"version {major}.{minor} of pcapng is not known", offset)
    return layouts


def _byte_order(magic: bytes, offset: int) -> _Layouts:
    if magic == b"\x4d\x3c\x2b\x1a":
        return _LITTLE
    if magic == b"\x1a\x2b\x3c\x4d":
        return _BIG
    raise CaptureError(f"section header with {magic.hex()} in place of its byte order", offset)


_LITTLE, _BIG = _Layouts("<"), _Layouts(">")
_GZIP_MAGIC = b"\x1f\x8b"
# Byte order, nanoseconds in one unit of a record's fraction of a second, octets that some kernels added to its header.
_PCAP_MAGICS: Mapping[bytes, tuple[str, int] | tuple[str, int, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 8),
    b"\xa1\xb2\xcd\x34": (">", 1000, 8),
}
_SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_SMALLEST_BLOCK, _SIMPLE_HEAD, _SECTION_HEAD, _PACKET_HEAD = 12, 12, 24, 28
_END_OF_OPTIONS, _TIME_RESOLUTION, _FCS_LENGTH, _TIME_OFFSET = 0, 9, 13, 14
_OPTION_SIZES: Mapping[int, int] = {_TIME_RESOLUTION: 1, _FCS_LENGTH: 1, _TIME_OFFSET: 8}
