"""A book of VSIs between a client, a clock that stands still and a port's machine, all of which a test plays."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from evbagent.journal import Journal
from evbagent.vsiconfig import DeclaredVsi
from evbagent.vsis import Session, VsiBook
from evbagent.vsispec import parse_spec
from protocols.vdp.status import Outcome, VsiRequest, VsiState, VsiStatus
from protocols.vdp.vsi import Mode, Response, VsiTlv

BOOT = "0f0e0d0c-0b0a-0908-0706-050403020100"


def instance(number: int) -> str:
    return f"a1412857-60f7-4ce1-e95a-{number:012x}"


def spec(number: int = 1, request: str = "associate", **more: Any) -> dict[str, Any]:
    """A client's request for the VSI of this number."""
    if request == "deassociate":
        return {"request": request, "instance": instance(number), **more}
    return {
        "request": request,
        "instance": instance(number),
        "manager": "192.0.2.7",
        "type": 7,
        "type-version": 1,
        "filter": [f"0-52:54:00:00:{number >> 8:02x}:{number & 0xFF:02x}"],
        **more,
    }


def tlv(number: int = 1, **more: Any) -> VsiTlv:
    return parse_spec(spec(number, **more))


def declared(number: int, interface: str = "eth0", source: str = "", **more: Any) -> DeclaredVsi:
    wanted = spec(number, **more)
    return DeclaredVsi(interface, parse_spec(wanted), source or f"a.toml: vsi {number}", wanted)


def status(request: VsiTlv, state: VsiState = VsiState.UNASSOCIATED, **more: Any) -> VsiStatus:
    made = VsiStatus(request, state, None, request.filters, None, False, False, 0, "", 1_000_000)
    return made._replace(**more)


@dataclass
class Timer:
    due: float
    call: Callable[[], object]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """What `call_later` of a loop does, when a test lets time pass."""

    def __init__(self) -> None:
        self.now: float = 0
        self.timers: list[Timer] = []

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        self.timers.append(Timer(self.now + delay, lambda: callback(*arguments)))
        return self.timers[-1]

    def pass_by(self, seconds: float = 0) -> None:
        """What is due by then happens."""
        end = self.now + seconds
        while due := [timer for timer in self.pending if timer.due <= end]:
            timer = min(due, key=lambda timer: timer.due)
            self.timers.remove(timer)
            self.now = timer.due
            timer.call()
        self.now = end

    @property
    def pending(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.cancelled]


@dataclass
class Client:
    """What it asks, and the answers, in order."""

    session: Session | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)

    def take(self, answers: list[dict[str, Any]]) -> None:
        assert answers, "nothing is said when there is nothing to say"
        self.answers += answers

    def ask(self, *specs: Any) -> None:
        assert self.session
        self.session.request(list(specs))

    @property
    def said(self) -> list[tuple[Any, str]]:
        """ID and result of each answer since the last look."""
        answers, self.answers = self.answers, []
        return [(answer["id"], answer["result"]) for answer in answers]


