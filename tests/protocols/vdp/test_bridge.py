"""The bridge's VSIs: every state with every input, what is answered, and what is taken away."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.timers import SECOND, Instant
from protocols.vdp.bridge import PASSERS_BY, PASSING_FILTERS, BridgeSettings, VdpBridge
from protocols.vdp.bridgevsi import MAX_LOSSES, TRANSITIONS, Input, State
from protocols.vdp.draft import DRAFT
from protocols.vdp.edition import Edition
from protocols.vdp.filter import FilterEntry, Filters
from protocols.vdp.policy import BridgePolicy
from protocols.vdp.ratified import RATIFIED
from protocols.vdp.rules import PolicyRules, Rule
from protocols.vdp.status import VsiChanged, VsiState
from protocols.vdp.vsi import Mode, OrganizationalTlv, Response, VsiId, VsiTlv

ID = VsiId(5, bytes(range(16)))
MAC = bytes.fromhex("52540000aa01")
ROOM = 1496
SLOW = Rule(delay=2 * SECOND)
TIMERS = RATIFIED.timers(3, 14, 20, 20)
TIMERS_OF_DRAFT = DRAFT.timers(3, 14, 20, 20)


def asking(mode: Mode = Mode.ASSOCIATE, vid: int = 100, number: int = 0, **changes: Any) -> VsiTlv:
    vsi_id = VsiId(5, (int.from_bytes(ID.octets, "big") + number).to_bytes(16, "big"))
    filters = Filters(2, (FilterEntry(vid, None, MAC, None),))
    return VsiTlv(mode, vsi_id, b"\x0c" + bytes(15), 0x123456, 7, filters)._replace(**changes)


@dataclass
class Bench:
    """A bridge's port under test, on a clock of its own."""

    rules: PolicyRules = field(default_factory=PolicyRules)
    edition: Edition = RATIFIED
    settings: BridgeSettings = field(default_factory=BridgeSettings)
    group_ids: bool = False
    now: Instant = 1_000 * SECOND
    changes: list[VsiChanged] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy = BridgePolicy(self.rules)
        self.bridge = VdpBridge(self.settings, self.policy, "swp1")
        self.open()

    def open(self) -> None:
        self.do(self.bridge.open(self.edition, self.edition.timers(3, 14, 20, 20), self.group_ids, self.now))

    def hear(self, *tlvs: VsiTlv) -> None:
        self.do(self.bridge.receive(tlvs, self.now))

    def send(self, most: int = 100) -> list[VsiTlv]:
        """Let ECP take what there is, as a station reads it."""
        payload = self.bridge.next_payload(ROOM, most, self.now)
        if payload is None:
            return []
        assert len(payload) <= ROOM
        reading = self.edition.decode(payload, False)
        assert not reading.errors
        return list(reading.vsis)

    def deliver(self, most: int = 100) -> list[VsiTlv]:
        sent = self.send(most)
        self.do(self.bridge.delivered(self.now))
        return sent

    def lose(self) -> None:
        self.do(self.bridge.gave_up(self.now))

    def withdraw(self, *vsi_ids: VsiId) -> None:
        self.do(self.bridge.withdraw(vsi_ids or None, "withdrawn by the operator", self.now))

    def wait(self) -> Instant:
        due = self.bridge.next_deadline()
        assert due is not None
        begun, self.now = self.now, max(self.now, due)
        self.do(self.bridge.advance(self.now))
        after = self.bridge.next_deadline()
        assert after is None or after > self.now
        return self.now - begun

    def do(self, effects: list[object]) -> None:  # type: ignore[type-arg]
        for effect in effects:
            assert isinstance(effect, VsiChanged)
            self.changes.append(effect)

    @property
    def state(self) -> State:
        vsi = self.bridge.vsis.get(ID)
        return vsi.state if vsi else State.END

    @property
    def vsi_state(self) -> VsiState:
        vsi = self.bridge.vsis.get(ID)
        return vsi.vsi_state if vsi else VsiState.UNASSOCIATED


