"""Real agents in namespaces, under load, with real faults: `make soak ARGS=--real`, or `--kills 500`.

A station with guests and VSIs, and a switch. VSIs of one half come and go all the time, a third party changes what it
says, readers read the state file; and the agents are killed, stopped, restarted, told something else, or lose the link.
After each fault all must be back: the answer, the VSIs at both ends, the guests' modes. On another uplink there is
lldpad, if it is installed, which has until the end for that.
"""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

from evbagent.statefile import read_state
from tests.bench.agents import missing
from tests.soak.findings import Broken, Findings
from tests.soak.load import CHURNING, HERE, THERE, ask, load, readers
from tests.soak.reader import DEAD
from tests.soak.report import Times
from tests.support.agent import Agent
from tests.support.namespaces import Namespace, link_pair, wait_until
from tests.support.peers import Lldpad, LldpadPort, RatifiedEvb
from tests.support.vsirig import associated, instance, linked_agents, spec

BESIDE, AT_LLDPAD = "s-pad", "p-pad"
HELD, AT_LLDPADS = range(40), range(100, 105)
GUESTS = ("guest0", "guest1")
PATIENCE_S = 30.0
LLDPADS_PATIENCE_S = 120.0  # it may have to time out what it knew of former agents, and speaks every 30 s
# A switch that forgets a silent station's VSIs after some seconds, so that the end need not be waited for long.
CONFIG = "[evb]\nkeep-alive-exponent = 17\necp-ack-timer-exponent = 10\n"
WITHDRAWN = CONFIG + 'reflective-relay = "off"\n'
RESTART_S = 0.5
"""What the units say in RestartSec."""


