"""The agent in lldpad's place, by the messages that libvirt sends; the switch is an agent of ours."""

import socket
import struct
import sys
import time
from collections.abc import Iterator
from errno import EINVAL, ENODEV, ENXIO, EOPNOTSUPP
from uuid import UUID

import pytest

from tests.support.agent import Agent
from tests.support.libvirtd import maps_one_user
from tests.support.libvirtmessages import GETLINK, SETLINK, with_length
from tests.support.namespaces import Namespace, wait_until
from tests.support.peers import Lldpad, LldpadPort
from tests.support.require import impossible
from tests.support.vdpdus import ASSOCIATE, DEASSOCIATE, MAC_VID, PREASSOCIATE, PREASSOCIATE_RR, VsiOctets
from tests.support.vdptool import NOT_REPORTED, LibvirtMessages, published
from tests.support.vsirig import clear, deassociated, linked_agents, overheard, vsis, wait_for_states

pytestmark = pytest.mark.system

LINKS = ("one", "two")
ENABLED = "[libvirt]\nenabled = true\n"
LIMIT = 2.0  # seconds that libvirt waits for an answer, before it waits for ever
GRANTED = 0
EVERYTHING = "[[switch.rule]]\ntype = 8\nanswer = 'insufficient-resources'\n"


def made(number: int, type_id: int = 7) -> VsiOctets:
    """libvirt's VSI of this number, of an untagged guest."""
    return VsiOctets(
        kind=ASSOCIATE,
        status=0,
        manager=bytes([11]).ljust(16, b"\0"),
        type_id=type_id,
        version=1,
        vsi_id=UUID(f"a1412857-60f7-4ce1-e95a-2164b4{number:06x}").bytes,
        filter_format=MAC_VID,
        entries=(bytes([0x52, 0x54, 0, 0, number >> 8, number & 255, 0, 0]),),
    )


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, Agent]]:
    directory = tmp_path_factory.mktemp("libvirt")
    with linked_agents(directory, LINKS, station=ENABLED, bridge=EVERYTHING) as agents:
        yield agents


@pytest.fixture
def station(agents: tuple[Agent, Agent]) -> Iterator[Agent]:
    station = agents[0]
    if station.process is None:
        station.start()
        station.wait_for_relay("s-one", "active")
    yield station
    if station.process is not None:
        for name in LINKS:
            clear(station, f"s-{name}")


@pytest.fixture
def switch(agents: tuple[Agent, Agent]) -> Agent:
    return agents[1]


@pytest.fixture
def libvirt(station: Agent) -> Iterator[LibvirtMessages]:
    with LibvirtMessages(station.namespace, "s-one") as messages:
        yield messages


def answer(libvirt: LibvirtMessages, vsi: VsiOctets, timeout: float = 10.0) -> int:
    """What comes of it, as libvirt polls for it."""

    def look() -> bool:
        return libvirt.poll()[vsi.uuid] != NOT_REPORTED

    wait_until(look, "the switch has answered", timeout, 0.125)
    return libvirt.poll()[vsi.uuid]


def start(libvirt: LibvirtMessages, vsi: VsiOctets) -> None:
    assert libvirt.ask(vsi) == 0
    assert answer(libvirt, vsi) == GRANTED


def withdraw(switch: Agent, interface: str = "p-one") -> None:
    switch.evbagent("switch", "deassociate", "--all", interface)


