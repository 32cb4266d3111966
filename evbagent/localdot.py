"""The TLVs of IEEE 802.1 and 802.3 as this host announces them (sheet `lldp.md` 5, 6), from how its links stand."""

from collections.abc import Iterator

from evbagent.hostfacts import HostFacts
from evbagent.hostlinks import AGGREGATES, HostLink
from evbagent.netlink import Link
from protocols.lldp.dot1 import AggregationPortType, LinkAggregation, PortVlanId, VlanName
from protocols.lldp.dot3 import Dot3LinkAggregation, MaximumFrameSize

MAC_HEADER_AND_FCS = 18
VLAN_TAG = 4
MAX_FRAME = 0xFFFF


def port_vlan_id(link: Link, facts: HostFacts) -> Iterator[PortVlanId]:
    """Of a port of a bridge that tells VLANs apart, if it takes untagged frames."""
    port, bridge = _bridge_port(link, facts)
    if port and bridge and bridge.vlan_filtering and port.vlans.pvid:
        yield PortVlanId(port.vlans.pvid)


def vlan_names(link: Link, facts: HostFacts) -> Iterator[VlanName]:
    """In the order of VIDs."""
    names = _vlans(link, facts)
    return (VlanName(vid, names[vid].encode()[:32]) for vid in sorted(names))


def link_aggregation(link: Link, facts: HostFacts) -> Iterator[LinkAggregation]:
    """802.1AX, of a member. One that is not in use in its bond has no aggregate now (F.1)."""
    if _is_member(link):
        active = _is_aggregating(link, facts)
        aggregate = (link.controller or 0) if active else 0
        yield LinkAggregation(True, active, AggregationPortType.AGGREGATION_PORT, aggregate)


def dot3_link_aggregation(link: Link, facts: HostFacts) -> Iterator[Dot3LinkAggregation]:
    """The same in the older form, the only one that lldpd shows."""
    for tlv in link_aggregation(link, facts):
        yield Dot3LinkAggregation(tlv.aggregation_capability, tlv.aggregation_status, tlv.aggregated_port_id)


def maximum_frame_size(link: Link, facts: HostFacts) -> Iterator[MaximumFrameSize]:
    """With a tag where VLANs are in use: the MTU does not count it."""
    if link.mtu:
        untagged = {tlv.port_vlan_id for tlv in port_vlan_id(link, facts)}
        tag = VLAN_TAG if _vlans(link, facts).keys() - untagged else 0
        yield MaximumFrameSize(min(link.mtu + MAC_HEADER_AND_FCS + tag, MAX_FRAME))


def own_mac(link: Link, facts: HostFacts) -> bytes:
    """The address that tells this link from others. Members of a bond all have the bond's in place of theirs."""
    known = facts.links.get(link.index)
    if known and known.is_member and known.permanent_mac:
        return known.permanent_mac
    return link.mac_address


def source_mac(link: Link, facts: HostFacts) -> bytes:
    """Where LLDPDUs come from. On a bond's member, as lldpd has it, from an address that nobody else uses.

    A switch that learned the bond's address from an LLDPDU on a member that carries no traffic would send it there.
    """
    mac = own_mac(link, facts)
    return bytes([mac[0] | 0x02]) + mac[1:] if _is_member(link) and mac else mac


def _vlans(link: Link, facts: HostFacts) -> dict[int, str]:
    """The names of the VLANs whose frames cross the link, by VID."""
    carriers = _carriers(link, facts)
    port, bridge = _bridge_port(link, facts)
    vlans: dict[int, str] = {}
    if bridge and not bridge.vlan_filtering:
        carriers.append(bridge.index)
    for index in carriers:
        for vid, name in facts.vlan_devices.get(index, ()):
            vlans.setdefault(vid, name)
    if port and bridge and bridge.vlan_filtering:
        names = dict(facts.vlan_devices.get(bridge.index, ()))
        for vid in port.vlans.vids():
            vlans.setdefault(vid, names.get(vid) or f"vlan{vid}")
    return vlans


def _carriers(link: Link, facts: HostFacts) -> list[int]:
    """The link and the aggregates that it is a member of: what stands on these sends through it."""
    indexes = [link.index]
    controller, kind = link.controller, link.controller_kind
    while controller is not None and kind in AGGREGATES and controller not in indexes:
        indexes.append(controller)
        aggregate = facts.links.get(controller)
        controller, kind = (aggregate.controller, aggregate.controller_kind) if aggregate else (None, None)
    return indexes


def _bridge_port(link: Link, facts: HostFacts) -> tuple[HostLink | None, HostLink | None]:
    """The bridge's port that the link is, or is a member of, and the bridge."""
    port = facts.links.get(_carriers(link, facts)[-1])
    if port is None or port.controller_kind != "bridge" or port.controller is None:
        return port, None
    return port, facts.links.get(port.controller)


def _is_member(link: Link) -> bool:
    return link.controller is not None and link.controller_kind in AGGREGATES


def _is_aggregating(link: Link, facts: HostFacts) -> bool:
    known = facts.links.get(link.index)
    return known is None or known.aggregating is not False
