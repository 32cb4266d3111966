"""The installed service in a booted systemd, its sandbox in force: a forbidden system call would kill it here."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from uuid import UUID

import pytest

from evbagent.messages import INLINE_OCTETS
from evbagent.observe import CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE
from evbagent.statefile import read_state
from tests.support.agent import Agent, neighbors
from tests.support.booted import HOME, Booted, agent_tree
from tests.support.namespaces import Namespace, NamespacesUnavailable, PacketTap, end, link_pair, wait_until
from tests.support.require import impossible
from tests.support.rig import BRIDGE_MAC, STATION_MAC
from tests.support.vdpdus import ASSOCIATE, DEASSOCIATE, MAC_VID, VsiOctets
from tests.support.vdptool import LibvirtMessages, published

pytestmark = pytest.mark.system

PROGRAM = f"{HOME}/bin/evbagent"
FULL, OBSERVING = "evbagent.service", "evbagent-observe.service"
CAP_DAC_READ_SEARCH = 2
CAP_NET_RAW = 13
IPV6 = 0x86DD
UNITS = "/run/systemd/system"
CONFIG = 'interfaces = ["up0"]\n[lldp]\nmanagement-addresses = ["192.0.2.1"]\n'
INSTANCE = "a1412857-60f7-4ce1-a95a-216494353f53"
PROFILE = ("--manager", "192.0.2.1", "--type", "5", "--type-version", "1")
STRICT = "[Service]\nSystemCallErrorNumber=kill\n"
NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
MEMBER = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=evbagent")


class Service(Agent):
    """The agent of a booted machine, started and ended by systemd, and read as any other."""

    def __init__(self, machine: Booted, unit: str = FULL) -> None:
        self.namespace = self.machine = machine
        self.unit = unit
        self.state_dir = machine.file("/run/evbagent")
        self.config = machine.file("/etc/evbagent/evbagent.toml")
        self._checked = 0

    @property
    def pid(self) -> int:
        """Its id in the machine."""
        return self.machine.main_process(self.unit)

    def start(self, timeout: float = 10.0) -> None:
        """Returns when systemd has been told that it is ready."""
        self._checked = 0
        started = self.machine.systemctl("start", self.unit, check=False)
        assert started.returncode == 0, self._log_end()

    def stop(self) -> int:
        self.machine.systemctl("stop", self.unit)
        return int(self.machine.show(self.unit, "ExecMainStatus")["ExecMainStatus"])

    def signal(self, number: signal.Signals) -> None:
        self.machine.run(["kill", f"-{number.name}", str(self.pid)])

    def wait_for_another(self, pid: int, timeout: float = 15.0) -> None:
        """systemd has started it again, and it speaks."""

        def speaks() -> bool:
            document = read_state(self.state_dir).document
            return document is not None and document["agent"]["pid"] not in (pid, 0) and self.pid not in (pid, 0)

        wait_until(speaks, f"another process than {pid}\n{self._log_end()}", timeout)
        self._checked = 0

    def evbagent(self, *words: str, check: bool = True, user: tuple[str, ...] = ()) -> Any:
        return self.machine.run([*user, PROGRAM, *words], check=check)

    def capabilities(self) -> set[int]:
        """In force in the process."""
        bits = int(self.status("CapEff"), 16)
        assert int(self.status("CapBnd"), 16) == bits, "nor could it get any"
        return {number for number in range(64) if bits >> number & 1}

    def status(self, key: str) -> str:
        text = self.machine.file(f"/proc/{self.pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines())[key].strip()

    def _log_end(self) -> str:
        return self.machine.log(self.unit)


@pytest.fixture(scope="module")
def machine() -> Iterator[Booted]:
    with TemporaryDirectory() as directory:
        try:
            booted = Booted(agent_tree(Path(directory) / "tree"))
        except NamespacesUnavailable as error:
            impossible(str(error))
        with booted:
            booted.run([PROGRAM, "install"])
            for unit in (FULL, OBSERVING):
                booted.write(f"{UNITS}/{unit}.d/strict.conf", STRICT)
            booted.systemctl("daemon-reload")
            yield booted


@pytest.fixture(scope="module")
def switch(machine: Booted) -> Iterator[Agent]:
    """At the other end of the machine's up0: port sw0 of a Linux bridge."""
    with TemporaryDirectory() as directory, Namespace("switch") as far:
        macs = {"left_mac": BRIDGE_MAC.hex(":"), "right_mac": STATION_MAC.hex(":")}
        link_pair(far, "sw0", machine, "up0", **macs)
        far.bridge("br0", ["sw0"])
        with Agent(far, Path(directory), ["sw0"], role="bridge") as agent:
            yield agent