def end() -> Bench:
    return Bench()


def process() -> Bench:
    bench = Bench(PolicyRules(default=SLOW))
    bench.hear(asking())
    return bench


def wait() -> Bench:
    bench = Bench()
    bench.hear(asking())
    assert bench.deliver()
    return bench


def deassoc() -> Bench:
    bench = wait()
    bench.hear(asking(Mode.DEASSOCIATE))
    return bench


def deassociated() -> Bench:
    bench = wait()
    bench.withdraw()
    return bench


STATES: dict[State, Callable[[], Bench]] = {
    State.END: end,
    State.PROCESS: process,
    State.WAIT: wait,
    State.DEASSOC: deassoc,
    State.DEASSOCIATED: deassociated,
}
S = State
# Where each input leads; a state that is not named stays as it is.
EXPECTED: dict[Input, dict[State, State]] = {
    Input.REQUEST: {S.END: S.WAIT, S.DEASSOC: S.WAIT},  # by way of PROCESS, which takes no time here
    Input.ALIVE: {},
    Input.RELEASE: dict.fromkeys((S.END, S.PROCESS, S.WAIT, S.DEASSOCIATED), S.DEASSOC),
    Input.GRANTED: {S.PROCESS: S.WAIT},
    Input.REFUSED: {S.PROCESS: S.DEASSOC},
    Input.NO_ANSWER: {S.PROCESS: S.DEASSOC},
    Input.SILENT: {S.WAIT: S.DEASSOCIATED},
    Input.WITHDRAW: {S.PROCESS: S.DEASSOCIATED, S.WAIT: S.DEASSOCIATED},
    Input.SENT: {S.DEASSOC: S.END},
    Input.DELIVERED: {S.DEASSOC: S.END, S.DEASSOCIATED: S.END},  # what is delivered was sent
    Input.LOST: {S.DEASSOC: S.END},
    Input.CLOSE: dict.fromkeys(STATES, S.END),
}


def put(bench: Bench, what: Input) -> None:
    """Make the input happen as it happens in life."""
    match what:
        case Input.REQUEST:
            bench.hear(asking(vid=200))
        case Input.ALIVE:
            if bench.state is State.WAIT:
                bench.hear(asking())
        case Input.RELEASE:
            bench.hear(asking(Mode.DEASSOCIATE))
        case Input.GRANTED | Input.REFUSED | Input.NO_ANSWER:
            if bench.state is State.PROCESS:
                answers = {
                    Input.GRANTED: Rule(delay=SECOND),
                    Input.REFUSED: Rule(response=Response.OTHER_FAILURE, delay=SECOND),
                    Input.NO_ANSWER: Rule(delay=3600 * SECOND),
                }
                bench.policy.replace(PolicyRules(default=answers[what]))
                bench.hear(asking(number=0, type_id=1))
                bench.wait()
        case Input.SILENT:
            if bench.state is State.WAIT:
                bench.wait()
        case Input.WITHDRAW:
            bench.withdraw()
        case Input.SENT:
            bench.send()
        case Input.DELIVERED:
            bench.deliver()
        case Input.LOST:
            bench.send()
            bench.lose()
        case Input.CLOSE:
            bench.do(bench.bridge.close("the link is down", bench.now))
            bench.open()


@pytest.mark.parametrize(("state", "what"), list(product(STATES, Input)), ids=lambda value: value.name)
def test_every_state_with_every_input(state: State, what: Input) -> None:
    bench = STATES[state]()
    assert bench.state is state
    put(bench, what)
    if state is State.PROCESS and what is Input.REQUEST:
        assert bench.state is State.PROCESS
    else:
        assert bench.state is EXPECTED[what].get(state, state)
    held = {holding.vsi_id for holding in bench.policy.holdings()}
    if bench.state in (State.END, State.DEASSOC, State.DEASSOCIATED):
        assert not held, "what nobody has must not take resources"
    if bench.state in (State.PROCESS, State.WAIT):
        assert bench.bridge.next_deadline() is not None
    bench.hear(asking(Mode.DEASSOCIATE))
    bench.deliver()
    assert not bench.bridge.vsis and bench.bridge.next_deadline() is None and not list(bench.policy.holdings())


