"""Agents of ours on both ends of a link: what they agree on, how fast, and what happens when one of them changes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import SO_ERROR, SOL_SOCKET

import pytest

from tests.support.agent import Agent, Uplink, neighbors, statistics
from tests.support.lldpdus import NEAREST_CUSTOMER_BRIDGE, evb_octets
from tests.support.namespaces import CapturedFrame, Namespace, PacketTap, link_pair, wait_until
from tests.support.rig import BRIDGE_MAC, STATION_MAC, Cable

pytestmark = pytest.mark.system

# A TTL of two seconds: neighbours that say nothing more are soon forgotten.
SHORT_LIVED = "[lldp]\nmessage-tx-interval = 1\nmessage-tx-hold-multiplier = 1\n"
OUTLIVED = "[lldp]\nmessage-tx-interval = 1\nmessage-tx-hold-multiplier = 4\n"  # by the start of another agent

MILLISECOND = 1_000_000
GENEROUS = 500 * MILLISECOND  # what takes single milliseconds, on a machine that is busy with other tests


@dataclass(frozen=True, slots=True)
class Case:
    """A link between a station (`s-NAME`) and a bridge (`p-NAME`): extra settings of each, and what comes of it."""

    name: str
    station: str
    bridge: str
    relay: str
    edition: str | None
    reasons: tuple[str, str] = ("", "")
    on_a_bridge: bool = True


CASES = (
    Case("auto", "", "", "active", "ratified"),
    Case("ratified", 'evb.edition = "ratified"', 'evb.edition = "ratified"', "active", "ratified"),
    Case("draft", 'evb.edition = "draft"', 'evb.edition = "draft"', "active", "draft"),
    Case("auto-draft", "", 'evb.edition = "draft"', "active", "draft"),
    Case("draft-auto", 'evb.edition = "draft"', "", "active", "draft"),
    Case(
        "mixed",
        'evb.edition = "ratified"',
        'evb.edition = "draft"',
        "inactive",
        None,
        ("speaks LLDP but not EVB", "speaks LLDP but not EVB"),
    ),
    Case("unasked", 'reflective-relay = "off"', "", "inactive", "ratified", ("not asked for", "does not ask")),
    Case("refused", "", 'reflective-relay = "off"', "inactive", "ratified", ("cannot do", "not offered")),
    Case("no-bridge", "", "", "inactive", "ratified", ("cannot do", "not a port of a bridge"), on_a_bridge=False),
    Case("stations", "", 'role = "station"', "inactive", None, ("not a bridge", "not a bridge")),
    Case("bridges", 'role = "bridge"', "", "inactive", None, ("not a station", "not a station")),
    Case(
        "values",
        "evb.ecp-retries = 1\nevb.ecp-ack-timer-exponent = 16\nevb.keep-alive-exponent = 23",
        "evb.ecp-retries = 5\nevb.ecp-ack-timer-exponent = 12\nevb.resource-wait-delay-exponent = 25",
        "active",
        "ratified",
    ),
)


@dataclass(frozen=True, slots=True)
class Pair:
    host: Namespace
    switch: Namespace
    station: Agent
    bridge: Agent


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("pair")
    with Namespace("host-a") as host, Namespace("switch-a") as switch:
        for number, case in enumerate(CASES):
            macs = {"left_mac": f"02:00:00:00:0a:{number:02x}", "right_mac": f"02:00:00:00:0b:{number:02x}"}
            link_pair(host, f"s-{case.name}", switch, f"p-{case.name}", **macs)
            if case.on_a_bridge:
                switch.bridge(f"br{number}", [f"p-{case.name}"])
        here = "".join(f"[uplink.s-{case.name}]\n{case.station}\n" for case in CASES)
        there = 'role = "bridge"\n' + "".join(f"[uplink.p-{case.name}]\n{case.bridge}\n" for case in CASES)
        with (
            Agent(host, directory, ["s-*"], config=here) as station,
            Agent(switch, directory, ["p-*"], config=there) as bridge,
        ):
            yield Pair(host, switch, station, bridge)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome(pair: Pair, case: Case) -> None:
    """Both ends and the hairpin flag agree on the answer, and both say the same reason in their own words."""
    here = pair.station.wait_for_relay(f"s-{case.name}", case.relay, reason=case.reasons[0])
    there = pair.bridge.wait_for_relay(f"p-{case.name}", case.relay, reason=case.reasons[1])
    for uplink in (here, there):
        assert uplink["forwarding"]["edition"] == case.edition
        assert uplink["forwarding"]["mode"] == ("vepa" if case.relay == "active" else "veb")
        assert bool(uplink["warnings"]) == (case.name in ("stations", "bridges"))
        assert statistics(uplink)["rx-total-discarded-frames"] == 0
    assert hairpin(pair.switch, f"p-{case.name}") == (case.relay == "active")
    assert len(neighbors(here)) == len(neighbors(there)) == 1


def test_values_are_the_greater_of_both(pair: Pair) -> None:
    for agent, name in ((pair.station, "s-values"), (pair.bridge, "p-values")):
        agent.wait_for(name, lambda uplink: operational(uplink) == (5, 16, 25, 23), "the greater of both sides")
    # Each goes on proposing its own.
    assert pair.station.uplink("s-values")["evb"]["local"]["ecp-retries"] == 1
    assert pair.station.uplink("s-values")["evb"]["remote"]["ecp-ack-timer-exponent"] == 12


def test_agreed_at_once_in_few_frames(cable: Cable, tmp_path: Path) -> None:
    """No waits: a late starter is answered when it is heard. No more than five LLDPDUs each in the first second."""
    cable.bridge.bridge("br0", [cable.port])
    bridge = Agent(cable.bridge, tmp_path, [cable.port], role="bridge")
    station = Agent(cable.station, tmp_path, [cable.uplink])
    with bridge, PacketTap(cable.station, cable.uplink) as tap:
        station.start()
        frames = first_second(tap, STATION_MAC)
        check_convergence(frames, STATION_MAC, BRIDGE_MAC)

        # The other way round. The station starts anew, since what it has said just now has cost it transmit credit.
        bridge.stop()
        station.stop()
        station.start()
        station.wait_for_relay(cable.uplink, "unknown", reason="no neighbor")
        tap.drain()
        bridge.start()
        check_convergence(first_second(tap, BRIDGE_MAC), BRIDGE_MAC, STATION_MAC)
        station.wait_for_relay(cable.uplink, "active")

        # The cable out and in again; both were there all the time.
        for namespace, link in ((cable.station, cable.uplink), (cable.bridge, cable.port)):
            namespace.ip(f"link set {link} down")
            station.wait_for_relay(cable.uplink, "unknown", reason="link is down")
            bridge.wait_for_relay(cable.port, "unknown", reason="link is down")
            wait_until(lambda: not hairpin(cable.bridge, cable.port), "hairpin is off")
            tap.socket.getsockopt(SOL_SOCKET, SO_ERROR)  # "network is down": heard, and thereby cleared
            tap.drain()
            namespace.ip(f"link set {link} up")
            frames = first_second(tap, STATION_MAC)
            for source in (STATION_MAC, BRIDGE_MAC):
                assert len([frame for frame in frames if frame.source == source]) <= 5
            station.wait_for_relay(cable.uplink, "active")
            bridge.wait_for_relay(cable.port, "active")
            assert hairpin(cable.bridge, cable.port)


def test_far_end_ends_dies_and_is_replaced(cable: Cable, tmp_path: Path) -> None:
    cable.bridge.bridge("br0", [cable.port])
    bridge = Agent(cable.bridge, tmp_path, [cable.port], role="bridge", config=SHORT_LIVED)
    station = Agent(cable.station, tmp_path, [cable.uplink], config=SHORT_LIVED)
    with bridge, station:
        station.wait_for_relay(cable.uplink, "active")
        bridge.wait_for_relay(cable.port, "active")

        # A goodbye counts at once, in both directions: nobody's TTL has to run out.
        assert station.stop() == 0
        uplink = bridge.wait_for_relay(cable.port, "unknown")
        assert statistics(uplink)["rx-total-ageouts"] == 0
        wait_until(lambda: not hairpin(cable.bridge, cable.port), "hairpin is off")
        station.start()
        station.wait_for_relay(cable.uplink, "active")
        assert bridge.stop() == 0
        uplink = station.wait_for_relay(cable.uplink, "unknown")
        assert statistics(uplink)["rx-total-ageouts"] == 0
        assert not hairpin(cable.bridge, cable.port)
        bridge.start()
        station.wait_for_relay(cable.uplink, "active")
        bridge.wait_for_relay(cable.port, "active")

        # The station dies without a word: its TTL decides when the port stops reflecting.
        station.kill()
        assert hairpin(cable.bridge, cable.port)
        uplink = bridge.wait_for_relay(cable.port, "unknown")
        assert statistics(uplink)["rx-total-ageouts"] == 1
        wait_until(lambda: not hairpin(cable.bridge, cable.port), "hairpin is off")
        station.start()
        station.wait_for_relay(cable.uplink, "active")

        # Another switch in the place of one that died, on a link that never went down: two claim to be the bridge
        # for as long as the dead one's TTL lasts, and nobody is put in VEPA on a guess.
        bridge.reload(OUTLIVED)
        station.wait_for(cable.uplink, lambda uplink: neighbors(uplink)[0]["time-to-live"] == 5, "a longer TTL")
        bridge.kill()
        bridge.config.write_text(SHORT_LIVED)
        cable.bridge.ip(f"link set {cable.port} address 02:00:00:00:00:2b")
        bridge.start()
        uplink = station.wait_for_relay(cable.uplink, "inactive", reason="2 systems claim to be the bridge")
        assert uplink["forwarding"]["mode"] == "veb" and uplink["warnings"]
        uplink = station.wait_for_relay(cable.uplink, "active", reason="02:00:00:00:00:2b")
        assert not uplink["warnings"] and len(neighbors(uplink)) == 1

        # The bridge dies without a word.
        bridge.kill()
        station.wait_for_relay(cable.uplink, "unknown")


def test_settings_changed_at_run_time(cable: Cable, tmp_path: Path) -> None:
    """SIGHUP at either end: values go up and come down again, relay is withdrawn and offered, the edition changes."""
    cable.bridge.bridge("br0", [cable.port])
    bridge = Agent(cable.bridge, tmp_path, [cable.port], role="bridge")
    station = Agent(cable.station, tmp_path, [cable.uplink])
    with bridge, station:
        station.wait_for_relay(cable.uplink, "active")
        bridge.wait_for_relay(cable.port, "active")
        raised = "[evb]\necp-retries = 6\necp-ack-timer-exponent = 18\nresource-wait-delay-exponent = 22\n"
        for one, its_link, other, other_link in (
            (station, cable.uplink, bridge, cable.port),
            (bridge, cable.port, station, cable.uplink),
        ):
            for config, values in ((raised, (6, 18, 22, 20)), ("", (3, 14, 20, 20))):
                one.reload(config)
                one.wait_for(its_link, are(values), f"{values} at the end that was set")
                other.wait_for(other_link, are(values), f"{values} at the other end")

        station.reload("[evb]\nreflective-relay = 'off'\n")
        bridge.wait_for_relay(cable.port, "inactive", reason="does not ask")
        station.wait_for_relay(cable.uplink, "inactive", reason="not asked for")
        wait_until(lambda: not hairpin(cable.bridge, cable.port), "hairpin is off")
        station.reload("")
        station.wait_for_relay(cable.uplink, "active")

        # The bridge withdraws: the station knows before the port stops reflecting.
        with PacketTap(cable.station, cable.uplink) as tap:
            bridge.reload("[evb]\nreflective-relay = 'off'\n")
            tap.wait_for(lambda frame: relay_control(frame, BRIDGE_MAC) is False, "the bridge's withdrawal")
            # After so many changes its transmit credit may be used up: then it has to wait for the next second.
            tap.wait_for(lambda frame: relay_status(frame, STATION_MAC) == 0, "the station's answer", 1.3)
        station.wait_for_relay(cable.uplink, "inactive", reason="cannot do")
        wait_until(lambda: not hairpin(cable.bridge, cable.port), "hairpin is off")
        bridge.reload("[evb]\nedition = 'draft'\n")
        uplink = station.wait_for_relay(cable.uplink, "active")
        assert uplink["forwarding"]["edition"] == "draft" and hairpin(cable.bridge, cable.port)
        bridge.reload("[evb]\nedition = 'ratified'\n")
        station.wait_for(cable.uplink, lambda uplink: uplink["forwarding"]["edition"] == "ratified", "ratified again")
        station.wait_for_relay(cable.uplink, "active")


def test_port_reflects_until_the_station_has_heard_of_the_end(cable: Cable, tmp_path: Path) -> None:
    """Even when there is no credit left to send the news at once."""
    switch, port = cable.bridge, cable.port
    switch.bridge("br0", [port])
    no_credit = "[lldp]\ntx-credit-max = 1\n[evb]\n"
    bridge = Agent(switch, tmp_path, [port], role="bridge", config=no_credit)
    station = Agent(cable.station, tmp_path, [cable.uplink])
    with bridge, station, PacketTap(cable.station, cable.uplink) as tap:
        station.wait_for_relay(cable.uplink, "active")
        # After what is now sent nothing more can be for a second.
        bridge.reload(no_credit + "ecp-retries = 7\n")
        tap.wait_for(lambda frame: retries(frame, BRIDGE_MAC) == 7, "the bridge's other news")
        bridge.reload(no_credit + "reflective-relay = 'off'\n")
        wait_until(lambda: not hairpin(switch, port), "hairpin is off")
        frames = tap.drain()
        assert any(relay_control(frame, BRIDGE_MAC) is False for frame in frames), "the port stopped before saying so"
        assert any(relay_status(frame, STATION_MAC) == 0 for frame in frames), "the station was still counting on it"


def test_two_bridges_on_one_hub(make_namespace: Callable[..., Namespace], tmp_path: Path) -> None:
    """Something in the middle that passes everything on: with two claimants nobody is believed, with one it works."""
    hub = make_namespace("hub")
    host, first, second = make_namespace("host-a"), make_namespace("switch-a"), make_namespace("switch-b")
    for number, (namespace, link) in enumerate(((host, "veth0"), (first, "p0"), (second, "p0"))):
        link_pair(hub, f"h{number}", namespace, link, right_mac=f"02:00:00:00:00:{number + 10:02x}")
    # Without STP a Linux bridge forwards frames to 01-80-C2-00-00-00.
    hub.bridge("hub0", ["h0", "h1", "h2"])
    # Only one of them is able to reflect: two that do, on one hub, would throw frames at each other for ever.
    first.bridge("br0", ["p0"])
    station = Agent(host, tmp_path, ["veth0"])
    bridges = [Agent(namespace, tmp_path, ["p0"], role="bridge") for namespace in (first, second)]
    with station, bridges[0], bridges[1]:
        uplink = station.wait_for_relay("veth0", "inactive", reason="2 systems claim to be the bridge")
        assert uplink["warnings"] and len(neighbors(uplink)) == 2
        bridges[1].stop()
        uplink = station.wait_for_relay("veth0", "active", reason="switch-a")
        assert not uplink["warnings"]
        bridges[1].start()
        station.wait_for_relay("veth0", "inactive", reason="2 systems claim to be the bridge")
        bridges[0].stop()
        station.wait_for_relay("veth0", "inactive", reason="switch-b (02:00:00:00:00:0c) cannot do reflective relay")


def test_two_hosts_on_one_linux_bridge(make_namespace: Callable[..., Namespace], tmp_path: Path) -> None:
    """Such a bridge also shows each host the other's LLDPDUs, and with hairpin on its own: none of that disturbs."""
    switch, hosts = make_namespace("switch-a"), [make_namespace("host-a"), make_namespace("host-b")]
    for number, host in enumerate(hosts):
        link_pair(switch, f"p{number}", host, "veth0", right_mac=f"02:00:00:00:00:0{number + 1}")
    switch.bridge("br0", ["p0", "p1"])
    stations = [Agent(host, tmp_path, ["veth0"]) for host in hosts]
    with Agent(switch, tmp_path, ["p0", "p1"], role="bridge") as bridge, stations[0], stations[1]:
        for station in stations:
            station.wait_for_relay("veth0", "active", reason="switch-a")
            uplink = station.wait_for("veth0", hears_itself, "its own LLDPDUs come back")
            assert len(neighbors(uplink)) <= 2 and not uplink["warnings"]
        for port in ("p0", "p1"):
            bridge.wait_for_relay(port, "active")
        assert stations[0].stop() == 0
        bridge.wait_for_relay("p0", "unknown")
        assert stations[1].uplink("veth0")["forwarding"]["reflective-relay"] == "active"


