"""Which mode a guest's device gets, and what is refused before the kernel is asked."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evbagent import attach
from evbagent.attach import AttachError, PolicyUnmet, choose_mode, create
from evbagent.state import StateWriter
from evbagent.statefile import boottime


class Agent:
    """The real writer of a state file about one uplink, eth0."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._uplinks: list[Any] = []
        self._writer = StateWriter(directory, lambda: {"uplinks": self._uplinks}, boottime)

    async def start(self) -> None:
        self._writer.open()

    def stop(self) -> None:
        self._writer.close()

    def say(self, relay: str, mode: str | None = None, since: object = None, reason: str = "it is so") -> None:
        mode = mode or ("vepa" if relay == "active" else "veb")
        since = attach.boottime() if since is None else since
        forwarding = {"mode": mode, "reflective-relay": relay, "reason": reason, "since-boottime-us": since}
        self.say_of_uplinks([{"name": "eth0", "ifindex": 2, "forwarding": forwarding}])

    def say_of_uplinks(self, uplinks: list[Any]) -> None:
        self._uplinks = uplinks
        self._writer.write()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setenv("EVBAGENT_STATE_DIR", str(tmp_path))
    agent = Agent(tmp_path)
    with asyncio.Runner() as runner:
        runner.run(agent.start())
        yield agent
        agent.stop()


class Time:
    """A clock that only sleeping moves; `at` runs things when their second has come."""

    def __init__(self) -> None:
        self.now = 0.0
        self.plan: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> int:
        return 1_000_000_000 + round(self.now * 1e6)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        while self.plan and self.plan[0][0] <= self.now:
            self.plan.pop(0)[1]()

    def at(self, second: float, action: Callable[[], None]) -> None:
        self.plan.append((second, action))


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> Time:
    virtual = Time()
    monkeypatch.setattr(attach, "time", SimpleNamespace(monotonic=virtual.monotonic, sleep=virtual.sleep))
    monkeypatch.setattr(attach, "boottime", virtual.boottime)
    return virtual


@pytest.mark.parametrize(
    ("relay", "policy", "mode"),
    [
        ("active", "prefer-vepa", "vepa"),
        ("active", "require-vepa", "vepa"),
        ("active", "veb", "veb"),
        ("active", "private", "private"),
        ("inactive", "prefer-vepa", "veb"),
        ("inactive", "veb", "veb"),
        ("inactive", "private", "private"),
        ("unknown", "prefer-vepa", "veb"),
        ("unknown", "veb", "veb"),
        ("unknown", "private", "private"),
    ],
)
def test_modes(agent: Agent, relay: str, policy: str, mode: str) -> None:
    agent.say(relay)
    choice = choose_mode("eth0", policy)
    assert choice.mode == mode
    assert choice.reflective_relay == relay
    assert choice.reason == (f"the policy is {policy}" if policy in ("veb", "private") else "it is so")


@pytest.mark.parametrize("relay", ["inactive", "unknown"])
def test_require_vepa_is_not_met(agent: Agent, relay: str) -> None:
    agent.say(relay, reason="the switch does not reflect")
    with pytest.raises(PolicyUnmet, match=r"^eth0: require-vepa is not met: the switch does not reflect$"):
        choose_mode("eth0", "require-vepa")


@pytest.mark.parametrize(
    ("relay", "mode"), [("active", "veb"), ("inactive", "vepa"), ("unknown", "vepa"), ("x", "vepa")]
)
def test_only_two_agreeing_words_are_vepa(agent: Agent, relay: str, mode: str) -> None:
    agent.say(relay, mode)
    assert choose_mode("eth0").mode == "veb"


@pytest.mark.parametrize(
    "uplinks", [[], [{"name": "eth1"}], [{"name": "eth0"}], [{"name": "eth0", "forwarding": "vepa"}]]
)
def test_an_uplink_of_which_nothing_is_said(agent: Agent, uplinks: list[Any]) -> None:
    agent.say_of_uplinks(uplinks)
    choice = choose_mode("eth0")
    assert (choice.mode, choice.reflective_relay) == ("veb", "unknown")
    assert choice.reason
    with pytest.raises(PolicyUnmet):
        choose_mode("eth0", "require-vepa")


def test_no_agent(agent: Agent, tmp_path: Path) -> None:
    agent.say("active")
    text = (tmp_path / "state.json").read_bytes()
    agent.stop()
    (tmp_path / "state.json").write_bytes(text)
    choice = choose_mode("eth0")
    assert (choice.mode, choice.reflective_relay) == ("veb", "unknown")
    assert "gone" in choice.reason
    with pytest.raises(PolicyUnmet, match="gone"):
        choose_mode("eth0", "require-vepa")
    assert choose_mode("eth0", "private").mode == "private"


