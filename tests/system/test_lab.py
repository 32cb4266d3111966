"""`evbagent lab`, as a user runs it: every switch and edition, as root and not, and interrupted."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.require import require_peer

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
STEPS = ("vepa-forced", "attached", "negotiated", "withdrawn", "offered-again", "switch-dies", "agent-killed")
# An ordinary user by number, who may read what this process may: only the privileges are gone.
ORDINARY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


def lab(*words: str, before: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    command = [*before, sys.executable, "-m", "evbagent", "lab", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)


@pytest.mark.parametrize("edition", ["ratified", "draft"])
@pytest.mark.parametrize("switch", ["builtin", "lldpad"])
def test_every_step_comes_out_as_it_must(tmp_path: Path, switch: str, edition: str) -> None:
    if switch == "lldpad":
        require_peer("lldpad", "lldptool")
    page, captures = tmp_path / "report.html", tmp_path / "captures"
    done = lab(
        *("--switch", switch, "--edition", edition, "--json"), *("--report", str(page), "--capture", str(captures))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert (result["ok"], result["switch"], result["edition"]) == (True, switch, edition)
    assert (result["vsis"], result["dcbx"], result["channels"]) == ([], None, [])
    assert tuple(step["name"] for step in result["steps"]) == STEPS
    assert all({"name", "ok", "seconds", "sent", "received", "detail"} <= step.keys() for step in result["steps"])
    counted = {step["name"]: (step["sent"], step["received"]) for step in result["steps"]}
    assert counted["vepa-forced"] == (100, 0)
    assert counted["negotiated"] == (100, 100)
    assert 0 < result["convergence-seconds"] < 4
    assert "every step came out as it must" in page.read_text()
    assert len((captures / f"lab-{switch}-{edition}.pcap").read_bytes()) > 500


def test_an_ordinary_user_gets_the_same(tmp_path: Path) -> None:
    done = lab(before=ORDINARY_USER)
    if "private namespaces" in done.stderr:
        pytest.skip("this machine forbids user namespaces to ordinary users")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step came out as it must." in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_an_interrupted_lab_leaves_nothing_behind(number: signal.Signals, status: int) -> None:
    before = set(os.listdir("/run"))
    process = subprocess.Popen(
        [sys.executable, "-m", "evbagent", "lab"], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    while "vepa-forced" not in process.stdout.readline():
        assert process.poll() is None
    mine = descendants(process.pid)
    assert len(mine) > 4
    process.send_signal(number)
    assert process.wait(10) == status
    process.stdout.close()
    for pid in mine:
        wait_until_gone(pid)
    assert set(os.listdir("/run")) == before


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evbagent", "lab"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (1, "evbagent lab: unshare is not installed (util-linux)\n")


def descendants(pid: int) -> dict[int, int]:
    """Process ids below `pid`, each with its start time."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (fields := stat_fields(int(entry))):
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found: dict[int, int] = {}
    todo = [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            fields = stat_fields(child)
            if fields:
                found[child] = int(fields[19])
                todo.append(child)
    return found


def stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the command's name: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def wait_until_gone(pid: int) -> None:
    """Return when no such process is left; the kernel takes a moment to end a namespace's processes."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 10)[0], f"process {pid} is still there"
    finally:
        os.close(descriptor)
