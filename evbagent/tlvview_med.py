"""The documents of LLDP-MED's TLVs and of vendors' (contract, `decode -j`)."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from evbagent.words import flag_words, plain, word
from protocols.frame import format_mac
from protocols.lldp.dot3 import PdPowerSource, PowerPriority, PsePowerSource
from protocols.lldp.med import (
    AltitudeType,
    ApplicationType,
    CivicLocation,
    CivicType,
    CivicWhat,
    CoordinateLocation,
    Datum,
    DeviceClass,
    ElinLocation,
    ExtendedPower,
    Inventory,
    LocationFormat,
    MedCapabilities,
    MedCapability,
    MedPowerType,
    MedSubtype,
    MedTlv,
    NetworkPolicy,
    OtherLocation,
)
from protocols.lldp.vendors import (
    AciApplianceVector,
    ChassisMac,
    FabricAttachElement,
    FabricAttachElementType,
    MrpPortStatus,
    MrrtState,
    ProfinetPortStatus,
    PtcpStatus,
    RtClass2State,
    RtClass3State,
    VendorAddresses,
    VendorNumber,
    VendorText,
    VendorTlv,
    vendor_kind,
)

Json = dict[str, Any]

# The names of LLDP-EXT-MED-MIB.
_INVENTORY: Mapping[int, str] = {
    MedSubtype.HARDWARE_REVISION: "hardware-rev",
    MedSubtype.FIRMWARE_REVISION: "firmware-rev",
    MedSubtype.SOFTWARE_REVISION: "software-rev",
    MedSubtype.SERIAL_NUMBER: "serial-num",
    MedSubtype.MANUFACTURER_NAME: "mfg-name",
    MedSubtype.MODEL_NAME: "model-name",
    MedSubtype.ASSET_ID: "asset-id",
}


def med_document(value: MedTlv) -> Json:
    match value:
        case MedCapabilities():
            return {
                "capabilities": flag_words(MedCapability, value.capabilities),
                "device-class": word(DeviceClass, value.device_class),
            }
        case NetworkPolicy():
            return {**plain(value), "application-type": word(ApplicationType, value.application_type)}
        case ExtendedPower():
            source = PdPowerSource if value.power_type == MedPowerType.PD else PsePowerSource
            return {
                "power-type": word(MedPowerType, value.power_type),
                "power-source": word(source, value.power_source),
                "power-priority": word(PowerPriority, value.power_priority),
                "power-value": value.power_value,
            }
        case Inventory():
            return {_INVENTORY[value.subtype]: value.text}
        case CoordinateLocation():
            return _location(LocationFormat.COORDINATE, _coordinates(value))
        case CivicLocation():
            return _location(LocationFormat.CIVIC, _civic(value))
        case ElinLocation():
            return _location(LocationFormat.ECS_ELIN, {"elin": value.text})
        case OtherLocation():
            return _location(value.format, {"data": value.data.hex()})


def _location(format_: int, document: Json) -> Json:
    return {"location-format": word(LocationFormat, format_), **document}


def _coordinates(value: CoordinateLocation) -> Json:
    """Degrees, exactly: the fractions are binary."""
    return {
        **plain(value),
        "latitude": value.latitude_degrees,
        "longitude": value.longitude_degrees,
        "altitude-type": word(AltitudeType, value.altitude_type),
        "altitude": value.altitude_value,
        "datum": word(Datum, value.datum),
    }


def _civic(value: CivicLocation) -> Json:
    return {
        "what": word(CivicWhat, value.what),
        "country-code": value.country.decode("ascii", "backslashreplace"),
        "civic-address": [
            {"ca-type": item.type, "name": word(CivicType, item.type), "value": item.text} for item in value.elements
        ],
    }


def vendor_document(value: VendorTlv) -> Json:
    match value:
        case VendorText():
            return {_key(value): value.text}
        case VendorNumber():
            return {_key(value): value.number}
        case VendorAddresses():
            return {_key(value): [str(ip_address(address)) for address in value.addresses]}
        case AciApplianceVector(appliances):
            return {
                "appliances": [
                    {
                        "id": item.id,
                        "address": str(ip_address(item.address)),
                        "uuid": item.uuid.decode("ascii", "backslashreplace"),
                    }
                    for item in appliances
                ]
            }
    return {**plain(value), **{key: show(value) for key, show in _SHOWN.get(type(value), {}).items()}}


def _key(value: VendorText | VendorNumber | VendorAddresses) -> str:
    kind = vendor_kind(value.oui, value.subtype)
    return kind.key if kind else "value"


# Fields that read better than as numbers or hex.
_SHOWN: Mapping[type, Mapping[str, Callable[[Any], str]]] = {
    FabricAttachElement: {"element-type": lambda value: word(FabricAttachElementType, value.element_type)},
    ChassisMac: {"address": lambda value: format_mac(value.address)},
    MrpPortStatus: {
        "domain-uuid": lambda value: str(UUID(bytes=value.domain_uuid)),
        "mrrt-state": lambda value: word(MrrtState, value.mrrt_state),
    },
    ProfinetPortStatus: {
        "rt-class2-state": lambda value: word(RtClass2State, value.rt_class2_state),
        "rt-class3-state": lambda value: word(RtClass3State, value.rt_class3_state),
    },
    PtcpStatus: {
        "master-source-address": lambda value: format_mac(value.master_source_address),
        "subdomain-uuid": lambda value: str(UUID(bytes=value.subdomain_uuid)),
        "ir-data-uuid": lambda value: str(UUID(bytes=value.ir_data_uuid)),
    },
}
