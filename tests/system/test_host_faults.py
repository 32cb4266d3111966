"""What a host does to its agent: flapping links, interfaces by the thousand, no descriptors, a standstill."""

import json
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import pytest

from evbagent.statefile import read_state
from tests.bench.usage import cpu_ns
from tests.support.agent import Agent
from tests.support.namespaces import Namespace, link_pair, search_path, wait_until
from tests.support.vsirig import associated, linked_agents, vsi, wait_for_states

pytestmark = pytest.mark.system

HERE, THERE = "s-one", "p-one"
FLAPS, FLAP_S = 30, 0.1
CHURN_S = 4.0
CHURN_AT_ONCE = 200
SECOND = "[lldp]\nmessage-tx-interval = 1\n"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Agent, Agent]]:
    with running(tmp_path) as agents:
        yield agents


@contextmanager
def running(directory: Path) -> Iterator[tuple[Agent, Agent]]:
    """With a VSI, and a guest that is in VEPA."""
    with linked_agents(directory, ["one"], station=SECOND, bridge=SECOND) as (station, bridge):
        assert vsi(station, "associate", HERE, 1).returncode == 0
        station.evbagent("attach", HERE, "--name", "guest0")
        recovered(station, bridge)
        yield station, bridge


def test_a_link_that_flaps(pair: tuple[Agent, Agent]) -> None:
    """Ten times a second. What readers are told is never better than the link; in the end all is as it was."""
    station, bridge = pair
    host, switch = station.namespace, bridge.namespace
    lines = len(station.log.read_text().splitlines())
    for flap in range(FLAPS):
        end, name = ((switch, THERE), (host, HERE))[flap % 2]
        end.ip(f"link set {name} down")
        sleep(FLAP_S / 2)
        end.ip(f"link set {name} up")
        sleep(FLAP_S / 2)
    switch.ip(f"link set {THERE} down")
    station.wait_for(HERE, lambda uplink: uplink["forwarding"]["mode"] == "veb", "the link is down")
    wait_until(lambda: guest_mode(host) == "bridge", "the guest is in bridge mode")
    switch.ip(f"link set {THERE} up")
    recovered(station, bridge)
    assert len(station.log.read_text().splitlines()) - lines < 40 * FLAPS


def test_interfaces_that_come_and_go(pair: tuple[Agent, Agent]) -> None:
    """By the thousand: the uplink between them is served as ever, and what is gone is forgotten."""
    station, bridge = pair
    before, grown = len(station.state()["uplinks"]), resident_kib(station)
    with churn(station.namespace) as made:
        begun = monotonic()
        slowest = 0.0
        while monotonic() - begun < CHURN_S:
            asked = monotonic()
            assert vsi(station, "associate", HERE, 2).returncode == 0
            assert vsi(station, "deassociate", HERE, 2).returncode == 0
            slowest = max(slowest, monotonic() - asked)
            uplink = station.uplink(HERE)
            assert uplink["forwarding"]["mode"] == "vepa", uplink["forwarding"]
    print("RATE", made() / CHURN_S, slowest)
    assert made() > 200 * CHURN_S and slowest < 5, (made(), slowest)
    recovered(station, bridge)
    wait_until(lambda: len(station.state()["uplinks"]) == before, "no others are served")
    assert resident_kib(station) - grown < 16 << 10
    wait_until(lambda: busy(station, 0.5) < 0.2, "it has come to rest")


def test_an_uplink_that_moves_away_and_comes_back(
    pair: tuple[Agent, Agent], make_namespace: Callable[..., Namespace]
) -> None:
    station, bridge = pair
    host, other = station.namespace, make_namespace("other")
    host.ip(f"link set {HERE} netns {other.pid}")
    wait_until(lambda: not station.serves(HERE), "it is not served any more")
    assert read_state(station.state_dir).uplink(HERE) is None
    bridge.wait_for(THERE, lambda uplink: uplink["forwarding"]["mode"] == "veb", "the switch sees nobody")
    other.ip(f"link set {HERE} netns {host.pid}")
    host.ip(f"link set {HERE} up")
    station.wait_for_relay(HERE, "active")
    wait_for_states(station, HERE, associated([1]))


