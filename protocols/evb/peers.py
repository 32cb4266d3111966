"""Which neighbour is the other end of the negotiation, and in which edition (sheets `evb-tlv.md` 3.2, interop X)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protocols.errors import DecodeError
from protocols.evb.status import Edition, EvbTlv, Role

EvbBody = tuple[bytes, int, bytes]
"""OUI, subtype and the octets after them."""

NeighborKey = tuple[int, bytes, int, bytes]
"""The neighbour's MSAP identifier."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The one neighbour that plays the other role."""

    key: NeighborKey
    edition: Edition
    tlv: EvbTlv


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the neighbours' TLVs amount to: one peer, or why there is none."""

    peer: Peer | None
    claimants: tuple[NeighborKey, ...] = ()
    same_role: tuple[NeighborKey, ...] = ()
    unusable: tuple[NeighborKey, ...] = ()


class Peers:
    """The EVB TLVs of a port's neighbours. `wanted` is the role opposite to ours."""

    def __init__(self, wanted: Role, editions: tuple[Edition, ...]) -> None:
        self.wanted = wanted
        self.editions = editions
        self.errors = 0
        self._tlvs: dict[NeighborKey, Mapping[str, EvbTlv]] = {}
        self._settled: tuple[NeighborKey, str] | None = None

    def heard(self, key: NeighborKey, bodies: Iterable[EvbBody]) -> None:
        """The neighbour's organizational TLVs as they are now; without an EVB TLV among them, it has withdrawn."""
        found: dict[str, EvbTlv] = {}
        for oui, subtype, body in bodies:
            for edition in self.editions:
                if (oui, subtype) != (edition.oui, edition.subtype):
                    continue
                try:
                    tlv = edition.decode(body)
                except DecodeError:
                    self.errors += 1
                    continue
                if edition.name in found:
                    self.errors += 1
                else:
                    found[edition.name] = tlv
        if found:
            self._tlvs[key] = found
        else:
            self._tlvs.pop(key, None)

    def lost(self, key: NeighborKey) -> None:
        self._tlvs.pop(key, None)

    def clear(self) -> None:
        self._tlvs.clear()
        self._settled = None

    def select(self) -> Candidates:
        """The peer. The edition that a neighbour was first taken in stays, for as long as it goes on speaking it."""
        claims: list[Peer] = []
        same_role: list[NeighborKey] = []
        unusable: list[NeighborKey] = []
        for key, tlvs in self._tlvs.items():
            spoken = [(edition, tlvs[edition.name]) for edition in self._by_preference(key) if edition.name in tlvs]
            claim = next(
                (Peer(key, edition, tlv) for edition, tlv in spoken if tlv.usable and tlv.role in (None, self.wanted)),
                None,
            )
            if claim:
                claims.append(claim)
            elif any(tlv.usable for _, tlv in spoken):
                same_role.append(key)
            else:
                unusable.append(key)
        peer = claims[0] if len(claims) == 1 else None
        if peer:
            self._settled = (peer.key, peer.edition.name)
        elif not claims:
            self._settled = None
        claimants = tuple(claim.key for claim in claims)
        return Candidates(peer, claimants, tuple(same_role), tuple(unusable))

    def _by_preference(self, key: NeighborKey) -> tuple[Edition, ...]:
        if self._settled is None or self._settled[0] != key:
            return self.editions
        return tuple(sorted(self.editions, key=lambda edition: edition.name != self._settled_name))

    @property
    def _settled_name(self) -> str:
        return self._settled[1] if self._settled else ""
