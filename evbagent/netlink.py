"""The kernel's network interfaces: what they are, how they change, and the few settings the agent makes.

Messages are pyroute2's classes (see `rtnl`), on NETLINK_ROUTE sockets of our own: pyroute2's IPRoute runs an event loop
of its own for every synchronous request and takes longer to import than the agent may take to start.
"""

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from errno import ENOBUFS, ENODEV, ERANGE
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from evbagent import rtnl
from evbagent.rtnl import NetlinkError as NetlinkError
from evbagent.rtnl import RequestSocket

if TYPE_CHECKING:  # who only makes a device does without it, and it is half of this module's import time
    from asyncio import AbstractEventLoop, TimerHandle

MACVLAN_MODES = MappingProxyType({1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"})
OPER_STATUSES = ("unknown", "not-present", "down", "lower-layer-down", "testing", "dormant", "up")
MACVLAN_KINDS = ("macvlan", "macvtap")

AF_BRIDGE = 7

DATAGRAMS_PER_WAKE_UP = 64
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface. Indexes are those of the namespace of the socket that asked."""

    index: int
    name: str
    mac_address: bytes
    hardware_type: int
    kind: str | None = None
    flags: int = 0
    oper_status: str = "unknown"
    mtu: int = 0
    parent: int | None = None
    controller: int | None = None
    controller_kind: str | None = None
    hairpin: bool | None = None
    macvlan_mode: str | None = None
    alias: str = ""
    parent_device: str | None = None
    parent_bus: str | None = None

    @property
    def enabled(self) -> bool:
        """Administratively up, with carrier. The kernel lets its operational status lag behind by up to a second."""
        up = rtnl.IFF_UP | rtnl.IFF_LOWER_UP
        return self.flags & up == up

    @property
    def is_bridge_port(self) -> bool:
        return self.controller is not None and self.controller_kind == "bridge"


@dataclass(frozen=True, slots=True)
class LinkChange:
    """`new` is None when the interface is gone, `moved_to` where it was moved: (namespace id, index there)."""

    old: Link | None
    new: Link | None
    moved_to: tuple[int, int] | None = None


class LinkMonitor:
    """Keeps `links`, by index, as the kernel has them, and reports every change of a `Link` to `on_change`.

    Changes that the kernel could not deliver (`overflows`) are made up by a new dump. `on_change` is called after
    `links` has the new state. It may call `close()`.
    """

    def __init__(self, on_change: Callable[[LinkChange], None], *, receive_buffer: int = 8 << 20) -> None:
        self.links: dict[int, Link] = {}
        self.overflows = 0
        self._on_change = on_change
        self._receive_buffer = receive_buffer
        self._socket: socket.socket | None = None
        self._loop: AbstractEventLoop | None = None
        self._lost = False
        self._retry: TimerHandle | None = None

    def start(self, loop: "AbstractEventLoop") -> None:
        """Subscribes, then dumps: `links` is complete afterwards. Changes are reported from then on."""
        self._loop = loop
        self._socket = rtnl.subscribe(self._receive_buffer)
        try:
            with RouteSocket() as route:
                self.links.update((link.index, link) for link in route.dump_links())
        except OSError:
            self.close()
            raise
        loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._socket is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def resync(self) -> None:
        """Asks for all interfaces anew and reports what differs from `links`."""
        with RouteSocket() as route:
            self._become(route.dump_links())

    def look_again(self, index: int) -> None:
        """Asks for one interface now, and reports it if it differs from `links`: news can be a second late."""
        with RouteSocket() as route:
            link = route.get_link(index=index)
        if link is not None and index in self.links and _same_device(self.links[index], link):
            self._set(index, link)

    def _readable(self) -> None:
        """Takes a bounded number of datagrams, so that a burst of changes does not keep frames waiting."""
        for _ in range(DATAGRAMS_PER_WAKE_UP):
            if self._socket is None:
                return
            try:
                data, (sender, _groups) = self._socket.recvfrom(rtnl.DATAGRAM)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise
                self.overflows += 1
                self._lost = True
                continue
            if sender == 0:
                self._take(data)
        else:
            if self._lost and self._loop is not None:  # there may be nothing left to wake us
                self._loop.call_soon(self._readable)
            return
        # What is still queued is older than a dump, and would undo what the dump says: only dump when all is read.
        if self._lost:
            self._recover()

    def _recover(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        try:
            with RouteSocket() as route:
                links = route.dump_links()
        except OSError as error:
            log.warning("cannot read the network interfaces after an overflow, will try again: %s", error)
            if self._loop is not None:
                self._retry = self._loop.call_later(RETRY_SECONDS, self._recover)
            return
        self._become(links)
        self._lost = False

    def _become(self, links: list[Link]) -> None:
        now = {link.index: link for link in links}
        for index, old in list(self.links.items()):
            new = now.get(index)
            if new is None or not _same_device(old, new):
                self._set(index, None)
        for index, new in now.items():
            self._set(index, new)

    def _take(self, data: bytes) -> None:
        for kind, _, offset in rtnl.messages(data):
            if kind in (rtnl.RTM_NEWLINK, rtnl.RTM_DELLINK):
                message = rtnl.LinkMessage(data, offset=offset)
                message.decode()
                self._apply(message)

    def _apply(self, message: Any) -> None:
        index = message["index"]
        attributes = message.values()
        if message["family"] == AF_BRIDGE:
            self._apply_to_bridge_port(message, attributes)
        elif "IFLA_IFNAME" not in attributes:
            pass  # a wireless event: it says nothing about the interface itself
        elif message["header"]["type"] == rtnl.RTM_NEWLINK:
            self._set(index, _link(message))
        else:
            moved_to = None
            if "IFLA_NEW_NETNSID" in attributes:
                moved_to = attributes["IFLA_NEW_NETNSID"], attributes.get("IFLA_NEW_IFINDEX", index)
            self._set(index, None, moved_to)

    def _apply_to_bridge_port(self, message: Any, attributes: dict[str, Any]) -> None:
        """A bridge's word about a port, the only one of a new hairpin mode.

        RTM_DELLINK says here that the port has left the bridge; the interface's own message says so as well, and next.
        """
        link = self.links.get(message["index"])
        if link is None or not link.is_bridge_port or link.controller != attributes.get("IFLA_MASTER"):
            return
        if message["header"]["type"] == rtnl.RTM_NEWLINK and "IFLA_PROTINFO" in attributes:
            mode = attributes["IFLA_PROTINFO"].values().get("IFLA_BRPORT_MODE", link.hairpin)
            self._set(link.index, replace(link, hairpin=bool(mode)))

    def _set(self, index: int, new: Link | None, moved_to: tuple[int, int] | None = None) -> None:
        old = self.links.get(index)
        if old == new or self._socket is None:
            return
        if new is None:
            del self.links[index]
        else:
            self.links[index] = new
        self._on_change(LinkChange(old, new, moved_to))


class RouteSocket:
    """Synchronous requests to the kernel, in the network namespace in which the object was made.

    Every method raises `NetlinkError` when the kernel refuses, or does not answer within two seconds. `nsid` is this
    namespace's id of another one, whose interfaces are meant instead; the kernel takes it for reading only.
    """

    def __init__(self) -> None:
        self._requests = RequestSocket()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._requests.close()

    def dump_links(self, kind: str | None = None, nsid: int | None = None) -> list[Link]:
        """All interfaces, or those of one kind."""
        asked = "list network interfaces" if nsid is None else f"list network interfaces of namespace {nsid}"
        request = rtnl.link_request(rtnl.RTM_GETLINK, attributes=_where(nsid))
        if kind is not None:
            request["attrs"].append(("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind)]}))
        here = self._namespaces_here(nsid)
        links = self._requests.dump(request, lambda answer: _link(answer, here), asked)
        if not here and (here := self._namespaces_here(nsid)):  # the dump itself has given us the id
            links = self._requests.dump(request, lambda answer: _link(answer, here), asked)
        return [link for link in links if kind is None or link.kind == kind]

    def get_link(self, name: str | None = None, index: int | None = None, nsid: int | None = None) -> Link | None:
        """The interface of this name or index, None when there is none."""
        request = rtnl.link_request(rtnl.RTM_GETLINK, index or 0, _where(nsid))
        if name is not None:
            request["attrs"].append(("IFLA_IFNAME", name))
        try:
            answer = self._requests.get(request, f"look up network interface {name or index}")
        except NetlinkError as error:
            if error.errno in (ENODEV, ERANGE):  # ERANGE: too long to be a name
                return None
            raise
        return _link(answer, self._namespaces_here(nsid))

    def set_hairpin(self, index: int, on: bool) -> None:
        """Lets the bridge send frames back through the port they came in by, or not."""
        mode = ("IFLA_PROTINFO", {"attrs": [("IFLA_BRPORT_MODE", int(on))]})
        request = rtnl.link_request(rtnl.RTM_SETLINK, index, [mode])
        request["family"] = AF_BRIDGE
        self._requests.change(request, 0, f"turn hairpin mode {'on' if on else 'off'} on bridge port {index}")

    def create_macvlan(
        self, name: str, parent_index: int, kind: str, mode: str, mac_address: bytes | None, alias: str, up: bool = True
    ) -> Link:
        """Makes a macvlan or macvtap that carries `alias` before it comes up, or leaves nothing behind."""
        request = rtnl.link_request(rtnl.RTM_NEWLINK, attributes=[("IFLA_IFNAME", name), ("IFLA_LINK", parent_index)])
        request["attrs"].append(_macvlan_info(kind, mode))
        if mac_address is not None:
            request["attrs"].append(("IFLA_ADDRESS", mac_address))
        asked = f"create {kind} {name} in mode {mode} on interface {parent_index}"
        self._requests.change(request, rtnl.NLM_F_CREATE | rtnl.NLM_F_EXCL, asked)
        created = self._present(name=name)
        try:
            self.set_alias(created.index, alias)  # the kernel ignores an alias in the message that creates
            if up:
                request = rtnl.link_request(rtnl.RTM_SETLINK, created.index)
                request["flags"] = request["change"] = rtnl.IFF_UP
                self._requests.change(request, 0, f"set network interface {name} up")
            return self._present(index=created.index)
        except OSError:
            self.delete(created.index)
            raise

    def set_macvlan_mode(self, index: int, kind: str, mode: str) -> None:
        request = rtnl.link_request(rtnl.RTM_NEWLINK, index, [_macvlan_info(kind, mode)])
        self._requests.change(request, 0, f"set {kind} {index} to mode {mode}")

    def set_alias(self, index: int, alias: str) -> None:
        request = rtnl.link_request(rtnl.RTM_SETLINK, index, [("IFLA_IFALIAS", alias)])
        self._requests.change(request, 0, f"set the alias of network interface {index}")

    def delete(self, index: int) -> None:
        self._requests.change(rtnl.link_request(rtnl.RTM_DELLINK, index), 0, f"delete network interface {index}")

    def namespace_ids(self) -> list[int]:
        """The ids by which this namespace knows others. An id for itself, if it has one, is left out."""
        known = self._requests.dump(rtnl.namespace_id_request(), _namespace_id, "list network namespaces")
        return sorted({nsid for nsid in known if nsid is not None} - {self._own_namespace_id()})

    def namespace_id(self, descriptor: int) -> int | None:
        """The id by which this namespace knows the one that is open as `descriptor`, None when it has none."""
        request = rtnl.namespace_id_request(("NETNSA_FD", descriptor))
        return _namespace_id(self._requests.get(request, "look up a network namespace's id"))

    def _own_namespace_id(self) -> int | None:
        """The kernel gives a namespace an id for itself when it has to name it from the outside."""
        try:
            descriptor = self._requests.open_namespace()
        except PermissionError:
            return None
        try:
            return self.namespace_id(descriptor)
        finally:
            os.close(descriptor)

    def _namespaces_here(self, nsid: int | None) -> tuple[int | None, ...]:
        """What IFLA_LINK_NETNSID says, in answers about namespace `nsid`, when the other interface is in this one."""
        if nsid is None:
            return (None,)
        own = self._own_namespace_id()
        return () if own is None else (own,)

    def _present(self, name: str | None = None, index: int | None = None) -> Link:
        if (link := self.get_link(name=name, index=index)) is None:
            raise NetlinkError(ENODEV, f"look up network interface {name or index}, just created")
        return link


def _namespace_id(answer: Any) -> int | None:
    nsid: int = answer.values().get("NETNSA_NSID", -1)
    return nsid if nsid >= 0 else None


def _where(nsid: int | None) -> list[tuple[str, object]]:
    """Attributes of a question about interfaces: without their counters, which nothing here reads."""
    attributes: list[tuple[str, object]] = [("IFLA_EXT_MASK", rtnl.RTEXT_FILTER_SKIP_STATS)]
    return attributes if nsid is None else [*attributes, ("IFLA_TARGET_NETNSID", nsid)]


def _macvlan_info(kind: str, mode: str) -> tuple[str, object]:
    (number,) = (number for number, name in MACVLAN_MODES.items() if name == mode)
    data = {"attrs": [("IFLA_MACVLAN_MODE", number)]}
    return "IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", data)]}


def _link(message: Any, here: tuple[int | None, ...] = (None,)) -> Link:
    """`here`: the IFLA_LINK_NETNSID, None for none, of a parent that is in the asking socket's namespace."""
    attributes = message.values()
    info = attributes["IFLA_LINKINFO"].values() if "IFLA_LINKINFO" in attributes else {}
    kind, controller_kind = info.get("IFLA_INFO_KIND"), info.get("IFLA_INFO_SLAVE_KIND")
    hairpin = mode = None
    if controller_kind == "bridge" and "IFLA_INFO_SLAVE_DATA" in info:
        hairpin = info["IFLA_INFO_SLAVE_DATA"].values().get("IFLA_BRPORT_MODE")
    if kind in MACVLAN_KINDS and "IFLA_INFO_DATA" in info:
        mode = info["IFLA_INFO_DATA"].values().get("IFLA_MACVLAN_MODE")
    status = attributes.get("IFLA_OPERSTATE", 0)
    return Link(
        index=message["index"],
        name=attributes["IFLA_IFNAME"],
        mac_address=attributes.get("IFLA_ADDRESS", b""),
        hardware_type=message["ifi_type"],
        kind=kind,
        flags=message["flags"],
        oper_status=OPER_STATUSES[status] if status < len(OPER_STATUSES) else "unknown",
        mtu=attributes.get("IFLA_MTU", 0),
        parent=(attributes.get("IFLA_LINK") or None) if attributes.get("IFLA_LINK_NETNSID") in here else None,
        controller=attributes.get("IFLA_MASTER"),
        controller_kind=controller_kind,
        hairpin=None if hairpin is None else bool(hairpin),
        macvlan_mode=None if mode is None else MACVLAN_MODES.get(mode),
        alias=attributes.get("IFLA_IFALIAS", ""),
        parent_device=attributes.get("IFLA_PARENT_DEV_NAME"),
        parent_bus=attributes.get("IFLA_PARENT_DEV_BUS_NAME"),
    )


def _same_device(old: Link, new: Link) -> bool:
    """Whether `new` can be what became of `old`, rather than another interface that was given the same index."""
    made_as = (old.kind, old.hardware_type, old.parent_device) == (new.kind, new.hardware_type, new.parent_device)
    return made_as and (old.name == new.name or old.mac_address == new.mac_address)
