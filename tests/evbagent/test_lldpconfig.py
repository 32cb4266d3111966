"""The `[lldp]` table: what is taken, what is refused and in which words, which TLVs are chosen."""

import tomllib
from json import dumps
from pathlib import Path
from typing import Any

import pytest
from msgspec import ValidationError, convert, to_builtins

from evbagent.config import ConfigError, load
from evbagent.hostfacts import HostFacts
from evbagent.lldpconfig import DEFAULT_TLVS, LldpConfig, TlvName, capability_bits, identifier
from evbagent.localtlvs import announcement
from evbagent.netlink import Link
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.lldp.codec import encode_lldpdu
from protocols.lldp.tlvs import ChassisIdSubtype, Lldpdu, PortIdSubtype

NB, NCB = Scope.NEAREST_BRIDGE, Scope.NEAREST_CUSTOMER_BRIDGE

EVERYTHING = """
transmit = false
chassis-id = "local:rack 7"
port-id = "interface-name"
port-description = "text:to the switch"
system-capabilities = ["mac-bridge", "router"]
system-capabilities-enabled = ["router"]
management-addresses = ["192.0.2.1", "10.*", "eth0", "br?", "!fe80::*", "!*:*"]

[max-management-addresses]
nearest-customer-bridge = 2

[admin-status]
nearest-bridge = "tx-only"

[tlvs]
nearest-bridge = ["all", "!med", "!vlan-name"]
nearest-customer-bridge = []

[[custom-tlv]]
oui = "33-44-55"
subtype = 7
hex = "0a 0b:0c"
scopes = ["nearest-bridge"]

[[custom-tlv]]
oui = "334455"
subtype = 8
text = "rack 7"

[med]
device-class = 2
asset-id = "A-1"

[[med.network-policy]]
application-type = "voice-signaling"
vlan-id = 100

[med.location]
elin = "0123456789"
civic = { country = "DE", address = { city = "Berlin", house-number = "1" } }
coordinates = { latitude = 52.5, longitude = -13.4, altitude = 2, altitude-unit = "floors", datum = "nad83-mllw" }

[med.power]
watts = 12.9
type = "pse"
source = "backup"
"""


def read(text: str) -> LldpConfig:
    return convert(tomllib.loads(text), LldpConfig)


