"""The switch's policy by its configuration file, and what its operator takes away; a real station asks."""

import json
from collections.abc import Iterator

import pytest

from evbagent.client import Client
from tests.support.agent import Agent
from tests.support.namespaces import wait_until
from tests.support.vsirig import (
    Document,
    address,
    ask,
    associated,
    clear,
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

LINKS = ("one", "two", "once")
STATION = "[uplink.s-once]\nvdp.reassociate = false\n"
OTHER_TYPE = ("--manager", "192.0.2.1", "--type", "8", "--type-version", "1")


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, Agent]]:
    with linked_agents(tmp_path_factory.mktemp("switch"), LINKS, station=STATION) as agents:
        yield agents


@pytest.fixture
def station(agents: tuple[Agent, Agent]) -> Iterator[Agent]:
    yield agents[0]
    for name in LINKS:
        clear(agents[0], f"s-{name}")


@pytest.fixture
def bridge(agents: tuple[Agent, Agent]) -> Agent:
    reload(agents[1], "")
    return agents[1]


def reload(agent: Agent, config: str) -> None:
    """Returns when the agent has read it."""

    def readings() -> int:
        return agent.log.read_text().count("configuration reloaded") + agent.log.read_text().count("not reloaded")

    before = readings()
    agent.reload(config)
    wait_until(lambda: readings() > before, "the configuration is read again")


def results(station: Agent, interface: str, *specs: dict[str, object]) -> list[str]:
    """How they came out, in the order in which they were asked: what the switch said, or what else became of it."""
    found = {answer["id"]: answer for answer in ask(station, interface, specs)}
    return [found[asked["id"]]["response"] or found[asked["id"]]["result"] for asked in specs]


def is_associated(document: Document) -> bool:
    return bool(document["state"] == "associated")


def test_whom_it_knows(station: Agent, bridge: Agent) -> None:
    """Managers, types, versions and instances; what no rule fits gets the default."""
    reload(
        bridge,
        f"""
        [switch]
        default = {{ answer = "unable-to-contact-vsi-manager" }}
        [[switch.rule]]
        instance = ["{instance(66)}", "192.0.2.66"]
        answer = "other-failure"
        [[switch.rule]]
        manager = ["192.0.2.1", "blabla"]
        type = ["7", "100-199"]
        type-version = [1, 2]
        """,
    )
    asked = (
        (spec(1), "success"),
        (spec(2, manager="blabla", type=199) | {"type-version": 2}, "success"),
        (spec(3, manager="192.0.2.2"), "unable-to-contact-vsi-manager"),
        (spec(4, type=200), "unable-to-contact-vsi-manager"),
        (spec(5) | {"type-version": 3}, "unable-to-contact-vsi-manager"),
        (spec(66), "other-failure"),
        (spec(7, instance="192.0.2.66"), "other-failure"),
        (spec(8, instance="192.0.2.67", request="preassociate"), "success"),
    )
    assert results(station, "s-one", *(each for each, _ in asked)) == [answer for _, answer in asked]


def test_capacity(station: Agent, bridge: Agent) -> None:
    """Of the whole switch and of a rule; a preassociation takes nothing, a reservation does; what goes leaves room."""
    reload(bridge, "[switch]\ncapacity = 4\n[[switch.rule]]\ntype = 9\ncapacity = 1\n")
    no = "insufficient-resources"
    assert results(station, "s-one", spec(1), spec(2, type=9), spec(3, type=9)) == ["success", "success", no]
    assert results(station, "s-two", spec(11, "preassociate-rr"), spec(12), spec(13)) == ["success", "success", no]
    assert results(station, "s-two", spec(14, "preassociate"), spec(11)) == ["success", "success"]
    assert results(station, "s-two", spec(14)) == [no]
    assert results(station, "s-one", spec(2, "deassociate")) == ["success"]
    assert results(station, "s-two", spec(14)) == ["success"]
    reload(bridge, '[switch]\ncapacity = 4\nexhausted = "other-failure"\n')
    assert results(station, "s-one", spec(5)) == ["other-failure"]
    wait_for_states(bridge, "p-one", associated([1]))


