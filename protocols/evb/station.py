"""The station's side of EVB: asks for reflective relay and learns whether it has it (sheet `evb-tlv.md` 3)."""

from collections.abc import Callable, Iterable

from protocols.evb.peers import Candidates, EvbBody, NeighborKey, Peers
from protocols.evb.status import (
    Edition,
    EvbSettings,
    Forwarding,
    Operational,
    Relay,
    RelayStatus,
    Role,
    Statement,
    refused_exponents,
    resolve,
)


class EvbStation:
    """No timers and no memory of its own beyond the neighbours' TLVs: every value follows from the ones in force."""

    role = Role.STATION

    def __init__(self, settings: EvbSettings) -> None:
        self.settings = settings
        self.peers = Peers(Role.BRIDGE, settings.editions)
        self._candidates = Candidates(None)

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
    def edition(self) -> Edition:
        """The edition that our TLV goes out in: the peer's, or the one offered while there is none."""
        return self._candidates.peer.edition if self._candidates.peer else self.settings.editions[0]

    @property
    def statement(self) -> Statement:
        peer = self._candidates.peer
        tlv = peer.tlv if peer else None
        request = self.settings.reflective_relay
        if tlv is None:
            status = RelayStatus.UNKNOWN
        else:
            status = RelayStatus.TRUE if tlv.relay_control else RelayStatus.FALSE
        return Statement(
            role=self.role,
            parameters=self.settings.parameters,
            relay_request=request,
            # What the draft calls our configured mode; in the ratified TLV this bit is the bridge's and gets copied.
            relay_control=bool(request and tlv and tlv.relay_capable),
            relay_status=status,
            peer=tlv,
        )

    @property
    def operational(self) -> Operational:
        return resolve(self.edition, self.statement, self.relay_active)

    @property
    def relay_active(self) -> bool:
        statement = self.statement
        peer = statement.peer
        return bool(statement.relay_request and peer and peer.relay_control and statement.peer_has_heard)

    def tlv(self) -> EvbBody:
        """OUI, subtype and body of the TLV to send."""
        edition = self.edition
        return edition.oui, edition.subtype, edition.encode(self.statement)

    def own_words(self) -> bytes:
        """The TLV's body without what only repeats the bridge: a change in this is news, in the rest an echo."""
        return self.edition.encode(self.statement.without_echo)

    def forwarding(self, anyone_heard: bool, describe: Callable[[NeighborKey], str]) -> Forwarding:
        """The answer in words. `anyone_heard`: some neighbour is known on this link, EVB or not."""
        peer = self._candidates.peer
        if self.relay_active and peer:
            return Forwarding(Relay.ACTIVE, peer.edition.name, f"reflective relay agreed with {describe(peer.key)}")
        edition = peer.edition.name if peer else None
        if not anyone_heard:
            return Forwarding(Relay.UNKNOWN, None, "no neighbor has been heard on this link")
        return Forwarding(Relay.INACTIVE, edition, self._why_inactive(describe))

    def warnings(self, describe: Callable[[NeighborKey], str]) -> list[str]:
        """What an operator should look at."""
        found = role_warnings(self._candidates, self.role, describe)
        peer = self._candidates.peer
        if peer and (refused := refused_exponents(peer.tlv)):
            found.append(f"{describe(peer.key)} proposes {', '.join(refused)}, above the greatest usable 27: refused")
        return found

    def _why_inactive(self, describe: Callable[[NeighborKey], str]) -> str:
        candidates = self._candidates
        if len(candidates.claimants) > 1:
            return several(candidates, "bridge", describe)
        if candidates.peer is None:
            if candidates.same_role:
                return f"{describe(candidates.same_role[0])} is an EVB station, not a bridge"
            if candidates.unusable:
                return f"{describe(candidates.unusable[0])} sends an EVB TLV that names no usable role"
            return "the neighbor speaks LLDP but not EVB"
        name = describe(candidates.peer.key)
        if not self.settings.reflective_relay:
            return "reflective relay is not asked for (configuration)"
        if not candidates.peer.tlv.relay_capable:
            return f"{name} cannot do reflective relay"
        if not candidates.peer.tlv.relay_control:
            return f"{name} is able to do reflective relay but has not switched it on"
        return f"{name} has not heard this station yet"


def several(candidates: Candidates, role: str, describe: Callable[[NeighborKey], str]) -> str:
    """The sentence for a link on which more than one system plays the other role."""
    claimants = sorted(candidates.claimants)
    shown = ", ".join(describe(key) for key in claimants[:4]) + (", ..." if len(claimants) > 4 else "")
    return f"{len(claimants)} systems claim to be the {role}: {shown}"


def role_warnings(candidates: Candidates, own: Role, describe: Callable[[NeighborKey], str]) -> list[str]:
    """Warnings that both roles have in common."""
    other = "bridge" if own is Role.STATION else "station"
    found = [several(candidates, other, describe)] if len(candidates.claimants) > 1 else []
    if not candidates.claimants:
        # With a peer there, others in our role are only overheard: a Linux bridge without STP forwards this scope.
        found += [f"role conflict: {describe(key)} is an EVB {own} too" for key in candidates.same_role[:4]]
    return found
