"""One port's protocols, joined: routes what one machine says to the next, and has no rule of its own."""

from collections.abc import Callable, Hashable, Iterable, Mapping

from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import Neighbor
from protocols.edge import ETHERTYPES_ECP, Agreement, EdgeEffect
from protocols.edgeroles import BridgeEdge, StationEdge
from protocols.evb.bridge import EvbBridge
from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.station import EvbStation
from protocols.evb.status import Edition, Forwarding, Relay, Role
from protocols.frame import ETHERTYPE_LLDP, Scope
from protocols.known import recognizes
from protocols.lldp.agent import LldpAgent, LocalSystem
from protocols.lldp.mib import (
    RemoteAdded,
    RemoteChange,
    RemoteRemoved,
    RemoteSystem,
    RemoteUpdated,
)
from protocols.lldp.port import LldpPort
from protocols.lldp.tlvs import Msap, OrganizationalTlv, SystemName, printable
from protocols.port import (
    Configure,
    DcbxChanged,
    Effect,
    ForwardingChanged,
    Indicate,
    LinkState,
    NeighborEvent,
    NewSettings,
    PolicyChanged,
    PortSettings,
    RelayAble,
    RelaySet,
    Request,
    RequestVsis,
    SendFrame,
    Shutdown,
    WarningsChanged,
    WithdrawVsis,
)
from protocols.timers import Instant
from protocols.vdp.policy import BridgePolicy
from protocols.vdp.station import Closed
from protocols.vdp.status import Confirm, Outcome, VsiChanged

EVB_SCOPE = Scope.NEAREST_CUSTOMER_BRIDGE
DCBX_SCOPE = Scope.NEAREST_BRIDGE
EDITIONS: Mapping[str, Edition] = {edition.name: edition for edition in (RATIFIED, DRAFT)}
_LLDP = ETHERTYPE_LLDP.to_bytes(2, "big")
_ECP = frozenset(ethertype.to_bytes(2, "big") for ethertype in ETHERTYPES_ECP)


