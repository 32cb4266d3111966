"""The book of VSIs: what is wanted for each, by whom, who waits for an answer, and what is known of it.

The port's machine has the last word on what becomes of a request, and the book follows it: a VSI that the machine holds
is wanted, unless it is being given up; one that it lets go is not. What was granted, declared or asked for persistently
is asked for again when the interface, or the agent, comes back.
"""

import logging
from collections.abc import Callable, Iterable, Mapping

from msgspec import MsgspecError, Raw
from msgspec.json import decode

from evbagent.journal import Change, Journal
from evbagent.view import utc
from evbagent.vsiconfig import DeclaredVsi
from evbagent.vsientry import DECLARED, LIBVIRT, Asker, BookedPort, BookedVsi, Piece, Waiter, Want
from evbagent.vsiroom import Room
from evbagent.vsisession import Answer as Answer
from evbagent.vsisession import Session as Session
from evbagent.vsisession import Timer
from evbagent.vsispec import read_spec, vsi_tlv
from evbagent.vsiview import VsiDocuments, vsi_rows
from protocols.timers import Instant
from protocols.vdp.status import Outcome, VsiRequest, VsiState, VsiStatus
from protocols.vdp.vsi import Mode, VsiId, VsiTlv

log = logging.getLogger(__name__)


class VsiBook:
    """The VSIs of all interfaces, by the interface's name.

    `send` gives requests to the interface's machine: None, or why it cannot. The machine answers each request once, by
    `confirm`, and tells of every change by `changed`; also before `send` returns. Tickets count from 1.
    """

    def __init__(
        self,
        journal: Journal | None,
        send: Callable[[str, tuple[VsiRequest, ...]], str | None],
        call_later: Callable[..., Timer],
        utc: Callable[[Instant], str] = utc,
    ) -> None:
        self.waiters: dict[int, Waiter] = {}
        self.tickets = 0
        self.room = Room()
        self._journal = journal
        self._send = send
        self._call_later = call_later
        self._documents = VsiDocuments(utc)
        self._ports: dict[str, BookedPort] = {}
        self._declared: tuple[DeclaredVsi, ...] = ()
        self._doubtful: dict[BookedVsi, None] = {}

    # The agent's life.

    def recover(self) -> None:
        """Take up what clients wanted of an agent before this one. Once, when no other agent can be running."""
        changes: list[Change] = []
        for key, spec in self._journal.load() if self._journal else ():
            interface, text = key
            try:
                wanted = decode(spec)
                is_libvirts = isinstance(wanted, dict) and wanted.pop(LIBVIRT, None)
                fields = read_spec(wanted)
                tlv = vsi_tlv(fields)
            except (MsgspecError, ValueError) as error:
                log.warning("%s: VSI %s is not restored: %s", interface, text, error)
                changes.append((key, None))
            else:
                owner = LIBVIRT if is_libvirts else fields.owner
                self.room.adopt(self._port(interface).vsi(tlv.vsi_id), Want(tlv, owner, True, spec))
        self.write(changes)
        self._ask_everywhere()

    def declare(self, declared: Iterable[DeclaredVsi], complete: bool = True) -> None:
        """All that is declared now: what is new or different is asked for, what is not there any more is given up.

        What a client has asked for takes precedence; what a client has given up comes back. `complete` False: some
        files could not be read, so what is missing may only have been mistyped, and stays.
        """
        new = tuple(declared)
        names = frozenset() if complete else {(entry.interface, entry.tlv.vsi_id) for entry in new}
        old = () if complete else self._declared
        self._declared = new + tuple(entry for entry in old if (entry.interface, entry.tlv.vsi_id) not in names)
        self._ask_everywhere()

    def close(self) -> None:
        """The agent ends: whatever becomes of its VSIs from now on, its successor is to restore them."""
        if self._journal:
            self._journal.close()

    # Interfaces.

    def port_ready(self, interface: str) -> None:
        """There is a machine that takes requests: it gets what is wanted there and it does not hold."""
        port = self._port(interface)
        port.ready = True
        self._ask(port)

    def port_gone(self, interface: str) -> None:
        """The machine is no more, and its VSIs with it."""
        port = self._ports.get(interface)
        if port is None:
            return
        port.ready = False
        for vsi in port.vsis.values():
            waiters, vsi.waiters = vsi.waiters, ()
            vsi.know(None)
            for waiter in waiters:
                del self.waiters[waiter.ticket]
                waiter.asker.tell(waiter, Outcome.LINK_LOST, f"the agent does not serve {interface} any more", None)
            self.doubt(vsi)
        self.forget(port)

    def port_renamed(self, old: str, new: str) -> None:
        """The interface has another name, and the same machine."""
        port = self._ports.pop(old, None)
        if port is None:
            return
        changes: list[Change] = []
        absent = self._ports.get(new)
        self._ports[new], port.name = port, new
        for vsi in absent.vsis.values() if absent else ():
            if not port.take_over(vsi):
                self.room.adopt(vsi, None)
        for vsi in port.vsis.values():
            if vsi.want and vsi.want.spec is not None:
                changes += [((old, vsi.text), None), ((new, vsi.text), vsi.want.spec)]
        self.write(changes)
        self._ask(port)

    # The machine.

    def confirm(self, interface: str, ticket: int, outcome: Outcome, status: VsiStatus) -> None:
        """The answer to one request."""
        waiter = self.waiters.pop(ticket, None)
        if waiter is None:
            return
        vsi = waiter.vsi
        vsi.leave(waiter)
        if outcome is Outcome.GRANTED and waiter.want:
            vsi.standing = waiter.want
        else:
            self.doubt(vsi)
        waiter.asker.tell(waiter, outcome, _sentence(waiter, outcome, status), status)

    def changed(self, interface: str, vsi_id: VsiId, status: VsiStatus, gone: bool) -> None:
        """The machine holds a VSI, like this; or it has let it go."""
        vsi = self._port(interface).vsi(vsi_id)
        vsi.know(None if gone else status)
        if gone:
            vsi.standing = None
            self.doubt(vsi)
            return
        want = vsi.want
        if want and want is not vsi.standing and status.request == want.tlv and _is_granted(status):
            vsi.standing = want  # perhaps when nobody waited for it any more

    # What is known.

    def document(self, interface: str, status: VsiStatus) -> Raw:
        """The VSI's JSON, also when it has just gone."""
        vsi_id = status.request.vsi_id
        port = self._ports.get(interface)
        vsi = port.vsis.get(vsi_id) if port else None
        return Raw(self.json(vsi, status) if vsi else self._documents.make(status, vsi_id.text, None))

    def pieces(self, interface: str) -> list[bytes]:
        """The array of the interface's VSIs, for the state file."""
        port = self._ports.get(interface)
        texts = [text for piece in (port.pieces if port else ()) if (text := self._text(piece))]
        if texts:
            texts[0] = texts[0].removeprefix(b",")
        return [b"[", *texts, b"]"]

    def rows(self, interfaces: Iterable[str]) -> Raw:
        """The array of `show vsis`."""
        return Raw(b"[" + b",".join(row for name in interfaces for row in vsi_rows(name, self._all(name))) + b"]")

    def is_associated(self, interface: str, vsi_id: VsiId) -> bool:
        vsi = self.find(interface, vsi_id)
        return vsi is not None and vsi.status is not None and vsi.status.state is VsiState.ASSOCIATED

    def find(self, interface: str, vsi_id: VsiId) -> BookedVsi | None:
        port = self._ports.get(interface)
        return port.vsis.get(vsi_id) if port else None

    def owned(self, interface: str, owner: str) -> list[BookedVsi]:
        """The VSIs of the interface that are this owner's wish."""
        port = self._ports.get(interface)
        return [vsi for vsi in (port.vsis.values() if port else ()) if vsi.want and vsi.want.owner == owner]

    def json(self, vsi: BookedVsi, status: VsiStatus) -> bytes:
        """The VSI's document, made when it is first asked for."""
        if vsi.shown is not status:
            vsi.json = self._documents.make(status, vsi.text, vsi.want.owner if vsi.want else None)
            vsi.shown = status
        return vsi.json

    # What is wanted.

    def open_session(self, interface: str, answer: Answer) -> Session:
        """What a client asks of the interface's VSIs; `answer` takes what comes of it."""
        return Session(self, interface, answer, self._call_later)

    def batch(self, interface: str) -> "Batch":
        """Requests that are made together."""
        return Batch(self, self._port(interface))

    def write(self, changes: list[Change]) -> None:
        if self._journal and changes:
            self._journal.write(changes)

    def send(self, interface: str, requests: tuple[VsiRequest, ...]) -> None:
        """Have the machine asked; without one all are answered here."""
        problem = self._send(interface, requests)
        for request in requests if problem else ():
            waiter = self.waiters.pop(request.ticket)
            waiter.vsi.leave(waiter)
            self.doubt(waiter.vsi)
            if waiter.want is None:
                waiter.asker.tell(waiter, Outcome.GRANTED, f"it was not associated: {problem}", None)
            elif waiter.want.persistent:
                waiter.asker.tell(waiter, Outcome.LINK_LOST, f"{problem}; {_ASKED_AGAIN}", None)
            else:
                waiter.asker.tell(waiter, Outcome.INVALID, str(problem), None)

    def forget(self, port: BookedPort) -> None:
        """Keep no page for an interface that there is not, and nothing is wanted of."""
        if not port.vsis and not port.ready and self._ports.get(port.name) is port:
            del self._ports[port.name]

    def doubt(self, vsi: BookedVsi) -> None:
        """Whether it is still wanted is seen when the machine has said all that it has to say now."""
        if not self._doubtful:
            self._call_later(0, self._reconcile)
        self._doubtful[vsi] = None

    def _reconcile(self) -> None:
        doubtful, self._doubtful = self._doubtful, {}
        changes: list[Change] = []
        for vsi in doubtful:
            port = vsi.port
            if not any(waiter.want for waiter in vsi.waiters):
                changes += self.room.adopt(vsi, vsi.kept)
                vsi.former = None
            if vsi.is_blank and port.vsis.get(vsi.vsi_id) is vsi:
                port.strike(vsi)
                self.forget(port)
        self.write(changes)

    def _ask_everywhere(self) -> None:
        for port in list(self._ports.values()):
            self._ask(port)

    def _ask(self, port: BookedPort) -> None:
        """Have the machine asked for what it should hold and does not, or not in these words."""
        batch = Batch(self, port)
        declared = self._declared_for(port)
        for vsi_id, vsi in port.vsis.items():
            if vsi.want and vsi.want.owner == DECLARED and vsi_id not in declared:
                batch.give_up(vsi)
        if port.ready:
            for vsi_id, tlv in declared.items():
                vsi = port.vsi(vsi_id)
                if vsi.want is None or (vsi.want.owner == DECLARED and vsi.want.tlv != tlv):
                    batch.adopt(vsi, Want(tlv, DECLARED, True, None))
                    batch.request(vsi, tlv, vsi.want, _OURSELVES)
            for vsi in port.vsis.values():
                if vsi.want and vsi.status is None and not vsi.waiters:
                    batch.request(vsi, vsi.want.tlv, vsi.want, _OURSELVES)
        batch.commit()

    def _declared_for(self, port: BookedPort) -> dict[VsiId, VsiTlv]:
        declared: dict[VsiId, DeclaredVsi] = {}
        for entry in self._declared:
            if entry.is_for(port.name):
                first = declared.setdefault(entry.tlv.vsi_id, entry)
                if first is not entry and port.ready:
                    log.warning("%s: instance: %s has it already, from %s", entry.source, port.name, first.source)
        return {vsi_id: entry.tlv for vsi_id, entry in declared.items()}

    def _port(self, interface: str) -> BookedPort:
        return self._ports.get(interface) or self._ports.setdefault(interface, BookedPort(interface))

    def _all(self, interface: str) -> list[bytes]:
        """The documents of all that the interface's machine holds."""
        port = self._ports.get(interface)
        return self._documents_of(port.vsis.values()) if port else []

    def _text(self, piece: Piece) -> bytes:
        if piece.text is None:
            documents = self._documents_of(piece.vsis)
            piece.text = b"," + b",".join(documents) if documents else b""
        return piece.text

    def _documents_of(self, vsis: Iterable[BookedVsi]) -> list[bytes]:
        return [
            vsi.json if vsi.shown is vsi.status else self.json(vsi, vsi.status)
            for vsi in vsis
            if vsi.status is not None
        ]


