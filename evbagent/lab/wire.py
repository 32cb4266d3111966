"""The cable between host and switch as its switch end sees it, and the agent's events: what happened when."""

import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Thread
from time import CLOCK_REALTIME, clock_gettime_ns, monotonic
from typing import Any, TypeVar

from evbagent.client import Client, ClientError
from evbagent.lab.guests import frame_number
from protocols.errors import DecodeError
from protocols.evb.status import Edition, EvbTlv, RelayStatus
from protocols.frame import ETHERTYPE_LLDP, decode_frame
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.tlvs import Lldpdu, OrganizationalTlv
from protocols.stack import EDITIONS

T = TypeVar("T")

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 8 << 20
GLANCE_SECONDS = 0.02


class LabError(Exception):
    """The lab cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class LldpFrame:
    """An LLDP frame on the cable. `time`: ns of CLOCK_REALTIME, by the kernel."""

    time: int
    to_host: bool
    data: bytes

    def pdu(self) -> Lldpdu | None:
        try:
            return decode_lldpdu(decode_frame(self.data).payload).pdu
        except DecodeError:
            return None

    def evb(self) -> tuple[Edition, EvbTlv] | None:
        """The first EVB TLV of either edition."""
        pdu = self.pdu()
        for tlv in pdu.optional if pdu else ():
            for edition in EDITIONS.values():
                if isinstance(tlv, OrganizationalTlv) and (tlv.oui, tlv.subtype) == (edition.oui, edition.subtype):
                    with suppress(DecodeError):
                        return edition, edition.decode(tlv.value)
        return None


class Journal:
    """What was seen, by threads that watch, and waiting for it."""

    def __init__(self, told: Callable[[LldpFrame], None]) -> None:
        """`told` is called with each LLDP frame, by another thread."""
        self.lldp: list[LldpFrame] = []
        self.events: list[dict[str, Any]] = []
        self._up: set[int] = set()
        self._back: set[int] = set()
        self._told = told
        self._news = Condition()
        self._version = 0

    def watch_wire(self, interface: str, station: bytes) -> None:
        """Note the frames of an interface of the calling thread's namespace. `station`: the host's address."""
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:
            tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        tap.bind((interface, ETH_P_ALL))
        Thread(target=self._watch_wire, args=(tap, station), name="wire", daemon=True).start()

    def watch_events(self, client: Client) -> None:
        """Note the events of an agent until it ends."""
        Thread(target=self._watch_events, args=(client,), name="events", daemon=True).start()

    def wait_for(self, condition: Callable[[], T | None], what: str, seconds: float = 10.0) -> T:
        """The answer of `condition` once it is true: asked at all news, and every 20 ms. LabError when it never is."""
        deadline = monotonic() + seconds
        while True:
            version = self._version
            if answer := condition():
                return answer
            left = deadline - monotonic()
            if left <= 0:
                raise LabError(f"not within {seconds:g} s: {what}")
            with self._news:
                if self._version == version:
                    self._news.wait(min(left, GLANCE_SECONDS))

    def crossed(self, numbers: set[int]) -> tuple[int, int]:
        """How many of these guests' frames went over the cable to the switch, and how many back to the host."""
        return len(numbers & self._up), len(numbers & self._back)

    def _watch_wire(self, tap: socket.socket, station: bytes) -> None:
        while True:
            try:
                data, ancillary, _, address = tap.recvmsg(65536, 64)
            except OSError:
                continue  # once, when the interface goes down
            to_host = address[2] == PACKET_OUTGOING
            if (number := frame_number(data)) is not None:
                (self._back if to_host else self._up).add(number)
                continue
            if int.from_bytes(data[12:14], "big") != ETHERTYPE_LLDP:
                continue
            frame = LldpFrame(_time(ancillary), to_host, data)
            self._told(frame)
            if to_host and data[6:12] == station:
                continue  # a port in hairpin mode sends the host its own back: nobody's word
            self.lldp.append(frame)
            self._tell()

    def _watch_events(self, client: Client) -> None:
        with client, suppress(ClientError):
            for event in client.events():
                self.events.append(event)
                self._tell()

    def _tell(self) -> None:
        with self._news:
            self._version += 1
            self._news.notify_all()


def agreement(frames: Iterable[LldpFrame], edition: str) -> LldpFrame | None:
    """The frame with which both ends have said on the cable that reflective relay is on; None while they have not."""
    said: set[bool] = set()
    for frame in frames:
        found = frame.evb()
        if found is None or found[0].name != edition:
            continue
        if says_active(found[1], by_bridge=frame.to_host):
            said.add(frame.to_host)
            if len(said) == 2:
                return frame
        else:
            said.discard(frame.to_host)
    return None


def says_active(tlv: EvbTlv, by_bridge: bool) -> bool:
    """Whether the sender says that reflective relay is on.

    In the draft's TLV a sender that has heard nobody says so too: capabilities agreed upon show that it has.
    """
    if tlv.capabilities is not None:
        return tlv.relay_control and bool(tlv.agreed_capabilities)
    return tlv.relay_control if by_bridge else tlv.relay_status is RelayStatus.TRUE


def _time(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("ll", value[:16])
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return clock_gettime_ns(CLOCK_REALTIME)
