"""VSIs that nobody has to ask for: those of `vsi.d`, and those of guests' devices made by `attach --vsi`."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agent import Agent
from tests.support.namespaces import wait_until
from tests.support.require import require_link_kind
from tests.support.vsirig import (
    address,
    ask,
    associated,
    clear,
    deassociated,
    ended,
    filter_texts,
    instance,
    kinds,
    linked_agents,
    overheard,
    spec,
    start_evbagent,
    vsi,
    vsis,
    wait_for_states,
    wait_for_vsi,
)

pytestmark = pytest.mark.system

LINKS = ("one", "two")
REFUSED, SLOWLY, NEVER = 100, 101, 102  # types that the switch answers so
RULES = f"""
[[switch.rule]]
type = {REFUSED}
answer = "vtid-violation"
[[switch.rule]]
type = {SLOWLY}
delay = 0.6
[[switch.rule]]
type = {NEVER}
silent = true
"""


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, Agent]]:
    with linked_agents(tmp_path_factory.mktemp("declared"), LINKS, bridge=RULES) as agents:
        yield agents


@pytest.fixture
def station(agents: tuple[Agent, Agent]) -> Iterator[Agent]:
    station = agents[0]
    if station.process is None:
        station.start()
    yield station
    if station.process is None:
        station.start()
    for file in directory(station).iterdir():
        file.unlink()
    reload(station)
    for link in LINKS:
        clear(station, f"s-{link}")


@pytest.fixture
def bridge(agents: tuple[Agent, Agent]) -> Agent:
    return agents[1]


def directory(station: Agent) -> Path:
    made = station.config.parent / "vsi.d"
    made.mkdir(exist_ok=True)
    return made


def declare(station: Agent, name: str, *entries: str) -> None:
    (directory(station) / name).write_text("".join(f"[[vsi]]\n{entry}\n" for entry in entries))


def entry(number: int, interface: str = "s-one", vid: int = 100, more: str = "") -> str:
    return f"""
        interface = "{interface}"
        instance = "{instance(number)}"
        manager = "192.0.2.1"
        type = 7
        type-version = 1
        filter = ["{vid}-{address(number)}"]
        {more}
    """


def reload(station: Agent) -> None:
    """Returns when the agent has read its files again."""

    def readings() -> int:
        return station.log.read_text().count("configuration reloaded")

    before = readings()
    os.kill(station.pid, signal.SIGHUP)
    wait_until(lambda: readings() > before, "the configuration is read again")


def test_declared(station: Agent, bridge: Agent) -> None:
    """Associated from the start; a reload asks for what is new or different, and gives up what is not there now."""
    station.stop()
    declare(station, "10-first.toml", entry(1), entry(2, more='request = "preassociate-rr"\nname = "mail"'))
    declare(station, "20-all.toml", entry(3, interface="s-*"))
    with overheard(station.namespace, "s-one") as wire:
        station.start()
        wanted = {**associated([1, 3]), instance(2): "preassociated-rr"}
        for agent, interface in ((station, "s-one"), (bridge, "p-one")):
            wait_for_states(agent, interface, wanted)
        wait_for_states(bridge, "p-two", associated([3]))
        assert {document["owner"] for document in vsis(station, "s-one").values()} == {"declared"}
        asked, _ = wire.said()
        assert sorted(kinds(asked)) == ["associate", "associate", "preassociate-rr"]

        declare(station, "10-first.toml", entry(1, vid=200), entry(4, more='vm-name = "web"'))
        reload(station)
        wait_for_states(bridge, "p-one", associated([1, 3, 4]))
        wait_for_states(station, "s-one", associated([1, 3, 4]))
        asked, _ = wire.said()
        assert deassociated(asked) == [instance(2)]
        said = {tlv.uuid: (tlv.vids, len(tlv.organizational)) for tlv in asked if tlv.uuid != instance(2)}
        assert said == {instance(1): ((200,), 0), instance(4): ((100,), 1)}

        reload(station)  # nothing is different
        (directory(station) / "10-first.toml").unlink()
        reload(station)
        wait_for_states(bridge, "p-one", associated([3]))
        assert sorted(deassociated(wire.said()[0])) == [instance(1), instance(4)]
    wait_for_states(bridge, "p-two", associated([3]))


def test_bad_files(station: Agent, bridge: Agent) -> None:
    """Each loses itself alone, and is named with its entry and its key."""
    declare(station, "1.toml", entry(1), entry(2, vid=4095), entry(3), entry(1))
    declare(station, "2.toml", entry(4, more="colour = 3"), entry(5).replace('manager = "192.0.2.1"', ""), entry(6))
    declare(station, "3.toml", entry(3), entry(7, more='request = "deassociate"'))
    (directory(station) / "4.toml").write_text("[[vsi]\n")
    (directory(station) / "5.toml").write_text("vsi = 7\n")
    (directory(station) / "6.toml").write_bytes(b"\xff\xfe")
    (directory(station) / "7.toml").symlink_to("nowhere")
    (directory(station) / "8.toml").mkdir()
    (directory(station) / "9.conf").write_text("not one of them")
    declare(station, "z.toml", entry(8))
    reload(station)
    wait_for_states(bridge, "p-one", associated([1, 3, 6, 8]))
    log = station.log.read_text()
    for words in (
        "1.toml: vsi 2: filter 1: VID 4095 is reserved",
        "1.toml: vsi 4: instance: is declared for s-one already",
        "2.toml: vsi 1: colour: ",
        "2.toml: vsi 2: manager: is missing",
        "3.toml: vsi 1: instance: is declared for s-one already",
        "3.toml: vsi 2: request: ",
        "4.toml: ",
        "5.toml: vsi: has to be an array of tables",
        "6.toml: ",
        "7.toml: ",
        "8.toml: ",
    ):
        assert f"{directory(station)}/{words}" in log
    assert "9.conf" not in log and "Traceback" not in log
    (directory(station) / "8.toml").rmdir()


def test_a_slip_in_a_file_ends_nothing(station: Agent, bridge: Agent) -> None:
    """What was declared before stays associated, until the file can be read again."""
    declare(station, "1.toml", entry(1))
    declare(station, "2.toml", entry(2))
    reload(station)
    wait_for_states(bridge, "p-one", associated([1, 2]))
    with overheard(station.namespace, "s-one") as wire:
        declare(station, "1.toml", entry(1).replace('"', "", 1), entry(3))
        reload(station)
        declare(station, "1.toml", entry(1, vid=5000), entry(3))
        reload(station)
        wait_for_states(bridge, "p-one", associated([1, 2, 3]))
        assert deassociated(wire.said()[0]) == []
    declare(station, "1.toml", entry(3))
    reload(station)
    wait_for_states(bridge, "p-one", associated([2, 3]))


def test_declared_on_a_link_that_comes_later(station: Agent, bridge: Agent) -> None:
    declare(station, "1.toml", entry(1, interface="s-late"))
    reload(station)
    station.namespace.ip(f"link add s-late type veth peer name p-late netns {bridge.namespace.pid}")
    bridge.namespace.ip("link set p-late up")
    station.namespace.ip("link set s-late up")
    station.wait_for("s-late", lambda uplink: uplink["vsis"], "its VSI")
    wait_for_states(station, "s-late", associated([1]))
    station.namespace.ip("link delete s-late")
    wait_until(lambda: not station.serves("s-late"), "it is gone")


def test_declared_and_refused(station: Agent) -> None:
    """It goes on being asked for, and `show` says why it is not there."""
    declare(station, "1.toml", entry(1).replace("type = 7", f"type = {REFUSED}"))
    reload(station)
    document = wait_for_vsi(station, "s-one", 1, lambda document: document["response"] is not None)
    assert document["state"] == "unassociated" and "the switch answered: " in document["reason"]


def test_clients_and_files(station: Agent, bridge: Agent) -> None:
    """A client's word comes before that of a file; a file that is read again brings back what clients have ended."""
    declare(station, "1.toml", entry(1), entry(2))
    reload(station)
    wait_for_states(bridge, "p-one", associated([1, 2]))
    ask(station, "s-one", [spec(1, vid=200), spec(2, "deassociate")])
    wait_for_states(bridge, "p-one", associated([1]))
    wait_for_vsi(station, "s-one", 1, lambda document: document.get("owner") == "client")
    reload(station)
    wait_for_states(bridge, "p-one", associated([1, 2]))
    assert filter_texts(vsis(bridge, "p-one")[instance(1)]) == [f"200-{address(1)}"]


