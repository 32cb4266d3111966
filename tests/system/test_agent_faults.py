"""The running agent and what goes wrong around it: bad frames, bad settings, a changing machine, its own death."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any

import pytest

from tests.bench.mutated import assert_accounted, counted, tamper_with
from tests.support.agent import ROOT, Agent, Uplink, environment, neighbors
from tests.support.lldpdus import (
    BRIDGE_REFLECTS,
    DRAFT,
    STATION_ASKS,
    evb_octets,
    evb_tlv,
    frame,
    lldpdu,
    time_to_live,
    tlv,
)
from tests.support.namespaces import CapturedFrame, Namespace, PacketTap, end, wait_until
from tests.support.rig import BRIDGE_MAC, STATION_MAC, Cable, make_cable

pytestmark = pytest.mark.system

REAL_BRIDGE = frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC, evb_tlv(BRIDGE_REFLECTS)))
REAL_STATION = frame(STATION_MAC, lldpdu(STATION_MAC, evb_tlv(STATION_ASKS)))
SPEAK_EVERY_SECOND = "[lldp]\nmessage-tx-interval = 1\n"


# Frames.


def test_frames_that_must_not_count(cable: Cable, tmp_path: Path) -> None:
    """Our own, tagged ones, a goodbye of nobody, nonsense: the neighbour that is there stays what it is."""
    with station(cable, tmp_path) as (agent, tap):
        before = agent.counters(cable.uplink)
        stranger = bytes.fromhex("0200000000ee")
        claim = lldpdu(stranger, evb_tlv(BRIDGE_REFLECTS))
        heard = 0
        # Hairpin or a loop brings back what we have sent; and somebody may send it under another address.
        tap.send(frame(STATION_MAC, lldpdu(STATION_MAC, evb_tlv(STATION_ASKS))))
        tap.send(frame(stranger, lldpdu(STATION_MAC, evb_tlv(BRIDGE_REFLECTS))))
        heard += 1
        # A VLAN's frames are not the link's, whichever tag they carry.
        for tag in ("81000005", "88a80005", "8100e005"):
            untagged = frame(stranger, claim)
            tap.send(untagged[:12] + bytes.fromhex(tag) + untagged[12:])
        # Other destinations and protocols.
        tap.send(frame(stranger, claim, bytes.fromhex("ffffffffffff")))
        tap.send(frame(stranger, claim, STATION_MAC))
        for ethertype in ("8940", "88b7", "0800"):
            tap.send(frame(stranger, claim).replace(b"\x88\xcc", bytes.fromhex(ethertype), 1))
        # The end of a neighbour that never began.
        tap.send(frame(stranger, lldpdu(stranger, ttl=0)))
        heard += 1
        # LLDPDUs that must be thrown away whole: cut before the value of their TTL.
        for length in range(20):
            tap.send(frame(stranger, claim[:length]))
            heard += 1
        counters = heard_since(agent, cable.uplink, before, heard)
        assert counters["rx-total-frames"] - before["rx-total-frames"] == heard
        assert counters["rx-own-frames"] - before["rx-own-frames"] == 2
        assert counters["rx-total-discarded-frames"] - before["rx-total-discarded-frames"] == 20
        assert counters["remote-inserts"] == before["remote-inserts"] == 1
        uplink = agent.uplink(cable.uplink)
        assert len(neighbors(uplink)) == 1 and is_real(neighbors(uplink)[0])
        assert uplink["forwarding"]["reflective-relay"] == "active" and not uplink["warnings"]

        # A priority tag alone is no VLAN.
        untagged = frame(stranger, lldpdu(stranger, ttl=1))
        tap.send(untagged[:12] + bytes.fromhex("8100e000") + untagged[12:])
        agent.wait_for(cable.uplink, lambda uplink: len(neighbors(uplink)) == 2, "a priority-tagged neighbor")


def test_jumbo_and_scrambled_frames(cable: Cable, tmp_path: Path) -> None:
    """A jumbo LLDPDU is a neighbour like any other; scrambled ones are survived, and what was agreed stays agreed."""
    for namespace, link in ((cable.station, cable.uplink), (cable.bridge, cable.port)):
        namespace.ip(f"link set {link} mtu 9000")
    with station(cable, tmp_path) as (agent, tap):
        long_winded = bytes.fromhex("0200000000ee")
        custom = [tlv(127, bytes.fromhex("02aaaa01") + bytes([number]) * 507) for number in range(17)]
        tap.send(frame(long_winded, lldpdu(long_winded, *custom)))
        uplink = agent.wait_for(cable.uplink, lambda uplink: len(neighbors(uplink)) == 2, "the jumbo neighbor")
        assert len(neighbors(uplink)[1]["remote-org-defined-info"]) == 17

        random = Random(1)
        scrambled = []
        for _ in range(600):
            octets = bytearray(REAL_BRIDGE[14:])
            octets[4:9] = b"\x99\x99\x99\x99\x99"  # never the real one's MSAP
            for _ in range(random.randint(1, 6)):
                octets[random.randrange(len(octets))] = random.randrange(256)
            scrambled.append(frame(long_winded, bytes(octets[: random.randint(0, len(octets))])))
        before = agent.counters(cable.uplink)
        while scrambled:
            burst, scrambled = scrambled[:150], scrambled[150:]  # as many as a receive buffer holds
            for data in burst:
                tap.send(data)
            before = heard_since(agent, cable.uplink, before, len(burst))
        assert before["rx-total-discarded-frames"] > 300
        real = [neighbor for neighbor in neighbors(agent.uplink(cable.uplink)) if is_real(neighbor)]
        assert len(real) == 1 and real[0]["evb"]["reflective-relay-control"]
        tap.drain()
        tap.send(frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC, ttl=0)))
        agent.wait_for(cable.uplink, lambda uplink: not any(map(is_real, neighbors(uplink))), "it still hears")


def test_tampered_frames_are_all_accounted_for(cable: Cable, tmp_path: Path) -> None:
    """Thousands a second, of LLDP and ECP: the agent goes on answering, and its counters add up."""
    with station(cable, tmp_path) as (agent, _):
        before = counted(agent, cable.uplink)
        done = tamper_with(cable.bridge, cable.port, STATION_MAC, seconds=1.0, rate=3000)
        after = counted(agent, cable.uplink)
        assert_accounted(done["wanted"], {key: after[key] - before[key] for key in after})
        assert done["wanted"] > 500 and after["ecp"] > before["ecp"]
        state = agent.uplink(cable.uplink)
        assert all(len(lldp["neighbors"]) <= 32 for lldp in state["lldp"])


@pytest.mark.parametrize("edition", ["ratified", "draft"])
def test_evb_tlvs_of_every_length(edition: str, cable: Cable, tmp_path: Path) -> None:
    """Too short: no EVB TLV, the neighbour has withdrawn. Too long: what is known of it counts (interop-notes E3)."""
    if edition == "ratified":
        body = BRIDGE_REFLECTS

        def evb(octets: bytes) -> bytes:
            return evb_tlv(octets)
    else:
        body = bytes.fromhex("40074007000000000f")

        def evb(octets: bytes) -> bytes:
            return evb_tlv(octets, DRAFT)

    with station(cable, tmp_path) as (agent, tap):
        tap.send(frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC, evb(body))))
        agent.wait_for(cable.uplink, lambda uplink: uplink["forwarding"]["edition"] == edition, edition)
        for length in (0, len(body) - 1, len(body), len(body) + 1, 60, 507):
            tap.send(frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC, evb(body.ljust(length, b"\xff")[:length]))))
            if length < len(body):
                agent.wait_for_relay(cable.uplink, "inactive", reason="speaks LLDP but not EVB")
            else:
                agent.wait_for_relay(cable.uplink, "active")
                info = (4 + length) * 2 - 8
                agent.wait_for(
                    cable.uplink,
                    lambda uplink, info=info: (
                        len(neighbors(uplink)[0]["remote-org-defined-info"][0]["remote-info"]) == info
                    ),
                    f"the TLV of {length} octets",
                )
                assert agent.uplink(cable.uplink)["evb"]["operational"]["reflective-relay"]


def test_a_thousand_forged_neighbors(cable: Cable, tmp_path: Path) -> None:
    """The real one is kept and believed; when the forged ones claim to be bridges, nobody is. Both pass."""
    with station(cable, tmp_path) as (agent, tap):
        forged = [b"\x02\xff" + number.to_bytes(4, "big") for number in range(1000)]
        generation, begun = agent.state()["generation"], monotonic()
        for mac in forged:
            tap.send(frame(mac, lldpdu(mac, ttl=1)))
        uplink = agent.wait_for(cable.uplink, is_crowded, "too many neighbors")
        assert len(neighbors(uplink)) <= 32 and is_real(neighbors(uplink)[0])
        assert uplink["forwarding"]["reflective-relay"] == "active"
        assert any("too many neighbors" in warning for warning in uplink["warnings"])
        uplink = agent.wait_for(cable.uplink, lambda uplink: not is_crowded(uplink), "room again")
        agent.wait_for(cable.uplink, lambda uplink: len(neighbors(uplink)) == 1, "only the real one is left")
        # At most one file in 20 ms, however much changes.
        assert agent.state()["generation"] - generation <= 5 + (monotonic() - begun) / 0.02

        for mac in forged:
            tap.send(frame(mac, lldpdu(mac, evb_tlv(BRIDGE_REFLECTS), ttl=1)))
        uplink = agent.wait_for_relay(cable.uplink, "inactive", reason="systems claim to be the bridge")
        assert uplink["forwarding"]["mode"] == "veb"
        uplink = agent.wait_for_relay(cable.uplink, "active")
        assert [is_real(neighbor) for neighbor in neighbors(uplink)] == [True]
        agent.wait_for(cable.uplink, lambda uplink: not uplink["warnings"], "no warnings")


# Settings, and what the agent needs to run.


def test_what_keeps_it_from_starting(namespace: Namespace, tmp_path: Path) -> None:
    """One line each, that names what is wrong; and nobody else is disturbed."""
    namespace.ip("link add veth0 type veth peer name veth1")
    for config, words in (
        ("[evb]\nreflective_relay = 'off'\n", ["agent-test.toml", "evb.reflective_relay", "unknown key"]),
        ("[uplink.veth0.lldp]\ncolour = 1\n", ["agent-test.toml", "uplink.veth0.lldp", "colour", "unknown key"]),
        ("[evb]\nkeep-alive-exponent = 28\n", ["agent-test.toml", "evb.keep-alive-exponent"]),
        ("role = \n", ["agent-test.toml", "not valid TOML"]),
    ):
        agent = Agent(namespace, tmp_path, ["veth0"], config=config)
        check_fails(agent, agent.command, words)
        checked = agent.evbagent("config", "check", str(agent.config), check=False)
        assert checked.returncode == 1 and all(word in checked.stderr for word in words)

    agent = Agent(namespace, tmp_path, ["veth0"])
    check_fails(agent, [*agent.command, "--config", str(tmp_path / "absent.toml")], ["absent.toml", "cannot be read"])
    no_capabilities = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *agent.command]
    check_fails(agent, no_capabilities, ["no permission", "CAP_NET_RAW"])
    (tmp_path / "file").write_text("")
    check_fails(agent, [*agent.command, "--state-dir", str(tmp_path / "file")], [str(tmp_path / "file")])

    with agent:
        second = Agent(namespace, tmp_path, ["veth0"])
        check_fails(second, second.command, ["another agent", str(agent.pid), str(agent.state_dir)])
        assert agent.serves("veth0")


def test_an_absent_interface_is_served_when_it_appears(namespace: Namespace, tmp_path: Path) -> None:
    """And when it is deleted and made again, with whoever is at its other end."""
    with Agent(namespace, tmp_path, ["veth0"]) as agent:
        assert agent.state()["uplinks"] == []
        for mac in ("02:00:00:00:00:0a", "02:00:00:00:00:1a"):
            namespace.ip(f"link add veth0 address {mac} type veth peer name veth1")
            namespace.ip("link set veth1 up")
            with PacketTap(namespace, "veth1") as tap:
                namespace.ip("link set veth0 up")
                first = tap.wait_for(lambda frame: frame.ethertype == 0x88CC, "an LLDPDU")
                assert first.source.hex(":") == mac
                tap.send(REAL_BRIDGE)
                agent.wait_for_relay("veth0", "active")
            namespace.ip("link delete veth0")
            wait_until(lambda: not agent.serves("veth0"), "it is not served any more")


def test_reload(cable: Cable, tmp_path: Path) -> None:
    """SIGHUP: a good file takes effect, a bad one changes nothing and is complained of."""
    with station(cable, tmp_path) as (agent, tap), watching(agent) as outcomes:
        # TTL 1 * 4 + 1
        tap.wait_for(lambda frame: frame.source == STATION_MAC and time_to_live(frame.payload) == 5, "TTL 5")

        for bad in ("[lldp]\nmessage-tx-interval = 0\n", "nonsense", "[lldp]\nmessage_tx_interval = 2\n"):
            agent.reload(bad)
            outcome = next(outcomes)
            assert not outcome["ok"] and agent.config.name in outcome["error"]
        assert json.loads(agent.evbagent("show", "config", "-j").stdout)["lldp"]["message-tx-interval"] == 1
        tap.drain()
        tap.wait_for(lambda frame: frame.source == STATION_MAC and time_to_live(frame.payload) == 5, "TTL 5")
        assert agent.uplink(cable.uplink)["forwarding"]["reflective-relay"] == "active"

        agent.reload("role = 'bridge'\n")
        assert next(outcomes)["ok"]
        uplink = agent.wait_for(cable.uplink, lambda uplink: uplink["role"] == "bridge", "the other role")
        assert uplink["forwarding"]["mode"] == "veb" and agent.state()["agent"]["role"] == "bridge"


# Changes of the machine.


def test_uplink_is_renamed_and_gets_another_address(cable: Cable, tmp_path: Path) -> None:
    """A rename is announced. Another MAC address is another MSAP: the old one says goodbye, relay goes on."""
    host = cable.station
    with station(cable, tmp_path, ["veth0", "uplink0"]) as (agent, tap):
        index = agent.uplink(cable.uplink)["ifindex"]
        tap.drain()
        host.ip(f"link set {cable.uplink} down")
        host.ip(f"link set {cable.uplink} name uplink0")
        host.ip("link set uplink0 up")
        tap.wait_for(lambda frame: tlv(4, b"uplink0") in frame.payload, "the new name on the wire")
        wait_until(lambda: agent.serves("uplink0") and not agent.serves(cable.uplink), "the new name")
        assert agent.uplink("uplink0")["ifindex"] == index
        tap.send(REAL_BRIDGE)
        agent.wait_for_relay("uplink0", "active")

        host.ip("link set uplink0 address 02:00:00:00:00:1a")
        goodbye = tap.wait_for(lambda frame: time_to_live(frame.payload) == 0, "the old address's goodbye")
        assert lldpdu(STATION_MAC, port=STATION_MAC)[9:18] in goodbye.payload
        new = bytes.fromhex("02000000001a")
        tap.wait_for(lambda frame: frame.source == new and time_to_live(frame.payload) == 121, "the new address")
        uplink = agent.wait_for("uplink0", lambda uplink: uplink["mac-address"] == new.hex(":"), "the new address")
        assert uplink["forwarding"]["reflective-relay"] == "active"

        # What now comes from the old address is no longer our own.
        before = agent.counters("uplink0")
        tap.send(frame(new, lldpdu(new, evb_tlv(BRIDGE_REFLECTS))))
        wait_until(lambda: agent.counters("uplink0")["rx-own-frames"] > before["rx-own-frames"], "our own frame")
        assert len(neighbors(agent.uplink("uplink0"))) == 1


def test_uplink_gets_a_name_that_is_configured_for_the_other_role(cable: Cable, tmp_path: Path) -> None:
    config = SPEAK_EVERY_SECOND + "[uplink.swp0]\nrole = 'bridge'\n"
    with Agent(cable.station, tmp_path, ["veth0", "swp0"], config=config) as agent:
        agent.wait_for("veth0", lambda uplink: uplink["role"] == "station", "its own role")
        cable.station.ip("link set veth0 name swp0")
        agent.wait_for("swp0", lambda uplink: uplink["role"] == "bridge", "the role of the new name")
        cable.station.ip("link set swp0 name veth0")
        agent.wait_for("veth0", lambda uplink: uplink["role"] == "station", "the role of the old name")


def test_uplink_is_enslaved_to_a_bridge(cable: Cable, tmp_path: Path) -> None:
    """Its guests sit behind a software VEB then: the station does not ask unless told to, and goes on listening."""
    with station(cable, tmp_path) as (agent, tap):
        cable.station.bridge("br0")
        cable.station.ip(f"link set {cable.uplink} master br0")
        tap.wait_for(lambda frame: requests(frame) is False, "RRREQ withdrawn")
        agent.wait_for_relay(cable.uplink, "inactive", reason="not asked for")
        # What the bridge now takes is still heard.
        tap.send(frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC, evb_tlv(BRIDGE_REFLECTS), tlv(5, b"still heard"))))
        agent.wait_for(
            cable.uplink,
            lambda uplink: neighbors(uplink)[0]["system-name"] == "still heard",
            "a frame on a bridge port",
        )
        agent.reload("[uplink.veth0]\nreflective-relay = 'request'\n")
        tap.wait_for(lambda frame: requests(frame) is True, "RRREQ, since told to")
        agent.wait_for_relay(cable.uplink, "active")
        agent.reload("")
        agent.wait_for_relay(cable.uplink, "inactive", reason="not asked for")
        cable.station.ip(f"link set {cable.uplink} nomaster")
        agent.wait_for_relay(cable.uplink, "active")


# Death and return.


@pytest.mark.parametrize("before", [False, True], ids=["was-off", "was-on"])
def test_killed_bridge_agent_leaves_hairpin_that_the_next_restores(before: bool, cable: Cable, tmp_path: Path) -> None:
    switch, port = cable.bridge, cable.port
    switch.bridge("br0", [port])
    switch.ip(f"link set {port} type bridge_slave hairpin {'on' if before else 'off'}")
    agent = Agent(switch, tmp_path, [port], role="bridge")
    with agent, PacketTap(cable.station, cable.uplink) as tap:
        # A first life that changes nothing: nobody asks.
        assert hairpin(switch, port) == before
        tap.send(REAL_STATION)
        uplink = agent.wait_for_relay(port, "active")
        assert uplink["bridge-port"] == {
            "bridge": "br0",
            "hairpin": True,
            "hairpin-before": before,
            "hairpin-set-by-agent": True,
        }
        agent.kill()
        assert hairpin(switch, port)
        assert agent.evbagent("mode", port).stdout == "veb\n"
        agent.start()
        uplink = agent.uplink(port)
        assert uplink["forwarding"]["reflective-relay"] == "unknown"
        wait_until(lambda: hairpin(switch, port) == before, f"hairpin {before}, as before the first agent")
        tap.send(REAL_STATION)
        uplink = agent.wait_for_relay(port, "active")
        assert uplink["bridge-port"]["hairpin-before"] == before
        assert agent.stop() == 0
        assert hairpin(switch, port) == before


def test_somebody_else_clears_hairpin(cable: Cable, tmp_path: Path) -> None:
    """The station is told, the operator too; the agent does not fight for the flag."""
    switch, port = cable.bridge, cable.port
    switch.bridge("br0", [port])
    with Agent(switch, tmp_path, [port], role="bridge") as agent, PacketTap(cable.station, cable.uplink) as tap:
        tap.send(REAL_STATION)
        agent.wait_for_relay(port, "active")
        tap.drain()
        switch.ip(f"link set {port} type bridge_slave hairpin off")
        tap.wait_for(lambda frame: (octets := evb_octets(frame.payload)) is not None and not octets.relay_control, "")
        uplink = agent.wait_for_relay(port, "inactive", reason="cleared by somebody else")
        assert uplink["warnings"] and not hairpin(switch, port)


def test_killed_station_agent_finds_its_guests_again(make_namespace: Callable[..., Namespace], tmp_path: Path) -> None:
    """Guests of the first agent, one here and one moved away, follow the second; others stay as they are."""
    host, switch, guest = make_namespace("host-a"), make_namespace("switch-a"), make_namespace("guest")
    cable = make_cable(host, switch)
    with station(cable, tmp_path) as (agent, tap):
        for name, kind, policy in (
            ("tap0", "macvtap", "prefer-vepa"),
            ("lan0", "macvlan", "prefer-vepa"),
            ("must0", "macvtap", "require-vepa"),
        ):
            words = ("--name", name, "--kind", kind, "--policy", policy)
            agent.evbagent("attach", cable.uplink, *words)
        host.ip(f"link add alien0 link {cable.uplink} type macvlan mode vepa")
        host.ip(f"link set lan0 netns {guest.pid}")
        guest.ip("link set lan0 name eth0")

        def modes() -> dict[str, str]:
            found = {name: mode(host, name) for name in ("tap0", "must0", "alien0")}
            return found | {"lan0": mode(guest, "eth0")}

        everywhere_vepa = {"tap0": "vepa", "lan0": "vepa", "must0": "vepa", "alien0": "vepa"}
        assert modes() == everywhere_vepa
        agent.kill()
        # The switch gives up in the meantime; nobody is there to move the guests.
        assert modes() == everywhere_vepa
        agent.start()
        tap.send(frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC, evb_tlv(bytes.fromhex("02046e5414")))))
        wait_until(
            lambda: modes() == everywhere_vepa | {"tap0": "bridge", "lan0": "bridge"}, f"in bridge mode, not {modes()}"
        )
        uplink = agent.wait_for_relay(cable.uplink, "inactive")
        attachments = {device["name"]: device for device in uplink["attachments"]}
        assert attachments.keys() >= {"tap0", "must0"} and len(attachments) == 3
        assert not attachments["must0"]["conforms"] and "alien0" not in attachments
        tap.send(REAL_BRIDGE)
        wait_until(lambda: modes() == everywhere_vepa, f"in VEPA mode, not {modes()}")


@contextmanager
def station(
    cable: Cable, directory: Path, interfaces: tuple[str, ...] | list[str] = ()
) -> Iterator[tuple[Agent, PacketTap]]:
    """An agent on the station's side that has agreed with a bridge which is nothing but a tap on the far end."""
    agent = Agent(cable.station, directory, interfaces or [cable.uplink])
    with PacketTap(cable.bridge, cable.port) as tap, agent:
        tap.wait_for(lambda frame: requests(frame) is True, "the agent's LLDPDU")
        tap.send(REAL_BRIDGE)
        agent.wait_for_relay(cable.uplink, "active")
        yield agent, tap