def test_the_table_is_about_known_states() -> None:
    assert {state for state, _ in TRANSITIONS} <= set(STATES)
    assert {what for _, what in TRANSITIONS} <= set(EXPECTED)


@pytest.mark.parametrize("edition", [RATIFIED, DRAFT], ids=lambda edition: edition.name)
@pytest.mark.parametrize(
    ("mode", "state"),
    [
        (Mode.PREASSOCIATE, VsiState.PREASSOCIATED),
        (Mode.PREASSOCIATE_RR, VsiState.PREASSOCIATED_RR),
        (Mode.ASSOCIATE, VsiState.ASSOCIATED),
    ],
)
def test_granted(edition: Edition, mode: Mode, state: VsiState) -> None:
    """The answer is the request, but for its status (interop-notes V2)."""
    bench = Bench(edition=edition)
    bench.hear(asking(mode))
    (answer,) = bench.deliver()
    assert answer == asking(mode, response=Response.SUCCESS)
    assert bench.vsi_state is state and not bench.changes[-1].gone
    bench.hear(asking(Mode.DEASSOCIATE))
    assert [tlv.mode for tlv in bench.deliver()] == [Mode.DEASSOCIATE]
    assert bench.changes[-1].gone and bench.changes[-1].status.state is VsiState.UNASSOCIATED


@pytest.mark.parametrize("first", [Mode.PREASSOCIATE, Mode.PREASSOCIATE_RR, Mode.ASSOCIATE])
@pytest.mark.parametrize("then", [Mode.PREASSOCIATE, Mode.PREASSOCIATE_RR, Mode.ASSOCIATE])
def test_from_each_mode_to_each(first: Mode, then: Mode) -> None:
    bench = Bench()
    bench.hear(asking(first))
    bench.deliver()
    bench.hear(asking(then))
    assert [(tlv.mode, tlv.response) for tlv in bench.deliver()] == [(then, Response.SUCCESS)]
    assert bench.vsi_state is VsiState.after(then)


def test_keep_alive_is_answered_and_is_no_news() -> None:
    bench = wait()
    news = len(bench.changes)
    for _ in range(5):
        bench.now += TIMERS.keep_alive
        bench.hear(asking())
        assert [tlv.response for tlv in bench.deliver()] == [Response.SUCCESS]
    assert len(bench.changes) == news


def test_silence() -> None:
    bench = wait()
    assert bench.wait() == TIMERS.tolerance
    (told,) = bench.deliver()
    assert told.mode is Mode.DEASSOCIATE and told.response is None
    assert bench.bridge.statistics.timeouts == 1 and not bench.bridge.vsis


def test_vid_that_is_assigned_stays() -> None:
    """Also when the keep-alive says it, or says 0 again."""
    bench = Bench()
    bench.hear(asking(vid=0))
    (answer,) = bench.deliver()
    (entry,) = answer.filters.entries
    assert 2 <= entry.vid <= 4094
    for vid in (entry.vid, 0):
        bench.hear(asking(vid=vid))
        (again,) = bench.deliver()
        assert again.filters == answer.filters


def test_other_filters() -> None:
    bench = wait()
    bench.hear(asking(vid=200))
    (answer,) = bench.deliver()
    assert answer.filters.entries[0].vid == 200 and bench.bridge.vsis[ID].filters == answer.filters


def test_two_vsis_with_one_mac() -> None:
    bench = Bench()
    bench.hear(asking(), asking(number=1))
    assert [tlv.response for tlv in bench.deliver()] == [Response.SUCCESS] * 2
    bench.hear(asking(Mode.DEASSOCIATE, number=1))
    bench.deliver()
    assert bench.vsi_state is VsiState.ASSOCIATED


