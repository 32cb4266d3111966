"""What systemd-networkd's files say of EmitLLDP=, in its order of precedence."""

from pathlib import Path

import pytest

from evbagent.networkd import Emission, networkd_emission
from protocols.frame import Scope
from tests.support.machine import Machine

FILE = "/etc/systemd/network/10-uplink.network"


def machine(root: Path, network: str, **drop_ins: str) -> Machine:
    made = Machine(root)
    made.file(
        "run/systemd/netif/links/3", f"# This is private data.\nADMIN_STATE=configured\nNETWORK_FILE={FILE}\nDNS=\n"
    )
    made.file(FILE[1:], network)
    for place, text in drop_ins.items():
        made.file(PLACES[place], text)
    return made


PLACES = {
    "run_a": "run/systemd/network/10-uplink.network.d/a.conf",
    "etc_b": "etc/systemd/network/10-uplink.network.d/b.conf",
    "usr_b": "usr/lib/systemd/network/10-uplink.network.d/b.conf",
    "etc_c": "etc/systemd/network/10-uplink.network.d/c.txt",
    "other": "etc/systemd/network/20-other.network.d/z.conf",
}


@pytest.mark.parametrize(
    ("value", "scope"),
    [
        ("yes", Scope.NEAREST_BRIDGE),
        ("TRUE", Scope.NEAREST_BRIDGE),
        ("nearest-bridge", Scope.NEAREST_BRIDGE),
        ("non-tpmr-bridge", Scope.NEAREST_NON_TPMR_BRIDGE),
        ("customer-bridge", Scope.NEAREST_CUSTOMER_BRIDGE),
        ("no", None),
        ("", None),
        ("sometimes", None),
    ],
)
def test_the_values(tmp_path: Path, value: str, scope: Scope | None) -> None:
    machine(tmp_path, f"[Match]\nName=eth0\n\n[Network]\nLLDP=yes\nEmitLLDP = {value} \n[Link]\nEmitLLDP=yes\n")
    assert networkd_emission(3, tmp_path) == (None if scope is None else Emission(scope, FILE))


def test_only_the_network_section_counts(tmp_path: Path) -> None:
    machine(tmp_path, "EmitLLDP=yes\n[Link]\nEmitLLDP=yes\n[Network]\n#EmitLLDP=yes\n;EmitLLDP=yes\n")
    assert networkd_emission(3, tmp_path) is None


def test_drop_ins_come_by_name_and_the_first_directory_has_precedence(tmp_path: Path) -> None:
    no, yes, customer = ("[Network]\nEmitLLDP=" + value for value in ("no", "yes", "customer-bridge"))
    machine(tmp_path, no, run_a=yes)
    assert networkd_emission(3, tmp_path) == Emission(Scope.NEAREST_BRIDGE, FILE)
    machine(tmp_path, no, run_a=yes, usr_b=customer, etc_c=no, other=no)
    assert networkd_emission(3, tmp_path) == Emission(Scope.NEAREST_CUSTOMER_BRIDGE, FILE)
    machine(tmp_path, no, run_a=yes, usr_b=customer, etc_b="[Network]\nLLDP=no")
    assert networkd_emission(3, tmp_path) == Emission(Scope.NEAREST_BRIDGE, FILE)


def test_nothing_to_read(tmp_path: Path) -> None:
    assert networkd_emission(3, tmp_path) is None
    made = machine(tmp_path, "[Network]\nEmitLLDP=yes\n")
    assert networkd_emission(4, tmp_path) is None
    made.file("run/systemd/netif/links/3", "NETWORK_FILE=\n")
    assert networkd_emission(3, tmp_path) is None
    made.file("run/systemd/netif/links/3", "NETWORK_FILE=/etc/systemd/network/gone.network\n")
    assert networkd_emission(3, tmp_path) is None
