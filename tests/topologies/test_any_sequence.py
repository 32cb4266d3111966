"""Whatever happened on a bad wire: when it is healed and time goes by, both ends say the same, and it is true."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.timers import SECOND
from tests.support.story import STEPS, Step, Story
from tests.support.wire import MILLISECOND, Weather, agree

DRAWN = st.builds(
    Step,
    st.sampled_from(STEPS),
    st.integers(0, 1),
    st.integers(0, 9),
    st.sampled_from([0, 40, MILLISECOND, 300 * MILLISECOND, SECOND, 7 * SECOND, 31 * SECOND, 125 * SECOND]),
)
WEATHERS = st.builds(
    Weather,
    latency=st.sampled_from([0, 50, 2 * MILLISECOND]),
    loss=st.sampled_from([0.0, 0.2, 0.8]),
    duplication=st.sampled_from([0.0, 0.3]),
    reordering=st.sampled_from([0.0, 0.3]),
)


def check(weather: Weather, seed: int, editions: tuple[int, int], steps: list[Step]) -> None:
    story = Story(weather, seed, *editions)
    for step in steps:
        story.happens(step)
    story.heals()
    s, b, wire = story.station, story.bridge, story.wire
    assert story.consistent, wire.story()
    assert s.neighbors == b.neighbors == 1
    if story.should_agree:
        edition = s.stack.forwarding.edition
        assert agree(wire, s, b) and edition == b.stack.forwarding.edition
        assert s.operational.rte == b.operational.rte
        assert edition == "draft" or s.operational == b.operational
    since = wire.now + 1
    wire.run(300 * SECOND)
    assert story.consistent
    assert len(wire.frames(since=since)) == 2 * 10, "and then it is quiet"


ANYTHING = given(
    WEATHERS, st.integers(0, 1000), st.tuples(st.integers(0, 2), st.integers(0, 2)), st.lists(DRAWN, max_size=20)
)


@settings(max_examples=60, deadline=None, derandomize=True)
@ANYTHING
def test_both_ends_agree_in_the_end(weather: Weather, seed: int, editions: tuple[int, int], steps: list[Step]) -> None:
    check(weather, seed, editions, steps)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@ANYTHING
def test_they_always_agree(weather: Weather, seed: int, editions: tuple[int, int], steps: list[Step]) -> None:
    check(weather, seed, editions, steps)
