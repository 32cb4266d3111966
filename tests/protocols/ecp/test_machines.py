"""ECP's machines: every state with every input."""

import pytest

from protocols.ecp.draft import DRAFT
from protocols.ecp.edition import Edition
from protocols.ecp.pdu import SUBTYPE_PE_CSP, SUBTYPE_VDP, Deliver, Delivered, Ecpdu, GaveUp, Operation, SendEcpdu
from protocols.ecp.ratified import RATIFIED
from protocols.ecp.receive import LATE, EcpReceive
from protocols.ecp.transmit import EcpTransmit

EDITIONS = pytest.mark.parametrize("edition", [RATIFIED, DRAFT], ids=lambda edition: edition.name)
NOW = 1_000_000


def sent(effects: object) -> Ecpdu:
    """The one ECPDU that leaves."""
    assert isinstance(effects, list)
    (effect,) = effects
    assert isinstance(effect, SendEcpdu)
    return effect.ecpdu


def ack(sequence: int, subtype: int = SUBTYPE_VDP) -> Ecpdu:
    return Ecpdu(Operation.ACKNOWLEDGE, subtype, sequence)


@EDITIONS
def test_acknowledged(edition: Edition) -> None:
    transmit = EcpTransmit(edition, 41, 3, 14)
    assert transmit.ready and transmit.next_deadline() is None
    first = sent(transmit.send(b"one", NOW))
    assert (first.sequence, first.payload, first.operation) == (42, b"one", Operation.REQUEST)
    assert not transmit.ready and transmit.next_deadline() == NOW + edition.ack_timer(14)
    assert transmit.acknowledge(ack(42), NOW + 5) == [Delivered()]
    assert transmit.ready and transmit.next_deadline() is None
    assert sent(transmit.send(b"two", NOW + 5)).sequence == 43
    assert (transmit.statistics.requests, transmit.statistics.acks, transmit.statistics.retries) == (2, 1, 0)


@EDITIONS
def test_repeated_and_given_up(edition: Edition) -> None:
    """1 + R transmissions; in the ratified edition octet by octet the same, in the draft with a number each."""
    transmit = EcpTransmit(edition, 0, 2, 8)
    sequences = [sent(transmit.send(b"x", NOW)).sequence]
    for _ in range(edition.attempts(2) - 1):
        due = transmit.next_deadline()
        assert due is not None and transmit.advance(due - 1) == []
        again = sent(transmit.advance(due))
        assert again.payload == b"x"
        sequences.append(again.sequence)
    assert sequences == ([1, 2, 3] if edition.renumber else [1, 1, 1])
    due = transmit.next_deadline()
    assert due is not None and transmit.advance(due) == [GaveUp()]
    assert transmit.ready and transmit.statistics.errors == 1 and transmit.statistics.retries == 2
    assert transmit.acknowledge(ack(sequences[-1]), due) == [] and transmit.statistics.unmatched_acks == 1
    assert sent(transmit.send(b"y", due)).sequence == sequences[-1] + 1


@EDITIONS
def test_acks_that_are_not_for_it(edition: Edition) -> None:
    transmit = EcpTransmit(edition, 9, 3, 14)
    assert transmit.acknowledge(ack(10), NOW) == []
    transmit.send(b"x", NOW)
    for sequence in (9, 11, 0, 0xFFFF):
        assert transmit.acknowledge(ack(sequence), NOW) == [] and not transmit.ready
    assert transmit.acknowledge(ack(10), NOW) == [Delivered()]
    assert transmit.acknowledge(ack(10), NOW) == [], "a second one for the same"
    assert transmit.statistics.unmatched_acks == 6


