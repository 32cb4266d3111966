"""Our station and a real lldpad as the bridge: what it grants and refuses, and what becomes of VSIs when it goes.

lldpad as a bridge shows its VSIs to nobody: what it says is on the wire, what it has understood is in its log, which is
complete when it has ended. It answers a DeAssociate and keeps the VSI until its keep-alive tolerance is over, so each
test has VSIs of its own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from tests.support.agent import Agent
from tests.support.namespaces import Namespace, link_pair, wait_until
from tests.support.peers import Lldpad, LldpadPort, RatifiedEvb
from tests.support.vdpdus import ASSOCIATE, DEASSOCIATE, MIGRATE, SUSPEND, VsiOctets
from tests.support.vsirig import (
    PROFILE,
    Document,
    Overheard,
    address,
    ask,
    associated,
    filter_texts,
    instance,
    kinds,
    overheard,
    spec,
    states,
    vsi,
    vsis,
    wait_for_states,
    wait_for_vsi,
)

pytestmark = pytest.mark.system

# RTE 10: an ECPDU is repeated after 10 ms and given up after 40; 8, lldpad's own default, asks much of a busy CPU.
BRIDGE = RatifiedEvb(mode="bridge", rr_capable=True, group_ids=True, rte=10)
FAST = RatifiedEvb(mode="bridge", rr_capable=True, group_ids=True, rte=8)
# RKA 17: keep-alives every 1.3 s, and lldpad gives up on a VSI after 2 s.
BRIEF = RatifiedEvb(mode="bridge", rr_capable=True, group_ids=True, rte=10, rka=17)
LINKS = {"s-plain": BRIDGE, "s-many": FAST, "s-read": BRIDGE, "s-link": BRIDGE, "s-brief": BRIEF}
CONFIG = """
[evb]
group-ids = true
ecp-ack-timer-exponent = 8
[uplink.s-brief.evb]
keep-alive-exponent = 17
"""
PLAIN, BRIEFLY = "s-plain", "s-brief"
GRANTED = 0x40
STATES = {"preassociate": "preassociated", "preassociate-rr": "preassociated-rr", "associate": "associated"}


@dataclass(frozen=True, slots=True)
class Rig:
    station: Agent
    lldpad: Lldpad
    switch: Namespace


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """All links between one agent and one lldpad, whose end of `s-plain` is `xs-plain`."""
    directory = tmp_path_factory.mktemp("vsis")
    with Namespace("host") as host, Namespace("switch") as switch:
        for number, name in enumerate(LINKS):
            left, right = f"02:00:00:00:0a:{number:02x}", f"02:00:00:00:0b:{number:02x}"
            link_pair(host, name, switch, f"x{name}", left_mac=left, right_mac=right)
        ports = {f"x{name}": LldpadPort(evb=evb) for name, evb in LINKS.items()}
        with Agent(host, directory, ["s-*"], config=CONFIG) as station, Lldpad(switch, directory, ports) as lldpad:
            yield Rig(station, lldpad, switch)


@pytest.fixture
def rig(wall: Rig) -> Iterator[Rig]:
    """Agreed on all links. lldpad must survive every test."""
    if wall.lldpad.process is None:
        wall.lldpad.start()
    for link in LINKS:
        wall.station.wait_for_relay(link, "active")
    yield wall
    assert wall.lldpad.process is not None and wall.lldpad.process.poll() is None, "lldpad has crashed"


@pytest.fixture
def number(numbers: Iterator[int]) -> int:
    """Of a VSI that lldpad has never heard of."""
    return next(numbers)


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(1)


# What is asked, and what lldpad makes of it.

STEPS = (
    ("preassociate", "preassociate-rr", "associate", "deassociate"),
    ("associate", "associate", "deassociate", "associate"),
    ("associate", "preassociate", "preassociate-rr", "preassociate", "associate"),
)


@pytest.mark.parametrize("steps", STEPS, ids="-".join)
def test_from_one_kind_to_the_next(rig: Rig, number: int, steps: Sequence[str]) -> None:
    """Each request is said once and answered in kind, the same one twice and the way back too."""
    with overheard(rig.station.namespace, PLAIN) as wire:
        for request in steps:
            done = vsi(rig.station, request, PLAIN, number)
            text = f"{STATES.get(request)}: 100-{address(number)} (VID 100)"
            wanted = "deassociated: the switch has confirmed it" if request == "deassociate" else text
            assert (done.returncode, done.stdout, done.stderr) == (0, f"{wanted}\n", "")
            wait_for_states(rig.station, PLAIN, {instance(number): STATES[request]} if request in STATES else {})
            (asked,), (answered,) = wire.said()
            assert kinds([asked, answered]) == [request] * 2
            assert (asked.status, answered.status) == (0, GRANTED)
            assert (answered.vsi_id, answered.manager, answered.entries) == (asked.vsi_id, asked.manager, asked.entries)


@dataclass(frozen=True, slots=True)
class Read:
    """A request, and what lldpad's log says of it: of each filter entry, and where it is not the usual."""

    fids: tuple[str, ...]
    filter_format: int
    filters: tuple[str, ...]
    id_format: int = 5
    text: str = ""
    manager: str = "00000000000000000000ffffc0000201"
    status: int = 0
    more: Document = field(default_factory=dict)


