"""The agent and real lldpads, in both roles and both editions: what comes out, what changes, who comes and goes."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Agent, Uplink, neighbors, statistics
from tests.support.lldpdus import (
    DRAFT,
    NEAREST_CUSTOMER_BRIDGE,
    RATIFIED,
    EvbOctets,
    evb,
    evb_octets,
    read_pcap,
    time_to_live,
)
from tests.support.namespaces import CapturedFrame, Namespace, PacketTap, link_pair, search_path, wait_until
from tests.support.peers import DraftEvb, Lldpad, LldpadPort, RatifiedEvb, Tcpdump, tshark
from tests.support.require import require_peer
from tests.support.rig import BRIDGE_MAC, STATION_MAC, Cable

pytestmark = pytest.mark.system

BRIDGE = RatifiedEvb(mode="bridge", rr_capable=True)
STATION = RatifiedEvb(mode="station", rr_request=True)
DEFAULTS = (3, 14, 20, 20)


@dataclass(frozen=True, slots=True)
class Case:
    """A link: our interface (s..: station, p..: port of a bridge), its lldpad, and what must come of it."""

    name: str
    theirs: RatifiedEvb | DraftEvb
    relay: str
    reason: str = ""
    edition: str | None = "ratified"
    operational: tuple[int, int, int, int] = DEFAULTS  # R, RTE, RWD, RKA
    ours: Mapping[str, str] = field(default_factory=dict)


CASES = (
    # We are the station.
    Case(
        "s-ratified",
        RatifiedEvb(mode="bridge", rr_capable=True, group_ids=True, retries=4, rte=13, rwd=21, rka=19),
        "active",
        operational=(4, 14, 21, 20),
    ),
    Case("s-incapable", RatifiedEvb(mode="bridge"), "inactive", "cannot do reflective relay"),
    Case("s-draft", DraftEvb(role="bridge"), "active", "", "draft", (3, 15, 20, 20), {"edition": "draft"}),
    Case("s-auto-draft", DraftEvb(role="bridge"), "active", "", "draft", (3, 15, 20, 20)),
    Case(
        "s-draft-veb",
        DraftEvb(role="bridge", forwarding="bridge"),
        "inactive",
        "cannot do reflective relay",
        "draft",
        (3, 15, 20, 20),
    ),
    Case(
        "s-only-ratif",
        DraftEvb(role="bridge"),
        "inactive",
        "speaks LLDP but not EVB",
        None,
        ours={"edition": "ratified"},
    ),
    Case("s-only-draft", BRIDGE, "inactive", "speaks LLDP but not EVB", None, ours={"edition": "draft"}),
    Case("s-off", BRIDGE, "inactive", "not asked for", ours={"reflective-relay": "off"}),
    Case("s-conflict", STATION, "inactive", "is an EVB station, not a bridge", None),
    # We are the bridge.
    Case(
        "p-ratified",
        RatifiedEvb(mode="station", rr_request=True, retries=2, rte=15, rwd=19, rka=22),
        "active",
        operational=(3, 15, 20, 22),
    ),
    Case("p-unasked", RatifiedEvb(mode="station"), "inactive", "does not ask"),
    Case("p-draft", DraftEvb(role="station"), "active", "", "draft", (3, 15, 20, 20), {"edition": "draft"}),
    Case("p-auto-draft", DraftEvb(role="station"), "active", "", "draft", (3, 15, 20, 20)),
    Case(
        "p-draft-veb",
        DraftEvb(role="station", forwarding="bridge"),
        "inactive",
        "does not ask",
        "draft",
        (3, 15, 20, 20),
    ),
    Case("p-off", STATION, "inactive", "not offered", ours={"reflective-relay": "off"}),
    Case("p-conflict", BRIDGE, "inactive", "is an EVB bridge, not a station", None),
)

# Links that tests of this module change.
CHANGED = {
    "s-values": BRIDGE,
    "p-values": STATION,
    "s-relay": BRIDGE,
    "p-relay": STATION,
    "s-silence": BRIDGE,
    "s-tlv": BRIDGE,
    "s-link": BRIDGE,
    "p-link": STATION,
}


@dataclass(frozen=True, slots=True)
class Wall:
    """All links of this module between one agent and one lldpad. lldpad's end of `s-off` is `xs-off`."""

    host: Namespace
    switch: Namespace
    agent: Agent
    lldpad: Lldpad
    captures: Mapping[str, Tcpdump]


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    require_peer("lldpad", "lldptool", "tcpdump")
    directory = tmp_path_factory.mktemp("wall")
    links = {case.name: case.theirs for case in CASES} | CHANGED
    config = '[lldp]\nsystem-name = "host-a"\nsystem-description = "a test"\nmanagement-addresses = ["192.0.2.1"]\n'
    config += '[uplink."p-*"]\nrole = "bridge"\n'
    for case in CASES:
        settings = "".join(f'{key} = "{value}"\n' for key, value in case.ours.items())
        config += f"[uplink.{case.name}.evb]\n{settings}"
    with Namespace("host-a") as host, Namespace("switch-a") as switch:
        for number, name in enumerate(links):
            macs = {"left_mac": f"02:00:00:00:0a:{number:02x}", "right_mac": f"02:00:00:00:0b:{number:02x}"}
            link_pair(host, name, switch, f"x{name}", **macs)
            if name.startswith("p-"):
                # A bridge each: without STP a Linux bridge forwards frames to 01-80-C2-00-00-00 to its other ports, and
                # reflects them: lldpad may take values that it once proposed for those of its neighbor, and keep them.
                host.bridge(f"br{number}", [name], "stp_state 1" if name == "p-values" else "")
        captured = ("s-ratified", "s-draft", "p-ratified")
        captures = {
            name: Tcpdump(switch, f"x{name}", directory / f"{name}.pcap", "ether proto 0x88cc") for name in captured
        }
        for capture in captures.values():
            capture.start()
        ports = {f"x{name}": LldpadPort(evb=theirs) for name, theirs in links.items()}
        with Agent(host, directory, ["s-*", "p-*"], config=config) as agent, Lldpad(switch, directory, ports) as lldpad:
            yield Wall(host, switch, agent, lldpad, captures)
        for capture in captures.values():
            capture.stop()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome(wall: Wall, case: Case) -> None:
    """The answer at our end, what lldpad says at its own, and the port's hairpin flag agree."""
    uplink = wall.agent.wait_for_relay(case.name, case.relay, reason=case.reason)
    assert uplink["forwarding"]["edition"] == case.edition
    assert uplink["forwarding"]["mode"] == ("vepa" if case.relay == "active" else "veb")
    wall.agent.wait_for(case.name, lambda uplink: operational(uplink) == case.operational, str(case.operational))
    [neighbor] = neighbors(uplink)
    assert neighbor["chassis-id"] == wall.switch.link(f"x{case.name}")["address"]
    if case.name.startswith("p-"):
        assert hairpin(wall, case.name) == (case.relay == "active")
    assert bool(uplink["warnings"]) == case.name.endswith("conflict")

    # lldpad answers in its next tick.
    edition = DRAFT if isinstance(case.theirs, DraftEvb) else RATIFIED
    expected = case.relay == "active"
    wait_until(lambda: lldpad_agrees(wall, case.name, edition) == expected, f"lldpad's own TLV: {expected}")
    ours = evb(wall.lldpad.neighbor_lldpdu(f"x{case.name}"), DRAFT if is_draft(uplink) else RATIFIED)
    assert len(ours) == (9 if is_draft(uplink) else 5)


