"""The bridge's side of EVB: switches reflective relay on its port as the station asks (sheet `evb-tlv.md` 3.2).

RRCTR means "the port has reflective relay switched on": it is said only after whoever owns the port has confirmed it.
When the bridge itself withdraws, it says so first and stops reflecting once the station has answered (or
`WITHDRAWAL_GRACE` later): the station's guests then never talk to a port that reflects no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from protocols.evb.role import Describe, EvbRole
from protocols.evb.status import EvbSettings, RelayStatus, Role, Statement
from protocols.timers import Instant, TimerTable

WITHDRAWAL_GRACE = 1_500_000  # longer than an LLDPDU may have to wait for transmit credit


@dataclass(frozen=True, slots=True)
class SetRelay:
    """Switch reflective relay of the port on or off, and report by `relay_set`."""

    on: bool


class RelayState(Enum):
    OFF = auto()
    TURNING_ON = auto()
    ON = auto()
    WITHDRAWING = auto()
    TURNING_OFF = auto()
    FAILED = auto()


class Event(Enum):
    WANTED = auto()  # a station asks, and this port is able
    RELEASED = auto()  # the station does not ask any more, or is gone
    WITHDRAWN = auto()  # this port may not or cannot do it any more, though the station still counts on it
    GRACE_OVER = auto()
    SET_ON = auto()
    SET_OFF = auto()
    SET_FAILED = auto()  # the port could not be switched, or somebody else switched it back
    PORT_TAKEN = auto()  # the port is able anew: it is another one than before, and does not reflect yet


class Action(Enum):
    NOTHING = auto()
    SWITCH_ON = auto()
    SWITCH_OFF = auto()
    START_GRACE = auto()


# (state, event) -> (action, next state). An absent pair changes nothing: the event says what is so already.
TRANSITIONS: Mapping[tuple[RelayState, Event], tuple[Action, RelayState]] = {
    (RelayState.OFF, Event.WANTED): (Action.SWITCH_ON, RelayState.TURNING_ON),
    (RelayState.TURNING_ON, Event.SET_ON): (Action.NOTHING, RelayState.ON),
    (RelayState.TURNING_ON, Event.SET_FAILED): (Action.NOTHING, RelayState.FAILED),
    (RelayState.TURNING_ON, Event.RELEASED): (Action.SWITCH_OFF, RelayState.TURNING_OFF),
    (RelayState.TURNING_ON, Event.WITHDRAWN): (Action.SWITCH_OFF, RelayState.TURNING_OFF),
    (RelayState.ON, Event.RELEASED): (Action.SWITCH_OFF, RelayState.TURNING_OFF),
    (RelayState.ON, Event.WITHDRAWN): (Action.START_GRACE, RelayState.WITHDRAWING),
    (RelayState.ON, Event.SET_FAILED): (Action.NOTHING, RelayState.FAILED),
    (RelayState.ON, Event.PORT_TAKEN): (Action.NOTHING, RelayState.OFF),
    (RelayState.WITHDRAWING, Event.WANTED): (Action.NOTHING, RelayState.ON),
    (RelayState.WITHDRAWING, Event.RELEASED): (Action.SWITCH_OFF, RelayState.TURNING_OFF),
    (RelayState.WITHDRAWING, Event.GRACE_OVER): (Action.SWITCH_OFF, RelayState.TURNING_OFF),
    (RelayState.WITHDRAWING, Event.SET_FAILED): (Action.NOTHING, RelayState.OFF),
    (RelayState.WITHDRAWING, Event.PORT_TAKEN): (Action.NOTHING, RelayState.OFF),
    (RelayState.TURNING_OFF, Event.SET_OFF): (Action.NOTHING, RelayState.OFF),
    (RelayState.TURNING_OFF, Event.SET_FAILED): (Action.NOTHING, RelayState.OFF),
    (RelayState.FAILED, Event.RELEASED): (Action.NOTHING, RelayState.OFF),
    (RelayState.FAILED, Event.WITHDRAWN): (Action.NOTHING, RelayState.OFF),
    (RelayState.FAILED, Event.PORT_TAKEN): (Action.NOTHING, RelayState.OFF),
}


class EvbBridge(EvbRole):
    """Inputs note what happened; `run` gives what is to be done to the port."""

    role = Role.BRIDGE
    other = Role.STATION

    def __init__(self, settings: EvbSettings) -> None:
        super().__init__(settings)
        self.state = RelayState.OFF
        self.able = False
        self.unable_because = "it is not a port of a bridge"
        self.error: str | None = None
        self._timers: TimerTable[Event] = TimerTable()

    def set_able(self, able: bool, because: str, now: Instant) -> None:
        """Whether this port can reflect at all (it is a port of a bridge that we may switch); if not, why.

        Able is said once of each port that is taken charge of: it is switched on anew if it is to reflect.
        """
        self.able = able
        self.unable_because = because
        if able:
            self.error = None
            self._step(Event.PORT_TAKEN, now)

    def relay_set(self, on: bool, error: str | None, now: Instant) -> list[SetRelay]:
        """The port is now like this; `error` says why it is not as asked, or who changed it."""
        self.error = error
        if error is not None:
            return self._step(Event.SET_FAILED, now)
        return self._step(Event.SET_ON if on else Event.SET_OFF, now) + self.run(now)

    def run(self, now: Instant) -> list[SetRelay]:
        """Bring the port in step with what was heard and configured."""
        peer = self._candidates.peer
        # Two ports that reflect on one segment send every frame round for ever.
        alone = not self._candidates.same_role
        if peer and peer.tlv.relay_request and self._capable and alone:
            return self._step(Event.WANTED, now)
        counting_on_it = alone and peer and peer.tlv.relay_request and peer.tlv.relay_status is RelayStatus.TRUE
        return self._step(Event.WITHDRAWN if counting_on_it else Event.RELEASED, now)

    def next_deadline(self) -> Instant | None:
        return self._timers.next_deadline()

    def advance(self, now: Instant) -> list[SetRelay]:
        return [effect for event in self._timers.expire(now) for effect in self._step(event, now)]

    @property
    def statement(self) -> Statement:
        peer = self._candidates.peer
        return Statement(
            role=self.role,
            parameters=self.settings.parameters,
            relay_capable=self._capable,
            relay_control=self.state is RelayState.ON,
            peer=peer.tlv if peer else None,
            vsis=self.vsis,
        )

    @property
    def relay_active(self) -> bool:
        return self.state is RelayState.ON

    def warnings(self, describe: Describe) -> list[str]:
        """What an operator should look at."""
        return super().warnings(describe) + ([] if self.error is None else [f"reflective relay: {self.error}"])

    @property
    def _capable(self) -> bool:
        return self.able and self.settings.reflective_relay

    def _step(self, event: Event, now: Instant) -> list[SetRelay]:
        transition = TRANSITIONS.get((self.state, event))
        if transition is None:
            return []
        if self.state is RelayState.FAILED:
            self.error = None
        action, self.state = transition
        if self.state is not RelayState.WITHDRAWING:
            self._timers.stop_all()
        match action:
            case Action.NOTHING:
                return []
            case Action.SWITCH_ON:
                return [SetRelay(True)]
            case Action.SWITCH_OFF:
                return [SetRelay(False)]
            case Action.START_GRACE:
                self._timers.start(Event.GRACE_OVER, now + WITHDRAWAL_GRACE)
                return []

    def _why_active(self, name: str) -> str:
        return f"reflecting for {name}"

    def _why_not(self, name: str) -> str:
        peer = self.statement.peer
        if self._candidates.same_role:
            return "another bridge is heard on this segment: two that reflect make a loop"
        if not self.settings.reflective_relay:
            return "reflective relay is not offered (configuration)"
        if not self.able:
            return f"this port cannot reflect: {self.unable_because}"
        if self.state is RelayState.FAILED:
            return f"reflective relay could not be switched on: {self.error}"
        if not (peer and peer.relay_request):
            return f"{name} does not ask for reflective relay"
        return "reflective relay is being switched on"
