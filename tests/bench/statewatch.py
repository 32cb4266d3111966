"""Tells when a new state file is in its place."""

import ctypes
import os
import select
import struct
from pathlib import Path


class StateWatch:
    """A state directory, watched by inotify. A context manager."""

    def __init__(self, directory: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._inotify >= 0 and libc.inotify_add_watch(self._inotify, os.fsencode(directory), _IN_MOVED_TO) >= 0

    def __enter__(self) -> "StateWatch":
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._inotify)

    def wait(self, seconds: float) -> None:
        assert select.select([self._inotify], [], [], seconds)[0], f"no new state file within {seconds:g} s"
        self.drain()

    def drain(self) -> int:
        """How many files came since the last look."""
        try:
            data = os.read(self._inotify, 1 << 16)
        except BlockingIOError:
            return 0
        count = offset = 0
        while offset < len(data):
            offset += 16 + struct.unpack_from("I", data, offset + 12)[0]
            count += 1
        return count


_IN_MOVED_TO = 0x80