@pytest.mark.parametrize("name", ["s-values", "p-values"])
def test_values_follow_and_come_down_again(wall: Wall, name: str) -> None:
    """No ratchet: what lldpad proposed for a while is gone from both sides when it has taken it back."""
    theirs = f"x{name}"
    wall.agent.wait_for_relay(name, "active")
    wall.lldpad.set_evb(theirs, ecpretries=5, ecprte=17, vdprwd=23, vdprka=24)
    wall.agent.wait_for(name, lambda uplink: operational(uplink) == (5, 17, 23, 24), "lldpad's values in force")
    wall.lldpad.set_evb(theirs, ecpretries=3, ecprte=14, vdprwd=20, vdprka=20)
    wall.agent.wait_for(name, lambda uplink: operational(uplink) == DEFAULTS, "our own values in force again")
    local = wall.agent.uplink(name)["evb"]["local"]
    assert [local[key] for key in VALUES] == list(DEFAULTS)
    assert local["resource-wait-delay-rol"] == local["keep-alive-rol"] == "local"

    def theirs_are_down() -> bool:
        octets = lldpad_says(wall, name)
        return (octets.retries, octets.rte, octets.rwd, octets.rka) == DEFAULTS

    wait_until(theirs_are_down, "lldpad has come down too")


@pytest.mark.parametrize(("name", "setting"), [("s-relay", "evbrrcap"), ("p-relay", "evbrrreq")])
def test_relay_withdrawn_and_offered_again(wall: Wall, name: str, setting: str) -> None:
    wall.agent.wait_for_relay(name, "active")
    wall.lldpad.set_evb(f"x{name}", **{setting: "no"})
    wall.agent.wait_for_relay(name, "inactive")
    assert name.startswith("s-") or not hairpin(wall, name)
    # Two ticks with our answer in between: it stays so.
    wait_until(lambda: lldpad_says(wall, name).relay_status in (0, 3), "lldpad has heard our answer")
    wall.lldpad.set_evb(f"x{name}", **{setting: "yes"})
    wall.agent.wait_for_relay(name, "active")
    assert name.startswith("s-") or hairpin(wall, name)


