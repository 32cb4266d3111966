"""What a service manager sees of the agent: how long it takes to be ready, and what it needs then."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.agents import OursLaunched, TimedNamespace
from tests.bench.report import Row, Samples, alone
from tests.bench.usage import resident
from tests.bench.wire import MILLISECOND, many_links
from tests.support.agent import ROOT, Agent, environment
from tests.support.namespaces import Namespace, wait_until

RUNS = 7
RUNS_OF_MANY = 3
RUNS_OF_MEMORY = 3
INTERFACES = 2000
UPLINKS = 64
VSIS_EACH = 10
SETTLING_S = 3.0
PATIENCE_S = 30.0

VSI = """
[[vsi]]
interface = "{link}"
instance = "00000000-0000-4000-8000-{number:012x}"
manager = "192.0.2.1"
type = 5
type-version = 1
filter = ["0-52:54:00:00:{high:02x}:{low:02x}"]
"""


class Managed(OursLaunched):
    """evbagent, whose service manager is this process."""

    def __init__(self, namespace: Namespace, directory: Path, interfaces: Sequence[str], *, config: str = "") -> None:
        super().__init__(namespace, directory, interfaces, config=config)
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._address = str(directory / f"notify-{time.monotonic_ns()}")
        self._manager.bind(self._address)

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._manager.close()

    def launch(self) -> None:
        with self.log.open("a") as log:
            self.process = self.namespace.popen(
                self.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment() | {"NOTIFY_SOCKET": self._address},
                cwd=ROOT,
            )

    def wait_until_ready(self) -> int:
        """CLOCK_REALTIME when it has said so."""
        self._manager.settimeout(PATIENCE_S)
        while b"READY=1" not in self._manager.recv(4096):
            pass
        return time.time_ns()


def service_ready_1(directory: Path) -> list[Row]:
    """One uplink."""
    with TimedNamespace("near") as near, Namespace("far") as far:
        many_links(near, far, 1)
        samples = Samples(tuple(_until_ready(near, directory, 1) for _ in range(RUNS)))
    return [alone("service-ready-1", "ms", samples, "exec to READY=1")]


def service_ready_2000(directory: Path) -> list[Row]:
    """64 uplinks among 2,000 interfaces."""
    with TimedNamespace("near") as near, Namespace("far") as far:
        many_links(near, far, UPLINKS)
        pairs = (INTERFACES - UPLINKS) // 2
        lines = [f"link add name x{number} type veth peer name y{number}" for number in range(pairs)]
        near.run("ip -batch -", input="\n".join(lines) + "\n", timeout=60)
        samples = Samples(tuple(_until_ready(near, directory, UPLINKS) for _ in range(RUNS_OF_MANY)))
    note = f"exec to READY=1, {UPLINKS} uplinks among {INTERFACES} interfaces"
    return [alone(f"service-ready-{INTERFACES}", "ms", samples, note)]


def service_memory(directory: Path) -> list[Row]:
    """Resident, each uplink with a neighbor and VSIs."""
    rows = []
    for uplinks in (1, UPLINKS):
        samples = Samples(tuple(_memory(directory, uplinks) for _ in range(RUNS_OF_MEMORY)))
        note = f"resident; a neighbor and {VSIS_EACH} VSIs on each uplink"
        rows.append(alone(f"service-memory-{uplinks}", "MiB", samples, note))
    return rows


def _until_ready(near: TimedNamespace, directory: Path, uplinks: int) -> float:
    with Managed(near, directory, ["up*"]) as agent:
        ready = agent.wait_until_ready()
        served = len(agent.state()["uplinks"])
    assert served == uplinks, f"ready with {served} of {uplinks} uplinks"
    return (ready - near.started_ns) / MILLISECOND


def _memory(directory: Path, uplinks: int) -> float:
    with ExitStack() as stack:
        near = stack.enter_context(TimedNamespace("near"))
        far = stack.enter_context(Namespace("far"))
        links = many_links(near, far, uplinks)
        declare(directory / "vsi.d", links)
        stack.enter_context(Agent(far, directory, ["sw*"], role="bridge"))
        agent = stack.enter_context(Managed(near, directory, ["up*"]))
        agent.wait_until_ready()
        wait_until(lambda: _complete(agent, uplinks), "neighbors and VSIs everywhere", PATIENCE_S, 0.2)
        time.sleep(SETTLING_S)
        return resident(agent.pid) / 1024


def declare(directory: Path, links: Sequence[str]) -> None:
    directory.mkdir(exist_ok=True)
    for file in directory.iterdir():
        os.unlink(file)
    numbers = range(1, len(links) * VSIS_EACH + 1)
    texts = [
        VSI.format(link=links[number % len(links)], number=number, high=number >> 8, low=number & 255)
        for number in numbers
    ]
    (directory / "all.toml").write_text("".join(texts))


def _complete(agent: Agent, uplinks: int) -> bool:
    found = json.loads((agent.state_dir / "state.json").read_text())["uplinks"]
    heard = sum(any(lldp["neighbors"] for lldp in uplink["lldp"]) for uplink in found)
    associated = sum(vsi["state"] == "associated" for uplink in found for vsi in uplink["vsis"])
    return (heard, associated) == (uplinks, uplinks * VSIS_EACH)
