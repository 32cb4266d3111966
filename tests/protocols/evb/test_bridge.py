"""The bridge: its table with every state and every event, what it says, and how reflective relay comes and goes."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

import pytest

from protocols.evb.bridge import TRANSITIONS, WITHDRAWAL_GRACE, Action, EvbBridge, Event, RelayState, SetRelay
from protocols.evb.draft import DRAFT
from protocols.evb.peers import EvbBody, NeighborKey
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import EvbSettings, Relay
from protocols.timers import Instant

HOST: NeighborKey = (4, b"host", 3, b"eth0")
OTHER: NeighborKey = (4, b"other", 3, b"eth0")
SETTINGS = EvbSettings((RATIFIED, DRAFT))
NOT_OFFERED = replace(SETTINGS, reflective_relay=False)
NOW: Instant = 1000
ON, OFF = [SetRelay(True)], [SetRelay(False)]


def names(key: NeighborKey) -> str:
    return key[1].decode()


def ratified(octets: str) -> list[EvbBody]:
    return [(bytes.fromhex("0080c2"), 13, bytes.fromhex(octets))]


def draft(octets: str) -> list[EvbBody]:
    return [(bytes.fromhex("001b3f"), 0, bytes.fromhex(octets))]


ASKS = ratified("0007 6e 94 14")  # RRREQ, RRSTAT unknown
ASKS_HAS_NONE = ratified("0204 6e 94 14")
ASKS_COUNTS_ON_IT = ratified("0305 6e 94 14")
DOES_NOT_ASK = ratified("0200 6e 94 14")
DRAFT_ASKS = draft("4004 8000 0000 0000 0e")
DRAFT_COUNTS_ON_IT = draft("4004 4004 0000 0000 0e")
DRAFT_STANDARD = draft("8004 8004 0000 0000 0e")


class Bench:
    """A bridge's machine on a port that obeys, unless `refusal` says why not. Keeps what was asked of the port."""

    def __init__(self, settings: EvbSettings = SETTINGS, able: bool = True) -> None:
        self.evb = EvbBridge(settings)
        self.now = NOW
        self.refusal: str | None = None
        self.switched: list[bool] = []
        if able:
            self.able(True)

    def hear(self, bodies: Iterable[EvbBody], key: NeighborKey = HOST) -> "Bench":
        self.evb.heard(key, bodies)
        return self.run()

    def lose(self, key: NeighborKey = HOST) -> "Bench":
        self.evb.lost(key)
        return self.run()

    def configure(self, settings: EvbSettings) -> "Bench":
        self.evb.configure(settings)
        return self.run()

    def able(self, able: bool, because: str = "it is not a port of a bridge") -> "Bench":
        self.evb.set_able(able, because, self.now)
        return self.run()

    def foreign(self, error: str = "cleared by somebody else") -> "Bench":
        return self.obey(self.evb.relay_set(False, error, self.now)).run()

    def wait(self, microseconds: int) -> "Bench":
        self.now += microseconds
        return self.obey(self.evb.advance(self.now))

    def run(self) -> "Bench":
        return self.obey(self.evb.run(self.now))

    def obey(self, effects: list[SetRelay]) -> "Bench":
        while effects:
            (effect,) = effects
            self.switched.append(effect.on)
            if self.refusal is None:
                effects = self.evb.relay_set(effect.on, None, self.now)
            else:
                effects = self.evb.relay_set(not effect.on, self.refusal, self.now)
        return self

    def take(self) -> list[bool]:
        switched, self.switched = self.switched, []
        return switched

    def says(self) -> str:
        oui, _, body = self.evb.tlv()
        return ("ratified " if oui.hex() == "0080c2" else "draft ") + body.hex()

    def why(self) -> str:
        return self.evb.forwarding(True, names).reason


# The table, written down a second time. Action and next state; a blank changes nothing.

EXPECTED = """
state         WANTED              RELEASED                 WITHDRAWN                 GRACE_OVER               SET_ON  SET_OFF  SET_FAILED  PORT_TAKEN
OFF           on>TURNING_ON       -                        -                         -                        -       -        -           -
TURNING_ON    -                   off>TURNING_OFF          off>TURNING_OFF           -                        >ON     -        >FAILED     -
ON            -                   off>TURNING_OFF          grace>WITHDRAWING         -                        -       -        >FAILED     >OFF
WITHDRAWING   >ON                 off>TURNING_OFF          -                         off>TURNING_OFF          -       -        >OFF        >OFF
TURNING_OFF   -                   -                        -                         -                        -       >OFF     >OFF        -
FAILED        -                   >OFF                     >OFF                      -                        -       -        -           >OFF
"""  # noqa: E501
ACTIONS = {"": Action.NOTHING, "on": Action.SWITCH_ON, "off": Action.SWITCH_OFF, "grace": Action.START_GRACE}


