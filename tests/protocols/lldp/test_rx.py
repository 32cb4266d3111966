"""The receive machine: every situation with every input, its counters, and the same verdicts on both paths."""

from collections.abc import Callable
from dataclasses import asdict
from itertools import count, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.lldp.mib import RemoteChange, RemoteRemoved, RemoteUpdated, TooManyNeighbors
from protocols.lldp.rx import Receive, RxState
from protocols.lldp.tlvs import SystemName
from protocols.timers import SECOND, Instant
from tests.support.lldpdus import tlv
from tests.support.wire import lldpdu, ratified

OWN_MAC = bytes.fromhex("020000000001")
PEER = bytes.fromhex("02000000000b")
SECOND_PEER = bytes.fromhex("02000000000c")
THIRD_PEER = bytes.fromhex("02000000000d")
OWN = (4, OWN_MAC, 3, OWN_MAC)
NAME = tlv(5, b"switch")
EVB = ratified("06008d5414")
UNKNOWN_ORGANIZATION = tlv(127, bytes.fromhex("33445501aa"))
RESERVED = tlv(9, b"?")
NO_CHASSIS = lldpdu(PEER)[9:]
NO_CHASSIS_SHUTDOWN = lldpdu(PEER, ttl=0)[9:]
SHORT_CAPABILITIES = tlv(7, b"\0\4\0")


def recognizes(oui: bytes, subtype: int) -> bool:
    return (oui, subtype) == (bytes.fromhex("0080c2"), 13)


class Bench:
    """A machine with room for two neighbours, on its own clock. `defeat_fast_path` makes every payload another one."""

    def __init__(self, defeat_fast_path: bool = False, limit: int = 2) -> None:
        self.rx = Receive(limit, recognizes)
        self.now: Instant = 50 * SECOND
        self.padding = count(1) if defeat_fast_path else None

    def enable(self, port: bool = True, admin: bool = True) -> list[RemoteChange]:
        return self.rx.enable(port, admin, self.now)

    def frame(self, payload: bytes, source: bytes = PEER) -> list[RemoteChange]:
        if self.padding is not None:
            payload += bytes(next(self.padding))
        return self.rx.frame(source, payload, OWN, self.now)

    def run(self, seconds: float) -> list[RemoteChange]:
        until = self.now + round(seconds * SECOND)
        changes = []
        while (due := self.rx.next_deadline()) is not None and due <= until:
            self.now = due
            changes += self.rx.advance(due)
            after = self.rx.next_deadline()
            assert after is None or after > due
        self.now = until
        return changes

    def counters(self) -> dict[str, int]:
        remote = {f"remote_{name}": value for name, value in asdict(self.rx.remotes.statistics).items()}
        del remote["remote_last_change"]  # a time, no counter
        return {**asdict(self.rx.statistics), **remote}


def words(changes: list[RemoteChange]) -> list[str]:
    """`added`, `removed shutdown`, `too many on` ..."""
    found = []
    for change in changes:
        if isinstance(change, RemoteRemoved):
            found.append(f"removed {change.reason}")
        elif isinstance(change, TooManyNeighbors):
            found.append(f"too many {'on' if change.on else 'off'}")
        else:
            found.append(type(change).__name__.removeprefix("Remote").lower())
    return found


# Every situation with every input.