def test_everything_can_be_said_and_kept() -> None:
    config = read(EVERYTHING)
    assert convert(to_builtins(config), LldpConfig) == config
    assert [(tlv.oui_octets.hex(), tlv.subtype, tlv.value) for tlv in config.custom_tlv] == [
        ("334455", 7, b"\x0a\x0b\x0c"),
        ("334455", 8, b"rack 7"),
    ]
    assert config.med.device_class == 2 and config.med.network_policy[0].vlan_id == 100


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('chassis-id = "chassis-component"', "chassis-id: chassis-component needs a value"),
        ('chassis-id = "interface-alias"', "chassis-id: interface-alias needs a value"),
        ('chassis-id = "agent-circuit-id:00"', "chassis-id: 'agent-circuit-id' is none of chassis-component"),
        ('chassis-id = "local:"', "chassis-id: local has an empty value"),
        ('port-id = "mac_address"', "port-id: 'mac_address' is none of interface-alias"),
        ('port-id = "agent-circuit-id:xy"', "port-id: agent-circuit-id is 'xy', not octets in hexadecimal"),
        ('port-id = "network-address:1.2.3"', "port-id: '1.2.3' does not appear to be"),
        ('port-id = "mac-address:1"', "port-id: '1' is not a MAC address"),
        (f'port-id = "local:{"x" * 256}"', "port-id: local has 256 octets, more than 255"),
        ('port-description = "alias"', "port-description: 'alias' is none of interface-alias, interface-name, text"),
        ('system-capabilities = ["switch"]', "system-capabilities: 'switch' is none of other, repeater, mac-bridge"),
        ('system-capabilities-enabled = ["x"]', "system-capabilities-enabled: 'x'"),
        ('management-addresses = ["192.0.2.300"]', "management-addresses: '192.0.2.300' does not appear to be"),
        ('management-addresses = ["!fe80::"]\nadmin-status = {here = "tx-only"}', "admin-status"),
        ('management-addresses = ["!2001:db8::g"]', "management-addresses: '2001:db8::g'"),
        ('management-addresses = ["!"]', "management-addresses: an empty pattern"),
        ('tlvs = {nearest-bridge = ["!port-desc"]}', "tlvs.nearest-bridge: 'port-desc' is none of all, basic"),
        ('custom-tlv = [{oui = "1234", subtype = 1}]', "oui is '1234', not three octets in hexadecimal"),
        ('custom-tlv = [{oui = "xyz", subtype = 1}]', "oui is 'xyz', not octets in hexadecimal"),
        ('custom-tlv = [{oui = "334455", subtype = 1, hex = "1"}]', "hex is '1', not octets"),
        ('custom-tlv = [{oui = "334455", subtype = 1, hex = "", text = ""}]', "both hex and text"),
        (f'custom-tlv = [{{oui = "334455", subtype = 1, text = "{"x" * 508}"}}]', "508 octets, more than 507"),
        ('custom-tlv = [{oui = "00-80-c2", subtype = 13}]', "is EVB's"),
        ('custom-tlv = [{oui = "00:1b:3f", subtype = 0}]', "is EVB's"),
        ("med = {device-class = 4}", "device-class"),
        ("med = {network-policy = [{application-type = 'fax'}]}", "'fax' is none of voice, voice-signaling"),
        ("med = {network-policy = [{application-type='voice'},{application-type='voice'}]}", "two network policies"),
        ("med = {location = {civic = {country = 'de', address = {}}}}", "country"),
        ("med = {location = {civic = {country = 'DE', address = {town = 'x'}}}}", "'town' is none of language"),
        (
            f"med = {{location = {{civic = {{country = 'DE', address = {{city = '{'x' * 251}'}}}}}}}}",
            "city has 251 octets, more than 250",
        ),
        (
            f"med={{location={{civic={{country='DE', address={{city='{'x' * 200}', street='{'x' * 50}'}}}}}}}}",
            "a civic location of 257 octets",
        ),
        ("med = {location = {elin = '911'}}", "elin"),
        ("med = {location = {coordinates = {latitude = 91, longitude = 0}}}", "latitude"),
        ("med = {power = {watts = 1, source = 'primary'}}", "source is primary, which a pd has not: pse, local"),
        ("med = {power = {watts = 103}}", "watts"),
        ("med = {serial-number = '" + "x" * 33 + "'}", "serial-number"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ValidationError) as error:
        read(text)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (None, DEFAULT_TLVS[NCB]),
        (["!vlan-name"], DEFAULT_TLVS[NCB] - {TlvName.VLAN_NAME}),
        (["system-name", "mac-phy"], {TlvName.SYSTEM_NAME, TlvName.MAC_PHY}),
        (["dot1", "!vlan-name"], {TlvName.PORT_VLAN_ID, TlvName.LINK_AGGREGATION}),
        (["all", "!all", "custom"], set()),
        ([], set()),
    ],
)
def test_which_tlvs_go_out(words: list[str] | None, chosen: set[TlvName]) -> None:
    config = LldpConfig() if words is None else convert({"tlvs": {NCB: words}}, LldpConfig)
    assert config.chosen_tlvs(NCB) == chosen
    assert config.chosen_tlvs(NB) == set(TlvName)


def test_the_cable_is_described_on_the_cable_alone() -> None:
    for scope in (Scope.NEAREST_NON_TPMR_BRIDGE, NCB):
        chosen = LldpConfig().chosen_tlvs(scope)
        assert TlvName.SYSTEM_NAME in chosen and TlvName.CUSTOM in chosen and TlvName.PORT_VLAN_ID in chosen
        assert not {name for name in chosen if name in (TlvName.MAC_PHY, TlvName.MED_CAPABILITIES)}


