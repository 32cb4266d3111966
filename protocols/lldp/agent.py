"""One LLDP agent: the transmit and receive machines of one port and one destination address (sheet `lldp.md` 1, 2)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from protocols.frame import Scope
from protocols.lldp.codec import encode_lldpdu, shutdown
from protocols.lldp.mib import RemoteAdded, RemoteChange
from protocols.lldp.rx import Receive, RxState
from protocols.lldp.tlvs import ChassisId, Lldpdu, OptionalTlv, PortId
from protocols.lldp.tx import Send, Transmit, TxSettings
from protocols.timers import Instant

MAX_LLDPDU = 1500


class AdminStatus(StrEnum):
    """adminStatus, in the words of ieee802-dot1ab-lldp."""

    TX_ONLY = "tx-only"
    RX_ONLY = "rx-only"
    TX_AND_RX = "tx-and-rx"
    DISABLED = "disabled"

    @property
    def tx(self) -> bool:
        return self in (AdminStatus.TX_ONLY, AdminStatus.TX_AND_RX)

    @property
    def rx(self) -> bool:
        return self in (AdminStatus.RX_ONLY, AdminStatus.TX_AND_RX)


@dataclass(frozen=True, slots=True)
class LocalSystem:
    """What this system says about itself on a port: the two identifiers and the optional TLVs, in sending order."""

    chassis_id: ChassisId
    port_id: PortId
    optional: tuple[OptionalTlv, ...] = ()

    def same_identity(self, other: "LocalSystem") -> bool:
        return (self.chassis_id, self.port_id) == (other.chassis_id, other.port_id)


@dataclass(slots=True)
class TxStatistics:
    total: int = 0
    length_errors: int = 0


class LldpAgent:
    """Joins the machines. LLDPDUs to send come from `transmit`, asked for after all consequences of an event are in."""

    def __init__(
        self,
        scope: Scope,
        admin_status: AdminStatus,
        settings: TxSettings,
        local: LocalSystem,
        max_neighbors: int,
        recognizes: Callable[[bytes, int], bool],
    ) -> None:
        self.scope = scope
        self.admin_status = admin_status
        self.port_enabled = False
        self.local = local
        self.tx = Transmit(settings)
        self.rx = Receive(max_neighbors, recognizes)
        self.tx_statistics = TxStatistics()
        self._former: LocalSystem | None = None
        self._encoded: bytes | None = None

    def enable(self, port_enabled: bool, now: Instant) -> list[RemoteChange]:
        """portEnabled: the link is up (or down)."""
        self.port_enabled = port_enabled
        return self._administer(now)

    def set_admin_status(self, admin_status: AdminStatus, now: Instant) -> list[RemoteChange]:
        self.admin_status = admin_status
        return self._administer(now)

    def configure(self, settings: TxSettings, max_neighbors: int, now: Instant) -> None:
        """New variables; the TTL that we announce may change with them."""
        self.rx.remotes.limit = max_neighbors
        if settings != self.tx.settings:
            ttl_changed = settings.tx_ttl != self.tx.settings.tx_ttl
            self.tx.configure(settings, now)
            if ttl_changed:
                self._encoded = None
                self.tx.local_change(now)

    def set_local(self, local: LocalSystem, now: Instant, news: bool = True) -> None:
        """New content to announce. Another identity is another neighbour to the peer: the old one says goodbye first.

        Content that is no `news` (it repeats what the peer said) waits for the next LLDPDU, or msgFastTx at most.
        """
        if local == self.local:
            return
        if self._former is not None and local.same_identity(self._former):
            self._former = None  # back before anything was said: nobody left
        elif self._former is None and self.tx_statistics.total and not local.same_identity(self.local):
            self._former = self.local
        self.local = local
        self._encoded = None
        if news:
            self.tx.local_change(now)
        else:
            self.tx.hasten(now)

    @property
    def listens(self) -> bool:
        """Whether LLDPDUs are read at all: the link is up, and adminStatus wants it."""
        return self.rx.state is RxState.RX_WAIT_FOR_FRAME

    def repeat(self, now: Instant) -> None:
        """Say it again, for a peer that has forgotten or never heard it."""
        self.tx.local_change(now)

    def receive(self, source: bytes, payload: bytes, now: Instant) -> list[RemoteChange]:
        changes = self.rx.frame(source, payload, self._own_msap, now)
        if any(isinstance(change, RemoteAdded) for change in changes):
            self.tx.new_neighbor(now)
        return changes

    def next_deadline(self) -> Instant | None:
        deadlines = [due for due in (self.tx.next_deadline(), self.rx.next_deadline()) if due is not None]
        return min(deadlines) if deadlines else None

    def advance(self, now: Instant) -> list[RemoteChange]:
        self.tx.advance(now)
        return self.rx.advance(now)

    def transmit(self, now: Instant) -> list[bytes]:
        """The LLDPDUs that are due."""
        due = self.tx.transmit(now)
        if due is None:
            return []
        former, self._former = self._former, None
        if due is Send.SHUTDOWN:
            last = former or self.local
            payloads = [shutdown(last.chassis_id, last.port_id)]
        else:
            payloads = [shutdown(former.chassis_id, former.port_id)] if former else []
            payloads.append(self._lldpdu())
        self.tx_statistics.total += len(payloads)
        return payloads

    @property
    def _own_msap(self) -> tuple[int, bytes, int, bytes]:
        return (
            self.local.chassis_id.subtype,
            self.local.chassis_id.id,
            self.local.port_id.subtype,
            self.local.port_id.id,
        )

    def _administer(self, now: Instant) -> list[RemoteChange]:
        self.tx.enable(self.port_enabled, self.admin_status.tx, now)
        return self.rx.enable(self.port_enabled, self.admin_status.rx, now)

    def _lldpdu(self) -> bytes:
        if self._encoded is None:
            optional = self.local.optional
            while True:
                pdu = Lldpdu(self.local.chassis_id, self.local.port_id, self.tx.settings.tx_ttl, optional)
                self._encoded = encode_lldpdu(pdu)
                if len(self._encoded) <= MAX_LLDPDU:
                    break
                optional = optional[:-1]
                self.tx_statistics.length_errors += 1
        return self._encoded
