"""A flood of tampered frames on one uplink, and what it costs the others: how late they are, and memory."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

from tests.bench.report import Row
from tests.bench.service import declare
from tests.bench.usage import cpu_ns, resident
from tests.bench.wire import ETHERTYPE_LLDP, MILLISECOND, SECOND, many_links
from tests.support.agent import ROOT, Agent, environment
from tests.support.lldpdus import NEAREST_CUSTOMER_BRIDGE
from tests.support.namespaces import CapturedFrame, Namespace, PacketTap, wait_until
from tests.support.vdpdus import ecp_octets

FLOOD_S = 60.0
RATE = 12_000
OTHER_UPLINKS = 4
SETTLING_S = 6.0
QUIET_S = 5.0
AFTER_S = 2.0
SAMPLE_S = 0.5
PATIENCE_S = 30.0

KEEP_ALIVE_EXPONENT = 16
KEEP_ALIVE_NS = 10_000 << KEEP_ALIVE_EXPONENT
INTERVAL_NS = SECOND
QUICK = f"[lldp]\nmessage-tx-interval = 1\n[evb]\nkeep-alive-exponent = {KEEP_ALIVE_EXPONENT}\n"


class Flooded(NamedTuple):
    """`quiet`, `late`: ms, by which the latest LLDPDU and the latest keep-alive of the other uplinks came too late,
    without the flood and during it. `grown`: MiB. `counted`: what the agent had of the frames.
    """

    sent: int
    wanted: int
    rate: float
    cpu: float
    quiet: tuple[float, float]
    late: tuple[float, float]
    grown: float
    counted: dict[str, int]
    lost_vsis: int


def flood_mutated(directory: Path) -> list[Row]:
    """The issue of bad neighbors: 12,000 frames a second, each with octets changed, for a minute."""
    found = flooded(directory, FLOOD_S)
    assert_accounted(found.wanted, found.counted)
    assert not found.lost_vsis, f"{found.lost_vsis} VSIs of other uplinks were lost"
    lldp, vdp = found.late
    quiet = "{:.1f} and {:.1f} ms".format(*found.quiet)
    came = found.counted
    note = f"{found.rate:.0f} a second for {FLOOD_S:.0f} s; {found.sent} sent = {found.sent - found.wanted} filtered + "
    note += f"{came['rx-frames']} heard + {came['rx-lost-frames']} dropped by the kernel"
    return [
        Row("flood-mutated-late", "ms", lldp, note="the latest LLDPDU of the other uplinks; before: " + quiet),
        Row("flood-mutated-late-vdp", "ms", vdp, note="the latest keep-alive of their VSIs"),
        Row("flood-mutated-memory", "MiB", found.grown, note="growth of resident memory"),
        Row("flood-mutated", "% of a core", found.cpu, note=note),
    ]


def assert_accounted(wanted: int, counted: dict[str, int]) -> None:
    """Frames that passed the kernel's filter were heard or dropped, and what was heard was somebody's or nobody's."""
    assert wanted == counted["rx-frames"] + counted["rx-lost-frames"], f"{wanted} came in, and of these {counted}"
    kinds = ("rx-total-frames", "ecp", "rx-ignored-frames")
    assert counted["rx-frames"] == sum(counted[kind] for kind in kinds), f"not all are sorted: {counted}"


def flooded(directory: Path, seconds: float, rate: int = RATE) -> Flooded:
    with ExitStack() as stack:
        near, far = (stack.enter_context(Namespace(name)) for name in ("near", "far"))
        victim, *others = many_links(near, far, 1 + OTHER_UPLINKS)
        ports = [f"sw{name[2:]}" for name in others]
        for port in ports:
            far.bridge(f"br{port}", [port], "stp_state 1")
        declare(directory / "vsi.d", others)
        stack.enter_context(Agent(far, directory, ports, role="bridge", config=QUICK))
        agent = stack.enter_context(Agent(near, directory, ["up*"], config=QUICK))
        wait_until(lambda: all(associated(agent, name) for name in others), "VSIs on all uplinks", PATIENCE_S, 0.2)
        vsis = sum(associated(agent, name) for name in others)
        time.sleep(SETTLING_S)
        taps = [stack.enter_context(PacketTap(far, port)) for port in ports]
        time.sleep(QUIET_S)
        quiet = _latest(taps)
        before, cpu, begun = resident(agent.pid), cpu_ns(agent.pid), time.monotonic_ns()
        with _most(lambda: resident(agent.pid)) as most:
            done = tamper_with(far, f"sw{victim[2:]}", near.mac_address(victim), seconds, rate)
            used = (cpu_ns(agent.pid) - cpu) / (time.monotonic_ns() - begun) * 100
            time.sleep(AFTER_S)
        late = _latest(taps)
        lost = vsis - sum(associated(agent, name) for name in others)
        grown = (most[0] - before) / 1024
        reached = done["sent"] / done["seconds"]
        return Flooded(done["sent"], done["wanted"], reached, used, quiet, late, grown, counted(agent, victim), lost)


