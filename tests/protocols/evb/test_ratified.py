"""The ratified EVB TLV: real octets both ways, every length, every single-byte change."""

from dataclasses import replace

import pytest

from protocols.errors import DecodeError
from protocols.evb import ratified
from protocols.evb.ratified import RATIFIED, decode, encode
from protocols.evb.status import EvbParameters, EvbTlv, Exponent, RelayStatus, Role, Statement
from tests.support.bodies import check_changed, check_cut
from tests.support.wire import captured, evb_octets

# lldpad's octets (after OUI and subtype) in a negotiation, and their meaning.
STATION_FIRST = EvbTlv(
    Role.STATION,
    relay_request=True,
    relay_status=RelayStatus.UNKNOWN,
    group_ids=True,
    retries=3,
    rte=14,
    rwd=Exponent(19),
    rka=Exponent(20),
    own_octet=0x0F,
    deaf=True,
)
BRIDGE_FIRST = EvbTlv(
    Role.BRIDGE,
    relay_capable=True,
    relay_status=RelayStatus.FALSE,
    group_ids=True,
    retries=4,
    rte=13,
    rwd=Exponent(20),
    rka=Exponent(20),
    own_octet=0x06,
    deaf=True,
)
STATION_HAS_HEARD = replace(
    STATION_FIRST,
    relay_capable=True,
    relay_status=RelayStatus.FALSE,
    retries=4,
    rwd=Exponent(20, remote=True),
    rka=Exponent(20, remote=True),
    own_octet=0x0C,
    deaf=False,
)
BRIDGE_FINAL = replace(
    BRIDGE_FIRST,
    relay_control=True,
    relay_request=True,
    relay_status=RelayStatus.TRUE,
    rte=14,
    rwd=Exponent(20, remote=True),
    rka=Exponent(20, remote=True),
    own_octet=0x07,
    deaf=False,
)
STATION_FINAL = replace(STATION_HAS_HEARD, relay_control=True, relay_status=RelayStatus.TRUE, own_octet=0x0D)
DUMPS = {
    "000f6e9314": STATION_FIRST,
    "06008d5414": BRIDGE_FIRST,
    "060c8eb434": STATION_HAS_HEARD,
    "070d8e7434": BRIDGE_FINAL,
    "070d8eb434": STATION_FINAL,
    "04008d5414": replace(BRIDGE_FIRST, relay_capable=False, own_octet=0x04),
}

RESERVED = "f8f00000c0"

LLDPAD_STATION = EvbParameters(retries=3, rte=14, rwd=19, rka=20, group_ids=True)
LLDPAD_BRIDGE = EvbParameters(retries=4, rte=13, rwd=20, rka=20, group_ids=True)


def station(peer: EvbTlv | None, status: RelayStatus, request: bool = True) -> Statement:
    return Statement(Role.STATION, LLDPAD_STATION, relay_request=request, relay_status=status, peer=peer)


def bridge(peer: EvbTlv | None, control: bool = False, capable: bool = True) -> Statement:
    return Statement(Role.BRIDGE, LLDPAD_BRIDGE, relay_capable=capable, relay_control=control, peer=peer)


def test_where_it_lives() -> None:
    assert (RATIFIED.name, RATIFIED.oui.hex(), RATIFIED.subtype) == ("ratified", "0080c2", 13)


@pytest.mark.parametrize("octets", DUMPS)
def test_dumps_are_read(octets: str) -> None:
    assert decode(bytes.fromhex(octets)) == DUMPS[octets]


def test_dumps_are_written() -> None:
    """As lldpad writes them, but that values are our own, and ROL is not set of equal ones (interop-notes E4, E7)."""
    assert encode(station(None, RelayStatus.UNKNOWN)).hex() == "000f6e9314"
    assert encode(bridge(None)).hex() == "06008d5414"
    assert encode(bridge(None, capable=False)).hex() == "04008d5414"
    # R 3 and RTE 14, not the greater R 4; RWD 19 with ROL 1: the bridge's 20 is run on; RKA is the same at both.
    assert encode(station(BRIDGE_FIRST, RelayStatus.FALSE)).hex() == "060c6eb314"
    assert encode(station(BRIDGE_FINAL, RelayStatus.TRUE)).hex() == "070d6eb314"
    # R 4 and RTE 13; RWD 20 is greater than the station's 19 and stays our own (ROL 0).
    assert encode(bridge(STATION_FIRST)).hex() == "060f8d5414"
    assert encode(bridge(STATION_FINAL, control=True)).hex() == "070d8d5414"


# Fields by hand: octet 4 bridge status, 5 station status, 6 R and RTE, 7 mode, ROL and RWD, 8 ROL and RKA.


@pytest.mark.parametrize("retries", range(8))
@pytest.mark.parametrize("exponent", [0, 1, 16, 27])
def test_parameters_are_written_to_their_bits(retries: int, exponent: int) -> None:
    own = EvbParameters(retries=retries, rte=exponent, rwd=exponent, rka=exponent)
    body = encode(Statement(Role.STATION, own))
    assert body == bytes([0, 3, retries << 5 | exponent, 0x80 | exponent, exponent])


