"""A station and a bridge on a cable, of ours or lldpad, with a client that has VSIs associated."""

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple, TypeVar

from evbagent.client import AgentNotRunning, Client
from tests.bench.agents import LldpadLaunched, missing
from tests.bench.vsiclients import Asked, LldpadClient, Mode, OurClient, connect
from tests.bench.wire import MILLISECOND
from tests.support.agent import Agent
from tests.support.namespaces import CapturedFrame, Namespace, PacketTap, search_path, wait_until
from tests.support.peers import LldpadPort, RatifiedEvb
from tests.support.rig import Cable, make_cable
from tests.support.vdpdus import ecp_octets, numbered

T = TypeVar("T")

OURS = "evbagent"
LLDPAD = "lldpad"
OUR_RTE = 14  # our default, and the standard's
LLDPAD_RTE = 8  # lldpad's
DEFAULT_RKA = 20  # everybody's
# 168 s: no keep-alives meanwhile, and none of lldpad's bridge, which ends VSIs once more that were released before.
SLOW_RKA = 24
READY_WITHIN_S = 20.0
SETTLING_S = 2.0
PEER = f"{LLDPAD}+{LLDPAD}"


class Kind(NamedTuple):
    """A pair of agents by name, and the ackTimerInit exponent of both."""

    station: str
    bridge: str
    rte: int

    def __str__(self) -> str:
        return f"{self.station} station, {self.bridge} bridge, RTE {self.rte}"

    @property
    def part(self) -> str:
        """What distinguishes the names of its rows."""
        if self.bridge == LLDPAD:
            return "-lldpad"
        return "-lldpad-as-station" if self.station == LLDPAD else ""

    @property
    def of_peers(self) -> "Kind":
        return Kind(LLDPAD, LLDPAD, self.rte)

    @property
    def is_possible(self) -> bool:
        return LLDPAD not in self or not missing(LLDPAD)


class AgentDied(Exception):
    """Says which."""


@dataclass(slots=True)
class VsiPair:
    """`bridge_client` is None where the bridge is lldpad, which shows its VSIs to nobody."""

    name: str
    cable: Cable
    station: Agent | LldpadLaunched
    bridge: Agent | LldpadLaunched
    client: OurClient | LldpadClient
    bridge_client: Client | None
    _next: int = field(default=1)

    def fresh(self, count: int) -> range:
        """Numbers of VSIs that there were not yet."""
        numbers = range(self._next, self._next + count)
        self._next += count
        return numbers

    def ask(self, numbers: Sequence[int], mode: Mode = "associate") -> Asked:
        """AgentDied when one of the agents has not survived it."""
        try:
            return self.client.ask(numbers, mode)
        finally:
            for role, agent in (("station", self.station), ("bridge", self.bridge)):
                if agent.process is None or agent.process.poll() is not None:
                    raise AgentDied(f"{self.name}: the {role} has died")

    def put_apart(self) -> None:
        """Each agent on a core of its own, as if on two machines: else the one that is woken waits for the other."""
        cores = sorted(os.sched_getaffinity(0))
        for number, pid in enumerate(pids(self)):
            os.sched_setaffinity(pid, {cores[number % len(cores)]})

    def frames(self) -> int:
        """Frames on the cable so far, by the counters of the uplink."""
        counters = self.cable.station.root / f"sys/class/net/{self.cable.uplink}/statistics"
        return sum(int((counters / name).read_text()) for name in ("tx_packets", "rx_packets"))

    def unknown_to_bridge(self, numbers: Iterable[int]) -> int:
        """How many of these VSIs our bridge does not hold as associated."""
        assert self.bridge_client is not None
        rows = self.bridge_client.request("show", what="vsis", interface=self.cable.port)
        held = {row["vsi-id"] for row in rows if row["state"] == "associated"}
        return sum(numbered(number).uuid not in held for number in numbers)

    def wait_until_ready(self) -> None:
        """EVB is agreed on, and both ends know each other's VDP."""
        deadline = time.monotonic() + READY_WITHIN_S
        numbers = self.fresh(1)
        while self.ask(numbers).lost:
            assert time.monotonic() < deadline, f"{self.name}: no VSI can be associated"
            time.sleep(0.2)
        self.ask(numbers, "deassociate")


