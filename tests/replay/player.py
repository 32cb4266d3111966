"""Plays one end of a captured link again: the captured frames and events go into a PortStack at the captured times."""

import json
import tomllib
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from evbagent.addresses import HostAddress
from evbagent.config import Config, UplinkSettings
from evbagent.hostfacts import HostFacts
from evbagent.netlink import Link
from evbagent.uplinks import EDITION_CHOICES, port_settings
from protocols.evb.status import EvbCapability, EvbParameters, EvbSettings, Role
from protocols.frame import Scope
from protocols.lldp.addresses import AddressFamily
from protocols.lldp.agent import AdminStatus
from protocols.lldp.tlvs import ChassisId, PortId
from protocols.lldp.tx import TxSettings
from protocols.port import (
    Configure,
    Effect,
    ForwardingChanged,
    Indicate,
    LinkState,
    NewSettings,
    PortSettings,
    RelayAble,
    RelaySet,
    Request,
    SendFrame,
    Shutdown,
)
from protocols.stack import PortStack
from protocols.timers import SECOND, Instant
from tests.support.lldpdus import Captured, read_pcap, time_to_live

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "pcaps"
MANIFEST = CAPTURES / "manifest.json"

EARLY_FRAMES = 8
# How much later than its deadline an agent may act: it lets ports share a wake-up, on a machine with other work.
LATENESS: Instant = 175_000
REFLECTED_WITHIN: Instant = 2_000


@dataclass(frozen=True, slots=True)
class End:
    """One end of a captured link, as the manifest has it. `bridge_port`: its port can be made to reflect."""

    mac: bytes
    program: str
    role: str
    interface: str
    ifindex: int
    bridge_port: bool = False


@dataclass(frozen=True, slots=True)
class Happening:
    """What was done to one end. `time` in microseconds since the first frame; `settings` as its program takes them."""

    time: Instant
    interface: str
    event: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capture:
    """One entry of the manifest, and its frames with times since the first."""

    file: str
    ends: tuple[End, ...]
    happenings: tuple[Happening, ...]
    answers: dict[str, list[str]]
    frames: tuple[Captured, ...]

    def end(self, interface: str) -> End:
        return next(end for end in self.ends if end.interface == interface)

    def sent_by(self, end: End) -> list[Captured]:
        """The frames that an end has sent, without the copies of them that a reflecting port sent back."""
        macs = self.macs(end)
        return [frame for frame in self.frames if frame.data[6:12] in macs and not self.is_reflected(frame)]

    def is_reflected(self, frame: Captured) -> bool:
        """Whether the frame is a copy that came back: nobody sends the same twice within milliseconds."""
        before = self.frames[frame.number - 2] if frame.number > 1 else None
        return before is not None and before.data == frame.data and frame.time - before.time < REFLECTED_WITHIN

    def macs(self, end: End) -> set[bytes]:
        """All addresses that the end has had."""
        changed = [h.settings["mac"] for h in self.happenings if h.interface == end.interface and "mac" in h.settings]
        return {end.mac, *(bytes.fromhex(mac.replace(":", "")) for mac in changed)}


@dataclass(frozen=True, slots=True)
class Sent:
    time: Instant
    data: bytes


