"""The station's VSIs: every state with every input, and what each event means for those who wait."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest

from protocols.timers import SECOND, Instant
from protocols.vdp.draft import DRAFT
from protocols.vdp.edition import Edition
from protocols.vdp.filter import FilterEntry, FilterFormat, Filters
from protocols.vdp.ratified import RATIFIED
from protocols.vdp.station import FIRST_PAUSE, Closed, StationSettings, VdpStation
from protocols.vdp.stationtable import TRANSITIONS, Input, State
from protocols.vdp.status import Confirm, Outcome, VsiChanged, VsiRequest, VsiState
from protocols.vdp.vsi import Mode, Response, VsiId, VsiTlv

ID = VsiId(5, bytes(range(16)))
MAC = bytes.fromhex("52540000aa01")
DOWN = Closed("interface: the link is down", Outcome.LINK_LOST)
NOT_YET = Closed("no switch has been heard on this link yet")
ROOM = 1496


def filters(vid: int = 100, mac: bytes = MAC) -> Filters:
    return Filters(FilterFormat.MAC_VID, (FilterEntry(vid, None, mac, None),))


def asking(mode: Mode = Mode.ASSOCIATE, vid: int = 100, number: int = 0) -> VsiTlv:
    vsi_id = VsiId(5, (int.from_bytes(ID.octets, "big") + number).to_bytes(16, "big"))
    return VsiTlv(mode, vsi_id, b"\x0c" + bytes(15), 0x123456, 7, filters(vid))


def answer(request: VsiTlv, response: Response | None = Response.SUCCESS, **changes: Any) -> VsiTlv:
    return request._replace(response=response, **changes)


@dataclass
class Bench:
    """A station under test, on a clock of its own, with what it confirmed and reported."""

    edition: Edition = RATIFIED
    settings: StationSettings = field(default_factory=StationSettings)
    now: Instant = 1_000 * SECOND
    tickets: int = 0

    def __post_init__(self) -> None:
        self.station = VdpStation(self.settings)
        self.confirmed: dict[int, Confirm] = {}
        self.changes: list[VsiChanged] = []

    def open(self) -> "Bench":
        self.do(self.station.open(self.edition, self.edition.timers(3, 14, 20, 20), False, self.now))
        return self

    def close(self, closed: Closed = DOWN) -> None:
        self.do(self.station.close(closed, self.now))

    def ask(self, tlv: VsiTlv | None = None, persistent: bool = False, untagged: bool = False) -> int:
        self.tickets += 1
        self.do(self.station.request([VsiRequest(tlv or asking(), self.tickets, persistent, untagged)], self.now))
        return self.tickets

    def release(self) -> int:
        return self.ask(asking(Mode.DEASSOCIATE))

    def hear(self, *tlvs: VsiTlv) -> None:
        self.do(self.station.receive(tlvs, self.now))

    def send(self, most: int = 100) -> list[VsiTlv]:
        """Let ECP take what there is, as a bridge reads it."""
        payload = self.station.next_payload(ROOM, most, self.now)
        if payload is None:
            return []
        assert len(payload) <= ROOM
        reading = self.edition.decode(payload, True)
        assert not reading.errors
        return list(reading.vsis)

    def give_up(self) -> None:
        self.do(self.station.gave_up(self.now))

    def wait(self) -> Instant:
        """Until the next deadline; how long that took."""
        due = self.station.next_deadline()
        assert due is not None
        begun, self.now = self.now, max(self.now, due)
        self.do(self.station.advance(self.now))
        after = self.station.next_deadline()
        assert after is None or after > self.now
        return self.now - begun

    def do(self, effects: list[object]) -> None:  # type: ignore[type-arg]
        for effect in effects:
            if isinstance(effect, Confirm):
                assert effect.ticket not in self.confirmed, "a ticket is answered once"
                self.confirmed[effect.ticket] = effect
            else:
                assert isinstance(effect, VsiChanged)
                self.changes.append(effect)

    def outcome(self, ticket: int) -> Outcome | None:
        return self.confirmed[ticket].outcome if ticket in self.confirmed else None

    @property
    def state(self) -> State:
        vsi = self.station.vsis.get(ID)
        return vsi.state if vsi else State.END

    @property
    def vsi_state(self) -> VsiState:
        vsi = self.station.vsis.get(ID)
        return vsi.vsi_state if vsi else VsiState.UNASSOCIATED


# Every state with every input.


def held() -> Bench:
    bench = Bench()
    bench.close(NOT_YET)
    bench.ask(persistent=True)
    return bench


def process() -> Bench:
    bench = Bench().open()
    bench.ask(persistent=True)
    return bench


def proc_wait() -> Bench:
    bench = process()
    assert bench.send()
    return bench


def wait() -> Bench:
    bench = proc_wait()
    bench.hear(answer(asking()))
    return bench


def tx_ka() -> Bench:
    bench = wait()
    bench.wait()
    return bench


def ka_wait() -> Bench:
    bench = tx_ka()
    assert bench.send()
    return bench


def tx_deassoc() -> Bench:
    bench = wait()
    bench.release()
    return bench


def deassoc_wait() -> Bench:
    bench = tx_deassoc()
    assert bench.send()
    return bench


def backoff() -> Bench:
    bench = proc_wait()
    bench.hear(answer(asking(), Response.OTHER_FAILURE))
    return bench


def refused() -> Bench:
    bench = proc_wait()
    bench.hear(answer(asking(), Response.INVALID_ADDRESS, hard=True))
    return bench


STATES: dict[State, Callable[[], Bench]] = {
    State.HELD: held,
    State.PROCESS: process,
    State.PROC_WAIT: proc_wait,
    State.WAIT: wait,
    State.TX_KA: tx_ka,
    State.KA_WAIT: ka_wait,
    State.TX_DEASSOC: tx_deassoc,
    State.DEASSOC_WAIT: deassoc_wait,
    State.BACKOFF: backoff,
    State.REFUSED: refused,
}

# Where each input leads, by the sheet and by common sense; a state that is not named stays as it is.
S = State
EXPECTED: dict[Input, dict[State, State]] = {
    Input.ASK: {S.WAIT: S.PROCESS, S.TX_KA: S.PROCESS, S.BACKOFF: S.PROCESS, S.REFUSED: S.PROCESS},
    Input.RELEASE: {
        S.HELD: S.END,
        S.REFUSED: S.END,
        **dict.fromkeys((S.PROCESS, S.PROC_WAIT, S.WAIT, S.TX_KA, S.KA_WAIT, S.BACKOFF), S.TX_DEASSOC),
    },
    Input.SENT: {S.PROCESS: S.PROC_WAIT, S.TX_KA: S.KA_WAIT, S.TX_DEASSOC: S.DEASSOC_WAIT},
    Input.LOST: {S.PROC_WAIT: S.PROCESS, S.KA_WAIT: S.TX_KA, S.DEASSOC_WAIT: S.TX_DEASSOC},
    Input.REPEAT: {S.PROC_WAIT: S.PROCESS, S.KA_WAIT: S.TX_KA, S.DEASSOC_WAIT: S.TX_DEASSOC},
    Input.EXPIRED: {
        **dict.fromkeys((S.PROC_WAIT, S.KA_WAIT), S.BACKOFF),
        **dict.fromkeys((S.DEASSOC_WAIT,), S.END),
    },
    Input.DUE: {S.WAIT: S.TX_KA, S.BACKOFF: S.PROCESS},
    Input.CONFIRMED: dict.fromkeys((S.PROCESS, S.PROC_WAIT, S.TX_KA, S.KA_WAIT, S.BACKOFF), S.WAIT),
    Input.MISFIT: dict.fromkeys((S.PROCESS, S.PROC_WAIT, S.TX_KA, S.KA_WAIT), S.TX_DEASSOC),
    Input.KEPT: {S.TX_KA: S.WAIT, S.KA_WAIT: S.WAIT, S.PROCESS: S.BACKOFF, S.PROC_WAIT: S.BACKOFF},
    Input.REFUSED: dict.fromkeys((S.PROCESS, S.PROC_WAIT, S.TX_KA, S.KA_WAIT), S.BACKOFF),
    Input.RELEASED: {S.TX_DEASSOC: S.END, S.DEASSOC_WAIT: S.END},
    Input.ENDED: {
        **dict.fromkeys((S.WAIT, S.TX_KA, S.KA_WAIT), S.BACKOFF),
        **dict.fromkeys((S.TX_DEASSOC, S.DEASSOC_WAIT), S.END),
    },
    Input.OPEN: {S.HELD: S.PROCESS},
    Input.CLOSE: {
        **dict.fromkeys(STATES, S.HELD),
        **dict.fromkeys((S.TX_DEASSOC, S.DEASSOC_WAIT), S.END),
    },
}


def put(bench: Bench, what: Input) -> None:
    """Make the input happen as it happens in life."""
    request = asking()
    match what:
        case Input.ASK:
            bench.ask(persistent=True)
        case Input.RELEASE:
            bench.release()
        case Input.SENT:
            bench.send()
        case Input.LOST:
            bench.give_up()
        case Input.REPEAT | Input.EXPIRED:
            vsi = bench.station.vsis[ID]
            if vsi.state in (State.WAIT, State.BACKOFF):
                return  # their timer is another one
            due = bench.station.next_deadline()
            if due is not None:
                bench.now = (vsi.give_up or due) if what is Input.EXPIRED else due
                bench.do(bench.station.advance(bench.now))
        case Input.DUE:
            if bench.state in (State.WAIT, State.BACKOFF):
                bench.wait()
        case Input.CONFIRMED:
            bench.hear(answer(request))
        case Input.MISFIT:
            bench.hear(answer(request, filters=filters(77)))
        case Input.KEPT:
            bench.hear(answer(request, Response.INSUFFICIENT_RESOURCES, keep=True))
        case Input.REFUSED:
            bench.hear(answer(request, Response.INSUFFICIENT_RESOURCES))
        case Input.RELEASED:
            if bench.state in (State.TX_DEASSOC, State.DEASSOC_WAIT):
                bench.hear(answer(asking(Mode.DEASSOCIATE)))
        case Input.ENDED:
            bench.hear(answer(asking(Mode.DEASSOCIATE), None))
        case Input.OPEN:
            bench.open()
        case Input.CLOSE:
            bench.close()


@pytest.mark.parametrize(("state", "what"), list(product(STATES, Input)), ids=lambda value: value.name)
def test_every_state_with_every_input(state: State, what: Input) -> None:
    bench = STATES[state]()
    assert bench.state is state
    put(bench, what)
    assert bench.state is EXPECTED[what].get(state, state)
    if bench.state is State.END:
        assert set(bench.confirmed) == set(range(1, bench.tickets + 1)), "whoever asked has an answer"
        assert bench.changes[-1].gone
    if bench.state in (State.WAIT, State.PROC_WAIT, State.KA_WAIT, State.DEASSOC_WAIT, State.BACKOFF):
        assert bench.station.next_deadline() is not None, "no state is for ever, unless it is told so"
    # Whatever happened, it can all come to an end.
    bench.close()
    bench.release()
    assert ID not in bench.station.vsis
    assert set(bench.confirmed) == set(range(1, bench.tickets + 1))
    assert bench.station.next_deadline() is None


def test_the_table_names_steps_that_there_are() -> None:
    for (state, what), transition in TRANSITIONS.items():
        assert state in STATES and what in EXPECTED
        bench = STATES[state]()
        if transition.step is not None:
            assert callable(getattr(bench.station.vsis[ID], transition.step))


# What people are told.


def test_granted() -> None:
    bench = Bench().open()
    ticket = bench.ask()
    assert bench.send() == [asking()]
    assert bench.vsi_state is VsiState.UNASSOCIATED and bench.outcome(ticket) is None
    bench.hear(answer(asking()))
    confirm = bench.confirmed[ticket]
    assert confirm.outcome is Outcome.GRANTED and confirm.status.state is VsiState.ASSOCIATED
    assert confirm.status.response is Response.SUCCESS and confirm.status.pending is None
    assert [(change.status.state, change.was) for change in bench.changes] == [
        (VsiState.UNASSOCIATED, VsiState.UNASSOCIATED),
        (VsiState.ASSOCIATED, VsiState.UNASSOCIATED),
    ]


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        (Mode.PREASSOCIATE, VsiState.PREASSOCIATED),
        (Mode.PREASSOCIATE_RR, VsiState.PREASSOCIATED_RR),
        (Mode.ASSOCIATE, VsiState.ASSOCIATED),
    ],
)
@pytest.mark.parametrize(
    ("mode_before", "state_before"),
    [
        (Mode.PREASSOCIATE, VsiState.PREASSOCIATED),
        (Mode.PREASSOCIATE_RR, VsiState.PREASSOCIATED_RR),
        (Mode.ASSOCIATE, VsiState.ASSOCIATED),
    ],
)
def test_from_each_mode_to_each(mode_before: Mode, state_before: VsiState, mode: Mode, state: VsiState) -> None:
    bench = Bench().open()
    bench.ask(asking(mode_before))
    bench.hear(*map(answer, bench.send()))
    assert bench.vsi_state is state_before
    ticket = bench.ask(asking(mode))
    (request,) = bench.send()
    assert request.mode is mode
    bench.hear(answer(request))
    assert bench.vsi_state is state and bench.outcome(ticket) is Outcome.GRANTED
    bench.wait()
    assert [keep_alive.mode for keep_alive in bench.send()] == [mode]


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("form", [Mode.ASSOCIATE, Mode.DEASSOCIATE])
def test_refused(form: Mode, hard: bool) -> None:
    """Either by the request's own type or by a DeAssociate with the response bit (sheet vdp.md 1)."""
    bench = Bench().open()
    ticket = bench.ask()
    bench.send()
    bench.hear(answer(asking(form), Response.INSUFFICIENT_RESOURCES, hard=hard))
    confirm = bench.confirmed[ticket]
    assert confirm.outcome is Outcome.REFUSED
    assert confirm.status.response is Response.INSUFFICIENT_RESOURCES and confirm.status.hard is hard
    assert bench.changes[-1].gone and not bench.station.vsis and bench.station.next_deadline() is None


