"""The reader of the state file: everything that makes it say nothing. Files and locks are made by hand here."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from evbagent import statefile
from evbagent.statefile import State, boot_id, boottime, default_directory, read_state
from tests.support.require import unmet

ROOT = Path(__file__).parents[2]
NOW = 1_000_000_000


class Locks:
    """The agent's locks on a directory, taken without the agent's code."""

    def __init__(self, directory: Path) -> None:
        self._file = (directory / "evbagent.lock").open("w+b")

    def take(self, byte: int, kind: int = fcntl.F_WRLCK) -> None:
        fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, statefile.lock_record(kind, byte))

    def flock(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def close(self) -> None:
        self._file.close()


@pytest.fixture
def locks(tmp_path: Path) -> Iterator[Locks]:
    locks = Locks(tmp_path)
    yield locks
    locks.close()


@pytest.fixture
def living(tmp_path: Path, locks: Locks) -> Path:
    """A directory in which an agent lives, as far as its locks say."""
    locks.take(0)
    locks.take(1)
    locks.flock()
    return tmp_path


def document(**changes: Any) -> dict[str, Any]:
    fields = {
        "schema": "evbagent-state-1",
        "generation": 1,
        "boot-id": boot_id(),
        "valid-until-boottime-us": NOW,
        "uplinks": [{"name": "eth0", "forwarding": {"mode": "vepa"}}],
    }
    return fields | {key.replace("_", "-"): value for key, value in changes.items()}


def put(directory: Path, content: Any) -> None:
    """By rename, like the agent."""
    new = directory / "new"
    new.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    new.rename(directory / "state.json")


def read(directory: Path, now: int = NOW) -> State:
    return read_state(directory, clock=lambda: now)


def test_a_file_that_counts(living: Path) -> None:
    put(living, document())
    state = read(living)
    assert state.reason is None
    assert state.document == document()
    assert state.uplink("eth0") == {"name": "eth0", "forwarding": {"mode": "vepa"}}
    assert state.uplink("eth1") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (json.dumps(document()).encode()[:-20], "is not JSON"),
        (json.dumps(document()).encode()[:1], "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "schema"),
        (b"null", "schema"),
        (document(schema="evbagent-state-2"), "schema"),
        (document(schema=None), "schema"),
        (document(boot_id="00000000-0000-0000-0000-000000000000"), "boot"),
        (document(boot_id=None), "boot"),
        (document(valid_until_boottime_us=None), "how long"),
        (document(valid_until_boottime_us="9"), "how long"),
        (document(valid_until_boottime_us=NOW - 1), "expired"),
        (document(valid_until_boottime_us=NOW - 5_000_000), "expired 5.0 s ago"),
    ],
)
def test_content_that_says_nothing(living: Path, content: Any, reason: str) -> None:
    put(living, content)
    state = read(living)
    assert state.document is None
    assert reason in str(state.reason)
    assert state.uplink("eth0") is None


def test_nothing_there(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        state = read(directory)
        assert state.document is None
        assert state.reason == f"there is no {directory}/state.json: no agent is running"


def test_things_that_are_no_file(living: Path) -> None:
    path = living / "state.json"
    path.mkdir()
    assert "cannot read" in str(read(living).reason)
    path.rmdir()
    path.symlink_to("state.json")
    assert "cannot read" in str(read(living).reason)
    path.unlink()
    os.mkfifo(path)
    assert "not JSON" in str(read(living).reason)


def test_unreadable(living: Path) -> None:
    put(living, document())
    script = "import sys; from evbagent.statefile import read_state; print(read_state(sys.argv[1]).reason)"
    (living / "state.json").chmod(0)
    assert unprivileged(script, living) == f"cannot read {living}/state.json: Permission denied"
    (living / "state.json").chmod(0o644)
    (living / "evbagent.lock").chmod(0)
    assert unprivileged(script, living) == f"cannot read {living}/evbagent.lock: Permission denied"
    (living / "evbagent.lock").chmod(0o444)
    assert "expired" in unprivileged(script, living)


def test_locks_that_are_not_the_agents(tmp_path: Path, locks: Locks) -> None:
    put(tmp_path, document())
    assert "gone" in str(read(tmp_path).reason)
    locks.take(0)
    locks.flock()
    assert "gone" in str(read(tmp_path).reason)
    locks.take(1, fcntl.F_RDLCK)  # which anybody may have who can read the file
    assert "gone" in str(read(tmp_path).reason)
    locks.take(1)
    assert read(tmp_path).document is not None
    (tmp_path / "evbagent.lock").rename(tmp_path / "moved")
    assert "gone" in str(read(tmp_path).reason)
    (tmp_path / "evbagent.lock").touch()
    assert "gone" in str(read(tmp_path).reason)


def test_asking_disturbs_nobody(tmp_path: Path) -> None:
    """While a reader has the lock file open and asks, an agent can take its locks."""
    (tmp_path / "evbagent.lock").touch()
    with (tmp_path / "evbagent.lock").open("rb") as reader:
        assert not statefile.is_write_locked(reader.fileno(), 1)
        locks = Locks(tmp_path)
        locks.take(0)
        locks.take(1)
        locks.flock()
        assert statefile.is_write_locked(reader.fileno(), 1)
        locks.close()
        assert not statefile.is_write_locked(reader.fileno(), 1)


def test_a_successor_that_starts_between_reading_and_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is held when it is asked for, but by another than the author of what was read."""
    put(tmp_path, document(generation=99))
    agent_lives = statefile._agent_lives
    successor = Locks(tmp_path)

    def starts_now(lock: str) -> bool:
        path = tmp_path / "state.json"
        if path.exists() and json.loads(path.read_bytes())["generation"] == 99:
            path.unlink()
            successor.take(1)
            if write:
                put(tmp_path, document(generation=1))
        return agent_lives(lock)

    monkeypatch.setattr(statefile, "_agent_lives", starts_now)
    write = False
    assert "there is no" in str(read(tmp_path).reason)
    put(tmp_path, document(generation=99))
    write = True
    state = read(tmp_path)
    assert state.document is not None
    assert state.document["generation"] == 1
    successor.close()


