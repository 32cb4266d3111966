"""VSIs being associated: one, a hundred, thousands at once; by us, by lldpad, and by each with the other."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.bench.agents import missing
from tests.bench.report import Row, Samples, compare
from tests.bench.usage import cpu_ns
from tests.bench.vsiclients import Asked
from tests.bench.vsipair import LLDPAD, LLDPAD_RTE, OUR_RTE, OURS, VsiPair, answered_after, pids, tap, vsi_pair

SETTLING_S = 2.0
# 168 s: no keep-alives meanwhile, and none of lldpad's bridge, which ends VSIs once more that were released before.
RKA = 24
RUNS_OF_ONE = 15
# Longer than an ackTimerInit of RTE 14, within which lldpad sends one ECPDU and no more.
BETWEEN_SINGLE_S = 0.25

RUNS_OF_MANY = 7
RUNS_OF_LLDPAD: Mapping[int, int] = {1000: 3, 4000: 1}  # it takes 2.7 s for 1,000
OTHER_RTES = (LLDPAD_RTE, 20)

# lldpad takes 0.16 s for each VSI at RTE 14.
VSIS_AT_RTE: Mapping[int, int] = {LLDPAD_RTE: 100, OUR_RTE: 20}
RUNS_BESIDE_LLDPAD = 3

PEER = f"{LLDPAD}+{LLDPAD}"


class Kind(NamedTuple):
    """A pair of agents by name, and the ackTimerInit exponent of both."""

    station: str
    bridge: str
    rte: int

    @property
    def is_possible(self) -> bool:
        return LLDPAD not in self[:2] or not missing(LLDPAD)


def vsi_associate_1(directory: Path) -> list[Row]:
    """One VSI, by a client that has a session already: on the wire, and for the client."""
    kinds = [Kind(*names, rte) for rte in (OUR_RTE, LLDPAD_RTE) for names in _ALL_NAMES]
    with ExitStack() as stack:
        pairs = _pairs(stack, directory, kinds)
        for pair in pairs.values():
            pair.put_apart()
        runs: dict[Kind, list[tuple[float, float]]] = {kind: [] for kind in pairs}
        for _ in range(RUNS_OF_ONE):
            for kind, pair in pairs.items():
                runs[kind].append(_one(pair))
    rows: list[Row] = []
    for rte in (OUR_RTE, LLDPAD_RTE):
        theirs = runs.get(Kind(LLDPAD, LLDPAD, rte), [])
        for (station, bridge), part in _PARTS:
            ours = runs.get(Kind(station, bridge, rte), [])
            name = f"vsi-associate-1{part}" + ("" if rte == OUR_RTE else f"-rte{rte}")
            for end, index, what in (
                ("", 1, "client's request to confirmation"),
                ("-wire", 0, "request to response on the wire"),
            ):
                note = f"{what}; {station} station, {bridge} bridge, RTE {rte}"
                mine = Samples(tuple(run[index] for run in ours))
                peers = Samples(tuple(run[index] for run in theirs), missing(LLDPAD))
                rows.append(compare(name + end, "ms", mine, PEER, peers, note))
    return rows


def vsi_associate_1000(directory: Path) -> list[Row]:
    """The same with each other's lldpad."""
    return _many(directory, 1000, [Kind(OURS, LLDPAD, LLDPAD_RTE), Kind(LLDPAD, OURS, LLDPAD_RTE)])


def vsi_associate_4000(directory: Path) -> list[Row]:
    return _many(directory, 4000, [])


def vsi_associate_each(directory: Path) -> list[Row]:
    """As many for each pair as lldpad can take in a few seconds; milliseconds a VSI."""
    kinds = [Kind(*names, rte) for rte in VSIS_AT_RTE for names in _ALL_NAMES]
    with ExitStack() as stack:
        pairs = _pairs(stack, directory, kinds)
        runs: dict[Kind, list[Asked]] = {kind: [] for kind in pairs}
        for _ in range(RUNS_BESIDE_LLDPAD):
            for kind, pair in pairs.items():
                runs[kind].append(pair.ask(pair.fresh(VSIS_AT_RTE[kind.rte])))
    rows: list[Row] = []
    for rte, count in VSIS_AT_RTE.items():
        theirs = runs.get(Kind(LLDPAD, LLDPAD, rte), [])
        for (station, bridge), part in _PARTS:
            ours = runs.get(Kind(station, bridge, rte), [])
            note = f"{count} at once; {station} station, {bridge} bridge, RTE {rte}; {_losses(ours, theirs)}"
            name = f"vsi-associate-each{part}-rte{rte}"
            peers = _samples(theirs, _each, missing(LLDPAD))
            rows.append(compare(name, "ms/VSI", _samples(ours, _each), PEER, peers, note))
    return rows


