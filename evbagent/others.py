"""Living beside others on the same NIC: who else speaks or swallows LLDP there, in words, with what to do.

Everything is optional: what cannot be read, for want of permission or because it is not there, is no finding. Reading
is cheap, and done at most once a minute.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evbagent.advice import Evidence, PortFacts, company, device_names, warnings
from evbagent.driver import boottime
from evbagent.firmware import Firmware, read_firmware
from evbagent.netlink import Link
from evbagent.networkd import networkd_emission, networkd_was_here
from evbagent.overheard import Tap
from evbagent.port import Port
from evbagent.portwatch import MINUTE, Echoes, FrameTap, Listening, Silence
from evbagent.procfs import ETH_P_ALL, PROGRAMS, Owners, PacketBinding, Proc, Program
from protocols.evb.status import Relay, Role
from protocols.frame import ETHERTYPE_LLDP
from protocols.timers import SECOND, Instant

SLACK = SECOND  # of the caller's timer
MOST_TAPS = 8
KNOWN = frozenset(PROGRAMS.values())
UNKNOWN = Program("an unknown program")

Texts = Mapping[int, tuple[str, ...]]


class Surroundings:
    """Looks around, and remembers from one look to the next. `root`, `open_tap` and `firmware` are for tests."""

    def __init__(
        self,
        root: Path = Path("/"),
        open_tap: Callable[[int], FrameTap] = Tap,
        firmware: Callable[[str], Firmware] = read_firmware,
        clock: Callable[[], Instant] = boottime,
    ) -> None:
        self._root = root
        self._proc = Proc(root)
        self._owners = Owners(self._proc)
        self._open_tap = open_tap
        self._firmware = firmware
        self._clock = clock
        self._due: Instant = 0
        self._watches: dict[int, _Watch] = {}
        self._warnings: Texts = {}
        self._company: Texts = {}

    @property
    def company(self) -> Texts:
        """By interface index: who else is there and does no harm, as of the last look."""
        return self._company

    def look(self, links: Mapping[int, Link], ports: Mapping[int, Port]) -> Texts:
        """By interface index: what somebody should do something about. It looks anew once a minute at most."""
        now = self._clock()
        if now >= self._due:
            self._due = now + MINUTE - SLACK
            self._look(links, {index: port_facts(port) for index, port in ports.items()}, now)
        return self._warnings

    def close(self) -> None:
        for watch in self._watches.values():
            watch.listening.close()
        self._watches.clear()

    def _look(self, links: Mapping[int, Link], ports: Mapping[int, PortFacts], now: Instant) -> None:
        for index in self._watches.keys() - ports.keys():
            self._watches.pop(index).listening.close()
        sockets = [found for found in self._proc.packet_sockets() if _concerns(found, ports)]
        owners = self._owners.find(sockets)
        sockets = [found for found in sockets if _may_speak_lldp(found, owners)]
        packets = self._proc.received_packets()
        devices = device_names((link.name, link.mac_address) for link in links.values())
        ourselves = {port.msap: port.name for port in ports.values()}
        networkd = networkd_was_here(self._root)
        taps = sum(watch.listening.is_open for watch in self._watches.values())
        said: dict[int, tuple[str, ...]] = {}
        beside: dict[int, tuple[str, ...]] = {}
        for index, port in ports.items():
            watch = self._watches.setdefault(index, _Watch(Listening(self._open_tap)))
            here = [found for found in sockets if found.ifindex in (0, index)]
            listened = watch.listening.is_open
            inodes = frozenset(found.inode for found in here)
            watch.listening.look(index, port, inodes, now, may_begin=listened or taps < MOST_TAPS)
            taps += watch.listening.is_open - listened
            evidence = Evidence(
                echoes=watch.echoes.go_on(port, now),
                silent=not port.bridge and watch.silence.lasts(port, packets.get(port.name), now),
                firmware=self._firmware(port.name) if port.enabled and not port.heard and not port.own else None,
                programs=tuple(dict.fromkeys(owners[found.inode] or UNKNOWN for found in here)),
                emission=networkd_emission(index, self._root) if networkd else None,
                overheard=watch.listening.overheard,
                unnamed=watch.listening.unnamed,
                same_name=watch.listening.same_name,
                owners=devices,
                ourselves=ourselves,
                bridge=_bridge(links, index),
            )
            said[index], beside[index] = warnings(port, evidence), company(port, evidence)
        self._warnings, self._company = said, beside


@dataclass(slots=True)
class _Watch:
    listening: Listening
    echoes: Echoes = field(default_factory=Echoes)
    silence: Silence = field(default_factory=Silence)


def port_facts(port: Port) -> PortFacts:
    """What of a port matters here, as it is now."""
    agents = port.stack.agents
    local = next(iter(agents.values())).local
    received = [agent.rx.statistics for agent in agents.values()]
    return PortFacts(
        name=port.link.name,
        mac_address=port.stack.settings.mac_address,
        enabled=port.link.enabled,
        bridge=port.role is Role.BRIDGE,
        relay_active=port.stack.forwarding.relay is Relay.ACTIVE,
        msap=(local.chassis_id.subtype, local.chassis_id.id, local.port_id.subtype, local.port_id.id),
        sends={scope: agent.tx_statistics.total for scope, agent in agents.items() if agent.admin_status.tx},
        heard=sum(statistics.total for statistics in received),
        own=sum(statistics.own for statistics in received),
        interval_us=port.stack.settings.tx.msg_tx_interval * SECOND,
        neighbors=frozenset(remote.pdu.msap for agent in agents.values() for remote in agent.rx.remotes.systems()),
    )


def _bridge(links: Mapping[int, Link], index: int) -> str:
    """The Linux bridge that the interface is a port of."""
    link = links.get(index)
    bridge = links.get(link.controller) if link and link.controller is not None and link.is_bridge_port else None
    return bridge.name if bridge else ""


def _concerns(found: PacketBinding, ports: Mapping[int, PortFacts]) -> bool:
    return found.ethertype in (ETHERTYPE_LLDP, ETH_P_ALL) and (found.ifindex == 0 or found.ifindex in ports)


def _may_speak_lldp(found: PacketBinding, owners: Mapping[int, Program | None]) -> bool:
    """Whoever takes all frames may be anything: only who is known for LLDP counts. Whose it is may still be unknown."""
    program = owners.get(found.inode)
    return found.inode in owners and (
        found.ethertype == ETHERTYPE_LLDP or (program is not None and program.name in KNOWN)
    )
