"""ECPDUs of both editions: real frames both ways, and everything that is wrong with one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ecp.draft import DRAFT
from protocols.ecp.edition import Edition
from protocols.ecp.pdu import SUBTYPE_VDP, Ecpdu, Operation
from protocols.ecp.ratified import MAX_PAYLOAD, RATIFIED
from protocols.errors import DecodeError
from tests.support.wire import captured

REQUEST, ACKNOWLEDGE = Operation.REQUEST, Operation.ACKNOWLEDGE
EDITIONS = pytest.mark.parametrize("edition", [RATIFIED, DRAFT], ids=lambda edition: edition.name)
CAPTURED = [
    (RATIFIED, "lldpad-vdp22-lifecycle.pcap"),
    (RATIFIED, "lldpad-vdp22-filters.pcap"),
    (RATIFIED, "lldpad-station-ecp-loss.pcap"),
    (DRAFT, "lldpad-draft02-two-lldpads.pcap"),
    (DRAFT, "lldpad-draft02-vdp-answered.pcap"),
]


@pytest.mark.parametrize(
    ("edition", "octets", "ecpdu"),
    [
        (RATIFIED, "1001 0003 0a10", Ecpdu(REQUEST, SUBTYPE_VDP, 3, b"\x0a\x10")),
        (RATIFIED, "1401 0003", Ecpdu(ACKNOWLEDGE, SUBTYPE_VDP, 3)),
        (RATIFIED, "1002 ffff", Ecpdu(REQUEST, 2, 0xFFFF)),
        (RATIFIED, "13ff 0000", Ecpdu(REQUEST, 0x3FF, 0)),
        (DRAFT, "001b3f 0000 00 00 0001 0000", Ecpdu(REQUEST, SUBTYPE_VDP, 1, b"\0\0")),
        (DRAFT, "001b3f 0000 00 01 0001 0000", Ecpdu(ACKNOWLEDGE, SUBTYPE_VDP, 1, b"\0\0")),
    ],
)
def test_both_ways(edition: Edition, octets: str, ecpdu: Ecpdu) -> None:
    """The dumps of sheet ecp.md 7 and 8."""
    assert edition.decode(bytes.fromhex(octets)) == ecpdu
    assert edition.encode(ecpdu) == bytes.fromhex(octets)


@pytest.mark.parametrize(("edition", "name"), CAPTURED, ids=[name for _, name in CAPTURED])
def test_captured(edition: Edition, name: str) -> None:
    """Every ECPDU of real lldpads encodes to itself, and acknowledgements are what ours would be."""
    last: dict[bytes, Ecpdu] = {}
    seen = matched = 0
    for _, frame in captured(name):
        if int.from_bytes(frame[12:14], "big") not in edition.ethertypes:
            continue
        ecpdu = edition.decode(frame[14:])
        assert edition.encode(ecpdu) == frame[14:]
        assert frame[0:6] == edition.destination
        seen += 1
        if ecpdu.operation is REQUEST:
            last[frame[6:12]] = ecpdu
            continue
        for sender, request in last.items():
            if sender != frame[6:12] and request.sequence == ecpdu.sequence:
                ours = edition.acknowledgement(request)
                assert (ours.operation, ours.subtype, ours.sequence) == (ACKNOWLEDGE, ecpdu.subtype, ecpdu.sequence)
                assert edition is RATIFIED or ours.payload == ecpdu.payload
                matched += 1
    assert seen >= 8 and matched >= 3


@EDITIONS
def test_truncated_anywhere(edition: Edition) -> None:
    whole = edition.encode(Ecpdu(REQUEST, SUBTYPE_VDP, 1))
    for length in range(len(whole)):
        with pytest.raises(DecodeError) as error:
            edition.decode(whole[:length])
        assert error.value.offset == length


@pytest.mark.parametrize(("edition", "name"), CAPTURED, ids=[name for _, name in CAPTURED])
def test_captured_truncated_and_changed(edition: Edition, name: str) -> None:
    """Real frames: cut anywhere, and each octet of the header with each value. Never anything but DecodeError."""
    frames = [frame[14:] for _, frame in captured(name) if int.from_bytes(frame[12:14], "big") in edition.ethertypes]
    for octets in {frame[: edition.overhead]: frame for frame in frames}.values():
        for length in range(len(octets)):
            if length < edition.overhead:
                with pytest.raises(DecodeError):
                    edition.decode(octets[:length])
            else:
                assert edition.encode(edition.decode(octets[:length])) == octets[:length]
        for place in range(edition.overhead):
            for value in range(256):
                same_or_nothing(edition, octets[:place] + bytes([value]) + octets[place + 1 :])


def same_or_nothing(edition: Edition, octets: bytes) -> None:
    """A value that encodes to the same octets, or DecodeError."""
    try:
        ecpdu = edition.decode(octets)
    except DecodeError:
        return
    assert edition.encode(ecpdu) == octets


@EDITIONS
@given(octets=st.binary(max_size=64))
def test_any_octets(edition: Edition, octets: bytes) -> None:
    same_or_nothing(edition, octets)
    same_or_nothing(edition, edition.encode(Ecpdu(REQUEST, SUBTYPE_VDP, 0))[:-2] + octets)


@EDITIONS
@given(
    operation=st.sampled_from(Operation),
    subtype=st.integers(0, 0x3FF),
    sequence=st.integers(0, 0xFFFF),
    payload=st.binary(max_size=64),
)
def test_any_value(edition: Edition, operation: Operation, subtype: int, sequence: int, payload: bytes) -> None:
    """What is said is understood. The draft's header has no place for a subtype."""
    ecpdu = Ecpdu(operation, subtype if edition is RATIFIED else SUBTYPE_VDP, sequence, payload)
    assert edition.decode(edition.encode(ecpdu)) == ecpdu


