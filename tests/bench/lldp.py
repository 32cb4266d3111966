"""LLDPDUs: how long one takes to read, how many a second are heard, and what a thousand neighbors cost."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from time import sleep, time_ns
from timeit import repeat
from typing import Any, NamedTuple

from scapy.contrib.lldp import LLDPDU

from evbagent.tlvview import organizational_value
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.tlvs import OrganizationalTlv
from protocols.port import LinkState
from protocols.stack import PortStack
from tests.bench.agents import TimedNamespace, missing, pid
from tests.bench.lldpflood import Flood, frames, typical
from tests.bench.report import Row, Samples, alone, compare
from tests.bench.usage import cpu_ns
from tests.bench.wire import SECOND, many_links
from tests.support.agent import Agent
from tests.support.lldpdus import NEAREST_CUSTOMER_BRIDGE
from tests.support.namespaces import PacketTap, wait_until
from tests.support.peers import Lldpd
from tests.support.wire import STATION_MAC, port_settings

RUNS = 9
LOOPS = 500

FLOOD_S = 5.0
UNCHANGED_A_SECOND = 20_000
CHANGED_A_SECOND = 5_000
OTHER_UPLINKS = 4
FEW, MANY = 10, 1000
REFRESHES = 10_000
REFRESHES_A_SECOND = 2_000

QUICK = "[lldp]\nmessage-tx-interval = 1\n"
ROOMY = f"[lldp]\nmax-neighbors = {MANY}\n"


def lldp_decode(directory: Path) -> list[Row]:
    """The typical LLDPDU, from octets to a value of each TLV."""
    payload = typical()
    ours, theirs = _microseconds(lambda: _decode(payload)), _microseconds(lambda: LLDPDU(payload))
    note = f"{len(payload)} octets, {len(decode_lldpdu(payload).pdu.optional) + 4} TLVs"
    return [compare("lldp-decode", "us", ours, "scapy", theirs, f"{note}; scapy leaves EVB and DCBX as octets")]


def lldp_unchanged(directory: Path) -> list[Row]:
    """The same LLDPDU again, in the machines of a port."""
    stack = PortStack(Role.STATION, port_settings(STATION_MAC, admin_status=dict.fromkeys(Scope, _RX)), lambda: 0)
    stack.request(LinkState(True), 0)
    (frame,) = frames([typical()])
    stack.receive(frame, 0)
    return [alone("lldp-unchanged", "us", _microseconds(lambda: stack.receive(frame, 1)), "frame in, machines done")]


def lldp_received(directory: Path) -> list[Row]:
    """Floods on one uplink. The others send an LLDPDU each second: by how much these are late."""
    rows = []
    for name, rate, payloads in (
        ("unchanged", UNCHANGED_A_SECOND, [typical()]),
        ("changed", CHANGED_A_SECOND, [typical(description=number) for number in range(5000)]),
    ):
        heard = _flooded(directory, frames(payloads), rate)
        lost = heard.sent - heard.received
        note = f"{heard.rate:.0f} LLDPDUs a second for {FLOOD_S:.0f} s, {lost} of {heard.sent} lost"
        rows += [
            Row(f"lldp-received-{name}", "% of a core", heard.cpu, note=note),
            Row(f"lldp-received-{name}-late", "ms", heard.late, note="the latest LLDPDU of the other uplinks"),
        ]
    return rows


def lldp_neighbors_1000(directory: Path) -> list[Row]:
    """CPU time for an LLDPDU of one of many neighbors, and how many of them are shown."""
    absent = missing("lldpd")
    ours = {count: _ours(directory, count) for count in (FEW, MANY)}
    theirs = {} if absent else {count: _lldpds(directory, count) for count in (FEW, MANY)}
    rows = []
    for count in (FEW, MANY):
        shown = f"{ours[count].shown} shown"
        if theirs:
            shown += f", {theirs[count].shown} by lldpcli"
        peer = theirs[count].cpu if theirs else None
        rows.append(Row(f"lldp-neighbors-{count}", "us/LLDPDU", ours[count].cpu, peer, "lldpd", note=absent or shown))
    return rows


class _Heard(NamedTuple):
    """`cpu`: percent of a core; `late`: ms."""

    sent: int
    received: int
    rate: float
    cpu: float
    late: float


class _Kept(NamedTuple):
    """`cpu`: microseconds an LLDPDU; `shown`: how many neighbors are shown."""

    cpu: float
    shown: int


_RX = AdminStatus.RX_ONLY


def _decode(payload: bytes) -> list[Any]:
    return [
        organizational_value(tlv.oui, tlv.subtype, tlv.value) if isinstance(tlv, OrganizationalTlv) else tlv
        for tlv in decode_lldpdu(payload).pdu.optional
    ]


def _microseconds(what: Callable[[], object]) -> Samples:
    return Samples(tuple(seconds / LOOPS * 1e6 for seconds in repeat(what, number=LOOPS, repeat=RUNS)))


def _flooded(directory: Path, sequence: list[bytes], rate: int) -> _Heard:
    with ExitStack() as stack:
        near, far = (stack.enter_context(TimedNamespace(name)) for name in ("near", "far"))
        flooded, *others = many_links(near, far, 1 + OTHER_UPLINKS)
        agent = stack.enter_context(Agent(near, directory, ["up*"], config=QUICK))
        flood = stack.enter_context(Flood(far, f"sw{flooded[2:]}"))
        wait_until(lambda: _received(agent, flooded) == 0, "the agent serves the uplink")
        sleep(5)  # the others' fast start is over
        taps = [stack.enter_context(PacketTap(far, f"sw{name[2:]}")) for name in others]
        cpu, begun = cpu_ns(pid(agent)), time_ns()
        reached = flood.send(sequence, count := int(rate * FLOOD_S), rate)
        used = (cpu_ns(pid(agent)) - cpu) / (time_ns() - begun) * 100
        sleep(2)
        return _Heard(count, _received(agent, flooded), reached, used, max(_latest(tap) for tap in taps))


def _latest(tap: PacketTap) -> float:
    """By how many ms the latest LLDPDU of an uplink came more than a second after the one before."""
    times = []
    while (frame := tap.receive(0)) is not None:
        if frame.destination == NEAREST_CUSTOMER_BRIDGE:
            times.append(frame.timestamp_ns)
    assert len(times) >= FLOOD_S, f"{tap.interface}: {len(times)} LLDPDUs in {FLOOD_S:.0f} s and more"
    return max(later - earlier - SECOND for earlier, later in pairwise(times)) / 1e6


def _ours(directory: Path, count: int) -> _Kept:
    with ExitStack() as stack:
        near, far = (stack.enter_context(TimedNamespace(name)) for name in ("near", "far"))
        (uplink,) = many_links(near, far, 1)
        agent = stack.enter_context(Agent(near, directory, ["up*"], config=ROOMY))
        flood = stack.enter_context(Flood(far, "sw0"))
        wait_until(lambda: _received(agent, uplink) == 0, "the agent serves the uplink")
        sequence = frames(typical(number) for number in range(count))
        flood.send(sequence, count, REFRESHES_A_SECOND)
        sleep(1)
        used = _refreshes(flood, sequence, pid(agent))
        assert _received(agent, uplink) == count + REFRESHES, "LLDPDUs were lost"
        return _Kept(used, len(json.loads(agent.evbagent("show", "neighbors", "-j").stdout)))


def _lldpds(directory: Path, count: int) -> _Kept:
    with ExitStack() as stack:
        near, far = (stack.enter_context(TimedNamespace(name)) for name in ("near", "far"))
        links = many_links(near, far, 1)
        agent = stack.enter_context(Lldpd(near, directory, links))
        agent.cli("configure", "system", "max-neighbors", "2000")
        flood = stack.enter_context(Flood(far, "sw0"))
        sequence = frames(typical(number) for number in range(count))
        flood.send(sequence, count, REFRESHES_A_SECOND // 10)
        sleep(1)
        used = _refreshes(flood, sequence, pid(agent))
        return _Kept(used, agent.cli("-f", "json0", "show", "neighbors").count('"rid"'))


def _refreshes(flood: Flood, sequence: list[bytes], process: int) -> float:
    before = cpu_ns(process)
    flood.send(sequence, REFRESHES, REFRESHES_A_SECOND)
    sleep(2)
    return (cpu_ns(process) - before) / 1000 / REFRESHES


def _received(agent: Agent, interface: str) -> int:
    """rx-total-frames of the uplink in all scopes; -1 while it is not served."""
    shown = agent.evbagent("show", "statistics", "-j", check=False)
    if shown.returncode:
        return -1
    rows = json.loads(shown.stdout)
    found = [row["rx-total-frames"] for row in rows if row["interface"] == interface and "rx-total-frames" in row]
    return sum(found) if found else -1