@pytest.mark.parametrize("keep", [True, False])
def test_refused_with_and_without_keep(keep: bool) -> None:
    bench = Bench(PolicyRules(default=Rule(vids=((100, 100),), keep=keep)))
    bench.hear(asking())
    bench.deliver()
    bench.hear(asking(vid=200))
    (answer,) = bench.deliver()
    assert answer.response is Response.INVALID_ADDRESS and answer.keep is keep
    assert answer.filters.entries[0].vid == 200, "every field as it was asked"
    assert bench.vsi_state is (VsiState.ASSOCIATED if keep else VsiState.UNASSOCIATED)
    if keep:
        bench.hear(asking())
        assert [tlv.response for tlv in bench.deliver()] == [Response.SUCCESS]


def test_first_request_is_never_refused_with_keep() -> None:
    """There is nothing to keep, and lldpad would be at a loss (interop-notes V10)."""
    bench = Bench(PolicyRules(default=Rule(response=Response.OTHER_FAILURE, keep=True, hard=True)))
    bench.hear(asking())
    (answer,) = bench.deliver()
    assert answer.response is Response.OTHER_FAILURE and not answer.keep and answer.hard
    assert not bench.bridge.vsis


def refused(edition: Edition, response: Response = Response.VTID_VIOLATION) -> Bench:
    """It has been told so. What has this type is refused, all else granted."""
    bench = Bench(PolicyRules(rules=(Rule(type_ids=((1, 1),), response=response),)), edition)
    bench.hear(asking(type_id=1))
    assert [tlv.response for tlv in bench.deliver()] == [response] and bench.state is State.END
    return bench


def released(bench: Bench, number: int = 0) -> Response | None:
    """What a DeAssociate is answered."""
    bench.hear(asking(Mode.DEASSOCIATE, number=number, type_id=1))
    [answer] = bench.deliver()
    return answer.response


def test_the_draft_repeats_a_refusal() -> None:
    """lldpad lets a DeAssociate of what was refused ride along, and tells libvirt how that is answered."""
    bench = refused(DRAFT)
    for _ in range(2):
        assert released(bench) is Response.VTID_VIOLATION
        assert not bench.bridge.vsis and released(bench, number=1) is Response.SUCCESS
    bench.hear(asking())
    bench.deliver()
    assert released(bench) is Response.SUCCESS, "it has been granted since"
    bench = refused(DRAFT)
    bench.now += TIMERS_OF_DRAFT.tolerance
    assert released(bench) is Response.SUCCESS, "that was long ago"
    bench = refused(DRAFT)
    put(bench, Input.CLOSE)
    assert released(bench) is Response.SUCCESS, "another station, perhaps"


def test_the_draft_repeats_that_the_manager_does_not_answer() -> None:
    bench = Bench(PolicyRules(default=Rule(delay=3600 * SECOND)), DRAFT)
    bench.hear(asking())
    bench.wait()
    [answer] = bench.deliver()
    assert answer.response is not Response.SUCCESS and released(bench) is answer.response


def test_the_last_refusals_are_repeated() -> None:
    bench = refused(DRAFT)
    bench.hear(*(asking(number=number, type_id=1) for number in range(1, PASSERS_BY + 1)))
    while bench.deliver():
        pass
    assert released(bench) is Response.SUCCESS
    assert released(bench, 1) is released(bench, PASSERS_BY) is Response.VTID_VIOLATION


def test_the_ratified_edition_does_not() -> None:
    """There lldpad sends no such DeAssociate, and takes only success for an end of what it has."""
    assert released(refused(RATIFIED, Response.OTHER_FAILURE)) is Response.SUCCESS


def test_slow_manager() -> None:
    bench = process()
    assert bench.bridge.vsis[ID].status().pending is Mode.ASSOCIATE and not bench.send()
    bench.hear(asking())
    assert not bench.send(), "asked already"
    assert bench.wait() == 2 * SECOND
    assert [tlv.response for tlv in bench.deliver()] == [Response.SUCCESS]


