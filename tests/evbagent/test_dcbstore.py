"""What DCB settings were before: kept over the agent's end, for one boot, and given up when they are back."""

from pathlib import Path

import pytest

from evbagent.dcbnl import Ets, Ieee, Pfc
from evbagent.dcbstore import FILE, Before, DcbStore
from protocols.dcbx.model import Application

BEFORE = Before(0x0D, Ieee(Ets(8, True, tc_tx_bw=(100, 0, 0, 0, 0, 0, 0, 0)), Pfc(8, 3), (Application(3, 5, 26),)))


def store(directory: Path, boot: str = "boot") -> DcbStore:
    found = DcbStore(directory, lambda: boot)
    found.load()
    return found


def test_the_next_agent_finds_it(tmp_path: Path) -> None:
    first = store(tmp_path)
    assert first.get("eth0", 2) is None
    first.keep("eth0", 2, BEFORE)
    first.keep("eth1", 3, Before(None, Ieee()))
    second = store(tmp_path)
    assert second.get("eth0", 2) == BEFORE
    assert second.get("eth1", 3) == Before(None, Ieee())
    assert second.get("eth0", 4) is None, "another interface that has got the name"
    second.forget("eth0", 2)
    assert store(tmp_path).get("eth0", 2) is None
    second.forget("eth1", 3)
    assert not (tmp_path / FILE).exists()


def test_a_nic_that_is_renamed(tmp_path: Path) -> None:
    first = store(tmp_path)
    first.keep("eth0", 2, BEFORE)
    first.renamed("eth0", "ens1", 2)
    first.renamed("eth5", "ens5", 7)
    assert store(tmp_path).get("ens1", 2) == BEFORE and store(tmp_path).get("eth0", 2) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"form": "evbagent-dcb-2", "boot_id": "boot", "nics": []}', b"\xff"]
)
def test_a_file_of_another_kind(tmp_path: Path, text: bytes) -> None:
    (tmp_path / FILE).write_bytes(text)
    found = store(tmp_path)
    assert found.get("eth0", 2) is None
    found.keep("eth0", 2, BEFORE)
    assert store(tmp_path).get("eth0", 2) == BEFORE


def test_another_boot(tmp_path: Path) -> None:
    """The NIC has been reset since."""
    store(tmp_path).keep("eth0", 2, BEFORE)
    assert store(tmp_path, "next").get("eth0", 2) is None


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    found = store(tmp_path / "missing")
    found.keep("eth0", 2, BEFORE)
    assert found.get("eth0", 2) == BEFORE
    found.forget("eth0", 2)
