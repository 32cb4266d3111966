"""Which links are uplinks, and what a port's machines are told about them."""

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from socket import gethostname

from evbagent.config import UplinkSettings, VdpConfig
from evbagent.netlink import Link
from protocols.edge import MILLISECOND, EdgeSettings
from protocols.evb.status import Edition, EvbCapability, EvbParameters, EvbSettings
from protocols.frame import Scope, parse_mac
from protocols.lldp.addresses import AddressFamily
from protocols.lldp.agent import AdminStatus
from protocols.lldp.tlvs import (
    Capability,
    ChassisId,
    ChassisIdSubtype,
    InterfaceNumbering,
    ManagementAddress,
    OptionalTlv,
    PortDescription,
    PortId,
    PortIdSubtype,
    SystemCapabilities,
    SystemDescription,
    SystemName,
)
from protocols.lldp.tx import TxSettings
from protocols.port import PortSettings
from protocols.stack import EDITIONS
from protocols.vdp.bridge import BridgeSettings
from protocols.vdp.station import StationSettings

ARPHRD_ETHER = 1
STACKED = frozenset({"bond", "team", "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "vxlan", "dummy", "ifb", "tun"})
VIRTUAL_BUSES = frozenset({"virtio", "vmbus", "xen", "netdevsim"})
# EVB lives in the nearest customer bridge scope. In the others this agent listens: it then knows a switch that speaks
# ordinary LLDP, and stands in nobody's way who announces the host there.
DEFAULT_ADMIN_STATUS: Mapping[Scope, AdminStatus] = {
    Scope.NEAREST_BRIDGE: AdminStatus.RX_ONLY,
    Scope.NEAREST_NON_TPMR_BRIDGE: AdminStatus.RX_ONLY,
    Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX,
}
EDITION_CHOICES: Mapping[str, tuple[Edition, ...]] = {
    "ratified": (EDITIONS["ratified"],),
    "draft": (EDITIONS["draft"],),
    "auto": (EDITIONS["ratified"], EDITIONS["draft"]),
}


def is_uplink(link: Link, globs: Sequence[str] | None, sysfs: Path = Path("/sys/class/net")) -> bool:
    """With `globs`, every Ethernet link that one of them names; without, the physical ones.

    Never a bridge: what it sends floods its ports. Links that stand on others only if named in full.
    """
    if link.hardware_type != ARPHRD_ETHER or link.kind == "bridge":
        return False
    if globs is not None:
        return any(link.name == glob or (link.kind not in STACKED and fnmatchcase(link.name, glob)) for glob in globs)
    if link.kind is not None or link.parent_device is None or link.parent_bus in VIRTUAL_BUSES:
        return False
    device = sysfs / link.name
    is_wireless = (device / "phy80211").exists() or (device / "wireless").exists()
    is_virtual_function = (device / "device" / "physfn").exists()
    return not (is_wireless or is_virtual_function)


def port_settings(link: Link, settings: UplinkSettings, chassis_mac: bytes) -> PortSettings:
    """What the machines of the port on `link` are told. `chassis_mac`: the same on every port of this system."""
    lldp, evb = settings.lldp, settings.evb
    admin_status = dict(DEFAULT_ADMIN_STATUS)
    admin_status |= {Scope(scope): AdminStatus(status) for scope, status in lldp.admin_status.items()}
    return PortSettings(
        mac_address=link.mac_address,
        chassis_id=ChassisId(ChassisIdSubtype.MAC_ADDRESS, chassis_mac),
        port_id=PortId(PortIdSubtype.MAC_ADDRESS, link.mac_address),
        optional=dict.fromkeys(Scope, _optional(link, settings)),
        admin_status=admin_status,
        tx=TxSettings(
            msg_tx_interval=lldp.message_tx_interval,
            msg_tx_hold=lldp.message_tx_hold_multiplier,
            msg_fast_tx=lldp.message_fast_tx,
            tx_fast_init=lldp.tx_fast_init,
            tx_credit_max=lldp.tx_credit_max,
            reinit_delay=lldp.reinit_delay,
        ),
        max_neighbors=lldp.max_neighbors,
        evb=EvbSettings(
            editions=EDITION_CHOICES[evb.edition],
            reflective_relay=asks_for_relay(link, settings),
            parameters=EvbParameters(
                retries=evb.ecp_retries,
                rte=evb.ecp_ack_timer_exponent,
                rwd=evb.resource_wait_delay_exponent,
                rka=evb.keep_alive_exponent,
                group_ids=evb.group_ids,
                capabilities=EvbCapability.RTE | EvbCapability.ECP | EvbCapability.VDP,
                max_vsis=settings.vdp.max_vsis,
            ),
        ),
        edge=_edge_settings(link, settings.vdp),
    )


def _edge_settings(link: Link, vdp: VdpConfig) -> EdgeSettings:
    return EdgeSettings(
        destination=parse_mac(vdp.ecp_destination) if vdp.ecp_destination else None,
        ethertype=vdp.ecp_ethertype,
        vsis_per_ecpdu=None if vdp.vsis_per_ecpdu == "auto" else vdp.vsis_per_ecpdu,
        gap=None if vdp.ecpdu_gap == "auto" else vdp.ecpdu_gap * MILLISECOND,
        without_evb=vdp.without_evb,
        mtu=link.mtu,
        station=StationSettings(vdp.max_vsis, vdp.reassociate),
        bridge=BridgeSettings(vdp.max_vsis),
    )


def asks_for_relay(link: Link, settings: UplinkSettings) -> bool:
    """Whether reflective relay is asked for (station) or offered (bridge).

    A station's port in a Linux bridge does not ask unless told to: the guests behind that software bridge would get
    their own frames back.
    """
    if settings.evb.reflective_relay is not None:
        return settings.evb.reflective_relay == "request"
    return settings.role == "bridge" or link.controller_kind != "bridge"


def _optional(link: Link, settings: UplinkSettings) -> tuple[OptionalTlv, ...]:
    lldp = settings.lldp
    capability = Capability.MAC_BRIDGE if settings.role == "bridge" else Capability.STATION_ONLY
    tlvs: list[OptionalTlv] = [
        PortDescription(link.name.encode()),
        SystemName(_fitting(lldp.system_name or gethostname())),
        SystemDescription(_fitting(lldp.system_description or _system_description())),
        SystemCapabilities(int(capability), int(capability)),
    ]
    for text in lldp.management_addresses:
        address = ip_address(text)
        family = AddressFamily.IPV4 if address.version == 4 else AddressFamily.IPV6
        tlvs.append(ManagementAddress(family, address.packed, InterfaceNumbering.IF_INDEX, link.index))
    return tuple(tlvs)


def _fitting(text: str) -> bytes:
    """As much of the text as a TLV holds, in whole characters."""
    return text.encode()[:255].decode(errors="ignore").encode()


def _system_description() -> str:
    kernel = os.uname()
    try:
        release = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        release = ""
    names = [line.partition("=")[2].strip().strip("\"'") for line in release.splitlines() if line.startswith("PRETTY_")]
    return f"{names[0] if names else kernel.sysname} {kernel.sysname} {kernel.release} {kernel.machine}"
