"""What waits to be sent: VSIs, not octets, so that packing is the natural state and the newest word wins."""

from collections.abc import Callable, Hashable
from enum import IntEnum

from protocols.vdp.vsi import VsiId

# Of so many ECPDUs in a row that a higher rank begins, one more begins with the lowest rank that waits.
TURN = 4


class Rank(IntEnum):
    """Who goes first. Nobody waits for ever: see `TURN`."""

    URGENT = 0
    REQUEST = 1
    KEEP_ALIVE = 2


class Outbox:
    """Each VSI is in it once. VSIs of one group (in the ratified edition: of one manager) may share an ECPDU."""

    def __init__(self) -> None:
        self._places: dict[VsiId, tuple[Rank, Hashable]] = {}
        self._queues: tuple[dict[Hashable, dict[VsiId, None]], ...] = tuple({} for _ in Rank)
        self._row = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, vsi_id: VsiId) -> bool:
        return vsi_id in self._places

    def add(self, vsi_id: VsiId, rank: Rank, group: Hashable) -> None:
        """Queue a VSI; one that is queued already keeps its place, unless its rank or group has changed."""
        place = rank, group
        former = self._places.get(vsi_id)
        if former == place:
            return
        if former is not None:
            self._take_out(vsi_id, former)
        self._places[vsi_id] = place
        self._queues[rank].setdefault(group, {})[vsi_id] = None

    def discard(self, vsi_id: VsiId) -> None:
        place = self._places.pop(vsi_id, None)
        if place is not None:
            self._take_out(vsi_id, place)

    def clear(self) -> None:
        self._places.clear()
        for queue in self._queues:
            queue.clear()

    def fill(self, encode: Callable[[VsiId], bytes], room: int, most: int) -> tuple[list[VsiId], list[bytes]] | None:
        """Take out as many VSIs of one group as fit into `room` octets, at most `most`; None when none waits.

        What is left of a group goes behind the others of its rank. A TLV that does not even fit alone is taken alone.
        """
        first = self._first_rank()
        if first is None:
            return None
        group = next(iter(self._queues[first]))
        taken: list[VsiId] = []
        tlvs: list[bytes] = []
        for rank in (first, *[rank for rank in _RANKS if rank is not first]):
            waiting = self._queues[rank].get(group)
            if waiting is None:
                continue
            fits = True
            leaving = []
            for vsi_id in waiting:
                tlv = encode(vsi_id)
                fits = len(tlv) <= room or not taken
                if not fits or len(taken) >= most:
                    break
                room -= len(tlv)
                leaving.append(vsi_id)
                taken.append(vsi_id)
                tlvs.append(tlv)
            for vsi_id in leaving:
                del waiting[vsi_id], self._places[vsi_id]
            del self._queues[rank][group]
            if waiting:
                self._queues[rank][group] = waiting
            if not fits or len(taken) >= most:
                break
        return taken, tlvs

    def _first_rank(self) -> Rank | None:
        waiting = [rank for rank in _RANKS if self._queues[rank]]
        if not waiting:
            return None
        if len(waiting) == 1:
            self._row = 0
            return waiting[0]
        self._row = (self._row + 1) % (TURN + 1)
        return waiting[0] if self._row else waiting[-1]

    def _take_out(self, vsi_id: VsiId, place: tuple[Rank, Hashable]) -> None:
        rank, group = place
        waiting = self._queues[rank][group]
        del waiting[vsi_id]
        if not waiting:
            del self._queues[rank][group]


_RANKS = tuple(Rank)
