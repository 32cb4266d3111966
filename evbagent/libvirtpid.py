"""The pid file by which libvirt finds the agent that it asks: taken when it is nobody's, and given back.

The number in it is a netlink port id, which for lldpad is also its process id. lldpad takes no lock on its file: it is
respected while a process of this id is called lldpad. Agents of ours respect each other by a lock.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from re import match
from stat import S_ISREG

MOST_OCTETS = 64
NAME = "lldpad"


class PidFile:
    """One agent's claim to the file. `proc` is where processes are looked up."""

    def __init__(self, path: Path, proc: Path = Path("/proc")) -> None:
        self.path = path
        self._proc = proc
        self._descriptor: int | None = None
        self._number = 0

    @property
    def is_ours(self) -> bool:
        """Whether the file says our number."""
        return self._descriptor is not None and self._is_there() and self._read() == self._number

    def publish(self, number: int) -> None:
        """Write the number, unless somebody else's agent is alive. Raises OSError that says who, or what is wrong."""
        if self._descriptor is not None and not self._is_there():
            self._let_go()
        if self._descriptor is None:
            self._descriptor = self._open()
            if not self._is_there():
                self._let_go()
                raise PermissionError("somebody has removed it, and it cannot be made anew")
        holder = self._read()
        if holder == number and holder == self._number:
            return
        if holder is not None and holder != number and self._is_lldpad(holder):
            raise PermissionError(f"lldpad (pid {holder}) is running, and libvirt's requests go to it")
        text = f"{number}\n".encode()
        # Whoever reads in between finds either number whole: reading ends at the line's end.
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))
        self._number = number

    def withdraw(self) -> None:
        """Remove the file if it is still ours; where it cannot be removed, leave no number in it."""
        if self._descriptor is not None and self.is_ours:
            try:
                self.path.unlink()
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, 0)
        self._let_go()

    def _open(self) -> int:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        try:
            if not S_ISREG(os.fstat(descriptor).st_mode):
                raise PermissionError("it is no regular file")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise PermissionError("another evbagent serves libvirt") from None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _is_there(self) -> bool:
        """Whether the path still leads to the file that we hold, and leads others to it as well.

        Where the file is a mount in a namespace of ours, the path leads there when it has long been removed outside.
        """
        assert self._descriptor is not None
        try:
            held = os.fstat(self._descriptor)
            return held.st_nlink > 0 and os.path.samestat(os.stat(self.path), held)
        except OSError:
            return False

    def _read(self) -> int | None:
        """The number, as libvirt reads it."""
        assert self._descriptor is not None
        found = match(rb"\s*([0-9]{1,10})(?:[\s\0]|$)", os.pread(self._descriptor, MOST_OCTETS, 0))
        return int(found[1]) if found else None

    def _is_lldpad(self, pid: int) -> bool:
        try:
            return (self._proc / str(pid) / "comm").read_text().strip() == NAME
        except (OSError, UnicodeDecodeError):
            return False

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None
        self._number = 0
