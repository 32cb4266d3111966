"""Writes the state file: whole documents by rename, under a lock that tells readers whether they count.

All locks are gone with the process however it ends. One of a file that nobody else may open: at most one agent to a
directory. Byte 1 of the lock file, and flock on the whole of it for scripts: what state.json says is this agent's word.
They are taken only when the predecessor's file is out of the way, so that a reader who finds them held has no dead
agent's answer in its hands. Everybody may open the lock file, and lock it; so it is a new one each time, locked before
it has its name: what somebody holds of another is of no concern.
"""

import fcntl
import logging
import os
from asyncio import AbstractEventLoop, TimerHandle, get_running_loop
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.json import decode, encode

from evbagent.statefile import (
    LOCK_BYTE_RUNNING,
    LOCK_BYTE_SPEAKS,
    LOCK_FILE,
    SCHEMA,
    STATE_FILE,
    boot_id,
    is_write_locked,
    lock_record,
)

TEMPORARY_FILE = ".state.json.new"
TEMPORARY_LOCK_FILE = ".evbagent.lock.new"
RUNNING_FILE = ".running.lock"
PREVIOUS_FILE = ".state.json.previous"
MOST_AT_ONCE = 1024  # IOV_MAX
REST_SHARE = 8  # writing takes at most a ninth of the time, however long it takes
FAILURE_RETRY_US = 1_000_000

log = logging.getLogger(__name__)


class StateError(Exception):
    """The state directory cannot be had; the text says why and what to do."""


class Pieces(list[bytes]):
    """A JSON value in pieces, to be written one after the other: megabytes are not put together for it."""


