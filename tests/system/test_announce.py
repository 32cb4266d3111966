"""The agent's announcements as real lldpds and lldpads show them; changes of the host and of the configuration."""

from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import Any

import pytest

from tests.support.agent import Agent, neighbors, statistics
from tests.support.lldpdus import (
    NEAREST_BRIDGE,
    NEAREST_CUSTOMER_BRIDGE,
    NEAREST_NON_TPMR_BRIDGE,
    time_to_live,
    walk,
)
from tests.support.namespaces import CapturedFrame, PacketTap, wait_until
from tests.support.peers import Lldpad, LldpadPort, Lldpd, RatifiedEvb
from tests.support.rig import STATION_MAC, Cable

pytestmark = pytest.mark.system

AT_ONCE = 250_000_000  # nanoseconds, on a machine that is busy with other tests
ETHERTYPE_LLDP = 0x88CC
V4 = bytes((192, 0, 2, 1))

# lldpd knows one neighbor for an MSAP, whatever the scope, and shows what it heard last: it is told in one scope alone.
NEAREST_BRIDGE_ALONE = """
[lldp.admin-status]
nearest-bridge = "tx-and-rx"
nearest-customer-bridge = "rx-only"
"""
IDENTITY = """
[lldp]
system-name = "host-a"
system-description = "a test"
system-capabilities = ["mac-bridge", "router", "station-only"]
system-capabilities-enabled = ["router"]
management-addresses = ["192.0.2.1", "2001:db8::1"]
chassis-id = "local:rack 7"
port-id = "interface-name"
port-description = "text:to the switch"

[[lldp.custom-tlv]]
oui = "33-44-55"
subtype = 7
hex = "0a 0b 0c"

[[lldp.custom-tlv]]
oui = "33-44-55"
subtype = 8
text = "not on the cable"
scopes = ["nearest-customer-bridge"]
"""
MED = """
[lldp.med]
device-class = 3
hardware-revision = "HW 1"
firmware-revision = "FW 2"
software-revision = "SW 3"
serial-number = "S 4"
manufacturer-name = "Acme"
model-name = "Board 5"
asset-id = "A-6"
power = { type = "pd", source = "pse", priority = "high", watts = 12.9 }

[[lldp.med.network-policy]]
application-type = "voice"
tagged = true
vlan-id = 100
priority = 5
dscp = 46

[[lldp.med.network-policy]]
application-type = "video-signaling"
unknown = true

[lldp.med.location]
elin = "0123456789"
coordinates = { latitude = 52.5, longitude = -13.375, altitude = 35, datum = "wgs84" }
civic = { country = "DE", what = "client", address = { city = "Berlin", street = "Allee", house-number = "1" } }
"""


def only(found: list[Any]) -> Any:
    [one] = found
    return one


def value(document: dict[str, Any], key: str) -> Any:
    """Of lldpcli's json0, where everything is a list."""
    return only(document[key])["value"]


def test_lldpcli_shows_what_is_configured(cable: Cable, tmp_path: Path) -> None:
    # It may not listen yet when it says that it does: we say it each second.
    each_second = "[lldp]\nmessage-tx-interval = 1\nmessage-tx-hold-multiplier = 3"
    config = IDENTITY.replace("[lldp]", each_second) + NEAREST_BRIDGE_ALONE + MED
    agent = Agent(cable.station, tmp_path, [cable.uplink], config=config)
    with Lldpd(cable.bridge, tmp_path, [cable.port]) as lldpd, agent:
        shown = only(wait_until(lambda: lldpd.neighbors(cable.port), "lldpd knows us"))
        chassis, port, med = only(shown["chassis"]), only(shown["port"]), only(shown["lldp-med"])
    assert chassis["id"] == [{"type": "local", "value": "rack 7"}]
    assert port["id"] == [{"type": "ifname", "value": cable.uplink}]
    assert (value(chassis, "name"), value(chassis, "descr")) == ("host-a", "a test")
    assert (value(port, "descr"), value(port, "ttl"), value(port, "mfs")) == ("to the switch", "4", "1518")
    assert [address["value"] for address in chassis["mgmt-ip"]] == ["192.0.2.1", "2001:db8::1"]
    assert {item["type"]: item["enabled"] for item in chassis["capability"]} == {
        "Bridge": False,
        "Router": True,
        "Station": False,
    }
    unknown = only(only(shown["unknown-tlvs"])["unknown-tlv"])
    assert (unknown["oui"], unknown["subtype"], unknown["value"]) == ("33,44,55", "7", "0A,0B,0C")
    check_med(med)