# Guests' devices.


def said(number: int, kind: int = 7) -> str:
    return f"manager=192.0.2.1,type={kind},type-version=1,instance={instance(number)}"


def links(station: Agent) -> set[str]:
    return {link["ifname"] for link in station.namespace.ip_json("link show")} - {"lo", "s-one", "s-two"}


def test_attached_and_detached(station: Agent, bridge: Agent) -> None:
    """The device has the address that the switch lets in; with it the VSI ends."""
    done = station.evbagent("attach", "s-one", "--name", "guest0", "--kind", "macvlan", "--vsi", said(1), "-j")
    made = json.loads(done.stdout)
    assert "guest0" in links(station)
    assert station.namespace.link("guest0")["ifalias"] == f"evbagent:prefer-vepa vsi={instance(1)}"
    wait_for_states(bridge, "p-one", associated([1]))
    assert filter_texts(vsis(bridge, "p-one")[instance(1)]) == [f"2-{made['mac-address']}"]
    assert made["vlan"]["vid"] == 2 and (made["vlan"]["device"] or made["vlan"]["reason"])
    wait_for_states(station, "s-one", associated([1]))
    assert vsis(station, "s-one")[instance(1)]["owner"] == "attach"
    with overheard(station.namespace, "s-one") as wire:
        done = station.evbagent("detach", "guest0")
        assert done.stderr == "" and deassociated(wire.said()[0]) == [instance(1)]
    wait_for_states(bridge, "p-one", {})
    assert links(station) == set()


