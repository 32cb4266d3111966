"""The TLVs of IEEE DCBX: octets of lldpad and of switches both ways, cut and changed."""

import pytest

from protocols.dcbx import ieee
from protocols.dcbx.ieee import decode, encode
from protocols.dcbx.model import (
    Application,
    ApplicationPriority,
    ApplicationVlan,
    ApplicationVlanEntry,
    EtsConfiguration,
    EtsRecommendation,
    IeeeTlv,
    PfcConfiguration,
    Selector,
    TransmissionSelection,
)
from protocols.errors import DecodeError
from tests.support.bodies import check_both_ways, check_changed, check_cut

STRICT, ETS, VENDOR = (
    TransmissionSelection.STRICT_PRIORITY,
    TransmissionSelection.ENHANCED_TRANSMISSION_SELECTION,
    TransmissionSelection.VENDOR_SPECIFIC,
)
ZEROES = (0, 0, 0, 0, 0, 0, 0, 0)
EVERY_SELECTOR = (
    Application(3, Selector.ETHERTYPE, 0x8906),
    Application(4, Selector.TCP_SCTP, 3260),
    Application(5, Selector.UDP_DCCP, 4791),
    Application(6, Selector.TCP_SCTP_UDP_DCCP, 123),
    Application(2, Selector.DSCP, 26),
)

# Subtype, octets after it, value, reserved bits, the shorter lengths that are complete.
KNOWN: list[tuple[int, str, IeeeTlv, str, tuple[int, ...]]] = [
    (9, "80" + 20 * "00", EtsConfiguration(True, False, 8, ZEROES, ZEROES, ZEROES), "38", ()),  # lldpad, unconfigured
    (
        9,
        "000001122728 3c00000000 0000 0202 0000 0000 00ff",
        EtsConfiguration(
            False,
            False,
            8,
            (0, 0, 0, 1, 1, 2, 2, 7),
            (40, 60, 0, 0, 0, 0, 0, 0),
            (ETS, ETS, STRICT, STRICT, STRICT, STRICT, STRICT, VENDOR),
        ),
        "38",
        (),
    ),
    (
        9,
        "430001020030320200000000000202020000000000",
        EtsConfiguration(
            False,
            True,
            3,
            (0, 0, 0, 1, 0, 2, 0, 0),
            (48, 50, 2, 0, 0, 0, 0, 0),
            (ETS, ETS, ETS, STRICT, STRICT, STRICT, STRICT, STRICT),
        ),
        "38",
        (),
    ),
    (
        10,
        "000001122732320000000000000202000000000000",
        EtsRecommendation(
            (0, 0, 0, 1, 1, 2, 2, 7),
            (50, 50, 0, 0, 0, 0, 0, 0),
            (ETS, ETS, STRICT, STRICT, STRICT, STRICT, STRICT, STRICT),
        ),
        "ff",
        (),
    ),
    (11, "8808", PfcConfiguration(True, False, 8, 0x08), "30", ()),
    (11, "42ff", PfcConfiguration(False, True, 2, 0xFF), "30", ()),
    (12, "00", ApplicationPriority(), "ff", ()),
    (
        12,
        "00618906820cbca312b7c4007b45001a",
        ApplicationPriority(EVERY_SELECTOR),
        "ff" + 5 * "180000",
        (1, 4, 7, 10, 13),
    ),
    (12, "00e00000", ApplicationPriority((Application(7, 0, 0),)), "ff180000", (1,)),
    (16, "", ApplicationVlan(), "", ()),
    (
        16,
        "06418906 fff2 0cbc",
        ApplicationVlan(
            (
                ApplicationVlanEntry(100, Selector.ETHERTYPE, 0x8906),
                ApplicationVlanEntry(4095, Selector.TCP_SCTP, 3260),
            )
        ),
        "00080000 0008",
        (0, 4),
    ),
]
IDS = [f"{subtype}-{octets[:16]}" for subtype, octets, _, _, _ in KNOWN]


def write(value: object) -> bytes:
    return encode(value)[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(("subtype", "octets", "value", "reserved", "borders"), KNOWN, ids=IDS)
def test_known(subtype: int, octets: str, value: IeeeTlv, reserved: str, borders: tuple[int, ...]) -> None:
    body = bytes.fromhex(octets)
    check_both_ways(lambda data: decode(subtype, data), write, body, value)
    assert encode(value)[0] == subtype
    check_cut(lambda data: decode(subtype, data), body, borders)
    check_changed(lambda data: decode(subtype, data), write, body, reserved)


def test_where_they_live() -> None:
    assert ieee.OUI.hex() == "0080c2"
    for subtype in (0, 1, 8, 13, 14, 15, 17, 255):
        assert decode(subtype, bytes(40)) is None


def test_tables_may_be_followed_by_more() -> None:
    assert decode(11, bytes.fromhex("8808ffff")) == PfcConfiguration(True, False, 8, 0x08)


@pytest.mark.parametrize(("octets", "offset"), [("", 0), ("0061", 1), ("006189", 1), ("00618906 61", 4)])
def test_an_application_that_is_cut(octets: str, offset: int) -> None:
    with pytest.raises(DecodeError) as error:
        decode(12, bytes.fromhex(octets))
    assert error.value.offset == offset


def test_as_many_applications_as_fit_a_tlv() -> None:
    value = ApplicationPriority(tuple(Application(number % 8, 3, number) for number in range(168)))
    subtype, body = encode(value)
    assert 4 + len(body) == 509
    assert decode(subtype, body) == value


@pytest.mark.parametrize(
    "value",
    [
        EtsConfiguration(True, True, 0, ZEROES, ZEROES, ZEROES),
        EtsConfiguration(True, True, 9, ZEROES, ZEROES, ZEROES),
        EtsConfiguration(True, True, 8, (16, 0, 0, 0, 0, 0, 0, 0), ZEROES, ZEROES),
        EtsRecommendation(ZEROES, (256, 0, 0, 0, 0, 0, 0, 0), ZEROES),
        EtsRecommendation(ZEROES, (0, 0), ZEROES),  # type: ignore[arg-type]
        PfcConfiguration(True, True, 16, 0),
        PfcConfiguration(True, True, 8, 256),
        ApplicationPriority((Application(8, 1, 0),)),
        ApplicationPriority((Application(0, 8, 0),)),
        ApplicationVlan((ApplicationVlanEntry(4096, 1, 0),)),
    ],
)
def test_what_does_not_fit(value: IeeeTlv) -> None:
    with pytest.raises(ValueError, match=r"does not fit|not 1 to 8"):
        encode(value)
