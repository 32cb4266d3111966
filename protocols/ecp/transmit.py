"""ECP's transmit machine (802.1Q clause 43, sheet `ecp.md` 5): one ECPDU in flight, repeated until acknowledged."""

from dataclasses import dataclass

from protocols.ecp.edition import Edition
from protocols.ecp.pdu import SUBTYPE_VDP, Delivered, Ecpdu, GaveUp, Operation, SendEcpdu
from protocols.timers import Instant

LAST_SEQUENCE = 0xFFFF

Effect = SendEcpdu | Delivered | GaveUp


@dataclass(slots=True)
class TransmitStatistics:
    """`requests` counts payloads, `retries` what was sent again, `errors` payloads that were given up."""

    requests: int = 0
    retries: int = 0
    errors: int = 0
    acks: int = 0
    unmatched_acks: int = 0


class EcpTransmit:
    """Two waiting states: WAIT_DATA (`ready`) and the one in which the acknowledgement is waited for.

    The acknowledgement acts when it arrives; lldpad acts on it when the timer expires. The first number is the
    caller's random one: a peer that remembers the last takes the same number for a repetition (interop-notes P3).
    """

    def __init__(
        self,
        edition: Edition,
        first_sequence: int,
        retries: int,
        rte: int,
        statistics: TransmitStatistics | None = None,
    ) -> None:
        self.statistics = statistics or TransmitStatistics()
        self._edition = edition
        self._sequence = first_sequence & LAST_SEQUENCE
        self._retries = retries
        self._rte = rte
        self._payload: bytes | None = None
        self._attempts = 0
        self._unacknowledged: tuple[int, ...] = ()
        self._ack_timer: Instant | None = None

    @property
    def ready(self) -> bool:
        """Whether a payload may be sent."""
        return self._payload is None

    def configure(self, retries: int, rte: int) -> None:
        """The operational R and RTE, from the next transmission on."""
        self._retries, self._rte = retries, rte

    def send(self, payload: bytes, now: Instant) -> list[Effect]:
        """TRANSMIT. Only when `ready`."""
        assert self._payload is None, "one ECPDU at a time"
        assert len(payload) <= self._edition.max_payload
        self._payload = payload
        self._attempts = 0
        self._unacknowledged = ()
        self.statistics.requests += 1
        return self._transmit(now)

    def acknowledge(self, ecpdu: Ecpdu, now: Instant) -> list[Effect]:
        """An acknowledgement has come; one that is not for what is in flight is ignored."""
        ours = ecpdu.subtype == SUBTYPE_VDP and ecpdu.sequence in self._unacknowledged
        if self._payload is None or not ours:
            self.statistics.unmatched_acks += 1
            return []
        self.statistics.acks += 1
        self._end()
        return [Delivered()]

    def next_deadline(self) -> Instant | None:
        return self._ack_timer

    def advance(self, now: Instant) -> list[Effect]:
        if self._ack_timer is None or now < self._ack_timer:
            return []
        if self._attempts < self._edition.attempts(self._retries):
            self.statistics.retries += 1
            return self._transmit(now)
        self.statistics.errors += 1
        self._end()
        return [GaveUp()]

    def _transmit(self, now: Instant) -> list[Effect]:
        assert self._payload is not None
        if self._edition.renumber or not self._attempts:
            # 0 is a number like any other, but lldpad leaves it out, so nobody has tried it.
            self._sequence = self._sequence + 1 if self._sequence < LAST_SEQUENCE else 1
            self._unacknowledged += (self._sequence,)
        self._attempts += 1
        self._ack_timer = now + self._edition.ack_timer(self._rte)
        return [SendEcpdu(Ecpdu(Operation.REQUEST, SUBTYPE_VDP, self._sequence, self._payload))]

    def _end(self) -> None:
        self._payload = None
        self._ack_timer = None
