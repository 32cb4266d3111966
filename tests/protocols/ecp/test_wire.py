"""What ECP promises of two machines on a bad wire, over thousands of runs.

Always: what is confirmed was delivered before, and each payload ends, confirmed or given up, within its attempts.
Ratified, nothing overtaken: each payload at most once and in the order of sending, also those that were given up.
Draft, nothing overtaken: in that order, but as often as there are attempts, since each of them has its own number.
What is overtaken by a later frame may come again and late: hence VDP's requests may be repeated without harm.
Restarts add only what no memory can help: a receiver that is started anew may be told the last payload again.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from random import Random

import pytest

from protocols.ecp.draft import DRAFT
from protocols.ecp.edition import Edition
from protocols.ecp.pdu import Deliver, Delivered, Ecpdu, GaveUp, Operation, SendEcpdu
from protocols.ecp.ratified import RATIFIED
from protocols.ecp.receive import EcpReceive, ReceiveStatistics
from protocols.ecp.transmit import EcpTransmit, TransmitStatistics
from protocols.timers import Instant

EDITIONS = pytest.mark.parametrize("edition", [RATIFIED, DRAFT], ids=lambda edition: edition.name)
SEEDS = range(120)
PAYLOADS = 8
RETRIES, RTE = 3, 8
# Where senders may begin: so far apart that no two lives of a run share a number, and one that goes beyond the last.
FIRST_SEQUENCES = range(48, 1 << 16, 64)


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances, and delays in parts of the ackTimer: between two, each frame its own, so that some are overtaken."""

    loss: float = 0.0
    duplication: float = 0.0
    least_delay: float = 0.05
    most_delay: float = 0.05
    restarts_sender: float = 0.0
    restarts_receiver: float = 0.0


CLEAR = Weather()
LOSSY = Weather(loss=0.3, duplication=0.2)
SLOW = Weather(loss=0.1, duplication=0.1, least_delay=0.8, most_delay=0.8)  # acks come after the first repetition
OVERTAKING = Weather(loss=0.1, duplication=0.3, most_delay=3.0)


@dataclass(slots=True)
class Run:
    """One payload after the other from one end to the other. Payloads are numbers, from 0 on."""

    edition: Edition
    seed: int
    weather: Weather
    delivered: list[int] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    receiver_restarts: int = 0
    requests_arrived: int = 0
    transmitted: TransmitStatistics = field(default_factory=TransmitStatistics)
    received: ReceiveStatistics = field(default_factory=ReceiveStatistics)
    _air: list[tuple[Instant, int, Ecpdu]] = field(default_factory=list)
    _emitted: int = 0
    _begun_at: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        random = Random(f"{self.edition.name} {self.seed}")
        ack_timer = self.edition.ack_timer(RTE)
        transmit, receive = self._sender(random), EcpReceive(self.edition, self.received)
        now, begun, current = 1_000_000, 0, -1
        while True:
            if transmit.ready:
                if current + 1 == PAYLOADS:
                    break
                current, begun = current + 1, now
                self._act(transmit.send(bytes([current]), now), current, now, random)
            deadline = transmit.next_deadline()
            assert deadline is not None
            if self._air and self._air[0][0] <= deadline:
                now, _, ecpdu = heappop(self._air)
                if ecpdu.operation is Operation.ACKNOWLEDGE:
                    self._act(transmit.acknowledge(ecpdu, now), current, now, random)
                else:
                    self.requests_arrived += 1
                    if random.random() < self.weather.restarts_receiver:
                        self.receiver_restarts += 1
                        receive = EcpReceive(self.edition, self.received)
                    self._act(receive.receive(ecpdu, RTE, now), current, now, random)
            else:
                now = deadline
                self._act(transmit.advance(now), current, now, random)
            assert now - begun <= self.edition.attempts(RETRIES) * ack_timer
            if not transmit.ready and random.random() < self.weather.restarts_sender:
                self.forgotten.append(current)
                transmit = self._sender(random)

    def _sender(self, random: Random) -> EcpTransmit:
        first = random.choice(FIRST_SEQUENCES)
        while first in self._begun_at:
            first = random.choice(FIRST_SEQUENCES)
        self._begun_at.add(first)
        return EcpTransmit(self.edition, first, RETRIES, RTE, self.transmitted)

    def _act(self, effects: object, current: int, now: Instant, random: Random) -> None:
        assert isinstance(effects, list)
        for effect in effects:
            match effect:
                case SendEcpdu(ecpdu):
                    self._emit(ecpdu, now, random)
                case Deliver(_, payload):
                    self.delivered.append(payload[0])
                case Delivered():
                    assert current in self.delivered, "confirmed, and never delivered"
                    self.confirmed.append(current)
                case GaveUp():
                    self.given_up.append(current)

    def _emit(self, ecpdu: Ecpdu, now: Instant, random: Random) -> None:
        ack_timer = self.edition.ack_timer(RTE)
        for _ in range(2 if random.random() < self.weather.duplication else 1):
            if random.random() >= self.weather.loss:
                delay = int(random.uniform(self.weather.least_delay, self.weather.most_delay) * ack_timer)
                self._emitted += 1
                heappush(self._air, (now + delay, self._emitted, self.edition.decode(self.edition.encode(ecpdu))))


