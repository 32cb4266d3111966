"""The `[lldp.med]` table: what an endpoint says in LLDP-MED (ANSI/TIA-1057). Values are made by `localmed`."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta, field

from evbagent.tables import Table
from protocols.lldp.med import ApplicationType, CivicType

ShortText = Annotated[str, Meta(min_length=1, max_length=32)]
Octet = Annotated[int, Meta(ge=0, le=255)]


class NetworkPolicyConfig(Table, frozen=True):
    """`unknown`: the endpoint asks for the policy. `vlan_id` 0: frames carry a priority only."""

    application_type: str
    unknown: bool = False
    tagged: bool = False
    vlan_id: Annotated[int, Meta(ge=0, le=4094)] = 0
    priority: Annotated[int, Meta(ge=0, le=7)] = 0
    dscp: Annotated[int, Meta(ge=0, le=63)] = 0

    def __post_init__(self) -> None:
        code(ApplicationType, self.application_type)


class CivicConfig(Table, frozen=True):
    """`address`: by the words for the CAtypes of RFC 4776. `what`: whose location it is."""

    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    address: Mapping[str, str]
    what: Literal["dhcp-server", "network-element", "client"] = "client"

    def __post_init__(self) -> None:
        size = 3
        for name, value in self.address.items():
            code(CivicType, name)
            size += 2 + fits(value.encode(), 250, name)
        if size > 255:
            raise ValueError(f"a civic location of {size} octets, more than 255")


class CoordinatesConfig(Table, frozen=True):
    """Degrees, north and east; `altitude` in `altitude_unit`, None for not known."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    altitude: Annotated[float, Meta(ge=-2_000_000, le=2_000_000)] | None = None
    altitude_unit: Literal["meters", "floors"] = "meters"
    datum: Literal["wgs84", "nad83-navd88", "nad83-mllw"] = "wgs84"


class LocationConfig(Table, frozen=True):
    """`elin`: the emergency call's line number."""

    elin: Annotated[str, Meta(pattern="^[0-9]{10,25}$")] | None = None
    civic: CivicConfig | None = None
    coordinates: CoordinatesConfig | None = None


class MedPowerConfig(Table, frozen=True):
    """What the endpoint needs (`pd`) or gives (`pse`), in watts."""

    watts: Annotated[float, Meta(ge=0, le=102.3)]
    type: Literal["pd", "pse"] = "pd"
    source: Literal["unknown", "pse", "local", "pse-and-local", "primary", "backup"] = "unknown"
    priority: Literal["unknown", "critical", "high", "low"] = "unknown"

    def __post_init__(self) -> None:
        sources = ("pse", "local", "pse-and-local") if self.type == "pd" else ("primary", "backup")
        if self.source not in ("unknown", *sources):
            raise ValueError(f"source is {self.source}, which a {self.type} has not: {', '.join(sources)}")


class MedConfig(Table, frozen=True):
    """Nothing is sent without a `device_class`. Texts go over what the machine says about itself."""

    device_class: Literal[1, 2, 3] | None = None
    inventory: bool = True
    hardware_revision: ShortText | None = None
    firmware_revision: ShortText | None = None
    software_revision: ShortText | None = None
    serial_number: ShortText | None = None
    manufacturer_name: ShortText | None = None
    model_name: ShortText | None = None
    asset_id: ShortText | None = None
    network_policy: tuple[NetworkPolicyConfig, ...] = ()
    location: LocationConfig = field(default_factory=LocationConfig)
    power: MedPowerConfig | None = None

    def __post_init__(self) -> None:
        applications = [policy.application_type for policy in self.network_policy]
        if twice := {application for application in applications if applications.count(application) > 1}:
            raise ValueError(f"two network policies for {', '.join(sorted(twice))}")


def code(kind: type[IntEnum], text: str) -> int:
    """The member that a word in kebab case stands for."""
    member = kind.__members__.get(text.upper().replace("-", "_"))
    if member is None or not text.islower() or "_" in text:
        words = (name.lower().replace("_", "-") for name in kind.__members__)
        raise ValueError(f"{text!r} is none of {', '.join(words)}")
    return int(member)


def fits(octets: bytes, most: int, what: str) -> int:
    """How many octets."""
    if len(octets) > most:
        raise ValueError(f"{what} has {len(octets)} octets, more than {most}")
    return len(octets)