def test_goodbye(wall: Wall) -> None:
    """A shutdown LLDPDU counts at once. (lldpad stays silent for up to 30 s when it is enabled again.)"""
    wall.agent.wait_for_relay("s-silence", "active")
    wall.lldpad.set_admin_status("xs-silence", "disabled")
    uplink = wall.agent.wait_for_relay("s-silence", "unknown", reason="no neighbor")
    assert not neighbors(uplink) and statistics(uplink)["remote-deletes"] == 1


def test_the_tlv_alone_is_withdrawn(wall: Wall) -> None:
    """A neighbour that stays and leaves its EVB TLV out has withdrawn."""
    wall.agent.wait_for_relay("s-tlv", "active")
    words = ("-T", "-i", "xs-tlv", "-g", "ncb", "-V", "evb")
    wall.lldpad.lldptool(*words, "enableTx=no")
    uplink = wall.agent.wait_for_relay("s-tlv", "inactive", reason="speaks LLDP but not EVB")
    assert len(neighbors(uplink)) == 1
    wall.lldpad.lldptool(*words, "enableTx=yes")
    wall.agent.wait_for_relay("s-tlv", "active")


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_link_down_and_up(wall: Wall, side: str) -> None:
    """Either end's link goes down: both our roles give up at once, and agree again when it comes back."""
    namespace, prefix = (wall.host, "") if side == "ours" else (wall.switch, "x")
    names = ("s-link", "p-link")
    for name in names:
        wall.agent.wait_for_relay(name, "active")
        namespace.ip(f"link set {prefix}{name} down")
    for name in names:
        wall.agent.wait_for_relay(name, "unknown", reason="link is down")
    wait_until(lambda: not hairpin(wall, "p-link"), "hairpin is off")
    for name in names:
        namespace.ip(f"link set {prefix}{name} up")
    for name in names:
        wall.agent.wait_for_relay(name, "active")
    assert hairpin(wall, "p-link")


