"""Surroundings on a made-up machine: what is read when, what comes of it, and what it costs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evbagent.config import Config
from evbagent.firmware import Firmware, PrivateFlag
from evbagent.hostfacts import HostFacts
from evbagent.netlink import Link
from evbagent.others import MOST_TAPS, Surroundings, port_facts
from evbagent.port import Port
from evbagent.portwatch import MINUTE
from evbagent.uplinks import port_settings
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.stack import LinkState, PortStack, SendFrame
from protocols.timers import SECOND
from tests.support.lldpdus import NEAREST_BRIDGE, frame, lldpdu, tlv
from tests.support.machine import Machine

UP = 0x1 | 0x10000
OTHER = bytes.fromhex("02000000000b")


def mac(index: int) -> bytes:
    return bytes.fromhex("0200000000") + bytes([index])


def link(index: int, **more: Any) -> Link:
    return Link(index, f"eth{index}", mac(index), 1, **{"flags": UP, **more})


class Tap:
    """What leaves on one interface."""

    def __init__(self, open_taps: dict[int, "Tap"], index: int) -> None:
        self.open_taps, self.index = open_taps, index
        self.kept: list[bytes] = []
        open_taps[index] = self

    def frames(self) -> list[bytes]:
        return self.kept

    def close(self) -> None:
        del self.open_taps[self.index]


class World:
    """A machine, served ports on it, and a clock."""

    def __init__(self, root: Path, ports: int = 1, role: Role = Role.STATION) -> None:
        self.machine = Machine(root)
        self.now = 10 * SECOND
        self.links = {index: link(index) for index in range(2, 2 + ports)}
        self.ports = {index: self._port(found, role) for index, found in self.links.items()}
        self.taps: dict[int, Tap] = {}
        self.firmware = Firmware()
        self.asked: list[str] = []
        self.surroundings = Surroundings(root, lambda index: Tap(self.taps, index), self._read, lambda: self.now)
        for index in self.links:
            self.machine.received(f"eth{index}", 0)

    def _port(self, found: Link, role: Role) -> Port:
        stack = PortStack(
            role, port_settings(found, Config().for_uplink(found.name), HostFacts(chassis_mac=mac(2))), lambda: 1
        )
        stack.request(LinkState(True), self.now)
        return Port(None, found, role, stack, "")  # type: ignore[arg-type]

    def _read(self, name: str) -> Firmware:
        self.asked.append(name)
        return self.firmware

    def look(self) -> Mapping[int, tuple[str, ...]]:
        return self.surroundings.look(self.links, self.ports)

    def minute(self) -> Mapping[int, tuple[str, ...]]:
        """Our agent speaks as its machines will, then a look."""
        end = self.now + MINUTE
        for index, port in self.ports.items():
            while (due := port.stack.next_deadline()) is not None and due <= end:
                for effect in port.stack.advance(due):
                    if index in self.taps and isinstance(effect, SendFrame):
                        self.taps[index].kept.append(effect.data)
        self.now = end
        return self.look()

    def hear(self, index: int, data: bytes) -> None:
        self.ports[index].stack.receive(data, self.now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_machine_of_our_own(world: World) -> None:
    for _ in range(5):
        assert world.look() == {2: ()}
        world.minute()
    assert world.surroundings.company == {2: ()}


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    def refuse(index: int) -> Tap:
        raise PermissionError

    world = World(tmp_path)
    blind = Surroundings(tmp_path / "nothing", refuse, lambda name: Firmware(), lambda: world.now)
    for _ in range(5):
        assert blind.look(world.links, world.ports) == {2: ()}
        world.now += MINUTE
    assert Surroundings(tmp_path / "nothing").look({}, {}) == {}


def test_nothing_is_read_more_often_than_once_a_minute(world: World) -> None:
    world.look()
    world.machine.packet_socket(10, ethertype=0x88CC)
    world.machine.process(5, "lldpad", sockets=[10])
    for _ in range(58):
        world.now += SECOND
        world.look()
    assert world.surroundings.company == {2: ()} and world.asked == ["eth2"]
    world.now += SECOND
    world.look()
    assert world.surroundings.company == {2: ("lldpad (pid 5) is here too",)} and len(world.asked) == 2


def test_facts_of_a_port(world: World) -> None:
    facts = port_facts(world.ports[2])
    assert (facts.name, facts.mac_address, facts.enabled, facts.bridge) == ("eth2", mac(2), True, False)
    assert facts.msap == (4, mac(2), 3, mac(2)) and not facts.relay_active
    assert facts.sends == {Scope.NEAREST_BRIDGE: 1, Scope.NEAREST_CUSTOMER_BRIDGE: 1}
    assert (facts.heard, facts.own, facts.interval_us) == (0, 0, 30 * SECOND)
    world.hear(2, frame(OTHER, lldpdu(OTHER), NEAREST_BRIDGE))
    world.hear(2, frame(mac(2), lldpdu(mac(2))))
    world.hear(2, frame(OTHER, b"\0\0"))
    heard = port_facts(world.ports[2])
    assert (heard.heard, heard.own, heard.neighbors) == (2, 1, {(4, OTHER, 3, OTHER)})


# Programs.


def test_programs_on_our_interfaces_count_and_no_others(world: World) -> None:
    world.machine.process(5, "lldpd", sockets=[10, 11])
    world.machine.process(6, "tcpdump", sockets=[12])
    world.machine.process(7, "sniffer", sockets=[13])
    world.machine.process(8, "dhclient", sockets=[14])
    world.machine.packet_socket(10, ifindex=3)  # not served
    world.machine.packet_socket(12, ifindex=2)
    world.machine.packet_socket(14, ethertype=0x0800, ifindex=2)
    world.look()
    assert world.surroundings.company == {2: ()}
    world.machine.packet_socket(11, ifindex=0)  # all interfaces
    world.machine.packet_socket(13, ethertype=0x88CC, ifindex=2)
    world.minute()
    assert world.surroundings.company == {2: ("lldpd (pid 5) is here too", "sniffer (pid 7) is here too")}
    world.machine.packet_socket(15, ethertype=0x88CC, ifindex=2)
    world.machine.packet_socket(16, ifindex=2)
    world.minute()
    assert world.surroundings.company[2][2:] == ("an unknown program is here too",)


def test_who_has_nothing_to_do_with_lldp_changes_nothing(world: World) -> None:
    """What was overheard is remembered when a sniffer leaves."""
    world.machine.process(5, "tcpdump", sockets=[10])
    world.machine.packet_socket(10, ifindex=2)
    world.look()
    world.taps[2].kept.append(frame(mac(2), lldpdu(mac(2), port=OTHER)))
    [said] = world.minute()[2]
    assert said.startswith("another program announces this host")
    world.machine.close_socket(10)
    assert world.minute() == {2: (said,)}


def test_another_agent(world: World) -> None:
    world.machine.process(9, "python3", ("python3", "-m", "evbagent", "run"), sockets=[10])
    world.machine.packet_socket(10, ifindex=2)
    [said] = world.look()[2]
    assert said.startswith("another evbagent (pid 9) serves eth2 too")
    world.machine.close_socket(10)
    assert world.minute() == {2: ()}


def test_what_is_overheard(world: World) -> None:
    world.links[9] = Link(9, "guest0", OTHER, 1)
    world.look()
    world.taps[2].kept.append(frame(OTHER, lldpdu(OTHER, tlv(5, b"vm"))))
    [said] = world.minute()[2]
    assert said.startswith("LLDPDUs of guest0 (vm) leave here in scope nearest-customer-bridge: ")
    assert world.minute() == {2: (said,)}


def test_a_port_of_a_bridge_that_forwards_lldp(tmp_path: Path) -> None:
    world = World(tmp_path, role=Role.BRIDGE)
    world.links[2] = link(2, controller=9, controller_kind="bridge")
    world.links[9] = Link(9, "br0", bytes(6), 1, kind="bridge")
    world.look()
    world.taps[2].kept.append(frame(OTHER, lldpdu(OTHER)))
    [said] = world.minute()[2]
    assert "`ip link set br0 type bridge stp_state 1`" in said


def test_networkd_s_configuration(world: World) -> None:
    world.machine.file("run/systemd/netif/links/2", "NETWORK_FILE=/etc/systemd/network/a.network\n")
    world.machine.file("etc/systemd/network/a.network", "[Network]\nEmitLLDP=customer-bridge\n")
    [said] = world.look()[2]
    assert said.startswith("systemd-networkd announces this host in scope nearest-customer-bridge too")


# Frames that come back, and frames that do not come.


def test_frames_that_come_back(world: World) -> None:
    for turn in range(4):
        assert bool(world.minute()[2]) is (turn > 1)
        world.hear(2, frame(mac(2), lldpdu(mac(2))))


def test_two_of_our_own_interfaces_on_one_cable(tmp_path: Path) -> None:
    world = World(tmp_path, ports=2)
    world.hear(2, frame(mac(3), lldpdu(mac(2), port=mac(3))))
    said = world.look()
    assert said[2][0].startswith("the neighbor is this agent itself, on eth3: ") and said[3] == ()


@pytest.mark.parametrize("role", Role)
def test_a_hint_for_a_station(tmp_path: Path, role: Role) -> None:
    """A bridge's port may well have a host without LLDP behind it."""
    world = World(tmp_path, role=role)
    said: list[tuple[str, ...]] = []
    for minute in range(4):
        world.machine.received("eth2", 100 * minute)
        said.append(world.minute()[2])
    hinted = [bool(texts) and texts[0].startswith("hint: ") for texts in said]
    assert hinted == ([False, False, True, True] if role is Role.STATION else [False] * 4)


