"""What makes a service of the agent: units, user, directories and AppArmor profiles, put where systemd looks for them.

The files lie in `service/` as a distribution's package would install them. Other places of the program are filled in.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import compile as pattern

SOURCE = Path(__file__).parent / "service"
UNITS = ("evbagent.service", "evbagent-observe.service")
DROP_INS = ("containers", "libvirt", "processes", "record")
MARK = (
    "# Written by `evbagent install`, removed by `evbagent uninstall`. Additions: `systemctl edit`, apparmor.d/local."
)
PACKAGED_PROGRAM = "/usr/bin/evbagent"
PACKAGED_HOME = "/usr/lib/evbagent"
# The units' ProtectHome= and PrivateTmp= leave nothing to be seen there.
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))
# What is neither a word's end, nor a quote, specifier, variable or pattern, to systemd as well as to AppArmor.
SPECIAL = pattern(r"[^A-Za-z0-9/._+@:~-]")
APPARMOR = Path("/etc/apparmor.d")
APPARMOR_ENABLED = Path("/sys/module/apparmor/parameters/enabled")
SYSTEMD_RUNS = Path("/run/systemd/system")


class InstallError(Exception):
    """It cannot be installed, or removed; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class File:
    """`path` is absolute; in a staging directory it is the path below that."""

    path: Path
    text: str


def service_files(program: str, prefix: Path, drop_ins: Sequence[str] = ()) -> list[File]:
    """All files, for an agent that is started as `program`. `drop_ins`: of DROP_INS."""
    if unknown := [name for name in drop_ins if name not in DROP_INS]:
        raise InstallError(f"there is no drop-in {unknown[0]!r}: choose of {', '.join(DROP_INS)}")
    if SPECIAL.search(program):
        raise InstallError(f"{program!r} is a path that units cannot name: only letters, digits and /._+@:~-")
    places = {name: prefix / "lib/systemd/system" / name for name in UNITS}
    for name in drop_ins:
        places[f"drop-ins/{name}.conf"] = _drop_in(prefix, name)
    places["sysusers.conf"] = prefix / "lib/sysusers.d/evbagent.conf"
    places["tmpfiles.conf"] = prefix / "lib/tmpfiles.d/evbagent.conf"
    places["apparmor/rules"] = APPARMOR / "abstractions/evbagent"
    for name in ("evbagent", "evbagent-observe"):
        places[f"apparmor/{name}"] = APPARMOR / name
    filled = {PACKAGED_PROGRAM: program, PACKAGED_HOME: " ".join(_homes(program))}
    return [File(path, _fill((SOURCE / name).read_text(), filled)) for name, path in places.items()]


def drop_ins_there(root: Path, prefix: Path) -> list[str]:
    """Those that `write` has written before. They name the program, too."""
    return [name for name in DROP_INS if _is_ours(_below(root, _drop_in(prefix, name)))]


def write(files: Sequence[File], root: Path) -> list[Path]:
    """Write them below `root`; returns where they are. A file that is not ours is left alone: InstallError."""
    targets = [_below(root, file.path) for file in files]
    target = root
    try:
        for target in targets:
            if target.exists() and not _is_ours(target):
                raise InstallError(f"{target} is there already and is not of `evbagent install`: move it away first")
        for target, file in zip(targets, files, strict=True):
            _write(target, f"{MARK}\n{file.text}")
    except OSError as error:
        raise InstallError(f"{target} cannot be written: {error.strerror}; run as root, or use --root") from error
    return targets


def remove(root: Path, prefix: Path) -> list[Path]:
    """Remove what `write` has written, with any drop-ins; returns what there was."""
    removed = []
    for file in service_files(PACKAGED_PROGRAM, prefix, DROP_INS):
        target = _below(root, file.path)
        try:
            if target.exists() and _is_ours(target):
                target.unlink()
                removed.append(target)
                if target.parent.suffix == ".d" and not any(target.parent.iterdir()):
                    target.parent.rmdir()
        except OSError as error:
            raise InstallError(f"{target} cannot be removed: {error.strerror}; run as root, or use --root") from error
    return removed


