"""Floods of LLDPDUs at the far end of a cable, evenly paced, and what an agent at the near end makes of them."""

import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice

from tests.support import lldpdus
from tests.support.namespaces import Namespace

BURST = 20
SYSTEM_NAME, SYSTEM_DESCRIPTION = 5, 6

# Of a host with LLDP-MED, as lldpd has them: 802.3 MAC/PHY, link aggregation, frame size; MED capabilities, policy,
# inventory. With chassis and port ID, TTL, names, description, capabilities and End TLV 20 TLVs, some 300 octets.
TYPICAL = tuple(
    lldpdus.tlv(kind, bytes.fromhex(value))
    for kind, value in (
        (4, "75706c696e6b2d746f2d6c656166"),
        (7, "00bc0080"),
        (8, "0501c000020102000000020000"[:24]),
        (8, "110220010db8000000000000000000000001020000000200"),
        (127, "00120f03010000000a"),
        (127, "00120f0103ffc10029"),
        (127, "00120f0405ee"),
        (127, "0012bb01003f03"),
        (127, "0012bb0201406ac1"),
        (127, "0012bb05" + b"rev-1.0a".hex()),
        (127, "0012bb07" + b"software-3".hex()),
        (127, "0012bb08" + b"serial-0001".hex()),
        (127, "0012bb09" + b"Example Incorporated".hex()),
        (127, "0012bb0a" + b"model-X".hex()),
    )
)


def typical(number: int = 0, description: int = 0) -> bytes:
    """The LLDPDU of neighbor `number`, saying something else for each `description`."""
    mac = (0x020000000000 + number).to_bytes(6, "big")
    name = lldpdus.tlv(SYSTEM_NAME, b"leaf-%06d.example.net" % number)
    words = lldpdus.tlv(SYSTEM_DESCRIPTION, b"Example OS 12.3, configuration of revision %08d" % description)
    return lldpdus.lldpdu(mac, name, words, *TYPICAL)


def frames(payloads: Iterable[bytes]) -> list[bytes]:
    """To the nearest bridge, each from the address in its chassis ID."""
    return [lldpdus.frame(payload[3:9], payload, lldpdus.NEAREST_BRIDGE) for payload in payloads]


class Flood:
    """Sends from an interface of a namespace. A context manager."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        self._socket = namespace.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0)
        namespace.call(self._socket.bind, (interface, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)

    def __enter__(self) -> "Flood":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def send(self, sequence: Sequence[bytes], count: int, rate: float) -> float:
        """`count` frames of the sequence, over and over; the rate that was reached, in frames a second."""
        begun = time.monotonic()
        sent = 0
        for burst in _bursts(cycle(sequence), count):
            for frame in burst:
                self._socket.send(frame)
            sent += len(burst)
            wait = begun + sent / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
        return count / (time.monotonic() - begun)


def _bursts(frames: Iterator[bytes], count: int) -> Iterator[list[bytes]]:
    for first in range(0, count, BURST):
        yield list(islice(frames, min(BURST, count - first)))
