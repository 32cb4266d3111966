"""`evbagent replay` on DCBX captures: the end that is played, and the outcome noted for it."""

from pathlib import Path
from typing import Any

import pytest

from evbagent.capture import Capture
from evbagent.commands_replay import replay
from evbagent.decode import selection
from evbagent.replay import replay_capture
from protocols.evb.status import Role
from tests.support import dcbxtlvs as dcbx
from tests.support.captures import pcap
from tests.support.lldpdus import NEAREST_BRIDGE, frame, lldpdu

SHARED = Path(__file__).parents[3] / "shared"
LOW, HIGH = "02:00:00:00:0a:01", "02:00:00:00:0b:01"
A, B, C = (bytes.fromhex(f"0200000000{octet}") for octet in ("0a", "0b", "0c"))


def replayed(path: Path, role: str) -> dict[str, Any]:
    if not path.exists():
        pytest.skip(f"no capture beside the repository: {path} is looked for")
    with path.open("rb") as file:
        found = replay_capture(Capture(file, selection()), Role(role))
    assert found.role == role
    return {"mac": found.mac_address, "timeline": found.timeline, **found.state}


@pytest.mark.parametrize("name", ["ieee-nw-w", "cee-nw-w", "cin-nw-w", "fallback"])
@pytest.mark.parametrize(("role", "mac"), [("station", HIGH), ("bridge", LOW)])
def test_two_lldpads(name: str, role: str, mac: str) -> None:
    """B is willing and follows A, whichever of them is played: PFC 3, and A's ETS."""
    found = replayed(SHARED / f"captures/lldpad-dcbx-{name}.pcap", role)
    state, ets = found["dcbx"], found["dcbx"]["operational"]["ets"]
    dialect = "cee" if name == "fallback" else name.partition("-")[0]
    assert (found["mac"], state["dialect"], state["state"]) == (mac, dialect, "peer")
    assert state["operational"]["pfc"]["enable"] == [3]
    assert ets["tc-bandwidth-table"][:3] == ([40, 60, 0] if dialect == "ieee" else [25, 75, 0])
    events = [event for event in found["timeline"] if event["event"] == "dcbx"]
    assert events and events[-1]["operational"] == state["operational"]


@pytest.mark.parametrize(("role", "mac", "enable"), [("station", LOW, [5]), ("bridge", HIGH, [])])
def test_a_tie(role: str, mac: str, enable: list[int]) -> None:
    """Both are willing, and what each would have alone is not on the wire: the higher address keeps its own."""
    found = replayed(SHARED / "captures/lldpad-dcbx-ieee-tie.pcap", role)
    assert (found["mac"], found["dcbx"]["operational"]["pfc"]["enable"]) == (mac, enable)
    assert "the higher MAC address keeps its own" in found["dcbx"]["reasons"]["pfc"]


def test_a_switch_alone() -> None:
    """A newcomer would take over what it says."""
    found = replayed(SHARED / "pcaps/cumulus-mellanox-dcbx.pcap", "station")
    assert (found["mac"], found["dcbx"]["operational"]["pfc"]["enable"]) == ("02:00:00:00:00:01", [3])


def test_several_that_speak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "three.pcap"
    path.write_bytes(pcap([frame(mac, lldpdu(mac, dcbx.pfc()), NEAREST_BRIDGE) for mac in (A, B, C)]))
    found = replayed(path, "station")
    assert (found["mac"], found["dcbx"]["state"]) == ("02:00:00:00:00:01", "suspended")


@pytest.mark.parametrize("tlvs", [dcbx.ieee(9, bytes(3)), dcbx.legacy(2, b"\x02"), b""])
def test_what_cannot_be_read_makes_no_end(tmp_path: Path, tlvs: bytes) -> None:
    path = tmp_path / "damaged.pcap"
    sound = frame(A, lldpdu(A, dcbx.pfc()), NEAREST_BRIDGE)
    path.write_bytes(pcap([sound, frame(B, lldpdu(B, tlvs), NEAREST_BRIDGE)]))
    assert replayed(path, "station")["mac"] == "02:00:00:00:00:01"


def test_what_people_read_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "switch.pcap"
    tlvs = dcbx.ets_recommendation() + dcbx.pfc() + dcbx.applications((3, 3, 4791))
    path.write_bytes(pcap([frame(A, lldpdu(A, tlvs), NEAREST_BRIDGE)]))

    class Arguments:
        file, role, json = str(path), "station", False

    assert replay(Arguments()) == 0  # type: ignore[arg-type]
    printed = capsys.readouterr().out
    assert "station      dcbx ieee: the peer speaks IEEE\n" in printed
    assert "    prio-pfc              all:off     3:on                    3:on\n" in printed
    assert "    PFC: willing, and the peer is not\n" in printed
