"""ECP's machines: both states with every input, and what holds of two of them on a bad wire."""

from collections import deque
from random import Random

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


def ack(sequence: int) -> Ecpdu:
    return Ecpdu(Operation.ACKNOWLEDGE, SUBTYPE_VDP, sequence)


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


def test_draft_takes_an_ack_of_any_attempt() -> None:
    transmit = EcpTransmit(DRAFT, 0, 3, 14)
    transmit.send(b"x", NOW)
    transmit.advance(NOW + DRAFT.ack_timer(14))
    assert transmit.acknowledge(ack(1), NOW + DRAFT.ack_timer(14)) == [Delivered()]


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


@pytest.mark.parametrize("seed", range(40))
@EDITIONS
def test_on_a_bad_wire(edition: Edition, seed: int) -> None:
    """What is reported as delivered was; in the order of sending; nothing comes that was not sent.

    On a wire that only loses and repeats at once, that is once each; a frame that is overtaken by a later one may be
    delivered again, which is why VDP's requests can be repeated without harm.
    """
    random = Random(seed)
    transmit = EcpTransmit(edition, random.randrange(1 << 16), 3, 8)
    receive = EcpReceive(edition)
    wire: deque[Ecpdu] = deque()
    back: deque[Ecpdu] = deque()
    delivered: list[bytes] = []
    confirmed: list[bytes] = []
    now, number = NOW, 0
    current = b""
    overtakes = seed % 2 == 1

    def emit(queue: deque[Ecpdu], ecpdu: Ecpdu) -> None:
        for _ in range(2 if random.random() < 0.2 else 1):
            if random.random() >= 0.2:
                queue.append(ecpdu)
        if overtakes and random.random() < 0.2:
            random.shuffle(queue)

    def act(effects: object) -> None:
        assert isinstance(effects, list)
        for effect in effects:
            match effect:
                case SendEcpdu(ecpdu):
                    emit(wire, ecpdu)
                case Delivered():
                    confirmed.append(current)

    while number < 150:
        if transmit.ready and not (wire and not overtakes):
            number += 1
            current = number.to_bytes(2, "big")
            act(transmit.send(current, now))
        while wire:
            for effect in receive.receive(wire.popleft(), 8, now):
                match effect:
                    case SendEcpdu(ecpdu):
                        emit(back, ecpdu)
                    case Deliver(_, payload):
                        delivered.append(payload)
        while back:
            act(transmit.acknowledge(back.popleft(), now))
        now += 1000
        act(transmit.advance(now))
    assert set(confirmed) <= set(delivered)
    if not overtakes and edition is RATIFIED:
        assert delivered == sorted(set(delivered)), "once each, in order"
    assert len(confirmed) > 130


@EDITIONS
def test_a_number_that_comes_again_after_a_while_is_new(edition: Edition) -> None:
    """A lldpad that was started anew begins with 1 again, and may ask for the very same."""
    receive = EcpReceive(edition)
    late = 2 * edition.ack_timer(14) + LATE
    assert len(receive.receive(request(1), 14, NOW)) == 2
    assert len(receive.receive(request(1), 14, NOW + late)) == 1, "a repetition"
    assert len(receive.receive(request(1), 14, NOW + 2 * late)) == 1, "and another one"
    assert len(receive.receive(request(1), 14, NOW + 3 * late + 1)) == 2