@pytest.mark.parametrize("subtype", [0, SUBTYPE_PE_CSP, 3, 0x3FF])
def test_acks_of_other_subtypes(subtype: int) -> None:
    """Their numbers have nothing to do with ours (sheet ecp.md 2: an ack has the subtype of its request)."""
    transmit = EcpTransmit(RATIFIED, 9, 3, 14)
    transmit.send(b"x", NOW)
    assert transmit.acknowledge(ack(10, subtype), NOW) == [] and not transmit.ready
    assert transmit.statistics.unmatched_acks == 1
    assert transmit.acknowledge(ack(10), NOW) == [Delivered()]


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_draft_takes_an_ack_of_any_attempt(attempt: int) -> None:
    transmit = EcpTransmit(DRAFT, 0, 3, 14)
    transmit.send(b"x", NOW)
    for expired in (1, 2):
        assert transmit.acknowledge(ack(2 + expired), NOW) == [], "a number that was not sent yet"
        transmit.advance(NOW + expired * DRAFT.ack_timer(14))
    assert transmit.acknowledge(ack(attempt), NOW + 2 * DRAFT.ack_timer(14)) == [Delivered()]
    transmit.send(b"y", NOW + 2 * DRAFT.ack_timer(14))
    for earlier in (1, 2, 3):
        assert transmit.acknowledge(ack(earlier), NOW + 2 * DRAFT.ack_timer(14)) == [], "of the payload before"


@EDITIONS
def test_an_ack_after_a_repetition(edition: Edition) -> None:
    """It ends the exchange: the timer that runs for the repetition does nothing any more."""
    transmit = EcpTransmit(edition, 0, 3, 8)
    transmit.send(b"x", NOW)
    again = sent(transmit.advance(NOW + edition.ack_timer(8)))
    assert transmit.acknowledge(ack(again.sequence), NOW + edition.ack_timer(8)) == [Delivered()]
    assert transmit.ready and transmit.next_deadline() is None
    assert transmit.advance(NOW + 10 * edition.ack_timer(8)) == []


@EDITIONS
def test_not_more_than_one_at_a_time_nor_longer_than_it_may_be(edition: Edition) -> None:
    transmit = EcpTransmit(edition, 0, 3, 14)
    with pytest.raises(AssertionError):
        transmit.send(bytes(edition.max_payload + 1), NOW)
    assert transmit.ready and transmit.statistics.requests == 0
    transmit.send(bytes(edition.max_payload), NOW)
    with pytest.raises(AssertionError, match="one ECPDU at a time"):
        transmit.send(b"x", NOW)


@EDITIONS
def test_numbers_wrap_around_zero(edition: Edition) -> None:
    transmit = EcpTransmit(edition, 0xFFFE, 3, 14)
    assert sent(transmit.send(b"x", NOW)).sequence == 0xFFFF
    transmit.acknowledge(ack(0xFFFF), NOW)
    assert sent(transmit.send(b"x", NOW)).sequence == 1


def test_new_values_count_from_the_next_transmission() -> None:
    transmit = EcpTransmit(RATIFIED, 0, 0, 8)
    transmit.send(b"x", NOW)
    transmit.configure(1, 14)
    assert transmit.next_deadline() == NOW + RATIFIED.ack_timer(8)
    assert sent(transmit.advance(NOW + RATIFIED.ack_timer(8))).payload == b"x"
    assert transmit.next_deadline() == NOW + RATIFIED.ack_timer(8) + RATIFIED.ack_timer(14)


def test_fewer_retries_end_what_is_in_flight() -> None:
    """R is looked at when the timer expires, so what has had its attempts by the new value has no more."""
    transmit = EcpTransmit(RATIFIED, 0, 7, 8)
    transmit.send(b"x", NOW)
    transmit.configure(0, 8)
    assert transmit.ready is False and transmit.advance(NOW + RATIFIED.ack_timer(8)) == [GaveUp()]


@EDITIONS
def test_configured_while_idle(edition: Edition) -> None:
    transmit = EcpTransmit(edition, 0, 3, 8)
    transmit.configure(0, 14)
    assert transmit.ready and transmit.next_deadline() is None
    transmit.send(b"x", NOW)
    assert transmit.next_deadline() == NOW + edition.ack_timer(14)


