"""A real lldpad as the station and our bridge: what lldpad shows to vdptool's users after our answers.

The Linux bridges run STP. Without it a port that reflects sends lldpad's own ECPDUs back to it, which it takes for the
bridge's, and loses answers over them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from tests.support.agent import Agent
from tests.support.lldpdus import evb_octets
from tests.support.namespaces import Namespace, PacketTap, link_pair, wait_until
from tests.support.peers import Lldpad, LldpadPort, RatifiedEvb
from tests.support.vdpdus import (
    ASSOCIATE,
    DEASSOCIATE,
    GROUP_MAC_VID,
    GROUP_VID,
    MAC_VID,
    MIGRATE,
    PREASSOCIATE,
    PREASSOCIATE_RR,
    SUSPEND,
    VID,
    VsiOctets,
    ecp_octets,
    numbered,
)
from tests.support.vdptool import LibvirtMessages, Vdptool, cisco
from tests.support.vsirig import (
    KIND_WORDS,
    address,
    deassociated,
    filter_texts,
    kinds,
    overheard,
    states,
    vsis,
    wait_for_states,
)

pytestmark = pytest.mark.system

STATION = RatifiedEvb(mode="station", rr_request=True, group_ids=True, rte=8)
# RKA 16: keep-alives every 0.66 s, and our bridge gives up on a VSI after 1.01 s. RKA 18: every 2.62 s.
BRIEF = RatifiedEvb(mode="station", rr_request=True, group_ids=True, rte=8, rka=16)
LASTING = RatifiedEvb(mode="station", rr_request=True, group_ids=True, rte=8, rka=18)
LINKS = {"plain": STATION, "many": STATION, "link": STATION, "brief": BRIEF, "lasting": LASTING}
CODES = {
    "invalid-format": "VDP TLV Format is Invalid",
    "insufficient-resources": "Insufficient resources at bridge",
    "unable-to-contact-vsi-manager": "Unable to contact VSI Mgr",
    "other-failure": "Other Failures",
    "invalid-vid-group-id-or-mac-address": "Invalid VID, GroupID or MAC address field",
}
HARD, KEPT = 10, 20  # are added to the types that are refused with these codes, 101 and on
CONFIG = """
[evb]
group-ids = true
ecp-ack-timer-exponent = 8
[uplink.p-brief.evb]
keep-alive-exponent = 16
[uplink.p-lasting.evb]
keep-alive-exponent = 18
[switch]
default = { assign = "150-160" }
""" + "".join(
    f'[[switch.rule]]\ntype = {number + more}\nanswer = "{code}"\n{bit}\n'
    for number, code in enumerate(CODES, 101)
    for more, bit in ((0, ""), (HARD, "hard = true"), (KEPT, "keep = true"))
)
STATES = dict(zip(KIND_WORDS, ("preassociated", "preassociated-rr", "associated"), strict=False))
MAC, MAC_2 = (address(number) for number in (1, 2))


@dataclass(frozen=True, slots=True)
class Rig:
    lldpad: Lldpad
    bridge: Agent
    ready: list[int] = field(default_factory=list)  # the process that takes VSIs on all links

    def vdptool(self, link: str = "plain") -> Vdptool:
        return Vdptool(self.lldpad, f"y-{link}")


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """All links between one lldpad (`y-plain`) and one agent (`p-plain`)."""
    directory = tmp_path_factory.mktemp("vsis")
    with Namespace("host") as host, Namespace("switch") as switch:
        for number, name in enumerate(LINKS):
            left, right = f"02:00:00:00:0a:{number:02x}", f"02:00:00:00:0b:{number:02x}"
            link_pair(host, f"y-{name}", switch, f"p-{name}", left_mac=left, right_mac=right)
            switch.bridge(f"br{number}", [f"p-{name}"], "stp_state 1")
        ports = {f"y-{name}": LldpadPort(evb=evb) for name, evb in LINKS.items()}
        lldpad = Lldpad(host, directory, ports)
        with Agent(switch, directory, ["p-*"], role="bridge", config=CONFIG) as bridge, lldpad:
            yield Rig(lldpad, bridge)


@pytest.fixture
def rig(wall: Rig) -> Iterator[Rig]:
    """Agreed on all links, also in lldpad's eyes. lldpad must survive every test. Its VSIs are left to nobody."""
    for link in LINKS:
        wall.bridge.wait_for_relay(f"p-{link}", "active")
    if wall.ready != [wall.lldpad.pid]:
        for link in LINKS:
            wait_until_ready(wall.vdptool(link))
        wall.ready[:] = [wall.lldpad.pid]
    yield wall
    if wall.lldpad.process is None:
        wall.lldpad.start()
    if any(states(wall.bridge, f"p-{link}") for link in LINKS):
        wall.bridge.evbagent("switch", "deassociate", "--all")
    for link in LINKS:
        wait_for_states(wall.bridge, f"p-{link}", {})
    assert wall.lldpad.process is not None and wall.lldpad.process.poll() is None, "lldpad has crashed"


