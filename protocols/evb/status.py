"""What an EVB TLV says, whichever its edition, and what follows from both sides' (sheet `evb-tlv.md` 2, 3, 5)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum, IntFlag, StrEnum

MAX_EXPONENT = 27  # 10 us * 2^28 overflows the 32-bit arithmetic of lldpad (interop-notes E8): refused from anybody


class Role(StrEnum):
    STATION = "station"
    BRIDGE = "bridge"


class RelayStatus(IntEnum):
    """RRSTAT: what a station has learnt of reflective relay."""

    FALSE = 0
    TRUE = 1
    RESERVED = 2
    UNKNOWN = 3


class EvbCapability(IntFlag):
    """Capabilities that the draft's TLV names; the ratified one takes them for granted."""

    VDP = 0x01
    ECP = 0x02
    RTE = 0x04


@dataclass(frozen=True, slots=True)
class Exponent:
    """A timer of 10 us * 2^value. `remote` (ROL): the sender runs on the value that it received (lldpad repeats it)."""

    value: int
    remote: bool = False


@dataclass(frozen=True, slots=True)
class EvbTlv:
    """One side's statement, in terms that both editions share.

    `role` is None where the sender names none (draft) or one that cannot be used (not supported, reserved; then
    `usable` is False). `own_octet` is the status octet that the sender owns, for the peer to copy (ratified).
    The capabilities are the draft's: offered, and agreed on with the other side; None when ratified. `deaf`: it shows
    that the sender has not heard anybody (yet, or after a restart).
    """

    role: Role | None
    usable: bool = True
    relay_capable: bool = False
    relay_control: bool = False
    relay_request: bool = False
    relay_status: RelayStatus = RelayStatus.UNKNOWN
    group_ids: bool = False
    retries: int | None = None
    rte: int = 0
    rwd: Exponent | None = None
    rka: Exponent | None = None
    capabilities: EvbCapability | None = None
    agreed_capabilities: EvbCapability | None = None
    own_octet: int = 0
    deaf: bool = False


@dataclass(frozen=True, slots=True)
class EvbParameters:
    """Our own proposals. `retries` 0..7, exponents 0..27 (10 us * 2^n). `max_vsis` is said in the draft's TLV alone."""

    retries: int = 3
    rte: int = 14
    rwd: int = 20
    rka: int = 20
    group_ids: bool = False
    capabilities: EvbCapability = EvbCapability.RTE
    max_vsis: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """What a role has decided to say next; an edition puts it into its own form, with what it owes to `peer`."""

    role: Role
    parameters: EvbParameters
    relay_capable: bool = False
    relay_control: bool = False
    relay_request: bool = False
    relay_status: RelayStatus = RelayStatus.UNKNOWN
    peer: EvbTlv | None = None
    vsis: int = 0

    @property
    def rwd(self) -> Exponent:
        return propose(self.parameters.rwd, self.peer.rwd if self.peer else None)

    @property
    def rka(self) -> Exponent:
        return propose(self.parameters.rka, self.peer.rka if self.peer else None)

    @property
    def without_echo(self) -> "Statement":
        """The same statement with nothing copied from the peer's status octet, and without the number of VSIs."""
        peer = replace(self.peer, own_octet=0) if self.peer else None
        return replace(self, peer=peer, vsis=0)

    @property
    def agreed_capabilities(self) -> EvbCapability:
        """What both sides offer (draft)."""
        offered = self.peer.capabilities if self.peer else None
        return self.parameters.capabilities & offered if offered else EvbCapability(0)

    @property
    def peer_has_heard(self) -> bool:
        """Whether the peer's TLV can be an answer to ours.

        lldpad's draft TLV says "configured: relay" before lldpad has heard anybody (interop-notes E13); capabilities
        that are agreed on prove that it has. A peer that has none in common with us can give no such proof, and is
        believed.
        """
        peer = self.peer
        if peer is None:
            return False
        if peer.capabilities is None or peer.agreed_capabilities:
            return True
        return not peer.capabilities & self.parameters.capabilities


@dataclass(frozen=True, slots=True)
class Edition:
    """One form of the TLV: where it lives and how it is read and written. `decode` raises DecodeError."""

    name: str
    oui: bytes
    subtype: int
    decode: Callable[[bytes], EvbTlv]
    encode: Callable[[Statement], bytes]


@dataclass(frozen=True, slots=True)
class Operational:
    """The values that ECP and VDP run on."""

    edition: str
    reflective_relay: bool
    retries: int
    rte: int
    rwd: int
    rka: int
    group_ids: bool


class Relay(StrEnum):
    """The answer: does the other end reflect?"""

    ACTIVE = "active"
    INACTIVE = "inactive"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The answer, the edition that it was negotiated in (None: not negotiated), and why, in words."""

    relay: Relay
    edition: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class EvbSettings:
    """Settings of one port. `editions`: the acceptable ones; the first is offered while nobody has spoken."""

    editions: tuple[Edition, ...]
    reflective_relay: bool = True
    parameters: EvbParameters = field(default_factory=EvbParameters)


def propose(own: int, received: Exponent | None) -> Exponent:
    """RWD or RKA to transmit: always our own proposal, marked when the peer's is the greater, which is then run on.

    The peer's value is never repeated. lldpad repeats the greater one, with the mark even on a value that is its own
    too: two that do so never come down again (interop-notes E7), and who repeats to lldpad cannot tell whose the value
    is that comes back.
    """
    return Exponent(own, remote=received is not None and own < received.value <= MAX_EXPONENT)


def resolve(edition: Edition, statement: Statement, reflective_relay: bool) -> Operational:
    """The greater of both sides for R, RTE, RWD and RKA, never below what the peer transmits; refused values aside."""
    own, peer = statement.parameters, statement.peer
    if peer is None:
        return Operational(edition.name, reflective_relay, own.retries, own.rte, own.rwd, own.rka, False)
    return Operational(
        edition.name,
        reflective_relay,
        max(own.retries, peer.retries or 0),
        _greater(own.rte, peer.rte),
        _greater(own.rwd, peer.rwd.value if peer.rwd else 0),
        _greater(own.rka, peer.rka.value if peer.rka else 0),
        own.group_ids and peer.group_ids,
    )


def refused_exponents(tlv: EvbTlv) -> list[str]:
    """The names and values of a peer's exponents that nobody can run on."""
    values = {"RTE": tlv.rte, "RWD": tlv.rwd.value if tlv.rwd else 0, "RKA": tlv.rka.value if tlv.rka else 0}
    return [f"{name}={value}" for name, value in values.items() if value > MAX_EXPONENT]


def _greater(own: int, received: int) -> int:
    return received if own < received <= MAX_EXPONENT else own
