"""The writer of the state file: what it writes and when, its locks, and what it does when it cannot write."""

import asyncio
import fcntl
import json
import logging
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from evbagent import statefile
from evbagent.state import RUNNING_FILE, StateError, StateWriter
from evbagent.statefile import LOCK_FILE, SCHEMA, STATE_FILE, boot_id, boottime, read_state

ROOT = Path(__file__).parents[2]
START_US = 5_000_000_000


class VirtualLoop(asyncio.SelectorEventLoop):
    """Where others wait, this loop's time jumps."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self.errors: list[dict[str, Any]] = []
        super().__init__(_JumpingSelector(self))
        self.set_exception_handler(lambda _loop, context: self.errors.append(context))

    def time(self) -> float:
        return self._elapsed

    def jump(self, seconds: float) -> None:
        self._elapsed += seconds

    def clock(self) -> int:
        return START_US + round(self._elapsed * 1e6)


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            self._loop.jump(timeout)
        return super().select(0)


class Agent:
    """A writer on a virtual clock, and what its readers see."""

    def __init__(self, directory: Path, loop: VirtualLoop, **options: int) -> None:
        self.content: dict[str, Any] = {"agent": {"pid": os.getpid()}, "uplinks": []}
        self.documents = 0
        self.clock = loop.clock
        self.directory = directory
        self.writer = StateWriter(directory, self._document, loop.clock, **options)

    def read(self) -> statefile.State:
        return read_state(self.directory, clock=self.clock)

    def _document(self) -> Mapping[str, Any]:
        self.documents += 1
        return self.content


def run(test: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        runner.run(_awaited(test(loop)))
        assert loop.errors == []


async def _awaited(test: Awaitable[None]) -> None:
    await test


def leave_as_if_killed(directory: Path, writer: StateWriter) -> None:
    """What is in the directory after SIGKILL: everything but the locks."""
    left = {path: path.read_bytes() for path in directory.iterdir()}
    writer.close()
    for path, text in left.items():
        path.write_bytes(text)


def flock_is_held(directory: Path) -> bool:
    """What `flock -n -s` finds."""
    with (directory / LOCK_FILE).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_what_is_written(tmp_path: Path) -> None:
    directory = tmp_path / "run" / "evbagent"

    async def test(loop: VirtualLoop) -> None:
        agent = Agent(directory, loop, validity_us=10_000_000)
        umask = os.umask(0o077)
        try:
            agent.writer.open()
            agent.writer.write()
        finally:
            os.umask(umask)
        document = agent.read().document
        assert document is not None
        assert document["schema"] == SCHEMA
        assert document["generation"] == 1
        assert document["boot-id"] == boot_id()
        assert document["written-boottime-us"] == START_US
        assert document["valid-until-boottime-us"] == START_US + 10_000_000
        assert document["written"].endswith("Z")
        assert document["agent"] == {"pid": os.getpid()}
        assert directory.stat().st_mode & 0o777 == 0o755
        assert (directory / STATE_FILE).stat().st_mode & 0o777 == 0o644
        assert (directory / LOCK_FILE).stat().st_mode & 0o777 == 0o644
        assert (directory / LOCK_FILE).read_text() == f"{os.getpid()}\n"
        assert sorted(path.name for path in directory.iterdir()) == [RUNNING_FILE, LOCK_FILE, STATE_FILE]
        agent.writer.close()

    run(test)


def test_marks_of_one_turn_are_one_write(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path, loop)
        agent.writer.open()
        agent.content["uplinks"] = [{"name": "first"}]
        for _ in range(50):
            agent.writer.mark_dirty()
        agent.content["uplinks"] = [{"name": "last"}]
        assert agent.documents == 0
        await asyncio.sleep(0.001)
        assert agent.documents == agent.writer.generation == 1
        assert agent.read().uplink("last") is not None
        agent.writer.close()

    run(test)


def test_a_thousand_marks_keep_the_interval(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path, loop)
        agent.writer.open()
        writes: list[tuple[int, int]] = []
        for number in range(1000):
            agent.content["uplinks"] = [{"name": str(number)}]
            agent.writer.mark_dirty()
            await asyncio.sleep(0.001)
            document = agent.read().document
            assert document is not None
            if not writes or writes[-1][0] != document["generation"]:
                writes.append((document["generation"], document["written-boottime-us"]))
        generations, times = zip(*writes, strict=True)
        assert generations == tuple(range(1, len(writes) + 1))
        assert min(later - earlier for earlier, later in pairwise(times)) >= 20_000
        assert 45 <= len(writes) <= 51
        await asyncio.sleep(0.02)
        assert agent.read().uplink("999") is not None
        agent.writer.close()

    run(test)


def test_a_quiet_agent_stays_valid(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path, loop)
        agent.writer.open()
        agent.writer.write()
        for _ in range(3600):
            await asyncio.sleep(1)
            assert agent.read().reason is None
        assert 170 <= agent.writer.generation <= 185
        agent.writer.close()

    run(test)


def test_a_hanging_agent_expires(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path, loop, validity_us=3_000_000)
        agent.writer.open()
        agent.writer.write()
        loop.jump(3)
        assert agent.read().document is not None
        loop.jump(0.001)
        assert "expired" in str(agent.read().reason)
        await asyncio.sleep(0.001)
        assert agent.read().document is not None
        agent.writer.close()

    run(test)


def test_close_withdraws(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path, loop)
        agent.writer.open()
        agent.writer.write()
        agent.writer.mark_dirty()
        agent.writer.close()
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]
        assert not flock_is_held(tmp_path)
        await asyncio.sleep(100)
        agent.writer.mark_dirty()
        agent.writer.write()
        agent.writer.close()
        assert agent.documents == 1

    run(test)


def test_second_agent_is_refused(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        first, second = Agent(tmp_path, loop), Agent(tmp_path, loop)
        first.writer.open()
        first.writer.write()
        before = (tmp_path / STATE_FILE).read_bytes()
        with pytest.raises(StateError, match=rf"pid {os.getpid()}\) is running on {tmp_path}"):
            second.writer.open()
        second.writer.mark_dirty()
        second.writer.close()
        assert (tmp_path / STATE_FILE).read_bytes() == before
        assert first.read().document is not None
        first.writer.close()
        second.writer.open()
        second.writer.close()

    run(test)


def test_directory_that_cannot_be_had(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        (tmp_path / "file").touch()
        for directory in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/evbagent")):
            with pytest.raises(StateError, match=f"cannot write in {directory}: .*--state-dir"):
                Agent(directory, loop).writer.open()

    run(test)


@pytest.mark.parametrize("name", [LOCK_FILE, RUNNING_FILE, ".evbagent.lock.new"])
def test_nothing_is_written_through_a_link_in_the_place_of_a_lock_file(tmp_path: Path, name: str) -> None:
    async def test(loop: VirtualLoop) -> None:
        (tmp_path / "victim").write_text("untouched")
        (tmp_path / name).symlink_to("victim")
        agent = Agent(tmp_path, loop)
        if name == RUNNING_FILE:
            with pytest.raises(StateError):
                agent.writer.open()
        else:
            agent.writer.open()
            agent.writer.write()
            assert agent.read().document is not None
            agent.writer.close()
        assert (tmp_path / "victim").read_text() == "untouched"

    run(test)


def test_an_agent_that_holds_the_lock_file_alone_is_respected(tmp_path: Path) -> None:
    """One of a version that knew no other file; or somebody has removed that."""

    async def test(loop: VirtualLoop) -> None:
        first, second = Agent(tmp_path, loop), Agent(tmp_path, loop)
        first.writer.open()
        first.writer.write()
        (tmp_path / RUNNING_FILE).unlink()
        with pytest.raises(StateError, match="is running on"):
            second.writer.open()
        assert first.read().document is not None
        first.writer.mark_dirty()
        await asyncio.sleep(0.03)
        assert first.read().document is not None
        assert (tmp_path / RUNNING_FILE).exists()
        first.writer.close()

    run(test)


def test_predecessors_file_is_withdrawn_before_the_lock_speaks(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        dead = Agent(tmp_path, loop)
        dead.content["uplinks"] = [{"name": "eth0"}]
        dead.writer.open()
        dead.writer.write()
        leave_as_if_killed(tmp_path, dead.writer)
        assert "gone" in str(dead.read().reason)
        agent = Agent(tmp_path, loop)
        agent.writer.open()
        assert not (tmp_path / STATE_FILE).exists()
        assert flock_is_held(tmp_path)
        assert agent.read().document is None
        previous = agent.writer.previous()
        assert previous is not None
        assert previous["uplinks"] == [{"name": "eth0"}]
        agent.writer.write()
        assert sorted(path.name for path in tmp_path.iterdir()) == [RUNNING_FILE, LOCK_FILE, STATE_FILE]
        agent.writer.close()

    run(test)


def test_previous_outlives_an_agent_that_died_before_it_wrote(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        first = Agent(tmp_path, loop)
        first.content["uplinks"] = [{"name": "eth0"}]
        first.writer.open()
        first.writer.write()
        leave_as_if_killed(tmp_path, first.writer)
        second = Agent(tmp_path, loop)
        second.writer.open()
        leave_as_if_killed(tmp_path, second.writer)
        for _ in range(2):
            third = Agent(tmp_path, loop)
            third.writer.open()
            previous = third.writer.previous()
            assert previous is not None
            assert previous["uplinks"] == [{"name": "eth0"}]
            third.writer.close()
        fourth = Agent(tmp_path, loop)
        fourth.writer.open()
        fourth.writer.write()
        fourth.writer.close()
        fifth = Agent(tmp_path, loop)
        fifth.writer.open()
        assert fifth.writer.previous() is None
        fifth.writer.close()

    run(test)


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"schema": "evbagent-state-1", "boot-id": "other"}', b"\xff"])
def test_previous_of_no_use(tmp_path: Path, left: bytes) -> None:
    async def test(loop: VirtualLoop) -> None:
        (tmp_path / STATE_FILE).write_bytes(left)
        agent = Agent(tmp_path, loop)
        agent.writer.open()
        assert agent.writer.previous() is None
        assert not (tmp_path / STATE_FILE).exists()
        agent.writer.close()

    run(test)


@contextmanager
def locked(path: Path, byte: int) -> Iterator[None]:
    """By somebody who may only read it."""
    with path.open("rb") as stranger:
        fcntl.flock(stranger, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.fcntl(stranger, fcntl.F_OFD_SETLK, statefile.lock_record(fcntl.F_RDLCK, byte))
        yield


@pytest.mark.parametrize("byte", [0, 1])
def test_somebodys_lasting_lock_keeps_no_agent_from_starting_and_no_reader_from_its_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, byte: int
) -> None:
    async def test(loop: VirtualLoop) -> None:
        dead = Agent(tmp_path, loop)
        dead.writer.open()
        dead.writer.write()
        leave_as_if_killed(tmp_path, dead.writer)
        with locked(tmp_path / LOCK_FILE, byte):
            agent = Agent(tmp_path, loop)
            agent.writer.open()
            agent.writer.write()
            for _ in range(30):
                await asyncio.sleep(1)
                assert agent.read().document is not None
                assert flock_is_held(tmp_path)
            agent.writer.close()
            assert not flock_is_held(tmp_path)

    with caplog.at_level(logging.WARNING):
        run(test)
    assert not caplog.records


def test_nobody_else_can_take_the_locks_of_an_agent_that_lives(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path, loop)
        agent.writer.open()
        for byte in (0, 1):
            with pytest.raises(BlockingIOError), locked(tmp_path / LOCK_FILE, byte):
                pass
            with (tmp_path / LOCK_FILE).open("rb") as stranger, pytest.raises(BlockingIOError):
                fcntl.fcntl(stranger, fcntl.F_OFD_SETLK, statefile.lock_record(fcntl.F_RDLCK, byte))
        assert (tmp_path / LOCK_FILE).stat().st_mode & 0o777 == 0o644
        assert (tmp_path / RUNNING_FILE).stat().st_mode & 0o777 == 0o600
        assert (tmp_path / LOCK_FILE).read_text() == f"{os.getpid()}\n"
        agent.writer.close()

    run(test)


def test_a_lock_file_that_was_removed_is_made_again(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path, loop)
        agent.writer.open()
        agent.writer.write()
        (tmp_path / LOCK_FILE).unlink()
        assert "gone" in str(agent.read().reason)
        with pytest.raises(StateError):
            Agent(tmp_path, loop).writer.open()
        agent.writer.mark_dirty()
        await asyncio.sleep(0.03)
        assert agent.read().document is not None
        assert flock_is_held(tmp_path)
        assert agent.writer.failures == 0
        agent.writer.close()

    run(test)


def test_a_document_that_cannot_be_made_is_withdrawn_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path, loop)
        agent.writer.open()
        agent.writer.write()
        agent.content["uplinks"] = [object()]
        for _ in range(5):
            agent.writer.mark_dirty()
            await asyncio.sleep(0.03)
            assert agent.read().document is None
        assert agent.writer.failures == 5
        assert agent.writer.generation == 1
        agent.content["uplinks"] = []
        await asyncio.sleep(1)
        document = agent.read().document
        assert document is not None
        assert document["generation"] == 2
        assert sorted(path.name for path in tmp_path.iterdir()) == [RUNNING_FILE, LOCK_FILE, STATE_FILE]
        agent.writer.close()

    with caplog.at_level(logging.ERROR):
        run(test)
    assert len(caplog.records) == 1


def test_a_lost_directory_is_made_again(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path / "state", loop)
        agent.writer.open()
        agent.writer.write()
        shutil.rmtree(tmp_path / "state")
        assert agent.read().document is None
        agent.writer.mark_dirty()
        await asyncio.sleep(0.03)
        document = agent.read().document
        assert document is not None
        assert document["generation"] == 2
        assert flock_is_held(tmp_path / "state")
        agent.writer.close()

    run(test)


def test_an_agent_that_lost_its_directory_to_another_leaves_it_alone(tmp_path: Path) -> None:
    async def test(loop: VirtualLoop) -> None:
        loser, winner = Agent(tmp_path, loop), Agent(tmp_path, loop)
        loser.writer.open()
        loser.writer.write()
        for name in (LOCK_FILE, RUNNING_FILE):
            (tmp_path / name).unlink()
        assert "gone" in str(loser.read().reason)
        winner.content["uplinks"] = [{"name": "winner"}]
        winner.writer.open()
        winner.writer.write()
        for _ in range(3):
            loser.writer.mark_dirty()
            await asyncio.sleep(0.03)
            assert winner.read().uplink("winner") is not None
        assert loser.writer.failures == 3
        winner.writer.close()
        await asyncio.sleep(1)
        assert loser.read().document is not None
        loser.writer.close()

    run(test)


UNPRIVILEGED = """
import asyncio, os, sys
from pathlib import Path
from evbagent.state import StateError, StateWriter
from evbagent.statefile import boottime, read_state

