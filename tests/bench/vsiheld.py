"""What thousands of associated VSIs cost: CPU time of keep-alives, memory, and the time of those who read of them."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from evbagent.client import Client
from evbagent.statefile import STATE_FILE, read_state
from tests.bench.agents import missing
from tests.bench.cores import served_first
from tests.bench.report import Row, Samples, alone, compare
from tests.bench.statewatch import StateWatch
from tests.bench.usage import cpu_ns, resident
from tests.bench.vsiclients import OurClient
from tests.bench.vsipair import LLDPAD, LLDPAD_RTE, OUR_RTE, OURS, PEER, VsiPair, pids, tap, vsi_pair
from tests.bench.wire import MILLISECOND
from tests.support.agent import Agent
from tests.support.namespaces import CapturedFrame, wait_until
from tests.support.vdpdus import DEASSOCIATE, ecp_octets, numbered

VSIS = 4000
SETTLING_S = 3.0

KEEP_ALIVES_S = 2 * 10.48576  # two periods of the default keep-alive-exponent
MOST_IN_ECPDU = 42
VSIS_BESIDE_LLDPAD = 100

RUNS_OF_MEMORY = 3
VSIS_OF_LLDPAD = 1000
AFTER_S = 2.0

SHOWN = 20

CHANGES = 20
PATIENCE_S = 2.0
BACK_WITHIN_S = 5.0
STAMPS_AFTER_S = 0.1  # the kernel begins to stamp frames at their arrival a while after it is asked to


class Held(NamedTuple):
    """A pair, and the VSIs that it holds."""

    pair: VsiPair
    numbers: range


class Known(NamedTuple):
    """Milliseconds from a frame to the new file in its place, and to a reader who has it."""

    written: float
    read: float


def vsi_keepalive_4000(directory: Path) -> list[Row]:
    """CPU time over two keep-alive periods; at the same time a pair of each kind with fewer VSIs."""
    absent = missing(LLDPAD)
    with ExitStack() as stack:
        held = {"many": _held(stack, directory, OURS, VSIS), "few": _held(stack, directory, OURS, VSIS_BESIDE_LLDPAD)}
        if not absent:
            held["theirs"] = _held(stack, directory, LLDPAD, VSIS_BESIDE_LLDPAD, LLDPAD_RTE)
        time.sleep(SETTLING_S)
        many = held["many"].pair
        before = many.frames()
        used = _used_cpu({name: pair for name, (pair, _) in held.items()})
        frames = many.frames() - before
        lost = many.unknown_to_bridge(held["many"].numbers)
    assert not lost, f"{lost} of {VSIS} VSIs were lost while they should have been kept alive"
    assert frames > 3 * VSIS / MOST_IN_ECPDU, f"{frames} frames are no keep-alives of {VSIS} VSIs"
    rows = []
    for end, index in (("", 0), ("-bridge", 1)):
        who = f"the {'bridge' if index else 'station'}'s agent over {KEEP_ALIVES_S:.0f} s"
        mine, theirs = used["few"][index], used["theirs"][index] if "theirs" in used else None
        note = f"{who}, {VSIS_BESIDE_LLDPAD} VSIs" + (f"; {absent}" if absent else "")
        few = Row(f"vsi-keepalive-{VSIS_BESIDE_LLDPAD}{end}", "% of a core", mine, theirs, PEER, note=note)
        note = f"{who}, {frames} frames; {PEER} with so many is not measured"
        rows += [Row(f"vsi-keepalive-{VSIS}{end}", "% of a core", used["many"][index], note=note), few]
    return rows


def vsi_memory_4000(directory: Path) -> list[Row]:
    """Growth of resident memory from the first VSI on, of fresh agents each time."""
    absent = missing(LLDPAD)
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for _ in range(RUNS_OF_MEMORY):
        ours.append(_growth(directory, OURS, VSIS))
        if not absent:
            theirs.append(_growth(directory, LLDPAD, VSIS_OF_LLDPAD))
    rows = []
    for end, index in (("", 0), ("-bridge", 1)):
        mine = Samples(tuple(growth[index] for growth in ours))
        peers = Samples(tuple(growth[index] for growth in theirs), absent)
        note = f"the {'bridge' if index else 'station'}'s agent; {PEER} with {VSIS_OF_LLDPAD}"
        rows.append(compare(f"vsi-memory-{VSIS}{end}", "KiB/VSI", mine, PEER, peers, note))
    return rows


def vsi_show_4000(directory: Path) -> list[Row]:
    """The request to the complete answer, read."""
    with ExitStack() as stack:
        pair, _ = _held(stack, directory, OURS, VSIS)
        assert isinstance(pair.client, OurClient) and pair.bridge_client is not None
        time.sleep(SETTLING_S)
        station = Samples(tuple(_show(pair.client.client, pair.cable.uplink) for _ in range(SHOWN)))
        bridge = Samples(tuple(_show(pair.bridge_client, pair.cable.port) for _ in range(SHOWN)))
    note = "request to complete answer, parsed; lldpad leaves out what does not fit into 4,096 octets"
    name = f"vsi-show-{VSIS}"
    return [alone(name, "ms", station, note), alone(f"{name}-bridge", "ms", bridge, "the same, of the bridge")]


def vsi_state_4000(directory: Path) -> list[Row]:
    """The bridge takes one VSI away: until a reader woken by inotify has the new file, and has read and checked it."""
    with ExitStack() as stack:
        pair, numbers = _held(stack, directory, OURS, VSIS)
        time.sleep(SETTLING_S)
        assert isinstance(pair.station, Agent)
        with StateWatch(pair.station.state_dir) as watch, served_first() as at_once:
            ours = [_withdraw(pair, watch, number, _checked) for number in numbers[:CHANGES]]
            others = [_withdraw(pair, watch, number, _loaded) for number in numbers[CHANGES : 2 * CHANGES]]
    name = f"vsi-state-{VSIS}"
    waits = "" if at_once else " by one who waits for a core like others"
    note = f"the bridge's DeAssociate on the wire to the new file read and checked{waits}; no peer has such a file"
    return [
        alone(name, "ms", Samples(tuple(took.read for took in ours)), note),
        alone(f"{name}-json", "ms", Samples(tuple(took.read for took in others)), "the same, read by json.loads"),
        alone(f"{name}-written", "ms", Samples(tuple(took.written for took in ours + others)), "to the file in place"),
    ]


def _held(stack: ExitStack, directory: Path, agents: str, count: int, rte: int = OUR_RTE) -> Held:
    pair = stack.enter_context(vsi_pair(directory, agents, agents, rte))
    return Held(pair, _associate(pair, count))


def _associate(pair: VsiPair, count: int) -> range:
    numbers = pair.fresh(count)
    asked = pair.ask(numbers)
    assert not asked.lost or LLDPAD in pair.name, f"{pair.name}: {asked.lost} of {count} VSIs are lost"
    return numbers


def _used_cpu(pairs: Mapping[str, VsiPair]) -> Mapping[str, tuple[float, ...]]:
    """Percent of a core, of each pair's agents."""
    before = {name: tuple(map(cpu_ns, pids(pair))) for name, pair in pairs.items()}
    begun = time.monotonic_ns()
    time.sleep(KEEP_ALIVES_S)
    took = time.monotonic_ns() - begun
    return {
        name: tuple((cpu_ns(pid) - start) / took * 100 for pid, start in zip(pids(pair), before[name], strict=True))
        for name, pair in pairs.items()
    }


