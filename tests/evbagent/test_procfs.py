"""Who has packet sockets, from made-up /proc trees: found, guessed, or not to be told; never an error."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from evbagent.procfs import (
    SEARCH_BUDGET_NS,
    Owners,
    PacketBinding,
    Proc,
    Program,
    parse_packet_sockets,
    parse_received_packets,
)
from tests.support.machine import Machine

PACKET = """\
sk               RefCnt Type Proto  Iface R Rmem   User   Inode
000000009dd1feb5 3      3    88cc   2     1 0      0      1415834
00000000a48e7e50 3      3    0003   2     1 0      103    1414368
00000000f5c71295 3      3    8940   0     1 0      0      1414421
"""
DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0
 veth0: 1234567      89    0    0    0     0          0         0      192       2    0    0    0     0       0
eth0:1:99 7 0
"""


def test_packet_sockets() -> None:
    assert parse_packet_sockets(PACKET) == [
        PacketBinding(0x88CC, 2, 0, 1415834),
        PacketBinding(0x0003, 2, 103, 1414368),
        PacketBinding(0x8940, 0, 0, 1414421),
    ]


def test_received_packets() -> None:
    assert parse_received_packets(DEV) == {"lo": 0, "veth0": 89, "eth0:1": 7}


@pytest.mark.parametrize("text", ["", "\n", "sk\n", "a b c\n1 2 3 4 5 6 7 8 9\nx x x zz y y y y y\n", "\x00\n" * 5])
def test_what_is_no_such_file(text: str) -> None:
    assert all(isinstance(found.inode, int) for found in parse_packet_sockets(text))
    assert all(isinstance(count, int) for count in parse_received_packets(text).values())


def test_our_own_sockets_are_not_others(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.packet_socket(10, ethertype=0x88CC, ifindex=2)
    machine.packet_socket(11, ethertype=0x0003, ifindex=2)
    machine.process("self", "evbagent", sockets=[11])
    assert [found.inode for found in Proc(tmp_path).packet_sockets()] == [10]


def test_nothing_can_be_read(tmp_path: Path) -> None:
    proc = Proc(tmp_path / "nothing")
    assert proc.packet_sockets() == proc.processes() == []
    assert proc.received_packets() == {}
    assert proc.user_name(0) is None and proc.pid_file("lldpd") is None and not proc.lldpad_is_here()
    assert proc.program(1) == Program("a program", 1)
    assert Owners(proc).find([PacketBinding(0x88CC, 2, 0, 10)]) == {10: None}


# Programs.


@pytest.mark.parametrize(
    ("comm", "words", "name"),
    [
        ("lldpd", ("lldpd: monitor. ",), "lldpd"),
        ("lldpad", ("lldpad", "-t"), "lldpad"),
        ("systemd-network", ("/lib/systemd/systemd-networkd",), "systemd-networkd"),
        ("NetworkManager", ("/usr/sbin/NetworkManager",), "NetworkManager"),
        ("evbagent", ("/usr/bin/python3", "/usr/bin/evbagent", "run"), "evbagent"),
        ("python3", ("/usr/bin/python3", "-m", "evbagent", "run"), "evbagent"),
        ("python3", ("/usr/bin/python3", "/opt/evbagent/bin/evbagent", "run"), "evbagent"),
        ("python3", ("python3", "-c", "import evbagent"), "python3"),
        ("python3", ("python3", "-I", "-m", "evbagent", "run"), "evbagent"),
        ("tcpdump", ("tcpdump", "-i", "evbagent"), "tcpdump"),
        ("", (), "a program"),
    ],
)
def test_what_a_program_is(tmp_path: Path, comm: str, words: tuple[str, ...], name: str) -> None:
    Machine(tmp_path).process(7, comm, words)
    assert Proc(tmp_path).program(7) == Program(name, 7)
    assert str(Program(name, 7)) == f"{name} (pid 7)" and str(Program(name)) == name


def test_owners_are_found_by_their_descriptors(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.process(5, "lldpd", sockets=[1, 10])
    machine.process(6, "bash", files=["/dev/null", "pipe:[10]", "anon_inode:[eventpoll]"])
    machine.process(7, "lldpad", sockets=[11, 12])
    owners = Owners(Proc(tmp_path))
    sockets = [PacketBinding(3, 2, 103, 10), PacketBinding(0x88CC, 2, 0, 11), PacketBinding(0x88CC, 2, 0, 99)]
    assert owners.find(sockets) == {10: Program("lldpd", 5), 11: Program("lldpad", 7), 99: None}
    # Who is known is not looked for again, who is gone is forgotten.
    machine.remove(5)
    assert owners.find(sockets)[10] == Program("lldpd", 5)
    assert owners.find(sockets[1:]) == {11: Program("lldpad", 7), 99: None}
    assert owners.find(sockets)[10] is None


def test_a_search_ends_in_time_and_goes_on_at_the_next_look(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for pid in range(1, 10):
        machine.process(pid, "other")
    machine.process(10, "lldpd", sockets=[77])
    looked: list[int] = []

    class Slow(Proc):
        def sockets(self, pid: int) -> Iterator[int]:
            looked.append(pid)
            return super().sockets(pid)

    clock = iter(range(0, 10**12, SEARCH_BUDGET_NS // 3 + 1))
    owners = Owners(Slow(tmp_path), clock_ns=lambda: next(clock))
    sockets = [PacketBinding(3, 2, 0, 77)]
    looks = 0
    while 77 not in owners.find(sockets):
        looks += 1
        assert looks < 20
    assert looks >= 3 and looked == list(range(1, 11)), "no process is looked into twice"


def test_a_socket_that_is_new_meanwhile_is_found_too(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.process(1, "lldpd", sockets=[5])
    machine.process(2, "lldpad", sockets=[6])
    clock = iter(range(0, 10**12, SEARCH_BUDGET_NS // 2 + 1))
    owners = Owners(Proc(tmp_path), clock_ns=lambda: next(clock))
    assert owners.find([PacketBinding(3, 2, 0, 6)]) == {}
    both = [PacketBinding(3, 2, 0, 6), PacketBinding(3, 2, 0, 5)]
    for _ in range(10):
        found = owners.find(both)
    assert found == {5: Program("lldpd", 1), 6: Program("lldpad", 2)}


def test_processes_that_may_not_be_looked_into(tmp_path: Path) -> None:
    """Their users and lldpad's traces tell, if anything does."""
    machine = Machine(tmp_path)
    machine.users(root=0, _lldpd=103, somebody=1000)
    machine.unix_socket("@/com/intel/lldpad")
    machine.process(40, "lldpad")
    machine.file("run/lldpad.pid", "40" + 30 * "\0")
    machine.file("run/lldpd.pid", "41")  # not there any more
    sockets = [
        PacketBinding(0x0003, 2, 103, 1),
        PacketBinding(0x88CC, 2, 0, 2),
        PacketBinding(0x0003, 2, 0, 3),
        PacketBinding(0x88CC, 2, 1000, 4),
    ]
    assert Owners(Proc(tmp_path)).find(sockets) == {1: Program("lldpd"), 2: Program("lldpad", 40), 3: None, 4: None}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_process_of_somebody_else(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.process(5, "lldpd", sockets=[10])
    (tmp_path / "proc/5/fd").chmod(0)
    assert Owners(Proc(tmp_path)).find([PacketBinding(3, 2, 0, 10)]) == {10: None}
    (tmp_path / "proc/5/fd").chmod(0o700)