def test_persistent_asks_again_ever_more_seldom() -> None:
    bench = backoff()
    pauses = []
    for _ in range(12):
        pauses.append(bench.wait())
        bench.hear(*(answer(tlv, Response.OTHER_FAILURE) for tlv in bench.send()))
        assert bench.state is State.BACKOFF
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == pauses[-2] == 64 * SECOND


def test_hard_refusal_is_not_repeated_until_another_switch_is_there() -> None:
    bench = refused()
    assert bench.station.next_deadline() is None and not bench.send()
    bench.close()
    bench.open()
    assert bench.send() == [asking()]


def test_assigned_vid_is_taken_over() -> None:
    """And used in keep-alives and in the DeAssociate (sheet vdp.md 1, interop-notes V8)."""
    bench = Bench().open()
    ticket = bench.ask(asking(vid=0))
    (request,) = bench.send()
    assert request.filters == filters(0)
    assigned = Filters(FilterFormat.MAC_VID, (FilterEntry(305, 3, MAC, None),))
    bench.hear(answer(request, filters=assigned))
    assert bench.confirmed[ticket].status.filters == assigned
    bench.wait()
    assert [tlv.filters for tlv in bench.send()] == [assigned]
    bench.hear(answer(request, filters=assigned))
    # The orchestrator says the same again, with VID 0: it means what it got (interop-notes S4).
    again = bench.ask(asking(vid=0))
    (repeated,) = bench.send()
    assert repeated.filters == assigned
    bench.hear(answer(repeated))
    assert bench.outcome(again) is Outcome.GRANTED
    bench.release()
    (farewell,) = bench.send()
    assert farewell.mode is Mode.DEASSOCIATE and farewell.filters == assigned