@pytest.fixture
def service(machine: Booted, switch: Agent) -> Iterator[Service]:
    machine.write("/etc/evbagent/evbagent.toml", CONFIG)
    service = Service(machine)
    service.start()
    yield service
    service.stop()
    machine.systemctl("reset-failed")
    machine.run("rm -rf /run/evbagent/vsis.journal")


@contextmanager
def guest(service: Service, name: str = "guest0", *words: str) -> Iterator[dict[str, Any]]:
    """A guest's device, made by root."""
    made = json.loads(service.evbagent("attach", "up0", "--name", name, "--kind", "macvlan", "-j", *words).stdout)
    try:
        yield made
    finally:
        service.evbagent("detach", name)


def mode(service: Service, name: str = "guest0") -> str:
    return str(service.machine.link(name)["linkinfo"]["info_data"]["mode"])


def associate(service: Service, user: tuple[str, ...] = (), check: bool = True) -> Any:
    filters = ("--filter", "0-52:54:00:00:00:01")
    words = ("vsi", "associate", "up0", "--instance", INSTANCE, *PROFILE, *filters)
    return service.evbagent(*words, user=user, check=check)


def vsi_states(agent: Agent, interface: str) -> dict[str, str]:
    return {vsi["vsi-id"]: vsi["state"] for vsi in agent.uplink(interface)["vsis"]}


def test_ready_means_ready_and_nothing_of_root(service: Service) -> None:
    shown = service.machine.show(FULL, "ActiveState", "SubState", "NRestarts", "StatusText", "WatchdogUSec")
    assert shown == {
        "ActiveState": "active",
        "SubState": "running",
        "NRestarts": "0",
        "StatusText": "serving 1 uplink: up0",
        "WatchdogUSec": "10s",
    }
    assert service.serves("up0") and service.evbagent("show", "interfaces").returncode == 0
    assert service.capabilities() == {CAP_NET_RAW, CAP_NET_ADMIN}
    assert "0" not in service.status("Uid").split() + service.status("Gid").split()
    assert (service.status("NoNewPrivs"), service.status("Seccomp")) == ("1", "2")
    assert service.machine.show(FULL, "SystemCallErrorNumber") == {"SystemCallErrorNumber": "2147483646"}, "strict"


def test_the_sandbox_holds(service: Service) -> None:
    """As the service's own process finds it: its root directory, seen from outside."""
    inside = f"/proc/{service.pid}/root"
    for path in ("/usr/evil", "/etc/evbagent/evil", "/evil", "/var/lib/evil"):
        tried = service.machine.run(["nsenter", "-t", str(service.pid), "-m", "touch", path], check=False)
        assert "Read-only file system" in tried.stderr, path
    assert not list(service.machine.file(f"{inside}/home").iterdir())
    assert service.machine.file(f"{inside}/dev/tun").exists() is False
    assert service.machine.file(f"{inside}/dev/net").exists() is False


@pytest.mark.parametrize(("unit", "worst"), [(FULL, 16), (OBSERVING, 14)])
def test_systemds_judgement_of_what_is_loaded(machine: Booted, unit: str, worst: int) -> None:
    judged = machine.run(["systemd-analyze", "security", f"--threshold={worst}", "--no-pager", unit], check=False)
    assert judged.returncode == 0, judged.stdout


