"""One client's requests for the VSIs of one interface, and what it is told of them."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.json import encode

from evbagent.messages import check_id
from evbagent.vsientry import BookedVsi, Waiter, Want
from evbagent.vsispec import VsiSpec, read_spec, vsi_tlv
from evbagent.vsiview import vsi_answer
from protocols.vdp.status import Outcome, VsiStatus
from protocols.vdp.vsi import Mode, VsiTlv

if TYPE_CHECKING:
    from evbagent.vsis import Batch, VsiBook

Answer = Callable[[list[dict[str, Any]]], None]

_OF_ONE_REQUEST = frozenset({"id", "wait"})


class Timer(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None: ...


class Session:
    """A client's, from `VsiBook.open_session`. `answer` may be called at any time until `closed`."""

    def __init__(
        self,
        book: "VsiBook",
        interface: str,
        answer: Answer,
        call_later: Callable[..., Timer],
    ) -> None:
        self._book = book
        self._interface = interface
        self._answer: Answer | None = answer
        self._call_later = call_later
        self._waits: dict[int, _Wait] = {}

    def request(self, specs: Iterable[Any]) -> None:
        """Take the requests, which are put to the switch together. Each is answered once."""
        batch = self._book.batch(self._interface)
        waits: dict[float, _Wait] = {}
        refused = []
        for spec in specs:
            spec_id = None
            try:
                spec_id = check_id(spec)
                fields = read_spec(spec)
                tlv = vsi_tlv(fields)
                known = batch.port.vsis.get(tlv.vsi_id)
                want = None if tlv.mode is Mode.DEASSOCIATE else self._want(known, tlv, fields, spec)
                batch.check_room(known, want)
            except ValueError as error:
                refused.append(vsi_answer(spec_id, Outcome.INVALID, str(error)))
                continue
            vsi = batch.port.vsi(tlv.vsi_id)
            batch.adopt(vsi, want)
            waiter = batch.request(vsi, tlv, want, self, spec_id)
            if fields.wait is not None:
                wait = waits.get(fields.wait) or waits.setdefault(fields.wait, _Wait(fields.wait))
                wait.waiters[waiter.ticket] = waiter
                self._waits[waiter.ticket] = wait
        for wait in waits.values():
            wait.timer = self._call_later(wait.seconds, self._expired, wait)
        batch.commit()
        if refused and self._answer:
            self._answer(refused)

    def closed(self) -> None:
        """The client is gone. What it asked for goes on: it may come back, and ask again."""
        self._answer = None

    def tell(self, waiter: Waiter, outcome: Outcome, text: str, status: VsiStatus | None) -> None:
        if wait := self._waits.pop(waiter.ticket, None):
            wait.answered(waiter)
        if self._answer and not waiter.told:
            document = None if status is None else self._book.json(waiter.vsi, status)
            self._answer([vsi_answer(waiter.spec_id, outcome, text, status, document)])

    def _want(self, vsi: BookedVsi | None, tlv: VsiTlv, fields: VsiSpec, spec: dict[str, Any]) -> Want:
        # Once the machine has been told to keep asking, it does so whatever the words.
        persistent = fields.persistent or (vsi is not None and vsi.want is not None and vsi.want.persistent)
        kept = encode({key: value for key, value in spec.items() if key not in _OF_ONE_REQUEST})
        return Want(tlv, fields.owner, persistent, kept)

    def _expired(self, wait: "_Wait") -> None:
        """Say that nothing has come of it yet. What was never granted, and is not awaited by others, is given up."""
        batches: dict[str, Batch] = {}  # the interface may have another name by now
        for waiter in list(wait.waiters.values()):
            vsi, want = waiter.vsi, waiter.want
            because = f": {vsi.status.reason}" if vsi.status and vsi.status.reason else ""
            self.tell(waiter, Outcome.TIMED_OUT, f"no answer within {wait.seconds:g} s{because}", vsi.status)
            waiter.told = True
            if want and want is vsi.want and not (want.persistent or vsi.standing or vsi.is_awaited):
                name = vsi.port.name
                batch = batches.get(name) or batches.setdefault(name, self._book.batch(name))
                batch.give_up(vsi)
        for batch in batches.values():
            batch.commit()


class _Wait:
    """Requests of one message that are given the same time, so that one timer does for them."""

    __slots__ = ("seconds", "timer", "waiters")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.waiters: dict[int, Waiter] = {}
        self.timer: Timer | None = None

    def answered(self, waiter: Waiter) -> None:
        del self.waiters[waiter.ticket]
        if not self.waiters and self.timer:
            self.timer.cancel()