MAC, MAC_2, MAC_3 = (address(number) for number in (1, 2, 3))
USUAL = (f"mac:{MAC} vlan:100 qos:0",), 2, (f"100-{MAC}",)
VM = {"vm-name": "web", "vm-uuid": instance(77), "vm-address": "192.0.2.77"}
READ = (
    # Formats of filter info; `qos` are PS and PCP.
    Read(("vlan:100 qos:0",), 1, ("100",)),
    Read(("vlan:100 qos:11", "vlan:4094 qos:0", "vlan:102 qos:8"), 1, ("100/3", "4094", "102/0")),
    Read(*USUAL),
    Read(
        (f"mac:{MAC} vlan:100 qos:15", f"mac:{MAC_2} vlan:100 qos:0", f"mac:{MAC_3} vlan:2 qos:0"),
        2,
        (f"100/7-{MAC}", f"100-{MAC_2}", f"2-{MAC_3}"),
    ),
    Read(("grpid:7 vlan:100 qos:0", "grpid:16777215 vlan:101 qos:10"), 3, ("100--7", "101/2--16777215")),
    Read((f"mac:{MAC} grpid:7 vlan:100 qos:9",), 4, (f"100/1-{MAC}-7",)),
    Read(
        (f"mac:{MAC} grpid:7 vlan:100 qos:0", f"mac:{MAC_2} grpid:8 vlan:101 qos:0"),
        4,
        (f"100-{MAC}-7", f"101-{MAC_2}-8"),
    ),
    # VSI ID formats, of which lldpad prints IPv4 in hexadecimal.
    Read(*USUAL, 1, "ffff:c000:0221", more={"instance": "192.0.2.33"}),
    Read(*USUAL, 2, "2001:0db8:0000:0000:0000:0000:0000:0001", more={"instance": "2001:db8::1"}),
    Read(*USUAL, 3, "52:54:00:8E:50:53", more={"instance": "52:54:00:8e:50:53"}),
    Read(*USUAL, 4, "000000000000000000000000c0ffee42", more={"instance": "local:000000000000000000000000c0ffee42"}),
    # Managers, type, version.
    Read(*USUAL, manager="blabla", more={"manager": "blabla", "type": 0xFFFFFF, "type-version": 255}),
    Read(*USUAL, manager="12", more={"manager": "0c", "type": 0, "type-version": 0}),
    # Hints.
    Read(*USUAL, status=SUSPEND, more={"hint": "suspend"}),
    Read(*USUAL, status=MIGRATE, more={"hint": "migrate"}),
    # Cisco's organizational TLVs.
    Read(*USUAL, more=VM),
)