def activate(files: Sequence[File]) -> Iterator[str]:
    """Make the running system take notice; what failed, in words."""
    by_directory: dict[str, list[str]] = {}
    for file in files:
        by_directory.setdefault(file.path.parent.name, []).append(str(file.path))
    yield from _run(["systemd-sysusers", *by_directory["sysusers.d"]])
    yield from _run(["systemd-tmpfiles", "--create", *by_directory["tmpfiles.d"]])
    if SYSTEMD_RUNS.is_dir():
        yield from _run(["systemctl", "daemon-reload"])
    if _apparmor_is_on():
        yield from _run(["apparmor_parser", "--replace", *by_directory["apparmor.d"]])


def deactivate() -> Iterator[str]:
    """Stop the service before its files go; what failed, in words."""
    if SYSTEMD_RUNS.is_dir():
        for unit in UNITS:
            if _succeeds(["systemctl", "cat", "--quiet", unit]):
                yield from _run(["systemctl", "disable", "--now", "--quiet", unit])
    if _apparmor_is_on():
        profiles = [str(APPARMOR / name) for name in ("evbagent", "evbagent-observe") if (APPARMOR / name).exists()]
        if profiles:
            yield from _run(["apparmor_parser", "--remove", *profiles])


def reload_manager() -> Iterator[str]:
    """systemd forgets units whose files are gone."""
    if SYSTEMD_RUNS.is_dir():
        yield from _run(["systemctl", "daemon-reload"])


def this_program() -> str:
    """The path of the evbagent that runs now. InstallError when the service could not run it."""
    program = Path(sys.argv[0]).absolute()
    if program.name != "evbagent" or not os.access(program, os.X_OK):
        found = shutil.which("evbagent")
        if found is None:
            raise InstallError("evbagent is not installed as a command: name the one to be run by --program")
        program = Path(found).absolute()
    for path in (program, program.resolve(), Path(sys.executable).resolve(), SOURCE.resolve()):
        if why := _unreachable(path):
            raise InstallError(
                f"the service could not run {program}: {why}. Install evbagent elsewhere, for instance by `python3 -m "
                "venv /opt/evbagent` and its pip, and run that evbagent; or name another by --program"
            )
    return str(program)


def _unreachable(path: Path) -> str:
    """Why a service without privileges, behind ProtectHome= and PrivateTmp=, cannot use the file."""
    for hidden in HIDDEN:
        if path.is_relative_to(hidden):
            return f"{path} is below {hidden}, which the service does not see"
    for directory in path.parents:
        if not directory.stat().st_mode & 0o001:
            return f"{directory}, above {path.name}, is closed to other users"
    return ""


def _homes(program: str) -> tuple[str, ...]:
    """The directories that hold the agent and its interpreter, as far as the distribution's own are not enough."""
    home = Path(program).parent.parent
    homes = [] if home in (Path("/usr"), Path("/usr/local"), Path("/")) else [home]
    if Path(sys.prefix) in homes:
        homes += [Path(sys.base_prefix), SOURCE.parents[1]]
    kept = [str(path) for path in dict.fromkeys(homes) if not path.is_relative_to("/usr")]
    return tuple(kept) or (PACKAGED_HOME,)


def _drop_in(prefix: Path, name: str) -> Path:
    return prefix / f"lib/systemd/system/{UNITS[0]}.d/{name}.conf"


def _fill(text: str, values: Mapping[str, str]) -> str:
    for before, after in values.items():
        text = text.replace(before, after)
    return text


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _is_ours(file: Path) -> bool:
    try:
        return file.read_text(errors="replace").startswith(MARK[: MARK.index(",")])
    except OSError:
        return False


def _write(target: Path, text: str) -> None:
    """Whole or not at all; readable by all whatever the umask."""
    for directory in reversed([path for path in target.parents if not path.exists()]):
        directory.mkdir()
        directory.chmod(0o755)
    temporary = target.with_name(f".{target.name}.new")
    temporary.unlink(missing_ok=True)
    with temporary.open("x") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
    temporary.replace(target)


def _apparmor_is_on() -> bool:
    try:
        enabled = APPARMOR_ENABLED.read_text().startswith("Y")
    except OSError:
        return False
    return enabled and shutil.which("apparmor_parser") is not None


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(command: Sequence[str]) -> Iterator[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        yield f"{command[0]}: {error.strerror}"
        return
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        yield f"{' '.join(command)}: {words[-1] if words else f'exit status {done.returncode}'}"
