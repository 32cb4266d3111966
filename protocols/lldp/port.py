"""The LLDP agents of one port, one for each scope (802.1AB 6.2.1)."""

from collections.abc import Callable, Iterable, Mapping

from protocols.frame import ETHERTYPE_LLDP, EthernetFrame, Scope
from protocols.lldp.agent import AdminStatus, LldpAgent, LocalSystem
from protocols.lldp.mib import RemoteChange
from protocols.lldp.tx import TxSettings
from protocols.timers import Instant

Change = tuple[LldpAgent, RemoteChange]


class LldpPort:
    """Hands each frame to the agent that it is for, and sums up what the agents have to say."""

    def __init__(
        self,
        admin_status: Mapping[Scope, AdminStatus],
        tx: TxSettings,
        local: Mapping[Scope, LocalSystem],
        max_neighbors: int,
        recognizes: Callable[[bytes, int], bool],
    ) -> None:
        self.agents = {
            scope: LldpAgent(
                scope, admin_status.get(scope, AdminStatus.DISABLED), tx, local[scope], max_neighbors, recognizes
            )
            for scope in Scope
        }
        self._by_address = {scope.address: agent for scope, agent in self.agents.items()}

    def agent_for(self, destination: bytes) -> LldpAgent | None:
        return self._by_address.get(destination)

    @property
    def hears_anyone(self) -> bool:
        return any(len(agent.rx.remotes) for agent in self.agents.values())

    def next_deadline(self) -> Instant | None:
        deadlines = [agent.next_deadline() for agent in self.agents.values()]
        return min((due for due in deadlines if due is not None), default=None)

    def advance(self, now: Instant) -> list[Change]:
        return [(agent, change) for agent in self.agents.values() for change in agent.advance(now)]

    def enable(self, enabled: bool, now: Instant) -> list[Change]:
        """portEnabled."""
        return [(agent, change) for agent in self.agents.values() for change in agent.enable(enabled, now)]

    def configure(
        self, admin_status: Mapping[Scope, AdminStatus], tx: TxSettings, max_neighbors: int, now: Instant
    ) -> list[Change]:
        changes: list[Change] = []
        for scope, agent in self.agents.items():
            agent.configure(tx, max_neighbors, now)
            wanted = admin_status.get(scope, AdminStatus.DISABLED)
            if wanted is not agent.admin_status:
                changes += [(agent, change) for change in agent.set_admin_status(wanted, now)]
        return changes

    def disable(self, now: Instant) -> None:
        """adminStatus disabled everywhere: shutdown LLDPDUs go out."""
        for agent in self.agents.values():
            agent.set_admin_status(AdminStatus.DISABLED, now)

    def transmit(self, mac_address: bytes, now: Instant) -> Iterable[bytes]:
        """The frames that are to be sent now."""
        for scope, agent in self.agents.items():
            for payload in agent.transmit(now):
                yield EthernetFrame(scope.address, mac_address, ETHERTYPE_LLDP, payload).encode()
