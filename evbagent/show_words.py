"""The words of `lldpcli show neighbors details`, by those of our own documents.

Where lldpd 1.0.16 has taken a value for another one (sources and statuses of power), the standard's is here.
"""

from collections.abc import Mapping
from typing import Any

ID_KINDS: Mapping[str, str] = {
    "mac-address": "mac",
    "interface-name": "ifname",
    "interface-alias": "ifalias",
    "local": "local",
    "network-address": "ip",
}
CAPABILITIES: Mapping[str, str] = {
    "other": "Other",
    "repeater": "Repeater",
    "mac-bridge": "Bridge",
    "router": "Router",
    "wlan-access-point": "Wlan",
    "telephone": "Tel",
    "docsis-cable-device": "Docsis",
    "station-only": "Station",
    "c-vlan-component": "C-VLAN",
    "s-vlan-component": "S-VLAN",
    "two-port-mac-relay": "TPMR",
}
POWER_SOURCES: Mapping[str, str] = {
    "primary": "Primary power source",
    "backup": "Backup source",
    "pse": "PSE",
    "local": "Local",
    "pse-and-local": "PSE + Local",
}
MED_POWER_SOURCES: Mapping[str, str] = {
    "primary": "Primary Power Source",
    "backup": "Backup Power Source / Power Conservation Mode",
    "pse": "PSE",
    "local": "Local",
    "pse-and-local": "PSE + Local",
}
# What 802.3bt added; lldpcli does not know the last six.
POWER_TYPE_3_4: Mapping[str, str] = {
    "pd-requested-power-value-a": "Requested mode A",
    "pd-requested-power-value-b": "Requested mode B",
    "pse-allocated-power-value-a": "Allocated alternative A",
    "pse-allocated-power-value-b": "Allocated alternative B",
    "pse-powering-status": "PSE powering status",
    "pd-powered-status": "PD powering status",
    "power-pairs-ext": "Power pairs extra",
    "power-class-ext-a": "Class extra A",
    "power-class-ext-b": "Class extra B",
    "power-class-ext": "Class extra",
    "power-type-ext": "Power type extra",
    "pd-load": "PD load",
    "pse-max-avail-power": "PSE maximum available power",
    "pd-4pid": "PD 4PID",
    "pse-autoclass-support": "PSE autoclass support",
    "autoclass-completed": "Autoclass completed",
    "autoclass-request": "Autoclass request",
    "power-down-request": "Power down request",
    "power-down-time": "Power down time",
}
POWERS = frozenset(
    {
        "pd-requested-power-value-a",
        "pd-requested-power-value-b",
        "pse-allocated-power-value-a",
        "pse-allocated-power-value-b",
        "pse-max-avail-power",
    }
)
POWER_WORDS: Mapping[str, Mapping[Any, str]] = {
    "pse-powering-status": {
        "ignore": "Unknown",
        "two-pair": "2-pair powering",
        "four-pair-single-signature": "4-pair powering single-signature PD",
        "four-pair-dual-signature": "4-pair powering dual-signature PD",
    },
    "pd-powered-status": {
        "ignore": "Unknown",
        "single-signature": "powered single-signature PD",
        "two-pair-dual-signature": "2-pair powered dual-signature PD",
        "four-pair-dual-signature": "4-pair powered dual-signature PD",
    },
    "power-pairs-ext": {
        "ignore": "Unknown",
        "alternative-a": "Alternative A",
        "alternative-b": "Alternative B",
        "both": "Both alternatives",
    },
    "power-class-ext-a": {"single-signature": "Single-signature PD or 2-pair only PSE"},
    "power-class-ext-b": {"single-signature": "Single-signature PD or 2-pair only PSE"},
    "power-class-ext": {"dual-signature": "Dual-signature PD"},
    "power-type-ext": {
        "type-3-pse": "Type 3 PSE",
        "type-4-pse": "Type 4 PSE",
        "type-3-single-signature-pd": "Type 3 single-signature PD",
        "type-3-dual-signature-pd": "Type 3 dual-signature PD",
        "type-4-single-signature-pd": "Type 4 single-signature PD",
        "type-4-dual-signature-pd": "Type 4 dual-signature PD",
    },
    "pd-load": {
        False: "PD is single- or dual-signature and power is not electrically isolated",
        True: "PD is dual-signature and power is electrically isolated",
    },
}
DEVICE_CLASSES: Mapping[str, str] = {
    "endpoint-class-i": "Generic Endpoint (Class I)",
    "endpoint-class-ii": "Media Endpoint (Class II)",
    "endpoint-class-iii": "Communication Device Endpoint (Class III)",
    "network-connectivity": "Network Connectivity Device",
}
MED_CAPABILITIES: Mapping[str, str] = {
    "capabilities": "Capabilities",
    "network-policy": "Policy",
    "location": "Location",
    "extended-power-pse": "MDI/PSE",
    "extended-power-pd": "MDI/PD",
    "inventory": "Inventory",
}
PRIORITIES = (
    "Best effort",
    "Background",
    "Excellent effort",
    "Critical applications",
    "Video",
    "Voice",
    "Internetwork control",
    "Network control",
)
LOCATIONS: Mapping[str, str] = {"coordinate": "Coordinates", "civic": "Civic address", "ecs-elin": "ELIN"}
GEOIDS: Mapping[str, str] = {"wgs84": "WGS84", "nad83-navd88": "NAD83", "nad83-mllw": "NAD83/MLLW"}
ALTITUDES: Mapping[str, str] = {"meters": "m", "floors": "floor"}
CIVIC_TYPES: Mapping[str, str] = {
    "state": "Country subdivision",
    "neighborhood": "Block",
    "leading-street-direction": "Direction",
    "house-number": "Number",
    "house-number-suffix": "Number suffix",
    "additional-location": "Additional",
    "postal-code": "ZIP",
}
INVENTORY: Mapping[str, str] = {
    "hardware-rev": "Hardware Revision",
    "software-rev": "Software Revision",
    "firmware-rev": "Firmware Revision",
    "serial-num": "Serial Number",
    "mfg-name": "Manufacturer",
    "model-name": "Model",
    "asset-id": "Asset ID",
}
