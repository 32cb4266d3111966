"""What libvirt asks of VSIs, in its own manner: it asks, looks every 125 ms what has become of it, and never says why.

libvirt does not tell when it gives up (after some 10 s), nor whether it looks at all: it does for a guest that is being
started or ended, and does not for one that runs, whose VSI it only renews. Which of them a request is for shows in
whether anybody looks.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from errno import EINVAL, ENOMEM, ENXIO
from typing import Any, Protocol

from msgspec import MsgspecError
from msgspec.json import decode, encode

from evbagent.libvirtdialogue import Dialogue
from evbagent.libvirtnl import PortProfile, PortResponse, VsiQuery, encode_entry
from evbagent.vsientry import LIBVIRT, BookedVsi, Waiter, Want
from evbagent.vsis import VsiBook
from evbagent.vsisession import Timer
from evbagent.vsispec import parse_spec
from protocols.vdp.filter import FilterEntry
from protocols.vdp.status import Outcome, VsiChanged, VsiState, VsiStatus
from protocols.vdp.vsi import Mode, Response, VsiId, VsiIdFormat, VsiTlv, manager_text

HOLD_S = 0.125
"""So long the first look at a request waits for what comes of it. libvirt looks again so long after each answer: with
any other time a switch that is slower than that would be found later than if no look waited. A switch that is not busy
answers in less than 10 ms. libvirt waits for 2 s, and then for ever, so it is not for long."""

AGREEMENT_S = 5.0
"""So long a guest that is being started waits for its uplink's switch to be heard."""

PATIENCE_S = 12.0
"""libvirt has given up by then: 80 looks, 125 ms each, and the time that each look takes."""

REMEMBERED_S = 17.0
"""So long an answer can be looked at."""

EAGER_S = 1.0
"""A VSI that is lost more often than this comes back when the machine thinks fit, however often libvirt asks."""

MOST_DIALOGUES = 1 << 15

log = logging.getLogger(__name__)

Notify = Callable[[str, VsiQuery, int, int], None]
"""Interface, what was asked for, the sequence number of that, and the port id of whose it is."""


class Ports(Protocol):
    """What has to be known of an interface's port."""

    def is_open(self, interface: str) -> bool:
        """Whether there is a switch to talk to."""

    def is_up(self, interface: str) -> bool: ...