@contextmanager
def watching(agent: Agent) -> Iterator[Iterator[dict[str, Any]]]:
    """The outcomes of configuration changes as `evbagent watch -j` prints them; the file is SPEAK_EVERY_SECOND then."""
    command = [sys.executable, "-m", "evbagent", "watch", "-j", "--state-dir", str(agent.state_dir)]
    watch = agent.namespace.popen(command, stdout=subprocess.PIPE, env=environment(), cwd=ROOT)
    assert watch.stdout is not None
    lines = watch.stdout
    selector = DefaultSelector()
    selector.register(lines, EVENT_READ)
    # Nothing says when it has begun to watch: until it has, there is nothing to read.
    while not selector.select(0.1):
        agent.reload(SPEAK_EVERY_SECOND)
    try:
        outcomes = (event for event in map(json.loads, lines) if event["event"] == "configuration")
        assert next(outcomes)["ok"]
        yield outcomes
    finally:
        selector.close()
        end(watch)


def check_fails(agent: Agent, command: list[str], words: list[str]) -> None:
    """It ends with 1 and one line on stderr that has these words in it."""
    ended = agent.namespace.run(command, check=False, timeout=10, env=environment(), cwd=ROOT)
    assert ended.returncode == 1 and ended.stdout == "", ended
    [line] = ended.stderr.splitlines()
    assert line.startswith("evbagent: ") and all(word in line for word in words), line


def heard_since(agent: Agent, interface: str, before: dict[str, int], frames: int) -> dict[str, int]:
    """The counters, when so many more frames have been heard."""

    def heard() -> dict[str, int] | None:
        counters = agent.counters(interface)
        return counters if counters["rx-total-frames"] - before["rx-total-frames"] >= frames else None

    counters = wait_until(heard, f"{frames} frames more than {before}")
    assert counters is not None
    return counters


def is_crowded(uplink: Uplink) -> bool:
    return any(lldp["too-many-neighbors"] for lldp in uplink["lldp"])


def is_real(neighbor: dict[str, object]) -> bool:
    return neighbor["chassis-id"] == BRIDGE_MAC.hex(":")


def requests(frame: CapturedFrame) -> bool | None:
    """RRREQ of a station's EVB TLV."""
    octets = evb_octets(frame.payload)
    return octets.relay_request if octets and octets.mode == 2 else None


def hairpin(namespace: Namespace, port: str) -> bool:
    return bool(namespace.link(port)["linkinfo"]["info_slave_data"]["hairpin"])


def mode(namespace: Namespace, name: str) -> str:
    return str(namespace.link(name)["linkinfo"]["info_data"]["mode"])
