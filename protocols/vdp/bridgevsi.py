"""The bridge's VSI machine (802.1Qbg clause 41, sheet `vdp.md` 5): states, inputs, the table and its steps.

Of the figure's boxes SEND, KEEP and ALIVE only queue an answer and go on to WAIT, so they are steps here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, auto
from types import MappingProxyType
from typing import NamedTuple

from protocols.timers import Instant
from protocols.vdp.policy import Decision
from protocols.vdp.status import VsiState, VsiStatus
from protocols.vdp.vsi import Mode, Response, VsiTlv


class State(IntEnum):
    """Where a VSI stands between two inputs."""

    PROCESS = auto()  # the VSI manager has been asked
    WAIT = auto()  # granted; the station has to keep it alive
    DEASSOC = auto()  # the last answer is on its way: refused, or released
    DEASSOCIATED = auto()  # we end it, and the station has to be told
    END = auto()


class Input(IntEnum):
    """What can happen to a VSI."""

    REQUEST = auto()  # something new is asked
    ALIVE = auto()  # what is granted, or being decided, is asked again
    RELEASE = auto()  # DeAssociate
    GRANTED = auto()  # by the VSI manager
    REFUSED = auto()
    NO_ANSWER = auto()  # rsrcWaitDelay has passed
    SILENT = auto()  # toutKeepAlive has passed
    WITHDRAW = auto()  # the operator, or a new policy, takes it away
    SENT = auto()  # ECP has taken the TLV
    DELIVERED = auto()  # and the station has acknowledged it
    LOST = auto()  # or has not
    CLOSE = auto()  # the link is down, or the station speaks another edition now


class News(NamedTuple):
    """What an input brings."""

    tlv: VsiTlv | None = None
    decision: Decision | None = None
    reason: str = ""


NOTHING = News()
MAX_LOSSES = 8


class BridgeVsi:
    """One VSI of a bridge's port. Its methods are the steps of the table; `VdpBridge` keeps queue and timers for it."""

    __slots__ = (
        "answer",
        "filters",
        "granted",
        "losses",
        "reason",
        "request",
        "since",
        "state",
        "vsi_state",
    )

    def __init__(self, request: VsiTlv, now: Instant) -> None:
        self.state = State.END
        self.vsi_state = VsiState.UNASSOCIATED
        self.request = request
        self.granted: VsiTlv | None = None  # the request that is in force
        self.filters = request.filters
        self.answer: VsiTlv | None = None  # the last one, or the one that is queued
        self.losses = 0
        self.reason = ""
        self.since = now

    def status(self) -> VsiStatus:
        answer = self.answer
        return VsiStatus(
            self.request,
            self.vsi_state,
            self.request.mode if self.state is State.PROCESS else None,
            self.filters,
            answer.response if answer else None,
            answer.hard if answer else False,
            answer.keep if answer else False,
            answer.code if answer else 0,
            self.reason,
            self.since,
        )

    @property
    def weight(self) -> int:
        """Of what is asked or granted; 0 when it is no more."""
        if self.state is State.END:
            return 0
        return self.request.weight if self.granted is None else max(self.request.weight, self.granted.weight)

    @property
    def grows(self) -> bool:
        """Whether more is asked to be remembered than what is granted."""
        return self.granted is None or self.request.weight > self.granted.weight

    def is_repeated_by(self, tlv: VsiTlv) -> bool:
        """Whether a request asks for what is in force, as keep-alives do; with the VIDs assigned, or as at first."""
        granted = self.granted
        if granted is None or tlv.mode is not granted.mode:
            return False
        if tlv == granted:
            return True
        same = (tlv.manager, tlv.type_id, tlv.version) == (granted.manager, granted.type_id, granted.version)
        return same and tlv.filters in (self.filters, granted.filters)

    def note(self, news: News) -> State | None:
        """Ask the manager."""
        assert news.tlv is not None
        self.request = news.tlv
        self.losses = 0
        return None

    def grant(self, news: News) -> State | None:
        assert news.decision is not None
        self.granted = self.request
        self.filters = news.decision.filters
        self.vsi_state = VsiState.after(self.request.mode)
        self.reason = ""
        self._say(self.request, Response.SUCCESS)
        return None

    def confirm(self, news: News) -> State | None:
        """ALIVE: the same answer again, in the words of this request."""
        assert news.tlv is not None
        self.request = news.tlv
        self.losses = 0
        self._say(news.tlv, Response.SUCCESS)
        return None

    def refuse(self, news: News) -> State | None:
        """Refused. With Keep what was granted before stays; without, nothing does."""
        decision = news.decision
        assert decision is not None
        self.reason = decision.reason
        keep = decision.keep and self.granted is not None
        self._say(self.request, decision.response, keep=keep, hard=decision.hard, filters=self.request.filters)
        if keep:
            return State.WAIT
        self._end()
        return None

    def miss(self, news: News) -> State | None:
        """The VSI manager does not answer: KEEP for what is associated, else it is refused."""
        self.reason = "the VSI manager has not answered in time"
        keep = self.vsi_state is VsiState.ASSOCIATED
        self._say(self.request, Response.MANAGER_UNREACHABLE, keep=keep, filters=self.request.filters)
        if keep:
            return State.WAIT
        self._end()
        return None

    def release(self, news: News) -> State | None:
        """DeAssociate, also of what is not there: success (interop-notes V5), or once more what it was refused with."""
        assert news.tlv is not None
        refused = news.decision
        self.request = news.tlv
        self.losses = 0
        self._say(news.tlv, refused.response if refused else Response.SUCCESS, filters=news.tlv.filters)
        self.reason = refused.reason if refused else ""
        self._end()
        return None

    def withdraw(self, news: News) -> State | None:
        """DeAssociate without being asked: not a response, and not to be responded to."""
        self.answer = (self.granted or self.request)._replace(
            mode=Mode.DEASSOCIATE,
            filters=self.filters,
            response=None,
            keep=False,
            hard=False,
            code=0,
            organizational=(),
        )
        self.reason = news.reason
        self.losses = 0
        self._end()
        return None

    def lose(self, news: News) -> State | None:
        """Say it again. A station that wants an answer repeats its request; of our DeAssociate it does not know."""
        self.losses += 1
        return State.END if self.losses > MAX_LOSSES and self.state is State.DEASSOCIATED else None

    def close(self, news: News) -> State | None:
        self.reason = news.reason
        self._end()
        return None

    def _say(
        self, tlv: VsiTlv, response: Response, *, keep: bool = False, hard: bool = False, filters: object = None
    ) -> None:
        """Every field as it was asked, but for the VIDs (interop-notes V2)."""
        self.answer = VsiTlv(
            tlv.mode,
            tlv.vsi_id,
            tlv.manager,
            tlv.type_id,
            tlv.version,
            self.filters if filters is None else tlv.filters,
            response=response,
            keep=keep,
            hard=hard,
        )

    def _end(self) -> None:
        self.vsi_state = VsiState.UNASSOCIATED
        self.granted = None
        self.filters = self.request.filters


