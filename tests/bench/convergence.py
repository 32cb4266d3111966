"""From link up to reflective relay agreed at both ends, and how fast a newcomer is answered: times of the wire."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.agents import (
    LLDPAD_BRIDGE,
    LLDPAD_STATION,
    Launched,
    LldpadLaunched,
    LldpdLaunched,
    OursLaunched,
    TimedNamespace,
    missing,
)
from tests.bench.report import Row, Samples, compare
from tests.bench.wire import MILLISECOND, SECOND, LinkSwitch, Negotiation, WideTap
from tests.support.lldpdus import NEAREST_CUSTOMER_BRIDGE
from tests.support.namespaces import CapturedFrame, link_pair
from tests.support.rig import BRIDGE_MAC, STATION_MAC, make_cable

RUNS = 9
PATIENCE = 8 * SECOND
DOWN_SECONDS = 0.4

# lldpad acts once a second, and how the seconds of two lie to each other counts: three pairs, a third of it apart.
LLDPAD_PAIRS = (("lldpad", "lldpad"),) * 3


@dataclass(frozen=True, slots=True)
class Agreement:
    """One link up, in milliseconds after it: the bridge's grant, and when all was agreed. LLDPDUs of both ends."""

    granted: float
    agreed: float
    lldpdus: int
    first_second: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two agents on a cable that is down."""

    name: str
    tap: WideTap
    switch: LinkSwitch

    def link_up(self) -> Agreement:
        """The cable comes up, they agree, it goes down again."""
        self.tap.drain()
        begun = self.switch.set(up=True)
        try:
            return self._watch(begun)
        finally:
            self.switch.set(up=False)

    def _watch(self, begun: int) -> Agreement:
        negotiation = Negotiation(STATION_MAC, BRIDGE_MAC)
        granted = agreed = None
        until_agreed = first_second = 0
        for frame in self.tap.lldpdus_until(begun + PATIENCE):
            since = (frame.timestamp_ns - begun) / MILLISECOND
            if since < 0 or not _is_original(frame) or frame.data[:6] != NEAREST_CUSTOMER_BRIDGE:
                continue
            first_second += since <= 1000
            if agreed is None:
                until_agreed += 1
                agreed = since if negotiation.agreed_by(frame) else None
                granted = since if granted is None and negotiation.granted else granted
            if agreed is not None and since > 1000:
                break
        assert granted is not None and agreed is not None, (
            f"{self.name}: no agreement within {PATIENCE / SECOND:g} s of link up"
        )
        return Agreement(granted, agreed, until_agreed, first_second)


def _is_original(frame: CapturedFrame) -> bool:
    """Seen at the station's end: a Linux bridge that reflects sends the station's own LLDPDUs back, too."""
    return frame.source == (STATION_MAC if frame.outgoing else BRIDGE_MAC)


def evb_convergence(directory: Path) -> list[Row]:
    """Two of ours against two lldpads."""
    name = "evb-convergence"
    with ExitStack() as stack:
        runs = _alternate(_pairs(stack, directory, [("evbagent", "evbagent"), *LLDPAD_PAIRS]))
    ours, theirs = runs["evbagent-evbagent"], runs.get("lldpad-lldpad", [])
    absent = missing("lldpad")
    peer = "lldpad+lldpad"

    def row(part: str, unit: str, value: Callable[[Agreement], float], note: str) -> Row:
        return compare(name + part, unit, _samples(ours, value), peer, _samples(theirs, value, absent), note)

    most = max((agreement.first_second for agreement in ours), default=None)
    peer_most = max((agreement.first_second for agreement in theirs), default=None)
    note = "of both ends, the most of all runs" + (f"; {absent}" if absent else "")
    return [
        row("", "ms", _agreed, "link up to agreed at both ends, on the wire"),
        row("-lldpdus", "LLDPDUs", lambda agreement: agreement.lldpdus, "of both ends, until agreed"),
        Row(f"{name}-first-second", "LLDPDUs", most, peer_most, peer, note=note),
    ]


def evb_convergence_lldpad(directory: Path) -> list[Row]:
    """One of ours and one lldpad, both ways round, against two lldpads."""
    name, peer = "evb-convergence-lldpad", "lldpad+lldpad"
    absent = missing("lldpad")
    if absent:
        return [
            Row(f"{name}{part}", "ms", None, None, peer, note=absent)
            for part in ("", "-as-bridge", "-as-bridge-granted")
        ]
    with ExitStack() as stack:
        runs = _alternate(_pairs(stack, directory, [("evbagent", "lldpad"), ("lldpad", "evbagent"), *LLDPAD_PAIRS]))

    def row(part: str, pair: str, value: Callable[[Agreement], float], note: str) -> Row:
        return compare(
            name + part, "ms", _samples(runs[pair], value), peer, _samples(runs["lldpad-lldpad"], value), note
        )

    return [
        row("", "evbagent-lldpad", _agreed, "we are the station, lldpad is the bridge"),
        row("-as-bridge", "lldpad-evbagent", _agreed, "we are the bridge, lldpad is the station"),
        row("-as-bridge-granted", "lldpad-evbagent", _granted, "the same, until the bridge's grant is on the wire"),
    ]


def _agreed(agreement: Agreement) -> float:
    return agreement.agreed


def _granted(agreement: Agreement) -> float:
    return agreement.granted


def _pairs(stack: ExitStack, directory: Path, wanted: Sequence[tuple[str, str]]) -> Mapping[str, list[Pair]]:
    """Pairs of a station and a bridge, by their names; those are left out whose agents are missing."""
    pairs: dict[str, list[Pair]] = {}
    for number, names in enumerate(wanted):
        if "lldpad" in names and missing("lldpad"):
            continue
        again = pairs.setdefault("-".join(names), [])
        apart_s = len(again) / wanted.count(names)
        again.append(stack.enter_context(_pair(directory / str(number), *names, apart_s)))
    return pairs


@contextmanager
def _pair(directory: Path, station: str, bridge: str, apart_s: float) -> Iterator[Pair]:
    """`apart_s`: how long the station's agent is started after the bridge's."""
    directory.mkdir()
    name = f"{station}-{bridge}"
    with TimedNamespace(f"s-{name}") as host, TimedNamespace(f"b-{name}") as far:
        cable = make_cable(host, far)
        agents: list[Launched] = []
        if bridge == "evbagent":
            far.bridge("br0", [cable.port])
            agents.append(OursLaunched(far, directory, [cable.port], role="bridge"))
        else:
            agents.append(LldpadLaunched(far, directory, [cable.port], LLDPAD_BRIDGE))
        if station == "evbagent":
            agents.append(OursLaunched(host, directory, [cable.uplink]))
        else:
            agents.append(LldpadLaunched(host, directory, [cable.uplink], LLDPAD_STATION))
        with WideTap(host) as tap, LinkSwitch(far, cable.port) as switch, agents[0]:
            time.sleep(apart_s)
            with agents[1]:
                negotiation = Negotiation(STATION_MAC, BRIDGE_MAC)
                tap.wait_for(negotiation.agreed_by, f"{name} agree after their start", 15)
                switch.set(up=False)
                yield Pair(name, tap, switch)


def _alternate(pairs: Mapping[str, list[Pair]]) -> Mapping[str, list[Agreement]]:
    """Rounds over all kinds of pairs, each at another moment of the second: some agents act only once in it."""
    runs: dict[str, list[Agreement]] = {name: [] for name in pairs}
    for number in range(RUNS):
        for name, alike in pairs.items():
            time.sleep(DOWN_SECONDS)
            time.sleep((number / RUNS - time.time()) % 1)
            runs[name].append(alike[number % len(alike)].link_up())
    return runs


def _samples(runs: list[Agreement], value: Callable[[Agreement], float], absent: str = "") -> Samples:
    return Samples(tuple(value(agreement) for agreement in runs), absent)


NEWCOMERS = 5
FIRST_NEWCOMER_S = 3.0
BETWEEN_NEWCOMERS_S = 6.0
ANSWER_WITHIN = 32 * SECOND


def late_starter(directory: Path) -> list[Row]:
    """An agent that has long been there hears a newcomer's first LLDPDU: how long until it says something itself.

    One old agent of each kind, on as many cables as newcomers come, evenly over the 30 s between regular LLDPDUs.
    """
    absent = missing("lldpd")
    with ExitStack() as stack:
        old = [stack.enter_context(_Old(directory, OursLaunched))]
        if not absent:
            old.append(stack.enter_context(_Old(directory, LldpdLaunched)))
        begun = time.monotonic()
        for number in range(NEWCOMERS):
            for one in old:
                time.sleep(max(0.0, begun + FIRST_NEWCOMER_S + number * BETWEEN_NEWCOMERS_S - time.monotonic()))
                one.newcomer(number)
                time.sleep(0.5)
        results = {one.kind.name: one.answers() for one in old}
    note = f"newcomers {FIRST_NEWCOMER_S:g} s after its start and every {BETWEEN_NEWCOMERS_S:g} s"
    theirs = Samples(tuple(results.get("lldpd", ())), absent)
    return [compare("late-starter", "ms", Samples(tuple(results["evbagent"])), "lldpd", theirs, note)]


class _Old:
    """An old agent and, at the other ends of its cables, a newcomer each of the same kind."""

    def __init__(self, directory: Path, kind: type[OursLaunched] | type[LldpdLaunched]) -> None:
        self.kind = kind
        self._directory = directory
        self._stack = ExitStack()

    def __enter__(self) -> "_Old":
        enter = self._stack.enter_context
        here = enter(TimedNamespace(f"old-{self.kind.name}"))
        self._tap = enter(WideTap(here))
        self._newcomers: list[Launched] = []
        names = [f"veth{number}" for number in range(NEWCOMERS)]
        for number, name in enumerate(names):
            there = enter(TimedNamespace(f"new-{self.kind.name}-{number}"))
            link_pair(here, name, there, "veth0", left_mac=_mac(0, number).hex(":"), right_mac=_mac(1, number).hex(":"))
            self._newcomers.append(self.kind(there, self._directory, ["veth0"]))
        enter(self.kind(here, self._directory, names))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def newcomer(self, number: int) -> None:
        self._stack.enter_context(self._newcomers[number])

    def answers(self) -> list[float]:
        """Milliseconds from each newcomer's first LLDPDU to the old agent's next one to it."""
        heard: dict[int, int] = {}
        answers: dict[int, float] = {}
        for frame in self._tap.lldpdus_until(time.time_ns() + ANSWER_WITHIN):
            side, number = frame.source[4], frame.source[5]
            if frame.source[:4] != _mac(0, 0)[:4]:
                continue
            if side == 1:
                heard.setdefault(number, frame.timestamp_ns)
            elif number in heard:
                answers.setdefault(number, (frame.timestamp_ns - heard[number]) / MILLISECOND)
            if len(answers) == NEWCOMERS:
                break
        assert len(answers) == NEWCOMERS, f"{self.kind.name} answered {len(answers)} of {NEWCOMERS} newcomers"
        return list(answers.values())


def _mac(side: int, number: int) -> bytes:
    return bytes((2, 0, 0, 1, side, number))
