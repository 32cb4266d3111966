"""Guests of libvirt being started: by `virsh create`, with us and with lldpad as the agent that libvirt asks.

The same libvirtd, the same switch (lldpad in the bridge role), the two agents by turns.
"""

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from tests.bench.agents import missing
from tests.bench.report import Row, Samples, compare
from tests.support.namespaces import find_program, wait_until
from tests.support.peers import Lldpad, LldpadPort, RatifiedEvb
from tests.support.qbg import LLDPAD, Guest, Host, guest, running
from tests.support.vdpdus import DEASSOCIATE
from tests.support.vdptool import NOT_REPORTED, LibvirtMessages

ROUNDS = 4
GUESTS_A_ROUND = 5
STATION = RatifiedEvb(mode="station", rr_request=True)
PROGRAMS = ("libvirtd", "virtlogd", "virsh", "qemu-system-x86_64")
# The exchange of EVB TLVs goes on for a second after lldpad has begun to take requests.
SETTLED_S = 1.5


def virsh_create(directory: Path) -> list[Row]:
    """Seconds from the start of virsh to its end, and the guest runs."""
    absent = [f"{program} is not installed" for program in PROGRAMS if find_program(program) is None]
    if why := missing("lldpad") or next(iter(absent), ""):
        return [compare("virsh-create", "s", Samples(), "lldpad", Samples(missing=why))]
    ours: list[float] = []
    theirs: list[float] = []
    numbers = count(1)
    with running(directory) as host:
        _created(host, numbers, 1)  # libvirtd looks at QEMU once
        host.agent.stop()
        lldpad = Lldpad(host.namespace, directory, {LLDPAD: LldpadPort(evb=STATION)})
        for _ in range(ROUNDS):
            ours += _round(host, numbers, host.agent.start, host.agent.stop)
            theirs += _round(host, numbers, lldpad.start, lldpad.stop)
    note = f"`virsh create` of a guest with an 802.1Qbg port, {ROUNDS} rounds by turns"
    return [compare("virsh-create", "s", Samples(tuple(ours)), "lldpad", Samples(tuple(theirs)), note)]


def _round(host: Host, numbers: Iterator[int], start: Callable[[], object], stop: Callable[[], object]) -> list[float]:
    start()
    _wait_for_the_switch(host, guest(next(numbers), LLDPAD))
    taken = _created(host, numbers, GUESTS_A_ROUND)
    stop()
    return taken


def _created(host: Host, numbers: Iterator[int], most: int) -> list[float]:
    taken = []
    for _ in range(most):
        one = guest(next(numbers), LLDPAD)
        file = host.write(one)
        begun = time.monotonic()
        host.libvirt.virsh("create", str(file))
        taken.append(time.monotonic() - begun)
        host.destroy(one)
    return taken


def _wait_for_the_switch(host: Host, probe: Guest) -> None:
    """Until it takes requests of this agent."""
    vsi = probe.vsi()

    def granted() -> bool:
        with LibvirtMessages(host.namespace, LLDPAD) as libvirt:
            if libvirt.ask(vsi) != 0:
                return False
            wait_until(lambda: libvirt.poll().get(vsi.uuid) != NOT_REPORTED, "it is answered", 12, 0.1)
            accepted = libvirt.poll().get(vsi.uuid) == 0
            libvirt.ask(vsi, DEASSOCIATE)
            libvirt.poll()
            return accepted

    def asked() -> bool:
        try:
            return granted()
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    wait_until(asked, "the switch takes requests", 30, 0.2)
    time.sleep(SETTLED_S)
