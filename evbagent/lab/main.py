"""`evbagent lab`: has the lab run in a cage, shows what it reports, leaves nothing behind."""

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from evbagent.lab.cage import Cage
from evbagent.lab.inside import run_inside
from evbagent.lab.report import Printer, html_report, pcap
from evbagent.lab.switches import find_lldpad
from evbagent.lab.wire import LabError

DONE, FAILED = 0, 1
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_lab(switch: str, edition: str, as_json: bool, report: Path | None, capture: Path | None) -> int:
    """Run it; the exit status: 0 only if every step came out as it must, 128 + N when ended by signal N."""
    try:
        _check(switch, report, capture)
    except LabError as error:
        return _complain(str(error))
    printer = Printer(sys.stdout, quiet=as_json)
    run = _Run(switch, edition, printer)
    cage = Cage(partial(run_inside, switch, edition))
    interrupted = _Interrupts(cage)
    try:
        printer.title(switch, edition)  # who reads it may interrupt
        run.follow(cage)
    finally:
        cage.end()  # there is nothing left to end, unless nobody wants to read what it says
        status = cage.wait()
        interrupted.forget()
    if interrupted.by is not None:
        return 128 + interrupted.by
    result = run.result
    result["ok"] = status == DONE and bool(result["steps"]) and all(step["ok"] for step in result["steps"])
    try:
        if report:
            report.write_text(html_report(result, run.timeline, run.logs), encoding="utf-8")
        if capture:
            capture.mkdir(parents=True, exist_ok=True)
            (capture / f"lab-{switch}-{edition}.pcap").write_bytes(pcap(run.frames))
    except OSError as error:
        return _complain(f"cannot write {error.filename}: {error.strerror}")
    printer.result(result)
    if not result["ok"]:
        for name, text in run.logs.items():
            print(f"--- {name}\n{text}", file=sys.stderr)
        if "error" in result:
            return _complain(result["error"])
    return DONE if result["ok"] else FAILED


class _Run:
    """What the lab has reported so far."""

    def __init__(self, switch: str, edition: str, printer: Printer) -> None:
        self.result: dict[str, Any] = {"ok": False, "switch": switch, "edition": edition, "convergence-seconds": None}
        self.result |= {"steps": [], "vsis": [], "dcbx": None, "channels": []}
        self.frames: list[tuple[int, bytes]] = []
        self.timeline: list[tuple[int, bool, bytes]] = []
        self.logs: dict[str, str] = {}
        self._printer = printer

    def follow(self, cage: Cage) -> None:
        """Take in all that it says until it ends."""
        with cage.output:
            for line in cage.output:
                if line.endswith(b"\n"):  # else it was killed in the middle of it
                    self._take(json.loads(line))

    def _take(self, document: dict[str, Any]) -> None:
        if "step" in document:
            step = document["step"]
            convergence = step.pop("convergence-seconds")
            self.result["convergence-seconds"] = convergence or self.result["convergence-seconds"]
            self.result["steps"].append(step)
            self._printer.step(step)
        elif "vsis" in document:
            self.result["vsis"] = document["vsis"]
        elif "dcbx" in document:
            self.result["dcbx"] = document["dcbx"]
        elif "frame" in document:
            time, to_host, data = document["frame"]
            self.frames.append((time, bytes.fromhex(data)))
            self.timeline.append((time, to_host, bytes.fromhex(data)))
        elif "logs" in document:
            self.logs = document["logs"]
        elif "error" in document:
            self.result["error"] = document["error"]


class _Interrupts:
    """SIGINT, SIGTERM and SIGHUP end the lab; `by` says which."""

    def __init__(self, cage: Cage) -> None:
        self.by: int | None = None
        self._cage = cage
        self._before = {number: signal.signal(number, self._end) for number in INTERRUPTS}

    def forget(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        self.by = number
        self._cage.end()


def _check(switch: str, report: Path | None, capture: Path | None) -> None:
    """What would be a pity to find out at the end. LabError."""
    if switch == "lldpad":
        find_lldpad()
    if report and (report.is_dir() or not os.access(report.parent, os.W_OK)):
        raise LabError(f"{report} cannot be written")
    if capture and capture.exists() and not (capture.is_dir() and os.access(capture, os.W_OK)):
        raise LabError(f"{capture} is not a directory that can be written to")


def _complain(text: str) -> int:
    print(f"evbagent lab: {text}", file=sys.stderr)
    return FAILED
