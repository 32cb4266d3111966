"""What the lab reads off the cable."""

import pytest

from evbagent.lab.guests import frame as guest_frame
from evbagent.lab.guests import frame_number
from evbagent.lab.wire import LldpFrame, agreement, says_active
from tests.support.lldpdus import BRIDGE_REFLECTS, DRAFT, RATIFIED, STATION_ASKS, evb_tlv, frame, lldpdu

HOST, SWITCH = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")

BRIDGE_OFFERS = bytes.fromhex("02006e5414")
STATION_HEARS_NO = bytes.fromhex("02066e9414")
STATION_AGREES = bytes.fromhex("03076e9414").replace(b"\x07", b"\x05")  # RRREQ, RRSTAT 1
# supported relay, RTE ECP VDP; configured relay, and what both have in common; no VSIs; RTE 15
DRAFT_HAS_HEARD = bytes.fromhex("400740070000" + "0000" + "0f")
DRAFT_ALONE = bytes.fromhex("400740000000" + "0000" + "0f")
DRAFT_STANDARD = bytes.fromhex("800780070000" + "0000" + "0f")


def heard(time: int, to_host: bool, body: bytes | None, kind: bytes = RATIFIED) -> LldpFrame:
    mac = SWITCH if to_host else HOST
    more = () if body is None else (evb_tlv(body, kind),)
    return LldpFrame(time, to_host, frame(mac, lldpdu(mac, *more)))


def test_agreement_is_when_the_second_end_says_so() -> None:
    talk = [
        heard(1, False, STATION_ASKS),
        heard(2, True, BRIDGE_OFFERS),
        heard(3, False, STATION_HEARS_NO),
        heard(4, True, BRIDGE_REFLECTS),
        heard(5, False, STATION_AGREES),
        heard(6, True, BRIDGE_REFLECTS),
    ]
    agreed = agreement(talk, "ratified")
    assert agreed is not None and agreed.time == 5
    assert agreement(talk[:4], "ratified") is None
    assert agreement(talk, "draft") is None


def test_an_end_that_takes_it_back_does_not_count() -> None:
    talk = [heard(1, True, BRIDGE_REFLECTS), heard(2, True, BRIDGE_OFFERS), heard(3, False, STATION_AGREES)]
    assert agreement(talk, "ratified") is None


def test_in_the_draft_only_who_has_heard_the_other_counts() -> None:
    alone = [heard(1, True, DRAFT_ALONE, DRAFT), heard(2, False, DRAFT_HAS_HEARD, DRAFT)]
    assert agreement(alone, "draft") is None
    agreed = agreement([*alone, heard(3, True, DRAFT_HAS_HEARD, DRAFT)], "draft")
    assert agreed is not None and agreed.time == 3
    found = heard(1, True, DRAFT_STANDARD, DRAFT).evb()
    assert found is not None and not says_active(found[1], by_bridge=True)


@pytest.mark.parametrize("data", [frame(SWITCH, b"\0\0"), b"\0" * 13, frame(SWITCH, lldpdu(SWITCH, evb_tlv(b"\1")))])
def test_what_cannot_be_read_says_nothing(data: bytes) -> None:
    assert LldpFrame(0, True, data).evb() is None
    assert agreement([LldpFrame(0, True, data)], "ratified") is None


def test_guests_frames_are_told_from_others() -> None:
    data = guest_frame(SWITCH, HOST, 1 << 40)
    assert len(data) == 60 and data[:12] == SWITCH + HOST
    assert frame_number(data) == 1 << 40
    assert frame_number(frame(HOST, lldpdu(HOST))) is None
    assert frame_number(data[:20]) is None