class StateWriter:
    """The one writer of a state directory, between `open()` and `close()`, both in a running event loop.

    `document()` gives the content, without the fields of form (schema, generation, boot-id, written...), which are
    added here; its values may be `Pieces`. `clock` is CLOCK_BOOTTIME in microseconds. Nothing but `open()` raises: when
    the file cannot be written the old one is withdrawn, lest it be taken for the present answer, and writing is tried
    again.
    """

    def __init__(
        self,
        directory: Path,
        document: Callable[[], Mapping[str, Any]],
        clock: Callable[[], int],
        validity_us: int = 30_000_000,
        min_interval_us: int = 20_000,
    ) -> None:
        self.generation = 0
        self.failures = 0
        self._directory = directory
        self._path = directory / STATE_FILE
        self._temporary = directory / TEMPORARY_FILE
        self._previous_path = directory / PREVIOUS_FILE
        self._lock_path = os.fspath(directory / LOCK_FILE)
        self._running_path = os.fspath(directory / RUNNING_FILE)
        self._document = document
        self._clock = clock
        self._validity_us = validity_us
        self._min_interval_us = min_interval_us
        self._boot_id = boot_id()
        self._previous: dict[str, Any] | None = None
        self._loop: AbstractEventLoop | None = None
        self._running: int | None = None  # the file that keeps other agents out
        self._lock: int | None = None  # the file that readers ask
        self._last_attempt: int | None = None
        self._took_us = 0
        self._failing: set[str] = set()
        self._dirty: int | None = None  # when what has changed is due to be written
        self._patience_us = 0  # of the change that it is due for
        self._kept_aside = False
        self._timer: TimerHandle | None = None

    def open(self) -> None:
        """Takes the directory over. Raises `StateError`, and then has changed nothing."""
        loop = get_running_loop()
        self._acquire()
        try:
            self._previous = self._read_previous()
            self._withdraw()
            self._speak()
        except OSError as error:
            self._release()
            raise StateError(_cannot_write(self._directory, error)) from error
        self._loop = loop

    def previous(self) -> dict[str, Any] | None:
        """What the last agent that wrote anything in this boot wrote last, if it did not end by `close()`."""
        return self._previous

    def mark_dirty(self, within_us: int = 0) -> None:
        """Something changed: written in this turn of the loop or, with other changes, 20 ms after the last write.

        A file that takes long to write is left alone for eight times as long. `within_us`: there is no hurry.
        """
        if self._loop is None or (self._dirty is not None and within_us >= self._patience_us):
            return  # thousands of changes come at a time, and all but the first end here
        now = self._clock()
        due = now + within_us
        if self._last_attempt is not None:
            due = max(due, self._last_attempt + max(self._min_interval_us, REST_SHARE * self._took_us))
        if self._dirty is not None and self._dirty <= due:
            return
        self._dirty, self._patience_us = due, within_us
        # A timer of no length comes after what is ready now: the turn's other changes get into the same file.
        self._write_after(max(0, due - now))

    def write(self) -> None:
        """Writes now."""
        if self._loop is None:
            return
        self._dirty = None
        self._last_attempt = self._clock()
        try:
            self._replace(self._last_attempt)
        # A bug in what makes the document must not leave the last one standing as if it were true.
        except Exception as error:
            self._failed(error)
            self._write_after(min(FAILURE_RETRY_US, self._validity_us))
        else:
            self._took_us = self._clock() - self._last_attempt
            self._succeeded()
            self._write_after(self._validity_us * 2 // 3)

    def close(self) -> None:
        """Withdraws the file, then lets the locks go."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = None
        if self._is_ours():
            # An agent that never wrote has not dealt with what its predecessor left behind either.
            superseded = (PREVIOUS_FILE,) if self.generation else ()
            for name in (STATE_FILE, TEMPORARY_FILE, *superseded):
                with suppress(OSError):
                    (self._directory / name).unlink()
            self._fall_silent()
            with suppress(OSError):
                os.unlink(self._running_path)
        self._release()

    def _replace(self, now: int) -> None:
        if not self._is_ours():
            self._release()
            self._acquire()
        form = {
            "schema": SCHEMA,
            "generation": self.generation + 1,
            "boot-id": self._boot_id,
            "written": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "written-boottime-us": now,
            "valid-until-boottime-us": now + self._validity_us,
        }
        pieces = _pieces({**form, **self._document()})
        self._temporary.unlink(missing_ok=True)
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(descriptor, 0o644)
            for start in range(0, len(pieces), MOST_AT_ONCE):
                _write(descriptor, pieces[start : start + MOST_AT_ONCE])
        finally:
            os.close(descriptor)
        os.rename(self._temporary, self._path)
        self.generation += 1
        self._speak()

    def _succeeded(self) -> None:
        if self._failing:
            log.info("%s is written again", self._path)
            self._failing.clear()
        if self._kept_aside:
            self._kept_aside = False
            with suppress(OSError):
                self._previous_path.unlink()

    def _failed(self, error: Exception) -> None:
        """Withdraws the last document. If even that is refused the locks go: readers then take the file for nothing."""
        self.failures += 1
        kind = f"{type(error).__name__} {getattr(error, 'errno', None)}"
        if kind not in self._failing:
            self._failing.add(kind)
            is_expected = isinstance(error, OSError | StateError)
            log.error("cannot write %s, which says nothing now: %s", self._path, error, exc_info=not is_expected)
        if self._running is None:
            return  # the directory is another agent's now
        with suppress(OSError):
            self._temporary.unlink()
        try:
            self._withdraw()
        except OSError:
            self._fall_silent()

    def _withdraw(self) -> None:
        """No state.json any more. Kept aside until the next write: should we die first, our successor needs it."""
        self._kept_aside = True
        try:
            self._path.replace(self._previous_path)
        except FileNotFoundError:
            pass
        except OSError:
            self._path.unlink(missing_ok=True)

    def _read_previous(self) -> dict[str, Any] | None:
        for name in (STATE_FILE, PREVIOUS_FILE):
            try:
                document = decode((self._directory / name).read_bytes())
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(document, dict) and document.get("schema") == SCHEMA:
                return document if document.get("boot-id") == self._boot_id else None
        return None

    def _acquire(self) -> None:
        """Keeps other agents out. StateError where there is one, or the directory cannot be had."""
        try:
            try:
                self._directory.mkdir(parents=True)
                self._directory.chmod(0o755)
            except FileExistsError:
                pass
            while not self._is_ours():  # another agent that ends just now removes the file that we have opened
                self._release()
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._running = os.open(self._running_path, flags, 0o600)
                fcntl.flock(self._running, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_spoken_for():
                raise BlockingIOError
        except BlockingIOError:
            pid = self._other_agent()
            self._release()
            raise StateError(f"another agent{pid} is running on {self._directory}: stop it, or use another") from None
        except OSError as error:
            self._release()
            raise StateError(_cannot_write(self._directory, error)) from error

    def _is_ours(self) -> bool:
        """Whether the directory is ours."""
        return _is_named(self._running, self._running_path)

    def _is_spoken_for(self) -> bool:
        """Whether an agent holds the lock file all the same: one of an older version, or the other file was removed.

        Only who may write to it can.
        """
        try:
            descriptor = os.open(self._lock_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            return is_write_locked(descriptor, LOCK_BYTE_RUNNING)
        finally:
            os.close(descriptor)

    def _other_agent(self) -> str:
        try:
            with open(self._lock_path, "rb") as file:
                text = file.read(32).strip()
        except OSError:
            return ""
        return f" (pid {text.decode()})" if text.isdigit() else ""

    def _speak(self) -> None:
        """From now on the state file is our word. Nothing to do where it is already."""
        if _is_named(self._lock, self._lock_path):
            return
        self._fall_silent()
        temporary = self._directory / TEMPORARY_LOCK_FILE
        temporary.unlink(missing_ok=True)
        lock = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for byte in (LOCK_BYTE_RUNNING, LOCK_BYTE_SPEAKS):
                fcntl.fcntl(lock, fcntl.F_OFD_SETLK, lock_record(fcntl.F_WRLCK, byte))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):  # for people only, and a full disk is no reason not to run
                os.write(lock, b"%d\n" % os.getpid())
            os.fchmod(lock, 0o644)
            os.rename(temporary, self._lock_path)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def _fall_silent(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def _release(self) -> None:
        self._fall_silent()
        if self._running is not None:
            os.close(self._running)
        self._running = None

    def _write_after(self, microseconds: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._loop is not None:
            self._timer = self._loop.call_later(microseconds / 1e6, self.write)


def _is_named(descriptor: int | None, path: str) -> bool:
    """Whether the file still has its name; others go by that."""
    if descriptor is None:
        return False
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def _pieces(document: Mapping[str, Any]) -> list[bytes]:
    """The document as JSON, its `Pieces` at its end."""
    large = {key: value for key, value in document.items() if isinstance(value, Pieces)}
    pieces = [encode({key: value for key, value in document.items() if key not in large})[:-1]]
    for key, value in large.items():
        pieces += [b"," + encode(key) + b":", *value]
    return [*pieces, b"}"]


def _write(descriptor: int, pieces: Sequence[bytes]) -> None:
    written = os.writev(descriptor, pieces)
    if written < sum(map(len, pieces)):
        rest = b"".join(pieces)[written:]
        while rest:  # a disk that is nearly full takes a part
            rest = rest[os.write(descriptor, rest) :]


def _cannot_write(directory: Path, error: OSError) -> str:
    return f"cannot write in {directory}: {error.strerror}; run as root, or name another directory by --state-dir"