class Rig:
    """The book and all around it. Tests answer as the machine, by `grant` and the others; `refusing` is without one."""

    def __init__(self, directory: Path, boot: str = BOOT) -> None:
        self.directory = directory
        self.clock = Clock()
        self.journal = Journal(directory, lambda: boot)
        self.sent: list[tuple[str, tuple[VsiRequest, ...]]] = []
        self.kept_when_sent: list[set[tuple[str, str]]] = []
        self.refusing: str | None = None
        self.machine: Callable[[str, tuple[VsiRequest, ...]], None] = lambda interface, requests: None
        self.book = VsiBook(self.journal, self._send, self.clock.call_later, lambda instant: "2026-11-22T09:30:00Z")

    def client(self, interface: str = "eth0") -> Client:
        client = Client()
        client.session = self.book.open_session(interface, client.take)
        return client

    def requests(self, interface: str = "eth0") -> list[VsiRequest]:
        """What the machine was asked since the last look."""
        found = [request for name, requests in self.sent for request in requests if name == interface]
        self.sent = [(name, requests) for name, requests in self.sent if name != interface]
        return found

    def request(self, interface: str = "eth0") -> VsiRequest:
        (request,) = self.requests(interface)
        return request

    @property
    def kept(self) -> set[tuple[str, str]]:
        """What a successor would restore now: interface and instance."""
        successors = Journal(self.directory, lambda: BOOT)
        try:
            return {key for key, _ in successors.load()}
        finally:
            successors.close()

    def shown(self, interface: str = "eth0") -> list[dict[str, Any]]:
        """As in the state file, which is put together of pieces; `show vsis` is made anew each time."""
        self.check_counts()
        found: list[dict[str, Any]] = json.loads(b"".join(self.book.pieces(interface)))
        rows = json.loads(bytes(self.book.rows([interface])))
        made_anew = [{key: value for key, value in row.items() if key != "interface"} for row in rows]
        assert sorted(found, key=itemgetter("vsi-id")) == sorted(made_anew, key=itemgetter("vsi-id"))
        return found

    def show(self, interface: str = "eth0") -> list[tuple[str, str, str | None]]:
        """VSI, state and owner of each."""
        return [(vsi["vsi-id"], vsi["state"], vsi.get("owner")) for vsi in self.shown(interface)]

    def check_counts(self) -> None:
        """What the book says that is wanted, restorably, is what is."""
        pages = self.book._ports.values()
        specs = [vsi.want.spec for page in pages for vsi in page.vsis.values() if vsi.want and vsi.want.spec]
        assert (self.book.room.wanted, self.book.room.wanted_octets) == (len(specs), sum(map(len, specs)))

    # The machine.

    def hold(self, request: VsiRequest, interface: str = "eth0") -> None:
        """It has taken the request, and waits for the switch."""
        self._changed(interface, status(request.tlv, pending=request.tlv.mode))

    def grant(self, request: VsiRequest, interface: str = "eth0", **more: Any) -> None:
        state = VsiState.after(request.tlv.mode)
        granted = status(request.tlv, state, response=Response.SUCCESS, **more)
        self.book.confirm(interface, request.ticket, Outcome.GRANTED, granted)
        self._changed(interface, granted, gone=request.tlv.mode is Mode.DEASSOCIATE)

    def refuse(
        self,
        request: VsiRequest,
        outcome: Outcome = Outcome.REFUSED,
        interface: str = "eth0",
        back_to: VsiTlv | None = None,
        gone: bool = True,
        **more: Any,
    ) -> None:
        """`back_to`: what was granted before stays (Keep)."""
        more.setdefault("reason", "the switch answered: insufficient-resources")
        state = VsiState.after(back_to.mode) if back_to else VsiState.UNASSOCIATED
        refused = status(back_to or request.tlv, state, response=Response.INSUFFICIENT_RESOURCES, **more)
        self.book.confirm(interface, request.ticket, outcome, refused)
        self._changed(interface, refused, gone=gone and back_to is None)

    def turn_down(self, request: VsiRequest, outcome: Outcome = Outcome.INVALID, interface: str = "eth0") -> None:
        """It does not even take it."""
        self.book.confirm(interface, request.ticket, outcome, status(request.tlv, reason="filter: it is not so"))

    def lose(self, request: VsiRequest, interface: str = "eth0") -> None:
        """What was granted is granted no more, and not asked for again."""
        self._changed(interface, status(request.tlv, reason="de-associated by the switch"), gone=True)

    def _changed(self, interface: str, now: VsiStatus, gone: bool = False) -> None:
        self.book.changed(interface, now.request.vsi_id, now, gone)

    def _send(self, interface: str, requests: tuple[VsiRequest, ...]) -> str | None:
        if self.refusing:
            return self.refusing
        self.kept_when_sent.append(self.kept)
        self.sent.append((interface, requests))
        self.machine(interface, requests)
        return None