def test_guests_follow_the_switch(service: Service, switch: Agent) -> None:
    """The hairpin flag there, the macvlan's mode here: CAP_NET_ADMIN is enough."""
    service.wait_for_relay("up0", "active")
    with guest(service) as made:
        assert made["mode"] == "vepa" and mode(service) == "vepa"
        switch.reload('[evb]\nreflective-relay = "off"\n')
        service.wait_for_relay("up0", "inactive")
        wait_until(lambda: mode(service) == "bridge", "the guest is in bridge mode")
        switch.reload("")
        service.wait_for_relay("up0", "active")
        wait_until(lambda: mode(service) == "vepa", "the guest is in VEPA mode")


def test_anybody_may_look(service: Service) -> None:
    service.wait_for_relay("up0", "active")
    assert service.evbagent("mode", "up0", user=NOBODY).stdout == "vepa\n"
    for what in ("neighbors", "interfaces", "evb", "vsis", "dcbx", "statistics", "config"):
        assert json.loads(service.evbagent("show", what, "-j", user=NOBODY).stdout) is not None
    service.evbagent("wait", "up0", "--for", "reflective-relay", "--timeout", "5", user=NOBODY)


def test_only_root_and_the_group_may_change(service: Service) -> None:
    service.wait_for_relay("up0", "active")
    for words in (("reload",), ("switch", "deassociate", "--all")):
        refused = service.evbagent(*words, user=NOBODY, check=False)
        assert refused.returncode == 1 and "members of the agent's group" in refused.stderr
    refused = associate(service, NOBODY, check=False)
    assert refused.returncode == 1 and "members of the agent's group" in refused.stderr
    assert not vsi_states(service, "up0")
    granted = associate(service, MEMBER)
    assert granted.stdout.startswith("associated")
    service.evbagent("reload", user=MEMBER)
    service.evbagent("vsi", "deassociate", "up0", "--instance", INSTANCE, user=MEMBER)


def test_reload_takes_a_good_file_and_says_what_is_wrong_with_a_bad_one(service: Service) -> None:
    before = service.pid
    service.config.write_text(CONFIG + "message-tx-interval = 11\n")
    service.machine.systemctl("reload", FULL)
    assert json.loads(service.evbagent("show", "config").stdout)["lldp"]["message-tx-interval"] == 11
    service.config.write_text(CONFIG + "message-tx-interval = 4711\n")
    refused = service.machine.systemctl("reload", FULL, check=False)
    assert refused.returncode != 0
    said = service.machine.log(FULL)
    assert "evbagent.toml" in said and "message-tx-interval" in said and "stays in force" in said
    assert json.loads(service.evbagent("show", "config").stdout)["lldp"]["message-tx-interval"] == 11
    shown = service.machine.show(FULL, "ActiveState", "SubState", "NRestarts")
    assert (shown, service.pid) == ({"ActiveState": "active", "SubState": "running", "NRestarts": "0"}, before)


def test_killed_it_comes_back_with_vsis_and_guests(service: Service, switch: Agent) -> None:
    service.wait_for_relay("up0", "active")
    associate(service)
    with guest(service):
        before, seen = service.pid, switch.uplink("sw0")["vsis"]
        service.signal(signal.SIGKILL)
        service.wait_for_another(before)
        assert service.machine.show(FULL, "NRestarts") == {"NRestarts": "1"}
        wait_until(lambda: vsi_states(service, "up0") == {INSTANCE: "associated"}, "the VSI is associated")
        assert switch.uplink("sw0")["vsis"] == seen, "the switch never saw it go"
        service.wait_for_relay("up0", "active")
        assert [device["name"] for device in service.uplink("up0")["attachments"]] == ["guest0"]
        switch.reload('[evb]\nreflective-relay = "off"\n')
        wait_until(lambda: mode(service) == "bridge", "the guest is in bridge mode")
        switch.reload("")
        wait_until(lambda: mode(service) == "vepa", "the guest is in VEPA mode")
    service.evbagent("vsi", "deassociate", "up0", "--instance", INSTANCE)