def raw(agent: Agent, *messages: bytes) -> list[bytes]:
    """Send datagrams, then a good request; the answers to all, up to that one's."""
    with agent.namespace.call(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asker:
        asker.bind((0, 0))
        asker.settimeout(LIMIT)
        index = agent.namespace.interface_index("s-one")
        last = struct.pack("=IHHII", 40, 18, 5, 0xABCDEF, 0) + struct.pack("=IiII", 0, index, 0, 0) + GETLINK[32:]
        for message in (*messages, last):
            asker.sendto(message, (published(agent.namespace), 0))
        answers: list[bytes] = []
        while not answers or struct.unpack_from("=I", answers[-1], 8)[0] != 0xABCDEF:
            answers.append(asker.recv(65536))
        return answers[:-1]


def errors(answers: list[bytes]) -> list[int]:
    assert all(struct.unpack_from("=H", found, 4)[0] == 2 for found in answers)
    return [-int(struct.unpack_from("=i", found, 16)[0]) for found in answers]


def test_the_life_of_a_guest(station: Agent, switch: Agent, libvirt: LibvirtMessages) -> None:
    vsi = made(1)
    with overheard(station.namespace, "s-one") as wire:
        start(libvirt, vsi)
        wait_for_states(station, "s-one", {vsi.uuid: "associated"})
        document = vsis(station, "s-one")[vsi.uuid]
        assert (document["owner"], document["state"]) == ("libvirt", "associated")
        wait_for_states(switch, "p-one", {vsi.uuid: "associated"})
        assert libvirt.ask(vsi, DEASSOCIATE) == 0
        assert libvirt.poll()[vsi.uuid] == GRANTED
        wait_for_states(station, "s-one", {})
        wait_for_states(switch, "p-one", {})
        assert libvirt.poll()[vsi.uuid] == GRANTED, "it can still be looked at"
        assert deassociated(wire.said()[0]) == [vsi.uuid]
    assert libvirt.notification(0.2) is None, "libvirt has asked for it"


def test_an_incoming_migration(station: Agent, switch: Agent, libvirt: LibvirtMessages) -> None:
    vsi = made(2)
    for kind, state in (
        (PREASSOCIATE, "preassociated"),
        (PREASSOCIATE_RR, "preassociated-rr"),
        (ASSOCIATE, "associated"),
    ):
        assert libvirt.ask(vsi, kind) == 0
        assert answer(libvirt, vsi) == GRANTED
        wait_for_states(switch, "p-one", {vsi.uuid: state})


def test_a_refusal(station: Agent, libvirt: LibvirtMessages) -> None:
    vsi = made(3, type_id=8)
    assert libvirt.ask(vsi) == 0
    assert answer(libvirt, vsi) == 2, "insufficient resources"
    wait_for_states(station, "s-one", {})


def test_every_withdrawal_is_told(station: Agent, switch: Agent, libvirt: LibvirtMessages) -> None:
    """lldpad tells of the first one only; with libvirt's word or without it the VSI is back within a second."""
    vsi = made(4)
    start(libvirt, vsi)
    for number in range(4):
        begun = time.monotonic()
        withdraw(switch)
        assert libvirt.notification() == vsi.uuid
        if number % 2:
            assert libvirt.ask(vsi) == 0
        wait_for_states(station, "s-one", {vsi.uuid: "associated"}, 2)
        # Starting the command that withdraws takes the better part of it.
        assert time.monotonic() - begun < 2
        wait_until(lambda: libvirt.poll()[vsi.uuid] == GRANTED, "libvirt may see it", 1)
    assert libvirt.notification(0.2) is None


def test_an_agent_that_is_killed(station: Agent, switch: Agent, libvirt: LibvirtMessages) -> None:
    """Its successor has the VSIs, knows whose they are, and tells them."""
    vsi = made(5)
    start(libvirt, vsi)
    former = published(station.namespace)
    station.kill()
    station.start()
    wait_for_states(station, "s-one", {vsi.uuid: "associated"})
    assert published(station.namespace) != former
    assert libvirt.poll()[vsi.uuid] == GRANTED
    withdraw(switch)
    assert libvirt.notification() == vsi.uuid
    wait_for_states(station, "s-one", {vsi.uuid: "associated"})
    assert libvirt.ask(vsi, DEASSOCIATE) == 0
    wait_for_states(switch, "p-one", {})


def test_several_libvirts(station: Agent, switch: Agent, libvirt: LibvirtMessages) -> None:
    """libvirtd and virtqemud; and one that has been started anew."""
    mine, theirs = made(6), made(7)
    with LibvirtMessages(station.namespace, "s-two") as other:
        start(libvirt, mine)
        start(other, theirs)
        withdraw(switch, "p-two")
        assert other.notification() == theirs.uuid
        withdraw(switch, "p-one")
        assert libvirt.notification() == mine.uuid
        assert other.notification(0.2) is None
    wait_for_states(station, "s-one", {mine.uuid: "associated"})
    with LibvirtMessages(station.namespace, "s-one") as anew:
        assert anew.ask(mine) == 0
        withdraw(switch, "p-one")
        assert anew.notification() == mine.uuid
        assert libvirt.notification(0.2) is None


def test_200_guests_in_a_second(station: Agent, switch: Agent, libvirt: LibvirtMessages) -> None:
    guests = [made(1000 + number) for number in range(200)]
    begun = time.monotonic()
    replies = libvirt.ask_all(guests)
    took = time.monotonic() - begun
    assert {errno for errno, _ in replies} == {0}
    slowest = max(seconds for _, seconds in replies)
    wanted = dict.fromkeys([guest.uuid for guest in guests], GRANTED)
    wait_until(lambda: wanted.items() <= libvirt.poll().items(), "all are granted", 10, 0.125)
    all_of_it = time.monotonic() - begun
    print(
        f"200 requests and polls in {took:.2f} s, the slowest {slowest * 1000:.0f} ms, granted after {all_of_it:.2f} s"
    )
    assert slowest < LIMIT and all_of_it < 10
    wait_for_states(switch, "p-one", dict.fromkeys(wanted, "associated"))


def test_what_cannot_be_served(station: Agent, libvirt: LibvirtMessages) -> None:
    """Every one is answered."""
    unknown = SETLINK.replace(b"veth0", b"veth9")
    assert errors(raw(station, unknown, GETLINK[:20] + b"\xff\0\0\0" + GETLINK[24:])) == [ENODEV, ENODEV]
    assert errors(raw(station, with_length(SETLINK[:40]), SETLINK[:4] + b"\x10\0" + SETLINK[6:])) == [
        EINVAL,
        EOPNOTSUPP,
    ]
    station.namespace.run("ip link set s-two down")
    try:
        station.wait_for("s-two", lambda uplink: uplink["oper-status"] != "up", "is down")
        with LibvirtMessages(station.namespace, "s-two") as down:
            assert down.ask(made(8)) == ENXIO
            assert down.ask(made(8), DEASSOCIATE) == 0
            assert down.poll()[made(8).uuid] == GRANTED
    finally:
        station.namespace.run("ip link set s-two up")


def test_the_bridge_role_takes_no_requests(switch: Agent) -> None:
    switch.reload(EVERYTHING + ENABLED)
    wait_until((switch.namespace.root / "run/lldpad.pid").exists, "it serves libvirt")
    with LibvirtMessages(switch.namespace, "p-one") as libvirt:
        assert libvirt.ask(made(9)) == EOPNOTSUPP
    switch.reload(EVERYTHING)
    wait_until(lambda: not (switch.namespace.root / "run/lldpad.pid").exists(), "it does no longer")


def test_nonsense(station: Agent, libvirt: LibvirtMessages) -> None:
    """Every truncation, every octet changed: answered or dropped, and the next request is served."""
    before = len(station.log.read_text().splitlines())
    good = SETLINK.replace(b"veth0\0", b"s-one\0")
    nonsense = [good[:length] for length in range(1, len(good))]
    nonsense += [with_length(good[:length]) for length in range(16, len(good))]
    nonsense += [
        good[:offset] + bytes([good[offset] ^ bit]) + good[offset + 1 :]
        for offset in range(len(good))
        for bit in (1, 128)
    ]
    nonsense += [b"\xff" * 65536, bytes(16), good * 400, b"\x10\0\0\0\x03\0\x05\0" + bytes(8)]
    for first in range(0, len(nonsense), 20):
        raw(station, *nonsense[first : first + 20])
    station.state()
    start_over = made(10)
    assert libvirt.ask(start_over) == 0
    assert answer(libvirt, start_over) == GRANTED
    complaints = [line for line in station.log.read_text().splitlines()[before:] if "libvirt's socket" in line]
    texts = [line.split("libvirt's socket: ")[1].split(": ", 1)[-1] for line in complaints]
    assert texts and len(texts) == len(set(texts)) <= 65
    raw(station, good[:40])
    assert len([line for line in station.log.read_text().splitlines()[before:] if "libvirt's socket" in line]) == len(
        texts
    )


def test_a_process_without_the_capability(station: Agent) -> None:
    """The kernel keeps it from sending at all."""
    script = (
        "import socket, sys\n"
        "asker = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)\n"
        f"try: asker.sendto({GETLINK!r}, ({published(station.namespace)}, 0))\n"
        "except PermissionError: sys.exit(77)\n"
    )
    without = ["setpriv", "--inh-caps=-all", "--bounding-set=-net_admin", sys.executable, "-c", script]
    done = station.namespace.run(without, check=False)
    assert done.returncode == 77, done.stderr


def test_the_agent_asks_for_the_capability_itself(station: Agent) -> None:
    """Where the kernel would let it through: a datagram with the credentials of a process that has not got it."""
    if maps_one_user():
        impossible("sending another process's credentials takes the machine's root")
    with_credentials = f"""
import os, socket, struct, subprocess, sys
idle = subprocess.Popen(["setpriv", "--bounding-set=-net_admin", "--inh-caps=-all", "sleep", "60"])
import time
while "sleep" not in open(f"/proc/{{idle.pid}}/comm").read(): time.sleep(0.005)
asker = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
credentials = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("=iII", idle.pid, os.getuid(), os.getgid()))]
asker.settimeout(5)
asker.sendmsg([{GETLINK!r}], credentials, 0, ({published(station.namespace)}, 0))
kind, number = struct.unpack_from("=4xH10xi", asker.recv(65536))
idle.kill()
sys.exit(0 if (kind, number) == (2, -1) else f"answered {{kind}} {{number}}")
"""
    done = station.namespace.run([sys.executable, "-c", with_credentials], check=False)
    assert done.returncode == 0, done.stderr


def test_who_has_the_pid_file(station: Agent, switch: Agent, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A live lldpad has it until it ends; whatever removes the file, it is there again."""
    file = station.namespace.root / "run/lldpad.pid"
    assert published(station.namespace) > 1 << 22, "the agent's own id is another of its sockets'"
    file.unlink()
    wait_until(file.exists, "it is there again", 5)
    station.stop()
    assert not file.exists()
    directory = tmp_path_factory.mktemp("lldpad")
    with Lldpad(station.namespace, directory, {"s-two": LldpadPort()}) as lldpad:
        wait_until(file.exists, "lldpad has written it")
        station.start()
        wait_until(lambda: f"lldpad (pid {lldpad.pid}) is running" in station.log.read_text(), "it is respected")
        assert published(station.namespace) == lldpad.pid
    wait_until(lambda: file.exists() and published(station.namespace) != lldpad.pid, "it is ours again", 5)
    with LibvirtMessages(station.namespace, "s-one") as libvirt:
        assert libvirt.ask(made(11)) == 0


def test_no_agreement(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nobody at the other end: every request is answered at once, the guest does not start, and nothing is left."""
    with Namespace("alone") as alone:
        alone.run("ip link add veth0 type veth peer name veth1")
        alone.run("ip link set veth0 up")
        alone.run("ip link set veth1 up")
        with Agent(alone, tmp_path_factory.mktemp("alone"), ["veth0"], config=ENABLED) as agent:
            with LibvirtMessages(alone, "veth0") as libvirt:
                assert libvirt.ask(made(1)) == 0
                begun = time.monotonic()
                assert answer(libvirt, made(1)) == 253
                assert time.monotonic() - begun < 6
            wait_for_states(agent, "veth0", {})
