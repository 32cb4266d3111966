"""VSIs being associated, one or a hundred at once: by us, by lldpad, and by each with the other."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.agents import missing
from tests.bench.cores import served_first
from tests.bench.report import Row, Samples, compare
from tests.bench.vsiclients import Asked
from tests.bench.vsipair import (
    LLDPAD,
    LLDPAD_RTE,
    OUR_RTE,
    OURS,
    PEER,
    Kind,
    VsiPair,
    answered_after,
    tap,
    vsi_pairs,
)

RUNS_OF_ONE = 15
# Longer than an ackTimerInit of RTE 14, within which lldpad sends one ECPDU and no more.
BETWEEN_SINGLE_S = 0.25

# lldpad takes 0.16 s for each VSI at RTE 14.
VSIS_AT_RTE: Mapping[int, int] = {LLDPAD_RTE: 100, OUR_RTE: 20}
RUNS_OF_HUNDRED = 3


@dataclass(frozen=True, slots=True)
class One:
    """Milliseconds from request to response on the wire, and to the client's confirmation."""

    wire: float
    client: float


def vsi_associate_1(directory: Path) -> list[Row]:
    """One VSI, by a client that has a session already."""
    runs: dict[Kind, list[One]] = {kind: [] for kind in _kinds((OUR_RTE, LLDPAD_RTE))}
    with ExitStack() as stack:
        pairs = vsi_pairs(stack, directory, runs)
        for pair in pairs.values():
            pair.put_apart()
        at_once = stack.enter_context(served_first())
        for _ in range(RUNS_OF_ONE):
            for kind, pair in pairs.items():
                runs[kind].append(_one(pair))
    waits = "" if at_once else ", which waits for a core like others"
    rows: list[Row] = []
    for kind in _measured(runs):
        name = f"vsi-associate-1{kind.part}" + ("" if kind.rte == OUR_RTE else f"-rte{kind.rte}")
        ours, theirs = runs[kind], runs[kind.of_peers]
        rows += [
            _row(name, "ms", ours, theirs, lambda one: one.client, f"client's request to confirmation{waits}; {kind}"),
            _row(f"{name}-wire", "ms", ours, theirs, lambda one: one.wire, f"request to response on the wire; {kind}"),
        ]
    return rows


def vsi_associate_each(directory: Path) -> list[Row]:
    """As many for each pair as lldpad can take in a few seconds; milliseconds a VSI."""
    runs: dict[Kind, list[Asked]] = {kind: [] for kind in _kinds(VSIS_AT_RTE)}
    with ExitStack() as stack:
        pairs = vsi_pairs(stack, directory, runs)
        for _ in range(RUNS_OF_HUNDRED):
            for kind, pair in pairs.items():
                runs[kind].append(pair.ask(pair.fresh(VSIS_AT_RTE[kind.rte])))
    rows: list[Row] = []
    for kind in _measured(runs):
        ours, theirs = runs[kind], runs[kind.of_peers]
        lost, peers_lost = (sum(run.lost for run in of) for of in (ours, theirs))
        note = f"{VSIS_AT_RTE[kind.rte]} at once; {kind}; lost {lost}, {PEER} {peers_lost}"
        name = f"vsi-associate-each{kind.part}-rte{kind.rte}"
        rows.append(_row(name, "ms/VSI", ours, theirs, lambda asked: asked.each, note))
    return rows


def _kinds(rtes: Sequence[int] | Mapping[int, int]) -> list[Kind]:
    return [Kind(station, bridge, rte) for rte in rtes for station in (OURS, LLDPAD) for bridge in (OURS, LLDPAD)]


def _measured(kinds: Mapping[Kind, object]) -> list[Kind]:
    """Those that have a row of their own: one of ours is in it."""
    return [kind for kind in kinds if kind != kind.of_peers]


def _one(pair: VsiPair) -> One:
    (number,) = numbers = pair.fresh(1)
    with tap(pair) as wire:
        time.sleep(BETWEEN_SINGLE_S)  # after the tap: the kernel takes a while to begin to stamp frames at arrival
        asked = pair.ask(numbers)
        assert not asked.lost, f"{pair.name}: the VSI was not associated"
        return One(answered_after(wire.drain(), number), asked.milliseconds)


def _row(
    name: str,
    unit: str,
    ours: Sequence[One] | Sequence[Asked],
    theirs: Sequence[One] | Sequence[Asked],
    value: Callable[..., float],
    note: str,
) -> Row:
    mine, peers = (Samples(tuple(value(run) for run in runs)) for runs in (ours, theirs))
    return compare(name, unit, mine, PEER, Samples(peers.values, missing(LLDPAD)), note)
