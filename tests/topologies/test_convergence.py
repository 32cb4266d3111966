"""From link up to agreement: how many LLDPDUs, how much time; late starters, flaps, a day of quiet."""

import pytest

from protocols.evb.status import Relay
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.timers import SECOND
from tests.support.wire import (
    MILLISECOND,
    End,
    Weather,
    Wire,
    agree,
    bridge,
    evb_octets,
    reflects,
    station,
)


def pair(latency: int = 50, **settings: object) -> tuple[Wire, End, End]:
    s, b = station(**settings), bridge(**settings)
    wire = Wire(s, b, weather=Weather(latency=latency))
    wire.start()
    return wire, s, b


@pytest.mark.parametrize("latency", [0, 50, MILLISECOND, 4 * MILLISECOND])
def test_link_up_to_agreement(latency: int) -> None:
    wire, s, b = pair(latency)
    wire.plug()
    begun = wire.now
    took = wire.run_until(lambda: agree(wire, s, b))
    assert took <= 4 * latency <= 20 * MILLISECOND, "as many journeys as the negotiation has steps, and no wait"
    assert 3 <= len(wire.sent) <= 5
    wire.run(begun + SECOND - 1 - wire.now)
    assert len(wire.sent) <= 5, wire.story()


def test_the_frames_of_an_agreement() -> None:
    """Bridge status, station status of each LLDPDU: the steps of the sheet."""
    wire, s, b = pair()
    wire.plug()
    wire.run(SECOND // 2)
    assert [(sent.sender, evb_octets(sent.data)[:4]) for sent in wire.sent] == [
        ("station", "0007"),  # asks; relay unknown
        ("bridge", "0200"),  # able
        ("bridge", "0307"),  # has heard the request: reflects
        ("station", "0204"),  # has heard the first one: able, not on
        ("station", "0305"),  # has it
    ]
    assert s.answers == [Relay.INACTIVE, Relay.ACTIVE] and b.answers == [Relay.ACTIVE]


def test_fast_start_and_then_the_quiet_of_30_seconds() -> None:
    wire, s, b = pair()
    wire.plug()
    wire.run(5 * SECOND)
    early = len(wire.sent)
    assert early <= 5 + 2 * 3, "fast start: txFastInit frames a second apart"
    since = wire.now
    wire.run(300 * SECOND)
    assert len(wire.frames(since=since)) == 2 * 10 and agree(wire, s, b)
    assert len(wire.frames(s, since)) == len(wire.frames(b, since)) == 10


def test_a_day() -> None:
    wire, s, b = pair()
    wire.plug()
    wire.run(10 * SECOND)
    events = len(s.events), len(b.events)
    since = wire.now
    wire.run(86_400 * SECOND)
    assert (len(s.events), len(b.events)) == events and agree(wire, s, b)
    assert len(wire.frames(since=since)) == 2 * 86_400 // 30
    assert len(b.switched) == 1


@pytest.mark.parametrize("early", ["station", "bridge"])
@pytest.mark.parametrize("age", [0.3, 10, 29.9, 500])
def test_a_late_starter_is_answered_at_once(early: str, age: float) -> None:
    s, b = station(), bridge()
    wire = Wire(s, b)
    wire.plug()
    wire.start(s if early == "station" else b)
    wire.run(round(age * SECOND))
    sent = len(wire.sent)
    wire.start(b if early == "station" else s)
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND
    wire.run(SECOND // 2)
    assert len(wire.sent) - sent <= 5, wire.story()


def test_three_scopes_at_both_ends_do_not_disturb_the_negotiation() -> None:
    wire, s, b = pair(admin_status=dict.fromkeys(Scope, AdminStatus.TX_AND_RX))
    wire.plug()
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND
    wire.run(SECOND // 2)
    evb = [sent for sent in wire.sent if sent.data[:6] == Scope.NEAREST_CUSTOMER_BRIDGE.address]
    assert len(evb) <= 5
    assert s.neighbors == b.neighbors == 3


@pytest.mark.parametrize("gap", [1, 100 * MILLISECOND, 60 * SECOND, 300 * SECOND])
def test_a_flap(gap: int) -> None:
    wire, s, b = pair()
    wire.plug()
    wire.run(40 * SECOND)
    wire.unplug()
    assert not s.active and not b.hairpin and s.relay is b.relay is Relay.UNKNOWN
    wire.run(gap)
    assert wire.sent[-1].time <= wire.now - gap
    sent = len(wire.sent)
    wire.plug()
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND
    wire.run(SECOND // 2)
    assert len(wire.sent) - sent <= 5


def test_flapping_leaves_nothing_behind() -> None:
    wire, s, b = pair()
    for _ in range(50):
        wire.plug()
        wire.run(60)
        wire.unplug()
        wire.run(60)
    wire.plug()
    wire.run_until(lambda: agree(wire, s, b))
    assert s.neighbors == b.neighbors == 1
    wire.unplug()
    wire.run(200 * SECOND)
    assert s.neighbors == b.neighbors == 0 and not reflects(b)
    assert s.stack.next_deadline() is b.stack.next_deadline() is None