SITUATIONS: dict[str, Callable[[Bench], object]] = {
    "port down": lambda b: b.enable(port=False),
    "port down, one known": lambda b: (b.enable(), b.frame(lldpdu(PEER, EVB)), b.enable(port=False)),
    "reception off": lambda b: b.enable(admin=False),
    "nobody known": lambda b: b.enable(),
    "one known": lambda b: (b.enable(), b.frame(lldpdu(PEER, EVB))),
    "full": lambda b: (b.enable(), b.frame(lldpdu(PEER, EVB)), b.frame(lldpdu(SECOND_PEER))),
    "too many": lambda b: (
        b.enable(),
        b.frame(lldpdu(PEER, EVB)),
        b.frame(lldpdu(SECOND_PEER)),
        b.frame(lldpdu(THIRD_PEER, ttl=200)),
    ),
}
LISTENING = ("nobody known", "one known", "full", "too many")
INPUTS: dict[str, Callable[[Bench], list[RemoteChange]]] = {
    "port goes down": lambda b: b.enable(port=False),
    "port comes up": lambda b: b.enable(),
    "reception off": lambda b: b.enable(admin=False),
    "the same": lambda b: b.frame(lldpdu(PEER, EVB)),
    "the same, padded": lambda b: b.frame(lldpdu(PEER, EVB) + bytes(20)),
    "more content": lambda b: b.frame(lldpdu(PEER, EVB, NAME)),
    "newcomer": lambda b: b.frame(lldpdu(OWN_MAC[:5] + b"\x77")),
    "shutdown": lambda b: b.frame(lldpdu(PEER, ttl=0)),
    "shutdown of a stranger": lambda b: b.frame(lldpdu(OWN_MAC[:5] + b"\x77", ttl=0)),
    "bad frame": lambda b: b.frame(NO_CHASSIS),
    "bad shutdown": lambda b: b.frame(NO_CHASSIS_SHUTDOWN),
    "own": lambda b: b.frame(lldpdu(OWN_MAC)),
    "121 s": lambda b: b.run(121),
    "200 s": lambda b: b.run(200),
}
WAIT, INIT, FRAME = (
    RxState.LLDP_WAIT_PORT_OPERATIONAL,
    RxState.RX_LLDP_INITIALIZE,
    RxState.RX_WAIT_FOR_FRAME,
)
Row = tuple[list[str], RxState, int, dict[str, int]]
TOTAL = {"total": 1}
REFRESHED = {"total": 1, "remote_refreshes": 1}
BAD = {"total": 1, "discarded": 1, "errors": 1}
GONE, AGED = {"remote_deletes": 1}, {"remote_deletes": 1, "remote_ageouts": 1}


def times(number: int, counters: dict[str, int]) -> dict[str, int]:
    return {name: number * value for name, value in counters.items()}


