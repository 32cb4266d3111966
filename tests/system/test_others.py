"""Others on the same NIC for real: lldpd, lldpad, a second agent's and a guest's frames, a switch that reflects.

Our own agent is here as its machines and sockets, on a clock that the test sets: real programs send every second while
the agent's minutes pass at once.
"""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from evbagent.config import Config
from evbagent.hostfacts import HostFacts
from evbagent.link import PacketSocket
from evbagent.netlink import Link, RouteSocket
from evbagent.others import Surroundings
from evbagent.overheard import Tap, announcements
from evbagent.port import Port
from evbagent.uplinks import port_settings
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.port import LinkState, SendFrame
from protocols.stack import PortStack
from protocols.timers import SECOND
from tests.support.lldpdus import NEAREST_BRIDGE, NEAREST_CUSTOMER_BRIDGE, frame, lldpdu, tlv
from tests.support.namespaces import Namespace, PacketTap, end, wait_until
from tests.support.peers import Lldpad, LldpadPort, Lldpd, RatifiedEvb
from tests.support.require import impossible, require_link_kind, unmet
from tests.support.rig import BRIDGE_MAC, STATION_MAC, Cable

pytestmark = pytest.mark.system

MINUTE = 60 * SECOND
EVERYWHERE = dict.fromkeys(Scope, AdminStatus.TX_AND_RX)
EVB_ALONE = {**dict.fromkeys(Scope, AdminStatus.RX_ONLY), Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX}


