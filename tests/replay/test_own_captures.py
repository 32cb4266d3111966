"""Every capture in pcaps/ comes out the same when it is played again."""

import json
import re

import pytest

from tests.replay.check import check_lldpad_end, check_our_end
from tests.replay.player import CAPTURES, MANIFEST, Capture, End, own_captures
from tests.support.lldpdus import Captured, walk

ENDS = [
    pytest.param(capture, end, id=f"{capture.file.removesuffix('.pcap')}-{end.interface}")
    for capture in own_captures()
    for end in capture.ends
]


@pytest.mark.parametrize(("capture", "end"), ENDS)
def test_replay(capture: Capture, end: End) -> None:
    """Where we were an end: the same frames, times and answers. Where lldpad was: the same result."""
    if end.program == "evbagent":
        check_our_end(capture, end)
    elif end.program == "lldpad":
        check_lldpad_end(capture, end)
    else:
        assert any(frame.data[6:12] == end.mac for frame in capture.frames)


def test_nothing_is_missing() -> None:
    """The manifest, the text about it and the directory name the same captures, and both kinds of ends are there."""
    files = {file.name for file in CAPTURES.glob("*.pcap")}
    assert files == {capture.file for capture in own_captures()}
    text = (CAPTURES / "README.md").read_text()
    assert files == set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))
    assert len(files) >= 15
    programs = [end.program for capture in own_captures() for end in capture.ends]
    assert programs.count("evbagent") >= 15 and programs.count("lldpad") >= 13 and programs.count("lldpd") >= 1
    for entry in json.loads(MANIFEST.read_text())["captures"]:
        assert entry["what"] and entry["when"] and entry["programs"]
        assert entry["frames"] == len(next(c.frames for c in own_captures() if c.file == entry["file"]))


@pytest.mark.parametrize("capture", own_captures(), ids=lambda capture: capture.file)
def test_nothing_of_the_machine_is_in_it(capture: Capture) -> None:
    """Small, with made-up addresses and names alone."""
    assert (CAPTURES / capture.file).stat().st_size <= 20_480
    for frame in capture.frames:
        assert frame.data[6] == 0x02, f"frame {frame.number}: not a locally administered address"
        for text in texts(frame):
            assert text in KNOWN_TEXTS, f"frame {frame.number}: {text!r}"


KNOWN_TEXTS = frozenset(
    {"host-a", "switch-a", "veth0", "veth1", "evbagent", "an ordinary switch", "192.0.2.1", "192.0.2.2"}
)


def texts(frame: Captured) -> list[str]:
    """Names, descriptions and addresses that an LLDPDU gives away."""
    if frame.data[12:14] != b"\x88\xcc":
        return []
    found = []
    for kind, value in walk(frame.data[14:]):
        if kind in (4, 5, 6):
            found.append(value.decode())
        elif kind == 8:
            assert value[1] == 1, "only IPv4 management addresses"
            found.append(".".join(str(octet) for octet in value[2:6]))
    return found
