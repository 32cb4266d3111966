"""What a port says about itself: made from a link, settings and facts, and read back by the codecs."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import convert

from evbagent.addresses import HostAddress
from evbagent.ethtool import Ethtool, LinkModes, Port, PowerSupply
from evbagent.hostfacts import HostFacts
from evbagent.hostlinks import HostLink, PortVlans
from evbagent.lldpconfig import LldpConfig, TlvName
from evbagent.localtlvs import IMPORTANCE, Announcement, announcement, announces_medium, local_tlvs
from evbagent.netlink import Link
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.lldp import dot1_codec, dot3_codec, med_codec
from protocols.lldp.addresses import AddressFamily
from protocols.lldp.agent import MAX_LLDPDU, AdminStatus
from protocols.lldp.codec import decode_lldpdu, encode_lldpdu
from protocols.lldp.dot1 import DOT1_OUI, AggregationPortType, LinkAggregation, PortVlanId, VlanName
from protocols.lldp.dot3 import DOT3_OUI, Dot3LinkAggregation, MacPhy, MaximumFrameSize, PowerViaMdi
from protocols.lldp.med import MED_OUI, Inventory, MedCapabilities, MedSubtype, NetworkPolicy
from protocols.lldp.tlvs import (
    Capability,
    ChassisId,
    Lldpdu,
    ManagementAddress,
    OrganizationalTlv,
    PortDescription,
    PortId,
    SystemCapabilities,
    SystemDescription,
    SystemName,
)

MAC = bytes.fromhex("02000000000a")
OWN_MAC = bytes.fromhex("00000000000b")
NB, NNTPMR, NCB = Scope
LINK = Link(2, "eth0", MAC, 1, mtu=1500)
SLAVE = replace(LINK, controller=70, controller_kind="bond")
FACTS = HostFacts("host-a", "Test Linux 6.1", chassis_mac=b"\2chass", chassis_name="eth0")
OUIS = {DOT1_OUI: dot1_codec.decode, DOT3_OUI: dot3_codec.decode, MED_OUI: med_codec.decode}


def config(**settings: Any) -> LldpConfig:
    """Heard in all scopes, unless it says otherwise."""
    settings = {name.replace("_", "-"): value for name, value in settings.items()}
    return convert({"admin-status": dict.fromkeys(Scope, "tx-and-rx")} | settings, LldpConfig)


def said(
    link: Link = LINK, settings: LldpConfig | None = None, facts: HostFacts = FACTS, role: Role = Role.STATION
) -> Announcement:
    return announcement(link, settings or config(), role, facts)


def values(local: Announcement, scope: Scope = NB) -> list[Any]:
    """The TLVs as receivers read them: each survives its encoding."""
    pdu = Lldpdu(local.chassis_id, local.port_id, 121, local.optional[scope])
    reading = decode_lldpdu(encode_lldpdu(pdu))
    assert reading.pdu == pdu and not reading.errors
    return [
        OUIS[tlv.oui](tlv.subtype, tlv.value) if isinstance(tlv, OrganizationalTlv) and tlv.oui in OUIS else tlv
        for tlv in reading.pdu.optional
    ]


def of_kind(kind: type, local: Announcement, scope: Scope = NB) -> list[Any]:
    return [value for value in values(local, scope) if isinstance(value, kind)]


def address(text: str, index: int = 2) -> HostAddress:
    octets = bytes(map(int, text.split("."))) if "." in text else bytes.fromhex(text)
    return HostAddress(index, AddressFamily.IPV4 if len(octets) == 4 else AddressFamily.IPV6, octets)


V4, V6 = address("192.0.2.1"), address("20010db8" + "00" * 11 + "01")


# Who speaks.


def test_by_default_the_host_is_announced_where_evb_lives_and_where_switches_look() -> None:
    local = said(settings=LldpConfig())
    assert local.admin_status == {NB: AdminStatus.TX_AND_RX, NNTPMR: AdminStatus.RX_ONLY, NCB: AdminStatus.TX_AND_RX}
    assert (local.optional[NNTPMR], local.warnings) == ((), ())
    basic = [
        PortDescription(b"eth0"),
        SystemName(b"host-a"),
        SystemDescription(b"Test Linux 6.1"),
        SystemCapabilities(0x80, 0x80),
    ]
    assert values(local, NCB) == basic
    assert values(local, NB) == [*basic, MaximumFrameSize(1518)]
    assert (local.chassis_id, local.port_id, local.mac_address) == (ChassisId(4, b"\2chass"), PortId(3, MAC), MAC)


def test_a_silent_listener() -> None:
    local = said(settings=config(transmit=False))
    assert set(local.admin_status.values()) == {AdminStatus.RX_ONLY} and not any(local.optional.values())
    only = {NB: "tx-only", NNTPMR: "disabled", NCB: "rx-only"}
    local = said(settings=convert({"transmit": False, "admin-status": only}, LldpConfig))
    assert list(local.admin_status.values()) == [AdminStatus.DISABLED, AdminStatus.DISABLED, AdminStatus.RX_ONLY]


def test_which_scope_says_what() -> None:
    facts = replace(FACTS, ethtool={2: Ethtool(LinkModes(False, 1 << 43, 0, 0, 10_000, True))})
    local = said(settings=config(tlvs={NNTPMR: ["system-name", "dot3"], NCB: ["!basic"]}), facts=facts)
    assert of_kind(MacPhy, local, NB) == of_kind(MacPhy, local, NNTPMR) == [MacPhy(False, False, 0, 36)]
    kinds = [type(value) for value in values(local, NNTPMR)]
    assert kinds == [SystemName, MacPhy, MaximumFrameSize]
    assert values(local, NCB) == []


def test_when_the_medium_matters() -> None:
    assert announces_medium(LldpConfig())
    assert not announces_medium(LldpConfig(admin_status={NB: "rx-only"}))
    assert announces_medium(config()) and not announces_medium(config(transmit=False))
    assert not announces_medium(config(tlvs={NB: ["!dot3"]}))


# Identifiers.


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("interface-name", ChassisId(6, b"eth0")),
        ("local", ChassisId(7, b"host-a")),
        ("local:rack 7", ChassisId(7, b"rack 7")),
        ("network-address", ChassisId(5, b"\1\xc0\0\2\1")),
        ("mac-address:02:00:00:00:00:0f", ChassisId(4, bytes.fromhex("02000000000f"))),
    ],
)
def test_chassis_ids(setting: str, expected: ChassisId) -> None:
    facts = replace(FACTS, addresses=(V6, V4))
    assert said(settings=config(chassis_id=setting), facts=facts).chassis_id == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("interface-name", PortId(5, b"eth0")),
        ("interface-alias", PortId(1, b"to the switch")),
        ("local", PortId(7, b"eth0")),
        ("network-address", PortId(4, b"\2" + V6.octets)),
        ("agent-circuit-id:0102", PortId(6, b"\1\2")),
    ],
)
def test_port_ids(setting: str, expected: PortId) -> None:
    facts = replace(FACTS, addresses=(address("192.0.2.1", 3), V6))
    link = replace(LINK, alias="to the switch")
    assert said(link, config(port_id=setting), facts).port_id == expected


def test_what_there_is_not_is_replaced() -> None:
    local = said(settings=config(chassis_id="network-address", port_id="network-address"))
    assert (local.chassis_id, local.port_id) == (ChassisId(4, b"\2chass"), PortId(3, MAC))
    assert said(settings=config(port_id="interface-alias")).port_id == PortId(5, b"eth0")


def test_a_member_of_a_bond_goes_by_its_own_address() -> None:
    member = HostLink(2, "eth0", controller=70, controller_kind="bond", aggregating=True, permanent_mac=OWN_MAC)
    local = said(SLAVE, facts=replace(FACTS, links={2: member}))
    assert local.port_id == PortId(3, OWN_MAC)
    assert local.mac_address == bytes.fromhex("02000000000b"), "which no other interface uses"
    assert said(LINK, facts=replace(FACTS, links={2: replace(member, controller=None)})).port_id == PortId(3, MAC)


# Basic TLVs.


@pytest.mark.parametrize(
    ("setting", "alias", "expected"),
    [
        ("interface-alias", "to the switch", b"to the switch"),
        ("interface-alias", "", b"eth0"),
        ("interface-alias", "lldpd: connected to sw1", b"eth0"),
        ("interface-name", "to the switch", b"eth0"),
        ("text:port 3", "to the switch", b"port 3"),
    ],
)
def test_port_descriptions(setting: str, alias: str, expected: bytes) -> None:
    local = said(replace(LINK, alias=alias), config(port_description=setting))
    assert of_kind(PortDescription, local) == [PortDescription(expected)]


def test_long_texts_are_cut_between_characters() -> None:
    local = said(facts=replace(FACTS, system_name="ü" * 200, system_description="x" * 300))
    assert of_kind(SystemName, local) == [SystemName(("ü" * 127).encode())]
    assert of_kind(SystemDescription, local) == [SystemDescription(b"x" * 255)]
    assert of_kind(SystemName, said(facts=replace(FACTS, system_name="\udcff"))) == [SystemName(b"\\udcff")]
    assert of_kind(SystemName, said(settings=config(system_name="mine"))) == [SystemName(b"mine")]


BRIDGE = HostLink(80, "br0", "bridge", up=True)


@pytest.mark.parametrize(
    ("link", "role", "facts", "supported", "enabled"),
    [
        (LINK, Role.STATION, FACTS, Capability.STATION_ONLY, Capability.STATION_ONLY),
        (LINK, Role.BRIDGE, FACTS, Capability.MAC_BRIDGE, Capability.MAC_BRIDGE),
        (LINK, Role.STATION, replace(FACTS, forwards=True), Capability.ROUTER, Capability.ROUTER),
        (LINK, Role.STATION, replace(FACTS, bridges=(BRIDGE,)), Capability.MAC_BRIDGE, Capability.MAC_BRIDGE),
        (LINK, Role.STATION, replace(FACTS, bridges=(replace(BRIDGE, up=False),)), Capability.MAC_BRIDGE, 0),
        (LINK, Role.STATION, replace(FACTS, bridges=(replace(BRIDGE, vlan_filtering=0x8100),)), 0x104, 0x104),
        (LINK, Role.STATION, replace(FACTS, bridges=(replace(BRIDGE, vlan_filtering=0x88A8),)), 0x204, 0x204),
        (replace(LINK, controller=80, controller_kind="bridge"), Role.STATION, FACTS, 4, 4),
    ],
)
def test_capabilities_are_what_the_host_is(
    link: Link, role: Role, facts: HostFacts, supported: int, enabled: int
) -> None:
    assert of_kind(SystemCapabilities, said(link, facts=facts, role=role)) == [SystemCapabilities(supported, enabled)]


def test_capabilities_can_be_told() -> None:
    told = config(system_capabilities=["repeater", "router"])
    assert of_kind(SystemCapabilities, said(settings=told)) == [SystemCapabilities(0x12, 0x12)]
    told = config(system_capabilities=["repeater", "router"], system_capabilities_enabled=["router", "mac-bridge"])
    assert of_kind(SystemCapabilities, said(settings=told)) == [SystemCapabilities(0x12, 0x10)]
    phone = config(med={"device-class": 3})
    assert of_kind(SystemCapabilities, said(settings=phone)) == [SystemCapabilities(0x20, 0x20)]


def test_management_addresses_by_scope() -> None:
    facts = replace(FACTS, addresses=(V6, V4))
    local = said(facts=facts)
    assert [tlv.text for tlv in of_kind(ManagementAddress, local, NB)] == ["192.0.2.1", "2001:db8::1"]
    assert [tlv.text for tlv in of_kind(ManagementAddress, local, NCB)] == ["192.0.2.1"]
    assert local.warnings == (), "nobody asked for more"
    asked = config(management_addresses=["2001:db8::1", "192.0.2.1"])
    local = said(settings=asked, facts=facts)
    assert [tlv.text for tlv in of_kind(ManagementAddress, local, NCB)] == ["2001:db8::1"]
    [warning] = local.warnings
    assert "192.0.2.1" in warning and NCB in warning
    unsaid = config(management_addresses=["*"], tlvs={NCB: ["!management-address"]})
    assert said(settings=unsaid, facts=facts).warnings == ()


# IEEE 802.1 and 802.3.


def test_vlan_devices_on_the_link() -> None:
    facts = replace(FACTS, vlan_devices={2: ((10, "storage"), (20, "eth0.20")), 3: ((30, "eth1.30"),)})
    local = said(facts=facts)
    assert of_kind(VlanName, local) == [VlanName(10, b"storage"), VlanName(20, b"eth0.20")]
    assert of_kind(MaximumFrameSize, local) == [MaximumFrameSize(1522)]
    assert of_kind(PortVlanId, local) == []
    assert of_kind(MaximumFrameSize, said(replace(LINK, mtu=9000))) == [MaximumFrameSize(9018)]
    assert of_kind(MaximumFrameSize, said(replace(LINK, mtu=65535))) == [MaximumFrameSize(65535)]
    assert of_kind(MaximumFrameSize, said(replace(LINK, mtu=0))) == []


def bridged(vlan_filtering: int | None, vlans: PortVlans, **more: Any) -> HostFacts:
    port = HostLink(2, "eth0", controller=80, controller_kind="bridge", vlans=vlans)
    return replace(FACTS, links={2: port, 80: replace(BRIDGE, vlan_filtering=vlan_filtering)}, **more)


PORT = replace(LINK, controller=80, controller_kind="bridge")


def test_vlans_of_a_bridges_port() -> None:
    vlans = PortVlans(1, ((1, 1), (10, 12)))
    facts = bridged(0x8100, vlans, vlan_devices={80: ((11, "guests"), (99, "br0.99")), 2: ((10, "eth0.10"),)})
    local = said(PORT, facts=facts)
    assert of_kind(PortVlanId, local) == [PortVlanId(1)]
    names = [VlanName(1, b"vlan1"), VlanName(10, b"eth0.10"), VlanName(11, b"guests"), VlanName(12, b"vlan12")]
    assert of_kind(VlanName, local) == names
    assert of_kind(MaximumFrameSize, local) == [MaximumFrameSize(1522)]
    untagged = said(PORT, facts=bridged(0x8100, PortVlans(1, ((1, 1),))))
    assert of_kind(MaximumFrameSize, untagged) == [MaximumFrameSize(1518)]
    assert of_kind(PortVlanId, said(PORT, facts=bridged(0x8100, PortVlans(0, ((5, 5),))))) == []


def test_a_bridge_that_does_not_filter_passes_vlans_on() -> None:
    facts = bridged(None, PortVlans(1, ((1, 1),)), vlan_devices={80: ((11, "guests"),)})
    local = said(PORT, facts=facts)
    assert of_kind(VlanName, local) == [VlanName(11, b"guests")] and of_kind(PortVlanId, local) == []


def test_a_member_of_a_bond_carries_its_vlans() -> None:
    member = HostLink(2, "eth0", controller=70, controller_kind="bond", aggregating=True)
    bond = HostLink(70, "bond0", "bond", controller=80, controller_kind="bridge", vlans=PortVlans(7, ((7, 8),)))
    links = {2: member, 70: bond, 80: replace(BRIDGE, vlan_filtering=0x8100)}
    facts = replace(FACTS, links=links, vlan_devices={70: ((9, "bond0.9"),)})
    local = said(SLAVE, facts=facts)
    assert of_kind(VlanName, local) == [VlanName(7, b"vlan7"), VlanName(8, b"vlan8"), VlanName(9, b"bond0.9")]
    assert of_kind(PortVlanId, local) == [PortVlanId(7)]
    loop = replace(FACTS, links={2: member, 70: replace(bond, controller=70, controller_kind="bond")})
    assert of_kind(VlanName, said(SLAVE, facts=loop)) == []


@pytest.mark.parametrize(("aggregating", "active"), [(True, True), (None, True), (False, False)])
def test_link_aggregation(aggregating: bool | None, active: bool) -> None:
    member = HostLink(2, "eth0", controller=70, controller_kind="bond", aggregating=aggregating)
    for facts in [replace(FACTS, links={2: member})] + ([FACTS] if active else []):
        local = said(SLAVE, facts=facts)
        index = 70 if active else 0
        assert of_kind(LinkAggregation, local) == [
            LinkAggregation(True, active, AggregationPortType.AGGREGATION_PORT, index)
        ]
        assert of_kind(Dot3LinkAggregation, local) == [Dot3LinkAggregation(True, active, index)]
    assert of_kind(LinkAggregation, said()) == of_kind(Dot3LinkAggregation, said()) == []


def test_what_ethtool_says() -> None:
    copper = LinkModes(True, 0x60EF, 0x60EF, 0, 1_000, True, Port.TWISTED_PAIR)
    local = said(facts=replace(FACTS, ethtool={2: Ethtool(copper, PowerSupply(True, 3))}))
    assert of_kind(MacPhy, local) == [MacPhy(True, True, 0x6C11, 30)]
    [power] = of_kind(PowerViaMdi, local)
    assert (power.support.pse, power.support.mdi_power_enabled, power.support.power_class) == (True, True, 4)
    for nothing in (Ethtool(reason="no"), None):
        facts = replace(FACTS, ethtool={2: nothing} if nothing else {})
        assert of_kind(MacPhy, said(facts=facts)) == of_kind(PowerViaMdi, said(facts=facts)) == []


# LLDP-MED and custom TLVs.

MED = {
    "device-class": 2,
    "model-name": "Board 8",
    "network-policy": [{"application-type": "voice", "tagged": True, "vlan-id": 100, "priority": 5, "dscp": 46}],
    "location": {"elin": "0123456789"},
}


def test_an_endpoint_by_request() -> None:
    known = {MedSubtype.MODEL_NAME: "Board 7", MedSubtype.SERIAL_NUMBER: "S" * 40}
    facts = replace(FACTS, inventory=known)
    local = said(settings=config(med=MED), facts=facts)
    assert of_kind(MedCapabilities, local) == [MedCapabilities(0x27, 2)]
    assert of_kind(NetworkPolicy, local) == [NetworkPolicy(1, False, True, 100, 5, 46)]
    assert of_kind(Inventory, local) == [Inventory(8, b"S" * 32), Inventory(10, b"Board 8")]
    assert not of_kind(MedCapabilities, local, NCB)
    assert not of_kind(MedCapabilities, said(facts=facts)) and not of_kind(Inventory, said(facts=facts))
    quiet = config(med=MED | {"inventory": False})
    assert of_kind(MedCapabilities, said(settings=quiet, facts=facts)) == [MedCapabilities(0x07, 2)]
    bare = config(med={"device-class": 1})
    assert of_kind(MedCapabilities, said(settings=bare)) == [MedCapabilities(0x01, 1)]


def test_nothing_of_med_without_its_capabilities() -> None:
    local = said(settings=config(med=MED, tlvs={NB: ["!med-capabilities"]}))
    assert not [tlv for tlv in local.optional[NB] if isinstance(tlv, OrganizationalTlv) and tlv.oui == MED_OUI]


def test_custom_tlvs_and_their_scopes() -> None:
    everywhere, near = {"oui": "33-44-55", "subtype": 1, "text": "a"}, {"oui": "334455", "subtype": 2, "scopes": [NB]}
    local = said(settings=config(custom_tlv=[everywhere, near]))
    first, second = OrganizationalTlv(b"3DU", 1, b"a"), OrganizationalTlv(b"3DU", 2, b"")
    assert [tlv for tlv in local.optional[NB] if tlv in (first, second)] == [first, second]
    assert [tlv for tlv in local.optional[NCB] if tlv in (first, second)] == [first]


# Size.


def test_every_tlv_has_its_importance() -> None:
    assert sorted(IMPORTANCE) == sorted(TlvName)


def size(local: Announcement, scope: Scope) -> int:
    return len(encode_lldpdu(Lldpdu(local.chassis_id, local.port_id, 121, local.optional[scope])))


@pytest.mark.parametrize(("scope", "reserved"), [(NB, 0), (NCB, 15)])
def test_vlan_names_fill_what_is_left_of_an_lldpdu(scope: Scope, reserved: int) -> None:
    facts = replace(FACTS, vlan_devices={2: tuple((vid, f"eth0.{vid}") for vid in range(1, 4095))})
    local = said(facts=facts)
    names = of_kind(VlanName, local, scope)
    assert [name.vlan_id for name in names] == list(range(1, len(names) + 1)) and len(names) > 80
    assert MAX_LLDPDU - reserved - 20 < size(local, scope) <= MAX_LLDPDU - reserved
    words = f"no room in the LLDPDU of scope {scope} for vlan-name eth0.{len(names) + 1} and {4093 - len(names)} more"
    assert words in local.warnings
    assert of_kind(SystemDescription, local, scope), "what matters more has its place"


def test_the_least_important_goes_first() -> None:
    custom = [{"oui": "334455", "subtype": number, "text": "x" * 500} for number in range(3)]
    facts = replace(FACTS, system_description="d" * 255, vlan_devices={2: ((10, "storage"),)})
    local = said(settings=config(custom_tlv=custom, tlvs={NB: ["all"]}), facts=facts)
    assert [tlv.subtype for tlv in of_kind(OrganizationalTlv, local)] == [0, 1]
    assert of_kind(SystemDescription, local) and of_kind(VlanName, local)
    assert local.warnings[0] == f"no room in the LLDPDU of scope {NB} for custom 33-44-55 subtype 2"
    assert len(local.warnings) == 3 and size(local, NB) <= MAX_LLDPDU


def test_what_is_small_may_have_room_where_what_is_great_has_none() -> None:
    sizes = (500, 500, 490, 10)
    custom = [{"oui": "334455", "subtype": number, "text": "x" * size} for number, size in enumerate(sizes)]
    local = said(settings=config(custom_tlv=custom, tlvs={NB: ["custom"]}))
    assert [tlv.subtype for tlv in of_kind(OrganizationalTlv, local)] == [0, 1, 3]
    assert local.warnings[0].endswith("for custom 33-44-55 subtype 2")


def test_a_link_of_small_frames_gets_small_lldpdus() -> None:
    local = said(replace(LINK, mtu=68), facts=replace(FACTS, addresses=(V4,)))
    assert size(local, NB) <= 68
    assert [type(value) for value in values(local)][:3] == [PortDescription, SystemName, SystemCapabilities]
    assert any("system-description" in warning for warning in local.warnings)


def test_one_scope_alone() -> None:
    local = local_tlvs(LINK, config(), Role.STATION, FACTS, NB)
    assert (local.chassis_id, local.port_id, local.optional) == (
        said().chassis_id,
        said().port_id,
        said().optional[NB],
    )
