"""libvirt's hook: is this guest about to be cut off? And the script that asks, put where libvirt looks for it.

The script never breaks libvirt: one clear answer, "this guest's uplink is not reflected", keeps a guest from being
started; where nobody can tell, where evbagent is missing, hangs or fails, the guest starts and a warning is logged.
libvirt waits for its hooks and must not be called by them.
"""

import fcntl
import os
import signal
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from shlex import join, quote
from time import monotonic
from typing import NamedTuple

from evbagent.attach import SETTLED_US, Choice, choose_mode
from evbagent.libvirtdomain import Chooser, Doubt, doubts
from evbagent.libvirtxml import Document

CONFIGURATION = "etc/libvirt"
SCRIPT = "etc/libvirt/hooks/qemu.d/evbagent"
MARK = "# Written by `evbagent libvirt install-hook`, removed by `evbagent libvirt uninstall-hook`."
PID_FILES = ("run/libvirtd.pid", "run/virtqemud.pid")
LIMIT_SECONDS = 10
REFUSED = 3
"""The only exit status of `evbagent libvirt hook` that the script takes for a no."""

_FLOCK = "hhqqi0q"

_SCRIPT = """\
#!/bin/sh
{mark}
# It keeps a guest from being started in VEPA on an uplink whose switch does not reflect. Whatever else goes wrong, the
# guest starts, and the system's log has a warning.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
case $2 in
    {operations}) ;;
    *) exit 0 ;;
esac
program={program}
exec 3>&1
said=$(timeout -k 1 {limit} {command} -- "$@" 2>&1 >&3)
status=$?
case $status in
    0 | {refused}) ;;
    *) said="the modes of guest $1 were not checked: exit status $status of $program $said" ;;
esac
if [ -n "$said" ]; then
    printf '%s\\n' "$said" >&2
    logger -t evbagent-hook -p daemon.warning -- "$said" 2>/dev/null
fi
[ $status != {refused} ]
"""


class HookError(Exception):
    """The script cannot be put there, or taken away; the text says why and what to do."""


class Judgement(NamedTuple):
    """`refused`: these guests would be cut off. `unknown`: perhaps these as well, nobody can tell."""

    refused: list[Doubt]
    unknown: list[Doubt]


def judge(document: Document, operation: str, choose: Chooser, *, strict: bool) -> Judgement:
    """`strict`: what is not known to reflect does not.

    Guests of a network get their uplink after `prepare`, so they are judged at `start`, and only they.
    """
    if operation == "start":
        document = document._replace(places=tuple(place for place in document.places if place.network is not None))
    found = doubts(document, choose)
    refused = [doubt for doubt in found if strict or doubt.reflective_relay == "inactive"]
    return Judgement(refused, [doubt for doubt in found if doubt not in refused])


def patient_chooser(state_dir: str, strict: bool) -> Chooser:
    """Asks the state file, and where a guest would be refused for it, again until the switch has had time to agree."""
    deadline = monotonic() + SETTLED_US / 1e6

    @cache
    def choose(uplink: str, policy: str) -> Choice:
        choice = choose_mode(uplink, policy, state_dir=state_dir)
        if choice.reflective_relay == "inactive" or (strict and choice.reflective_relay == "unknown"):
            choice = choose_mode(uplink, policy, state_dir=state_dir, wait=max(0.0, deadline - monotonic()))
        return choice

    return choose


def script(command: Sequence[str], *, adapt: bool) -> str:
    """The hook as a shell script around `command`, which gets libvirt's arguments and the guest's XML."""
    return _SCRIPT.format(
        mark=MARK,
        operations="prepare | start | migrate | restore" if adapt else "prepare | start",
        limit=LIMIT_SECONDS,
        command=join(command),
        refused=REFUSED,
        program=quote(command[0]),
    )


def install(root: Path, text: str) -> Path:
    """Put the script below `root`, in place of an older one of ours. Raises `HookError`."""
    path = root / SCRIPT
    _check_libvirt(root / CONFIGURATION)
    _check_ours(path)
    # Beside the directory, not in it: libvirt would run a half-written file there as well.
    new = path.parent.parent / f".{path.name}.new"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o755), "w") as file:
            os.fchmod(file.fileno(), 0o755)
            file.write(text)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise HookError(_failure(path, "written", error)) from error
    return path


def uninstall(root: Path) -> Path | None:
    """Take the script away; returns where it was, None if there was none. Raises `HookError`."""
    path = root / SCRIPT
    if not _check_ours(path):
        return None
    try:
        path.unlink()
    except OSError as error:
        raise HookError(_failure(path, "removed", error)) from error
    if not any(path.parent.iterdir()):
        path.parent.rmdir()
    return path


def reload_daemons(root: Path) -> list[str]:
    """Tell libvirt's running daemons to look for hooks, which they do when they start and after a SIGHUP, no more.

    Returns which were told. A daemon holds a lock on its pid file, and the kernel says which process that is. Raises
    `HookError`.
    """
    told = []
    for name in PID_FILES:
        daemon = Path(name).stem
        process = _holder(root / name)
        if process:
            try:
                os.kill(process, signal.SIGHUP)
            except OSError as error:
                raise HookError(f"{daemon} ({process}) is not reloaded: {error.strerror}; do it by hand") from error
            told.append(f"{daemon} ({process})")
    return told


def _check_libvirt(directory: Path) -> None:
    """HookError if it has no configuration there."""
    try:
        is_there = directory.is_dir()
    except OSError as error:
        raise HookError(_failure(directory, "looked into", error)) from error
    if not is_there:
        raise HookError(f"there is no directory {directory}: install libvirt first")


def _check_ours(path: Path) -> bool:
    """Whether there is a script of ours; `HookError` if it is somebody else's."""
    try:
        if path.is_symlink() or MARK not in path.read_text(errors="replace").splitlines():
            raise HookError(f"{path} was not made by evbagent, so it is left alone: move it away first")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise HookError(_failure(path, "read", error)) from error
    return True


def _holder(pid_file: Path) -> int:
    """The process that holds the lock; 0 if none does."""
    try:
        with pid_file.open("rb") as file:
            question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, process = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, question))
    except OSError:
        return 0
    return process if kind != fcntl.F_UNLCK else 0


def _failure(path: Path, done: str, error: OSError) -> str:
    hint = ": run as root" if isinstance(error, PermissionError) else ""
    return f"{path} cannot be {done}: {error.strerror}{hint}"
