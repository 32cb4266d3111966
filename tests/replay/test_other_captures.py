"""Other people's captures of lldpads that negotiate EVB, with our machines in each one's place.

They are not part of the project: without them beside it (../shared/captures) these tests are skipped, and say so.
"""

import pytest

from tests.replay.check import check_lldpad_end
from tests.replay.player import ROOT, Capture, End, Happening, Player, frames_of, play
from tests.support.lldpdus import Captured, time_to_live

OTHERS = ROOT.parent / "shared" / "captures"

STATION = End(bytes.fromhex("02000000000a"), "lldpad", "station", "veth0", 0)
BRIDGE = End(bytes.fromhex("02000000000b"), "lldpad", "bridge", "veth2", 0, bridge_port=True)

Values = dict[str, str | bool | int]

STATION_VALUES: Values = {"edition": "ratified", "relay": True, "rte": 14, "rwd": 19, "group_ids": True}
BRIDGE_VALUES: Values = {"edition": "ratified", "relay": True, "retries": 4, "rte": 13, "group_ids": True}
DRAFT_VALUES: Values = {"edition": "draft", "relay": True, "rte": 15}
AUTO_VALUES: Values = {"edition": "auto", "relay": True, "rte": 15}

# Name, what its station and its bridge were told, and whether they agree on reflective relay. Where an end was not
# lldpad but a script, None.
CASES: tuple[tuple[str, Values | None, Values | None, bool], ...] = (
    ("lldpad-evb22-negotiate-shutdown", STATION_VALUES, BRIDGE_VALUES, True),
    ("lldpad-evb22-no-rrcap", STATION_VALUES, BRIDGE_VALUES | {"relay": False}, False),
    ("lldpad-evb22-ratchet", STATION_VALUES, BRIDGE_VALUES, True),
    ("lldpad-vdp22-lifecycle", STATION_VALUES, BRIDGE_VALUES, True),
    ("lldpad-vdp22-filters", STATION_VALUES, BRIDGE_VALUES, True),
    ("lldpad-vdp22-bridge-lost", STATION_VALUES, BRIDGE_VALUES, True),
    ("lldpad-vdp22-station-lost", STATION_VALUES, BRIDGE_VALUES, True),
    ("lldpad-ecp22-seq-restart", STATION_VALUES, BRIDGE_VALUES, True),
    ("lldpad-draft02-two-lldpads", DRAFT_VALUES, DRAFT_VALUES, True),
    ("lldpad-both-versions", AUTO_VALUES, AUTO_VALUES, True),
    ("lldpad-station-neg-responses", STATION_VALUES, None, True),
    ("lldpad-station-ecp-loss", STATION_VALUES, None, True),
    ("lldpad-draft02-vdp-answered", DRAFT_VALUES, None, True),
)

PLAYED = [
    pytest.param(name, end, values, agreed, id=f"{name.removeprefix('lldpad-')}-{end.role}")
    for name, station, bridge, agreed in CASES
    for end, values in ((STATION, station), (BRIDGE, bridge))
    if values is not None
]


@pytest.mark.parametrize(("name", "end", "values", "agreed"), PLAYED)
def test_our_machines_come_to_what_lldpad_says(name: str, end: End, values: Values, agreed: bool) -> None:
    capture = captured(name, end, values)
    check_lldpad_end(capture, end)
    player = play(capture, end)
    assert ("active" in player.answers) == agreed
    assert ("draft" if values["edition"] in ("draft", "auto") else "ratified") in player.editions


def test_the_station_is_back_at_the_start_when_the_bridge_has_said_goodbye() -> None:
    capture = captured("lldpad-evb22-negotiate-shutdown", STATION, STATION_VALUES)
    goodbye = next(f for f in capture.frames if f.data[6:12] == BRIDGE.mac and time_to_live(f.data[14:]) == 0)
    player = play(capture, STATION)
    assert player.answers[-2:] == ["active", "unknown"]
    # lldpad says it 25 s later, in its next regular LLDPDU; we at once.
    [told, *_] = [sent for sent in player.sent if sent.time >= goodbye.time]
    assert told.time == goodbye.time
    regular = next(f for f in capture.frames if f.data[6:12] == STATION.mac and f.time > goodbye.time)
    assert regular.time - told.time > 20_000_000


def test_an_exponent_that_nobody_can_run_on_is_refused() -> None:
    """The station's RKA is 31: lldpad's bridge takes it over and overflows (interop-notes E8)."""
    capture = captured("lldpad-vdp22-rka31", BRIDGE, BRIDGE_VALUES)
    seen: set[tuple[int, bool]] = set()

    def look(_: Captured, player: Player) -> None:
        assert player.stack is not None
        refused = any("RKA=31" in warning for warning in player.stack.warnings)
        seen.add((player.stack.evb.operational.rka, refused))

    play(capture, BRIDGE, look)
    assert (20, True) in seen and {rka for rka, _ in seen} == {20}


def captured(name: str, end: End, values: Values) -> Capture:
    """A capture in which only this end is played: it is up and told its values before the first frame."""
    return Capture(
        name, (end,), (Happening(0, end.interface, "start", dict(values)),), {}, frames_of(OTHERS / f"{name}.pcap")
    )