def test_another_switch_assigns_anew() -> None:
    bench = Bench().open()
    bench.ask(asking(vid=0))
    bench.hear(*(answer(tlv, filters=filters(305)) for tlv in bench.send()))
    bench.close()
    assert bench.state is State.HELD and bench.vsi_state is VsiState.UNASSOCIATED
    bench.open()
    (request,) = bench.send()
    assert request.filters == filters(0)
    bench.hear(answer(request, filters=filters(306)))
    assert bench.changes[-1].status.filters == filters(306)


@pytest.mark.parametrize("vid", [0, 77])
def test_answer_that_does_not_fit(vid: int) -> None:
    """VID 100 asked and another given; or VID 0 asked and none given (interop-notes V13)."""
    bench = Bench().open()
    ticket = bench.ask(asking(vid=100 if vid else 0))
    bench.send()
    bench.hear(answer(asking(), filters=filters(vid)))
    confirm = bench.confirmed[ticket]
    assert confirm.outcome is Outcome.REFUSED and "VID" in confirm.status.reason
    assert [tlv.mode for tlv in bench.send()] == [Mode.DEASSOCIATE], "the bridge believes that it is associated"
    bench.hear(answer(asking(Mode.DEASSOCIATE)))
    assert not bench.station.vsis


def test_keep_leaves_what_was() -> None:
    bench = wait()
    ticket = bench.ask(asking(vid=200))
    (request,) = bench.send()
    assert request.filters == filters(200)
    bench.hear(answer(request, Response.INSUFFICIENT_RESOURCES, keep=True))
    confirm = bench.confirmed[ticket]
    assert confirm.outcome is Outcome.REFUSED and confirm.status.state is VsiState.ASSOCIATED
    assert confirm.status.filters == filters(100)
    bench.wait()
    assert [tlv.filters for tlv in bench.send()] == [filters(100)]


