"""Ratified VDP: real ULPDUs both ways, every truncation, every change of one octet, each rule of the decoder."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import DecodeError
from protocols.timers import SECOND
from protocols.vdp.edition import Reading, Timers
from protocols.vdp.filter import FilterEntry, Filters
from protocols.vdp.organizational import CiscoVmName, encode
from protocols.vdp.ratified import MOST_ORGANIZATIONAL, RATIFIED
from protocols.vdp.vsi import Hint, Mode, OrganizationalTlv, Response, VsiId, VsiTlv, parse_manager, parse_vsi_id
from tests.support.lldpdus import tlv
from tests.support.vdpdus import BLABLA, END, HARD, KEEP, RESPONSE, VsiOctets, ecp_octets, numbered, ratified_ulpdu
from tests.support.vdpstrategies import valid_filters
from tests.support.wire import captured

UUID = parse_vsi_id("a1412857-60f7-4ce1-e95a-2164943f53dd")
MAC = bytes.fromhex("5254008e5053")
# Sheet `vdp.md` 6: frame 24 of lldpad-vdp22-lifecycle, and the filter formats of lldpad-vdp22-filters.
ASSOCIATE = bytes.fromhex("0a10626c61626c6100000000000000000000 0621 00 123456 07 05") + UUID.octets
ASSOCIATE += bytes.fromhex("02 0001 5254008e5053 0064")
FORMATS = {
    "061d10 010203 04 05 11111111111111111111111111111101 01 0002 000a b014": Filters(
        1, (FilterEntry(10, None, None, None), FilterEntry(20, 3, None, None))
    ),
    "062920 010203 04 05 22222222222222222222222222222202 02 0002 525400000021 0014 525400000022 d016": Filters(
        2,
        (
            FilterEntry(20, None, bytes.fromhex("525400000021"), None),
            FilterEntry(22, 5, bytes.fromhex("525400000022"), None),
        ),
    ),
    "061f00 010203 04 05 33333333333333333333333333333303 03 0001 00001234 001e": Filters(
        3, (FilterEntry(30, None, None, 0x1234),)
    ),
    "062500 010203 04 05 44444444444444444444444444444404 04 0001 12345678 525400000041 0028": Filters(
        4, (FilterEntry(40, None, bytes.fromhex("525400000041"), 0x12345678),)
    ),
    "061b00 010203 04 05 55555555555555555555555555555505 01 0001 0000": Filters(
        1, (FilterEntry(0, None, None, None),)
    ),
    "062300 010203 04 05 66666666666666666666666666666606 07 0002 00112233445566778899": Filters(
        7, (), 2, bytes.fromhex("00112233445566778899")
    ),
}
CAPTURES = (
    "lldpad-vdp22-lifecycle.pcap",
    "lldpad-vdp22-filters.pcap",
    "lldpad-vdp22-cisco-oui.pcap",
    "lldpad-vdp22-station-lost.pcap",
    "lldpad-vdp22-rka31.pcap",
    "lldpad-station-neg-responses.pcap",
    "lldpad-station-keep-unsolicited.pcap",
    "lldpad-bridge-probe1.pcap",
    "lldpad-bridge-probe2.pcap",
)
STATION = bytes.fromhex("02000000000a")
# What the test peers sent on purpose, and no VDP should take: by what is said of it.
PROVOKED = frozenset(
    {
        "association TLV has no filter info entries",
        "8 octets of filter info are not 2 entries of format 2",
        "the station responds",
    }
)
# Each bit alone, and all of them; every other change is for the long run.
SOME_MASKS = (*(1 << bit for bit in range(8)), 255)


def decoded(payload: bytes, from_station: bool = True) -> Reading:
    return RATIFIED.decode(payload, from_station)


def only(payload: bytes, from_station: bool = True) -> VsiTlv:
    reading = decoded(payload, from_station)
    assert not reading.errors and not reading.skipped
    (vsi,) = reading.vsis
    return vsi


def encoded(reading: Reading, manager: bytes) -> bytes:
    return RATIFIED.assemble(manager, [RATIFIED.encode_tlv(vsi) for vsi in reading.vsis])


# Real octets.


def test_the_associate_of_the_sheet() -> None:
    entry = FilterEntry(100, None, MAC, None)
    vsi = VsiTlv(Mode.ASSOCIATE, UUID, parse_manager("blabla"), 0x123456, 7, Filters(2, (entry,)))
    assert decoded(ASSOCIATE) == Reading((vsi,))
    assert decoded(ASSOCIATE + END) == Reading((vsi,), explicit_end=True)
    assert encoded(decoded(ASSOCIATE), BLABLA) == ASSOCIATE + END
    assert len(ASSOCIATE + END) == len(RATIFIED.encode_tlv(vsi)) + RATIFIED.overhead


@pytest.mark.parametrize("octets", FORMATS)
def test_filter_formats(octets: str) -> None:
    payload = tlv(5, BLABLA) + bytes.fromhex(octets) + END
    assert only(payload).filters == FORMATS[octets]
    assert encoded(decoded(payload), BLABLA) == payload


def captured_ulpdus(name: str) -> Iterator[tuple[bytes, bool]]:
    """Payloads of VDP in ECP requests, and whether the station sent them."""
    for _, data in captured(name):
        ecpdu = ecp_octets(data)
        if ecpdu and not ecpdu.acknowledgment and not ecpdu.draft and ecpdu.subtype == 1:
            yield ecpdu.payload, data[6:12] == STATION


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_both_ways(name: str) -> None:
    read = 0
    for payload, from_station in captured_ulpdus(name):
        try:
            reading = decoded(payload, from_station)
        except DecodeError:
            assert name == "lldpad-bridge-probe1.pcap", "its two manager IDs"
            continue
        assert {error.reason for error in reading.errors} <= PROVOKED
        if not reading.errors and not reading.skipped:
            assert encoded(reading, payload[2:18]) == (payload if reading.explicit_end else payload + END)
            read += len(reading.vsis)
    assert read >= 4


def test_what_lldpad_is_answered() -> None:
    """Refusals in each form (lldpad-station-neg-responses, -keep-unsolicited)."""
    answers = [
        (vsi.mode, vsi.response, vsi.keep, vsi.hard, vsi.code)
        for name in ("lldpad-station-neg-responses.pcap", "lldpad-station-keep-unsolicited.pcap")
        for payload, from_station in captured_ulpdus(name)
        if not from_station
        for vsi in decoded(payload, from_station).vsis
    ]
    for expected in (
        (Mode.ASSOCIATE, Response.SUCCESS, False, False, 0),
        (Mode.ASSOCIATE, Response.INSUFFICIENT_RESOURCES, False, False, 2),
        (Mode.ASSOCIATE, Response.INVALID_ADDRESS, False, True, 5),
        (Mode.ASSOCIATE, Response.MANAGER_UNREACHABLE, True, False, 3),
        (Mode.DEASSOCIATE, Response.INSUFFICIENT_RESOURCES, False, False, 2),
        (Mode.DEASSOCIATE, None, False, False, 0),
    ):
        assert expected in answers


# The status octet.


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("status", "hint"),
    [(0, Hint.NONE), (0x10, Hint.MIGRATE), (0x20, Hint.SUSPEND), (0x30, Hint.MIGRATE | Hint.SUSPEND)],
)
def test_requests(mode: Mode, status: int, hint: Hint) -> None:
    payload = ratified_ulpdu([numbered(1, mode, status=status)])
    vsi = only(payload)
    assert (vsi.mode, vsi.hint, vsi.response, vsi.keep, vsi.hard, vsi.code) == (mode, hint, None, False, False, 0)
    assert encoded(decoded(payload), BLABLA) == payload


def test_reserved_bits_of_a_request_are_not_kept() -> None:
    vsi = only(ratified_ulpdu([numbered(1, status=0x8F | 0x10)]))
    assert RATIFIED.encode_tlv(vsi) == numbered(1, status=0x10).ratified()


CODES = (
    Response.SUCCESS,
    Response.INVALID_FORMAT,
    Response.INSUFFICIENT_RESOURCES,
    Response.MANAGER_UNREACHABLE,
    Response.OTHER_FAILURE,
    Response.INVALID_ADDRESS,
)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("flags", [0, KEEP, HARD, KEEP | HARD])
def test_responses(mode: Mode, flags: int) -> None:
    for code in range(16):
        payload = ratified_ulpdu([numbered(1, mode, status=RESPONSE | flags | code)])
        vsi = only(payload, from_station=False)
        assert vsi.response is (CODES[code] if code < len(CODES) else Response.OTHER_FAILURE)
        assert (vsi.mode, vsi.hint, vsi.code) == (mode, Hint.NONE, code)
        assert (vsi.keep, vsi.hard) == (bool(flags & KEEP), bool(flags & HARD))
        assert encoded(decoded(payload, False), BLABLA) == payload


@pytest.mark.parametrize("response", Response)
def test_each_response_has_a_code(response: Response) -> None:
    vsi = only(ratified_ulpdu([numbered(1)]))._replace(response=response, code=-1)
    for code in (0, 2, 4, 15, 99):
        said = only(tlv(5, BLABLA) + RATIFIED.encode_tlv(vsi._replace(code=code)), from_station=False)
        assert said.response is (response if response in CODES else Response.OTHER_FAILURE)
        assert said.code < 6 or code == 15, "a reserved code goes out only as it came"


def test_the_station_does_not_respond() -> None:
    reading = decoded(ratified_ulpdu([numbered(1, status=RESPONSE), numbered(2)]))
    assert [vsi.vsi_id.octets for vsi in reading.vsis] == [numbered(2).vsi_id]
    assert [(error.reason, error.offset) for error in reading.errors] == [("the station responds", 18)]


@pytest.mark.parametrize("mode", Mode)
def test_the_bridge_commands_nothing_but_deassociate(mode: Mode) -> None:
    reading = decoded(ratified_ulpdu([numbered(1, mode)]), from_station=False)
    if mode is Mode.DEASSOCIATE:
        assert reading.vsis[0].response is None and not reading.errors
    else:
        assert not reading.vsis and reading.errors[0].reason == f"the bridge requests: {mode.word}"


# Structure only is judged.


@pytest.mark.parametrize(
    "vsi",
    [
        numbered(1, id_format=0),
        numbered(1, id_format=255),
        numbered(1, vid=4095),
        numbered(1, vid=0),
        numbered(1, entries=(bytes.fromhex("ffffffffffff0001"),)),
        numbered(1, filter_format=0, entries=(b"\1",)),
        numbered(1, filter_format=255, entries=(bytes(400),)),
        numbered(1, filter_format=3, entries=(bytes(6),)),
        numbered(1, entries=(numbered(1).entries[0],) * 2),
        numbered(1, type_id=0xFFFFFF, version=255, manager=b"\xff" * 16),
        numbered(1, filter_format=1, entries=tuple(vid.to_bytes(2, "big") for vid in range(243))),
    ],
)
def test_what_the_bridge_is_to_refuse_is_decoded(vsi: VsiOctets) -> None:
    payload = ratified_ulpdu([vsi])
    assert only(payload).manager == vsi.manager
    assert encoded(decoded(payload), vsi.manager) == payload


def test_priority_without_ps_means_nothing() -> None:
    payload = ratified_ulpdu([numbered(1).with_vids(0x7064)])
    assert only(payload).filters.entries[0].pcp is None
    assert encoded(decoded(payload), BLABLA) == ratified_ulpdu([numbered(1).with_vids(0x0064)])
    assert only(ratified_ulpdu([numbered(1).with_vids(0x8064)])).filters.entries[0].pcp == 0


BROKEN = {
    "association TLV has 24 octets, needs 25 and its filter info": tlv(3, bytes(24)),
    "association TLV has 0 octets, needs 25 and its filter info": tlv(3, b""),
    "association TLV has no filter info entries": numbered(1, entries=()).ratified(),
    "0 octets of filter info are not 1 entries of format 2": tlv(3, numbered(1).ratified()[2:27]),
    "9 octets of filter info are not 1 entries of format 2": tlv(3, numbered(1).ratified()[2:] + b"\0"),
    "8 octets of filter info are not 1 entries of format 4": numbered(1, filter_format=4).ratified(),
    "8 octets of filter info are not 1 entries of format 1": numbered(1, filter_format=1).ratified(),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_one_broken_vsi_is_dropped(reason: str) -> None:
    """The others are not, and organizational TLVs do not pass on to one of them."""
    before, after = numbered(2), numbered(3, organizational=(b"\0\0\x0cafter",))
    octets = BROKEN[reason] + tlv(127, b"\0\0\x0clost")
    reading = decoded(tlv(5, BLABLA) + before.ratified() + octets + after.ratified() + END)
    assert [(error.reason, error.offset) for error in reading.errors] == [(reason, 18 + len(before.ratified()))]
    assert [vsi.vsi_id.octets for vsi in reading.vsis] == [before.vsi_id, after.vsi_id]
    assert [len(vsi.organizational) for vsi in reading.vsis] == [0, 1]
    assert reading.explicit_end


def test_an_unknown_format_without_entries_is_dropped() -> None:
    reading = decoded(ratified_ulpdu([numbered(1, filter_format=9, entries=())]))
    assert not reading.vsis and reading.errors[0].reason == "association TLV has no filter info entries"


# The ULPDU.


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        END,
        b"\x0a",
        tlv(5, bytes(15)) + bytes(1),
        tlv(5, bytes(17)),
        tlv(5, BLABLA)[:17],
        numbered(1).ratified(),
        numbered(1).ratified() + tlv(5, BLABLA),
        tlv(127, b"\0\0\x0c") + ratified_ulpdu([numbered(1)]),
        tlv(5, BLABLA) + ratified_ulpdu([numbered(1)]),
        tlv(5, BLABLA) + numbered(1).ratified() + tlv(5, BLABLA),
        tlv(5, BLABLA) + numbered(1).ratified() + tlv(5, b""),
    ],
)
def test_other_than_one_manager_at_the_front(payload: bytes) -> None:
    for from_station in (True, False):
        with pytest.raises(DecodeError):
            decoded(payload, from_station)


def test_a_manager_behind_the_end_is_not_looked_at() -> None:
    reading = decoded(ratified_ulpdu([numbered(1)]) + ratified_ulpdu([numbered(2)]))
    assert len(reading.vsis) == 1 and reading.explicit_end


def test_no_vsi_at_all() -> None:
    assert decoded(tlv(5, BLABLA)) == Reading(())
    assert decoded(tlv(5, BLABLA) + END) == Reading((), explicit_end=True)
    assert decoded(tlv(5, BLABLA) + bytes(30)) == Reading((), explicit_end=True)


def test_the_end_is_explicit_when_it_is_there() -> None:
    vsis = [numbered(1), numbered(2)]
    assert not decoded(ratified_ulpdu(vsis, end=False)).explicit_end
    assert decoded(ratified_ulpdu(vsis)).explicit_end
    assert decoded(ratified_ulpdu(vsis) + b"\xff\xff").explicit_end
    broken = decoded(ratified_ulpdu(vsis, end=False) + b"\0\1x")
    assert not broken.explicit_end and broken.errors[0].reason == "End TLV has 1 octets" and len(broken.vsis) == 2


@pytest.mark.parametrize("kind", [6, 7, 126])
def test_types_that_are_not_known_are_skipped(kind: int) -> None:
    vsis = numbered(1).ratified() + tlv(kind, b"\xff" * 300) + numbered(2).ratified()
    reading = decoded(tlv(5, BLABLA) + tlv(kind, b"") + vsis + END)
    assert len(reading.vsis) == 2 and reading.skipped == 2 and not reading.errors and reading.explicit_end


def test_organizational_tlvs_belong_to_the_vsi_before() -> None:
    one, other = b"\0\0\x0c\xf1abc", b"\0\3\xba\1\1"
    vsis = [numbered(1, organizational=(one, other)), numbered(2), numbered(3, organizational=(b"\0\0\0",))]
    payload = ratified_ulpdu(vsis)
    reading = decoded(payload)
    assert [vsi.organizational for vsi in reading.vsis] == [
        (OrganizationalTlv(b"\0\0\x0c", b"\xf1abc"), OrganizationalTlv(b"\0\3\xba", b"\1\1")),
        (),
        (OrganizationalTlv(b"\0\0\0", b""),),
    ]
    assert encoded(reading, BLABLA) == payload


def test_organizational_tlvs_before_any_vsi_are_skipped() -> None:
    reading = decoded(tlv(5, BLABLA) + tlv(127, b"\0\0\x0cx") + numbered(1).ratified() + END)
    assert reading.skipped == 1 and reading.vsis[0].organizational == ()


def test_an_organizational_tlv_without_oui_is_dropped() -> None:
    vsi = numbered(1).ratified()
    reading = decoded(tlv(5, BLABLA) + vsi + tlv(127, b"\0\0") + tlv(127, b"\0\0\x0cx") + END)
    assert reading.vsis[0].organizational == (OrganizationalTlv(b"\0\0\x0c", b"x"),)
    assert [error.offset for error in reading.errors] == [18 + len(vsi)]


WHOLE = ratified_ulpdu([numbered(1), numbered(2, organizational=(b"\0\0\x0c\xf1vm",)), numbered(3)])


@pytest.mark.parametrize("payload", [ASSOCIATE, WHOLE], ids=["one", "three"])
def test_every_truncation(payload: bytes) -> None:
    whole = decoded(payload)
    for length in range(len(payload)):
        try:
            reading = decoded(payload[:length])
        except DecodeError:
            assert length < 18
            continue
        vsis = [vsi._replace(organizational=()) for vsi in reading.vsis]
        assert vsis == [vsi._replace(organizational=()) for vsi in whole.vsis[: len(vsis)]]
        assert len(reading.errors) <= 1 and not reading.explicit_end
        # Either the cut is between two TLVs, or it is noticed; and what is left is what was there.
        left = encoded(reading, BLABLA).removesuffix(END)
        assert payload.startswith(left) and (left == payload[:length]) is (not reading.errors)


@pytest.mark.parametrize("from_station", [True, False])
@pytest.mark.parametrize(
    "payload",
    [ASSOCIATE, WHOLE, *(tlv(5, BLABLA) + bytes.fromhex(octets) for octets in FORMATS)],
    ids=["one", "three", *(f"format-{filters.format}-{len(filters.entries)}" for filters in FORMATS.values())],
)
@pytest.mark.parametrize(
    "masks", [SOME_MASKS, pytest.param(range(1, 256), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_every_change_of_one_octet(payload: bytes, from_station: bool, masks: Sequence[int]) -> None:
    before = set(decoded(payload, from_station).vsis)
    for place in range(len(payload)):
        for mask in masks:
            try:
                reading = decoded(payload[:place] + bytes([payload[place] ^ mask]) + payload[place + 1 :], from_station)
            except DecodeError as error:
                assert 0 <= error.offset < len(payload)
                continue
            for vsi in set(reading.vsis) - before:
                # As it would be said again, it is the same.
                again = decoded(RATIFIED.assemble(vsi.manager, [RATIFIED.encode_tlv(vsi)]), from_station)
                assert again == Reading((vsi,), explicit_end=True)


@given(st.binary(max_size=200), st.booleans())
def test_any_octets_behind_the_manager(octets: bytes, from_station: bool) -> None:
    try:
        reading = decoded(tlv(5, BLABLA) + octets, from_station)
    except DecodeError:
        return
    for error in reading.errors:
        assert 18 <= error.offset < 18 + len(octets)


VSIS = st.builds(
    partial(VsiTlv),  # else the fields that have a default would be made up as well
    st.sampled_from(Mode),
    st.builds(VsiId, st.integers(0, 255), st.binary(min_size=16, max_size=16)),
    st.just(BLABLA),
    st.integers(0, 0xFFFFFF),
    st.integers(0, 255),
    valid_filters()
    | st.builds(Filters, st.integers(5, 255), st.just(()), st.integers(1, 0xFFFF), st.binary(max_size=99)),
    organizational=st.lists(
        st.builds(OrganizationalTlv, st.binary(min_size=3, max_size=3), st.binary(max_size=MOST_ORGANIZATIONAL)),
        max_size=2,
    ).map(tuple),
)


@given(st.lists(VSIS, max_size=4), st.sampled_from([Hint.NONE, Hint.MIGRATE, Hint.SUSPEND]))
def test_requests_round_trip(vsis: list[VsiTlv], hint: Hint) -> None:
    said = tuple(vsi._replace(hint=hint) for vsi in vsis)
    assert decoded(encoded(Reading(said), BLABLA)) == Reading(said, explicit_end=True)


@given(st.lists(VSIS, max_size=4), st.sampled_from(CODES), st.booleans(), st.booleans())
def test_responses_round_trip(vsis: list[VsiTlv], response: Response, keep: bool, hard: bool) -> None:
    said = tuple(vsi._replace(response=response, keep=keep, hard=hard) for vsi in vsis)
    code = CODES.index(response)
    heard = tuple(vsi._replace(code=code) for vsi in said)
    assert decoded(encoded(Reading(said), BLABLA), False) == Reading(heard, explicit_end=True)


# Timers, and what can be asked.


def test_timers_as_the_sheet_has_them() -> None:
    """Measured with lldpad, and HPE's table (sheet `vdp.md` 3)."""
    assert RATIFIED.timers(4, 14, 20, 20).tolerance == pytest.approx(17.94 * SECOND, abs=SECOND // 100)
    assert RATIFIED.timers(4, 13, 20, 20).tolerance == pytest.approx(16.83 * SECOND, abs=SECOND // 100)
    assert RATIFIED.timers(3, 14, 19, 20).response_wait == pytest.approx(9.58 * SECOND, abs=SECOND // 100)
    assert RATIFIED.timers(3, 16, 20, 20).tolerance == pytest.approx(22.61 * SECOND, abs=SECOND // 100)
    assert RATIFIED.timers(3, 14, 20, 20).keep_alive == 10_485_760
    assert RATIFIED.timers(3, 14, 25, 27).resource_wait == pytest.approx(335.5 * SECOND, abs=SECOND // 10)


def test_timers_are_exact() -> None:
    assert RATIFIED.timers(0, 0, 0, 0) == Timers(30, 10, 30, 10)
    assert RATIFIED.timers(7, 31, 31, 31).keep_alive == 10 * 2**31, "no overflow (interop-notes E8)"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vsi_id": VsiId(9, bytes(16))}, "instance: VSI ID format 9"),
        ({"vsi_id": VsiId(0, bytes(16))}, "instance: VSI ID format 0"),
        ({"filters": Filters(2, ())}, "filter: there is none"),
        ({"filters": Filters(9, (), 1, b"x")}, "filter: format 9"),
        ({"filters": Filters(1, (FilterEntry(4095, None, None, None),))}, "filter 1: VID 4095"),
        ({"organizational": (OrganizationalTlv(b"abc", bytes(509)),)}, "organizational: 509 octets"),
    ],
)
def test_what_a_station_cannot_ask(change: dict[str, Any], said: str) -> None:
    problem = RATIFIED.check(only(ASSOCIATE)._replace(**change))
    assert problem is not None and problem.startswith(said)


@given(valid_filters())
def test_what_a_station_can_ask(filters: Filters) -> None:
    organizational = (encode(CiscoVmName(UUID, UUID, "web01")), OrganizationalTlv(b"abc", bytes(MOST_ORGANIZATIONAL)))
    assert RATIFIED.check(only(ASSOCIATE)._replace(filters=filters, organizational=organizational)) is None


def test_what_differs_from_the_draft() -> None:
    assert (RATIFIED.name, RATIFIED.one_manager, RATIFIED.overhead) == ("ratified", True, 20)
