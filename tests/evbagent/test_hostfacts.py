"""What the host is: read from files, and put together from tables."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from evbagent.addresses import AddressTable
from evbagent.hostfacts import HostFacts, arrange, inventory, system_description, system_name
from evbagent.hostlinks import HostLink, LinkTable
from protocols.lldp.med import MedSubtype
from tests.support.netlink import RTM_NEWADDR, address_message


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_distribution_and_the_kernel(tmp_path: Path) -> None:
    kernel = os.uname()
    end = f" {kernel.sysname} {kernel.release} {kernel.machine}"
    assert system_description(tmp_path) == kernel.sysname + end
    write(tmp_path, "usr/lib/os-release", "NAME=x\nPRETTY_NAME='Vendor OS'\n")
    assert system_description(tmp_path) == "Vendor OS" + end
    write(tmp_path, "etc/os-release", 'PRETTY_NAME="Ours = 1 \xff"\n')
    assert system_description(tmp_path).startswith("Ours = 1 ")
    assert system_name()


def test_the_inventory(tmp_path: Path) -> None:
    release = {MedSubtype.SOFTWARE_REVISION: os.uname().release}
    assert inventory(tmp_path) == release
    dmi = {
        "product_version": "To Be Filled By O.E.M.",
        "bios_version": "2.1\n",
        "sys_vendor": " Acme Inc. \n",
        "product_name": "Board 7\n",
        "chassis_asset_tag": "\n",
    }
    for name, text in dmi.items():
        write(tmp_path, f"sys/class/dmi/id/{name}", text)
    (tmp_path / "sys/class/dmi/id/product_serial").mkdir()  # as little readable as for who is not root
    assert inventory(tmp_path) == release | {
        MedSubtype.FIRMWARE_REVISION: "2.1",
        MedSubtype.MANUFACTURER_NAME: "Acme Inc.",
        MedSubtype.MODEL_NAME: "Board 7",
    }


def test_a_board_without_dmi(tmp_path: Path) -> None:
    write(tmp_path, "proc/device-tree/model", "Pi 5\0")
    write(tmp_path, "proc/device-tree/serial-number", "1000\0")
    found = inventory(tmp_path)
    assert (found[MedSubtype.MODEL_NAME], found[MedSubtype.SERIAL_NUMBER]) == ("Pi 5", "1000")


LINKS = {
    1: HostLink(1, "lo"),
    2: HostLink(2, "eth0"),
    3: HostLink(3, "eth0.20", "vlan", parent=2, vlan_id=20),
    4: HostLink(4, "eth0.10", "vlan", parent=2, vlan_id=10),
    5: HostLink(5, "br0", "bridge"),
    6: HostLink(6, "bond0", "bond"),
    7: HostLink(7, "tap0", "tun", controller=5, controller_kind="bridge"),
    8: HostLink(8, "far", "vlan", vlan_id=10),
    11: HostLink(11, "eth0.0", "vlan", parent=2, vlan_id=0),
}


def table(links: Mapping[int, HostLink]) -> LinkTable:
    made = LinkTable()
    for link in links.values():
        made._put(link)
    return made


def test_what_matters_is_kept() -> None:
    nothing = AddressTable()
    facts = arrange(HostFacts("name"), table(LINKS), nothing, {2, 99})
    assert facts.system_name == "name"
    assert set(facts.links) == {2, 5, 6} and facts.bridges == (LINKS[5],)
    assert facts.vlan_devices == {2: ((10, "eth0.10"), (20, "eth0.20"))}
    guests = LINKS | {9: HostLink(9, "tap1", "tun"), 10: HostLink(10, "m0", "macvtap", parent=2)}
    assert arrange(facts, table(guests), nothing, {2}) == facts, "guests come and go without news"
    assert arrange(facts, table(LINKS | {2: replace(LINKS[2], running=True)}), nothing, {2}) != facts


def test_the_names_that_go_with_addresses() -> None:
    addresses = AddressTable()
    for index, last in ((1, 1), (5, 2), (99, 3)):
        addresses.take(RTM_NEWADDR, address_message(index, bytes([192, 0, 2, last])), 0)
    facts = arrange(HostFacts(), table(LINKS), addresses, ())
    assert [known.text for known in facts.addresses] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert facts.names == {1: "lo", 5: "br0"}