directory = Path(sys.argv[1])

async def main():
    writer = StateWriter(directory, dict, boottime)
    directory.chmod(0o555)
    try:
        writer.open()
    except StateError as error:
        print("refused", error)
    directory.chmod(0o755)
    writer.open()
    writer.write()
    print(read_state(directory).document is not None)
    directory.chmod(0o555)
    writer.mark_dirty()
    await asyncio.sleep(0.1)
    print((directory / "state.json").exists(), read_state(directory).reason, writer.failures)
    directory.chmod(0o755)
    writer.mark_dirty()
    await asyncio.sleep(0.1)
    print(read_state(directory).document["generation"])
    writer.close()

asyncio.run(main())
"""


def test_directory_that_becomes_unwritable(tmp_path: Path) -> None:
    """The old file cannot even be removed: the agent lets its locks go, and readers take the file for nothing."""
    directory = tmp_path / "state"
    directory.mkdir()
    # As root without its capabilities, which would open any directory.
    drop = [] if os.geteuid() != 0 else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = python(drop, UNPRIVILEGED, str(directory))
    assert done.stdout.splitlines() == [
        f"refused cannot write in {directory}: Permission denied; run as root, or name another directory by "
        "--state-dir",
        "True",
        f"True the agent that wrote {directory}/state.json is gone 1",
        "2",
    ]


FULL = """
import asyncio, sys
from pathlib import Path
from evbagent.state import StateWriter
from evbagent.statefile import boottime, read_state

