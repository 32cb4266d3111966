"""The ECPDU of 802.1Q clause 43 (sheet `ecp.md` 2, 3). By `struct`: these few octets are read for every frame."""

from struct import Struct

from protocols.ecp.edition import Edition
from protocols.ecp.pdu import Ecpdu, Operation
from protocols.errors import DecodeError
from protocols.frame import Scope
from protocols.timers import Instant

VERSION = 1
# 1,500 octets of a frame less the header; lldpad, which adds two of its own, takes less than 1,494.
MAX_PAYLOAD = 1493

_HEADER = Struct("!HH")


def decode(octets: bytes) -> Ecpdu:
    """Read what follows the EtherType. DecodeError: truncated, another version, no request and no acknowledgement."""
    if len(octets) < _HEADER.size:
        raise DecodeError(f"the ECP header has {_HEADER.size} octets, here are {len(octets)}", len(octets))
    first, sequence = _HEADER.unpack_from(octets)
    version, operation = first >> 12, first >> 10 & 3
    if version != VERSION:
        raise DecodeError(f"ECP version {version} is not {VERSION}")
    if operation > Operation.ACKNOWLEDGE:
        raise DecodeError(f"ECP operation {operation} is reserved")
    return Ecpdu(Operation(operation), first & 0x3FF, sequence, octets[_HEADER.size :])


def encode(ecpdu: Ecpdu) -> bytes:
    """The octets that follow the EtherType."""
    first = VERSION << 12 | ecpdu.operation << 10 | ecpdu.subtype
    return _HEADER.pack(first, ecpdu.sequence) + ecpdu.payload


def acknowledgement(request: Ecpdu) -> Ecpdu:
    return Ecpdu(Operation.ACKNOWLEDGE, request.subtype, request.sequence)


def ack_timer(rte: int) -> Instant:
    """ackTimerInit: 10 us * 2^RTE."""
    return 10 << rte


def attempts(retries: int) -> int:
    """The first transmission and maxRetries more."""
    return 1 + retries


RATIFIED = Edition(
    name="ratified",
    # Nobody sends 0x8890 but by configuration: a manual page says it (interop-notes P1).
    ethertypes=(0x8940, 0x8890),
    destination=Scope.NEAREST_CUSTOMER_BRIDGE.address,
    also_accepted=(Scope.NEAREST_BRIDGE.address,),
    max_payload=MAX_PAYLOAD,
    overhead=_HEADER.size,
    decode=decode,
    encode=encode,
    acknowledgement=acknowledgement,
    ack_timer=ack_timer,
    attempts=attempts,
    renumber=False,
    content_counts=False,
)
