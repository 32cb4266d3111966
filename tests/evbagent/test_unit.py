"""The units, their user, directories and AppArmor profiles, as far as they can be judged without a booted systemd."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest

from evbagent.install import DROP_INS, SOURCE, UNITS, service_files
from tests.support.namespaces import search_path
from tests.support.require import require_peer

WORST_EXPOSURE = {"evbagent.service": 1.6, "evbagent-observe.service": 1.4}


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    require_peer(str(words[0]))
    return subprocess.run(
        list(words), capture_output=True, text=True, timeout=60, env=os.environ | {"PATH": search_path()}
    )


def read(unit: str) -> dict[str, list[str]]:
    """The words of each setting of [Service]; lists that are given in parts are joined."""
    found: dict[str, list[str]] = {}
    for line in (SOURCE / unit).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).extend(value.split())
    return found


def test_the_unit_waits_for_ready_is_watched_reloads_and_keeps_its_directory() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read_string((SOURCE / "evbagent.service").read_text())
    service = unit["Service"]
    assert service["Type"] == "notify" and service["WatchdogSec"] and service["Restart"] == "always"
    assert service["ExecReload"].endswith("evbagent reload")
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryPreserve"]) == ("evbagent", "yes")
    assert service["StateDirectory"] == "evbagent"


@pytest.mark.parametrize("unit", UNITS)
def test_never_root_and_two_capabilities_at_most(unit: str) -> None:
    found = read(unit)
    wanted = ["CAP_NET_RAW"] if unit == "evbagent-observe.service" else ["CAP_NET_RAW", "CAP_NET_ADMIN"]
    assert found["User"] == found["Group"] == ["evbagent"]
    assert found["CapabilityBoundingSet"] == found["AmbientCapabilities"] == wanted
    assert set(found["RestrictAddressFamilies"]) == {"AF_PACKET", "AF_NETLINK", "AF_UNIX"}


def test_the_units_differ_in_what_they_may_do_alone() -> None:
    full, observing = (read(unit) for unit in UNITS)
    different = {key for key in full.keys() | observing.keys() if full.get(key) != observing.get(key)}
    assert different == {
        "Description",
        "After",
        "Conflicts",
        "ExecStart",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "AppArmorProfile",
    }
    assert observing["ExecStart"] == [*full["ExecStart"], "--observe"]


@pytest.mark.parametrize("unit", UNITS)
def test_systemds_own_judgement_of_the_sandbox(unit: str) -> None:
    judged = run("systemd-analyze", "security", "--offline=yes", "--no-pager", SOURCE / unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert found, judged.stderr
    assert float(found[1]) <= WORST_EXPOSURE[unit], judged.stdout


@pytest.fixture
def unit_directory(tmp_path: Path) -> Path:
    """The units and every drop-in, for a program that is there."""
    program = tmp_path / "evbagent"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for file in service_files(str(program), Path("/"), DROP_INS):
        if "systemd" in file.path.parts:
            target = tmp_path / file.path.relative_to("/lib/systemd/system")
            target.parent.mkdir(exist_ok=True)
            target.write_text(file.text)
    return tmp_path


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_no_fault_with_the_unit(unit_directory: Path, unit: str) -> None:
    verified = run("systemd-analyze", "verify", unit_directory / unit)
    mine = [line for line in verified.stderr.splitlines() if "evbagent" in line]
    assert (verified.returncode, mine) == (0, [])
    if unit == "evbagent.service":
        assert len(list((unit_directory / f"{unit}.d").iterdir())) == len(DROP_INS)


def test_drop_ins_widen_and_nothing_else(unit_directory: Path) -> None:
    """Each names what it permits; none starts as root or leaves the rest of the sandbox."""
    for name in DROP_INS:
        lines = (SOURCE / f"drop-ins/{name}.conf").read_text().splitlines()
        keys = {line.partition("=")[0] for line in lines if "=" in line and not line.startswith("#")}
        assert keys <= {
            "ExecStart",
            "CapabilityBoundingSet",
            "AmbientCapabilities",
            "ProtectProc",
            "RestrictNamespaces",
            "SystemCallFilter",
            "AppArmorProfile",
            *(("Conflicts", "Before", "ExecStartPre", "ExecStopPost", "ReadWritePaths") if name == "libvirt" else ()),
        }, name


def test_the_user_is_made_with_a_group_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for _ in range(2):
        made = run("systemd-sysusers", f"--root={tmp_path}", SOURCE / "sysusers.conf")
        assert made.returncode == 0, made.stderr
        (user,) = [line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("evbagent:")]
        (group,) = [line for line in (tmp_path / "etc/group").read_text().splitlines() if line.startswith("evbagent:")]
        fields = user.split(":")
        assert fields[3] == group.split(":")[2] and fields[2] != "0" and fields[6].endswith("nologin")


def apparmor_base(directory: Path) -> Path:
    """A copy of the machine's AppArmor files, with ours."""
    base = directory / "apparmor.d"
    shutil.copytree("/etc/apparmor.d", base, symlinks=True)
    for file in service_files("/opt/evbagent/bin/evbagent", Path("/usr/local")):
        if file.path.is_relative_to("/etc/apparmor.d"):
            (base / file.path.relative_to("/etc/apparmor.d")).write_text(file.text)
    return base


def parsed(base: Path, profile: str, *words: str) -> str:
    """What the parser says; it loads nothing."""
    done = run("apparmor_parser", "--skip-kernel-load", "--skip-cache", *words, "--base", base, base / profile)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_peer("apparmor_parser")
    return apparmor_base(tmp_path_factory.mktemp("apparmor"))


@pytest.mark.parametrize("profile", ["evbagent", "evbagent-observe"])
def test_apparmor_takes_the_profile(base: Path, profile: str) -> None:
    assert parsed(base, profile, "--names").split() == [profile]
    parsed(base, profile)


@pytest.mark.parametrize(
    ("profile", "capabilities"),
    [("evbagent", {"net_raw", "net_admin"}), ("evbagent-observe", {"net_raw"})],
)
def test_the_profile_permits_two_capabilities_and_no_internet(base: Path, profile: str, capabilities: set[str]) -> None:
    text = parsed(base, profile, "--preprocess")
    assert set(re.findall(r"^\s*capability (\w+),", text, re.MULTILINE)) == capabilities
    assert not re.search(r"^\s*network (inet|,)", text, re.MULTILINE)
    assert "/opt/evbagent" in text and "/usr/lib/evbagent" not in text


@pytest.fixture
def changed(base: Path, tmp_path: Path) -> Callable[[str, str], Path]:
    def change(before: str, after: str) -> Path:
        copy = tmp_path / "apparmor.d"
        shutil.copytree(base, copy, symlinks=True)
        file = copy / "abstractions/evbagent"
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))
        return copy

    return change


def test_the_parser_would_see_a_mistake(changed: Callable[[str, str], Path]) -> None:
    base = changed("network packet raw,", "network packets raw,")
    done = run("apparmor_parser", "--skip-kernel-load", "--skip-cache", "--base", base, base / "evbagent")
    assert done.returncode != 0
