"""Bridges, VLANs and bonds, from the kernel's messages."""

import struct

import pytest

from evbagent.hostlinks import HostLink, LinkTable, PortVlans
from tests.support.netlink import RTM_DELLINK, attribute, kind_of, link_message, message, text, word

AF_BRIDGE = 7
PVID, UNTAGGED, BEGIN, END = 2, 4, 8, 16


def taken(*datagrams: bytes) -> dict[int, HostLink]:
    table = LinkTable()
    take(table, *datagrams)
    return table.links


def take(table: LinkTable, *datagrams: bytes) -> None:
    for data in datagrams:
        table.take(kind_of(data), data, 0)


def info(kind: str, *data: bytes) -> bytes:
    return attribute(18, text(1, kind) + (attribute(2, b"".join(data)) if data else b""))


def slave(kind: str, *data: bytes) -> bytes:
    return attribute(18, text(4, kind) + attribute(5, b"".join(data)))


def vlan_info(*vlans: tuple[int, int]) -> bytes:
    return attribute(26, b"".join(attribute(2, struct.pack("HH", flags, vid)) for flags, vid in vlans))


def test_an_interface() -> None:
    [link] = taken(
        link_message(2, [text(3, "eth0"), attribute(54, b"123456"), word(5, 9), attribute(7, bytes(96))], flags=0x1)
    ).values()
    assert link == HostLink(2, "eth0", up=True, parent=9, permanent_mac=b"123456")
    [link] = taken(link_message(2, [text(3, "eth0"), word(5, 9), word(37, 0)])).values()
    assert (link.up, link.running, link.parent) == (True, True, None), "its parent is in another namespace"


@pytest.mark.parametrize(
    ("data", "vid"),
    [
        ([attribute(1, struct.pack("H", 100))], 100),
        ([attribute(1, struct.pack("H", 100)), attribute(5, b"\x81\x00")], 100),
        ([attribute(1, struct.pack("H", 100)), attribute(5, b"\x88\xa8")], None),
        ([], None),
    ],
)
def test_a_vlan_device(data: list[bytes], vid: int | None) -> None:
    [link] = taken(link_message(3, [text(3, "eth0.100"), word(5, 2), info("vlan", *data)])).values()
    assert (link.kind, link.vlan_id, link.parent) == ("vlan", vid, 2)


@pytest.mark.parametrize(
    ("data", "filtering"),
    [
        ([attribute(7, b"\1"), attribute(8, b"\x81\x00")], 0x8100),
        ([attribute(7, b"\1"), attribute(8, b"\x88\xa8")], 0x88A8),
        ([attribute(7, b"\1")], 0x8100),
        ([attribute(7, b"\0"), attribute(8, b"\x81\x00")], None),
        ([word(1, 5)], None),
    ],
)
def test_a_bridge(data: list[bytes], filtering: int | None) -> None:
    [link] = taken(link_message(4, [text(3, "br0"), info("bridge", *data)])).values()
    assert (link.kind, link.vlan_filtering) == ("bridge", filtering)


def test_the_same_numbers_mean_other_things_of_other_kinds() -> None:
    macvlan = info("macvlan", word(1, 2), attribute(7, b"\1"))
    [link] = taken(link_message(4, [text(3, "m0"), macvlan])).values()
    assert (link.vlan_id, link.vlan_filtering) == (None, None)


@pytest.mark.parametrize(
    ("kind", "data", "flags", "aggregating"),
    [
        ("bond", [attribute(1, b"\0")], 0x10001, True),
        ("bond", [attribute(1, b"\1")], 0x10001, False),
        ("bond", [attribute(1, b"\0"), attribute(7, b"\x3d")], 0x10001, True),
        ("bond", [attribute(1, b"\0"), attribute(7, b"\x0d")], 0x10001, False),
        ("bond", [attribute(1, b"\0"), attribute(7, b"\x3d")], 0x1, False),
        ("bond", [], 0x10001, True),
        ("team", [attribute(1, b"\1")], 0x10001, True),
        ("team", [], 0x1, False),
        ("bridge", [attribute(1, b"\3")], 0x10001, None),
    ],
)
def test_members_of_bonds(kind: str, data: list[bytes], flags: int, aggregating: bool | None) -> None:
    [link] = taken(link_message(2, [text(3, "eth0"), word(10, 70), slave(kind, *data)], flags=flags)).values()
    assert (link.controller, link.controller_kind, link.aggregating) == (70, kind, aggregating)
    assert link.is_member is (aggregating is not None)


ETH0 = link_message(2, [text(3, "eth0"), word(10, 80), slave("bridge")])


def test_vlans_of_a_bridges_port() -> None:
    table = LinkTable()
    said = vlan_info((PVID | UNTAGGED, 1), (BEGIN, 10), (END, 12), (UNTAGGED, 20))
    take(table, ETH0, link_message(2, [text(3, "eth0"), word(10, 80), said], family=AF_BRIDGE))
    assert table.links[2].vlans == PortVlans(1, ((1, 1), (10, 12), (20, 20)))
    assert list(table.links[2].vlans.vids()) == [1, 10, 11, 12, 20]

    take(table, ETH0)
    assert table.links[2].vlans.pvid == 1, "the interface's own message does not speak of them"
    card = attribute(26, attribute(0, b"\2\0"))
    take(table, link_message(2, [text(3, "eth0"), word(10, 80), card], family=AF_BRIDGE))
    assert table.links[2].vlans.pvid == 1, "nor does the network card's"
    take(table, link_message(2, [text(3, "eth0"), word(10, 80)], family=AF_BRIDGE))
    assert table.links[2].vlans == PortVlans(), "but the bridge's that has none"

    take(table, link_message(2, [text(3, "eth0"), said], family=AF_BRIDGE))
    take(table, link_message(2, [text(3, "eth0")], family=AF_BRIDGE, kind=RTM_DELLINK))
    assert table.links[2].vlans == PortVlans(), "it has left the bridge"
    take(table, link_message(9, [text(3, "eth9"), said], family=AF_BRIDGE))
    assert 9 not in table.links


def test_interfaces_go() -> None:
    table = LinkTable()
    take(table, ETH0, link_message(3, [text(3, "eth1")]), link_message(4, []), message(20, bytes(8)))
    assert set(table.links) == {2, 3}, "what has no name is a wireless event"
    take(table, link_message(2, [text(3, "eth0")], kind=RTM_DELLINK), link_message(5, [], kind=RTM_DELLINK))
    assert set(table.links) == {3}


def test_broken_attributes_end_the_list() -> None:
    [link] = taken(link_message(3, [text(3, "v"), attribute(18, text(1, "vlan") + b"\0\0\0\0\1")])).values()
    assert (link.kind, link.vlan_id) == ("vlan", None)
