"""What this system says about itself on a port: identifiers and the optional TLVs of each scope.

Pure: the same link, settings and facts give the same TLVs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any, cast

from evbagent import localdot, localmed
from evbagent.addresses import HostAddress
from evbagent.hostfacts import HostFacts
from evbagent.hostlinks import ETHERTYPE_C_VLAN, ETHERTYPE_S_VLAN
from evbagent.lldpconfig import TLV_GROUPS, LldpConfig, TlvName, capability_bits, fixed_description, identifier
from evbagent.macphy import mac_phy, power_via_mdi
from evbagent.management import first_addresses, management_addresses, names_addresses
from evbagent.netlink import Link
from protocols.evb.draft import LENGTH as DRAFT_EVB_LENGTH
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.lldp import dot1_codec, dot3_codec, med_codec
from protocols.lldp.agent import MAX_LLDPDU, AdminStatus
from protocols.lldp.codec import encode_basic, encode_lldpdu
from protocols.lldp.dot1 import DOT1_OUI, Dot1Tlv, VlanName
from protocols.lldp.dot3 import DOT3_OUI, Dot3Tlv
from protocols.lldp.med import MED_OUI, DeviceClass, MedTlv
from protocols.lldp.tlvs import (
    Capability,
    ChassisId,
    ChassisIdSubtype,
    Lldpdu,
    ManagementAddress,
    OptionalTlv,
    OrganizationalTlv,
    PortDescription,
    PortId,
    PortIdSubtype,
    SystemCapabilities,
    SystemDescription,
    SystemName,
)
from protocols.tlv import HEADER

MAX_TEXT = 255
LLDPD_MARK = "lldpd: "
# EVB lives in the nearest customer bridge scope; the nearest bridge scope is where nearly every switch looks for its
# neighbors, and often the only one. What a provider's bridges say is only listened to.
DEFAULT_ADMIN_STATUS: Mapping[Scope, AdminStatus] = MappingProxyType(
    {
        Scope.NEAREST_BRIDGE: AdminStatus.TX_AND_RX,
        Scope.NEAREST_NON_TPMR_BRIDGE: AdminStatus.RX_ONLY,
        Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX,
    }
)
_SILENT: Mapping[AdminStatus, AdminStatus] = MappingProxyType(
    {AdminStatus.TX_AND_RX: AdminStatus.RX_ONLY, AdminStatus.TX_ONLY: AdminStatus.DISABLED}
)
# What the machines add: the longer one of EVB's two TLVs.
_RESERVED: Mapping[Scope, int] = MappingProxyType({Scope.NEAREST_CUSTOMER_BRIDGE: HEADER + 4 + DRAFT_EVB_LENGTH})
# Who gets room in an LLDPDU first. TlvName is the order in which they are sent.
IMPORTANCE = (
    TlvName.SYSTEM_NAME,
    TlvName.SYSTEM_CAPABILITIES,
    TlvName.MANAGEMENT_ADDRESS,
    TlvName.PORT_DESCRIPTION,
    TlvName.PORT_VLAN_ID,
    TlvName.LINK_AGGREGATION,
    TlvName.MAC_PHY,
    TlvName.POWER_VIA_MDI,
    TlvName.MAXIMUM_FRAME_SIZE,
    TlvName.DOT3_LINK_AGGREGATION,
    TlvName.MED_CAPABILITIES,
    TlvName.MED_NETWORK_POLICY,
    TlvName.MED_LOCATION,
    TlvName.MED_POWER,
    TlvName.CUSTOM,
    TlvName.MED_INVENTORY,
    TlvName.SYSTEM_DESCRIPTION,
    TlvName.VLAN_NAME,
)
_COMPONENTS: Mapping[int, Capability] = MappingProxyType(
    {ETHERTYPE_C_VLAN: Capability.C_VLAN_COMPONENT, ETHERTYPE_S_VLAN: Capability.S_VLAN_COMPONENT}
)

Value = OptionalTlv | Dot1Tlv | Dot3Tlv | MedTlv


@dataclass(frozen=True, slots=True)
class LocalTlvs:
    """One scope's LLDPDU but for the machines' own TLVs. `warnings`: what had to be left out of it."""

    chassis_id: ChassisId
    port_id: PortId
    optional: tuple[OptionalTlv, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a port says, and whether it does. Nothing is in `optional` for a scope in which it does not.

    `mac_address` is where its frames come from.
    """

    mac_address: bytes
    chassis_id: ChassisId
    port_id: PortId
    optional: Mapping[Scope, tuple[OptionalTlv, ...]]
    admin_status: Mapping[Scope, AdminStatus]
    warnings: tuple[str, ...] = ()


