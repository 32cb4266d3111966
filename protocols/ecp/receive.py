"""ECP's receive machine (802.1Q clause 43, sheet `ecp.md` 6): acknowledges everything, delivers it once."""

from dataclasses import dataclass

from protocols.ecp.edition import Edition
from protocols.ecp.pdu import SUBTYPE_PE_CSP, SUBTYPE_VDP, Deliver, Ecpdu, SendEcpdu

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

    A duplicate is one with the number of the last, jumps forwards or backwards are new ones.
    """

    def __init__(self, edition: Edition, statistics: ReceiveStatistics | None = None) -> None:
        self.statistics = statistics or ReceiveStatistics()
        self._edition = edition
        self._last: tuple[int, int, bytes] | None = None

    def receive(self, request: Ecpdu) -> list[Effect]:
        """The acknowledgement comes first: the peer waits for it, and what is delivered takes time."""
        self.statistics.requests += 1
        if request.subtype not in (SUBTYPE_VDP, SUBTYPE_PE_CSP):
            self.statistics.other_subtypes += 1
            return []
        self.statistics.acks += 1
        effects: list[Effect] = [SendEcpdu(self._edition.acknowledgement(request))]
        content = request.payload if self._edition.content_counts else b""
        this = (request.subtype, request.sequence, content)
        if this == self._last:
            self.statistics.duplicates += 1
            return effects
        self._last = this
        if request.subtype == SUBTYPE_VDP:
            effects.append(Deliver(request.subtype, request.payload))
        else:
            self.statistics.other_subtypes += 1
        return effects
