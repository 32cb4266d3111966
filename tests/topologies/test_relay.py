"""Reflective relay comes and goes while the link stays: requests, withdrawal, failures, other people's hands."""

import pytest

from protocols.evb.bridge import WITHDRAWAL_GRACE
from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import Edition, Relay
from protocols.port import RelayAble
from protocols.timers import SECOND
from tests.support.wire import (
    MILLISECOND,
    End,
    Weather,
    Wire,
    agree,
    bridge,
    reflects,
    station,
)

LATENCY = 200


def pair(edition: Edition = RATIFIED, able: bool = True, plug: bool = True) -> tuple[Wire, End, End]:
    s, b = station(editions=(edition,)), bridge(editions=(edition,), able=able)
    wire = Wire(s, b, weather=Weather(latency=LATENCY))
    wire.start()
    if plug:
        wire.plug()
        wire.run(10 * SECOND)
    return wire, s, b


EDITIONS = pytest.mark.parametrize("edition", [RATIFIED, DRAFT], ids=["ratified", "draft"])


@EDITIONS
def test_the_station_stops_asking_and_asks_again(edition: Edition) -> None:
    wire, s, b = pair(edition)
    assert agree(wire, s, b)
    for _ in range(3):
        wire.evb_settings(s, reflective_relay=False)
        assert not s.active, "the station's guests leave VEPA before the switch hears of it"
        assert wire.run_until(lambda: not b.hairpin) <= MILLISECOND
        wire.run(5 * SECOND)
        wire.evb_settings(s, reflective_relay=True)
        assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND
        wire.run(5 * SECOND)


@EDITIONS
def test_the_switch_withdraws(edition: Edition) -> None:
    """It says so first; the port goes on reflecting until the station has answered: nobody is cut off."""
    wire, s, b = pair(edition)
    wire.evb_settings(b, reflective_relay=False)
    assert b.hairpin and not b.active
    wire.run_until(lambda: not s.active)
    assert b.hairpin, "the station's guests leave VEPA while the port still reflects"
    assert wire.run_until(lambda: not b.hairpin) <= MILLISECOND
    wire.run(60 * SECOND)
    assert s.relay is Relay.INACTIVE and not b.hairpin
    wire.evb_settings(b, reflective_relay=True)
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND


@EDITIONS
def test_the_switch_withdraws_from_a_station_that_does_not_answer(edition: Edition) -> None:
    wire, s, b = pair(edition)
    wire.kill(s)
    wire.evb_settings(b, reflective_relay=False)
    wire.run(WITHDRAWAL_GRACE - 1)
    assert b.hairpin
    wire.run(1)
    assert not b.hairpin


def test_a_withdrawal_without_credit_to_say_so() -> None:
    wire, s, b = pair()
    for value in range(8):  # eat the credit
        wire.parameters(b, rte=10 + value)
    wire.evb_settings(b, reflective_relay=False)
    wire.run(WITHDRAWAL_GRACE)
    assert not b.hairpin
    wire.run(2 * SECOND)
    assert s.relay is Relay.INACTIVE


def test_a_withdrawal_that_is_taken_back_in_time() -> None:
    wire, s, b = pair()
    wire.evb_settings(b, reflective_relay=False)
    wire.evb_settings(b, reflective_relay=True)
    assert b.hairpin
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND
    wire.run(2 * SECOND)
    assert agree(wire, s, b) and len(b.switched) == 1


def test_a_port_that_cannot_be_switched() -> None:
    wire, s, b = pair(plug=False)
    b.refusal = "Operation not permitted"
    wire.plug()
    wire.run(60 * SECOND)
    assert s.relay is b.relay is Relay.INACTIVE and not b.hairpin
    assert b.reason == "reflective relay could not be switched on: Operation not permitted"
    assert s.reason.endswith("is able to do reflective relay but has not switched it on")
    assert b.stack.warnings == ("reflective relay: Operation not permitted",)
    # It is tried again when the station asks anew.
    b.refusal = None
    wire.evb_settings(s, reflective_relay=False)
    wire.run(SECOND)
    wire.evb_settings(s, reflective_relay=True)
    wire.run(SECOND)
    assert agree(wire, s, b) and b.stack.warnings == ()


def test_a_port_that_cannot_be_switched_off() -> None:
    wire, s, b = pair()
    b.refusal = "Device or resource busy"
    wire.evb_settings(s, reflective_relay=False)
    wire.run(5 * SECOND)
    assert not s.active and not reflects(b) and b.hairpin
    assert b.stack.warnings == ("reflective relay: Device or resource busy",)
    assert b.reason.endswith("does not ask for reflective relay")


def test_somebody_else_clears_the_hairpin_flag() -> None:
    """No fight over the flag: it stays off until the station asks anew, and everybody says so."""
    wire, s, b = pair()
    wire.clear_hairpin(b)
    assert wire.run_until(lambda: not s.active) <= MILLISECOND
    assert b.relay is Relay.INACTIVE and "cleared by somebody else" in b.reason
    wire.run(300 * SECOND)
    assert not b.hairpin and s.relay is Relay.INACTIVE and len(b.switched) == 1
    wire.unplug()
    wire.plug()
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND


def test_the_port_joins_its_bridge_later_and_leaves_it() -> None:
    wire, s, b = pair(able=False)
    assert s.relay is b.relay is Relay.INACTIVE
    assert s.reason == "02:00:00:00:00:0b cannot do reflective relay"
    assert b.reason == "this port cannot reflect: it is not a port of a bridge"
    wire.request(b, RelayAble(True))
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND
    wire.request(b, RelayAble(False, "it is not a port of a bridge"))
    assert wire.run_until(lambda: not s.active) <= MILLISECOND
    wire.run(SECOND)
    assert not b.hairpin


@pytest.mark.parametrize("pause", [0, 100 * MILLISECOND, 2 * SECOND])
def test_the_port_moves_to_another_bridge(pause: int) -> None:
    """Its new port does not reflect until it is told to, whatever the machine thought of the old one."""
    wire, s, b = pair()
    b.hairpin = False  # the flag went with the old port
    if pause:
        wire.request(b, RelayAble(False, "it is not a port of a bridge"))
        wire.run(pause)
    wire.request(b, RelayAble(True))
    wire.run(20 * MILLISECOND)
    assert agree(wire, s, b)


def test_neither_wants() -> None:
    wire, s, b = pair(plug=False)
    wire.evb_settings(s, reflective_relay=False)
    wire.evb_settings(b, reflective_relay=False)
    wire.plug()
    wire.run(60 * SECOND)
    assert s.relay is b.relay is Relay.INACTIVE and b.switched == []