def wait_until_ready(tool: Vdptool) -> None:
    """lldpad takes no VSI before its second LLDPDU. Then only does it see that this one is not there to be released."""

    def look() -> bool:
        try:
            tool.ask(numbered(0xFFFFFF), DEASSOCIATE)
        except RuntimeError as error:
            return "Invalid parameters" in str(error)
        raise AssertionError("lldpad releases what it never had")

    wait_until(look, f"lldpad is ready on {tool.interface}", 10)


def has_agreed(lldpad: Lldpad, interface: str) -> bool:
    octets = evb_octets(lldpad.local_lldpdu(interface))
    return octets is not None and octets.relay_status == 1


@pytest.fixture
def number(numbers: Iterator[int]) -> int:
    return next(numbers)


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(1)


def wait_for_confirmed(tool: Vdptool, vsi: VsiOctets, kind: int = ASSOCIATE) -> tuple[str, ...]:
    """Until lldpad has our grant; the filters that it shows."""

    def look() -> tuple[str, ...] | None:
        shown = tool.find(vsi, kind)
        return shown.filters if shown is not None and shown.confirmed else None

    found = wait_until(look, f"lldpad shows {vsi.uuid} as confirmed")
    assert found is not None
    return found


def wait_until_gone(tool: Vdptool, vsi: VsiOctets) -> None:
    wait_until(lambda: tool.find(vsi) is None, f"lldpad shows {vsi.uuid} no longer")


# What is asked and answered.


def test_from_one_kind_to_the_next(rig: Rig, number: int) -> None:
    """Each is confirmed, the same one twice and again after a DeAssociate too."""
    tool, vsi = rig.vdptool(), numbered(number)
    steps = (PREASSOCIATE, PREASSOCIATE, PREASSOCIATE_RR, ASSOCIATE, ASSOCIATE, DEASSOCIATE, ASSOCIATE)
    with overheard(rig.lldpad.namespace, "y-plain") as wire:
        for kind in steps:
            words = tool.ask_and_wait(vsi, kind)
            assert f"uuid = {vsi.uuid}" in words and "Error" not in words
            request = KIND_WORDS[kind - 1]
            wait_for_states(rig.bridge, "p-plain", {vsi.uuid: STATES[request]} if request in STATES else {})
            shown = tool.find(vsi, kind)
            assert (shown is None) if kind == DEASSOCIATE else (shown is not None and shown.confirmed)
        asked, answered = wire.said()
    assert kinds(asked) == kinds(answered) == [KIND_WORDS[kind - 1] for kind in steps]
    assert {tlv.status for tlv in asked} == {0} and {tlv.status for tlv in answered} == {0x40}


def entry(text: str) -> bytes:
    """A filter entry from words like ours: VID[/PCP][-MAC[-GROUP]]."""
    tag, _, rest = text.partition("-")
    mac, _, group = rest.partition("-")
    vid, _, pcp = tag.partition("/")
    word = int(vid) | (0x8000 | int(pcp) << 12 if pcp else 0)
    head = int(group).to_bytes(4, "big") if group else b""
    return head + bytes.fromhex(mac.replace(":", "")) + word.to_bytes(2, "big")


