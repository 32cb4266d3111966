"""What others are heard to say: who, in which scope, as whom; noise says nothing."""

from evbagent.overheard import FILTER, MOST_DIFFERENT, Announcement, announcements
from protocols.frame import Scope
from tests.support.lldpdus import (
    BRIDGE_REFLECTS,
    DRAFT,
    NEAREST_BRIDGE,
    NEAREST_NON_TPMR_BRIDGE,
    evb_tlv,
    frame,
    lldpdu,
    tlv,
)

MAC = bytes.fromhex("02000000000a")
OTHER = bytes.fromhex("02000000000b")


def test_who_says_what_how_often() -> None:
    plain = frame(MAC, lldpdu(MAC), NEAREST_BRIDGE)
    named = frame(OTHER, lldpdu(MAC, tlv(5, b"gu\x1best"), evb_tlv(BRIDGE_REFLECTS), port=b"\0\0\0\0\0\1"))
    msap = 4, MAC, 3, MAC
    assert announcements([plain, named, plain]) == {
        Announcement(MAC, Scope.NEAREST_BRIDGE, msap, "02:00:00:00:00:0a", "02:00:00:00:00:0a"): 2,
        Announcement(
            OTHER,
            Scope.NEAREST_CUSTOMER_BRIDGE,
            (4, MAC, 3, b"\0\0\0\0\0\1"),
            "02:00:00:00:00:0a",
            "00:00:00:00:00:01",
            r"gu\x1best",
            True,
        ): 1,
    }


def test_the_draft_is_evb_too() -> None:
    (text,) = announcements([frame(MAC, lldpdu(MAC, evb_tlv(bytes(9), DRAFT)), NEAREST_NON_TPMR_BRIDGE)])
    assert text.evb and text.scope is Scope.NEAREST_NON_TPMR_BRIDGE


def test_what_says_nothing() -> None:
    broken = frame(MAC, lldpdu(MAC)[9:])
    elsewhere = frame(MAC, lldpdu(MAC), bytes.fromhex("ffffffffffff"))
    assert not announcements([frame(MAC, lldpdu(MAC, ttl=0)), broken, elsewhere, b"", MAC, broken[:14]])


def test_the_filter_s_jumps_stay_in_it() -> None:
    for place, (code, true, false, _) in enumerate(FILTER):
        if code == 0x15:
            assert place + 1 + max(true, false) < len(FILTER)
    assert [code for code, *_ in FILTER[-2:]] == [0x06, 0x06]


def test_a_guest_that_sends_hundreds_is_not_read_to_the_end() -> None:
    crowd = [frame(MAC, lldpdu(bytes([2, 0, 0, 0, 1, number]))) for number in range(200)]
    own = frame(MAC, lldpdu(MAC))
    heard = announcements([own, *crowd, *[own] * 50])
    assert len(heard) == MOST_DIFFERENT
    (times,) = [times for text, times in heard.items() if text.msap == (4, MAC, 3, MAC)]
    assert times == 51, "the same again costs nothing, and counts"
