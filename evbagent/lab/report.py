"""What the lab tells: lines for people as it happens, a page, a capture file."""

import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from textwrap import fill
from typing import Any, TextIO

from evbagent.lab.wire import LldpFrame
from protocols.evb.status import EvbTlv, Role

PCAP_NANOSECONDS = 0xA1B23C4D
LINKTYPE_ETHERNET = 1
LARGEST_FRAME = 65535
WIDTH = 100
INDENT = " " * 4

Step = Mapping[str, Any]

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>evbagent lab</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top; }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
pre {{ background: #f4f4f4; overflow-x: auto; padding: .6rem; font-size: .85rem; }}
.ok {{ color: #076b2c; }} .bad {{ color: #a4001d; }}
</style>
<h1>evbagent lab: <span class="{verdict_class}">{verdict}</span></h1>
<pre>
guest A (macvlan)  \\
                    >- host: eth0 ======== port1: switch (a Linux bridge)
guest B (macvtap)  /
</pre>
<p>Switch: {switch}. Edition: {edition}. From link up to agreement at both ends: {convergence}. System: {system}.</p>
<h2>Steps</h2>
<table><tr><th>step<th><th>seconds<th>sent<th>received<th>lost in the change<th>what happened</tr>
{steps}
</table>
<h2>LLDPDUs on the uplink</h2>
<table><tr><th>seconds<th>from<th>TTL<th>EVB</tr>
{frames}
</table>
{logs}
</html>
"""


class Printer:
    """A step as it happens for people, or one JSON object at the end."""

    def __init__(self, stream: TextIO, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        encoding = (stream.encoding or "ascii").lower().replace("-", "")
        self._good, self._bad = ("✓", "✗") if encoding.startswith("utf") else ("ok  ", "FAIL")
        if stream.isatty() and not os.environ.get("NO_COLOR"):
            self._good, self._bad = f"\033[32m{self._good}\033[0m", f"\033[31m{self._bad}\033[0m"

    def title(self, switch: str, edition: str) -> None:
        if not self._quiet:
            who = "evbagent in the bridge role" if switch == "builtin" else switch
            self._print(f"A host with guests A and B on its uplink, and a switch ({who}, {edition} edition):")

    def step(self, step: Step) -> None:
        if not self._quiet:
            mark = self._good if step["ok"] else self._bad
            counted = "" if step["sent"] is None else f"  {step['received']} of {step['sent']} frames arrive"
            self._print(f"{mark} {step['name']:14} {step['seconds']:5.2f} s{counted}")
            self._print(fill(step["detail"], WIDTH, initial_indent=INDENT, subsequent_indent=INDENT))

    def result(self, result: Mapping[str, Any]) -> None:
        if self._quiet:
            self._print(json.dumps(result, indent=2))
        elif result["ok"]:
            self._print("Every step came out as it must.")
        else:
            self._print("Not every step came out as it must.")

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def html_report(
    result: Mapping[str, Any],
    frames: Sequence[tuple[int, bool, bytes]] = (),
    logs: Mapping[str, str] | None = None,
) -> str:
    """A page that stands alone. `frames`: (ns since the epoch, whether it goes to the host, octets)."""
    seconds = result["convergence-seconds"]
    kernel = os.uname()
    return _PAGE.format(
        verdict="every step came out as it must" if result["ok"] else "failed",
        verdict_class="ok" if result["ok"] else "bad",
        switch=escape(result["switch"]),
        edition=escape(result["edition"]),
        convergence="-" if seconds is None else f"{seconds * 1000:.1f} ms",
        system=escape(f"{kernel.sysname} {kernel.release}, {'root' if os.geteuid() == 0 else 'an ordinary user'}"),
        steps="\n".join(map(_step_row, result["steps"])),
        frames="\n".join(_frame_rows([LldpFrame(*frame) for frame in frames])),
        logs="\n".join(f"<h2>{escape(name)}</h2>\n<pre>{escape(text)}</pre>" for name, text in (logs or {}).items()),
    )


def pcap(frames: Iterable[tuple[int, bytes]]) -> bytes:
    """A capture file of (ns since the epoch, frame)."""
    parts = [struct.pack("<IHHiIII", PCAP_NANOSECONDS, 2, 4, 0, 0, LARGEST_FRAME, LINKTYPE_ETHERNET)]
    for time, data in frames:
        parts.append(struct.pack("<IIII", time // 10**9, time % 10**9, len(data), len(data)) + data)
    return b"".join(parts)


def in_words(frame: LldpFrame) -> str:
    """What the EVB TLV of an LLDPDU says about reflective relay."""
    found = frame.evb()
    if found is None:
        return "-"
    edition, tlv = found
    return f"{edition.name}: {_relay(tlv)}"


def _relay(tlv: EvbTlv) -> str:
    if tlv.role is None:
        heard = f"agreed capabilities {int(tlv.agreed_capabilities or 0)}"
        return f"{'configured: relay' if tlv.relay_control else 'configured: standard'}, {heard}"
    if tlv.role is Role.BRIDGE:
        offer = "offers relay" if tlv.relay_capable else "offers no relay"
        return f"bridge {offer}, {'reflects' if tlv.relay_control else 'does not reflect'}"
    ask = "asks for relay" if tlv.relay_request else "does not ask for relay"
    return f"station {ask}, status {tlv.relay_status.name.lower()}"


def _step_row(step: Step) -> str:
    mark = '<td class="ok">✓' if step["ok"] else '<td class="bad">✗'
    lost = _number(step.get("lost"))
    if step.get("lost"):
        lost += f" in {step['outage-seconds']:.3f} s"
    return (
        f'<tr><td>{escape(step["name"])}{mark}<td class="n">{step["seconds"]:.3f}<td class="n">{_number(step["sent"])}'
        f'<td class="n">{_number(step["received"])}<td class="n">{lost}<td>{escape(step["detail"])}</tr>'
    )


def _frame_rows(frames: Sequence[LldpFrame]) -> Iterator[str]:
    began = frames[0].time if frames else 0
    last = b""
    for frame in frames:
        pdu = frame.pdu()
        # A port in hairpin mode sends the host its own back.
        sender = "host, reflected" if frame.to_host and frame.data == last else "switch" if frame.to_host else "host"
        ttl = "-" if pdu is None else "shutdown" if pdu.ttl == 0 else f"{pdu.ttl} s"
        seconds = f"{(frame.time - began) / 1e9:.6f}"
        yield f'<tr><td class="n">{seconds}<td>{sender}<td class="n">{ttl}<td>{escape(in_words(frame))}</tr>'
        last = frame.data


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
