"""The remote systems of one LLDP agent: a bounded table keyed by MSAP, with ageing (sheet `lldp.md` 4)."""

from dataclasses import dataclass
from enum import StrEnum

from protocols.lldp.codec import Reading
from protocols.lldp.tlvs import Lldpdu, Msap
from protocols.timers import SECOND, Instant, TimerTable


@dataclass(slots=True)
class RemoteSystem:
    """One neighbour. `payload` is its last LLDPDU, kept to see at a glance that the next one says the same.

    `strangers`: how many of its organizational TLVs nobody here understands.
    """

    index: int
    source: bytes
    payload: bytes
    reading: Reading
    first_heard: Instant
    last_heard: Instant
    strangers: int = 0
    changes: int = 0

    @property
    def pdu(self) -> Lldpdu:
        return self.reading.pdu


class RemovalReason(StrEnum):
    SHUTDOWN = "shutdown"
    AGED_OUT = "aged-out"
    REINITIALIZED = "reinitialized"


@dataclass(frozen=True, slots=True)
class RemoteAdded:
    remote: RemoteSystem


@dataclass(frozen=True, slots=True)
class RemoteUpdated:
    remote: RemoteSystem


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
    inserts: int = 0
    deletes: int = 0
    drops: int = 0
    ageouts: int = 0


class RemoteSystems:
    """The table. A full table drops the newcomer: who is known already is never displaced by a forged crowd."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.statistics = RemoteStatistics()
        self.too_many_neighbors = False
        self._systems: dict[Msap, RemoteSystem] = {}
        self._by_payload: dict[bytes, RemoteSystem] = {}
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
        return remote

    def store(
        self, source: bytes, payload: bytes, reading: Reading, now: Instant, strangers: int = 0
    ) -> list[RemoteChange]:
        """mibUpdateObjects(): a new system, new values of a known one, or no room."""
        msap = reading.pdu.msap
        known = self._systems.get(msap)
        if known is None and len(self._systems) >= self.limit:
            return self._no_room(reading.pdu.ttl, now)
        self._ageing.start(msap, now + reading.pdu.ttl * SECOND)
        if known is None:
            self._last_index += 1
            remote = RemoteSystem(self._last_index, source, payload, reading, now, now, strangers)
            self._systems[msap] = self._by_payload[payload] = remote
            self.statistics.inserts += 1
            return [RemoteAdded(remote)]
        del self._by_payload[known.payload]
        self._by_payload[payload] = known
        changed = known.pdu != reading.pdu
        known.source, known.payload, known.reading, known.last_heard = source, payload, reading, now
        known.strangers = strangers
        if not changed:
            return []
        known.changes += 1
        return [RemoteUpdated(known)]

    def delete(self, msap: Msap, reason: RemovalReason) -> list[RemoteChange]:
        """mibDeleteObjects() for one system; nothing when it is not known."""
        remote = self._systems.pop(msap, None)
        if remote is None:
            return []
        del self._by_payload[remote.payload]
        self._ageing.stop(msap)
        self.statistics.deletes += 1
        return [RemoteRemoved(remote, reason)]

    def clear(self, reason: RemovalReason) -> list[RemoteChange]:
        changes = [change for msap in tuple(self._systems) for change in self.delete(msap, reason)]
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
                changes += self.delete(msap, RemovalReason.AGED_OUT)
        return changes

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
