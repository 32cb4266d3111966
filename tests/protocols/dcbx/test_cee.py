"""The TLVs of CEE and CIN: octets of lldpad and of switches both ways, cut and changed."""

from dataclasses import replace

import pytest

from protocols.dcbx.cee import decode, encode
from protocols.dcbx.model import (
    CEE_OUI,
    LINK_STRICT_GROUP,
    CeeApplication,
    CeeApplications,
    CeeSelector,
    CinApplication,
    CinPriority,
    CinPriorityGroups,
    Control,
    Feature,
    LegacyPfc,
    LegacySubtype,
    LegacyTlv,
    LogicalLink,
    OtherFeature,
    PriorityGroups,
    StrictPriority,
    SubTlv,
)
from protocols.errors import DecodeError
from tests.support.bodies import changes, check_both_ways

CEE, CIN = LegacySubtype.CEE, LegacySubtype.CIN
ENABLED = Feature(enable=True)
FCOE = CeeApplication(0x8906, CeeSelector.ETHERTYPE, CEE_OUI, 0x08)
ISCSI = CeeApplication(0x0CBC, CeeSelector.TCP_UDP, CEE_OUI, 0x10)
FIP = CeeApplication(0x8914, CeeSelector.ETHERTYPE, CEE_OUI, 0x08)

LLDPAD_CEE = (
    "020a 00000000000200000001 0411 000080000000111f194b00000000000008 0606 000080000808"
    "0816 000080008906001b21080cbc011b21108914001b2108"
)
LLDPAD_CIN = (
    "020a 00000000000200000002 041c 00008000194b00000000000000642064406460648064a064c064f000 0605 0000800008"
    "0a05 0000800008 0c05 0000e00000"
)
KNOWN: list[tuple[int, str, LegacyTlv]] = [
    (
        CEE,
        LLDPAD_CEE,
        LegacyTlv(
            CEE,
            (
                Control(0, 0, 2, 1),
                PriorityGroups(ENABLED, (0, 0, 0, 0, 1, 1, 1, LINK_STRICT_GROUP), (25, 75, 0, 0, 0, 0, 0, 0), 8),
                LegacyPfc(ENABLED, 0x08, 8),
                CeeApplications(ENABLED, (FCOE, ISCSI, FIP)),
            ),
        ),
    ),
    (
        CEE,  # Dell OS10
        "020a 00000000000100000000 0411 00008000000000002e0101300101010108 0606 000080000808"
        "0810 000080008914001b21088906001b2108",
        LegacyTlv(
            CEE,
            (
                Control(0, 0, 1, 0),
                PriorityGroups(ENABLED, (0, 0, 0, 0, 0, 0, 0, 0), (46, 1, 1, 48, 1, 1, 1, 1), 8),
                LegacyPfc(ENABLED, 0x08, 8),
                CeeApplications(ENABLED, (FIP, FCOE)),
            ),
        ),
    ),
    (
        CIN,
        LLDPAD_CIN,
        LegacyTlv(
            CIN,
            (
                Control(0, 0, 2, 2),
                CinPriorityGroups(
                    ENABLED,
                    (25, 75, 0, 0, 0, 0, 0, 0),
                    (
                        *(CinPriority(group, StrictPriority.NONE, 100) for group in range(7)),
                        CinPriority(7, StrictPriority.LINK, 0),
                    ),
                ),
                LegacyPfc(ENABLED, 0x08),
                CinApplication(ENABLED, 0x08),
                LogicalLink(Feature(enable=True, willing=True, error=True), False),
            ),
        ),
    ),
    (
        CIN,  # Cisco Nexus: the LAN's link is up
        "020a 00000000000100000000 0c05 0000800180",
        LegacyTlv(CIN, (Control(0, 0, 1, 0), LogicalLink(Feature(enable=True, sub_type=1), True))),
    ),
    (CEE, "", LegacyTlv(CEE)),
    (CEE, "12 03 010203", LegacyTlv(CEE, (OtherFeature(9, b"\1\2\3"),))),
    (CIN, "0802 0102", LegacyTlv(CIN, (OtherFeature(4, b"\1\2"),))),
    (CEE, "0804 00008000", LegacyTlv(CEE, (CeeApplications(ENABLED),))),
]
IDS = [f"{subtype}-{octets[:16]}" for subtype, octets, _ in KNOWN]


