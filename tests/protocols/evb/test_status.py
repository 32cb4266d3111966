"""What both sides' values come to: proposals, echoes, the greater of both, refused exponents."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from protocols.evb.ratified import RATIFIED
from protocols.evb.status import (
    MAX_EXPONENT,
    EvbCapability,
    EvbParameters,
    EvbTlv,
    Exponent,
    Role,
    Statement,
    propose,
    refused_exponents,
    resolve,
)

OWN = EvbParameters(retries=3, rte=14, rwd=20, rka=20)
BRIDGE = EvbTlv(Role.BRIDGE, retries=3, rte=14, rwd=Exponent(20), rka=Exponent(20))


def statement(peer: EvbTlv | None, own: EvbParameters = OWN) -> Statement:
    return Statement(Role.STATION, own, peer=peer)


@pytest.mark.parametrize(
    ("own", "received", "expected"),
    [
        (20, None, Exponent(20)),  # nobody there
        (20, Exponent(19), Exponent(20)),
        (20, Exponent(20), Exponent(20)),
        (20, Exponent(21), Exponent(20, remote=True)),  # run on the peer's, propose our own
        (20, Exponent(27), Exponent(20, remote=True)),
        (20, Exponent(28), Exponent(20)),  # refused: overflows lldpad
        (20, Exponent(31), Exponent(20)),
        (20, Exponent(25, remote=True), Exponent(20, remote=True)),  # our former proposal, until the peer comes down
        (20, Exponent(20, remote=True), Exponent(20)),
        (20, Exponent(19, remote=True), Exponent(20)),
        (0, Exponent(0), Exponent(0)),
        (0, Exponent(1), Exponent(0, remote=True)),
    ],
)
def test_what_is_proposed(own: int, received: Exponent | None, expected: Exponent) -> None:
    assert propose(own, received) == expected


def test_without_a_peer_the_local_values_hold() -> None:
    found = resolve(RATIFIED, statement(None), False)
    assert (found.edition, found.reflective_relay, found.group_ids) == ("ratified", False, False)
    assert (found.retries, found.rte, found.rwd, found.rka) == (3, 14, 20, 20)


@pytest.mark.parametrize("group_ids", [(True, True), (True, False), (False, True), (False, False)])
def test_group_ids_need_both(group_ids: tuple[bool, bool]) -> None:
    own, peer = group_ids
    found = resolve(RATIFIED, statement(replace(BRIDGE, group_ids=peer), replace(OWN, group_ids=own)), True)
    assert found.group_ids is (own and peer) and found.reflective_relay


@pytest.mark.parametrize("name", ["retries", "rte", "rwd", "rka"])
@pytest.mark.parametrize("received", range(8))
def test_the_greater_of_both_sides_holds(name: str, received: int) -> None:
    own = replace(OWN, **{name: 4})
    values = {"retries": 0, "rte": 0, "rwd": 0, "rka": 0, name: received}
    for remote in (False, True):
        peer = EvbTlv(
            Role.BRIDGE,
            retries=values["retries"],
            rte=values["rte"],
            rwd=Exponent(values["rwd"], remote),
            rka=Exponent(values["rka"], remote),
        )
        assert getattr(resolve(RATIFIED, statement(peer, own), False), name) == max(4, received)


def test_values_that_the_peers_edition_does_not_have() -> None:
    found = resolve(RATIFIED, statement(EvbTlv(None, rte=15)), False)
    assert (found.retries, found.rte, found.rwd, found.rka) == (3, 15, 20, 20)


@pytest.mark.parametrize("exponent", range(MAX_EXPONENT + 1, 32))
def test_refused_exponents_change_nothing_and_are_named(exponent: int) -> None:
    peer = EvbTlv(Role.BRIDGE, retries=3, rte=exponent, rwd=Exponent(exponent), rka=Exponent(exponent, True))
    found = resolve(RATIFIED, statement(peer), False)
    assert (found.rte, found.rwd, found.rka) == (14, 20, 20)
    assert refused_exponents(peer) == [f"RTE={exponent}", f"RWD={exponent}", f"RKA={exponent}"]


def test_usable_and_absent_exponents_are_not_refused() -> None:
    assert refused_exponents(replace(BRIDGE, rte=27, rwd=Exponent(27), rka=Exponent(27))) == []
    assert refused_exponents(EvbTlv(None, rte=0)) == []


EXPONENTS = st.builds(Exponent, st.integers(0, 31), st.booleans())


@examples(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 27), EXPONENTS)
def test_the_proposal_is_our_own_and_its_mark_says_whose_value_is_run_on(own: int, received: Exponent) -> None:
    peer = replace(BRIDGE, rwd=received)
    proposed = propose(own, received)
    runs_on = resolve(RATIFIED, statement(peer, replace(OWN, rwd=own)), False).rwd
    assert proposed.value == own <= runs_on <= MAX_EXPONENT
    assert proposed.remote is (runs_on != own)


# Has the peer heard us?

RTE, ECP = EvbCapability.RTE, EvbCapability.ECP


@pytest.mark.parametrize(
    ("offered", "agreed", "expected"),
    [
        (None, None, True),  # ratified: relay control is not said before
        (RTE, RTE, True),
        (RTE | ECP, EvbCapability(0), False),  # it could have agreed on RTE
        (ECP, EvbCapability(0), True),  # nothing in common: no proof is possible
        (EvbCapability(0), EvbCapability(0), True),
    ],
)
def test_whether_the_peer_has_heard_us(
    offered: EvbCapability | None, agreed: EvbCapability | None, expected: bool
) -> None:
    peer = EvbTlv(None, capabilities=offered, agreed_capabilities=agreed)
    assert statement(peer).peer_has_heard is expected
    assert not statement(None).peer_has_heard
