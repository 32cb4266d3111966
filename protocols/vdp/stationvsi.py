"""One VSI of a station: what is asked, what is granted, who waits, and the steps of `stationtable`."""

from typing import NamedTuple

from protocols.timers import Instant
from protocols.vdp.filter import matches
from protocols.vdp.stationtable import RELEASING, SETTLED, State
from protocols.vdp.status import Outcome, VsiState, VsiStatus
from protocols.vdp.vsi import Mode, Response, VsiTlv


class News(NamedTuple):
    """What an input brings: a request with its ticket, or the bridge's TLV, and a reason in words.

    `outcome` (CLOSE): what becomes of those who ask; None: they may wait.
    """

    tlv: VsiTlv | None = None
    ticket: int | None = None
    reason: str = ""
    outcome: Outcome | None = None


NOTHING = News()


class StationVsi:
    """One VSI of a station. Its methods are the steps of the table; `VdpStation` keeps queue and timers for it."""

    __slots__ = (
        "answered",
        "asked",
        "backoff",
        "code",
        "filters",
        "give_up",
        "granted",
        "hard",
        "keep",
        "next",
        "next_tickets",
        "persistent",
        "reason",
        "released",
        "request",
        "response",
        "returns",
        "since",
        "standing",
        "state",
        "tickets",
        "untagged",
        "vsi_state",
    )

    def __init__(self, request: VsiTlv, tickets: tuple[int, ...], persistent: bool, now: Instant) -> None:
        self.state = State.HELD
        self.vsi_state = VsiState.UNASSOCIATED
        self.request = request  # what is asked for now, in the words of who asked
        self.asked = request  # the same as it goes on the wire: with the VIDs that were assigned
        self.standing: VsiTlv | None = None  # the last request that was granted, to be returned to after a Keep
        self.granted: VsiTlv | None = None  # and this one as it goes on the wire
        self.next: VsiTlv | None = None  # to be asked for when what is under way is settled
        self.tickets = tickets
        self.next_tickets: tuple[int, ...] = ()
        self.persistent = persistent
        self.untagged = False  # the bridge may leave its VID null
        self.returns = False  # comes back by itself once it was granted
        self.answered: tuple[tuple[int, Outcome], ...] = ()  # by the step that is being taken
        self.filters = request.filters
        self.response: Response | None = None
        self.hard = self.keep = False
        self.code = 0
        self.reason = ""
        self.released: VsiTlv | None = None  # as the last DeAssociate said it
        self.since = now
        self.give_up: Instant | None = None
        self.backoff = 0

    @property
    def weight(self) -> int:
        """Of what is asked for it; 0 when it is no more."""
        if self.state is State.END:
            return 0
        return self.request.weight if self.next is None else max(self.request.weight, self.next.weight)

    @property
    def pending(self) -> Mode | None:
        """The mode that is being asked for."""
        if self.state in RELEASING:
            return Mode.DEASSOCIATE
        return None if self.state in SETTLED else self.request.mode

    def status(self) -> VsiStatus:
        return VsiStatus(
            self.request,
            self.vsi_state,
            self.pending,
            self.filters,
            self.response,
            self.hard,
            self.keep,
            self.code,
            self.reason,
            self.since,
        )

    # Requests.

    def adopt(self, news: News) -> State | None:
        """Ask for this now. The same words again share the answer; other words take the place of the former."""
        assert news.tlv is not None and news.ticket is not None
        if self.state is State.PROCESS and news.tlv == self.request and self.next is None:
            self.tickets += (news.ticket,)
            return None
        self._drop_next()
        self.settle(Outcome.SUPERSEDED)
        self.tickets = (news.ticket,)
        self._take_up(news.tlv)
        return None

    def postpone(self, news: News) -> State | None:
        """Answers do not say which of two requests they are for: one is settled before the next is made."""
        assert news.tlv is not None and news.ticket is not None
        if self.state is State.PROC_WAIT and self.next is None and news.tlv == self.request:
            self.tickets += (news.ticket,)
        elif news.tlv == self.next:
            self.next_tickets += (news.ticket,)
        else:
            self._settle(self.next_tickets, Outcome.SUPERSEDED)
            self.next, self.next_tickets = news.tlv, (news.ticket,)
        return None

    def take_next(self) -> None:
        """Go on with what was postponed: another exchange, which has all of its time before it."""
        assert self.next is not None
        self.settle(Outcome.SUPERSEDED)
        self._take_up(self.next)
        self.tickets, self.next_tickets, self.next = self.next_tickets, (), None
        self.give_up = None

    def ask_anew(self, news: News) -> State | None:
        """As at first: another bridge may assign other VIDs."""
        self.asked = self.request
        return None

    def release(self, news: News) -> State | None:
        """DeAssociate. Whoever waits for something else does so in vain."""
        self._drop_next()
        if self.state not in RELEASING:
            self.settle(Outcome.SUPERSEDED)
        if news.ticket is not None:
            self.tickets += (news.ticket,)
        self.persistent = self.returns = False
        return None

    def release_at_once(self, news: News) -> State | None:
        """The bridge knows nothing of it."""
        self.release(news)
        self._unconfirm("it was not associated")
        self.settle(Outcome.GRANTED)
        return None

    # Answers.

    def grant(self, news: News) -> State | None:
        self._note(news)
        tlv = news.tlv
        assert tlv is not None
        if tlv.filters != self.asked.filters:
            self.asked = self.asked._replace(filters=tlv.filters)
        self.filters = tlv.filters
        self.standing, self.granted = self.request, self.asked
        self.vsi_state = VsiState.after(self.request.mode)
        self.returns = True
        self.reason = ""
        self.settle(Outcome.GRANTED)
        return None

    def confirm(self, news: News) -> State | None:
        """The answer to a keep-alive."""
        assert news.tlv is not None
        self.filters = news.tlv.filters
        self.backoff = 0
        return None

    def retain(self, news: News) -> State | None:
        """Refused, with the Keep bit: what was granted before stays."""
        if self.standing is None or self.granted is None:
            return self.refuse(news) or State.BACKOFF
        self._note(news)
        self.request, self.asked = self.standing, self.granted
        self.settle(Outcome.REFUSED)
        return None

    def refuse(self, news: News) -> State | None:
        """Refused. Whoever asked is told, and it is theirs to ask again; where nobody asked it was our own doing."""
        if self.tickets:
            self.returns = False
        self._note(news)
        self._unconfirm()
        self.settle(Outcome.REFUSED)
        return State.REFUSED if self.hard else None

    def misfit(self, news: News) -> State | None:
        """The bridge thinks that it has granted this: it has to be told."""
        self._note(news)
        self.response = Response.INVALID_ADDRESS
        self._unconfirm(f"the switch's answer does not fit: {news.reason}")
        self.settle(Outcome.REFUSED)
        return None

    def time_out(self, news: News) -> State | None:
        """No answer. The bridge may have granted it all the same, so it is told when nobody wants it any more."""
        self._unconfirm("the switch has not answered")
        self.settle(Outcome.TIMED_OUT)
        return None if self.wanted else State.TX_DEASSOC

    def lose(self, news: News) -> State | None:
        self._unconfirm("the switch has not answered keep-alives")
        return None

    def end(self, news: News) -> State | None:
        """The bridge took it away."""
        self._note(news)
        told = f": {self.reason}" if self.reason else ""
        self._unconfirm(f"de-associated by the switch{told}")
        return State.REFUSED if self.hard else None

    def unconfirm(self, news: News) -> State | None:
        """The bridge took away what was granted before; what is asked now is still to be answered."""
        self._unconfirm("de-associated by the switch")
        return None

    def finish_release(self, news: News) -> State | None:
        if self.persistent or self.returns:  # it was our wish to be rid of the bridge's answer, not of the VSI
            return State.BACKOFF
        self._unconfirm()
        self._note(news)
        self.reason = ""
        self.settle(Outcome.GRANTED)
        return None

    def give_up_release(self, news: News) -> State | None:
        if self.persistent or self.returns:
            return State.BACKOFF
        self._unconfirm("the switch has not answered")
        self.settle(Outcome.TIMED_OUT)
        return None

    # The port.

    def close(self, news: News) -> State | None:
        """Nobody to talk to."""
        if self.next is not None:
            self.take_next()
        self._unconfirm(news.reason)
        self.settle(news.outcome or Outcome.LINK_LOST)
        self.asked = self.request
        return State.HELD if self.wanted else State.END

    def stay_closed(self, news: News) -> State | None:
        """Another reason; it may be one that makes waiting vain."""
        self.reason = news.reason
        if news.outcome is None:
            return None
        self.settle(news.outcome)
        return None if self.wanted else State.END

    def close_release(self, news: News) -> State | None:
        """A bridge without a station forgets it by itself."""
        if self.next is not None or self.wanted:
            return self.close(news)
        self._unconfirm(news.reason)
        self.settle(Outcome.LINK_LOST)
        return None

    @property
    def wanted(self) -> bool:
        """Whether to go on when it is refused or lost."""
        return self.persistent or self.returns

    def settle(self, outcome: Outcome) -> None:
        """Answer those who wait for what is asked now."""
        self._settle(self.tickets, outcome)
        self.tickets = ()

    def _drop_next(self) -> None:
        self._settle(self.next_tickets, Outcome.SUPERSEDED)
        self.next, self.next_tickets = None, ()

    def _settle(self, tickets: tuple[int, ...], outcome: Outcome) -> None:
        if tickets:
            self.answered += tuple((ticket, outcome) for ticket in tickets)

    def _take_up(self, tlv: VsiTlv) -> None:
        """The words that were granted already go out with the VIDs that were assigned (sheet `vdp.md` 1, 8)."""
        self.request = tlv
        self.asked = self.granted if self.granted is not None and tlv == self.standing else tlv
        if self.vsi_state is VsiState.UNASSOCIATED:
            self.filters = tlv.filters
        if self.state is not State.HELD:
            self.reason = ""

    def _note(self, news: News) -> None:
        tlv = news.tlv
        if tlv is None:
            return
        self.response, self.hard, self.keep, self.code = tlv.response, tlv.hard, tlv.keep, tlv.code
        self.reason = "" if tlv.response in (None, Response.SUCCESS) else f"the switch answered: {tlv.response}"

    def _unconfirm(self, reason: str | None = None) -> None:
        """Nothing is granted now. An answer that granted it is one no longer; a refusal stays the last word."""
        self.vsi_state = VsiState.UNASSOCIATED
        if self.response is Response.SUCCESS:
            self.response = None
        self.standing = self.granted = None
        self.filters = self.request.filters
        if reason is not None:
            self.reason = reason


def difference(asked: VsiTlv, answer: VsiTlv, untagged: bool) -> str | None:
    """Why an answer is not one to this request: in words, or None."""
    if answer.filters == asked.filters:
        problem = None
    else:
        problem = matches(asked.filters, answer.filters)
    if problem is None and answer.mode is Mode.ASSOCIATE and not untagged:
        if any(entry.vid == 0 for entry in answer.filters.entries):
            return "the VID was left to it, and it assigned none"
    return problem
