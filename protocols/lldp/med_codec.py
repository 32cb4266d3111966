"""The wire form of LLDP-MED: what follows OUI and subtype (sheet `lldp.md` 7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from construct import BitsInteger, BitStruct, Bytes, Flag, Int8ub, Int16ub, Padding, Struct

from protocols.errors import DecodeError
from protocols.layout import Layout, encode_by_kind
from protocols.lldp.med import (
    CivicElement,
    CivicLocation,
    CoordinateLocation,
    ElinLocation,
    ExtendedPower,
    Inventory,
    LocationFormat,
    MedCapabilities,
    MedSubtype,
    MedTlv,
    NetworkPolicy,
    OtherLocation,
)

MAX_INVENTORY = 32
INVENTORY = range(MedSubtype.HARDWARE_REVISION, MedSubtype.ASSET_ID + 1)

_LAYOUTS: Mapping[int, Layout[Any]] = {
    MedSubtype.CAPABILITIES: Layout(MedCapabilities, Struct("capabilities" / Int16ub, "device_class" / Int8ub)),
    MedSubtype.NETWORK_POLICY: Layout(
        NetworkPolicy,
        BitStruct(
            "application_type" / BitsInteger(8),
            "unknown" / Flag,
            "tagged" / Flag,
            Padding(1),
            "vlan_id" / BitsInteger(12),
            "priority" / BitsInteger(3),
            "dscp" / BitsInteger(6),
        ),
    ),
    MedSubtype.EXTENDED_POWER: Layout(
        ExtendedPower,
        BitStruct(
            "power_type" / BitsInteger(2),
            "power_source" / BitsInteger(2),
            "power_priority" / BitsInteger(4),
            "power_value" / BitsInteger(16),
        ),
    ),
}
_COORDINATE = Layout(
    CoordinateLocation,
    BitStruct(
        "latitude_resolution" / BitsInteger(6),
        "latitude" / BitsInteger(34, signed=True),
        "longitude_resolution" / BitsInteger(6),
        "longitude" / BitsInteger(34, signed=True),
        "altitude_type" / BitsInteger(4),
        "altitude_resolution" / BitsInteger(6),
        "altitude" / BitsInteger(30, signed=True),
        "version" / BitsInteger(2),
        Padding(3),
        "datum" / BitsInteger(3),
    ),
)


@dataclass(frozen=True, slots=True)
class _CivicHead:
    what: int
    country: bytes


_CIVIC = Layout(_CivicHead, Struct("what" / Int8ub, "country" / Bytes(2)))


def decode(subtype: int, body: bytes) -> MedTlv | None:
    """None: a subtype that is not known. What follows the fields is ignored."""
    if subtype == MedSubtype.LOCATION:
        return _decode_location(body)
    if subtype in INVENTORY:
        if len(body) > MAX_INVENTORY:
            raise DecodeError(f"a text of {len(body)} octets, more than {MAX_INVENTORY}")
        return Inventory(subtype, body)
    if subtype not in _LAYOUTS:
        return None
    value: MedTlv = _LAYOUTS[subtype].decode(body)
    return value


def encode(value: MedTlv) -> tuple[int, bytes]:
    """Subtype and body; ValueError when the value does not fit."""
    match value:
        case Inventory(subtype, octets):
            if subtype not in INVENTORY or len(octets) > MAX_INVENTORY:
                raise ValueError(f"{value} is no inventory TLV of up to {MAX_INVENTORY} octets")
            return subtype, octets
        case CoordinateLocation():
            return _location(LocationFormat.COORDINATE, _COORDINATE.encode(value))
        case CivicLocation():
            return _location(LocationFormat.CIVIC, _encode_civic(value))
        case ElinLocation(elin):
            return _location(LocationFormat.ECS_ELIN, elin)
        case OtherLocation(format_, data):
            return _location(format_, data)
    return encode_by_kind(_LAYOUTS, value)


def _decode_location(body: bytes) -> MedTlv:
    if not body:
        raise DecodeError("the format of the location is missing")
    match body[0]:
        case LocationFormat.COORDINATE:
            return _COORDINATE.decode(body, 1)
        case LocationFormat.CIVIC:
            return _decode_civic(body)
        case LocationFormat.ECS_ELIN:
            return ElinLocation(body[1:])
    return OtherLocation(body[0], body[1:])


def _location(format_: int, data: bytes) -> tuple[int, bytes]:
    return MedSubtype.LOCATION, bytes([format_]) + data


def _decode_civic(body: bytes) -> CivicLocation:
    """Format, a length that counts all that follows, whose location, country, and the elements (RFC 4776 3.1)."""
    if len(body) < 2:
        raise DecodeError("the length of the civic location is missing", len(body))
    end = 2 + body[1]
    if end > len(body):
        raise DecodeError(f"the civic location claims {body[1]} octets of {len(body) - 2} left", 1)
    head = _CIVIC.decode(body[:end], 2)
    elements: list[CivicElement] = []
    offset = 2 + _CIVIC.size
    while offset < end:
        start = offset + 2
        if start > end:
            raise DecodeError("a civic address element has no length", offset)
        length = body[offset + 1]
        if start + length > end:
            raise DecodeError(f"a civic address element claims {length} octets of {end - start} left", offset)
        elements.append(CivicElement(body[offset], body[start : start + length]))
        offset = start + length
    return CivicLocation(head.what, head.country, tuple(elements))


def _encode_civic(value: CivicLocation) -> bytes:
    octets = _CIVIC.encode(_CivicHead(value.what, value.country))
    for element in value.elements:
        octets += bytes([element.type, len(element.value)]) + element.value
    return bytes([len(octets)]) + octets
