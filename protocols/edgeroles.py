"""The two roles' sides of ECP and VDP on a port: when there is somebody to talk to, and what the peer can stand."""

from collections.abc import Callable, Hashable, Iterable

from protocols.edge import FORMS, Agreement, Edge, EdgeEffect, EdgeSettings, Peer
from protocols.timers import Instant
from protocols.vdp.bridge import VdpBridge
from protocols.vdp.policy import BridgePolicy
from protocols.vdp.station import Closed, VdpStation
from protocols.vdp.status import VdpEffect, VsiRequest
from protocols.vdp.vsi import VsiId

STRICT_VSIS = 42
STRICT_WINDOW = 84
_ANY = 1 << 16


class StationEdge(Edge):
    """The station's: it asks, and learns from the answers what the bridge can stand."""

    _from_station = False

    def __init__(self, mac_address: bytes, settings: EdgeSettings, first_sequence: Callable[[], int]) -> None:
        self._vdp = VdpStation(settings.station)
        super().__init__(mac_address, settings, first_sequence)

    @property
    def vdp(self) -> VdpStation:
        return self._vdp

    def configure(self, settings: EdgeSettings, mac_address: bytes) -> None:
        self.settings, self.mac_address = settings, mac_address
        self._vdp.settings = settings.station

    def agree(self, agreement: Agreement, now: Instant) -> list[EdgeEffect]:
        """There is a bridge, or it has said something new."""
        if self._agreement == agreement:
            return []
        fresh = self._agreement is None or self._agreement.edition != agreement.edition
        self._agreement = agreement
        if fresh:
            self._start(agreement.edition)
        self.transmit.configure(agreement.retries, agreement.rte)
        vdp = FORMS[agreement.edition].vdp
        timers = vdp.timers(agreement.retries, agreement.rte, agreement.rwd, agreement.rka)
        effects: list[EdgeEffect] = []
        if fresh:
            effects += self._vdp.close(Closed("the switch speaks another edition now"), now)
        effects += self._vdp.open(vdp, timers, agreement.group_ids, now)
        self._pump(effects, now)
        return effects

    def part(self, closed: Closed, now: Instant) -> list[EdgeEffect]:
        """There is no bridge."""
        if self._agreement is not None:
            self._agreement = None
            self._start(self.edition)
        return list(self._vdp.close(closed, now))

    def request(self, requests: Iterable[VsiRequest], now: Instant) -> list[EdgeEffect]:
        effects: list[EdgeEffect] = list(self._vdp.request(requests, now))
        self._pump(effects, now)
        return effects

    def _accepts(self, edition: str, now: Instant) -> list[VdpEffect] | None:
        return [] if self._agreement is not None and edition == self.edition else None

    def _peer_is_known(self) -> None:
        self._vdp.strict_peer = self.peer is Peer.STRICT

    def _most(self) -> int:
        if self.settings.vsis_per_ecpdu is not None:
            return self.settings.vsis_per_ecpdu
        if self.peer is Peer.APT:
            return _ANY
        outstanding = self._vdp.outstanding
        if self.peer is Peer.UNKNOWN and outstanding:
            return 0
        # lldpad answers each VSI alone, one every ackTimerInit: it is to have enough to do, and not so much that what
        # it has not come to yet would be repeated.
        assert self._agreement is not None
        ack_timer = FORMS[self.edition].ecp.ack_timer(self._agreement.rte)
        window = max(1, min(STRICT_WINDOW, self._vdp.repeat_after // (2 * ack_timer)))
        return 0 if outstanding > window // 2 else min(STRICT_VSIS, window - outstanding)


class BridgeEdge(Edge):
    """The bridge's: it answers, so it knows its peer from the first request on."""

    _from_station = True

    def __init__(
        self,
        mac_address: bytes,
        settings: EdgeSettings,
        first_sequence: Callable[[], int],
        policy: BridgePolicy,
        port: Hashable,
    ) -> None:
        self._vdp = VdpBridge(settings.bridge, policy, port)
        self._settled = False
        super().__init__(mac_address, settings, first_sequence)

    @property
    def vdp(self) -> VdpBridge:
        return self._vdp

    def configure(self, settings: EdgeSettings, mac_address: bytes) -> None:
        self.settings, self.mac_address = settings, mac_address
        self._vdp.settings = settings.bridge

    def agree(self, agreement: Agreement, settled: bool, now: Instant) -> list[EdgeEffect]:
        """The link is up. `settled`: the edition is known, by the configuration or a station's EVB TLV.

        Else the station's first ECPDU says which it is (X5).
        """
        effects: list[EdgeEffect] = []
        self._settled = settled
        fresh = self._agreement is None
        if not settled and not fresh:
            agreement = Agreement(self.edition, *_values(agreement))
        if self._agreement == agreement:
            return effects
        self._agreement = agreement
        if fresh or agreement.edition != self.edition:
            self._start(agreement.edition)
        effects += self._open(now)
        self._pump(effects, now)
        return effects

    def part(self, reason: str, now: Instant) -> list[EdgeEffect]:
        """The link is down."""
        if self._agreement is not None:
            self._agreement = None
            self._start(self.edition)
        return list(self._vdp.close(reason, now))

    def withdraw(self, vsi_ids: Iterable[VsiId] | None, reason: str, now: Instant) -> list[EdgeEffect]:
        effects: list[EdgeEffect] = list(self._vdp.withdraw(vsi_ids, reason, now))
        self._pump(effects, now)
        return effects

    def reconsider(self, now: Instant) -> list[EdgeEffect]:
        effects: list[EdgeEffect] = list(self._vdp.reconsider(now))
        self._pump(effects, now)
        return effects

    def _accepts(self, edition: str, now: Instant) -> list[VdpEffect] | None:
        if self._agreement is None:
            return None
        if edition == self.edition:
            return []
        if self._settled:
            return None
        self._agreement = Agreement(edition, *_values(self._agreement))
        self._start(edition)
        return self._open(now)

    def _peer_is_known(self) -> None:
        """How much it can take is all that counts."""

    def _open(self, now: Instant) -> list[VdpEffect]:
        agreement = self._agreement
        assert agreement is not None
        self.transmit.configure(agreement.retries, agreement.rte)
        vdp = FORMS[agreement.edition].vdp
        timers = vdp.timers(agreement.retries, agreement.rte, agreement.rwd, agreement.rka)
        return self._vdp.open(vdp, timers, agreement.group_ids, now)

    def _most(self) -> int:
        if self.settings.vsis_per_ecpdu is not None:
            return self.settings.vsis_per_ecpdu
        return STRICT_VSIS if self.peer is Peer.STRICT else _ANY


def _values(agreement: Agreement) -> tuple[int, int, int, int, bool]:
    return agreement.retries, agreement.rte, agreement.rwd, agreement.rka, agreement.group_ids
