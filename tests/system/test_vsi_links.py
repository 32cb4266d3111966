"""VSIs where links are not as one would have them: shared, small, changed under way; and VSIs that are large."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Agent
from tests.support.namespaces import Namespace, PacketTap, link_pair, wait_until
from tests.support.vdpdus import ecp_octets
from tests.support.vsirig import (
    address,
    ask,
    associated,
    clear,
    deassociated,
    instance,
    kinds,
    linked_agents,
    overheard,
    spec,
    states,
    vsis,
    wait_for_states,
    wait_for_vsi,
)

pytestmark = pytest.mark.system

HERE, THERE = "s-one", "p-one"
SWITCH = bytes.fromhex("020000000b02")  # its port to the second host
GROUPS = "[evb]\ngroup-ids = true\n"
MUTE = '{ nearest-customer-bridge = "disabled", nearest-bridge = "disabled", nearest-non-tpmr-bridge = "disabled" }'


def reload(agent: Agent, config: str) -> None:
    """Returns when the agent has read it."""
    before = agent.log.read_text().count("configuration reloaded")
    agent.reload(config)
    wait_until(lambda: agent.log.read_text().count("configuration reloaded") > before, "the configuration is read")


Hosts = tuple[Agent, Agent, Agent]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Two, on one Linux bridge without STP, which forwards what is sent to the nearest customer bridge; it is last."""
    directories = [tmp_path_factory.mktemp(name) for name in ("a", "b", "switch")]
    with Namespace("host-a") as a, Namespace("host-b") as b, Namespace("switch") as switch:
        for host, port, number in ((a, "p-a", 1), (b, "p-b", 2)):
            macs = (f"02:00:00:00:0a:{number:02x}", f"02:00:00:00:0b:{number:02x}")
            link_pair(host, HERE, switch, port, left_mac=macs[0], right_mac=macs[1])
        switch.bridge("br0", ["p-a", "p-b"])
        with (
            Agent(switch, directories[2], ["p-*"], role="bridge") as bridge,
            Agent(a, directories[0], [HERE]) as here,
            Agent(b, directories[1], [HERE]) as there,
        ):
            for agent in (here, there):
                agent.wait_for_relay(HERE, "active")
            yield here, there, bridge


def test_two_hosts_on_one_bridge(hosts: Hosts) -> None:
    """Each has its own VSIs on its own port, though they overhear each other."""
    here, there, bridge = hosts
    for agent, port, numbers in ((here, "p-a", range(100, 300)), (there, "p-b", range(200, 400))):
        ask(agent, HERE, [spec(number) for number in numbers])
        wait_for_states(bridge, port, associated(numbers))
    for agent, numbers in ((here, range(100, 300)), (there, range(200, 400))):
        wait_for_states(agent, HERE, associated(numbers))
        clear(agent, HERE)


def test_a_guest_that_migrates(hosts: Hosts) -> None:
    """What the host that it leaves tells the switch is nothing to the host that it goes to."""
    here, there, bridge = hosts
    ask(here, HERE, [spec(1)])
    ask(there, HERE, [spec(1, "preassociate-rr", hint="migrate")])
    ask(here, HERE, [spec(1, hint="suspend")])
    ask(there, HERE, [spec(1)])
    document = wait_for_vsi(there, HERE, 1, lambda document: document["state"] == "associated")
    ask(here, HERE, [spec(1, "deassociate")])
    ask(there, HERE, [spec(2)])
    wait_for_states(there, HERE, associated([1, 2]))
    assert vsis(there, HERE)[instance(1)] == document
    wait_for_states(bridge, "p-a", {})
    wait_for_states(bridge, "p-b", associated([1, 2]))


def test_who_acknowledges(hosts: Hosts) -> None:
    """The switch alone, else what it has not heard would be taken for heard."""
    here, there, _ = hosts
    with PacketTap(there.namespace, HERE) as tap:
        ask(here, HERE, [spec(1)])
        ask(there, HERE, [spec(2)])
        ecpdus = [(frame, ecp_octets(frame.data)) for frame in tap.drain()]
    heard = {ecpdu.sequence for frame, ecpdu in ecpdus if ecpdu and frame.source == SWITCH}
    acknowledged = {ecpdu.sequence for frame, ecpdu in ecpdus if ecpdu and frame.outgoing and ecpdu.acknowledgment}
    assert acknowledged and acknowledged <= heard


def test_a_link_of_small_frames(tmp_path: Path) -> None:
    with linked_agents(tmp_path, ["one"]) as (station, bridge):
        station.namespace.ip(f"link set {HERE} mtu 1280")
        bridge.namespace.ip(f"link set {THERE} mtu 1280")
        answers = ask(station, HERE, [spec(number, wait=1.5) for number in range(100)])
        assert {answer["result"] for answer in answers} == {"granted"}


