"""Namespaces of the lab's own, in which everything ends when the lab ends, in whatever way.

The lab is the first process of a pid namespace: when it ends, the kernel kills all others in there and takes their
network namespaces away. It dies with its keeper, the keeper with whoever made the cage (PR_SET_PDEATHSIG), so that even
SIGKILL leaves nothing behind. No program is needed for any of this.
"""

import ctypes
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from errno import EPERM
from pathlib import Path
from typing import BinaryIO, NoReturn

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
PR_SET_PDEATHSIG = 1

FAILED = 1
SCRATCH = ("/dev/shm", "/run", "/mnt", "/tmp")
SETTINGS = (
    "kernel/apparmor_restrict_unprivileged_userns",
    "kernel/unprivileged_userns_clone",
    "user/max_user_namespaces",
)

Program = Callable[[BinaryIO, Path], int]
"""Gets a pipe to its maker, and an empty directory that only it sees; returns its exit status."""


class Cage:
    """Runs `program` in new user (unless root), pid, mount, IPC and network namespaces.

    `output` is what it writes: lines of JSON. One of them, `{"error": TEXT}`, comes from here if the namespaces cannot
    be had. To be made in a process with one thread.
    """

    def __init__(self, program: Program) -> None:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        maker = os.getpid()
        self._keeper = os.fork()
        if self._keeper == 0:
            os.close(reading)
            _keep(program, writing, maker)
        os.close(writing)
        self.output = os.fdopen(reading, "rb")

    def end(self) -> None:
        """Kill everything in there. `wait()` returns when all of it is gone."""
        with suppress(ProcessLookupError):
            os.kill(self._keeper, signal.SIGTERM)

    def wait(self) -> int:
        """The exit status of the program; to be called once."""
        _, status = os.waitpid(self._keeper, 0)
        return os.waitstatus_to_exitcode(status)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2). OSError."""
    _check(_libc().mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()), f"mount {target}")


def unshare(flags: int) -> None:
    """unshare(2). OSError."""
    _check(_libc().unshare(flags), "unshare")


def enter(descriptor: int, kind: int) -> None:
    """setns(2) (`os.setns` exists from Python 3.12 on). OSError."""
    _check(_libc().setns(descriptor, kind), "setns")


def _keep(program: Program, writing: int, maker: int) -> NoReturn:
    """Runs in the first child, which is in none of the namespaces that need a fork: makes them, and waits."""
    status = FAILED
    try:
        # Ctrl-C is for the maker, which ends the lab in order.
        os.setsid()
        _die_with_parent()
        if os.getppid() != maker:
            os._exit(FAILED)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGCHLD))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _unshare()
        keeper = os.pidfd_open(os.getpid())
        first = os.fork()
        if first == 0:
            _begin(program, writing, keeper)
        os.close(writing)
        status = _attend(first)
    except OSError as error:
        _refuse(writing, error)
    except BaseException:
        traceback.print_exc()
    os._exit(status)


def _attend(first: int) -> int:
    """Wait for the end of the first process, and bring it about when told to; its exit status."""
    while True:
        if signal.sigwaitinfo((signal.SIGTERM, signal.SIGCHLD)).si_signo == signal.SIGTERM:
            os.kill(first, signal.SIGKILL)
        # The kernel reports its end when nothing is left in its pid namespace.
        ended, status = os.waitpid(first, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _begin(program: Program, writing: int, keeper: int) -> NoReturn:
    """Runs in the first process of the pid namespace."""
    status = FAILED
    try:
        _die_with_parent()
        if select.select([keeper], [], [], 0)[0]:  # it died before it could take us with it
            os._exit(FAILED)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGCHLD))
        try:
            scratch = _mounts()
        except OSError as error:
            _refuse(writing, error)
        else:
            with os.fdopen(writing, "wb") as output:
                status = program(output, scratch)
    except BaseException:
        traceback.print_exc()
    os._exit(status)


def _unshare() -> None:
    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        try:
            return unshare(flags)
        except OSError as error:
            if error.errno != EPERM:  # in a container, root may be allowed no more than any user
                raise
    unshare(flags | CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _mounts() -> Path:
    """/proc and /sys of these namespaces; a directory for the lab alone, where files end with it."""
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    hidden = MS_NOSUID | MS_NODEV | MS_NOEXEC
    # A container that hides parts of these lets nobody mount them anew: the old ones do as well, with other pids.
    with suppress(OSError):
        mount("proc", "/proc", "proc", hidden)
    with suppress(OSError):
        mount("sysfs", "/sys", "sysfs", hidden)
    scratch = next(directory for directory in SCRATCH if os.path.isdir(directory))
    mount("tmpfs", scratch, "tmpfs", MS_NOSUID, "mode=755")
    return Path(scratch)


def _refuse(writing: int, error: OSError) -> None:
    """One line about namespaces that cannot be had."""
    reason = f"{error.filename or error.args[1]}: {error.strerror}" if error.filename else str(error.args[1])
    for setting in SETTINGS:
        with suppress(OSError):
            value = Path("/proc/sys", setting).read_text().strip()
            reason += f"; {setting.replace('/', '.')} = {value}"
    text = f"no private namespaces can be made here ({reason}): run as root, or allow unprivileged user namespaces"
    os.write(writing, json.dumps({"error": text}).encode() + b"\n")


def _die_with_parent() -> None:
    _check(_libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
