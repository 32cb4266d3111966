"""Reads the agent's state file. A reader needs no privilege, no socket and none of the agent's libraries.

The lock file beside it says whether the file counts: an agent that lives holds byte 1 (and, for scripts, the whole
file by flock), and takes it only after its predecessor's state file is out of the way.

Imported by the command line before anything else is done, so it imports little: `typing`, `dataclasses` and `pathlib`
would each take as long as the reading itself.
"""

import fcntl
import json
import os
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

SCHEMA = "evbagent-state-1"
STATE_FILE = "state.json"
LOCK_FILE = "evbagent.lock"
LOCK_BYTE_RUNNING = 0
LOCK_BYTE_SPEAKS = 1

DEFAULT_DIRECTORY = "/run/evbagent"
DIRECTORY_VARIABLE = "EVBAGENT_STATE_DIR"
ATTEMPTS = 100
LARGE = 1 << 18  # octets

_FLOCK = "hhqqi0q"


class State:
    """What the state file says: `document`, or None and the `reason` why it says nothing."""

    __slots__ = ("document", "reason")

    def __init__(self, document: "dict[str, Any] | None", reason: str | None) -> None:
        self.document = document
        self.reason = reason

    def uplink(self, name: str) -> "dict[str, Any] | None":
        """The uplink's object; None when the file says nothing, or nothing about this one."""
        uplinks = self.document.get("uplinks") if self.document else None
        for uplink in uplinks if isinstance(uplinks, list) else ():
            if isinstance(uplink, dict) and uplink.get("name") == name:
                return uplink
        return None


def default_directory() -> "Path":
    """$EVBAGENT_STATE_DIR, or /run/evbagent."""
    from pathlib import Path

    return Path(state_directory())


def state_directory(directory: "str | os.PathLike[str] | None" = None) -> str:
    """The directory that was asked for, or the default."""
    return os.fspath(directory or os.environ.get(DIRECTORY_VARIABLE) or DEFAULT_DIRECTORY)


def boottime() -> int:
    """CLOCK_BOOTTIME in microseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read().strip().decode()


def read_state(directory: "str | os.PathLike[str]", *, clock: "Callable[[], int]" = boottime) -> State:
    """The state as a living agent last wrote it. Never raises for what it finds in the directory."""
    path = os.path.join(directory, STATE_FILE)
    try:
        for _ in range(ATTEMPTS):
            # Open until the end: as long as it is, no other file can get the same inode number.
            with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
                text = file.read()
                if not _agent_lives(os.path.join(directory, LOCK_FILE)):
                    return State(None, f"the agent that wrote {path} is gone")
                # Some agent lives, and has put its predecessor's file away: if this is still the file, it is its own.
                if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                    return _judge(text, path, clock)
    except FileNotFoundError:
        return State(None, f"there is no {path}: no agent is running")
    except OSError as error:
        return State(None, f"cannot read {error.filename or path}: {error.strerror}")
    return State(None, f"{path} is replaced faster than it can be read")


def lock_record(kind: int, byte: int) -> bytes:
    """A `struct flock` for one byte of the lock file."""
    return struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0)


def is_write_locked(descriptor: int, byte: int) -> bool:
    """Whether somebody with write access holds the byte. Asking takes no lock, so readers disturb nobody."""
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, lock_record(fcntl.F_RDLCK, byte))
    return struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK


def _agent_lives(lock: str) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return is_write_locked(descriptor, LOCK_BYTE_SPEAKS)
    finally:
        os.close(descriptor)


def _loads(text: bytes) -> "Any":
    """By msgspec, where it is, when that takes less time than its import. ValueError, RecursionError."""
    if len(text) < LARGE:
        return json.loads(text)
    try:
        from msgspec import DecodeError
        from msgspec.json import decode
    except ImportError:
        return json.loads(text)
    try:
        return decode(text)
    except DecodeError as error:
        raise ValueError(str(error)) from error


def _judge(text: bytes, path: str, clock: "Callable[[], int]") -> State:
    """What the file says of itself: its form, its boot and its term."""
    try:
        document = _loads(text)
    except (ValueError, RecursionError):
        return State(None, f"{path} is not JSON")
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return State(None, f"{path} does not have the schema {SCHEMA}")
    if document.get("boot-id") != boot_id():
        return State(None, f"{path} is from before the last boot")
    valid_until = document.get("valid-until-boottime-us")
    if not isinstance(valid_until, int):
        return State(None, f"{path} does not say how long it is valid")
    late = clock() - valid_until
    if late > 0:
        return State(None, f"{path} expired {late / 1e6:.1f} s ago: the agent hangs")
    return State(document, None)
