"""Capture files of every kind that there is, whole and damaged, made by hand and by scapy."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import accumulate, pairwise
from pathlib import Path
from struct import pack

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, PcapWriter

from evbagent.capture import Capture, CaptureError, Frame, Octets, Selection
from tests.support.captures import (
    LLDP,
    NAMES,
    OTHER,
    STATISTICS,
    TIME,
    Dribble,
    block,
    interface,
    old_packet,
    option,
    packet,
    pcap,
    record,
    section,
    simple_packet,
)

ORDERS = pytest.mark.parametrize("order", ["<", ">"])
MICROSECOND = 1000
LLDP_ONLY = Selection({1: 12}, frozenset({b"\x88\xcc"}))


def whole(data: bytes | Octets, selection: Selection | None = None) -> list[Frame]:
    return list(Capture(BytesIO(data) if isinstance(data, bytes) else data, selection))


def collect(data: bytes | Octets) -> tuple[list[Frame], CaptureError | None]:
    """The frames before the damage, and what that is."""
    frames: list[Frame] = []
    try:
        for captured in Capture(BytesIO(data) if isinstance(data, bytes) else data):
            frames.append(captured)
    except CaptureError as error:
        return frames, error
    return frames, None


@ORDERS
@pytest.mark.parametrize("nano", [False, True])
def test_pcap(order: str, nano: bool) -> None:
    first, second = whole(pcap([LLDP, OTHER], order=order, nano=nano))
    time = TIME if nano else TIME // MICROSECOND * MICROSECOND
    assert first == Frame(1, time, 1, LLDP, len(LLDP))
    assert second == Frame(2, time + MICROSECOND, 1, OTHER, len(OTHER))


@pytest.mark.parametrize(("order", "magic"), [("<", b"\x34\xcd\xb2\xa1"), (">", b"\xa1\xb2\xcd\x34")])
def test_pcap_with_longer_headers(order: str, magic: bytes) -> None:
    records = [record(frame, order=order) for frame in (LLDP, OTHER)]
    data = magic + pcap([], order=order)[4:] + b"".join(part[:16] + bytes(8) + part[16:] for part in records)
    assert [frame.data for frame in whole(data)] == [LLDP, OTHER]


@ORDERS
def test_pcapng(order: str) -> None:
    data = section(order) + interface(order=order) + packet(LLDP, TIME // MICROSECOND, order=order)
    assert whole(data) == [Frame(1, TIME // MICROSECOND * MICROSECOND, 1, LLDP, len(LLDP))]


@pytest.mark.parametrize(("nano", "order"), [(False, "<"), (True, "<"), (False, ">"), (True, ">")])
def test_pcap_of_scapy(tmp_path: Path, nano: bool, order: str) -> None:
    made = [Ether(LLDP), Ether(OTHER)]
    for offset, frame in enumerate(made):
        frame.time = 1_700_000_000 + offset / 4
    file = tmp_path / "scapy.pcap"
    with PcapWriter(str(file), linktype=1, endianness=order, nano=nano, sync=True) as writer:
        writer.write(made)
    frames = whole(file.read_bytes())
    assert [frame.data for frame in frames] == [LLDP, OTHER]
    assert [frame.time for frame in frames] == [1_700_000_000_000_000_000, 1_700_000_000_250_000_000]


def test_pcapng_of_scapy(tmp_path: Path) -> None:
    made = [Ether(LLDP), Ether(OTHER), Ether(LLDP)]
    for frame, name in zip(made, ("a0", "b0", "a0"), strict=True):
        frame.time, frame.sniffed_on, frame.comment = 1_700_000_000.5, name, b"of interest"
    file = tmp_path / "scapy.pcapng"
    with PcapNgWriter(str(file)) as writer:
        writer.write(made)
    frames = whole(file.read_bytes())
    assert [frame.data for frame in frames] == [LLDP, OTHER, LLDP]
    assert {frame.time for frame in frames} == {1_700_000_000_500_000_000}
    assert [frame.number for frame in frames] == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "ticks", "time"),
    [
        (b"", 5, 5 * MICROSECOND),
        (option(9, b"\x09"), 5, 5),
        (option(9, b"\x03"), 5, 5_000_000),
        (option(9, b"\x00"), 5, 5_000_000_000),
        (option(9, b"\x0c"), 5000, 5),
        (option(9, b"\x81"), 3, 1_500_000_000),
        (option(9, b"\xff"), 1 << 63, 0),
        (option(14, pack("<q", 7)), 5, 7_000_005_000),
        (option(14, pack("<q", -7)) + option(9, b"\x09"), 5, -6_999_999_995),
        (option(2, b"eth0") + option(1, b"a comment") + option(9, b"\x09") + option(0, b""), 5, 5),
        (option(0, b"") + option(9, b"\x09"), 5, 5 * MICROSECOND),
    ],
)
def test_time_of_an_interface(options: bytes, ticks: int, time: int) -> None:
    [frame] = whole(section() + interface(options=options) + packet(LLDP, ticks))
    assert frame.time == time


def test_interfaces_have_link_type_and_time_of_their_own() -> None:
    ports = interface() + interface(113, options=option(9, b"\x09")) + interface(276)
    frames = whole(section() + ports + packet(LLDP, 9, 1) + packet(OTHER, 9, 0) + packet(OTHER, 9, 2))
    assert [(frame.linktype, frame.time) for frame in frames] == [(113, 9), (1, 9000), (276, 9000)]


def test_sections_have_interfaces_and_byte_order_of_their_own() -> None:
    first = section("<") + interface(105) + interface(1) + packet(OTHER, 1, 1)
    second = section(">") + interface(1, options=option(9, b"\x09", ">"), order=">") + packet(LLDP, 7, 0, ">")
    frames = whole(first + second + section("<") + interface(276) + packet(OTHER, 2, 0))
    assert [(frame.number, frame.linktype, frame.time) for frame in frames] == [(1, 1, 1000), (2, 1, 7), (3, 276, 2000)]
    _, error = collect(first + second + packet(OTHER, 1, 1, ">"))
    assert error is not None and error.reason == "frame 3 is of interface 1, not described"


@ORDERS
def test_packets_of_other_kinds(order: str) -> None:
    skipped = block(NAMES, b"\1\0\2\0abcd", order) + block(STATISTICS, bytes(12), order) + block(0xBAD, b"", order)
    simple = simple_packet(LLDP, order=order)
    old = old_packet(OTHER, 5, 1, order)
    frames = whole(section(order) + interface(order=order) + interface(113, order=order) + skipped + simple + old)
    assert frames == [Frame(1, None, 1, LLDP, len(LLDP)), Frame(2, 5000, 113, OTHER, len(OTHER))]


def test_a_simple_packet_is_cut_to_the_limit_of_the_first_interface() -> None:
    start = section() + interface(snaplen=30) + interface(snaplen=10)
    assert whole(start + simple_packet(LLDP[:30], 60)) == [Frame(1, None, 1, LLDP[:30], 60)]
    assert whole(start + simple_packet(LLDP[:21], 21)) == [Frame(1, None, 1, LLDP[:21], 21)]


def test_frames_are_cut_to_what_was_captured() -> None:
    assert whole(pcap([]) + record(LLDP[:20], wire=60))[0][3:] == (LLDP[:20], 60)
    assert whole(section() + interface() + packet(LLDP[:21], wire=60, options=option(1, b"cut")))[0][3:] == (
        LLDP[:21],
        60,
    )


def test_checksums_are_no_part_of_frames() -> None:
    told = 1 | 1 << 26 | 2 << 28
    assert whole(pcap([LLDP + b"fcs!"], linktype=told)) == [Frame(1, TIME // 1000 * 1000, 1, LLDP, len(LLDP))]
    cut = whole(pcap([], linktype=told) + record(LLDP[:40], wire=64))
    assert cut[0][2:] == (1, LLDP[:40], 60)
    ng = section() + interface(options=option(13, b"\4")) + packet(LLDP + b"fcs!")
    assert whole(ng)[0][3:] == (LLDP, len(LLDP))


@pytest.mark.parametrize(
    "data",
    [
        pcap([OTHER, LLDP, OTHER, LLDP[:5], LLDP]),
        section() + interface() + packet(OTHER) + packet(LLDP) + interface(105) + packet(LLDP, 0, 1) + packet(LLDP),
    ],
)
def test_only_what_is_selected_is_read(data: bytes) -> None:
    numbers = [frame.number for frame in whole(data, LLDP_ONLY) if frame.data == LLDP]
    assert numbers in ([2, 5], [2, 4])


def test_link_types_are_known_also_of_frames_that_are_passed_over() -> None:
    capture = Capture(BytesIO(section() + interface() + interface(105) + packet(OTHER, 0, 1)), LLDP_ONLY)
    assert list(capture) == [] and capture.linktypes == {1, 105}


@pytest.mark.parametrize("data", [pcap([LLDP, OTHER]), section() + interface() + packet(LLDP) + packet(OTHER)])
@pytest.mark.parametrize("at_a_time", [1, 7, 64])
def test_pipes(data: bytes, at_a_time: int) -> None:
    for told in (data, gzip.compress(data), gzip.compress(data[:90]) + gzip.compress(data[90:])):
        assert [frame.data for frame in whole(Dribble(told, at_a_time))] == [LLDP, OTHER]


def test_frames_come_as_they_are_written() -> None:
    """Of a pipe no more is waited for than the frame needs."""
    pieces = [pcap([]), record(LLDP), record(OTHER)]
    given: list[bytes] = []

    class Pipe:
        def read(self, _: int) -> bytes:
            given.append(pieces[len(given)])
            return given[-1]

    frames = iter(Capture(Pipe()))
    next(frames)
    assert len(given) == 2


FILES = {
    "pcap": [pcap([]), record(LLDP), record(OTHER), record(LLDP[:33])],
    "pcap-big": [pcap([], order=">", nano=True), record(LLDP, order=">"), record(OTHER, order=">")],
    "pcapng": [
        section(),
        interface(options=option(9, b"\x06") + option(2, b"eth0") + option(0, b"")),
        packet(LLDP, 1),
        block(NAMES, b"\0\0\0\0"),
        simple_packet(OTHER),
        old_packet(LLDP, 1),
        section(">"),
        interface(order=">"),
        packet(OTHER, 1, 0, ">"),
    ],
}


@pytest.mark.parametrize("parts", FILES.values(), ids=FILES)
def test_truncation_at_every_octet(parts: list[bytes]) -> None:
    """All that is whole is there; the error names where the rest begins."""
    data = b"".join(parts)
    borders = list(accumulate(map(len, parts)))
    frames = whole(data)
    ends = {border: len(whole(data[:border])) for border in borders}
    assert ends[borders[-1]] == len(frames) >= 2
    for size in range(len(data)):
        before = max((border for border in borders if border <= size), default=0)
        found, error = collect(data[:size])
        assert found == frames[: ends.get(before, 0)]
        if size == before and size:
            assert error is None
        else:
            assert error is not None and error.offset == before, size
        assert (found, str(error)) == (lambda frames, ended: (frames, str(ended)))(*collect(Dribble(data[:size], 5)))


@pytest.mark.parametrize("parts", FILES.values(), ids=FILES)
@pytest.mark.parametrize("change", [lambda x: x ^ 0xFF, lambda x: x ^ 1, lambda x: 0, lambda x: 0x7F])
def test_a_change_of_any_octet_ends_in_frames_or_an_error(parts: list[bytes], change: Callable[[int], int]) -> None:
    data = b"".join(parts)
    for at in range(len(data)):
        collect(data[:at] + bytes([change(data[at])]) + data[at + 1 :])


@pytest.mark.parametrize("parts", FILES.values(), ids=FILES)
def test_garbage_ends_a_capture(parts: list[bytes]) -> None:
    for before, (start, _) in enumerate(pairwise([0, *accumulate(map(len, parts))])):
        good = b"".join(parts[:before])
        found, error = collect(good + b"\xc3\x91" * 500)
        assert error is not None and error.offset == start
        assert len(found) == (len(whole(good)) if good else 0)


@pytest.mark.parametrize(
    ("data", "reason", "offset"),
    [
        (b"", "an empty file", 0),
        (b"\xd4\xc3", "neither a pcap nor a pcapng file", 0),
        (b"#!/bin/sh\nexit", "neither a pcap nor a pcapng file", 0),
        (b"\x1f\x8bx" + bytes(20), "its compression is damaged (Unknown compression method)", 0),
        (pcap([])[:23], "file header of 23 octets", 0),
        (pcap([], version=(1, 2)), "version 1.2 of pcap is not known", 4),
        (pcap([]) + record(b"", size=262145), "frame 1 claims 262145 octets", 24),
        (pcap([LLDP]) + record(b"abc", size=4), "frame 2 has 3 of 4 octets", 100),
        (pcap([LLDP]) + b"abc", "frame 2 has 3 of 16 octets of header", 100),
        (section()[:11], "a block has 11 of at least 12 octets", 0),
        (section()[:27], "block of type 0xa0d0d0a has 27 of 28 octets", 0),
        (section(major=2), "version 2.0 of pcapng is not known", 0),
        (b"\n\r\r\n" + pack("<I", 28) + b"ABCD", "section header with 41424344 in place of its byte order", 0),
        (block(0x0A0D0D0A, b"\x4d\x3c\x2b\x1a"), "section header of 12 octets", 0),
        (section() + block(1, b"abc"), "interface block of 4 octets", 28),
        (section() + interface(options=option(9, b"\6\6")), "interface option 9 of 2 octets", 28),
        (section() + interface(options=pack("<HH", 2, 9)), "interface option 2 of 9 octets", 28),
        (section() + block(6, bytes(16)), "packet block of 24 octets without its trailer", 28),
        (section() + block(3, b""), "packet block of 8 octets without its trailer", 28),
        (section() + packet(LLDP), "frame 1 is of interface 0, not described", 28),
        (section() + simple_packet(LLDP), "frame 1 is of interface 0, not described", 28),
        (section() + interface() + simple_packet(LLDP, 61), "frame 1 claims 61 octets of 60", 48),
        (section() + interface() + block(6, pack("<5I", 0, 0, 0, 9, 9) + b"12345678"), "claims 9 octets of 8", 48),
        (section() + pack("<II", 6, 13) + bytes(99), "block of type 0x6 claims 13 octets", 28),
        (section() + pack("<II", 6, 8) + bytes(99), "block of type 0x6 claims 8 octets", 28),
        (section() + pack("<II", 6, 1 << 25) + bytes(99), "block of type 0x6 claims 33554432 octets", 28),
        (section() + interface()[:-1] + b"\1", "block of type 0x1 does not end with its length, 20", 28),
    ],
)
def test_what_is_said_of_damage(data: bytes, reason: str, offset: int) -> None:
    _, error = collect(data)
    assert error is not None
    assert reason in error.reason and error.offset == offset
    assert str(error) == f"{error.reason}, at octet {offset}"


def test_a_frame_may_be_as_long_as_the_header_allows() -> None:
    long = bytes(300_000)
    assert len(whole(pcap([long], snaplen=300_000))) == 1
    assert collect(pcap([], snaplen=0xFFFFFFFF) + record(b"", size=(1 << 24) + 1))[1] is not None


def test_damaged_compression_gives_what_precedes_it() -> None:
    data = pcap([LLDP, OTHER] * 500)
    packed = gzip.compress(data)
    found, error = collect(packed[:-8])
    assert len(found) == 1000 and error is not None and error.offset == len(data)
    assert error.reason.startswith("its compression is damaged (Compressed file ended")
    found, error = collect(packed[: len(packed) // 2])
    assert 0 < len(found) < 1000 and error is not None
    assert collect(packed[:-8] + bytes(8))[0] == whole(data)
    for at in range(0, len(packed), 7):
        collect(packed[:at] + b"\xa5" + packed[at + 1 :])


def test_a_file_that_cannot_be_read() -> None:
    class Broken:
        def read(self, _: int) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(CaptureError, match="it cannot be read"):
        list(Capture(Broken()))


@pytest.mark.parametrize("wanted", [None, LLDP_ONLY])
@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_memory_does_not_grow(kind: str, wanted: Selection | None) -> None:
    start = pcap([]) if kind == "pcap" else section() + interface()
    full_size = OTHER + bytes(1400)  # few of them: it is their octets that would be kept
    part = (record(full_size) if kind == "pcap" else packet(full_size)) * 50

    class Long:
        def __init__(self) -> None:
            self._parts = self._all()

        def _all(self) -> Iterator[bytes]:
            yield start
            for _ in range(40):
                yield part

        def read(self, _: int) -> bytes:
            return next(self._parts, b"")

    tracemalloc.start()
    try:
        count = sum(1 for _ in Capture(Long(), wanted))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == (2000 if wanted is None else 0)
    assert peak < 1 << 19 < 40 * len(part) / 5
