"""The basic TLVs of LLDP as values (sheet `lldp.md` 1.2)."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from protocols.lldp.addresses import network_address, text

Msap = tuple[int, bytes, int, bytes]
"""Chassis ID subtype and octets, port ID subtype and octets: the key of a neighbour."""


class ChassisIdSubtype(IntEnum):
    CHASSIS_COMPONENT = 1
    INTERFACE_ALIAS = 2
    PORT_COMPONENT = 3
    MAC_ADDRESS = 4
    NETWORK_ADDRESS = 5
    INTERFACE_NAME = 6
    LOCAL = 7


class PortIdSubtype(IntEnum):
    INTERFACE_ALIAS = 1
    PORT_COMPONENT = 2
    MAC_ADDRESS = 3
    NETWORK_ADDRESS = 4
    INTERFACE_NAME = 5
    AGENT_CIRCUIT_ID = 6
    LOCAL = 7


class InterfaceNumbering(IntEnum):
    UNKNOWN = 1
    IF_INDEX = 2
    SYSTEM_PORT_NUMBER = 3


class Capability(IntFlag):
    OTHER = 0x0001
    REPEATER = 0x0002
    MAC_BRIDGE = 0x0004
    WLAN_ACCESS_POINT = 0x0008
    ROUTER = 0x0010
    TELEPHONE = 0x0020
    DOCSIS_CABLE_DEVICE = 0x0040
    STATION_ONLY = 0x0080
    C_VLAN_COMPONENT = 0x0100
    S_VLAN_COMPONENT = 0x0200
    TWO_PORT_MAC_RELAY = 0x0400


@dataclass(frozen=True, slots=True)
class ChassisId:
    """`id`: 1 to 255 octets."""

    subtype: int
    id: bytes

    @property
    def text(self) -> str:
        if self.subtype == ChassisIdSubtype.MAC_ADDRESS:
            return _hardware_address(self.id)
        if self.subtype == ChassisIdSubtype.NETWORK_ADDRESS:
            return network_address(self.id[0], self.id[1:])
        return text(self.id)


@dataclass(frozen=True, slots=True)
class PortId:
    """`id`: 1 to 255 octets."""

    subtype: int
    id: bytes

    @property
    def text(self) -> str:
        if self.subtype == PortIdSubtype.MAC_ADDRESS:
            return _hardware_address(self.id)
        if self.subtype == PortIdSubtype.NETWORK_ADDRESS:
            return network_address(self.id[0], self.id[1:])
        if self.subtype == PortIdSubtype.AGENT_CIRCUIT_ID:
            return self.id.hex()
        return text(self.id)


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """How long the information holds; 0 is a shutdown."""

    seconds: int


@dataclass(frozen=True, slots=True)
class PortDescription:
    value: bytes

    @property
    def text(self) -> str:
        return text(self.value)


@dataclass(frozen=True, slots=True)
class SystemName:
    value: bytes

    @property
    def text(self) -> str:
        return text(self.value)


@dataclass(frozen=True, slots=True)
class SystemDescription:
    value: bytes

    @property
    def text(self) -> str:
        return text(self.value)


@dataclass(frozen=True, slots=True)
class SystemCapabilities:
    """Bitmaps of `Capability`; reserved bits are kept."""

    supported: int
    enabled: int


@dataclass(frozen=True, slots=True)
class ManagementAddress:
    """`subtype` is an IANA address family, `numbering` says what `number` is, `oid` holds BER content octets."""

    subtype: int
    address: bytes
    numbering: int
    number: int
    oid: bytes = b""

    @property
    def text(self) -> str:
        return network_address(self.subtype, self.address)


@dataclass(frozen=True, slots=True)
class OrganizationalTlv:
    """Type 127, passed on undecoded: whoever knows the OUI and subtype reads `value`."""

    oui: bytes
    subtype: int
    value: bytes


@dataclass(frozen=True, slots=True)
class UnrecognizedTlv:
    """A reserved type, 9 to 126."""

    type: int
    value: bytes


OptionalTlv = (
    PortDescription
    | SystemName
    | SystemDescription
    | SystemCapabilities
    | ManagementAddress
    | OrganizationalTlv
    | UnrecognizedTlv
)
BasicTlv = ChassisId | PortId | TimeToLive | OptionalTlv


@dataclass(frozen=True, slots=True)
class Lldpdu:
    """The three mandatory TLVs (`ttl` in seconds, 0 is a shutdown) and the others in wire order."""

    chassis_id: ChassisId
    port_id: PortId
    ttl: int
    optional: tuple[OptionalTlv, ...] = ()

    @property
    def msap(self) -> Msap:
        return self.chassis_id.subtype, self.chassis_id.id, self.port_id.subtype, self.port_id.id


def printable(text: str) -> str:
    """Text from the network for people: whatever a terminal could take as a command is spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _hardware_address(octets: bytes) -> str:
    return octets.hex(":")
