"""The systemd unit, as far as it can be judged without a booted systemd."""

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "contrib/systemd/evbagent.service"


def test_the_unit_waits_for_ready_reloads_and_keeps_its_directory() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["ExecReload"].endswith("-HUP $MAINPID")
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryPreserve"]) == ("evbagent", "yes")
    assert set(service["CapabilityBoundingSet"].split()) == {"CAP_NET_RAW", "CAP_NET_ADMIN"}
    assert "ProtectHostname" not in service, "it would hide when the host is renamed"
    assert set(service["RestrictAddressFamilies"].split()) == {"AF_PACKET", "AF_NETLINK", "AF_UNIX"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "evbagent"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "evbagent.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/evbagent", str(program)))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    mine = [line for line in verified.stderr.splitlines() if "evbagent" in line]
    assert (verified.returncode, mine) == (0, [])