def announcement(link: Link, settings: LldpConfig, role: Role, facts: HostFacts) -> Announcement:
    """All scopes of a port."""
    admin_status = {scope: _admin_status(settings, scope) for scope in Scope}
    said = {scope: local_tlvs(link, settings, role, facts, scope) for scope in Scope if admin_status[scope].tx}
    warnings = (warning for local in said.values() for warning in local.warnings)
    return Announcement(
        mac_address=localdot.source_mac(link, facts),
        chassis_id=chassis_id(settings, facts),
        port_id=port_id(link, settings, facts),
        optional={scope: said[scope].optional if scope in said else () for scope in Scope},
        admin_status=admin_status,
        warnings=tuple(warnings),
    )


def announces_medium(settings: LldpConfig) -> bool:
    """Whether there is a use for what ethtool says about a link."""
    wanted = {TlvName.MAC_PHY, TlvName.POWER_VIA_MDI}
    return any(_admin_status(settings, scope).tx and wanted & settings.chosen_tlvs(scope) for scope in Scope)


def local_tlvs(link: Link, settings: LldpConfig, role: Role, facts: HostFacts, scope: Scope) -> LocalTlvs:
    """What fits, by IMPORTANCE; of a kind that has several, the earlier before the later."""
    port = _Port(link, settings, role, facts, scope)
    chassis, own_id = chassis_id(settings, facts), port_id(link, settings, facts)
    most = min(MAX_LLDPDU, link.mtu or MAX_LLDPDU)
    room = most - len(encode_lldpdu(Lldpdu(chassis, own_id, 0))) - _RESERVED.get(scope, 0)
    chosen = port.chosen
    kept: dict[TlvName, list[OptionalTlv]] = {}
    left_out: list[str] = []
    for name in IMPORTANCE:
        if name not in chosen or (name in _OTHER_MED and TlvName.MED_CAPABILITIES not in kept):
            continue
        offered, missed = iter(_SOURCES[name](port)), list[Value]()
        for value in offered:
            tlv = _wire(name, value)
            size = HEADER + len(encode_basic(tlv))
            if size <= room:
                kept.setdefault(name, []).append(tlv)
                room -= size
                continue
            missed.append(value)
            if name is TlvName.VLAN_NAME:  # there can be thousands, all of about this size
                missed.extend(offered)
        if missed:
            left_out.append(_in_words(name, missed))
    warnings = [f"no room in the LLDPDU of scope {scope} for {', '.join(left_out)}"] if left_out else []
    optional = tuple(tlv for name in TlvName for tlv in kept.get(name, ()))
    return LocalTlvs(chassis, own_id, optional, tuple(warnings + _unsaid_addresses(port)))


def chassis_id(settings: LldpConfig, facts: HostFacts) -> ChassisId:
    """The MAC address in place of what the host does not have."""
    subtype, octets = identifier(ChassisIdSubtype, settings.chassis_id)
    match subtype:
        case _ if octets is not None:
            pass
        case ChassisIdSubtype.INTERFACE_NAME:
            octets = facts.chassis_name.encode()
        case ChassisIdSubtype.NETWORK_ADDRESS:
            octets = _network_address(facts.addresses)
        case ChassisIdSubtype.LOCAL:
            octets = _fitting(settings.system_name or facts.system_name)
    return ChassisId(subtype, octets) if octets else ChassisId(ChassisIdSubtype.MAC_ADDRESS, facts.chassis_mac)