def test_what_lldpad_has_read(rig: Rig) -> None:
    """Everything that can be said is granted as it was asked, and understood as it was meant.

    lldpad's log tells, which has to end for it. It says goodbye, and so nothing is associated until it is back.
    """
    link = "s-read"
    specs = [spec(number, filter=list(read.filters)) | read.more for number, read in enumerate(READ, 0xA000)]
    with overheard(rig.station.namespace, link) as wire:
        answers = ask(rig.station, link, specs)
        asked, answered = wire.said()
    assert {answer["result"] for answer in answers} == {"granted"}
    assert len(asked) == len(answered) == len(READ) and {tlv.status for tlv in answered} == {GRANTED}
    found = {answer["id"]: answer["vsi"] for answer in answers}
    assert [filter_texts(found[its["id"]]) for its in specs] == [list(read.filters) for read in READ]
    assert [(tlv.uuid, len(tlv.organizational)) for tlv in asked if tlv.organizational] == [(specs[-1]["instance"], 2)]

    wanted = {str(its["instance"]): "associated" for its in specs}
    wait_for_states(rig.station, link, wanted)
    assert rig.lldpad.stop() == 0
    wait_for_states(rig.station, link, dict.fromkeys(wanted, "unassociated"))
    log = understood(rig.lldpad.log.read_text(), f"x{link}")
    expected = []
    for read, its in zip(READ, specs, strict=True):
        profile = f"mgrid:{read.manager} id:{its['type']} version:{its['type-version']}"
        where = f"id_fmt:{read.id_format} {read.text or its['instance']}"
        how = f"format:{read.filter_format} {', '.join(read.fids)}"
        expected.append(f"vsi_mode:3 status:{read.status:#x} {profile} {where} {how}".replace("status:0x0", "status:0"))
    assert sorted(log) == sorted(expected)
    rig.lldpad.start()
    wait_for_states(rig.station, link, wanted)


def understood(log: str, interface: str) -> list[str]:
    """What lldpad has heard on an interface, a line for each association TLV."""
    found = []
    lines = iter(log.splitlines())
    for line in lines:
        if not line.startswith(f"vdp22_station_info:{interface} received VSI"):
            continue
        heard = re.fullmatch(
            r"vsi:\S+ flags:0 (vsi_mode:\d),\d (status:\w+) (mgrid:\S* id:\d+)\(\w+\) (version:\d+ id_fmt:\d \S+ "
            r"format:\d) no:(\d+)",
            next(lines),
        )
        assert heard is not None
        fids = [next(lines).removeprefix("fid:").partition(" pid:")[0] for _ in range(int(heard[5]))]
        found.append(f"{' '.join(heard.groups()[:4])} {', '.join(fids)}")
    return found


REFUSED = (
    ({"filter": [f"1-{MAC}"]}, "VID 1"),
    ({"instance": "00000000-0000-0000-0000-000000000001"}, "a UUID that begins with zeros"),
)


