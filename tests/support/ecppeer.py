"""What scripted peers of VDP share: a thread on a raw socket that speaks EVB and ECP, with octets made by hand."""

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from threading import Thread
from typing import Literal, TypeVar

from tests.support import lldpdus
from tests.support.namespaces import CapturedFrame, Namespace, PacketTap, wait_until
from tests.support.vdpdus import EcpOctets, VsiOctets, draft_ulpdu, ecp_octets, ratified_ulpdu

P = TypeVar("P", bound="EcpPeer")

DRAFT_EVB = bytes.fromhex("400740070cdf00000f")  # reflective relay, RTE ECP VDP, 3295 VSIs, RTE 15; lldpad sends it too


def evb_body(
    role: Literal["station", "bridge"],
    *,
    retries: int = 3,
    rte: int = 14,
    rwd: int = 20,
    rka: int = 20,
    relay: bool = True,
    group_ids: bool = False,
) -> bytes:
    """The five octets of a ratified EVB TLV of somebody who has agreed on everything already."""
    bridge_status = 3 * relay | 4 * group_ids
    station_status = 5 * relay | 8 * group_ids
    mode = {"bridge": 1, "station": 2}[role]
    return bytes([bridge_status, station_status, retries << 5 | rte, mode << 6 | rwd, rka])


Lost = Callable[[bool, EcpOctets], bool]
"""Whether an ECPDU is lost, asked for each; the flag says that it is the peer's own. A lost one was never there."""


def nothing_lost(outgoing: bool, ecp: EcpOctets) -> bool:
    return False


def random_loss(share: float, seed: int = 0) -> Lost:
    """Both directions, requests and acknowledgments alike."""
    random = Random(seed)
    return lambda outgoing, ecp: random.random() < share


@dataclass(frozen=True, slots=True)
class Heard:
    """An ECPDU as it came. `duplicate`: a request with the number (in the draft: and content) of the one before it."""

    frame: CapturedFrame
    ecp: EcpOctets
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class _Ulpdu:
    due: float
    octets: bytes


