"""The draft's VDP: real ULPDUs both ways, every truncation, every change of one octet, each rule of the decoder."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import DecodeError
from protocols.timers import SECOND
from protocols.vdp.draft import DRAFT
from protocols.vdp.edition import Reading
from protocols.vdp.filter import FilterEntry, Filters
from protocols.vdp.vsi import Hint, Mode, OrganizationalTlv, Response, VsiId, VsiTlv, parse_vsi_id
from tests.support.lldpdus import tlv
from tests.support.vdpdus import DRAFT_OUI, END, GROUP_VID, VID, draft_ulpdu, ecp_octets, mac_vid, numbered
from tests.support.wire import captured

STATION = bytes.fromhex("02000000000a")
UUID = parse_vsi_id("fa9b7fff-b0a0-4893-8e0e-beef4ff18f03")
MANAGER = b"\x0c" + bytes(15)
MAC = bytes.fromhex("525400c73e03")
# Sheet `vdp.md` 8, lldpad-draft02-vdp-answered: Associate.
ASSOCIATE = bytes.fromhex("fe26 001b3f 02 02 00 0c 123456 01") + UUID.octets
ASSOCIATE += bytes.fromhex("02 0001 525400c73e03 0003 0000")
CODES = (
    Response.SUCCESS,
    Response.INVALID_FORMAT,
    Response.INSUFFICIENT_RESOURCES,
    Response.UNUSED_VTID,
    Response.VTID_VIOLATION,
    Response.VTID_VERSION_VIOLATION,
    Response.OUT_OF_SYNC,
)
# Each bit alone, and all of them; every other change is for the long run.
SOME_MASKS = (*(1 << bit for bit in range(8)), 255)


def decoded(payload: bytes, from_station: bool = True) -> Reading:
    return DRAFT.decode(payload, from_station)


def only(payload: bytes, from_station: bool = True) -> VsiTlv:
    reading = decoded(payload, from_station)
    assert not reading.errors and not reading.skipped
    (vsi,) = reading.vsis
    return vsi


def encoded(reading: Reading) -> bytes:
    return DRAFT.assemble(b"", [DRAFT.encode_tlv(vsi) for vsi in reading.vsis])


def test_the_associate_of_the_sheet() -> None:
    filters = Filters(2, (FilterEntry(3, None, MAC, None),))
    vsi = VsiTlv(Mode.ASSOCIATE, UUID, MANAGER, 0x123456, 1, filters)
    assert decoded(ASSOCIATE) == Reading((vsi,), explicit_end=True)
    assert decoded(ASSOCIATE, False) == Reading((vsi._replace(response=Response.SUCCESS),), explicit_end=True)
    assert encoded(decoded(ASSOCIATE)) == encoded(decoded(ASSOCIATE, False)) == ASSOCIATE
    assert len(ASSOCIATE) == len(DRAFT.encode_tlv(vsi)) + DRAFT.overhead


def captured_ulpdus(name: str) -> Iterator[tuple[bytes, bool]]:
    """Payloads of VDP in ECP requests, and whether the station sent them."""
    for _, data in captured(name):
        ecpdu = ecp_octets(data)
        if ecpdu and not ecpdu.acknowledgment and ecpdu.draft:
            yield ecpdu.payload, data[6:12] == STATION


@pytest.mark.parametrize("name", ["lldpad-draft02-two-lldpads.pcap", "lldpad-draft02-vdp-answered.pcap"])
def test_captures_both_ways(name: str) -> None:
    vsis = []
    for payload, from_station in captured_ulpdus(name):
        reading = decoded(payload, from_station)
        assert reading.explicit_end and not reading.errors and not reading.skipped
        assert encoded(reading) == payload.rstrip(b"\0") + END
        vsis += reading.vsis
    assert len(vsis) >= 2


def test_what_lldpad_is_answered() -> None:
    answers = {
        (vsi.type_id, vsi.mode, vsi.response, vsi.code)
        for payload, from_station in captured_ulpdus("lldpad-draft02-vdp-answered.pcap")
        if not from_station
        for vsi in decoded(payload, from_station).vsis
    }
    assert (0x123456, Mode.ASSOCIATE, Response.SUCCESS, 0) in answers
    assert (402, Mode.ASSOCIATE, Response.INSUFFICIENT_RESOURCES, 2) in answers
    assert (407, Mode.DEASSOCIATE, Response.SUCCESS, 0) in answers


def test_the_first_ecpdu_is_empty() -> None:
    """And padded (interop-notes P8)."""
    assert decoded(bytes(37)) == decoded(END) == Reading((), explicit_end=True)
    assert decoded(b"") == Reading(())


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("code", range(7))
def test_the_direction_tells_a_response(mode: Mode, code: int) -> None:
    payload = draft_ulpdu([numbered(1, mode, status=code, manager=MANAGER)])
    response = only(payload, from_station=False)
    assert (response.mode, response.response, response.code) == (mode, CODES[code], code)
    assert encoded(Reading((response,))) == payload
    request = only(payload)
    assert (request.mode, request.response, request.code) == (mode, None, 0)
    assert encoded(Reading((request,))) == draft_ulpdu([numbered(1, mode, manager=MANAGER)]), "but for its response"


@pytest.mark.parametrize("code", [7, 255])
def test_responses_that_are_not_known(code: int) -> None:
    payload = draft_ulpdu([numbered(1, status=code), numbered(2)])
    reading = decoded(payload, from_station=False)
    assert [vsi.vsi_id.octets for vsi in reading.vsis] == [numbered(2).vsi_id]
    assert [(error.reason, error.offset) for error in reading.errors] == [(f"response {code} is not known", 0)]
    assert len(decoded(payload).vsis) == 2, "in a request it is nothing"


@pytest.mark.parametrize("response", Response)
def test_each_response_has_a_code(response: Response) -> None:
    vsi = only(ASSOCIATE)._replace(response=response, code=99, keep=True, hard=True)
    said = only(encoded(Reading((vsi,))), from_station=False)
    assert said.response is (response if response in CODES else Response.INSUFFICIENT_RESOURCES)
    assert not said.keep and not said.hard


def test_what_the_draft_has_no_words_for() -> None:
    vsi = only(ASSOCIATE)._replace(hint=Hint.MIGRATE, organizational=(OrganizationalTlv(b"abc", b""),))
    assert DRAFT.check(vsi) is None and encoded(Reading((vsi,))) == ASSOCIATE


BROKEN = {
    "VDP TLV has 29 octets, needs 30 and its filter info": tlv(127, numbered(1).draft()[2:31]),
    "VDP TLV has 4 octets, needs 30 and its filter info": tlv(127, DRAFT_OUI + b"\2"),
    "mode 4 is not known": numbered(1, kind=5).draft(),
    "mode 255 is not known": numbered(1, kind=256).draft(),
    "filter info format 1 is not known": numbered(1, filter_format=VID, entries=(b"\0\1",)).draft(),
    "filter info format 3 is not known": numbered(1, filter_format=GROUP_VID, entries=(b"\0\0\0\1\0\1",)).draft(),
    "VDP TLV has no filter info entries": numbered(1, entries=()).draft(),
    "0 octets of filter info are not 1 entries": tlv(127, numbered(1).draft()[2:32]),
    "9 octets of filter info are not 1 entries": tlv(127, numbered(1).draft()[2:] + b"\0"),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_one_broken_vsi_is_dropped(reason: str) -> None:
    before, after = numbered(2).draft(), numbered(3).draft()
    for from_station in (True, False):
        reading = decoded(before + BROKEN[reason] + after + END, from_station)
        assert [(error.reason, error.offset) for error in reading.errors] == [(reason, len(before))]
        assert [vsi.vsi_id.octets for vsi in reading.vsis] == [numbered(2).vsi_id, numbered(3).vsi_id]
        assert reading.explicit_end


def test_other_tlvs_are_skipped() -> None:
    others = (tlv(1, b"x"), tlv(5, bytes(16)), tlv(127, b"\0"), tlv(127, b"\0\0\x0c\2"), tlv(127, DRAFT_OUI + b"\1"))
    # The last one is too short for a subtype, which the TLV after it must not lend it.
    others += (tlv(127, DRAFT_OUI), tlv(1, b""))
    reading = decoded(b"".join(others) + draft_ulpdu([numbered(1)]))
    assert len(reading.vsis) == 1 and reading.skipped == len(others) and not reading.errors


def test_each_vsi_has_a_manager_of_its_own() -> None:
    vsis = [numbered(number, manager=bytes([number]) + bytes(15)) for number in (0, 12, 255)]
    assert [vsi.manager for vsi in decoded(draft_ulpdu(vsis)).vsis] == [vsi.manager for vsi in vsis]


def test_a_vlan_is_a_plain_number() -> None:
    payload = draft_ulpdu([numbered(1, manager=MANAGER, entries=(mac_vid(MAC, 0xB014), mac_vid(MAC, 0)))])
    vsi = only(payload)
    assert [(entry.vid, entry.pcp) for entry in vsi.filters.entries] == [(0xB014, None), (0, None)]
    assert encoded(Reading((vsi,))) == payload


def test_the_end_is_explicit_when_it_is_there() -> None:
    assert not decoded(numbered(1).draft()).explicit_end
    assert decoded(draft_ulpdu([numbered(1)]) + b"\xff\xff").explicit_end
    broken = decoded(numbered(1).draft() + b"\0\1x")
    assert not broken.explicit_end and broken.errors[0].reason == "End TLV has 1 octets" and len(broken.vsis) == 1


WHOLE = draft_ulpdu([numbered(number, manager=MANAGER) for number in range(3)])


@pytest.mark.parametrize("payload", [ASSOCIATE, WHOLE], ids=["one", "three"])
def test_every_truncation(payload: bytes) -> None:
    whole = decoded(payload)
    for length in range(len(payload)):
        reading = decoded(payload[:length])
        assert reading.vsis == whole.vsis[: len(reading.vsis)] and not reading.explicit_end
        left = encoded(reading).removesuffix(END)
        assert (left == payload[:length]) is (not reading.errors) and len(reading.errors) <= 1


@pytest.mark.parametrize("from_station", [True, False])
@pytest.mark.parametrize("payload", [ASSOCIATE, WHOLE], ids=["one", "three"])
@pytest.mark.parametrize(
    "masks", [SOME_MASKS, pytest.param(range(1, 256), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_every_change_of_one_octet(payload: bytes, from_station: bool, masks: Sequence[int]) -> None:
    before = set(decoded(payload, from_station).vsis)
    for place in range(len(payload)):
        for mask in masks:
            reading = decoded(payload[:place] + bytes([payload[place] ^ mask]) + payload[place + 1 :], from_station)
            changed = tuple(set(reading.vsis) - before)
            if changed:
                assert decoded(encoded(Reading(changed)), from_station) == Reading(changed, explicit_end=True)


@given(st.binary(max_size=200), st.booleans())
def test_any_octets(octets: bytes, from_station: bool) -> None:
    for error in decoded(octets, from_station).errors:
        assert isinstance(error, DecodeError) and 0 <= error.offset < len(octets)


ENTRIES = st.builds(FilterEntry, st.integers(0, 0xFFFF), st.none(), st.binary(min_size=6, max_size=6), st.none())
VSIS = st.builds(
    partial(VsiTlv),  # else the fields that have a default would be made up as well
    st.sampled_from(Mode),
    st.builds(VsiId, st.just(5), st.binary(min_size=16, max_size=16)),
    st.integers(0, 255).map(lambda octet: bytes([octet]) + bytes(15)),
    st.integers(0, 0xFFFFFF),
    st.integers(0, 255),
    st.builds(Filters, st.just(2), st.lists(ENTRIES, min_size=1, max_size=60).map(tuple)),
)


@given(st.lists(VSIS, max_size=4), st.sampled_from([None, *CODES]))
def test_round_trips(vsis: list[VsiTlv], response: Response | None) -> None:
    code = 0 if response is None else CODES.index(response)
    said = tuple(vsi._replace(response=response, code=code) for vsi in vsis)
    assert decoded(encoded(Reading(said)), response is None) == Reading(said, explicit_end=True)


def test_timers_are_fixed() -> None:
    timers = DRAFT.timers(3, 14, 20, 20)
    assert timers == DRAFT.timers(7, 31, 31, 31)
    assert (timers.response_wait, timers.keep_alive) == (3 * SECOND, 10 * SECOND)
    assert timers.tolerance > timers.keep_alive + timers.response_wait
    assert timers.resource_wait < timers.response_wait


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vsi_id": VsiId(3, bytes(16))}, "instance: "),
        ({"manager": b"\x0c\0" + bytes(13) + b"\1"}, "manager: "),
        ({"filters": Filters(1, (FilterEntry(5, None, None, None),))}, "filter: the draft has"),
        ({"filters": Filters(4, (FilterEntry(5, None, MAC, 7),))}, "filter: the draft has"),
        ({"filters": Filters(2, ())}, "filter: there is none"),
        ({"filters": Filters(2, (FilterEntry(5, None, MAC, None), FilterEntry(6, 0, MAC, None)))}, "filter 2: "),
        ({"filters": Filters(2, (FilterEntry(0, None, MAC, None),))}, "filter 1: in the draft no VID"),
        ({"filters": Filters(2, (FilterEntry(4095, None, MAC, None),))}, "filter 1: VID 4095"),
    ],
)
def test_what_a_station_cannot_ask(change: dict[str, Any], said: str) -> None:
    problem = DRAFT.check(only(ASSOCIATE)._replace(**change))
    assert problem is not None and problem.startswith(said)


def test_what_a_station_can_ask() -> None:
    assert DRAFT.check(only(ASSOCIATE)) is None
    assert DRAFT.check(only(ASSOCIATE)._replace(manager=bytes(16))) is None


def test_what_differs_from_the_ratified_edition() -> None:
    assert (DRAFT.name, DRAFT.one_manager, DRAFT.overhead) == ("draft", False, 2)
