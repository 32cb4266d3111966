"""IEEE 802.3's organizational TLVs: real octets both ways, cut and changed, and beside scapy's description."""

from typing import Any

import pytest

from protocols.lldp.dot3 import (
    AdditionalEthernetCapabilities,
    Dot3LinkAggregation,
    Dot3Subtype,
    Dot3Tlv,
    Eee,
    EeeFastWake,
    FastWake,
    MacPhy,
    MaximumFrameSize,
    PdPoweredStatus,
    PdPowerSource,
    PowerClassification,
    PowerMeasurements,
    PowerPairs,
    PowerPairsExt,
    PowerPriority,
    PowerSupport,
    PowerType,
    PowerType34,
    PowerTypeExt,
    PowerViaMdi,
    PsePoweringStatus,
    PsePowerSource,
)
from protocols.lldp.dot3_codec import decode, encode
from protocols.lldp.mau import PmdCapability, advertised, mau_type
from tests.support.bodies import check_both_ways, check_changed, check_cut
from tests.support.lldpdus import walk

# A Catalyst 9000, type 3 PSE, feeds a dual-signature PD.
CATALYST_SUPPORT = PowerSupport(True, True, True, True, PowerPairs.SIGNAL, 5)
CATALYST_CLASSIFICATION = PowerClassification(
    PowerType.TYPE_2_PSE, PsePowerSource.PRIMARY, False, PowerPriority.LOW, 710, 510
)
CATALYST_TYPE34 = PowerType34(
    pd_requested_power_value_a=355,
    pd_requested_power_value_b=355,
    pse_allocated_power_value_a=255,
    pse_allocated_power_value_b=255,
    pse_powering_status=PsePoweringStatus.FOUR_PAIR_DUAL_SIGNATURE,
    pd_powered_status=PdPoweredStatus.IGNORE,
    power_pairs_ext=PowerPairsExt.BOTH,
    power_class_ext_a=4,
    power_class_ext_b=4,
    power_class_ext=15,
    power_type_ext=PowerTypeExt.TYPE_3_PSE,
    pd_load=False,
    pse_max_avail_power=510,
    pse_autoclass_support=False,
    autoclass_completed=False,
    autoclass_request=False,
    power_down_request=0,
    power_down_time=0,
)
MEASUREMENTS = PowerMeasurements(
    meas_voltage_support=True,
    meas_current_support=False,
    meas_power_support=True,
    meas_energy_support=False,
    measurement_source=3,
    meas_voltage_request=False,
    meas_current_request=True,
    meas_power_request=False,
    meas_energy_request=True,
    meas_voltage_valid=True,
    meas_current_valid=True,
    meas_power_valid=False,
    meas_energy_valid=False,
    meas_voltage_uncertainty=100,
    meas_current_uncertainty=200,
    meas_power_uncertainty=300,
    meas_energy_uncertainty=400,
    voltage_measurement=53000,
    current_measurement=4000,
    power_measurement=2120,
    energy_measurement=70000,
    pse_power_price_index=0xFFFF,
)

# Subtype, octets after it, value, reserved bits, the shorter lengths that are complete.
KNOWN: list[tuple[int, str, Dot3Tlv, str, tuple[int, ...]]] = [
    (1, "0080000036", MacPhy(False, False, 0x8000, 54), "fc", ()),  # lldpd on a virtual port
    (1, "0000010000", MacPhy(False, False, 0x0001, 0), "fc", ()),  # lldpad: its bits are mirrored
    (1, "036c010010", MacPhy(True, True, 0x6C01, 16), "fc", ()),
    (2, "010101", PowerViaMdi(PowerSupport(True, False, False, False, PowerPairs.SIGNAL, 1)), "f0", ()),  # H3C
    (
        2,
        "0e0204d300640096",  # lldpd
        PowerViaMdi(
            PowerSupport(False, True, True, True, PowerPairs.SPARE, 4),
            PowerClassification(PowerType.TYPE_1_PD, PdPowerSource.PSE, False, PowerPriority.LOW, 100, 150),
        ),
        "f0000008",
        (3, 4, 5, 6, 7),
    ),
    (
        2,
        "0f01051302c601fe0163016300ff00ffce4f0001fe00000000",
        PowerViaMdi(CATALYST_SUPPORT, CATALYST_CLASSIFICATION, CATALYST_TYPE34),
        "f0000008 00000000 0000000000000000 0000 f0 0000 f8 000000",
        tuple(range(3, 25)),
    ),
    (3, "0100000000", Dot3LinkAggregation(True, False, 0), "fc", ()),
    (3, "03000000f5", Dot3LinkAggregation(True, True, 245), "fc", ()),  # SONiC
    (4, "05ee", MaximumFrameSize(1518), "", ()),
    (5, "00110012001300140015", Eee(17, 18, 19, 20, 21), "", ()),
    (6, "0100", EeeFastWake(FastWake(1, 0)), "", ()),
    (6, "01000001", EeeFastWake(FastWake(1, 0), FastWake(0, 1)), "", (2, 3)),
    (7, "0007", AdditionalEthernetCapabilities(True, True, True, 0), "ffe0", (0, 1)),
    (7, "0019", AdditionalEthernetCapabilities(True, False, False, 3), "ffe0", (0, 1)),
    (8, "a35c006400c8012c0190cf080fa0084800011170ffff", MEASUREMENTS, "0c", ()),
]
IDS = [f"{subtype}-{octets[:16]}" for subtype, octets, _, _, _ in KNOWN]