def test_judges_read_what_we_send(wall: Wall) -> None:
    """tcpdump and lldptool decode our EVB TLV as it is meant; with tshark they find nothing wrong in our LLDPDUs.

    These captures have run through all tests above. Negotiated values must have settled for good long before.
    """
    for name in wall.captures:
        wall.agent.wait_for_relay(name, "active")
        wait_until(lambda name=name: lldpad_agrees(wall, name, DRAFT if "draft" in name else RATIFIED), name)
        wall.captures[name].stop()
    station = tcpdump(wall.captures["s-ratified"].file, wall.host.mac_address("s-ratified"))
    first, last = station[0], station[-1]
    assert "TTL 121s" in first and "System Name TLV (5), length 6: host-a" in first
    assert "Management Address length 5, AFI IPv4 (1): 192.0.2.1" in first
    assert "Enabled Capabilities [Bridge]" in first, "the other ports of this host are a bridge's"
    assert "RRCAP: 0, RRCTR: 0" in first and "SGID: 0, RRREQ: 1,RRSTAT: 3" in first
    assert "R: 3, RTE: 14, EVB Mode: EVB Station [2]" in first and "ROL: 0, RWD: 20, RES: 0, ROL: 0, RKA: 20" in first
    # Our own R and RTE, not the greater of both; that we run on the bridge's RWD; the copy of his status octet.
    assert "BGID: 1, RRCAP: 1, RRCTR: 1" in last and "SGID: 0, RRREQ: 1,RRSTAT: 1" in last
    assert "R: 3, RTE: 14, EVB Mode: EVB Station [2]" in last and "ROL: 1, RWD: " in last and "ROL: 0, RKA: 20" in last

    bridge = tcpdump(wall.captures["p-ratified"].file, wall.host.mac_address("p-ratified"))
    assert "Enabled Capabilities [Bridge]" in bridge[0]
    assert "BGID: 0, RRCAP: 1, RRCTR: 1" in bridge[-1] and "SGID: 0, RRREQ: 1,RRSTAT: 1" in bridge[-1]
    assert "R: 3, RTE: 14, EVB Mode: EVB Bridge [1]" in bridge[-1]
    assert "ROL: 0, RWD: 20" in bridge[-1] and "ROL: 1, RKA: " in bridge[-1]

    shown = " ".join(wall.lldpad.lldptool("-t", "-n", "-i", "xs-ratified", "-g", "ncb").split())
    assert "MAC: 02:00:00:00:0a:00 Time to Live TLV 121 EVB Configuration TLV bridge:bgid,rrcap,rrctr(0x7)" in shown
    assert "station:rrreq,rrstat(0x5) retries:3 rte:14 mode:station r/l:1" in shown
    assert "System Name TLV host-a System Description TLV a test" in shown

    require_peer("tshark")
    for name, capture in wall.captures.items():
        ours = wall.host.mac_address(name)
        assert tshark(capture.file, show=f"eth.src == {ours.hex(':')} and lldp")
        assert not tshark(capture.file, show=f"eth.src == {ours.hex(':')} and (_ws.malformed or not lldp)")
        edition = DRAFT if "draft" in name else RATIFIED
        for source in (ours, wall.switch.mac_address(f"x{name}")):
            heads = (NEAREST_CUSTOMER_BRIDGE + source,)
            bodies = [evb(frame.data[14:], edition) for frame in read_pcap(capture.file) if frame.data[:12] in heads]
            assert sum(old != new for old, new in pairwise(bodies)) <= 5, [body.hex() for body in bodies]


