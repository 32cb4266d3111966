"""VDP of a station's port: the VSIs' machines, queue and timers (802.1Qbg clause 41, sheet `vdp.md` 2 to 4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from protocols.timers import SECOND, Instant, TimerTable
from protocols.vdp.edition import Edition, Timers
from protocols.vdp.outbox import Outbox, Rank
from protocols.vdp.shadows import Shadows
from protocols.vdp.stationtable import (
    AWAITING,
    ONLY_WHEN_WANTED,
    RELEASING,
    RESTING,
    SAME_EXCHANGE,
    TRANSITIONS,
    Input,
    State,
)
from protocols.vdp.stationvsi import NOTHING, News, StationVsi, difference
from protocols.vdp.status import Confirm, Outcome, VdpEffect, VsiChanged, VsiRequest, VsiState
from protocols.vdp.vsi import Mode, Response, VsiId, VsiTlv

KEEP_ALIVE_SLOTS = 16
# Within respWaitDelay a request is repeated so many times; where that is short, it is for so many times the least pause
# that a bridge is given: one lost answer must not be the end of a VSI (interop-notes V12).
REPEATS = 8
MIN_REPEAT = SECOND
FIRST_PAUSE = SECOND // 4
LONGEST_PAUSE = 64 * SECOND
MAX_DOUBLINGS = 8


@dataclass(frozen=True, slots=True)
class StationSettings:
    """`reassociate`: ask again, after a pause, for a VSI that was granted and then lost to a silence or the bridge.

    `max_filters`: of all VSIs together, organizational TLVs included.
    """

    max_vsis: int = 8192
    reassociate: bool = True
    max_filters: int = 65_536


@dataclass(frozen=True, slots=True)
class Closed:
    """Why there is nobody to ask. `outcome`: what a request gets that is made now; None: it waits."""

    reason: str
    outcome: Outcome | None = None


@dataclass(slots=True)
class StationStatistics:
    """`unexpected`: TLVs for a VSI, or in a state, that there was nothing to expect for.

    `no_room`: requests of the local side that were refused because the table is full.
    """

    unexpected: int = 0
    no_room: int = 0
    misfits: int = 0
    repeats: int = 0


class VdpStation:
    """The VSIs of one port. Effects come back in the order in which they happened."""

    def __init__(self, settings: StationSettings) -> None:
        self.settings = settings
        self.vsis: dict[VsiId, StationVsi] = {}
        self.statistics = StationStatistics()
        self.outstanding = 0  # VSIs that wait for the bridge's word
        self.strict_peer = False  # the bridge is known to leave a change of filters unanswered
        self._shadows = Shadows()  # what such a bridge still holds
        self._closed: Closed | None = Closed("interface: the link is down", Outcome.LINK_LOST)
        self._edition: Edition | None = None
        self._timers = Timers(SECOND, SECOND, SECOND, SECOND)
        self._group_ids = False
        self._outbox = Outbox()
        self._deadlines: TimerTable[VsiId] = TimerTable()
        self._in_flight: list[VsiId] = []
        self._effects: list[VdpEffect] = []
        self._filters = 0

    # The port.

    def open(self, edition: Edition, timers: Timers, group_ids: bool, now: Instant) -> list[VdpEffect]:
        """There is a bridge to talk to; or it is the same one, with other timers."""
        self._timers, self._group_ids = timers, group_ids
        anew = self._closed is not None or edition is not self._edition
        self._edition, self._closed = edition, None
        for vsi in list(self.vsis.values()):
            if not anew and vsi.state is not State.HELD:
                continue
            problem = self._problem(vsi.request)
            if problem is None:
                self._put(vsi, Input.OPEN, now)
            elif anew:
                self._put(vsi, Input.CLOSE, now, News(reason=problem, outcome=Outcome.INVALID))
        return self._take_effects()

    def close(self, closed: Closed, now: Instant) -> list[VdpEffect]:
        """Nobody to talk to (any more, or for another reason): what was confirmed is confirmed no longer."""
        if closed != self._closed:
            self._closed = closed
            self._in_flight = []
            self._shadows.clear()
            news = News(reason=closed.reason, outcome=closed.outcome)
            for vsi in list(self.vsis.values()):
                self._put(vsi, Input.CLOSE, now, news)
        return self._take_effects()

    def request(self, requests: Iterable[VsiRequest], now: Instant) -> list[VdpEffect]:
        """What the local side wants."""
        for request in requests:
            if request.tlv.mode is Mode.DEASSOCIATE:
                self._release(request, now)
            else:
                self._ask(request, now)
        return self._take_effects()

    def receive(self, tlvs: Iterable[VsiTlv], now: Instant) -> list[VdpEffect]:
        """What the bridge says. A VSI is known by its ID alone: no bridge has two of one ID (sheet `vdp.md` 1)."""
        for tlv in tlvs:
            vsi = self.vsis.get(tlv.vsi_id)
            if self._shadows and tlv.mode is Mode.DEASSOCIATE and tlv.response is None:
                self._forgotten(tlv.vsi_id, now)
            elif vsi is None or self._closed is not None:
                self.statistics.unexpected += 1
            elif tlv.mode is Mode.DEASSOCIATE:
                self._deassociated(vsi, tlv, now)
            else:
                self._answered(vsi, tlv, now)
        return self._take_effects()

    def next_payload(self, limit: int, most: int, now: Instant) -> bytes | None:
        """An ULPDU of at most `limit` octets with at most `most` VSIs, for ECP to send now; None: nothing to say."""
        edition = self._edition
        if edition is None or self._closed is not None:
            return None
        filled = self._outbox.fill(self._encode, limit - edition.overhead, most)
        if filled is None:
            return None
        taken, tlvs = filled
        manager = self.vsis[taken[0]].asked.manager
        self._in_flight = taken
        for vsi_id in taken:
            self._put(self.vsis[vsi_id], Input.SENT, now)
        return edition.assemble(manager, tlvs)

    def delivered(self, now: Instant) -> list[VdpEffect]:
        """ECP: the bridge has the last payload. Whether its VDP has seen it, only its answer tells."""
        self._in_flight = []
        return []

    def gave_up(self, now: Instant) -> list[VdpEffect]:
        """ECP: the last payload was never acknowledged. What was in it is sent again while its time lasts."""
        lost, self._in_flight = self._in_flight, []
        for vsi_id in lost:
            if vsi := self.vsis.get(vsi_id):
                self._put(vsi, Input.LOST, now)
        return self._take_effects()

    @property
    def is_open(self) -> bool:
        """Whether there is a bridge to talk to."""
        return self._closed is None

    @property
    def waiting(self) -> int:
        """VSIs that have something to say."""
        return 0 if self._closed else len(self._outbox)

    @property
    def repeat_after(self) -> Instant:
        """How long to wait for VDP's answer before the request is repeated."""
        return max(MIN_REPEAT, self._timers.response_wait // REPEATS)

    def next_deadline(self) -> Instant | None:
        return self._deadlines.next_deadline()

    def advance(self, now: Instant) -> list[VdpEffect]:
        for vsi_id in self._deadlines.expire(now):
            vsi = self.vsis[vsi_id]
            if vsi.state in (State.WAIT, State.BACKOFF):
                self._put(vsi, Input.DUE, now)
            elif vsi.give_up is not None and now >= vsi.give_up:
                self._put(vsi, Input.EXPIRED, now)
            else:
                self.statistics.repeats += 1
                self._put(vsi, Input.REPEAT, now)
        return self._take_effects()

    # Requests.

    def _ask(self, request: VsiRequest, now: Instant) -> None:
        tlv = request.tlv
        vsi = self.vsis.get(tlv.vsi_id)
        if refusal := self._refusal(request, vsi):
            outcome, reason = refusal
            status = (vsi or StationVsi(tlv, (), False, now)).status()
            status = status._replace(request=tlv, pending=None, reason=reason)
            self._effects.append(Confirm(request.ticket, outcome, status))
            return
        if vsi is None:
            vsi = StationVsi(tlv, (request.ticket,), request.persistent, now)
            vsi.untagged = request.untagged
            self.vsis[tlv.vsi_id] = vsi
            self._filters += vsi.weight
            if self._closed is None:
                self._put(vsi, Input.OPEN, now)
            else:
                vsi.reason = self._closed.reason
                self._changed(vsi, vsi.vsi_state)
            return
        if self.strict_peer and vsi.granted is not None and tlv.filters not in (vsi.request.filters, vsi.filters):
            # lldpad's bridge never answers other filters for a VSI that it knows (interop-notes V6).
            self._put(vsi, Input.RELEASE, now)
        vsi.persistent |= request.persistent
        vsi.untagged = request.untagged
        self._put(vsi, Input.ASK, now, News(tlv, request.ticket))
        if vsi.state is State.HELD and self._closed is None:
            self._put(vsi, Input.OPEN, now)  # what could not be asked of this bridge was replaced by what can

    def _refusal(self, request: VsiRequest, vsi: StationVsi | None) -> tuple[Outcome, str] | None:
        """Why a request gets its answer at once, which is this."""
        if problem := self._problem(request.tlv):
            return Outcome.INVALID, problem
        if problem := self._no_room(request.tlv, vsi):
            self.statistics.no_room += 1
            return Outcome.INVALID, problem
        if self._closed and self._closed.outcome and not request.persistent:
            return self._closed.outcome, self._closed.reason
        return None

    def _no_room(self, tlv: VsiTlv, vsi: StationVsi | None) -> str | None:
        settings = self.settings
        if vsi is None and len(self.vsis) >= settings.max_vsis:
            return f"instance: the port holds {settings.max_vsis} VSIs already, all that it may"
        more = tlv.weight - (vsi.weight if vsi else 0)
        if more > 0 and self._filters + more > settings.max_filters:
            return f"filter: the port's VSIs have {self._filters} filters already, at most {settings.max_filters}"
        return None

    def _problem(self, tlv: VsiTlv) -> str | None:
        """Why this cannot be asked of this bridge; names the field."""
        if self._closed is not None or self._edition is None:
            return None
        if not self._group_ids and any(entry.group is not None for entry in tlv.filters.entries):
            return "filter: a GroupID can be used only when both sides have agreed on GroupIDs"
        return self._edition.check(tlv)

    def _release(self, request: VsiRequest, now: Instant) -> None:
        vsi = self.vsis.get(request.tlv.vsi_id)
        if vsi is not None:
            self._put(vsi, Input.RELEASE, now, News(request.tlv, request.ticket))
            return
        status = StationVsi(request.tlv, (), False, now).status()
        status = status._replace(pending=None, reason="it was not associated")
        self._effects.append(Confirm(request.ticket, Outcome.GRANTED, status))

    # Answers.

    def _deassociated(self, vsi: StationVsi, tlv: VsiTlv, now: Instant) -> None:
        command = tlv.response is None or tlv.response is Response.SUCCESS
        if vsi.state in RELEASING:
            what = Input.RELEASED
        elif vsi.state in (State.PROCESS, State.PROC_WAIT) and not command:
            what = Input.REFUSED  # the other form of a refusal
        else:
            what = Input.ENDED
        self._put(vsi, what, now, News(tlv))

    def _answered(self, vsi: StationVsi, tlv: VsiTlv, now: Instant) -> None:
        asked = vsi.asked
        if tlv.response is None or tlv.mode is not asked.mode:
            self.statistics.unexpected += 1
        elif tlv.response is not Response.SUCCESS:
            self._put(vsi, Input.KEPT if tlv.keep else Input.REFUSED, now, News(tlv))
        elif deviation := difference(asked, tlv, vsi.untagged):
            self.statistics.misfits += 1
            self._put(vsi, Input.MISFIT, now, News(tlv, reason=deviation))
        else:
            self._put(vsi, Input.CONFIRMED, now, News(tlv))

    def _forgotten(self, vsi_id: VsiId, now: Instant) -> None:
        """The bridge ends a VSI on its own: one that is there, or what was left of one that was released."""
        held = self._shadows.forget(vsi_id)
        vsi = self.vsis.get(vsi_id)
        if vsi is None:
            self.statistics.unexpected += not held
        elif held and vsi.state is State.BACKOFF:
            self._put(vsi, Input.DUE, now)
        else:
            self._deassociated(vsi, vsi.asked._replace(mode=Mode.DEASSOCIATE), now)

    # The machine.

    def _put(self, vsi: StationVsi, what: Input, now: Instant, news: News = NOTHING) -> None:
        transition = TRANSITIONS.get((vsi.state, what))
        if transition is None:
            if news.tlv is not None:
                self.statistics.unexpected += 1
            return
        following, was, weight = transition.next, vsi.vsi_state, vsi.weight
        if transition.step is not None:
            following = getattr(vsi, transition.step)(news) or following
            if what is Input.CONFIRMED and not self.settings.reassociate:
                vsi.returns = False
            if vsi.next is not None and following in RESTING:
                vsi.take_next()
                following = State.PROCESS
            elif following in ONLY_WHEN_WANTED and not vsi.wanted:
                following = State.END
            if vsi.vsi_state is not was:
                vsi.since = now
            if self.strict_peer and vsi.state in RELEASING and following not in RELEASING and self._closed is None:
                self._shadows.add(vsi.released or vsi.asked, now, now + self._timers.tolerance)
        if following is State.PROCESS and (until := self._shadows.until(vsi.asked, now)) is not None:
            self._enter(vsi, State.BACKOFF, now)
            self._deadlines.start(vsi.request.vsi_id, until)
            vsi.backoff = 0
            vsi.reason = "the switch still holds it with other filters"
        else:
            self._enter(vsi, following, now)
        self._filters += vsi.weight - weight
        if what is Input.ENDED and vsi.state is State.PROC_WAIT and vsi.give_up is not None:
            # What was there before has ended, and with it maybe what was asked: no need to wait long for an answer.
            self._deadlines.start(vsi.request.vsi_id, min(vsi.give_up, now + FIRST_PAUSE))
        if transition.step is not None and (transition.step != "confirm" or following is not State.WAIT):
            self._changed(vsi, was)

    def _enter(self, vsi: StationVsi, state: State, now: Instant) -> None:
        """What the figure does on entry: queue what is to be said, start the timer that ends the wait."""
        former, vsi.state = vsi.state, state
        self.outstanding += (state in AWAITING) - (former in AWAITING)
        vsi_id = vsi.request.vsi_id
        if (former, state) not in SAME_EXCHANGE:
            vsi.give_up = None
        if state in _QUEUED:
            group = vsi.asked.manager if self._edition and self._edition.one_manager else None
            self._outbox.add(vsi_id, _QUEUED[state], group)
            if vsi.give_up is None:
                self._deadlines.stop(vsi_id)
            else:
                self._deadlines.start(vsi_id, vsi.give_up)
            return
        if state is not former:
            self._outbox.discard(vsi_id)
        if state in AWAITING:
            if vsi.give_up is None:
                vsi.give_up = now + max(self._timers.response_wait, REPEATS * MIN_REPEAT)
            self._deadlines.start(vsi_id, min(vsi.give_up, now + self.repeat_after))
        elif state is State.WAIT:
            self._deadlines.start(vsi_id, self._keep_alive(now))
        elif state is State.BACKOFF:
            self._deadlines.start(vsi_id, now + min(FIRST_PAUSE << vsi.backoff, LONGEST_PAUSE))
            vsi.backoff = min(vsi.backoff + 1, MAX_DOUBLINGS)
        else:
            self._deadlines.stop(vsi_id)
            if state is State.END:
                del self.vsis[vsi_id]

    def _keep_alive(self, now: Instant) -> Instant:
        """reinitKeepAlive from now, or a little less, so that VSIs of about the same time share ECPDUs."""
        due = now + self._timers.keep_alive
        return max(due - due % max(1, self._timers.keep_alive // KEEP_ALIVE_SLOTS), now + 1)

    def _encode(self, vsi_id: VsiId) -> bytes:
        assert self._edition is not None
        vsi = self.vsis[vsi_id]
        if vsi.state is State.TX_DEASSOC:
            vsi.released = vsi.asked
            return self._edition.encode_tlv(vsi.asked._replace(mode=Mode.DEASSOCIATE))
        return self._edition.encode_tlv(vsi.asked)

    def _changed(self, vsi: StationVsi, was: VsiState) -> None:
        """Tell those who asked, then everybody."""
        status = vsi.status()
        for ticket, outcome in vsi.answered:
            self._effects.append(Confirm(ticket, outcome, status))
        vsi.answered = ()
        self._effects.append(VsiChanged(vsi.request.vsi_id, status, was, vsi.state is State.END))

    def _take_effects(self) -> list[VdpEffect]:
        effects, self._effects = self._effects, []
        return effects


_QUEUED: Mapping[State, Rank] = MappingProxyType(
    {State.PROCESS: Rank.REQUEST, State.TX_KA: Rank.KEEP_ALIVE, State.TX_DEASSOC: Rank.URGENT}
)