@pytest.mark.parametrize("status", RelayStatus)
@pytest.mark.parametrize("request_", [False, True])
def test_station_octet(status: RelayStatus, request_: bool) -> None:
    body = encode(station(BRIDGE_FINAL, status, request_))
    assert body[0] == 0x07 and body[1] == 0x08 | request_ << 2 | status


def test_the_peers_octet_is_copied_as_it_was() -> None:
    for copied in range(256):
        heard = decode(bytes([copied, 0, 0, 0x40, 0]))
        assert encode(Statement(Role.STATION, LLDPAD_STATION, peer=heard))[0] == copied
        heard = decode(bytes([0, copied, 0, 0x80, 0]))
        assert encode(Statement(Role.BRIDGE, LLDPAD_BRIDGE, peer=heard))[1] == copied


@pytest.mark.parametrize(
    ("mode", "role", "usable"), [(0, None, False), (1, Role.BRIDGE, True), (2, Role.STATION, True), (3, None, False)]
)
def test_modes(mode: int, role: Role | None, usable: bool) -> None:
    heard = decode(bytes([0, 0, 0, mode << 6, 0]))
    assert (heard.role, heard.usable) == (role, usable)


# Every length, every single-byte change.


def test_every_length() -> None:
    for length in range(61):  # information strings of 4 to 64 octets
        octets = (bytes.fromhex("06008d5414") + bytes(range(200, 256)))[:length]
        assert len(octets) == length
        if length < 5:
            with pytest.raises(DecodeError):
                decode(octets)
        else:
            assert decode(octets) == BRIDGE_FIRST


@pytest.mark.parametrize("position", range(5))
def test_every_single_byte_change(position: int) -> None:
    """Each octet says what the layout says it says, whatever the others; reserved bits say nothing."""
    for base in map(bytes.fromhex, ("06008d5414", "070d8eb434")):
        for value in range(256):
            octets = base[:position] + bytes([value]) + base[position + 1 :]
            heard = decode(octets)
            bridge_status, station_status, retries, rwd, rka = octets
            assert heard.relay_capable is bool(bridge_status & 2) and heard.relay_control is bool(bridge_status & 1)
            assert heard.relay_request is bool(station_status & 4) and heard.relay_status == station_status & 3
            assert (heard.retries, heard.rte) == (retries >> 5, retries & 31)
            assert heard.rwd == Exponent(rwd & 31, bool(rwd & 32))
            assert heard.rka == Exponent(rka & 31, bool(rka & 32))
            assert heard.role == {1: Role.BRIDGE, 2: Role.STATION}.get(rwd >> 6)
            from_bridge = rwd >> 6 == 1
            assert heard.group_ids is bool(bridge_status & 4 if from_bridge else station_status & 8)


def write(fields: object) -> bytes:
    return ratified.encode_fields(fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("octets", [*DUMPS, "0200f45f1f", "ffffffffff", "0000000000"])
def test_fields_both_ways(octets: str) -> None:
    """All that the TLV holds, but for its reserved bits, whoever owns it."""
    body = bytes.fromhex(octets)
    check_changed(ratified.decode_fields, write, body, RESERVED)
    check_cut(ratified.decode_fields, body)


def test_fields() -> None:
    """As tcpdump reads the TLV of a test sender: R 7, RTE 20, a bridge's."""
    assert ratified.decode_fields(bytes.fromhex("0200f45f1f")) == ratified.RatifiedTlv(
        bgid=False,
        rrcap=True,
        rrctr=False,
        sgid=False,
        rrreq=False,
        rrstat=0,
        retries=7,
        rte=20,
        mode=ratified.BRIDGE,
        rwd_remote=False,
        rwd=31,
        rka_remote=False,
        rka=31,
    )
    with pytest.raises(ValueError, match="does not fit"):
        ratified.encode_fields(replace(ratified.decode_fields(bytes(5)), rte=32))


def test_what_is_sent_is_read_back_and_never_longer_than_five_octets() -> None:
    for words in (station(None, RelayStatus.UNKNOWN), station(BRIDGE_FINAL, RelayStatus.TRUE), bridge(STATION_FIRST)):
        body = encode(words)
        heard = decode(body)
        assert len(body) == ratified.LENGTH == 5
        assert (heard.role, heard.relay_request, heard.relay_capable | heard.relay_control) == (
            words.role,
            words.relay_request or bool(words.peer and words.role is Role.BRIDGE),
            words.relay_capable or bool(words.peer and words.role is Role.STATION),
        )


@pytest.mark.parametrize(
    ("name", "lldpdus"),
    [
        ("lldpad-evb22-negotiate-shutdown.pcap", 18),
        ("lldpad-evb22-no-rrcap.pcap", 14),
        ("lldpad-evb22-ratchet.pcap", 24),
    ],
)
def test_lldpads_captures(name: str, lldpdus: int) -> None:
    frames = [data for _, data in captured(name) if data[12:14] == b"\x88\xcc"]
    assert len(frames) == lldpdus
    for octets in filter(None, map(evb_octets, frames)):
        heard = decode(bytes.fromhex(octets))
        assert heard.role is (Role.BRIDGE if heard.retries == 4 and octets[6] in "57" else Role.STATION)
        assert heard.group_ids and heard.rte in (13, 14) and heard.usable