def test_advance_is_safe_at_any_time() -> None:
    transmit = EcpTransmit(RATIFIED, 0, 3, 14)
    assert transmit.advance(NOW) == []
    transmit.send(b"x", NOW)
    assert transmit.advance(NOW) == []
    due = transmit.next_deadline()
    assert due is not None
    transmit.advance(due)
    assert transmit.advance(due) == [] and transmit.next_deadline() == due + RATIFIED.ack_timer(14)


def request(sequence: int, payload: bytes = b"x", subtype: int = SUBTYPE_VDP) -> Ecpdu:
    return Ecpdu(Operation.REQUEST, subtype, sequence, payload)


@EDITIONS
def test_acknowledged_first_and_delivered_once(edition: Edition) -> None:
    receive = EcpReceive(edition)
    acknowledged = SendEcpdu(edition.acknowledgement(request(7)))
    assert receive.receive(request(7), 14, NOW) == [acknowledged, Deliver(SUBTYPE_VDP, b"x")]
    assert receive.receive(request(7), 14, NOW) == [acknowledged]
    for sequence in (8, 6, 0, 0xFFFF):
        assert Deliver(SUBTYPE_VDP, b"x") in receive.receive(request(sequence), 14, NOW), "a jump is new"
    assert receive.statistics.duplicates == 1 and receive.statistics.acks == 6


@pytest.mark.parametrize("sequence", [0, 1, 0xFFFF])
def test_first_is_always_new(sequence: int) -> None:
    assert len(EcpReceive(RATIFIED).receive(request(sequence), 14, NOW)) == 2


def test_same_number_other_content() -> None:
    """Ratified: a repetition all the same. Draft: lldpad numbers anew, so the content tells (interop-notes P7)."""
    for edition, delivered in ((RATIFIED, False), (DRAFT, True)):
        receive = EcpReceive(edition)
        receive.receive(request(1, b"a"), 14, NOW)
        assert (Deliver(SUBTYPE_VDP, b"b") in receive.receive(request(1, b"b"), 14, NOW)) is delivered


def test_other_subtypes() -> None:
    """Subtype 2 is acknowledged and goes nowhere, unknown ones are left unanswered (sheet ecp.md 2)."""
    receive = EcpReceive(RATIFIED)
    assert receive.receive(request(1, subtype=SUBTYPE_PE_CSP), 14, NOW) == [
        SendEcpdu(Ecpdu(Operation.ACKNOWLEDGE, SUBTYPE_PE_CSP, 1))
    ]
    assert receive.receive(request(1, subtype=3), 14, NOW) == []
    assert Deliver(SUBTYPE_VDP, b"x") in receive.receive(request(1), 14, NOW), "each subtype has its numbers"
    assert receive.statistics.other_subtypes == 2


@pytest.mark.parametrize("between", [SUBTYPE_PE_CSP, 3])
@EDITIONS
def test_other_subtypes_in_between(edition: Edition, between: int) -> None:
    """What comes between a request and its repetition does not make that a new one, whatever its number."""
    receive = EcpReceive(edition)
    assert len(receive.receive(request(5), 14, NOW)) == 2
    for number in (5, 9):
        receive.receive(request(number, subtype=between), 14, NOW)
        assert len(receive.receive(request(5), 14, NOW)) == 1
    assert receive.statistics.duplicates == 2 and receive.statistics.other_subtypes == 2


@EDITIONS
def test_a_number_that_comes_again_after_a_while_is_new(edition: Edition) -> None:
    """A lldpad that was started anew begins with 1 again, and may ask for the very same."""
    receive = EcpReceive(edition)
    late = 2 * edition.ack_timer(14) + LATE
    assert len(receive.receive(request(1), 14, NOW)) == 2
    assert len(receive.receive(request(1), 14, NOW + late)) == 1, "a repetition"
    assert len(receive.receive(request(1), 14, NOW + 2 * late)) == 1, "and another one"
    assert len(receive.receive(request(1), 14, NOW + 3 * late + 1)) == 2
