"""The wire form of vendors' TLVs: what follows OUI and subtype (sheet `lldp.md` 8; IEC 61158-6-10 4.11)."""

from collections.abc import Mapping
from typing import Any

from construct import BitsInteger, BitStruct, Bytes, Bytewise, Flag, Int8ub, Int16ub, Int32ub, Padding, Struct

from protocols.errors import DecodeError
from protocols.layout import Layout, decode_entries, encode_by_kind, encode_entries
from protocols.lldp.vendors import (
    CISCO_ACI_APPLIANCE_VECTOR,
    CISCO_FOUR_WIRE_POWER,
    CISCO_OUI,
    FABRIC_ATTACH_ASSIGNMENT,
    FABRIC_ATTACH_ELEMENT,
    FABRIC_ATTACH_OUI,
    PROFINET_OUI,
    AciAppliance,
    AciApplianceVector,
    ChassisMac,
    FabricAttachAssignment,
    FabricAttachElement,
    FabricAttachService,
    Form,
    FourWirePower,
    MeasuredDelays,
    MrpIcPortStatus,
    MrpPortStatus,
    ProfinetPortStatus,
    ProfinetSubtype,
    PtcpStatus,
    VendorAddresses,
    VendorNumber,
    VendorText,
    VendorTlv,
    vendor_kind,
)

IPV4 = 4
DIGEST = 32

_PROFINET: Mapping[int, Layout[Any]] = {
    ProfinetSubtype.MEASURED_DELAYS: Layout(
        MeasuredDelays,
        Struct(
            "port_rx_delay_local" / Int32ub,
            "port_rx_delay_remote" / Int32ub,
            "port_tx_delay_local" / Int32ub,
            "port_tx_delay_remote" / Int32ub,
            "cable_delay_local" / Int32ub,
        ),
    ),
    ProfinetSubtype.PORT_STATUS: Layout(
        ProfinetPortStatus,
        BitStruct(
            Padding(14),
            "rt_class2_state" / BitsInteger(2),
            Padding(2),
            "rt_class3_short_preamble" / Flag,
            "rt_class3_fragmentation" / Flag,
            Padding(9),
            "rt_class3_state" / BitsInteger(3),
        ),
    ),
    ProfinetSubtype.MRP_PORT_STATUS: Layout(MrpPortStatus, Struct("domain_uuid" / Bytes(16), "mrrt_state" / Int16ub)),
    ProfinetSubtype.CHASSIS_MAC: Layout(ChassisMac, Struct("address" / Bytes(6))),
    ProfinetSubtype.PTCP_STATUS: Layout(
        PtcpStatus,
        BitStruct(
            "master_source_address" / Bytewise(Bytes(6)),
            "subdomain_uuid" / Bytewise(Bytes(16)),
            "ir_data_uuid" / Bytewise(Bytes(16)),
            "length_of_period_valid" / Flag,
            "length_of_period" / BitsInteger(31),
            "red_period_begin_valid" / Flag,
            "red_period_begin" / BitsInteger(31),
            "orange_period_begin_valid" / Flag,
            "orange_period_begin" / BitsInteger(31),
            "green_period_begin_valid" / Flag,
            "green_period_begin" / BitsInteger(31),
        ),
    ),
    ProfinetSubtype.MRPIC_PORT_STATUS: Layout(
        MrpIcPortStatus, Struct("domain_id" / Int16ub, "role" / Int16ub, "position" / Int16ub)
    ),
}
_FOUR_WIRE_POWER = Layout(
    FourWirePower,
    BitStruct(
        Padding(4),
        "pse_spare_pair_on" / Flag,
        "pd_requests_spare_pair" / Flag,
        "spare_pair_detection_required" / Flag,
        "four_wire_poe_supported" / Flag,
    ),
)
_APPLIANCE = Layout(AciAppliance, Struct("id" / Int8ub, "address" / Bytes(IPV4), "uuid" / Bytes(36)))
_ELEMENT = Layout(
    FabricAttachElement,
    BitStruct(
        "hmac_sha_digest" / Bytewise(Bytes(DIGEST)),
        "element_type" / BitsInteger(6),
        "state" / BitsInteger(6),
        "management_vlan" / BitsInteger(12),
        Padding(8),
        "system_id" / Bytewise(Bytes(10)),
    ),
)
_SERVICE = Layout(
    FabricAttachService,
    BitStruct("status" / BitsInteger(4), "vlan_id" / BitsInteger(12), "i_sid" / BitsInteger(24)),
)


