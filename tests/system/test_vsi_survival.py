"""VSIs over the ends of agents, switches and links: what was granted comes back by itself."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

import pytest

from evbagent.client import Client, ClientError
from evbagent.vsiservice import RELEASE_S
from tests.support.agent import Agent
from tests.support.namespaces import Namespace, wait_until
from tests.support.vsirig import (
    DRAFT_PROFILE,
    PROFILE,
    Overheard,
    address,
    ask,
    associated,
    clear,
    deassociated,
    filter_texts,
    instance,
    kinds,
    linked_agents,
    overheard,
    spec,
    states,
    vsi,
    vsis,
    wait_for_states,
    wait_for_vsi,
)

pytestmark = pytest.mark.system

HERE, THERE = "s-one", "p-one"
Pair = tuple[Agent, Agent, Overheard]

MANY = 200
FEW = 40
MANAGERS = {"ratified": PROFILE[1], "draft": DRAFT_PROFILE[1]}
# A switch that forgets a silent station's VSIs within half a second, or little more than a second.
FORGETFUL = "[evb]\nkeep-alive-exponent = 14\necp-ack-timer-exponent = 10\n"
PATIENT = "[evb]\nkeep-alive-exponent = 16\necp-ack-timer-exponent = 10\n"


@contextmanager
def pair(directory: Path, station: str = "", bridge: str = "") -> Iterator[Pair]:
    with (
        linked_agents(directory, ["one"], station=station, bridge=bridge) as (here, there),
        overheard(here.namespace, HERE) as wire,
    ):
        yield here, there, wire


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, Agent]]:
    with linked_agents(tmp_path_factory.mktemp("shared"), ["one"]) as agents:
        yield agents


@pytest.fixture
def plain(shared: tuple[Agent, Agent]) -> Iterator[Pair]:
    """A pair as it is without configuration, running and with no VSIs when the test is over."""
    yield from used(shared)


@pytest.fixture(scope="module")
def shared_forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, Agent]]:
    with linked_agents(tmp_path_factory.mktemp("forgetful"), ["one"], station=FORGETFUL, bridge=FORGETFUL) as agents:
        yield agents


@pytest.fixture
def forgetful(shared_forgetful: tuple[Agent, Agent]) -> Iterator[Pair]:
    """The same, of a switch that forgets soon."""
    yield from used(shared_forgetful)


def used(agents: tuple[Agent, Agent]) -> Iterator[Pair]:
    station, bridge = agents
    with overheard(station.namespace, HERE) as wire:
        yield station, bridge, wire
    for agent in agents:
        if agent.process is None:
            agent.start()
    clear(station, HERE)
    wait_for_states(bridge, THERE, {})


def wait_for_both(station: Agent, bridge: Agent, wanted: dict[str, str]) -> None:
    wait_for_states(station, HERE, wanted)
    wait_for_states(bridge, THERE, wanted)


def since(agent: Agent, interface: str) -> dict[str, str]:
    """When each came into its state."""
    return {vsi_id: str(document["since"]) for vsi_id, document in vsis(agent, interface).items()}


# The station's agent.


@pytest.mark.parametrize("edition", list(MANAGERS))
def test_agent_killed(tmp_path: Path, edition: str) -> None:
    """Its successor asks again for what clients have asked it for: to the switch nothing has happened."""
    config = f'[evb]\nedition = "{edition}"\n'
    with pair(tmp_path, config, config) as (station, bridge, wire):
        ask(station, HERE, [spec(number, manager=MANAGERS[edition]) for number in range(MANY)])
        vm: dict[str, Any] = {"vm-name": "web", "vm-uuid": instance(9), "vm-address": "192.0.2.9", "hint": "migrate"}
        more = [spec(MANY, "preassociate"), spec(MANY + 1, "preassociate-rr"), spec(MANY + 2), spec(MANY + 3, **vm)]
        ask(station, HERE, [{**each, "manager": MANAGERS[edition]} for each in more])
        ask(station, HERE, [spec(MANY + 2, "deassociate")])
        wanted = {
            **associated([*range(MANY), MANY + 3]),
            instance(MANY): "preassociated",
            instance(MANY + 1): "preassociated-rr",
        }
        wait_for_both(station, bridge, wanted)
        before, shown = since(bridge, THERE), vsis(station, HERE)
        said = {tlv.vsi_id: tlv for tlv in wire.said()[0] if tlv.uuid != instance(MANY + 2)}
        for _ in range(2):
            station.kill()
            station.start()
            wait_for_states(station, HERE, wanted)
            asked, answered = wire.said()
            assert deassociated(asked + answered) == []
            assert len(asked) == len(wanted) and {tlv.vsi_id: tlv for tlv in asked} == said
        assert since(bridge, THERE) == before
        again = vsis(station, HERE)
        assert [{**again[key], "since": ""} for key in shown] == [{**shown[key], "since": ""} for key in shown]


def test_agent_killed_at_any_moment(tmp_path: Path) -> None:
    """While 200 VSIs are asked for and given up: what a client was told holds, and both ends agree in the end."""
    random = Random(7)
    asked_to_end: set[str] = set()
    with pair(tmp_path, PATIENT, PATIENT) as (station, bridge, wire):
        may_be: dict[str, set[str]] = {instance(number): {"gone"} for number in range(MANY)}
        for _ in range(3):
            chosen = {number: random.choice(("associate", "preassociate", "deassociate")) for number in range(MANY)}
            requests = [spec(number, request) for number, request in chosen.items() if random.random() < 0.7]
            random.shuffle(requests)
            with station.namespace.entered(), Client(station.state_dir) as client, client.vsi(HERE) as session:
                for start in range(0, len(requests), 20):
                    session.request(requests[start : start + 20])
                sleep(random.uniform(0, 0.03))
                station.kill()
                told = set()
                with suppress(ClientError):
                    for answer in session.answers(1):
                        assert answer["result"] == "granted", answer
                        told.add(answer["id"])
            for request in requests:
                outcome = OUTCOMES[request["request"]]
                states = may_be[request["instance"]]
                may_be[request["instance"]] = {outcome} if request["id"] in told else states | {outcome}
                if outcome == "gone":
                    asked_to_end.add(request["instance"])
            if random.random() < 0.5:  # and another time, while it takes up what there was
                station.launch()
                sleep(random.uniform(0.15, 0.4))
                station.kill()
            station.start()
            wait_until(lambda: settled(station), "all is answered")
            now = found(station, HERE)
            assert {key: state for key, state in now.items() if state not in may_be[key]} == {}
            may_be = {key: {state} for key, state in now.items()}
        # What was given up in the moment of a kill the switch forgets by itself.
        wait_until(lambda: found(bridge, THERE) == found(station, HERE), "both ends agree", 8)
        assert {*deassociated(wire.said()[0])} <= asked_to_end


OUTCOMES = {"associate": "associated", "preassociate": "preassociated", "deassociate": "gone"}


def found(agent: Agent, interface: str) -> dict[str, str]:
    return {instance(number): "gone" for number in range(MANY)} | states(agent, interface)


def settled(station: Agent) -> bool:
    rows = json.loads(station.evbagent("show", "vsis", "-j").stdout)
    return all("pending" not in row and row["state"] != "unassociated" for row in rows)


def test_journal_that_broke_off(tmp_path: Path) -> None:
    """Half a line, or lines that mean nothing: what is before and after them is there."""
    with pair(tmp_path) as (station, bridge, _):
        ask(station, HERE, [spec(number) for number in range(10)])
        station.kill()
        journal = station.state_dir / "vsis.journal"
        journal.write_bytes(journal.read_bytes() + b'not one\n{"interface":"s-one","vsi":"' + instance(3).encode())
        station.start()
        wait_for_both(station, bridge, associated(range(10)))
        assert "1 lines are not understood" in station.log.read_text()
        ask(station, HERE, [spec(11), spec(3, "deassociate")])
        station.kill()
        station.start()
        wait_for_both(station, bridge, associated([*range(3), *range(4, 10), 11]))
        station.kill()
        journal.write_bytes(b"\0" * 5000)
        station.start()
        assert "vsis.journal is ignored" in station.log.read_text()
        assert states(station, HERE) == {}
        assert vsi(station, "associate", HERE, 1).returncode == 0


def test_stopped_and_kept(plain: Pair) -> None:
    """The default: a restart of the service is nobody's farewell."""
    station, bridge, wire = plain
    ask(station, HERE, [spec(number) for number in range(FEW)])
    wait_for_both(station, bridge, associated(range(FEW)))
    before = since(bridge, THERE)
    wire.said()
    assert station.stop() == 0
    assert wire.said() == ([], []) and states(bridge, THERE) == associated(range(FEW))
    station.start()
    wait_for_states(station, HERE, associated(range(FEW)))
    assert {*kinds(wire.said()[0])} == {"associate"} and since(bridge, THERE) == before


