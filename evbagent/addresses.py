"""The host's IP addresses, and whether it forwards packets, as the kernel has them at any moment."""

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from errno import EAFNOSUPPORT, EINVAL, EOPNOTSUPP
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from evbagent import rtnl
from evbagent.rtnl import (
    NetlinkError,
    RequestSocket,
    Selective,
    nlmsg,
)
from protocols.lldp.addresses import AddressFamily

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWNETCONF, RTM_GETNETCONF = 80, 82
RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR = 5, 9
RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF = 24, 25
NETCONFA_IFINDEX_ALL = -1

IFA_F_TEMPORARY = 0x01
IFA_F_DADFAILED = 0x08
IFA_F_DEPRECATED = 0x20
IFA_F_TENTATIVE = 0x40

FAMILIES: Mapping[int, AddressFamily] = MappingProxyType(
    {socket.AF_INET: AddressFamily.IPV4, socket.AF_INET6: AddressFamily.IPV6}
)


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An address of the host on interface `index`. `settled`: in use, for good as far as anybody knows."""

    index: int
    family: AddressFamily
    octets: bytes
    settled: bool = True

    @property
    def text(self) -> str:
        return str(ip_address(self.octets))

    @property
    def is_link_local(self) -> bool:
        if self.family is AddressFamily.IPV4:
            return self.octets[:2] == b"\xa9\xfe"
        return self.octets[0] == 0xFE and self.octets[1] & 0xC0 == 0x80

    @property
    def is_loopback(self) -> bool:
        if self.family is AddressFamily.IPV4:
            return self.octets[0] == 127
        return self.octets == bytes(15) + b"\1"


class AddressMessage(Selective, nlmsg):
    """RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR."""

    fields = (("family", "B"), ("prefix_length", "B"), ("flags", "B"), ("scope", "B"), ("index", "I"))
    nla_map = ((1, "IFA_ADDRESS", "cdata"), (2, "IFA_LOCAL", "cdata"), (8, "IFA_FLAGS", "uint32"))


class AddressTable:
    """`addresses` that can be announced, in the order of interfaces; on one, in the kernel's, later ones last."""

    groups = (RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR)

    def __init__(self) -> None:
        self._found: dict[tuple[int, AddressFamily, bytes], HostAddress] = {}
        self._listed: tuple[HostAddress, ...] | None = None
        self._indexes: frozenset[int] = frozenset()

    @property
    def addresses(self) -> tuple[HostAddress, ...]:
        """The same tuple until something has changed."""
        if self._listed is None:
            usable = (address for address in self._found.values() if address.settled and not address.is_loopback)
            self._listed = tuple(sorted(usable, key=lambda address: address.index))
            self._indexes = frozenset(address.index for address in self._listed)
        return self._listed

    @property
    def indexes(self) -> frozenset[int]:
        """Of the interfaces that they are on."""
        return self._indexes if self.addresses else frozenset()

    def read(self, requests: RequestSocket) -> None:
        request = AddressMessage()
        request["header"]["type"] = RTM_GETADDR
        found = requests.dump(request, _address, "list network addresses")
        self._found = {_key(address): address for address in found if address is not None}
        self._listed = None

    def take(self, kind: int, data: bytes, offset: int) -> None:
        if kind == rtnl.RTM_DELLINK:
            self._interface_gone(data, offset)
            return
        if kind not in (RTM_NEWADDR, RTM_DELADDR):
            return
        message = AddressMessage(data, offset=offset)
        message.decode()
        address = _address(message)
        if address is None:
            return
        self._listed = None
        if kind == RTM_NEWADDR:
            self._found[_key(address)] = address
        else:
            self._found.pop(_key(address), None)

    def _interface_gone(self, data: bytes, offset: int) -> None:
        """What goes with its interface the kernel need not say."""
        family, index = _LINK.unpack_from(data, offset + _HEADER_SIZE)
        if family != socket.AF_UNSPEC:  # a port has left a bridge
            return
        for key in [key for key in self._found if key[0] == index]:
            del self._found[key]
            self._listed = None


class ForwardingMessage(Selective, nlmsg):
    """RTM_NEWNETCONF, RTM_GETNETCONF."""

    fields = (("family", "B"), ("__pad", "3x"))
    nla_map = ((1, "NETCONFA_IFINDEX", "int32"), (2, "NETCONFA_FORWARDING", "int32"))


class ForwardingTable:
    """Whether packets are forwarded between interfaces in general, in either version of IP."""

    groups = (RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF)

    def __init__(self) -> None:
        self._on: dict[int, bool] = {}

    @property
    def forwards(self) -> bool:
        return any(self._on.values())

    def read(self, requests: RequestSocket) -> None:
        self._on = {family: _forwards(requests, family) for family in FAMILIES}

    def take(self, kind: int, data: bytes, offset: int) -> None:
        if kind != RTM_NEWNETCONF:
            return
        message = ForwardingMessage(data, offset=offset)
        message.decode()
        attributes = message.values()
        if attributes.get("NETCONFA_IFINDEX") == NETCONFA_IFINDEX_ALL and "NETCONFA_FORWARDING" in attributes:
            self._on[message["family"]] = bool(attributes["NETCONFA_FORWARDING"])


def _forwards(requests: RequestSocket, family: int) -> bool:
    request = ForwardingMessage()
    request["header"]["type"] = RTM_GETNETCONF
    request["family"] = family
    request["attrs"] = [("NETCONFA_IFINDEX", NETCONFA_IFINDEX_ALL)]
    try:
        answer = requests.get(request, "ask whether packets are forwarded")
    except NetlinkError as error:
        if error.errno in (EOPNOTSUPP, EAFNOSUPPORT, EINVAL):  # this kernel does not have this version of IP
            return False
        raise
    return bool(answer.values().get("NETCONFA_FORWARDING"))


def _address(message: Any) -> HostAddress | None:
    attributes = message.values()
    family = FAMILIES.get(message["family"])
    # On a point-to-point link IFA_ADDRESS is the other end's.
    octets = attributes.get("IFA_LOCAL", attributes.get("IFA_ADDRESS"))
    if family is None or octets is None:
        return None
    flags = attributes.get("IFA_FLAGS", message["flags"])
    unsettled = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED
    if family is AddressFamily.IPV6:  # in version 4 the bit says "secondary"
        unsettled |= IFA_F_TEMPORARY
    return HostAddress(message["index"], family, octets, not flags & unsettled)


def _key(address: HostAddress) -> tuple[int, AddressFamily, bytes]:
    return address.index, address.family, address.octets


_HEADER_SIZE = 16
_LINK = struct.Struct("B3xi")
