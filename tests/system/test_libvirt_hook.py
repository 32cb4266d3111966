"""libvirt's own word: it takes what `evbagent libvirt domain` prints, and its hook keeps guests from being cut off.

Real libvirtd and QEMU; the uplink's switch is an agent of ours in the bridge role.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.agent import ROOT, Agent
from tests.support.domains import NETWORK, domain
from tests.support.libvirtd import Libvirtd
from tests.support.namespaces import Namespace
from tests.support.require import require_peer
from tests.support.rig import make_cable

pytestmark = pytest.mark.system

COMMAND_LINE = "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/>"
VEPA = "<source dev='veth0' mode='vepa'/>"
OF_NETWORK = "<source network='pool'/>"
NO_RELAY = "[evb]\nreflective-relay = 'off'\n"


@dataclass(frozen=True, slots=True)
class Host:
    """A host with libvirt and its agent, on a cable to a bridge with another."""

    namespace: Namespace
    libvirt: Libvirtd
    agent: Agent
    switch: Agent
    directory: Path

    def relay(self, wanted: str) -> None:
        self.switch.reload("" if wanted == "active" else NO_RELAY)
        self.agent.wait_for_relay("veth0", wanted)

    def file(self, text: str) -> str:
        path = self.directory / "document.xml"
        path.write_text(text)
        return str(path)

    def create(self, source: str = VEPA, type: str = "direct") -> str:
        """Start a guest; returns what virsh complained of, or nothing if it runs."""
        done = self.libvirt.virsh("create", self.file(domain(source, type)), check=False)
        assert (done.returncode == 0) == ("guest0" in self.libvirt.guests())
        assert self.macvtaps() == (1 if done.returncode == 0 else 0)
        return "" if done.returncode == 0 else done.stderr

    def destroy(self) -> None:
        self.libvirt.virsh("destroy", "guest0")

    def macvtaps(self) -> int:
        return len(self.namespace.ip_json("link show type macvtap"))

    def install_hook(self, *options: str) -> None:
        program = self.directory / "evbagent"
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m evbagent "$@"\n')
        program.chmod(0o755)
        self.agent.evbagent("libvirt", "install-hook", "--program", str(program), *options)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One for all tests: libvirtd and the agents take longer to start than most tests."""
    directory = tmp_path_factory.mktemp("libvirt")
    with Namespace("host") as station, Namespace("switch") as bridge:
        cable = make_cable(station, bridge)
        bridge.bridge("br0", [cable.port])
        with (
            Libvirtd(station, directory) as libvirt,
            Agent(station, directory, [cable.uplink]) as agent,
            Agent(bridge, directory, [cable.port], role="bridge") as switch,
        ):
            yield Host(station, libvirt, agent, switch, directory)


@pytest.fixture
def host(machine: Host) -> Iterator[Host]:
    """As every test wants it: no guest, no hook, and a switch that reflects."""
    if machine.agent.process is None:
        machine.agent.start()
    machine.relay("active")
    yield machine
    for guest in machine.libvirt.guests():
        machine.libvirt.virsh("destroy", guest)
    machine.agent.evbagent("libvirt", "uninstall-hook")


def test_a_guest_that_would_be_cut_off_does_not_start(host: Host) -> None:
    assert host.create() == ""
    host.destroy()
    host.install_hook()  # which the running libvirtd is told of
    assert host.create() == "", "the switch reflects"
    host.destroy()
    host.relay("inactive")
    refusal = host.create()
    assert "Hook script execution failed" in refusal
    reason = host.agent.uplink("veth0")["forwarding"]["reason"]
    assert (
        "guest guest0: interface 52:54:00:11:22:33 on veth0 is in mode vepa, and would be cut off: " + reason
    ) in refusal
    assert host.create("<source dev='veth0'/>"), "libvirt's default is vepa"
    assert host.create(VEPA.replace("vepa", "bridge")) == ""
    host.destroy()
    host.agent.evbagent("libvirt", "uninstall-hook")
    assert host.create() == ""


def test_only_a_clear_no_is_a_no(host: Host) -> None:
    host.install_hook()
    host.relay("inactive")
    assert host.create() != ""
    host.agent.kill()
    assert host.create() == "", "nobody knows"
    host.destroy()
    host.agent.start()
    host.agent.wait_for_relay("veth0", "inactive")
    assert host.create() != ""
    (host.directory / "evbagent").unlink()
    assert host.create() == "", "nobody can tell"


