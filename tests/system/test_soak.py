"""A little of `make soak ARGS=--real`: agents are killed under load, and all must be back each time."""

from pathlib import Path

import pytest

from tests.soak.findings import Findings
from tests.soak.real import soak

pytestmark = pytest.mark.system


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """The state file is whole at each read, no reader gets a dead agent's answer, VSIs and guests are back."""
    found = Findings()
    soak(tmp_path, 7, found, kills=6)
    assert found.faults["kill_station"] and found.readers["answers"] > 10 and found.asked > 10
    assert "agents killed" in str(found)
