"""The lab's report as a page, and its frames as a capture."""

import struct
from collections.abc import Iterable
from html import escape
from typing import Any

PCAP_NANOSECONDS = 0xA1B23C4D
LINKTYPE_ETHERNET = 1

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>evbagent lab</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .4rem .6rem; text-align: left; vertical-align: top; }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.ok {{ color: #076b2c; }} .bad {{ color: #a4001d; }}
</style>
<h1>evbagent lab: <span class="{verdict_class}">{verdict}</span></h1>
<p>Switch: {switch}. Edition: {edition}. From link up to agreement at both ends: {convergence}.</p>
<table><tr><th>step<th><th>seconds<th>sent<th>received<th>what happened</tr>
{rows}
</table></html>
"""


def html_report(result: dict[str, Any]) -> str:
    """A page that stands alone."""
    rows = "\n".join(
        f'<tr><td>{escape(step["name"])}<td class="{"ok" if step["ok"] else "bad"}">{"✓" if step["ok"] else "✗"}'
        f'<td class="n">{step["seconds"]}<td class="n">{_number(step["sent"])}<td class="n">{_number(step["received"])}'
        f"<td>{escape(step['detail'])}</tr>"
        for step in result["steps"]
    )
    seconds = result["convergence-seconds"]
    return _PAGE.format(
        verdict="every step came out as it must" if result["ok"] else "failed",
        verdict_class="ok" if result["ok"] else "bad",
        switch=escape(result["switch"]),
        edition=escape(result["edition"]),
        convergence="-" if seconds is None else f"{seconds * 1000:.1f} ms",
        rows=rows,
    )


def pcap(frames: Iterable[tuple[int, bytes]]) -> bytes:
    """A capture file of (time in ns, frame)."""
    parts = [struct.pack("<IHHiIII", PCAP_NANOSECONDS, 2, 4, 0, 0, 65535, LINKTYPE_ETHERNET)]
    for time, data in frames:
        parts.append(struct.pack("<IIII", time // 10**9, time % 10**9, len(data), len(data)) + data)
    return b"".join(parts)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
