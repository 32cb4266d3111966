"""LLDPDUs to and from octets, judged by IEEE 802.1AB (sheet `lldp.md` 1.4, column "standard")."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from construct import Bytes, Construct, ConstructError, Container, Int8ub, Int16ub, Int32ub, Struct, this

from protocols.errors import DecodeError
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
from protocols.tlv import RawTlv, encode_tlv, walk

CHASSIS_ID, PORT_ID, TIME_TO_LIVE = 1, 2, 3
PORT_DESCRIPTION, SYSTEM_NAME, SYSTEM_DESCRIPTION, SYSTEM_CAPABILITIES, MANAGEMENT_ADDRESS = 4, 5, 6, 7, 8
ORGANIZATIONAL = 127
MAX_IDENTIFIER, MAX_TEXT = 256, 255
END_OF_LLDPDU = b"\0\0"

_CAPABILITIES = Struct("supported" / Int16ub, "enabled" / Int16ub).compile()
_MANAGEMENT = Struct(
    "length" / Int8ub,
    "subtype" / Int8ub,
    "address" / Bytes(this.length - 1),
    "numbering" / Int8ub,
    "number" / Int32ub,
    "oid_length" / Int8ub,
    "oid" / Bytes(this.oid_length),
).compile()


@dataclass(frozen=True, slots=True)
class Reading:
    """A valid LLDPDU, how many of its TLVs have a reserved type, and those that were dropped, with the reasons."""

    pdu: Lldpdu
    unrecognized: int = 0
    discarded: int = 0
    errors: tuple[DecodeError, ...] = ()


def decode_lldpdu(payload: bytes) -> Reading:
    """Read what follows the EtherType. DecodeError: the LLDPDU as a whole is to be discarded."""
    walked = walk(payload)
    if walked.error:
        raise walked.error
    chassis_id, port_id, ttl = _mandatory(walked.tlvs)
    if ttl == 0:
        return Reading(Lldpdu(chassis_id, port_id, 0))
    optional: dict[OptionalTlv | RawTlv, OptionalTlv] = {}
    errors: list[DecodeError] = []
    once: set[int] = set()
    kept: list[OptionalTlv] = []
    unrecognized = 0
    for tlv in walked.tlvs[3:]:
        try:
            value = _decode_optional(tlv)
            if tlv.type in once:
                raise DecodeError(f"a second TLV of type {tlv.type}", tlv.offset)
            if tlv.type == MANAGEMENT_ADDRESS and value in optional:
                raise DecodeError("the same management address twice", tlv.offset)
        except DecodeError as error:
            errors.append(error)
            continue
        if tlv.type in _SINGLE:
            once.add(tlv.type)
        optional[value] = value
        kept.append(value)
        unrecognized += isinstance(value, UnrecognizedTlv)
    pdu = Lldpdu(chassis_id, port_id, ttl, tuple(kept))
    return Reading(pdu, unrecognized, len(errors), tuple(errors))


def encode_lldpdu(pdu: Lldpdu) -> bytes:
    """The LLDPDU with its End TLV; ValueError when a value does not fit its TLV."""
    parts = [
        encode_tlv(CHASSIS_ID, bytes([pdu.chassis_id.subtype]) + pdu.chassis_id.id),
        encode_tlv(PORT_ID, bytes([pdu.port_id.subtype]) + pdu.port_id.id),
        encode_tlv(TIME_TO_LIVE, pdu.ttl.to_bytes(2, "big")),
    ]
    return b"".join([*parts, *(_encode_optional(tlv) for tlv in pdu.optional), END_OF_LLDPDU])


def shutdown(chassis_id: ChassisId, port_id: PortId) -> bytes:
    """The shutdown LLDPDU: identifiers, a TTL of 0, nothing else."""
    return encode_lldpdu(Lldpdu(chassis_id, port_id, 0))


def _mandatory(tlvs: tuple[RawTlv, ...]) -> tuple[ChassisId, PortId, int]:
    for tlv, wanted, name in zip(tlvs, (CHASSIS_ID, PORT_ID, TIME_TO_LIVE), _MANDATORY_NAMES, strict=False):
        if tlv.type != wanted:
            raise DecodeError(f"TLV {wanted} is of type {tlv.type}, not {name}", tlv.offset)
    if len(tlvs) < 3:
        raise DecodeError(f"no {_MANDATORY_NAMES[len(tlvs)]} TLV")
    for tlv in tlvs[3:]:
        if tlv.type in (CHASSIS_ID, PORT_ID, TIME_TO_LIVE):
            raise DecodeError(f"a second {_MANDATORY_NAMES[tlv.type - 1]} TLV", tlv.offset)
    for tlv, name in zip(tlvs[:2], _MANDATORY_NAMES, strict=False):
        if not 2 <= len(tlv.value) <= MAX_IDENTIFIER:
            raise DecodeError(f"{name} TLV of {len(tlv.value)} octets", tlv.offset)
        if not 1 <= tlv.value[0] <= 7:
            raise DecodeError(f"{name} subtype {tlv.value[0]} is reserved", tlv.offset)
    if len(tlvs[2].value) < 2:
        raise DecodeError(f"time to live TLV of {len(tlvs[2].value)} octets", tlvs[2].offset)
    chassis, port, ttl = (tlv.value for tlv in tlvs[:3])
    return ChassisId(chassis[0], chassis[1:]), PortId(port[0], port[1:]), int.from_bytes(ttl[:2], "big")


_MANDATORY_NAMES = ("chassis ID", "port ID", "time to live")
_SINGLE = frozenset({PORT_DESCRIPTION, SYSTEM_NAME, SYSTEM_DESCRIPTION, SYSTEM_CAPABILITIES})
_TEXTS: Mapping[int, Callable[[bytes], OptionalTlv]] = {
    PORT_DESCRIPTION: PortDescription,
    SYSTEM_NAME: SystemName,
    SYSTEM_DESCRIPTION: SystemDescription,
}


def _decode_optional(tlv: RawTlv) -> OptionalTlv:
    if tlv.type in _TEXTS:
        if len(tlv.value) > MAX_TEXT:
            raise DecodeError(f"text of {len(tlv.value)} octets in a TLV of type {tlv.type}", tlv.offset)
        return _TEXTS[tlv.type](tlv.value)
    if tlv.type == ORGANIZATIONAL:
        if len(tlv.value) < 4:
            raise DecodeError(f"organizational TLV of {len(tlv.value)} octets", tlv.offset)
        return OrganizationalTlv(tlv.value[:3], tlv.value[3], tlv.value[4:])
    if tlv.type == SYSTEM_CAPABILITIES:
        fields = _parse(_CAPABILITIES, tlv, "system capabilities")
        if fields.enabled & ~fields.supported:
            raise DecodeError("capabilities are enabled that are not supported", tlv.offset)
        return SystemCapabilities(fields.supported, fields.enabled)
    if tlv.type == MANAGEMENT_ADDRESS:
        return _decode_management(tlv)
    return UnrecognizedTlv(tlv.type, tlv.value)


def _decode_management(tlv: RawTlv) -> ManagementAddress:
    if not tlv.value or not 2 <= tlv.value[0] <= 32:
        raise DecodeError("management address string length is not 2 to 32", tlv.offset)
    fields = _parse(_MANAGEMENT, tlv, "management address")
    if fields.oid_length > 128:
        raise DecodeError(f"management address with an OID of {fields.oid_length} octets", tlv.offset)
    return ManagementAddress(fields.subtype, fields.address, fields.numbering, fields.number, fields.oid)


def _parse(layout: Construct, tlv: RawTlv, name: str) -> Container:
    try:
        return layout.parse(tlv.value)
    except ConstructError as error:
        raise DecodeError(f"{name} TLV of {len(tlv.value)} octets is too short", tlv.offset) from error


def _encode_optional(tlv: OptionalTlv) -> bytes:
    match tlv:
        case PortDescription(value):
            return encode_tlv(PORT_DESCRIPTION, value)
        case SystemName(value):
            return encode_tlv(SYSTEM_NAME, value)
        case SystemDescription(value):
            return encode_tlv(SYSTEM_DESCRIPTION, value)
        case SystemCapabilities(supported, enabled):
            return encode_tlv(SYSTEM_CAPABILITIES, _CAPABILITIES.build({"supported": supported, "enabled": enabled}))
        case ManagementAddress():
            body = {"length": 1 + len(tlv.address), "oid_length": len(tlv.oid)}
            fields = {name: getattr(tlv, name) for name in ("subtype", "address", "numbering", "number", "oid")}
            return encode_tlv(MANAGEMENT_ADDRESS, _MANAGEMENT.build(body | fields))
        case OrganizationalTlv(oui, subtype, value):
            return encode_tlv(ORGANIZATIONAL, oui + bytes([subtype]) + value)
        case UnrecognizedTlv(kind, value):
            return encode_tlv(kind, value)
