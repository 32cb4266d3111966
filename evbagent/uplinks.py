"""Which links are uplinks, and what a port's machines are told about them."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from secrets import randbits

from evbagent.config import Config, UplinkSettings, VdpConfig
from evbagent.hostfacts import HostFacts
from evbagent.localtlvs import announcement
from evbagent.netlink import Link
from protocols.edge import MILLISECOND, EdgeSettings
from protocols.evb.status import Edition, EvbCapability, EvbParameters, EvbSettings, Role
from protocols.frame import parse_mac
from protocols.lldp.tx import TxSettings
from protocols.port import PortSettings
from protocols.stack import EDITIONS
from protocols.vdp.bridge import BridgeSettings
from protocols.vdp.station import StationSettings

ARPHRD_ETHER = 1
STACKED = frozenset({"bond", "team", "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "vxlan", "dummy", "ifb", "tun"})
VIRTUAL_BUSES = frozenset({"virtio", "vmbus", "xen", "netdevsim"})
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


def goes_on(role: Role, link: Link, globs: Sequence[str] | None, config: Config) -> bool:
    """Whether a port in this role still is what the link is to have, by its name and kind of now."""
    return is_uplink(link, globs) and Role(config.for_uplink(link.name).role) is role


def port_settings(link: Link, settings: UplinkSettings, facts: HostFacts) -> PortSettings:
    """What the machines of the port on `link` are told."""
    lldp, evb = settings.lldp, settings.evb
    said = announcement(link, lldp, Role(settings.role), facts)
    return PortSettings(
        mac_address=said.mac_address,
        chassis_id=said.chassis_id,
        port_id=said.port_id,
        optional=said.optional,
        admin_status=said.admin_status,
        warnings=said.warnings,
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
        station=StationSettings(vdp.max_vsis, vdp.reassociate, vdp.max_filters),
        bridge=BridgeSettings(vdp.max_vsis, vdp.max_filters),
    )


def asks_for_relay(link: Link, settings: UplinkSettings) -> bool:
    """Whether reflective relay is asked for (station) or offered (bridge).

    A station's port in a Linux bridge does not ask unless told to: the guests behind that software bridge would get
    their own frames back.
    """
    if settings.evb.reflective_relay is not None:
        return settings.evb.reflective_relay == "request"
    return settings.role == "bridge" or link.controller_kind != "bridge"


def first_sequence() -> int:
    """Of a conversation of ECP's: random, see `PortStack`."""
    return randbits(16)
