"""The remote systems of one LLDP agent: a bounded table keyed by MSAP, with ageing (sheet `lldp.md` 4)."""

from dataclasses import dataclass
from enum import StrEnum

from protocols.lldp.codec import Reading
from protocols.lldp.tlvs import Lldpdu, Msap
from protocols.timers import SECOND, Instant, TimerTable


@dataclass(slots=True)
class RemoteSystem:
    """One neighbour. `payload` is its last LLDPDU, kept to see at a glance that the next one says the same.

    `last_changed`: when it began to say what it says now. `strangers`: how many of its organizational TLVs nobody here
    understands. `changes` and `refreshes`: how many LLDPDUs after the first said something new, and how many did not.
    """

    index: int
    source: bytes
    payload: bytes
    reading: Reading
    first_heard: Instant
    last_heard: Instant
    last_changed: Instant
    strangers: int = 0
    changes: int = 0
    refreshes: int = 0

    @property
    def pdu(self) -> Lldpdu:
        return self.reading.pdu


class RemovalReason(StrEnum):
    """REPLACED: in a full table, the same system goes on under another port ID without having said goodbye."""

    SHUTDOWN = "shutdown"
    AGED_OUT = "aged-out"
    REPLACED = "replaced"
    REINITIALIZED = "reinitialized"


@dataclass(frozen=True, slots=True)
class RemoteAdded:
    remote: RemoteSystem


@dataclass(frozen=True, slots=True)
class RemoteUpdated:
    """`former` is what it said before."""

    remote: RemoteSystem
    former: Lldpdu


@dataclass(frozen=True, slots=True)
class RemoteRemoved:
    remote: RemoteSystem
    reason: RemovalReason


@dataclass(frozen=True, slots=True)
class TooManyNeighbors:
    """The table was full when a new system was heard (on), or has not been for as long as that one's TTL (off)."""

    on: bool


RemoteChange = RemoteAdded | RemoteUpdated | RemoteRemoved | TooManyNeighbors


@dataclass(slots=True)
class RemoteStatistics:
    """remote-statistics of 802.1AB 11.5. `refreshes` is ours: LLDPDUs that said nothing new, which are no event."""

    inserts: int = 0
    deletes: int = 0
    drops: int = 0
    ageouts: int = 0
    refreshes: int = 0
    last_change: Instant | None = None