Step = Callable[[BridgeVsi, News], State | None]


@dataclass(frozen=True, slots=True)
class Transition:
    """The state after, and the step on the way; it may name another state. `speak`: it queues what is to be said."""

    next: State
    step: Step | None = None
    speak: bool = False


# What is absent is no news in that state, and is ignored.
TRANSITIONS: Mapping[tuple[State, Input], Transition] = MappingProxyType(
    {
        (State.END, Input.REQUEST): Transition(State.PROCESS, BridgeVsi.note),
        (State.END, Input.RELEASE): Transition(State.DEASSOC, BridgeVsi.release, speak=True),
        #
        (State.PROCESS, Input.REQUEST): Transition(State.PROCESS, BridgeVsi.note),
        (State.PROCESS, Input.RELEASE): Transition(State.DEASSOC, BridgeVsi.release, speak=True),
        (State.PROCESS, Input.GRANTED): Transition(State.WAIT, BridgeVsi.grant, speak=True),
        (State.PROCESS, Input.REFUSED): Transition(State.DEASSOC, BridgeVsi.refuse, speak=True),
        (State.PROCESS, Input.NO_ANSWER): Transition(State.DEASSOC, BridgeVsi.miss, speak=True),
        (State.PROCESS, Input.WITHDRAW): Transition(State.DEASSOCIATED, BridgeVsi.withdraw, speak=True),
        (State.PROCESS, Input.CLOSE): Transition(State.END, BridgeVsi.close),
        #
        (State.WAIT, Input.REQUEST): Transition(State.PROCESS, BridgeVsi.note),
        (State.WAIT, Input.ALIVE): Transition(State.WAIT, BridgeVsi.confirm, speak=True),
        (State.WAIT, Input.RELEASE): Transition(State.DEASSOC, BridgeVsi.release, speak=True),
        (State.WAIT, Input.SILENT): Transition(State.DEASSOCIATED, BridgeVsi.withdraw, speak=True),
        (State.WAIT, Input.WITHDRAW): Transition(State.DEASSOCIATED, BridgeVsi.withdraw, speak=True),
        (State.WAIT, Input.LOST): Transition(State.WAIT, BridgeVsi.lose, speak=True),
        (State.WAIT, Input.CLOSE): Transition(State.END, BridgeVsi.close),
        #
        (State.DEASSOC, Input.REQUEST): Transition(State.PROCESS, BridgeVsi.note),
        (State.DEASSOC, Input.RELEASE): Transition(State.DEASSOC, BridgeVsi.release, speak=True),
        (State.DEASSOC, Input.SENT): Transition(State.END),
        (State.DEASSOC, Input.CLOSE): Transition(State.END, BridgeVsi.close),
        # The station does not know yet: what it asks meanwhile would be ended by what is on its way. It asks again.
        (State.DEASSOCIATED, Input.RELEASE): Transition(State.DEASSOC, BridgeVsi.release, speak=True),
        (State.DEASSOCIATED, Input.DELIVERED): Transition(State.END),
        (State.DEASSOCIATED, Input.LOST): Transition(State.DEASSOCIATED, BridgeVsi.lose, speak=True),
        (State.DEASSOCIATED, Input.CLOSE): Transition(State.END, BridgeVsi.close),
    }
)