def test_no_device_before_the_switch_says_yes(station: Agent, bridge: Agent) -> None:
    words = ("attach", "s-one", "--name", "guest0", "--kind", "macvlan", "--vsi", said(1, SLOWLY) + ",vid=100,pcp=3")
    attaching = start_evbagent(station, *words)
    wait_for_vsi(bridge, "p-one", 1, lambda document: document.get("pending") == "associate")
    assert links(station) == set()
    status, printed, errors = ended(attaching)
    assert (status, errors) == (0, "") and "guest0" in links(station)
    mac = station.namespace.link("guest0")["address"]
    assert f"guest0: VSI {instance(1)} associated: 100/3-{mac} (VID 100)" in printed.splitlines()
    station.evbagent("detach", "guest0")


def test_no_device_without_a_yes(station: Agent, bridge: Agent) -> None:
    """Refused, not answered, interrupted, or nobody to ask: no device, and no VSI is left."""
    guest = ("attach", "s-one", "--name", "guest0", "--kind", "macvlan", "--vsi")
    done = station.evbagent(*guest, said(1, REFUSED), check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"evbagent: VSI {instance(1)}: the switch answered: other-failure\n"
    done = station.evbagent(*guest, said(1, NEVER), "--vsi-wait", "0.2", check=False)
    assert (done.returncode, done.stderr) == (4, f"evbagent: VSI {instance(1)}: no answer within 0.2 s\n")
    wait_for_states(station, "s-one", {})
    interrupted = start_evbagent(station, *guest, said(1, NEVER))
    wait_until(lambda: instance(1) in vsis(station, "s-one"), "it is being asked for")
    interrupted.send_signal(signal.SIGINT)
    assert ended(interrupted)[0] == 130
    wait_for_states(station, "s-one", {})
    wait_for_states(bridge, "p-one", {})
    for text in ("manager=1", "manager=1,type=x,type-version=1", said(1) + ",colour=red"):
        done = station.evbagent(*guest, text, check=False)
        assert done.returncode == 2 and done.stderr.startswith("evbagent: --vsi: ")
    done = station.evbagent(*guest, said(1) + ",vid=4095", check=False)
    assert done.returncode == 1 and "filter 1: VID 4095 is reserved" in done.stderr
    station.stop()
    done = station.evbagent(*guest, said(1), check=False)
    assert done.returncode == 1 and "no agent answers" in done.stderr and len(done.stderr.splitlines()) == 1
    assert links(station) == set()


def test_guests_and_an_agent_that_is_killed(station: Agent, bridge: Agent) -> None:
    """The VSI outlives the agent; a guest that is detached meanwhile is gone, and it is said what is left to do."""
    require_link_kind(station.namespace, "macvtap")
    for number in (1, 2):
        station.evbagent("attach", "s-one", "--name", f"guest{number}", "--vsi", said(number) + f",vid={number}")
    station.kill()
    done = station.evbagent("detach", "guest2")
    assert done.stderr.startswith(f"evbagent: guest2 is removed, but VSI {instance(2)} is not deassociated: no agent")
    assert "guest2" not in links(station)
    station.start()
    wait_for_states(station, "s-one", associated([1, 2]))
    wait_for_states(bridge, "p-one", associated([1, 2]))
    assert vsi(station, "deassociate", "s-one", 2).returncode == 0
    assert station.evbagent("detach", "guest1").stderr == ""
    wait_for_states(bridge, "p-one", {})