def test_large_ones(tmp_path: Path) -> None:
    """TLVs up to their last octet, a few of which fill an ECPDU; all is the same at both ends."""
    names: dict[str, Any] = {"vm-name": "n" * 255, "vm-address": "192.0.2.9"}
    with linked_agents(tmp_path, ["one"], station=GROUPS, bridge=GROUPS) as (station, bridge):
        vids, macs = [str(vid) for vid in range(1, 244)], [f"100/1-{address(number)}" for number in range(60)]
        grouped = [f"100--{number + 1}" for number in range(81)]
        both = [f"100-{address(number)}-{number + 1}" for number in range(40)]
        shapes = (vids, macs, grouped, both)
        specs = [spec(number, filter=shapes[number % 4], **names) for number in range(24)]
        assert {answer["result"] for answer in ask(station, HERE, specs)} == {"granted"}
        wait_for_states(bridge, THERE, associated(range(24)))
        wait_for_states(station, HERE, associated(range(24)))
        here, there = vsis(station, HERE), vsis(bridge, THERE)
        for number in range(24):
            assert here[instance(number)]["filters"] == there[instance(number)]["filters"]
            assert len(here[instance(number)]["filters"]) == len(shapes[number % 4])


def test_group_ids_agreed_again(tmp_path: Path) -> None:
    with linked_agents(tmp_path, ["one"], station=GROUPS, bridge=GROUPS) as (station, _):
        ask(station, HERE, [spec(1, filter=["100--7"]), spec(2)])
        station.kill()
        station.config.write_text("")
        station.start()
        wait_for_vsi(station, HERE, 1, lambda document: "filter: a GroupID can be used" in document.get("reason", ""))
        reload(station, GROUPS)
        station.wait_for(HERE, lambda uplink: uplink["evb"]["operational"]["group-ids"], "GroupIDs are agreed on")
        wait_for_states(station, HERE, associated([1, 2]))


def test_settings_change_under_way(tmp_path: Path) -> None:
    """Editions, roles, addresses, spanning tree: what can be said is associated again, the rest says why it is not."""
    with linked_agents(tmp_path, ["one"]) as (station, bridge), overheard(station.namespace, HERE) as wire:
        ask(station, HERE, [spec(1, manager="0c"), spec(2), spec(3, manager="0c", vid=0)])
        wait_for_states(bridge, THERE, associated([1, 2, 3]))
        reload(station, '[evb]\nedition = "draft"\n')
        reasons = ("", "manager: the draft has manager IDs", "filter 1: in the draft no VID can be left to the switch")
        left = {**dict.fromkeys(map(instance, (1, 2, 3)), "unassociated"), **associated([1])}
        wait_for_states(station, HERE, left)
        wait_for_states(bridge, THERE, associated([1]))
        for number, reason in enumerate(reasons, 1):
            assert str(vsis(station, HERE)[instance(number)].get("reason", "")).startswith(reason)
        reload(station, 'role = "bridge"\n')
        station.wait_for(HERE, lambda uplink: uplink["role"] == "bridge" and not uplink["vsis"], "it plays the bridge")
        for agent in (bridge, station):
            reload(agent, '[evb]\nedition = "ratified"\n')
        wait_for_states(station, HERE, associated([1, 2, 3]))
        wait_for_states(bridge, THERE, associated([1, 2, 3]))
        wire.said()
        station.namespace.ip(f"link set {HERE} address 02:00:00:00:0a:77")
        bridge.namespace.ip(f"link set {THERE} address 02:00:00:00:0b:77")
        bridge.namespace.ip("link set br0 type bridge stp_state 1")
        ask(station, HERE, [spec(4)])
        wait_for_states(station, HERE, associated([1, 2, 3, 4]))
        wait_for_states(bridge, THERE, associated([1, 2, 3, 4]))
        asked, answered = wire.said()
        assert deassociated(asked + answered) == []


def test_a_switch_that_learns_to_speak_evb(tmp_path: Path) -> None:
    """Where a station does without, its VSIs stay when there is an EVB TLV, and when there is none any more."""
    mute = f"[lldp]\nadmin-status = {MUTE}\n"
    with linked_agents(tmp_path, ["one"], station="[vdp]\nwithout-evb = true\n", bridge=mute, agreed=[]) as agents:
        station, bridge = agents
        with overheard(station.namespace, HERE) as wire:
            ask(station, HERE, [spec(number) for number in range(50)])
            wait_for_states(bridge, THERE, associated(range(50)))
            for config, relay in (("", "active"), (mute, "unknown")):
                reload(bridge, config)
                station.wait_for_relay(HERE, relay)
                wait_for_states(station, HERE, associated(range(50)))
                assert states(bridge, THERE) == associated(range(50))
            asked, answered = wire.said()
            assert {*kinds(asked)} == {*kinds(answered)} == {"associate"}
