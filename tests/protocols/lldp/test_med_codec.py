"""LLDP-MED: real octets both ways, cut and changed."""

import pytest

from protocols.errors import DecodeError
from protocols.lldp.med import (
    AltitudeType,
    ApplicationType,
    CivicElement,
    CivicLocation,
    CivicType,
    CivicWhat,
    CoordinateLocation,
    Datum,
    DeviceClass,
    ElinLocation,
    ExtendedPower,
    Inventory,
    MedCapabilities,
    MedCapability,
    MedTlv,
    NetworkPolicy,
    OtherLocation,
)
from protocols.lldp.med_codec import decode, encode
from tests.support.bodies import check_both_ways, check_changed, check_cut

EIFFEL = CoordinateLocation(
    latitude_resolution=26,
    latitude=0x61B69D735,
    longitude_resolution=23,
    longitude=0x0,
    altitude_type=AltitudeType.METERS,
    altitude_resolution=29,
    altitude=0x7578,
    version=0,
    datum=Datum.WGS84,
)
CAPABLE = MedCapabilities(0x003F, DeviceClass.ENDPOINT_CLASS_III)
CIVIC = CivicLocation(
    CivicWhat.CLIENT,
    b"US",
    (
        CivicElement(CivicType.STATE, b"CA"),
        CivicElement(CivicType.CITY, b"Roseville"),
        CivicElement(CivicType.STREET, b"Foothills"),
        CivicElement(CivicType.HOUSE_NUMBER, b"8000"),
        CivicElement(CivicType.UNIT, b"R3L"),
    ),
)
CIVIC_OCTETS = "0228025553010243410309526f736576696c6c650609466f6f7468696c6c731304383030301a0352334c"
COORDINATES = "016861b69d735c04671de6174000757801"

# Subtype, octets after it, value, reserved bits, the shorter lengths that are complete.
KNOWN: list[tuple[int, str, MedTlv, str, tuple[int, ...]]] = [
    (1, "003f03", CAPABLE, "", ()),
    (1, "ffc0ff", MedCapabilities(0xFFC0, 255), "", ()),
    (2, "0143e96e", NetworkPolicy(ApplicationType.VOICE, False, True, 500, 5, 46), "0020", ()),
    (2, "07800000", NetworkPolicy(ApplicationType.STREAMING_VIDEO, True, False, 0, 0, 0), "0020", ()),
    (3, CIVIC_OCTETS, CIVIC, "", ()),  # an HP ProCurve 2600
    (3, "0203025553", CivicLocation(CivicWhat.CLIENT, b"US"), "", ()),
    (3, "03393131", ElinLocation(b"911"), "", (1, 2, 3)),
    (3, "09abcd", OtherLocation(9, b"\xab\xcd"), "", (1, 2)),
    (4, "520032", ExtendedPower(1, 1, 2, 50), "", ()),
    (4, "030041", ExtendedPower(0, 0, 3, 65), "", ()),
    (5, "48572d31", Inventory(5, b"HW-1"), "", (0, 1, 2, 3)),
    (11, 32 * "61", Inventory(11, 32 * b"a"), "", tuple(range(32))),
]
IDS = [f"{subtype}-{octets[:16]}" for subtype, octets, _, _, _ in KNOWN]