class Player:
    """Runs a stack as the driver does, on a clock that is set by hand. All times are the capture's."""

    def __init__(self) -> None:
        self.stack: PortStack | None = None
        self.sent: list[Sent] = []
        self.answers: list[str] = []
        self.editions: set[str | None] = set()
        self.hairpin = False
        self._early: deque[tuple[Instant, bytes]] = deque(maxlen=EARLY_FRAMES)

    def start(self, role: Role, settings: PortSettings, able: bool, link_up: bool, now: Instant) -> None:
        """An agent starts at this end."""
        self.stack = PortStack(role, settings, lambda: 1)
        self._answer(str(self.stack.forwarding.relay))
        self.hairpin = False
        if able:
            self.request(RelayAble(True), now)
        if link_up:
            self.request(LinkState(True), now)

    def end(self) -> None:
        """It is gone."""
        self.stack = None

    def request(self, request: Request, now: Instant) -> None:
        assert self.stack is not None
        self._run(self.stack.request(request, now), now)
        if request == LinkState(True):
            while self._early:
                heard, frame = self._early.popleft()
                if now - heard < SECOND:
                    self._run(self.stack.receive(frame, now), now)

    def hear(self, frame: bytes, now: Instant) -> None:
        """A frame of the other end."""
        if self.stack is None:
            return
        if self.stack.enabled:
            self._run(self.stack.receive(frame, now), now)
        else:
            self._early.append((now, frame))

    def run(self, until: Instant, frames: Sequence[Instant] = ()) -> None:
        """Let the timers fire that are due by then, each at its time.

        `frames`: when the end sent its captured frames, in order. One soon after a deadline shows how late it was.
        """
        while self.stack is not None and (due := self.stack.next_deadline()) is not None:
            following = bisect_left(frames, due)
            if following < len(frames) and frames[following] <= due + LATENESS:
                due = frames[following]
            if due > until:
                break
            self._run(self.stack.advance(due), due)

    def _run(self, effects: Iterable[Effect], now: Instant) -> None:
        assert self.stack is not None
        queue = deque(effects)
        while queue:
            match queue.popleft():
                case SendFrame(data):
                    self.sent.append(Sent(now, data))
                case Configure(setting):
                    self.hairpin = setting.on
                    queue.extend(self.stack.request(RelaySet(setting.on), now))
                case Indicate(ForwardingChanged(_, new)):
                    self._answer(str(new.relay))
                    self.editions.add(new.edition)

    def _answer(self, relay: str) -> None:
        if not self.answers or self.answers[-1] != relay:
            self.answers.append(relay)


def play(capture: Capture, end: End, watch: "Watcher | None" = None) -> Player:
    """Play an end from the first frame to the last. `watch` sees every captured frame of the end when it is due."""
    player = Player()
    ours = capture.macs(end)
    sent = [frame.time for frame in capture.sent_by(end)]
    agenda: list[tuple[Instant, int, Happening | Captured]] = []
    for happening in capture.happenings:
        if happening.interface == end.interface:
            agenda += [(time, 0, step) for time, step in _steps(capture, end, happening)]
    agenda += [(frame.time, 1, frame) for frame in capture.frames]
    settings: _Settings | None = None
    for time, _, item in sorted(agenda, key=lambda entry: entry[:2]):
        player.run(time, sent)
        if isinstance(item, Happening):
            settings = _happen(player, end, settings, item, time)
        elif (item.data[6:12] in ours) == capture.is_reflected(item):
            player.hear(item.data, time)
        elif item.data[6:12] in ours and watch is not None:
            watch(item, player)
    return player


class Watcher:
    """Something that looks at the player whenever a captured frame of its end is due."""

    def __call__(self, frame: Captured, player: Player) -> None: ...


@dataclass(slots=True)
class _Settings:
    """What an end's program has been told so far."""

    told: dict[str, Any]
    chassis_mac: bytes
    mac: bytes
    link_up: bool = True


def _steps(capture: Capture, end: End, happening: Happening) -> list[tuple[Instant, Happening]]:
    """When an agent of ours has noticed what was done to it: its next frame shows that. For others, the time itself."""
    if end.program != "evbagent" or happening.event in ("kill", "link-down"):
        return [(happening.time, happening)]
    own = [frame for frame in capture.sent_by(end) if frame.time >= happening.time]
    assert own, f"{capture.file}: no frame of {end.interface} shows {happening.event} at {happening.time}"
    if happening.event != "stop":
        return [(own[0].time, happening)]
    goodbye = next(frame for frame in own if time_to_live(frame.data[14:]) == 0)
    steps = [(goodbye.time, happening)]
    if goodbye is not own[0]:
        # A bridge that reflects withdraws first.
        steps.insert(0, (own[0].time, replace(happening, event="withdraw")))
    return steps


