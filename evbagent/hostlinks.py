"""What the host's interfaces are to each other: bridges, their VLANs, VLAN devices, members of bonds.

`netlink.Link` says what the agent has to know about any interface; this is only for what it announces.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from evbagent import rtnl
from evbagent.attributes import attributes
from evbagent.rtnl import LinkMessage, RequestSocket

AF_BRIDGE = 7
RTEXT_FILTER_BRVLAN_COMPRESSED = 4

# Attributes within IFLA_LINKINFO, and within what it holds for a kind of interface.
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5
VLAN_ID, VLAN_PROTOCOL = 1, 5
BR_VLAN_FILTERING, BR_VLAN_PROTOCOL = 7, 8
BOND_SLAVE_STATE, BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE = 1, 7
BOND_STATE_ACTIVE = 0
LACP_COLLECTING, LACP_DISTRIBUTING = 0x10, 0x20

BRIDGE_VLAN_INFO = 2
VLAN_INFO_PVID, VLAN_INFO_RANGE_BEGIN, VLAN_INFO_RANGE_END = 0x02, 0x08, 0x10

ETHERTYPE_C_VLAN, ETHERTYPE_S_VLAN = 0x8100, 0x88A8
AGGREGATES = frozenset({"bond", "team"})
STRUCTURE = AGGREGATES | {"bridge", "vlan"}


@dataclass(frozen=True, slots=True)
class PortVlans:
    """The VLANs of a bridge's port: the one of untagged frames (0: none), and ranges of all, both ends included."""

    pvid: int = 0
    ranges: tuple[tuple[int, int], ...] = ()

    def vids(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)


@dataclass(frozen=True, slots=True)
class HostLink:
    """One interface. `vlan_id`: of a VLAN device (802.1Q); `vlan_filtering`: of a bridge, the EtherType it goes by.

    `aggregating`: whether a member of a bond or team carries traffic; None for what is no member. `permanent_mac` is
    its own address where that of the bond has taken its place.
    """

    index: int
    name: str
    kind: str | None = None
    up: bool = False
    running: bool = False
    parent: int | None = None
    controller: int | None = None
    controller_kind: str | None = None
    vlan_id: int | None = None
    vlan_filtering: int | None = None
    aggregating: bool | None = None
    permanent_mac: bytes = b""
    vlans: PortVlans = PortVlans()

    @property
    def is_member(self) -> bool:
        return self.controller is not None and self.controller_kind in AGGREGATES


class HostLinkMessage(LinkMessage):
    """RTM_NEWLINK with what `HostLink` says, of an interface itself or (family AF_BRIDGE) of a bridge's port."""

    nla_map = (  # type: ignore[assignment]  # another number of attributes
        (3, "IFLA_IFNAME", "asciiz"),
        (5, "IFLA_LINK", "uint32"),
        (10, "IFLA_MASTER", "uint32"),
        (18, "IFLA_LINKINFO", "cdata"),
        (26, "IFLA_AF_SPEC", "cdata"),
        (29, "IFLA_EXT_MASK", "uint32"),
        (37, "IFLA_LINK_NETNSID", "int32"),
        (54, "IFLA_PERM_ADDRESS", "cdata"),
    )


class LinkTable:
    """`links` by index; `structure` are the bridges, bonds, teams and VLAN devices among them."""

    groups = ()

    def __init__(self) -> None:
        self.links: dict[int, HostLink] = {}
        self.structure: dict[int, HostLink] = {}

    def read(self, requests: RequestSocket) -> None:
        request = _request(0, rtnl.RTEXT_FILTER_SKIP_STATS)
        links = {link.index: link for link in requests.dump(request, _link, "list network interfaces")}
        # A kernel without bridges answers as it would without AF_BRIDGE: with interfaces, and nothing about VLANs.
        request = _request(AF_BRIDGE, rtnl.RTEXT_FILTER_SKIP_STATS | RTEXT_FILTER_BRVLAN_COMPRESSED)
        for index, vlans in requests.dump(request, _port_vlans, "list the VLANs of bridge ports"):
            if vlans is not None and index in links:
                links[index] = replace(links[index], vlans=vlans)
        self.links = links
        self.structure = {index: link for index, link in links.items() if link.kind in STRUCTURE}

    def take(self, kind: int, data: bytes, offset: int) -> None:
        if kind not in (rtnl.RTM_NEWLINK, rtnl.RTM_DELLINK):
            return
        message = HostLinkMessage(data, offset=offset)
        message.decode()
        index = message["index"]
        known = self.links.get(index)
        if message["family"] == AF_BRIDGE:
            _, vlans = _port_vlans(message) if kind == rtnl.RTM_NEWLINK else (index, PortVlans())
            if known and vlans is not None:
                self._put(replace(known, vlans=vlans))
        elif kind == rtnl.RTM_DELLINK:
            self.links.pop(index, None)
            self.structure.pop(index, None)
        elif "IFLA_IFNAME" in message.values():  # what has no name is a wireless event
            self._put(replace(_link(message), vlans=known.vlans if known else PortVlans()))

    def _put(self, link: HostLink) -> None:
        self.links[link.index] = link
        if link.kind in STRUCTURE:
            self.structure[link.index] = link


