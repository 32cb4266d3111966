"""VSIs in the draft: a real lldpad station and our bridge, and our station with bridges that answer, or never do.

lldpad's bridge acknowledges the draft's requests and leaves them unanswered, so a script is the bridge that answers.
"""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest

from tests.support.agent import Agent
from tests.support.namespaces import Namespace, link_pair, wait_until
from tests.support.peers import DraftEvb, Lldpad, LldpadPort
from tests.support.vdp import ScriptedBridge, grant_draft
from tests.support.vdpdus import ASSOCIATE, DEASSOCIATE, PREASSOCIATE, PREASSOCIATE_RR, VsiOctets, numbered
from tests.support.vdptool import NOT_REPORTED, DraftVsis, LibvirtMessages
from tests.support.vsirig import (
    DRAFT_PROFILE,
    KIND_WORDS,
    address,
    ask,
    associated,
    deassociated,
    ended,
    filter_texts,
    instance,
    kinds,
    overheard,
    spec,
    start_evbagent,
    states,
    vsi,
    vsis,
    wait_for_states,
)

pytestmark = pytest.mark.system

CODES = (
    "invalid-format",
    "insufficient-resources",
    "unused-vtid",
    "vtid-violation",
    "vtid-version-violation",
    "out-of-sync",
)
LINKS = ("s-silent", "s-script", "p-libvirt")
CONFIG = """
[evb]
edition = "draft"
[uplink."p-*"]
role = "bridge"
""" + "".join(f'[[switch.rule]]\ntype = {number}\nanswer = "{code}"\n' for number, code in enumerate(CODES, 101))
STATES = dict(zip(KIND_WORDS, ("preassociated", "preassociated-rr", "associated"), strict=False))
MANAGER = b"\x0c" + bytes(15)


@dataclass(frozen=True, slots=True)
class Rig:
    """Links between one agent of ours, a station (`s-`) and a bridge (`p-`), and what is at their other ends (`x-`)."""

    agent: Agent
    lldpad: Lldpad
    script: ScriptedBridge
    unanswered: "subprocess.Popen[str]"  # a request to lldpad's bridge, which takes its time


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory = tmp_path_factory.mktemp("draft")
    ports = {
        "x-silent": LldpadPort(evb=DraftEvb(role="bridge")),
        "x-libvirt": LldpadPort(evb=DraftEvb(role="station")),
    }
    with Namespace("ours") as ours, Namespace("theirs") as theirs:
        for number, name in enumerate(LINKS):
            left, right = f"02:00:00:00:0a:{number:02x}", f"02:00:00:00:0b:{number:02x}"
            link_pair(ours, name, theirs, f"x{name[1:]}", left_mac=left, right_mac=right)
        # With STP the bridge does not send lldpad's ECPDUs back to it.
        ours.bridge("br0", ["p-libvirt"], "stp_state 1")
        with (
            Agent(ours, directory, ["s-*", "p-*"], config=CONFIG) as agent,
            ScriptedBridge(theirs, "x-script", draft=True) as script,
            Lldpad(theirs, directory, ports) as lldpad,
        ):
            for name in LINKS:
                agent.wait_for_relay(name, "active")
            words = ("--instance", instance(1), "--filter", f"100-{address(1)}", *DRAFT_PROFILE)
            yield Rig(agent, lldpad, script, start_evbagent(agent, "vsi", "associate", "s-silent", *words))


@pytest.fixture
def rig(wall: Rig) -> Iterator[Rig]:
    """lldpad must survive every test. No VSI is left to another test."""
    yield wall
    wall.script.answer = grant_draft
    left = vsis(wall.agent, "s-script")
    ask(wall.agent, "s-script", [{"id": key, "request": "deassociate", "instance": key} for key in left])
    wall.agent.evbagent("switch", "deassociate", "--all")
    for name in ("s-script", "p-libvirt"):
        wait_for_states(wall.agent, name, {})
    assert wall.lldpad.process is not None and wall.lldpad.process.poll() is None, "lldpad has crashed"


@pytest.fixture
def libvirt(rig: Rig) -> Iterator[LibvirtMessages]:
    with LibvirtMessages(rig.lldpad.namespace, "x-libvirt") as messages:
        yield messages