def test_firmware_is_asked_only_where_nothing_is_heard(world: World) -> None:
    world.firmware = Firmware((PrivateFlag("fw-lldp-agent", True),))
    assert "private flag fw-lldp-agent is on" in world.look()[2][0]
    world.hear(2, frame(OTHER, lldpdu(OTHER), NEAREST_BRIDGE))
    assert world.minute() == {2: ()}
    assert world.asked == ["eth2"]


# Ports come and go.


def test_ports_that_are_served_no_more_are_forgotten(tmp_path: Path) -> None:
    world = World(tmp_path, ports=2)
    assert set(world.look()) == {2, 3} and set(world.taps) == {2, 3}
    del world.ports[3]
    assert set(world.minute()) == {2} and set(world.taps) == set()
    world.surroundings.close()
    world.surroundings.close()


def test_only_so_many_are_listened_to_at_a_time(tmp_path: Path) -> None:
    world = World(tmp_path, ports=2 * MOST_TAPS + 1)
    seen: list[int] = []
    world.look()
    for _ in range(4):
        assert len(world.taps) <= MOST_TAPS
        seen += world.taps
        world.minute()
    assert sorted(seen) == list(world.ports)
    world.now += 60 * MINUTE
    world.look()
    world.surroundings.close()
    assert world.taps == {}
