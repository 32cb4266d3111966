"""ECP's machines in the place of real lldpads: told what those heard, they say what those said."""

import pytest

from protocols.ecp.draft import DRAFT
from protocols.ecp.edition import Edition
from protocols.ecp.pdu import Deliver, Delivered, Ecpdu, GaveUp, Operation, SendEcpdu
from protocols.ecp.ratified import RATIFIED
from protocols.ecp.receive import EcpReceive
from protocols.ecp.transmit import EcpTransmit
from protocols.errors import DecodeError
from protocols.timers import Instant
from tests.support.wire import MILLISECOND, captured

STATION = bytes.fromhex("02000000000a")
BRIDGE = bytes.fromhex("02000000000b")
RTE = 14


def ecpdus(edition: Edition, name: str) -> list[tuple[Instant, bytes, Ecpdu]]:
    """When, who, and what; without the frames that are to be dropped."""
    found = []
    for time, frame in captured(name):
        if int.from_bytes(frame[12:14], "big") not in edition.ethertypes:
            continue
        try:
            found.append((time, frame[6:12], edition.decode(frame[14:])))
        except DecodeError:
            assert name == "lldpad-bridge-probe1.pcap", "the one that has a frame of another version"
    return found


@pytest.mark.parametrize(
    ("edition", "name", "lldpad", "delivered", "duplicates"),
    [
        (RATIFIED, "lldpad-bridge-probe1.pcap", BRIDGE, 20, 0),
        (RATIFIED, "lldpad-bridge-probe2.pcap", BRIDGE, 12, 0),
        (RATIFIED, "lldpad-bridge-back-to-back.pcap", BRIDGE, 4, 0),
        (RATIFIED, "lldpad-vdp22-lifecycle.pcap", BRIDGE, 6, 0),
        (RATIFIED, "lldpad-vdp22-filters.pcap", STATION, 13, 0),
        (RATIFIED, "lldpad-station-dest-mac-dup.pcap", STATION, 4, 1),
        (RATIFIED, "lldpad-station-odd-responses.pcap", STATION, 6, 0),
        (DRAFT, "lldpad-draft02-vdp-answered.pcap", STATION, 13, 0),
    ],
)
def test_acknowledges_as_lldpad(edition: Edition, name: str, lldpad: bytes, delivered: int, duplicates: int) -> None:
    """The same acknowledgements in the same order: none for subtype 3, one for subtype 2 and for each repetition."""
    receive = EcpReceive(edition)
    ours, theirs, payloads = [], [], []
    for time, sender, ecpdu in ecpdus(edition, name):
        if sender == lldpad and ecpdu.operation is Operation.ACKNOWLEDGE:
            theirs.append(edition.encode(ecpdu))
        elif sender != lldpad and ecpdu.operation is Operation.REQUEST:
            for effect in receive.receive(ecpdu, RTE, time):
                match effect:
                    case SendEcpdu(acknowledgement):
                        ours.append(edition.encode(acknowledgement))
                    case Deliver(_, payload):
                        payloads.append(payload)
    # Acknowledgements of a scripted peer's short frames are as long as its padding.
    size = len(edition.encode(Ecpdu(Operation.ACKNOWLEDGE, 1, 0)))
    assert [ack if edition is DRAFT else ack[:size] for ack in theirs] == ours
    assert (len(payloads), receive.statistics.duplicates) == (delivered, duplicates)


@pytest.mark.parametrize(
    ("name", "lldpad", "delivered", "duplicates"),
    [
        ("lldpad-station-ecp-loss.pcap", STATION, 3, 4),
        ("lldpad-vdp22-bridge-lost.pcap", STATION, 3, 8),
        ("lldpad-vdp22-station-lost.pcap", BRIDGE, 2, 4),
        ("lldpad-vdp22-rka31.pcap", STATION, 26, 4),
    ],
)
def test_lldpads_repetitions_are_delivered_once(name: str, lldpad: bytes, delivered: int, duplicates: int) -> None:
    receive = EcpReceive(RATIFIED)
    came = 0
    for time, sender, ecpdu in ecpdus(RATIFIED, name):
        if ecpdu.operation is Operation.REQUEST and sender == lldpad:
            came += sum(isinstance(effect, Deliver) for effect in receive.receive(ecpdu, RTE, time))
    assert (came, receive.statistics.duplicates) == (delivered, duplicates)


def test_lldpad_started_anew_is_heard() -> None:
    """Its second life begins with number 1 too; the lldpad at the other end threw that away (sheet ecp.md 4)."""
    receive = EcpReceive(RATIFIED)
    requests = [
        (time, ecpdu)
        for time, sender, ecpdu in ecpdus(RATIFIED, "lldpad-ecp22-seq-restart.pcap")
        if sender == STATION and ecpdu.operation is Operation.REQUEST
    ]
    assert [ecpdu.sequence for _, ecpdu in requests] == [1, 1]
    for time, ecpdu in requests:
        assert receive.receive(ecpdu, RTE, time)[1:] == [Deliver(ecpdu.subtype, ecpdu.payload)]


@pytest.mark.parametrize(
    ("edition", "name", "lldpad", "retries", "confirmed", "given_up"),
    [
        (RATIFIED, "lldpad-vdp22-bridge-lost.pcap", STATION, 4, 1, 2),
        (RATIFIED, "lldpad-vdp22-station-lost.pcap", BRIDGE, 4, 1, 1),
        (RATIFIED, "lldpad-station-ecp-loss.pcap", STATION, 3, 2, 1),
        (RATIFIED, "lldpad-vdp22-lifecycle.pcap", STATION, 3, 6, 0),
        (DRAFT, "lldpad-draft02-two-lldpads.pcap", STATION, 3, 3, 0),
        (DRAFT, "lldpad-draft02-vdp-answered.pcap", STATION, 3, 13, 0),
    ],
)
def test_transmits_as_lldpad(
    edition: Edition, name: str, lldpad: bytes, retries: int, confirmed: int, given_up: int
) -> None:
    """The same frames, first ones and repetitions, and these when lldpad sent them. Wrong acks change nothing."""
    heard = ecpdus(edition, name)
    first = next(ecpdu for _, sender, ecpdu in heard if sender == lldpad and ecpdu.operation is Operation.REQUEST)
    transmit = EcpTransmit(edition, first.sequence - 1, retries, RTE)
    ends: list[object] = []

    def expire() -> list[object]:
        due = transmit.next_deadline()
        assert due is not None
        effects: list[object] = list(transmit.advance(due))
        ends.extend(effect for effect in effects if isinstance(effect, GaveUp))
        return effects

    for time, sender, ecpdu in heard:
        if sender != lldpad and ecpdu.operation is Operation.ACKNOWLEDGE:
            ends += transmit.acknowledge(ecpdu, time)
        elif sender == lldpad and ecpdu.operation is Operation.REQUEST:
            due = transmit.next_deadline()
            effects = [] if transmit.ready else expire()
            if transmit.ready:
                effects = list(transmit.send(ecpdu.payload, time))
            else:
                assert due is not None and 0 <= time - due < 5 * MILLISECOND
            assert effects == [SendEcpdu(ecpdu)]
    if not transmit.ready:
        assert expire() == [GaveUp()], "lldpad stopped here"
    assert (ends.count(Delivered()), ends.count(GaveUp())) == (confirmed, given_up)
