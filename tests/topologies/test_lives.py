"""Some hours of a station's and a switch's life, as `make soak` draws them; it takes days, and other ones each time."""

from random import Random

import pytest

from protocols.timers import SECOND
from tests.soak import virtual
from tests.soak.life import DAY_OVER, Broken, Life, drawn
from tests.support.story import Step
from tests.support.vsis import held, vsi


@pytest.mark.parametrize("seed", range(8))
def test_after_all_that_befalls_them_both_agree(seed: int) -> None:
    life = Life(seed)
    for step in drawn(Random(seed), 2 * 3600 * SECOND):
        life.happens(step)
    life.happens(Step(DAY_OVER, 0, 0, 0))
    assert life.told.checks > 1 and not held(life.bridge)


@pytest.mark.parametrize(
    ("what", "failure"),
    [
        ("hairpin", "not agreed"),
        ("frame", "frames are not accounted for"),
        ("policy", "the policy holds 2 VSIs, the bridge 1"),
    ],
)
def test_what_does_not_hold_is_seen(what: str, failure: str) -> None:
    """Each of them would be a bug of ours."""
    life = Life(0)
    life.happens(Step("associate", 0, 1, SECOND))
    life.happens(Step("calm", 0, 0, 0))
    match what:
        case "hairpin":
            life.bridge.hairpin = not life.bridge.hairpin
        case "frame":
            life.station.stack.ignored_frames -= 1
        case "policy":
            life.policy.decide("bridge", vsi(5))
    with pytest.raises(Broken, match=failure):
        life.happens(Step("calm", 0, 0, 0))


def test_of_a_failure_little_is_left_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fragile:
        """Cannot stand a link that goes down when somebody was killed before."""

        def __init__(self, seed: int) -> None:
            self.seen: list[str] = []

        def happens(self, step: Step) -> None:
            assert step.what != "cable" or "kill" not in self.seen, "it is over"
            self.seen.append(step.what)

    monkeypatch.setattr(virtual, "Life", Fragile)
    steps = drawn(Random(1), 24 * 3600 * SECOND)
    assert len(steps) > 50
    assert [step.what for step in virtual.shortened(1, steps)] == ["kill", "cable"]
