"""The targets of `make fuzz`, tried with their seeds, and with every input that has ever failed."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

FINDINGS = Path(__file__).parent / "fuzz" / "findings"
SEEDS = 40


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    seeds = sorted(set(TARGETS[name].seeds()))
    for seed in seeds[:: len(seeds) // SEEDS + 1]:
        TARGETS[name].check(seed)
        TARGETS[name].check(seed[: len(seed) // 2])


@pytest.mark.parametrize("path", sorted(FINDINGS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_findings(path: Path) -> None:
    TARGETS[path.parent.name].check(path.read_bytes())