def test_stopped_and_deassociated(tmp_path: Path) -> None:
    """Every VSI is said to be over before the agent ends; its successor takes them up again."""
    with pair(tmp_path, '[vdp]\non-stop = "deassociate"\n') as (station, bridge, wire):
        ask(station, HERE, [spec(number) for number in range(FEW)])
        wait_for_both(station, bridge, associated(range(FEW)))
        wire.said()
        began = monotonic()
        assert station.stop() == 0 and monotonic() - began < RELEASE_S
        asked, answered = wire.said()
        assert sorted(deassociated(asked)) == sorted(deassociated(answered)) == sorted(associated(range(FEW)))
        wait_for_states(bridge, THERE, {})
        station.start()
        wait_for_both(station, bridge, associated(range(FEW)))
        # A switch that does not answer any more holds nobody up.
        os.kill(bridge.pid, signal.SIGSTOP)
        began = monotonic()
        assert station.stop() == 0 and monotonic() - began < 5
        os.kill(bridge.pid, signal.SIGCONT)


# Silence.


def test_kept_alive(forgetful: Pair) -> None:
    """Again and again, many in one ECPDU, with the VIDs that were assigned; nothing changes at either end."""
    station, bridge, wire = forgetful
    ask(station, HERE, [spec(number, vid=0) for number in range(50)])
    wait_for_both(station, bridge, associated(range(50)))
    before = since(station, HERE), since(bridge, THERE)
    wire.said()
    sleep(0.8)
    asked, answered = wire.said()
    assert (since(station, HERE), since(bridge, THERE)) == before
    assert {*kinds(asked)} == {*kinds(answered)} == {"associate"}
    assert {tlv.vids for tlv in (*asked, *answered)} == {(2,)}
    for number in range(50):
        assert 3 <= sum(tlv.uuid == instance(number) for tlv in asked) <= 8