class Scene:
    """What there is, and what befalls it. `restart_s`: how long after its death an agent is started again."""

    def __init__(
        self, station: Agent, switch: Agent, directory: Path, seed: int, found: Findings, restart_s: float
    ) -> None:
        self.station, self.switch = station, switch
        self.found = found
        self.lldpad: Lldpad | None = None
        self._random = Random(seed)
        self._restart_s = restart_s
        self._dead = directory / DEAD
        self._killed: list[int] = []

    # Faults.

    def kill_station(self) -> None:
        """At a random moment of its life; now and then again while its successor takes over."""
        begun = self._kill(self.station)
        nothing = read_state(self.station.state_dir)
        if nothing.document is not None:
            raise Broken(f"a dead agent's answer is taken for one: {nothing.document['agent']}")
        if self._random.random() < 0.1:
            self._mode_says_veb()
        self._revive(self.station)
        if self._random.random() < 0.3:
            sleep(self._random.uniform(0, 0.4))
            self._kill(self.station)
            self._revive(self.station)
            self._count("kill-station-again")
        self._wait_until_it_speaks(self.station)
        self.found.restarted.add(monotonic() - begun, "kill")
        wait_until(self._guests_are_attended, "guests are in the mode of a living agent's answer", PATIENCE_S)
        self.found.unattended.add(monotonic() - begun, "kill")

    def kill_switch(self) -> None:
        self._kill(self.switch)
        self._revive(self.switch)

    def kill_both(self) -> None:
        """The switch is not there when the station's agent returns: guests must not stay in VEPA meanwhile."""
        begun = self._kill(self.station)
        self._kill(self.switch)
        self._revive(self.station)
        self._wait_until_it_speaks(self.station)
        wait_until(self._guests_are_attended, "guests are in the mode of a living agent's answer", PATIENCE_S)
        self.found.unattended.add(monotonic() - begun, "kill of both")
        self._revive(self.switch)

    def restart_station(self) -> None:
        self.station.stop()
        self.station.launch()

    def restart_switch(self) -> None:
        self.switch.stop()
        self.switch.launch()

    def stall_station(self) -> None:
        self._stall(self.station)

    def stall_switch(self) -> None:
        self._stall(self.switch)

    def kill_lldpad(self) -> None:
        if self.lldpad is not None:
            self.lldpad.kill()
            self.lldpad.start()

    def flap(self) -> None:
        for _ in range(self._random.randrange(1, 5)):
            self.station.namespace.ip(f"link set {HERE} down")
            sleep(self._random.uniform(0, 0.1))
            self.station.namespace.ip(f"link set {HERE} up")
            sleep(self._random.uniform(0, 0.1))

    def withdraw(self) -> None:
        """The switch offers no reflective relay for a while: guests follow."""
        self.switch.reload(WITHDRAWN)
        wait_until(lambda: self._modes() == ["bridge"] * len(GUESTS), "guests have followed into bridge", PATIENCE_S)
        self.switch.reload(CONFIG)

    def reload_rubbish(self) -> None:
        """What was in force stays in force."""
        self.station.reload("rubbish")
        sleep(0.05)
        self.station.reload(CONFIG)

    # What must hold.

    def befall(self, kind: str) -> None:
        """One fault, after a random while; returns when all is as before."""
        sleep(self._random.expovariate(6))
        begun = monotonic()
        getattr(self, kind)()
        self._count(kind)
        self.wait_until_whole(kind)
        self.found.back.setdefault(kind, Times()).add(monotonic() - begun)

    def wait_until_whole(self, after: str) -> None:
        try:
            wait_until(self._is_whole, f"all is back after {after}", PATIENCE_S)
        except AssertionError as error:
            raise Broken(f"{error}: {self._what_is_missing()}") from None

    def settle(self) -> None:
        """The load is over: both ends hold the same, and lldpad has come to terms with us, too."""
        wait_until(
            lambda: _states(self.station, HERE) == _states(self.switch, THERE), "both ends hold the same", PATIENCE_S
        )
        if self.lldpad is not None:
            begun = monotonic()
            wait_until(self._lldpad_agrees, "lldpad reflects and has our VSIs", LLDPADS_PATIENCE_S, 0.1)
            self.found.back.setdefault("lldpad, in the end", Times()).add(monotonic() - begun)

    def _lldpad_agrees(self) -> bool:
        uplink = _uplink(read_state(self.station.state_dir).document, BESIDE)
        if uplink is None or uplink["forwarding"]["reflective-relay"] != "active":
            return False
        held = {vsi["vsi-id"]: vsi["state"] for vsi in uplink["vsis"]}
        return held == associated(AT_LLDPADS)

    def _kill(self, agent: Agent) -> float:
        pid = agent.pid
        agent.kill()
        begun = monotonic()
        self._killed = [*self._killed[-20:], pid]
        temporary = self._dead.with_suffix(".new")
        temporary.write_text(" ".join(map(str, self._killed)))
        temporary.rename(self._dead)
        return begun

    def _revive(self, agent: Agent) -> None:
        sleep(self._restart_s)
        agent.launch()

    def _wait_until_it_speaks(self, agent: Agent) -> None:
        def speaks() -> bool:
            document = read_state(agent.state_dir).document
            return document is not None and document["agent"]["pid"] == agent.pid

        wait_until(speaks, "the new agent has written a state file", PATIENCE_S, 0.005)

    def _stall(self, agent: Agent) -> None:
        os.kill(agent.pid, signal.SIGSTOP)
        sleep(self._random.uniform(0.05, 2))
        os.kill(agent.pid, signal.SIGCONT)

    def _mode_says_veb(self) -> None:
        said = self.station.evbagent("mode", HERE, check=False)
        required = self.station.evbagent("mode", HERE, "--policy", "require-vepa", check=False)
        if (said.returncode, said.stdout.strip(), required.returncode) != (0, "veb", 3):
            raise Broken(f"of a dead agent `mode` says {said}, {required}")

    def _guests_are_attended(self) -> bool:
        """Whether a living agent answers for the mode that each guest really is in."""
        modes = self._modes()
        document = read_state(self.station.state_dir).document
        uplink = _uplink(document, HERE)
        return uplink is not None and all(mode == _mode_for(uplink) for mode in modes)

    def _modes(self) -> list[str]:
        return [self.station.namespace.link(name)["linkinfo"]["info_data"]["mode"] for name in GUESTS]

    def _is_whole(self) -> bool:
        return not self._what_is_missing()

    def _what_is_missing(self) -> str:
        wanted = associated(HELD)
        for agent, interface in ((self.station, HERE), (self.switch, THERE)):
            state = read_state(agent.state_dir)
            uplink = _uplink(state.document, interface)
            if uplink is None:
                return f"{interface} says nothing: {state.reason}"
            if uplink["forwarding"]["reflective-relay"] != "active":
                return f"{interface}: {uplink['forwarding']['reason']}"
            held = {vsi["vsi-id"]: vsi["state"] for vsi in uplink["vsis"]}
            lost = [vsi for vsi, vsi_state in wanted.items() if held.get(vsi) != vsi_state]
            if lost:
                return f"{interface}: {len(lost)} VSIs are not associated, {lost[0]} is {held.get(lost[0])}"
        modes = self._modes()
        return "" if set(modes) == {"vepa"} else f"guests are in {modes}"

    def _count(self, kind: str) -> None:
        self.found.faults[kind] = self.found.faults.get(kind, 0) + 1


