"""Where commands print: onto a full disk, and to callers that have closed their streams."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evbagent.terminal import DONE, FAILED, UNMET
from tests.support.domains import domain

ROOT = Path(__file__).parents[2]
DOCUMENT = domain("<source dev='eth0' mode='VEB'/>")


def run_in_shell(script: str, directory: Path, unbuffered: str = "") -> subprocess.CompletedProcess[str]:
    """`evbagent` is the command, on a state directory that says nothing."""
    environment = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered, "EVBAGENT_STATE_DIR": str(directory)}
    return subprocess.run(
        ["sh", "-c", f'evbagent() {{ "$0" -m evbagent "$@"; }}; {script}', sys.executable],
        input=DOCUMENT,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["mode eth0", "mode -j eth0", "libvirt domain", "install --print --program /x/y"])
def test_a_full_disk(command: str, unbuffered: str, tmp_path: Path) -> None:
    done = run_in_shell(f"evbagent {command} >/dev/full", tmp_path, unbuffered)
    assert done.returncode == FAILED
    assert done.stderr.splitlines()[-1] == "evbagent: the output cannot be written: No space left on device"
    assert "Traceback" not in done.stderr


def test_what_is_wrong_is_not_said_among_the_output(tmp_path: Path) -> None:
    done = run_in_shell("evbagent mode eth0 --policy require-vepa 2>&-", tmp_path)
    assert (done.returncode, done.stdout) == (UNMET, "")


def test_nobody_wants_the_output(tmp_path: Path) -> None:
    done = run_in_shell("evbagent libvirt domain >&-", tmp_path)
    assert done.returncode == DONE
    assert "VEB becomes bridge" in done.stderr and "Traceback" not in done.stderr