def _many(directory: Path, count: int, mixed: Sequence[Kind]) -> list[Row]:
    """Two of ours at several RTEs, `mixed` pairs, and two lldpads at theirs."""
    default, beside = Kind(OURS, OURS, OUR_RTE), Kind(LLDPAD, LLDPAD, LLDPAD_RTE)
    ours = [default, *(Kind(OURS, OURS, rte) for rte in OTHER_RTES)]
    kinds = [*ours, *mixed, beside]
    with ExitStack() as stack:
        pairs = _pairs(stack, directory, kinds)
        runs: dict[Kind, list[Asked]] = {kind: [] for kind in kinds}
        frames: dict[Kind, list[float]] = {kind: [] for kind in kinds}
        used: dict[Kind, list[tuple[float, ...]]] = {kind: [] for kind in kinds}
        untold: dict[Kind, int] = dict.fromkeys(kinds, 0)
        for number in range(RUNS_OF_MANY):
            for kind, pair in pairs.items():
                if kind in died or (LLDPAD in kind and number >= RUNS_OF_LLDPAD[count]):
                    continue
                numbers = pair.fresh(count)
                before = pair.frames(), *map(cpu_ns, pids(pair))
                runs[kind].append(pair.ask(numbers))
                after = pair.frames(), *map(cpu_ns, pids(pair))
                each = [(end - start) / count for start, end in zip(before, after, strict=True)]
                frames[kind].append(each[0])
                used[kind].append((each[1] / 1000, each[2] / 1000))
                if kind in ours:
                    untold[kind] += pair.unknown_to_bridge(numbers)
                pair.ask(numbers, "deassociate")
                time.sleep(0.5)
    name, absent = f"vsi-associate-{count}", missing(LLDPAD)
    theirs = _samples(runs[beside], _milliseconds, absent)

    def row(part: str, kind: Kind) -> Row:
        who = f"{kind.station} station, {kind.bridge} bridge, " if kind in mixed else ""
        note = f"first request to last confirmation; {who}RTE {kind.rte}, {PEER} at {beside.rte}"
        if kind in mixed:
            note += f"; {_losses(runs[kind], runs[beside])}"
        return compare(name + part, "ms", _samples(runs[kind], _milliseconds), PEER, theirs, note)

    asked = sum(run.asked for kind in ours for run in runs[kind])
    lost = sum(run.lost for kind in ours for run in runs[kind]) + sum(untold[kind] for kind in ours)
    peers_lost = sum(run.lost for run in runs[beside]) if runs[beside] else None
    peers_asked = sum(run.asked for run in runs[beside])
    note = f"of {asked}, at all RTEs, not confirmed or not held by the bridge; {PEER} of {peers_asked}, not confirmed"

    def beside_theirs(part: str, unit: str, values: Mapping[Kind, Iterable[float]], note: str) -> Row:
        mine, peers = Samples(tuple(values[default])), Samples(tuple(values[beside]), absent)
        return compare(name + part, unit, mine, PEER, peers, note)

    cpu = [{kind: [run[end] for run in used[kind]] for kind in kinds} for end in (0, 1)]
    return [
        row("", default),
        *(row(f"-rte{kind.rte}", kind) for kind in ours[1:]),
        *(row(part, kind) for kind in mixed for names, part in _PARTS if names == kind[:2] and kind in pairs),
        beside_theirs("-frames", "frames/VSI", frames, "acknowledgments too"),
        beside_theirs("-cpu", "us/VSI", cpu[0], "CPU time of the station's agent"),
        beside_theirs("-cpu-bridge", "us/VSI", cpu[1], "CPU time of the bridge's agent"),
        Row(f"{name}-lost", "VSIs", lost, peers_lost, PEER, note=note),
    ]


def _pairs(stack: ExitStack, directory: Path, kinds: Iterable[Kind]) -> Mapping[Kind, VsiPair]:
    """Those whose agents are there."""
    pairs = {kind: stack.enter_context(vsi_pair(directory, *kind, RKA)) for kind in kinds if kind.is_possible}
    time.sleep(SETTLING_S)
    return pairs


def _one(pair: VsiPair) -> tuple[float, float]:
    """Milliseconds on the wire, and for the client."""
    (number,) = numbers = pair.fresh(1)
    time.sleep(BETWEEN_SINGLE_S)
    with tap(pair) as wire:
        asked = pair.ask(numbers)
        assert not asked.lost, f"{pair.name}: the VSI was not associated"
        return answered_after(wire.drain(), number), asked.milliseconds


def _losses(ours: Sequence[Asked], theirs: Sequence[Asked]) -> str:
    return f"lost {sum(run.lost for run in ours)}, {PEER} {sum(run.lost for run in theirs)}"


def _samples(runs: Sequence[Asked], value: Callable[[Asked], float], absent: str = "") -> Samples:
    return Samples(tuple(value(run) for run in runs), absent)


def _milliseconds(asked: Asked) -> float:
    return asked.milliseconds


def _each(asked: Asked) -> float:
    return asked.each


_ALL_NAMES = ((OURS, OURS), (OURS, LLDPAD), (LLDPAD, OURS), (LLDPAD, LLDPAD))
_PARTS = (((OURS, OURS), ""), ((OURS, LLDPAD), "-lldpad"), ((LLDPAD, OURS), "-lldpad-as-station"))