def test_station_silent_for_too_long(forgetful: Pair) -> None:
    """The switch takes its VSIs for gone; when the station is back so are they."""
    station, bridge, wire = forgetful
    ask(station, HERE, [spec(number) for number in range(20)])
    os.kill(station.pid, signal.SIGSTOP)
    wait_for_states(bridge, THERE, {})
    os.kill(station.pid, signal.SIGCONT)
    wait_for_both(station, bridge, associated(range(20)))
    assert deassociated(wire.said()[0]) == []


def test_agent_away_for_too_long(tmp_path: Path) -> None:
    """The switch is still telling that it took them away: the new agent asks again as soon as it has heard it."""
    config = "[evb]\nkeep-alive-exponent = 14\n"
    with pair(tmp_path, config, config) as (station, bridge, _):
        ask(station, HERE, [spec(number) for number in range(20)])
        wait_for_states(bridge, THERE, associated(range(20)))
        station.kill()
        wait_for_states(bridge, THERE, {})
        station.start()
        wait_for_states(station, HERE, associated(range(20)), 1)


# The switch.


def test_switch_killed(plain: Pair) -> None:
    """It knows nothing any more, and is told at once, by a station that has seen it start."""
    station, bridge, wire = plain
    ask(station, HERE, [spec(number, vid=0) for number in range(FEW)])
    wait_for_both(station, bridge, associated(range(FEW)))
    for _ in range(2):
        wire.said()
        bridge.kill()
        bridge.start()
        wait_for_both(station, bridge, associated(range(FEW)))
        asked, answered = wire.said()
        assert deassociated(asked + answered) == [] and len(asked) >= FEW


def test_switch_stopped(plain: Pair) -> None:
    """Nothing is associated while it is away, and that is said; what is asked meanwhile waits for it."""
    station, bridge, wire = plain
    ask(station, HERE, [spec(number) for number in range(3)])
    assert bridge.stop() == 0
    document = wait_for_vsi(station, HERE, 1, lambda document: document["state"] == "unassociated")
    assert document["reason"] == "no switch has been heard on this link yet"
    assert vsi(station, "associate", HERE, 3, "--wait", "0", "--persistent").returncode == 4
    assert vsi(station, "deassociate", HERE, 2).returncode == 0
    bridge.start()
    wait_for_both(station, bridge, associated([0, 1, 3]))
    assert deassociated(wire.said()[0]) == []


def test_both_killed(plain: Pair) -> None:
    station, bridge, wire = plain
    ask(station, HERE, [spec(number) for number in range(FEW)])
    for first, second in ((station, bridge), (bridge, station)):
        first.kill()
        second.kill()
        first.start()
        second.start()
        wait_for_both(station, bridge, associated(range(FEW)))
    asked, answered = wire.said()
    assert deassociated(asked + answered) == []