class EcpPeer:
    """What both roles share: an EVB TLV once a second, and ECP. A context manager.

    Each request is acknowledged as soon as it is heard. Own ECPDUs wait for their acknowledgment, are repeated, and
    given up after `attempts`. `heard` has all ECPDUs in the order they came, `sent` all own requests with their
    repetitions; `given_up` counts. All attributes may be changed while it runs; `evb` without octets: no LLDPDUs.
    """

    def __init__(
        self,
        namespace: Namespace,
        interface: str,
        *,
        evb: bytes,
        draft: bool = False,
    ) -> None:
        self.mac = namespace.mac_address(interface)
        self.evb = evb
        self.draft = draft
        self.sequence = 1  # of the next request
        self.ack_timer = 0.5 if draft else 0.164  # in seconds
        self.attempts = 3 if draft else 4
        self.gap = 0.0  # seconds from an acknowledgment to the next request; lldpad loses requests below 0.005
        self.lost: Lost = nothing_lost
        self.end_tlv = True  # of the ratified edition; the draft's ECPDUs always have one
        self.heard: list[Heard] = []
        self.sent: list[EcpOctets] = []
        self.given_up = 0
        self.neighbor = b""  # the last LLDPDU from the other side
        self._tap = PacketTap(namespace, interface)
        self._wake, self._woken = socket.socketpair()
        self._queue: deque[_Ulpdu] = deque()
        self._flying: list[EcpOctets] = []  # all attempts of the request that waits for its acknowledgment
        self._deadline = 0.0
        self._not_before = 0.0
        self._next_hello = 0.0
        self._last_request: EcpOctets | None = None
        self._closing = False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name=f"{type(self).__name__} at {interface}")

    def __enter__(self: P) -> P:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End without a word; safe to call twice. Raises what went wrong in the thread."""
        if not self._closing:
            self._closing = True
            self._rouse()
            self._thread.join()
            for opened in (self._tap, self._wake, self._woken):
                opened.close()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def send(self, vsis: Sequence[VsiOctets], delay: float = 0.0) -> None:
        """These VSIs as they are, in one ECPDU, when those before it are through."""
        octets = draft_ulpdu(vsis) if self.draft else ratified_ulpdu(vsis, end=self.end_tlv)
        self.send_ulpdu(octets, delay)

    def send_ulpdu(self, octets: bytes, delay: float = 0.0) -> None:
        self._queue.append(_Ulpdu(time.monotonic() + delay, octets))
        self._rouse()

    def send_frame(self, frame: bytes) -> None:
        """Any frame at once, past ECP: `EcpOctets(...).frame(peer.mac)`."""
        self._tap.send(frame)

    def goodbye(self) -> None:
        """A shutdown LLDPDU, and no more of them."""
        self.evb = b""
        self._tap.send(lldpdus.frame(self.mac, lldpdus.lldpdu(self.mac, ttl=0)))

    def heard_vsis(self, kind: int | None = None) -> list[VsiOctets]:
        """The VSIs of all requests but duplicates, those of a kind or all."""
        ecpdus = (heard.ecp for heard in self.heard if not heard.ecp.acknowledgment and not heard.duplicate)
        return [vsi for ecp in ecpdus for vsi in ecp.vsis if kind in (None, vsi.kind)]

    def wait_until_sent(self, timeout: float = 10.0) -> None:
        """Until all that was to be sent is acknowledged or given up."""
        self.wait(lambda: not self._queue and not self._flying, "everything sent and acknowledged", timeout)

    def wait(self, holds: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
        """AssertionError naming `what` and the last ECPDUs when that does not come true within `timeout` seconds."""
        try:
            wait_until(lambda: self._error is not None or holds(), what, timeout, 0.002)
        except AssertionError as error:
            heard = "".join(f"\n  {entry.frame.data[:64].hex()}" for entry in self.heard[-20:])
            raise AssertionError(f"{error}; {len(self.heard)} ECPDUs heard, begins of the last:{heard}") from None
        if self._error is not None:
            self.close()

    def _take_vsis(self, vsis: list[VsiOctets]) -> None:
        """A request came that is not a duplicate. Runs in the thread."""
        raise NotImplementedError

    def _rouse(self) -> None:
        self._wake.send(b"\0")

    def _run(self) -> None:
        try:
            while not self._closing:
                self._advance(time.monotonic())
                readable, _, _ = select.select([self._tap.socket, self._woken], [], [], self._idle())
                if self._woken in readable:
                    self._woken.recv(4096)
                while self._tap.socket in readable and (frame := self._tap.receive(0)) is not None:
                    self._take_frame(frame)
        except BaseException as error:
            self._error = error

    def _idle(self) -> float:
        if self._flying:
            due = self._deadline
        else:
            due = max(self._queue[0].due, self._not_before) if self._queue else self._next_hello
        return max(0.0, min(due, self._next_hello) - time.monotonic())

    def _advance(self, now: float) -> None:
        if now >= self._next_hello:
            self._next_hello = now + 1.0
            self._hello()
        if self._flying and now >= self._deadline:
            if len(self._flying) < self.attempts:
                self._transmit(self._flying[-1].payload, again=True)
            else:
                self._flying.clear()
                self.given_up += 1
        if not self._flying and self._queue and now >= max(self._queue[0].due, self._not_before):
            self._transmit(self._queue[0].octets)
            self._queue.popleft()

    def _hello(self) -> None:
        if self.evb:
            tlv = lldpdus.evb_tlv(self.evb, lldpdus.DRAFT if self.draft else lldpdus.RATIFIED)
            self._tap.send(lldpdus.frame(self.mac, lldpdus.lldpdu(self.mac, tlv)))

    def _transmit(self, payload: bytes, *, again: bool = False) -> None:
        # A repetition keeps its number in the ratified edition; in the draft it takes the next one.
        if not again or self.draft:
            request = EcpOctets(False, self.sequence, payload, self.draft)
            self.sequence = (self.sequence + 1) & 0xFFFF
        else:
            request = self._flying[-1]
        self._flying.append(request)
        self._deadline = time.monotonic() + self.ack_timer
        self.sent.append(request)
        self._put(request)

    def _put(self, ecp: EcpOctets) -> None:
        if not self.lost(True, ecp):
            self._tap.send(ecp.frame(self.mac))

    def _take_frame(self, frame: CapturedFrame) -> None:
        # A Linux bridge without STP sends the group address back, too, when the port reflects.
        if frame.outgoing or frame.source == self.mac:
            return
        if frame.data[12:14] == lldpdus.ETHERTYPE:
            self.neighbor = frame.payload
            return
        ecp = ecp_octets(frame.data)
        if ecp is None or ecp.draft != self.draft or self.lost(False, ecp):
            return
        if ecp.acknowledgment:
            self.heard.append(Heard(frame, ecp))
            if any(ecp.sequence == request.sequence for request in self._flying):
                self._flying.clear()
                self._not_before = time.monotonic() + self.gap
            return
        last, self._last_request = self._last_request, ecp
        duplicate = last is not None and last.sequence == ecp.sequence and (not self.draft or last == ecp)
        self._put(ecp.acknowledged())
        if not duplicate:
            self._take_vsis(ecp.vsis)
        # Last, so that who waits for it finds its consequences, too.
        self.heard.append(Heard(frame, ecp, duplicate))