def test_hanging_it_is_replaced(service: Service) -> None:
    """With a watchdog of a second instead of ten, lest the test take as long."""
    machine = service.machine
    machine.write(f"{UNITS}/{FULL}.d/impatient.conf", "[Service]\nWatchdogSec=1s\n")
    try:
        machine.systemctl("daemon-reload")
        machine.systemctl("restart", FULL)
        before, begun = service.pid, monotonic()
        wait_until(lambda: monotonic() - begun > 2.2, "two periods of the watchdog", 5, 0.1)
        assert service.pid == before, "it is told that all is well"
        service.signal(signal.SIGSTOP)
        service.wait_for_another(before)
        assert "Watchdog timeout" in machine.log(FULL)
        assert service.machine.show(FULL, "ActiveState") == {"ActiveState": "active"}
    finally:
        machine.file(f"{UNITS}/{FULL}.d/impatient.conf").unlink()
        machine.systemctl("daemon-reload")


def test_stopped_it_lets_go_and_keeps_what_the_next_start_needs(service: Service, switch: Agent) -> None:
    service.wait_for_relay("up0", "active")
    associate(service)
    with guest(service):
        assert service.stop() == 0
        assert mode(service) == "bridge", "without the agent nobody would notice that the switch stops reflecting"
        assert service.machine.show(FULL, "Result", "ActiveState") == {"Result": "success", "ActiveState": "inactive"}
        assert {path.name for path in service.state_dir.iterdir()} == {"evbagent.lock", "vsis.journal"}
        wait_until(lambda: not neighbors(switch.uplink("sw0")), "the switch has been told")
        service.start()
        wait_until(lambda: vsi_states(service, "up0") == {INSTANCE: "associated"}, "the VSI is associated")
        service.wait_for_relay("up0", "active")
        wait_until(lambda: mode(service) == "vepa", "the guest is in VEPA mode")
    service.evbagent("vsi", "deassociate", "up0", "--instance", INSTANCE)


def test_what_is_declared_is_asked_for_and_what_is_announced_follows_the_host(service: Service, switch: Agent) -> None:
    """vsi.d, the host's name and addresses, NICs' settings: all of it is still read."""
    machine = service.machine
    declared = (
        f'[[vsi]]\ninterface = "up0"\ninstance = "{INSTANCE}"\nmanager = "192.0.2.1"\ntype = 5\ntype-version = 1\n'
    )
    machine.write("/etc/evbagent/vsi.d/one.toml", declared + 'filter = ["0-52:54:00:00:00:01"]\n')
    try:
        machine.systemctl("reload", FULL)
        wait_until(lambda: vsi_states(service, "up0") == {INSTANCE: "associated"}, "the VSI is associated")
    finally:
        machine.file("/etc/evbagent/vsi.d/one.toml").unlink()
    machine.systemctl("reload", FULL)
    wait_until(lambda: not vsi_states(service, "up0"), "the VSI is withdrawn")
    machine.run("hostname renamed")

    def announced() -> bool:
        names = [neighbor.get("system-name") for neighbor in neighbors(switch.uplink("sw0"))]
        return names == ["renamed"]

    wait_until(announced, "the switch has heard the new name")
    assert not [line for line in machine.log(FULL).splitlines() if "not known" in line or "ermission" in line]


def test_a_large_answer_fits_through(service: Service) -> None:
    """It goes through a file in memory."""
    rule = '[[switch.rule]]\ntype = "100-199"\nvids = ["100-199", 300]\n'
    service.config.write_text(CONFIG + 2000 * rule)
    service.machine.systemctl("reload", FULL)
    answer = service.evbagent("show", "config", user=NOBODY).stdout
    assert len(answer) > INLINE_OCTETS and len(json.loads(answer)["switch"]["rule"]) == 2000


@contextmanager
def drop_in(service: Service, name: str) -> Iterator[None]:
    """Installed, and the service started with it."""
    machine = service.machine
    machine.run([PROGRAM, "install", "--drop-in", name])
    machine.systemctl("restart", FULL)
    try:
        yield
    finally:
        machine.run(["rm", "-r", f"/usr/local/lib/systemd/system/{FULL}.d"])
        machine.systemctl("daemon-reload")


