"""`make fuzz`: every target for its part of the time, two at once, and what came of it.

Inputs that failed are kept in build/fuzz/NAME, and said with the command that repeats them; such an input belongs into
tests/fuzz/findings/NAME, where it is tried again by every run of the tests. What was found to reach new code is kept in
build/fuzz/corpus, for the next time.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from tests.fuzz.targets import ROOT, TARGETS

BUILD = ROOT / "build" / "fuzz"
SECONDS = 300
AT_ONCE = 2
LIMITS = ("-rss_limit_mb=1024", "-timeout=10", "-max_len=8192", "-print_final_stats=1", "-verbosity=1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`coverage`: how many branches were reached; `failures`: inputs that something does not hold for."""

    name: str
    runs: int
    a_second: int
    coverage: int
    memory: int
    failures: tuple[Path, ...]
    ok: bool
    text: str

    @property
    def line(self) -> str:
        verdict = "ok" if self.ok else "FAILED"
        return f"{self.name:20} {self.runs:>10} {self.a_second:>8} {self.coverage:>8} {self.memory:>6}  {verdict}"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=", description="Feed every decoder and door with bad input.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"for all of it (default: {SECONDS})")
    arguments = parser.parse_args(argv)
    names = arguments.names or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    each = max(1, arguments.seconds * AT_ONCE // len(names))
    print(f"{len(names)} targets, {each} s each, {AT_ONCE} at once")
    print(f"{'target':20} {'runs':>10} {'a second':>8} {'branches':>8} {'MiB':>6}")
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for outcome in pool.map(lambda name: fuzz(name, each), names):
            print(outcome.line, flush=True)
            outcomes.append(outcome)
    failed = [outcome for outcome in outcomes if not outcome.ok]
    for outcome in failed:
        print(f"\n{outcome.name}:\n{outcome.text}")
        for path in outcome.failures:
            print(f"  again: {sys.executable} -m tests.fuzz.one {outcome.name} {path.relative_to(ROOT)}")
    print(f"\n{sum(outcome.runs for outcome in outcomes)} runs, {len(failed)} of {len(outcomes)} targets failed")
    return 1 if failed else 0


def fuzz(name: str, seconds: int) -> Outcome:
    corpus, seeds, failures = BUILD / "corpus" / name, BUILD / "seeds" / name, BUILD / name
    for directory in (corpus, seeds, failures):
        directory.mkdir(parents=True, exist_ok=True)
    known = set(failures.iterdir())
    for seed in TARGETS[name].seeds():
        (seeds / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    options = [*LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={failures}/"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.one", name, *options, str(corpus), str(seeds)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds * 3 + 120,
    )
    text = done.stdout + done.stderr
    coverage = [int(number) for number in re.findall(r"cov: (\d+)", text)]
    return Outcome(
        name,
        _statistic(text, "number_of_executed_units"),
        _statistic(text, "average_exec_per_sec"),
        max(coverage, default=0),
        _statistic(text, "peak_rss_mb"),
        tuple(sorted(set(failures.iterdir()) - known)),
        done.returncode == 0,
        text[-4000:],
    )


def _statistic(text: str, name: str) -> int:
    found = re.search(rf"stat::{name}:\s+(\d+)", text)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
