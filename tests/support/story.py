"""A station and a bridge on a wire, and what may befall them: steps that can be drawn, kept and played again."""

from dataclasses import dataclass

from protocols.evb.bridge import EvbBridge, RelayState
from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import Edition
from protocols.lldp.tlvs import ChassisId, PortId
from protocols.port import RelayAble
from protocols.stack import PortStack
from protocols.timers import SECOND
from tests.support.wire import AUTO, End, Weather, Wire, bridge, station

EDITIONS: tuple[tuple[Edition, ...], ...] = ((RATIFIED,), (DRAFT,), AUTO)
LONGEST_SILENCE = 121 * SECOND + 40 * SECOND  # the TTL of a former identity, then the next regular LLDPDU and more
STEPS = (
    "cable",
    "kill",
    "stop",
    "start",
    "relay",
    "parameters",
    "edition",
    "identity",
    "able",
    "refusal",
    "foreign",
    "weather",
)


@dataclass(frozen=True)
class Step:
    """One thing that happens at one end (0 the station, 1 the bridge), and how long nothing does after it."""

    what: str
    end: int
    value: int
    pause: int


class Story:
    """A station and a bridge on a wire, and what befalls them."""

    def __init__(self, weather: Weather, seed: int, first: int, second: int) -> None:
        self.editions = (EDITIONS[first], EDITIONS[second])
        self.station = station(editions=EDITIONS[first])
        self.bridge = bridge(editions=EDITIONS[second])
        self.bridge.refused = (True,)
        self.bad, self.good = weather, Weather()
        self.wire = Wire(self.station, self.bridge, weather=weather, seed=seed)
        self.wire.start()
        self.wire.plug()

    def happens(self, step: Step) -> None:
        end = (self.station, self.bridge)[step.end]
        wire = self.wire
        match step.what:
            case "cable":
                (wire.unplug if wire.up else wire.plug)()
            case "weather":
                wire.weather = self.good if wire.weather is self.bad else self.bad
            case "start":
                self.starts(end)
            case "refusal":
                self.bridge.refusal = None if self.bridge.refusal else "Operation not permitted"
            case _ if end.machine is not None:
                self.changes(end, step)
        wire.run(step.pause)

    def changes(self, end: End, step: Step) -> None:
        wire, evb = self.wire, end.stack.settings.evb
        match step.what:
            case "kill":
                wire.kill(end)
            case "stop":
                wire.stop(end)
            case "relay":
                wire.evb_settings(end, reflective_relay=not evb.reflective_relay)
            case "parameters":
                wire.parameters(end, retries=step.value % 8, rte=10 + step.value, rwd=20 + step.value % 7)
            case "edition":
                wire.evb_settings(end, editions=self.choice(step.end)[step.value % 2])
            case "identity":
                mac = bytes([2, 0, 0, 0, 1 + step.end, step.value])
                wire.settings(end, mac_address=mac, chassis_id=ChassisId(4, mac), port_id=PortId(3, mac))
            case "able" if end is self.bridge:
                end.able = not end.able
                if not end.able:
                    end.hairpin = False  # the flag belongs to the port that has left its bridge
                wire.request(end, RelayAble(bool(end.able), "it is not a port of a bridge"))
            case "foreign" if end is self.bridge and end.hairpin:
                wire.clear_hairpin(end)

    def choice(self, end: int) -> list[tuple[Edition, ...]]:
        """Settings for an end, so that never both are "auto" after one was not.

        Each follows the other then. If they begin with different editions and their frames cross, they change places
        for as long as the frames go on crossing.
        """
        if self.editions == (AUTO, AUTO):
            return [AUTO, AUTO]
        other = self.wire.ends[1 - end].machine
        others = {self.editions[1 - end], other.settings.evb.editions if isinstance(other, PortStack) else AUTO}
        return [(RATIFIED,), (DRAFT,)] if AUTO in others else [(DRAFT,), AUTO]

    def starts(self, end: End) -> None:
        """An agent, which may be the successor of one that runs."""
        self.wire.start(end)

    def heals(self) -> None:
        self.mends()
        self.wire.run(LONGEST_SILENCE)

    def mends(self) -> None:
        """From now on nothing is in the way."""
        self.wire.weather = self.good
        self.bridge.refusal = None
        for end in self.wire.ends:
            if end.machine is None:
                self.starts(end)
        if not self.wire.up:
            self.wire.plug()

    @property
    def should_agree(self) -> bool:
        """Both want it, the port can, and there is an edition in common; a port that failed waits for a new request."""
        evb = self.bridge.stack.evb
        assert isinstance(evb, EvbBridge)
        wishes = [end.stack.settings.evb for end in (self.station, self.bridge)]
        common = set(wishes[0].editions) & set(wishes[1].editions)
        return bool(
            all(wish.reflective_relay for wish in wishes)
            and self.bridge.able
            and common
            and evb.state is not RelayState.FAILED
        )

    @property
    def consistent(self) -> bool:
        """Station, bridge and port are of one mind, and the right one."""
        return self.station.active is self.bridge.active is self.bridge.hairpin is self.should_agree
