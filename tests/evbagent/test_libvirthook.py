"""The script that libvirt runs, around programs that do all there is to do wrong; how it gets there and away."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evbagent import libvirthook
from evbagent.cli import main
from evbagent.libvirthook import MARK, SCRIPT, HookError, install, reload_daemons, script, uninstall

ROOT = Path(__file__).parents[2]
HUGE = "<domain>" + "x" * 1_000_000 + "</domain>"


class Hook:
    """The script around `program`, a few lines of shell; what it logs ends up in a file."""

    def __init__(self, directory: Path) -> None:
        self.program = directory / 'it\'s an "evb agent" $HOME'
        self.path = directory / "hook"
        self.adapt = False
        self._log = directory / "log"
        self._log.touch()
        self._bin = directory / "bin"
        self._bin.mkdir()
        logger = self._bin / "logger"
        logger.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >>'{self._log}'\n")
        logger.chmod(0o755)

    def run(
        self, program: str | None, operation: str = "prepare", guest: str = "guest0", input: str = "<domain/>"
    ) -> subprocess.CompletedProcess[str]:
        if program is None:
            self.program.unlink(missing_ok=True)
        else:
            self.program.write_text(f"#!/bin/sh\n{program}\n")
            self.program.chmod(0o755)
        text = script([str(self.program), "libvirt", "hook"], adapt=self.adapt)
        self.path.write_text(text.replace("PATH=", f"PATH={self._bin}:", 1))
        self._log.write_text("")
        return subprocess.run(
            ["/bin/sh", self.path, guest, operation, "begin", "-"],
            input=input,
            capture_output=True,
            text=True,
            timeout=30,
            env={"PATH": "/nowhere", "LC_ALL": "C"},
            check=False,
        )

    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def hook(tmp_path: Path) -> Hook:
    return Hook(tmp_path)


def test_what_the_program_gets(hook: Hook) -> None:
    done = hook.run('echo "$#: $*" >&2; cat >&2', guest="-a 'b' \"$HOME\" *", input="<domain>\n</domain>")
    assert done.returncode == 0
    assert done.stderr == "7: libvirt hook -- -a 'b' \"$HOME\" * prepare begin -\n<domain>\n</domain>\n"
    assert done.stdout == ""


def test_a_no(hook: Hook) -> None:
    done = hook.run("echo 'it would be cut off' >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "it would be cut off\n")
    assert hook.log() == "-t evbagent-hook -p daemon.warning -- it would be cut off\n"


def test_a_yes(hook: Hook) -> None:
    done = hook.run("exit 0")
    assert (done.returncode, done.stdout, done.stderr, hook.log()) == (0, "", "", "")


def test_a_warning(hook: Hook) -> None:
    done = hook.run("echo 'nobody knows' >&2; exit 0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nobody knows\n")
    assert "nobody knows" in hook.log()


@pytest.mark.parametrize(
    ("program", "status"),
    [
        (None, 127),
        ("exit 1", 1),
        ("exit 2", 2),
        ("exit 4", 4),
        ("kill -9 $$", 137),
        ("kill -SEGV $$", 139),
        ("exec /nonexistent", 127),
        ("echo 'Traceback: it broke' >&2; exit 1", 1),
    ],
)
def test_what_is_not_a_no_lets_the_guest_start(hook: Hook, program: str | None, status: int) -> None:
    done = hook.run(program)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"the modes of guest guest0 were not checked: exit status {status} of " in done.stderr
    assert f"exit status {status}" in hook.log()
    if program is not None and "Traceback" in program:
        assert "Traceback: it broke" in hook.log()


def test_a_program_that_may_not_be_run(hook: Hook) -> None:
    hook.run("exit 3")
    hook.program.chmod(0o644)
    done = subprocess.run(
        ["/bin/sh", hook.path, "a", "prepare", "begin", "-"], capture_output=True, text=True, input=""
    )
    assert done.returncode == 0
    assert "exit status 126" in done.stderr


def test_a_program_that_hangs(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirthook, "LIMIT_SECONDS", 0.2)
    for program, status in (("sleep 60", 124), ("trap '' TERM; while :; do sleep 60; done", 137)):
        done = hook.run(program)
        assert done.returncode == 0
        assert f"exit status {status}" in done.stderr


@pytest.mark.parametrize(
    "operation",
    ["started", "stopped", "release", "reconnect", "attach", "migrate", "restore", "", "*", "prepare | start"],
)
def test_other_operations_run_nothing(hook: Hook, operation: str) -> None:
    """A no to some of them would kill a guest that runs."""
    done = hook.run("exit 3", operation)
    assert (done.returncode, done.stdout, done.stderr, hook.log()) == (0, "", "", "")


@pytest.mark.parametrize("operation", ["prepare", "start", "migrate", "restore"])
def test_a_changed_guest(hook: Hook, operation: str) -> None:
    hook.adapt = True
    done = hook.run("echo changed >&2; exec sed s/x/y/g", operation, input=HUGE)
    assert (done.returncode, done.stdout) == (0, HUGE.replace("x", "y"))
    assert done.stderr == "changed\n"


def test_a_guest_that_nobody_reads(hook: Hook) -> None:
    done = hook.run("exit 0", input=HUGE)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/libvirt").mkdir(parents=True)
    return tmp_path


def command(*words: str) -> int:
    return main(["libvirt", *words])


def test_install_and_uninstall(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / SCRIPT
    for _ in range(2):
        assert command("install-hook", "--root", str(root), "--program", "/usr/bin/evbagent") == 0
        assert capsys.readouterr().out == f"{path} written\n"
        assert path.stat().st_mode & 0o7777 == 0o755
        assert [entry.name for entry in path.parent.iterdir()] == ["evbagent"]
        assert [entry.name for entry in path.parent.parent.iterdir()] == ["qemu.d"]
    assert '/usr/bin/evbagent libvirt hook --state-dir /run/evbagent -- "$@"' in path.read_text()
    assert command("uninstall-hook", "--root", str(root)) == 0
    assert capsys.readouterr().out == f"{path} removed\n"
    assert not path.parent.exists()
    assert command("uninstall-hook", "--root", str(root)) == 0
    assert capsys.readouterr().out == f"there is no hook of evbagent below {root}\n"


def test_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["install-hook", "-j", "--root", str(root), "--program", "/opt/e", "--state-dir", "/s", "--warn", "--adapt"]
    assert command(*words) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": str(root / SCRIPT),
        "command": ["/opt/e", "libvirt", "hook", "--state-dir", "/s", "--warn", "--adapt"],
        "reloaded": [],
    }
    for file in (str(root / SCRIPT), None):
        assert command("uninstall-hook", "-j", "--root", str(root)) == 0
        assert json.loads(capsys.readouterr().out) == {"file": file}


def test_other_hooks_stay(root: Path) -> None:
    others = [root / "etc/libvirt/hooks/qemu", root / "etc/libvirt/hooks/qemu.d/50-mine"]
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("#!/bin/sh\n")
    install(root, script(["evbagent"], adapt=False))
    assert uninstall(root) == root / SCRIPT
    assert all(other.read_text() == "#!/bin/sh\n" for other in others)


def test_what_stands_in_its_place(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / SCRIPT
    path.parent.mkdir(parents=True)
    elsewhere = root / "elsewhere"
    elsewhere.write_text(f"#!/bin/sh\n{MARK}\n")

    def refused(words: str) -> None:
        for name in ("install-hook", "uninstall-hook"):
            assert command(name, "--root", str(root)) == 1
            assert words in capsys.readouterr().err

    path.write_text("#!/bin/sh\n# my own\n")
    refused(f"{path} was not made by evbagent, so it is left alone: move it away first")
    path.write_bytes(b"\xff\0")
    refused("was not made by evbagent")
    assert path.read_bytes() == b"\xff\0"
    path.unlink()
    path.symlink_to(elsewhere)
    refused("was not made by evbagent")
    path.unlink()
    path.mkdir()
    refused("cannot be read: Is a directory")


def test_where_libvirt_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("install-hook", "--root", str(tmp_path)) == 1
    assert capsys.readouterr().err == f"evbagent: there is no directory {tmp_path}/etc/libvirt: install libvirt first\n"
    assert not (tmp_path / "etc").exists()


def test_a_place_that_cannot_be_written(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "etc/libvirt/hooks").write_text("")
    assert command("install-hook", "--root", str(root)) == 1
    assert "evbagent cannot be " in capsys.readouterr().err
    assert (root / "etc/libvirt/hooks").read_text() == ""


def test_a_place_that_cannot_even_be_looked_into(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("install-hook", "uninstall-hook"):
        assert command(name, "--root", "/" + 256 * "x") == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "too long" in error


def test_without_privileges(root: Path) -> None:
    install(root, script(["evbagent"], adapt=False))
    (root / SCRIPT).parent.chmod(0o555)
    (root / SCRIPT).parent.parent.chmod(0o555)
    drop = [] if os.geteuid() != 0 else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    for name, done_word in (("install-hook", "written"), ("uninstall-hook", "removed")):
        done = subprocess.run(
            [*drop, sys.executable, "-m", "evbagent", "libvirt", name, "--root", str(root)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == f"evbagent: {root / SCRIPT} cannot be {done_word}: Permission denied: run as root\n"
    (root / SCRIPT).parent.chmod(0o755)
    (root / SCRIPT).parent.parent.chmod(0o755)


@pytest.fixture
def daemon(root: Path) -> Iterator[subprocess.Popen[str]]:
    """It holds its pid file as libvirt's daemons do, and says when it is told to reload."""
    (root / "run").mkdir()
    code = (
        "import fcntl, signal, sys\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "signal.signal(signal.SIGHUP, lambda *_: print('reloaded', flush=True))\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, root / "run/virtqemud.pid"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


def test_daemons_are_told(root: Path, daemon: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert daemon.stdout is not None
    (root / "run/libvirtd.pid").write_text("1\n")  # of one that ended long ago: nobody holds it
    assert reload_daemons(root) == [f"virtqemud ({daemon.pid})"]
    assert daemon.stdout.readline() == "reloaded\n"

    def refuse(process: int, number: int) -> None:
        assert (process, number) == (daemon.pid, signal.SIGHUP)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    with pytest.raises(HookError, match=r"virtqemud \(\d+\) is not reloaded: Operation not permitted"):
        reload_daemons(root)


def test_no_daemons(root: Path) -> None:
    assert reload_daemons(root) == []
    (root / "run").mkdir()
    with (root / "run/libvirtd.pid").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # not the kind of lock that libvirt takes
        assert reload_daemons(root) == []


def test_a_program_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Noticed where it can be: on this machine."""
    assert command("install-hook", "--program", "/nonexistent/evbagent", "--no-reload") == 1
    assert "/nonexistent/evbagent cannot be run" in capsys.readouterr().err


def test_the_program_that_the_hook_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that installs it, by the name that it was called by: a link to it outlives an upgrade."""
    program = root / "usr/bin/evbagent"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    for started, baked in ((program, program), (ROOT / "evbagent/__main__.py", f"{sys.executable} -m evbagent")):
        monkeypatch.setattr(sys, "argv", [str(started)])
        assert command("install-hook", "--root", str(root)) == 0
        assert f" {baked} libvirt hook " in (root / SCRIPT).read_text()