FORMS = (
    (VID, ("100",), ()),
    (VID, ("100/3", "101", "102/0"), ()),
    (VID, ("0",), ("150",)),
    (MAC_VID, (f"100/7-{MAC}", f"4094-{MAC_2}"), ()),
    (MAC_VID, (f"0-{MAC}", f"100-{MAC_2}"), (f"150-{MAC}", f"100-{MAC_2}")),
    (MAC_VID, (f"0-{MAC}", f"0-{MAC_2}"), (f"150-{MAC}", f"150-{MAC_2}")),
    (GROUP_VID, ("100--7", "101/2--16777215"), ()),
    (GROUP_VID, ("0--7", "0--8"), ("150--7", "151--8")),
    (GROUP_MAC_VID, (f"100/1-{MAC}-7",), ()),
    (GROUP_MAC_VID, (f"0-{MAC}-7", f"0-{MAC_2}-9"), (f"150-{MAC}-7", f"151-{MAC_2}-9")),
)


@pytest.mark.parametrize(("filter_format", "filters", "granted"), FORMS, ids=[",".join(form[1]) for form in FORMS])
def test_filters(rig: Rig, number: int, filter_format: int, filters: tuple[str, ...], granted: tuple[str, ...]) -> None:
    """Granted as asked, with a VID where it was left to us. lldpad and our bridge show the same."""
    tool = rig.vdptool()
    vsi = replace(numbered(number), filter_format=filter_format, entries=tuple(map(entry, filters)))
    tool.ask(vsi)
    assert [as_ours(text, filter_format) for text in wait_for_confirmed(tool, vsi)] == [*(granted or filters)]
    wait_for_states(rig.bridge, "p-plain", {vsi.uuid: "associated"})
    assert filter_texts(vsis(rig.bridge, "p-plain")[vsi.uuid]) == [*(granted or filters)]


def as_ours(text: str, filter_format: int) -> str:
    """lldpad shows the VID with PS and PCP in its upper bits, and where it has no MAC address it leaves no gap."""
    tag, separator, rest = text.partition("-")
    word = int(tag)
    separator *= 2 if filter_format == GROUP_VID else 1
    return f"{word & 0xFFF}" + (f"/{word >> 12 & 7}" if word & 0x8000 else "") + separator + rest


def test_released_with_the_vid_that_was_assigned(rig: Rig, number: int) -> None:
    tool, vsi = rig.vdptool(), numbered(number, vid=0)
    tool.ask(vsi)
    assert wait_for_confirmed(tool, vsi) == (f"150-{vsi.entries[0][:6].hex(':')}",)
    assert "Error" not in tool.ask_and_wait(vsi.with_vids(150), DEASSOCIATE)
    wait_for_states(rig.bridge, "p-plain", {})


@pytest.mark.parametrize(("hint", "word"), [(SUSPEND, "suspend"), (MIGRATE, "migrate")])
def test_what_else_is_said(rig: Rig, number: int, hint: int, word: str) -> None:
    """A hint, and Cisco's TLVs: they come with every request, are shown, and are not answered."""
    tool, vsi, vm = rig.vdptool(), numbered(number, status=hint), numbered(77).uuid
    with overheard(rig.lldpad.namespace, "y-plain") as wire:
        tool.ask(vsi, ASSOCIATE, *cisco(name="web01", uuid=vm, address="192.0.2.77"))
        wait_for_confirmed(tool, vsi)
        (asked,), (answered,) = wire.said()
    assert len(asked.organizational) == 2 and answered == replace(asked, status=0x40, organizational=())
    wait_for_states(rig.bridge, "p-plain", {vsi.uuid: "associated"})
    document = vsis(rig.bridge, "p-plain")[vsi.uuid]
    assert document["hint"] == word
    assert document["organizational"] == [
        {"kind": "cisco-vm-name", "vsi-id": vsi.uuid, "vm-id": vm, "vm-name": "web01"},
        {"kind": "cisco-vm-address", "vsi-id": vsi.uuid, "vm-address": "192.0.2.77"},
    ]


