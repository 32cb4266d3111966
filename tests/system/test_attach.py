"""Guests' devices in the kernel: made in the mode that the state file gives, marked, and removed."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evbagent import attach
from evbagent.attach import AttachError, PolicyUnmet, create, remove
from evbagent.state import StateWriter
from evbagent.statefile import boottime, read_state
from tests.support.namespaces import Namespace

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]


class Host:
    """A network namespace with an uplink, up0, and the real writer of a state file about it."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self.namespace = namespace
        self.directory = directory
        namespace.ip("link add up0 type veth peer name switch0")
        namespace.ip("link set switch0 up")
        namespace.ip("link set up0 up")
        self.index = namespace.interface_index("up0")
        self._uplinks: list[Any] = []
        self._writer = StateWriter(directory, lambda: {"uplinks": self._uplinks}, boottime)

    async def start(self) -> None:
        self._writer.open()

    def stop(self) -> None:
        self._writer.close()

    def say(self, relay: str, index: int | None = None) -> None:
        forwarding = {
            "mode": "vepa" if relay == "active" else "veb",
            "reflective-relay": relay,
            "reason": f"the switch's relay is {relay}",
        }
        self._uplinks = [{"name": "up0", "ifindex": index or self.index, "forwarding": forwarding}]
        self._writer.write()

    def create(self, name: str = "guest0", interface: str = "up0", **options: Any) -> attach.Attachment:
        return self.namespace.call(create, interface, name, state_dir=self.directory, **options)

    def remove(self, name: str) -> None:
        self.namespace.call(remove, name)

    def link(self, name: str) -> dict[str, Any]:
        return self.namespace.link(name)

    def mode(self, name: str) -> str:
        mode: str = self.link(name)["linkinfo"]["info_data"]["mode"]
        return mode

    def exists(self, name: str) -> bool:
        return self.namespace.run(f"ip link show {name}", check=False).returncode == 0


@pytest.fixture
def host(namespace: Namespace, tmp_path: Path) -> Iterator[Host]:
    host = Host(namespace, tmp_path)
    with asyncio.Runner() as runner:
        runner.run(host.start())
        yield host
        host.stop()


@pytest.mark.parametrize("kind", ["macvtap", "macvlan"])
@pytest.mark.parametrize(
    ("relay", "policy", "mode", "macvlan_mode"),
    [
        ("active", "prefer-vepa", "vepa", "vepa"),
        ("active", "require-vepa", "vepa", "vepa"),
        ("active", "private", "private", "private"),
        ("inactive", "prefer-vepa", "veb", "bridge"),
        ("unknown", "veb", "veb", "bridge"),
    ],
)
def test_create_and_remove(host: Host, kind: str, relay: str, policy: str, mode: str, macvlan_mode: str) -> None:
    host.say(relay)
    made = host.create(kind=kind, policy=policy, mac="02:00:00:00:00:2a")
    link = host.link("guest0")
    assert (made.name, made.uplink, made.kind, made.policy, made.mode) == ("guest0", "up0", kind, policy, mode)
    assert made.mac_address == link["address"] == "02:00:00:00:00:2a"
    assert made.ifindex == link["ifindex"]
    assert made.character_device == (f"/dev/tap{made.ifindex}" if kind == "macvtap" else None)
    assert link["link"] == "up0"
    assert link["linkinfo"]["info_kind"] == kind
    assert host.mode("guest0") == macvlan_mode
    assert link["ifalias"] == f"evbagent:{policy}"
    assert "UP" in link["flags"]
    host.remove("guest0")
    assert not host.exists("guest0")


def test_address_of_the_kernels_choice(host: Host) -> None:
    host.say("active")
    made = host.create()
    assert made.mac_address == host.link("guest0")["address"]


def test_device_number_is_that_of_the_character_device(host: Host) -> None:
    """/sys of the namespace says it; the calling thread sees the namespace's /sys only by the holder's root."""
    host.say("active")
    script = (
        "import sys; from evbagent.attach import create; made = create('up0', 'guest0', state_dir=sys.argv[1]);"
        "print(made.ifindex, made.character_device, made.device_number)"
    )
    words = [sys.executable, "-c", script, str(host.directory)]
    done = host.namespace.run(words, env={"PYTHONPATH": str(ROOT)})
    index, path, number = done.stdout.split()
    assert path == f"/dev/tap{index}"
    assert number == (host.namespace.root / f"sys/class/net/guest0/macvtap/tap{index}/dev").read_text().strip()
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return  # /dev is not the kernel's here
    assert stat.S_ISCHR(status.st_mode)


def test_nothing_known_is_veb_or_a_refusal(host: Host) -> None:
    assert host.create("guest0").mode == "veb"
    with pytest.raises(PolicyUnmet, match="require-vepa is not met: there is no "):
        host.create("guest1", policy="require-vepa")
    assert not host.exists("guest1")


def test_the_answer_about_another_interface_of_that_name(host: Host) -> None:
    """As when the agent runs in another network namespace, or before it has seen that the uplink was replaced."""
    host.say("active", index=host.index + 100)
    assert host.create("guest0").mode == "veb"
    with pytest.raises(PolicyUnmet, match="another interface"):
        host.create("guest1", policy="require-vepa")


