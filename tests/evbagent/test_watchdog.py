"""The service manager's watchdog, on a clock that jumps: fed by timers that fire when they should."""

import os
from collections.abc import Callable
from itertools import pairwise
from math import inf

import pytest

from evbagent.watchdog import TURNS, Watchdog, watchdog_seconds

SECONDS = 8
ENVIRONMENT = {"WATCHDOG_USEC": str(SECONDS * 1_000_000), "WATCHDOG_PID": str(os.getpid())}
TURN = SECONDS / TURNS


class Timer:
    def __init__(self, loop: "Loop", when: float, callback: Callable[[], None]) -> None:
        self.loop, self.when, self.callback = loop, when, callback

    def cancel(self) -> None:
        self.loop.timers.remove(self)


class Loop:
    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self, when, callback))
        return self.timers[-1]

    def run(self, late: float = 0.0) -> None:
        """The next timer, so many seconds late."""
        (timer,) = self.timers
        self.timers.clear()
        self.now = timer.when + late
        timer.callback()


class Rig:
    def __init__(self, environment: dict[str, str] = ENVIRONMENT) -> None:
        self.loop = Loop()
        self.told: list[tuple[float, str]] = []
        self.lateness = 0.0
        self.watchdog = Watchdog(
            self.loop,  # type: ignore[arg-type]
            lambda: self.lateness,
            lambda text: self.told.append((self.loop.now, text)),
            environment,
        )
        self.watchdog.start()

    def longest_silence(self) -> float:
        times = [when for when, _ in self.told] + [self.loop.now]
        return max(later - earlier for earlier, later in pairwise(times))


def test_all_is_well_is_said_at_once_and_often_enough() -> None:
    rig = Rig()
    for _ in range(20):
        rig.loop.run()
    assert {text for _, text in rig.told} == {"WATCHDOG=1"}
    assert rig.told[0][0] == 1000.0 and rig.longest_silence() <= SECONDS / 2


def test_a_loop_that_is_a_little_late_is_not_given_up() -> None:
    rig = Rig()
    for _ in range(20):
        rig.loop.run(late=TURN * 0.99)
    assert rig.longest_silence() < SECONDS / 2


def test_a_loop_that_is_too_late_all_the_time_is_given_up() -> None:
    rig = Rig()
    for _ in range(4):
        rig.loop.run(late=TURN * 1.1)
    assert len(rig.told) == 1 and rig.longest_silence() > SECONDS


@pytest.mark.parametrize("lateness", [TURN * 1.1, inf])
def test_nothing_is_said_while_the_protocols_timers_are_late_though_the_loop_turns(lateness: float) -> None:
    rig = Rig()
    rig.lateness = lateness
    for _ in range(5):
        rig.loop.run()
    assert len(rig.told) == 1 and rig.longest_silence() > SECONDS
    rig.lateness = 0.0
    rig.loop.run()
    assert len(rig.told) == 2, "it has caught up"


def test_nothing_runs_after_the_end() -> None:
    rig = Rig()
    rig.watchdog.close()
    assert rig.loop.timers == []


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0),
        (ENVIRONMENT, SECONDS),
        ({"WATCHDOG_USEC": "1000000"}, 1),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
        ({"WATCHDOG_USEC": "-5"}, 0),
        ({"WATCHDOG_USEC": ""}, 0),
    ],
)
def test_who_is_watched_how(environment: dict[str, str], seconds: float) -> None:
    assert watchdog_seconds(environment) == seconds


def test_who_is_not_watched_says_nothing() -> None:
    rig = Rig({})
    assert rig.told == [] and rig.loop.timers == []
    rig.watchdog.close()
