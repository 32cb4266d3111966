"""The station's VSI machine as a table (802.1Qbg clause 41, sheet `vdp.md` 4): states, inputs, and what joins them.

The figure's transient boxes (INIT, PROC_EVAL, ASSOC_NEW, ...) are steps here; what it leaves out has states of its own:
nobody to talk to (HELD), a DeAssociate under way, a pause before the next attempt (BACKOFF), and a refusal that
repeating cannot change (REFUSED). "Queued" states (PROCESS, TX_KA, TX_DEASSOC) last until ECP takes the TLV.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, auto
from types import MappingProxyType


class State(IntEnum):
    """Where a VSI stands between two inputs."""

    HELD = auto()
    PROCESS = auto()
    PROC_WAIT = auto()
    WAIT = auto()
    TX_KA = auto()
    KA_WAIT = auto()
    TX_DEASSOC = auto()
    DEASSOC_WAIT = auto()
    BACKOFF = auto()
    REFUSED = auto()
    END = auto()


class Input(IntEnum):
    """What can happen to a VSI."""

    ASK = auto()  # local request of PreAssociate, PreAssociate with resource reservation or Associate
    RELEASE = auto()  # local request of DeAssociate
    SENT = auto()  # ECP has taken the TLV
    LOST = auto()  # ECP has given up on the ECPDU that it was in
    REPEAT = auto()  # no answer yet: the peer's ECP may have acknowledged what its VDP never saw (interop-notes P3, P6)
    EXPIRED = auto()  # respWaitDelay has passed
    DUE = auto()  # reinitKeepAlive has passed, or the pause of BACKOFF
    CONFIRMED = auto()  # the bridge grants what is asked
    MISFIT = auto()  # it grants something else
    KEPT = auto()  # it refuses, and what was before stays
    REFUSED = auto()  # it refuses
    RELEASED = auto()  # it answers a DeAssociate
    ENDED = auto()  # it de-associates on its own
    OPEN = auto()  # there is a bridge to talk to
    CLOSE = auto()  # there is none any more


@dataclass(frozen=True, slots=True)
class Transition:
    """The state after, and the name of the step of `StationVsi` that is taken on the way; it may name another state."""

    next: State
    step: str | None = None


RELEASING = frozenset({State.TX_DEASSOC, State.DEASSOC_WAIT})
SETTLED = frozenset({State.WAIT, State.TX_KA, State.KA_WAIT, State.REFUSED, State.END})
AWAITING = frozenset({State.PROC_WAIT, State.KA_WAIT, State.DEASSOC_WAIT})
# In these the time that is given to an answer goes on.
SAME_EXCHANGE = frozenset(
    {
        (State.PROCESS, State.PROC_WAIT),
        (State.PROC_WAIT, State.PROCESS),
        (State.PROC_WAIT, State.PROC_WAIT),
        (State.TX_KA, State.KA_WAIT),
        (State.KA_WAIT, State.TX_KA),
        (State.KA_WAIT, State.KA_WAIT),
        (State.TX_DEASSOC, State.DEASSOC_WAIT),
        (State.DEASSOC_WAIT, State.TX_DEASSOC),
        (State.DEASSOC_WAIT, State.DEASSOC_WAIT),
        (State.TX_DEASSOC, State.TX_DEASSOC),
    }
)
RESTING = frozenset({State.WAIT, State.BACKOFF, State.REFUSED, State.END})
ONLY_WHEN_WANTED = frozenset({State.BACKOFF, State.REFUSED})

# What is absent is no news in that state, and is ignored.
TRANSITIONS: Mapping[tuple[State, Input], Transition] = MappingProxyType(
    {
        (State.HELD, Input.ASK): Transition(State.HELD, "adopt"),
        (State.HELD, Input.RELEASE): Transition(State.END, "release_at_once"),
        (State.HELD, Input.OPEN): Transition(State.PROCESS, "ask_anew"),
        (State.HELD, Input.CLOSE): Transition(State.HELD, "stay_closed"),
        #
        (State.PROCESS, Input.ASK): Transition(State.PROCESS, "adopt"),
        (State.PROCESS, Input.RELEASE): Transition(State.TX_DEASSOC, "release"),
        (State.PROCESS, Input.SENT): Transition(State.PROC_WAIT),
        (State.PROCESS, Input.EXPIRED): Transition(State.BACKOFF, "time_out"),
        (State.PROCESS, Input.CONFIRMED): Transition(State.WAIT, "grant"),
        (State.PROCESS, Input.MISFIT): Transition(State.TX_DEASSOC, "misfit"),
        (State.PROCESS, Input.KEPT): Transition(State.WAIT, "retain"),
        (State.PROCESS, Input.REFUSED): Transition(State.BACKOFF, "refuse"),
        (State.PROCESS, Input.ENDED): Transition(State.PROCESS, "unconfirm"),
        (State.PROCESS, Input.CLOSE): Transition(State.HELD, "close"),
        #
        (State.PROC_WAIT, Input.ASK): Transition(State.PROC_WAIT, "postpone"),
        (State.PROC_WAIT, Input.RELEASE): Transition(State.TX_DEASSOC, "release"),
        (State.PROC_WAIT, Input.LOST): Transition(State.PROCESS),
        (State.PROC_WAIT, Input.REPEAT): Transition(State.PROCESS),
        (State.PROC_WAIT, Input.EXPIRED): Transition(State.BACKOFF, "time_out"),
        (State.PROC_WAIT, Input.CONFIRMED): Transition(State.WAIT, "grant"),
        (State.PROC_WAIT, Input.MISFIT): Transition(State.TX_DEASSOC, "misfit"),
        (State.PROC_WAIT, Input.KEPT): Transition(State.WAIT, "retain"),
        (State.PROC_WAIT, Input.REFUSED): Transition(State.BACKOFF, "refuse"),
        (State.PROC_WAIT, Input.ENDED): Transition(State.PROC_WAIT, "unconfirm"),
        (State.PROC_WAIT, Input.CLOSE): Transition(State.HELD, "close"),
        #
        (State.WAIT, Input.ASK): Transition(State.PROCESS, "adopt"),
        (State.WAIT, Input.RELEASE): Transition(State.TX_DEASSOC, "release"),
        (State.WAIT, Input.DUE): Transition(State.TX_KA),
        (State.WAIT, Input.ENDED): Transition(State.BACKOFF, "end"),
        (State.WAIT, Input.CLOSE): Transition(State.HELD, "close"),
        #
        (State.TX_KA, Input.ASK): Transition(State.PROCESS, "adopt"),
        (State.TX_KA, Input.RELEASE): Transition(State.TX_DEASSOC, "release"),
        (State.TX_KA, Input.SENT): Transition(State.KA_WAIT),
        (State.TX_KA, Input.EXPIRED): Transition(State.BACKOFF, "lose"),
        (State.TX_KA, Input.CONFIRMED): Transition(State.WAIT, "confirm"),
        (State.TX_KA, Input.MISFIT): Transition(State.TX_DEASSOC, "misfit"),
        (State.TX_KA, Input.KEPT): Transition(State.WAIT, "retain"),
        (State.TX_KA, Input.REFUSED): Transition(State.BACKOFF, "end"),
        (State.TX_KA, Input.ENDED): Transition(State.BACKOFF, "end"),
        (State.TX_KA, Input.CLOSE): Transition(State.HELD, "close"),
        #
        (State.KA_WAIT, Input.ASK): Transition(State.KA_WAIT, "postpone"),
        (State.KA_WAIT, Input.RELEASE): Transition(State.TX_DEASSOC, "release"),
        (State.KA_WAIT, Input.LOST): Transition(State.TX_KA),
        (State.KA_WAIT, Input.REPEAT): Transition(State.TX_KA),
        (State.KA_WAIT, Input.EXPIRED): Transition(State.BACKOFF, "lose"),
        (State.KA_WAIT, Input.CONFIRMED): Transition(State.WAIT, "confirm"),
        (State.KA_WAIT, Input.MISFIT): Transition(State.TX_DEASSOC, "misfit"),
        (State.KA_WAIT, Input.KEPT): Transition(State.WAIT, "retain"),
        (State.KA_WAIT, Input.REFUSED): Transition(State.BACKOFF, "end"),
        (State.KA_WAIT, Input.ENDED): Transition(State.BACKOFF, "end"),
        (State.KA_WAIT, Input.CLOSE): Transition(State.HELD, "close"),
        #
        (State.TX_DEASSOC, Input.ASK): Transition(State.TX_DEASSOC, "postpone"),
        (State.TX_DEASSOC, Input.RELEASE): Transition(State.TX_DEASSOC, "release"),
        (State.TX_DEASSOC, Input.SENT): Transition(State.DEASSOC_WAIT),
        (State.TX_DEASSOC, Input.EXPIRED): Transition(State.END, "give_up_release"),
        (State.TX_DEASSOC, Input.RELEASED): Transition(State.END, "finish_release"),
        (State.TX_DEASSOC, Input.ENDED): Transition(State.END, "finish_release"),
        (State.TX_DEASSOC, Input.CLOSE): Transition(State.END, "close_release"),
        #
        (State.DEASSOC_WAIT, Input.ASK): Transition(State.DEASSOC_WAIT, "postpone"),
        (State.DEASSOC_WAIT, Input.RELEASE): Transition(State.DEASSOC_WAIT, "release"),
        (State.DEASSOC_WAIT, Input.LOST): Transition(State.TX_DEASSOC),
        (State.DEASSOC_WAIT, Input.REPEAT): Transition(State.TX_DEASSOC),
        (State.DEASSOC_WAIT, Input.EXPIRED): Transition(State.END, "give_up_release"),
        (State.DEASSOC_WAIT, Input.RELEASED): Transition(State.END, "finish_release"),
        (State.DEASSOC_WAIT, Input.ENDED): Transition(State.END, "finish_release"),
        (State.DEASSOC_WAIT, Input.CLOSE): Transition(State.END, "close_release"),
        #
        (State.BACKOFF, Input.ASK): Transition(State.PROCESS, "adopt"),
        (State.BACKOFF, Input.RELEASE): Transition(State.TX_DEASSOC, "release"),
        (State.BACKOFF, Input.DUE): Transition(State.PROCESS, "ask_anew"),
        (State.BACKOFF, Input.CONFIRMED): Transition(State.WAIT, "grant"),  # an answer that came late
        (State.BACKOFF, Input.CLOSE): Transition(State.HELD, "close"),
        #
        (State.REFUSED, Input.ASK): Transition(State.PROCESS, "adopt"),
        (State.REFUSED, Input.RELEASE): Transition(State.END, "release_at_once"),
        (State.REFUSED, Input.CLOSE): Transition(State.HELD, "close"),
    }
)