class RemoteSystems:
    """The table. A full table drops the newcomer: who is known already is never displaced by a forged crowd.

    Only a system's own former self makes room for it, if that has been silent for half its TTL: whoever can forge this
    can forge a shutdown.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.statistics = RemoteStatistics()
        self.too_many_neighbors = False
        self._systems: dict[Msap, RemoteSystem] = {}
        self._by_payload: dict[bytes, RemoteSystem] = {}
        self._by_chassis: dict[tuple[int, bytes], dict[Msap, RemoteSystem]] = {}
        self._ageing: TimerTable[Msap | None] = TimerTable()
        self._last_index = 0

    def __len__(self) -> int:
        return len(self._systems)

    def get(self, msap: Msap) -> RemoteSystem | None:
        return self._systems.get(msap)

    def systems(self) -> tuple[RemoteSystem, ...]:
        return tuple(self._systems.values())

    def refresh(self, source: bytes, payload: bytes, now: Instant) -> RemoteSystem | None:
        """The neighbour whose last LLDPDU was this very one, its age reset; None when the LLDPDU must be read."""
        remote = self._by_payload.get(payload)
        if remote is not None:
            remote.source, remote.last_heard = source, now
            pdu = remote.reading.pdu
            self._ageing.start(pdu.msap, now + pdu.ttl * SECOND)
            self._count_refresh(remote)
        return remote

    def store(
        self, source: bytes, payload: bytes, reading: Reading, now: Instant, strangers: int = 0
    ) -> list[RemoteChange]:
        """mibUpdateObjects(): a new system, new values of a known one, or no room."""
        pdu = reading.pdu
        known = self._systems.get(pdu.msap)
        if known is None:
            return self._insert(source, payload, reading, now, strangers)
        self._ageing.start(pdu.msap, now + pdu.ttl * SECOND)
        del self._by_payload[known.payload]
        self._by_payload[payload] = known
        former = known.pdu
        known.source, known.payload, known.reading, known.last_heard = source, payload, reading, now
        known.strangers = strangers
        if former == pdu:
            self._count_refresh(known)
            return []
        known.changes += 1
        known.last_changed = self.statistics.last_change = now
        return [RemoteUpdated(known, former)]

    def delete(self, msap: Msap, reason: RemovalReason, now: Instant) -> list[RemoteChange]:
        """mibDeleteObjects() for one system; nothing when it is not known."""
        remote = self._systems.pop(msap, None)
        if remote is None:
            return []
        del self._by_payload[remote.payload]
        of_chassis = self._by_chassis[msap[:2]]
        del of_chassis[msap]
        if not of_chassis:
            del self._by_chassis[msap[:2]]
        self._ageing.stop(msap)
        self.statistics.deletes += 1
        self.statistics.last_change = now
        return [RemoteRemoved(remote, reason)]

    def clear(self, reason: RemovalReason, now: Instant) -> list[RemoteChange]:
        changes = [change for msap in tuple(self._systems) for change in self.delete(msap, reason, now)]
        self._ageing.stop(None)
        return changes + self._room_again()

    def next_deadline(self) -> Instant | None:
        return self._ageing.next_deadline()

    def advance(self, now: Instant) -> list[RemoteChange]:
        changes: list[RemoteChange] = []
        for msap in self._ageing.expire(now):
            if msap is None:
                changes += self._room_again()
            else:
                self.statistics.ageouts += 1
                changes += self.delete(msap, RemovalReason.AGED_OUT, now)
        return changes

    def _insert(
        self, source: bytes, payload: bytes, reading: Reading, now: Instant, strangers: int
    ) -> list[RemoteChange]:
        changes: list[RemoteChange] = []
        msap, ttl = reading.pdu.msap, reading.pdu.ttl
        if len(self._systems) >= self.limit:
            former = self._former_self(source, msap, now)
            if former is None:
                return self._no_room(ttl, now)
            changes = self.delete(former.pdu.msap, RemovalReason.REPLACED, now)
        self._ageing.start(msap, now + ttl * SECOND)
        self._last_index += 1
        remote = RemoteSystem(self._last_index, source, payload, reading, now, now, now, strangers)
        self._systems[msap] = self._by_payload[payload] = remote
        self._by_chassis.setdefault(msap[:2], {})[msap] = remote
        self.statistics.inserts += 1
        self.statistics.last_change = now
        return [*changes, RemoteAdded(remote)]

    def _former_self(self, source: bytes, msap: Msap, now: Instant) -> RemoteSystem | None:
        """Of those with this chassis ID the one that is known longest, if it sent from this address and has ceased."""
        eldest = next(iter(self._by_chassis.get(msap[:2], {}).values()), None)
        if eldest is None or eldest.source != source:
            return None
        silent_us = now - eldest.last_heard
        return eldest if 2 * silent_us >= eldest.pdu.ttl * SECOND else None

    def _count_refresh(self, remote: RemoteSystem) -> None:
        remote.refreshes += 1
        self.statistics.refreshes += 1

    def _no_room(self, ttl: int, now: Instant) -> list[RemoteChange]:
        """tooManyNeighbors, for at least the TTL of the system that found no room (802.1AB 9.2.7.7.5)."""
        self.statistics.drops += 1
        self._ageing.start(None, max(self._ageing.deadline(None) or 0, now + ttl * SECOND))
        if self.too_many_neighbors:
            return []
        self.too_many_neighbors = True
        return [TooManyNeighbors(True)]

    def _room_again(self) -> list[RemoteChange]:
        if not self.too_many_neighbors:
            return []
        self.too_many_neighbors = False
        return [TooManyNeighbors(False)]
