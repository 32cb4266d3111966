"""What a campaign has measured, in words."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Times:
    """How often, the mean and the worst, in seconds, with what the worst belongs to."""

    count: int = 0
    total: float = 0.0
    worst: float = 0.0
    where: str = ""

    def add(self, seconds: float, where: str = "") -> None:
        self.count += 1
        self.total += seconds
        if seconds >= self.worst:
            self.worst, self.where = seconds, where

    def merge(self, other: "Times") -> None:
        self.count += other.count
        self.total += other.total
        if other.worst >= self.worst:
            self.worst, self.where = other.worst, other.where

    def __str__(self) -> str:
        if not self.count:
            return "never"
        return f"{self.count} times, mean {_seconds(self.total / self.count)}, worst {_seconds(self.worst)}"


def block(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """A title, and lines of names and values below it."""
    known = [(name, str(value)) for name, value in rows]
    width = max((len(name) for name, _ in known), default=0)
    return "\n".join([title, *(f"  {name.ljust(width)}  {value}" for name, value in known)])


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
