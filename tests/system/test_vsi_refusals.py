"""What cannot be asked, what the switch refuses, and what nobody answers: each in one line, with its exit status."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.agent import Agent
from tests.support.namespaces import wait_until
from tests.support.vsirig import (
    DRAFT_PROFILE,
    PROFILE,
    address,
    ask,
    associated,
    clear,
    deassociated,
    ended,
    instance,
    kinds,
    linked_agents,
    overheard,
    spec,
    start_evbagent,
    states,
    vsi,
    wait_for_states,
)

pytestmark = pytest.mark.system

LINKS = ("ratified", "draft", "few", "slow", "pulled", "alone", "blind", "stations", "plain")
AGREED = ("ratified", "draft", "few", "slow", "pulled")
SILENT = '{ nearest-customer-bridge = "disabled", nearest-bridge = "disabled", nearest-non-tpmr-bridge = "disabled" }'
STATION = """
[uplink.s-draft]
evb.edition = "draft"
[uplink.s-few]
vdp.max-vsis = 3
[uplink.s-slow]
evb.resource-wait-delay-exponent = 14
[uplink.s-blind]
vdp.without-evb = true
"""
BRIDGE = f"""
[uplink.p-draft]
evb.edition = "draft"
[uplink.p-slow]
evb.resource-wait-delay-exponent = 14
[uplink.p-alone]
lldp.admin-status = {SILENT}
[uplink.p-blind]
lldp.admin-status = {SILENT}
[uplink.p-stations]
role = "station"
[uplink.p-plain]
role = "station"
evb.edition = "draft"
"""
# The codes that each edition has, by the type that is answered with them.
CODES = {
    "ratified": (
        "invalid-format",
        "insufficient-resources",
        "unable-to-contact-vsi-manager",
        "other-failure",
        "invalid-vid-group-id-or-mac-address",
    ),
    "draft": (
        "invalid-format",
        "insufficient-resources",
        "unused-vtid",
        "vtid-violation",
        "vtid-version-violation",
        "out-of-sync",
    ),
}
TYPES = {code: 100 + number for number, code in enumerate(dict.fromkeys(CODES["ratified"] + CODES["draft"]))}
NEVER, LATE, SOON = 200, 201, 202  # types that are answered so
PROFILES = {"ratified": PROFILE, "draft": DRAFT_PROFILE}


def rules() -> str:
    text = "".join(f'[[switch.rule]]\ntype = {number}\nanswer = "{code}"\n' for code, number in TYPES.items())
    text += f"[[switch.rule]]\ntype = {NEVER}\nsilent = true\n"
    text += f"[[switch.rule]]\ntype = {LATE}\ndelay = 3000\n"
    return text + f"[[switch.rule]]\ntype = {SOON}\ndelay = 0.3\n"


def typed(edition: str, number: int) -> tuple[str, ...]:
    """The usual profile but for its type."""
    words = list(PROFILES[edition])
    words[words.index("--type") + 1] = str(number)
    return tuple(words)


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, Agent]]:
    directory = tmp_path_factory.mktemp("refusals")
    with linked_agents(directory, LINKS, station=STATION, bridge=BRIDGE + rules(), agreed=AGREED) as agents:
        yield agents


@pytest.fixture(scope="module")
def unanswered(agents: tuple[Agent, Agent]) -> dict[str, "subprocess.Popen[str]"]:
    """Requests that the switch never answers, asked while the other tests run, since that takes its time."""
    station, _ = agents
    words = {
        link: ["vsi", "associate", f"s-{link}", "--instance", instance(99), "--filter", f"100-{address(99)}"]
        for link in ("slow", "draft")
    }
    return {
        link: start_evbagent(station, *asked, *typed("draft" if link == "draft" else "ratified", NEVER))
        for link, asked in words.items()
    }


@pytest.fixture(autouse=True)
def tidied(agents: tuple[Agent, Agent], unanswered: dict[str, "subprocess.Popen[str]"]) -> Iterator[None]:
    """`unanswered` is asked with the first test of the module."""
    yield
    clear(agents[0], "s-ratified")


def refusal(done: "subprocess.CompletedProcess[str]", status: int, number: int = 1) -> str:
    """Why, from the one line that there is."""
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    (line,) = done.stderr.splitlines()
    _, found, reason = line.partition(f": VSI {instance(number)}: ")
    assert line.startswith("evbagent: ") and found
    return reason


# What is changed in a good request, and how the refusal begins.
BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"instance": "vm1"}, "instance: 'vm1' is no UUID, no IPv4"),
    ({"instance": "300.1.1.1"}, "instance: '300.1.1.1' is no IPv4 address"),
    ({"instance": "fe80::1%eth0"}, "instance: 'fe80::1%eth0'"),
    ({"instance": "local:"}, "instance: 'local:'"),
    ({"instance": "format-9:" + "00" * 16}, "instance: VSI ID format 9 is not known"),
    ({"instance": ""}, "instance: "),
    ({"instance": "a" * 300}, "instance: "),
    ({"instance": 7}, "instance: "),
    ({"instance": None}, "instance: "),
    ({"manager": "a name that is much too long"}, "manager: "),
    ({"manager": None}, "manager: is missing"),
    ({"type": 1 << 24}, "type: "),
    ({"type": -1}, "type: "),
    ({"type": "7"}, "type: "),
    ({"type": True}, "type: "),
    ({"type-version": 256}, "type-version: "),
    ({"type-version": None}, "type-version: is missing"),
    ({"filter": ["4095"]}, "filter 1: VID 4095 is reserved"),
    ({"filter": ["100", "4096"]}, "filter 2: VID 4096 is not in 0 to 4094"),
    ({"filter": ["100/8"]}, "filter 1: PCP 8 is not in 0 to 7"),
    ({"filter": ["100-01:00:5e:00:00:01"]}, "filter 1: MAC address 01:00:5e:00:00:01 is a group address"),
    ({"filter": ["100-00:00:00:00:00:00"]}, "filter 1: MAC address 00:00:00:00:00:00 is null"),
    ({"filter": ["100-52:54:00"]}, "filter 1: MAC address '52:54:00' is not six pairs"),
    ({"filter": ["100-"]}, "filter 1: the MAC address after the dash is missing"),
    ({"filter": [f"100-{address(1)}-0"]}, "filter 1: GroupID 0 is not in 1 to 4294967295"),
    ({"filter": [f"100-{address(1)}-7"]}, "filter: a GroupID can be used only when both sides have agreed"),
    ({"filter": [f"100-{address(1)}", "100"]}, "filter 2: is not of the same shape as the first one"),
    ({"filter": ["100", "101", "100"]}, "filter 3: 100 is there twice"),
    ({"filter": ["0", "0/1"]}, "filter 2: only one VID may be null"),
    ({"filter": ["0", "5"]}, "filter 1: VID 0, for the switch to choose, has to be alone"),
    ({"filter": ["hundred"]}, "filter 1: 'hundred' is not VID"),
    ({"filter": []}, "filter: there is none"),
    ({"filter": "100"}, "filter: "),
    ({"filter": [100]}, "filter"),
    ({"filter": [str(vid) for vid in range(244)]}, "filter: there are 244 entries, at most 243 fit"),
    ({"filter": ["100"] * 10_000}, "filter: there are 10000 entries, at most 243 fit"),
    ({"hint": "vanish"}, "hint: "),
    ({"vm-uuid": instance(7)}, "vm-name: is missing"),
    ({"vm-name": "x" * 255, "vm-uuid": "7"}, "vm-uuid: '7' is no UUID"),
    ({"vm-address": "fe80::1"}, "vm-address: 'fe80::1' is no IPv4 address"),
    ({"wait": -1}, "wait: "),
    ({"persistent": "yes"}, "persistent: "),
    ({"request": "reassociate"}, "request: "),
    ({"requests": 1}, "requests: "),
)


def test_what_cannot_be_asked(agents: tuple[Agent, Agent]) -> None:
    """Each field by name, in one sentence; the good ones beside them are granted, and nothing else is said."""
    station, bridge = agents
    specs = [{**spec(1), **changes, "id": number} for number, (changes, _) in enumerate(BAD)]
    with overheard(station.namespace, "s-ratified") as wire:
        answers = ask(station, "s-ratified", [spec(1, id="first"), *specs, spec(2, id="last")])
        asked, _ = wire.said()
    found = {answer["id"]: answer for answer in answers}
    assert found.pop("first")["result"] == found.pop("last")["result"] == "granted"
    assert found.keys() == set(range(len(BAD)))
    for number, (changes, words) in enumerate(BAD):
        answer = found[number]
        assert (answer["result"], answer["response"]) == ("invalid", None), changes
        assert answer["text"].startswith(words) and "\n" not in answer["text"], (changes, answer["text"])
    assert [tlv.uuid for tlv in asked] == [instance(1), instance(2)]
    wait_for_states(bridge, "p-ratified", associated([1, 2]))


def test_what_the_draft_cannot_say(agents: tuple[Agent, Agent]) -> None:
    station, _ = agents
    good = spec(1, manager="0c")
    bad: tuple[tuple[dict[str, Any], str], ...] = (
        ({"instance": "192.0.2.33"}, "instance: the draft knows VSIs by UUID only"),
        ({"manager": "192.0.2.7"}, "manager: the draft has manager IDs of one octet only"),
        ({"filter": ["100"]}, "filter: the draft has filters of VID and MAC address only"),
        ({"filter": [f"100-{address(1)}-7"]}, "filter: "),
        ({"filter": [f"100/1-{address(1)}"]}, "filter 1: the draft has no priorities"),
        ({"filter": [f"100-{address(1)}", f"0-{address(2)}"]}, "filter 2: in the draft no VID can be left"),
    )
    with overheard(station.namespace, "s-draft") as wire:
        answers = ask(
            station, "s-draft", [{**good, **changes, "id": number} for number, (changes, _) in enumerate(bad)]
        )
        assert all(instance(1) != tlv.uuid for tlv in wire.said()[0])
    for answer in answers:
        assert answer["result"] == "invalid" and answer["text"].startswith(bad[answer["id"]][1]), answer


def test_on_the_command_line(agents: tuple[Agent, Agent]) -> None:
    station, bridge = agents
    filters = [f"4095-{address(1)}"]
    assert refusal(vsi(station, "associate", "s-ratified", 1, filters=filters), 1) == "filter 1: VID 4095 is reserved"
    assert refusal(vsi(station, "associate", "s-ratified", 1, profile=typed("ratified", 1 << 24)), 1).startswith(
        "type:"
    )
    done = vsi(station, "associate", "s-ratified", 1, filters=[f"{vid % 4095}-{address(1)}" for vid in range(2700)])
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and len(done.stderr) < 200
    reason = refusal(vsi(station, "associate", "eth7", 1), 1)
    assert reason == "interface: the agent does not serve eth7"
    reason = refusal(vsi(bridge, "associate", "p-ratified", 1), 1)
    assert reason.startswith("interface: p-ratified is served in the bridge role")
    for number in (1, 2, 3):
        assert vsi(station, "associate", "s-few", number).returncode == 0
    reason = refusal(vsi(station, "associate", "s-few", 4), 1, number=4)
    assert reason == "instance: the port holds 3 VSIs already, all that it may"
    assert vsi(station, "deassociate", "s-few", 3).returncode == 0
    assert vsi(station, "associate", "s-few", 4).returncode == 0
    for words in (
        ("associate", "s-ratified", "--instance", instance(1)),
        ("associate", "s-ratified", "--instance", instance(1), *PROFILE, "--filter", "1", "--hint", "go"),
        ("associate", "s-ratified", "--instance", instance(1), *PROFILE[:2], "--type", "x"),
        ("deassociate", "s-ratified"),
        ("reassociate", "s-ratified"),
        ("deassociate", "s-ratified", "--instance", instance(1), "--wait", "-1"),
    ):
        assert station.evbagent("vsi", *words, check=False).returncode == 2


def test_no_agent(agents: tuple[Agent, Agent], tmp_path: str) -> None:
    station, _ = agents
    words = ("s-ratified", "--instance", instance(1), "--state-dir", str(tmp_path))
    done = station.evbagent("vsi", "deassociate", *words, check=False)
    assert done.returncode == 1
    assert done.stderr == f"evbagent: no agent answers at {tmp_path}/control.sock: start it with `evbagent run`\n"


@pytest.mark.parametrize("edition", list(CODES))
def test_the_switch_refuses(agents: tuple[Agent, Agent], edition: str) -> None:
    """Each code in words, in each kind of request; nothing is left of the VSI at either end."""
    station, bridge = agents
    here, there = f"s-{edition}", f"p-{edition}"
    manager = PROFILES[edition][1]
    requests = ("associate", "preassociate", "preassociate-rr")
    specs = [
        spec(number * 10 + place, request, manager=manager, type=TYPES[code], id=f"{code} {request}")
        for number, code in enumerate(CODES[edition])
        for place, request in enumerate(requests)
    ]
    for answer in ask(station, here, specs):
        code, request = answer["id"].split()
        assert (answer["result"], answer["response"]) == ("refused", code)
        assert (answer["vsi"]["state"], answer["vsi"]["request"]) == ("unassociated", request)
    reason = refusal(vsi(station, "associate", here, 1, profile=typed(edition, TYPES[CODES[edition][1]])), 3)
    assert reason == "the switch answered: insufficient-resources"
    wait_for_states(bridge, there, {})
    unanswered = {instance(99)}
    wait_until(lambda: states(station, here).keys() <= unanswered, "the station has none either")


def test_refused_what_had_been_granted(agents: tuple[Agent, Agent]) -> None:
    """Another profile for a VSI that is associated: with the refusal the switch has ended what there was."""
    station, bridge = agents
    assert vsi(station, "associate", "s-ratified", 1).returncode == 0
    assert vsi(station, "associate", "s-ratified", 1, profile=typed("ratified", 100)).returncode == 3
    wait_for_states(bridge, "p-ratified", {})
    wait_until(lambda: "associated" not in states(station, "s-ratified").values(), "the station has no VSI any more")
    assert vsi(station, "associate", "s-ratified", 1).returncode == 0
    wait_for_states(bridge, "p-ratified", associated([1]))


def test_refused_and_asked_again(agents: tuple[Agent, Agent]) -> None:
    """With --persistent: this time it is a no, and it goes on until it is deassociated."""
    station, _ = agents
    profile = typed("ratified", TYPES["insufficient-resources"])
    with overheard(station.namespace, "s-ratified") as wire:
        reason = refusal(vsi(station, "associate", "s-ratified", 1, "--persistent", profile=profile), 3)
        assert reason == "the switch answered: insufficient-resources; it goes on being asked for"
        shown = station.evbagent("show", "vsis", "s-ratified").stdout.splitlines()[1].split()
        assert shown[2:4] in (["unassociated", "associate"], ["unassociated", "(associate"])
        pause = station.evbagent("wait", "s-ratified", "--for", f"vsi={instance(1)}", "--timeout", "0.6", check=False)
        assert pause.returncode == 3
        asked, answered = wire.said()
        assert len(asked) >= 2 and {*kinds(asked)} == {*kinds(answered)} == {"associate"}
    assert vsi(station, "deassociate", "s-ratified", 1).returncode == 0
    wait_for_states(station, "s-ratified", {})


def test_not_within_the_time_given(agents: tuple[Agent, Agent]) -> None:
    """Exit status 4, and the switch is told to forget what it may yet have granted."""
    station, bridge = agents
    with overheard(station.namespace, "s-ratified") as wire:
        done = vsi(station, "associate", "s-ratified", 1, "--wait", "0.3", profile=typed("ratified", NEVER))
        assert refusal(done, 4) == "no answer within 0.3 s"
        wait_for_states(station, "s-ratified", {})
        assert deassociated(wire.said()[0]) == [instance(1)]
    assert vsi(station, "associate", "s-ratified", 1, "--wait", "0", profile=typed("ratified", SOON)).returncode == 4
    assert vsi(station, "associate", "s-ratified", 1, "--wait", "2", profile=typed("ratified", SOON)).returncode == 0
    wait_for_states(bridge, "p-ratified", associated([1]))
    assert vsi(station, "deassociate", "s-ratified", 1).returncode == 0


def test_the_manager_is_late(agents: tuple[Agent, Agent]) -> None:
    """The switch's own patience with its VSI manager ends first."""
    station, _ = agents
    done = vsi(station, "associate", "s-slow", 1, profile=typed("ratified", LATE))
    assert refusal(done, 3) == "the switch answered: unable-to-contact-vsi-manager"


