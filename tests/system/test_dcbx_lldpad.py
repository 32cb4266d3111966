"""DCBX beside real lldpads, each side with a NIC of its own: both have to come to the same, and to do it."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import dcbxtlvs as dcbx
from tests.support.agent import Agent
from tests.support.fakedcb import SAPP, FakeDcb
from tests.support.lldpaddcbx import DcbxLldpad
from tests.support.namespaces import Namespace, PacketTap, link_pair, wait_until
from tests.support.require import impossible
from tests.support.rig import Cable

pytestmark = pytest.mark.system

LEGACY_SECONDS = 5.0
LOW, HIGH = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
OUR_PFC, THEIR_PFC = 5, 3
OUR_ETS = ("tc-bw 0:70 1:30 2:0", "tc-tsa 0:ets 1:ets 2:strict", "prio-tc 0:0 1:0 2:1 3:0")
THEIR_ETS = ("tc-bw 0:40 1:60 2:0", "tc-tsa 0:ets 1:ets 2:strict", "prio-tc 0:0 1:0 2:0 3:1")
FCOE, ROCE = "ethtype-prio 8906:3", "dgram-port-prio 4791:5"


@dataclass(frozen=True, slots=True)
class Case:
    """Who is willing, whose MAC address is the higher one, and whose settings are in operation where."""

    ours: bool
    theirs: bool
    our_mac: str
    our_ets: Sequence[str]
    our_pfc: int
    their_ets: Sequence[str]
    their_pfc: int


CASES = {
    "nn": Case(False, False, LOW, OUR_ETS, OUR_PFC, THEIR_ETS, THEIR_PFC),
    "wn": Case(True, False, LOW, THEIR_ETS, THEIR_PFC, THEIR_ETS, THEIR_PFC),
    "nw": Case(False, True, LOW, OUR_ETS, OUR_PFC, OUR_ETS, OUR_PFC),
    "ww-low": Case(True, True, LOW, THEIR_ETS, THEIR_PFC, OUR_ETS, THEIR_PFC),
    "ww-high": Case(True, True, HIGH, THEIR_ETS, OUR_PFC, OUR_ETS, OUR_PFC),
}


@dataclass(frozen=True, slots=True)
class Wall:
    """All links between one agent and one lldpad: `s-CASE` is ours, `p-CASE` lldpad's."""

    host: Namespace
    switch: Namespace
    nic: FakeDcb
    agent: Agent
    lldpad: DcbxLldpad

    def ours(self, name: str) -> str:
        return self.nic.shown(self.host, f"s-{name}")

    def theirs(self, name: str) -> str:
        return self.nic.shown(self.switch, f"p-{name}")


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    directory = tmp_path_factory.mktemp("wall")
    with Namespace("host") as host, Namespace("switch") as switch:
        nic = FakeDcb(directory)
        for name, case in CASES.items():
            their_mac = LOW if case.our_mac == HIGH else HIGH
            link_pair(host, f"s-{name}", switch, f"p-{name}", left_mac=case.our_mac, right_mac=their_mac)
            nic.add(f"s-{name}")
        agent = Agent(host, directory, [f"s-{name}" for name in CASES], config=our_config(), env=nic.environment)
        lldpad = DcbxLldpad(switch, directory, nic, [f"p-{name}" for name in CASES])
        with lldpad:
            for name, case in CASES.items():
                set_theirs(lldpad, f"p-{name}", case.theirs)
            with agent:
                yield Wall(host, switch, nic, agent, lldpad)


def our_config() -> str:
    text = "[dcbx]\nmode = 'apply'\n"
    tables = 'prio-tc = "2:1", tc-bw = "0:70 1:30", reco-prio-tc = "2:1", reco-tc-bw = "0:70 1:30"'
    for name, case in CASES.items():
        willing = json.dumps(case.ours)
        text += f"""
[uplink."s-{name}".dcbx]
ets = {{ willing = {willing}, {tables} }}
pfc = {{ willing = {willing}, prio-pfc = [{OUR_PFC}] }}
app = {{ dgram-port-prio = "4791:5" }}
"""
    return text


def set_theirs(lldpad: DcbxLldpad, interface: str, willing: bool) -> None:
    tables = ("tsa=0:ets,1:ets", "up2tc=3:1", "tcbw=40,60,0,0,0,0,0,0")
    word = f"willing={'yes' if willing else 'no'}"
    lldpad.set(interface, "ETS-CFG", word, *tables, "enableTx=yes")
    lldpad.set(interface, "ETS-REC", *tables, "enableTx=yes")
    lldpad.set(interface, "PFC", word, f"enabled={THEIR_PFC}", "enableTx=yes")
    lldpad.set(interface, "APP", "app=3,1,35078", "enableTx=yes")


def settled(dcbx: dict[str, Any]) -> dict[str, Any] | None:
    """The file is written after the NIC."""
    return dcbx if dcbx["differences"] == [] else None


def pfc_words(priority: int) -> str:
    return "prio-pfc " + " ".join(f"{number}:{'on' if number == priority else 'off'}" for number in range(8))