def runs(edition: Edition, weather: Weather) -> list[Run]:
    return [Run(edition, seed, weather) for seed in SEEDS]


@EDITIONS
def test_clear(edition: Edition) -> None:
    """Exactly once, nothing repeated."""
    for run in runs(edition, CLEAR):
        assert run.delivered == run.confirmed == list(range(PAYLOADS))
        assert run.requests_arrived == PAYLOADS and run.transmitted.retries == 0


@pytest.mark.parametrize("weather", [LOSSY, SLOW], ids=["lossy", "slow"])
@EDITIONS
def test_nothing_is_overtaken(edition: Edition, weather: Weather) -> None:
    given_up = repeated = 0
    for run in runs(edition, weather):
        if edition is RATIFIED:
            assert run.delivered == sorted(set(run.delivered)), "once each, in order"
        else:
            assert run.delivered == sorted(run.delivered), "in order"
            assert max(map(run.delivered.count, run.delivered)) <= edition.attempts(RETRIES)
        assert sorted(run.confirmed + run.given_up) == list(range(PAYLOADS))
        assert set(range(PAYLOADS)) - set(run.delivered) <= set(run.given_up)
        given_up += len(run.given_up)
        repeated += run.transmitted.retries
        check_statistics(run)
    assert repeated > 100 and given_up > 0, "weather that tests nothing"


@EDITIONS
def test_some_is_overtaken(edition: Edition) -> None:
    late = 0
    for run in runs(edition, OVERTAKING):
        assert sorted(run.confirmed + run.given_up) == list(range(PAYLOADS))
        late += run.delivered != sorted(run.delivered)
        check_statistics(run)
    assert late > 0, "weather that tests nothing"


def check_statistics(run: Run) -> None:
    """Every payload and every frame is in one of the counters."""
    sent, received = run.transmitted, run.received
    assert (sent.requests, sent.acks, sent.errors) == (PAYLOADS, len(run.confirmed), len(run.given_up))
    assert received.requests == received.acks == run.requests_arrived
    assert received.duplicates == run.requests_arrived - len(run.delivered)


@EDITIONS
def test_the_sender_is_started_anew(edition: Edition) -> None:
    """What it sends in its new life is heard, and what comes late for its old life is not taken for the new one.

    Unless a random number is one of the old life: then the peer may take news for a repetition, or an acknowledgement
    still under way may confirm what it is not for. VDP, which has no answer, asks again.
    """
    forgotten = 0
    for run in runs(edition, Weather(loss=0.1, restarts_sender=0.2)):
        assert sorted(run.confirmed + run.given_up + run.forgotten) == list(range(PAYLOADS))
        assert run.delivered == sorted(run.delivered)
        if edition is RATIFIED:
            assert len(set(run.delivered)) == len(run.delivered)
        forgotten += len(run.forgotten)
    assert forgotten > 100, "weather that tests nothing"


@EDITIONS
def test_the_receiver_is_started_anew(edition: Edition) -> None:
    """Only what it has forgotten comes again, next to its first time."""
    again = 0
    for run in runs(edition, Weather(loss=0.3, restarts_receiver=0.3)):
        assert run.delivered == sorted(run.delivered)
        repeated = sum(one == other for one, other in pairwise(run.delivered))
        if edition is RATIFIED:
            assert repeated <= run.receiver_restarts
        again += repeated
        assert sorted(run.confirmed + run.given_up) == list(range(PAYLOADS))
    assert again > 0, "weather that tests nothing"
