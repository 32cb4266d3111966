"""What is announced: the host's facts as the kernel changes them, and the TLVs as others read them."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from evbagent.addresses import AddressTable
from evbagent.ethtool import Ethtool, EthtoolSocket, LinkModes, Port, PowerSupply
from evbagent.follow import Follower
from evbagent.hostfacts import HostFacts
from evbagent.hostlinks import HostLink, PortVlans
from evbagent.hostmonitor import HostMonitor, HostNameWatch
from evbagent.lldpconfig import CustomTlv, LldpConfig
from evbagent.localtlvs import announcement
from evbagent.medconfig import (
    CivicConfig,
    CoordinatesConfig,
    LocationConfig,
    MedConfig,
    MedPowerConfig,
    NetworkPolicyConfig,
)
from evbagent.netlink import Link, RouteSocket
from protocols.evb.status import Role
from protocols.frame import ETHERTYPE_LLDP, EthernetFrame, Scope
from protocols.lldp.codec import encode_lldpdu
from protocols.lldp.med import MedSubtype
from protocols.lldp.tlvs import Capability, Lldpdu, ManagementAddress, OptionalTlv, SystemCapabilities
from tests.support.namespaces import CLONE_NEWNET, Namespace, PacketTap, setns, wait_until
from tests.support.peers import Lldpad, LldpadPort, Lldpd, RatifiedEvb, Tcpdump, tshark
from tests.support.rig import Cable

pytestmark = pytest.mark.system

MakeNamespace = Callable[..., Namespace]
CLONE_NEWUTS = 0x04000000
EVERYWHERE = LldpConfig(admin_status=dict.fromkeys(Scope, "tx-and-rx"))
NB, NCB = Scope.NEAREST_BRIDGE, Scope.NEAREST_CUSTOMER_BRIDGE


class Watch:
    """A monitor in a coroutine that runs inside a namespace."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.calls = 0
        self.monitor = HostMonitor(self._changed)
        self.monitor.start(asyncio.get_running_loop())

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.monitor.close()

    @property
    def facts(self) -> HostFacts:
        return self.monitor.facts

    @property
    def addresses(self) -> list[str]:
        return [f"{self.facts.names.get(address.index)} {address.text}" for address in self.facts.addresses]

    def _changed(self) -> None:
        self.calls += 1
        self._news.set()

    async def until(self, holds: Callable[[], object], seconds: float = 5.0) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        assert holds(), self.facts