class LibvirtVsis:
    """libvirt's VSIs of all interfaces, by the interface's name. Errors are errno; 0 is none."""

    def __init__(
        self,
        book: VsiBook,
        ports: Ports,
        notify: Notify,
        call_later: Callable[..., Timer],
        clock: Callable[[], float],
    ) -> None:
        self._book = book
        self._ports = ports
        self._notify = notify
        self._call_later = call_later
        self._clock = clock
        self._dialogues: dict[str, dict[VsiId, Dialogue]] = {}

    def ask(self, interface: str, query: VsiQuery, port_id: int, sequence: int) -> int:
        """One request. `port_id`: of whom to notify when the switch takes the VSI away."""
        if sum(map(len, self._dialogues.values())) >= MOST_DIALOGUES:
            self._book.room.refused += 1
            return ENOMEM
        vsi_id = VsiId(VsiIdFormat.UUID, query.profile.uuid)
        if query.mode is Mode.DEASSOCIATE:
            return self._release(interface, vsi_id, port_id)
        spec = _spec(query, vsi_id)
        try:
            tlv = parse_spec(spec)
        except ValueError as error:
            log.warning("%s: libvirt's VSI %s is refused: %s", interface, vsi_id.text, error)
            return EINVAL
        kept = encode(spec | {LIBVIRT: {"port-id": port_id, "sequence": sequence}})
        vsi = self._book.find(interface, vsi_id)
        if vsi and vsi.want and vsi.want.owner == LIBVIRT and vsi.want.tlv == tlv:
            return self._renew(interface, vsi, vsi.want, kept, port_id)
        want = Want(tlv, LIBVIRT, vsi is not None and _persists(vsi), kept)
        return self._associate(interface, vsi_id, want, port_id)

    def entries(self, interface: str) -> Iterator[bytes]:
        """What has become of all of them, for libvirt to find its own; the one that was asked for last comes first."""
        dialogues = self._dialogues.get(interface, {})
        for vsi_id, dialogue in reversed(dialogues.items()):
            response = self._response(interface, vsi_id, dialogue)
            dialogue.looked(response)
            yield encode_entry(vsi_id.octets, response)
        for vsi in self._book.owned(interface, LIBVIRT):
            if vsi.vsi_id not in dialogues and vsi.want:
                yield encode_entry(vsi.vsi_id.octets, _granted(vsi, vsi.want.tlv))

    def hold(self, interface: str, port_id: int, answer: Callable[[], None]) -> bool:
        """Whether a look by whoever has this port id waits a little; `answer` is called when the time has come."""
        dialogues = self._dialogues.get(interface, {})
        dialogue = next((found for found in reversed(dialogues.values()) if found.port_id == port_id), None)
        if dialogue is None or dialogue.is_awaited or not dialogue.is_pending or not self._ports.is_open(interface):
            return False
        dialogue.is_awaited = True
        dialogue.held = answer
        self._call_later(HOLD_S, dialogue.let_go)
        return True

    def changed(self, interface: str, change: VsiChanged) -> None:
        """A VSI, perhaps not libvirt's, is another one now. To be told after the book."""
        if change.was is VsiState.UNASSOCIATED or change.status.state is not VsiState.UNASSOCIATED:
            return
        vsi = self._book.find(interface, change.vsi_id)
        want = vsi.want if vsi else None
        if vsi is None or want is None or want.owner != LIBVIRT or vsi.waiters or not self._ports.is_up(interface):
            return
        dialogue = self._dialogues.get(interface, {}).get(change.vsi_id)
        if dialogue and dialogue.is_awaited and not dialogue.seen:
            return  # libvirt does not know that it was there
        if owner := _owner(want):
            port_id, sequence = owner
            log.info("%s: VSI %s was taken away, libvirt (port id %d) is told", interface, vsi.text, port_id)
            self._notify(interface, _query(want.tlv), sequence, port_id)

    def renamed(self, old: str, new: str) -> None:
        for dialogue in (dialogues := self._dialogues.pop(old, {})).values():
            dialogue.interface = new
        if dialogues:
            self._dialogues[new] = dialogues | self._dialogues.get(new, {})

    def tell(self, waiter: Waiter, outcome: Outcome, text: str, status: VsiStatus | None) -> None:
        """The answer to a request of ours."""
        dialogue = self._dialogues.get(waiter.vsi.port.name, {}).get(waiter.vsi.vsi_id)
        if dialogue is None or dialogue.waiter is not waiter:
            return
        dialogue.waiter = None
        dialogue.outcome = outcome
        if dialogue.held:
            self._call_later(0, dialogue.let_go)  # when the book knows of it as well
        if outcome not in (Outcome.GRANTED, Outcome.SUPERSEDED) and dialogue.mode is not Mode.DEASSOCIATE:
            dialogue.verdict = _verdict(outcome, status)
            log.info("%s: VSI %s is not associated for libvirt: %s", dialogue.interface, waiter.vsi.text, text)

    # Requests.

    def _associate(self, interface: str, vsi_id: VsiId, want: Want, port_id: int) -> int:
        batch = self._book.batch(interface)
        try:
            batch.check_room(batch.port.vsis.get(vsi_id), want)
        except ValueError:
            return ENOMEM
        vsi = batch.port.vsi(vsi_id)
        new = vsi.want is None or vsi.standing is None
        dialogue = self._open(interface, vsi_id, want.tlv.mode, port_id, new)
        dialogue.want = want
        batch.adopt(vsi, want)
        dialogue.waiter = batch.request(vsi, want.tlv, want, self)
        batch.commit()
        error = _AT_ONCE.get(dialogue.outcome, 0) if dialogue.outcome else 0
        if error:
            self._close(dialogue)
        return error

    def _renew(self, interface: str, vsi: BookedVsi, want: Want, kept: bytes, port_id: int) -> int:
        """The same again: libvirtd was started anew, or has heard that the VSI was taken away, or asks twice."""
        self._book.write([((interface, vsi.text), kept)])
        self._book.room.reword(want, kept)
        previous = self._dialogues.get(interface, {}).get(vsi.vsi_id)
        new = vsi.standing is None and not want.persistent
        dialogue = self._open(interface, vsi.vsi_id, want.tlv.mode, port_id, new)
        if vsi.waiters:
            dialogue.waiter = vsi.waiters[-1] if vsi.waiters[-1].asker is self else None
        elif _granted(vsi, want.tlv) is None:
            now = self._clock()
            if previous is None or now - previous.asked_at >= EAGER_S or previous.mode is not want.tlv.mode:
                self._insist(interface, vsi, want, dialogue)
            else:
                dialogue.asked_at = previous.asked_at
        return 0

    def _insist(self, interface: str, vsi: BookedVsi, want: Want, dialogue: Dialogue) -> None:
        """A running guest's: it is asked for until it is given up, whatever the switch says."""
        want.persistent = True
        batch = self._book.batch(interface)
        batch.adopt(vsi, want)
        dialogue.verdict = None
        dialogue.waiter = batch.request(vsi, want.tlv, want, self)
        batch.commit()

    def _release(self, interface: str, vsi_id: VsiId, port_id: int) -> int:
        """The first look is to find that it has succeeded, whether the switch has confirmed it or there was nothing."""
        dialogue = self._open(interface, vsi_id, Mode.DEASSOCIATE, port_id, new=False)
        dialogue.verdict = PortResponse.SUCCESS
        vsi = self._book.find(interface, vsi_id)
        tlv = vsi.want.tlv if vsi and vsi.want else vsi.status.request if vsi and vsi.status else None
        if vsi and tlv:
            batch = self._book.batch(interface)
            batch.adopt(vsi, None)
            dialogue.waiter = batch.request(vsi, tlv._replace(mode=Mode.DEASSOCIATE), None, self)
            batch.commit()
        return 0

    # Dialogues.

    def _open(self, interface: str, vsi_id: VsiId, mode: Mode, port_id: int, new: bool) -> Dialogue:
        dialogues = self._dialogues.setdefault(interface, {})
        if former := dialogues.get(vsi_id):
            self._close(former)
            dialogues = self._dialogues.setdefault(interface, dialogues)
        dialogue = dialogues[vsi_id] = Dialogue(interface, vsi_id, mode, port_id, new, self._clock())
        dialogue.timer = self._call_later(AGREEMENT_S, self._look_for_a_switch, dialogue)
        return dialogue

    def _close(self, dialogue: Dialogue) -> None:
        if dialogue.timer:
            dialogue.timer.cancel()
        dialogues = self._dialogues.get(dialogue.interface, {})
        if dialogues.get(dialogue.vsi_id) is dialogue:
            del dialogues[dialogue.vsi_id]
            if not dialogues:
                del self._dialogues[dialogue.interface]
        dialogue.let_go()

    def _look_for_a_switch(self, dialogue: Dialogue) -> None:
        dialogue.timer = self._call_later(PATIENCE_S - AGREEMENT_S, self._lose_patience, dialogue)
        if not dialogue.is_awaited:
            self._keep_asking(dialogue)
        elif dialogue.is_pending and not self._ports.is_open(dialogue.interface):
            self._give_up(dialogue, "there is no switch that takes requests")

    def _lose_patience(self, dialogue: Dialogue) -> None:
        """libvirt has got its answer by now, or none: then it has given up, and the guest was not started."""
        dialogue.timer = self._call_later(REMEMBERED_S - PATIENCE_S, self._close, dialogue)
        if dialogue.mode is Mode.DEASSOCIATE or not dialogue.is_awaited:
            return
        if dialogue.is_pending:
            self._give_up(dialogue, "no answer in the time that libvirt waits for it")
        elif dialogue.verdict is None and not dialogue.seen:
            self._give_up(dialogue, "the answer came when libvirt had given up")

    def _give_up(self, dialogue: Dialogue, why: str) -> None:
        """What was never granted to libvirt's knowledge is an orphan."""
        dialogue.verdict = PortResponse.TIMED_OUT
        dialogue.waiter = None
        vsi = self._book.find(dialogue.interface, dialogue.vsi_id)
        if vsi and vsi.want and vsi.want.owner == LIBVIRT and dialogue.new and not vsi.want.persistent:
            log.info("%s: VSI %s is given up: %s", dialogue.interface, vsi.text, why)
            batch = self._book.batch(dialogue.interface)
            batch.give_up(vsi)
            batch.commit()

    def _keep_asking(self, dialogue: Dialogue) -> None:
        """Nobody has looked, so the guest runs: without its VSI it is cut off, and libvirt will not ask again."""
        want = dialogue.want
        if want is None or dialogue.outcome in (Outcome.GRANTED, Outcome.SUPERSEDED):
            return
        vsi = self._book.batch(dialogue.interface).port.vsi(dialogue.vsi_id)
        if vsi.want in (None, want):
            self._insist(dialogue.interface, vsi, want, dialogue)

    def _response(self, interface: str, vsi_id: VsiId, dialogue: Dialogue) -> int | None:
        if dialogue.verdict is not None:
            return dialogue.verdict
        vsi = self._book.find(interface, vsi_id)
        if vsi and vsi.want:
            return _granted(vsi, vsi.want.tlv)
        return None if dialogue.is_pending else PortResponse.OTHER_FAILURE  # somebody else has given it up