def test_recordings_lie_in_the_state_directory(service: Service) -> None:
    with drop_in(service, "record"):
        service.wait_for_relay("up0", "active")
        (recording,) = service.machine.file("/var/lib/evbagent/recordings").glob("up0-*.jsonl")
        status = recording.stat()
        assert status.st_uid == service.machine.file("/run/evbagent").stat().st_uid != 0
        assert status.st_mode & 0o077 == 0
        service.machine.systemctl("restart", FULL)
        replayed = service.evbagent("replay", f"/var/lib/evbagent/recordings/{recording.name}")
        assert "reflective-relay active" in replayed.stdout


def test_guests_in_other_namespaces_follow_by_a_drop_in_alone(service: Service, switch: Agent) -> None:
    machine = service.machine
    machine.run("ip netns add container")

    def mode_there() -> str:
        shown = machine.run("ip -n container -d -j link show guest0").stdout
        return str(json.loads(shown)[0]["linkinfo"]["info_data"]["mode"])

    try:
        service.wait_for_relay("up0", "active")
        service.evbagent("attach", "up0", "--name", "guest0", "--kind", "macvlan")
        machine.run("ip link set guest0 netns container")
        assert mode_there() == "vepa"
        switch.reload('[evb]\nreflective-relay = "off"\n')
        failed = service.wait_for(
            "up0", lambda uplink: uplink["attachments"] and not uplink["attachments"][0]["conforms"], "it is not moved"
        )
        assert failed["attachments"][0]["reason"] and mode_there() == "vepa"
        assert any("CAP_SYS_ADMIN" in text for text in service.state()["agent"]["restrictions"])
        with drop_in(service, "containers"):
            assert service.capabilities() == {CAP_NET_RAW, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE}
            assert service.state()["agent"]["restrictions"] == []
            wait_until(lambda: mode_there() == "bridge", "the guest is in bridge mode", 5)
            switch.reload("")
            wait_until(lambda: mode_there() == "vepa", "the guest is in VEPA mode", 5)
    finally:
        switch.reload("")
        machine.run("ip netns delete container")


def test_other_programs_are_named_by_a_drop_in(service: Service) -> None:
    """/proc of other users' processes is there for the service's user with it, and not without."""

    def look() -> str:
        user = ("setpriv", "--reuid=evbagent", "--regid=evbagent", "--clear-groups")
        words = ["nsenter", "-t", str(service.pid), "-m", *user, "cat", "/proc/1/comm"]
        return str(service.machine.run(words, check=False).stdout)

    assert look() == ""
    with drop_in(service, "processes"):
        assert service.capabilities() == {CAP_DAC_READ_SEARCH, CAP_NET_RAW, CAP_NET_ADMIN, CAP_SYS_PTRACE}
        assert look() == "systemd\n"


def stands_in_the_pid_file(service: Service) -> bool:
    """A process's port ids have its number in the lower 22 bits."""
    return published(service.machine) & 0x3FFFFF == service.pid


def test_in_lldpads_place_by_a_drop_in(service: Service, switch: Agent) -> None:
    """libvirt is answered out of the sandbox, also by the next process, and the pid file goes with the service."""
    machine = service.machine
    vsi = VsiOctets(
        kind=ASSOCIATE,
        status=0,
        manager=bytes([11]).ljust(16, b"\0"),
        type_id=7,
        version=1,
        vsi_id=UUID(INSTANCE).bytes,
        filter_format=MAC_VID,
        entries=(bytes([0x52, 0x54, 0, 0, 0, 1, 0, 0]),),
    )
    pid_file = machine.file("/run/lldpad.pid")
    service.config.write_text(CONFIG + "[libvirt]\nenabled = true\n")
    with drop_in(service, "libvirt"):
        service.wait_for_relay("up0", "active")
        with LibvirtMessages(machine, "up0") as libvirt:
            assert stands_in_the_pid_file(service)
            assert libvirt.ask(vsi) == 0
            wait_until(lambda: libvirt.poll()[INSTANCE] == 0, "the switch has associated it")
            switch.evbagent("switch", "deassociate", "--all", "sw0")
            assert libvirt.notification() == INSTANCE
            former = service.pid
            service.signal(signal.SIGKILL)
            service.wait_for_another(former)
            wait_until(lambda: vsi_states(service, "up0") == {INSTANCE: "associated"}, "the VSI is associated")
            assert stands_in_the_pid_file(service)
            assert libvirt.poll()[INSTANCE] == 0
            assert libvirt.ask(vsi, DEASSOCIATE) == 0
            wait_until(lambda: not vsi_states(switch, "sw0"), "the switch has let it go")
        assert service.stop() == 0
        assert not pid_file.exists()