@pytest.mark.parametrize("bits", [{"keep": True}, {"hard": True}])
def test_bits_of_a_success_mean_nothing(bits: dict[str, bool]) -> None:
    bench = proc_wait()
    bench.hear(answer(asking(), **bits))
    assert bench.vsi_state is VsiState.ASSOCIATED


def test_no_answer() -> None:
    """The request is repeated, then given up; the bridge is told, for it may have granted it."""
    bench = Bench().open()
    ticket = bench.ask()
    begun = bench.now
    requests = 0
    while bench.outcome(ticket) is None:
        requests += len(bench.send())
        bench.wait()
    timers = RATIFIED.timers(3, 14, 20, 20)
    assert bench.now - begun == timers.response_wait and 5 <= requests <= 9
    assert bench.outcome(ticket) is Outcome.TIMED_OUT
    assert [tlv.mode for tlv in bench.send()] == [Mode.DEASSOCIATE]
    while bench.station.vsis:
        bench.wait()
        bench.send()
    assert bench.changes[-1].gone


def test_answer_that_comes_late() -> None:
    bench = proc_wait()
    while bench.state is not State.BACKOFF:
        bench.wait()
        bench.send()
    bench.hear(answer(asking()))
    assert bench.vsi_state is VsiState.ASSOCIATED and bench.state is State.WAIT


