"""Which neighbour is the other end of the negotiation: roles, editions, crowds, TLVs that come and go."""

import pytest

from protocols.evb.draft import DRAFT
from protocols.evb.peers import Candidates, EvbBody, NeighborKey, Peers
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import Edition, Role

AUTO = (RATIFIED, DRAFT)


def key(number: int) -> NeighborKey:
    return 4, bytes([2, 0, 0, 0, 0, number]), 3, bytes([2, 0, 0, 0, 0, number])


A, B, C = key(1), key(2), key(3)


def ratified(octets: str) -> EvbBody:
    return bytes.fromhex("0080c2"), 13, bytes.fromhex(octets)


def draft(octets: str) -> EvbBody:
    return bytes.fromhex("001b3f"), 0, bytes.fromhex(octets)


BRIDGE = ratified("0200 6e 54 14")
STATION = ratified("0007 6e 94 14")
NOT_SUPPORTED = ratified("0000 6e 14 14")
RESERVED = ratified("0000 6e d4 14")
SHORT = ratified("0200 6e 54")
DRAFT_RELAY = draft("4007 4000 0000 0000 0f")
DRAFT_STANDARD = draft("8007 8000 0000 0000 0f")
DRAFT_MODELESS = draft("0007 4000 0000 0000 0f")
OTHER: EvbBody = (bytes.fromhex("0080c2"), 14, bytes(4))


def stations_peers(editions: tuple[Edition, ...] = AUTO) -> Peers:
    return Peers(Role.BRIDGE, editions)


def summary(candidates: Candidates) -> tuple[str | None, int, int, int]:
    peer = candidates.peer
    edition = peer.edition.name if peer else None
    return edition, len(candidates.claimants), len(candidates.same_role), len(candidates.unusable)


@pytest.mark.parametrize(
    ("bodies", "found"),
    [
        ([], (None, 0, 0, 0)),
        ([OTHER], (None, 0, 0, 0)),
        ([SHORT], (None, 0, 0, 0)),
        ([DRAFT_MODELESS], (None, 0, 0, 0)),
        ([BRIDGE], ("ratified", 1, 0, 0)),
        ([OTHER, BRIDGE], ("ratified", 1, 0, 0)),
        ([STATION], (None, 0, 1, 0)),
        ([NOT_SUPPORTED], (None, 0, 0, 1)),
        ([RESERVED], (None, 0, 0, 1)),
        ([DRAFT_RELAY], ("draft", 1, 0, 0)),
        ([DRAFT_STANDARD], ("draft", 1, 0, 0)),
        ([DRAFT_RELAY, BRIDGE], ("ratified", 1, 0, 0)),  # ratified before draft
        ([BRIDGE, DRAFT_RELAY], ("ratified", 1, 0, 0)),
        ([SHORT, DRAFT_RELAY], ("draft", 1, 0, 0)),
        ([NOT_SUPPORTED, DRAFT_RELAY], ("draft", 1, 0, 0)),
        ([SHORT, BRIDGE], ("ratified", 1, 0, 0)),  # the first valid one
        ([BRIDGE, STATION], ("ratified", 1, 0, 0)),
        ([STATION, BRIDGE], (None, 0, 1, 0)),
    ],
)
def test_one_neighbor(bodies: list[EvbBody], found: tuple[str | None, int, int, int]) -> None:
    peers = stations_peers()
    peers.heard(A, bodies)
    assert summary(peers.select()) == found


@pytest.mark.parametrize(
    ("bodies", "errors"),
    [
        ([BRIDGE], 0),
        ([SHORT], 1),
        ([DRAFT_MODELESS], 1),
        ([BRIDGE, STATION], 1),
        ([BRIDGE, BRIDGE, SHORT], 2),
        ([BRIDGE, DRAFT_RELAY], 0),
        ([OTHER], 0),
    ],
)
def test_tlvs_in_error_are_counted(bodies: list[EvbBody], errors: int) -> None:
    peers = stations_peers()
    peers.heard(A, bodies)
    assert peers.errors == errors


