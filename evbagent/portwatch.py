"""What is remembered of a served interface from look to look, to tell what goes on from what just happened."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from evbagent.advice import PortFacts
from evbagent.overheard import Announcement, announcements
from protocols.frame import Scope
from protocols.lldp.tlvs import Msap
from protocols.timers import SECOND, Instant

MINUTE = 60 * SECOND
ECHO_LOOKS = 2
ECHO_PATIENCE = 5 * MINUTE
SILENT_INTERVALS = 4
OTHER_PACKETS = 10
WINDOW = 50 * SECOND
LISTEN_AGAIN = 60 * MINUTE
LISTEN_AGAIN_SOON = 5 * MINUTE
MISSED_WINDOWS = 2
MOST_OVERHEARD = 16
"""Each becomes a warning, and guests may say what they like."""


class FrameTap(Protocol):
    def frames(self) -> list[bytes]: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Echoes:
    """Our own frames come back: once may be a switch that starts; twice, within minutes, goes on."""

    own: int = 0
    looks: int = 0
    last: Instant = 0

    def go_on(self, port: PortFacts, now: Instant) -> bool:
        patience = max(ECHO_PATIENCE, 3 * port.interval_us)
        if self.looks and now - self.last > patience:
            self.looks = 0
        if port.own > self.own:
            self.looks += 1
            self.last = now
        self.own = port.own
        return self.looks >= ECHO_LOOKS


@dataclass(slots=True)
class Silence:
    """Other frames come in, and for some regular intervals no LLDP at all."""

    since: Instant | None = None
    sent: int = 0
    packets: int = 0

    def lasts(self, port: PortFacts, packets: int | None, now: Instant) -> bool:
        """`packets`: how many the interface has received so far; None: it cannot be told."""
        sent = sum(port.sends.values())
        if not port.enabled or port.heard or port.own or packets is None:
            self.since = None
            return False
        if self.since is None or packets < self.packets:
            self.since, self.sent, self.packets = now, sent, packets
        spoken = sent - self.sent >= SILENT_INTERVALS and now - self.since >= SILENT_INTERVALS * port.interval_us
        return spoken and packets - self.packets >= OTHER_PACKETS


@dataclass(slots=True)
class Listening:
    """Listens for a minute to what leaves: at first, when somebody else comes or goes, and once an hour.

    LLDPDUs under our own identity are told from ours by their number. As a frame may be seen twice when the NIC was
    busy, it takes two windows to believe in somebody else. Who was heard is forgotten after two windows of silence, and
    at once when one of the others has left.
    """

    open_tap: Callable[[int], FrameTap]
    overheard: tuple[Announcement, ...] = ()
    unnamed: int = 0
    same_name: frozenset[Scope] = frozenset()
    _company: frozenset[int] = frozenset()
    _tap: FrameTap | None = None
    _begun: Instant = 0
    _msap: Msap | None = None
    _sent: Mapping[Scope, int] = field(default_factory=dict)
    _due: Instant = 0
    _suspected: frozenset[Scope] = frozenset()
    _missed: Mapping[tuple[bytes, Scope, Msap], int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self._tap is not None

    def look(self, ifindex: int, port: PortFacts, company: frozenset[int], now: Instant, may_begin: bool) -> None:
        """`company`: the others' sockets."""
        if self._company - company:
            self.close()
            self.overheard = tuple(text for text in self.overheard if text.source != port.mac_address)
            self.unnamed = 0
            self.same_name = self._suspected = frozenset()
        if company != self._company:
            self._company, self._due = company, now
        if self._tap is not None and now - self._begun >= WINDOW:
            self._conclude(self._tap, port, now)
        if self._tap is None and may_begin and port.enabled and now >= self._due:
            self._begin(ifindex, port, now)

    def close(self) -> None:
        if self._tap is not None:
            self._tap.close()
            self._tap = None

    def _begin(self, ifindex: int, port: PortFacts, now: Instant) -> None:
        self._begun, self._msap, self._sent = now, port.msap, dict(port.sends)
        self._due = now + LISTEN_AGAIN
        with suppress(OSError):
            self._tap = self.open_tap(ifindex)

    def _conclude(self, tap: FrameTap, port: PortFacts, now: Instant) -> None:
        heard = announcements(tap.frames())
        self.close()
        if not port.enabled or port.msap != self._msap:
            self._due = now  # what we said under another name could be taken for somebody else's
            return
        ours = {text: count for text, count in heard.items() if _is_ours(text, port)}
        counts = {scope: sum(ours[text] for text in ours if text.scope is scope) for scope in port.sends}
        excess = frozenset(scope for scope in counts if counts[scope] > port.sends[scope] - self._sent.get(scope, 0))
        self.same_name = self._suspected & excess
        self._suspected = excess
        self._remember({_key(text): text for text in heard if text not in ours})
        if self._missed or excess - self.same_name:
            self._due = now
        elif self.overheard or self.same_name:
            self._due = now + LISTEN_AGAIN_SOON

    def _remember(self, heard: Mapping[tuple[bytes, Scope, Msap], Announcement]) -> None:
        before = {_key(text): text for text in self.overheard}
        missed = {key: self._missed.get(key, 0) + 1 for key in before if key not in heard}
        self._missed = {key: windows for key, windows in missed.items() if windows < MISSED_WINDOWS}
        kept = {key: text for key, text in before.items() if key in heard or key in self._missed}
        texts = (kept | dict(heard)).values()
        self.overheard, self.unnamed = tuple(islice(texts, MOST_OVERHEARD)), max(0, len(texts) - MOST_OVERHEARD)


def _is_ours(text: Announcement, port: PortFacts) -> bool:
    return text.scope in port.sends and text.msap == port.msap and text.source == port.mac_address


def _key(text: Announcement) -> tuple[bytes, Scope, Msap]:
    return text.source, text.scope, text.msap