def test_far_end_comes_goes_and_is_replaced(cable: Cable, tmp_path: Path) -> None:
    """lldpad starts late, ends with a word, ends without one, and comes back as another switch."""
    host, switch = cable.station, cable.bridge
    link_pair(host, "p0", switch, "x0", right_mac="02:00:00:00:00:1b")
    host.bridge("br0", ["p0"])
    ports = {cable.port: LldpadPort(evb=BRIDGE, ttl=3), "x0": LldpadPort(evb=STATION, ttl=3)}
    lldpad = Lldpad(switch, tmp_path, ports)
    agent = Agent(host, tmp_path, [cable.uplink, "p0"], config='[uplink.p0]\nrole = "bridge"\n')
    both = (cable.uplink, "p0")
    with agent, PacketTap(host, cable.uplink) as tap:
        # A late starter is answered when its first frame comes, which alone could take 30 s otherwise.
        lldpad.start()
        first = tap.wait_for(lambda frame: frame.source == BRIDGE_MAC, "lldpad's first LLDPDU")
        answer = tap.wait_for(lambda frame: frame.source == STATION_MAC, "our answer")
        assert answer.timestamp_ns - first.timestamp_ns < 500_000_000
        octets = evb_octets(answer.payload)
        assert octets is not None and octets.relay_capable and octets.relay_status == 0
        for name in both:
            agent.wait_for_relay(name, "active")

        # We are the late starter; lldpad has known us before. Our goodbye is heard, and answered in the next tick.
        assert agent.stop() == 0
        assert tap.wait_for(is_goodbye, "our goodbye").source == STATION_MAC
        assert not host.link("p0")["linkinfo"]["info_slave_data"]["hairpin"]
        wait_until(lambda: not lldpad.neighbor_lldpdu(cable.port), "lldpad has forgotten us")
        agent.start()
        for name in both:
            agent.wait_for_relay(name, "active")

        tap.drain()
        lldpad.stop()
        tap.wait_for(is_goodbye, "lldpad's goodbye")
        for name in both:
            uplink = agent.wait_for_relay(name, "unknown")
            assert statistics(uplink)["rx-total-ageouts"] == 0
        lldpad.start()
        for name in both:
            agent.wait_for_relay(name, "active")

        # Killed: nothing is said, its TTL decides. Another switch takes its place before that has run out.
        lldpad.kill()
        switch.ip(f"link set {cable.port} address 02:00:00:00:00:2b")
        lldpad = Lldpad(switch, tmp_path, ports)  # its file has the addresses of the first one for identifiers
        lldpad.start()
        agent.wait_for_relay(cable.uplink, "inactive", reason="2 systems claim to be the bridge")
        agent.wait_for_relay(cable.uplink, "active", reason="02:00:00:00:00:2b")
        agent.wait_for_relay("p0", "active")

        # Killed for good.
        lldpad.kill()
        for name in both:
            uplink = agent.wait_for_relay(name, "unknown")
            assert statistics(uplink)["rx-total-ageouts"] >= 1
        assert not host.link("p0")["linkinfo"]["info_slave_data"]["hairpin"]


VALUES = (
    "ecp-retries",
    "ecp-ack-timer-exponent",
    "resource-wait-delay-exponent",
    "keep-alive-exponent",
)


def operational(uplink: Uplink) -> tuple[Any, ...]:
    return tuple(uplink["evb"]["operational"][key] for key in VALUES)


def is_draft(uplink: Uplink) -> bool:
    return bool(uplink["evb"]["local"]["edition"] == "draft")


def hairpin(wall: Wall, port: str) -> bool:
    return bool(wall.host.link(port)["linkinfo"]["info_slave_data"]["hairpin"])


def lldpad_agrees(wall: Wall, name: str, edition: bytes) -> bool:
    """Whether lldpad's own TLV says that reflective relay is on at both ends."""
    if edition == RATIFIED:
        octets = lldpad_says(wall, name)
        return octets.relay_control and octets.relay_status == 1
    # Configured mode reflective relay, and at least one capability agreed on: it has heard us.
    body = evb(wall.lldpad.local_lldpdu(f"x{name}"), DRAFT)
    return bool(body) and body[2] == 0x40 and body[3] != 0


def lldpad_says(wall: Wall, name: str) -> EvbOctets:
    octets = evb_octets(wall.lldpad.local_lldpdu(f"x{name}"))
    return octets or EvbOctets(0, 0, 0, 0, 0, False, 0, False, 0)


def is_goodbye(frame: CapturedFrame) -> bool:
    return time_to_live(frame.payload) == 0


def tcpdump(file: Path, source: bytes) -> list[str]:
    """What tcpdump prints for each frame from one address in the scope of EVB."""
    # tcpdump wants to become another user, which a user namespace with a single one does not let it: be nobody at once.
    alone = Path("/proc/self/uid_map").read_text().split()[2] == "1"
    command = [*(["unshare", "--user"] if alone else []), "tcpdump", "-n", "-e", "-vv", "-r", str(file)]
    done = subprocess.run(
        [*command, "ether", "src", source.hex(":"), "and", "ether", "dst", NEAREST_CUSTOMER_BRIDGE.hex(":")],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": search_path()},
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    frames: list[str] = []
    for line in printed.splitlines(keepends=True):
        if not line.startswith(("\t", " ")):
            frames.append("")
        frames[-1] += line
    assert frames and not any("[|" in frame or "invalid" in frame for frame in frames), printed
    return frames
