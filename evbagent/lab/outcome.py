"""What comes of a step of the lab."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step.

    `sent` and `received` count the frames of guest A and guest B in the state that the step shows, `lost` and
    `outage_seconds` tell of the stream of frames that went on while it came about.
    """

    ok: bool
    detail: str
    sent: int | None = None
    received: int | None = None
    lost: int | None = None
    outage_seconds: float | None = None
    convergence_seconds: float | None = None
