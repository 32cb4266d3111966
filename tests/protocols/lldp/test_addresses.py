"""Network addresses of all families, and object identifiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.lldp.addresses import AddressFamily, network_address, object_identifier, text


@pytest.mark.parametrize(
    ("family", "octets", "notation"),
    [
        (AddressFamily.IPV4, "c000020a", "192.0.2.10"),
        (AddressFamily.IPV6, "20010db8000000000000000000000010", "2001:db8::10"),
        (AddressFamily.NSAP, "47000580ffe100", "47.0005.80ff.e100"),
        (AddressFamily.NSAP, "490001", "49.0001"),
        (AddressFamily.ALL_802, "02000000000a", "02:00:00:00:00:0a"),
        (AddressFamily.ALL_802, "0200000000000a01", "02:00:00:00:00:00:0a:01"),
        (AddressFamily.E163, b"4930".hex(), "4930"),
        (AddressFamily.E164, b"493012345".hex(), "493012345"),
        (AddressFamily.F69, b"123".hex(), "123"),
        (AddressFamily.X121, b"26245".hex(), "26245"),
        (AddressFamily.IPX, "0000000a02000000000a", "0000000a.02000000000a"),
        (AddressFamily.APPLETALK, "ff0017", "65280.23"),
        (AddressFamily.DECNET_IV, "0204", "1.2"),
        (AddressFamily.BANYAN_VINES, "300000010001", "30000001:0001"),
        (AddressFamily.DNS, b"switch.example.net".hex(), "switch.example.net"),
        (AddressFamily.AS_NUMBER, "fde8", "65000"),
        (AddressFamily.AS_NUMBER, "0000fde8", "65000"),
        (AddressFamily.XTP_OVER_IPV4, "c000020a", "192.0.2.10"),
        (AddressFamily.XTP_OVER_IPV6, "20010db8000000000000000000000010", "2001:db8::10"),
        (AddressFamily.FIBRE_CHANNEL_WWPN, "2000000000000a01", "20:00:00:00:00:00:0a:01"),
        (AddressFamily.FIBRE_CHANNEL_WWNN, "1000000000000a01", "10:00:00:00:00:00:0a:01"),
    ],
)
def test_notations(family: int, octets: str, notation: str) -> None:
    assert network_address(family, bytes.fromhex(octets)) == notation


@pytest.mark.parametrize(
    ("family", "octets"),
    [
        (AddressFamily.IPV4, "c00002"),
        (AddressFamily.IPV4, "c000020a01"),
        (AddressFamily.IPV6, "c000020a"),
        (AddressFamily.NSAP, "47"),
        (AddressFamily.E164, "4930"),
        (AddressFamily.E164, ""),
        (AddressFamily.IPX, "0a"),
        (AddressFamily.APPLETALK, "0a"),
        (AddressFamily.DECNET_IV, "0a"),
        (AddressFamily.BANYAN_VINES, "0a"),
        (AddressFamily.AS_NUMBER, "0a"),
        (AddressFamily.XTP_OVER_IPV6, "0a"),
        (AddressFamily.FIBRE_CHANNEL_WWPN, "0a"),
        (AddressFamily.HDLC, "0a"),
        (AddressFamily.BBN_1822, "0a"),
        (AddressFamily.E164_WITH_NSAP, "0a"),
        (AddressFamily.DISTINGUISHED_NAME, "0a"),
        (AddressFamily.GWID, "0a"),
        (AddressFamily.L2VPN, "0a"),
        (0, "0a"),
        (255, "0a"),
    ],
)
def test_what_has_no_notation(family: int, octets: str) -> None:
    assert network_address(family, bytes.fromhex(octets)) == f"{int(family)}:{octets}"


@given(st.integers(0, 255), st.binary(max_size=40))
def test_any_address(family: int, octets: bytes) -> None:
    network_address(family, octets).encode()


@pytest.mark.parametrize(
    ("octets", "identifier"),
    [
        ("2b060102011f0101010188808546", "1.3.6.1.2.1.31.1.1.1.1.16777926"),  # AOS-CX
        ("2b0601040181780e0a5a", "1.3.6.1.4.1.248.14.10.90"),  # Hirschmann
        ("060f2b060104018f5b0519290102010101", "1.3.6.1.4.1.2011.5.25.41.1.2.1.1.1"),  # Huawei: with tag and length
        ("00", "0.0"),
        ("27", "0.39"),
        ("28", "1.0"),
        ("4f", "1.39"),
        ("50", "2.0"),
        ("883703", "2.999.3"),
        ("0601", "0.6.1"),  # a length that is not that of the rest: these are no tag and length
    ],
)
def test_object_identifiers(octets: str, identifier: str) -> None:
    assert object_identifier(bytes.fromhex(octets)) == identifier


@pytest.mark.parametrize("octets", ["", "80", "2b06018f", "defa0123456789bc"])
def test_what_is_no_object_identifier(octets: str) -> None:
    assert object_identifier(bytes.fromhex(octets)) is None


@given(st.binary(max_size=128))
def test_any_object_identifier(octets: bytes) -> None:
    identifier = object_identifier(octets)
    assert identifier is None or all(arc.isdecimal() for arc in identifier.split("."))


def test_text() -> None:
    assert text("Gebäude 7".encode()) == "Gebäude 7"
    assert text(b"caf\xe9\0") == "caf\\xe9\0"
