"""What `make bench` shows: a table for people and build/bench.json for programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Samples:
    """What several runs gave; or, in `missing`, why there were none."""

    values: tuple[float, ...] = ()
    missing: str = ""

    @property
    def median(self) -> float | None:
        return median(self.values) if self.values else None

    @property
    def spread(self) -> str:
        """`7 runs, 8.1 to 12.3`"""
        if len(self.values) < 2:
            return ""
        return f"{len(self.values)} runs, {in_short(min(self.values))} to {in_short(max(self.values))}"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement beside one peer. None: there is no such value, and the note says why."""

    name: str
    unit: str
    evbagent: float | None
    peer: float | None = None
    peer_name: str | None = None
    better: Better = "lower"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times evbagent is ahead; below 1 it is behind."""
        if not self.evbagent or not self.peer:
            return None
        return self.peer / self.evbagent if self.better == "lower" else self.evbagent / self.peer

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "evbagent": _rounded(self.evbagent),
            "peer": _rounded(self.peer),
            "peer-name": self.peer_name,
            "ratio": _rounded(self.ratio),
            "better": self.better,
            "note": self.note,
        }


def compare(name: str, unit: str, ours: Samples, peer_name: str, theirs: Samples, note: str = "") -> Row:
    """Medians beside each other, less being better."""
    notes = [note, ours.spread, f"{peer_name} {theirs.spread}" if theirs.spread else "", theirs.missing]
    text = "; ".join(part for part in notes if part)
    return Row(name, unit, ours.median, theirs.median, peer_name, note=text)


def alone(name: str, unit: str, ours: Samples, note: str = "no peer does this") -> Row:
    """A median that no peer has a counterpart of; less is better."""
    return Row(name, unit, ours.median, note="; ".join(part for part in (note, ours.spread) if part))


def failed(name: str, error: BaseException) -> Row:
    """A benchmark that came to nothing."""
    return Row(name, "", None, note=f"failed: {str(error).splitlines()[0] if str(error) else type(error).__name__}")


def table(rows: Sequence[Row]) -> str:
    """Columns for people; numbers to the right."""
    heads = ("name", "unit", "evbagent", "peer", "peer-name", "ratio", "better", "note")
    lines = [heads] + [
        (
            row.name,
            row.unit,
            in_short(row.evbagent),
            in_short(row.peer) if row.peer is not None or not row.peer_name else "missing",
            row.peer_name or "-",
            in_short(row.ratio),
            row.better,
            row.note,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    numeric = {2, 3, 5}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def write_json(rows: Sequence[Row], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")


def machine(user: int) -> str:
    """What the numbers were measured on. `user`: the id before this process became root of a namespace."""
    names = [line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
    processor = names[0] if names else platform.machine()
    load = ", ".join(_read("/proc/loadavg").split()[:3])
    return (
        f"{os.cpu_count()} x {processor}, Linux {platform.release()}, Python {platform.python_version()}, "
        f"{'root' if user == 0 else 'an ordinary user'}, load before {load}"
    )


def in_short(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "-"
    if value == int(value) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _read(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""
