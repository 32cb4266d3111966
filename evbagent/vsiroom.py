"""How much clients may have the agent remember, and owe them answers for."""

from evbagent.journal import Change
from evbagent.vsientry import BookedVsi, Want

MOST_UNANSWERED = 1 << 16
MOST_UNANSWERED_EACH = 64
"""Requests for one VSI."""
MOST_WANTED = 1 << 16
MOST_WANTED_OCTETS = 32 << 20
"""VSIs that are restored after a restart, of all interfaces, also of those that there are not; and their requests."""


class Room:
    """What is taken up. `refused` counts the requests that there was no room for."""

    def __init__(self) -> None:
        self.refused = 0
        self.wanted = 0
        self.wanted_octets = 0

    def check(self, unanswered: int, vsi: BookedVsi | None, want: Want | None) -> None:
        """ValueError when one more request would be too much: `want`, for a VSI that may not be in the book yet."""
        if problem := self._problem(unanswered, vsi, want):
            self.refused += 1
            raise ValueError(problem)

    def adopt(self, vsi: BookedVsi, want: Want | None) -> list[Change]:
        """Write down what is wanted; returns what the journal has to know of it."""
        old, vsi.want = vsi.want, want
        if want is old:
            return []
        self._count(old, -1)
        self._count(want, 1)
        if old is None or want is None or old.owner != want.owner:
            vsi.show_anew()  # its document names the owner
        if want and want.spec is not None:
            return [((vsi.port.name, vsi.text), want.spec)]
        return [((vsi.port.name, vsi.text), None)] if old and old.spec is not None else []

    def reword(self, want: Want, spec: bytes) -> None:
        """The same in other words of who asks, which are in the journal already."""
        self._count(want, -1)
        want.spec = spec
        self._count(want, 1)

    def _problem(self, unanswered: int, vsi: BookedVsi | None, want: Want | None) -> str | None:
        if unanswered >= MOST_UNANSWERED:
            return f"{MOST_UNANSWERED} requests are not answered yet"
        if vsi is not None and len(vsi.waiters) >= MOST_UNANSWERED_EACH:
            return f"instance: {MOST_UNANSWERED_EACH} requests for it are not answered yet"
        octets = _octets(want)
        former = _octets(vsi.want) if vsi else 0
        if octets and not former and self.wanted >= MOST_WANTED:
            return f"instance: {MOST_WANTED} VSIs are wanted already, on all interfaces"
        if octets > former and self.wanted_octets + octets - former > MOST_WANTED_OCTETS:
            return f"instance: the VSIs that are wanted already take {MOST_WANTED_OCTETS} octets to remember"
        return None

    def _count(self, want: Want | None, sign: int) -> None:
        if octets := _octets(want):
            self.wanted += sign
            self.wanted_octets += sign * octets


def _octets(want: Want | None) -> int:
    """What it takes in the journal; 0 where it is not in it."""
    return len(want.spec) if want and want.spec is not None else 0