def test_keep_alive_is_late_never_early_by_much() -> None:
    bench = wait()
    keep_alive = RATIFIED.timers(3, 14, 20, 20).keep_alive
    waited = bench.wait()
    assert keep_alive * 15 // 16 <= waited <= keep_alive
    changes = len(bench.changes)
    bench.hear(*map(answer, bench.send()))
    assert bench.state is State.WAIT and len(bench.changes) == changes, "a keep-alive is no news"


def test_lost_to_silence_comes_back() -> None:
    bench = wait()
    assert not bench.station.vsis[ID].next
    while bench.vsi_state is VsiState.ASSOCIATED:
        bench.wait()
        bench.send()
    assert bench.changes[-1].status.reason == "the switch has not answered keep-alives"
    bench.wait()
    bench.hear(*map(answer, bench.send()))
    assert bench.vsi_state is VsiState.ASSOCIATED


@pytest.mark.parametrize("reassociate", [True, False])
def test_taken_away(reassociate: bool) -> None:
    bench = Bench(settings=StationSettings(reassociate=reassociate)).open()
    bench.ask()
    bench.hear(*map(answer, bench.send()))
    for pause in (FIRST_PAUSE, 2 * FIRST_PAUSE):
        bench.hear(answer(asking(Mode.DEASSOCIATE), None))
        assert bench.changes[-1].status.state is VsiState.UNASSOCIATED
        assert bench.changes[-1].gone is not reassociate
        if not reassociate:
            return
        assert bench.wait() == pause
        bench.hear(*map(answer, bench.send()))
        assert bench.vsi_state is VsiState.ASSOCIATED


def test_asked_twice() -> None:
    bench = Bench().open()
    first, second = bench.ask(), bench.ask()
    assert bench.send() == [asking()]
    third = bench.ask()
    bench.hear(answer(asking()))
    assert [bench.outcome(ticket) for ticket in (first, second, third)] == [Outcome.GRANTED] * 3


def test_other_words_before_the_first_left() -> None:
    bench = Bench().open()
    first, second = bench.ask(), bench.ask(asking(vid=200))
    assert bench.outcome(first) is Outcome.SUPERSEDED
    (request,) = bench.send()
    assert request.filters == filters(200)
    bench.hear(answer(request))
    assert bench.outcome(second) is Outcome.GRANTED


def test_other_words_while_one_is_under_way() -> None:
    """One is settled before the next is asked: answers do not say which request they are for."""
    bench = Bench().open()
    first = bench.ask()
    bench.send()
    second, third = bench.ask(asking(vid=200)), bench.ask(asking(vid=300))
    assert not bench.send() and bench.outcome(second) is Outcome.SUPERSEDED
    bench.hear(answer(asking()))
    assert bench.outcome(first) is Outcome.GRANTED
    (request,) = bench.send()
    assert request.filters == filters(300)
    bench.hear(answer(request))
    assert bench.outcome(third) is Outcome.GRANTED and bench.station.vsis[ID].filters == filters(300)