def test_no_file_descriptors_left(pair: tuple[Agent, Agent]) -> None:
    """Taken by clients: the uplink is served on, the loop does not spin, and who comes later is answered."""
    station, bridge = pair
    open_now = len(os.listdir(f"/proc/{station.pid}/fd"))
    resource.prlimit(station.pid, resource.RLIMIT_NOFILE, (open_now + 5, open_now + 500))
    with ExitStack() as crowd:
        for _ in range(60):
            client = crowd.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            client.bind("")
            client.setblocking(False)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            crowd.enter_context(ours)
            with theirs, suppress(BlockingIOError, OSError):
                message = json.dumps({"op": "watch"}).encode()
                socket.send_fds(client, [message], [theirs.fileno()], address=str(station.state_dir / "control.sock"))
        sleep(0.5)
        assert len(os.listdir(f"/proc/{station.pid}/fd")) <= open_now + 5
        assert busy(station, 1.0) < 0.5
        assert station.uplink(HERE)["forwarding"]["mode"] == "vepa"
        bridge.reload(SECOND + '[evb]\nreflective-relay = "off"\n')
        wait_until(lambda: guest_mode(station.namespace) == "bridge", "the guest is in bridge mode all the same")
        station.wait_for(HERE, lambda uplink: uplink["forwarding"]["mode"] == "veb", "it is said", 30)
        bridge.reload(SECOND)
    resource.prlimit(station.pid, resource.RLIMIT_NOFILE, (open_now + 500, open_now + 500))
    recovered(station, bridge)
    assert station.evbagent("show", "interfaces").returncode == 0


def test_an_uplink_that_there_was_no_descriptor_for(pair: tuple[Agent, Agent]) -> None:
    """It is tried again."""
    station, bridge = pair
    numbers = {int(name) for name in os.listdir(f"/proc/{station.pid}/fd")}
    free = min(set(range(len(numbers) + 1)) - numbers)
    resource.prlimit(station.pid, resource.RLIMIT_NOFILE, (free, free + 500))
    link_pair(station.namespace, "s-two", bridge.namespace, "p-two")
    wait_until(lambda: "s-two: cannot be served" in station.log.read_text(), "there is no descriptor")
    assert not station.serves("s-two") and station.serves(HERE)
    resource.prlimit(station.pid, resource.RLIMIT_NOFILE, (free + 500, free + 500))
    station.evbagent("reload")
    station.wait_for(
        "s-two", lambda uplink: uplink["forwarding"]["reflective-relay"] == "inactive", "the switch's word on it"
    )


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """The kernel takes any octets but a few."""

    def ip(*words: str | bytes) -> None:
        done = host.call(subprocess.run, [b"ip", b"link", *words], capture_output=True, env={"PATH": search_path()})
        assert done.returncode == 0, done.stderr

    with Namespace("host") as host:
        link_pair(host, "up0", host, "peer0")
        link_pair(host, "up1", host, "peer1")
        ip("set", "up1", "name", b"up\xff")
        with Agent(host, tmp_path, ["up*"]) as agent:
            assert agent.serves("up0") and not agent.serves("up\\xff")
            assert "up\\xff: cannot be served: [Errno 84] interface" in agent.log.read_text()
            ip("set", "peer1", "name", "up\u202e")
            wait_until(lambda: "up\\u202e: serving as station" in agent.log.read_text(), "harmless in the log, too")
            ip("set", b"up\xff", "name", "up1")
            wait_until(lambda: agent.serves("up1"), "it is served under a better name")
            ip("set", "up0", "name", b"up\xfe")
            wait_until(lambda: agent.serves("up\\xfe"), "what was served is served on")
            ip("set", b"up\xfe", "up")
            agent.wait_for("up\\xfe", lambda uplink: uplink["oper-status"] == "up", "it lives")


