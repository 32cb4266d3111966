"""`evbagent lab`: starts the program in namespaces of its own, shows what it reports, leaves nothing behind."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import fill
from types import FrameType
from typing import Any

from evbagent.lab.report import html_report, pcap

DONE, FAILED = 0, 1
PR_SET_PDEATHSIG = 1
WIDTH = 100
INDENT = " " * 5


def run_lab(switch: str, edition: str, as_json: bool, report: Path | None, capture: Path | None) -> int:
    """Run it; the exit status: 0 only if every step came out as it must."""
    if shutil.which("unshare") is None:
        return _complain("unshare is not installed (util-linux)")
    show = _Printer(quiet=as_json)
    show.title(switch, edition)
    process = subprocess.Popen(
        _command(switch, edition), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, preexec_fn=_die_with_us
    )
    interrupted = _Interrupted(process)
    result: dict[str, Any] = {"ok": False, "switch": switch, "edition": edition, "convergence-seconds": None}
    result |= {"steps": [], "vsis": [], "dcbx": None, "channels": []}
    frames: list[tuple[int, bytes]] = []
    assert process.stdout is not None
    for line in process.stdout:
        document = json.loads(line)
        if "step" in document:
            step = document["step"]
            result["steps"].append(step)
            result["convergence-seconds"] = step.pop("convergence-seconds", result["convergence-seconds"])
            show.step(step)
        elif "frames" in document:
            frames = [(time, bytes.fromhex(data)) for time, data in document["frames"]]
        elif "logs" in document:
            show.failure(document)
            result["error"] = document.get("error")
    status = process.wait()
    if interrupted.by:
        return 128 + interrupted.by
    result["ok"] = status == DONE and bool(result["steps"]) and all(step["ok"] for step in result["steps"])
    if status != DONE and not result["steps"] and "error" not in result:
        return _complain("cannot make private namespaces here: run as root, or allow unprivileged user namespaces")
    if report:
        report.write_text(html_report(result), encoding="utf-8")
    if capture:
        capture.mkdir(parents=True, exist_ok=True)
        (capture / f"lab-{switch}-{edition}.pcap").write_bytes(pcap(frames))
    show.result(result)
    return DONE if result["ok"] else FAILED


class _Interrupted:
    """SIGINT and SIGTERM end the lab: its first process dies, and the kernel takes away all the rest."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.by: int | None = None
        self._process = process
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)

    def _end(self, number: int, _: FrameType | None) -> None:
        self.by = number
        self._process.kill()


class _Printer:
    """One line a step for people, or one JSON object at the end."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._marks = ("\033[32m✓\033[0m", "\033[31m✗\033[0m") if colour else ("ok  ", "FAIL")

    def title(self, switch: str, edition: str) -> None:
        if not self._quiet:
            who = "evbagent in the bridge role" if switch == "builtin" else switch
            print(f"A host with two guests on its uplink, and a switch ({who}, {edition} edition):", flush=True)

    def step(self, step: dict[str, Any]) -> None:
        if self._quiet:
            return
        counted = "" if step["sent"] is None else f"  {step['received']} of {step['sent']} frames arrived"
        mark = self._marks[0] if step["ok"] else self._marks[1]
        print(f"{mark} {step['name']:14} {step['seconds']:6.3f} s{counted}")
        print(fill(step["detail"], WIDTH, initial_indent=INDENT, subsequent_indent=INDENT), flush=True)

    def failure(self, document: dict[str, Any]) -> None:
        if document.get("error"):
            print(f"evbagent lab: {document['error']}", file=sys.stderr)
        for name, text in document["logs"].items():
            print(f"--- {name}\n{text}", file=sys.stderr)

    def result(self, result: dict[str, Any]) -> None:
        if self._quiet:
            print(json.dumps(result, indent=2))
        elif result["ok"]:
            print("Every step came out as it must.")
        else:
            print("Not every step came out as it must.")


def _command(switch: str, edition: str) -> list[str]:
    """A network, a mount and a pid namespace; for an ordinary user inside a user namespace of its own."""
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    return [*command, "--", sys.executable, "-m", "evbagent.lab.inside", switch, edition]


def _die_with_us() -> None:
    """Runs in the child: SIGKILL for it, and so for the lab, when this process ends in whatever way."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C is for this process: it ends the lab in order.
    os.setpgid(0, 0)


def _complain(text: str) -> int:
    print(f"evbagent lab: {text}", file=sys.stderr)
    return FAILED