def _growth(directory: Path, agents: str, count: int) -> tuple[float, float]:
    """KiB a VSI of the station's agent and of the bridge's."""
    with vsi_pair(directory, agents, agents, LLDPAD_RTE) as pair:
        time.sleep(SETTLING_S)
        before = [resident(pid) for pid in pids(pair)]
        _associate(pair, count)
        time.sleep(AFTER_S)
        station, bridge = ((resident(pid) - start) / count for pid, start in zip(pids(pair), before, strict=True))
        return station, bridge


def _show(client: Client, interface: str) -> float:
    begun = time.perf_counter()
    rows = client.request("show", what="vsis", interface=interface)
    took = (time.perf_counter() - begun) * 1000
    associated = sum(row["state"] == "associated" for row in rows)
    assert associated == VSIS, f"{associated} of {VSIS} VSIs are shown"
    return took


def _checked(directory: Path) -> dict[str, Any] | None:
    return read_state(directory).document


def _loaded(directory: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((directory / STATE_FILE).read_bytes())
    return document


def _withdraw(pair: VsiPair, watch: StateWatch, number: int, read: Callable[[Path], dict[str, Any] | None]) -> Known:
    """The VSI comes back before this returns."""
    assert isinstance(pair.station, Agent) and pair.bridge_client is not None
    directory, vsi_id = pair.station.state_dir, numbered(number).uuid

    def says_associated(document: dict[str, Any] | None) -> bool:
        vsis = document["uplinks"][0]["vsis"] if document else []
        return any(vsi["vsi-id"] == vsi_id and vsi["state"] == "associated" for vsi in vsis)

    with tap(pair) as wire:
        time.sleep(STAMPS_AFTER_S)
        watch.drain()
        pair.bridge_client.withdraw(instance=vsi_id)
        while True:
            watch.wait(PATIENCE_S)
            written = time.time_ns()
            document = read(directory)
            known = time.time_ns()
            if not says_associated(document):
                break
        arrived = next(frame.timestamp_ns for frame in wire.drain() if _takes_away(frame, number))
    back = f"VSI {number} is associated again"
    wait_until(lambda: says_associated(_checked(directory)), back, BACK_WITHIN_S, interval=0.1)
    return Known((written - arrived) / MILLISECOND, (known - arrived) / MILLISECOND)


def _takes_away(frame: CapturedFrame, number: int) -> bool:
    """Whether this is the bridge's DeAssociate of the VSI."""
    ecpdu = ecp_octets(frame.data)
    if ecpdu is None or frame.outgoing or ecpdu.acknowledgment:
        return False
    return any(vsi.kind == DEASSOCIATE and vsi.vsi_id == numbered(number).vsi_id for vsi in ecpdu.vsis)