def test_release_overtakes() -> None:
    bench = Bench().open()
    asked = [bench.ask(asking(number=number)) for number in range(50)]
    released = bench.release()
    assert bench.outcome(asked[0]) is Outcome.SUPERSEDED
    (first, *_) = bench.send(most=3)
    assert first.mode is Mode.DEASSOCIATE and first.vsi_id == ID
    bench.hear(answer(asking(Mode.DEASSOCIATE)))
    assert bench.outcome(released) is Outcome.GRANTED


def test_release_of_nothing_is_done() -> None:
    bench = Bench().open()
    assert bench.outcome(bench.release()) is Outcome.GRANTED and not bench.send()


def test_asked_again_while_released() -> None:
    bench = deassoc_wait()
    ticket = bench.ask(persistent=True)
    bench.hear(answer(asking(Mode.DEASSOCIATE)))
    assert bench.send() == [asking()]
    bench.hear(answer(asking()))
    assert bench.outcome(ticket) is Outcome.GRANTED


@pytest.mark.parametrize("says_so", [True, False])
def test_strict_peer_gets_other_filters_when_it_has_let_go(says_so: bool) -> None:
    """lldpad's bridge holds what was released until toutKeepAlive, and never answers other filters before."""
    bench = wait()
    bench.station.strict_peer = True
    ticket = bench.ask(asking(vid=200))
    (farewell,) = bench.send()
    assert farewell.mode is Mode.DEASSOCIATE and farewell.filters == filters(100)
    bench.hear(answer(farewell))
    assert bench.state is State.BACKOFF and not bench.send()
    assert bench.changes[-1].status.reason == "the switch still holds it with other filters"
    if says_so:
        bench.hear(asking(Mode.DEASSOCIATE))
    else:
        assert bench.wait() == RATIFIED.timers(3, 14, 20, 20).tolerance
    (request,) = bench.send()
    assert request.mode is Mode.ASSOCIATE and request.filters == filters(200)
    bench.hear(answer(request))
    assert bench.outcome(ticket) is Outcome.GRANTED


def test_strict_peer_takes_what_it_holds_at_once() -> None:
    """The same filters, or what makes another VSI to it."""
    for again in (asking(), asking(vid=200, number=1), asking(vid=200)._replace(type_id=9)):
        bench = wait()
        bench.station.strict_peer = True
        bench.release()
        bench.hear(*map(answer, bench.send()))
        bench.ask(again)
        assert bench.send() == [again]


@pytest.mark.parametrize("persistent", [True, False])
def test_link_lost(persistent: bool) -> None:
    bench = Bench().open()
    ticket = bench.ask(persistent=persistent)
    bench.send()
    bench.close()
    assert bench.outcome(ticket) is Outcome.LINK_LOST
    assert (ID in bench.station.vsis) is persistent
    now_asked = bench.ask(asking(number=1))
    assert bench.outcome(now_asked) is Outcome.LINK_LOST and bench.confirmed[now_asked].status.reason == DOWN.reason
    bench.open()
    assert bool(bench.send()) is persistent


def test_what_was_granted_is_no_success_any_more_when_it_is_lost() -> None:
    bench = wait()
    bench.close()
    assert bench.state is State.HELD and bench.changes[-1].status.response is None
    bench.open()
    bench.hear(*map(answer, bench.send()))
    assert bench.changes[-1].status.response is Response.SUCCESS
    while bench.vsi_state is VsiState.ASSOCIATED:
        bench.wait()
        bench.send()
    assert bench.changes[-1].status.response is None
    bench.wait()
    (request,) = bench.send()
    bench.hear(answer(request, Response.INSUFFICIENT_RESOURCES))
    bench.close()
    assert bench.changes[-1].status.response is Response.INSUFFICIENT_RESOURCES, "a refusal stays the last word"
    released = bench.release()
    assert (
        bench.outcome(released) is Outcome.GRANTED and bench.confirmed[released].status.response is not Response.SUCCESS
    )


def test_the_answer_to_a_release_is_told() -> None:
    bench = wait()
    released = bench.release()
    bench.send()
    bench.hear(answer(asking(Mode.DEASSOCIATE)))
    assert bench.confirmed[released].status.response is Response.SUCCESS
    assert bench.confirmed[released].status.reason == ""


