"""DCBX TLVs as octets, written and read without the project's own codec (sheet `dcbx.md` 1, 3)."""

from collections.abc import Sequence
from struct import pack

from tests.support.lldpdus import tlv, walk

IEEE_OUI, LEGACY_OUI = bytes.fromhex("0080c2"), bytes.fromhex("001b21")
ETS_CONFIGURATION, ETS_RECOMMENDATION, PFC, APPLICATION = 9, 10, 11, 12
CIN, CEE = 1, 2
CLASSES = (0, 0, 0, 1, 0, 0, 0, 0)
HALVES = (50, 50, 0, 0, 0, 0, 0, 0)
BOTH_ETS = (2, 2, 0, 0, 0, 0, 0, 0)


def ieee(subtype: int, body: bytes) -> bytes:
    return tlv(127, IEEE_OUI + bytes([subtype]) + body)


def ets_configuration(
    willing: bool = False,
    prio_tc: Sequence[int] = CLASSES,
    tc_bw: Sequence[int] = HALVES,
    tc_tsa: Sequence[int] = BOTH_ETS,
    classes: int = 8,
) -> bytes:
    head = willing << 7 | classes & 7
    return ieee(ETS_CONFIGURATION, bytes([head]) + nibbles(prio_tc) + bytes(tc_bw) + bytes(tc_tsa))


def ets_recommendation(
    prio_tc: Sequence[int] = CLASSES, tc_bw: Sequence[int] = HALVES, tc_tsa: Sequence[int] = BOTH_ETS
) -> bytes:
    return ieee(ETS_RECOMMENDATION, b"\0" + nibbles(prio_tc) + bytes(tc_bw) + bytes(tc_tsa))


def pfc(enable: int = 1 << 3, willing: bool = False, capability: int = 8) -> bytes:
    return ieee(PFC, bytes([willing << 7 | capability, enable]))


def applications(*entries: tuple[int, int, int]) -> bytes:
    """Each entry: priority, selector, protocol."""
    table = b"".join(pack("!BH", priority << 5 | selector, protocol) for priority, selector, protocol in entries)
    return ieee(APPLICATION, b"\0" + table)


def nibbles(numbers: Sequence[int]) -> bytes:
    return bytes(high << 4 | low for high, low in zip(numbers[::2], numbers[1::2], strict=True))


def legacy(version: int, *sub_tlvs: bytes) -> bytes:
    return tlv(127, LEGACY_OUI + bytes([version]) + b"".join(sub_tlvs))


def control(seq_no: int, ack_no: int) -> bytes:
    return tlv(1, pack("!BBII", 0, 0, seq_no, ack_no))


def feature(willing: bool = False, enable: bool = True, error: bool = False) -> bytes:
    return bytes([0, 0, enable << 7 | willing << 6 | error << 5, 0])


def cee_groups(
    prio_pg: Sequence[int] = CLASSES, pg_bw: Sequence[int] = HALVES, willing: bool = False, classes: int = 8
) -> bytes:
    return tlv(2, feature(willing) + nibbles(prio_pg) + bytes(pg_bw) + bytes([classes]))


def cee_pfc(enable: int = 1 << 3, willing: bool = False) -> bytes:
    return tlv(3, feature(willing) + bytes([enable, 8]))


def cee_applications(*entries: tuple[int, int, int], willing: bool = False) -> bytes:
    """Each entry: protocol, selector, bitmap of priorities."""
    table = b"".join(
        pack("!HBHB", protocol, LEGACY_OUI[0] | selector, 0x1B21, bitmap) for protocol, selector, bitmap in entries
    )
    return tlv(4, feature(willing) + table)


def dcbx_tlvs(payload: bytes) -> list[tuple[bytes, int, bytes]]:
    """OUI, subtype and body of each DCBX TLV of an LLDPDU."""
    found = [(value[:3], value[3], value[4:]) for kind, value in walk(payload) if kind == 127 and len(value) >= 4]
    return [
        (oui, subtype, body)
        for oui, subtype, body in found
        if (oui == IEEE_OUI and ETS_CONFIGURATION <= subtype <= APPLICATION)
        or (oui == LEGACY_OUI and subtype in (CIN, CEE))
    ]
