"""Days of a station and a switch on virtual time, one life after the other, and the shortest history of what fails."""

import gc
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic

from protocols.timers import SECOND
from tests.soak.life import DAY_OVER, Life, drawn
from tests.soak.report import Times, block
from tests.support.story import Step

DAY = 24 * 3600 * SECOND
DAYS = 2
SHRINKING_S = 60.0
MOST_GROWTH = 2000
"""Pieces of memory that a life may hold more than a day before, when there are no VSIs any more."""


@dataclass(slots=True)
class Summary:
    """Sums and worst cases of some lives. `resident`: KiB of this process before and after; `grown`: pieces of memory.

    `failure`: the text of the one that ended it.
    """

    lives: int = 0
    virtual: int = 0
    frames: int = 0
    checks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    agreed: Times = field(default_factory=Times)
    grown: int = 0
    resident: tuple[int, int] = (0, 0)
    failure: str = ""

    def add(self, other: "Summary") -> None:
        self.lives += other.lives
        self.virtual += other.virtual
        self.frames += other.frames
        self.checks += other.checks
        self.faults += other.faults
        self.agreed.merge(other.agreed)
        self.grown = max(self.grown, other.grown)
        self.resident = max(self.resident, other.resident)
        self.failure = self.failure or other.failure

    def __str__(self) -> str:
        start, now = (f"{kib / 1024:.1f}" for kib in self.resident)
        return block(
            "virtual time",
            [
                ("days", f"{self.virtual / DAY:.1f}, of {self.lives} lives"),
                ("frames", self.frames),
                ("faults", self.faults.total()),
                *((f"  {kind}", times) for kind, times in sorted(self.faults.items())),
                ("agreements", f"{self.agreed} after the last fault ({self.agreed.where})"),
                ("checks of all that must hold", self.checks),
                ("pieces of memory more than a day before", f"{self.grown} at most"),
                ("resident memory, MiB", f"{start} at the start, {now} at the end"),
            ],
        )


def campaign(seed: int, seconds: float, step: int = 1) -> Summary:
    """Lives `seed`, `seed + step`, ... until the time is over, or until one fails."""
    summary = Summary()
    until = monotonic() + seconds
    before = 0
    for number in count(seed, step):
        if monotonic() >= until and summary.lives:
            break
        life, steps = Life(number), list(_history(number))
        failure = _play(life, steps, until)
        _take_in(summary, life, number)
        if failure is not None:
            shortest = shortened(number, steps[: failure[0] + 1])
            summary.failure = _in_words(number, failure[1], shortest)
            break
        before = before or resident()
    summary.resident = before, resident()
    return summary


def replayed(seed: int) -> str:
    """What comes of one life; empty when all holds."""
    failure = _play(Life(seed), list(_history(seed)))
    return failure[1] if failure else ""


def resident() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def _history(seed: int) -> Iterator[Step]:
    random = Random(seed)
    for _ in range(DAYS):
        yield from drawn(random, DAY)
        yield Step(DAY_OVER, 0, 0, 0)


def _play(life: Life, steps: Sequence[Step], until: float = float("inf")) -> tuple[int, str] | None:
    """The number of the step at which something does not hold, and what. It may be broken off."""
    levels: list[int] = []
    for number, step in enumerate(steps):
        if monotonic() > until + SHRINKING_S:
            break
        try:
            life.happens(step)
        except Exception as error:  # whatever it is, it must not be
            return number, f"{type(error).__name__}: {error}"
        if step.what == DAY_OVER:
            gc.collect()
            levels.append(sys.getallocatedblocks())
            life.grown = max(0, levels[-1] - levels[0])
            if life.grown > MOST_GROWTH:
                return number, f"{life.grown} pieces of memory more than at the end of the first day"
    return None


def shortened(seed: int, steps: list[Step]) -> list[Step]:
    """Fewer steps that fail as well: larger parts are left out, then smaller ones, as long as there is time."""
    until = monotonic() + SHRINKING_S
    size = len(steps) // 2
    while size:
        start = 0
        while start < len(steps) and monotonic() < until:
            fewer = steps[:start] + steps[start + size :]
            if _fails(seed, fewer):
                steps = fewer
            else:
                start += size
        size //= 2
    return steps


def _fails(seed: int, steps: Sequence[Step]) -> bool:
    return _play(Life(seed), steps) is not None


def _in_words(seed: int, failure: str, steps: Sequence[Step]) -> str:
    lines = [f"life {seed}: {failure}", f"  again: {Path(sys.executable).name} -m tests.soak.run --life {seed}"]
    lines += [f"  the shortest history that was found to fail, of {len(steps)} steps:"]
    return "\n".join([*lines, *(f"    {step}" for step in steps)])


def _take_in(summary: Summary, life: Life, number: int) -> None:
    told = life.told
    life_told = Summary(1, told.virtual, told.frames, told.checks, told.faults, told.agreed, life.grown)
    if life_told.agreed.worst > summary.agreed.worst:
        life_told.agreed.where = f"the worst: life {number}"
    summary.add(life_told)