class PortStack:
    """The machines of one port. After each input `next_deadline` may have moved.

    `first_sequence` gives a random number of 16 bits for each new conversation of ECP: a peer that remembers the last
    number takes the same one for a repetition (interop-notes P3). `policy` (bridge role) is shared by all ports of the
    bridge, which it tells apart by `port`.
    """

    def __init__(
        self,
        role: Role,
        settings: PortSettings,
        first_sequence: Callable[[], int],
        policy: BridgePolicy | None = None,
        port: Hashable = None,
    ) -> None:
        self.role = role
        self.settings = settings
        self.evb: EvbStation | EvbBridge = _EVB[role](settings.evb)
        self.edge: StationEdge | BridgeEdge
        if isinstance(self.evb, EvbBridge):
            policy = policy or BridgePolicy()
            self.edge = BridgeEdge(settings.mac_address, settings.edge, first_sequence, policy, port)
        else:
            self.edge = StationEdge(settings.mac_address, settings.edge, first_sequence)
        self.dcbx = DcbxPort(settings.dcbx, settings.mac_address)
        self.enabled = False
        self._ending = False
        self.ignored_frames = 0
        self.lldp = LldpPort(
            settings.admin_status,
            settings.tx,
            {scope: self._local(scope) for scope in Scope},
            settings.max_neighbors,
            recognizes,
        )
        self._said = self.evb.own_words()
        self._peer_deaf = False
        self._bridge: Msap | None = None
        self.forwarding = self._forwarding()
        self._dcbx_result = self.dcbx.result
        self.warnings: tuple[str, ...] = ()

    @property
    def agents(self) -> Mapping[Scope, LldpAgent]:
        return self.lldp.agents

    def receive(self, frame: bytes, now: Instant) -> list[Effect]:
        """A frame from the wire, without FCS."""
        ethertype = frame[12:14]
        if ethertype in _ECP:
            if frame[6:12] == self.settings.mac_address or not self.enabled:
                self.ignored_frames += 1
                return []
            return _outward(self.edge.receive(frame, now))
        agent = self.lldp.agent_for(frame[0:6])
        if agent is None or ethertype != _LLDP or not agent.listens:
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
            case RequestVsis(requests):
                assert isinstance(self.edge, StationEdge)
                return _outward(self.edge.request(requests, now))
            case WithdrawVsis(vsi_ids, reason):
                assert isinstance(self.edge, BridgeEdge)
                return _outward(self.edge.withdraw(vsi_ids, reason, now))
            case PolicyChanged():
                return _outward(self.edge.reconsider(now)) if isinstance(self.edge, BridgeEdge) else []
            case LinkState(enabled):
                self.enabled = enabled
                if not enabled:
                    self.evb.clear()
                    self.dcbx.clear()
                changes = self.lldp.enable(enabled, now)
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
        deadlines = [self.lldp.next_deadline(), self.edge.next_deadline()]
        if isinstance(self.evb, EvbBridge):
            deadlines.append(self.evb.next_deadline())
        return min((due for due in deadlines if due is not None), default=None)

    def advance(self, now: Instant) -> list[Effect]:
        """Everything that is due; safe early, late or twice."""
        effects = _outward(self.edge.advance(now))
        changes = self.lldp.advance(now)
        setting: list[Effect] = []
        if isinstance(self.evb, EvbBridge):
            setting = [Configure(effect) for effect in self.evb.advance(now)]
        if changes or setting:
            return [*effects, *setting, *self._settle(changes, now, configured=bool(setting))]
        if self.evb.vsis != len(self.edge.vdp.vsis) and self.evb.edition is DRAFT:
            self._announce(now)
        return [*effects, *self._transmit(now)]

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
            self._inform(agent, change)
            effects.append(Indicate(NeighborEvent(agent.scope, change)))
        if isinstance(self.evb, EvbBridge) and not configured:
            settings = [Configure(effect) for effect in self.evb.run(now)]
            effects = [*settings, *effects]
            configured = bool(settings)
        if configured:
            return effects  # RelaySet follows at once: the answer, and what goes on the wire, are known then
        news = self._news()
        renewed = self._announce(now)
        frames = self._transmit(now)
        vsis = _outward(self._tell_edge(renewed, now))
        # An agreement is first said to the peer. When it ends, guests come first: they may be cut off already.
        if self.evb.relay_active:
            return [*effects, *frames, *news, *vsis]
        return [*effects, *news, *frames, *vsis]

    def _tell_edge(self, renewed: bool, now: Instant) -> Iterable[EdgeEffect]:
        """Whether there is anybody to speak VDP with, in which edition and with which timers."""
        edge = self.edge
        remotes = self.agents[EVB_SCOPE].rx.remotes.systems()
        edge.strangers = frozenset(one.source for one in remotes if self.evb.is_stranger(one.pdu.msap))
        operational = self.evb.operational
        agreement = Agreement(
            operational.edition,
            operational.retries,
            operational.rte,
            operational.rwd,
            operational.rka,
            operational.group_ids,
        )
        if isinstance(edge, BridgeEdge):
            if not self.enabled:
                return edge.part("the link is down", now)
            settled = self.evb.peer_key is not None or len(self.settings.evb.editions) == 1
            return edge.agree(agreement, settled, now)
        effects: list[EdgeEffect] = []
        peer, former = self.evb.peer_key, self._bridge
        self._bridge = peer
        if self.enabled and (self.evb.vdp_agreed or (peer is None and self.settings.edge.without_evb)):
            if renewed or (former is not None and peer is not None and former != peer):
                effects += edge.part(Closed("the switch has started anew"), now)
            effects += edge.agree(agreement, now)
        else:
            effects += edge.part(self._why_closed(), now)
        return effects

    def _why_closed(self) -> Closed:
        """Why there is no bridge to ask; whether a request may wait for one."""
        if self._ending:
            return Closed("the agent is ending", Outcome.LINK_LOST)
        if not self.enabled:
            return Closed("interface: the link is down", Outcome.LINK_LOST)
        if self.evb.peer_key is not None:
            return Closed("interface: the switch offers no VDP in its EVB TLV", Outcome.INVALID)
        if not self.lldp.hears_anyone:
            return Closed("no switch has been heard on this link yet")
        reason = self.evb.forwarding(True, self.describe).reason
        return Closed(f"interface: no EVB agreed here: {reason}", Outcome.INVALID)

    def _inform(self, agent: LldpAgent, change: RemoteChange) -> None:
        """Tell the machines of EVB and DCBX what concerns them."""
        match change:
            case RemoteAdded(remote) | RemoteUpdated(remote) if agent.scope is EVB_SCOPE:
                self._tell_evb(remote)
            case RemoteAdded(remote) | RemoteUpdated(remote) if agent.scope is DCBX_SCOPE:
                self._tell_dcbx(remote)
            case RemoteRemoved(remote, _) if agent.scope is EVB_SCOPE:
                self.evb.lost(remote.pdu.msap)
            case RemoteRemoved(remote, _) if agent.scope is DCBX_SCOPE:
                self.dcbx.lost(remote.pdu.msap)

    def _tell_dcbx(self, remote: RemoteSystem) -> None:
        if self.settings.dcbx is not None and self.enabled:
            self.dcbx.heard(Neighbor(remote.pdu.msap, remote.source, _organizational(remote)))

    def _tell_evb(self, remote: RemoteSystem) -> None:
        self.evb.heard(remote.pdu.msap, _organizational(remote))

    def _configure(self, settings: PortSettings, now: Instant) -> list[tuple[LldpAgent, RemoteChange]]:
        former, self.settings = self.settings, settings
        self.evb.configure(settings.evb)
        if self.enabled and settings.evb.editions != former.evb.editions:
            # A TLV that was not read so far may never be news again: its sender has said it.
            for remote in self.agents[EVB_SCOPE].rx.remotes.systems():
                self._tell_evb(remote)
        self.edge.configure(settings.edge, settings.mac_address)
        self.dcbx.configure(settings.dcbx, settings.mac_address)
        if former.dcbx is None:
            for remote in self.agents[DCBX_SCOPE].rx.remotes.systems():
                self._tell_dcbx(remote)
        return self.lldp.configure(settings.admin_status, settings.tx, settings.max_neighbors, now)

    def _shut_down(self, now: Instant) -> list[Effect]:
        """People first (guests leave VEPA), then the shutdown LLDPDUs, then the port."""
        self._ending = True
        self.evb.clear()
        effects = self._news()
        self.lldp.disable(now)
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
        if self.dcbx.result != self._dcbx_result:
            self._dcbx_result = self.dcbx.result
            effects.append(Indicate(DcbxChanged(self._dcbx_result)))
        warnings = self._warnings()
        if warnings != self.warnings:
            self.warnings = warnings
            effects.append(Indicate(WarningsChanged(warnings)))
        return effects

    def _announce(self, now: Instant) -> bool:
        """Give the agents what we have to say now. Whether the peer turns out to have started anew."""
        self.evb.vsis = len(self.edge.vdp.vsis)
        said = self.evb.own_words()
        news = said != self._said
        self._said = said
        for scope, agent in self.agents.items():
            local = self._local(scope)
            other_news = local.optional[1:] != agent.local.optional[1:] if scope is EVB_SCOPE else True
            agent.set_local(local, now, news or other_news or not local.same_identity(agent.local))
        peer = self.evb.statement.peer
        deaf = peer is not None and peer.deaf
        renewed = deaf and not self._peer_deaf
        if renewed:
            self.agents[EVB_SCOPE].repeat(now)  # a known peer has started anew, and must not wait to hear from us
        self._peer_deaf = deaf
        return renewed

    def _transmit(self, now: Instant) -> list[Effect]:
        return [SendFrame(frame) for frame in self.lldp.transmit(self.settings.mac_address, now)]

    def _local(self, scope: Scope) -> LocalSystem:
        """TLVs of EVB and DCBX come first, so that they are the last to go when an LLDPDU is too long."""
        optional = self.settings.optional.get(scope, ())
        if scope is EVB_SCOPE:
            optional = (OrganizationalTlv(*self.evb.tlv()), *optional)
        elif scope is DCBX_SCOPE:
            optional = (*(OrganizationalTlv(*body) for body in self.dcbx.tlvs), *optional)
        return LocalSystem(self.settings.chassis_id, self.settings.port_id, optional)

    def _forwarding(self) -> Forwarding:
        if self._ending:
            return Forwarding(Relay.UNKNOWN, None, "the agent is ending")
        if not self.enabled:
            return Forwarding(Relay.UNKNOWN, None, "the link is down")
        return self.evb.forwarding(self.lldp.hears_anyone, self.describe)

    def _warnings(self) -> tuple[str, ...]:
        crowded = [
            f"too many neighbors in scope {scope}: those that were there first are kept, others are not"
            for scope, agent in self.agents.items()
            if agent.rx.remotes.too_many_neighbors
        ]
        dcbx = self.dcbx.result.warnings if self.dcbx.result else ()
        return (*self.evb.warnings(self.describe), *crowded, *self.settings.warnings, *dcbx)


def _organizational(remote: RemoteSystem) -> tuple[tuple[bytes, int, bytes], ...]:
    """OUI, subtype and body of its organizational TLVs."""
    return tuple((tlv.oui, tlv.subtype, tlv.value) for tlv in remote.pdu.optional if isinstance(tlv, OrganizationalTlv))


def _outward(effects: Iterable[EdgeEffect]) -> list[Effect]:
    """What leaves the port: frames, answers, news."""
    found: list[Effect] = []
    for effect in effects:
        match effect:
            case bytes():
                found.append(SendFrame(effect))
            case Confirm():
                found.append(effect)
            case VsiChanged():
                found.append(Indicate(effect))
    return found


_EVB: Mapping[Role, type[EvbStation] | type[EvbBridge]] = {Role.STATION: EvbStation, Role.BRIDGE: EvbBridge}