def test_nobody_to_ask(agents: tuple[Agent, Agent]) -> None:
    """A switch that is not heard is waited for; where one speaks no EVB waiting is vain."""
    station, bridge = agents
    done = vsi(station, "associate", "s-alone", 1, "--wait", "0.2")
    assert refusal(done, 4) == "no answer within 0.2 s: no switch has been heard on this link yet"
    station.wait_for_relay("s-stations", "inactive")
    done = vsi(station, "associate", "s-stations", 1)
    assert refusal(done, 1).startswith("interface: no EVB agreed here: ")
    assert vsi(station, "associate", "s-blind", 1).returncode == 0
    wait_for_states(bridge, "p-blind", associated([1]))


def test_no_link(agents: tuple[Agent, Agent]) -> None:
    """At once when it is down, and when it goes down; whoever insists is served when it is up."""
    station, bridge = agents
    waiting = start_evbagent(
        station,
        *("vsi", "associate", "s-pulled", "--instance", instance(2), "--filter", f"100-{address(2)}"),
        *typed("ratified", NEVER),
    )
    wait_for_states(station, "s-pulled", {instance(2): "unassociated"})
    station.namespace.ip("link set s-pulled down")
    assert ended(waiting) == (4, "", f"evbagent: s-pulled: VSI {instance(2)}: interface: the link is down\n")
    assert refusal(vsi(station, "associate", "s-pulled", 1), 4) == "interface: the link is down"
    wait_for_states(station, "s-pulled", {})
    done = vsi(station, "associate", "s-pulled", 1, "--persistent", "--wait", "0")
    assert refusal(done, 4) == "no answer within 0 s: interface: the link is down"
    station.namespace.ip("link set s-pulled up")
    wait_for_states(station, "s-pulled", associated([1]))
    wait_for_states(bridge, "p-pulled", associated([1]))


@pytest.mark.parametrize("link", ["slow", "draft"])
def test_never_answered(agents: tuple[Agent, Agent], unanswered: dict[str, "subprocess.Popen[str]"], link: str) -> None:
    """The machine's own time: it has repeated the request, and gives up."""
    station, _ = agents
    status, printed, errors = ended(unanswered[link], 20)
    assert (status, printed) == (4, "")
    assert errors == f"evbagent: s-{link}: VSI {instance(99)}: the switch has not answered\n"
    wait_for_states(station, f"s-{link}", {})
