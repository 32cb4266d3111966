"""What both roles of EVB have in common: who the peer is, what it is told, and the answer in words."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar

from protocols.evb.peers import Candidates, EvbBody, NeighborKey, Peers
from protocols.evb.status import (
    Edition,
    EvbCapability,
    EvbSettings,
    Forwarding,
    Operational,
    Relay,
    Role,
    Statement,
    refused_exponents,
    resolve,
)

STATEMENTS_KEPT = 8

Describe = Callable[[NeighborKey], str]
"""A neighbour's name for people."""


class EvbRole(ABC):
    """No memory beyond the neighbours' TLVs: every value follows from the ones in force."""

    role: ClassVar[Role]
    other: ClassVar[Role]

    def __init__(self, settings: EvbSettings) -> None:
        self.settings = settings
        self.vsis = 0  # how many there are, for the draft's TLV to say
        self.peers = Peers(self.other, settings.editions)
        self._candidates = Candidates(None)
        self._encoded: dict[tuple[str, Statement], bytes] = {}

    def configure(self, settings: EvbSettings) -> None:
        self.settings = settings
        self.peers.editions = settings.editions
        self._candidates = self.peers.select()

    def heard(self, key: NeighborKey, bodies: Iterable[EvbBody]) -> None:
        """A neighbour's TLVs, new or changed."""
        self.peers.heard(key, bodies)
        self._candidates = self.peers.select()

    def lost(self, key: NeighborKey) -> None:
        """A neighbour said goodbye, or was silent for its TTL."""
        self.peers.lost(key)
        self._candidates = self.peers.select()

    def clear(self) -> None:
        """The link is down: nobody is there any more."""
        self.peers.clear()
        self._candidates = self.peers.select()

    @property
    @abstractmethod
    def statement(self) -> Statement:
        """What this role says now."""

    @property
    @abstractmethod
    def relay_active(self) -> bool:
        """Whether reflective relay is in operation, as far as this side can know."""

    @property
    def edition(self) -> Edition:
        """The edition that our TLV goes out in: the peer's, or the one offered while there is none."""
        return self._candidates.peer.edition if self._candidates.peer else self.settings.editions[0]

    @property
    def peer_key(self) -> NeighborKey | None:
        """The one neighbour that plays the other role."""
        return self._candidates.peer.key if self._candidates.peer else None

    def is_stranger(self, key: NeighborKey) -> bool:
        """Whether this neighbor is known to be somebody else than the peer: another one than it, or one like us."""
        peer = self.peer_key
        return key != peer if peer is not None else key in self._candidates.same_role

    @property
    def vdp_agreed(self) -> bool:
        """Whether the peer takes part in ECP and VDP: the draft's TLV says so, the ratified takes it for granted."""
        peer = self._candidates.peer
        if peer is None:
            return False
        wanted = EvbCapability.ECP | EvbCapability.VDP
        return peer.tlv.capabilities is None or self.statement.agreed_capabilities & wanted == wanted

    @property
    def operational(self) -> Operational:
        return resolve(self.edition, self.statement, self.relay_active)

    def tlv(self) -> EvbBody:
        """OUI, subtype and body of the TLV to send."""
        edition = self.edition
        return edition.oui, edition.subtype, self._encode(self.statement)

    def own_words(self) -> bytes:
        """The TLV's body without what only repeats the peer: a change in this is news, in the rest an echo."""
        return self._encode(self.statement.without_echo)

    def _encode(self, statement: Statement) -> bytes:
        """Asked for after each change of anything, and mostly the same as before."""
        key = self.edition.name, statement
        if key not in self._encoded:
            if len(self._encoded) >= STATEMENTS_KEPT:
                self._encoded.clear()
            self._encoded[key] = self.edition.encode(statement)
        return self._encoded[key]

    def forwarding(self, anyone_heard: bool, describe: Describe) -> Forwarding:
        """The answer in words. `anyone_heard`: some neighbour is known on this link, EVB or not."""
        peer = self._candidates.peer
        if self.relay_active and peer:
            return Forwarding(Relay.ACTIVE, peer.edition.name, self._why_active(describe(peer.key)))
        if not anyone_heard:
            return Forwarding(Relay.UNKNOWN, None, "no neighbor has been heard on this link")
        return Forwarding(Relay.INACTIVE, peer.edition.name if peer else None, self._why_inactive(describe))

    def warnings(self, describe: Describe) -> list[str]:
        """What an operator should look at."""
        candidates = self._candidates
        found = [self._several(describe)] if len(candidates.claimants) > 1 else []
        if not candidates.claimants:
            # With a peer there, others in our role are only overheard: a Linux bridge without STP forwards this scope.
            found += [f"role conflict: {describe(key)} is an EVB {self.role} too" for key in candidates.same_role[:4]]
        peer = candidates.peer
        if peer and (refused := refused_exponents(peer.tlv)):
            found.append(f"{describe(peer.key)} proposes {', '.join(refused)}, above the greatest usable 27: refused")
        return found

    @abstractmethod
    def _why_active(self, name: str) -> str:
        """The reason when reflective relay is agreed with the peer of this name."""

    @abstractmethod
    def _why_not(self, name: str) -> str:
        """The reason when it is not, though the peer of this name is there."""

    def _why_inactive(self, describe: Describe) -> str:
        candidates = self._candidates
        if len(candidates.claimants) > 1:
            return self._several(describe)
        if candidates.peer:
            return self._why_not(describe(candidates.peer.key))
        if candidates.same_role:
            return f"{describe(candidates.same_role[0])} is an EVB {self.role}, not a {self.other}"
        if candidates.unusable:
            return f"{describe(candidates.unusable[0])} sends an EVB TLV that names no usable role"
        return "the neighbor speaks LLDP but not EVB"

    def _several(self, describe: Describe) -> str:
        """The sentence for a link on which more than one system plays the other role."""
        claimants = sorted(self._candidates.claimants)
        shown = ", ".join(describe(key) for key in claimants[:4]) + (", ..." if len(claimants) > 4 else "")
        return f"{len(claimants)} systems claim to be the {self.other}: {shown}"