def test_manager_that_does_not_answer() -> None:
    """resource wait: a new VSI is refused, an associated one is kept."""
    bench = wait()
    bench.policy.replace(PolicyRules(default=Rule(delay=3600 * SECOND)))
    bench.hear(asking(vid=200), asking(number=1))
    assert bench.wait() == TIMERS.resource_wait
    answers = bench.deliver()
    assert [(tlv.response, tlv.keep) for tlv in answers] == [
        (Response.MANAGER_UNREACHABLE, True),
        (Response.MANAGER_UNREACHABLE, False),
    ]
    assert bench.vsi_state is VsiState.ASSOCIATED and len(bench.bridge.vsis) == 1


def test_silent_policy_answers_nobody() -> None:
    bench = Bench(PolicyRules(default=Rule(silent=True)))
    bench.hear(asking())
    assert not bench.send()
    bench.wait()
    assert not bench.bridge.vsis


def test_withdrawn() -> None:
    bench = Bench()
    bench.hear(*(asking(number=number) for number in range(5)))
    bench.deliver()
    bench.withdraw(ID, VsiId(5, bytes(16)))
    (told,) = bench.send()
    assert told.mode is Mode.DEASSOCIATE and told.response is None and told.vsi_id == ID
    assert bench.changes[-1].status.reason == "withdrawn by the operator"
    bench.do(bench.bridge.delivered(bench.now))
    assert len(bench.bridge.vsis) == 4
    bench.withdraw()
    assert len(bench.deliver()) == 4 and not bench.bridge.vsis


def test_withdrawal_that_is_not_heard_is_repeated() -> None:
    bench = deassociated()
    for _ in range(MAX_LOSSES + 1):
        assert [tlv.mode for tlv in bench.send()] == [Mode.DEASSOCIATE]
        bench.lose()
    assert not bench.bridge.vsis


def test_answer_that_is_lost_is_repeated() -> None:
    bench = Bench()
    bench.hear(asking())
    for _ in range(MAX_LOSSES + 1):
        assert [tlv.response for tlv in bench.send()] == [Response.SUCCESS]
        bench.lose()
    assert not bench.send(), "the station asks again when it is there"


def test_policy_that_changes() -> None:
    bench = Bench()
    bench.hear(asking(), asking(number=1, vid=200))
    bench.deliver()
    bench.policy.replace(PolicyRules(default=Rule(vids=((100, 199),))))
    bench.do(bench.bridge.reconsider(bench.now))
    assert [(tlv.mode, tlv.vsi_id.octets[-1]) for tlv in bench.deliver()] == [(Mode.DEASSOCIATE, 16)]
    assert bench.vsi_state is VsiState.ASSOCIATED


def test_a_decision_that_is_pending_is_made_by_the_new_policy() -> None:
    """Else the VSI would be granted when its time has come, and nobody would look at it again."""
    bench = Bench(PolicyRules(default=SLOW))
    bench.hear(asking())
    assert bench.state is State.PROCESS
    bench.policy.replace(PolicyRules(default=Rule(response=Response.OTHER_FAILURE)))
    bench.do(bench.bridge.reconsider(bench.now))
    (refusal,) = bench.deliver()
    assert refusal.response is Response.OTHER_FAILURE and not bench.bridge.vsis
    assert bench.bridge.next_deadline() is None and not list(bench.policy.holdings())
    bench.policy.replace(PolicyRules(default=SLOW))
    bench.hear(asking())
    bench.policy.replace(PolicyRules())
    bench.do(bench.bridge.reconsider(bench.now))
    (granted,) = bench.deliver()
    assert granted.response is Response.SUCCESS and bench.state is State.WAIT


def test_resources_come_back() -> None:
    bench = Bench(PolicyRules(capacity=2))
    bench.hear(*(asking(number=number) for number in range(3)))
    assert [tlv.response for tlv in bench.deliver()].count(Response.INSUFFICIENT_RESOURCES) == 1
    bench.hear(asking(Mode.DEASSOCIATE))
    bench.deliver()
    bench.hear(asking(number=2))
    assert [tlv.response for tlv in bench.deliver()] == [Response.SUCCESS]