def expected_table() -> dict[tuple[RelayState, Event], tuple[Action, RelayState] | None]:
    head, *rows = [line.split() for line in EXPECTED.strip().splitlines()]
    table: dict[tuple[RelayState, Event], tuple[Action, RelayState] | None] = {}
    for state, *cells in rows:
        for event, cell in zip(head[1:], cells, strict=True):
            action, _, after = cell.partition(">")
            table[RelayState[state], Event[event]] = None if cell == "-" else (ACTIONS[action], RelayState[after])
    return table


def test_the_table_is_complete() -> None:
    assert set(expected_table()) == set(product(RelayState, Event))
    assert {pair: cell for pair, cell in expected_table().items() if cell} == TRANSITIONS


@pytest.mark.parametrize(("state", "event"), list(product(RelayState, Event)))
def test_every_state_with_every_event(state: RelayState, event: Event) -> None:
    evb = EvbBridge(SETTINGS)
    evb.state = state
    effects = evb._step(event, NOW)
    cell = expected_table()[state, event]
    if cell is None:
        assert (effects, evb.state, evb.next_deadline()) == ([], state, None)
        return
    action, after = cell
    asked = {Action.SWITCH_ON: ON, Action.SWITCH_OFF: OFF}.get(action, [])
    assert (effects, evb.state) == (asked, after)
    assert evb.next_deadline() == (NOW + WITHDRAWAL_GRACE if action is Action.START_GRACE else None)


def test_the_grace_ends_with_the_withdrawal() -> None:
    for end in (Event.WANTED, Event.RELEASED, Event.SET_FAILED, Event.PORT_TAKEN):
        evb = EvbBridge(SETTINGS)
        evb.state = RelayState.ON
        evb._step(Event.WITHDRAWN, NOW)
        assert evb._step(Event.WITHDRAWN, NOW + 1) == [] and evb.next_deadline() == NOW + WITHDRAWAL_GRACE
        evb._step(end, NOW + 2)
        assert evb.next_deadline() is None