def write(value: object) -> bytes:
    return encode(value)[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(("subtype", "octets", "value", "reserved", "borders"), KNOWN, ids=IDS)
def test_known(subtype: int, octets: str, value: MedTlv, reserved: str, borders: tuple[int, ...]) -> None:
    body = bytes.fromhex(octets)
    check_both_ways(lambda data: decode(subtype, data), write, body, value)
    assert encode(value)[0] == subtype
    check_cut(lambda data: decode(subtype, data), body, borders)
    if value is not CIVIC:
        check_changed(lambda data: decode(subtype, data), write, body, reserved)


def test_a_civic_location_with_any_octet_changed() -> None:
    """Lengths within it may come to end it early: then what is read is read again."""
    body = bytes.fromhex(CIVIC_OCTETS)
    for place in range(1, len(body)):
        for other in (0, 1, 2, 3, 39, 40, 41, 127, 255):
            try:
                value = decode(3, body[:place] + bytes([other]) + body[place + 1 :])
            except DecodeError as error:
                assert 0 <= error.offset < len(body)
            else:
                assert isinstance(value, CivicLocation)
                assert decode(*encode(value)) == value


@pytest.mark.parametrize("subtype", range(5, 12))
def test_inventory(subtype: int) -> None:
    """lldpd sends texts as they are; Huawei sends a NUL for want of one."""
    value = decode(subtype, b"\0")
    assert value == Inventory(subtype, b"\0")
    assert isinstance(value, Inventory) and value.text == "\0"
    with pytest.raises(DecodeError, match="33 octets, more than 32"):
        decode(subtype, 33 * b"a")


# Coordinates: RFC 6225.


def test_coordinates() -> None:
    body = bytes.fromhex(COORDINATES)
    value = decode(3, body)
    assert isinstance(value, CoordinateLocation)
    assert (value.latitude_resolution, value.longitude_resolution, value.altitude_resolution) == (26, 23, 29)
    assert round(value.latitude_degrees, 5) == 48.85667
    assert round(value.longitude_degrees, 5) == 2.20140
    assert (value.altitude_type, value.altitude_value) == (AltitudeType.METERS, 117.46875)
    assert (value.version, value.datum) == (0, Datum.WGS84)
    check_both_ways(lambda data: decode(3, data), write, body, value)
    check_cut(lambda data: decode(3, data), body)


def test_coordinates_with_any_octet_changed() -> None:
    """All but the first, which is the format."""
    body = bytes.fromhex(COORDINATES)[1:]
    check_changed(lambda data: decode(3, b"\1" + data), lambda value: write(value)[1:], body, 15 * "00" + "38")


@pytest.mark.parametrize(
    ("octets", "degrees"),
    [("00000000000000000000", 0.0), ("02000000", 1.0), ("fe000000", -1.0), ("01000000", 0.5), ("00000001", 2**-25)],
)
def test_fixed_point(octets: str, degrees: float) -> None:
    """34 bits in two's complement, the last 25 of them a fraction."""
    number = int.from_bytes(bytes.fromhex(octets)[:4], "big", signed=True)
    value = CoordinateLocation(34, number, 34, -number, AltitudeType.FLOORS, 30, -256, 1, Datum.NAD83_MLLW)
    assert (value.latitude_degrees, value.longitude_degrees, value.altitude_value) == (degrees, -degrees, -1.0)
    assert decode(*encode(value)) == value


def test_the_ends_of_the_fixed_point() -> None:
    for extreme in (-(1 << 33), (1 << 33) - 1):
        value = CoordinateLocation(63, extreme, 63, extreme, 15, 63, -(1 << 29), 3, 7)
        assert decode(*encode(value)) == value


@pytest.mark.parametrize(
    ("subtype", "octets", "reason", "offset"),
    [
        (1, "003f", "2 octets are left, 3 are needed", 0),
        (3, "", "the format of the location is missing", 0),
        (3, "01" + 15 * "00", "15 octets are left, 16 are needed", 1),
        (3, "02", "the length of the civic location is missing", 1),
        (3, "0204025553", "the civic location claims 4 octets of 3 left", 1),
        (3, "02020255", "2 octets are left, 3 are needed", 2),
        (3, "020402555300", "a civic address element has no length", 5),
        (3, "02060255530002656e", "a civic address element claims 2 octets of 1 left", 5),
        (4, "5200", "2 octets are left, 3 are needed", 0),
    ],
)
def test_errors(subtype: int, octets: str, reason: str, offset: int) -> None:
    with pytest.raises(DecodeError) as error:
        decode(subtype, bytes.fromhex(octets))
    assert (error.value.reason, error.value.offset) == (reason, offset)


def test_what_follows_is_ignored() -> None:
    assert decode(1, bytes.fromhex("003f03ff")) == CAPABLE
    assert decode(3, bytes.fromhex(CIVIC_OCTETS + "ffff")) == CIVIC


@pytest.mark.parametrize("subtype", [0, 12, 13, 255])
def test_unknown_subtypes(subtype: int) -> None:
    assert decode(subtype, bytes(40)) is None


def test_texts() -> None:
    assert CivicElement(0, "Größe".encode()).text == "Größe"
    assert ElinLocation(b"911").text == "911"
    assert MedCapability(0x3F) == sum(MedCapability)


@pytest.mark.parametrize(
    "value",
    [
        MedCapabilities(65536, 0),
        NetworkPolicy(256, False, False, 0, 0, 0),
        NetworkPolicy(1, False, False, 4096, 0, 0),
        NetworkPolicy(1, False, False, 0, 8, 0),
        NetworkPolicy(1, False, False, 0, 0, 64),
        CoordinateLocation(64, 0, 0, 0, 0, 0, 0, 0, 0),
        CoordinateLocation(0, 1 << 33, 0, 0, 0, 0, 0, 0, 0),
        CivicLocation(0, b"USA"),
        CivicLocation(0, b"US", (CivicElement(0, 256 * b"a"),)),
        CivicLocation(0, b"US", (CivicElement(0, 200 * b"a"), CivicElement(0, 60 * b"a"))),
        CivicLocation(0, b"US", (CivicElement(256, b""),)),
        OtherLocation(256, b""),
        ExtendedPower(4, 0, 0, 0),
        Inventory(4, b""),
        Inventory(12, b""),
        Inventory(5, 33 * b"a"),
    ],
)
def test_what_does_not_fit(value: MedTlv) -> None:
    with pytest.raises(ValueError, match=r"does not fit|must be in range|is no inventory TLV"):
        encode(value)