def test_group_ids_are_for_those_who_agreed() -> None:
    tlv = asking(filters=Filters(3, (FilterEntry(0, None, None, 0x7927),)))
    bench = Bench()
    bench.hear(tlv)
    assert [answer.response for answer in bench.deliver()] == [Response.INVALID_FORMAT]
    bench = Bench(group_ids=True)
    bench.hear(tlv)
    (answer,) = bench.deliver()
    assert answer.response is Response.SUCCESS and answer.filters.entries[0].group == 0x7927


@pytest.mark.parametrize(
    "bad",
    [
        asking(vsi_id=VsiId(9, bytes(16))),
        asking(filters=Filters(9, (), 1, b"\x01\x02")),
        asking(vid=4095),
        asking(filters=Filters(2, (FilterEntry(100, None, b"\x01" + bytes(5), None),))),
    ],
)
def test_what_no_bridge_can_do_is_answered(bad: VsiTlv) -> None:
    bench = Bench()
    bench.hear(bad)
    payload = bench.bridge.next_payload(ROOM, 100, bench.now)
    assert payload is not None
    (answer,) = RATIFIED.decode(payload, False).vsis
    assert answer.response in (Response.INVALID_FORMAT, Response.INVALID_ADDRESS)
    assert answer == bad._replace(response=answer.response, code=answer.code)


def test_response_is_no_request() -> None:
    bench = Bench()
    bench.hear(asking(response=Response.SUCCESS))
    assert bench.bridge.statistics.unexpected == 1 and not bench.bridge.vsis


def test_full_table() -> None:
    bench = Bench(settings=BridgeSettings(max_vsis=3))
    bench.hear(*(asking(number=number) for number in range(4)))
    answers = bench.deliver()
    assert [tlv.response for tlv in answers] == [Response.SUCCESS] * 3 + [Response.INSUFFICIENT_RESOURCES]
    bench.hear(*(asking(number=number) for number in range(10, 10 + PASSERS_BY + 10)))
    assert len(bench.bridge.vsis) == 3 + PASSERS_BY and bench.bridge.statistics.dropped == 10


def test_a_full_table_is_no_concern_of_those_who_are_in_it() -> None:
    bench = Bench(settings=BridgeSettings(max_vsis=2))
    bench.hear(asking(Mode.PREASSOCIATE), asking(Mode.PREASSOCIATE, number=1), *(asking(number=n) for n in range(2, 9)))
    assert bench.bridge.statistics.no_room == 7
    bench.hear(asking())
    assert bench.vsi_state is VsiState.ASSOCIATED
    bench.do(bench.bridge.reconsider(bench.now))
    assert bench.vsi_state is VsiState.ASSOCIATED
    bench.deliver()
    assert len(bench.bridge.vsis) == 2 and bench.bridge.statistics.no_room == 7


def test_a_station_that_makes_up_a_hundred_thousand_vsis_fills_the_table_and_no_more() -> None:
    """And never acknowledges an answer."""
    bench = Bench(settings=BridgeSettings(max_vsis=100))
    bench.hear(asking())
    bench.deliver()
    for start in range(1, 100_001, 50):
        bench.hear(*(asking(number=number) for number in range(start, start + 50)))
        bench.changes.clear()
    assert len(bench.bridge.vsis) == 100 + PASSERS_BY
    statistics = bench.bridge.statistics
    assert statistics.no_room == PASSERS_BY and statistics.dropped == 100_000 - 99 - PASSERS_BY
    assert len(list(bench.policy.holdings())) == 100
    assert bench.vsi_state is VsiState.ASSOCIATED
    bench.hear(asking())
    assert [tlv.response for tlv in bench.deliver(most=1)] == [Response.SUCCESS]


def with_filters(count: int, number: int, mode: Mode = Mode.ASSOCIATE) -> VsiTlv:
    entries = tuple(FilterEntry(100 + vid, None, None, None) for vid in range(count))
    return asking(mode, number=number, filters=Filters(1, entries))