def test_the_directory_may_be_named(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVBAGENT_STATE_DIR", str(tmp_path / "elsewhere"))
    agent.say("active")
    assert choose_mode("eth0").mode == "veb"
    assert choose_mode("eth0", state_dir=tmp_path).mode == "vepa"
    assert choose_mode("eth0", state_dir=str(tmp_path)).mode == "vepa"


def test_unknown_policy(agent: Agent) -> None:
    with pytest.raises(AttachError, match="there is no policy 'vepa': choose one of prefer-vepa, require-vepa"):
        choose_mode("eth0", "vepa")


def test_waiting_ends_with_vepa(agent: Agent, virtual_time: Time) -> None:
    agent.say("unknown")
    virtual_time.at(1.0, lambda: agent.say("inactive"))
    virtual_time.at(2.5, lambda: agent.say("active"))
    assert choose_mode("eth0", wait=60).mode == "vepa"
    assert 2.49 < virtual_time.now < 2.53


def test_waiting_ends_when_the_time_is_over(agent: Agent, virtual_time: Time) -> None:
    agent.say("unknown")
    assert choose_mode("eth0", wait=60).mode == "veb"
    assert virtual_time.now == pytest.approx(60)
    with pytest.raises(PolicyUnmet):
        choose_mode("eth0", "require-vepa", wait=1)
    assert virtual_time.now == pytest.approx(61)


def test_waiting_for_an_agent_to_start(agent: Agent, virtual_time: Time) -> None:
    virtual_time.at(5, lambda: agent.say("active"))
    assert choose_mode("eth0", wait=60).mode == "vepa"
    assert 4.99 < virtual_time.now < 5.03


def test_waiting_ends_when_the_switch_keeps_refusing(agent: Agent, virtual_time: Time) -> None:
    virtual_time.at(1, lambda: agent.say("inactive"))
    virtual_time.at(3, lambda: agent.say("unknown"))
    virtual_time.at(4, lambda: agent.say("inactive"))
    assert choose_mode("eth0", wait=60).mode == "veb"
    assert 6.98 < virtual_time.now < 7.1


def test_not_waiting_for_a_switch_that_refused_long_ago(agent: Agent, virtual_time: Time) -> None:
    agent.say("inactive", since=virtual_time.boottime() - 60_000_000)
    assert choose_mode("eth0", wait=60).mode == "veb"
    assert virtual_time.now == 0


@pytest.mark.parametrize("since", ["", "yesterday", 0.5, [], 1 << 62])
def test_a_time_that_cannot_be_told(agent: Agent, virtual_time: Time, since: object) -> None:
    agent.say("inactive", since=since)
    assert choose_mode("eth0", wait=60).mode == "veb"
    assert 2.98 < virtual_time.now < 3.03


@pytest.mark.parametrize("policy", ["veb", "private"])
def test_nothing_to_wait_for(agent: Agent, virtual_time: Time, policy: str) -> None:
    agent.say("unknown")
    assert choose_mode("eth0", policy, wait=60).mode == policy
    assert virtual_time.now == 0


@pytest.mark.parametrize(
    "name",
    [
        "",
        "sixteen-octets-x",
        "zwölf-zeichen-ä",
        ".",
        "..",
        "a/b",
        "a b",
        "a:b",
        "g%d",
        "a\0b",
        "\udcff",
        "all",
        "default",
    ],
)
def test_names_that_no_interface_can_have(name: str) -> None:
    assert len(name) <= 16
    with pytest.raises(AttachError, match="cannot be an interface's name"):
        create("eth0", name)


@pytest.mark.parametrize(
    ("mac", "reason"),
    [
        ("", "is not a MAC address"),
        ("02:00:00:00:00", "is not a MAC address"),
        ("02:00:00:00:00:0a:0b", "is not a MAC address"),
        ("0200:00:00:00:0a", "is not a MAC address"),
        ("02:00:00:00:00:zz", "is not a MAC address"),
        ("2:0:0:0:0:a", "is not a MAC address"),
        ("01:00:5e:00:00:01", "group address"),
        ("ff:ff:ff:ff:ff:ff", "group address"),
        ("00:00:00:00:00:00", "is no address"),
    ],
)
def test_addresses_that_no_device_can_have(mac: str, reason: str) -> None:
    with pytest.raises(AttachError, match=reason):
        create("eth0", "guest0", mac=mac)


def test_unknown_words() -> None:
    with pytest.raises(AttachError, match="there is no kind 'ipvlan': choose one of macvtap, macvlan"):
        create("eth0", "guest0", kind="ipvlan")
    with pytest.raises(AttachError, match="there is no policy 'vepa'"):
        create("eth0", "guest0", policy="vepa")


def test_an_uplink_that_is_not_there(agent: Agent) -> None:
    assert "no-such-if" not in os.listdir("/sys/class/net")
    for name in ("no-such-if", "a-name-of-more-than-15-octets", "", "\udcff"):
        with pytest.raises(AttachError, match=r"there is no network interface .* in this network namespace"):
            create(name, "guest0")
        with pytest.raises(AttachError, match=r"there is no network interface .* in this network namespace"):
            attach.remove(name)
