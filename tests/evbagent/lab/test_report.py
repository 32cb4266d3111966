"""What the lab tells: lines, a page and a capture file."""

import json
import struct
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

import pytest

from evbagent.lab.report import Printer, html_report, pcap
from tests.support.lldpdus import BRIDGE_REFLECTS, evb_tlv, frame, lldpdu

SWITCH = bytes.fromhex("02000000000b")


def step(**over: Any) -> dict[str, Any]:
    return {
        "name": "negotiated",
        "ok": True,
        "seconds": 0.4,
        "sent": 100,
        "received": 100,
        "detail": "agreed <quickly>",
        "lost": None,
        "outage-seconds": None,
    } | over


def result(**over: Any) -> dict[str, Any]:
    return {
        "ok": True,
        "switch": "builtin",
        "edition": "ratified",
        "convergence-seconds": 0.0123,
        "steps": [step(), step(name="switch-dies", lost=2700, **{"outage-seconds": 2.7})],
    } | over


def test_the_page_says_what_happened_and_escapes_it() -> None:
    page = html_report(result())
    assert "every step came out as it must" in page
    assert "12.3 ms" in page
    assert "agreed &lt;quickly&gt;" in page and "<quickly>" not in page
    assert "2700 in 2.700 s" in page


def test_the_page_shows_the_uplink_and_the_logs() -> None:
    told = frame(SWITCH, lldpdu(SWITCH, evb_tlv(BRIDGE_REFLECTS), ttl=3))
    goodbye = frame(SWITCH, lldpdu(SWITCH, ttl=0))
    frames = [(10**18, True, told), (10**18 + 5_000_000, False, goodbye), (10**18 + 6_000_000, True, goodbye)]
    page = html_report(result(), frames, {"bridge.log": "<b>"})
    assert "ratified: bridge offers relay, reflects" in page and "3 s" in page
    assert "0.005000" in page and "shutdown" in page
    assert page.count("host, reflected") == 1
    assert "bridge.log" in page and "&lt;b&gt;" in page


def test_a_failed_lab_is_told_as_one() -> None:
    page = html_report(result(ok=False, **{"convergence-seconds": None}))
    assert "failed" in page
    assert "at both ends: -." in page


def test_the_capture_has_nanoseconds_and_whole_frames() -> None:
    data = pcap([(1_700_000_000_123_456_789, b"x" * 60)])
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
    assert struct.unpack_from("<IIII", data, 24) == (1_700_000_000, 123_456_789, 60, 60)
    assert data[40:] == b"x" * 60


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", ("✓", "✗")), ("ascii", ("ok", "FAIL"))])
def test_a_step_is_told_in_what_the_terminal_can_show(encoding: str, marks: tuple[str, str]) -> None:
    octets = BytesIO()
    stream = TextIOWrapper(octets, encoding=encoding)
    printer = Printer(stream, quiet=False)
    printer.title("lldpad", "draft")
    printer.step(step())
    printer.step(step(ok=False, sent=None))
    printer.result(result(ok=False))
    lines = octets.getvalue().decode(encoding).splitlines()
    assert len(lines) == 6 and "lldpad" in lines[0]
    assert lines[1].startswith(marks[0]) and "100 of 100 frames arrive" in lines[1]
    assert lines[2] == "    agreed <quickly>"
    assert lines[3].startswith(marks[1]) and "frames arrive" not in lines[3]
    assert lines[5] == "Not every step came out as it must."
    assert "\x1b" not in octets.getvalue().decode(encoding)


def test_json_is_all_there_is() -> None:
    stream = StringIO()
    printer = Printer(stream, quiet=True)
    printer.title("builtin", "ratified")
    printer.step(step())
    printer.result(result())
    assert json.loads(stream.getvalue()) == result()
