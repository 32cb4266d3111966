"""A machine that sleeps: who has timers catches up, once for each sleep."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evbagent.awake import Awake, slept_ns

HOUR_NS = 3_600_000_000_000


class Sleeper:
    """A machine that says how long it has slept."""

    def __init__(self) -> None:
        self.slept = 5 * HOUR_NS
        self.caught_up = self.renewed = 0

    def catch_up(self) -> None:
        self.caught_up += 1

    def renew(self) -> None:
        assert self.caught_up, "first what is due, then what is known"
        self.renewed += 1


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def awake(loop: asyncio.AbstractEventLoop) -> Iterator[tuple[Awake, Sleeper]]:
    sleeper = Sleeper()
    awake = Awake(loop, lambda: [sleeper, None, sleeper], sleeper.renew, lambda: sleeper.slept)
    yield awake, sleeper
    awake.close()


def test_each_sleep_is_made_up_for_once(awake: tuple[Awake, Sleeper], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    machine, sleeper = awake
    machine.look()
    assert (sleeper.caught_up, sleeper.renewed, caplog.messages) == (0, 0, []), "what was before is of no concern"
    for sleeps in (1, 2):
        sleeper.slept += HOUR_NS
        for _ in range(3):
            machine.look()
        assert (sleeper.caught_up, sleeper.renewed) == (2 * sleeps, sleeps)
    assert caplog.messages == ["the machine has slept for 3600.000 s"] * 2


def test_a_clock_that_is_set_is_no_sleep(awake: tuple[Awake, Sleeper]) -> None:
    machine, sleeper = awake
    sleeper.slept += 3_000  # the moment between two readings
    machine.look()
    assert sleeper.caught_up == 0


def test_the_kernel_tells(loop: asyncio.AbstractEventLoop) -> None:
    """It cancels the timer when the clock is set, as when the machine resumes: here to the time that it is."""
    sleeper = Sleeper()
    looks: list[int] = []

    def slept() -> int:
        looks.append(sleeper.slept)
        return sleeper.slept

    machine = Awake(loop, lambda: [sleeper], sleeper.renew, slept)
    try:
        for sleeps in (1, 2):
            sleeper.slept += HOUR_NS
            try:
                time.clock_settime_ns(time.CLOCK_REALTIME, time.clock_gettime_ns(time.CLOCK_REALTIME))
            except PermissionError:
                pytest.skip("only root of the first user namespace may set the clock")
            run_until(loop, lambda sleeps=sleeps: sleeper.renewed == sleeps)
        before = len(looks)
        run_until(loop, lambda: True)
        assert len(looks) == before, "it does not go on to be readable"
    finally:
        machine.close()


def test_it_leaves_nothing_behind(loop: asyncio.AbstractEventLoop) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    machine = Awake(loop, list, lambda: None)
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    machine.close()
    machine.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_without_such_timers_it_is_only_late(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused() -> int:
        raise PermissionError(1, os.strerror(1))

    monkeypatch.setattr("evbagent.awake._cancelled_on_set", refused)
    caplog.set_level("INFO")
    Awake(loop, list, lambda: None).close()
    assert caplog.messages == ["that the machine has slept will be found out late: timerfd: Operation not permitted"]


def test_what_the_kernel_says_of_sleep() -> None:
    assert slept_ns() > -1_000_000 and abs(slept_ns() - slept_ns()) < 10**9


def run_until(loop: asyncio.AbstractEventLoop, holds: Callable[[], bool]) -> None:
    async def wait() -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            while not holds():
                await asyncio.sleep(0.001)

    loop.run_until_complete(wait())
