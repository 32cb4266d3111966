"""The receive state machine of IEEE 802.1AB (clause 9.2.11; sheet `lldp.md` 3.3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from protocols.errors import DecodeError
from protocols.lldp.codec import Reading, decode_lldpdu
from protocols.lldp.mib import RemoteChange, RemoteSystems, RemovalReason
from protocols.lldp.tlvs import Msap, OrganizationalTlv
from protocols.timers import Instant

MOST_ERRORS = 16


class RxState(Enum):
    LLDP_WAIT_PORT_OPERATIONAL = auto()
    RX_LLDP_INITIALIZE = auto()
    RX_WAIT_FOR_FRAME = auto()


@dataclass(slots=True)
class RxStatistics:
    """Counters of 802.1AB 9.2.6; `own` counts LLDPDUs of ours that came back, which are nobody's neighbour."""

    total: int = 0
    discarded: int = 0
    errors: int = 0
    tlvs_discarded: int = 0
    tlvs_unrecognized: int = 0
    own: int = 0


class Receive:
    """Takes LLDPDUs, keeps `remotes`. `recognizes(oui, subtype)`: somebody understands such an organizational TLV."""

    def __init__(self, limit: int, recognizes: Callable[[bytes, int], bool]) -> None:
        self.state = RxState.LLDP_WAIT_PORT_OPERATIONAL
        self.remotes = RemoteSystems(limit)
        self.statistics = RxStatistics()
        self._recognizes = recognizes

    def enable(self, port_enabled: bool, admin_rx: bool, now: Instant) -> list[RemoteChange]:
        """portEnabled and the receiving half of adminStatus. A port that goes down keeps its neighbours: they age."""
        if not port_enabled:
            self.state = RxState.LLDP_WAIT_PORT_OPERATIONAL
            return []
        if not admin_rx:
            self.state = RxState.RX_LLDP_INITIALIZE
            return self.remotes.clear(RemovalReason.REINITIALIZED, now)
        if self.state is RxState.RX_WAIT_FOR_FRAME:
            return []
        self.state = RxState.RX_WAIT_FOR_FRAME
        return self.remotes.clear(RemovalReason.REINITIALIZED, now)

    def frame(self, source: bytes, payload: bytes, own: Msap, now: Instant) -> list[RemoteChange]:
        """RX_FRAME: rxProcessFrame(), then DELETE_INFO or UPDATE_INFO. `own` is our MSAP on this port."""
        if self.state is not RxState.RX_WAIT_FOR_FRAME:
            return []
        self.statistics.total += 1
        known = self.remotes.refresh(source, payload, now)
        if known is not None:
            self._count(known.reading, known.strangers)
            return []
        try:
            reading = _remembered(decode_lldpdu(payload))
        except DecodeError:
            self.statistics.discarded += 1
            self.statistics.errors += 1
            return []
        if reading.pdu.msap == own:
            self.statistics.own += 1
            return []
        strangers = self._strangers(reading)
        self._count(reading, strangers)
        if reading.pdu.ttl == 0:
            return self.remotes.delete(reading.pdu.msap, RemovalReason.SHUTDOWN, now)
        drops = self.remotes.statistics.drops
        changes = self.remotes.store(source, payload, reading, now, strangers)
        self.statistics.discarded += self.remotes.statistics.drops - drops
        return changes

    def next_deadline(self) -> Instant | None:
        return self.remotes.next_deadline()

    def advance(self, now: Instant) -> list[RemoteChange]:
        """rxInfoAge: DELETE_INFO, or DELETE_AGED_INFO while the port is down."""
        return self.remotes.advance(now)

    def _count(self, reading: Reading, strangers: int) -> None:
        if reading.errors:
            self.statistics.errors += 1
            self.statistics.tlvs_discarded += reading.discarded
        self.statistics.tlvs_unrecognized += reading.unrecognized + strangers

    def _strangers(self, reading: Reading) -> int:
        return sum(
            1
            for tlv in reading.pdu.optional
            if isinstance(tlv, OrganizationalTlv) and not self._recognizes(tlv.oui, tlv.subtype)
        )


def _remembered(reading: Reading) -> Reading:
    """What is wrong with a neighbor's TLVs is kept with it, all are counted, and the first ones can be looked at."""
    return replace(reading, errors=reading.errors[:MOST_ERRORS]) if len(reading.errors) > MOST_ERRORS else reading
