"""The ECPDU of the pre-standard draft 0.2: EtherType 0x88B7 and an OUI (sheet `ecp.md` 8)."""

from struct import Struct

from protocols.ecp.edition import Edition
from protocols.ecp.pdu import SUBTYPE_VDP, Ecpdu, Operation
from protocols.errors import DecodeError
from protocols.frame import Scope
from protocols.timers import SECOND, Instant

PROTOCOL = bytes.fromhex("001b3f0000")
"""The OUI and the protocol identifier under it; 0x88B7 is shared by all who have an OUI."""
ACK_TIMER = SECOND // 2
ATTEMPTS = 3

_HEADER = Struct("!5sBBH")


def decode(octets: bytes) -> Ecpdu:
    """Read what follows the EtherType. The header names no upper protocol: it is VDP. Raises DecodeError."""
    if len(octets) < _HEADER.size:
        raise DecodeError(f"the draft's ECP header has {_HEADER.size} octets, here are {len(octets)}", len(octets))
    protocol, subtype, mode, sequence = _HEADER.unpack_from(octets)
    if protocol != PROTOCOL:
        raise DecodeError(f"protocol {protocol.hex()} is not the draft's ECP")
    if subtype:
        raise DecodeError(f"subtype {subtype} of the draft's ECP is reserved", len(PROTOCOL))
    if mode > Operation.ACKNOWLEDGE:
        raise DecodeError(f"ECP mode {mode} is reserved", len(PROTOCOL) + 1)
    return Ecpdu(Operation(mode), SUBTYPE_VDP, sequence, octets[_HEADER.size :])


def encode(ecpdu: Ecpdu) -> bytes:
    """The octets that follow the EtherType."""
    return _HEADER.pack(PROTOCOL, 0, ecpdu.operation, ecpdu.sequence) + ecpdu.payload


def acknowledgement(request: Ecpdu) -> Ecpdu:
    """As long as the request, as lldpad has it."""
    return Ecpdu(Operation.ACKNOWLEDGE, request.subtype, request.sequence, bytes(len(request.payload)))


def ack_timer(rte: int) -> Instant:
    """Fixed: RTE is negotiated and not used."""
    return ACK_TIMER


def attempts(retries: int) -> int:
    return ATTEMPTS


DRAFT = Edition(
    name="draft",
    ethertypes=(0x88B7,),
    destination=Scope.NEAREST_BRIDGE.address,
    also_accepted=(),
    max_payload=1500 - _HEADER.size,
    overhead=_HEADER.size,
    decode=decode,
    encode=encode,
    acknowledgement=acknowledgement,
    ack_timer=ack_timer,
    attempts=attempts,
    renumber=True,  # lldpad never acknowledges a frame that is equal to the last one (interop-notes P7)
    content_counts=True,
)
