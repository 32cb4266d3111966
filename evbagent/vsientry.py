"""What the book of VSIs has written in it: interfaces, their VSIs, what is wanted for each, who waits for an answer."""

from typing import Protocol

from protocols.vdp.status import Outcome, VsiStatus
from protocols.vdp.vsi import Mode, VsiId, VsiTlv

DECLARED = "declared"
LIBVIRT = "libvirt"
VSIS_A_PIECE = 64


class Asker(Protocol):
    """Who asks, and is told what comes of it."""

    def tell(self, waiter: "Waiter", outcome: Outcome, text: str, status: VsiStatus | None) -> None:
        """`text`: one sentence. `status`: None where there was no machine to ask."""


class Want:
    """What is asked for a VSI, and whose wish it is.

    `persistent`: until it is given up, whatever the switch says. `spec`: its JSON, where a restart has to survive.
    """

    __slots__ = ("owner", "persistent", "spec", "tlv")

    def __init__(self, tlv: VsiTlv, owner: str, persistent: bool, spec: bytes | None) -> None:
        self.tlv = tlv
        self.owner = owner
        self.persistent = persistent
        self.spec = spec


class Waiter:
    """One request that the machine has not answered. `want` None: to deassociate. `told`: the asker has given up."""

    __slots__ = ("asker", "spec_id", "ticket", "told", "vsi", "want")

    def __init__(
        self, ticket: int, vsi: "BookedVsi", want: Want | None, asker: Asker, spec_id: int | str | None = None
    ) -> None:
        self.ticket = ticket
        self.vsi = vsi
        self.want = want
        self.asker = asker
        self.spec_id = spec_id
        self.told = False


class Piece:
    """Some VSIs of an interface, for the state file: of thousands only those are put together anew that have changed.

    `text`: their documents, each with a comma in front; None: something in them has changed.
    """

    __slots__ = ("text", "vsis")

    def __init__(self) -> None:
        self.text: bytes | None = None
        self.vsis: list[BookedVsi] = []


class BookedVsi:
    """One VSI of one interface.

    `want`: what is asked for now, or would be if there were a machine; `former`: what the machine had when that was
    asked; `standing`: what was granted last. `status`: as the machine holds it; None: it does not. `json` is the
    document of the status `shown`.
    """

    __slots__ = ("former", "json", "piece", "port", "shown", "standing", "status", "text", "vsi_id", "waiters", "want")

    def __init__(self, port: "BookedPort", vsi_id: VsiId, piece: Piece) -> None:
        self.port = port
        self.piece = piece
        self.vsi_id = vsi_id
        self.text = vsi_id.text
        self.want: Want | None = None
        self.former: Want | None = None
        self.standing: Want | None = None
        self.status: VsiStatus | None = None
        self.waiters: tuple[Waiter, ...] = ()
        self.shown: VsiStatus | None = None
        self.json = b""

    @property
    def kept(self) -> Want | None:
        """What is left of `want` when all requests are answered: after a refusal the machine may have gone back."""
        want, standing, status = self.want, self.standing, self.status
        if want is None or want is standing:
            return want
        if status is None:
            return want if want.persistent else standing
        if status.pending is Mode.DEASSOCIATE and standing is None and not want.persistent:
            return None  # never granted, and the switch is told that it is not to be
        held = (found for found in (want, standing, self.former) if found and found.tlv == status.request)
        return next(held, want)

    @property
    def is_blank(self) -> bool:
        return self.want is None and self.status is None and not self.waiters

    @property
    def is_awaited(self) -> bool:
        """Whether somebody still hopes for it."""
        return any(waiter.want and not waiter.told for waiter in self.waiters)

    def know(self, status: VsiStatus | None) -> None:
        """The machine holds it like this."""
        self.status = status
        self.piece.text = None

    def show_anew(self) -> None:
        """Its document says something else now."""
        self.shown = self.piece.text = None

    def leave(self, leaving: Waiter) -> None:
        self.waiters = tuple([waiter for waiter in self.waiters if waiter is not leaving])


class BookedPort:
    """The VSIs of one interface. `ready`: there is a machine that takes requests."""

    __slots__ = ("_roomy", "name", "pieces", "ready", "vsis")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready = False
        self.vsis: dict[VsiId, BookedVsi] = {}
        self.pieces: dict[Piece, None] = {}
        self._roomy: dict[Piece, None] = {}

    def vsi(self, vsi_id: VsiId) -> BookedVsi:
        """The entry of this VSI, which may be blank."""
        vsi = self.vsis.get(vsi_id)
        if vsi is None:
            vsi = self.vsis[vsi_id] = BookedVsi(self, vsi_id, self._piece())
            self._put(vsi)
        return vsi

    def take_over(self, vsi: BookedVsi) -> bool:
        """An entry of another page, unless there is one of this VSI: then it is not taken."""
        vsi.port = self
        if self.vsis.setdefault(vsi.vsi_id, vsi) is not vsi:
            return False
        vsi.piece = self._piece()
        self._put(vsi)
        return True

    def strike(self, vsi: BookedVsi) -> None:
        """The entry is not needed any more."""
        del self.vsis[vsi.vsi_id]
        piece = vsi.piece
        piece.vsis.remove(vsi)
        piece.text = None
        if piece.vsis:
            self._roomy[piece] = None
        else:
            del self.pieces[piece]
            self._roomy.pop(piece, None)

    def _piece(self) -> Piece:
        """One with room for another VSI."""
        if not self._roomy:
            piece = Piece()
            self.pieces[piece] = self._roomy[piece] = None
        return next(iter(self._roomy))

    def _put(self, vsi: BookedVsi) -> None:
        piece = vsi.piece
        piece.vsis.append(vsi)
        piece.text = None
        if len(piece.vsis) == VSIS_A_PIECE:
            del self._roomy[piece]
