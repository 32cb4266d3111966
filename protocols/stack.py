"""One port's protocols, joined: routes what one machine says to the next, and has no rule of its own."""

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.evb.bridge import EvbBridge, SetRelay
from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.station import EvbStation
from protocols.evb.status import Edition, EvbSettings, Forwarding, Relay, Role
from protocols.frame import ETHERTYPE_LLDP, EthernetFrame, Scope
from protocols.lldp.agent import AdminStatus, LldpAgent, LocalSystem
from protocols.lldp.mib import (
    RemoteAdded,
    RemoteChange,
    RemoteRemoved,
    RemoteSystem,
    RemoteUpdated,
    TooManyNeighbors,
)
from protocols.lldp.tlvs import ChassisId, Msap, OptionalTlv, OrganizationalTlv, PortId, SystemName, printable
from protocols.lldp.tx import TxSettings
from protocols.timers import Instant

EVB_SCOPE = Scope.NEAREST_CUSTOMER_BRIDGE
EDITIONS: Mapping[str, Edition] = {edition.name: edition for edition in (RATIFIED, DRAFT)}
_EVB_TLVS = frozenset((edition.oui, edition.subtype) for edition in EDITIONS.values())
_LLDP = ETHERTYPE_LLDP.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class PortSettings:
    """Everything that a port's machines are told; frozen, replaced whole by `NewSettings`."""

    mac_address: bytes
    chassis_id: ChassisId
    port_id: PortId
    optional: tuple[OptionalTlv, ...]
    admin_status: Mapping[Scope, AdminStatus]
    tx: TxSettings
    max_neighbors: int
    evb: EvbSettings


# Requests: what the world tells a port.


