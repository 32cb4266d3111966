"""The draft's EVB TLV: real octets both ways, every length, every single-byte change."""

import pytest

from protocols.errors import DecodeError
from protocols.evb import draft
from protocols.evb.draft import DRAFT, decode, encode
from protocols.evb.status import EvbCapability, EvbParameters, EvbTlv, RelayStatus, Role, Statement
from tests.support.bodies import check_changed, check_cut
from tests.support.wire import captured, evb_octets

RTE, ECP, VDP = EvbCapability.RTE, EvbCapability.ECP, EvbCapability.VDP
ALL = RTE | ECP | VDP
NONE = EvbCapability(0)

LLDPAD_FIRST = EvbTlv(
    None,
    relay_capable=True,
    relay_request=True,
    relay_control=True,  # said before anybody was heard (interop-notes E13)
    relay_status=RelayStatus.TRUE,
    rte=15,
    capabilities=ALL,
    agreed_capabilities=NONE,
    deaf=True,
)
LLDPAD_AGREED = EvbTlv(
    None,
    relay_capable=True,
    relay_request=True,
    relay_control=True,
    relay_status=RelayStatus.TRUE,
    rte=15,
    capabilities=ALL,
    agreed_capabilities=ALL,
)
DUMPS = {
    "40074000000000000f": LLDPAD_FIRST,
    "400740070cdf00000f": LLDPAD_AGREED,
    "c00740070cdf00000f": LLDPAD_AGREED,  # a bridge that is not exclusive about its modes
    "800780000000000000": EvbTlv(
        None, relay_status=RelayStatus.FALSE, rte=0, capabilities=ALL, agreed_capabilities=NONE, deaf=True
    ),
}


def test_where_it_lives() -> None:
    assert (DRAFT.name, DRAFT.oui.hex(), DRAFT.subtype) == ("draft", "001b3f", 0)


@pytest.mark.parametrize("octets", DUMPS)
def test_dumps_are_read(octets: str) -> None:
    assert decode(bytes.fromhex(octets)) == DUMPS[octets]


@pytest.mark.parametrize(
    ("statement", "octets"),
    [
        (Statement(Role.STATION, EvbParameters(), relay_request=True), "40 04 80 00 0000 0000 0e"),
        (Statement(Role.STATION, EvbParameters()), "80 04 80 00 0000 0000 0e"),
        (Statement(Role.BRIDGE, EvbParameters(), relay_capable=True), "40 04 80 00 0000 0000 0e"),
        (
            Statement(Role.BRIDGE, EvbParameters(), relay_capable=True, relay_control=True, peer=LLDPAD_FIRST),
            "40 04 40 04 0000 0000 0e",
        ),
        (
            Statement(Role.STATION, EvbParameters(rte=27, capabilities=ALL), relay_request=True, peer=LLDPAD_FIRST),
            "40 07 80 07 0000 0000 1b",
        ),
        (
            Statement(Role.STATION, EvbParameters(capabilities=RTE | ECP), peer=LLDPAD_FIRST),
            "80 06 80 06 0000 0000 0e",
        ),
        (Statement(Role.STATION, EvbParameters(capabilities=NONE), peer=LLDPAD_FIRST), "80 00 80 00 0000 0000 0e"),
    ],
)
def test_statements_are_written(statement: Statement, octets: str) -> None:
    assert encode(statement) == bytes.fromhex(octets)


def test_our_rte_is_our_own_even_beside_a_greater_one() -> None:
    """An echo would not come down again (interop-notes E7)."""
    assert encode(Statement(Role.STATION, EvbParameters(rte=3), peer=LLDPAD_FIRST))[-1] == 3


def test_every_length() -> None:
    for length in range(61):  # information strings of 4 to 64 octets
        octets = (bytes.fromhex("400740070cdf00000f") + bytes(range(200, 256)))[:length]
        if length < 9:
            with pytest.raises(DecodeError):
                decode(octets)
        else:
            assert decode(octets) == LLDPAD_AGREED


@pytest.mark.parametrize("position", range(9))
def test_every_single_byte_change(position: int) -> None:
    for base in map(bytes.fromhex, ("40074000000000000f", "400740070cdf00000f")):
        for value in range(256):
            octets = base[:position] + bytes([value]) + base[position + 1 :]
            if not octets[0] & 0xC0:
                with pytest.raises(DecodeError):
                    decode(octets)
                continue
            heard = decode(octets)
            assert heard.role is None and heard.usable
            assert heard.relay_capable is heard.relay_request is bool(octets[0] & 0x40)
            assert heard.relay_control is bool(octets[2] & 0x40)
            assert heard.relay_status is (RelayStatus.TRUE if octets[2] & 0x40 else RelayStatus.FALSE)
            assert (heard.capabilities, heard.agreed_capabilities) == (octets[1] & 7, octets[3] & 7)
            assert heard.rte == octets[8]
            assert (heard.retries, heard.rwd, heard.rka, heard.own_octet) == (None, None, None, 0)


def write(fields: object) -> bytes:
    return draft.encode_fields(fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("octets", [*DUMPS, "ffffffffffffffffff", "000000000000000000"])
def test_fields_both_ways(octets: str) -> None:
    """All that the TLV holds, but for its reserved bits."""
    body = bytes.fromhex(octets)
    check_changed(draft.decode_fields, write, body, "3ff83ff80000000000")
    check_cut(draft.decode_fields, body)


def test_fields() -> None:
    assert draft.decode_fields(bytes.fromhex("400740070cdf00020f")) == draft.DraftTlv(
        supported_standard=False,
        supported_relay=True,
        supported_capabilities=ALL,
        configured_standard=False,
        configured_relay=True,
        configured_capabilities=ALL,
        supported_vsis=3295,
        configured_vsis=2,
        rte=15,
    )


def test_what_is_sent_is_read_back() -> None:
    for relay in (False, True):
        for control in (False, True):
            words = Statement(
                Role.BRIDGE, EvbParameters(), relay_capable=relay, relay_control=control, peer=LLDPAD_FIRST
            )
            body = encode(words)
            heard = decode(body)
            assert len(body) == draft.LENGTH == 9
            assert (heard.relay_capable, heard.relay_control, heard.agreed_capabilities) == (relay, control, RTE)


@pytest.mark.parametrize(
    ("name", "lldpdus"),
    [
        ("lldpad-draft02-two-lldpads.pcap", 25),
        ("lldpad-draft02-vdp-answered.pcap", 25),
        ("lldpad-both-versions.pcap", 14),
    ],
)
def test_lldpads_captures(name: str, lldpdus: int) -> None:
    found = [evb_octets(data) for _, data in captured(name) if data[12:14] == b"\x88\xcc"]
    assert len(found) == lldpdus
    for octets in filter(None, found):
        heard = decode(bytes.fromhex(octets))
        assert heard.relay_capable and heard.relay_control and heard.rte == 15 and heard.capabilities == ALL
