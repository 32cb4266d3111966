"""The host's facts, kept up to date: told by the kernel, never asked for again and again."""

import logging
import os
import select
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from evbagent.addresses import AddressTable, ForwardingTable
from evbagent.ethtool import Ethtool, EthtoolSocket
from evbagent.follow import Follower
from evbagent.hostfacts import HostFacts, arrange, inventory, system_description, system_name
from evbagent.hostlinks import LinkTable
from evbagent.netlink import Link

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

HOST_NAME = "/proc/sys/kernel/hostname"

log = logging.getLogger(__name__)


class HostMonitor:
    """Keeps `facts`. `on_change` is called when they have changed without the caller's doing.

    Links that the agent serves are to be named to it: `serve` and `forget`.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.facts = HostFacts(system_name(), system_description(), inventory())
        self._on_change = on_change
        self._links = LinkTable()
        self._addresses = AddressTable()
        self._forwarding = ForwardingTable()
        self._follower = Follower((self._links, self._addresses, self._forwarding), self._news)
        self._name = HostNameWatch(self._renamed)
        self._ethtool: EthtoolSocket | None = None
        self._no_ethtool = ""
        self._asked: dict[int, bool] = {}
        """Whether ethtool is asked, of each link served."""

    def start(self, loop: "AbstractEventLoop") -> None:
        """Reads everything; `facts` are complete afterwards but for the links that will be served."""
        try:
            self._ethtool = EthtoolSocket()
        except OSError as error:
            self._no_ethtool = str(error)
            log.warning("what network cards say about their media is not known: %s", error)
        self._follower.start(loop)
        self._name.start(loop)
        self.facts = self._now()

    @property
    def overflows(self) -> int:
        """How many times news of the kernel were lost."""
        return self._follower.overflows

    def close(self) -> None:
        self._follower.close()
        self._name.close()
        if self._ethtool:
            self._ethtool.close()
            self._ethtool = None

    def serve(self, link: Link, medium: bool) -> None:
        """`medium`: 802.3 TLVs are to be sent. The first link ever served stands for the host in the chassis ID."""
        if not self.facts.chassis_mac:
            self.facts = replace(self.facts, chassis_mac=link.mac_address, chassis_name=link.name)
        if self._asked.get(link.index) is not medium:
            self._asked[link.index] = medium
            known = {index: self._links.links[index] for index in (link.index,) if index in self._links.links}
            self.facts = self._with_ethtool(replace(self.facts, links={**self.facts.links, **known}), link.index)

    def forget(self, index: int) -> None:
        self._asked.pop(index, None)
        self.facts = self._with_ethtool(self._now(), index)

    def _news(self) -> None:
        before, now = self.facts, self._now()
        for index, link in now.links.items():
            # With the state of the link its speed changes, and what the other side offers.
            if self._asked.get(index) and link != before.links.get(index):
                now = self._with_ethtool(now, index)
        self._become(now)

    def _renamed(self) -> None:
        self._become(replace(self.facts, system_name=system_name()))

    def _become(self, facts: HostFacts) -> None:
        if facts != self.facts:
            self.facts = facts
            self._on_change()

    def _now(self) -> HostFacts:
        facts = replace(self.facts, forwards=self._forwarding.forwards)
        return arrange(facts, self._links, self._addresses, self._asked)

    def _with_ethtool(self, facts: HostFacts, index: int) -> HostFacts:
        known = {other: found for other, found in facts.ethtool.items() if other != index}
        if self._asked.get(index):
            known[index] = self._ethtool.read(index) if self._ethtool else Ethtool(reason=self._no_ethtool)
        return replace(facts, ethtool=known)


class HostNameWatch:
    """Calls when the host has been given another name.

    The kernel says so at its file, as an exceptional condition: only that, for the file can always be read.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._file = -1
        self._poll: select.epoll | None = None
        self._loop: AbstractEventLoop | None = None

    def start(self, loop: "AbstractEventLoop") -> None:
        """Without /proc the name stays as it was found."""
        with suppress(OSError):
            self._file = os.open(HOST_NAME, os.O_RDONLY | os.O_CLOEXEC)
            self._poll = select.epoll()
            self._poll.register(self._file, select.EPOLLPRI)
            self._loop = loop
            loop.add_reader(self._poll.fileno(), self._renamed)

    def close(self) -> None:
        if self._poll is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _renamed(self) -> None:
        assert self._poll is not None
        self._poll.poll(0)  # looking is what ends the condition
        self._on_change()