class Batch:
    """Requests for one interface that are made together: they are in the journal before the machine has them."""

    def __init__(self, book: VsiBook, port: BookedPort) -> None:
        self.port = port
        self._book = book
        self._requests: list[VsiRequest] = []
        self._changes: list[Change] = []

    def check_room(self, vsi: BookedVsi | None, want: Want | None) -> None:
        """ValueError when this cannot be asked for too. `vsi` None: it is not in the book."""
        self._book.room.check(len(self._book.waiters), vsi, want)

    def adopt(self, vsi: BookedVsi, want: Want | None) -> None:
        """This is wanted from now on."""
        if vsi.want and vsi.status and vsi.status.request == vsi.want.tlv:
            vsi.former = vsi.want
        self._changes += self._book.room.adopt(vsi, want)

    def request(
        self, vsi: BookedVsi, tlv: VsiTlv, want: Want | None, asker: Asker, spec_id: int | str | None = None
    ) -> Waiter:
        """`want` None: nothing is wanted. What we ask by ourselves is asked until it is given up."""
        book = self._book
        book.tickets = ticket = book.tickets + 1
        waiter = book.waiters[ticket] = Waiter(ticket, vsi, want, asker, spec_id)
        vsi.waiters += (waiter,)
        persistent = want is not None and (want.persistent or asker is _OURSELVES)
        self._requests.append(VsiRequest(tlv, ticket, persistent, want is not None and want.owner == LIBVIRT))
        return waiter

    def give_up(self, vsi: BookedVsi) -> None:
        """Nothing is wanted any more; the switch is told if it may know of it."""
        want = vsi.want
        self.adopt(vsi, None)
        if want and (vsi.status or vsi.waiters):
            self.request(vsi, want.tlv._replace(mode=Mode.DEASSOCIATE), None, _OURSELVES)
        else:
            self._book.doubt(vsi)

    def commit(self) -> None:
        self._book.write(self._changes)
        if self._requests:
            self._book.send(self.port.name, tuple(self._requests))
        self._book.forget(self.port)


