"""What a campaign with real agents has found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.soak.report import Times, block

OUR_KILLS: Mapping[str, int] = {"kill_station": 1, "kill-station-again": 1, "kill_switch": 1, "kill_both": 2}


class Broken(Exception):
    """Something that must hold does not."""


@dataclass(slots=True)
class Findings:
    """`back`: seconds from the fault until all was as it should be again, by kind. `unattended`: from the kill of the
    station's agent until guests were in the mode that a living agent answers for. `restarted`: to the new agent's file.
    """

    faults: dict[str, int] = field(default_factory=dict)
    back: dict[str, Times] = field(default_factory=dict)
    unattended: Times = field(default_factory=Times)
    restarted: Times = field(default_factory=Times)
    asked: int = 0
    readers: dict[str, int] = field(default_factory=dict)
    resident: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        start, now = (f"{kib / 1024:.1f}" for kib in self.resident)
        return block(
            "real agents",
            [
                ("faults", sum(self.faults.values())),
                *((f"  {kind}", times) for kind, times in sorted(self.faults.items())),
                ("agents killed", self.kills),
                ("to the answer, the VSIs and the guests as before", ""),
                *((f"  after {kind}", times) for kind, times in sorted(self.back.items())),
                ("kill to the new agent's state file", self.restarted),
                ("kill to guests in a living agent's mode", self.unattended),
                ("requests for VSIs answered meanwhile", self.asked),
                *((f"readers: {name}", times) for name, times in self.readers.items()),
                ("resident memory of the station's agent, MiB", f"{start} at the start, {now} at the end"),
            ],
        )

    @property
    def kills(self) -> int:
        """Agents of ours."""
        return sum(times * OUR_KILLS.get(kind, 0) for kind, times in self.faults.items())