# What is heard, what is asked of the port, what is said then, and the answer.
#
# ratified octets: BGID RRCAP RRCTR, copy of the station status, R and RTE, mode ROL RWD, ROL RKA
TABLE: dict[str, tuple[list[EvbBody] | None, list[bool], str, Relay, str | None, str]] = {
    "nobody": (None, [], "ratified 02006e5414", Relay.UNKNOWN, None, "no neighbor has been heard on this link"),
    "ordinary LLDP": ([], [], "ratified 02006e5414", Relay.INACTIVE, None, "the neighbor speaks LLDP but not EVB"),
    "a station that asks": (ASKS, [True], "ratified 03076e5414", Relay.ACTIVE, "ratified", "reflecting for host"),
    "a station that counts on it": (
        ASKS_COUNTS_ON_IT,
        [True],
        "ratified 03056e5414",
        Relay.ACTIVE,
        "ratified",
        "reflecting for host",
    ),
    "a station that does not ask": (
        DOES_NOT_ASK,
        [],
        "ratified 02006e5414",
        Relay.INACTIVE,
        "ratified",
        "host does not ask for reflective relay",
    ),
    "another bridge": (
        ratified("0304 6e 54 14"),
        [],
        "ratified 02006e5414",
        Relay.INACTIVE,
        None,
        "host is an EVB bridge, not a station",
    ),
    "no usable role": (
        ratified("0007 6e 14 14"),
        [],
        "ratified 02006e5414",
        Relay.INACTIVE,
        None,
        "host sends an EVB TLV that names no usable role",
    ),
    "draft, asks": (DRAFT_ASKS, [True], "draft 40044004000000000e", Relay.ACTIVE, "draft", "reflecting for host"),
    "draft, standard bridging": (
        DRAFT_STANDARD,
        [],
        "draft 40048004000000000e",
        Relay.INACTIVE,
        "draft",
        "host does not ask for reflective relay",
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_is_done_and_said(case: str) -> None:
    bodies, switched, words, relay, edition, reason = TABLE[case]
    bench = Bench()
    if bodies is not None:
        bench.hear(bodies)
    assert (bench.take(), bench.says()) == (switched, words)
    forwarding = bench.evb.forwarding(bodies is not None, names)
    assert (forwarding.relay, forwarding.edition, forwarding.reason) == (relay, edition, reason)
    assert bench.evb.operational.reflective_relay is bench.evb.relay_active is (relay is Relay.ACTIVE)


@pytest.mark.parametrize("case", TABLE)
def test_after_the_loss_it_says_what_it_said_first_and_reflects_no_more(case: str) -> None:
    bodies, switched, *_ = TABLE[case]
    first = Bench().says()
    for forget in (lambda evb: evb.lost(HOST), EvbBridge.clear, lambda evb: evb.heard(HOST, [])):
        bench = Bench().hear(bodies or [])
        forget(bench.evb)
        bench.run()
        assert bench.take() == switched + [False] * len(switched)
        assert bench.says() == first and bench.evb.state is RelayState.OFF


def test_relay_control_is_said_only_when_the_port_has_confirmed() -> None:
    bench = Bench()
    bench.evb.heard(HOST, ASKS)
    assert bench.evb.run(NOW) == ON
    assert bench.says() == "ratified 02076e5414" and not bench.evb.relay_active
    assert bench.why() == "reflective relay is being switched on"
    assert bench.evb.run(NOW) == []
    bench.evb.relay_set(True, None, NOW)
    assert bench.says() == "ratified 03076e5414"


def test_a_station_that_is_gone_before_the_port_confirms() -> None:
    bench = Bench()
    bench.evb.heard(HOST, ASKS)
    assert bench.evb.run(NOW) == ON
    bench.evb.lost(HOST)
    assert bench.evb.run(NOW) == OFF
    assert bench.evb.relay_set(False, None, NOW) == [] and bench.evb.state is RelayState.OFF


def test_a_station_that_is_back_before_the_port_confirms() -> None:
    bench = Bench().hear(ASKS)
    bench.evb.lost(HOST)
    assert bench.evb.run(NOW) == OFF
    bench.evb.heard(HOST, ASKS)
    assert bench.evb.run(NOW) == []
    assert bench.evb.relay_set(False, None, NOW) == ON


# Withdrawal.


@pytest.mark.parametrize("counting", [ASKS_COUNTS_ON_IT, DRAFT_COUNTS_ON_IT], ids=["ratified", "draft"])
def test_a_withdrawal_is_said_first_and_done_when_the_station_has_answered(counting: list[EvbBody]) -> None:
    answer = ASKS_HAS_NONE if counting is ASKS_COUNTS_ON_IT else draft("4004 8004 0000 0000 0e")
    bench = Bench().hear(counting)
    bench.take()
    bench.configure(NOT_OFFERED)
    assert bench.take() == [] and bench.evb.state is RelayState.WITHDRAWING
    assert not bench.evb.relay_active
    assert bench.says() in ("ratified 00056e5414", "draft 80048004000000000e")
    assert bench.why() == "reflective relay is not offered (configuration)"
    bench.hear(answer)
    assert bench.take() == [False] and bench.evb.next_deadline() is None


def test_a_withdrawal_waits_no_longer_than_the_grace() -> None:
    bench = Bench().hear(ASKS_COUNTS_ON_IT).configure(NOT_OFFERED)
    bench.take()
    bench.wait(WITHDRAWAL_GRACE - 1)
    bench.hear(ASKS_COUNTS_ON_IT)
    assert bench.take() == []
    bench.wait(1)
    assert bench.take() == [False] and bench.evb.state is RelayState.OFF


@pytest.mark.parametrize("end", ["lost", "does not ask"])
def test_a_withdrawal_ends_with_the_station(end: str) -> None:
    bench = Bench().hear(ASKS_COUNTS_ON_IT).configure(NOT_OFFERED)
    bench.take()
    if end == "lost":
        bench.lose()
    else:
        bench.hear(DOES_NOT_ASK)
    assert bench.take() == [False]


def test_a_station_that_does_not_count_on_it_is_not_waited_for() -> None:
    bench = Bench().hear(ASKS_HAS_NONE).configure(NOT_OFFERED)
    assert bench.take() == [True, False]


def test_a_withdrawal_that_is_taken_back_leaves_the_port_as_it_is() -> None:
    bench = Bench().hear(ASKS_COUNTS_ON_IT).configure(NOT_OFFERED).configure(SETTINGS)
    assert bench.take() == [True] and bench.evb.relay_active and bench.evb.next_deadline() is None


# Ability.


def test_a_port_that_cannot_reflect_says_so() -> None:
    bench = Bench(able=False).hear(ASKS)
    assert bench.take() == [] and bench.says() == "ratified 00076e5414"
    assert bench.why() == "this port cannot reflect: it is not a port of a bridge"
    bench.able(True)
    assert bench.take() == [True] and bench.says() == "ratified 03076e5414"
    bench.able(False, "the agent is ending")
    assert bench.take() == [False]
    assert bench.why() == "this port cannot reflect: the agent is ending"


def test_an_ending_agent_lets_the_station_answer_first() -> None:
    bench = Bench().hear(ASKS_COUNTS_ON_IT).able(False, "the agent is ending")
    assert bench.take() == [True] and bench.evb.state is RelayState.WITHDRAWING
    bench.hear(ASKS_HAS_NONE)
    assert bench.take() == [False]


@pytest.mark.parametrize("before", ["on", "withdrawing", "failed"])
def test_another_port_of_a_bridge_is_switched_on_anew(before: str) -> None:
    """The link has left its bridge and joined another (or the same again): its new port does not reflect yet."""
    bench = Bench().hear(ASKS_COUNTS_ON_IT)
    if before == "withdrawing":
        bench.able(False)
    elif before == "failed":
        bench.foreign()
    bench.take()
    bench.able(True)
    assert bench.take() == [True] and bench.evb.relay_active
    assert bench.evb.warnings(names) == []


# Failure.


def test_a_port_that_cannot_be_switched_on() -> None:
    bench = Bench()
    bench.refusal = "Operation not permitted"
    bench.hear(ASKS)
    assert bench.take() == [True] and bench.evb.state is RelayState.FAILED
    assert bench.says() == "ratified 02076e5414" and not bench.evb.relay_active
    assert bench.why() == "reflective relay could not be switched on: Operation not permitted"
    assert bench.evb.warnings(names) == ["reflective relay: Operation not permitted"]
    bench.hear(ASKS_HAS_NONE)
    assert bench.take() == [], "it is not tried again with every frame"


@pytest.mark.parametrize("end", ["lost", "does not ask", "not offered"])
def test_a_failure_is_over_with_the_wish(end: str) -> None:
    bench = Bench()
    bench.refusal = "Operation not permitted"
    bench.hear(ASKS)
    match end:
        case "lost":
            bench.lose()
        case "does not ask":
            bench.hear(DOES_NOT_ASK)
        case _:
            bench.configure(NOT_OFFERED)
    assert bench.evb.state is RelayState.OFF and bench.evb.warnings(names) == []
    bench.refusal = None
    bench.configure(SETTINGS).hear(ASKS)
    assert bench.take() == [True, True] and bench.evb.relay_active


def test_a_port_that_somebody_else_switched_back() -> None:
    bench = Bench().hear(ASKS_COUNTS_ON_IT)
    bench.take()
    bench.foreign()
    assert bench.take() == [] and bench.says() == "ratified 02056e5414"
    assert bench.why() == "reflective relay could not be switched on: cleared by somebody else"
    assert bench.evb.warnings(names) == ["reflective relay: cleared by somebody else"]


def test_a_port_that_somebody_else_switched_back_during_a_withdrawal() -> None:
    bench = Bench().hear(ASKS_COUNTS_ON_IT).configure(NOT_OFFERED).foreign()
    assert bench.take() == [True] and bench.evb.state is RelayState.OFF


def test_a_port_that_cannot_be_switched_off_is_reported_and_not_named_as_the_obstacle() -> None:
    bench = Bench().hear(ASKS)
    bench.refusal = "Device is busy"
    bench.hear(DOES_NOT_ASK)
    assert bench.take() == [True, False] and bench.evb.state is RelayState.OFF
    assert bench.evb.warnings(names) == ["reflective relay: Device is busy"]
    assert bench.why() == "host does not ask for reflective relay"
    bench.refusal = None
    bench.hear(ASKS)
    assert bench.evb.relay_active and bench.evb.warnings(names) == []


def test_news_of_a_port_that_is_as_it_should_be_changes_nothing() -> None:
    bench = Bench().hear(ASKS)
    assert bench.evb.relay_set(True, None, NOW) == [] and bench.evb.relay_active
    bench = Bench()
    assert bench.evb.relay_set(False, None, NOW) == [] and bench.evb.state is RelayState.OFF


# Crowds, warnings, words.


def test_two_stations_are_none() -> None:
    bench = Bench().hear(ASKS).hear(ASKS_COUNTS_ON_IT, OTHER)
    assert bench.take() == [True, False] and bench.says() == "ratified 02006e5414"
    assert bench.why() == "2 systems claim to be the station: host, other"
    assert bench.evb.warnings(names) == ["2 systems claim to be the station: host, other"]
    bench.lose(HOST)
    assert bench.take() == [True] and bench.evb.warnings(names) == []


def test_warnings_of_role_and_exponents() -> None:
    bench = Bench().hear(ratified("0300 6e 54 14"))
    assert bench.evb.warnings(names) == ["role conflict: host is an EVB bridge too"]
    bench.hear(ratified("0007 7d 9e 14"))
    assert bench.evb.warnings(names) == ["host proposes RTE=29, RWD=30, above the greatest usable 27: refused"]


def test_editions_follow_the_settings() -> None:
    bench = Bench().hear(DRAFT_ASKS)
    assert bench.evb.edition is DRAFT
    bench.configure(EvbSettings((RATIFIED,)))
    assert bench.evb.edition is RATIFIED and bench.take() == [True, False]


def test_what_only_repeats_the_station_is_no_word_of_our_own() -> None:
    bench = Bench().hear(ASKS)
    words, said = bench.evb.own_words(), bench.says()
    bench.hear(ASKS_COUNTS_ON_IT)
    assert bench.evb.own_words() == words and bench.says() != said
