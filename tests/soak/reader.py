"""A process that reads a state file without a pause, as guests' attachment does; `python -m tests.soak.reader DIR`.

What is in the directory must be whole at each moment, and nobody may get the answer of an agent that is dead: the file
`dead` beside it holds the numbers of those processes, written when they have been waited for. Ends with SIGTERM, and
prints what it has seen as JSON.
"""

import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from jsonschema import Draft202012Validator

from evbagent.statefile import STATE_FILE, read_state
from tests.support.agent import ROOT

DEAD = "dead"
VALIDATED = 1 / 20
PAUSE_S = 0.002
MOST_FAULTS = 10


class Reader:
    """Counts files that said something and that said nothing; keeps what must not be."""

    def __init__(self, directory: Path) -> None:
        self.seen = {"reads": 0, "answers": 0, "nothing": 0, "validated": 0, "generations": 0}
        self.faults: list[str] = []
        self._directory = directory
        self._dead = directory.parent / DEAD
        self._validator = Draft202012Validator(json.loads((ROOT / "evbagent/schema/state-1.json").read_text()))
        self._random = Random(0)
        self._last: tuple[int, int] = (0, 0)

    def look(self) -> None:
        self.seen["reads"] += 1
        self._whole()
        dead = {int(word) for word in self._dead.read_text().split()} if self._dead.exists() else set()
        state = read_state(self._directory)
        if state.document is None:
            self.seen["nothing"] += 1
            if "not JSON" in str(state.reason) or "schema" in str(state.reason):
                self._fault(f"read_state: {state.reason}")
            return
        self.seen["answers"] += 1
        pid, generation = state.document["agent"]["pid"], state.document["generation"]
        self.seen["generations"] += (pid, generation) != self._last
        self._last = pid, generation
        if pid in dead:
            self._fault(f"the answer of process {pid}, generation {generation}, which is dead")

    def _whole(self) -> None:
        """The file itself, whoever has written it."""
        try:
            text = (self._directory / STATE_FILE).read_bytes()
        except FileNotFoundError:
            return
        try:
            document: Any = json.loads(text)
        except ValueError as error:
            self._fault(f"{len(text)} octets are not JSON: {error}")
            return
        if self._random.random() < VALIDATED:
            self.seen["validated"] += 1
            for wrong in self._validator.iter_errors(document):
                self._fault(f"the schema: {wrong.message[:300]}")

    def _fault(self, text: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(text)


def main(argv: Sequence[str]) -> int:
    reader = Reader(Path(argv[0]))
    over: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: over.append(number))
    while not over:
        reader.look()
        time.sleep(PAUSE_S)
    print(json.dumps({**reader.seen, "faults": reader.faults}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
