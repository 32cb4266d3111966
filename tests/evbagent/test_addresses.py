"""The host's addresses and its forwarding, from the kernel's messages."""

import pytest

from evbagent.addresses import AddressTable, ForwardingTable, HostAddress
from protocols.lldp.addresses import AddressFamily
from tests.support.netlink import (
    RTM_DELADDR,
    RTM_DELLINK,
    address_message,
    attribute,
    forwarding_message,
    kind_of,
    link_message,
    message,
    text,
    word,
)

V4, OTHER = bytes([192, 0, 2, 1]), bytes([10, 0, 0, 1])
V6 = bytes.fromhex("20010db8" + "00" * 11 + "01")
ALL = -1


def take(table: AddressTable | ForwardingTable, *datagrams: bytes) -> None:
    for data in datagrams:
        table.take(kind_of(data), data, 0)


def texts(table: AddressTable) -> list[str]:
    return [f"{address.index} {address.text}" for address in table.addresses]


def test_addresses_come_and_go() -> None:
    table = AddressTable()
    take(table, address_message(3, V4), address_message(2, V6), address_message(2, OTHER), address_message(3, V4))
    assert texts(table) == ["2 2001:db8::1", "2 10.0.0.1", "3 192.0.2.1"]
    assert table.addresses[2] == HostAddress(3, AddressFamily.IPV4, V4)
    take(table, address_message(2, V6, kind=RTM_DELADDR), address_message(9, V6, kind=RTM_DELADDR))
    assert texts(table) == ["2 10.0.0.1", "3 192.0.2.1"]
    take(table, address_message(1, bytes([127, 0, 0, 1])))
    assert table.indexes == {2, 3}, "the loopback address is nobody else's"


def test_they_go_with_their_interface() -> None:
    table = AddressTable()
    take(table, address_message(3, V4), address_message(2, V6))
    take(table, link_message(3, [], kind=RTM_DELLINK, family=7))
    assert len(table.addresses) == 2, "it has left its bridge"
    take(table, link_message(3, [text(3, "eth0")], kind=RTM_DELLINK))
    assert texts(table) == ["2 2001:db8::1"]


def test_on_a_point_to_point_link_the_own_end_counts() -> None:
    table = AddressTable()
    take(table, address_message(3, OTHER, attribute(2, V4)))
    assert texts(table) == ["3 192.0.2.1"]


@pytest.mark.parametrize(
    ("octets", "flags", "settled"),
    [
        (V6, 0x80, True),
        (V6, 0x01, False),
        (V6, 0x08, False),
        (V6, 0x20, False),
        (V6, 0x40, False),
        (V6, 0x44, False),
        (V4, 0x01, True),
        (V4, 0x20, False),
    ],
)
def test_whether_an_address_is_there_to_stay(octets: bytes, flags: int, settled: bool) -> None:
    """In the attribute of 32 bits, or in the header of a kernel that does not send it."""
    table = AddressTable()
    take(table, address_message(3, octets, word(8, flags)))
    assert len(table.addresses) == settled and table.indexes == ({3} if settled else set())
    take(table, address_message(3, octets, kind=RTM_DELADDR), address_message(4, octets, flags=flags))
    assert len(table.addresses) == settled and table.indexes == ({4} if settled else set())


def test_other_families_are_ignored() -> None:
    table = AddressTable()
    take(table, message(20, bytes([129, 0, 0, 0, 1, 0, 0, 0]) + attribute(1, V4)))
    take(table, message(20, bytes([2, 0, 0, 0, 1, 0, 0, 0])))
    take(table, message(24, bytes(12)))
    assert table.addresses == ()


@pytest.mark.parametrize(
    ("octets", "link_local", "loopback"),
    [
        (V4, False, False),
        (bytes([169, 254, 0, 1]), True, False),
        (bytes([127, 0, 0, 5]), False, True),
        (V6, False, False),
        (bytes.fromhex("febf" + "00" * 14), True, False),
        (bytes.fromhex("fec0" + "00" * 14), False, False),
        (bytes(15) + b"\1", False, True),
        (bytes(15) + b"\2", False, False),
    ],
)
def test_how_far_an_address_reaches(octets: bytes, link_local: bool, loopback: bool) -> None:
    family = AddressFamily.IPV4 if len(octets) == 4 else AddressFamily.IPV6
    address = HostAddress(1, family, octets)
    assert (address.is_link_local, address.is_loopback) == (link_local, loopback)


def test_forwarding_of_either_version_makes_a_router() -> None:
    table = ForwardingTable()
    assert not table.forwards
    take(table, forwarding_message(10, ALL, 1), forwarding_message(2, ALL, 0))
    assert table.forwards
    take(table, forwarding_message(10, ALL, None), forwarding_message(10, 3, 0), forwarding_message(10, -2, 0))
    assert table.forwards, "of one interface, or of those to come, is not meant"
    take(table, message(20, bytes(8)), forwarding_message(10, ALL, 0))
    assert not table.forwards
