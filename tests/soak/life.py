"""The life of a station and a switch on virtual time: what may befall them, and what must hold whenever it is over."""

from collections import Counter
from dataclasses import dataclass, replace
from random import Random

from protocols.dcbx.settings import DcbxSettings, Dialect
from protocols.dcbx.settings import State as DcbxState
from protocols.edgeroles import BridgeEdge
from protocols.evb.status import EvbCapability, EvbParameters, Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.port import Effect, PolicyChanged, WithdrawVsis
from protocols.stack import PortStack
from protocols.timers import SECOND, Instant
from protocols.vdp.bridgevsi import State
from protocols.vdp.policy import BridgePolicy
from protocols.vdp.rules import PolicyRules, Rule
from protocols.vdp.status import VsiState
from protocols.vdp.vsi import Mode, Response, VsiId, VsiTlv
from tests.soak.report import Times
from tests.support import lldpdus
from tests.support.dcbx import FCOE, OTHERS, ROCE, SHARED, willing
from tests.support.mutated import captured_frames, tamper
from tests.support.story import EDITIONS, LONGEST_SILENCE, STEPS, Step, Story
from tests.support.vsis import Client, held, same, vsi, vsi_id
from tests.support.wire import (
    BRIDGE_MAC,
    MILLISECOND,
    OTHER_MAC,
    STATION_MAC,
    End,
    FirstSequences,
    Weather,
    frame,
    port_settings,
    ratified,
)

MORE_STEPS = (
    "associate",
    "associate",
    "preassociate",
    "deassociate",
    "withdraw",
    "rules",
    "suspend",
    "deaf",
    "neighbor",
    "rival",
    "hostile",
    "restart",
    "forget",
    "dcbx",
)
CALM = "calm"
DAY_OVER = "day over"
PAUSES = (0, 40, MILLISECOND, 300 * MILLISECOND, SECOND, 7 * SECOND, 31 * SECOND, 125 * SECOND)
SLEEPS = (SECOND, 20 * SECOND, 150 * SECOND, 3600 * SECOND, 9 * 3600 * SECOND)
CALMS = (0, 0, 0, 600 * SECOND, 3600 * SECOND)
MOST_FAULTS_AT_ONCE = 12
LATE = 700
VSIS = 8
BAD_TYPE = 9
LONGEST_TTL = 121
PATIENCE = 600 * SECOND
"""Until all is agreed again: the TTL of who has gone, the longest pauses of VSIs that were refused, and some more."""

REFUSES = Rule(type_ids=((BAD_TYPE, BAD_TYPE),), response=Response.INSUFFICIENT_RESOURCES)
RULES = (
    PolicyRules(),
    PolicyRules(default=Rule(assign=((700, 702),))),
    PolicyRules(rules=(REFUSES,)),
    PolicyRules(default=Rule(delay=SECOND)),
    PolicyRules(default=Rule(response=Response.INSUFFICIENT_RESOURCES)),
)
SERVER = willing(DcbxSettings(ets=OTHERS, recommended=OTHERS, pfc=0b0001, apps=(ROCE,)))
SWITCH = DcbxSettings(ets=SHARED, recommended=SHARED, pfc=0b1000, apps=(FCOE,))
EVERYWHERE = dict.fromkeys(Scope, AdminStatus.TX_AND_RX)
ALL = EvbCapability.RTE | EvbCapability.ECP | EvbCapability.VDP


class Broken(AssertionError):
    """Something that must hold does not."""


def drawn(random: Random, duration: Instant) -> list[Step]:
    """What happens in about so long a time: some faults one after the other, then calm, again and again."""
    steps: list[Step] = []
    passed = 0
    while passed < duration:
        for _ in range(random.randrange(1, MOST_FAULTS_AT_ONCE)):
            what = random.choice((*STEPS, *MORE_STEPS))
            step = Step(what, random.randrange(2), random.randrange(1 << 16), random.choice(PAUSES))
            steps.append(step)
            passed += step.pause + (SLEEPS[step.value % len(SLEEPS)] if what == "suspend" else 0)
        calm = Step(CALM, 0, 0, random.choice(CALMS))
        steps.append(calm)
        passed += calm.pause + LONGEST_SILENCE
    return steps