def test_lldpad_gets_one_management_address() -> None:
    assert LldpConfig().most_management_addresses(NCB) == 1
    assert LldpConfig().most_management_addresses(NB) is None
    config = LldpConfig(max_management_addresses={NCB: 2, NB: 0})
    assert (config.most_management_addresses(NCB), config.most_management_addresses(NB)) == (2, 0)


@pytest.mark.parametrize(
    ("kind", "setting", "expected"),
    [
        (ChassisIdSubtype, "mac-address", (4, None)),
        (ChassisIdSubtype, "mac-address:02:00:00:00:00:0a", (4, bytes.fromhex("02000000000a"))),
        (ChassisIdSubtype, "network-address:192.0.2.1", (5, bytes.fromhex("01c0000201"))),
        (ChassisIdSubtype, "network-address:2001:db8::1", (5, bytes.fromhex("02" + "20010db8" + "00" * 11 + "01"))),
        (ChassisIdSubtype, "chassis-component:blade 3", (1, b"blade 3")),
        (ChassisIdSubtype, "local:a:b", (7, b"a:b")),
        (PortIdSubtype, "interface-alias", (1, None)),
        (PortIdSubtype, "agent-circuit-id:01-02", (6, b"\1\2")),
        (PortIdSubtype, "interface-name", (5, None)),
    ],
)
def test_identifiers(kind: Any, setting: str, expected: tuple[int, bytes | None]) -> None:
    assert identifier(kind, setting) == expected


def test_capabilities_are_named_as_they_are_shown() -> None:
    assert capability_bits(("mac-bridge", "router", "router")) == 0x14
    assert capability_bits(()) == 0


# Every key with every kind of wrong value: an error that names it, or something that can be announced.

NUMBERS = (True, -1, 0, 1.5, 1 << 40, float("nan"))
WRONG = (*NUMBERS, "", "x", "!", "\0", "é☃\u202e", "a" * 600, [], ["x"], [1], {}, {"x": 1}, {"\u202e": 1})
PORT = Link(2, "eth0", bytes.fromhex("02000000000a"), 1, mtu=1500)
HOST = HostFacts("host-a", "Test Linux", chassis_mac=b"\2chass", chassis_name="eth0")


def leaves(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every value, tables and arrays among them."""
    found: list[tuple[str | int, ...]] = []
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += leaves(value, (*path, key))
    return found


def toml(value: Any) -> str:
    """A value as TOML has it in line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
    return dumps(value, ensure_ascii=True).replace("NaN", "nan")


@pytest.mark.parametrize("path", leaves(tomllib.loads(EVERYTHING)), ids=lambda path: ".".join(map(str, path)))
def test_a_wrong_value_is_named_or_can_be_announced(path: tuple[str | int, ...], tmp_path: Path) -> None:
    refused = 0
    for wrong in WRONG:
        document = tomllib.loads(EVERYTHING)
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = wrong
        file = tmp_path / "evbagent.toml"
        file.write_text(f"lldp = {toml(document)}\n", encoding="utf-8")
        try:
            config = load(file)
        except ConfigError as error:
            refused += 1
            named = [key for key in path if isinstance(key, str)]
            assert any(key in str(error) for key in named), f"{error} does not name {path}"
            assert str(error).startswith(f"{file}: lldp.") and str(error).isprintable() and len(str(error)) < 1500
            continue
        said = announcement(PORT, config.for_uplink("eth0").lldp, Role.STATION, HOST)
        for optional in said.optional.values():
            assert len(encode_lldpdu(Lldpdu(said.chassis_id, said.port_id, 121, optional))) <= 1500
    assert refused >= len(WRONG) // 3
