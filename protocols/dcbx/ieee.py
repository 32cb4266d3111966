"""The TLVs of IEEE DCBX: OUI 00-80-C2, what follows the subtype (802.1Q D.2.8 to D.2.11, D.2.14; sheet `dcbx.md` 1)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from construct import Array, BitsInteger, BitStruct, Flag, Padding

from protocols.dcbx.model import (
    Application,
    ApplicationPriority,
    ApplicationVlan,
    ApplicationVlanEntry,
    EtsConfiguration,
    EtsRecommendation,
    IeeeSubtype,
    IeeeTlv,
    PfcConfiguration,
)
from protocols.errors import DecodeError
from protocols.layout import Layout, decode_entries, encode_by_kind, encode_entries

OUI = bytes.fromhex("0080c2")
MAX_TRAFFIC_CLASSES = 8  # coded 0 in ETS

_TABLES = (
    "priority_assignment" / Array(8, BitsInteger(4)),
    "bandwidth" / Array(8, BitsInteger(8)),
    "selection" / Array(8, BitsInteger(8)),
)
_LAYOUTS: Mapping[int, Layout[Any]] = {
    IeeeSubtype.ETS_CONFIGURATION: Layout(
        EtsConfiguration,
        BitStruct(
            "willing" / Flag,
            "credit_based_shaper" / Flag,
            Padding(3),
            "traffic_classes" / BitsInteger(3),
            *_TABLES,
        ),
    ),
    IeeeSubtype.ETS_RECOMMENDATION: Layout(EtsRecommendation, BitStruct(Padding(8), *_TABLES)),
    IeeeSubtype.PFC_CONFIGURATION: Layout(
        PfcConfiguration,
        BitStruct("willing" / Flag, "mbc" / Flag, Padding(2), "capability" / BitsInteger(4), "enable" / BitsInteger(8)),
    ),
}
_APPLICATION = Layout(
    Application,
    BitStruct("priority" / BitsInteger(3), Padding(2), "selector" / BitsInteger(3), "protocol" / BitsInteger(16)),
)
_VLAN_ENTRY = Layout(
    ApplicationVlanEntry,
    BitStruct("vlan_id" / BitsInteger(12), Padding(1), "selector" / BitsInteger(3), "protocol" / BitsInteger(16)),
)


def decode(subtype: int, body: bytes) -> IeeeTlv | None:
    """None: not a TLV of DCBX. What follows tables of a fixed size is ignored."""
    match subtype:
        case IeeeSubtype.APPLICATION_PRIORITY:
            if not body:
                raise DecodeError("the reserved octet before the application priority table is missing")
            return ApplicationPriority(decode_entries(_APPLICATION, body, 1))
        case IeeeSubtype.APPLICATION_VLAN:
            return ApplicationVlan(decode_entries(_VLAN_ENTRY, body, 0))
    if subtype not in _LAYOUTS:
        return None
    value: IeeeTlv = _LAYOUTS[subtype].decode(body)
    if isinstance(value, EtsConfiguration):
        return replace(value, traffic_classes=value.traffic_classes or MAX_TRAFFIC_CLASSES)
    return value


def encode(value: IeeeTlv) -> tuple[int, bytes]:
    """Subtype and body; ValueError when the value does not fit."""
    match value:
        case ApplicationPriority(applications):
            return IeeeSubtype.APPLICATION_PRIORITY, b"\0" + encode_entries(_APPLICATION, applications)
        case ApplicationVlan(entries):
            return IeeeSubtype.APPLICATION_VLAN, encode_entries(_VLAN_ENTRY, entries)
        case EtsConfiguration(traffic_classes=number):
            if not 1 <= number <= MAX_TRAFFIC_CLASSES:
                raise ValueError(f"{number} traffic classes, not 1 to {MAX_TRAFFIC_CLASSES}")
            value = replace(value, traffic_classes=number % MAX_TRAFFIC_CLASSES)
    return encode_by_kind(_LAYOUTS, value)