def associated(agent: Agent, interface: str) -> int:
    return sum(vsi["state"] == "associated" for vsi in agent.uplink(interface)["vsis"])


def tamper_with(namespace: Namespace, interface: str, receiver: bytes, seconds: float, rate: int) -> dict[str, Any]:
    """Sends tampered frames from an interface to that of `receiver`; how many were `sent`, and `wanted` there."""
    words = [interface, "--rate", str(rate), "--seconds", str(seconds), "--receiver", receiver.hex()]
    process = namespace.popen(
        [sys.executable, "-m", "tests.bench.mutator", *words], stdout=subprocess.PIPE, env=environment(), cwd=ROOT
    )
    printed, _ = process.communicate(timeout=seconds + PATIENCE_S)
    assert process.returncode == 0, "the flood has ended with an error"
    done: dict[str, Any] = json.loads(printed)
    return done


@contextmanager
def _most(sample: Callable[[], int]) -> Iterator[list[int]]:
    """The largest of samples that are taken meanwhile."""
    most, over = [sample()], Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            most[0] = max(most[0], sample())

    thread = Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def _latest(taps: list[PacketTap]) -> tuple[float, float]:
    """By how many ms the latest LLDPDU and the latest keep-alive were late since the last time."""
    heard = [tap.drain() for tap in taps]
    lateness = [_lldpdus(frames) for frames in heard], [_keep_alives(frames) for frames in heard]
    lldp, vdp = (max(0.0, *worst) for worst in lateness)
    return lldp, vdp


def _lldpdus(frames: list[CapturedFrame]) -> float:
    times = [
        frame.timestamp_ns
        for frame in frames
        if not frame.outgoing and frame.ethertype == ETHERTYPE_LLDP and frame.destination == NEAREST_CUSTOMER_BRIDGE
    ]
    assert len(times) > 2, "an uplink was silent"
    return max(later - earlier - INTERVAL_NS for earlier, later in pairwise(times)) / MILLISECOND


def _keep_alives(frames: list[CapturedFrame]) -> float:
    """Of each VSI: from the switch's answer to the next request."""
    answered: dict[bytes, int] = {}
    late: list[int] = []
    for frame in frames:
        ecpdu = ecp_octets(frame.data)
        for vsi in ecpdu.vsis if ecpdu and not ecpdu.acknowledgment else ():
            if frame.outgoing:
                answered[vsi.vsi_id] = frame.timestamp_ns
            elif vsi.vsi_id in answered:
                late.append(frame.timestamp_ns - answered.pop(vsi.vsi_id) - KEEP_ALIVE_NS)
    assert late, "no VSI was kept alive"
    return max(late) / MILLISECOND


def counted(agent: Agent, interface: str) -> dict[str, int]:
    """What the agent says of its frames: those of its port, of LLDP and of ECP."""
    rows = json.loads(agent.evbagent("show", "statistics", interface, "-j").stdout)
    by_scope = {row["scope"]: row for row in rows}
    vdp = by_scope["vdp"]
    ecp = ("rx-acks", "rx-unmatched-acks", "rx-requests", "rx-discarded")
    others = ("rx-other-destinations", "rx-other-sources", "rx-other-editions")
    return {
        **{key: value for key, value in by_scope["port"].items() if isinstance(value, int)},
        "rx-total-frames": sum(row.get("rx-total-frames", 0) for row in rows),
        "ecp": sum(vdp[f"ecp-{key}"] for key in ecp + others),
    }