@pytest.mark.parametrize("what", [what for what, _ in REFUSED], ids=[name for _, name in REFUSED])
def test_what_lldpad_does_not_take(rig: Rig, number: int, what: dict[str, Any]) -> None:
    """Whatever it does not like, its bridge says that it lacks resources."""
    asked = spec(number) | what
    filters = [word for text in asked["filter"] for word in ("--filter", text)]
    words = ("--instance", asked["instance"], *PROFILE, *filters)
    done = rig.station.evbagent("vsi", "associate", PLAIN, *words, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    where = f"evbagent: {PLAIN}: VSI {asked['instance']}: "
    assert done.stderr == f"{where}the switch answered: insufficient-resources\n"
    wait_for_states(rig.station, PLAIN, {})


@pytest.mark.parametrize("filters", [["0"], [f"0-{MAC}"], ["0--7"], [f"100-{MAC}-7", f"0/3-{MAC_2}-7"]], ids=",".join)
def test_lldpad_assigns_no_vids(rig: Rig, number: int, filters: list[str]) -> None:
    """It grants a null VID as it is. The VSI is of no use then, and it is told so."""
    with overheard(rig.station.namespace, PLAIN) as wire:
        done = vsi(rig.station, "associate", PLAIN, number, filters=filters)
        assert (done.returncode, done.stdout) == (3, "")
        assert "the switch's answer does not fit: the VID was left to it, and it assigned none" in done.stderr
        asked, answered = collected(wire, lambda _, answered: len(answered) == 2)
    assert kinds(asked) == kinds(answered) == ["associate", "deassociate"]
    wait_for_states(rig.station, PLAIN, {})


def collected(wire: Overheard, enough: Any, timeout: float = 20.0) -> tuple[list[VsiOctets], list[VsiOctets]]:
    """What is said by the station and by the bridge from now on, until it is enough."""
    asked: list[VsiOctets] = []
    answered: list[VsiOctets] = []

    def look() -> bool:
        for said, more in zip((asked, answered), wire.said(), strict=True):
            said += more
        return bool(enough(asked, answered))

    wait_until(look, "enough is said", timeout)
    return asked, answered


def granted(answered: Sequence[VsiOctets]) -> list[VsiOctets]:
    return [tlv for tlv in answered if tlv.status == GRANTED]


def test_other_filters(rig: Rig, number: int) -> None:
    """lldpad never answers other filters for a VSI that it holds: it is asked for them when it has let go of that."""
    with overheard(rig.station.namespace, BRIEFLY) as wire:
        for filters in ([f"100-{MAC}"], [f"200-{MAC}"], [f"200-{MAC}", f"300-{MAC_2}"]):
            done = vsi(rig.station, "associate", BRIEFLY, number, filters=filters)
            said = f"associated: {', '.join(filters)} (VID"
            assert done.returncode == 0 and done.stdout.startswith(said), done.stderr
        asked, answered = wire.said()
    changes = [tlv for before, tlv in zip([None, *asked], asked, strict=False) if not before or before.kind != tlv.kind]
    assert kinds(changes) == ["associate", "deassociate"] * 2 + ["associate"]
    assert [tlv.status for tlv in answered if tlv.kind == DEASSOCIATE] == [GRANTED, 0] * 2


def test_other_filters_for_what_was_deassociated(rig: Rig, number: int) -> None:
    """The same when nobody has wanted it in the meantime."""
    for vid in (100, 200):
        done = vsi(rig.station, "associate", BRIEFLY, number, filters=[f"{vid}-{MAC}"])
        assert (done.returncode, done.stdout) == (0, f"associated: {vid}-{MAC} (VID {vid})\n"), done.stderr
        assert vsi(rig.station, "deassociate", BRIEFLY, number).returncode == 0


def test_a_vid_of_ones_own(rig: Rig, number: int) -> None:
    """What lldpad did not assign can be asked for by number: not before it has let go of the null VID."""
    assert vsi(rig.station, "associate", BRIEFLY, number, filters=[f"0-{MAC}"]).returncode == 3
    done = vsi(rig.station, "associate", BRIEFLY, number, filters=[f"100-{MAC}"])
    assert (done.returncode, done.stdout) == (0, f"associated: 100-{MAC} (VID 100)\n"), done.stderr


def test_other_filters_and_another_mind(rig: Rig, number: int) -> None:
    """What was asked for while lldpad still held the VSI is withdrawn, and something else asked for: it stays awake."""
    ask(rig.station, BRIEFLY, [spec(number)])
    specs = [spec(number, vid=200, id="a"), spec(number, "deassociate", id="b"), spec(number, vid=300, id="c")]
    answers = {answer["id"]: answer for answer in ask(rig.station, BRIEFLY, specs)}
    assert answers["a"]["result"] == "superseded"
    assert answers["c"]["result"] == "granted"
    assert filter_texts(answers["c"]["vsi"]) == [f"300-{address(number)}"]
    wait_for_states(rig.station, BRIEFLY, associated([number]))


# Many.


def test_two_hundred(rig: Rig) -> None:
    """lldpad answers one VSI at a time; none is lost, and it hears no more of them than it was asked for."""
    numbers = range(0x2000, 0x2000 + 200)
    with overheard(rig.station.namespace, "s-many") as wire:
        answers = ask(rig.station, "s-many", [spec(number) for number in numbers])
        assert {answer["result"] for answer in answers} == {"granted"} and len(answers) == 200
        asked, answered = wire.said()
    everybody = {instance(number) for number in numbers}
    assert {tlv.uuid for tlv in asked} == {tlv.uuid for tlv in answered} == everybody
    assert {(tlv.kind, tlv.status) for tlv in answered} == {(ASSOCIATE, GRANTED)}
    # On a machine with other work lldpad may miss something; then that alone is said again.
    assert len(asked) < 250
    wait_for_states(rig.station, "s-many", associated(numbers))
    answers = ask(rig.station, "s-many", [spec(number, "deassociate") for number in numbers])
    assert {answer["result"] for answer in answers} == {"granted"} and len(answers) == 200
    wait_for_states(rig.station, "s-many", {})


# Who comes and goes.


@pytest.fixture
def three(rig: Rig, numbers: Iterator[int]) -> dict[str, str]:
    """A VSI of each kind on the link with short timers, and their states."""
    mine = {request: next(numbers) for request in STATES}
    ask(rig.station, BRIEFLY, [spec(number, request) for request, number in mine.items()])
    wanted = {instance(number): STATES[request] for request, number in mine.items()}
    wait_for_states(rig.station, BRIEFLY, wanted)
    return wanted


@pytest.fixture(autouse=True)
def tidied(wall: Rig) -> Iterator[None]:
    """No VSI is left to another test."""
    yield
    for link in LINKS:
        left = vsis(wall.station, link)
        if left:
            ask(wall.station, link, [{"id": key, "request": "deassociate", "instance": key} for key in left])
            wait_for_states(wall.station, link, {})


def test_keep_alives(rig: Rig, three: dict[str, str]) -> None:
    """Each in its own kind for as long as it is wanted, and lldpad has nothing to complain of."""
    before = {key: document["since"] for key, document in vsis(rig.station, BRIEFLY).items()}
    with overheard(rig.station.namespace, BRIEFLY) as wire:
        asked, answered = collected(
            wire, lambda _, answered: all([tlv.uuid for tlv in answered].count(key) >= 4 for key in three)
        )
    for key, state in three.items():
        # lldpad may end VSIs meanwhile that were deassociated before.
        its_requests, its_answers = ([tlv for tlv in said if tlv.uuid == key] for said in (asked, answered))
        assert {STATES[kind] for kind in kinds([*its_requests, *its_answers])} == {state} and len(its_requests) >= 4
        assert {tlv.status for tlv in its_requests} == {0} and {tlv.status for tlv in its_answers} == {GRANTED}
    assert states(rig.station, BRIEFLY) == three
    assert {key: document["since"] for key, document in vsis(rig.station, BRIEFLY).items()} == before


def test_our_agent_is_killed(rig: Rig, three: dict[str, str]) -> None:
    """lldpad ends VSIs that nobody keeps alive. The next agent wants them again."""
    rig.station.kill()
    with overheard(rig.station.namespace, BRIEFLY) as wire:
        _, commands = collected(wire, lambda _, commands: {tlv.uuid for tlv in commands} >= set(three))
    assert {(tlv.kind, tlv.status) for tlv in commands} == {(DEASSOCIATE, 0)}
    rig.station.start()
    wait_for_states(rig.station, BRIEFLY, three)


def test_lldpad_is_killed(rig: Rig, three: dict[str, str]) -> None:
    """The next lldpad knows nothing of VSIs, and is asked for all of them as soon as it speaks."""
    rig.lldpad.kill()
    with overheard(rig.station.namespace, BRIEFLY) as wire:
        rig.lldpad.start()
        _, answered = collected(wire, lambda _, answered: {tlv.uuid for tlv in granted(answered)} >= set(three))
    # Before it has heard of our timers it may end them at once, and is asked again.
    assert {STATES[kind] for kind in kinds(granted(answered))} == set(STATES.values())
    wait_for_states(rig.station, BRIEFLY, three)


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_link_down_and_up(rig: Rig, numbers: Iterator[int], side: str) -> None:
    """Nothing is associated without a link, and everything is as before when it is back."""
    mine = [next(numbers) for _ in range(10)]
    ask(rig.station, "s-link", [spec(number) for number in mine])
    wait_for_states(rig.station, "s-link", associated(mine))
    namespace, interface = (rig.station.namespace, "s-link") if side == "ours" else (rig.switch, "xs-link")
    namespace.ip(f"link set {interface} down")
    wait_for_states(rig.station, "s-link", dict.fromkeys(associated(mine), "unassociated"))
    document = wait_for_vsi(rig.station, "s-link", mine[0], lambda document: document.get("pending") == "associate")
    assert document["reason"] == "interface: the link is down"
    namespace.ip(f"link set {interface} up")
    wait_for_states(rig.station, "s-link", associated(mine))