def check_med(med: dict[str, Any]) -> None:
    assert value(med, "device-type") == "Communication Device Endpoint (Class III)"
    assert {item["type"] for item in med["capability"]} == {"Capabilities", "Policy", "Location", "MDI/PD", "Inventory"}
    voice, video = med["policy"]
    assert (voice["apptype"], voice["defined"]) == ("Voice", True)
    assert (only(voice["vlan"])["vid"], value(voice, "pcp"), value(voice, "dscp")) == ("100", "5", "46")
    assert (video["apptype"], video["defined"]) == ("Video Signaling", False)
    coordinates, civic, elin = med["location"]
    assert (value(coordinates, "lat"), value(coordinates, "lon")) == ("52.5000000N", "13.3750000W")
    assert (coordinates["altitude"], coordinates["geoid"]) == ([{"unit": "m", "value": "35"}], "WGS84")
    address = {key: value(civic, key) for key in ("country", "city", "street", "number")}
    assert address == {"country": "DE", "city": "Berlin", "street": "Allee", "number": "1"}
    assert value(elin, "ecs") == "0123456789"
    power = only(med["poe"])
    assert (value(power, "device-type"), value(power, "source")) == ("PD", "PSE")
    assert (value(power, "priority"), value(power, "power")) == ("high", "12900")
    assert {key: value(only(med["inventory"]), key) for key in only(med["inventory"])} == {
        "hardware": "HW 1",
        "software": "SW 3",
        "firmware": "FW 2",
        "serial": "S 4",
        "manufacturer": "Acme",
        "model": "Board 5",
        "asset": "A-6",
    }


LLDPTOOL_BASIC = """\
Chassis ID TLV
	Local: rack 7
Port ID TLV
	Ifname: veth0
Time to Live TLV
	121
{evb}\
Port Description TLV
	to the switch
System Name TLV
	host-a
System Description TLV
	a test
System Capabilities TLV
	System capabilities:  Bridge, Router, Station Only
	Enabled capabilities: Router
Management Address TLV
	IPv4: 192.0.2.1
	Unknown interface subtype: 0
{more}\
Unidentified Org Specific TLV
	OUI: 0x334455, Subtype: 7, Info: 0a0b0c
"""
LLDPTOOL_EVB = """\
EVB Configuration TLV
	bridge:rrcap,rrctr(0x3)
	station:rrreq,rrstat(0x5)
	retries:3 rte:14
	mode:station r/l:0 rwd:20
	r/l:0 rka:20
"""
LLDPTOOL_ADDRESS = """\
Management Address TLV
	IPv6: 2001:db8::1
	Unknown interface subtype: 0
"""
LLDPTOOL_CABLE = f"""\
{LLDPTOOL_ADDRESS}\
Maximum Frame Size TLV
	1518
"""
LLDPTOOL_CUSTOM = """\
Unidentified Org Specific TLV
	OUI: 0x334455, Subtype: 8, Info: 6e6f74206f6e20746865206361626c65
"""
LLDPTOOL_END = "End of LLDPDU TLV"


def test_lldptool_shows_what_is_configured_in_each_scope(cable: Cable, tmp_path: Path) -> None:
    """And EVB is agreed meanwhile."""
    agent = Agent(cable.station, tmp_path, [cable.uplink], config=IDENTITY)
    bridge = LldpadPort(evb=RatifiedEvb(mode="bridge", rr_capable=True), scopes=frozenset({"nb", "ncb"}))
    with Lldpad(cable.bridge, tmp_path, {cable.port: bridge}) as lldpad, agent:
        agent.wait_for_relay(cable.uplink, "active")

        def shown(scope: str) -> str:
            return lldpad.lldptool("-t", "-n", "-i", cable.port, "-g", scope).rstrip()

        near = LLDPTOOL_BASIC.format(evb="", more=LLDPTOOL_CABLE) + LLDPTOOL_END
        far = LLDPTOOL_BASIC.format(evb=LLDPTOOL_EVB, more="") + LLDPTOOL_CUSTOM + LLDPTOOL_END
        wait_until(lambda: shown("ncb") == far, "lldptool shows what we say beyond the cable")
        assert shown("nb") == near
        [warning] = agent.uplink(cable.uplink)["warnings"]
        assert warning.endswith("not announced there: 2001:db8::1") and "max-management-addresses is 1" in warning

        # This lldpad would take two.
        agent.reload(IDENTITY.replace("[lldp]", "[lldp]\nmax-management-addresses.nearest-customer-bridge = 2"))
        both = LLDPTOOL_BASIC.format(evb=LLDPTOOL_EVB, more=LLDPTOOL_ADDRESS) + LLDPTOOL_CUSTOM + LLDPTOOL_END
        wait_until(lambda: shown("ncb") == both, "lldptool shows the second address")
        wait_until(lambda: not agent.uplink(cable.uplink)["warnings"], "nothing is left out any more")
        agent.wait_for_relay(cable.uplink, "active")