def test_warn_and_strict(host: Host) -> None:
    host.relay("inactive")
    host.install_hook("--warn")
    assert host.create() == ""
    host.destroy()
    host.install_hook("--strict")
    host.agent.kill()
    assert "no agent is running" in host.create() or "is gone" in host.create()


def test_guests_of_a_network(host: Host) -> None:
    """They get their uplink after `prepare`."""
    host.install_hook()
    pool = NETWORK.replace("eth0", "veth0").replace("    <interface dev='eth1'/>\n", "")
    decided = host.agent.evbagent("libvirt", "domain", host.file(pool)).stdout
    assert decided == pool.replace("auto", "vepa")
    host.libvirt.virsh("net-create", host.file(decided))
    assert host.create(OF_NETWORK, "network") == ""
    host.destroy()
    host.relay("inactive")
    assert "on veth0 is in mode vepa, and would be cut off" in host.create(OF_NETWORK, "network")


def test_a_guest_that_is_restored_where_the_switch_does_not_reflect(host: Host) -> None:
    """libvirt takes the same way for guests that are migrated in."""
    saved = str(host.directory / "saved")
    host.install_hook("--adapt")
    assert host.create() == ""
    host.libvirt.virsh("save", "guest0", saved)
    host.relay("inactive")
    host.libvirt.virsh("restore", saved)
    assert "<source dev='veth0' mode='bridge'/>" in host.libvirt.virsh("dumpxml", "guest0").stdout
    host.destroy()
    host.install_hook()
    refused = host.libvirt.virsh("restore", saved, check=False)
    assert refused.returncode != 0 and "would be cut off" in refused.stderr
    host.relay("active")
    host.libvirt.virsh("restore", saved)
    assert "<source dev='veth0' mode='vepa'/>" in host.libvirt.virsh("dumpxml", "guest0").stdout


def test_beside_other_hooks(host: Host) -> None:
    ran = host.directory / "ran"
    for name in ("qemu", "qemu.d/zz-last"):
        path = host.libvirt.etc / "hooks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n[ $2 = prepare ] && echo {name} >>{ran}\nexit 0\n")
        path.chmod(0o755)
    host.install_hook()
    assert host.create() == ""
    assert ran.read_text().split() == ["qemu", "qemu.d/zz-last"]
    host.destroy()
    host.relay("inactive")
    assert host.create() != ""
    host.agent.evbagent("libvirt", "uninstall-hook")
    ran.unlink()
    assert host.create() == ""
    assert ran.read_text().split() == ["qemu", "qemu.d/zz-last"]


def test_a_running_guest_is_left_alone(host: Host) -> None:
    """libvirt would kill one whose hook says no when libvirtd comes back."""
    host.install_hook()
    assert host.create() == ""
    host.relay("inactive")
    host.libvirt.kill()
    host.libvirt.start()
    assert host.libvirt.guests() == ["guest0"]
    assert host.macvtaps() == 1


def test_libvirt_takes_what_is_printed(host: Host) -> None:
    require_peer("virt-xml-validate", "xmllint")
    for relay, decided in (("active", "vepa"), ("inactive", "bridge")):
        host.relay(relay)
        modes = {"auto": decided, "all": decided, "VEPA": decided, "VEB": "bridge", "PEPA": "private"}
        for word, mode in modes.items():
            file = host.file(domain(f"<source dev='veth0' mode='{word}'/>", inside=COMMAND_LINE))
            validate = ["virt-xml-validate", file, "domain"]
            assert host.namespace.run(validate, check=False).returncode != 0
            refused = host.libvirt.virsh("define", file, check=False)
            assert "Invalid value for attribute 'mode'" in refused.stderr

            host.file(host.agent.evbagent("libvirt", "domain", file).stdout)
            host.namespace.run(validate)
            host.libvirt.virsh("define", "--validate", file)
            assert f"<source dev='veth0' mode='{mode}'/>" in host.libvirt.virsh("dumpxml", "guest0").stdout
            host.libvirt.virsh("undefine", "guest0")