def test_a_file_that_never_stays(living: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(living, document())
    replaced = 0

    def replace(_lock: str) -> bool:
        nonlocal replaced
        replaced += 1
        put(living, document())
        return True

    monkeypatch.setattr(statefile, "_agent_lives", replace)
    assert "replaced faster" in str(read(living).reason)
    assert replaced == statefile.ATTEMPTS


def test_broken_uplinks(living: Path) -> None:
    broken: tuple[Any, ...] = (None, 5, "eth0", ["eth0", None, {}, {"name": 1}], {"eth0": {}})
    for uplinks in broken:
        put(living, document(uplinks=uplinks))
        state = read(living)
        assert state.document is not None
        assert state.uplink("eth0") is None


def test_default_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVBAGENT_STATE_DIR", raising=False)
    assert default_directory() == Path("/run/evbagent")
    monkeypatch.setenv("EVBAGENT_STATE_DIR", "")
    assert default_directory() == Path("/run/evbagent")
    monkeypatch.setenv("EVBAGENT_STATE_DIR", "/tmp/elsewhere")
    assert default_directory() == Path("/tmp/elsewhere")


@pytest.mark.parametrize("module", ["evbagent.statefile", "evbagent.attach"])
def test_a_reader_imports_little(module: str) -> None:
    heavy = {"asyncio", "construct", "dataclasses", "msgspec", "pathlib", "pyroute2", "socket", "typing"}
    script = f"import sys; before = set(sys.modules); import {module}; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert heavy.isdisjoint(done.stdout.split())


SHELL = """
relay_mode() (
    exec 9<"$dir/evbagent.lock" || exit
    flock -n -s 9
    [ $? = 1 ] || exit
    boot=$(cat /proc/sys/kernel/random/boot_id) && read -r up _ </proc/uptime
    jq -er --arg name "$1" --arg boot "$boot" --argjson up "$up" '
        select(.schema == "evbagent-state-1" and ."boot-id" == $boot)
        | select(."valid-until-boottime-us" >= $up * 1000000)
        | .uplinks[] | select(.name == $name) | .forwarding.mode' "$dir/state.json"
)
mode=$(relay_mode eth0 2>/dev/null) || mode=veb
echo "$mode"
"""
"""The shell example of the README."""


def test_reading_from_a_shell(tmp_path: Path, locks: Locks) -> None:
    missing = [program for program in ("flock", "jq") if which(program) is None]
    if missing:
        unmet(f"{' and '.join(missing)} not installed")

    def mode() -> str:
        done = subprocess.run(
            ["sh", "-c", SHELL], env=os.environ | {"dir": str(tmp_path)}, capture_output=True, text=True
        )
        assert done.stderr == ""
        return done.stdout.strip()

    fresh = document(valid_until_boottime_us=boottime() + 60_000_000)
    lock = tmp_path / "evbagent.lock"
    lock.rename(tmp_path / "aside")
    assert mode() == "veb"
    put(tmp_path, fresh)
    assert mode() == "veb"
    (tmp_path / "aside").rename(lock)
    assert mode() == "veb"
    locks.flock()
    assert mode() == "vepa"
    for useless in (
        document(valid_until_boottime_us=boottime() - 1_000_000),
        fresh | {"schema": "other"},
        fresh | {"boot-id": "other"},
        fresh | {"uplinks": []},
        b"{",
    ):
        put(tmp_path, useless)
        assert mode() == "veb"
    put(tmp_path, fresh)
    assert mode() == "vepa"
    locks.close()
    assert mode() == "veb"


def unprivileged(script: str, *arguments: object) -> str:
    """What a Python script prints that runs without root's capabilities."""
    drop = [] if os.geteuid() != 0 else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run(
        [*drop, sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
