"""ECP and VDP of one port, joined: whose turn it is, and how fast (sheets `ecp.md`, `vdp.md`, interop-notes P).

VDP hands nothing to ECP before ECP can send it: a payload is put together when the one before it has been acknowledged.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar

from protocols.ecp.draft import DRAFT as ECP_DRAFT
from protocols.ecp.edition import Edition as EcpEdition
from protocols.ecp.pdu import SUBTYPE_VDP, Deliver, Delivered, GaveUp, Operation, SendEcpdu
from protocols.ecp.ratified import RATIFIED as ECP_RATIFIED
from protocols.ecp.receive import EcpReceive, ReceiveStatistics
from protocols.ecp.transmit import EcpTransmit, TransmitStatistics
from protocols.errors import DecodeError
from protocols.frame import EthernetFrame
from protocols.timers import SECOND, Instant
from protocols.vdp.bridge import BridgeSettings, VdpBridge
from protocols.vdp.draft import DRAFT as VDP_DRAFT
from protocols.vdp.edition import Edition as VdpEdition
from protocols.vdp.ratified import RATIFIED as VDP_RATIFIED
from protocols.vdp.station import StationSettings, VdpStation
from protocols.vdp.status import VdpEffect

MILLISECOND = 1000
# 2 ms are enough on an idle machine, 10 ms were on a busy one.
STRICT_GAP = 20 * MILLISECOND
# A peer that acknowledges nothing gets the next ECPDU after the time that it had for an acknowledgement, and twice that
# each time, up to this: with the least RTE it would be a thousand frames a second for as long as its LLDPDU is valid.
LONGEST_PAUSE = SECOND


@dataclass(frozen=True, slots=True)
class Form:
    """ECP and VDP of one edition go together (interop-notes X3)."""

    ecp: EcpEdition
    vdp: VdpEdition


FORMS: Mapping[str, Form] = {
    "ratified": Form(ECP_RATIFIED, VDP_RATIFIED),
    "draft": Form(ECP_DRAFT, VDP_DRAFT),
}
ETHERTYPES_ECP = frozenset(ethertype for form in FORMS.values() for ethertype in form.ecp.ethertypes)
_BY_ETHERTYPE: Mapping[int, str] = {
    ethertype: name for name, form in FORMS.items() for ethertype in form.ecp.ethertypes
}


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """`destination`, `ethertype`: what ratified ECPDUs are sent with, None: as the standard has it.

    `vsis_per_ecpdu`, `gap` (us between an acknowledgement and the next ECPDU): None finds out what the peer can stand.
    `without_evb` (station): do not wait for a bridge's EVB TLV. `mtu`: octets that the link takes after the EtherType.
    """

    destination: bytes | None = None
    ethertype: int | None = None
    vsis_per_ecpdu: int | None = None
    gap: Instant | None = None
    without_evb: bool = False
    mtu: int = 1500
    station: StationSettings = field(default_factory=StationSettings)
    bridge: BridgeSettings = field(default_factory=BridgeSettings)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The values of the EVB TLVs that ECP and VDP run on. `edition` by name."""

    edition: str
    retries: int
    rte: int
    rwd: int
    rka: int
    group_ids: bool


class Peer(Enum):
    """What is known of the other end's VDP.

    lldpad ends an ULPDU without an End TLV, and is known by that. It has one buffer for what it hears, works on it
    later, and loses what was in it when the next ECPDU comes too soon (interop-notes P6): STRICT.
    """

    UNKNOWN = auto()
    APT = auto()
    STRICT = auto()


@dataclass(slots=True)
class EdgeStatistics:
    """Frames of ECP's EtherTypes that came to nothing, and what VDP's decoder dropped."""

    other_destination: int = 0
    other_source: int = 0
    other_edition: int = 0
    bad_ecpdus: int = 0
    bad_ulpdus: int = 0
    bad_tlvs: int = 0
    skipped_tlvs: int = 0


EdgeEffect = bytes | VdpEffect
"""A frame to send, or news of a VSI."""