@pytest.mark.parametrize(
    ("editions", "found"),
    [((RATIFIED,), "ratified"), ((DRAFT,), "draft"), (AUTO, "ratified"), ((DRAFT, RATIFIED), "draft")],
)
def test_only_acceptable_editions_count_in_their_order(editions: tuple[Edition, ...], found: str) -> None:
    peers = stations_peers(editions)
    peers.heard(A, [DRAFT_RELAY, BRIDGE])
    assert summary(peers.select())[0] == found


def test_the_roles_are_opposite() -> None:
    for wanted, claims, refuses in ((Role.BRIDGE, BRIDGE, STATION), (Role.STATION, STATION, BRIDGE)):
        peers = Peers(wanted, AUTO)
        peers.heard(A, [claims])
        peers.heard(B, [refuses])
        candidates = peers.select()
        assert candidates.peer and candidates.peer.key == A
        assert candidates.same_role == (B,)


def test_two_claimants_are_none_until_one_is_gone() -> None:
    peers = stations_peers()
    peers.heard(A, [BRIDGE])
    peers.heard(B, [DRAFT_RELAY])
    candidates = peers.select()
    assert candidates.peer is None and set(candidates.claimants) == {A, B}
    peers.lost(A)
    candidates = peers.select()
    assert candidates.peer and (candidates.peer.key, candidates.peer.edition) == (B, DRAFT)


def test_a_neighbor_that_drops_its_tlv_has_withdrawn() -> None:
    peers = stations_peers()
    peers.heard(A, [BRIDGE])
    peers.heard(A, [OTHER])
    assert summary(peers.select()) == (None, 0, 0, 0)
    peers.heard(A, [BRIDGE])
    peers.heard(A, [SHORT])
    assert summary(peers.select()) == (None, 0, 0, 0)


def test_who_is_not_known_can_be_lost() -> None:
    peers = stations_peers()
    peers.lost(A)
    peers.heard(A, [])
    assert summary(peers.select()) == (None, 0, 0, 0)


def test_the_edition_that_a_neighbor_was_taken_in_stays_while_it_speaks_it() -> None:
    peers = stations_peers()
    peers.heard(A, [DRAFT_RELAY])
    assert summary(peers.select())[0] == "draft"
    peers.heard(A, [BRIDGE, DRAFT_RELAY])
    assert summary(peers.select())[0] == "draft"
    peers.heard(A, [BRIDGE])
    assert summary(peers.select())[0] == "ratified"
    peers.heard(A, [BRIDGE, DRAFT_RELAY])
    assert summary(peers.select())[0] == "ratified"


def test_the_edition_is_chosen_anew_after_the_neighbor_was_lost() -> None:
    peers = stations_peers()
    for forget in (lambda: peers.lost(A), peers.clear):
        peers.heard(A, [DRAFT_RELAY])
        assert summary(peers.select())[0] == "draft"
        forget()
        assert summary(peers.select()) == (None, 0, 0, 0)
        peers.heard(A, [DRAFT_RELAY, BRIDGE])
        assert summary(peers.select())[0] == "ratified"
        forget()


def test_another_neighbors_edition_is_its_own() -> None:
    peers = stations_peers()
    peers.heard(A, [DRAFT_RELAY])
    peers.select()
    peers.heard(B, [DRAFT_RELAY, BRIDGE])
    peers.select()
    peers.lost(A)
    assert summary(peers.select())[0] == "ratified"


def test_the_peer_is_kept_through_a_crowd_in_the_edition_it_had() -> None:
    peers = stations_peers()
    peers.heard(A, [DRAFT_RELAY])
    peers.select()
    for number in range(10, 40):
        peers.heard(key(number), [BRIDGE])
        assert peers.select().peer is None
    peers.heard(A, [DRAFT_RELAY, BRIDGE])
    for number in range(10, 40):
        peers.lost(key(number))
    assert summary(peers.select())[0] == "draft"
