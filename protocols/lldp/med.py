"""LLDP-MED, ANSI/TIA-1057, as values (sheet `lldp.md` 7)."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from protocols.lldp.addresses import text

MED_OUI = bytes.fromhex("0012bb")


class MedSubtype(IntEnum):
    CAPABILITIES = 1
    NETWORK_POLICY = 2
    LOCATION = 3
    EXTENDED_POWER = 4
    HARDWARE_REVISION = 5
    FIRMWARE_REVISION = 6
    SOFTWARE_REVISION = 7
    SERIAL_NUMBER = 8
    MANUFACTURER_NAME = 9
    MODEL_NAME = 10
    ASSET_ID = 11


class MedCapability(IntFlag):
    CAPABILITIES = 0x0001
    NETWORK_POLICY = 0x0002
    LOCATION = 0x0004
    EXTENDED_POWER_PSE = 0x0008
    EXTENDED_POWER_PD = 0x0010
    INVENTORY = 0x0020


class DeviceClass(IntEnum):
    NOT_DEFINED = 0
    ENDPOINT_CLASS_I = 1
    ENDPOINT_CLASS_II = 2
    ENDPOINT_CLASS_III = 3
    NETWORK_CONNECTIVITY = 4


class ApplicationType(IntEnum):
    VOICE = 1
    VOICE_SIGNALING = 2
    GUEST_VOICE = 3
    GUEST_VOICE_SIGNALING = 4
    SOFTPHONE_VOICE = 5
    VIDEO_CONFERENCING = 6
    STREAMING_VIDEO = 7
    VIDEO_SIGNALING = 8


class LocationFormat(IntEnum):
    COORDINATE = 1
    CIVIC = 2
    ECS_ELIN = 3


class AltitudeType(IntEnum):
    """RFC 6225 2.4."""

    UNKNOWN = 0
    METERS = 1
    FLOORS = 2


class Datum(IntEnum):
    """RFC 6225 2.5."""

    WGS84 = 1
    NAD83_NAVD88 = 2
    NAD83_MLLW = 3


class CivicWhat(IntEnum):
    """Whose location it is (RFC 4776 3.1)."""

    DHCP_SERVER = 0
    NETWORK_ELEMENT = 1
    CLIENT = 2


class CivicType(IntEnum):
    """CAtypes of RFC 4776 3.4."""

    LANGUAGE = 0
    STATE = 1
    COUNTY = 2
    CITY = 3
    CITY_DIVISION = 4
    NEIGHBORHOOD = 5
    STREET = 6
    LEADING_STREET_DIRECTION = 16
    TRAILING_STREET_SUFFIX = 17
    STREET_SUFFIX = 18
    HOUSE_NUMBER = 19
    HOUSE_NUMBER_SUFFIX = 20
    LANDMARK = 21
    ADDITIONAL_LOCATION = 22
    NAME = 23
    POSTAL_CODE = 24
    BUILDING = 25
    UNIT = 26
    FLOOR = 27
    ROOM = 28
    PLACE_TYPE = 29
    POSTAL_COMMUNITY = 30
    POST_OFFICE_BOX = 31
    ADDITIONAL_CODE = 32
    SEAT = 33
    PRIMARY_ROAD = 34
    ROAD_SECTION = 35
    BRANCH_ROAD = 36
    SUB_BRANCH_ROAD = 37
    STREET_NAME_PRE_MODIFIER = 38
    STREET_NAME_POST_MODIFIER = 39
    SCRIPT = 128


class MedPowerType(IntEnum):
    PSE = 0
    PD = 1


@dataclass(frozen=True, slots=True)
class MedCapabilities:
    """10.2.2; the bitmap of `MedCapability` keeps its reserved bits."""

    capabilities: int
    device_class: int


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """10.2.3."""

    application_type: int
    unknown: bool
    tagged: bool
    vlan_id: int
    priority: int
    dscp: int


@dataclass(frozen=True, slots=True)
class CoordinateLocation:
    """10.2.4.3.1: RFC 6225's fixed point, in two's complement with 25 (altitude: 8) bits of fraction.

    `version` 0 is RFC 3825: the resolutions count the bits that are valid. In version 1 they are uncertainties.
    """

    latitude_resolution: int
    latitude: int
    longitude_resolution: int
    longitude: int
    altitude_type: int
    altitude_resolution: int
    altitude: int
    version: int
    datum: int

    @property
    def latitude_degrees(self) -> float:
        return self.latitude / (1 << 25)

    @property
    def longitude_degrees(self) -> float:
        return self.longitude / (1 << 25)

    @property
    def altitude_value(self) -> float:
        """In what `altitude_type` says."""
        return self.altitude / (1 << 8)


@dataclass(frozen=True, slots=True)
class CivicElement:
    type: int
    value: bytes

    @property
    def text(self) -> str:
        return text(self.value)


@dataclass(frozen=True, slots=True)
class CivicLocation:
    """10.2.4.3.2: RFC 4776. `country` is two octets, letters of ISO 3166."""

    what: int
    country: bytes
    elements: tuple[CivicElement, ...] = ()


@dataclass(frozen=True, slots=True)
class ElinLocation:
    """10.2.4.3.3: an emergency call's line number, in digits."""

    elin: bytes

    @property
    def text(self) -> str:
        return text(self.elin)


@dataclass(frozen=True, slots=True)
class OtherLocation:
    """A format that is not defined."""

    format: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ExtendedPower:
    """10.2.5; `power_value` in 0.1 W. What `power_source` means depends on the type, as in 802.3."""

    power_type: int
    power_source: int
    power_priority: int
    power_value: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """10.2.6: one of the seven texts; `subtype` says which. Up to 32 octets."""

    subtype: int
    value: bytes

    @property
    def text(self) -> str:
        return text(self.value)


MedTlv = (
    MedCapabilities
    | NetworkPolicy
    | CoordinateLocation
    | CivicLocation
    | ElinLocation
    | OtherLocation
    | ExtendedPower
    | Inventory
)