# What comes out, the state after it, how many neighbours are known then, and which counters moved by how much.
TABLE: dict[tuple[str, str], Row] = {
    # Nothing is heard while the port is down or reception is off, and nothing is counted (frame level filter).
    **{
        (situation, happens): ([], state, 0, {})
        for situation, state in (("port down", WAIT), ("reception off", INIT))
        for happens in INPUTS
    },
    ("port down", "port comes up"): ([], FRAME, 0, {}),
    ("port down", "reception off"): ([], INIT, 0, {}),
    ("reception off", "port goes down"): ([], WAIT, 0, {}),
    ("reception off", "port comes up"): ([], FRAME, 0, {}),
    # A port that is down keeps its neighbours: they age (DELETE_AGED_INFO), or are forgotten when it comes up.
    **{("port down, one known", happens): ([], WAIT, 1, {}) for happens in INPUTS},
    ("port down, one known", "port comes up"): (["removed reinitialized"], FRAME, 0, GONE),
    ("port down, one known", "reception off"): (["removed reinitialized"], INIT, 0, GONE),
    ("port down, one known", "121 s"): (["removed aged-out"], WAIT, 0, AGED),
    ("port down, one known", "200 s"): (["removed aged-out"], WAIT, 0, AGED),
    # Listening.
    **{(situation, "bad frame"): ([], FRAME, n, BAD) for situation, n in zip(LISTENING, (0, 1, 2, 2), strict=True)},
    **{(situation, "bad shutdown"): ([], FRAME, n, BAD) for situation, n in zip(LISTENING, (0, 1, 2, 2), strict=True)},
    **{
        (situation, "own"): ([], FRAME, n, {"total": 1, "own": 1})
        for situation, n in zip(LISTENING, (0, 1, 2, 2), strict=True)
    },
    **{
        (situation, "shutdown of a stranger"): ([], FRAME, n, TOTAL)
        for situation, n in zip(LISTENING, (0, 1, 2, 2), strict=True)
    },
    **{(situation, "port goes down"): ([], WAIT, n, {}) for situation, n in zip(LISTENING, (0, 1, 2, 2), strict=True)},
    **{(situation, "port comes up"): ([], FRAME, n, {}) for situation, n in zip(LISTENING, (0, 1, 2, 2), strict=True)},
    **{(situation, "the same"): ([], FRAME, n, REFRESHED) for situation, n in (("one known", 1), ("full", 2))},
    **{(situation, "the same, padded"): ([], FRAME, n, REFRESHED) for situation, n in (("one known", 1), ("full", 2))},
    **{(s, "more content"): (["updated"], FRAME, n, TOTAL) for s, n in zip(LISTENING[1:], (1, 2, 2), strict=True)},
    **{
        (s, "shutdown"): (["removed shutdown"], FRAME, n, {**TOTAL, **GONE})
        for s, n in (("one known", 0), ("full", 1), ("too many", 1))
    },
    ("nobody known", "reception off"): ([], INIT, 0, {}),
    ("nobody known", "the same"): (["added"], FRAME, 1, {**TOTAL, "remote_inserts": 1}),
    ("nobody known", "the same, padded"): (["added"], FRAME, 1, {**TOTAL, "remote_inserts": 1}),
    ("nobody known", "more content"): (["added"], FRAME, 1, {**TOTAL, "remote_inserts": 1}),
    ("nobody known", "newcomer"): (["added"], FRAME, 1, {**TOTAL, "remote_inserts": 1}),
    ("nobody known", "shutdown"): ([], FRAME, 0, TOTAL),
    ("nobody known", "121 s"): ([], FRAME, 0, {}),
    ("nobody known", "200 s"): ([], FRAME, 0, {}),
    ("one known", "reception off"): (["removed reinitialized"], INIT, 0, GONE),
    ("one known", "newcomer"): (["added"], FRAME, 2, {**TOTAL, "remote_inserts": 1}),
    ("one known", "121 s"): (["removed aged-out"], FRAME, 0, AGED),
    ("one known", "200 s"): (["removed aged-out"], FRAME, 0, AGED),
    ("full", "reception off"): (["removed reinitialized"] * 2, INIT, 0, times(2, GONE)),
    ("full", "newcomer"): (["too many on"], FRAME, 2, {**TOTAL, "discarded": 1, "remote_drops": 1}),
    ("full", "121 s"): (["removed aged-out"] * 2, FRAME, 0, times(2, AGED)),
    ("full", "200 s"): (["removed aged-out"] * 2, FRAME, 0, times(2, AGED)),
    ("too many", "reception off"): (["removed reinitialized"] * 2 + ["too many off"], INIT, 0, times(2, GONE)),
    ("too many", "the same"): ([], FRAME, 2, REFRESHED),
    ("too many", "the same, padded"): ([], FRAME, 2, REFRESHED),
    ("too many", "newcomer"): ([], FRAME, 2, {**TOTAL, "discarded": 1, "remote_drops": 1}),
    ("too many", "121 s"): (["removed aged-out"] * 2, FRAME, 0, times(2, AGED)),
    ("too many", "200 s"): (["removed aged-out"] * 2 + ["too many off"], FRAME, 0, times(2, AGED)),
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(product(SITUATIONS, INPUTS))


@pytest.mark.parametrize(("situation", "happens"), TABLE)
def test_every_situation_with_every_input(situation: str, happens: str) -> None:
    for defeat_fast_path in (False, True):
        bench = Bench(defeat_fast_path=defeat_fast_path)
        SITUATIONS[situation](bench)
        before = bench.counters()
        changes = INPUTS[happens](bench)
        moved = {name: value - before[name] for name, value in bench.counters().items() if value != before[name]}
        assert (words(changes), bench.rx.state, len(bench.rx.remotes), moved) == TABLE[situation, happens]


# Counters of TLVs.


@pytest.mark.parametrize("path", ["fast", "slow"])
@pytest.mark.parametrize(
    ("tlvs", "moved"),
    [
        ([EVB, NAME], {}),
        ([RESERVED], {"tlvs_unrecognized": 1}),
        ([UNKNOWN_ORGANIZATION, UNKNOWN_ORGANIZATION], {"tlvs_unrecognized": 2}),
        ([tlv(127, bytes.fromhex("0080c20e00"))], {"tlvs_unrecognized": 1}),  # CDCP: the OUI alone is not enough
        ([tlv(127, bytes.fromhex("0080c2"))], {"errors": 1, "tlvs_discarded": 1}),
        ([NAME, tlv(5, b"again")], {"errors": 1, "tlvs_discarded": 1}),
        (
            [SHORT_CAPABILITIES, NAME, NAME, RESERVED, UNKNOWN_ORGANIZATION, EVB],
            {"errors": 1, "tlvs_discarded": 2, "tlvs_unrecognized": 2},
        ),
        ([tlv(9, b"")] * 300, {"errors": 1, "tlvs_discarded": 44, "tlvs_unrecognized": 256}),
        ([tlv(127, b"")] * 300, {"errors": 1, "tlvs_discarded": 300}),
    ],
)
def test_tlvs_are_counted_with_every_frame(tlvs: list[bytes], moved: dict[str, int], path: str) -> None:
    bench = Bench(defeat_fast_path=path == "slow")
    bench.enable()
    for _ in range(3):
        bench.frame(lldpdu(PEER, *tlvs))
    counted = {name: value for name, value in bench.counters().items() if value}
    assert counted == {"total": 3, "remote_inserts": 1, "remote_refreshes": 2, **times(3, moved)}


def test_the_first_things_that_are_wrong_are_remembered() -> None:
    bench = Bench()
    bench.enable()
    bench.frame(lldpdu(PEER, *[tlv(127, b"")] * 300))
    (remote,) = bench.rx.remotes.systems()
    assert [error.offset for error in remote.reading.errors] == [len(lldpdu(PEER)) - 2 + 2 * n for n in range(16)]


def test_the_tlvs_of_a_shutdown_do_not_matter() -> None:
    bench = Bench()
    bench.enable()
    bench.frame(lldpdu(PEER))
    assert words(bench.frame(lldpdu(PEER, SHORT_CAPABILITIES, RESERVED, ttl=0))) == ["removed shutdown"]
    assert bench.rx.statistics.errors == bench.rx.statistics.tlvs_unrecognized == 0


# Ageing.


@pytest.mark.parametrize("path", ["fast", "slow"])
def test_a_refresh_starts_the_age_anew(path: str) -> None:
    bench = Bench(defeat_fast_path=path == "slow")
    bench.enable()
    bench.frame(lldpdu(PEER, ttl=10))
    for _ in range(5):
        assert bench.run(9.999) == []
        assert bench.frame(lldpdu(PEER, ttl=10)) == []
    assert bench.run(9.999) == []
    assert words(bench.run(0.001)) == ["removed aged-out"]


def test_another_ttl_is_a_change_and_counts_from_the_frame_that_brings_it() -> None:
    bench = Bench()
    bench.enable()
    bench.frame(lldpdu(PEER, ttl=100))
    bench.run(50)
    assert words(bench.frame(lldpdu(PEER, ttl=10))) == ["updated"]
    assert bench.run(9.9) == []
    assert words(bench.run(0.1)) == ["removed aged-out"]


def test_the_longest_ttl() -> None:
    bench = Bench()
    bench.enable()
    bench.frame(lldpdu(PEER, ttl=65535))
    assert bench.run(65534.9) == []
    assert words(bench.run(0.1)) == ["removed aged-out"]


@pytest.mark.parametrize("path", ["fast", "slow"])
def test_a_bad_frame_does_not_refresh(path: str) -> None:
    bench = Bench(defeat_fast_path=path == "slow")
    bench.enable()
    bench.frame(lldpdu(PEER, ttl=10))
    bench.run(9)
    bench.frame(NO_CHASSIS)
    assert words(bench.run(1)) == ["removed aged-out"]


# What is kept of a neighbour.


def test_a_tlv_that_is_not_sent_any_more_disappears_and_the_last_time_it_was_heard_is_kept() -> None:
    bench = Bench()
    bench.enable()
    bench.frame(lldpdu(PEER, EVB, NAME))
    first = bench.now
    bench.run(30)
    assert words(bench.frame(lldpdu(PEER, NAME))) == ["updated"]
    (remote,) = bench.rx.remotes.systems()
    assert len(remote.pdu.optional) == 1
    assert (remote.first_heard, remote.last_heard, remote.changes) == (first, bench.now, 1)


@pytest.mark.parametrize("path", ["fast", "slow"])
def test_the_source_address_is_the_one_of_the_last_frame(path: str) -> None:
    bench = Bench(defeat_fast_path=path == "slow")
    bench.enable()
    bench.frame(lldpdu(PEER), source=PEER)
    bench.run(1)
    assert bench.frame(lldpdu(PEER), source=SECOND_PEER) == []
    (remote,) = bench.rx.remotes.systems()
    assert (remote.source, remote.last_heard) == (SECOND_PEER, bench.now)


@pytest.mark.parametrize("path", ["fast", "slow"])
def test_what_says_nothing_new_is_counted_and_is_no_change(path: str) -> None:
    bench = Bench(defeat_fast_path=path == "slow")
    bench.enable()
    bench.frame(lldpdu(PEER))
    bench.frame(lldpdu(SECOND_PEER))
    begun = bench.now
    for _ in range(3):
        bench.run(30)
        assert bench.frame(lldpdu(PEER)) == []
    (one, other) = bench.rx.remotes.systems()
    assert (one.refreshes, one.changes, one.last_changed, one.last_heard) == (3, 0, begun, bench.now)
    assert (other.refreshes, bench.rx.remotes.statistics.refreshes) == (0, 3)
    assert bench.rx.remotes.statistics.last_change == begun
    assert words(bench.frame(lldpdu(PEER, NAME))) == ["updated"]
    assert (one.refreshes, one.changes, one.last_changed) == (3, 1, bench.now)
    assert bench.rx.remotes.statistics.last_change == bench.now


def test_an_update_tells_what_was_before() -> None:
    bench = Bench()
    bench.enable()
    bench.frame(lldpdu(PEER, NAME))
    (update,) = bench.frame(lldpdu(PEER, EVB, ttl=60))
    assert isinstance(update, RemoteUpdated)
    assert (update.former.ttl, update.former.optional) == (121, (SystemName(b"switch"),))
    assert (update.remote.pdu.ttl, len(update.remote.pdu.optional)) == (60, 1)


# The two paths, over any sequence: an LLDPDU that is recognised by its octets means what it would mean when read.

PAYLOADS = [
    lldpdu(PEER),
    lldpdu(PEER, EVB),
    lldpdu(PEER, EVB, NAME, RESERVED),
    lldpdu(PEER, NAME, NAME),
    lldpdu(PEER, ttl=3),
    lldpdu(PEER, ttl=0),
    lldpdu(SECOND_PEER, UNKNOWN_ORGANIZATION),
    lldpdu(SECOND_PEER, ttl=0),
    lldpdu(THIRD_PEER, ttl=200),
    lldpdu(OWN_MAC),
    NO_CHASSIS,
    NO_CHASSIS_SHUTDOWN,
]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("frame"), st.sampled_from(range(len(PAYLOADS)))),
        st.tuples(st.just("run"), st.sampled_from([0, 1, 3, 121])),
        st.tuples(st.just("enable"), st.integers(0, 3)),
    ),
    max_size=30,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(STEPS)
def test_both_paths_come_to_the_same(steps: list[tuple[str, int]]) -> None:
    fast, slow = Bench(), Bench(defeat_fast_path=True)
    for bench in (fast, slow):
        bench.enable()
    for kind, value in steps:
        outcomes = []
        for bench in (fast, slow):
            match kind:
                case "frame":
                    changes = bench.frame(PAYLOADS[value], (PEER, SECOND_PEER)[value % 2])
                case "run":
                    changes = bench.run(value)
                case _:
                    changes = bench.enable(port=bool(value & 1), admin=bool(value & 2))
            systems = [
                (s.index, s.pdu, s.source, s.first_heard, s.last_heard, s.last_changed, s.changes, s.refreshes)
                for s in bench.rx.remotes.systems()
            ]
            outcomes.append((words(changes), bench.rx.state, bench.counters(), systems, bench.rx.next_deadline()))
        assert outcomes[0] == outcomes[1]
