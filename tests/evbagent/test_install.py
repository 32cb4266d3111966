"""`evbagent install` into a staging directory, and out of it again."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from evbagent import install
from evbagent.cli import main
from evbagent.install import MARK, InstallError, service_files, this_program
from evbagent.terminal import DONE, FAILED

FILES = {
    "usr/local/lib/systemd/system/evbagent.service",
    "usr/local/lib/systemd/system/evbagent-observe.service",
    "usr/local/lib/sysusers.d/evbagent.conf",
    "usr/local/lib/tmpfiles.d/evbagent.conf",
    "etc/apparmor.d/evbagent",
    "etc/apparmor.d/evbagent-observe",
    "etc/apparmor.d/abstractions/evbagent",
}
DROP_IN = "usr/local/lib/systemd/system/evbagent.service.d/containers.conf"


def files_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*command: object, **_: object) -> None:
        raise AssertionError(f"a staging directory is no running system: {command}")

    monkeypatch.setattr(install.subprocess, "run", refuse)


def test_everything_is_where_systemd_looks_and_is_taken_away_again(tmp_path: Path) -> None:
    assert main(["install", "--root", str(tmp_path)]) == DONE
    assert files_below(tmp_path) == FILES
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    assert main(["install", "--root", str(tmp_path), "--drop-in", "containers"]) == DONE
    assert files_below(tmp_path) == FILES | {DROP_IN}
    assert main(["uninstall", "--root", str(tmp_path)]) == DONE
    assert not files_below(tmp_path) and not (tmp_path / DROP_IN).parent.exists()
    assert main(["uninstall", "--root", str(tmp_path)]) == DONE


def test_a_package_builder_has_its_own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTDIR", str(tmp_path))
    assert main(["install", "--prefix", "/usr"]) == DONE
    unit = (tmp_path / "usr/lib/systemd/system/evbagent.service").read_text()
    assert "ExecStart=/usr/bin/evbagent run\n" in unit
    assert main(["uninstall", "--prefix", "/usr"]) == DONE
    assert not files_below(tmp_path)


def test_the_program_that_is_named_is_the_one_that_is_started(tmp_path: Path) -> None:
    program = "/opt/agent/bin/evbagent"
    assert main(["install", "--root", str(tmp_path), "--program", program, "--drop-in", "record"]) == DONE
    units = tmp_path / "usr/local/lib/systemd/system"
    assert f"\nExecStart={program} run --observe\n" in (units / "evbagent-observe.service").read_text()
    assert f"\nExecStart={program} run --record " in (units / "evbagent.service.d/record.conf").read_text()
    assert f"\nExecReload={program} reload\n" in (units / "evbagent.service").read_text()
    assert "@{evbagent_home} = /opt/agent\n" in (tmp_path / "etc/apparmor.d/evbagent").read_text()


def test_print_shows_what_would_be_written_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "--root", str(tmp_path), "--print", "-j"]) == DONE
    printed = json.loads(capsys.readouterr().out)
    assert {entry["path"].lstrip("/") for entry in printed} == FILES
    assert main(["install", "--root", str(tmp_path), "--print"]) == DONE
    text = capsys.readouterr().out
    assert all(entry["text"] in text and f"# {entry['path']}\n" in text for entry in printed)
    assert not files_below(tmp_path)


def test_what_somebody_else_has_put_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = tmp_path / "etc/apparmor.d/evbagent"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("profile evbagent {}\n")
    assert main(["install", "--root", str(tmp_path)]) == FAILED
    assert str(theirs) in capsys.readouterr().err
    assert files_below(tmp_path) == {"etc/apparmor.d/evbagent"}
    assert main(["uninstall", "--root", str(tmp_path)]) == DONE
    assert theirs.exists()


def test_drop_ins_follow_the_program(tmp_path: Path) -> None:
    before, after = "/opt/before/bin/evbagent", "/opt/after/bin/evbagent"
    assert main(["install", "--root", str(tmp_path), "--program", before, "--drop-in", "record"]) == DONE
    assert main(["install", "--root", str(tmp_path), "--program", after, "--drop-in", "containers"]) == DONE
    assert files_below(tmp_path) == FILES | {DROP_IN, DROP_IN.replace("containers", "record")}
    for path in files_below(tmp_path):
        assert before not in (tmp_path / path).read_text()


def test_an_older_version_of_ours_is_replaced(tmp_path: Path) -> None:
    ours = tmp_path / "usr/local/lib/systemd/system/evbagent.service"
    ours.parent.mkdir(parents=True)
    ours.write_text(f"{MARK}\n[Service]\n")
    assert main(["install", "--root", str(tmp_path)]) == DONE
    assert "Type=notify" in ours.read_text()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["install", "--drop-in", "nonsense"], "nonsense"),
        (["install", "--program", "bin/evbagent"], "bin/evbagent"),
        (["install", "--program", "/opt/of mine/bin/evbagent"], "/opt/of mine/bin/evbagent"),
        (["install", "--program", "/opt/100%/bin/evbagent"], "/opt/100%/bin/evbagent"),
        (["install", "--prefix", "usr"], "usr"),
        (["uninstall", "--prefix", "usr"], "usr"),
        (["install", "--root", "/proc/1"], "/proc/1"),
        (["install", "--root", "/" + 256 * "x"], "too long"),
        (["uninstall", "--root", "/" + 256 * "x"], "too long"),
    ],
)
def test_what_cannot_be_is_said(
    words: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = [] if "--root" in words else ["--root", str(tmp_path)]
    assert main([*words, *root]) == FAILED
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and named in error
    assert not files_below(tmp_path)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An evbagent that is open to everybody, as what lies in `tmp_path` is not, and run now."""
    monkeypatch.setattr(install, "HIDDEN", ())
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield _program(Path(directory), monkeypatch)


def _program(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = directory / "bin/evbagent"
    file.parent.mkdir()
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(file)])
    monkeypatch.setattr("sys.executable", str(file))
    monkeypatch.setattr(install, "SOURCE", file.parent)
    return file


def test_this_program_is_the_one_to_be_started(program: Path) -> None:
    assert this_program() == str(program)


def test_a_program_that_the_service_does_not_see_is_refused(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "HIDDEN", (program.parent,))
    with pytest.raises(InstallError, match="does not see"):
        this_program()


@pytest.mark.parametrize("what", ["sys.executable", "SOURCE"])
def test_so_is_one_whose_interpreter_or_modules_it_does_not_see(
    program: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "root"
    hidden.mkdir()
    (hidden / "python").touch()
    monkeypatch.setattr(install, "HIDDEN", (hidden,))
    monkeypatch.setattr(
        what if "." in what else f"evbagent.install.{what}", str(hidden / "python") if "." in what else hidden
    )
    with pytest.raises(InstallError, match="does not see"):
        this_program()


def test_a_program_that_is_closed_to_the_services_user_is_refused(program: Path) -> None:
    program.parent.chmod(0o750)
    with pytest.raises(InstallError, match="closed to other users"):
        this_program()


def test_profile_and_units_name_the_same_places() -> None:
    files = {file.path.name: file.text for file in service_files("/opt/evbagent/bin/evbagent", Path("/usr"))}
    assert "AppArmorProfile=-evbagent\n" in files["evbagent.service"]
    assert "AppArmorProfile=-evbagent-observe\n" in files["evbagent-observe.service"]
    assert "d /run/evbagent 0755 evbagent evbagent" in files["evbagent.conf"]