class Edge(ABC):
    """What both roles share: frames in and out, and the pace."""

    _from_station: ClassVar[bool]

    def __init__(self, mac_address: bytes, settings: EdgeSettings, first_sequence: Callable[[], int]) -> None:
        self.mac_address = mac_address
        self.settings = settings
        self.statistics = EdgeStatistics()
        self.transmitted = TransmitStatistics()
        self.received = ReceiveStatistics()
        self.edition = "ratified"
        self.peer = Peer.UNKNOWN
        self.strangers: frozenset[bytes] = frozenset()  # who is known to be neither our peer nor we
        self._first_sequence = first_sequence
        self._agreement: Agreement | None = None
        self._not_before: Instant = 0
        self._pause: Instant = 0  # after the next ECPDU that is given up; 0: as long as its acknowledgement has
        self._start("ratified")

    @property
    @abstractmethod
    def vdp(self) -> VdpStation | VdpBridge:
        """The role's VDP."""

    @abstractmethod
    def _accepts(self, edition: str, now: Instant) -> list[VdpEffect] | None:
        """Whether a frame in this edition is for us; None: it is not."""

    @abstractmethod
    def _most(self) -> int:
        """How many VSIs may go into the next ECPDU; 0: none before the peer has said something."""

    @abstractmethod
    def _peer_is_known(self) -> None:
        """The peer has shown what it can stand."""

    def receive(self, frame: bytes, now: Instant) -> list[EdgeEffect]:
        """A frame with one of ECP's EtherTypes. The acknowledgement goes out before the content is acted on."""
        edition = _BY_ETHERTYPE[int.from_bytes(frame[12:14], "big")]
        form = FORMS[edition]
        if not self._is_for_us(frame[0:6], form):
            self.statistics.other_destination += 1
            return []
        if frame[6:12] in self.strangers:
            # A bridge without STP lets stations hear each other. What they say is the switch's to acknowledge.
            self.statistics.other_source += 1
            return []
        effects: list[EdgeEffect] = []
        news = self._accepts(edition, now)
        if news is None:
            self.statistics.other_edition += 1
            return []
        effects += news
        try:
            ecpdu = form.ecp.decode(frame[14:])
        except DecodeError:
            self.statistics.bad_ecpdus += 1
            return effects
        if ecpdu.operation is Operation.ACKNOWLEDGE:
            for event in self.transmit.acknowledge(ecpdu, now):
                self._transmitted(event, effects, now)
        else:
            rte = self._agreement.rte if self._agreement else 0
            for received in self.receiver.receive(ecpdu, rte, now):
                match received:
                    case SendEcpdu(ack):
                        effects.append(self._frame(form.ecp.encode(ack), frame[12:14]))
                    case Deliver(subtype, payload):
                        if subtype == SUBTYPE_VDP:
                            self._deliver(payload, effects, now)
        self._pump(effects, now)
        return effects

    def next_deadline(self) -> Instant | None:
        deadlines = [self.transmit.next_deadline(), self.vdp.next_deadline()]
        if self.vdp.waiting and self.transmit.ready and self._most():
            deadlines.append(self._not_before)
        return min((due for due in deadlines if due is not None), default=None)

    def advance(self, now: Instant) -> list[EdgeEffect]:
        effects: list[EdgeEffect] = []
        for event in self.transmit.advance(now):
            self._transmitted(event, effects, now)
        effects += self.vdp.advance(now)
        self._pump(effects, now)
        return effects

    def _start(self, edition: str) -> None:
        """A new conversation: nothing in flight, nothing known of the peer, a number that it cannot remember."""
        self.edition = edition
        form = FORMS[edition]
        retries, rte = (self._agreement.retries, self._agreement.rte) if self._agreement else (0, 0)
        self.transmit = EcpTransmit(form.ecp, self._first_sequence(), retries, rte, self.transmitted)
        self.receiver = EcpReceive(form.ecp, self.received)
        self.peer = Peer.UNKNOWN
        self._not_before = self._pause = 0

    def _deliver(self, payload: bytes, effects: list[EdgeEffect], now: Instant) -> None:
        try:
            reading = FORMS[self.edition].vdp.decode(payload, self._from_station)
        except DecodeError:
            self.statistics.bad_ulpdus += 1
            return
        self.statistics.bad_tlvs += len(reading.errors)
        self.statistics.skipped_tlvs += reading.skipped
        if reading.vsis:
            # Said anew with each ULPDU: the other end may be another program since the link was last down.
            self.peer = Peer.APT if reading.explicit_end or self.edition == "draft" else Peer.STRICT
            self._peer_is_known()
        effects += self.vdp.receive(reading.vsis, now)

    def _transmitted(self, event: object, effects: list[EdgeEffect], now: Instant) -> None:
        match event:
            case SendEcpdu(ecpdu):
                effects.append(self._frame(FORMS[self.edition].ecp.encode(ecpdu)))
            case Delivered():
                self._not_before = now + self._gap
                self._pause = 0
                effects += self.vdp.delivered(now)
            case GaveUp():
                rte = self._agreement.rte if self._agreement else 0
                pause = self._pause or FORMS[self.edition].ecp.ack_timer(rte)
                self._not_before = now + min(pause, LONGEST_PAUSE)
                self._pause = min(2 * pause, LONGEST_PAUSE)
                effects += self.vdp.gave_up(now)

    def _pump(self, effects: list[EdgeEffect], now: Instant) -> None:
        """Send what there is to say, if it is our turn."""
        if not self.transmit.ready or not self.vdp.waiting or now < self._not_before:
            return
        most = self._most()
        if most <= 0:
            return
        ecp = FORMS[self.edition].ecp
        room = min(ecp.max_payload, self.settings.mtu - ecp.overhead)
        payload = self.vdp.next_payload(room, most, now)
        if payload is not None:
            for event in self.transmit.send(payload, now):
                self._transmitted(event, effects, now)

    @property
    def _gap(self) -> Instant:
        if self.settings.gap is not None:
            return self.settings.gap
        return STRICT_GAP if self.peer is Peer.STRICT else 0

    def _is_for_us(self, destination: bytes, form: Form) -> bool:
        return (
            destination == self.mac_address
            or destination == form.ecp.destination
            or destination in form.ecp.also_accepted
            or destination == self.settings.destination
        )

    def _frame(self, ecpdu: bytes, ethertype: bytes | None = None) -> bytes:
        ecp = FORMS[self.edition].ecp
        destination, its_ethertype = ecp.destination, ecp.ethertypes[0]
        if self.edition == "ratified":
            destination = self.settings.destination or destination
            its_ethertype = self.settings.ethertype or its_ethertype
        if ethertype is not None:
            its_ethertype = int.from_bytes(ethertype, "big")
        return EthernetFrame(destination, self.mac_address, its_ethertype, ecpdu).encode()
