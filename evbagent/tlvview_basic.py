"""The documents of the basic TLVs: the leaves of ieee802-dot1ab-lldp."""

from typing import Any

from evbagent.words import flag_words, word
from protocols.lldp.addresses import AddressFamily, object_identifier
from protocols.lldp.tlvs import (
    BasicTlv,
    Capability,
    ChassisId,
    ChassisIdSubtype,
    InterfaceNumbering,
    ManagementAddress,
    PortDescription,
    PortId,
    PortIdSubtype,
    SystemCapabilities,
    SystemDescription,
    SystemName,
    TimeToLive,
)

Json = dict[str, Any]


def basic_document(value: BasicTlv) -> Json:
    match value:
        case ChassisId():
            return {"chassis-id-subtype": word(ChassisIdSubtype, value.subtype), "chassis-id": value.text}
        case PortId():
            return {"port-id-subtype": word(PortIdSubtype, value.subtype), "port-id": value.text}
        case TimeToLive(seconds):
            return {"time-to-live": seconds}
        case PortDescription():
            return {"port-desc": value.text}
        case SystemName():
            return {"system-name": value.text}
        case SystemDescription():
            return {"system-description": value.text}
        case SystemCapabilities(supported, enabled):
            return {
                "system-capabilities-supported": flag_words(Capability, supported),
                "system-capabilities-enabled": flag_words(Capability, enabled),
            }
        case ManagementAddress():
            return {**management_address(value), **_object_identifier(value.oid)}
    return {}


def management_address(value: ManagementAddress) -> Json:
    """An entry of management-address."""
    return {
        "address-subtype": word(AddressFamily, value.subtype),
        "address": value.text,
        "if-subtype": word(InterfaceNumbering, value.numbering),
        "if-id": value.number,
    }


def _object_identifier(octets: bytes) -> Json:
    """None where there is none; octets that are no object identifier are shown as they are."""
    identifier = object_identifier(octets)
    unread = {"object-identifier-octets": octets.hex()} if octets and identifier is None else {}
    return {"object-identifier": identifier, **unread}