def first_second(tap: PacketTap, starter: bytes) -> list[CapturedFrame]:
    """LLDPDUs in the scope of EVB from the first of `starter` on, for one second: the next after it end the wait."""
    first = tap.wait_for(lambda frame: frame.source == starter and negotiates(frame), "a first LLDPDU")
    frames = [first]
    while True:
        frame = tap.wait_for(negotiates, "another LLDPDU", 3)
        if frame.timestamp_ns - first.timestamp_ns > 1_000 * MILLISECOND:
            return frames
        frames.append(frame)


def negotiates(frame: CapturedFrame) -> bool:
    return frame.ethertype == 0x88CC and frame.data[:6] == NEAREST_CUSTOMER_BRIDGE


def check_convergence(frames: list[CapturedFrame], starter: bytes, other: bytes) -> None:
    """The starter's first LLDPDU is answered at once, and both agree soon after, in no more than five LLDPDUs each."""
    begun = frames[0].timestamp_ns
    answer = next(frame for frame in frames if frame.source == other)
    assert answer.timestamp_ns - begun < GENEROUS
    agreed = next(frame for frame in frames if relay_status(frame, STATION_MAC) == 1)
    assert agreed.timestamp_ns - begun < GENEROUS
    for source in (starter, other):
        assert len([frame for frame in frames if frame.source == source]) <= 5


def relay_control(frame: CapturedFrame, source: bytes) -> bool | None:
    octets = evb_octets(frame.payload) if frame.source == source else None
    return octets.relay_control if octets else None


def relay_status(frame: CapturedFrame, source: bytes) -> int | None:
    octets = evb_octets(frame.payload) if frame.source == source else None
    return octets.relay_status if octets else None


def retries(frame: CapturedFrame, source: bytes) -> int | None:
    octets = evb_octets(frame.payload) if frame.source == source else None
    return octets.retries if octets else None


def hears_itself(uplink: Uplink) -> bool:
    return statistics(uplink)["rx-own-frames"] > 0


def are(values: tuple[int, ...]) -> Callable[[Uplink], bool]:
    return lambda uplink: operational(uplink) == values


def operational(uplink: Uplink) -> tuple[int, ...]:
    values = uplink["evb"]["operational"]
    keys = ("ecp-retries", "ecp-ack-timer-exponent", "resource-wait-delay-exponent", "keep-alive-exponent")
    return tuple(values[key] for key in keys)


def hairpin(namespace: Namespace, port: str) -> bool:
    return bool(namespace.link(port)["linkinfo"].get("info_slave_data", {}).get("hairpin"))
