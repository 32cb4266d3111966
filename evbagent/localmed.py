"""LLDP-MED as an endpoint announces it (TIA-1057; sheet `lldp.md` 7): values from the configuration and the host."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from evbagent.medconfig import CoordinatesConfig, LocationConfig, MedConfig, MedPowerConfig, NetworkPolicyConfig, code
from protocols.lldp.dot3 import PdPowerSource, PowerPriority, PsePowerSource
from protocols.lldp.med import (
    AltitudeType,
    ApplicationType,
    CivicElement,
    CivicLocation,
    CivicType,
    CivicWhat,
    CoordinateLocation,
    Datum,
    ElinLocation,
    ExtendedPower,
    Inventory,
    MedCapabilities,
    MedCapability,
    MedPowerType,
    MedSubtype,
    MedTlv,
    NetworkPolicy,
)

MAX_INVENTORY = 32
_INVENTORY: Mapping[MedSubtype, str] = MappingProxyType(
    {
        MedSubtype.HARDWARE_REVISION: "hardware_revision",
        MedSubtype.FIRMWARE_REVISION: "firmware_revision",
        MedSubtype.SOFTWARE_REVISION: "software_revision",
        MedSubtype.SERIAL_NUMBER: "serial_number",
        MedSubtype.MANUFACTURER_NAME: "manufacturer_name",
        MedSubtype.MODEL_NAME: "model_name",
        MedSubtype.ASSET_ID: "asset_id",
    }
)


def capabilities(config: MedConfig, known: Mapping[MedSubtype, str]) -> Iterator[MedCapabilities]:
    """Which of the others there are; nothing at all without a device class."""
    if config.device_class is None:
        return
    bits = MedCapability.CAPABILITIES
    if config.network_policy:
        bits |= MedCapability.NETWORK_POLICY
    if any(locations(config.location)):
        bits |= MedCapability.LOCATION
    if config.power:
        pse = config.power.type == "pse"
        bits |= MedCapability.EXTENDED_POWER_PSE if pse else MedCapability.EXTENDED_POWER_PD
    if any(inventory(config, known)):
        bits |= MedCapability.INVENTORY
    yield MedCapabilities(int(bits), config.device_class)


def network_policies(policies: tuple[NetworkPolicyConfig, ...]) -> Iterator[MedTlv]:
    for policy in policies:
        application = code(ApplicationType, policy.application_type)
        yield NetworkPolicy(application, policy.unknown, policy.tagged, policy.vlan_id, policy.priority, policy.dscp)


def locations(config: LocationConfig) -> Iterator[MedTlv]:
    if config.coordinates:
        yield _coordinates(config.coordinates)
    if civic := config.civic:
        elements = sorted((code(CivicType, name), value.encode()) for name, value in civic.address.items())
        yield CivicLocation(
            code(CivicWhat, civic.what), civic.country.encode(), tuple(CivicElement(*element) for element in elements)
        )
    if config.elin:
        yield ElinLocation(config.elin.encode())


def power(config: MedPowerConfig | None) -> Iterator[MedTlv]:
    if config is None:
        return
    source = PsePowerSource if config.type == "pse" else PdPowerSource
    yield ExtendedPower(
        code(MedPowerType, config.type),
        code(source, config.source),
        code(PowerPriority, config.priority),
        round(config.watts * 10),
    )


def inventory(config: MedConfig, known: Mapping[MedSubtype, str]) -> Iterator[MedTlv]:
    """The configured texts, and what is known of the others."""
    if not config.inventory:
        return
    for subtype, name in _INVENTORY.items():
        text = getattr(config, name) or known.get(subtype, "")
        if text:
            yield Inventory(subtype, text.encode()[:MAX_INVENTORY].decode(errors="ignore").encode())


def _coordinates(config: CoordinatesConfig) -> CoordinateLocation:
    """RFC 3825: all bits are valid. 25 bits of fraction in an angle, 8 in an altitude."""
    altitude, unit = config.altitude, AltitudeType.UNKNOWN
    if altitude is not None:
        unit = AltitudeType(code(AltitudeType, config.altitude_unit))
    return CoordinateLocation(
        latitude_resolution=34,
        latitude=round(config.latitude * (1 << 25)),
        longitude_resolution=34,
        longitude=round(config.longitude * (1 << 25)),
        altitude_type=unit,
        altitude_resolution=30 if altitude is not None else 0,
        altitude=round((altitude or 0) * (1 << 8)),
        version=0,
        datum=code(Datum, config.datum),
    )
