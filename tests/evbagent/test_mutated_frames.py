"""A hundred thousand frames that somebody has tampered with: each is accounted for, and they leave nothing behind."""

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest
from msgspec.json import decode, encode

from evbagent.neighborview import neighbor_rows
from evbagent.show_neighbors import render_neighbors
from protocols.edge import ETHERTYPES_ECP
from protocols.errors import DecodeError
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.mib import RemoteAdded, RemoteRemoved, RemoteUpdated, RemovalReason
from protocols.port import Effect, Indicate, LinkState, NeighborEvent
from protocols.stack import PortStack
from protocols.timers import SECOND
from tests.bench.lldpflood import typical
from tests.support import lldpdus
from tests.support.mutated import mutated
from tests.support.wire import STATION_MAC, port_settings

pytestmark = pytest.mark.slow

FRAMES = 100_000
SETTLED = 30_000
SHOWN_EVERY = 5_000
NEIGHBORS = 32


def test_a_hundred_thousand() -> None:
    settings = port_settings(
        STATION_MAC, admin_status=dict.fromkeys(Scope, AdminStatus.TX_AND_RX), max_neighbors=NEIGHBORS
    )
    stack = PortStack(Role.STATION, settings, lambda: 0)
    now = 1_000 * SECOND
    stack.request(LinkState(True), now)
    seen: Counter[str] = Counter()
    before = 0
    for number, frame in enumerate(tampered(Random(802)), 1):
        now += SECOND // 50
        if not count(stack, stack.receive(frame, now), frame, seen):
            count(stack, stack.advance(now), b"", seen)
        if number % SHOWN_EVERY == 0:
            rows = decode(encode(neighbor_rows([("eth0", stack.agents)])))
            shown = render_neighbors(rows, details=True, now=0.0)
            assert all(character.isprintable() or character == "\n" for character in shown)
        if number == SETTLED:
            before = blocks()
    grown = blocks() - before
    assert grown < 2_000, f"{grown} more pieces of memory are in use than {FRAMES - SETTLED} frames ago"
    accounted(stack, seen)


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def tampered(random: Random) -> Iterator[bytes]:
    """Typical LLDPDUs of some neighbors, and of EVB peers, with octets changed, cut out, put in or cut off."""
    sound = [
        lldpdus.frame(payload[3:9], payload, destination)
        for number in range(100, 140)
        for payload in (
            typical(number),
            lldpdus.lldpdu(typical(number)[3:9], ttl=0),
            lldpdus.lldpdu(
                (0x020000000000 + number).to_bytes(6, "big"),
                lldpdus.evb_tlv(lldpdus.BRIDGE_REFLECTS),
                lldpdus.evb_tlv(bytes.fromhex("000100010f0000000000"), lldpdus.DRAFT),
            ),
        )
        for destination in (lldpdus.NEAREST_BRIDGE, lldpdus.NEAREST_CUSTOMER_BRIDGE)
    ]
    yield from islice(mutated(random, sound), FRAMES)


def count(stack: PortStack, effects: list[Effect], frame: bytes, seen: Counter[str]) -> bool:
    """What became of the frame; whether it has changed anything."""
    for effect in effects:
        match effect:
            case Indicate(NeighborEvent(_, RemoteAdded())):
                seen["added"] += 1
            case Indicate(NeighborEvent(_, RemoteUpdated())):
                seen["updated"] += 1
            case Indicate(NeighborEvent(_, RemoteRemoved(_, reason))):
                seen[reason] += 1
    if frame and Scope.of(frame[:6]) and frame[12:14] == lldpdus.ETHERTYPE and frame[6:12] != STATION_MAC:
        try:
            seen["goodbyes"] += decode_lldpdu(frame[14:]).pdu.ttl == 0
        except DecodeError:
            seen["unreadable"] += 1
    seen["frames"] += bool(frame)
    seen["ecp"] += int.from_bytes(frame[12:14], "big") in ETHERTYPES_ECP
    return bool(effects)


def accounted(stack: PortStack, seen: Counter[str]) -> None:
    agents = stack.agents.values()
    received = sum(agent.rx.statistics.total for agent in agents)
    tables = [agent.rx.remotes for agent in agents]
    own = sum(agent.rx.statistics.own for agent in agents)
    assert seen["frames"] == FRAMES
    assert received + stack.ignored_frames + own + seen["ecp"] == FRAMES
    drops = sum(table.statistics.drops for table in tables)
    assert sum(agent.rx.statistics.discarded for agent in agents) == seen["unreadable"] + drops
    known = sum(table.statistics.inserts + table.statistics.refreshes for table in tables) + seen["updated"]
    assert received == seen["unreadable"] + drops + seen["goodbyes"] + known
    removed = sum(table.statistics.deletes for table in tables)
    assert removed == seen[RemovalReason.SHUTDOWN] + seen[RemovalReason.AGED_OUT] + seen[RemovalReason.REPLACED]
    assert sum(map(len, tables)) == seen["added"] - removed <= 3 * NEIGHBORS
    # Of everything there was something, or this would prove little.
    assert min(seen["added"], seen["updated"], seen["unreadable"], seen["goodbyes"], drops, removed) > 50