def run_in(namespace: Namespace, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    namespace.call(lambda: asyncio.run(scenario()))


def link_of(namespace: Namespace, name: str) -> Link:
    with namespace.call(RouteSocket) as route:
        link = route.get_link(name)
    assert link is not None
    return link


@pytest.fixture
def host(make_namespace: MakeNamespace) -> Namespace:
    """An uplink up0 (its far end sw0), both up, with IPv6."""
    namespace = make_namespace("host", ipv6=True)
    namespace.ip("link add name up0 address 02:00:00:00:00:01 type veth peer name sw0 address 02:00:00:00:00:02")
    namespace.run("sysctl -qw net.ipv6.conf.sw0.disable_ipv6=1 net.ipv6.conf.up0.accept_dad=0")
    namespace.ip("link set up0 up")
    namespace.ip("link set sw0 up")
    return namespace


def test_addresses_are_followed(host: Namespace) -> None:
    async def scenario() -> None:
        with Watch() as watch:
            await watch.until(lambda: watch.addresses == ["up0 fe80::ff:fe00:1"])
            before = monotonic()
            host.ip("address add 192.0.2.1/24 dev up0")
            await watch.until(lambda: "up0 192.0.2.1" in watch.addresses)
            assert monotonic() - before < 0.5
            host.ip("address add 192.0.2.2/24 dev up0")
            host.ip("address add 198.51.100.1 peer 198.51.100.2 dev sw0")
            host.ip("address add 2001:db8::1/64 dev up0")
            expected = {"up0 192.0.2.1", "up0 192.0.2.2", "up0 2001:db8::1", "up0 fe80::ff:fe00:1", "sw0 198.51.100.1"}
            await watch.until(lambda: set(watch.addresses) == expected)
            assert watch.addresses[-1].startswith(max(("up0", "sw0"), key=host.interface_index))
            host.ip("address delete 192.0.2.1/24 dev up0")
            await watch.until(lambda: "up0 192.0.2.1" not in watch.addresses)
            host.ip("link set up0 name uplink0")
            await watch.until(lambda: "uplink0 2001:db8::1" in watch.addresses)
            host.ip("link delete uplink0")
            await watch.until(lambda: watch.addresses == [])

    run_in(host, scenario)


def test_what_does_not_matter_is_no_news(host: Namespace) -> None:
    async def scenario() -> None:
        with Watch() as watch:
            await watch.until(lambda: watch.addresses)
            calls = watch.calls
            host.ip("address add 127.0.0.2/8 dev lo")
            host.ip("link add name m0 link up0 type macvtap mode vepa")
            host.ip("address add 192.0.2.1/24 dev up0")
            await watch.until(lambda: "up0 192.0.2.1" in watch.addresses)
            assert watch.calls == calls + 1

    run_in(host, scenario)


def test_an_address_that_is_not_yet_ours_is_not_announced(make_namespace: MakeNamespace) -> None:
    """Until duplicate address detection is done (about a second)."""
    host = make_namespace("host", ipv6=True)
    host.ip("link add name up0 type veth peer name sw0")
    host.ip("link set sw0 up")

    async def scenario() -> None:
        with Watch() as watch:
            host.ip("address add 2001:db8::1/64 dev up0")
            host.ip("link set up0 up")
            host.ip("address add 192.0.2.1/24 dev up0")
            await watch.until(lambda: "up0 192.0.2.1" in watch.addresses)
            assert "up0 2001:db8::1" not in watch.addresses
            await watch.until(lambda: "up0 2001:db8::1" in watch.addresses)

    run_in(host, scenario)


def test_news_that_were_lost_are_made_up(host: Namespace) -> None:
    async def scenario() -> None:
        table, done = AddressTable(), asyncio.Event()
        follower = Follower((table,), done.set, receive_buffer=2048)
        follower.start(asyncio.get_running_loop())
        try:
            batch = "".join(f"address add 10.0.{i // 250}.{i % 250}/32 dev up0\n" for i in range(1000))
            host.run("ip -batch -", input=batch)
            host.ip("address delete 10.0.0.7/32 dev up0")
            async with asyncio.timeout(5):
                while len([a for a in table.addresses if a.octets[0] == 10]) != 999:
                    done.clear()
                    await done.wait()
            assert follower.overflows
        finally:
            follower.close()

    run_in(host, scenario)


@pytest.mark.parametrize("setting", ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"])
def test_routing_is_followed(host: Namespace, setting: str) -> None:
    async def scenario() -> None:
        host.run("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
        with Watch() as watch:
            assert not watch.facts.forwards
            for on in (True, False, True):
                host.run(["sysctl", "-qw", f"{setting}={int(on)}"])
                await watch.until(lambda on=on: watch.facts.forwards is on)
        with Watch() as watch:
            assert watch.facts.forwards

    run_in(host, scenario)


def test_bridges_are_followed(host: Namespace) -> None:
    async def scenario() -> None:
        with Watch() as watch:
            assert watch.facts.bridges == ()
            host.bridge("br0", ["sw0"])
            await watch.until(lambda: [bridge.up for bridge in watch.facts.bridges] == [True])
            link = link_of(host, "up0")
            watch.monitor.serve(link, medium=False)
            assert capabilities(link, watch.facts) == Capability.MAC_BRIDGE
            host.ip("link delete br0")
            await watch.until(lambda: not watch.facts.bridges)
            assert capabilities(link, watch.facts) == Capability.STATION_ONLY

    run_in(host, scenario)


def capabilities(link: Link, facts: HostFacts) -> int:
    [found] = [tlv for tlv in everything_said(link, facts, NCB) if isinstance(tlv, SystemCapabilities)]
    return found.enabled


def everything_said(link: Link, facts: HostFacts, scope: Scope) -> tuple[OptionalTlv, ...]:
    return announcement(link, EVERYWHERE, Role.STATION, facts).optional[scope]


def test_a_virtual_link_has_no_medium(host: Namespace) -> None:
    async def scenario() -> None:
        with Watch() as watch:
            link = link_of(host, "up0")
            watch.monitor.serve(link, medium=True)
            assert watch.facts.ethtool == {link.index: Ethtool(reason="it is virtual: it has no link modes")}
            assert watch.facts.chassis_mac == link.mac_address and watch.facts.chassis_name == "up0"
            assert link.index in watch.facts.links
            host.ip("link set sw0 down")
            await watch.until(lambda: not watch.facts.links[link.index].running)
            watch.monitor.forget(link.index)
            assert not watch.facts.links and not watch.facts.ethtool

    run_in(host, scenario)


def test_what_cannot_be_asked_has_a_reason(host: Namespace) -> None:
    ethtool = host.call(EthtoolSocket)
    try:
        assert "Operation not supported" in ethtool.read(host.interface_index("lo")).reason
        assert "No such device" in ethtool.read(4711).reason
    finally:
        ethtool.close()


def test_the_hosts_name_is_followed(host: Namespace) -> None:
    """In a thread that has joined the namespace's host name too."""

    async def scenario() -> None:
        names: list[str] = []
        renamed = asyncio.Event()

        def note() -> None:
            names.append(os.uname().nodename)
            renamed.set()

        watch = HostNameWatch(note)
        watch.start(asyncio.get_running_loop())
        try:
            for name in ("alpha", "beta"):
                host.run(["hostname", name])
                async with asyncio.timeout(5):
                    await renamed.wait()
                renamed.clear()
            await asyncio.sleep(0)
            assert names == ["alpha", "beta"]
        finally:
            watch.close()

    def joined() -> None:
        for kind, number in (("net", CLONE_NEWNET), ("uts", CLONE_NEWUTS)):
            descriptor = os.open(f"/proc/{host.pid}/ns/{kind}", os.O_RDONLY)
            setns(descriptor, number)
            os.close(descriptor)
        asyncio.run(scenario())

    host.call(joined)


# What others read.

HOST = HostFacts(
    system_name="host-a",
    system_description="Test Linux 6.1",
    inventory={
        MedSubtype.MODEL_NAME: "Board 7",
        MedSubtype.SOFTWARE_REVISION: "6.1",
        MedSubtype.SERIAL_NUMBER: "S1",
        MedSubtype.MANUFACTURER_NAME: "Acme",
    },
    chassis_mac=bytes.fromhex("02000000000a"),
    chassis_name="veth0",
    forwards=True,
)
MED = MedConfig(
    device_class=3,
    asset_id="A-1",
    network_policy=(NetworkPolicyConfig("voice", tagged=True, vlan_id=100, priority=5, dscp=46),),
    location=LocationConfig(
        elin="4930123456",
        civic=CivicConfig("DE", {"city": "Berlin", "street": "Unter den Linden", "house-number": "1"}),
        coordinates=CoordinatesConfig(52.5, 13.375, 35.0),
    ),
    power=MedPowerConfig(12.7, "pd", "pse", "high"),
)
RICH = LldpConfig(
    admin_status=dict.fromkeys(Scope, "tx-and-rx"),
    management_addresses=("192.0.2.1", "2001:db8::1"),
    max_management_addresses={NCB: 2},
    custom_tlv=(CustomTlv("33-44-55", 7, hex="0a0b0c"), CustomTlv("33-44-55", 8, text="rack 7")),
    med=MED,
)
FIBRE_25G = LinkModes(False, 1 << 33, 1 << 33, 0, 25_000, True, Port.FIBRE)
COPPER = LinkModes(True, 0x60EF, 0x606C, 0x606C, 1_000, True, Port.TWISTED_PAIR)


def rich_facts(link: Link) -> HostFacts:
    """The link as a member of a bond that is a port of a bridge with VLANs 1 (untagged) and 10 to 12."""
    member = HostLink(link.index, link.name, controller=70, controller_kind="bond", aggregating=True)
    vlans = PortVlans(1, ((1, 1), (10, 12)))
    bond = HostLink(70, "bond0", "bond", controller=80, controller_kind="bridge", vlans=vlans)
    bridge = HostLink(80, "br0", "bridge", up=True, vlan_filtering=0x8100)
    return replace(
        HOST,
        links={link.index: member, 70: bond, 80: bridge},
        bridges=(bridge,),
        vlan_devices={80: ((10, "storage"),)},
        ethtool={link.index: Ethtool(COPPER, PowerSupply(True, 4))},
    )


def frame(link: Link, settings: LldpConfig, facts: HostFacts, scope: Scope) -> bytes:
    said = announcement(link, settings, Role.STATION, facts)
    assert not said.warnings
    pdu = Lldpdu(said.chassis_id, said.port_id, 121, said.optional[scope])
    return EthernetFrame(scope.address, link.mac_address, ETHERTYPE_LLDP, encode_lldpdu(pdu)).encode()


@pytest.fixture
def member(cable: Cable) -> Link:
    return replace(link_of(cable.station, cable.uplink), controller=70, controller_kind="bond")


def test_lldpd_reads_everything(cable: Cable, tmp_path: Path, member: Link) -> None:
    facts = rich_facts(member)
    with Lldpd(cable.bridge, tmp_path, [cable.port]) as lldpd, PacketTap(cable.station, cable.uplink) as tap:
        tap.send(frame(member, RICH, facts, NB))
        [shown] = wait_until(lambda: lldpd.neighbors(cable.port), "lldpd knows us")
    [chassis], [port] = shown["chassis"], shown["port"]
    assert chassis["name"] == [{"value": "host-a"}] and chassis["descr"] == [{"value": "Test Linux 6.1"}]
    assert [address["value"] for address in chassis["mgmt-ip"]] == ["192.0.2.1", "2001:db8::1"]
    assert {item["type"]: item["enabled"] for item in chassis["capability"]} == {
        "Bridge": True,
        "Router": True,
        "Tel": True,
    }
    assert port["aggregation"] == [{"value": "70"}] and port["mfs"] == [{"value": "1522"}]
    [negotiation] = port["auto-negotiation"]
    assert (negotiation["supported"], negotiation["enabled"]) == (True, True)
    assert negotiation["current"] == [{"value": "1000BaseTFD - Four-pair Category 5 UTP, full duplex mode"}]
    assert {(item["type"], item["hd"], item["fd"]) for item in negotiation["advertised"]} == {
        ("100Base-TX", True, True),
        ("1000Base-T", False, True),
    }
    [power] = port["power"]
    assert (power["device-type"][0]["value"], power["class"][0]["value"]) == ("PSE", "class 4")
    assert [(vlan["vlan-id"], vlan.get("pvid", False), vlan["value"]) for vlan in shown["vlan"]] == [
        ("1", True, "vlan1"),
        ("10", False, "storage"),
        ("11", False, "vlan11"),
        ("12", False, "vlan12"),
    ]
    check_med(shown["lldp-med"][0])
    unknown = shown["unknown-tlvs"][0]["unknown-tlv"]
    assert [(tlv["oui"], tlv["subtype"], tlv["value"]) for tlv in unknown if tlv["oui"] == "33,44,55"] == [
        ("33,44,55", "7", "0A,0B,0C"),
        ("33,44,55", "8", "72,61,63,6B,20,37"),
    ]


def check_med(med: dict[str, Any]) -> None:
    assert med["device-type"] == [{"value": "Communication Device Endpoint (Class III)"}]
    assert {item["type"] for item in med["capability"]} == {"Capabilities", "Policy", "Location", "MDI/PD", "Inventory"}
    assert med["policy"] == [
        {
            "apptype": "Voice",
            "defined": True,
            "vlan": [{"vid": "100"}],
            "priority": [{"value": "Voice"}],
            "pcp": [{"value": "5"}],
            "dscp": [{"value": "46"}],
        }
    ]
    coordinates, civic, elin = med["location"]
    assert (coordinates["lat"], coordinates["lon"]) == ([{"value": "52.5000000N"}], [{"value": "13.3750000E"}])
    assert (coordinates["altitude"], coordinates["geoid"]) == ([{"unit": "m", "value": "35"}], "WGS84")
    assert (civic["country"], civic["city"], civic["number"]) == (
        [{"value": "DE"}],
        [{"value": "Berlin"}],
        [{"value": "1"}],
    )
    assert elin["ecs"] == [{"value": "4930123456"}]
    [power] = med["poe"]
    assert (power["device-type"], power["power"]) == ([{"value": "PD"}], [{"value": "12700"}])
    assert (power["source"], power["priority"]) == ([{"value": "PSE"}], [{"value": "high"}])
    [inventory] = med["inventory"]
    assert {key: value[0]["value"] for key, value in inventory.items()} == {
        "software": "6.1",
        "serial": "S1",
        "manufacturer": "Acme",
        "model": "Board 7",
        "asset": "A-1",
    }


def test_tshark_finds_nothing_wrong(cable: Cable, tmp_path: Path, member: Link) -> None:
    file = tmp_path / "sent.pcap"
    facts = rich_facts(member)
    fibre = replace(facts, ethtool={member.index: Ethtool(FIBRE_25G)})
    frames = [frame(member, RICH, facts, NB), frame(member, replace_addresses(RICH), fibre, NB)]
    with Tcpdump(cable.bridge, cable.port, file, "ether proto 0x88cc"), PacketTap(cable.station, cable.uplink) as tap:
        for data in frames:
            tap.send(data)
        wait_until(lambda: file.stat().st_size >= sum(map(len, frames)), "both are captured")
    experts = [layers["_ws.expert.message"] for layers in tshark(file, options=["-e", "_ws.expert.message"])]
    assert experts == [["TLV has been deprecated"]] * 2, "802.3's link aggregation, for those who still read it"
    first, second = (str(layers["lldp"]) for layers in tshark(file))
    for text in (
        "'lldp.ieee.802_1.port_vlan.id': '1'",
        "'lldp.ieee.802_1.vlan.name': 'storage'",
        "'lldp.ieee.802_3.max_frame_size': '1522'",
        "'lldp.ieee.802_3.mdi_power_class': '5'",
        "'lldp.media.asset': 'A-1'",
        "'lldp.ieee.802_3.pmd_mau_type': '0x001e'",
    ):
        assert text in first
    assert "'lldp.ieee.802_3.pmd_mau_type': '0x005d'" in second


def replace_addresses(settings: LldpConfig) -> LldpConfig:
    return LldpConfig(admin_status=settings.admin_status, management_addresses=("192.0.2.1",))


def test_lldpad_takes_what_is_said_in_its_scope(cable: Cable, tmp_path: Path, member: Link) -> None:
    """With one management address by default: not every lldpad takes LLDPDUs that have two."""
    facts = replace(rich_facts(member), addresses=())
    bridge = LldpadPort(evb=RatifiedEvb(mode="bridge", rr_capable=True))
    asked = LldpConfig(admin_status=RICH.admin_status, management_addresses=("192.0.2.1", "2001:db8::1"))
    said = announcement(member, asked, Role.STATION, facts)
    [warning] = said.warnings
    assert warning == f"max-management-addresses is 1 in scope {NCB}: not announced there: 2001:db8::1"
    assert [tlv.text for tlv in said.optional[NCB] if isinstance(tlv, ManagementAddress)] == ["192.0.2.1"]
    pdu = encode_lldpdu(Lldpdu(said.chassis_id, said.port_id, 121, said.optional[NCB]))
    with Lldpad(cable.bridge, tmp_path, {cable.port: bridge}) as lldpad, PacketTap(cable.station, cable.uplink) as tap:
        tap.send(EthernetFrame(NCB.address, member.mac_address, ETHERTYPE_LLDP, pdu).encode())
        heard = wait_until(lambda: lldpad.neighbor_lldpdu(cable.port), "lldpad knows us")
        assert heard.startswith(pdu[:-2])
