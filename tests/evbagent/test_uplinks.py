"""Which links are uplinks, and what their machines are told."""

from dataclasses import replace
from pathlib import Path

import pytest

from evbagent.config import Config, EvbConfig, LldpConfig, UplinkSettings
from evbagent.hostfacts import HostFacts
from evbagent.localtlvs import announcement
from evbagent.netlink import Link
from evbagent.uplinks import asks_for_relay, is_uplink, port_settings
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.tlvs import ChassisId, PortId, SystemCapabilities, SystemName

MAC = bytes.fromhex("02000000000a")
NIC = Link(2, "eth0", MAC, 1, parent_device="0000:01:00.0", parent_bus="pci")
VETH = Link(3, "veth0", MAC, 1, kind="veth")
NCB = Scope.NEAREST_CUSTOMER_BRIDGE
FACTS = HostFacts("host-b", "Test Linux", chassis_mac=b"\x02chass")
STATION = Config().for_uplink("eth0")


def test_by_default_physical_links_alone(tmp_path: Path) -> None:
    assert is_uplink(NIC, None, tmp_path)
    for link in (
        VETH,
        replace(NIC, kind="bond"),
        replace(NIC, parent_device=None),
        replace(NIC, parent_bus="virtio"),
        replace(NIC, hardware_type=772),
    ):
        assert not is_uplink(link, None, tmp_path)


@pytest.mark.parametrize("mark", ["wireless", "phy80211", "device/physfn"])
def test_neither_wireless_nor_virtual_functions(tmp_path: Path, mark: str) -> None:
    (tmp_path / "eth0" / mark).mkdir(parents=True)
    assert not is_uplink(NIC, None, tmp_path)
    assert is_uplink(NIC, ["eth0"], tmp_path)


def test_a_pattern_takes_what_it_names_but_nothing_that_stands_on_others() -> None:
    assert is_uplink(VETH, ["eth*", "ve*"])
    assert not is_uplink(VETH, ["eth*"]) and not is_uplink(VETH, [])
    guest = replace(VETH, name="vguest", kind="macvtap")
    assert not is_uplink(guest, ["v*"]) and is_uplink(guest, ["vguest"])
    bridge = replace(VETH, name="vbr", kind="bridge")
    assert not is_uplink(bridge, ["v*"]) and not is_uplink(bridge, ["vbr"])


def test_a_station_on_a_bridges_port_does_not_ask_unless_told_to() -> None:
    port = replace(VETH, controller=9, controller_kind="bridge")
    slave = replace(VETH, controller=9, controller_kind="bond")
    told = UplinkSettings("station", LldpConfig(), EvbConfig(reflective_relay="request"))
    off = UplinkSettings("station", LldpConfig(), EvbConfig(reflective_relay="off"))
    switch = UplinkSettings("bridge", LldpConfig(), EvbConfig())
    assert asks_for_relay(VETH, STATION) and asks_for_relay(slave, STATION)
    assert not asks_for_relay(port, STATION)
    assert asks_for_relay(port, told) and asks_for_relay(port, switch)
    assert not asks_for_relay(VETH, off)


def test_what_the_machines_are_told() -> None:
    lldp = LldpConfig(
        message_tx_interval=7,
        system_name="host-a",
        management_addresses=("192.0.2.1", "2001:db8::1"),
        admin_status={Scope.NEAREST_BRIDGE: "disabled"},
    )
    evb = EvbConfig(edition="draft", ecp_ack_timer_exponent=13, keep_alive_exponent=21)
    told = port_settings(NIC, UplinkSettings("station", lldp, evb), FACTS)
    assert told.tx.msg_tx_interval == 7
    assert told.admin_status == {
        Scope.NEAREST_BRIDGE: AdminStatus.DISABLED,
        Scope.NEAREST_NON_TPMR_BRIDGE: AdminStatus.RX_ONLY,
        Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX,
    }
    assert [edition.name for edition in told.evb.editions] == ["draft"]
    assert (told.evb.parameters.rte, told.evb.parameters.rka) == (13, 21)
    said = announcement(NIC, lldp, Role.STATION, FACTS)
    assert (told.mac_address, told.chassis_id, told.port_id) == (MAC, ChassisId(4, b"\x02chass"), PortId(3, MAC))
    assert (told.optional, told.warnings) == (said.optional, said.warnings)
    assert SystemName(b"host-a") in told.optional[NCB]


def test_the_switch_says_that_it_is_one() -> None:
    told = port_settings(NIC, UplinkSettings("bridge", LldpConfig(), EvbConfig()), FACTS)
    assert SystemCapabilities(4, 4) in told.optional[NCB]
    assert [edition.name for edition in told.evb.editions] == ["ratified", "draft"]