class CountedStack(PortStack):
    """Counts what it is given, to be held against what its machines have counted."""

    given = 0
    from_itself = 0

    def receive(self, frame: bytes, now: Instant) -> list[Effect]:
        self.given += 1
        agent = self.lldp.agent_for(frame[:6])
        if agent is not None and frame[12:14] == lldpdus.ETHERTYPE and agent.listens:
            self.from_itself += frame[6:12] == self.settings.mac_address
        return super().receive(frame, now)

    @property
    def unaccounted(self) -> int:
        """Frames that nobody has counted."""
        lldp = sum(agent.rx.statistics.total for agent in self.agents.values())
        edge, bad = self.edge, self.edge.statistics
        ecp = edge.transmitted.acks + edge.transmitted.unmatched_acks + edge.received.requests + bad.bad_ecpdus
        ecp += bad.other_destination + bad.other_source + bad.other_edition
        return self.given - self.from_itself - lldp - ecp - self.ignored_frames


@dataclass(slots=True)
class Told:
    """What has been seen so far. `agreed`: virtual seconds from the end of the faults until both ends agreed."""

    faults: Counter[str]
    agreed: Times
    checks: int = 0
    frames: int = 0
    virtual: Instant = 0


class Life(Story):
    """A story with VSIs, policies, neighbors, strangers, suspended machines. All of it follows from `seed`."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        draw = self._random
        weather = Weather(
            latency=draw.choice((50, 500, 5 * MILLISECOND)),
            loss=draw.choice((0.0, 0.2, 0.8)),
            duplication=draw.choice((0.0, 0.3)),
            reordering=draw.choice((0.0, 0.3)),
        )
        first, second = draw.randrange(len(EDITIONS)), draw.randrange(len(EDITIONS))
        super().__init__(weather, seed, first, second)
        self.station.late = LATE
        self.told = Told(Counter(), Times())
        self.rules = PolicyRules()
        self.policy = BridgePolicy()
        self.wanted: dict[int, VsiTlv] = {}
        self.grown = 0
        self._misled_until = self.wire.now
        self.client = Client(self.wire, self.station)
        self._began = self.wire.now
        self._corpus = captured_frames()
        keep_alive = draw.choice((20, 24))
        self._settings = {
            "admin_status": EVERYWHERE,
            "parameters": EvbParameters(capabilities=ALL, max_vsis=4096, rka=keep_alive),
        }
        dialect = draw.choice((None, *Dialect))
        sequences = {end.name: FirstSequences(f"{end.name} {seed}") for end in self.wire.ends}

        def a_station() -> PortStack:
            settings = port_settings(STATION_MAC, editions=EDITIONS[first], **self._settings)  # type: ignore[arg-type]
            return CountedStack(Role.STATION, replace(settings, dcbx=SERVER), sequences["station"])

        def a_bridge() -> PortStack:
            settings = port_settings(BRIDGE_MAC, editions=EDITIONS[second], **self._settings)  # type: ignore[arg-type]
            settings = replace(settings, dcbx=replace(SWITCH, dialect=dialect))
            self.policy = BridgePolicy(self.rules)
            return CountedStack(Role.BRIDGE, settings, sequences["bridge"], self.policy, "bridge")

        self.station.make, self.bridge.make = a_station, a_bridge
        self.wire.start()

    def happens(self, step: Step) -> None:
        """One step. Broken when there is calm, and something does not hold."""
        if step.what == CALM:
            self._calms_down(step.pause)
        elif step.what == DAY_OVER:
            self._ends_the_day()
        else:
            self.told.faults[step.what] += 1
            if step.what in STEPS:
                super().happens(step)
            else:
                self._befalls(step)
                self.wire.run(step.pause)
        self.told.virtual = self.wire.now - self._began

    def starts(self, end: End) -> None:
        """The station's agent finds in its journal what was asked of its predecessor."""
        super().starts(end)
        if end is self.station:
            self.client.tickets.clear()
            self.client.ask(*self.wanted.values(), persistent=True)

    def changes(self, end: End, step: Step) -> None:
        if step.what == "parameters":  # as far as VSIs have an answer within minutes
            value = step.value
            self.wire.parameters(end, retries=value % 8, rte=10 + value % 10, rwd=18 + value % 5)
        else:
            super().changes(end, replace(step, value=step.value % 10))

    def _befalls(self, step: Step) -> None:
        end = (self.station, self.bridge)[step.end]
        match step.what:
            case "associate":
                self._asks(Mode.ASSOCIATE, step.value)
            case "preassociate":
                self._asks((Mode.PREASSOCIATE, Mode.PREASSOCIATE_RR)[step.end], step.value)
            case "deassociate":
                self._asks(Mode.DEASSOCIATE, step.value)
            case "withdraw" if self.bridge.machine is not None:
                some = None if step.end else (vsi_id(step.value % VSIS),)
                self.wire.request(self.bridge, WithdrawVsis(some))
            case "rules":
                self.rules = RULES[step.value % len(RULES)]
                self.policy.replace(self.rules)
                if self.bridge.machine is not None:
                    self.wire.request(self.bridge, PolicyChanged())
            case "suspend":
                self.wire.asleep.add(end.name)
                self.wire.run(SLEEPS[step.value % len(SLEEPS)])
                self.wire.asleep.discard(end.name)
            case "deaf":
                self.wire.deaf ^= {end.name}
            case "neighbor" | "rival" | "hostile" if end.machine is not None and self.wire.up:
                for data in self._foreign(step):
                    self.wire.inject(data, end)
                    self.wire.run(SECOND // 1000)
                self._misled_until = self.wire.now + (LONGEST_TTL + 1) * SECOND
            case "restart":
                self.starts(end)
            case "dcbx" if self.station.machine is not None:
                self.wire.settings(self.station, dcbx=None if self.station.stack.settings.dcbx else SERVER)
            case "forget":
                self.wanted.clear()
                self.starts(self.station)

    def _asks(self, mode: Mode, value: int) -> None:
        number = value % VSIS
        running = self.station.machine is not None
        # What the draft cannot say is refused at once, and what was asked before stands.
        draft = running and self.station.stack.edge.edition == "draft"
        vid = (100 if draft else 0, 100, 200)[value % 3]
        asked = vsi(number, mode, vid=vid, type_id=BAD_TYPE if value & 64 else 7)
        if mode is Mode.DEASSOCIATE:
            self.wanted.pop(number, None)
        else:
            self.wanted[number] = asked
        if running:
            self.client.ask(asked, persistent=True)

    def _foreign(self, step: Step) -> list[bytes]:
        """Frames of third parties; what they say is over in two minutes, if they do not say so themselves."""
        random = Random(step.value)
        ttl = random.choice((0, 5, LONGEST_TTL))
        if step.what == "neighbor":
            mac = bytes([2, 0, 0, 1, 0, random.randrange(64)])
            scope = random.choice(list(Scope))
            return [frame(mac, lldpdus.tlv(5, b"third party"), ttl=ttl, to=scope.address)]
        if step.what == "rival":  # another one in the role of the peer
            words = lldpdus.STATION_ASKS if step.end else lldpdus.BRIDGE_REFLECTS
            return [frame(OTHER_MAC, ratified(words.hex()), ttl=ttl)]
        tampered = (tamper(random, random.choice(self._corpus)) for _ in range(random.randrange(1, 200)))
        return [data for data in tampered if data[12:14] != lldpdus.ETHERTYPE or _ttl(data) <= LONGEST_TTL]

    # What must hold.

    def _calms_down(self, duration: Instant) -> None:
        wire = self.wire
        self.mends()
        wire.deaf.clear()
        wire.run(max(0, self._misled_until - wire.now))  # what strangers have said is in force until then
        begun = wire.now
        try:
            wire.run_until(self._agreed, PATIENCE)
        except AssertionError:
            self._require(False, f"not agreed {PATIENCE // SECOND} s after the last fault")
        self.told.agreed.add((wire.now - begun) / SECOND)
        wire.run(LONGEST_SILENCE + duration)
        self._check()
        self._forget_what_was()

    def _ends_the_day(self) -> None:
        """Nothing is wanted any more, so that what is left can be held against another day's."""
        for end in self.wire.ends:
            if end.machine is None:
                self.starts(end)
        numbers, self.wanted = list(self.wanted), {}
        self.client.ask(*(vsi(number, Mode.DEASSOCIATE) for number in numbers), persistent=True)
        self._calms_down(0)

    def _agreed(self) -> bool:
        if not self.consistent or not same(self.station, self.bridge) or not self._dcbx_agreed:
            return False
        return {key: state for key, (state, _) in held(self.station).items()} == self._expected()

    @property
    def _dcbx_agreed(self) -> bool:
        """The station is willing, and has what the switch says; or it is switched off."""
        here, there = (end.stack.dcbx.result for end in (self.station, self.bridge))
        assert there is not None
        if here is None:
            return there.state is DcbxState.ALONE
        pfc = {here.pfc.operational, there.pfc.operational}
        return pfc == {SWITCH.pfc} and here.ets.operational == SWITCH.ets

    def _expected(self) -> dict[VsiId, VsiState]:
        """The VSIs that are wanted, and that the policy grants."""
        if not self._common_edition:
            return {}
        index = BridgePolicy(self.rules)
        draft = self.station.stack.edge.edition == "draft"
        granted: dict[VsiId, VsiState] = {}
        for number, asked in self.wanted.items():
            if draft and any(not entry.vid for entry in asked.filters.entries):
                continue  # there no VID can be left to the switch
            if index.decide("bridge", asked).response is Response.SUCCESS:
                granted[vsi_id(number)] = VsiState.after(asked.mode)
        return granted

    @property
    def _common_edition(self) -> bool:
        editions = [set(end.stack.settings.evb.editions) for end in (self.station, self.bridge)]
        return bool(editions[0] & editions[1])

    @property
    def _leaving(self) -> int:
        """VSIs of the bridge that are over, but for the telling."""
        edge = self.bridge.stack.edge
        assert isinstance(edge, BridgeEdge)
        return sum(vsi.state in (State.DEASSOC, State.DEASSOCIATED) for vsi in edge.vdp.vsis.values())

    def _check(self) -> None:
        self.told.checks += 1
        station, bridge = self.station.stack, self.bridge.stack
        self._require(self._agreed(), "what was agreed has not lasted")
        for end, stack in ((self.station, station), (self.bridge, bridge)):
            assert isinstance(stack, CountedStack)
            name = end.name
            self._require(stack.unaccounted == 0, f"{name}: {stack.unaccounted} frames are not accounted for")
            self._require(end.neighbors == 3, f"{name} has {end.neighbors} neighbors in three scopes")
            waiting = stack.edge.vdp.waiting if self._common_edition else 0
            self._require(not waiting, f"{name}: {waiting} VSIs wait to be sent")
            for agent in stack.agents.values():
                remotes = agent.rx.remotes
                timers = len(remotes._ageing._times)
                self._require(timers == len(remotes), f"{name}: {timers} timers of {len(remotes)} neighbors")
            timers, vsis = len(stack.edge.vdp._deadlines._times), len(stack.edge.vdp.vsis)
            self._require(timers <= vsis, f"{name}: {timers} timers of {vsis} VSIs")
        holdings, granted = len(list(self.policy.holdings())), len(held(self.bridge))
        self._require(holdings == granted, f"the policy holds {holdings} VSIs, the bridge {granted}")
        # A station that is gone, or speaks another edition, is told some times what it has lost.
        kept = len(bridge.edge.vdp.vsis) - (0 if self._common_edition else self._leaving)
        self._require(kept == granted, f"the bridge keeps {kept} VSIs, and has granted {granted}")
        unanswered = len(self.client.tickets) - len(self.station.confirmed)
        refused = any(tlv.vsi_id not in held(self.station) for tlv in self.wanted.values())
        self._require(refused or not unanswered, f"{unanswered} requests were never answered")

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            state = {key.octets.hex()[-2:]: str(value) for key, (value, _) in held(self.station).items()}
            other = {key.octets.hex()[-2:]: str(value) for key, (value, _) in held(self.bridge).items()}
            wanted = {number: str(tlv.mode) for number, tlv in self.wanted.items()}
            relays = f"relay {self.station.relay}/{self.bridge.relay}, hairpin {self.bridge.hairpin}"
            dcbx = [
                result and result.state for result in (self.station.stack.dcbx.result, self.bridge.stack.dcbx.result)
            ]
            raise Broken(f"{what}; {relays}, DCBX {dcbx}, wanted {wanted}, station {state}, bridge {other}")

    def _forget_what_was(self) -> None:
        """So that it is not this story that grows."""
        self.told.frames += len(self.wire.sent)
        self.wire.sent.clear()
        for end in self.wire.ends:
            end.events.clear()
            end.switched.clear()
        if len(self.client.tickets) == len(self.station.confirmed):
            self.client.tickets.clear()
            self.station.confirmed.clear()


def _ttl(data: bytes) -> int:
    return lldpdus.time_to_live(data[14:]) or 0