def test_a_live_lldpads_pid_file_stays_its_own(service: Service) -> None:
    """It is root's, and was started by hand, so systemd does not end it."""
    machine = service.machine
    pid_file = machine.file("/run/lldpad.pid")
    machine.run("cp /bin/sleep /run/lldpad")
    lldpad = machine.popen(["/run/lldpad", "60"])
    service.config.write_text(CONFIG + "[libvirt]\nenabled = true\n")
    try:
        number = wait_until(lambda: machine.run("pgrep -x lldpad", check=False).stdout, "it runs")
        pid_file.write_text(number)
        with drop_in(service, "libvirt"):
            wait_until(lambda: f"lldpad (pid {number.strip()}) is running" in machine.log(FULL), "it is said")
            service.stop()
            assert pid_file.read_text() == number
            service.start()
            machine.run(["kill", number.strip()])
            wait_until(lambda: stands_in_the_pid_file(service), "the file is the agent's")
            service.stop()
            assert not pid_file.exists()
    finally:
        end(lldpad)
        pid_file.unlink(missing_ok=True)


def test_observing_it_sends_and_changes_nothing(service: Service, switch: Agent) -> None:
    machine = service.machine
    service.wait_for_relay("up0", "active")
    associate(service)
    with guest(service):
        observer = Service(machine, OBSERVING)
        with PacketTap(switch.namespace, "sw0") as tap:
            observer.start()
            try:
                assert machine.show(FULL, "ActiveState") == {"ActiveState": "inactive"}, "one or the other"
                assert machine.show(OBSERVING, "StatusText") == {"StatusText": "only observing 1 uplink: up0"}
                assert observer.capabilities() == {CAP_NET_RAW}
                tap.drain()

                def heard_at_link_up() -> dict[str, Any] | None:
                    """Not always: the switch may be first, and says no more for 30 s to someone who is silent."""
                    machine.ip("link set up0 down")
                    machine.ip("link set up0 up")
                    with suppress(AssertionError):
                        return observer.wait_for("up0", lambda uplink: uplink["evb"]["remote"], "EVB is heard", 2)
                    return None

                heard = wait_until(heard_at_link_up, "the switch's EVB TLV is heard")
                assert heard is not None
                assert neighbors(heard) and heard["forwarding"]["mode"] == "veb"
                agent = observer.state()["agent"]
                assert agent["observes"] is True and "only observes" in agent["restrictions"][0]
                refused = associate(observer, check=False)
                assert refused.returncode == 1 and "only observes" in refused.stderr
                assert mode(observer) == "bridge", "it follows nobody"
                observer.machine.systemctl("reload", OBSERVING)
                assert not vsi_states(observer, "up0")
                said = [frame for frame in tap.drain() if frame.source == STATION_MAC]
                assert {frame.ethertype for frame in said} <= {IPV6}, "the kernel's own, when a link comes up"
            finally:
                observer.stop()
        service.start()
        wait_until(lambda: vsi_states(service, "up0") == {INSTANCE: "associated"}, "the VSI is associated again")
    service.evbagent("vsi", "deassociate", "up0", "--instance", INSTANCE)


def test_uninstalled_it_is_stopped_and_gone(machine: Booted, switch: Agent) -> None:
    service = Service(machine)
    service.config.write_text(CONFIG)
    machine.systemctl("enable", "--now", "--quiet", FULL)
    assert service.serves("up0")
    try:
        machine.run([PROGRAM, "uninstall"])
        assert machine.show(FULL, "ActiveState", "LoadState") == {"ActiveState": "inactive", "LoadState": "not-found"}
        assert os.listdir(machine.file("/etc/evbagent"))
    finally:
        machine.run([PROGRAM, "install"])