@pytest.fixture
def number(numbers: Iterator[int]) -> int:
    return next(numbers)


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(2)


def draft_vsi(number: int, **fields: Any) -> VsiOctets:
    """Of the manager and version that DRAFT_PROFILE has."""
    return numbered(number, manager=MANAGER, version=1, **fields)


def wait_for_responses(libvirt: LibvirtMessages, wanted: Mapping[str, int]) -> None:
    """Until lldpad has told libvirt this of these VSIs; of what has ended, it tells once."""
    polled: dict[str, int] = {}

    def look() -> bool:
        polled.update({key: response for key, response in libvirt.poll().items() if response != NOT_REPORTED})
        return all(polled.get(key) == response for key, response in wanted.items())

    try:
        wait_until(look, "the responses", 20)
    except AssertionError as error:
        raise AssertionError(f"{error}; polled: {polled}") from None


# lldpad's station, our bridge.


@pytest.mark.parametrize(
    "steps",
    [
        (PREASSOCIATE, ASSOCIATE, DEASSOCIATE),
        (PREASSOCIATE_RR, ASSOCIATE, DEASSOCIATE, ASSOCIATE),
        (PREASSOCIATE_RR, DEASSOCIATE),
    ],
    ids=lambda steps: "-".join(KIND_WORDS[kind - 1] for kind in steps),
)
def test_from_one_kind_to_the_next(rig: Rig, libvirt: LibvirtMessages, number: int, steps: tuple[int, ...]) -> None:
    """As libvirt asks when a guest is started, migrated and ended."""
    its = draft_vsi(number)
    with overheard(rig.lldpad.namespace, "x-libvirt") as wire:
        for kind in steps:
            assert libvirt.ask(its, kind) == 0
            wait_for_responses(libvirt, {its.uuid: 0})
            state = STATES.get(KIND_WORDS[kind - 1])
            wait_for_states(rig.agent, "p-libvirt", {its.uuid: state} if state else {})
        asked, answered = ([tlv for tlv in said if tlv.uuid == its.uuid] for said in wire.said())
    assert kinds(asked) == kinds(answered) == [KIND_WORDS[kind - 1] for kind in steps]
    assert [(tlv.status, tlv.manager, tlv.entries) for tlv in answered] == [(0, MANAGER, its.entries)] * len(steps)


def test_many_by_lldptool(rig: Rig, libvirt: LibvirtMessages) -> None:
    """lldpad puts as many into an ECPDU as wait; so do we."""
    mine = [draft_vsi(0x1000 + number) for number in range(60)]
    tool = DraftVsis(rig.lldpad, "x-libvirt")
    tool.ask_all(mine)
    wait_for_responses(libvirt, {its.uuid: 0 for its in mine})
    wait_for_states(rig.agent, "p-libvirt", {its.uuid: "associated" for its in mine})
    document = vsis(rig.agent, "p-libvirt")[mine[7].uuid]
    assert (document["vsi-manager-id"], document["vsi-type-id"], document["vsi-type-version"]) == ("0c", 0x123456, 1)
    assert filter_texts(document) == [f"100-{mine[7].entries[0][:6].hex(':')}"]
    with overheard(rig.lldpad.namespace, "x-libvirt") as wire:
        unsent = {its.uuid: its for its in mine}

        def whatever_was_sent_is_done() -> bool:
            for uuid in deassociated(wire.said()[0]):
                unsent.pop(uuid, None)
            return states(rig.agent, "p-libvirt").keys() <= unsent.keys()

        tool.ask_all(mine, DEASSOCIATE)
        wait_until(whatever_was_sent_is_done, "the VSIs whose DeAssociate was sent are gone", 20)
    # A request that comes while an ECPDU full of DeAssociates is under way lldpad leaves unsent, until the next one.
    tool.ask_all(list(unsent.values()), DEASSOCIATE)
    wait_for_states(rig.agent, "p-libvirt", {})


def test_refused(rig: Rig, libvirt: LibvirtMessages, numbers: Iterator[int]) -> None:
    """libvirt is told each code. What was refused does not come back, however lldpad goes on about it."""
    mine = {code: draft_vsi(next(numbers), type_id=100 + code) for code in range(1, len(CODES) + 1)}
    other = draft_vsi(next(numbers))
    for its in (*mine.values(), other):
        assert libvirt.ask(its) == 0
    wait_for_responses(libvirt, {its.uuid: code for code, its in mine.items()} | {other.uuid: 0})
    wait_for_states(rig.agent, "p-libvirt", {other.uuid: "associated"})