class _Ourselves:
    """What the agent asks by itself: what is declared, or restored."""

    def tell(self, waiter: Waiter, outcome: Outcome, text: str, status: VsiStatus | None) -> None:
        if outcome is Outcome.INVALID:
            log.warning("%s: VSI %s cannot be asked for: %s", waiter.vsi.port.name, waiter.vsi.text, text)


def _is_granted(status: VsiStatus) -> bool:
    """Whether the VSI has what is asked for it."""
    return status.pending is None and status.state is VsiState.after(status.request.mode)


def _sentence(waiter: Waiter, outcome: Outcome, status: VsiStatus) -> str:
    match outcome:
        case Outcome.GRANTED if waiter.want is None:
            return status.reason or "the switch has confirmed it"
        case Outcome.GRANTED:
            return f"it is {status.state}"
        case Outcome.SUPERSEDED:
            return "another request has taken its place"
        case Outcome.INVALID:
            return status.reason
    text = status.reason or _REASONS[outcome]
    return f"{text}; {_ASKED_AGAIN}" if waiter.want and waiter.want.persistent else text


_OURSELVES = _Ourselves()
_ASKED_AGAIN = "it goes on being asked for"
_REASONS: Mapping[Outcome, str] = {
    Outcome.REFUSED: "the switch has refused it",
    Outcome.TIMED_OUT: "the switch has not answered",
    Outcome.LINK_LOST: "the link is down",
}