def decode(oui: bytes, subtype: int, body: bytes) -> VendorTlv | None:
    """None: an organization or subtype whose form is not known. What follows the fields is ignored."""
    kind = vendor_kind(oui, subtype)
    if kind is None:
        return None
    match kind.form:
        case Form.TEXT:
            return VendorText(oui, subtype, body)
        case Form.NUMBER:
            if len(body) < kind.size:
                raise DecodeError(f"a number of {len(body)} octets, not {kind.size}")
            return VendorNumber(oui, subtype, int.from_bytes(body[: kind.size], "big"))
        case Form.IPV4:
            if not body or len(body) % IPV4:
                raise DecodeError(f"{len(body)} octets are no IPv4 addresses")
            return VendorAddresses(oui, subtype, tuple(body[at : at + IPV4] for at in range(0, len(body), IPV4)))
        case Form.STRUCTURE:
            return _decode_structure(oui, subtype, body)
    return None


def encode(value: VendorTlv) -> tuple[bytes, int, bytes]:
    """OUI, subtype and body; ValueError when the value does not fit."""
    match value:
        case VendorText(oui, subtype, octets):
            return oui, subtype, octets
        case VendorNumber(oui, subtype, number):
            kind = vendor_kind(oui, subtype)
            if kind is None or kind.form is not Form.NUMBER or not 0 <= number < 1 << 8 * kind.size:
                raise ValueError(f"{value} does not fit its TLV")
            return oui, subtype, number.to_bytes(kind.size, "big")
        case VendorAddresses(oui, subtype, addresses):
            if not addresses or any(len(address) != IPV4 for address in addresses):
                raise ValueError(f"{value} has an address that is not IPv4, or none")
            return oui, subtype, b"".join(addresses)
        case FourWirePower():
            return CISCO_OUI, CISCO_FOUR_WIRE_POWER, _FOUR_WIRE_POWER.encode(value)
        case AciApplianceVector(appliances):
            return CISCO_OUI, CISCO_ACI_APPLIANCE_VECTOR, encode_entries(_APPLIANCE, appliances)
        case FabricAttachElement():
            return FABRIC_ATTACH_OUI, FABRIC_ATTACH_ELEMENT, _ELEMENT.encode(value)
        case FabricAttachAssignment(digest, assignments):
            if len(digest) != DIGEST:
                raise ValueError(f"a digest of {len(digest)} octets does not fit its TLV")
            octets = digest + encode_entries(_SERVICE, assignments)
            return FABRIC_ATTACH_OUI, FABRIC_ATTACH_ASSIGNMENT, octets
    return PROFINET_OUI, *encode_by_kind(_PROFINET, value)


def _decode_structure(oui: bytes, subtype: int, body: bytes) -> VendorTlv:
    if oui == CISCO_OUI:
        if subtype == CISCO_FOUR_WIRE_POWER:
            return _FOUR_WIRE_POWER.decode(body)
        return AciApplianceVector(decode_entries(_APPLIANCE, body, 0))
    if oui == FABRIC_ATTACH_OUI:
        if subtype == FABRIC_ATTACH_ELEMENT:
            return _ELEMENT.decode(body)
        if len(body) < DIGEST:
            raise DecodeError(f"{len(body)} octets are left, {DIGEST} are needed")
        return FabricAttachAssignment(body[:DIGEST], decode_entries(_SERVICE, body, DIGEST))
    value: VendorTlv = _PROFINET[subtype].decode(body)
    return value
