"""What an agent costs that has nothing to do: CPU time and memory."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.agents import LLDPAD_STATION_EVERYWHERE, Launched, OursLaunched, TimedNamespace, launched, missing, pid
from tests.bench.report import Row, Samples, compare
from tests.bench.wire import many_links
from tests.support.agent import Agent
from tests.support.namespaces import wait_until

UPLINKS = 50
SETTLING_S = 12.0  # lldpad sends every second for the first eight
QUIET_S = 60.0  # two rounds of regular LLDPDUs
RUNS_OF_MEMORY = 3


def idle_cpu_50(directory: Path) -> list[Row]:
    """50 uplinks with a neighbour each (an agent of ours in the other namespace), both agents at the same time."""
    absent = missing("lldpad")
    with ExitStack() as stack:
        agents: list[Launched] = []
        for kind in ("evbagent",) if absent else ("evbagent", "lldpad"):
            near = stack.enter_context(TimedNamespace(f"near-{kind}"))
            far = stack.enter_context(TimedNamespace(f"far-{kind}"))
            links = many_links(near, far, UPLINKS)
            stack.enter_context(Agent(far, directory, ["sw*"], role="bridge"))
            agents.append(stack.enter_context(launched(kind, near, directory, links, LLDPAD_STATION_EVERYWHERE)))
        assert isinstance(agents[0], OursLaunched)
        _all_neighbors_known(agents[0])
        time.sleep(SETTLING_S)
        before = [_cpu_ns(pid(agent)) for agent in agents]
        begun = time.monotonic()
        time.sleep(QUIET_S)
        hours = (time.monotonic() - begun) / 3600
        used = [(_cpu_ns(pid(agent)) - start) / 1e9 / hours for agent, start in zip(agents, before, strict=True)]
        _all_neighbors_known(agents[0])
    note = f"over {QUIET_S:.0f} s of quiet, both at the same time, in two scopes" + (f"; {absent}" if absent else "")
    return [Row("idle-cpu-50", "CPU s/h", used[0], None if absent else used[1], "lldpad", note=note)]


def resident_1(directory: Path) -> list[Row]:
    """One uplink with a neighbour: resident memory, of all processes of the agent."""
    peers = ("lldpd", "lldpad")
    kinds = ["evbagent", *(peer for peer in peers if not missing(peer))]
    results: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(RUNS_OF_MEMORY):
        with ExitStack() as stack:
            agents: dict[str, Launched] = {}
            for kind in kinds:
                near = stack.enter_context(TimedNamespace(f"near-{kind}"))
                far = stack.enter_context(TimedNamespace(f"far-{kind}"))
                links = many_links(near, far, 1)
                agents[kind] = stack.enter_context(launched(kind, near, directory, links))
                stack.enter_context(Agent(far, directory, ["sw*"], role="bridge"))
            time.sleep(2)
            for kind, agent in agents.items():
                results[kind].append(_resident(pid(agent)) / 1024)
    ours = Samples(tuple(results["evbagent"]))
    return [
        compare("resident-1", "MiB", ours, peer, Samples(tuple(results.get(peer, ())), missing(peer)), note)
        for peer, note in zip(peers, ("both processes of lldpd", ""), strict=True)
    ]


def _all_neighbors_known(agent: Agent) -> None:
    def known() -> bool:
        file = agent.state_dir / "state.json"
        uplinks = json.loads(file.read_text())["uplinks"] if file.exists() else []
        return sum(any(lldp["neighbors"] for lldp in uplink["lldp"]) for uplink in uplinks) == UPLINKS

    wait_until(known, f"a neighbour on each of {UPLINKS} uplinks", timeout=20, interval=0.2)


def _cpu_ns(process: int) -> int:
    """Time on a CPU so far, of all its threads."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


def _resident(process: int) -> int:
    """KiB of a process and its children."""
    status = Path(f"/proc/{process}/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return own + sum(_resident(int(child)) for child in children)