def test_not_heard_yet_is_worth_waiting_for() -> None:
    bench = Bench()
    bench.close(NOT_YET)
    ticket = bench.ask()
    assert bench.outcome(ticket) is None
    bench.open()
    bench.hear(*map(answer, bench.send()))
    assert bench.outcome(ticket) is Outcome.GRANTED


def test_waiting_turns_out_to_be_vain() -> None:
    bench = Bench()
    bench.close(NOT_YET)
    ticket = bench.ask()
    bench.close(Closed("interface: no EVB here", Outcome.INVALID))
    assert bench.outcome(ticket) is Outcome.INVALID and not bench.station.vsis


@pytest.mark.parametrize(
    ("edition", "tlv", "field"),
    [
        (RATIFIED, asking()._replace(filters=Filters(3, (FilterEntry(1, None, None, 7),))), "filter"),
        (DRAFT, asking()._replace(vsi_id=VsiId(3, bytes(16))), "instance"),
        (DRAFT, asking()._replace(filters=Filters(1, (FilterEntry(5, None, None, None),))), "filter"),
        (DRAFT, asking()._replace(manager=bytes(15) + b"x"), "manager"),
    ],
)
def test_what_cannot_be_asked(edition: Edition, tlv: VsiTlv, field: str) -> None:
    bench = Bench(edition=edition).open()
    ticket = bench.ask(tlv)
    confirm = bench.confirmed[ticket]
    assert confirm.outcome is Outcome.INVALID and confirm.status.reason.startswith(f"{field}:")
    assert not bench.station.vsis


def test_table_that_is_full() -> None:
    bench = Bench(settings=StationSettings(max_vsis=2)).open()
    tickets = [bench.ask(asking(number=number)) for number in range(3)]
    assert bench.outcome(tickets[2]) is Outcome.INVALID and "2 VSIs" in bench.confirmed[tickets[2]].status.reason
    assert bench.outcome(tickets[1]) is None


def with_filters(count: int, number: int) -> VsiTlv:
    entries = tuple(FilterEntry(100 + vid, None, None, None) for vid in range(count))
    return asking(number=number)._replace(filters=Filters(1, entries))


def test_filters_of_all_vsis_together_are_bounded() -> None:
    bench = Bench(settings=StationSettings(max_filters=100)).open()
    granted = bench.ask(with_filters(60, 0))
    bench.send()
    bench.hear(answer(with_filters(60, 0)))
    assert bench.outcome(granted) is Outcome.GRANTED
    assert bench.outcome(bench.ask(with_filters(40, 1))) is None
    for tlv in (with_filters(1, 2), with_filters(61, 0)):
        ticket = bench.ask(tlv)
        assert bench.outcome(ticket) is Outcome.INVALID
        assert bench.confirmed[ticket].status.reason == "filter: the port's VSIs have 100 filters already, at most 100"
    assert bench.station.vsis[ID].vsi_state is VsiState.ASSOCIATED
    assert bench.station.statistics.no_room == 2
    assert bench.outcome(bench.ask(with_filters(10, 0))) is None
    bench.close()
    assert bench.outcome(bench.ask(with_filters(30, 2), persistent=True)) is None
    assert bench.station._filters == sum(vsi.weight for vsi in bench.station.vsis.values())


def test_answers_that_nobody_waits_for() -> None:
    bench = wait()
    for stray in (
        answer(asking(number=9)),
        answer(asking(Mode.PREASSOCIATE)),
        asking(),
        answer(asking()),
        answer(asking(), Response.OTHER_FAILURE),
    ):
        before = bench.station.statistics.unexpected
        bench.hear(stray)
        assert bench.state is State.WAIT and bench.station.statistics.unexpected == before + 1


def test_gave_up_counts_for_what_was_in_flight_alone() -> None:
    bench = Bench().open()
    bench.ask(asking(number=0))
    bench.send()
    bench.ask(asking(number=1))
    bench.give_up()
    assert {tlv.vsi_id.octets[-1] for tlv in bench.send()} == {15, 16}
    bench.give_up()
    bench.give_up()
    assert len(bench.send()) == 2


def test_another_edition_starts_over() -> None:
    bench = wait()
    bench.close(Closed("the switch speaks another edition now"))
    bench.edition = DRAFT
    bench.open()
    assert [tlv.vsi_id for tlv in bench.send()] == [ID]


