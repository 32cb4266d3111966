"""VLAN devices on an uplink, for guests whose VSI the switch has put into a VLAN: their frames leave with its tag.

Those that `attach` makes carry a mark, and go with the last guest on them. Deleting one deletes what stands on it, so
that who makes or removes guests on one holds a lock meanwhile.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from evbagent import rtnl
from evbagent.netlink import MACVLAN_KINDS, Link, NetlinkError, RouteSocket
from evbagent.policy import VLAN_MARK
from evbagent.rtnl import (
    NLA_F_NESTED,
    RequestSocket,
    link_request,
    nla,
    nlmsg,
)

LOCK_SECONDS = 5.0
POLL_SECONDS = 0.01
NAME_OCTETS = 15


class Vlan:
    """The VLAN that a guest is in. `device` is the VLAN device that it stands on; None: there is none, for `reason`."""

    __slots__ = ("device", "reason", "vid")

    def __init__(self, vid: int, device: str | None, reason: str = "") -> None:
        self.vid = vid
        self.device = device
        self.reason = reason


class _VlanData(nla):
    nla_flags = NLA_F_NESTED
    nla_map = ((1, "IFLA_VLAN_ID", "uint16"),)


class _VlanInfo(nla):
    nla_flags = NLA_F_NESTED
    nla_map = ((1, "IFLA_INFO_KIND", "asciiz"), (2, "IFLA_INFO_DATA", "vlan"))
    vlan = _VlanData


class VlanMessage(nlmsg):
    """RTM_NEWLINK about a VLAN device, and RTM_GETLINK for them."""

    fields = rtnl.LinkMessage.fields
    nla_map = (
        (3, "IFLA_IFNAME", "asciiz"),
        (5, "IFLA_LINK", "uint32"),
        (18, "IFLA_LINKINFO", "info"),
    )
    info = _VlanInfo


@contextmanager
def standing_on(route: RouteSocket, uplink: Link, vid: int, directory: str) -> Iterator[tuple[int, Vlan | None]]:
    """The interface for a guest's device in VLAN `vid` (0: in none), by index, and what came of the VLAN.

    That is a VLAN device, or the uplink itself if the kernel has no VLAN devices. One that was made for a guest which
    then is not made is removed again. NetlinkError, or TimeoutError when another holds the lock too long.
    """
    if vid == 0:
        yield uplink.index, None
        return
    with locked(directory):
        try:
            device = _find(route, uplink.index, vid) or _make(route, uplink, vid)
        except NetlinkError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            device = None
        if device is None:
            reason = "this kernel makes no VLAN devices: frames leave untagged"
            yield uplink.index, Vlan(vid, None, reason)
            return
        try:
            yield device.index, Vlan(vid, device.name)
        except BaseException:
            with suppress(NetlinkError):
                remove_unused(route, device)
            raise


def remove_unused(route: RouteSocket, device: Link) -> None:
    """Remove a VLAN device that was made here and that no guest stands on any more. The caller holds the lock."""
    if device.alias != VLAN_MARK or any(link.parent == device.index for link in route.dump_links()):
        return
    for nsid in route.namespace_ids():
        for kind in MACVLAN_KINDS:
            if any(link.parent == device.index for link in route.dump_links(kind=kind, nsid=nsid)):
                return
    route.delete(device.index)


@contextmanager
def locked(directory: str) -> Iterator[None]:
    """Alone with the VLAN devices of those who share this state directory. TimeoutError when that takes too long."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield  # no directory, no agent, and nobody who makes such guests
        return
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"somebody else has kept {directory} locked for {LOCK_SECONDS:g} s") from None
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _find(route: RouteSocket, uplink: int, vid: int) -> Link | None:
    """The uplink's VLAN device for this VLAN, whoever made it: the kernel has no two."""
    requests = RequestSocket()
    try:
        request = _request(rtnl.RTM_GETLINK, ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "vlan")]}))
        # A kernel that does not know the kind lists all interfaces.
        found = requests.dump(request, _describe, "list VLAN devices")
    finally:
        requests.close()
    for index, *described in found:
        if described == ["vlan", uplink, vid]:
            link = route.get_link(index=index)
            if link is not None and link.parent == uplink:  # not another namespace's interface with that index
                return link
    return None


def _make(route: RouteSocket, uplink: Link, vid: int) -> Link:
    name = f"{uplink.name}.{vid}"
    if len(name.encode()) > NAME_OCTETS or route.get_link(name=name):
        name = f"evb{uplink.index}.{vid}"
    requests = RequestSocket()
    try:
        asked = f"create VLAN device {name} on {uplink.name}"
        requests.change(creation(name, uplink.index, vid), rtnl.NLM_F_CREATE | rtnl.NLM_F_EXCL, asked)
        device = route.get_link(name=name)
        if device is None:
            raise NetlinkError(errno.ENODEV, f"look up network interface {name}, just created")
        try:
            route.set_alias(device.index, VLAN_MARK)
            up = link_request(rtnl.RTM_SETLINK, device.index)
            up["flags"] = up["change"] = rtnl.IFF_UP
            requests.change(up, 0, f"set network interface {name} up")
            return route.get_link(index=device.index) or device
        except OSError:
            route.delete(device.index)
            raise
    finally:
        requests.close()


def creation(name: str, uplink: int, vid: int) -> Any:
    """The message that makes a VLAN device."""
    info = {"attrs": [("IFLA_INFO_KIND", "vlan"), ("IFLA_INFO_DATA", {"attrs": [("IFLA_VLAN_ID", vid)]})]}
    return _request(rtnl.RTM_NEWLINK, ("IFLA_IFNAME", name), ("IFLA_LINK", uplink), ("IFLA_LINKINFO", info))


def _request(kind: int, *attributes: tuple[str, object]) -> Any:
    request = VlanMessage()
    request["header"]["type"] = kind
    request["index"] = 0
    request["attrs"] = list(attributes)
    return request


def _describe(message: Any) -> tuple[int, str | None, int | None, int | None]:
    """Index, kind, parent and VLAN of an interface; None for what it has not."""
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info else None
    data = info.get_attr("IFLA_INFO_DATA") if info and kind == "vlan" else None
    return message["index"], kind, message.get_attr("IFLA_LINK"), data.get_attr("IFLA_VLAN_ID") if data else None