def test_vlans(station: Agent, bridge: Agent) -> None:
    """Which may be asked for, which are assigned, and none when all are in use; then they are there again."""
    reload(bridge, '[[switch.rule]]\nvids = ["100-101", 300]\nassign = "150-151"\n')
    no, wrong = "insufficient-resources", "invalid-vid-group-id-or-mac-address"
    asked = [spec(number, vid=vid) for number, vid in ((1, 101), (2, 102), (3, 300), (4, 4094), (5, 150))]
    assert results(station, "s-one", *asked) == ["success", wrong, "success", wrong, "success"]
    clear(station, "s-one")
    profiles = [spec(number, vid=0, type=number) for number in (1, 2, 3)]
    assert results(station, "s-one", *profiles) == ["success", "success", no]
    wait_for_states(bridge, "p-one", associated([1, 2]))
    found = {vsi_id: filter_texts(document) for vsi_id, document in vsis(bridge, "p-one").items()}
    assert found == {instance(1): [f"150-{address(1)}"], instance(2): [f"151-{address(2)}"]}
    # On another port the same profile has the same VLAN.
    assert results(station, "s-two", spec(21, vid=0, type=2)) == ["success"]
    assert filter_texts(wait_for_vsi(station, "s-two", 21, is_associated)) == [f"151-{address(21)}"]
    assert results(station, "s-one", spec(1, "deassociate"), profiles[2]) == ["success", "success"]
    document = wait_for_vsi(station, "s-one", 3, is_associated)
    assert filter_texts(document) == [f"150-{address(3)}"]


def test_priorities(station: Agent, bridge: Agent) -> None:
    """One for those who ask for none; who asks for one gets that."""
    reload(bridge, "[switch]\ndefault = { pcp = 5 }\n")
    filters = [f"100-{address(1)}", f"100/2-{address(2)}"]
    done = vsi(station, "associate", "s-one", 1, filters=filters)
    assert done.stdout == f"associated: 100/5-{address(1)}, 100/2-{address(2)} (VID 100)\n"
    with overheard(station.namespace, "s-one") as wire:
        assert vsi(station, "associate", "s-one", 1, filters=filters).returncode == 0
        (asked,), (answered,) = wire.said()
        assert asked.entries == answered.entries


def test_keep(station: Agent, bridge: Agent) -> None:
    """A refusal that leaves what was there: the VSI is associated as before, at both ends."""
    reload(bridge, '[[switch.rule]]\ntype = 8\nanswer = "other-failure"\nkeep = true\n')
    assert vsi(station, "associate", "s-one", 1).returncode == 0
    with overheard(station.namespace, "s-one") as wire:
        done = vsi(station, "associate", "s-one", 1, filters=[f"200-{address(1)}"], profile=OTHER_TYPE)
        (answered,) = wire.said()[1]
    assert done.returncode == 3 and answered.status == 0x40 | 0x20 | 4
    for agent, interface in ((station, "s-one"), (bridge, "p-one")):
        document = wait_for_vsi(agent, interface, 1, lambda document: document["response"] == "other-failure")
        assert (document["state"], filter_texts(document)) == ("associated", [f"100-{address(1)}"])


def test_hard(station: Agent, bridge: Agent) -> None:
    """Where repeating is useless nobody repeats, however persistent."""
    reload(bridge, '[switch]\ndefault = { answer = "other-failure", hard = true }\n')
    with overheard(station.namespace, "s-one") as wire:
        assert vsi(station, "associate", "s-one", 1, "--persistent").returncode == 3
        station.evbagent("wait", "s-one", "--for", f"vsi={instance(1)}", "--timeout", "0.5", check=False)
        asked, answered = wire.said()
    assert kinds(asked) == ["associate"] and [tlv.status for tlv in answered] == [0x54]
    assert states(station, "s-one") == {instance(1): "unassociated"}


def test_delay(station: Agent, bridge: Agent) -> None:
    """While the VSI manager thinks, the switch shows who waits for it; others do not wait."""
    reload(bridge, "[[switch.rule]]\ntype = 8\ndelay = 0.5\n")
    with overheard(station.namespace, "s-one") as wire:
        answers = ask(station, "s-one", [spec(1, type=8), spec(2)])
        assert [answer["id"] for answer in answers] == [2, 1]
        assert len(wire.said()[0]) == 2
    with station.namespace.entered(), Client(station.state_dir) as client, client.vsi("s-one") as session:
        session.request([spec(3, type=8)])
        document = wait_for_vsi(bridge, "p-one", 3, lambda document: "pending" in document)
        assert (document["state"], document["pending"]) == ("unassociated", "associate")
        assert [answer["result"] for answer in session.answers(5)] == ["granted"]


