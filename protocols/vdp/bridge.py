"""VDP of a bridge's port: the stations' VSIs, the policy that decides, the answers' queue (sheet `vdp.md` 3, 5)."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

from protocols.timers import SECOND, Instant, TimerTable
from protocols.vdp.bridgevsi import MAX_LOSSES, NOTHING, TRANSITIONS, BridgeVsi, Input, News, State
from protocols.vdp.edition import Edition, Timers
from protocols.vdp.filter import FilterFormat, Filters
from protocols.vdp.outbox import Outbox, Rank
from protocols.vdp.policy import BridgePolicy, Decision
from protocols.vdp.status import VdpEffect, VsiChanged
from protocols.vdp.vsi import Mode, Response, VsiId, VsiTlv

# VSIs that are refused, or released without having been there, are kept until they are answered; and their filters.
PASSERS_BY = 1024
PASSING_FILTERS = 8 * PASSERS_BY


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """`max_filters`: of all VSIs together, organizational TLVs included."""

    max_vsis: int = 8192
    max_filters: int = 65_536


@dataclass(slots=True)
class BridgeStatistics:
    """`unexpected`: TLVs that no station has reason to send.

    `no_room`: requests that were refused because the table is full. `dropped`: those that there was no room even to
    answer.
    """

    unexpected: int = 0
    no_room: int = 0
    dropped: int = 0
    timeouts: int = 0


class VdpBridge:
    """The VSIs of one port. `port` is what the policy, which all ports of a bridge share, knows this one by."""

    def __init__(self, settings: BridgeSettings, policy: BridgePolicy, port: Hashable) -> None:
        self.settings = settings
        self.vsis: dict[VsiId, BridgeVsi] = {}
        self.statistics = BridgeStatistics()
        self._policy = policy
        self._port = port
        self._edition: Edition | None = None
        self._timers = Timers(SECOND, SECOND, SECOND, SECOND)
        self._group_ids = False
        self._outbox = Outbox()
        self._deadlines: TimerTable[VsiId] = TimerTable()
        self._decisions: dict[VsiId, Decision] = {}
        self._refused: dict[VsiId, tuple[Decision, Instant]] = {}  # the last ones, and until when they stand
        self._in_flight: list[VsiId] = []
        self._effects: list[VdpEffect] = []
        self._filters = 0

    # The port.

    def open(self, edition: Edition, timers: Timers, group_ids: bool, now: Instant) -> list[VdpEffect]:
        """Stations may ask, in this edition and with these timers."""
        if self._edition is not None and edition is not self._edition:
            self._end_all("the station speaks another edition now", now)
        self._edition, self._timers, self._group_ids = edition, timers, group_ids
        return self._take_effects()

    def close(self, reason: str, now: Instant) -> list[VdpEffect]:
        """The link is down: who comes up again has to ask again."""
        self._edition = None
        self._end_all(reason, now)
        return self._take_effects()

    def receive(self, tlvs: Iterable[VsiTlv], now: Instant) -> list[VdpEffect]:
        """What the station asks."""
        for tlv in tlvs:
            if tlv.response is not None or self._edition is None:
                self.statistics.unexpected += 1
                continue
            vsi = self.vsis.get(tlv.vsi_id)
            if not self._has_room_to_answer(tlv, vsi):
                self.statistics.dropped += 1
                continue
            if vsi is None:
                vsi = self.vsis[tlv.vsi_id] = BridgeVsi(tlv, now)
            refused, until = self._refused.pop(tlv.vsi_id, (None, now))
            if tlv.mode is Mode.DEASSOCIATE:
                if refused is not None and now < until:
                    self._refused[tlv.vsi_id] = refused, until
                    self._put(vsi, Input.RELEASE, now, News(tlv, refused))
                else:
                    self._put(vsi, Input.RELEASE, now, News(tlv))
            elif vsi.state is State.WAIT and vsi.is_repeated_by(tlv):
                self._put(vsi, Input.ALIVE, now, News(tlv))
            elif vsi.state is not State.PROCESS or tlv != vsi.request:
                self._put(vsi, Input.REQUEST, now, News(tlv))
        return self._take_effects()

    def withdraw(self, vsi_ids: Iterable[VsiId] | None, reason: str, now: Instant) -> list[VdpEffect]:
        """Take VSIs away from the station; None: all of them. What there is not is passed over."""
        for vsi_id in list(self.vsis if vsi_ids is None else vsi_ids):
            if vsi := self.vsis.get(vsi_id):
                self._put(vsi, Input.WITHDRAW, now, News(reason=reason))
        return self._take_effects()

    def reconsider(self, now: Instant) -> list[VdpEffect]:
        """The policy has changed: what it would not grant any more is taken away, what it ponders is asked anew."""
        for vsi in list(self.vsis.values()):
            if vsi.state is State.PROCESS:
                self._decisions.pop(vsi.request.vsi_id, None)
                self._ask_manager(vsi, now)
            elif vsi.state is State.WAIT and vsi.granted is not None:
                decision = self._decide(vsi.granted._replace(filters=vsi.filters))
                if decision.response is not Response.SUCCESS:
                    self._put(vsi, Input.WITHDRAW, now, News(reason=f"the policy has changed: {decision.reason}"))
        return self._take_effects()

    def next_payload(self, limit: int, most: int, now: Instant) -> bytes | None:
        """An ULPDU of at most `limit` octets with at most `most` VSIs, for ECP to send now; None: nothing to say."""
        edition = self._edition
        if edition is None:
            return None
        filled = self._outbox.fill(self._encode, limit - edition.overhead, most)
        if filled is None:
            return None
        taken, tlvs = filled
        manager = self.vsis[taken[0]].request.manager
        self._in_flight = taken
        for vsi_id in taken:
            self._put(self.vsis[vsi_id], Input.SENT, now)
        return edition.assemble(manager, tlvs)

    def delivered(self, now: Instant) -> list[VdpEffect]:
        """ECP: the station has the last payload."""
        return self._in_flight_was(Input.DELIVERED, now)

    def gave_up(self, now: Instant) -> list[VdpEffect]:
        """ECP: the last payload was never acknowledged."""
        return self._in_flight_was(Input.LOST, now)

    @property
    def waiting(self) -> int:
        """VSIs that have something to say."""
        return len(self._outbox)

    def next_deadline(self) -> Instant | None:
        return self._deadlines.next_deadline()

    def advance(self, now: Instant) -> list[VdpEffect]:
        for vsi_id in self._deadlines.expire(now):
            vsi = self.vsis[vsi_id]
            if vsi.state is State.PROCESS:
                decision = self._decisions.pop(vsi_id, None)
                if decision is None or decision.delay > self._timers.resource_wait:
                    self._put(vsi, Input.NO_ANSWER, now)
                else:
                    self._decided(vsi, decision, now)
            else:
                self.statistics.timeouts += 1
                self._put(vsi, Input.SILENT, now, News(reason="the station was silent for too long"))
        return self._take_effects()

    # The machine.

    def _put(self, vsi: BridgeVsi, what: Input, now: Instant, news: News = NOTHING) -> None:
        transition = TRANSITIONS.get((vsi.state, what))
        if transition is None:
            return
        was, former, weight = vsi.vsi_state, vsi.state, vsi.weight
        following = transition.next
        if transition.step is not None:
            following = transition.step(vsi, news) or following
        if vsi.vsi_state is not was:
            vsi.since = now
        if transition.speak and following is not State.END and vsi.losses <= MAX_LOSSES:
            self._queue(vsi, Rank.URGENT if following is State.DEASSOCIATED else Rank.REQUEST)
        self._enter(vsi, following, what, now)
        self._filters += vsi.weight - weight
        gone = vsi.state not in _HELD
        if what in _TOLD or vsi.vsi_state is not was or (gone and former in _HELD):
            self._effects.append(VsiChanged(vsi.request.vsi_id, vsi.status(), was, gone))
        if what in _REFUSALS and gone:
            self._remember_refusal(vsi, now)
        if following is State.PROCESS:
            self._ask_manager(vsi, now)

    def _remember_refusal(self, vsi: BridgeVsi, now: Instant) -> None:
        """For as long as the station would have kept it alive."""
        if self._edition is not None and self._edition.repeats_refusals and vsi.answer and vsi.answer.response:
            refusal = Decision(vsi.answer.response, NO_FILTERS, reason=vsi.reason)
            self._refused[vsi.request.vsi_id] = refusal, now + self._timers.tolerance
            if len(self._refused) > PASSERS_BY:
                del self._refused[next(iter(self._refused))]

    def _enter(self, vsi: BridgeVsi, state: State, what: Input, now: Instant) -> None:
        vsi.state = state
        vsi_id = vsi.request.vsi_id
        if state is State.WAIT:
            if what is not Input.LOST:
                self._deadlines.start(vsi_id, now + self._timers.tolerance)
            return
        self._deadlines.stop(vsi_id)
        if state is State.PROCESS:
            self._outbox.discard(vsi_id)
            return
        self._decisions.pop(vsi_id, None)
        if vsi.granted is None and what is not Input.SENT:
            self._policy.release(self._port, vsi_id)
        if state is State.END:
            self._outbox.discard(vsi_id)
            del self.vsis[vsi_id]

    def _ask_manager(self, vsi: BridgeVsi, now: Instant) -> None:
        """PROCESS: the policy stands for the VSI manager, and takes its time where it is told to."""
        decision = self._no_room(vsi) or self._decide(vsi.request)
        if decision.silent:
            # Nobody is answered, and nothing is remembered: the next request is the first one again.
            self._deadlines.start(vsi.request.vsi_id, now + self._timers.tolerance)
            self._decisions[vsi.request.vsi_id] = replace(decision, delay=0)
        elif decision.delay:
            self._decisions[vsi.request.vsi_id] = decision
            self._deadlines.start(vsi.request.vsi_id, now + min(decision.delay, self._timers.resource_wait))
            self._effects.append(VsiChanged(vsi.request.vsi_id, vsi.status(), vsi.vsi_state))
        else:
            self._decided(vsi, decision, now)

    def _decided(self, vsi: BridgeVsi, decision: Decision, now: Instant) -> None:
        if decision.silent:
            self._put(vsi, Input.CLOSE, now)
        elif decision.response is Response.SUCCESS:
            self._put(vsi, Input.GRANTED, now, News(decision=decision))
        else:
            self._put(vsi, Input.REFUSED, now, News(decision=decision))

    def _decide(self, tlv: VsiTlv) -> Decision:
        if not self._group_ids and any(entry.group is not None for entry in tlv.filters.entries):
            reason = "both sides have not agreed on GroupIDs"
            return Decision(Response.INVALID_FORMAT, tlv.filters, reason=reason)
        return self._policy.decide(self._port, tlv)

    def _no_room(self, vsi: BridgeVsi) -> Decision | None:
        """The refusal of what would be too much. What is granted already stays."""
        if vsi.granted is None and len(self.vsis) > self.settings.max_vsis:
            reason = f"the port holds {self.settings.max_vsis} VSIs already"
        elif self._filters > self.settings.max_filters and vsi.grows:
            reason = f"the port's VSIs have {self.settings.max_filters} filters already"
        else:
            return None
        self.statistics.no_room += 1
        return Decision(Response.INSUFFICIENT_RESOURCES, vsi.request.filters, keep=True, reason=reason)

    def _has_room_to_answer(self, tlv: VsiTlv, vsi: BridgeVsi | None) -> bool:
        if vsi is None and len(self.vsis) >= self.settings.max_vsis + PASSERS_BY:
            return False
        more = tlv.weight - (vsi.weight if vsi else 0)
        return more <= 0 or self._filters + more <= self.settings.max_filters + PASSING_FILTERS

    def _queue(self, vsi: BridgeVsi, rank: Rank) -> None:
        group = vsi.request.manager if self._edition and self._edition.one_manager else None
        self._outbox.add(vsi.request.vsi_id, rank, group)

    def _encode(self, vsi_id: VsiId) -> bytes:
        answer = self.vsis[vsi_id].answer
        assert self._edition is not None and answer is not None
        return self._edition.encode_tlv(answer)

    def _in_flight_was(self, what: Input, now: Instant) -> list[VdpEffect]:
        in_flight, self._in_flight = self._in_flight, []
        for vsi_id in in_flight:
            vsi = self.vsis.get(vsi_id)
            if vsi is not None and vsi_id not in self._outbox:
                self._put(vsi, what, now)
        return self._take_effects()

    def _end_all(self, reason: str, now: Instant) -> None:
        self._in_flight = []
        self._refused.clear()
        for vsi in list(self.vsis.values()):
            self._put(vsi, Input.CLOSE, now, News(reason=reason))

    def _take_effects(self) -> list[VdpEffect]:
        effects, self._effects = self._effects, []
        return effects


NO_FILTERS = Filters(FilterFormat.VID, ())
_HELD = frozenset({State.PROCESS, State.WAIT})
_REFUSALS = frozenset({Input.REFUSED, Input.NO_ANSWER})
_TOLD = _REFUSALS | {Input.GRANTED}