@pytest.mark.parametrize("name", CASES)
def test_both_nics_get_what_both_ends_came_to(wall: Wall, name: str) -> None:
    case = CASES[name]

    def ours() -> bool:
        shown = wall.ours(name)
        return all(words in shown for words in (*case.our_ets, pfc_words(case.our_pfc), FCOE, ROCE))

    def theirs() -> bool:
        shown = wall.theirs(name)
        return all(words in shown for words in (*case.their_ets, pfc_words(case.their_pfc), FCOE, ROCE))

    try:
        wait_until(ours, "our NIC has what was agreed", 25, 0.2)
        wait_until(theirs, "lldpad's NIC has what was agreed", 25, 0.2)
    except AssertionError as error:
        raise AssertionError(f"{error}\nours:\n{wall.ours(name)}\nlldpad's:\n{wall.theirs(name)}") from None
    found = wait_until(lambda: settled(wall.agent.uplink(f"s-{name}")["dcbx"]), "the state file says so, too")
    assert (found["dialect"], found["state"], found["differences"]) == ("ieee", "peer", [])
    assert found["operational"]["pfc"]["enable"] == [case.our_pfc]
    assert (found["remote"]["ets"]["willing"], found["remote"]["pfc"]["willing"]) == (case.theirs, case.theirs)
    assert found["errors"] == []


def test_what_lldpad_says_of_us(wall: Wall) -> None:
    """Its own decoder reads our TLVs: the operational values, our willing bits, the recommendation."""
    name = "wn"
    wait_until(lambda: pfc_words(THEIR_PFC) in wall.ours(name), "we have taken its PFC", 25, 0.2)
    words = ("-t", "-n", "-i", f"p-{name}")
    said = " ".join(wall.lldpad.lldptool(*words).split())
    wait_until(
        lambda: "PFC enabled: 3 " in " ".join(wall.lldpad.lldptool(*words).split()) + " ", "it has heard that", 10
    )
    said = " ".join(wall.lldpad.lldptool(*words).split())
    assert "IEEE 8021QAZ ETS Configuration TLV Willing: yes CBS: not supported MAX_TCS: 8" in said
    assert "TC Bandwidth: 40% 60% 0% 0% 0% 0% 0% 0%" in said
    assert "IEEE 8021QAZ ETS Recommendation TLV" in said and "TC Bandwidth: 70% 30%" in said
    assert "IEEE 8021QAZ PFC TLV Willing: yes MACsec Bypass Capable: no PFC capable traffic classes: 8" in said


def test_lldpad_writes_again_and_again_and_we_do_not(wall: Wall) -> None:
    for name in CASES:
        wait_until(lambda name=name: pfc_words(CASES[name].our_pfc) in wall.ours(name), "agreed", 25, 0.2)  # type: ignore[misc]
    ours = len(wall.nic.writes("python"))
    theirs = len(wall.nic.writes("lldpad"))
    for _ in range(2):
        for name in CASES:
            wall.lldpad.set(f"p-{name}", "PFC", f"enabled={THEIR_PFC}")
    wait_until(lambda: len(wall.nic.writes("lldpad")) > theirs, "it writes what is there already", 10, 0.2)
    assert len(wall.nic.writes("python")) == ours


@dataclass(slots=True)
class Link:
    """One cable between our agent and a lldpad that speaks one dialect alone."""

    cable: Cable
    nic: FakeDcb
    agent: Agent
    lldpad: DcbxLldpad

    def dcbx(self) -> dict[str, Any]:
        return dict(self.agent.uplink(self.cable.uplink)["dcbx"])

    def ours(self) -> str:
        return self.nic.shown(self.cable.station, self.cable.uplink)