def test_deassociated_by_the_switch(rig: Rig, libvirt: LibvirtMessages, numbers: Iterator[int]) -> None:
    """libvirt gets word of it, and may ask again."""
    its, other = (draft_vsi(next(numbers)) for _ in range(2))
    for each in (its, other):
        assert libvirt.ask(each) == 0
    wait_for_responses(libvirt, {its.uuid: 0, other.uuid: 0})
    with overheard(rig.lldpad.namespace, "x-libvirt") as wire:
        done = rig.agent.evbagent("switch", "deassociate", "--instance", its.uuid)
        assert done.stdout == f"p-libvirt: {its.uuid} deassociated\n"
        wait_until(lambda: libvirt.notification(1) == its.uuid, "the notification")
        told = deassociated(wire.said()[1])
        assert its.uuid in told and other.uuid not in told
    wait_for_states(rig.agent, "p-libvirt", {other.uuid: "associated"})
    assert libvirt.ask(its) == 0
    wait_for_responses(libvirt, {its.uuid: 0})
    wait_for_states(rig.agent, "p-libvirt", {its.uuid: "associated", other.uuid: "associated"})


# Our station.


def test_granted_by_a_bridge(rig: Rig, number: int) -> None:
    for request in KIND_WORDS:
        done = vsi(rig.agent, request, "s-script", number, profile=DRAFT_PROFILE)
        text = f"{STATES.get(request)}: 100-{address(number)} (VID 100)"
        wanted = "deassociated: the switch has confirmed it" if request == "deassociate" else text
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{wanted}\n", "")
        assert [its.uuid for its in rig.script.vsis.values()] == ([instance(number)] if request in STATES else [])
    assert kinds(tlv for tlv in rig.script.heard_vsis() if tlv.uuid == instance(number)) == list(KIND_WORDS)


@pytest.mark.parametrize("refused_as", ["in kind", "deassociate"])
@pytest.mark.parametrize("code", CODES)
def test_refused_by_a_bridge(rig: Rig, number: int, code: str, refused_as: str) -> None:
    """Every code in its words, whichever way it is said."""

    def refuse(asked: VsiOctets) -> VsiOctets:
        kind = DEASSOCIATE if refused_as == "deassociate" else asked.kind
        return replace(asked, kind=kind, status=CODES.index(code) + 1)

    rig.script.answer = refuse
    done = vsi(rig.agent, "associate", "s-script", number, profile=DRAFT_PROFILE)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"evbagent: s-script: VSI {instance(number)}: the switch answered: {code}\n"
    wait_for_states(rig.agent, "s-script", {})


def test_many_and_taken_away(rig: Rig) -> None:
    """In few ECPDUs. What the bridge takes away is asked for again."""
    numbers, begun = range(0x2000, 0x2000 + 100), len(rig.script.heard)
    answers = ask(rig.agent, "s-script", [spec(number, manager="0c") for number in numbers])
    assert [answer["result"] for answer in answers] == ["granted"] * len(numbers)
    assert sum(not heard.ecp.acknowledgment for heard in rig.script.heard[begun:]) <= 5
    wait_for_states(rig.agent, "s-script", associated(numbers))
    taken = [its for its in rig.script.vsis.values() if its.uuid in {instance(number) for number in numbers[:40]}]
    rig.script.withdraw(taken)
    wait_until(lambda: "unassociated" in states(rig.agent, "s-script").values(), "some are gone")
    wait_for_states(rig.agent, "s-script", associated(numbers))
    rig.script.wait_for(taken)


def test_lldpad_never_answers(rig: Rig) -> None:
    """Its ECP acknowledges. That is no answer, and the user is told so."""
    status, printed, errors = ended(rig.unanswered, 15)
    assert (status, printed) == (4, "")
    assert errors == f"evbagent: s-silent: VSI {instance(1)}: the switch has not answered\n"
    wait_for_states(rig.agent, "s-silent", {})
