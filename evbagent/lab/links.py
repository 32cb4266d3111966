"""Network namespaces of the lab, and the links in and between them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import ENODEV
from pathlib import Path

from evbagent import rtnl
from evbagent.lab.cage import CLONE_NEWNET, enter, unshare
from evbagent.netlink import Link, NetlinkError, RouteSocket
from evbagent.rtnl import RequestSocket, link_request

OWN_NAMESPACE = "/proc/thread-self/ns/net"


class Namespace:
    """A network namespace, and requests to the kernel made inside. It lasts as long as this process or one in there.

    `new` False: the one that the calling thread is in.
    """

    def __init__(self, new: bool = True) -> None:
        before = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if new:
                unshare(CLONE_NEWNET)
            self.descriptor = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            self.route = RouteSocket()
            self._requests = RequestSocket()
            for scope in ("all", "default"):
                with suppress(OSError):  # only the lab's own frames shall be on the links, where that can be had
                    Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")
        finally:
            enter(before, CLONE_NEWNET)
            os.close(before)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread, and so every process and socket that it makes, is in here while the block runs."""
        before = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(self.descriptor, CLONE_NEWNET)
            try:
                yield
            finally:
                enter(before, CLONE_NEWNET)
        finally:
            os.close(before)

    def link(self, name: str) -> Link:
        link = self.route.get_link(name=name)
        if link is None:
            raise NetlinkError(ENODEV, f"look up {name}")
        return link

    def add_cable(self, name: str, mac: bytes, other: "Namespace", other_name: str, other_mac: bytes) -> None:
        """A veth pair, both ends down."""
        self._add(name, "veth", mac)
        peer = self.link(name).parent or 0
        self._change(peer, [("IFLA_IFNAME", other_name), ("IFLA_ADDRESS", other_mac)], f"rename an end to {other_name}")
        self.move(other_name, other)

    def add_bridge(self, name: str, port: str) -> None:
        """A Linux bridge over one port, itself up."""
        self._add(name, "bridge")
        self._change(self.link(port).index, [("IFLA_MASTER", self.link(name).index)], f"put {port} into {name}")
        self.set_up(name)

    def move(self, name: str, other: "Namespace") -> None:
        """The link goes down on the way."""
        where = [("IFLA_NET_NS_FD", other.descriptor)]
        self._change(self.link(name).index, where, f"move {name} to another network namespace")

    def set_up(self, name: str, up: bool = True) -> None:
        self._change(self.link(name).index, [], f"set {name} {'up' if up else 'down'}", rtnl.IFF_UP if up else 0)

    def delete(self, name: str) -> None:
        self.route.delete(self.link(name).index)

    def _add(self, name: str, kind: str, mac: bytes | None = None) -> None:
        attributes: list[tuple[str, object]] = [("IFLA_IFNAME", name)]
        attributes += [("IFLA_ADDRESS", mac)] if mac else []
        attributes.append(("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind)]}))
        request = link_request(rtnl.RTM_NEWLINK, attributes=attributes)
        self._requests.change(request, rtnl.NLM_F_CREATE | rtnl.NLM_F_EXCL, f"create {kind} {name}")

    def _change(
        self, index: int, attributes: Sequence[tuple[str, object]], asked: str, flags: int | None = None
    ) -> None:
        request = link_request(rtnl.RTM_SETLINK, index, attributes)
        if flags is not None:
            request["flags"], request["change"] = flags, rtnl.IFF_UP
        self._requests.change(request, 0, asked)