def port_id(link: Link, settings: LldpConfig, facts: HostFacts) -> PortId:
    """The MAC address in place of what the link does not have; its name in place of an alias."""
    subtype, octets = identifier(PortIdSubtype, settings.port_id)
    match subtype:
        case _ if octets is not None:
            pass
        case PortIdSubtype.INTERFACE_ALIAS:
            octets = _fitting(_alias(link))
            if not octets:
                subtype, octets = PortIdSubtype.INTERFACE_NAME, link.name.encode()
        case PortIdSubtype.INTERFACE_NAME | PortIdSubtype.LOCAL:
            octets = link.name.encode()
        case PortIdSubtype.NETWORK_ADDRESS:
            octets = _network_address(address for address in facts.addresses if address.index == link.index)
    return PortId(subtype, octets) if octets else PortId(PortIdSubtype.MAC_ADDRESS, localdot.own_mac(link, facts))


@dataclass(frozen=True, slots=True)
class _Port:
    link: Link
    settings: LldpConfig
    role: Role
    facts: HostFacts
    scope: Scope

    @property
    def chosen(self) -> frozenset[TlvName]:
        return self.settings.chosen_tlvs(self.scope)


def _admin_status(settings: LldpConfig, scope: Scope) -> AdminStatus:
    admin_status = DEFAULT_ADMIN_STATUS[scope]
    if scope in settings.admin_status:
        admin_status = AdminStatus(settings.admin_status[scope])
    return admin_status if settings.transmit else _SILENT.get(admin_status, admin_status)


def _port_description(port: _Port) -> Iterator[PortDescription]:
    text = fixed_description(port.settings.port_description)
    if text is None:
        text = _alias(port.link) if port.settings.port_description == "interface-alias" else ""
    yield PortDescription(_fitting(text or port.link.name))


def _alias(link: Link) -> str:
    """But not the one that lldpd writes there: what it heard from the neighbor."""
    return "" if link.alias.startswith(LLDPD_MARK) else link.alias


def _system_name(port: _Port) -> Iterator[SystemName]:
    yield SystemName(_fitting(port.settings.system_name or port.facts.system_name))


def _system_description(port: _Port) -> Iterator[SystemDescription]:
    yield SystemDescription(_fitting(port.settings.system_description or port.facts.system_description))


def _system_capabilities(port: _Port) -> Iterator[SystemCapabilities]:
    """What is enabled is what is there and up. "Station only" stands alone (802.1AB table 8-4)."""
    supported, enabled = _capabilities(port)
    if port.settings.system_capabilities is not None:
        supported = enabled = capability_bits(port.settings.system_capabilities)
    if port.settings.system_capabilities_enabled is not None:
        enabled = capability_bits(port.settings.system_capabilities_enabled)
    yield SystemCapabilities(supported, enabled & supported)


def _capabilities(port: _Port) -> tuple[int, int]:
    supported = enabled = Capability(0)
    if port.role is Role.BRIDGE or port.link.is_bridge_port:
        supported = enabled = Capability.MAC_BRIDGE
    for bridge in port.facts.bridges:
        bits = Capability.MAC_BRIDGE | _COMPONENTS.get(bridge.vlan_filtering or 0, Capability(0))
        supported |= bits
        enabled |= bits if bridge.up else Capability(0)
    if port.facts.forwards:
        supported |= Capability.ROUTER
        enabled |= Capability.ROUTER
    if port.settings.med.device_class == int(DeviceClass.ENDPOINT_CLASS_III):
        supported |= Capability.TELEPHONE
        enabled |= Capability.TELEPHONE
    if not supported:
        supported = enabled = Capability.STATION_ONLY
    return int(supported), int(enabled)


def _management_addresses(port: _Port) -> Iterable[ManagementAddress]:
    return islice(_all_addresses(port), port.settings.most_management_addresses(port.scope))


def _unsaid_addresses(port: _Port) -> list[str]:
    """Of one version of IP beside the other nobody need hear; of what was asked for, yes."""
    most = port.settings.most_management_addresses(port.scope)
    if (
        most is None
        or not names_addresses(port.settings.management_addresses)
        or TlvName.MANAGEMENT_ADDRESS not in port.chosen
    ):
        return []
    unsaid = [tlv.text for tlv in islice(_all_addresses(port), most, None)]
    limit = f"max-management-addresses is {most} in scope {port.scope}"
    return [f"{limit}: not announced there: {', '.join(unsaid)}"] if unsaid else []


def _all_addresses(port: _Port) -> Iterator[ManagementAddress]:
    return management_addresses(port.settings.management_addresses, port.facts.addresses, port.facts.names)


