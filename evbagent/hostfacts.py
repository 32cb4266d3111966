"""What this host is, as far as it is announced: its names, its make, its addresses and how its interfaces stand."""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import gethostname
from types import MappingProxyType

from evbagent.addresses import AddressTable, HostAddress
from evbagent.ethtool import Ethtool
from evbagent.hostlinks import HostLink, LinkTable
from protocols.lldp.med import MedSubtype

ROOT = Path("/")
OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
DMI = "sys/class/dmi/id"
DEVICE_TREE = "proc/device-tree"
# In DMI (or the device tree of boards without it) by what lldpd announces them as.
_DMI_FILES: Mapping[MedSubtype, str] = MappingProxyType(
    {
        MedSubtype.HARDWARE_REVISION: "product_version",
        MedSubtype.FIRMWARE_REVISION: "bios_version",
        MedSubtype.SERIAL_NUMBER: "product_serial",  # for root's eyes only, so often not readable
        MedSubtype.MANUFACTURER_NAME: "sys_vendor",
        MedSubtype.MODEL_NAME: "product_name",
        MedSubtype.ASSET_ID: "chassis_asset_tag",
    }
)
_DEVICE_TREE_FILES: Mapping[MedSubtype, str] = MappingProxyType(
    {MedSubtype.SERIAL_NUMBER: "serial-number", MedSubtype.MODEL_NAME: "model"}
)
# What board makers leave in fields that nobody has filled in.
_FILLERS = frozenset(
    "none|n/a|na|0|unknown|default|default string|not specified|not available|not applicable|no asset tag"
    "|no asset information|asset-1234567890|to be filled by o.e.m.|o.e.m.|oem|system manufacturer|system product name"
    "|system version|system serial number|chassis serial number|123456789|0123456789|invalid|empty|undefined".split("|")
)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The host at one moment. `chassis_mac` and `chassis_name` are of the interface that stands for it on every port.

    By index: `names` of the interfaces that have `addresses`; `links` that are bridges, bonds or teams, or served;
    `vlan_devices`, VID and name, that stand on an interface; `ethtool` of served links.
    """

    system_name: str = ""
    system_description: str = ""
    inventory: Mapping[MedSubtype, str] = field(default_factory=dict)
    chassis_mac: bytes = b""
    chassis_name: str = ""
    forwards: bool = False
    addresses: tuple[HostAddress, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    links: Mapping[int, HostLink] = field(default_factory=dict)
    bridges: tuple[HostLink, ...] = ()
    vlan_devices: Mapping[int, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    ethtool: Mapping[int, Ethtool] = field(default_factory=dict)


def arrange(facts: HostFacts, links: LinkTable, addresses: AddressTable, served: Collection[int]) -> HostFacts:
    """`facts` with what follows from the interfaces and addresses that there are now.

    The many interfaces of guests cost nothing here.
    """
    relevant = {index: links.links[index] for index in served if index in links.links}
    vlan_devices: dict[int, list[tuple[int, str]]] = {}
    for index, link in links.structure.items():
        if link.kind != "vlan":
            relevant[index] = link
        elif link.vlan_id and link.parent is not None:  # VID 0 is no VLAN: its frames carry a priority
            vlan_devices.setdefault(link.parent, []).append((link.vlan_id, link.name))
    return replace(
        facts,
        links=relevant,
        bridges=tuple(link for link in relevant.values() if link.kind == "bridge"),
        vlan_devices={parent: tuple(sorted(devices)) for parent, devices in vlan_devices.items()},
        addresses=addresses.addresses,
        names={index: links.links[index].name for index in addresses.indexes if index in links.links},
    )


def system_name() -> str:
    return gethostname()


def system_description(root: Path = ROOT) -> str:
    """The distribution's name, then the kernel's: name, release, machine."""
    kernel = os.uname()
    return f"{_pretty_name(root) or kernel.sysname} {kernel.sysname} {kernel.release} {kernel.machine}"


def inventory(root: Path = ROOT) -> Mapping[MedSubtype, str]:
    """What the machine says about itself where it can be read, by the TLV that carries it."""
    found = {MedSubtype.SOFTWARE_REVISION: os.uname().release}
    for directory, files in ((DEVICE_TREE, _DEVICE_TREE_FILES), (DMI, _DMI_FILES)):
        for subtype, name in files.items():
            if text := _known(root / directory / name):
                found[subtype] = text
    return MappingProxyType(found)


def _pretty_name(root: Path) -> str:
    for name in OS_RELEASE:
        with suppress(OSError):
            for line in (root / name).read_text(encoding="utf-8", errors="replace").splitlines():
                key, _, value = line.partition("=")
                if key == "PRETTY_NAME":
                    return value.strip().strip("\"'")
    return ""


def _known(path: Path) -> str:
    """A file's one line; empty when it cannot be read, or says nothing."""
    try:
        text = path.read_bytes().partition(b"\0")[0].decode(errors="backslashreplace").strip()
    except OSError:
        return ""
    return "" if text.lower() in _FILLERS else text