# Changes go out at once.


def from_us(frame: CapturedFrame, destination: bytes = NEAREST_BRIDGE) -> bool:
    return frame.ethertype == ETHERTYPE_LLDP and frame.data[:12] == destination + STATION_MAC


def basic(frame: CapturedFrame, kind: int) -> list[bytes]:
    return [octets for found, octets in walk(frame.payload) if found == kind]


def organizational(frame: CapturedFrame, head: str) -> list[bytes]:
    return [octets[4:] for octets in basic(frame, 127) if octets[:4] == bytes.fromhex(head)]


@pytest.fixture
def unhurried() -> str:
    """Seconds between LLDPDUs that no test waits for; as many of them at once as these tests make news."""
    return "[lldp]\nmessage-tx-interval = 3600\ntx-credit-max = 100\n"


def test_changes_of_the_host_go_out_at_once(cable: Cable, tmp_path: Path, unhurried: str) -> None:
    host, uplink = cable.station, cable.uplink
    host.run("sysctl -qw net.ipv4.ip_forward=0")
    changes: list[tuple[str, Callable[[CapturedFrame], bool]]] = [
        ("hostname renamed", lambda frame: basic(frame, 5) == [b"renamed"]),
        (f"ip address add 192.0.2.1/24 dev {uplink}", lambda frame: [a[2:6] for a in basic(frame, 8)] == [V4]),
        (f"ip address delete 192.0.2.1/24 dev {uplink}", lambda frame: not basic(frame, 8)),
        (f"ip link set {uplink} alias rack7", lambda frame: basic(frame, 4) == [b"rack7"]),
        (f"ip link set {uplink} mtu 1400", lambda frame: organizational(frame, "00120f04") == [b"\x05\x8a"]),
        ("sysctl -qw net.ipv4.ip_forward=1", lambda frame: basic(frame, 7) == [b"\0\x10\0\x10"]),
        ("ip link add br0 type bridge", lambda frame: basic(frame, 7) == [b"\0\x14\0\x10"]),
        ("ip link set br0 up", lambda frame: basic(frame, 7) == [b"\0\x14\0\x14"]),
    ]
    with Agent(host, tmp_path, [uplink], config=unhurried), PacketTap(cable.bridge, cable.port) as tap:
        for command, holds in changes:
            begun = time_ns()
            host.run(command)
            frame = tap.wait_for(lambda frame, holds=holds: from_us(frame) and holds(frame), command, 2)
            assert frame.timestamp_ns - begun < AT_ONCE, command
        tap.drain()
        host.run("ip address add 127.0.0.2/8 dev lo")
        host.run("ip link add name m0 link br0 type macvlan mode bridge")
        assert not [frame for frame in iter(lambda: tap.receive(0.3), None) if from_us(frame)], "nothing is said anew"


