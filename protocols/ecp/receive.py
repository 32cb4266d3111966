"""ECP's receive machine (802.1Q clause 43, sheet `ecp.md` 6): acknowledges everything, delivers it once."""

from dataclasses import dataclass

from protocols.ecp.edition import Edition
from protocols.ecp.pdu import SUBTYPE_PE_CSP, SUBTYPE_VDP, Deliver, Ecpdu, SendEcpdu
from protocols.timers import Instant

# Beyond two ackTimers: how late a repetition may be. A restarted lldpad takes a second to its first request.
LATE = 100_000

Effect = SendEcpdu | Deliver


@dataclass(slots=True)
class ReceiveStatistics:
    """`other_subtypes`: requests for an upper protocol that is not here."""

    requests: int = 0
    acks: int = 0
    duplicates: int = 0
    other_subtypes: int = 0


class EcpReceive:
    """No waiting state but whether anything has come (FIRST): the first ECPDU is always new, whatever its number.

    A duplicate is one with the number of the last, jumps forwards or backwards are new ones. So is the same number when
    it comes too late for a repetition: lldpad starts from 1 whenever it is started, and would not be heard (sheet
    `ecp.md` 4). What is delivered twice by that does no harm, what is swallowed does.
    """

    def __init__(self, edition: Edition, statistics: ReceiveStatistics | None = None) -> None:
        self.statistics = statistics or ReceiveStatistics()
        self._edition = edition
        self._heard: Instant = 0
        self._last: tuple[int, bytes] | None = None

    def receive(self, request: Ecpdu, rte: int, now: Instant) -> list[Effect]:
        """The acknowledgement comes first: the peer waits for it, and what is delivered takes time.

        `rte`: the operational one, by which the peer repeats.
        """
        self.statistics.requests += 1
        if request.subtype not in (SUBTYPE_VDP, SUBTYPE_PE_CSP):
            self.statistics.other_subtypes += 1
            return []
        self.statistics.acks += 1
        effects: list[Effect] = [SendEcpdu(self._edition.acknowledgement(request))]
        if request.subtype != SUBTYPE_VDP:
            # Its numbers are its own: they neither repeat VDP's nor come between VDP's and their repetitions.
            self.statistics.other_subtypes += 1
            return effects
        this = (request.sequence, request.payload if self._edition.content_counts else b"")
        repeated = this == self._last and now - self._heard <= 2 * self._edition.ack_timer(rte) + LATE
        self._last, self._heard = this, now
        if repeated:
            self.statistics.duplicates += 1
        else:
            effects.append(Deliver(request.subtype, request.payload))
        return effects
