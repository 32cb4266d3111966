"""VSIs asked for on the command line and the control socket, at real agents on both ends of a link."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.agent import Agent
from tests.support.vdpdus import MIGRATE, SUSPEND, VsiOctets
from tests.support.vsirig import (
    DRAFT_PROFILE,
    KIND_WORDS,
    PROFILE,
    Overheard,
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
    vsi,
    vsis,
    wait_for_states,
)

pytestmark = pytest.mark.system

CISCO = bytes.fromhex("00000c")
MAC, MAC_2, MAC_3 = (address(number) for number in (1, 2, 3))
STATES = dict(zip(KIND_WORDS, ("preassociated", "preassociated-rr", "associated", "deassociated"), strict=True))
# Editions by the names of the links that speak them.
EDITIONS = {"ratified": PROFILE, "draft": DRAFT_PROFILE}


@dataclass(frozen=True, slots=True)
class Pair:
    station: Agent
    bridge: Agent
    here: str
    there: str
    wire: Overheard


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, Agent]]:
    config = '[evb]\ngroup-ids = true\n[uplink."*-draft"]\nevb.edition = "draft"\n'
    rules = '[switch]\ndefault = { assign = "150-160" }\n'
    with linked_agents(
        tmp_path_factory.mktemp("vsis"), list(EDITIONS), station=config, bridge=config + rules
    ) as agents:
        yield agents


@pytest.fixture(params=list(EDITIONS))
def either(agents: tuple[Agent, Agent], request: pytest.FixtureRequest) -> Iterator[Pair]:
    yield from on_link(agents, request.param)


@pytest.fixture
def pair(agents: tuple[Agent, Agent]) -> Iterator[Pair]:
    """In the ratified edition."""
    yield from on_link(agents, "ratified")


def on_link(agents: tuple[Agent, Agent], edition: str) -> Iterator[Pair]:
    station, bridge = agents
    here, there = f"s-{edition}", f"p-{edition}"
    with overheard(station.namespace, here) as wire:
        yield Pair(station, bridge, here, there, wire)
    clear(station, here)
    wait_for_states(bridge, there, {})


def edition_of(pair: Pair) -> str:
    return pair.here.removeprefix("s-")


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    return line


def test_from_one_kind_to_the_next(either: Pair) -> None:
    """Each request leads both ends to its state, is said once, and is answered in kind."""
    for request in KIND_WORDS:
        done = vsi(either.station, request, either.here, 1, profile=EDITIONS[edition_of(either)])
        assert done.returncode == 0, done.stderr
        if request == "deassociate":
            assert one_line(done) == "deassociated: the switch has confirmed it"
        else:
            assert one_line(done) == f"{STATES[request]}: 100-{MAC} (VID 100)"
        wanted = {} if request == "deassociate" else {instance(1): STATES[request]}
        wait_for_states(either.station, either.here, wanted)
        wait_for_states(either.bridge, either.there, wanted)
        asked, answered = either.wire.said()
        assert kinds(asked) == kinds(answered) == [request]
        assert (asked[0].vsi_id, asked[0].type_id, asked[0].version) == (answered[0].vsi_id, 7, 1)
        if edition_of(either) == "ratified":
            assert (asked[0].status, answered[0].status) == (0, 0x40)
        else:
            assert (asked[0].status, answered[0].status) == (0, 0)


def test_back_to_a_preassociation(pair: Pair) -> None:
    for request in ("associate", "preassociate", "preassociate-rr", "preassociate", "associate"):
        assert vsi(pair.station, request, pair.here, 1).returncode == 0
        wait_for_states(pair.bridge, pair.there, {instance(1): STATES[request]})


def test_deassociate_what_is_not_there(either: Pair) -> None:
    done = vsi(either.station, "deassociate", either.here, 9)
    assert (done.returncode, one_line(done)) == (0, "deassociated: it was not associated")
    assert either.wire.said() == ([], [])


@dataclass(frozen=True, slots=True)
class Form:
    """A filter format: what is asked, and what is granted where that differs."""

    name: str
    number: int
    filters: tuple[str, ...]
    granted: tuple[str, ...] = ()


FORMS = (
    Form("vid", 1, ("100",)),
    Form("vid", 1, ("100/3", "101", "102/0")),
    Form("vid", 1, ("0/5",), ("150/5",)),
    Form("mac-vid", 2, (f"100-{MAC}",)),
    Form("mac-vid", 2, (f"100/7-{MAC}", f"100-{MAC_2}", f"4094-{MAC_3}")),
    Form("mac-vid", 2, (f"0-{MAC}", f"0/1-{MAC_2}", f"100-{MAC_3}"), (f"150-{MAC}", f"150/1-{MAC_2}", f"100-{MAC_3}")),
    Form("group-id-vid", 3, ("100--7", "101/2--4294967295")),
    Form("group-id-vid", 3, ("0--7", "0--8"), ("150--7", "151--8")),
    Form("group-id-mac-vid", 4, (f"100/1-{MAC}-7",)),
    Form(
        "group-id-mac-vid",
        4,
        (f"0-{MAC}-7", f"0-{MAC_2}-7", f"0-{MAC_3}-9"),
        (f"150-{MAC}-7", f"150-{MAC_2}-7", f"151-{MAC_3}-9"),
    ),
)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.name}:{','.join(form.filters)}")
def test_filters(pair: Pair, form: Form) -> None:
    (answer,) = ask(pair.station, pair.here, [spec(1, filter=form.filters)])
    granted = list(form.granted or form.filters)
    assert answer["result"] == "granted" and filter_texts(answer["vsi"]) == granted
    asked, answered = pair.wire.said()
    for (tlv,), filters in ((asked, list(form.filters)), (answered, granted)):
        assert tlv.filter_format == form.number and entries(tlv) == filters
    for agent, interface in ((pair.station, pair.here), (pair.bridge, pair.there)):
        wait_for_states(agent, interface, associated([1]))
        document = vsis(agent, interface)[instance(1)]
        assert document["filter-info-format"] == form.name and filter_texts(document) == granted


PRINTED = (
    (("100/3", "101", "102/0"), "100/3, 101, 102/0 (VIDs 100, 101, 102)"),
    ((f"0-{MAC}", f"0/1-{MAC_2}"), f"150-{MAC}, 150/1-{MAC_2} (VID 150)"),
    (("0--7", "0--8"), "150--7, 151--8 (VIDs 150, 151)"),
    ((f"0-{MAC}-7",), f"150-{MAC}-7 (VID 150)"),
)


@pytest.mark.parametrize(("filters", "words"), PRINTED, ids=[words for _, words in PRINTED])
def test_what_is_printed(pair: Pair, filters: tuple[str, ...], words: str) -> None:
    done = vsi(pair.station, "associate", pair.here, 1, filters=filters)
    assert (done.returncode, one_line(done)) == (0, f"associated: {words}")


def entries(tlv: VsiOctets) -> list[str]:
    """The filters on the wire as the command line has them: GroupID, MAC address, PS/PCP/VID, where they are there."""
    texts = []
    for entry in tlv.entries:
        word = int.from_bytes(entry[-2:], "big")
        text = str(word & 0xFFF) + (f"/{word >> 12 & 7}" if word & 0x8000 else "")
        group, mac = entry[:-2], b""
        if tlv.filter_format in (2, 4):
            group, mac = entry[:-8], entry[-8:-2]
        text += f"-{mac.hex(':')}" if mac or group else ""
        texts.append(text + (f"-{int.from_bytes(group, 'big')}" if group else ""))
    return texts


VSI_IDS = (
    ("a1412857-60f7-4ce1-e95a-216494353f53", 5, "uuid", "A141285760F74CE1E95A216494353F53"),
    ("192.0.2.33", 1, "ipv4", "192.0.2.33"),
    ("2001:db8::1", 2, "ipv6", "2001:DB8:0:0::1"),
    ("52:54:00:8e:50:53", 3, "mac", "52-54-00-8E-50-53"),
    ("local:000000000000000000000000c0ffee42", 4, "local", "local:C0FFEE42"),
)


@pytest.mark.parametrize(("text", "number", "name", "otherwise"), VSI_IDS, ids=lambda value: str(value))
def test_instances(pair: Pair, text: str, number: int, name: str, otherwise: str) -> None:
    """All VSI ID formats; the same instance in other words is the same instance."""
    (answer,) = ask(pair.station, pair.here, [spec(1, instance=text)])
    assert answer["result"] == "granted"
    assert (answer["vsi"]["vsi-id"], answer["vsi"]["vsi-id-format"]) == (text, name)
    wait_for_states(pair.bridge, pair.there, {text: "associated"})
    assert vsis(pair.bridge, pair.there)[text]["vsi-id-format"] == name
    pair.station.evbagent("wait", pair.here, "--for", f"vsi={otherwise}", "--timeout", "1")
    ask(pair.station, pair.here, [spec(1, "deassociate", instance=otherwise)])
    wait_for_states(pair.station, pair.here, {})
    asked, _ = pair.wire.said()
    assert kinds(asked) == ["associate", "deassociate"]
    assert [tlv.id_format for tlv in asked] == [number] * 2 and asked[0].vsi_id == asked[1].vsi_id


MANAGERS = (
    ("192.0.2.7", "00000000000000000000ffffc0000207"),
    ("2001:db8::7", "20010db8000000000000000000000007"),
    ("0c", "0c" + "00" * 15),
    ("blabla", b"blabla".hex() + "00" * 10),
)


@pytest.mark.parametrize(("text", "octets"), MANAGERS, ids=lambda value: str(value))
def test_managers(pair: Pair, text: str, octets: str) -> None:
    asked_for = spec(1, manager=text, type=16777215) | {"type-version": 255}
    assert ask(pair.station, pair.here, [asked_for])[0]["result"] == "granted"
    (asked,), (answered,) = pair.wire.said()
    for tlv in (asked, answered):
        assert (tlv.manager.hex(), tlv.type_id, tlv.version) == (octets, 16777215, 255)
    wait_for_states(pair.bridge, pair.there, associated([1]))
    document = vsis(pair.bridge, pair.there)[instance(1)]
    assert (document["vsi-manager-id"], document["vsi-type-id"], document["vsi-type-version"]) == (text, 16777215, 255)


def test_a_vlan_for_each_profile(pair: Pair) -> None:
    """VID 0: the switch chooses, the same for all of a profile; what it chose is said again when the VSI is."""
    other = ("--manager", "192.0.2.1", "--type", "8", "--type-version", "1")
    for number, profile, vid in ((1, PROFILE, 150), (2, PROFILE, 150), (3, other, 151)):
        done = vsi(pair.station, "associate", pair.here, number, filters=[f"0-{MAC}"], profile=profile)
        assert one_line(done) == f"associated: {vid}-{MAC} (VID {vid})"
    asked, answered = pair.wire.said()
    assert [tlv.vids for tlv in asked] == [(0,)] * 3 and [tlv.vids for tlv in answered] == [(150,), (150,), (151,)]
    assert one_line(vsi(pair.station, "associate", pair.here, 1, filters=[f"0-{MAC}"])).endswith("(VID 150)")
    asked, answered = pair.wire.said()
    assert [tlv.vids for tlv in (*asked, *answered)] == [(150,), (150,)]
    shown = pair.station.evbagent("show", "vsis", pair.here).stdout
    assert shown.count(f"150-{MAC}") == 2 and shown.count(f"151-{MAC}") == 1


@pytest.mark.parametrize(("hint", "bit"), [("none", 0), ("suspend", SUSPEND), ("migrate", MIGRATE)])
def test_hints(either: Pair, hint: str, bit: int) -> None:
    """In the status octet of the request, which the answer does not repeat; the draft has no place for it."""
    done = vsi(either.station, "associate", either.here, 1, "--hint", hint, profile=EDITIONS[edition_of(either)])
    assert done.returncode == 0, done.stderr
    (asked,), (answered,) = either.wire.said()
    assert asked.status == (bit if edition_of(either) == "ratified" else 0)
    assert answered.status == (0x40 if edition_of(either) == "ratified" else 0)


def test_the_words_of_cisco(either: Pair) -> None:
    """Name, UUID and address of the VM go along, to be read or skipped; the draft has no place for them."""
    vm = ("--vm-name", "büro 1", "--vm-uuid", instance(77), "--vm-address", "192.0.2.44")
    done = vsi(either.station, "associate", either.here, 1, *vm, profile=EDITIONS[edition_of(either)])
    assert done.returncode == 0, done.stderr
    (asked,), (answered,) = either.wire.said()
    assert answered.organizational == ()
    if edition_of(either) == "draft":
        assert asked.organizational == ()
        return
    name, where = asked.organizational
    vm_id = b"\x05" + bytes.fromhex(instance(77).replace("-", ""))
    assert name == CISCO + b"\xf1\x05" + asked.vsi_id + vm_id + "büro 1".encode()
    assert where.startswith(CISCO + b"\xf2\x05" + asked.vsi_id) and where.endswith(bytes([192, 0, 2, 44]))


def test_shown_at_both_ends(either: Pair, tmp_path: Path) -> None:
    """For people a line each, for programs what the state file has; the switch does not say whose wish it was."""
    profile = EDITIONS[edition_of(either)]
    vsi(either.station, "associate", either.here, 1, profile=profile)
    four = [f"100-{address(number)}" for number in range(4)]
    vsi(either.station, "preassociate", either.here, 2, profile=profile, filters=four)
    manager = profile[1]
    for agent, interface, owner in ((either.station, either.here, "client"), (either.bridge, either.there, None)):
        wait_for_states(agent, interface, {instance(1): "associated", instance(2): "preassociated"})
        first, *lines = agent.evbagent("show", "vsis", interface).stdout.splitlines()
        assert first.split() == ["INTERFACE", "VSI", "STATE", "REQUEST", "FILTERS", "MANAGER/TYPE/VERSION", "RESPONSE"]
        one = [interface, instance(1), "associated", "associate", f"100-{MAC}", f"{manager}/7/1", "success"]
        assert lines[0].split() == one and len(lines) == 2
        assert instance(2) in lines[1] and "..." in lines[1]
        rows = json.loads(agent.evbagent("show", "vsis", interface, "-j").stdout)
        assert rows == [{"interface": interface, **document} for document in agent.uplink(interface)["vsis"]]
        assert [row.get("owner") for row in rows] == [owner, owner]
        details = agent.evbagent("show", "vsis", interface, "--details").stdout
        assert f"vsi-id: {instance(2)}" in details and details.count("mac-address: ") == 5
    assert either.station.evbagent("show", "vsis", "nothing*").stdout == "no vsis\n"


def test_many_in_one_session(either: Pair) -> None:
    """A thousand requests of mixed kinds; each is answered once, with the id that it had."""
    manager = EDITIONS[edition_of(either)][1]
    words = ("associate", "preassociate", "preassociate-rr")
    specs = [spec(number, words[number % 3], manager=manager) for number in range(1000)]
    specs += [spec(number, "deassociate") for number in range(500, 1000)]
    for number, request in enumerate(specs):
        request["id"] = number
    answers = ask(either.station, either.here, specs)
    assert sorted(answer["id"] for answer in answers) == list(range(1500))
    # One that is deassociated in the same breath may never have been asked for.
    assert {answer["result"] for answer in answers if answer["id"] < 500 or answer["id"] >= 1000} == {"granted"}
    assert {answer["result"] for answer in answers} <= {"granted", "superseded"}
    wanted = {instance(number): STATES[words[number % 3]] for number in range(500)}
    wait_for_states(either.station, either.here, wanted)
    wait_for_states(either.bridge, either.there, wanted)