KILLS = ("kill_station", "kill_station", "kill_station", "kill_switch", "kill_both")
FAULTS = (
    *KILLS,
    "restart_station",
    "restart_switch",
    "stall_station",
    "stall_switch",
    "flap",
    "withdraw",
    "reload_rubbish",
    "kill_lldpad",
)


def soak(
    directory: Path,
    seed: int,
    found: Findings,
    *,
    seconds: float = float("inf"),
    kills: int = 0,
    restart_s: float = 0.0,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Until the time is over, or after so many kills (and nothing else). Raises Broken or AssertionError."""
    with ExitStack() as stack:
        station, switch = stack.enter_context(linked_agents(directory, ["one"], station=CONFIG, bridge=CONFIG))
        for name in GUESTS:
            station.evbagent("attach", HERE, "--name", name, "--kind", "macvlan")
        scene = Scene(station, switch, directory, seed, found, restart_s)
        scene.lldpad = None if kills else _beside(stack, station, directory)
        ask(station, [spec(number) for number in HELD])
        scene.wait_until_whole("the start")
        before = _resident(station)
        with load(station, switch, found, seed), readers([station, switch], found):
            random, begun, said = Random(seed), monotonic(), monotonic()
            while monotonic() - begun < seconds and (not kills or found.kills < kills):
                scene.befall(random.choice(KILLS if kills else FAULTS))
                if monotonic() - said > 30:
                    said = monotonic()
                    (tell or _tell)(f"{said - begun:.0f} s: {sum(scene.found.faults.values())} faults")
        scene.settle()
        found.resident = before, _resident(station)


def _tell(text: str) -> None:
    print(text, flush=True)


def _beside(stack: ExitStack, station: Agent, directory: Path) -> Lldpad | None:
    """Another uplink, at whose end there is lldpad, if there is one."""
    if missing("lldpad"):
        return None
    namespace = stack.enter_context(Namespace("lldpad"))
    link_pair(station.namespace, BESIDE, namespace, AT_LLDPAD)
    evb = RatifiedEvb(mode="bridge", rr_capable=True, rte=10)
    lldpad = stack.enter_context(Lldpad(namespace, directory, {AT_LLDPAD: LldpadPort(evb=evb)}))
    station.wait_for_relay(BESIDE, "active", timeout=PATIENCE_S)
    ask(station, [spec(number, persistent=True) for number in AT_LLDPADS], BESIDE)
    return lldpad


def _uplink(document: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
    return next((uplink for uplink in document["uplinks"] if uplink["name"] == name), None) if document else None


def _mode_for(uplink: dict[str, Any]) -> str:
    return "vepa" if uplink["forwarding"]["mode"] == "vepa" else "bridge"


def _states(agent: Agent, interface: str) -> dict[str, str]:
    uplink = _uplink(read_state(agent.state_dir).document, interface)
    vsis = uplink["vsis"] if uplink else []
    churning = {instance(number) for number in CHURNING}
    return {vsi["vsi-id"]: vsi["state"] for vsi in vsis if vsi["vsi-id"] in churning}


def _resident(agent: Agent) -> int:
    status = Path(f"/proc/{agent.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