@contextmanager
def vsi_pair(
    directory: Path, station: str, bridge: str, rte: int = OUR_RTE, rka: int = DEFAULT_RKA
) -> Iterator[VsiPair]:
    """`rte`, `rka`: both ends' ecp-ack-timer-exponent and keep-alive-exponent."""
    with _in_memory(directory) as home, Namespace("station") as near, Namespace("bridge") as far:
        cable = make_cable(near, far)
        config = f"[evb]\necp-ack-timer-exponent = {rte}\nkeep-alive-exponent = {rka}\n"
        bridge_agent: Agent | LldpadLaunched
        station_agent: Agent | LldpadLaunched
        if bridge == OURS:
            # With STP it keeps the group address to itself, like a switch: else it would reflect the station's ECPDUs.
            far.bridge("br0", [cable.port], "stp_state 1")
            bridge_agent = Agent(far, home, [cable.port], role="bridge", config=config)
        else:
            bridge_evb = RatifiedEvb(mode="bridge", rr_capable=True, rte=rte, rka=rka)
            bridge_agent = LldpadLaunched(far, home, [cable.port], LldpadPort(evb=bridge_evb))
        if station == OURS:
            station_agent = Agent(near, home, [cable.uplink], config=config)
        else:
            station_evb = RatifiedEvb(mode="station", rr_request=True, rte=rte, rka=rka)
            station_agent = LldpadLaunched(near, home, [cable.uplink], LldpadPort(evb=station_evb))
        with bridge_agent, station_agent:
            client = _client(station_agent, cable)
            bridge_client = _bridge_client(bridge_agent)
            try:
                pair = VsiPair(
                    str(Kind(station, bridge, rte)), cable, station_agent, bridge_agent, client, bridge_client
                )
                pair.wait_until_ready()
                yield pair
            finally:
                client.close()
                if bridge_client:
                    bridge_client.close()


@contextmanager
def _in_memory(directory: Path) -> Iterator[Path]:
    """State directories are in memory, as they are below /run: on a disk a file's replacement takes milliseconds."""
    home = mkdtemp(dir=directory)
    environment = os.environ | {"PATH": search_path()}
    subprocess.run(["mount", "-t", "tmpfs", "evbagent-bench", home], check=True, env=environment)
    try:
        yield Path(home)
    finally:
        subprocess.run(["umount", "--lazy", home], check=True, env=environment)


def answered_after(frames: Iterable[CapturedFrame], number: int) -> float:
    """Milliseconds on the wire, at the station's end, from the request of this VSI to the bridge's response."""
    vsi_id = numbered(number).vsi_id
    asked: int | None = None
    for frame in frames:
        ecpdu = ecp_octets(frame.data)
        if ecpdu is None or ecpdu.acknowledgment or all(vsi.vsi_id != vsi_id for vsi in ecpdu.vsis):
            continue
        if asked is None:
            assert frame.outgoing, f"VSI {number} was said something about before it was asked for"
            asked = frame.timestamp_ns
        elif not frame.outgoing:
            return (frame.timestamp_ns - asked) / MILLISECOND
    raise AssertionError(f"no request of VSI {number} with its response was on the wire")


def tap(pair: VsiPair) -> PacketTap:
    return PacketTap(pair.cable.station, pair.cable.uplink)


def vsi_pairs(stack: ExitStack, directory: Path, kinds: Iterable[Kind]) -> Mapping[Kind, VsiPair]:
    """Those whose agents are installed. They keep nothing alive for long enough not to disturb each other."""
    possible = [kind for kind in kinds if kind.is_possible]
    pairs = {kind: stack.enter_context(vsi_pair(directory, *kind, SLOW_RKA)) for kind in possible}
    time.sleep(SETTLING_S)
    return pairs


def pids(pair: VsiPair) -> tuple[int, int]:
    """Of the station's agent and of the bridge's."""
    station, bridge = pair.station.process, pair.bridge.process
    assert station is not None and bridge is not None
    return station.pid, bridge.pid


def _client(agent: Agent | LldpadLaunched, cable: Cable) -> OurClient | LldpadClient:
    if isinstance(agent, Agent):
        ours = agent
        return _connected(lambda: OurClient(ours, cable.uplink))
    return _connected(lambda: LldpadClient(cable.station, cable.uplink))


def _bridge_client(agent: Agent | LldpadLaunched) -> Client | None:
    return _connected(lambda: connect(agent)) if isinstance(agent, Agent) else None


def _connected(make: Callable[[], T]) -> T:
    """The client as soon as its agent's socket is there."""

    def attempt() -> T | None:
        with suppress(AgentNotRunning, ConnectionRefusedError):
            return make()
        return None

    client = wait_until(attempt, "the agent has a control socket", READY_WITHIN_S)
    assert client is not None
    return client