@pytest.mark.parametrize("kind", [PREASSOCIATE, PREASSOCIATE_RR, ASSOCIATE], ids=KIND_WORDS[:3])
@pytest.mark.parametrize("code", list(CODES))
def test_refused(rig: Rig, number: int, code: str, kind: int) -> None:
    """By the rules, in lldpad's words. Nothing is left at either end; a first request has nothing to be kept."""
    tool, octet = rig.vdptool(), [*CODES].index(code) + 1
    for more, status in ((0, 0x40 | octet), (KEPT, 0x40 | octet), (HARD, 0x50 | octet)):
        vsi = replace(numbered(number), type_id=100 + octet + more)
        with overheard(rig.lldpad.namespace, "y-plain") as wire:
            words = tool.ask_and_wait(vsi, kind)
            assert [tlv.status for tlv in wire.said()[1]] == [status]
        assert "mode = deassoc" in words
        # lldpad's tool has no words for what is hard.
        assert ("Error returned by Bridge" in words) == (more != HARD)
        assert more == HARD or f"Error returned by Bridge: {CODES[code]}\n" in words
        assert tool.find(vsi, kind) is None
    wait_for_states(rig.bridge, "p-plain", {})


# Many, and what the operator takes away.


def test_a_hundred(rig: Rig) -> None:
    """lldpad asks for one VSI at a time, every 2.6 ms. It has every answer, though its buffer holds one ECPDU."""
    tool, mine = rig.vdptool("many"), [numbered(0x3000 + number) for number in range(100)]
    with overheard(rig.lldpad.namespace, "y-many") as wire:
        tool.ask_all(mine)
        wait_for_states(rig.bridge, "p-many", {vsi.uuid: "associated" for vsi in mine})
        wait_until(lambda: tool.find(mine[-1]).confirmed, "the last answer has come")  # type: ignore[union-attr]
        assert len(tool.confirmed(mine)) == len(mine)
        asked, answered = wire.said()
    assert {tlv.uuid for tlv in asked} == {tlv.uuid for tlv in answered} == {vsi.uuid for vsi in mine}
    assert {(tlv.kind, tlv.status) for tlv in answered} == {(ASSOCIATE, 0x40)}


def test_deassociated_by_the_switch(rig: Rig) -> None:
    """One, then all that are left: lldpad shows them no longer, and does not ask for them again."""
    tool, mine = rig.vdptool(), [numbered(0x4000 + number) for number in range(10)]
    tool.ask_all(mine)
    for vsi in mine:
        wait_for_confirmed(tool, vsi)
    with overheard(rig.lldpad.namespace, "y-plain") as wire:
        done = rig.bridge.evbagent("switch", "deassociate", "--instance", mine[3].uuid)
        assert done.stdout == f"p-plain: {mine[3].uuid} deassociated\n"
        wait_until_gone(tool, mine[3])
        assert [vsi.uuid for vsi in tool.confirmed(mine)] == [vsi.uuid for vsi in mine if vsi != mine[3]]
        rig.bridge.evbagent("switch", "deassociate", "p-plain", "--all")
        for vsi in mine:
            wait_until_gone(tool, vsi)
        asked, answered = wire.said()
    assert asked == [] and {tlv.status for tlv in answered} == {0}
    assert deassociated(answered) == [mine[3].uuid, *(vsi.uuid for vsi in mine if vsi != mine[3])]
    wait_for_states(rig.bridge, "p-plain", {})


def test_libvirt_is_told(rig: Rig, number: int) -> None:
    """By netlink, as libvirt asks: it polls our answer, and gets word when we take the VSI away."""
    vsi = numbered(number, manager=b"\x0b" + bytes(15))
    with LibvirtMessages(rig.lldpad.namespace, "y-plain") as libvirt:
        assert libvirt.ask(vsi) == 0
        wait_until(lambda: libvirt.poll() == {vsi.uuid: 0}, "the answer to be polled")
        wait_for_states(rig.bridge, "p-plain", {vsi.uuid: "associated"})
        rig.bridge.evbagent("switch", "deassociate", "--instance", vsi.uuid)
        assert libvirt.notification() == vsi.uuid
        assert libvirt.ask(vsi) == 0
        wait_until(lambda: libvirt.poll() == {vsi.uuid: 0}, "the answer to be polled")
        assert libvirt.ask(vsi, DEASSOCIATE) == 0
        wait_for_states(rig.bridge, "p-plain", {})


