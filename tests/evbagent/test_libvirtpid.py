"""The pid file that libvirt reads, and those who want it as well; who may ask; what is complained of."""

import fcntl
import os
from errno import EBUSY
from pathlib import Path

import pytest

from evbagent import libvirtservice
from evbagent.config import ConfigError, parse
from evbagent.libvirtpid import PidFile
from evbagent.libvirtservice import Complaints
from evbagent.libvirtsocket import has_net_admin

NUMBER, OTHER = 4_194_311, 812


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return tmp_path / "proc"


@pytest.fixture
def file(tmp_path: Path, proc: Path) -> PidFile:
    return PidFile(tmp_path / "lldpad.pid", proc)


def process(proc: Path, pid: int, name: str) -> None:
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"{name}\n")


def test_it_is_there_and_goes(file: PidFile) -> None:
    assert not file.is_ours
    file.publish(NUMBER)
    assert file.path.read_text() == f"{NUMBER}\n" and file.is_ours
    assert file.path.stat().st_mode & 0o777 == 0o644
    file.withdraw()
    assert not file.path.exists() and not file.is_ours


@pytest.mark.parametrize("left", ["812\n", "812" + 29 * "\0", "", "garbage", "99999999999\n", "1" * 100])
def test_what_a_dead_one_has_left(file: PidFile, left: str) -> None:
    file.path.write_text(left)
    file.publish(NUMBER)
    assert file.path.read_text() == f"{NUMBER}\n"


def test_a_live_lldpad_keeps_it(file: PidFile, proc: Path) -> None:
    file.path.write_text(f"{OTHER}\n" + 20 * "\0")
    process(proc, OTHER, "lldpad")
    with pytest.raises(OSError, match="lldpad \\(pid 812\\) is running"):
        file.publish(NUMBER)
    assert not file.is_ours and file.path.read_text().startswith("812\n")
    file.withdraw()
    assert file.path.exists(), "it is not ours to remove"
    (proc / str(OTHER) / "comm").unlink()
    file.publish(NUMBER)
    assert file.is_ours


def test_a_process_that_only_has_its_number(file: PidFile, proc: Path) -> None:
    file.path.write_text(f"{OTHER}\n")
    process(proc, OTHER, "sshd")
    file.publish(NUMBER)
    assert file.is_ours


def test_another_of_ours(file: PidFile, tmp_path: Path) -> None:
    file.publish(NUMBER)
    second = PidFile(file.path, tmp_path)
    with pytest.raises(OSError, match="another evbagent"):
        second.publish(OTHER)
    second.withdraw()
    assert file.is_ours
    file.withdraw()
    second.publish(OTHER)
    assert second.is_ours and file.path.read_text() == f"{OTHER}\n"


def test_it_is_looked_after(file: PidFile, proc: Path) -> None:
    file.publish(NUMBER)
    file.path.unlink()
    assert not file.is_ours
    file.publish(NUMBER)
    assert file.is_ours and file.path.read_text() == f"{NUMBER}\n"
    process(proc, OTHER, "lldpad")
    file.path.write_text(f"{OTHER}\n")
    assert not file.is_ours
    with pytest.raises(OSError, match="lldpad"):
        file.publish(NUMBER)
    file.withdraw()
    assert file.path.read_text() == f"{OTHER}\n"


def test_where_it_cannot_be_removed_no_number_is_left(file: PidFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the unit's sandbox, where the file is a mount."""

    def refuse(_path: Path) -> None:
        raise OSError(EBUSY, "Device or resource busy")

    file.publish(NUMBER)
    monkeypatch.setattr(Path, "unlink", refuse)
    file.withdraw()
    assert file.path.read_text() == ""


def test_removed_outside_of_the_sandbox(file: PidFile, tmp_path: Path) -> None:
    """The path there still leads to what nobody else can find: as by a link to an open file here."""
    with (tmp_path / "removed").open("w") as held:
        file.path.symlink_to(f"/proc/self/fd/{held.fileno()}")
        file.publish(NUMBER)
        assert file.is_ours
        (tmp_path / "removed").unlink()
        assert not file.is_ours
        with pytest.raises(OSError, match="somebody has removed it"):
            file.publish(NUMBER)


@pytest.mark.parametrize("number", range(2))
def test_what_is_no_file(file: PidFile, number: int) -> None:
    """It is said each time, and neither looking after it nor the end stumbles over it."""
    os.mkfifo(file.path) if number else file.path.mkdir()
    for _ in range(2):
        assert not file.is_ours
        with pytest.raises(OSError, match=r"no regular file|Is a directory"):
            file.publish(NUMBER)
    file.withdraw()
    assert file.path.exists()


def test_no_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        PidFile(tmp_path / "missing" / "lldpad.pid").publish(NUMBER)


def test_a_lock_of_a_stranger(file: PidFile) -> None:
    with file.path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another evbagent"):
            file.publish(NUMBER)


@pytest.mark.parametrize(
    ("status", "uid", "may"),
    [
        ("Name:\tx\nCapEff:\t0000000000001000\n", 1000, True),
        ("Name:\tx\nCapEff:\t000001ffffffffff\n", 0, True),
        ("Name:\tx\nCapEff:\t0000000000000000\n", 1000, False),
        ("Name:\tx\nCapEff:\t000001ffffffefff\n", 0, False),
        ("CapEff:\tgarbage\n", 1000, False),
        ("", 0, True),
        (None, 0, True),
        (None, 1000, False),
    ],
)
def test_who_may_ask(proc: Path, status: str | None, uid: int, may: bool) -> None:
    """Where nothing can be read of the process, root may."""
    (proc / "77").mkdir(parents=True)
    if status is not None:
        (proc / "77" / "status").write_text(status)
    assert has_net_admin(77, uid, proc) is may
    assert has_net_admin(0, uid, proc) is (uid == 0), "of another pid namespace"


def test_each_complaint_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    complaints = Complaints()
    for number in range(3):
        complaints.say("it is \x1b[31mbad", number)
    assert len(caplog.messages) == 1 and "\x1b" not in caplog.text
    for number in range(10_000):
        complaints.say(f"number {number}")
    assert len(caplog.messages) == libvirtservice.MOST_COMPLAINTS + 1
    assert "not logged for now" in caplog.messages[-1]
    monkeypatch.setattr(libvirtservice, "COMPLAINTS_EVERY_S", 0)
    complaints.say("it is bad")
    assert "it is bad" in caplog.messages[-1]


def test_configuration(tmp_path: Path) -> None:
    file = tmp_path / "evbagent.toml"
    file.write_text("")
    assert not parse([file]).libvirt.enabled
    file.write_text("[libvirt]\nenabled = true\n")
    assert parse([file]).libvirt.enabled and parse([file]).libvirt.pid_file == "/var/run/lldpad.pid"
    for wrong in ("enabled = 1", "pid-file = 'lldpad.pid'", "pid_file = '/run/x'"):
        file.write_text(f"[libvirt]\n{wrong}\n")
        with pytest.raises(ConfigError, match="libvirt"):
            parse([file])
