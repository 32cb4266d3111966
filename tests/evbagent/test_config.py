"""Configuration files: merged in order, validated, refused with the name of file and key."""

import subprocess
import sys
from pathlib import Path

import pytest

from evbagent.config import Config, ConfigError, load, parse
from evbagent.switchconfig import switch_rules
from protocols.vdp.rules import PolicyRules


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_without_a_file_everything_has_its_default() -> None:
    config = parse([])
    assert config == Config()
    settings = config.for_uplink("eth0")
    assert (settings.role, settings.evb.edition, settings.evb.reflective_relay) == ("station", "auto", None)
    assert settings.lldp.message_tx_interval == 30
    assert (settings.vdp.on_stop, settings.vdp.vsis_per_ecpdu, settings.vdp.ecp_ethertype) == ("keep", "auto", 0x8940)
    assert switch_rules(config.switch) == PolicyRules()


def test_later_files_go_over_earlier_ones_table_by_table(tmp_path: Path) -> None:
    first = write(tmp_path, "a.toml", "[lldp]\nmessage-tx-interval = 5\nmax-neighbors = 7\n[evb]\nedition = 'draft'\n")
    second = write(tmp_path, "b.toml", "role = 'bridge'\n[lldp]\nmessage-tx-interval = 9\n")
    config = parse([first, second])
    assert (config.role, config.evb.edition) == ("bridge", "draft")
    assert (config.lldp.message_tx_interval, config.lldp.max_neighbors) == (9, 7)


def test_what_differs_on_some_uplinks(tmp_path: Path) -> None:
    text = """
    [lldp.admin-status]
    nearest-bridge = "disabled"
    [uplink."ens*"]
    reflective-relay = "off"
    lldp = { message-tx-interval = 10, admin-status = { nearest-customer-bridge = "tx-only" } }
    [uplink."ens1"]
    role = "bridge"
    evb = { keep-alive-exponent = 21 }
    vdp = { vsis-per-ecpdu = 1, ecpdu-gap = 50, ecp-destination = "01:00:0d:00:0f:0a" }
    [vdp]
    on-stop = "deassociate"
    """
    config = load(write(tmp_path, "c.toml", text))
    plain, general, special = (config.for_uplink(name) for name in ("eth0", "ens0", "ens1"))
    assert (plain.role, plain.evb.reflective_relay, plain.lldp.message_tx_interval) == ("station", None, 30)
    assert (general.role, general.evb.reflective_relay, general.lldp.message_tx_interval) == ("station", "off", 10)
    assert dict(general.lldp.admin_status) == {"nearest-bridge": "disabled", "nearest-customer-bridge": "tx-only"}
    assert (special.role, special.evb.reflective_relay, special.evb.keep_alive_exponent) == ("bridge", "off", 21)
    assert [settings.vdp.on_stop for settings in (plain, general, special)] == ["deassociate"] * 3
    assert [settings.vdp.vsis_per_ecpdu for settings in (plain, general, special)] == ["auto", "auto", 1]
    assert (special.vdp.ecpdu_gap, special.vdp.ecp_destination) == (50, "01:00:0d:00:0f:0a")


def test_tables_that_are_one_value_are_not_mixed(tmp_path: Path) -> None:
    """Each of these is right by itself; mixed, a device would have a supply's source."""
    text = """
    [lldp.med]
    device-class = 1
    power = { watts = 1, type = "pse", source = "backup" }
    location = { elin = "0123456789", civic = { country = "DE", address = { city = "Berlin" } } }
    [uplink."ens*".lldp.med]
    power = { watts = 2, source = "local" }
    location = { civic = { country = "FR", address = { street = "rue" } } }
    [uplink."*1".lldp.med]
    power = { watts = 3, type = "pse", source = "primary" }
    """
    config = load(write(tmp_path, "c.toml", text))
    found = [config.for_uplink(name).lldp.med for name in ("eth0", "ens0", "ens1")]
    assert [(med.power.watts, med.power.type, med.power.source) for med in found if med.power] == [
        (1, "pse", "backup"),
        (2, "pd", "local"),
        (3, "pse", "primary"),
    ]
    assert {med.device_class for med in found} == {1} and {med.location.elin for med in found} == {"0123456789"}
    assert [dict(med.location.civic.address) for med in found if med.location.civic] == [
        {"city": "Berlin"},
        {"street": "rue"},
        {"street": "rue"},
    ]


def test_the_command_lines_role_goes_over_the_files() -> None:
    assert Config().with_role("bridge").for_uplink("eth0").role == "bridge"


def test_the_role_changes_nothing_else(tmp_path: Path) -> None:
    text = """
    [vdp]
    ecp-ethertype = 0x8890
    [switch]
    capacity = 100
    default = { vids = "100-199", delay = 0.5 }
    [[switch.rule]]
    manager = "192.0.2.7"
    type = [1, "100-199"]
    answer = "other-failure"
    """
    config = load(write(tmp_path, "c.toml", text))
    other = config.with_role("bridge")
    assert (other.vdp, other.switch) == (config.vdp, config.switch)