def _mac_phy(port: _Port) -> Iterator[Dot3Tlv]:
    ethtool = port.facts.ethtool.get(port.link.index)
    if ethtool and ethtool.modes:
        yield mac_phy(ethtool.modes)


def _power_via_mdi(port: _Port) -> Iterator[Dot3Tlv]:
    ethtool = port.facts.ethtool.get(port.link.index)
    if ethtool and ethtool.power:
        yield power_via_mdi(ethtool.power)


def _custom(port: _Port) -> Iterator[OrganizationalTlv]:
    for tlv in port.settings.custom_tlv:
        if tlv.scopes is None or port.scope in tlv.scopes:
            yield OrganizationalTlv(tlv.oui_octets, tlv.subtype, tlv.value)


def _network_address(addresses: Iterable[HostAddress]) -> bytes | None:
    first = first_addresses(addresses)
    return bytes([first[0].family]) + first[0].octets if first else None


def _fitting(text: str) -> bytes:
    """As much of the text as a TLV holds, in whole characters. A host's name may be any octets."""
    return text.encode(errors="backslashreplace")[:MAX_TEXT].decode(errors="ignore").encode()


def _wire(name: TlvName, value: Value) -> OptionalTlv:
    for names, oui, encode in _ORGANIZATIONS:
        if name in names:
            return OrganizationalTlv(oui, *encode(value))
    return cast(OptionalTlv, value)


def _in_words(name: TlvName, missed: list[Value]) -> str:
    """The first that was left out, and how many others of its kind."""
    match missed[0]:
        case ManagementAddress() | VlanName() as value:
            which = f" {value.text}"
        case OrganizationalTlv(oui, subtype):
            which = f" {oui.hex('-')} subtype {subtype}"
        case _:
            which = ""
    return f"{name}{which}" + (f" and {len(missed) - 1} more" if len(missed) > 1 else "")


_SOURCES: Mapping[TlvName, Callable[[_Port], Iterable[Value]]] = {
    TlvName.PORT_DESCRIPTION: _port_description,
    TlvName.SYSTEM_NAME: _system_name,
    TlvName.SYSTEM_DESCRIPTION: _system_description,
    TlvName.SYSTEM_CAPABILITIES: _system_capabilities,
    TlvName.MANAGEMENT_ADDRESS: _management_addresses,
    TlvName.PORT_VLAN_ID: lambda port: localdot.port_vlan_id(port.link, port.facts),
    TlvName.LINK_AGGREGATION: lambda port: localdot.link_aggregation(port.link, port.facts),
    TlvName.MAC_PHY: _mac_phy,
    TlvName.POWER_VIA_MDI: _power_via_mdi,
    TlvName.DOT3_LINK_AGGREGATION: lambda port: localdot.dot3_link_aggregation(port.link, port.facts),
    TlvName.MAXIMUM_FRAME_SIZE: lambda port: localdot.maximum_frame_size(port.link, port.facts),
    TlvName.MED_CAPABILITIES: lambda port: localmed.capabilities(port.settings.med, port.facts.inventory),
    TlvName.MED_NETWORK_POLICY: lambda port: localmed.network_policies(port.settings.med.network_policy),
    TlvName.MED_LOCATION: lambda port: localmed.locations(port.settings.med.location),
    TlvName.MED_POWER: lambda port: localmed.power(port.settings.med.power),
    TlvName.MED_INVENTORY: lambda port: localmed.inventory(port.settings.med, port.facts.inventory),
    TlvName.CUSTOM: _custom,
    TlvName.VLAN_NAME: lambda port: localdot.vlan_names(port.link, port.facts),
}
_ORGANIZATIONS: tuple[tuple[frozenset[TlvName], bytes, Callable[[Any], tuple[int, bytes]]], ...] = (
    (TLV_GROUPS["dot1"], DOT1_OUI, dot1_codec.encode),
    (TLV_GROUPS["dot3"], DOT3_OUI, dot3_codec.encode),
    (TLV_GROUPS["med"], MED_OUI, med_codec.encode),
)
_OTHER_MED = TLV_GROUPS["med"] - {TlvName.MED_CAPABILITIES}