def test_a_reload_goes_out_at_once(cable: Cable, tmp_path: Path, unhurried: str) -> None:
    custom = '[[lldp.custom-tlv]]\noui = "33-44-55"\nsubtype = 7\ntext = "{}"\n'
    silent = "transmit = false\n"
    far_alone = '[lldp.admin-status]\nnearest-bridge = "disabled"\nnearest-non-tpmr-bridge = "tx-only"\n'
    other_port = f'[uplink.{cable.uplink}.lldp]\nport-id = "local:slot 3"\n'
    with (
        Agent(cable.station, tmp_path, [cable.uplink], config=unhurried) as agent,
        PacketTap(cable.bridge, cable.port) as tap,
    ):

        def heard(scope: bytes, holds: Callable[[CapturedFrame], bool], what: str) -> None:
            begun = time_ns()
            frame = tap.wait_for(lambda frame: from_us(frame, scope) and holds(frame), what, 2)
            assert frame.timestamp_ns - begun < AT_ONCE, what

        def is_goodbye(frame: CapturedFrame) -> bool:
            return time_to_live(frame.payload) == 0

        agent.reload(unhurried + custom.format("one"))
        heard(NEAREST_BRIDGE, lambda frame: organizational(frame, "33445507") == [b"one"], "a custom TLV")
        agent.reload(unhurried + custom.format("two"))
        heard(NEAREST_CUSTOMER_BRIDGE, lambda frame: organizational(frame, "33445507") == [b"two"], "another")
        agent.reload(unhurried + "transmit = 7\n")
        wait_until(lambda: "lldp.transmit" in agent.log.read_text(), "the mistake is in the log")
        agent.reload(unhurried + custom.format("two") + other_port)
        heard(NEAREST_BRIDGE, is_goodbye, "a goodbye for the old port")
        heard(NEAREST_BRIDGE, lambda frame: basic(frame, 2) == [b"\7slot 3"], "the new one")
        agent.reload(unhurried + far_alone)
        heard(NEAREST_BRIDGE, is_goodbye, "a goodbye where nothing is sent any more")
        heard(NEAREST_NON_TPMR_BRIDGE, lambda frame: time_to_live(frame.payload) != 0, "a first LLDPDU")
        agent.reload(unhurried + silent)
        heard(NEAREST_CUSTOMER_BRIDGE, is_goodbye, "a goodbye to all")
        agent.reload(unhurried)
        heard(NEAREST_CUSTOMER_BRIDGE, lambda frame: bool(organizational(frame, "0080c20d")), "EVB again")


def test_a_silent_listener_hears_and_says_nothing(cable: Cable, tmp_path: Path) -> None:
    agent = Agent(cable.station, tmp_path, [cable.uplink], config="[lldp]\ntransmit = false\n")
    with Lldpd(cable.bridge, tmp_path, [cable.port]) as lldpd, PacketTap(cable.bridge, cable.port) as tap, agent:
        lldpd.cli("update")
        uplink = agent.wait_for(cable.uplink, lambda uplink: len(neighbors(uplink, "nearest-bridge")) == 1, "lldpd")
        assert {lldp["admin-status"] for lldp in uplink["lldp"]} == {"rx-only"}
        assert agent.stop() == 0
        sent = [frame for frame in tap.drain() if frame.source == STATION_MAC and frame.ethertype == ETHERTYPE_LLDP]
    assert not sent


def test_what_has_no_room_is_left_out_and_named(cable: Cable, tmp_path: Path) -> None:
    """In an LLDPDU of the standard's size, and where the MTU is smaller; nothing else is lost, and EVB goes on."""
    big = "".join(
        f'[[lldp.custom-tlv]]\noui = "33-44-55"\nsubtype = {number}\ntext = "{"x" * 500}"\n' for number in range(4)
    )
    agent = Agent(cable.station, tmp_path, [cable.uplink], config=big)
    bridge = LldpadPort(evb=RatifiedEvb(mode="bridge", rr_capable=True), scopes=frozenset({"nb", "ncb"}))
    with (
        Lldpad(cable.bridge, tmp_path, {cable.port: bridge}),
        PacketTap(cable.bridge, cable.port) as tap,
        agent,
    ):
        uplink = agent.wait_for_relay(cable.uplink, "active")
        near, far = uplink["warnings"]
        assert near.startswith("no room in the LLDPDU of scope nearest-bridge for custom 33-44-55 subtype 2 and 1 more")
        assert "scope nearest-customer-bridge for custom 33-44-55 subtype 2 and 1 more" in far
        sizes = [len(frame.payload) for frame in tap.drain() if frame.source == STATION_MAC]
        assert 1000 < max(sizes) <= 1500
        cable.station.ip(f"link set {cable.uplink} mtu 600")
        agent.wait_for(cable.uplink, lambda uplink: "subtype 1 and 2 more" in str(uplink["warnings"]), "less room")
        last = tap.wait_for(lambda frame: from_us(frame) and len(frame.payload) <= 600, "a shorter LLDPDU")
        assert [octets[3] for octets in basic(last, 127) if octets[:3] == b"\x33\x44\x55"] == [0]
        assert statistics(agent.wait_for_relay(cable.uplink, "active"))["tx-total-length-errors"] == 0