def _spec(query: VsiQuery, vsi_id: VsiId) -> dict[str, Any]:
    """The request in the words in which the journal keeps it."""
    profile = query.profile
    entry = FilterEntry(query.vid, query.priority or None, query.mac, None)
    return {
        "request": query.mode.word,
        "instance": vsi_id.text,
        "manager": manager_text(bytes([profile.manager]).ljust(16, b"\0")),
        "type": profile.type_id,
        "type-version": profile.version,
        "filter": [entry.text],
    }


def _query(tlv: VsiTlv) -> VsiQuery:
    """The request again, as libvirt is reminded of it."""
    entry = tlv.filters.entries[0]
    profile = PortProfile(tlv.manager[0], tlv.type_id, tlv.version, tlv.vsi_id.octets)
    return VsiQuery(0, None, tlv.mode, profile, entry.mac, entry.vid, entry.pcp or 0)


def _owner(want: Want) -> tuple[int, int] | None:
    """Port id and sequence number of who asked."""
    try:
        kept = decode(want.spec or b"")[LIBVIRT]
        return int(kept["port-id"]), int(kept["sequence"])
    except (MsgspecError, LookupError, TypeError, ValueError):
        return None


def _persists(vsi: BookedVsi) -> bool:
    """Once the machine has been told to keep asking, it does so whatever the words."""
    return vsi.want is not None and vsi.want.persistent