def test_keep_alives_of_many_share_ecpdus() -> None:
    bench = Bench().open()
    for number in range(100):
        bench.ask(asking(number=number))
        bench.hear(*map(answer, bench.send()))
        bench.now += 1000
    payloads = seen = 0
    while seen < 100:
        bench.wait()
        while tlvs := bench.send():
            payloads, seen = payloads + 1, seen + len(tlvs)
            bench.hear(*map(answer, tlvs))
    assert seen == 100 and payloads <= 4


def test_what_cannot_be_asked_of_this_bridge_may_be_replaced_by_what_can() -> None:
    bench = Bench()
    waiting = bench.ask(asking(vid=0), persistent=True)
    bench.edition = DRAFT
    bench.open()
    assert bench.state is State.HELD and "in the draft" in bench.changes[-1].status.reason and not bench.send()
    ticket = bench.ask(asking(vid=100), persistent=True)
    (request,) = bench.send()
    bench.hear(answer(request))
    assert bench.outcome(ticket) is Outcome.GRANTED and bench.vsi_state is VsiState.ASSOCIATED
    assert bench.outcome(waiting) is Outcome.INVALID


def test_newest_words_win_also_when_a_request_is_repeated() -> None:
    bench = Bench().open()
    bench.ask()
    bench.send()
    postponed = bench.ask(asking(vid=200))
    bench.wait()
    assert bench.state is State.PROCESS, "no answer: to be repeated"
    newest = bench.ask(asking(vid=300))
    assert bench.outcome(postponed) is Outcome.SUPERSEDED
    bench.hear(*map(answer, bench.send()))
    assert bench.outcome(newest) is Outcome.GRANTED and not bench.send()
    assert bench.station.vsis[ID].filters == filters(300)


def test_what_was_postponed_has_all_of_its_time() -> None:
    """What is under way is never answered, or late: the next is asked all the same, and waited for as long as any."""
    bench = Bench().open()
    first = bench.ask(persistent=True)
    bench.send()
    second = bench.ask(asking(vid=200))
    while bench.outcome(first) is None:
        bench.send()
        bench.wait()
    assert bench.state is State.PROCESS and bench.outcome(second) is None
    due = bench.station.next_deadline()
    assert due is None or due > bench.now, "nothing that keeps the agent busy"
    (request,) = bench.send()
    assert request.filters == filters(200)
    begun = bench.now
    while bench.state is not State.BACKOFF:
        bench.wait()
        bench.send()
    assert bench.now - begun == RATIFIED.timers(3, 14, 20, 20).response_wait
    assert bench.outcome(second) is Outcome.TIMED_OUT


def test_what_was_postponed_for_a_keep_alive_is_told() -> None:
    bench = ka_wait()
    ticket = bench.ask(asking(vid=200))
    bench.hear(answer(asking()))
    assert bench.state is State.PROCESS and bench.changes[-1].status.request == asking(vid=200)
    bench.hear(*map(answer, bench.send()))
    assert bench.outcome(ticket) is Outcome.GRANTED


def test_a_null_vid_may_stay_null_for_untagged_frames() -> None:
    """As lldpad's bridge leaves it (interop-notes V13): only whose guest tags its frames has to know the VLAN."""
    bench = Bench().open()
    asked = asking(vid=0)
    ticket = bench.ask(asked, untagged=True)
    bench.send()
    bench.hear(answer(asked))
    assert bench.outcome(ticket) is Outcome.GRANTED and bench.changes[-1].status.filters == asked.filters
    bench.wait()
    bench.send()
    bench.hear(answer(asked))
    assert bench.state is State.WAIT, "the keep-alive's answer as well"
    # The same VSI, now of a client whose frames are tagged.
    other = bench.ask(asking(vid=0, mode=Mode.PREASSOCIATE), untagged=True)
    bench.send()
    bench.hear(answer(asking(vid=0, mode=Mode.PREASSOCIATE)))
    assert bench.outcome(other) is Outcome.GRANTED
    tagged = bench.ask(asked)
    bench.send()
    bench.hear(answer(asked))
    assert bench.outcome(tagged) is Outcome.REFUSED


def test_whether_there_is_a_bridge() -> None:
    bench = Bench()
    assert not bench.station.is_open
    assert bench.open().station.is_open
    bench.close()
    assert not bench.station.is_open