def test_switch_replaced(tmp_path: Path) -> None:
    """Another switch at the cable's other end assigns other VLANs, and knows nothing of what one before has refused."""
    with pair(tmp_path, bridge='[[switch.rule]]\ntype = 9\nanswer = "other-failure"\n') as (station, bridge, _):
        ask(station, HERE, [spec(1, vid=0), spec(2, vid=30), spec(3, type=9, persistent=True)])
        (tmp_path / "other").mkdir()
        with Namespace("other") as other:
            bridge.namespace.ip(f"link set {THERE} netns {other.pid}")
            wait_for_vsi(station, HERE, 1, lambda document: document["state"] == "unassociated")
            other.ip(f"link set {THERE} address 02:00:00:00:0c:00 up")
            other.bridge("br0", [THERE])
            rules = '[switch]\ndefault = { assign = "500" }\n'
            with Agent(other, tmp_path / "other", [THERE], role="bridge", config=rules) as successor:
                wait_for_both(station, successor, associated([1, 2, 3]))
                for agent, interface in ((station, HERE), (successor, THERE)):
                    granted = vsis(agent, interface)
                    assert filter_texts(granted[instance(1)]) == [f"500-{address(1)}"]
                    assert filter_texts(granted[instance(2)]) == [f"30-{address(2)}"]
                assert bridge.state()["uplinks"] == []


# The link.


def test_link_down_and_up(plain: Pair) -> None:
    """Down: nothing is associated at either end. Up: all is as before, however often that happens."""
    station, bridge, _ = plain
    ask(station, HERE, [spec(number) for number in range(FEW)])
    wait_for_both(station, bridge, associated(range(FEW)))
    for namespace, link in ((station.namespace, HERE), (bridge.namespace, THERE)):
        namespace.ip(f"link set {link} down")
        wait_for_states(station, HERE, dict.fromkeys(associated(range(FEW)), "unassociated"))
        wait_for_states(bridge, THERE, {})
        assert {str(document["reason"]) for document in vsis(station, HERE).values()} == {"interface: the link is down"}
        namespace.ip(f"link set {link} up")
        wait_for_both(station, bridge, associated(range(FEW)))
    for _ in range(10):
        station.namespace.ip(f"link set {HERE} down")
        station.namespace.ip(f"link set {HERE} up")
    wait_for_both(station, bridge, associated(range(FEW)))


def test_interface_gone_and_renamed(tmp_path: Path) -> None:
    """Another name is nothing to the switch; an interface that comes back has its VSIs again."""
    with pair(tmp_path) as (station, bridge, wire):
        ask(station, HERE, [spec(number) for number in range(3)])
        wait_for_both(station, bridge, associated(range(3)))
        station.namespace.ip(f"link set {HERE} name s-new")
        wait_until(lambda: station.serves("s-new"), "it is served under its new name")
        wait_for_states(station, "s-new", associated(range(3)))
        station.kill()
        station.start()
        wait_for_states(station, "s-new", associated(range(3)))
        asked, answered = wire.said()
        assert deassociated(asked + answered) == []
        station.namespace.ip("link delete s-new")
        wait_until(lambda: not station.serves("s-new"), "it is gone")
        station.namespace.ip(f"link add s-new type veth peer name p-new netns {bridge.namespace.pid}")
        bridge.namespace.ip("link set p-new up")
        station.namespace.ip("link set s-new up")
        wait_until(lambda: station.serves("s-new"), "it is back")
        wait_for_states(station, "s-new", associated(range(3)))


def test_a_name_that_is_not_served(tmp_path: Path) -> None:
    """An interface that gets one is gone; its VSIs are asked for on the next that has the name it had."""
    with pair(tmp_path) as (station, bridge, _):
        ask(station, HERE, [spec(number) for number in range(3)])
        wait_for_both(station, bridge, associated(range(3)))
        station.namespace.ip(f"link set {HERE} name other")
        wait_until(lambda: not station.serves(HERE), "it is not served any more")
        bridge.kill()
        bridge.start()
        wait_for_states(bridge, THERE, {})
        station.namespace.ip(f"link set other name {HERE}")
        station.namespace.ip(f"link set {HERE} up")
        wait_until(lambda: station.serves(HERE), "it is back")
        wait_for_both(station, bridge, associated(range(3)))