@EDITIONS
def test_any_octet_changed(edition: Edition) -> None:
    whole = edition.encode(Ecpdu(REQUEST, SUBTYPE_VDP, 0x1234, b"payload"))
    for place in range(len(whole)):
        for value in range(256):
            same_or_nothing(edition, whole[:place] + bytes([value]) + whole[place + 1 :])


@pytest.mark.parametrize(
    ("edition", "octets", "word"),
    [
        (RATIFIED, "2001 0001", "version 2"),
        (RATIFIED, "0001 0001", "version 0"),
        (RATIFIED, "1801 0001", "operation 2"),
        (RATIFIED, "1c01 0001", "operation 3"),
        (DRAFT, "0080c2 0000 00 00 0001", "protocol 0080c2"),
        (DRAFT, "001b3f 0001 00 00 0001", "protocol 001b3f0001"),
        (DRAFT, "001b3f 0000 01 00 0001", "subtype 1"),
        (DRAFT, "001b3f 0000 00 02 0001", "mode 2"),
    ],
)
def test_what_is_wrong_is_named(edition: Edition, octets: str, word: str) -> None:
    with pytest.raises(DecodeError, match=word):
        edition.decode(bytes.fromhex(octets))


def test_the_longest_fits_a_frame_and_lldpad() -> None:
    """lldpad takes less than 1,494 octets (sheet ecp.md 2)."""
    assert MAX_PAYLOAD < 1494 and len(DRAFT.encode(Ecpdu(REQUEST, SUBTYPE_VDP, 1, bytes(DRAFT.max_payload)))) == 1500


@pytest.mark.parametrize(("rte", "timer"), [(0, 10), (8, 2560), (14, 163_840), (27, 1_342_177_280)])
def test_timers(rte: int, timer: int) -> None:
    assert RATIFIED.ack_timer(rte) == timer
    assert DRAFT.ack_timer(rte) == 500_000
    assert [RATIFIED.attempts(retries) for retries in (0, 3, 7)] == [1, 4, 8] and DRAFT.attempts(7) == 3
