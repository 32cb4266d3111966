"""`make soak`: a station and a switch through days of faults in minutes, on virtual time; or real agents, for real.

What is found is printed with the seed, and on virtual time with the shortest history that was found to fail as well;
such a history belongs into a test.
"""

import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from tests.soak import real, virtual
from tests.soak.findings import Broken, Findings
from tests.support.namespaces import NamespacesUnavailable, leave_host

SECONDS = 240.0
AT_ONCE = 2


def main(argv: Sequence[str]) -> int:
    parser = ArgumentParser(prog="make soak ARGS=", description="Live through random faults, and see what holds.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"how long (default: {SECONDS:.0f})")
    parser.add_argument("--seed", type=int, default=int(time()) % 1_000_000, help="of all that is random")
    parser.add_argument("--life", type=int, help="on virtual time, this one alone")
    parser.add_argument("--real", action="store_true", help="real agents in network namespaces")
    parser.add_argument("--kills", type=int, default=0, help="the same, until so many agents were killed")
    parser.add_argument(
        "--restart-delay", type=float, default=real.RESTART_S, help="seconds until a killed agent is started again"
    )
    arguments = parser.parse_args(argv)
    print(f"seed {arguments.seed}", flush=True)
    if arguments.life is not None:
        failure = virtual.replayed(arguments.life)
        print(failure or "all holds")
        return 1 if failure else 0
    return _real(arguments) if arguments.real or arguments.kills else _virtual(arguments)


def _virtual(arguments: Namespace) -> int:
    summary = virtual.Summary()
    with ProcessPoolExecutor(AT_ONCE) as pool:
        running = [
            pool.submit(virtual.campaign, arguments.seed * 1000 + number, arguments.seconds, AT_ONCE)
            for number in range(AT_ONCE)
        ]
        for done in running:
            summary.add(done.result())
    print(summary)
    if summary.failure:
        print(f"\nFAILED\n{summary.failure}")
    return 1 if summary.failure else 0


def _real(arguments: Namespace) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it, too, leaves nothing behind
    try:
        leave_host()
    except (NamespacesUnavailable, OSError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    seconds = float("inf") if arguments.kills else arguments.seconds
    with TemporaryDirectory() as directory:
        findings = Findings()
        try:
            real.soak(
                Path(directory),
                arguments.seed,
                findings,
                seconds=seconds,
                kills=arguments.kills,
                restart_s=arguments.restart_delay,
            )
        except (Broken, AssertionError) as error:
            print(f"{findings}\n\nFAILED\n{error}")
            return 1
    print(findings)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