def _granted(vsi: BookedVsi, tlv: VsiTlv) -> int | None:
    """Success if the machine has this granted now."""
    status = vsi.status
    granted = (
        status is not None
        and status.pending is None
        and status.request == tlv
        and status.state is VsiState.after(tlv.mode)
    )
    return PortResponse.SUCCESS if granted else None


def _verdict(outcome: Outcome, status: VsiStatus | None) -> int:
    if outcome is Outcome.REFUSED:
        said = status.response if status else None
        return _RESPONSES.get(said, PortResponse.OTHER_FAILURE) if said else PortResponse.OTHER_FAILURE
    return PortResponse.INVALID_FORMAT if outcome is Outcome.INVALID else PortResponse.TIMED_OUT


_AT_ONCE: Mapping[Outcome, int] = {Outcome.INVALID: EINVAL, Outcome.LINK_LOST: ENXIO}
_RESPONSES: Mapping[Response, PortResponse] = {
    Response.INVALID_FORMAT: PortResponse.INVALID_FORMAT,
    Response.INSUFFICIENT_RESOURCES: PortResponse.INSUFFICIENT_RESOURCES,
    Response.MANAGER_UNREACHABLE: PortResponse.MANAGER_UNREACHABLE,
    Response.OTHER_FAILURE: PortResponse.OTHER_FAILURE,
    Response.INVALID_ADDRESS: PortResponse.INVALID_ADDRESS,
    # The draft's have numbers of their own.
    Response.UNUSED_VTID: PortResponse.MANAGER_UNREACHABLE,
    Response.VTID_VIOLATION: PortResponse.OTHER_FAILURE,
    Response.VTID_VERSION_VIOLATION: PortResponse.INVALID_ADDRESS,
    Response.OUT_OF_SYNC: PortResponse.OUT_OF_SYNC,
}
