"""One of libvirt's requests, and what has been said about it since."""

from collections.abc import Callable

from evbagent.vsientry import Waiter, Want
from evbagent.vsisession import Timer
from protocols.vdp.status import Outcome
from protocols.vdp.vsi import Mode, VsiId


class Dialogue:
    """libvirt's last request for one VSI, and what has been said about it since.

    `want`: what was asked, unless it was nothing new; `new`: nothing was granted before. `verdict`: what it came to,
    where that is not what the book has. `is_awaited`: libvirt has looked; `seen`: and has found an answer;
    `held`: its look waits.
    """

    __slots__ = (
        "asked_at",
        "held",
        "interface",
        "is_awaited",
        "mode",
        "new",
        "outcome",
        "port_id",
        "seen",
        "timer",
        "verdict",
        "vsi_id",
        "waiter",
        "want",
    )

    def __init__(self, interface: str, vsi_id: VsiId, mode: Mode, port_id: int, new: bool, now: float) -> None:
        self.interface = interface
        self.vsi_id = vsi_id
        self.mode = mode
        self.port_id = port_id
        self.new = new
        self.asked_at = now
        self.want: Want | None = None
        self.waiter: Waiter | None = None
        self.outcome: Outcome | None = None
        self.verdict: int | None = None
        self.held: Callable[[], None] | None = None
        self.is_awaited = self.seen = False
        self.timer: Timer | None = None

    @property
    def is_pending(self) -> bool:
        return self.waiter is not None and self.verdict is None

    def let_go(self) -> None:
        """Answer the look that waits."""
        held, self.held = self.held, None
        if held:
            held()

    def looked(self, response: int | None) -> None:
        self.is_awaited = True
        self.seen = self.seen or response is not None
