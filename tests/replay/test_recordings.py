"""Recordings of `evbagent run --record`: the same comes of each as is written beside it.

A bug report becomes a test by copying its recording to `recordings/`; `EVBAGENT_UPDATE=1 pytest tests/replay` writes
what comes of it, to be read before it is committed.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from evbagent.replay import replay_recording

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.jsonl"))
LEAST = 2


def test_none_has_vanished() -> None:
    assert len(RECORDINGS) >= LEAST


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recording(path: Path) -> None:
    with path.open("rb") as file:
        made = json.loads(json.dumps(asdict(replay_recording(file))))
    expected = path.with_suffix(".expected.json")
    if os.environ.get("EVBAGENT_UPDATE"):
        expected.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    assert made == json.loads(expected.read_text())