def write(value: object) -> bytes:
    return encode(value)[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(("subtype", "octets", "value", "reserved", "borders"), KNOWN, ids=IDS)
def test_known(subtype: int, octets: str, value: Dot3Tlv, reserved: str, borders: tuple[int, ...]) -> None:
    body = bytes.fromhex(octets)
    check_both_ways(lambda data: decode(subtype, data), write, body, value)
    assert encode(value)[0] == subtype
    check_cut(lambda data: decode(subtype, data), body, borders)
    check_changed(lambda data: decode(subtype, data), write, body, reserved)
    if subtype != Dot3Subtype.EEE_FAST_WAKE and not (subtype == Dot3Subtype.POWER_VIA_MDI and len(body) < 25):
        assert decode(subtype, body + b"\xff\xff") == value


def test_power_is_read_as_far_as_it_is_whole() -> None:
    body = bytes.fromhex("0f01051302c601fe0163016300ff00ffce4f0001fe00000000")
    for length in range(3, len(body) + 3):
        value = decode(Dot3Subtype.POWER_VIA_MDI, (body + b"\xff\xff")[:length])
        assert isinstance(value, PowerViaMdi)
        assert value.support == CATALYST_SUPPORT
        assert value.classification == (CATALYST_CLASSIFICATION if length >= 8 else None)
        assert value.type34 == (CATALYST_TYPE34 if length >= 25 else None)


def test_octets_of_the_capabilities_that_are_missing_are_zero() -> None:
    """79.3.7, and so that a later edition can leave some out."""
    assert decode(7, b"") == decode(7, b"\xff") == AdditionalEthernetCapabilities(False, False, False, 0)


@pytest.mark.parametrize("subtype", [0, *range(9, 20), 255])
def test_unknown_subtypes(subtype: int) -> None:
    assert decode(subtype, bytes(40)) is None


@pytest.mark.parametrize(
    "value",
    [
        MacPhy(True, True, 65536, 0),
        PowerViaMdi(PowerSupport(True, True, True, True, 256, 0)),
        PowerViaMdi(CATALYST_SUPPORT, None, CATALYST_TYPE34),
        PowerViaMdi(CATALYST_SUPPORT, PowerClassification(4, 0, False, 0, 0, 0)),
        Dot3LinkAggregation(True, True, -1),
        MaximumFrameSize(65536),
        Eee(0, 0, 0, 0, 65536),
        EeeFastWake(FastWake(256, 0)),
        AdditionalEthernetCapabilities(True, True, True, 4),
    ],
)
def test_what_does_not_fit(value: Dot3Tlv) -> None:
    with pytest.raises(ValueError, match=r"does not fit|needs"):
        encode(value)


# An independent description of the wire.


def written_by_scapy(layer: Any) -> bytes:
    """What follows OUI and subtype of a TLV that scapy puts into a frame."""
    lldp = pytest.importorskip("scapy.contrib.lldp")
    ether = pytest.importorskip("scapy.layers.l2").Ether
    head = lldp.LLDPDUChassisID(subtype=7, id=b"c") / lldp.LLDPDUPortID(subtype=7, id=b"p")
    pdu = head / lldp.LLDPDUTimeToLive(ttl=120) / layer / lldp.LLDPDUEndOfLLDPDU()
    frame = bytes(ether(dst="01:80:c2:00:00:0e", src="02:00:00:00:00:aa") / pdu)
    return next(value[4:] for kind, value in walk(frame[14:]) if kind == 127)


def test_power_that_scapy_builds() -> None:
    lldp = pytest.importorskip("scapy.contrib.lldp")
    layer: Any = lldp.LLDPDUPowerViaMDIType34(
        MDI_power_support=0x0F,
        PSE_power_pair=1,
        power_class=5,
        power_type_no=0,
        power_type_dir=0,
        power_source=1,
        power_prio=3,
        PD_requested_power=71.0,
        PSE_allocated_power=51.0,
        PD_requested_power_mode_A=35.5,
        PD_requested_power_mode_B=35.5,
        PD_allocated_power_alt_A=25.5,
        PD_allocated_power_alt_B=25.5,
        PSE_powering_status=3,
        PD_power_pair_ext=3,
        dual_signature_class_mode_A=4,
        dual_signature_class_mode_B=4,
        power_class_ext=15,
        PSE_max_available_power=51.0,
    )
    assert decode(2, written_by_scapy(layer)) == PowerViaMdi(CATALYST_SUPPORT, CATALYST_CLASSIFICATION, CATALYST_TYPE34)


def test_measurements_that_scapy_builds() -> None:
    lldp = pytest.importorskip("scapy.contrib.lldp")
    layer: Any = lldp.LLDPDUPowerViaMDIMeasure(
        support=0b1010,
        source=3,
        request=0b0101,
        valid=0b1100,
        voltage_uncertainty=0.1,
        current_uncertainty=0.02,
        power_uncertainty=3,
        energy_uncertainty=40000,
        voltage_measurement=53.0,
        current_measurement=0.4,
        power_measurement=21.2,
        energy_measurement=7000000,
    )
    assert decode(8, written_by_scapy(layer)) == MEASUREMENTS


# Media and speeds in words.


@pytest.mark.parametrize(
    ("number", "words", "speed"),
    [
        (1, "AUI", "10 Mb/s"),
        (3, "FOIRL", "10 Mb/s"),
        (5, "10BASE-T", "10 Mb/s"),
        (10, "10BASE-T half duplex", "10 Mb/s"),
        (16, "100BASE-TX full duplex", "100 Mb/s"),
        (20, "100BASE-T2 full duplex", "100 Mb/s"),
        (30, "1000BASE-T full duplex", "1 Gb/s"),
        (33, "10GBASE-R", "10 Gb/s"),
        (40, "10GBASE-SW", "10 Gb/s"),
        (42, "2BASE-TL", "2 Mb/s"),
        (50, "1000BASE-PX10-D", "1 Gb/s"),
        (54, "10GBASE-T", "10 Gb/s"),
        (59, "10GBASE-PRX-D1", "10 Gb/s"),
        (69, "10GBASE-PR-U3", "10 Gb/s"),
        (70, "40GBASE-KR4", "40 Gb/s"),
        (75, "100GBASE-CR10", "100 Gb/s"),
        (79, "1000BASE-T1", "1 Gb/s"),
        (88, "25GBASE-CR", "25 Gb/s"),
        (98, "100GBASE-CR4", "100 Gb/s"),
        (102, "100GBASE-SR4", "100 Gb/s"),
        (103, "2.5GBASE-T", "2.5 Gb/s"),
        (104, "5GBASE-T", "5 Gb/s"),
        (113, "10GPASS-XR", "10 Gb/s"),
        (116, "50GBASE-R", "50 Gb/s"),
        (127, "200GBASE-R", "200 Gb/s"),
        (140, "400GBASE-ER8", "400 Gb/s"),
        (147, "400GBASE-FR4", "400 Gb/s"),
    ],
)
def test_mau_types(number: int, words: str, speed: str) -> None:
    medium = mau_type(number)
    assert medium is not None
    assert (medium.text, medium.speed_text) == (words, speed)


@pytest.mark.parametrize("number", [0, 148, 32768, 65535])
def test_unknown_mau_types(number: int) -> None:
    assert mau_type(number) is None


def test_every_mau_type_has_a_speed() -> None:
    media = [mau_type(number) for number in range(1, 148)]
    assert all(medium is not None and medium.speed for medium in media)
    assert len({medium.text for medium in media if medium}) == len(media)


def test_what_is_advertised() -> None:
    assert [medium.text for medium in advertised(0x6C01)] == [
        "10BASE-T half duplex",
        "10BASE-T full duplex",
        "100BASE-TX half duplex",
        "100BASE-TX full duplex",
        "1000BASE-T full duplex",
    ]
    pauses = advertised(PmdCapability.OTHER | PmdCapability.PAUSE | PmdCapability.ASYMMETRIC_AND_SYMMETRIC_PAUSE)
    assert [(medium.text, medium.speed_text) for medium in pauses] == [
        ("other", None),
        ("PAUSE", None),
        ("asymmetric and symmetric PAUSE", None),
    ]
    assert advertised(0) == []
    assert len(advertised(0xFFFF)) == len(PmdCapability) == 16
