"""The CDCP TLV: octets that tcpdump reads the same way, both ways, cut and changed."""

import pytest

from protocols.errors import DecodeError
from protocols.evb import cdcp
from protocols.evb.cdcp import MAX_CHANNELS, CdcpTlv, SChannel, decode, encode
from tests.support.bodies import check_both_ways, check_changed, check_cut
from tests.support.wire import captured

DEFAULT = SChannel(1, 1)
# What tcpdump 4.99 says of the first three: role S, SComp, ChnCap 167, (1,1) (2,0) (3,0); role B, (1,1) (2,100)
# (3,101); role 0, SComp 0, ChnCap 167, (1,1).
KNOWN = {
    "880000a7 001001 002000 003000": CdcpTlv(True, True, 167, (DEFAULT, SChannel(2, 0), SChannel(3, 0))),
    "080000a7 001001 002064 003065": CdcpTlv(False, True, 167, (DEFAULT, SChannel(2, 100), SChannel(3, 101))),
    "000000a7 001001": CdcpTlv(False, False, 167, (DEFAULT,)),
    "08000001": CdcpTlv(False, True, 1),
    "88000fff ffffff": CdcpTlv(True, True, 4095, (SChannel(4095, 4095),)),
}
RESERVED = "77fff000"


def write(value: object) -> bytes:
    return encode(value)  # type: ignore[arg-type]


def test_where_it_lives() -> None:
    assert (cdcp.OUI.hex(), cdcp.SUBTYPE) == ("0080c2", 14)


@pytest.mark.parametrize("octets", KNOWN)
def test_known(octets: str) -> None:
    body = bytes.fromhex(octets)
    check_both_ways(decode, write, body, KNOWN[octets])
    check_cut(decode, body, tuple(range(4, len(body), 3)))
    check_changed(decode, write, body, RESERVED)


def test_reserved_bits_are_ignored() -> None:
    """As lldpd sent them, when told to send a TLV of that subtype."""
    assert decode(bytes.fromhex("8100000a 001001 002002")) == CdcpTlv(True, False, 10, (DEFAULT, SChannel(2, 2)))


@pytest.mark.parametrize(
    ("octets", "offset"), [("", 0), ("880000", 0), ("880000a7 0010", 4), ("880000a7 001001 00", 7)]
)
def test_errors(octets: str, offset: int) -> None:
    with pytest.raises(DecodeError) as error:
        decode(bytes.fromhex(octets))
    assert error.value.offset == offset


def test_as_many_channels_as_fit_a_tlv() -> None:
    channels = tuple(SChannel(scid, 0) for scid in range(1, MAX_CHANNELS + 1))
    body = encode(CdcpTlv(True, True, 167, channels))
    assert 4 + len(body) == 509 <= 511
    assert decode(body).channels == channels
    with pytest.raises(ValueError, match="168 S-channels"):
        encode(CdcpTlv(True, True, 167, (*channels, DEFAULT)))


@pytest.mark.parametrize(
    "value",
    [
        CdcpTlv(True, True, 4096),
        CdcpTlv(True, True, 1, (SChannel(4096, 1),)),
        CdcpTlv(True, True, 1, (SChannel(1, -1),)),
    ],
)
def test_what_does_not_fit(value: CdcpTlv) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(value)


def test_captures() -> None:
    """The End TLV and padding follow the octets in these frames."""
    frames = [data for _, data in captured("crafted-cdcp.pcap")]
    bodies = [data[data.index(bytes.fromhex("0080c20e")) + 4 :][:13] for data in frames]
    assert [decode(body) for body in bodies] == list(KNOWN.values())[:2]