@pytest.fixture(scope="module")
def legacy_lldpad(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The lldpad that is installed speaks CEE and CIN."""
    directory = tmp_path_factory.mktemp("probe")
    with Namespace("probe") as namespace:
        link_pair(namespace, "probe0", namespace, "probe1")
        lldpad = DcbxLldpad(namespace, directory, FakeDcb(directory), ["probe0"])
        lldpad.force("cee")
        with PacketTap(namespace, "probe1") as tap, lldpad:
            lldpad.set_feature("probe0", "dcb", "on")
            deadline = time.monotonic() + LEGACY_SECONDS
            while (left := deadline - time.monotonic()) > 0:
                seen = tap.receive(left)
                if seen is not None and any(oui == dcbx.LEGACY_OUI for oui, _, _ in dcbx.dcbx_tlvs(seen.payload)):
                    return
    impossible("this build of lldpad never becomes active in CEE and CIN: put a later one first in PATH")


@pytest.fixture
def link(cable: Cable, tmp_path: Path) -> Link:
    nic = FakeDcb(tmp_path)
    nic.add(cable.uplink)
    agent = Agent(cable.station, tmp_path, [cable.uplink], env=nic.environment)
    return Link(cable, nic, agent, DcbxLldpad(cable.bridge, tmp_path, nic, [cable.port]))


@dataclass(frozen=True, slots=True)
class Legacy:
    """Who is willing, and which priority has PFC, and FCoE, at both ends in the end; None: each its own, an error."""

    ours: bool
    theirs: bool
    agreed: int | None


LEGACY = {
    "wn": Legacy(True, False, THEIR_PFC),
    "nw": Legacy(False, True, OUR_PFC),
    "ww": Legacy(True, True, None),
    "nn": Legacy(False, False, None),
}


@pytest.mark.usefixtures("legacy_lldpad")
@pytest.mark.parametrize("dialect", ["cee", "cin"])
@pytest.mark.parametrize("name", LEGACY)
def test_in_cee_and_cin_both_come_to_the_same(link: Link, dialect: str, name: str) -> None:
    """We begin with IEEE, and fall back to what lldpad is forced to speak."""
    case = LEGACY[name]
    willing, port = json.dumps(case.ours), link.cable.port
    link.agent.config.write_text(
        "[dcbx]\nmode = 'apply'\n"
        f'ets = {{ willing = {willing}, prio-tc = "2:1", tc-bw = "0:70 1:30" }}\n'
        f"pfc = {{ willing = {willing}, prio-pfc = [{OUR_PFC}] }}\n"
        f'app = {{ willing = {willing}, ethtype-prio = "0x8906:{OUR_PFC}" }}\n'
    )
    link.lldpad.force(dialect)
    with link.agent, link.lldpad:
        flags = ("e:1", "a:1", f"w:{int(case.theirs)}")
        link.lldpad.set_feature(port, "dcb", "on")
        link.lldpad.set_feature(port, "pg", *flags, "pgid:00010000", "pgpct:40,60,0,0,0,0,0,0")
        link.lldpad.set_feature(port, "pfc", *flags, f"pfcup:{bitmap(THEIR_PFC)}")
        link.lldpad.set_feature(port, "app:fcoe", *flags, f"appcfg:{1 << THEIR_PFC:02x}")
        ours = OUR_PFC if case.agreed is None else case.agreed
        theirs = THEIR_PFC if case.agreed is None else case.agreed
        wait_until(lambda: link.lldpad.operational(port, "pfc")["Syncd"] == "true", "lldpad has come to something", 20)
        wait_until(lambda: pfc_words(ours) in link.ours(), f"our NIC has it: {link.ours()}", 20, 0.2)
        wait_until(lambda: f"ethtype-prio 8906:{ours}" in link.ours(), f"and FCoE: {link.ours()}", 10, 0.2)
        assert link.lldpad.operational(port, "pfc")["pfcup"] == " ".join(bitmap(theirs))
        assert link.lldpad.operational(port, "app:fcoe")["appcfg"] == f"{1 << theirs:02x}"
        found = link.dcbx()
        assert (found["dialect"], found["state"], found["differences"]) == (dialect, "peer", [])
        is_mismatch = case.agreed is None
        assert ("pfc" in found["errors"], "app" in found["errors"]) == (is_mismatch, is_mismatch)
        assert ("mismatch" in link.lldpad.operational(port, "pfc")["Errors"]) == is_mismatch
        if dialect == "cee":  # lldpad puts CIN's groups together from settings that dcbtool does not set so
            groups = (OUR_ETS, "70% 30%") if name == "nw" else (THEIR_ETS, "40% 60%")
            shares = groups if name in ("wn", "nw") else (OUR_ETS, "40% 60%")
            wait_until(lambda: all(words in link.ours() for words in shares[0]), "our NIC has the groups", 10, 0.2)
            assert link.lldpad.operational(port, "pg")["pgpct"].startswith(shares[1])
        assert not [entry for entry in link.nic.writes("python") if entry.command == SAPP]


@pytest.mark.usefixtures("legacy_lldpad")
def test_back_to_ieee_when_the_peer_is_another(link: Link) -> None:
    """What it fell back to ends with the peer, though not with lldpad, which has to be told."""
    link.agent.config.write_text("[lldp]\nmessage-tx-interval = 1\n[dcbx]\nadvertise = true\n")
    link.lldpad.force("cee")
    with link.agent:
        with link.lldpad:
            link.lldpad.set_feature(link.cable.port, "dcb", "on")
            wait_until(lambda: link.dcbx()["dialect"] == "cee", "CEE is spoken", 20)
            link.lldpad.kill()
        link.cable.bridge.ip("link set", link.cable.port, "down")
        wait_until(lambda: link.dcbx()["dialect"] == "ieee", "IEEE is tried again")
        link.cable.bridge.ip("link set", link.cable.port, "up")
        with PacketTap(link.cable.bridge, link.cable.port) as tap:
            said = tap.wait_for(lambda seen: bool(dcbx.dcbx_tlvs(seen.payload)), "we speak DCBX")
        assert {oui for oui, _, _ in dcbx.dcbx_tlvs(said.payload)} == {dcbx.IEEE_OUI}


def bitmap(priority: int) -> str:
    return "".join(str(int(number == priority)) for number in range(8))