def test_a_standstill(pair: tuple[Agent, Agent]) -> None:
    """As in a machine that sleeps: the answer expires, and is given again at once afterwards."""
    station, bridge = pair
    station.namespace.ip(f"link set {HERE} up")
    document = read_state(station.state_dir).document
    assert document is not None
    os.kill(station.pid, signal.SIGSTOP)
    try:
        bridge.wait_for(THERE, lambda uplink: not uplink["lldp"][-1]["neighbors"], "the switch has forgotten us", 15)
    finally:
        os.kill(station.pid, signal.SIGCONT)
    recovered(station, bridge)


def test_a_full_disk(tmp_path: Path) -> None:
    """Guests follow the switch all the same. Readers are told nothing rather than what was; then all is written."""
    directory = tmp_path / "host" / "state-host"
    directory.mkdir(parents=True)
    with tmpfs(directory), running(tmp_path) as (station, bridge):
        assert station.state_dir == directory
        with full(directory):
            bridge.reload(SECOND + '[evb]\nreflective-relay = "off"\n')
            wait_until(lambda: guest_mode(station.namespace) == "bridge", "the guest is in bridge mode")
            wait_until(lambda: read_state(directory).document is None, "no reader gets an answer of before")
            assert station.evbagent("mode", HERE).stdout == "veb\n"
            done = vsi(station, "associate", HERE, 2)
            assert (done.returncode, done.stderr) == (0, ""), "what the switch grants is granted"
            bridge.reload(SECOND)
            wait_until(lambda: guest_mode(station.namespace) == "vepa", "the guest is in VEPA mode")
        wait_until(lambda: read_state(directory).document, "there is room again")
        station.wait_for_relay(HERE, "active")
        wait_for_states(station, HERE, associated([1, 2]))
        complaints = [line for line in station.log.read_text().splitlines() if "cannot" in line and "write" in line]
        assert len(complaints) <= 2, complaints
        assert vsi(station, "deassociate", HERE, 2).returncode == 0
        station.kill()
        station.start()
        recovered(station, bridge)


def recovered(station: Agent, bridge: Agent) -> None:
    """All is as it was made."""
    station.wait_for_relay(HERE, "active", timeout=20)
    wait_for_states(station, HERE, associated([1]))
    wait_for_states(bridge, THERE, associated([1]))
    wait_until(lambda: guest_mode(station.namespace) == "vepa", "the guest is in VEPA")


def guest_mode(namespace: Namespace) -> str:
    return str(namespace.link("guest0")["linkinfo"]["info_data"]["mode"])


@contextmanager
def churn(namespace: Namespace) -> Iterator[Callable[[], int]]:
    """Interfaces made and removed, as fast as the kernel does it; how many were so far."""
    batch = "".join(f"link add c{n} group 77 type veth peer name d{n}\n" for n in range(CHURN_AT_ONCE))
    batch += "link delete group 77\n"  # together: one by one each takes the kernel 10 ms
    ended, rounds = Event(), [0]

    def work() -> None:
        while not ended.is_set():
            process = namespace.popen(["ip", "-batch", "-"], stdin=subprocess.PIPE)
            process.communicate(batch)
            rounds[0] += 1

    thread = Thread(target=work)
    thread.start()
    try:
        yield lambda: rounds[0] * CHURN_AT_ONCE * 2
    finally:
        ended.set()
        thread.join()


@contextmanager
def tmpfs(directory: Path) -> Iterator[None]:
    """A small file system of its own, for the namespaces that are made after it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "evbagent-test", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextmanager
def full(directory: Path) -> Iterator[None]:
    ballast = directory / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    try:
        yield
    finally:
        ballast.unlink()


def busy(agent: Agent, seconds: float) -> float:
    """Its share of a core."""
    before = cpu_ns(agent.pid)
    sleep(seconds)
    return (cpu_ns(agent.pid) - before) / 1e9 / seconds


def resident_kib(agent: Agent) -> int:
    status: Any = Path(f"/proc/{agent.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
