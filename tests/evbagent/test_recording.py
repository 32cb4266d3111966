"""Recordings: what went in is written down and read back, and the same comes of it again."""

import json
from dataclasses import replace
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from evbagent.recorder import Recorder
from evbagent.recording import Asked, read_input, read_start, request_line, start_line
from evbagent.replay import ReplayError, replay_recording
from protocols.edge import EdgeSettings
from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.lldp.tlvs import ManagementAddress, OrganizationalTlv, SystemName
from protocols.port import (
    LinkState,
    NewSettings,
    PolicyChanged,
    RelayAble,
    RelaySet,
    Request,
    RequestVsis,
    Shutdown,
    WithdrawVsis,
)
from protocols.stack import PortStack
from protocols.timers import SECOND
from protocols.vdp.policy import BridgePolicy
from protocols.vdp.rules import PolicyRules, Rule
from protocols.vdp.status import VsiRequest
from protocols.vdp.vsi import Mode, Response
from tests.support.vsis import Client, vsi, vsi_id
from tests.support.wire import STATION_MAC, End, Wire, bridge, port_settings, station

SETTINGS = port_settings(STATION_MAC, (RATIFIED, DRAFT), optional=(SystemName(b"host"),))
RULES = PolicyRules(
    (Rule(frozenset({bytes(16)}), ((1, 5),), None, frozenset({vsi_id(7)}), Response.OTHER_FAILURE, vids=((2, 3),)),),
    Rule(assign=((700, 701),), pcp=5),
    capacity=10,
)
REQUESTS: list[Request] = [
    LinkState(True),
    NewSettings(replace(SETTINGS, edge=EdgeSettings(destination=bytes(6), vsis_per_ecpdu=1, gap=5))),
    NewSettings(
        replace(
            SETTINGS,
            optional={
                Scope.NEAREST_BRIDGE: (SystemName(b"near"), OrganizationalTlv(b"\x00\x12\x0f", 4, b"\x05\xdc")),
                Scope.NEAREST_NON_TPMR_BRIDGE: (),
                Scope.NEAREST_CUSTOMER_BRIDGE: (ManagementAddress(1, bytes(4), 2, 7),),
            },
            warnings=("no room for vlan-name v1",),
        )
    ),
    RelayAble(False, "why"),
    RelaySet(True, None),
    Shutdown(),
    RequestVsis(
        (VsiRequest(vsi(1), 5, True), VsiRequest(vsi(2, Mode.DEASSOCIATE), 6), VsiRequest(vsi(3), 7, False, True))
    ),
    WithdrawVsis((vsi_id(1),)),
    WithdrawVsis(None, "all"),
    PolicyChanged(),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_requests_both_ways(request_: Request) -> None:
    line = json.loads(json.dumps(request_line(request_)))
    assert read_input({**line, "time": 5}) == Asked(request_, 5)


def test_settings_of_before_there_were_warnings() -> None:
    line = json.loads(json.dumps(start_line("eth0", Role.BRIDGE, SETTINGS, RULES, "2026", 17)))
    del line["settings"]["warnings"]
    assert read_start(line).settings == SETTINGS


def test_start_both_ways() -> None:
    line = json.loads(json.dumps(start_line("eth0", Role.BRIDGE, SETTINGS, RULES, "2026", 17)))
    assert read_start(line) == ("eth0", Role.BRIDGE, SETTINGS, RULES, 17)


class Recorded:
    """A machine on the wire that is recorded as the driver does it."""

    def __init__(self, stack: PortStack, recorder: Recorder) -> None:
        self.stack, self.recorder = stack, recorder

    def receive(self, frame: bytes, now: int) -> Any:
        self.recorder.frame(frame, now)
        return self.stack.receive(frame, now)

    def request(self, request: Request, now: int) -> Any:
        self.recorder.request(request, now)
        return self.stack.request(request, now)

    def next_deadline(self) -> int | None:
        return self.stack.next_deadline()

    def advance(self, now: int) -> Any:
        self.recorder.advance(now)
        return self.stack.advance(now)


def recorded(end: End, role: Role, path: Path) -> None:
    """Have this end recorded when it starts."""
    numbers = count(1)

    def make() -> Any:
        recorder = Recorder(path / f"{role}-{next(numbers)}.jsonl")
        mac = STATION_MAC if role is Role.STATION else bytes.fromhex("02000000000b")
        settings = port_settings(mac, (RATIFIED,))
        recorder.start("eth0", role, settings, PolicyRules(), "2026", 1_000 * SECOND)
        stack = PortStack(role, settings, recorder.sequence(lambda: 41), BridgePolicy(), "eth0")
        return Recorded(stack, recorder)

    end.make = make


def test_the_same_comes_of_it_again(tmp_path: Path) -> None:
    host, switch = station(editions=(RATIFIED,)), bridge(editions=(RATIFIED,))
    recorded(host, Role.STATION, tmp_path)
    recorded(switch, Role.BRIDGE, tmp_path)
    wire = Wire(host, switch)
    wire.start()
    wire.plug()
    wire.run(SECOND)
    client = Client(wire, host)
    client.associate(range(50))
    wire.run(30 * SECOND)
    wire.request(switch, WithdrawVsis((vsi_id(3),)))
    wire.run(5 * SECOND)
    wire.unplug()
    wire.run(SECOND)
    wire.plug()
    wire.run(2 * SECOND)
    for end, role in ((host, "station"), (switch, "bridge")):
        machine = end.machine
        assert isinstance(machine, Recorded)
        machine.recorder.close()
        with (tmp_path / f"{role}-1.jsonl").open("rb") as file:
            replayed = replay_recording(file)
        assert replayed.state["forwarding"]["reflective-relay"] == "active"
        assert len([one for one in replayed.state["vsis"] if one["state"] == "associated"]) == 50
        assert replayed.sent == len(wire.frames(end)), "the same frames"
        events = [event for event in replayed.timeline if event["event"] != "confirm"]
        assert len(events) == len(end.events), "the same events"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"", "line 1"),
        (b"{}\n", "line 1"),
        (b'{"recording":"other"}\n', "line 1: not a recording"),
        (b"[]\n", "line 1"),
        (b"not json\n", "line 1"),
    ],
)
def test_what_is_no_recording(text: bytes, word: str) -> None:
    with pytest.raises(ReplayError, match=word):
        replay_recording(BytesIO(text))


def test_every_damage_of_a_recording_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    recorder = Recorder(path)
    recorder.start("eth0", Role.STATION, SETTINGS, RULES, "2026", 0)
    of_a_station = [request for request in REQUESTS if not isinstance(request, WithdrawVsis)]
    for number, request in enumerate(of_a_station):
        recorder.request(request, number)
    recorder.close()
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines[1:], 2):
        document = json.loads(line)
        for key in document:
            damaged = {**document, key: object.__name__}
            text = b"".join([*lines[: number - 1], json.dumps(damaged).encode() + b"\n"])
            try:
                replay_recording(BytesIO(text))
            except ReplayError as error:
                assert str(error).startswith(f"line {number}: ")


def test_recording_ends_when_it_is_full_or_cannot_be_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "small.jsonl", max_octets=3000)
    recorder.start("eth0", Role.STATION, SETTINGS, RULES, "2026", 0)
    for number in range(100):
        recorder.frame(bytes(60), number)
    assert (tmp_path / "small.jsonl").stat().st_size <= 3000
    Recorder(tmp_path / "small.jsonl").frame(b"", 0)  # it is there already: nothing is overwritten
    assert (tmp_path / "small.jsonl").stat().st_size > 1000
