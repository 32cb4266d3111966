"""Thousands of VSIs associated at once: the time until the client knows, what it costs, and that none is lost."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.agents import missing
from tests.bench.report import Row, Samples, compare
from tests.bench.usage import cpu_ns
from tests.bench.vsiclients import Asked
from tests.bench.vsipair import LLDPAD, LLDPAD_RTE, OUR_RTE, OURS, PEER, AgentDied, Kind, VsiPair, pids, vsi_pairs

RUNS = 7
RUNS_OF_LLDPAD: Mapping[int, int] = {1000: 3, 4000: 1}  # it takes 2.7 s for 1,000
BETWEEN_RUNS_S = 0.5
MOST_LOST = 0.1

DEFAULT = Kind(OURS, OURS, OUR_RTE)
OUR_KINDS = (DEFAULT, Kind(OURS, OURS, LLDPAD_RTE), Kind(OURS, OURS, 20))
MIXED_KINDS = (Kind(OURS, LLDPAD, LLDPAD_RTE), Kind(LLDPAD, OURS, LLDPAD_RTE))
PEER_KIND = Kind(LLDPAD, LLDPAD, LLDPAD_RTE)


@dataclass(frozen=True, slots=True)
class Run:
    """`unheld`: confirmed VSIs that our bridge does not hold. CPU time in microseconds a VSI."""

    asked: Asked
    frames_each: float
    station_cpu: float
    bridge_cpu: float
    unheld: int

    @property
    def lost(self) -> int:
        return self.asked.lost + self.unheld


@dataclass(slots=True)
class Runs:
    """Of each kind of pair, and what has become of those whose agents died."""

    of: dict[Kind, list[Run]]
    died: dict[Kind, str]

    def samples(self, kind: Kind, value: Callable[[Run], float]) -> Samples:
        """Those of runs that came to an end: under load lldpad loses most of what it is asked."""
        runs = [run for run in self.of[kind] if run.lost <= run.asked.asked * MOST_LOST]
        absent = missing(LLDPAD) if LLDPAD in kind else ""
        unfinished = len(self.of[kind]) - len(runs)
        lossy = f"{unfinished} of {len(self.of[kind])} runs of {kind} lost over {MOST_LOST:.0%}" if unfinished else ""
        return Samples(tuple(map(value, runs)), absent or self.died.get(kind, "") or lossy)

    def lost(self, *kinds: Kind) -> int:
        return sum(run.lost for kind in kinds for run in self.of[kind])

    def asked(self, *kinds: Kind) -> int:
        return sum(run.asked.asked for kind in kinds for run in self.of[kind])


def vsi_associate_1000(directory: Path) -> list[Row]:
    """Two of ours, two lldpads, and each with the other."""
    return _associate(directory, 1000, [*OUR_KINDS, *MIXED_KINDS, PEER_KIND])


def vsi_associate_4000(directory: Path) -> list[Row]:
    """Two of ours, and two lldpads."""
    return _associate(directory, 4000, [*OUR_KINDS, PEER_KIND])


def _associate(directory: Path, count: int, kinds: Sequence[Kind]) -> list[Row]:
    runs = _alternate(directory, count, kinds)
    name = f"vsi-associate-{count}"

    def row(part: str, unit: str, kind: Kind, value: Callable[[Run], float], note: str) -> Row:
        return compare(
            name + part,
            unit,
            runs.samples(kind, value),
            PEER,
            runs.samples(PEER_KIND, value),
            f"{note}; {kind}, {PEER} at {PEER_KIND.rte}",
        )

    def took(part: str, kind: Kind) -> Row:
        losses = f"; lost {runs.lost(kind)} of {runs.asked(kind)}" if LLDPAD in kind else ""
        return row(part, "ms", kind, lambda run: run.asked.milliseconds, f"first request to last confirmation{losses}")

    rows = [took("" if kind == DEFAULT else f"-rte{kind.rte}", kind) for kind in OUR_KINDS]
    rows += [took(kind.part, kind) for kind in MIXED_KINDS if kind in kinds]
    rows += [
        row("-frames", "frames/VSI", DEFAULT, lambda run: run.frames_each, "acknowledgments too"),
        row("-cpu", "us/VSI", DEFAULT, lambda run: run.station_cpu, "CPU time of the station's agent"),
        row("-cpu-bridge", "us/VSI", DEFAULT, lambda run: run.bridge_cpu, "CPU time of the bridge's agent"),
    ]
    theirs = runs.lost(PEER_KIND) if runs.of[PEER_KIND] else None
    note = f"of {runs.asked(*OUR_KINDS)} at all RTEs, not confirmed or not held by the bridge; {PEER} of "
    note += f"{runs.asked(PEER_KIND)}, not confirmed"
    return [*rows, Row(f"{name}-lost", "VSIs", runs.lost(*OUR_KINDS), theirs, PEER, note=note)]


def _alternate(directory: Path, count: int, kinds: Sequence[Kind]) -> Runs:
    runs = Runs({kind: [] for kind in kinds}, {})
    with ExitStack() as stack:
        pairs = vsi_pairs(stack, directory, kinds)
        for number in range(RUNS):
            for kind, pair in pairs.items():
                if kind in runs.died or (LLDPAD in kind and number >= RUNS_OF_LLDPAD[count]):
                    continue
                try:
                    runs.of[kind].append(_run(pair, count))
                except AgentDied as error:
                    if LLDPAD not in kind:
                        raise
                    runs.died[kind] = str(error)
    return runs


def _run(pair: VsiPair, count: int) -> Run:
    """They are released again."""
    numbers = pair.fresh(count)
    before = pair.frames(), *map(cpu_ns, pids(pair))
    asked = pair.ask(numbers)
    after = pair.frames(), *map(cpu_ns, pids(pair))
    frames, station, bridge = ((end - start) / count for start, end in zip(before, after, strict=True))
    unheld = max(0, pair.unknown_to_bridge(numbers) - asked.lost) if pair.bridge_client else 0
    pair.ask(numbers, "deassociate")
    time.sleep(BETWEEN_RUNS_S)
    return Run(asked, frames, station / 1000, bridge / 1000, unheld)
