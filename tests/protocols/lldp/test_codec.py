"""LLDPDUs: the verdicts of IEEE 802.1AB on good and bad ones, real frames both ways, and any octets at all."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import DecodeError
from protocols.frame import ETHERTYPE_LLDP, decode_frame
from protocols.lldp.codec import Reading, decode_lldpdu, encode_lldpdu, shutdown
from protocols.lldp.tlvs import (
    ChassisId,
    Lldpdu,
    ManagementAddress,
    OptionalTlv,
    OrganizationalTlv,
    PortDescription,
    PortId,
    SystemCapabilities,
    SystemDescription,
    SystemName,
    UnrecognizedTlv,
)
from tests.support.lldpdus import read_pcap, tlv

SHARED = Path(__file__).parents[4] / "shared"
CORPUS = SHARED / "captures" / "lldp-badframes.txt"

C, P, T, E = "0207040200000000aa", "04050565746839", "06020078", "0000"
GOOD = C + P + T
CHASSIS, PORT = ChassisId(4, bytes.fromhex("0200000000aa")), PortId(5, b"eth9")

V4 = "100c 0501c0000201 0200000001 00"
V6 = "1018 1102" + 16 * "00" + "0200000001 00"
V4_ADDRESS = ManagementAddress(1, bytes.fromhex("c0000201"), 2, 1)
V6_ADDRESS = ManagementAddress(2, bytes(16), 2, 1)
D40 = "0c28" + 40 * "64"
PVID_1 = "fe06 0080c201 0001"


# The verdicts. The octets and names of `DISCARDED` and `ACCEPTED` are those of a corpus that lldpad and lldpd were
# shown too; what those two make of it differs, from each other and from the standard.

# Name: octets, why, where.
DISCARDED = {
    "port before chassis": (P + C + T + E, "TLV 1 is of type 2, not chassis ID", 0),
    "chassis missing": (P + T + E, "TLV 1 is of type 2, not chassis ID", 0),
    "port missing": (C + T + E, "TLV 2 is of type 3, not port ID", 9),
    "ttl missing, then sysname": (C + P + "0a026e31" + E, "TLV 3 is of type 5, not time to live", 16),
    "second chassis later": (GOOD + C + E, "a second chassis ID TLV", 20),
    "second port later": (GOOD + P + E, "a second port ID TLV", 20),
    "second ttl later": (GOOD + T + E, "a second time to live TLV", 20),
    "optional TLV between port and ttl": (C + P + "0a026e31" + T + E, "TLV 3 is of type 5, not time to live", 16),
    "ttl length 1": (C + P + "060178" + E, "time to live TLV of 1 octets", 16),
    "ttl length 0": (C + P + "0600" + E, "time to live TLV of 0 octets", 16),
    "chassis length 1": ("020104" + P + T + E, "chassis ID TLV of 1 octets", 0),
    "chassis length 0": ("0200" + P + T + E, "chassis ID TLV of 0 octets", 0),
    "chassis length 257": ("030107" + 256 * "63" + P + T + E, "chassis ID TLV of 257 octets", 0),
    "chassis subtype 0": ("020400616263" + P + T + E, "chassis ID subtype 0 is reserved", 0),
    "chassis subtype 8": ("020408616263" + P + T + E, "chassis ID subtype 8 is reserved", 0),
    "port subtype 0": (C + "040400616263" + T + E, "port ID subtype 0 is reserved", 9),
    "port subtype 8": (C + "040408616263" + T + E, "port ID subtype 8 is reserved", 9),
    "port length 257": (C + "050107" + 256 * "70" + T + E, "port ID TLV of 257 octets", 9),
    "last TLV overruns frame": (GOOD + D40 + "0ac86162", "TLV type 5 claims 200 octets of 2 left", 62),
    "only 1 byte after last TLV": (GOOD + D40 + "0a", "one octet is left, too few for a TLV", 62),
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """Octets, and what is read from them. `again`: the octets that this encodes to, if not the same up to End."""

    octets: str
    optional: tuple[OptionalTlv, ...] = ()
    again: str | None = None
    ttl: int = 120
    unrecognized: int = 0
    discarded: int = 0
    chassis: ChassisId = CHASSIS


def organizational(oui: str, subtype: int, value: str = "") -> OrganizationalTlv:
    return OrganizationalTlv(bytes.fromhex(oui), subtype, bytes.fromhex(value))


ACCEPTED = {
    "minimal valid": Accepted(GOOD + E),
    "ttl length 4": Accepted(C + P + "060400780000" + E, again=GOOD),
    "chassis length 256": Accepted("030007" + 255 * "63" + P + T + E, chassis=ChassisId(7, 255 * b"c")),
    "no End TLV, frame ends after sysname (>=60)": Accepted(GOOD + D40, (SystemDescription(40 * b"d"),)),
    "no End TLV, short frame zero padded": Accepted(GOOD + "0a026e31", (SystemName(b"n1"),)),
    "End TLV length 1": Accepted(GOOD + "000178" + 30 * "00"),
    "bytes after End": Accepted(GOOD + E + "0a027a7a" + 20 * "ff"),
    "two sysname": Accepted(GOOD + "0a026e31 0a026e32" + E, (SystemName(b"n1"),), again=GOOD + "0a026e31", discarded=1),
    "two port desc": Accepted(GOOD + "080161 080162" + E, (PortDescription(b"a"),), GOOD + "080161", discarded=1),
    "two sys desc": Accepted(GOOD + "0c0161 0c0162" + E, (SystemDescription(b"a"),), GOOD + "0c0161", discarded=1),
    "two capabilities": Accepted(
        GOOD + "0e0400800080 0e0400800080" + E, (SystemCapabilities(0x80, 0x80),), GOOD + "0e0400800080", discarded=1
    ),
    "two mgmt addresses v4+v6": Accepted(GOOD + V4 + V6 + E, (V4_ADDRESS, V6_ADDRESS)),
    "two identical mgmt addresses": Accepted(GOOD + V4 + V4 + E, (V4_ADDRESS,), GOOD + V4, discarded=1),
    "sysname length 0": Accepted(GOOD + "0a00" + E, (SystemName(b""),)),
    "sysname length 256": Accepted(GOOD + "0b00" + 256 * "73" + E, again=GOOD, discarded=1),
    "capabilities length 3": Accepted(GOOD + "0e03008000" + E, again=GOOD, discarded=1),
    "capabilities length 5": Accepted(
        GOOD + "0e050080008000" + E, (SystemCapabilities(0x80, 0x80),), GOOD + "0e0400800080"
    ),
    "mgmt addr string length 0": Accepted(GOOD + "1007 00 0200000001 00" + E, again=GOOD, discarded=1),
    "mgmt addr string length 33": Accepted(
        GOOD + "1028 2101" + 32 * "00" + "0200000001 00" + E, again=GOOD, discarded=1
    ),
    "mgmt TLV truncated": Accepted(GOOD + "1005 0501c00002" + E, again=GOOD, discarded=1),
    "reserved type 9": Accepted(GOOD + "1203616263" + E, (UnrecognizedTlv(9, b"abc"),), unrecognized=1),
    "reserved type 126": Accepted(GOOD + "fc03616263" + E, (UnrecognizedTlv(126, b"abc"),), unrecognized=1),
    "org TLV length 3": Accepted(GOOD + "fe030080c2" + E, again=GOOD, discarded=1),
    # Whether an organizational TLV is known, and good, is for those to say who know its OUI: here all of them pass.
    "org TLV length 4 unknown oui": Accepted(GOOD + "fe0433445501" + E, (organizational("334455", 1),)),
    "org unknown oui": Accepted(GOOD + "fe0733445501616263" + E, (organizational("334455", 1, "616263"),)),
    "802.1 unknown subtype 99": Accepted(GOOD + "fe070080c263616263" + E, (organizational("0080c2", 99, "616263"),)),
    "PVID too short": Accepted(GOOD + "fe050080c20100" + E, (organizational("0080c2", 1, "00"),)),
    "PVID too long": Accepted(GOOD + "fe070080c201000100" + E, (organizational("0080c2", 1, "000100"),)),
    "two PVID": Accepted(
        GOOD + PVID_1 + "fe060080c2010002" + E,
        (organizational("0080c2", 1, "0001"), organizational("0080c2", 1, "0002")),
    ),
    "MED cap too short": Accepted(GOOD + "fe050012bb0100" + E, (organizational("0012bb", 1, "00"),)),
    "TTL 65535": Accepted(C + P + "0602ffff" + E, ttl=65535),
    "shutdown (ttl 0)": Accepted(C + P + "06020000" + E, ttl=0),
    "shutdown with extra TLVs": Accepted(C + P + "06020000 0a026e31" + E, again=C + P + "06020000", ttl=0),
}

MORE_DISCARDED = {
    "nothing": ("", "no chassis ID TLV", 0),
    "End alone": (E, "no chassis ID TLV", 0),
    "chassis alone": (C + E, "no port ID TLV", 9),
    "chassis alone, no End": (C, "no port ID TLV", 9),
    "chassis and port alone": (C + P + E, "no time to live TLV", 16),
    "port length 1": (C + "040105" + T + E, "port ID TLV of 1 octets", 9),
    "one octet, and it is zero": (GOOD + "00", "one octet is left, too few for a TLV", 20),
    "shutdown that overruns": (C + P + "06020000 0ac86162", "TLV type 5 claims 200 octets of 2 left", 20),
    "shutdown with a second chassis": (C + P + "06020000" + C + E, "a second chassis ID TLV", 20),
}
MORE_ACCEPTED = {
    "no End TLV at all": Accepted(GOOD),
    "text of 255 octets": Accepted(GOOD + "08ff" + 255 * "61" + E, (PortDescription(255 * b"a"),)),
    "a good system name after a bad one": Accepted(
        GOOD + "0b00" + 256 * "73" + "0a016e" + E, (SystemName(b"n"),), GOOD + "0a016e", discarded=1
    ),
    "enabled but not supported": Accepted(GOOD + "0e0400800081" + E, again=GOOD, discarded=1),
    "reserved capabilities": Accepted(GOOD + "0e04f880f800" + E, (SystemCapabilities(0xF880, 0xF800),)),
    "capabilities length 0": Accepted(GOOD + "0e00" + E, again=GOOD, discarded=1),
    "one address on two interfaces": Accepted(
        GOOD + V4 + "100c0501c0000201020000000200" + E, (V4_ADDRESS,), GOOD + V4, discarded=1
    ),
    "the same octets in two families": Accepted(
        GOOD + V4 + "100c0503c0000201020000000100" + E,
        (V4_ADDRESS, ManagementAddress(3, bytes.fromhex("c0000201"), 2, 1)),
    ),
    "mgmt address of no octets": Accepted(GOOD + "1008 0101 0200000001 00" + E, again=GOOD, discarded=1),
    "mgmt address of one octet": Accepted(
        GOOD + "1009 0201aa 0200000001 00" + E, (ManagementAddress(1, b"\xaa", 2, 1),)
    ),
    "mgmt address of 31 octets": Accepted(
        GOOD + "1027 2001" + 31 * "aa" + "0200000001 00" + E, (ManagementAddress(1, 31 * b"\xaa", 2, 1),)
    ),
    "mgmt address without OID length": Accepted(GOOD + "100b 0501c0000201 0200000001" + E, again=GOOD, discarded=1),
    "mgmt address of length 0": Accepted(GOOD + "1000" + E, again=GOOD, discarded=1),
    "mgmt address with an OID": Accepted(
        GOOD + "100e 0501c0000201 0200000001 022b06" + E,
        (ManagementAddress(1, bytes.fromhex("c0000201"), 2, 1, b"\x2b\x06"),),
    ),
    "OID cut short": Accepted(GOOD + "100d 0501c0000201 0200000001 022b" + E, again=GOOD, discarded=1),
    "OID of 128 octets": Accepted(
        GOOD + "108c 0501c0000201 0200000001 80" + 128 * "01" + E,
        (ManagementAddress(1, bytes.fromhex("c0000201"), 2, 1, 128 * b"\1"),),
    ),
    "OID of 129 octets": Accepted(GOOD + "108d 0501c0000201 0200000001 81" + 129 * "01" + E, again=GOOD, discarded=1),
    "octets behind the OID": Accepted(GOOD + "100d 0501c0000201 0200000001 00 ff" + E, (V4_ADDRESS,), again=GOOD + V4),
    "numbering that nobody has defined": Accepted(
        GOOD + "100c 0501c0000201 ff00000001 00" + E, (ManagementAddress(1, bytes.fromhex("c0000201"), 255, 1),)
    ),
    "the same reserved type twice": Accepted(
        GOOD + "12016112 0161" + E, (UnrecognizedTlv(9, b"a"), UnrecognizedTlv(9, b"a")), unrecognized=2
    ),
    "all that can go wrong, and a name": Accepted(
        GOOD + "0e00 fe0100 1000 0a016e 0a016d 1200" + E,
        (SystemName(b"n"), UnrecognizedTlv(9, b"")),
        GOOD + "0a016e 1200",
        unrecognized=1,
        discarded=4,
    ),
}
ALL_DISCARDED = DISCARDED | MORE_DISCARDED
ALL_ACCEPTED = ACCEPTED | MORE_ACCEPTED


@pytest.mark.parametrize("name", ALL_DISCARDED)
def test_discarded(name: str) -> None:
    octets, reason, offset = ALL_DISCARDED[name]
    with pytest.raises(DecodeError) as error:
        decode_lldpdu(bytes.fromhex(octets))
    assert (error.value.reason, error.value.offset) == (reason, offset)


@pytest.mark.parametrize("name", ALL_ACCEPTED)
def test_accepted(name: str) -> None:
    case = ALL_ACCEPTED[name]
    octets = bytes.fromhex(case.octets)
    reading = decode_lldpdu(octets)
    assert reading.pdu == Lldpdu(case.chassis, PORT, case.ttl, case.optional)
    assert (reading.unrecognized, reading.discarded, len(reading.errors)) == (
        case.unrecognized,
        case.discarded,
        case.discarded,
    )
    encoded = encode_lldpdu(reading.pdu)
    assert encoded == (up_to_end(octets) if case.again is None else bytes.fromhex(case.again)) + b"\0\0"
    assert decode_lldpdu(encoded) == Reading(reading.pdu, case.unrecognized)


@pytest.mark.parametrize("padding", [2, 22, 1000])
def test_padding_changes_no_verdict(padding: int) -> None:
    """What has an End TLV may be padded. Without one, padding of two octets reads as one."""
    for name in (*ALL_DISCARDED, *ALL_ACCEPTED):
        octets = bytes.fromhex(ALL_DISCARDED[name][0] if name in ALL_DISCARDED else ALL_ACCEPTED[name].octets)
        if name in ALL_ACCEPTED:
            assert decode_lldpdu(octets + bytes(padding)).pdu == decode_lldpdu(octets).pdu
        elif not ("overrun" in name or "octet" in name or "1 byte" in name):
            with pytest.raises(DecodeError):
                decode_lldpdu(octets + bytes(padding))


def test_where_the_errors_are() -> None:
    reading = decode_lldpdu(bytes.fromhex(MORE_ACCEPTED["all that can go wrong, and a name"].octets))
    assert [(error.reason, error.offset) for error in reading.errors] == [
        ("TLV of type 7 with 0 octets is too short", 20),
        ("organizational TLV of 1 octets", 22),
        ("management address string length is not 2 to 32", 25),
        ("TLV of type 5 repeats an earlier one", 30),
    ]


def test_the_whole_corpus_is_here() -> None:
    if not CORPUS.exists():
        pytest.skip(f"no ../shared/captures/{CORPUS.name} beside the repository to compare these octets with")
    lines = [line.split(" | ") for line in CORPUS.read_text().splitlines() if line and not line.startswith("#")]
    corpus = {name: octets for name, octets, *_ in lines}
    ours = {name: row[0] for name, row in DISCARDED.items()} | {name: case.octets for name, case in ACCEPTED.items()}
    assert len(corpus) == len(lines) >= 53
    assert {name: bytes.fromhex(octets).hex() for name, octets in ours.items()} == corpus


# Real frames.


def lldpd_full() -> tuple[bytes, Lldpdu]:
    """lldpd 1.0.16 with nearly everything that it can say."""
    octets = bytes.fromhex(
        "020704020000000a01 0406057665746830 06020014 0a12686f73742d612e6578616d706c652e6e6574"
        "0c0e4578616d706c65204f5320312e30 0e0400bc0080 100c0501c000020a020000000300"
        "1018110220010db8000000000000000000000010020000000300 080f75706c696e6b20746f20746f722d31"
        "fe0900120f030100000000 fe0900120f010080000036 fe0c00120f020e0204d300640096 fe070012bb01003f03"
        "fe080012bb0548572d31 fe0a0012bb0646572d322e33 fe0a0012bb0753572d342e35 fe0a0012bb08534e30303031"
        "fe0d0012bb094578616d706c65436f fe0b0012bb0a4d6f64656c2d58 fe0c0012bb0b41535345542d3737"
        "fe150012bb03016861b69d735c04671de6174000757801"
        "fe290012bb0302230255530002656e0309526f736576696c6c65060f436f6d6d65726369616c20526f6164"
        "fe080012bb0303393131 fe080012bb020143e96e fe080012bb0207800000 fe070012bb04520032 fe05000142010d"
        "fe073344552c454647 0000"
    )
    return octets, Lldpdu(
        ChassisId(4, bytes.fromhex("020000000a01")),
        PortId(5, b"veth0"),
        20,
        (
            SystemName(b"host-a.example.net"),
            SystemDescription(b"Example OS 1.0"),
            SystemCapabilities(0xBC, 0x80),
            ManagementAddress(1, bytes.fromhex("c000020a"), 2, 3),
            ManagementAddress(2, bytes.fromhex("20010db8000000000000000000000010"), 2, 3),
            PortDescription(b"uplink to tor-1"),
            organizational("00120f", 3, "0100000000"),
            organizational("00120f", 1, "0080000036"),
            organizational("00120f", 2, "0e0204d300640096"),
            organizational("0012bb", 1, "003f03"),
            organizational("0012bb", 5, b"HW-1".hex()),
            organizational("0012bb", 6, b"FW-2.3".hex()),
            organizational("0012bb", 7, b"SW-4.5".hex()),
            organizational("0012bb", 8, b"SN0001".hex()),
            organizational("0012bb", 9, b"ExampleCo".hex()),
            organizational("0012bb", 10, b"Model-X".hex()),
            organizational("0012bb", 11, b"ASSET-77".hex()),
            organizational("0012bb", 3, "016861b69d735c04671de6174000757801"),
            organizational("0012bb", 3, "02230255530002656e0309" + b"Roseville\6\x0fCommercial Road".hex()),
            organizational("0012bb", 3, "03393131"),
            organizational("0012bb", 2, "0143e96e"),
            organizational("0012bb", 2, "07800000"),
            organizational("0012bb", 4, "520032"),
            organizational("000142", 1, "0d"),
            organizational("334455", 0x2C, "454647"),
        ),
    )


def lldpad_basic() -> tuple[bytes, Lldpdu]:
    """lldpad 1.1 with basic and 802.3 TLVs."""
    octets = bytes.fromhex(
        "020704020000000c01 040703020000000c01 06020078"
        "0816496e7465726661636520202033206173207665746830 0a06686f73742d61"
        "0c204c696e757820686f73742d6120362e312e3020233120534d50207838365f3634 0e0400800080"
        "100c0501c0000214020000000300 fe0900120f010000010000 fe0900120f030000000000 fe0600120f0405ee 0000"
    )
    mac = bytes.fromhex("020000000c01")
    return octets, Lldpdu(
        ChassisId(4, mac),
        PortId(3, mac),
        120,
        (
            PortDescription(b"Interface   3 as veth0"),
            SystemName(b"host-a"),
            SystemDescription(b"Linux host-a 6.1.0 #1 SMP x86_64"),
            SystemCapabilities(0x80, 0x80),
            ManagementAddress(1, bytes.fromhex("c0000214"), 2, 3),
            organizational("00120f", 1, "0000010000"),
            organizational("00120f", 3, "0000000000"),
            organizational("00120f", 4, "05ee"),
        ),
    )


def lldpad_shutdown() -> tuple[bytes, Lldpdu]:
    mac = bytes.fromhex("020000000c01")
    octets = bytes.fromhex("020704020000000c01 040703020000000c01 06020000 0000")
    return octets, Lldpdu(ChassisId(4, mac), PortId(3, mac), 0)


KNOWN = [lldpd_full, lldpad_basic, lldpad_shutdown]


@pytest.mark.parametrize("known", KNOWN)
def test_known_frames_both_ways(known: Any) -> None:
    octets, pdu = known()
    assert decode_lldpdu(octets) == decode_lldpdu(octets.ljust(46, b"\0")) == Reading(pdu)
    assert encode_lldpdu(pdu) == octets


def test_shutdown() -> None:
    octets, pdu = lldpad_shutdown()
    assert shutdown(pdu.chassis_id, pdu.port_id) == octets


@pytest.mark.parametrize("known", KNOWN)
def test_every_truncation(known: Any) -> None:
    """Cut at a border behind the mandatory TLVs it is an LLDPDU without End; cut anywhere else it is none."""
    octets, pdu = known()
    borders = [tlv_.end for tlv_ in dissect(octets)]
    for length in range(len(octets)):
        if length in borders[2:]:
            assert decode_lldpdu(octets[:length]).pdu.optional == pdu.optional[: borders.index(length) - 2]
        else:
            with pytest.raises(DecodeError):
                decode_lldpdu(octets[:length])


@pytest.mark.parametrize(
    ("known", "every"),
    [
        (lldpd_full, False),
        (lldpad_basic, False),
        (lldpad_shutdown, False),
        pytest.param(lldpad_basic, True, marks=pytest.mark.slow),
        pytest.param(lldpad_shutdown, True, marks=pytest.mark.slow),
    ],
)
def test_every_single_byte_change(known: Any, every: bool) -> None:
    """A reading or DecodeError: each bit, and the extremes; or every value."""
    octets, _ = known()
    for offset, octet in enumerate(octets):
        bits = {octet ^ 1 << bit for bit in range(8)}
        for change in range(256) if every else {0, 255} | bits:
            try_any(octets[:offset] + bytes([change]) + octets[offset + 1 :], again=change in bits)


@given(st.binary(max_size=200), st.booleans())
def test_any_octets(octets: bytes, behind_mandatory: bool) -> None:
    try_any(bytes.fromhex(GOOD) + octets if behind_mandatory else octets)


any_tlv = st.builds(tlv, st.sampled_from([4, 5, 6, 7, 8, 9, 126, 127]), st.binary(max_size=20))


@given(st.lists(any_tlv, max_size=6))
def test_any_optional_tlvs(tlvs: list[bytes]) -> None:
    """Whatever is in them, what follows the mandatory TLVs costs nothing but itself."""
    reading = decode_lldpdu(bytes.fromhex(GOOD) + b"".join(tlvs) + b"\0\0")
    assert len(reading.pdu.optional) + reading.discarded == len(tlvs)
    assert all(isinstance(error, DecodeError) for error in reading.errors)


def try_any(octets: bytes, again: bool = True) -> None:
    """Decode, and what was read `again`; nothing but DecodeError may come of it."""
    try:
        reading = decode_lldpdu(octets)
    except DecodeError as error:
        assert 0 <= error.offset <= len(octets)
        return
    assert reading.discarded == len(reading.errors)
    if again:
        assert decode_lldpdu(encode_lldpdu(reading.pdu)) == Reading(reading.pdu, reading.unrecognized)


# Values of ours.

texts = st.binary(max_size=255)
capabilities = st.integers(0, 0xFFFF).flatmap(
    lambda supported: st.builds(
        SystemCapabilities, st.just(supported), st.integers(0, 0xFFFF).map(lambda bits: bits & supported)
    )
)
management = st.builds(
    ManagementAddress,
    st.integers(0, 255),
    st.binary(min_size=1, max_size=31),
    st.integers(0, 255),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=128),
)
repeatable = st.one_of(
    st.builds(OrganizationalTlv, st.binary(min_size=3, max_size=3), st.integers(0, 255), st.binary(max_size=60)),
    st.builds(UnrecognizedTlv, st.integers(9, 126), st.binary(max_size=60)),
)
optional_tlvs = st.tuples(
    st.lists(texts.map(PortDescription), max_size=1),
    st.lists(texts.map(SystemName), max_size=1),
    st.lists(texts.map(SystemDescription), max_size=1),
    st.lists(capabilities, max_size=1),
    st.lists(management, max_size=3, unique_by=lambda tlv_: (tlv_.subtype, tlv_.address)),
    st.lists(repeatable, max_size=3),
).flatmap(lambda lists: st.permutations([tlv_ for list_ in lists for tlv_ in list_]))
identifiers = st.tuples(st.integers(1, 7), st.binary(min_size=1, max_size=255))
lldpdus = st.builds(
    lambda chassis, port, ttl, optional: Lldpdu(ChassisId(*chassis), PortId(*port), ttl, tuple(optional)),
    identifiers,
    identifiers,
    st.integers(1, 0xFFFF),
    optional_tlvs,
)


@given(lldpdus)
def test_round_trip(pdu: Lldpdu) -> None:
    unrecognized = sum(isinstance(tlv_, UnrecognizedTlv) for tlv_ in pdu.optional)
    assert decode_lldpdu(encode_lldpdu(pdu)) == Reading(pdu, unrecognized)


def test_an_ordinary_frame_full_of_tlvs_is_read_and_no_more_of_a_larger_one() -> None:
    shortest = tlv(127, bytes.fromhex("0080c2") + b"\x02" + bytes(3))  # port and protocol VLAN ID
    full = bytes.fromhex(GOOD) + shortest * ((1500 - len(bytes.fromhex(GOOD + E))) // len(shortest)) + b"\0\0"
    assert decode_lldpdu(full).errors == ()
    reading = decode_lldpdu(bytes.fromhex(GOOD) + tlv(9, b"") * 300 + b"\0\0")
    assert (len(reading.pdu.optional), reading.discarded, reading.unrecognized) == (256, 44, 256)
    (error,) = reading.errors
    assert (error.reason, error.offset) == ("the last 44 TLVs are too many: 256 count", 20 + 2 * 256)


def test_an_lldpdu_that_is_larger_than_any() -> None:
    assert decode_lldpdu(bytes.fromhex(GOOD + E).ljust(9216, b"\0")).pdu == Lldpdu(CHASSIS, PORT, 120)
    with pytest.raises(DecodeError, match="LLDPDU of 9217 octets"):
        decode_lldpdu(bytes.fromhex(GOOD + E).ljust(9217, b"\0"))


@given(identifiers, identifiers)
def test_round_trip_of_a_shutdown(chassis: tuple[int, bytes], port: tuple[int, bytes]) -> None:
    octets = shutdown(ChassisId(*chassis), PortId(*port))
    assert decode_lldpdu(octets).pdu == Lldpdu(ChassisId(*chassis), PortId(*port), 0)
    assert len(octets) == 14 - 2 + len(chassis[1]) + len(port[1])


@pytest.mark.parametrize(
    "pdu",
    [
        Lldpdu(CHASSIS, PORT, -1),
        Lldpdu(CHASSIS, PORT, 65536),
        Lldpdu(ChassisId(4, b""), PORT, 1),
        Lldpdu(ChassisId(0, b"x"), PORT, 1),
        Lldpdu(CHASSIS, PortId(8, b"x"), 1),
        Lldpdu(CHASSIS, PortId(7, 256 * b"x"), 1),
    ],
)
def test_what_does_not_fit_the_mandatory_tlvs(pdu: Lldpdu) -> None:
    with pytest.raises(ValueError, match=r" is -?\d+, not \d+ to \d+"):
        encode_lldpdu(pdu)


@pytest.mark.parametrize(
    "value",
    [
        PortDescription(256 * b"x"),
        SystemName(256 * b"x"),
        SystemDescription(256 * b"x"),
        SystemCapabilities(0x10000, 0),
        SystemCapabilities(1, -1),
        ManagementAddress(1, b"", 1, 0),
        ManagementAddress(1, 32 * b"x", 1, 0),
        ManagementAddress(256, b"x", 1, 0),
        ManagementAddress(1, b"x", 256, 0),
        ManagementAddress(1, b"x", 1, 1 << 32),
        ManagementAddress(1, b"x", 1, 0, 129 * b"x"),
        OrganizationalTlv(b"ab", 1, b""),
        OrganizationalTlv(b"abc", 256, b""),
        OrganizationalTlv(b"abc", 1, 508 * b"x"),
        UnrecognizedTlv(0, b""),
        UnrecognizedTlv(8, b""),
        UnrecognizedTlv(127, b"abcd"),
        UnrecognizedTlv(9, 512 * b"x"),
    ],
)
def test_what_does_not_fit_its_tlv(value: OptionalTlv) -> None:
    with pytest.raises(ValueError):
        encode_lldpdu(Lldpdu(CHASSIS, PORT, 1, (value,)))


# An independent description of the wire.


def test_frames_that_scapy_builds() -> None:
    lldp = pytest.importorskip("scapy.contrib.lldp")
    ether = pytest.importorskip("scapy.layers.l2").Ether
    frame = ether(dst="01:80:c2:00:00:0e", src="02:00:00:00:00:aa") / (
        lldp.LLDPDUChassisID(subtype=4, id="02:00:00:00:00:aa")
        / lldp.LLDPDUPortID(subtype=5, id=b"eth9")
        / lldp.LLDPDUTimeToLive(ttl=120)
        / lldp.LLDPDUPortDescription(description=b"uplink")
        / lldp.LLDPDUSystemName(system_name=b"switch")
        / lldp.LLDPDUSystemDescription(description=b"a switch")
        / lldp.LLDPDUSystemCapabilities(
            mac_bridge_available=1, station_only_available=1, router_available=1, mac_bridge_enabled=1
        )
        / lldp.LLDPDUManagementAddress(
            management_address_subtype=1,
            management_address=bytes.fromhex("c0000201"),
            interface_numbering_subtype=2,
            interface_number=7,
            object_id=b"\x2b\x06",
        )
        / lldp.LLDPDUManagementAddress(
            management_address_subtype=2,
            management_address=bytes(15) + b"\1",
            interface_numbering_subtype=3,
            interface_number=0x01020304,
        )
        / lldp.LLDPDUGenericOrganisationSpecific(org_code=0x334455, subtype=9, data=b"xyz")
        / lldp.LLDPDUEndOfLLDPDU()
    )
    octets = bytes(frame)
    received = decode_frame(octets)
    assert (received.ethertype, received.source) == (ETHERTYPE_LLDP, CHASSIS.id)
    pdu = Lldpdu(
        CHASSIS,
        PORT,
        120,
        (
            PortDescription(b"uplink"),
            SystemName(b"switch"),
            SystemDescription(b"a switch"),
            SystemCapabilities(0x94, 0x04),
            ManagementAddress(1, bytes.fromhex("c0000201"), 2, 7, b"\x2b\x06"),
            ManagementAddress(2, bytes(15) + b"\1", 3, 0x01020304),
            organizational("334455", 9, b"xyz".hex()),
        ),
    )
    assert decode_lldpdu(received.payload) == Reading(pdu)
    assert encode_lldpdu(pdu) == received.payload


def test_what_scapy_reads_from_ours() -> None:
    lldp = pytest.importorskip("scapy.contrib.lldp")
    octets, _ = lldpd_full()
    pdu = decode_lldpdu(octets).pdu
    layers = lldp.LLDPDU(encode_lldpdu(Lldpdu(pdu.chassis_id, pdu.port_id, pdu.ttl, pdu.optional[:6])))
    assert layers[lldp.LLDPDUChassisID].id == "02:00:00:00:0a:01"
    assert (layers[lldp.LLDPDUPortID].subtype, layers[lldp.LLDPDUPortID].id) == (5, b"veth0")
    assert layers[lldp.LLDPDUTimeToLive].ttl == 20
    assert layers[lldp.LLDPDUSystemName].system_name == b"host-a.example.net"
    assert layers[lldp.LLDPDUSystemDescription].description == b"Example OS 1.0"
    assert layers[lldp.LLDPDUPortDescription].description == b"uplink to tor-1"
    bits = layers[lldp.LLDPDUSystemCapabilities]
    assert (bits.station_only_available, bits.station_only_enabled, bits.other_available) == (1, 1, 0)
    first = layers[lldp.LLDPDUManagementAddress]
    assert (first.management_address, first.interface_number) == (bytes.fromhex("c000020a"), 3)
    second = layers.getlayer(lldp.LLDPDUManagementAddress, 2)
    assert second.management_address == bytes.fromhex("20010db8000000000000000000000010")
    assert layers.haslayer(lldp.LLDPDUEndOfLLDPDU)


# Captures, when they lie beside the repository.


def lldp_frames() -> Iterator[tuple[str, int, bytes]]:
    """File name, number of the frame and LLDPDU of all captures beside the repository."""
    folders = [sorted((SHARED / folder).glob("*.pcap")) for folder in ("captures", "pcaps")]
    if not all(folders):
        pytest.skip("no captures beside the repository: ../shared/captures and ../shared/pcaps are looked for")
    for file in chain(*folders):
        for captured in read_pcap(file):
            frame = decode_frame(captured.data)
            if frame.ethertype == ETHERTYPE_LLDP:
                yield file.name, captured.number, frame.payload


def test_captures_both_ways() -> None:
    """Every LLDPDU that is accepted encodes to the octets that came, without the TLVs that were dropped."""
    accepted = 0
    for name, number, octets in lldp_frames():
        try:
            reading = decode_lldpdu(octets)
        except DecodeError:
            continue
        accepted += 1
        dropped = {error.offset for error in reading.errors}
        kept = b"".join(octets[tlv_.start : tlv_.end] for tlv_ in dissect(octets) if tlv_.start not in dropped)
        assert encode_lldpdu(reading.pdu) == kept + b"\0\0", (name, number)
    assert accepted >= 690


def test_captures_that_are_not_taken_whole() -> None:
    """By name, so that a change of mind is looked at."""
    discarded, in_part = set(), set()
    for name, _, octets in lldp_frames():
        try:
            if decode_lldpdu(octets).errors:
                in_part.add(name.removesuffix(".pcap"))
        except DecodeError:
            discarded.add(name.removesuffix(".pcap"))
    assert in_part >= {"ladvd-a8-fuzzer-cap-conflict"}
    assert discarded >= {
        "hp-procurve-2824-snaplen",
        "ladvd-02-chassis-id-only",
        "ladvd-03-chassis-id-missing",
        "ladvd-11-port-id-broken",
        "ladvd-12-port-id-only",
        "ladvd-13-port-id-missing",
        "ladvd-14-port-id-long",
        "ladvd-15-port-id-broken",
        "ladvd-92-tlv-broken",
        "ladvd-93-tlv-long",
        "ladvd-98-end-broken",
        "ladvd-a1-fuzzer-chassis-id-long",
        "ladvd-a3-fuzzer-chassis-id-broken",
        "ladvd-a9-fuzzer-port-id-missing",
        "ladvd-broken-empty",
        "tcpdump-8023-mtu-oobr",
        "tcpdump-8023-mtu-oobr-old",
        "wireshark-minimal",
    }


def test_captures_as_tshark_reads_them() -> None:
    """The basic TLVs of all frames in which tshark has found no fault."""
    files = sorted((SHARED / "pcaps").glob("*.json"))
    if not files:
        pytest.skip("no captures read by tshark beside the repository: ../shared/pcaps is looked for")
    compared = 0
    for file in files:
        frames = read_pcap(file.with_suffix(".pcap"))
        for truth in json.loads(file.read_text())["frames"]:
            if truth["complete"] and not truth["malformed"]:
                octets = decode_frame(frames[truth["number"] - 1].data).payload
                assert by_tshark_keys(decode_lldpdu(octets)) == basic(truth), (file.name, truth["number"])
                compared += 1
    assert compared >= 80


def by_tshark_keys(reading: Reading) -> dict[str, object]:
    pdu = reading.pdu
    found: dict[str, object] = {
        "chassis_id": (pdu.chassis_id.subtype, pdu.chassis_id.id.hex()),
        "port_id": (pdu.port_id.subtype, pdu.port_id.id.hex()),
        "ttl": pdu.ttl,
    }
    addresses = []
    for value in pdu.optional:
        match value:
            case PortDescription(text):
                found["port_description"] = text.hex()
            case SystemName(text):
                found["system_name"] = text.hex()
            case SystemDescription(text):
                found["system_description"] = text.hex()
            case SystemCapabilities(supported, enabled):
                found["capabilities"] = (supported, enabled)
            case ManagementAddress(subtype, address, numbering, number, oid):
                addresses.append((subtype, address.hex(), numbering, number, len(oid)))
    return found | ({"management_addresses": addresses} if addresses else {})


def basic(truth: dict[str, Any]) -> dict[str, object]:
    """The same keys, from tshark."""
    chassis, port = (bytes.fromhex(truth["tlvs"][place]["value"]) for place in (0, 1))
    found: dict[str, object] = {
        "chassis_id": (chassis[0], chassis[1:].hex()),
        "port_id": (port[0], port[1:].hex()),
    }
    for key, value in truth["decoded"].items():
        match key:
            case "ttl":
                found[key] = value
            case "port_description" | "system_name" | "system_description":
                found[key] = value["hex"]
            case "capabilities" if not value["enabled"] & ~value["supported"]:
                found[key] = (value["supported"], value["enabled"])
            case "management_addresses":
                keys = ("subtype", "hex", "interface_subtype", "interface_number", "oid_length")
                found[key] = [tuple(address[name] for name in keys) for address in value]
    return found


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int


def dissect(octets: bytes) -> list[Span]:
    """Where the TLVs before the End TLV stand; not the project's walk."""
    spans: list[Span] = []
    offset = 0
    while offset < len(octets) and octets[offset] >> 1:
        end = offset + 2 + (int.from_bytes(octets[offset : offset + 2], "big") & 0x1FF)
        spans.append(Span(offset, end))
        offset = end
    return spans


def up_to_end(octets: bytes) -> bytes:
    spans = dissect(octets)
    return octets[: spans[-1].end] if spans else b""
