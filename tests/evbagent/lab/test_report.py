"""The lab's page and capture file."""

import struct
from typing import Any

from evbagent.lab.report import html_report, pcap


def result(**over: Any) -> dict[str, Any]:
    step = {
        "name": "negotiated",
        "ok": True,
        "seconds": 0.4,
        "sent": 100,
        "received": 100,
        "detail": "agreed <quickly>",
    }
    return {
        "ok": True,
        "switch": "builtin",
        "edition": "ratified",
        "convergence-seconds": 0.0123,
        "steps": [step],
    } | over


def test_the_page_says_what_happened_and_escapes_it() -> None:
    page = html_report(result())
    assert "every step came out as it must" in page
    assert "12.3 ms" in page
    assert "agreed &lt;quickly&gt;" in page and "<quickly>" not in page


def test_a_failed_lab_is_told_as_one() -> None:
    page = html_report(result(ok=False, **{"convergence-seconds": None}))
    assert "failed" in page
    assert "at both ends: -." in page


def test_the_capture_has_nanoseconds_and_whole_frames() -> None:
    data = pcap([(1_700_000_000_123_456_789, b"x" * 60)])
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
    assert struct.unpack_from("<IIII", data, 24) == (1_700_000_000, 123_456_789, 60, 60)
    assert data[40:] == b"x" * 60