def test_a_later_files_rules_are_the_rules(tmp_path: Path) -> None:
    first = write(tmp_path, "a.toml", "[switch]\ncapacity = 9\n[[switch.rule]]\ntype = 1\n[[switch.rule]]\ntype = 2\n")
    second = write(tmp_path, "b.toml", "[[switch.rule]]\ntype = 3\n")
    switch = parse([first, second]).switch
    assert ([rule.type for rule in switch.rule], switch.capacity) == ([3], 9)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("rolle = 'bridge'", "rolle: unknown key"),
        ("role = 'router'", "role:"),
        ("interfaces = 'eth0'", "interfaces:"),
        ("interfaces = ['']", "interfaces[0]:"),
        ("[lldp]\nmessage-tx-interval = 0", "lldp.message-tx-interval:"),
        ("[lldp]\nmessage-tx-interval = 1.5", "lldp.message-tx-interval:"),
        ("[lldp]\nmsg-tx-interval = 1", "lldp.msg-tx-interval: unknown key"),
        ("[lldp.admin-status]\nnearest = 'disabled'", "lldp.admin-status"),
        ("[lldp.admin-status]\nnearest-bridge = 'on'", "lldp.admin-status"),
        ("[lldp]\nmanagement-addresses = ['192.0.2.300']", "lldp.management-addresses: '192.0.2.300'"),
        ("[lldp]\ntransmit = 'no'", "lldp.transmit:"),
        ("[lldp]\nchassis-id = 'serial'", "lldp.chassis-id: 'serial' is none of chassis-component"),
        ("[lldp.tlvs]\nnearest-bridge = ['dot4']", "lldp.tlvs.nearest-bridge: 'dot4' is none of all, basic"),
        ("[[lldp.custom-tlv]]\noui = '00'\nsubtype = 1", "lldp.custom-tlv[0]: oui is '00', not three octets"),
        ("[[lldp.custom-tlv]]\nsubtype = 1", "lldp.custom-tlv[0].oui: is missing"),
        ("[lldp.med]\npower = { watts = 1, source = 'primary' }", "lldp.med.power: source is primary, which a pd"),
        ("[[lldp.med.network-policy]]\napplication-type = 'fax'", "lldp.med.network-policy[0]: 'fax' is none of"),
        ("[uplink.eth0.lldp.tlvs]\nnearest-bridge = ['x']", "uplink.eth0.lldp: tlvs.nearest-bridge: 'x' is none"),
        ("[uplink.eth0.lldp.med]\nmodel-name = ''", "uplink.eth0.lldp: med.model-name:"),
        ("[evb]\nedition = 'newest'", "evb.edition:"),
        ("[evb]\nkeep-alive-exponent = 28", "evb.keep-alive-exponent:"),
        ("[evb]\necp-retries = 8", "evb.ecp-retries:"),
        ("[uplink.eth0]\nspeed = 10", "speed: unknown key"),
        ("[uplink.eth0.lldp]\ntx = 1", "uplink.eth0.lldp: tx: unknown key"),
        ("[uplink.eth0.evb]\nedition = 1", "uplink.eth0.evb: edition:"),
        ("[uplink.eth0.lldp]\nmanagement-addresses = ['1.2.3']", "uplink.eth0.lldp: management-addresses: '1.2.3'"),
        ("[vdp]\non-stop = 'leave'", "vdp.on-stop:"),
        ("[vdp]\nvsis-per-ecpdu = 0", "vdp.vsis-per-ecpdu:"),
        ("[vdp]\nvsis-per-ecpdu = 'all'", "vdp.vsis-per-ecpdu:"),
        ("[vdp]\necpdu-gap = 0.5", "vdp.ecpdu-gap:"),
        ("[vdp]\nmax-vsis = 65537", "vdp.max-vsis:"),
        ("[vdp]\necp-ethertype = 0x88b7", "vdp.ecp-ethertype:"),
        ("[vdp]\necp-destination = '01:80'", "vdp.ecp-destination: '01:80' is not a MAC address"),
        ("[vdp]\necp-destination = '00:00:00:00:00:00'", "vdp.ecp-destination:"),
        ("[uplink.eth0.vdp]\nmax = 1", "uplink.eth0.vdp: max: unknown key"),
        ("[uplink.eth0.vdp]\necp-destination = 'x'", "uplink.eth0.vdp.ecp-destination:"),
        ("[switch]\ncapacity = -1", "switch.capacity:"),
        ("[[switch.rule]]\n[[switch.rule]]\nvids = '5000'", "switch.rule[1].vids: '5000' is not within 1-4094"),
        ("[[switch.rule]]\nname = 1", "switch.rule[0].name: unknown key"),
        ("[switch.default]\ntype = 1", "switch.default.type: unknown key"),
        ("interfaces = ['eth0', 'eth 1']", "interfaces: 'eth 1' can be no interface's name"),
        ("interfaces = ['a/*']", "interfaces: 'a/*' can be no interface's name"),
        ("interfaces = ['enx0242ac11000200']", "interfaces: 'enx0242ac11000200' can be no interface's name"),
        ("[uplink.'eth0:1']\nrole = 'bridge'", "uplink: 'eth0:1' can be no interface's name"),
        ("a = [", "is not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    path = write(tmp_path, "bad.toml", text)
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"role = '\xe9'")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(latin)


def test_the_mistake_is_looked_for_in_the_file_that_has_it(tmp_path: Path) -> None:
    good, bad = write(tmp_path, "a.toml", "role = 'bridge'"), write(tmp_path, "b.toml", "[evb]\nrte = 1")
    with pytest.raises(ConfigError, match=str(bad)):
        parse([good, bad])


def test_an_interface_on_the_command_line_that_cannot_be(tmp_path: Path) -> None:
    words = ["run", "--state-dir", str(tmp_path), "--interface", "eth?", "--interface", "eth 0"]
    done = subprocess.run([sys.executable, "-m", "evbagent", *words], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "evbagent: --interface: 'eth 0' can be no interface's name\n"
    assert list(tmp_path.iterdir()) == []