# Who comes and goes.


def one_of_each(rig: Rig, link: str, numbers: Iterator[int]) -> dict[str, str]:
    """A VSI of each kind, and their states."""
    tool, wanted = rig.vdptool(link), {}
    for kind in (PREASSOCIATE, PREASSOCIATE_RR, ASSOCIATE):
        vsi = numbered(next(numbers), kind)
        tool.ask(vsi)
        wait_for_confirmed(tool, vsi, kind)
        wanted[vsi.uuid] = STATES[KIND_WORDS[kind - 1]]
    wait_for_states(rig.bridge, f"p-{link}", wanted)
    return wanted


def test_keep_alives(rig: Rig, numbers: Iterator[int]) -> None:
    """lldpad's, for longer than our tolerance: nothing changes here."""
    heard = dict.fromkeys(one_of_each(rig, "brief", numbers), 0)
    before = vsis(rig.bridge, "p-brief")
    with overheard(rig.lldpad.namespace, "y-brief") as wire:

        def look() -> bool:
            for tlv in wire.said()[1]:
                assert tlv.status == 0x40
                heard[tlv.uuid] += 1
            return min(heard.values()) >= 3

        wait_until(look, "three keep-alives of each are answered", 6)
    assert vsis(rig.bridge, "p-brief") == before


def test_our_agent_is_killed(rig: Rig, numbers: Iterator[int]) -> None:
    """lldpad's keep-alives tell our next agent what there is. (One that nobody answers would be the end of its VSI.)"""
    wanted = one_of_each(rig, "lasting", numbers)
    rig.bridge.kill()
    rig.bridge.start()
    wait_for_states(rig.bridge, "p-lasting", wanted)


def test_lldpad_is_killed(rig: Rig, numbers: Iterator[int]) -> None:
    """Our bridge ends what nobody keeps alive, tells whoever may still listen, and keeps what has time left."""
    three = one_of_each(rig, "brief", numbers)
    lasting = numbered(0x5000)
    rig.vdptool().ask(lasting)
    wait_for_confirmed(rig.vdptool(), lasting)
    with overheard(rig.lldpad.namespace, "y-brief") as wire:
        rig.lldpad.kill()
        wait_for_states(rig.bridge, "p-brief", {}, 5)
        assert {*deassociated(wire.said()[1])} == {*three}
    assert states(rig.bridge, "p-plain") == {lasting.uuid: "associated"}


def test_restart_with_the_same_number(rig: Rig, number: int) -> None:
    """lldpad's first ECPDU after a start is number 1 each time: heard even where it equals the last one of all."""
    vsi = numbered(number)
    for _ in range(2):
        wait_until(lambda: has_agreed(rig.lldpad, "y-plain"), "lldpad has agreed")
        rig.lldpad.kill()
        rig.lldpad.start()
        wait_until_ready(rig.vdptool())
        with PacketTap(rig.lldpad.namespace, "y-plain") as tap:
            rig.vdptool().ask(vsi)
            wait_for_confirmed(rig.vdptool(), vsi)
            heard = [ecp_octets(frame.data) for frame in tap.drain() if frame.outgoing]
        assert {ecpdu.sequence for ecpdu in heard if ecpdu and not ecpdu.acknowledgment} == {1}
    wait_for_states(rig.bridge, "p-plain", {vsi.uuid: "associated"})


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_link_down_and_up(rig: Rig, side: str) -> None:
    """We forget what a link without carrier had; lldpad asks for all of it again when it is back."""
    tool, mine = rig.vdptool("link"), [numbered(0x6000 + number) for number in range(10)]
    tool.ask_all(mine)
    for vsi in mine:
        wait_for_confirmed(tool, vsi)
    namespace, interface = (rig.bridge.namespace, "p-link") if side == "ours" else (rig.lldpad.namespace, "y-link")
    namespace.ip(f"link set {interface} down")
    wait_for_states(rig.bridge, "p-link", {})
    namespace.ip(f"link set {interface} up")
    wait_for_states(rig.bridge, "p-link", {vsi.uuid: "associated" for vsi in mine})
    for vsi in mine:
        wait_for_confirmed(tool, vsi)