def write(value: object) -> bytes:
    return encode(value)[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(("subtype", "octets", "value"), KNOWN, ids=IDS)
def test_known(subtype: int, octets: str, value: LegacyTlv) -> None:
    check_both_ways(lambda data: decode(subtype, data), write, bytes.fromhex(octets), value)
    assert encode(value)[0] == subtype


@pytest.mark.parametrize(("subtype", "octets", "value"), KNOWN, ids=IDS)
def test_cut(subtype: int, octets: str, value: LegacyTlv) -> None:
    """Only between sub-TLVs, where those before are read; the last sub-TLV may lose whole applications."""
    body = bytes.fromhex(octets)
    borders = [len(write(LegacyTlv(subtype, value.sub_tlvs[:count]))) for count in range(len(value.sub_tlvs))]
    for length in range(len(body)):
        if length in borders:
            assert decode(subtype, body[:length]) == LegacyTlv(subtype, value.sub_tlvs[: borders.index(length)])
        else:
            with pytest.raises(DecodeError) as error:
                decode(subtype, body[:length])
            assert 0 <= error.value.offset <= length


@pytest.mark.parametrize(("subtype", "octets"), [row[:2] for row in KNOWN], ids=IDS)
def test_changed(subtype: int, octets: str) -> None:
    """A DecodeError, or a value that is read again from its own octets, which are those that came or fewer."""
    for changed in changes(bytes.fromhex(octets)):
        try:
            read = decode(subtype, changed)
        except DecodeError as error:
            assert 0 <= error.offset <= len(changed)
            continue
        assert read is not None
        again = write(read)
        assert decode(subtype, again) == read
        assert len(again) <= len(changed)


@pytest.mark.parametrize(
    ("octets", "reason", "offset"),
    [
        ("02ff", "TLV type 1 claims 255 octets of 0 left", 0),
        ("0400", "DCBX sub-TLV 2: 0 octets are left, 4 are needed", 2),
        ("020a 00000000000200000001 0606 0000800008", "TLV type 3 claims 6 octets of 5 left", 12),
        ("020a 00000000000200000001 0605 0000800008", "DCBX sub-TLV 3: 1 octets are left, 2 are needed", 18),
        ("0805 0000800001", "DCBX sub-TLV 4: 1 octets are left, 6 are needed", 6),
        ("04", "one octet is left, too few for a TLV", 0),
    ],
)
def test_errors(octets: str, reason: str, offset: int) -> None:
    with pytest.raises(DecodeError) as error:
        decode(CEE, bytes.fromhex(octets))
    assert (error.value.reason, error.value.offset) == (reason, offset)


def test_reserved_bits_and_what_follows_are_ignored() -> None:
    assert decode(CEE, bytes.fromhex("0608 00009f0008080000")) == LegacyTlv(CEE, (LegacyPfc(ENABLED, 8, 8),))
    assert decode(CIN, bytes.fromhex("0c05 000080017f")) == LegacyTlv(
        CIN, (LogicalLink(replace(ENABLED, sub_type=1), False),)
    )
    assert decode(CEE, bytes.fromhex("0606 000080000808 0000 ffff")) == LegacyTlv(CEE, (LegacyPfc(ENABLED, 8, 8),))


def test_a_sub_tlv_that_comes_twice_is_there_twice() -> None:
    control = Control(0, 0, 1, 2)
    twice = LegacyTlv(CEE, (control, control))
    assert decode(*encode(twice)) == twice


@pytest.mark.parametrize("subtype", [0, 3, 255])
def test_other_subtypes(subtype: int) -> None:
    assert decode(subtype, b"") is None
    with pytest.raises(ValueError, match="neither CEE nor CIN"):
        encode(LegacyTlv(subtype))


@pytest.mark.parametrize(
    ("subtype", "value"),
    [
        (CEE, CinApplication(ENABLED, 1)),
        (CEE, LegacyPfc(ENABLED, 1)),
        (CEE, CinPriorityGroups(ENABLED, (0, 0, 0, 0, 0, 0, 0, 0), ())),
        (CEE, LogicalLink(ENABLED, True)),
        (CEE, LegacyPfc(ENABLED, 256, 8)),
        (CEE, Control(0, 0, 1 << 32, 0)),
        (CEE, CeeApplications(ENABLED, (replace(FCOE, oui=b"\x01\x1b\x21"),))),
        (CEE, CeeApplications(ENABLED, (replace(FCOE, oui=b"\x00\x1b"),))),
        (CEE, CeeApplications(ENABLED, (replace(FCOE, selector=4),))),
        (CEE, OtherFeature(128, b"")),
        (CIN, LegacyPfc(ENABLED, 1, 8)),
        (CIN, CeeApplications(ENABLED)),
        (CIN, PriorityGroups(ENABLED, (0, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0), 8)),
        (CIN, CinPriorityGroups(ENABLED, (0, 0, 0, 0, 0, 0, 0, 0), (CinPriority(0, 0, 0),) * 7)),
        (CIN, CinApplication(ENABLED, 256)),
        (CIN, LogicalLink(replace(ENABLED, sub_type=256), True)),
    ],
)
def test_what_does_not_fit(subtype: int, value: SubTlv) -> None:
    with pytest.raises(ValueError, match=r"does not fit|is no feature"):
        encode(LegacyTlv(subtype, (value,)))