def _request(family: int, mask: int) -> Any:
    request = HostLinkMessage()
    request["header"]["type"] = rtnl.RTM_GETLINK
    request["family"] = family
    request["attrs"] = [("IFLA_EXT_MASK", mask)]
    return request


def _link(message: Any) -> HostLink:
    values = message.values()
    info = dict(attributes(values.get("IFLA_LINKINFO", b"")))
    kind, controller_kind = _text(info.get(INFO_KIND)), _text(info.get(INFO_SLAVE_KIND))
    data = dict(attributes(info.get(INFO_DATA, b""))) if kind in ("vlan", "bridge") else {}
    flags, controller = message["flags"], values.get("IFLA_MASTER")
    aggregating = None
    if controller is not None and controller_kind in AGGREGATES:
        state = dict(attributes(info.get(INFO_SLAVE_DATA, b""))) if controller_kind == "bond" else {}
        aggregating = bool(flags & rtnl.IFF_LOWER_UP) and _carries(state)
    return HostLink(
        index=message["index"],
        name=values["IFLA_IFNAME"],
        kind=kind,
        up=bool(flags & rtnl.IFF_UP),
        running=bool(flags & rtnl.IFF_LOWER_UP),
        parent=values.get("IFLA_LINK") if "IFLA_LINK_NETNSID" not in values else None,
        controller=controller,
        controller_kind=controller_kind,
        vlan_id=_vlan_id(data) if kind == "vlan" else None,
        vlan_filtering=_vlan_filtering(data) if kind == "bridge" else None,
        aggregating=aggregating,
        permanent_mac=values.get("IFLA_PERM_ADDRESS", b""),
    )


def _carries(state: Mapping[int, bytes]) -> bool:
    """Of a bond's member: by LACP where that is spoken, else by what the bond has chosen. A team does not tell."""
    if lacp := state.get(BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE):
        return lacp[0] & (LACP_COLLECTING | LACP_DISTRIBUTING) == LACP_COLLECTING | LACP_DISTRIBUTING
    return state.get(BOND_SLAVE_STATE, b"\0")[0] == BOND_STATE_ACTIVE


def _vlan_id(data: Mapping[int, bytes]) -> int | None:
    """None for an S-VLAN: its VIDs are another component's."""
    if VLAN_ID not in data or data.get(VLAN_PROTOCOL, _C_VLAN) != _C_VLAN:
        return None
    return int(_SHORT.unpack_from(data[VLAN_ID])[0])


def _vlan_filtering(data: Mapping[int, bytes]) -> int | None:
    if not data.get(BR_VLAN_FILTERING, b"\0")[0]:
        return None
    return int.from_bytes(data.get(BR_VLAN_PROTOCOL, _C_VLAN), "big")


def _port_vlans(message: Any) -> tuple[int, PortVlans | None]:
    """The port's index, and None where the message is not a bridge's: it can be a network card's word about itself."""
    said = list(attributes(message.values().get("IFLA_AF_SPEC", b"")))
    vlans = [value for kind, value in said if kind == BRIDGE_VLAN_INFO]
    if message["family"] != AF_BRIDGE or (said and not vlans):
        return message["index"], None
    pvid, begin, ranges = 0, 0, []
    for flags, vid in (_VLAN_INFO.unpack_from(value) for value in vlans):
        if flags & VLAN_INFO_PVID:
            pvid = vid
        if flags & VLAN_INFO_RANGE_BEGIN:
            begin = vid
        else:
            ranges.append((begin if flags & VLAN_INFO_RANGE_END else vid, vid))
    return message["index"], PortVlans(pvid, tuple(ranges))


def _text(octets: bytes | None) -> str | None:
    return None if octets is None else octets.partition(b"\0")[0].decode(errors="backslashreplace")


_SHORT = struct.Struct("H")
_VLAN_INFO = struct.Struct("HH")
_C_VLAN = ETHERTYPE_C_VLAN.to_bytes(2, "big")
