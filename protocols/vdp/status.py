"""What is known of a VSI, what can be asked for it, and what comes of it: the words that both roles share."""

from enum import StrEnum
from typing import NamedTuple

from protocols.timers import Instant
from protocols.vdp.filter import Filters
from protocols.vdp.vsi import Mode, Response, VsiId, VsiTlv


class VsiState(StrEnum):
    """The state that both sides have confirmed."""

    UNASSOCIATED = "unassociated"
    PREASSOCIATED = "preassociated"
    PREASSOCIATED_RR = "preassociated-rr"
    ASSOCIATED = "associated"

    @classmethod
    def after(cls, mode: Mode) -> "VsiState":
        """The state that a request of this mode leads to."""
        return _AFTER[mode]


class Outcome(StrEnum):
    """What came of a request."""

    GRANTED = "granted"
    REFUSED = "refused"
    TIMED_OUT = "timed-out"
    LINK_LOST = "link-lost"
    SUPERSEDED = "superseded"
    INVALID = "invalid"


class VsiStatus(NamedTuple):
    """One VSI at one moment.

    `request` is what was last asked, `pending` the mode that is still being asked for, `filters` what the bridge has
    confirmed (with the VIDs that it assigned), or what is asked for while nothing is. `response` is the bridge's last
    answer (None: none yet), with its Hard and Keep bits and the code as it came. `since`: when the state became this.
    """

    request: VsiTlv
    state: VsiState
    pending: Mode | None
    filters: Filters
    response: Response | None
    hard: bool
    keep: bool
    code: int
    reason: str
    since: Instant


class VsiRequest(NamedTuple):
    """A request of the local side. `ticket` comes back with each `Confirm`; `persistent`: ask until it is withdrawn.

    `untagged`: the guest's frames have no tag, so a null VID need not become another one.
    """

    tlv: VsiTlv
    ticket: int
    persistent: bool = False
    untagged: bool = False


class Confirm(NamedTuple):
    """The answer to one request; exactly one for each ticket."""

    ticket: int
    outcome: Outcome
    status: VsiStatus


class VsiChanged(NamedTuple):
    """State, request or answer of a VSI have changed; `gone`: and it is not kept any more."""

    vsi_id: VsiId
    status: VsiStatus
    was: VsiState
    gone: bool = False


VdpEffect = Confirm | VsiChanged


_AFTER = (
    VsiState.UNASSOCIATED,  # no mode has the number 0
    VsiState.PREASSOCIATED,
    VsiState.PREASSOCIATED_RR,
    VsiState.ASSOCIATED,
    VsiState.UNASSOCIATED,
)
