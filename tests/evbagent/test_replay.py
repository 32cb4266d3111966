"""`evbagent replay` of captured dialogues with real lldpads: the machines come to what their agents came to."""

import json
from pathlib import Path
from typing import Any

import pytest

from evbagent.cli import main
from tests.support.wire import CAPTURES


def replay(name: str, capsys: pytest.CaptureFixture[str], role: str = "station") -> dict[str, Any]:
    path = CAPTURES / name
    if not path.exists():
        pytest.skip(f"{name}: other people's captures are not beside this repository")
    assert main(["replay", str(path), "--role", role, "-j"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def results(replayed: dict[str, Any]) -> list[str]:
    return [event["result"] for event in replayed["timeline"] if event["event"] == "confirm"]


def states(replayed: dict[str, Any]) -> list[str]:
    return [event["vsi"]["state"] for event in replayed["timeline"] if event["event"] == "vsi"]


def test_lifecycle(capsys: pytest.CaptureFixture[str]) -> None:
    replayed = replay("lldpad-vdp22-lifecycle.pcap", capsys)
    assert results(replayed) == ["granted"] * 4
    assert [state for state in states(replayed) if state != "unassociated"][-1] == "associated"
    assert replayed["state"]["vsis"] == [] and replayed["mac-address"] == "02:00:00:00:00:0a"
    assert replayed["state"]["forwarding"]["reflective-relay"] == "unknown", "its goodbye was heard"


def test_lifecycle_as_the_bridge_sees_it(capsys: pytest.CaptureFixture[str]) -> None:
    replayed = replay("lldpad-vdp22-lifecycle.pcap", capsys, "bridge")
    assert states(replayed) == ["preassociated", "preassociated-rr", "associated", "unassociated"]


def test_refusals(capsys: pytest.CaptureFixture[str]) -> None:
    """Types 301, 303 and 304 are refused, 305 and 306 get the VIDs that the bridge chose."""
    replayed = replay("lldpad-station-neg-responses.pcap", capsys)
    assert results(replayed) == ["refused"] * 3 + ["granted"] * 3
    (vsi,) = replayed["state"]["vsis"]
    assert vsi["filters"] == [{"vid": 306, "pcp": 3, "mac-address": "52:54:00:00:03:06"}]


def test_unsolicited_deassociate(capsys: pytest.CaptureFixture[str]) -> None:
    replayed = replay("lldpad-station-keep-unsolicited.pcap", capsys)
    assert any(
        "de-associated by the switch" in e["vsi"].get("reason", "") for e in replayed["timeline"] if e["event"] == "vsi"
    )


def test_draft(capsys: pytest.CaptureFixture[str]) -> None:
    replayed = replay("lldpad-draft02-vdp-answered.pcap", capsys)
    assert replayed["state"]["evb"]["operational"]["edition"] == "draft"
    assert "granted" in results(replayed) and "refused" in results(replayed)


@pytest.mark.parametrize("role", ["station", "bridge"])
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("lldpad-*.pcap")), ids=lambda path: path.stem)
def test_every_capture_in_both_roles(path: Path, role: str, capsys: pytest.CaptureFixture[str]) -> None:
    """To its end, with a timeline in order."""
    replayed = replay(path.name, capsys, role)
    times = [event["time"] for event in replayed["timeline"]]
    assert times == sorted(times) and replayed["frames"] > 0


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("lldpad-vdp*.pcap")), ids=lambda path: path.stem)
def test_people_get_lines(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()


def test_what_cannot_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content, word in ((b"", "empty file"), (b"garbage" * 10, "neither"), (b"{}\n", "line 1")):
        path = tmp_path / "x"
        path.write_bytes(content)
        assert main(["replay", str(path)]) == 1
        assert word in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none")]) == 1