class Host:
    """One uplink that is served, in the station's namespace, and what is said about its surroundings."""

    def __init__(self, cable: Cable, directory: Path, admin_status: Mapping[Scope, AdminStatus] | None = None) -> None:
        self.namespace = cable.station
        self.name = cable.uplink
        self.now = 1000 * SECOND
        self.root = directory / "root"
        self._see_nobody_else()
        self.link = self._link()
        settings = port_settings(
            self.link, Config().for_uplink(self.name), HostFacts(chassis_mac=self.link.mac_address)
        )
        if admin_status is not None:
            settings = replace(settings, admin_status=admin_status)
        self.stack = PortStack(Role.STATION, settings, lambda: 1)
        self.socket = self.namespace.call(PacketSocket, self.link.index, [scope.address for scope in Scope])
        self.route = self.namespace.call(RouteSocket)
        self.port = Port(self.route, self.link, Role.STATION, self.stack, "")
        self.surroundings = Surroundings(self.root, clock=lambda: self.now)
        self._send(self.stack.request(LinkState(True), self.now))

    def close(self) -> None:
        self.surroundings.close()
        self.socket.close()
        self.route.close()

    def see(self, *pids: int) -> None:
        """These processes and their children are in the /proc that is searched."""
        for pid in pids:
            (self.root / "proc" / str(pid)).symlink_to(f"/proc/{pid}")
            self.see(*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def minute(self, real_seconds: float = 0, meanwhile: Callable[[], object] = lambda: None) -> tuple[str, ...]:
        """A look, a minute of ours in which real programs have so many seconds, and a look again."""
        self._look()
        meanwhile()
        time.sleep(real_seconds)
        end = self.now + MINUTE
        while (due := self.stack.next_deadline()) is not None and due <= end:
            self.now = due
            self._send(self.stack.advance(due))
        self.now = end
        self._receive()
        return self._look()

    def until(
        self, holds: Callable[[tuple[str, ...]], bool], what: str, before: Callable[[], object] = lambda: None
    ) -> tuple[str, ...]:
        """The warnings as soon as they are as wanted. `before` is done at the beginning of each minute."""
        seen: list[tuple[str, ...]] = []

        def look() -> bool:
            before()
            seen.append(self.minute(1.1))
            return holds(seen[-1])

        try:
            wait_until(look, what, 12)
        except AssertionError as error:
            raise AssertionError(f"{error}; said was {seen}") from None
        return seen[-1]

    @property
    def company(self) -> tuple[str, ...]:
        return self.surroundings.company.get(self.link.index, ())

    def _look(self) -> tuple[str, ...]:
        links = {link.index: link for link in self.namespace.call(self.route.dump_links)}
        said: Mapping[int, tuple[str, ...]] = self.namespace.call(
            self.surroundings.look, links, {self.link.index: self.port}
        )
        return said[self.link.index]

    def _link(self) -> Link:
        with self.namespace.call(RouteSocket) as route:
            link = route.get_link(name=self.name)
        assert link is not None
        return link

    def _receive(self) -> None:
        while (data := self.socket.receive()) is not None:
            self._send(self.stack.receive(data, self.now))

    def _send(self, effects: list[object]) -> None:
        for effect in effects:
            if isinstance(effect, SendFrame):
                self.socket.send(effect.data)

    def _see_nobody_else(self) -> None:
        """A root whose /proc has this test's processes alone: those of the machine are not its business."""
        (self.root / "proc").mkdir(parents=True)
        for name in ("self", "thread-self"):
            (self.root / "proc" / name).symlink_to(f"/proc/{name}")
        for name in ("etc", "usr"):
            (self.root / name).symlink_to(f"/{name}")
        (self.root / "run").symlink_to(f"/proc/{self.namespace.pid}/root/run")


@contextmanager
def host(cable: Cable, directory: Path, admin_status: Mapping[Scope, AdminStatus] | None = None) -> Iterator[Host]:
    made = Host(cable, directory, admin_status)
    try:
        yield made
    finally:
        made.close()


def test_nobody_else(cable: Cable, tmp_path: Path) -> None:
    """Minutes with us alone on the link: whatever we send is nobody else's."""
    with host(cable, tmp_path) as station:
        for _ in range(5):
            assert station.minute() == ()
        assert station.company == ()


def test_lldpd_where_we_only_listen(cable: Cable, tmp_path: Path) -> None:
    """Each announces in a scope of its own, and that is in order."""
    with host(cable, tmp_path, EVB_ALONE) as station, Lldpd(cable.station, tmp_path, [cable.uplink]) as lldpd:
        lldpd.cli("configure", "lldp", "tx-interval", "1")
        assert lldpd.process is not None
        station.see(lldpd.process.pid)
        for _ in range(3):
            assert station.minute(1.1) == ()
        [said] = station.company
        assert said.startswith("lldpd (pid ")
        assert said.endswith(") announces this host in scope nearest-bridge, where this agent only listens")


@pytest.mark.parametrize("seen", [True, False], ids=["readable", "unreadable"])
def test_lldpd_where_we_announce_too(cable: Cable, tmp_path: Path, seen: bool) -> None:
    """Two neighbors for the switch: said, with what to do, which works. Its user names lldpd where its process may not
    be looked into."""
    with host(cable, tmp_path, EVERYWHERE) as station, Lldpd(cable.station, tmp_path, [cable.uplink]) as lldpd:
        lldpd.cli("configure", "lldp", "tx-interval", "1")
        lldpd.cli("configure", "lldp", "portidsubtype", "ifname")
        assert lldpd.process is not None
        if seen:
            station.see(lldpd.process.pid)
        [said] = station.until(bool, "lldpd is said to announce")
        assert said.startswith("lldpd (pid " if seen else "lldpd announces")
        mac = STATION_MAC.hex(":")
        assert (
            f"announces this host in scope nearest-bridge too, as {mac} port {cable.uplink}: the switch sees two"
            in said
        )
        assert station.minute(1.1) == (said,), "the same words again"
        command = said.split("`")[1].split()
        assert command[0] == "lldpcli"
        lldpd.cli(*command[1:])
        station.now += 3 * MINUTE
        station.until(lambda texts: not texts, "lldpd only listens now")
        assert len(station.company) == 1


def test_lldpd_comes_and_goes(cable: Cable, tmp_path: Path) -> None:
    with host(cable, tmp_path, EVERYWHERE) as station:
        assert station.minute() == ()
        lldpd = Lldpd(cable.station, tmp_path, [cable.uplink])
        with lldpd:
            lldpd.cli("configure", "lldp", "tx-interval", "1")
            lldpd.cli("configure", "lldp", "portidsubtype", "ifname")
            assert lldpd.process is not None
            station.see(lldpd.process.pid)
            station.until(bool, "lldpd is said to announce")
        assert station.minute() == () and station.company == ()


def test_lldpad_under_our_own_name(cable: Cable, tmp_path: Path) -> None:
    """By default both call system and port by the same MAC address: the switch cannot tell them apart."""
    settings = LldpadPort(evb=RatifiedEvb(mode="station", rr_request=True))
    with host(cable, tmp_path) as station, Lldpad(cable.station, tmp_path, {cable.uplink: settings}) as lldpad:
        station.see(lldpad.pid)
        answers = cycle(("no", "yes"))

        def has_news() -> None:
            lldpad.set_evb(cable.uplink, evbrrreq=next(answers))

        [said] = station.until(bool, "lldpad is said to send under our name", has_news)
        assert said.startswith(
            f"lldpad (pid {lldpad.pid}) sends LLDPDUs in scope nearest-customer-bridge under this agent's own chassis"
            " and port ID: "
        )
        command = said.split("`")[1].split()
        assert command[0] == "lldptool"
        lldpad.lldptool(*command[1:])
        station.now += 5 * MINUTE
        station.until(lambda texts: not texts, "lldpad only listens now")
        assert station.company == (f"lldpad (pid {lldpad.pid}) is here too",)


def test_lldpad_that_may_not_be_looked_into(cable: Cable, tmp_path: Path) -> None:
    """Its control socket and its pid file tell."""
    with host(cable, tmp_path) as station:
        with Lldpad(cable.station, tmp_path, {cable.uplink: LldpadPort()}) as lldpad:
            station.minute()
            assert station.company == ("lldpad is here too",)
            station.see(lldpad.pid)
        with Lldpad(cable.station, tmp_path, {cable.uplink: LldpadPort()}) as lldpad:
            (station.root / "proc" / str(lldpad.pid)).mkdir()
            (station.root / "proc" / str(lldpad.pid) / "comm").symlink_to(f"/proc/{lldpad.pid}/comm")
            station.minute()
            assert station.company == (f"lldpad (pid {lldpad.pid}) is here too",)


def test_networkd_that_announces(cable: Cable, tmp_path: Path) -> None:
    """Its configuration tells, before it has said anything; it is known by how it calls the chassis, too."""
    networkd = networkd_in(cable, "EmitLLDP=nearest-bridge")
    with host(cable, tmp_path, EVERYWHERE) as station:
        expected = (
            "systemd-networkd announces this host in scope nearest-bridge too: the switch sees two neighbors on this"
            " port: EmitLLDP=no in /run/systemd/network/10-uplink.network, or"
            ' nearest-bridge = "rx-only" in [lldp.admin-status] of this agent'
        )
        assert networkd.poll() is None
        assert station.minute(1.1) == (expected,)
        station.see(networkd.pid)
        end(networkd)
        networkd = networkd_in(cable, "EmitLLDP=no")
        assert station.minute() == ()
        assert station.company == ("systemd-networkd is here too",)


def networkd_in(cable: Cable, setting: str) -> "subprocess.Popen[str]":
    """systemd-networkd in the station's namespace, when it has configured the uplink. It needs no manager."""
    program = "/usr/lib/systemd/systemd-networkd"
    if not Path(program).exists():
        unmet("systemd-networkd not installed: install systemd")
    station = cable.station
    network = f"[Match]\nName={cable.uplink}\n[Network]\nLinkLocalAddressing=no\nLLDP=yes\n{setting}\n"
    folders = " ".join(f"/run/systemd/netif/{name}" for name in ("links", "leases", "lldp"))
    station.run(f"mkdir -p /run/systemd/network {folders}")
    station.run(["tee", "/run/systemd/network/10-uplink.network"], input=network)
    # Without a udev of its own, it has to find that there is none: /sys cannot be written to.
    station.run("mount -o remount,ro /sys", check=False)
    if station.run("chown -R systemd-network /run/systemd/netif", check=False).returncode:
        impossible("systemd-networkd runs under a user that is not known in here")
    process = station.popen([program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = station.root / "run/systemd/netif/links" / str(station.interface_index(cable.uplink))
    wait_until(
        lambda: process.poll() is not None or (state.exists() and "ADMIN_STATE=configured" in state.read_text()),
        "networkd has configured the uplink",
    )
    if process.poll() is not None:
        impossible(f"systemd-networkd does not run in here: it ended with {process.returncode}")
    return process


def test_a_guest_that_speaks_lldp(cable: Cable, tmp_path: Path) -> None:
    """Its frames leave through our NIC under its own address; the switch takes it for a neighbor."""
    require_link_kind(cable.station, "macvlan")
    cable.station.ip(f"link add guest0 link {cable.uplink} address 02:00:00:00:00:77 type macvlan mode vepa")
    cable.station.ip("link set guest0 up")
    mac = bytes.fromhex("020000000077")
    with host(cable, tmp_path) as station, PacketTap(cable.station, "guest0") as guest:
        speaks = frame(mac, lldpdu(mac, tlv(5, b"a guest"), tlv(127, bytes.fromhex("0080c20d00076e9414"))))
        [said] = station.minute(meanwhile=lambda: guest.send(speaks))
        assert said.startswith(
            "LLDPDUs of guest0 (a guest) leave here in scope nearest-customer-bridge, with an EVB TLV: "
        )


def test_frames_that_come_back(cable: Cable, tmp_path: Path) -> None:
    """Once is nothing; what goes on is said, and ends with it. They are nobody's neighbors."""
    with host(cable, tmp_path) as station, PacketTap(cable.bridge, cable.port) as switch:
        station.minute()
        mine = switch.wait_for(lambda seen: seen.source == STATION_MAC and seen.ethertype == 0x88CC, "our LLDPDU")
        for turn in range(3):
            switch.send(mine.data)
            wait_until(lambda: station_has_something(station), "it came back")
            assert bool(station.minute()) is (turn > 0)
        [said] = station.minute()
        assert "keep coming back, though reflective relay is not agreed on" in said
        assert not any(len(agent.rx.remotes) for agent in station.stack.agents.values())
        station.now += 6 * MINUTE
        assert station.minute() == ()


def station_has_something(station: Host) -> bool:
    with socket.socket(fileno=socket.dup(station.socket.fileno())) as copy:
        try:
            return bool(copy.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False


def test_a_switch_without_lldp(cable: Cable, tmp_path: Path) -> None:
    """We speak for minutes, others' frames come in, LLDP does not: a hint, until the first LLDPDU."""
    other = bytes.fromhex("ffffffffffff") + BRIDGE_MAC + bytes.fromhex("0800") + bytes(46)
    with host(cable, tmp_path) as station, PacketTap(cable.bridge, cable.port) as switch:
        for _ in range(3):
            for _ in range(10):
                switch.send(other)
            said = station.minute()
        [hint] = said
        assert hint.startswith("hint: no LLDP has been heard here though other frames come in")
        switch.send(frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC), NEAREST_BRIDGE))
        wait_until(lambda: station_has_something(station), "the switch's LLDPDU")
        assert station.minute() == ()


def test_the_tap_hears_what_leaves_and_nothing_else(cable: Cable) -> None:
    """Not what comes in, not what is no LLDP, not what has a VLAN tag."""
    tap = cable.station.call(Tap, cable.station.interface_index(cable.uplink))
    with PacketTap(cable.station, cable.uplink) as ours, PacketTap(cable.bridge, cable.port) as theirs:
        theirs.send(frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC)))
        ours.wait_for(lambda seen: seen.source == BRIDGE_MAC, "the frame that comes in")
        leaving = frame(STATION_MAC, lldpdu(STATION_MAC), NEAREST_BRIDGE)
        ours.send(leaving.replace(b"\x88\xcc", b"\x08\x00", 1))
        ours.send(leaving[:12] + bytes.fromhex("81000005") + leaving[12:])
        ours.send(leaving)
        ours.send(frame(STATION_MAC, lldpdu(STATION_MAC), NEAREST_CUSTOMER_BRIDGE))
    heard = announcements(wait_until(tap.frames, "what left"))
    tap.close()
    assert {(text.source, text.scope) for text in heard} == {
        (STATION_MAC, Scope.NEAREST_BRIDGE),
        (STATION_MAC, Scope.NEAREST_CUSTOMER_BRIDGE),
    }
    with pytest.raises(OSError):
        cable.station.call(Tap, 4711)


def test_a_namespace_in_which_little_can_be_read(make_namespace: Callable[..., Namespace], tmp_path: Path) -> None:
    """No /proc, no /run, no permission: no finding, no error."""
    empty = Surroundings(tmp_path / "nothing", open_tap=refuse)
    assert make_namespace().call(empty.look, {}, {}) == {}


def refuse(ifindex: int) -> Tap:
    raise PermissionError