directory = Path(sys.argv[1])
content = {"filler": ""}

async def main():
    writer = StateWriter(directory, lambda: content, boottime)
    writer.open()
    writer.write()
    print(read_state(directory).document["generation"])
    content["filler"] = "x" * 300_000
    for _ in range(3):
        writer.mark_dirty()
        await asyncio.sleep(0.05)
    print(writer.failures, read_state(directory).document, sorted(path.name for path in directory.iterdir()))
    content["filler"] = ""
    await asyncio.sleep(1.1)
    print(read_state(directory).document["generation"])
    writer.close()

asyncio.run(main())
"""


@pytest.mark.system
def test_full_disk(tmp_path: Path) -> None:
    small_disk = f'mount -t tmpfs -o size=128k tmpfs {tmp_path} && exec "$@"'
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = python(["unshare", *user, "--mount", "sh", "-c", small_disk, "sh"], FULL, str(tmp_path))
    assert done.stdout.splitlines() == ["1", "3 None ['.running.lock', '.state.json.previous', 'evbagent.lock']", "2"]


WRITERS = """
import asyncio, os, random, signal, sys, time
from pathlib import Path
from evbagent.state import StateWriter
from evbagent.statefile import boottime

directory, runs = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(1)

async def live(run):
    filler = f"{run} " * 4000
    mode = ("veb", "vepa")[run % 2]
    uplinks = [{"name": "eth0", "mode": mode}]
    document = {"agent": {"pid": os.getpid()}, "run": run, "uplinks": uplinks, "filler": filler}
    writer = StateWriter(directory, lambda: document, boottime, min_interval_us=0)
    writer.open()
    writer.write()
    os.write(up, b"u")
    while True:
        writer.mark_dirty()
        await asyncio.sleep(0)

