"""Management addresses: chosen as lldpd chooses them, or by patterns."""

from ipaddress import ip_address

import pytest

from evbagent.addresses import HostAddress
from evbagent.management import management_addresses, names_addresses
from protocols.lldp.addresses import AddressFamily

HOST = (
    ("eth0", "fe80::1"),
    ("eth0", "169.254.3.4"),
    ("eth0", "10.0.0.1"),
    ("eth0", "2001:db8::1"),
    ("br0", "192.0.2.1"),
    ("br0", "192.0.2.2"),
    ("docker0", "172.17.0.1"),
    ("lan", "fe80::2"),
)
NAMES = {2: "eth0", 3: "br0", 4: "docker0", 5: "lan"}
INDEXES = {name: index for index, name in NAMES.items()}


def addresses(host: tuple[tuple[str, str], ...] = HOST) -> list[HostAddress]:
    found = []
    for interface, text in host:
        address = ip_address(text)
        family = AddressFamily.IPV4 if address.version == 4 else AddressFamily.IPV6
        found.append(HostAddress(INDEXES[interface], family, address.packed))
    return found


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], "10.0.0.1 2001:db8::1"),
        (["!10.*"], "192.0.2.1 2001:db8::1"),
        (["!eth0"], "192.0.2.1 fe80::2"),
        (["!*:*"], "10.0.0.1"),
        (["!*"], ""),
        (["192.0.2.*"], "192.0.2.1 192.0.2.2"),
        (["br0"], "192.0.2.1 192.0.2.2"),
        (["eth?"], "10.0.0.1 2001:db8::1"),
        (["lan"], "fe80::2"),
        (["*"], "10.0.0.1 2001:db8::1 192.0.2.1 192.0.2.2 172.17.0.1"),
        (["*", "!docker*"], "10.0.0.1 2001:db8::1 192.0.2.1 192.0.2.2"),
        (["br0", "10.*", "br*"], "192.0.2.1 192.0.2.2 10.0.0.1"),
        (["198.51.100.7", "br0"], "198.51.100.7 192.0.2.1 192.0.2.2"),
        (["192.0.2.2", "2001:db8:0::1", "192.0.2.2"], "192.0.2.2 2001:db8::1"),
        (["192.0.2.2", "!192.*"], "192.0.2.2"),
        (["eth9"], ""),
    ],
)
def test_what_is_chosen(patterns: list[str], chosen: str) -> None:
    assert [tlv.text for tlv in management_addresses(patterns, addresses(), NAMES)] == chosen.split()


def test_link_local_addresses_are_better_than_none() -> None:
    found = addresses((("eth0", "169.254.3.4"), ("eth0", "fe80::1"), ("lan", "fe80::2")))
    assert [tlv.text for tlv in management_addresses([], found, NAMES)] == ["169.254.3.4", "fe80::1"]
    assert [tlv.text for tlv in management_addresses(["*"], found, NAMES)] == ["169.254.3.4", "fe80::1", "fe80::2"]
    assert list(management_addresses([], [], {})) == []


def test_the_interface_of_an_address() -> None:
    own, foreign = management_addresses(["192.0.2.1", "198.51.100.7"], addresses(), NAMES)
    assert (own.numbering, own.number) == (2, 3)
    assert (foreign.numbering, foreign.number) == (1, 0)


def test_whether_patterns_say_what_is_meant() -> None:
    assert names_addresses(["!10.*", "eth0"])
    assert not names_addresses(["!10.*"]) and not names_addresses([])
