"""The wire form of IEEE 802.1's organizational TLVs: what follows OUI and subtype (sheet `lldp.md` 5)."""

from collections.abc import Mapping
from typing import Any

from construct import BitsInteger, BitStruct, Flag, Int8ub, Int16ub, Int32ub, Padding, Struct

from protocols.errors import DecodeError
from protocols.layout import Layout, encode_by_kind
from protocols.lldp.dot1 import (
    CongestionNotification,
    Dot1Subtype,
    Dot1Tlv,
    LinkAggregation,
    ManagementVid,
    PortAndProtocolVlanId,
    PortVlanId,
    ProtocolIdentity,
    VidUsageDigest,
    VlanName,
)

MAX_VLAN_NAME, MAX_IDENTITY = 32, 255

_LAYOUTS: Mapping[int, Layout[Any]] = {
    Dot1Subtype.PORT_VLAN_ID: Layout(PortVlanId, Struct("port_vlan_id" / Int16ub)),
    Dot1Subtype.PORT_AND_PROTOCOL_VLAN_ID: Layout(
        PortAndProtocolVlanId,
        BitStruct(Padding(5), "enabled" / Flag, "supported" / Flag, Padding(1), "port_vlan_id" / BitsInteger(16)),
    ),
    Dot1Subtype.VID_USAGE_DIGEST: Layout(VidUsageDigest, Struct("vid_usage_digest" / Int32ub)),
    Dot1Subtype.MANAGEMENT_VID: Layout(ManagementVid, Struct("management_vid" / Int16ub)),
    Dot1Subtype.LINK_AGGREGATION: Layout(
        LinkAggregation,
        BitStruct(
            Padding(4),
            "port_type" / BitsInteger(2),
            "aggregation_status" / Flag,
            "aggregation_capability" / Flag,
            "aggregated_port_id" / BitsInteger(32),
        ),
    ),
    Dot1Subtype.CONGESTION_NOTIFICATION: Layout(
        CongestionNotification, Struct("cnpv_capable" / Int8ub, "ready" / Int8ub)
    ),
}


def decode(subtype: int, body: bytes) -> Dot1Tlv | None:
    """None: a subtype that is not read here. What follows the fields is ignored."""
    if subtype == Dot1Subtype.VLAN_NAME:
        vid = _LAYOUTS[Dot1Subtype.PORT_VLAN_ID].decode(body).port_vlan_id
        return VlanName(vid, _string(body, 2, MAX_VLAN_NAME))
    if subtype == Dot1Subtype.PROTOCOL_IDENTITY:
        return ProtocolIdentity(_string(body, 0, MAX_IDENTITY))
    if subtype not in _LAYOUTS:
        return None
    value: Dot1Tlv = _LAYOUTS[subtype].decode(body)
    if isinstance(value, PortAndProtocolVlanId) and value.enabled and not value.supported:
        raise DecodeError("port and protocol VLANs are enabled but not supported")  # D.2.2.1
    return value


def encode(value: Dot1Tlv) -> tuple[int, bytes]:
    """Subtype and body; ValueError when the value does not fit."""
    if isinstance(value, VlanName):
        _, vid = encode_by_kind(_LAYOUTS, PortVlanId(value.vlan_id))
        return Dot1Subtype.VLAN_NAME, vid + _counted(value.name, MAX_VLAN_NAME)
    if isinstance(value, ProtocolIdentity):
        return Dot1Subtype.PROTOCOL_IDENTITY, _counted(value.protocol_identity, MAX_IDENTITY)
    return encode_by_kind(_LAYOUTS, value)


def _string(body: bytes, offset: int, most: int) -> bytes:
    """Octets with an octet before them that counts them."""
    if len(body) <= offset:
        raise DecodeError("the length of the string is missing", offset)
    length, start = body[offset], offset + 1
    if length > most:
        raise DecodeError(f"a string of {length} octets, more than {most}", offset)
    if start + length > len(body):
        raise DecodeError(f"the string claims {length} octets of {len(body) - start} left", offset)
    return body[start : start + length]


def _counted(octets: bytes, most: int) -> bytes:
    if len(octets) > most:
        raise ValueError(f"a string of {len(octets)} octets, more than {most}")
    return bytes([len(octets)]) + octets