@dataclass(frozen=True, slots=True)
class LinkState:
    """portEnabled."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class NewSettings:
    settings: PortSettings


@dataclass(frozen=True, slots=True)
class RelayAble:
    """Bridge role: whether the port can be made to reflect; if not, why."""

    able: bool
    because: str = ""


@dataclass(frozen=True, slots=True)
class RelaySet:
    """The port reflects, or does not; the answer to `Configure`, or news of somebody else's doing (`error` says so)."""

    on: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The agent ends on this port."""


Request = LinkState | NewSettings | RelayAble | RelaySet | Shutdown


# Outward effects.


@dataclass(frozen=True, slots=True)
class SendFrame:
    data: bytes


@dataclass(frozen=True, slots=True)
class Configure:
    """Do this to the port and answer with `RelaySet` before anything else is given to the stack."""

    setting: SetRelay


@dataclass(frozen=True, slots=True)
class NeighborEvent:
    scope: Scope
    change: RemoteChange


@dataclass(frozen=True, slots=True)
class ForwardingChanged:
    old: Forwarding
    new: Forwarding


@dataclass(frozen=True, slots=True)
class WarningsChanged:
    warnings: tuple[str, ...]


Event = NeighborEvent | ForwardingChanged | WarningsChanged


@dataclass(frozen=True, slots=True)
class Indicate:
    event: Event


Effect = SendFrame | Configure | Indicate


class PortStack:
    """The machines of one port. After each input `next_deadline` may have moved."""

    def __init__(self, role: Role, settings: PortSettings) -> None:
        self.role = role
        self.settings = settings
        self.evb: EvbStation | EvbBridge = _EVB[role](settings.evb)
        self.enabled = False
        self._ending = False
        self.ignored_frames = 0
        self.agents = {
            scope: LldpAgent(
                scope,
                settings.admin_status.get(scope, AdminStatus.DISABLED),
                settings.tx,
                self._local(scope),
                settings.max_neighbors,
                lambda oui, subtype: (oui, subtype) in _EVB_TLVS,
            )
            for scope in Scope
        }
        self._by_address = {scope.address: agent for scope, agent in self.agents.items()}
        self._said = self.evb.own_words()
        self._peer_deaf = False
        self.forwarding = self._forwarding()
        self.warnings: tuple[str, ...] = ()

    def receive(self, frame: bytes, now: Instant) -> list[Effect]:
        """A frame from the wire, without FCS."""
        agent = self._by_address.get(frame[0:6])
        if agent is None or frame[12:14] != _LLDP:
            self.ignored_frames += 1
            return []
        if frame[6:12] == self.settings.mac_address:
            agent.rx.statistics.own += 1
            return []
        changes = agent.receive(frame[6:12], frame[14:], now)
        if not changes:
            return []
        return self._settle([(agent, change) for change in changes], now)

    def request(self, request: Request, now: Instant) -> list[Effect]:
        changes: list[tuple[LldpAgent, RemoteChange]] = []
        first: list[Effect] = []
        match request:
            case LinkState(enabled):
                self.enabled = enabled
                if not enabled:
                    self.evb.clear()
                changes = [(agent, c) for agent in self.agents.values() for c in agent.enable(enabled, now)]
            case NewSettings(settings):
                changes = self._configure(settings, now)
            case RelayAble(able, because):
                if isinstance(self.evb, EvbBridge):
                    self.evb.set_able(able, because, now)
            case RelaySet(on, error):
                if isinstance(self.evb, EvbBridge):
                    first = [Configure(effect) for effect in self.evb.relay_set(on, error, now)]
            case Shutdown():
                return self._shut_down(now)
        return first + self._settle(changes, now, configured=bool(first))

    def next_deadline(self) -> Instant | None:
        deadlines = [agent.next_deadline() for agent in self.agents.values()]
        if isinstance(self.evb, EvbBridge):
            deadlines.append(self.evb.next_deadline())
        return min((due for due in deadlines if due is not None), default=None)

    def advance(self, now: Instant) -> list[Effect]:
        """Everything that is due; safe early, late or twice."""
        changes = [(agent, change) for agent in self.agents.values() for change in agent.advance(now)]
        setting: list[Effect] = []
        if isinstance(self.evb, EvbBridge):
            setting = [Configure(effect) for effect in self.evb.advance(now)]
        if not changes and not setting:
            return self._transmit(now)
        return setting + self._settle(changes, now, configured=bool(setting))

    def describe(self, msap: Msap) -> str:
        """A neighbour in the EVB scope, for people."""
        remote = self.agents[EVB_SCOPE].rx.remotes.get(msap)
        if remote is None:
            return "a former neighbor"
        names = (tlv.text for tlv in remote.pdu.optional if isinstance(tlv, SystemName))
        name, chassis = printable(next(names, "")), printable(remote.pdu.chassis_id.text)
        return f"{name} ({chassis})" if name else chassis

    def _settle(
        self, changes: list[tuple[LldpAgent, RemoteChange]], now: Instant, configured: bool = False
    ) -> list[Effect]:
        """Let a change run through the machines. The port is set first."""
        effects: list[Effect] = []
        for agent, change in changes:
            self._inform_evb(agent, change)
            effects.append(Indicate(NeighborEvent(agent.scope, change)))
        if isinstance(self.evb, EvbBridge) and not configured:
            settings = [Configure(effect) for effect in self.evb.run(now)]
            effects = [*settings, *effects]
            configured = bool(settings)
        if configured:
            return effects  # RelaySet follows at once: the answer, and what goes on the wire, are known then
        news = self._news()
        self._announce(now)
        frames = self._transmit(now)
        # An agreement is first said to the peer. When it ends, guests come first: they may be cut off already.
        return [*effects, *frames, *news] if self.evb.relay_active else [*effects, *news, *frames]

    def _inform_evb(self, agent: LldpAgent, change: RemoteChange) -> None:
        if agent.scope is not EVB_SCOPE:
            return
        match change:
            case RemoteAdded(remote) | RemoteUpdated(remote):
                self._tell_evb(remote)
            case RemoteRemoved(remote, _):
                self.evb.lost(remote.pdu.msap)
            case TooManyNeighbors():
                pass

    def _tell_evb(self, remote: RemoteSystem) -> None:
        organizational = [tlv for tlv in remote.pdu.optional if isinstance(tlv, OrganizationalTlv)]
        self.evb.heard(remote.pdu.msap, [(tlv.oui, tlv.subtype, tlv.value) for tlv in organizational])

    def _configure(self, settings: PortSettings, now: Instant) -> list[tuple[LldpAgent, RemoteChange]]:
        former, self.settings = self.settings, settings
        self.evb.configure(settings.evb)
        if self.enabled and settings.evb.editions != former.evb.editions:
            # A TLV that was not read so far may never be news again: its sender has said it.
            for remote in self.agents[EVB_SCOPE].rx.remotes.systems():
                self._tell_evb(remote)
        changes: list[tuple[LldpAgent, RemoteChange]] = []
        for scope, agent in self.agents.items():
            agent.configure(settings.tx, settings.max_neighbors, now)
            admin_status = settings.admin_status.get(scope, AdminStatus.DISABLED)
            if admin_status is not agent.admin_status:
                changes += [(agent, change) for change in agent.set_admin_status(admin_status, now)]
        return changes

    def _shut_down(self, now: Instant) -> list[Effect]:
        """People first (guests leave VEPA), then the shutdown LLDPDUs, then the port."""
        self._ending = True
        self.evb.clear()
        effects = self._news()
        for agent in self.agents.values():
            agent.set_admin_status(AdminStatus.DISABLED, now)
        effects += self._transmit(now)
        if isinstance(self.evb, EvbBridge):
            effects += [Configure(effect) for effect in self.evb.run(now)]
        return effects

    def _news(self) -> list[Effect]:
        effects: list[Effect] = []
        forwarding = self._forwarding()
        if forwarding != self.forwarding:
            old, self.forwarding = self.forwarding, forwarding
            effects.append(Indicate(ForwardingChanged(old, forwarding)))
        warnings = self._warnings()
        if warnings != self.warnings:
            self.warnings = warnings
            effects.append(Indicate(WarningsChanged(warnings)))
        return effects

    def _announce(self, now: Instant) -> None:
        """Give the agents what we have to say now."""
        said = self.evb.own_words()
        news = said != self._said
        self._said = said
        for scope, agent in self.agents.items():
            local = self._local(scope)
            other_news = local.optional[1:] != agent.local.optional[1:] if scope is EVB_SCOPE else True
            agent.set_local(local, now, news or other_news or not local.same_identity(agent.local))
        peer = self.evb.statement.peer
        deaf = peer is not None and peer.deaf
        if deaf and not self._peer_deaf:
            self.agents[EVB_SCOPE].repeat(now)  # a known peer has started anew, and must not wait to hear from us
        self._peer_deaf = deaf

    def _transmit(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for scope, agent in self.agents.items():
            for payload in agent.transmit(now):
                frame = EthernetFrame(scope.address, self.settings.mac_address, ETHERTYPE_LLDP, payload)
                effects.append(SendFrame(frame.encode()))
        return effects

    def _local(self, scope: Scope) -> LocalSystem:
        """The EVB TLV comes first, so that it is the last to go when an LLDPDU is too long."""
        optional = self.settings.optional
        if scope is EVB_SCOPE:
            optional = (OrganizationalTlv(*self.evb.tlv()), *optional)
        return LocalSystem(self.settings.chassis_id, self.settings.port_id, optional)

    def _forwarding(self) -> Forwarding:
        if self._ending:
            return Forwarding(Relay.UNKNOWN, None, "the agent is ending")
        if not self.enabled:
            return Forwarding(Relay.UNKNOWN, None, "the link is down")
        anyone = any(len(agent.rx.remotes) for agent in self.agents.values())
        return self.evb.forwarding(anyone, self.describe)

    def _warnings(self) -> tuple[str, ...]:
        crowded = [
            f"too many neighbors in scope {scope}: those that were there first are kept, others are not"
            for scope, agent in self.agents.items()
            if agent.rx.remotes.too_many_neighbors
        ]
        return (*self.evb.warnings(self.describe), *crowded)


_EVB: Mapping[Role, type[EvbStation] | type[EvbBridge]] = {Role.STATION: EvbStation, Role.BRIDGE: EvbBridge}