def test_an_answer_that_changes_meanwhile(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.say("active")
    changes = iter(["inactive", "active", "inactive"])
    after_making(monkeypatch, lambda: host.say(next(changes, "inactive")))
    assert host.create("guest0").mode == "veb"
    assert host.mode("guest0") == "bridge"


def test_a_required_answer_that_is_lost_meanwhile(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.say("active")
    after_making(monkeypatch, lambda: host.say("inactive"))
    with pytest.raises(PolicyUnmet, match="the switch's relay is inactive"):
        host.create("guest0", policy="require-vepa")
    assert not host.exists("guest0")


def after_making(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """`action` comes before each look at the state file that follows the making of a device."""
    from evbagent.netlink import RouteSocket

    create_macvlan = RouteSocket.create_macvlan
    is_made = False

    def read(*arguments: Any) -> Any:
        if is_made:
            action()
        return read_state(*arguments)

    def make(*arguments: Any) -> Any:
        nonlocal is_made
        link = create_macvlan(*arguments)
        is_made = True
        return link

    monkeypatch.setattr(attach, "read_state", read)
    monkeypatch.setattr(RouteSocket, "create_macvlan", make)


def test_refusals_leave_nothing_behind(host: Host) -> None:
    host.say("active")
    host.create("guest0", mac="02:00:00:00:00:2a")
    host.namespace.bridge("br0", ["switch0"])
    before = host.namespace.run("ip -o link").stdout.count("\n")
    uplink_address = host.link("up0")["address"]
    for interface, options, reason in [
        ("missing", {}, "there is no network interface missing in this network namespace"),
        ("guest0", {}, "guest0 is itself a macvtap: name the uplink"),
        ("lo", {}, "lo is not an Ethernet interface"),
        ("switch0", {}, "switch0 is in use by a bridge"),
        ("up0", {"name": "guest0"}, "there is a network interface guest0 already"),
        ("up0", {"name": "br0"}, "there is a network interface br0 already"),
        ("up0", {"mac": "02:00:00:00:00:2a"}, "the address 02:00:00:00:00:2a is in use on up0 already"),
        ("up0", {"mac": uplink_address}, f"the address {uplink_address} is in use on up0 already"),
    ]:
        for kind in ("macvtap", "macvlan"):
            with pytest.raises(AttachError, match=reason):
                host.create(**{"name": "guest1", "interface": interface, "kind": kind, **options})
    assert host.namespace.run("ip -o link").stdout.count("\n") == before


def test_an_uplink_that_is_down(host: Host) -> None:
    host.say("unknown")
    host.namespace.ip("link set up0 down")
    assert host.create("guest0").mode == "veb"


def test_a_guest_on_an_interface_that_no_agent_serves(host: Host) -> None:
    host.say("active")
    host.namespace.bridge("br0")
    assert host.create("guest0", "br0").mode == "veb"


def test_only_our_own_devices_are_removed(host: Host) -> None:
    host.namespace.ip("link add link up0 name other type macvtap mode bridge")
    host.namespace.ip("link set up0 alias evbagent:veb")
    for name in ("other", "up0", "lo"):
        with pytest.raises(AttachError, match=f"{name} was not made by evbagent attach"):
            host.remove(name)
        assert host.exists(name)
    host.namespace.ip("link set other alias evbagent:no-policy-of-ours")
    with pytest.raises(AttachError, match="not made by evbagent attach"):
        host.remove("other")
    with pytest.raises(AttachError, match="there is no network interface guest0"):
        host.remove("guest0")


def test_a_device_that_was_moved(host: Host, make_namespace: Callable[..., Namespace]) -> None:
    guest = make_namespace("guest")
    host.say("active")
    host.create("guest0", kind="macvlan")
    host.namespace.ip(f"link set guest0 netns {guest.pid}")
    with pytest.raises(AttachError, match="if it was moved, remove it there"):
        host.remove("guest0")
    guest.call(remove, "guest0")
    assert guest.run("ip link show guest0", check=False).returncode != 0


def test_without_privilege(host: Host) -> None:
    host.say("active")
    host.create("guest0")
    for call in ("create('up0', 'guest1', state_dir=sys.argv[1])", "remove('guest0')"):
        script = (
            "import sys; from evbagent.attach import AttachError, create, remove\n"
            f"try:\n    {call}\nexcept AttachError as error:\n    print(error)"
        )
        words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", script, str(host.directory)]
        done = host.namespace.run(words, env={"PYTHONPATH": str(ROOT)})
        assert "needs CAP_NET_ADMIN: run as root" in done.stdout
    assert host.exists("guest0")
    assert not host.exists("guest1")


def test_many_at_once(host: Host) -> None:
    """Attachment code runs in parallel; each device is made whole."""
    host.say("active")
    script = "import sys; from evbagent.attach import create; create('up0', sys.argv[1], state_dir=sys.argv[2])"
    running = [
        host.namespace.popen(
            [sys.executable, "-c", script, f"guest{number}", str(host.directory)],
            env={"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
        )
        for number in range(6)
    ]
    for process in running:
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
    for number in range(6):
        assert host.mode(f"guest{number}") == "vepa"
        assert host.link(f"guest{number}")["ifalias"] == "evbagent:prefer-vepa"
