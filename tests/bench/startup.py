"""From exec to the first LLDPDU, to the first answer, to the last of 200 uplinks."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from evbagent.client import Client, ClientError
from tests.bench.agents import OursLaunched, TimedNamespace, launched, missing
from tests.bench.report import Row, Samples, compare
from tests.bench.wire import MILLISECOND, SECOND, WideTap, many_links
from tests.support.namespaces import Namespace

RUNS = 7
RUNS_OF_200 = 3
UPLINKS = 200
PEERS = ("lldpd", "lldpad")
PATIENCE_S = 40


def first_lldpdu(directory: Path) -> list[Row]:
    """One uplink: the first LLDPDU, on the wire."""
    with _links(1) as (near, far, links):
        runs = _alternate(RUNS, lambda kind: _until_all_spoke(kind, near, far, links, directory))
    return _rows("first-lldpdu", runs, "exec to the first LLDPDU on the wire")


def start_200_uplinks(directory: Path) -> list[Row]:
    """200 uplinks: the first LLDPDU on the last of them."""
    with _links(UPLINKS) as (near, far, links):
        runs = _alternate(RUNS_OF_200, lambda kind: _until_all_spoke(kind, near, far, links, directory))
    return _rows("start-200-uplinks", runs, "exec to the first LLDPDU on the last uplink")


def start_ready(directory: Path) -> list[Row]:
    """One uplink: the first answer that knows it. Asked without a pause, peers by a shell that runs their own tool."""
    with _links(1) as (near, _, links):
        runs = _alternate(RUNS, lambda kind: _until_answered(kind, near, links[0], directory))
    return _rows("start-ready", runs, "exec to answering (show, lldpcli, lldptool)")


@contextmanager
def _links(count: int) -> Iterator[tuple[TimedNamespace, Namespace, list[str]]]:
    with TimedNamespace("near") as near, Namespace("far") as far:
        yield near, far, many_links(near, far, count)


def _alternate(runs: int, measure: Callable[[str], float]) -> Mapping[str, list[float]]:
    kinds = ["evbagent", *(peer for peer in PEERS if not missing(peer))]
    results: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind in kinds:
            results[kind].append(measure(kind))
    return results


def _rows(name: str, runs: Mapping[str, list[float]], note: str) -> list[Row]:
    ours = Samples(tuple(runs["evbagent"]))
    return [compare(name, "ms", ours, peer, Samples(tuple(runs.get(peer, ())), missing(peer)), note) for peer in PEERS]


def _until_all_spoke(kind: str, near: TimedNamespace, far: Namespace, links: Sequence[str], directory: Path) -> float:
    with WideTap(far) as tap, launched(kind, near, directory, links):
        spoke: set[bytes] = set()
        for frame in tap.lldpdus_until(near.started_ns + PATIENCE_S * SECOND):
            if frame.timestamp_ns < near.started_ns:
                continue
            spoke.add(frame.source)
            if len(spoke) == len(links):
                return (frame.timestamp_ns - near.started_ns) / MILLISECOND
    raise AssertionError(f"{kind} spoke on {len(spoke)} of {len(links)} uplinks within {PATIENCE_S} s")


def _until_answered(kind: str, near: TimedNamespace, link: str, directory: Path) -> float:
    agent = launched(kind, near, directory, [link])
    if isinstance(agent, OursLaunched):
        with agent:
            begun = near.started_ns
            with near.entered():
                return (_first_answer(agent.state_dir, link) - begun) / MILLISECOND
    question = {
        "lldpad": f"lldptool -l -i {link} -g ncb adminStatus",
        "lldpd": f"lldpcli -u /run/lldpd.socket -f keyvalue show interfaces | grep -q ^lldp.{link}",
    }[kind]
    asking = near.popen(["sh", "-c", f"until {question}; do :; done >/dev/null 2>&1"], stderr=subprocess.DEVNULL)
    with agent:
        asking.wait(PATIENCE_S)
        return (time.time_ns() - near.started_ns) / MILLISECOND


def _first_answer(state_dir: Path, link: str) -> int:
    """CLOCK_REALTIME when the agent has answered a question about this link."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with Client(state_dir) as client:
                shown = client.request("show", what="interfaces", interface=link)
        except ClientError:
            shown = []
        if shown:
            return time.time_ns()
        time.sleep(0.001)
    raise AssertionError(f"no answer about {link} within {PATIENCE_S} s")