def test_filters_of_all_vsis_together_are_bounded() -> None:
    bench = Bench(settings=BridgeSettings(max_filters=100))
    bench.hear(with_filters(50, 0), with_filters(50, 1), with_filters(1, 2))
    answers = bench.deliver()
    assert [tlv.response for tlv in answers] == [Response.SUCCESS] * 2 + [Response.INSUFFICIENT_RESOURCES]
    assert bench.changes[-1].status.reason == "the port's VSIs have 100 filters already"
    assert bench.bridge.statistics.no_room == 1
    # Who is in may repeat what he has, ask for less, or leave, which makes room; with more he keeps what he had.
    bench.hear(with_filters(51, 0))
    (refused,) = bench.deliver()
    assert (refused.response, refused.keep) == (Response.INSUFFICIENT_RESOURCES, True)
    assert bench.vsi_state is VsiState.ASSOCIATED
    bench.hear(with_filters(50, 0), with_filters(40, 1))
    assert [tlv.response for tlv in bench.deliver()] == [Response.SUCCESS] * 2
    bench.hear(with_filters(10, 3))
    assert [tlv.response for tlv in bench.deliver()] == [Response.SUCCESS]
    for tlv in (with_filters(50, 0, Mode.DEASSOCIATE), with_filters(50, 4)):
        bench.hear(tlv)
        assert [answered.response for answered in bench.deliver()] == [Response.SUCCESS]


def test_organizational_tlvs_count_as_filters_do() -> None:
    bench = Bench(settings=BridgeSettings(max_filters=10))
    bench.hear(asking(organizational=(OrganizationalTlv(b"abc", b""),) * 10))
    assert [tlv.response for tlv in bench.deliver()] == [Response.INSUFFICIENT_RESOURCES]


def test_what_is_remembered_of_the_refused_is_bounded_too() -> None:
    bench = Bench(settings=BridgeSettings(max_filters=10))
    bench.hear(*(with_filters(200, number) for number in range(100)))
    held = sum(vsi.weight for vsi in bench.bridge.vsis.values())
    assert 10 < held <= 10 + PASSING_FILTERS
    assert bench.bridge.statistics.dropped == 100 - len(bench.bridge.vsis) > 0
    assert bench.bridge.statistics.no_room == len(bench.bridge.vsis)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.integers(1, 12), st.sampled_from(Mode), st.sampled_from(["hear", "send", "lose"])
        ),
        max_size=40,
    )
)
def test_what_is_counted_is_what_is_held(steps: list[tuple[int, int, Mode, str]]) -> None:
    bench = Bench(settings=BridgeSettings(max_vsis=4, max_filters=20))
    for number, count, mode, what in steps:
        bench.hear(with_filters(count, number, mode))
        if what == "send":
            bench.deliver(most=2)
        elif what == "lose":
            bench.send(most=2)
            bench.lose()
        assert bench.bridge._filters == sum(vsi.weight for vsi in bench.bridge.vsis.values())
    bench.do(bench.bridge.close("the link is down", bench.now))
    assert bench.bridge._filters == 0


def test_link_down_forgets_everything() -> None:
    bench = wait()
    bench.do(bench.bridge.close("the link is down", bench.now))
    assert not bench.bridge.vsis and bench.changes[-1].gone and bench.changes[-1].status.reason == "the link is down"
    bench.hear(asking())
    assert not bench.bridge.vsis and bench.bridge.statistics.unexpected == 1


def test_another_edition_starts_over() -> None:
    bench = wait()
    bench.edition = DRAFT
    bench.open()
    assert not bench.bridge.vsis


def test_released_before_it_was_decided_is_told_as_gone() -> None:
    bench = process()
    assert not bench.changes[-1].gone
    bench.hear(asking(Mode.DEASSOCIATE))
    assert bench.changes[-1].gone and [tlv.mode for tlv in bench.deliver()] == [Mode.DEASSOCIATE]