def _happen(
    player: Player, end: End, settings: _Settings | None, happening: Happening, now: Instant
) -> _Settings | None:
    match happening.event:
        case "start":
            mac = settings.mac if settings else end.mac
            link_up = settings.link_up if settings else True
            settings = _Settings(dict(happening.settings), mac, mac, link_up)
            able = end.role == "bridge" and end.bridge_port
            player.start(Role(end.role), _port_settings(end, settings), able, settings.link_up, now)
        case "stop":
            player.request(Shutdown(), now)
            player.end()
        case "kill":
            player.end()
        case "withdraw":
            player.request(RelayAble(False, "the agent is ending"), now)
        case "link-down" | "link-up":
            assert settings is not None
            settings.link_up = happening.event == "link-up"
            if player.stack is not None:
                player.request(LinkState(settings.link_up), now)
        case "set":
            assert settings is not None
            told = dict(happening.settings)
            if "mac" in told:
                settings.mac = bytes.fromhex(told.pop("mac").replace(":", ""))
            settings.told |= told
            if player.stack is not None:
                player.request(NewSettings(_port_settings(end, settings)), now)
        case unknown:
            raise AssertionError(f"the manifest has an event {unknown!r}")
    return settings


def _port_settings(end: End, settings: _Settings) -> PortSettings:
    told = settings.told
    if end.program == "evbagent":
        link = Link(
            end.ifindex,
            end.interface,
            settings.mac,
            hardware_type=1,
            controller=1 if end.bridge_port else None,
            controller_kind="bridge" if end.bridge_port else None,
        )
        config = convert(tomllib.loads(told["config"]), Config).with_role(end.role)
        configured = config.for_uplink(end.interface)
        return port_settings(link, configured, _facts(link, configured, settings.chassis_mac))
    return lldpad_settings(settings.mac, **told)


def _facts(link: Link, configured: UplinkSettings, chassis_mac: bytes) -> HostFacts:
    """The management addresses were those of the interface."""
    addresses = tuple(
        HostAddress(link.index, AddressFamily.IPV4, ip_address(text).packed)
        for text in configured.lldp.management_addresses
    )
    return HostFacts(chassis_mac=chassis_mac, addresses=addresses)


def lldpad_settings(
    mac: bytes,
    *,
    edition: str,
    relay: bool,
    retries: int = 3,
    rte: int = 14,
    rwd: int = 20,
    rka: int = 20,
    group_ids: bool = False,
) -> PortSettings:
    """A port that proposes what an lldpad with these values proposes. (Its draft capabilities are RTE, ECP and VDP.)"""
    return PortSettings(
        mac_address=mac,
        chassis_id=ChassisId(4, mac),
        port_id=PortId(3, mac),
        optional={},
        admin_status={Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX},
        tx=TxSettings(),
        max_neighbors=32,
        evb=EvbSettings(
            editions=EDITION_CHOICES[edition],
            reflective_relay=relay,
            parameters=EvbParameters(
                retries=retries,
                rte=rte,
                rwd=rwd,
                rka=rka,
                group_ids=group_ids,
                capabilities=EvbCapability.RTE | EvbCapability.ECP | EvbCapability.VDP,
            ),
        ),
    )


@cache
def own_captures() -> Sequence[Capture]:
    """Everything in pcaps/ that the manifest names."""
    return tuple(load(entry) for entry in json.loads(MANIFEST.read_text())["captures"])


def load(entry: dict[str, Any]) -> Capture:
    frames = frames_of(CAPTURES / entry["file"])
    ends = tuple(
        End(
            bytes.fromhex(end["mac"].replace(":", "")),
            end["program"],
            end["role"],
            end["interface"],
            end["ifindex"],
            end["bridge-port"],
        )
        for end in entry["ends"]
    )
    happenings = tuple(
        Happening(round(item["time"] * SECOND), item["interface"], item["event"], item.get("settings", {}))
        for item in entry["events"]
    )
    return Capture(entry["file"], ends, happenings, entry["answers"], frames)


def frames_of(file: Path) -> tuple[Captured, ...]:
    """The frames of a capture, with times since the first; skips the test when the capture is not there."""
    if not file.exists():
        pytest.skip(f"{file.name} is not beside this repository: other people's captures are not part of it")
    frames = read_pcap(file)
    return tuple(Captured(frame.number, frame.time - frames[0].time, frame.data) for frame in frames)