is_up, up = os.pipe()
for run in range(runs):
    begun = boottime()
    child = os.fork()
    if child == 0:
        asyncio.run(live(run))
    # Every other one is sure to have written before it is killed; the rest may still be on their way.
    if run % 4 < 2:
        os.read(is_up, 1)
        time.sleep(chance.uniform(0, 0.008))
    else:
        time.sleep(chance.uniform(0.001, 0.010))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.set_blocking(is_up, False)
    try:
        os.read(is_up, 1)
    except BlockingIOError:
        pass
    os.set_blocking(is_up, True)
    print(run, child, begun, boottime(), flush=True)
    time.sleep(chance.choice((0, 0, 0.0005, 0.003)))
"""


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_no_torn_and_no_stale_answer_of_writers_that_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Many agents in a row, each killed at any moment; two kinds of readers that never rest.

    An answer is stale if its author was dead already at the moment when the reader asked whether an agent lives. (The
    order of scripts, lock before file, may get the word of an agent that was not yet there when they asked.)
    """
    asked = 0
    agent_lives = statefile._agent_lives

    def agent_lives_when(lock: str) -> bool:
        nonlocal asked
        asked = boottime()
        return agent_lives(lock)

    monkeypatch.setattr(statefile, "_agent_lives", agent_lives_when)
    accepted: list[tuple[int, int, str, dict[str, Any]]] = []
    nothing = 0
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, str(tmp_path), str(count)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as writers:
        turn = 0
        while writers.poll() is None:
            turn += 1
            if turn % 4:
                document = read_state(tmp_path).document
                reader, latest = "library", asked
            else:
                asked = boottime()
                document = read_as_scripts_do(tmp_path)
                reader, latest = "script", boottime()
            if document is None:
                nothing += 1
            else:
                accepted.append((asked, latest, reader, document))
        output, errors = writers.communicate()
    assert writers.returncode == 0, errors
    lives = [tuple(map(int, line.split())) for line in output.splitlines()]
    assert len(lives) == count
    generations = dict.fromkeys(range(count), 0)
    for earliest, latest, reader, document in accepted:
        run_id = document["run"]
        number, pid, begun, ended = lives[run_id]
        assert number == run_id
        assert begun <= latest, f"{reader}: run {run_id} lived from {begun} to {ended}, asked until {latest}"
        assert earliest <= ended, f"{reader}: run {run_id} lived from {begun} to {ended}, asked from {earliest}"
        assert document["agent"]["pid"] == pid
        assert document["uplinks"][0]["mode"] == ("veb", "vepa")[run_id % 2]
        assert document["filler"] == f"{run_id} " * 4000
        assert document["generation"] >= generations[run_id]
        generations[run_id] = document["generation"]
    assert nothing > count / 4
    assert {reader for _, _, reader, _ in accepted} == {"library", "script"}
    assert sum(generation > 0 for generation in generations.values()) > count / 5


def read_as_scripts_do(directory: Path) -> dict[str, Any] | None:
    """First the lock, then the file."""
    try:
        if not flock_is_held(directory):
            return None
        document: dict[str, Any] = json.loads((directory / STATE_FILE).read_bytes())
    except FileNotFoundError:
        return None
    return document


def test_a_write_is_quick(tmp_path: Path) -> None:
    """A hundred uplinks: the loop is not held up for long (a generous bound; it takes about a millisecond)."""

    async def test(loop: VirtualLoop) -> None:
        agent = Agent(tmp_path, loop)
        agent.content["uplinks"] = [{"name": f"eth{number}", "filler": ["x" * 20] * 100} for number in range(100)]
        agent.writer.open()
        begun = time.monotonic()
        for _ in range(10):
            agent.writer.write()
        assert time.monotonic() - begun < 0.5
        agent.writer.close()

    run(test)


def test_the_clock_is_boottime() -> None:
    assert abs(boottime() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000) < 1_000_000
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert abs(boottime() / 1e6 - uptime) < 1


def python(before: list[str], script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [*before, sys.executable, "-c", script, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done
