"""`evbagent lab`, as a user runs it: every switch and edition, as root and not, interrupted, and where it cannot be."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.namespaces import find_program
from tests.support.require import require_peer

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
STEPS = (
    "vepa-forced",
    "attached",
    "negotiated",
    "vsis-associated",
    "vsi-withdrawn",
    "dcbx-agreed",
    "withdrawn",
    "offered-again",
    "switch-dies",
    "switch-returns",
    "vsis-return",
    "agent-killed",
    "agent-restarted",
    "neighbors-shown",
)
WITHOUT_FRAMES = {
    "vsis-associated",
    "vsi-withdrawn",
    "dcbx-agreed",
    "vsis-return",
    "agent-restarted",
    "neighbors-shown",
}
KEYS = {"name", "ok", "seconds", "sent", "received", "detail", "lost", "outage-seconds"}
# An ordinary user by number, who may read what this process may: only the privileges are gone.
ORDINARY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
COMMAND = (sys.executable, "-m", "evbagent", "lab")


def lab(*words: str, before: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*before, *COMMAND, *words], cwd=ROOT, capture_output=True, text=True, timeout=90)


def after(script: str) -> tuple[str, ...]:
    """What goes before a command that is to find the machine as a script (with mounts of its own) has left it."""
    return ("unshare", "--user", "--map-root-user", "--mount", "--net", "--", "sh", "-ec", f'{script}; exec "$@"', "sh")


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
    lldpcli = find_program("lldpcli")
    if lldpcli and os.access(lldpcli, os.X_OK) and os.geteuid() == 0:
        assert "lab-station, port 02:00:00:00:00:1a" in result["steps"][-1]["detail"]
    # lldpad's draft bridge never answers VDP.
    associated = 0 if (switch, edition) == ("lldpad", "draft") else 2
    assert [vsi["state"] for vsi in result["vsis"]] == ["associated"] * associated
    assert result["channels"] == []
    # lldpad speaks no DCBX over a veth.
    agreed = ("peer", [3]) if switch == "builtin" else ("alone", [])
    assert (result["dcbx"]["state"], result["dcbx"]["operational"]["pfc"]["enable"]) == agreed
    assert tuple(step["name"] for step in result["steps"]) == STEPS
    assert all(step.keys() == KEYS and step["ok"] for step in result["steps"])
    counted = {step["name"]: (step["sent"], step["received"]) for step in result["steps"]}
    assert counted.pop("vepa-forced") == (100, 0)
    assert {counted.pop(name) for name in WITHOUT_FRAMES} == {(None, None)}
    assert set(counted.values()) == {(100, 100)}
    dies = result["steps"][STEPS.index("switch-dies")]
    assert dies["lost"] > 0 and 1 < dies["outage-seconds"] < 6
    assert 0 < result["convergence-seconds"] < 4
    assert "every step came out as it must" in page.read_text()
    assert len((captures / f"lab-{switch}-{edition}.pcap").read_bytes()) > 500


def test_an_ordinary_user_gets_the_same() -> None:
    done = lab(before=ORDINARY_USER)
    if "no private namespaces" in done.stderr:
        pytest.skip("this machine forbids user namespaces to ordinary users")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step came out as it must." in done.stdout
    assert "\x1b" not in done.stdout


def test_a_container_that_hides_parts_of_proc_will_do() -> None:
    """There the kernel lets no ordinary user mount /proc or /sys anew."""
    done = lab(before=(*after("mount -t tmpfs none /proc/fs; mount -t tmpfs none /sys/kernel"), *ORDINARY_USER))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("moment", [None, "vepa-forced", "offered-again"])
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_an_interrupted_lab_leaves_nothing_behind(number: signal.Signals, status: int, moment: str | None) -> None:
    """`moment`: the step that is over; at None it has just begun to build itself."""
    visible = [Path(path) for path in ("/run", "/dev/shm", "/sys/class/net")]
    before = {path: set(os.listdir(path)) for path in visible}
    process = subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    while (moment or "A host") not in process.stdout.readline():
        assert process.poll() is None
    mine = descendants(process.pid)
    assert moment is None or len(mine) >= 5
    process.send_signal(number)
    assert process.wait(10) == status
    # All that hold its output end with it, also those that came after `mine`.
    assert "came out" not in process.stdout.read()
    process.stdout.close()
    for pid in mine:
        if number == signal.SIGKILL:
            wait_until_gone(pid)
        else:
            assert not Path(f"/proc/{pid}").exists()
    assert {path: set(os.listdir(path)) for path in visible} == before


def test_a_reader_that_has_had_enough_ends_it() -> None:
    process = subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    mine = descendants(process.pid)
    process.stdout.close()
    assert process.wait(10) == 1
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in mine)


def test_namespaces_that_cannot_be_had_are_named() -> None:
    done = lab(before=after("echo 0 > /proc/sys/user/max_net_namespaces"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no private namespaces can be made here (unshare: No space left on device" in done.stderr


def test_a_missing_lldpad_is_named() -> None:
    done = lab("--switch", "lldpad", before=after("mount -t tmpfs none /usr/sbin"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "evbagent lab: lldpad is not installed: install Debian's package lldpad, or use --switch builtin\n"
    )


def test_a_report_that_cannot_be_written_is_found_out_first(tmp_path: Path) -> None:
    done = lab("--report", str(tmp_path / "nowhere" / "report.html"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"evbagent lab: {tmp_path}/nowhere/report.html cannot be written\n"


def descendants(pid: int) -> set[int]:
    """Process ids below `pid`."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (parent := parent_of(int(entry))) is not None:
            parents.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    todo = [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found.update(children)
        todo += children
    return found


def parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
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
