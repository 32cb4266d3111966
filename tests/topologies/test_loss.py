"""A wire that loses, repeats and reorders frames."""

from itertools import combinations

import pytest

from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import Edition, Relay
from protocols.timers import SECOND
from tests.support.wire import MILLISECOND, End, Weather, Wire, agree, bridge, station

EDITIONS = pytest.mark.parametrize("edition", [RATIFIED, DRAFT], ids=["ratified", "draft"])


def pair(edition: Edition = RATIFIED, weather: Weather | None = None, seed: int = 0) -> tuple[Wire, End, End]:
    s, b = station(editions=(edition,)), bridge(editions=(edition,))
    wire = Wire(s, b, weather=weather, seed=seed)
    wire.start()
    return wire, s, b


@EDITIONS
@pytest.mark.parametrize("lost", range(6))
def test_any_one_frame_of_the_negotiation_is_lost(lost: int, edition: Edition) -> None:
    wire, s, b = pair(edition)
    wire.lost = {lost}
    wire.plug()
    assert wire.run_until(lambda: agree(wire, s, b)) <= SECOND + 20 * MILLISECOND, "the next frame of the fast start"


@EDITIONS
def test_any_two_of_the_first_eight_frames_are_lost(edition: Edition) -> None:
    """All are heard in the end; when both first frames are lost nobody knows of anybody until the next regular one."""
    for lost in combinations(range(8), 2):
        wire, s, b = pair(edition)
        wire.lost = set(lost)
        wire.plug()
        limit = 30 * SECOND + 20 * MILLISECOND if lost == (0, 1) else 2 * SECOND + 20 * MILLISECOND
        assert wire.run_until(lambda s=s, b=b, wire=wire: agree(wire, s, b), 31 * SECOND) <= limit, lost


@pytest.mark.parametrize("seed", range(10))
def test_half_of_all_frames_are_lost(seed: int) -> None:
    wire, s, b = pair(weather=Weather(loss=0.5), seed=seed)
    wire.plug()
    wire.run_until(lambda: agree(wire, s, b), 400 * SECOND)


def test_an_outage_shorter_than_the_ttl_is_not_noticed_and_a_longer_one_is() -> None:
    wire, s, b = pair()
    wire.plug()
    wire.run(10 * SECOND)
    wire.weather = Weather(loss=1.0)
    wire.run(90 * SECOND)
    assert agree(wire, s, b)
    wire.run(32 * SECOND)
    assert s.relay is b.relay is Relay.UNKNOWN and not b.hairpin
    wire.weather = Weather()
    assert wire.run_until(lambda: agree(wire, s, b), 31 * SECOND) <= 30 * SECOND + 20 * MILLISECOND


@EDITIONS
@pytest.mark.parametrize("way", ["to the station", "to the bridge"])
def test_a_wire_that_works_one_way(way: str, edition: Edition) -> None:
    """Nobody takes reflective relay for agreed whom the bridge does not hear; a bridge may reflect for the deaf."""
    wire, s, b = pair(edition)
    deaf = s if way == "to the bridge" else b
    wire.plug()
    for _ in range(40):
        wire.lost = set(range(len(wire.sent), len(wire.sent) + 50))
        sent = len(wire.sent)
        wire.run(5 * SECOND)
        for frame in wire.sent[sent:]:
            if frame.sender != deaf.name:
                continue
            wire.inject(frame.data, b if deaf is s else s)
    assert not s.active
    assert b.hairpin is (deaf is s)


@EDITIONS
def test_repeated_frames_change_nothing(edition: Edition) -> None:
    wire, s, b = pair(edition, Weather(duplication=1.0))
    wire.plug()
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND
    wire.run(SECOND // 2)
    assert len(wire.sent) <= 5
    assert len(b.switched) == 1


@EDITIONS
@pytest.mark.parametrize("seed", range(10))
def test_reordered_frames_delay_the_agreement_by_a_second_or_two(seed: int, edition: Edition) -> None:
    wire, s, b = pair(edition, Weather(reordering=0.5), seed)
    wire.plug()
    wire.run(4 * SECOND)
    wire.weather = Weather()
    wire.run(35 * SECOND)
    assert agree(wire, s, b)


def test_the_last_word_of_a_negotiation_arrives_before_the_one_before_it() -> None:
    """A stale RRCTR 0 after the RRCTR 1: the station falls back, says so, and is corrected."""
    wire, s, b = pair()
    wire.plug()
    wire.run(10 * SECOND)
    able_but_off = wire.frames(b)[0].data
    wire.inject(able_but_off, s)
    assert s.relay is Relay.INACTIVE
    assert wire.run_until(lambda: agree(wire, s, b)) <= SECOND + 20 * MILLISECOND