def test_reload_takes_away(station: Agent, bridge: Agent) -> None:
    """What the new rules would not grant is ended, the rest is not touched; it is back when they would again."""
    assert results(station, "s-one", spec(1), spec(2, type=8), spec(3, type=8)) == ["success"] * 3
    with overheard(station.namespace, "s-one") as wire:
        reload(bridge, '[[switch.rule]]\ntype = 8\nanswer = "insufficient-resources"\n')
        left = {instance(1): "associated", instance(2): "unassociated", instance(3): "unassociated"}
        wait_for_states(station, "s-one", left)
        wait_for_vsi(station, "s-one", 2, lambda document: "insufficient-resources" in document.get("reason", ""))
        asked, answered = wire.said()
    assert kinds(tlv for tlv in answered if tlv.status == 0) == ["deassociate"] * 2
    assert instance(1) not in {tlv.uuid for tlv in (*asked, *answered)}
    wait_for_states(bridge, "p-one", associated([1]))
    reload(bridge, "")
    wait_for_states(station, "s-one", associated([1, 2, 3]))


def test_a_bad_policy_file(station: Agent, bridge: Agent) -> None:
    """Named in the log with its key; the policy stays as it was."""
    reload(bridge, "[switch]\ncapacity = 1\n")
    reload(bridge, '[[switch.rule]]\ntype = 7\n[[switch.rule]]\nvids = "100-5000"\n')
    assert "switch.rule[1].vids: '100-5000' is not within 1-4094" in bridge.log.read_text()
    assert results(station, "s-one", spec(1), spec(2)) == ["success", "insufficient-resources"]


def test_deassociated_by_the_switch(station: Agent, bridge: Agent) -> None:
    """One VSI, those of a port, or all; the station asks for them again by itself."""
    ask(station, "s-one", [spec(number) for number in (1, 2)])
    ask(station, "s-two", [spec(number) for number in (3, 4)])
    with overheard(station.namespace, "s-one") as wire:
        done = bridge.evbagent("switch", "deassociate", "--instance", instance(1).upper())
        assert done.stdout == f"p-one: {instance(1)} deassociated\n"
        document = wait_for_vsi(station, "s-one", 1, lambda document: document["state"] == "unassociated")
        assert (document["pending"], document["reason"]) == ("associate", "de-associated by the switch")
        wait_for_states(station, "s-one", associated([1, 2]))
        wait_for_states(bridge, "p-one", associated([1, 2]))
        asked, answered = wire.said()
    assert (kinds(asked), kinds(answered)) == (["associate"], ["deassociate", "associate"])
    assert [tlv.status for tlv in answered] == [0, 0x40]
    rows = json.loads(bridge.evbagent("switch", "deassociate", "p-t*", "--all", "-j").stdout)
    assert rows == [{"interface": "p-two", "vsi-id": instance(number)} for number in (3, 4)]
    wait_for_states(station, "s-two", dict.fromkeys((instance(3), instance(4)), "unassociated"))
    done = bridge.evbagent("switch", "deassociate", "--all")
    assert [line.split(":")[0] for line in done.stdout.splitlines()][:2] == ["p-one"] * 2
    for link, numbers in (("one", (1, 2)), ("two", (3, 4))):
        wait_for_states(station, f"s-{link}", associated(numbers))
        wait_for_states(bridge, f"p-{link}", associated(numbers))


def test_deassociated_for_good(station: Agent, bridge: Agent) -> None:
    """With reassociate = false what the switch takes away is gone; persistent is stronger."""
    ask(station, "s-once", [spec(1), spec(2, persistent=True)])
    bridge.evbagent("switch", "deassociate", "--all")
    wait_for_states(station, "s-once", associated([2]))
    wait_for_states(bridge, "p-once", associated([2]))


def test_nothing_to_deassociate(station: Agent, bridge: Agent) -> None:
    done = bridge.evbagent("switch", "deassociate", "--instance", instance(1), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"evbagent: instance: no station has a VSI {instance(1)} associated here\n"
    assert bridge.evbagent("switch", "deassociate", "--all").stdout == "no vsis\n"
    for words, text in (
        (("--instance", "web"), "instance: 'web' is no UUID"),
        (("eth*", "--all"), "interface: no eth* is served in the bridge role"),
    ):
        done = bridge.evbagent("switch", "deassociate", *words, check=False)
        assert done.returncode == 1 and done.stderr.startswith(f"evbagent: {text}")
    done = station.evbagent("switch", "deassociate", "--all", check=False)
    assert done.returncode == 1 and "bridge role" in done.stderr
    assert bridge.evbagent("switch", "deassociate", check=False).returncode == 2
    assert bridge.evbagent("switch", "deassociate", "--all", "--instance", "x", check=False).returncode == 2
