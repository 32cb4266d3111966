"""`evbagent replay` of captured dialogues with real lldpads: the machines come to what their agents came to."""

import json
from pathlib import Path
from typing import Any

import pytest

from evbagent.cli import main
from tests.support.captures import LLDP, MAC, pcap
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


def neighbors(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str], str]:
    """How many frames went in, the neighbors in the end, and what was said beside the document."""
    assert main(["replay", str(path), "-j"]) == 0
    said = capsys.readouterr()
    replayed = json.loads(said.out)
    scopes = replayed["state"]["lldp"]
    return replayed["frames"], [one["chassis-id"] for scope in scopes for one in scope["neighbors"]], said.err


@pytest.mark.parametrize(
    ("tag", "heard"),
    [("", True), ("8100e000", True), ("88a80000", True), ("8100e000 81000000", True), ("81000005", False)],
)
def test_tags_are_taken_off_as_by_the_kernel(
    tag: str, heard: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tagged.pcap"
    path.write_bytes(pcap([LLDP[:12] + bytes.fromhex(tag) + LLDP[12:], LLDP[:12] + b"\x81\0\0\0"]))
    assert neighbors(path, capsys) == (1, [MAC.hex(":")], "") if heard else (0, [], "")


@pytest.mark.parametrize("source", ["020000000001", "020000000002"])
def test_the_address_of_an_unknown_end_is_no_neighbors(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own frames it would not hear."""
    path = tmp_path / "lab.pcap"
    path.write_bytes(pcap([LLDP[:6] + bytes.fromhex(source) + LLDP[12:]]))
    assert neighbors(path, capsys) == (1, [MAC.hex(":")], "")


@pytest.mark.parametrize(
    ("linktype", "header"),
    [
        (113, b"\0\2\0\1\0\6" + MAC + b"\0\0\x88\xcc"),
        (276, b"\x88\xcc\0\0\0\0\0\3\0\1\2\6" + MAC + b"\0\0"),
        (276, b"\x88\xcc\0\0\0\0\0\3\0\1\2\6\x88\xcc\0\0\0\1\0\0"),  # where Ethernet has the EtherType
    ],
)
def test_what_was_not_captured_on_ethernet_is_left_out(
    linktype: int, header: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cooked capture does not tell whom a frame was for. That it is left out is said."""
    path = tmp_path / "cooked.pcap"
    path.write_bytes(pcap([header + LLDP[14:]], linktype=linktype))
    frames, found, said = neighbors(path, capsys)
    assert (frames, found) == (0, []) and f"frames of link type {linktype} are left out" in said


def test_what_cannot_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content, word in ((b"", "empty file"), (b"garbage" * 10, "neither"), (b"{}\n", "line 1")):
        path = tmp_path / "x"
        path.write_bytes(content)
        assert main(["replay", str(path)]) == 1
        assert word in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none")]) == 1
