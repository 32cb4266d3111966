"""LLDPDUs to and from octets, judged by IEEE 802.1AB (sheet `lldp.md` 1.4, column "standard")."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from construct import Int8ub, Int16ub, Int32ub, Struct

from protocols.errors import DecodeError
from protocols.layout import Layout
from protocols.lldp.tlvs import (
    BasicTlv,
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
    TimeToLive,
    UnrecognizedTlv,
)
from protocols.tlv import HEADER, RawTlv, encode_tlv, walk

CHASSIS_ID, PORT_ID, TIME_TO_LIVE = 1, 2, 3
PORT_DESCRIPTION, SYSTEM_NAME, SYSTEM_DESCRIPTION, SYSTEM_CAPABILITIES, MANAGEMENT_ADDRESS = 4, 5, 6, 7, 8
FIRST_RESERVED, LAST_RESERVED = 9, 126
ORGANIZATIONAL = 127
MOST_OCTETS, MOST_OPTIONAL = 9216, 256
"""Of an LLDPDU, and of TLVs behind its first three: 160 of the shortest that are defined fill an ordinary frame."""

MAX_SUBTYPE, MAX_IDENTIFIER, MAX_TEXT, MAX_ADDRESS, MAX_OID = 7, 255, 255, 31, 128
END_OF_LLDPDU = b"\0\0"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Interface:
    """What follows the address in a management address TLV."""

    numbering: int
    number: int
    oid_length: int


_CAPABILITIES = Layout(SystemCapabilities, Struct("supported" / Int16ub, "enabled" / Int16ub))
_INTERFACE = Layout(_Interface, Struct("numbering" / Int8ub, "number" / Int32ub, "oid_length" / Int8ub))


@dataclass(frozen=True, slots=True)
class Reading:
    """A valid LLDPDU, how many of its TLVs have a reserved type, and those that were dropped, with the reasons."""

    pdu: Lldpdu
    unrecognized: int = 0
    discarded: int = 0
    errors: tuple[DecodeError, ...] = ()


def decode_lldpdu(payload: bytes) -> Reading:
    """Read what follows the EtherType. DecodeError: the LLDPDU as a whole is to be discarded."""
    if len(payload) > MOST_OCTETS:
        raise DecodeError(f"LLDPDU of {len(payload)} octets, at most {MOST_OCTETS} are read", MOST_OCTETS)
    walked = walk(payload)
    if walked.error:
        raise walked.error
    end = len(payload) if walked.end is None else walked.end
    chassis_id, port_id, ttl = _mandatory(walked.tlvs, end)
    if ttl == 0:
        return Reading(Lldpdu(chassis_id, port_id, 0))
    kept: list[OptionalTlv] = []
    errors: list[DecodeError] = []
    seen: set[object] = set()
    unrecognized = 0
    optional, beyond = walked.tlvs[3 : 3 + MOST_OPTIONAL], walked.tlvs[3 + MOST_OPTIONAL :]
    for tlv in optional:
        try:
            value = _decode_optional(tlv)
            once = _once(value)
            if once in seen:
                raise DecodeError(f"TLV of type {tlv.type} repeats an earlier one", tlv.offset)
        except DecodeError as error:
            errors.append(error.with_traceback(None))  # which would hold on to all that was being read
            continue
        if once is not None:
            seen.add(once)
        kept.append(value)
        unrecognized += isinstance(value, UnrecognizedTlv)
    discarded = len(errors) + len(beyond)
    if beyond:
        errors.append(DecodeError(f"the last {len(beyond)} TLVs are too many: {MOST_OPTIONAL} count", beyond[0].offset))
    pdu = Lldpdu(chassis_id, port_id, ttl, tuple(kept))
    return Reading(pdu, unrecognized, discarded, tuple(errors))


def encode_lldpdu(pdu: Lldpdu) -> bytes:
    """The LLDPDU with its End TLV; ValueError when a value does not fit its TLV."""
    parts = [
        encode_tlv(CHASSIS_ID, _identifier("chassis ID", pdu.chassis_id)),
        encode_tlv(PORT_ID, _identifier("port ID", pdu.port_id)),
        encode_tlv(TIME_TO_LIVE, _time_to_live(pdu.ttl)),
    ]
    return b"".join([*parts, *(_encode_optional(tlv) for tlv in pdu.optional), END_OF_LLDPDU])


def shutdown(chassis_id: ChassisId, port_id: PortId) -> bytes:
    """The shutdown LLDPDU: identifiers, a TTL of 0, nothing else."""
    return encode_lldpdu(Lldpdu(chassis_id, port_id, 0))


def decode_basic(tlv: RawTlv) -> BasicTlv:
    """One TLV by itself, whichever its place; an organizational one is passed on undecoded."""
    if tlv.type == CHASSIS_ID:
        return ChassisId(*_split_identifier(tlv))
    if tlv.type == PORT_ID:
        return PortId(*_split_identifier(tlv))
    if tlv.type == TIME_TO_LIVE:
        return TimeToLive(_seconds(tlv))
    return _decode_optional(tlv)


def encode_basic(value: BasicTlv) -> bytes:
    """The information string of one TLV; ValueError when the value does not fit it."""
    match value:
        case ChassisId():
            return _identifier("chassis ID", value)
        case PortId():
            return _identifier("port ID", value)
        case TimeToLive(seconds):
            return _time_to_live(seconds)
    return _encode_optional(value)[HEADER:]


_MANDATORY_NAMES = ("chassis ID", "port ID", "time to live")
_TEXTS: Mapping[int, Callable[[bytes], OptionalTlv]] = {
    PORT_DESCRIPTION: PortDescription,
    SYSTEM_NAME: SystemName,
    SYSTEM_DESCRIPTION: SystemDescription,
}


def _mandatory(tlvs: tuple[RawTlv, ...], end: int) -> tuple[ChassisId, PortId, int]:
    for tlv, wanted, name in zip(tlvs, (CHASSIS_ID, PORT_ID, TIME_TO_LIVE), _MANDATORY_NAMES, strict=False):
        if tlv.type != wanted:
            raise DecodeError(f"TLV {wanted} is of type {tlv.type}, not {name}", tlv.offset)
    if len(tlvs) < 3:
        raise DecodeError(f"no {_MANDATORY_NAMES[len(tlvs)]} TLV", end)
    for tlv in tlvs[3:]:
        if tlv.type in (CHASSIS_ID, PORT_ID, TIME_TO_LIVE):
            raise DecodeError(f"a second {_MANDATORY_NAMES[tlv.type - 1]} TLV", tlv.offset)
    chassis, port = (_split_identifier(tlv) for tlv in tlvs[:2])
    return ChassisId(*chassis), PortId(*port), _seconds(tlvs[2])


def _split_identifier(tlv: RawTlv) -> tuple[int, bytes]:
    name, length = _MANDATORY_NAMES[tlv.type - 1], len(tlv.value)
    if not 2 <= length <= 1 + MAX_IDENTIFIER:
        raise DecodeError(f"{name} TLV of {length} octets", tlv.offset)
    if not 1 <= tlv.value[0] <= MAX_SUBTYPE:
        raise DecodeError(f"{name} subtype {tlv.value[0]} is reserved", tlv.offset)
    return tlv.value[0], tlv.value[1:]


def _seconds(tlv: RawTlv) -> int:
    if len(tlv.value) < 2:
        raise DecodeError(f"time to live TLV of {len(tlv.value)} octets", tlv.offset)
    return int.from_bytes(tlv.value[:2], "big")


def _once(value: OptionalTlv) -> object:
    """What may not come twice in one LLDPDU: a management address whatever its interface (802.1AB 8.5.9.9), a kind."""
    if isinstance(value, ManagementAddress):
        return value.subtype, value.address
    return None if isinstance(value, (OrganizationalTlv, UnrecognizedTlv)) else type(value)


def _decode_optional(tlv: RawTlv) -> OptionalTlv:
    if tlv.type == ORGANIZATIONAL:
        if len(tlv.value) < 4:
            raise DecodeError(f"organizational TLV of {len(tlv.value)} octets", tlv.offset)
        return OrganizationalTlv(tlv.value[:3], tlv.value[3], tlv.value[4:])
    if tlv.type in _TEXTS:
        if len(tlv.value) > MAX_TEXT:
            raise DecodeError(f"text of {len(tlv.value)} octets in a TLV of type {tlv.type}", tlv.offset)
        return _TEXTS[tlv.type](tlv.value)
    if tlv.type == SYSTEM_CAPABILITIES:
        capabilities = _parse(_CAPABILITIES, tlv, 0)
        if capabilities.enabled & ~capabilities.supported:
            raise DecodeError("capabilities are enabled that are not supported", tlv.offset)
        return capabilities
    if tlv.type == MANAGEMENT_ADDRESS:
        return _decode_management(tlv)
    return UnrecognizedTlv(tlv.type, tlv.value)


def _decode_management(tlv: RawTlv) -> ManagementAddress:
    value = tlv.value
    if not value or not 2 <= value[0] <= 1 + MAX_ADDRESS:
        raise DecodeError("management address string length is not 2 to 32", tlv.offset)
    interface = 1 + value[0]
    fields = _parse(_INTERFACE, tlv, interface)
    oid = interface + _INTERFACE.size
    if fields.oid_length > MAX_OID or oid + fields.oid_length > len(value):
        left = len(value) - oid
        raise DecodeError(f"management address claims an OID of {fields.oid_length} octets of {left} left", tlv.offset)
    return ManagementAddress(
        value[1], value[2:interface], fields.numbering, fields.number, value[oid : oid + fields.oid_length]
    )


def _parse(layout: Layout[T], tlv: RawTlv, start: int) -> T:
    """Fields of the TLV from octet `start` of its value on. What follows them is for later editions, or others."""
    try:
        return layout.decode(tlv.value, start)
    except DecodeError:
        reason = f"TLV of type {tlv.type} with {len(tlv.value)} octets is too short"
        raise DecodeError(reason, tlv.offset) from None


def _encode_optional(tlv: OptionalTlv) -> bytes:
    match tlv:
        case PortDescription(value):
            return encode_tlv(PORT_DESCRIPTION, _text(value))
        case SystemName(value):
            return encode_tlv(SYSTEM_NAME, _text(value))
        case SystemDescription(value):
            return encode_tlv(SYSTEM_DESCRIPTION, _text(value))
        case SystemCapabilities():
            return encode_tlv(SYSTEM_CAPABILITIES, _CAPABILITIES.encode(tlv))
        case ManagementAddress():
            return encode_tlv(MANAGEMENT_ADDRESS, _encode_management(tlv))
        case OrganizationalTlv(oui, subtype, value):
            _fits("length of an OUI", len(oui), 3, 3)
            return encode_tlv(ORGANIZATIONAL, oui + bytes([subtype]) + value)
        case UnrecognizedTlv(kind, value):
            _fits("reserved TLV type", kind, FIRST_RESERVED, LAST_RESERVED)
            return encode_tlv(kind, value)


def _encode_management(tlv: ManagementAddress) -> bytes:
    _fits("length of a management address", len(tlv.address), 1, MAX_ADDRESS)
    _fits("length of an OID", len(tlv.oid), 0, MAX_OID)
    interface = _INTERFACE.encode(_Interface(tlv.numbering, tlv.number, len(tlv.oid)))
    return bytes([1 + len(tlv.address), tlv.subtype]) + tlv.address + interface + tlv.oid


def _identifier(name: str, identifier: ChassisId | PortId) -> bytes:
    _fits(f"{name} subtype", identifier.subtype, 1, MAX_SUBTYPE)
    _fits(f"length of a {name}", len(identifier.id), 1, MAX_IDENTIFIER)
    return bytes([identifier.subtype]) + identifier.id


def _time_to_live(seconds: int) -> bytes:
    _fits("time to live", seconds, 0, 0xFFFF)
    return seconds.to_bytes(2, "big")


def _text(value: bytes) -> bytes:
    _fits("length of a text", len(value), 0, MAX_TEXT)
    return value


def _fits(name: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise ValueError(f"{name} is {number}, not {least} to {most}")
