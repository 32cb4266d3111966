"""The TLV of CEE 1.01 and CIN 1.0: OUI 00-1B-21, sub-TLVs after the subtype (sheet `dcbx.md` 3, 4).

Everything known of these formats is what lldpad and switches send.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from construct import Array, BitsInteger, BitStruct, Flag, Int8ub, Int32ub, Padding, Struct

from protocols.dcbx.model import (
    CeeApplication,
    CeeApplications,
    CeeType,
    CinApplication,
    CinPriority,
    CinPriorityGroups,
    CinType,
    Control,
    Eight,
    Feature,
    LegacyPfc,
    LegacySubtype,
    LegacyTlv,
    LogicalLink,
    OtherFeature,
    PriorityGroups,
    SubTlv,
)
from protocols.errors import DecodeError
from protocols.layout import Layout, decode_entries, encode_entries
from protocols.tlv import HEADER, encode_tlv, walk

PRIORITIES = 8


@dataclass(frozen=True, slots=True)
class _Groups:
    group_ids: Eight
    bandwidth: Eight
    traffic_classes: int


@dataclass(frozen=True, slots=True)
class _Percentages:
    bandwidth: Eight


@dataclass(frozen=True, slots=True)
class _CeePfc:
    enable: int
    traffic_classes: int


@dataclass(frozen=True, slots=True)
class _Bitmap:
    priorities: int


@dataclass(frozen=True, slots=True)
class _Link:
    up: bool


@dataclass(frozen=True, slots=True)
class _Application:
    protocol: int
    oui_high: int
    selector: int
    oui_low: int
    priorities: int


_CONTROL = Layout(
    Control,
    Struct("oper_version" / Int8ub, "max_version" / Int8ub, "seq_no" / Int32ub, "ack_no" / Int32ub),
)
_FEATURE = Layout(
    Feature,
    BitStruct(
        "oper_version" / BitsInteger(8),
        "max_version" / BitsInteger(8),
        "enable" / Flag,
        "willing" / Flag,
        "error" / Flag,
        Padding(5),
        "sub_type" / BitsInteger(8),
    ),
)
_GROUPS = Layout(
    _Groups,
    BitStruct(
        "group_ids" / Array(PRIORITIES, BitsInteger(4)),
        "bandwidth" / Array(PRIORITIES, BitsInteger(8)),
        "traffic_classes" / BitsInteger(8),
    ),
)
_PERCENTAGES = Layout(_Percentages, Struct("bandwidth" / Array(PRIORITIES, Int8ub)))
_CIN_PRIORITY = Layout(
    CinPriority,
    BitStruct("group" / BitsInteger(3), "strict" / BitsInteger(2), Padding(3), "percent" / BitsInteger(8)),
)
_CEE_PFC = Layout(_CeePfc, Struct("enable" / Int8ub, "traffic_classes" / Int8ub))
_BITMAP = Layout(_Bitmap, Struct("priorities" / Int8ub))
_LINK = Layout(_Link, BitStruct("up" / Flag, Padding(7)))
_APPLICATION = Layout(
    _Application,
    BitStruct(
        "protocol" / BitsInteger(16),
        "oui_high" / BitsInteger(6),
        "selector" / BitsInteger(2),
        "oui_low" / BitsInteger(16),
        "priorities" / BitsInteger(8),
    ),
)
_DATA = _FEATURE.size  # where a feature's own octets begin


def decode(subtype: int, body: bytes) -> LegacyTlv | None:
    """None: neither CEE nor CIN. DecodeError when a sub-TLV is bad: half a set of features is none."""
    if subtype not in _DECODERS:
        return None
    walked = walk(body)
    if walked.error:
        raise walked.error
    sub_tlvs: list[SubTlv] = []
    for tlv in walked.tlvs:
        read = _DECODERS[subtype].get(tlv.type)
        try:
            sub_tlvs.append(read(tlv.value) if read else OtherFeature(tlv.type, tlv.value))
        except DecodeError as error:
            reason = f"DCBX sub-TLV {tlv.type}: {error.reason}"
            raise DecodeError(reason, tlv.offset + HEADER + error.offset) from error
    return LegacyTlv(subtype, tuple(sub_tlvs))


def encode(value: LegacyTlv) -> tuple[int, bytes]:
    """Subtype and body; ValueError when a value does not fit, or is no feature of this version."""
    if value.subtype not in _ENCODERS:
        raise ValueError(f"subtype {value.subtype} is neither CEE nor CIN")
    encode_one = _ENCODERS[value.subtype]
    return value.subtype, b"".join(encode_tlv(*encode_one(sub_tlv)) for sub_tlv in value.sub_tlvs)


def _priority_groups(value: bytes) -> PriorityGroups:
    feature, data = _FEATURE.decode(value), _GROUPS.decode(value, _DATA)
    return PriorityGroups(feature, data.group_ids, data.bandwidth, data.traffic_classes)


def _cin_priority_groups(value: bytes) -> CinPriorityGroups:
    feature, bandwidth = _FEATURE.decode(value), _PERCENTAGES.decode(value, _DATA).bandwidth
    start = _DATA + _PERCENTAGES.size
    offsets = range(start, start + PRIORITIES * _CIN_PRIORITY.size, _CIN_PRIORITY.size)
    return CinPriorityGroups(feature, bandwidth, tuple(_CIN_PRIORITY.decode(value, offset) for offset in offsets))


def _cee_pfc(value: bytes) -> LegacyPfc:
    feature, data = _FEATURE.decode(value), _CEE_PFC.decode(value, _DATA)
    return LegacyPfc(feature, data.enable, data.traffic_classes)


def _cin_pfc(value: bytes) -> LegacyPfc:
    return LegacyPfc(_FEATURE.decode(value), _BITMAP.decode(value, _DATA).priorities)


def _cee_applications(value: bytes) -> CeeApplications:
    feature = _FEATURE.decode(value)
    entries = decode_entries(_APPLICATION, value, _DATA)
    return CeeApplications(
        feature,
        tuple(
            CeeApplication(
                entry.protocol,
                entry.selector,
                bytes([entry.oui_high << 2]) + entry.oui_low.to_bytes(2, "big"),
                entry.priorities,
            )
            for entry in entries
        ),
    )


def _cin_application(value: bytes) -> CinApplication:
    return CinApplication(_FEATURE.decode(value), _BITMAP.decode(value, _DATA).priorities)


def _logical_link(value: bytes) -> LogicalLink:
    return LogicalLink(_FEATURE.decode(value), _LINK.decode(value, _DATA).up)


_DECODERS: Mapping[int, Mapping[int, Callable[[bytes], SubTlv]]] = {
    LegacySubtype.CEE: {
        CeeType.CONTROL: _CONTROL.decode,
        CeeType.PRIORITY_GROUPS: _priority_groups,
        CeeType.PFC: _cee_pfc,
        CeeType.APPLICATION: _cee_applications,
    },
    LegacySubtype.CIN: {
        CinType.CONTROL: _CONTROL.decode,
        CinType.PRIORITY_GROUPS: _cin_priority_groups,
        CinType.PFC: _cin_pfc,
        CinType.APPLICATION: _cin_application,
        CinType.LOGICAL_LINK: _logical_link,
    },
}


def _encode_cee(value: SubTlv) -> tuple[int, bytes]:
    match value:
        case Control():
            return CeeType.CONTROL, _CONTROL.encode(value)
        case PriorityGroups(feature, group_ids, bandwidth, traffic_classes):
            data = _GROUPS.encode(_Groups(group_ids, bandwidth, traffic_classes))
            return CeeType.PRIORITY_GROUPS, _FEATURE.encode(feature) + data
        case LegacyPfc(feature, enable, int(traffic_classes)):
            return CeeType.PFC, _FEATURE.encode(feature) + _CEE_PFC.encode(_CeePfc(enable, traffic_classes))
        case CeeApplications(feature, applications):
            entries = encode_entries(_APPLICATION, tuple(map(_application, applications)))
            return CeeType.APPLICATION, _FEATURE.encode(feature) + entries
        case OtherFeature(kind, octets):
            return kind, octets
    raise ValueError(f"{value} is no feature of CEE")


def _encode_cin(value: SubTlv) -> tuple[int, bytes]:
    match value:
        case Control():
            return CinType.CONTROL, _CONTROL.encode(value)
        case CinPriorityGroups(feature, bandwidth, priorities) if len(priorities) == PRIORITIES:
            data = _PERCENTAGES.encode(_Percentages(bandwidth)) + encode_entries(_CIN_PRIORITY, priorities)
            return CinType.PRIORITY_GROUPS, _FEATURE.encode(feature) + data
        case LegacyPfc(feature, enable, None):
            return CinType.PFC, _FEATURE.encode(feature) + _BITMAP.encode(_Bitmap(enable))
        case CinApplication(feature, bitmap):
            return CinType.APPLICATION, _FEATURE.encode(feature) + _BITMAP.encode(_Bitmap(bitmap))
        case LogicalLink(feature, up):
            return CinType.LOGICAL_LINK, _FEATURE.encode(feature) + _LINK.encode(_Link(up))
        case OtherFeature(kind, octets):
            return kind, octets
    raise ValueError(f"{value} is no feature of CIN")


_ENCODERS: Mapping[int, Callable[[SubTlv], tuple[int, bytes]]] = {
    LegacySubtype.CEE: _encode_cee,
    LegacySubtype.CIN: _encode_cin,
}


def _application(value: CeeApplication) -> _Application:
    if len(value.oui) != 3 or value.oui[0] & 3:
        raise ValueError(f"OUI {value.oui.hex()} does not fit an application")
    low = int.from_bytes(value.oui[1:], "big")
    return _Application(value.protocol, value.oui[0] >> 2, value.selector, low, value.priorities)
