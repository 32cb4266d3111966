"""`make bench`: runs the benchmarks, or those named on the command line; prints a table and writes build/bench.json.

All of it happens in private network namespaces, as root or as an ordinary user. Exit status 1 when one came to nothing.
"""

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.convergence import evb_convergence, evb_convergence_lldpad, late_starter
from tests.bench.idle import idle_cpu_50, resident_1
from tests.bench.lldp import lldp_decode, lldp_neighbors_1000, lldp_received, lldp_unchanged
from tests.bench.mutated import flood_mutated
from tests.bench.news import event_to_state, remode, state_rewrites
from tests.bench.report import Row, failed, machine, table, write_json
from tests.bench.service import service_memory, service_ready_1, service_ready_2000
from tests.bench.startup import first_lldpdu, start_200_uplinks, start_ready
from tests.bench.virsh import virsh_create
from tests.bench.vsi import vsi_associate_1, vsi_associate_each
from tests.bench.vsiheld import vsi_keepalive_4000, vsi_memory_4000, vsi_show_4000, vsi_state_4000
from tests.bench.vsimany import vsi_associate_1000, vsi_associate_4000
from tests.support.namespaces import NamespacesUnavailable, leave_host

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "build" / "bench.json"

BENCHMARKS: Mapping[str, Callable[[Path], list[Row]]] = {
    "evb-convergence": evb_convergence,
    "evb-convergence-lldpad": evb_convergence_lldpad,
    "late-starter": late_starter,
    "first-lldpdu": first_lldpdu,
    "start-ready": start_ready,
    "start-200-uplinks": start_200_uplinks,
    "service-ready-1": service_ready_1,
    "service-ready-2000": service_ready_2000,
    "service-memory": service_memory,
    "idle-cpu-50": idle_cpu_50,
    "resident-1": resident_1,
    "event-to-state": event_to_state,
    "state-rewrites": state_rewrites,
    "remode": remode,
    "lldp-decode": lldp_decode,
    "lldp-unchanged": lldp_unchanged,
    "lldp-received": lldp_received,
    "lldp-neighbors-1000": lldp_neighbors_1000,
    "flood-mutated": flood_mutated,
    "vsi-associate-1": vsi_associate_1,
    "vsi-associate-each": vsi_associate_each,
    "vsi-associate-1000": vsi_associate_1000,
    "vsi-associate-4000": vsi_associate_4000,
    "vsi-keepalive-4000": vsi_keepalive_4000,
    "vsi-memory-4000": vsi_memory_4000,
    "vsi-show-4000": vsi_show_4000,
    "vsi-state-4000": vsi_state_4000,
    "virsh-create": virsh_create,
}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench ONLY=", description="Measure evbagent beside other agents.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}")
    wanted = parser.parse_args(argv).names
    unknown = [name for name in wanted if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it, too, leaves nothing behind
    where = machine(os.geteuid())
    try:
        leave_host()
    except (NamespacesUnavailable, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    rows: list[Row] = []
    for name in wanted or BENCHMARKS:
        rows += _measure(name)
    write_json(rows, OUTPUT)
    print(f"\n{table(rows)}\n\n{where}\nmedians; ratio above 1: evbagent is ahead; also in {OUTPUT.relative_to(ROOT)}")
    return 1 if any(row.note.startswith("failed") for row in rows) else 0


def _measure(name: str) -> list[Row]:
    print(f"{name} ...", end=" ", flush=True)
    begun = time.monotonic()
    with TemporaryDirectory(prefix="evbagent-bench-") as directory:
        try:
            rows = BENCHMARKS[name](Path(directory))
        except Exception as error:  # the others are worth having all the same
            traceback.print_exc()
            rows = [failed(name, error)]
    print(f"{time.monotonic() - begun:.0f} s", flush=True)
    return rows


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
