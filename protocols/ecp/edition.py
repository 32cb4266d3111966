"""What the editions of ECP differ in (sheet `ecp.md` 1 to 4 and 8)."""

from collections.abc import Callable
from dataclasses import dataclass

from protocols.ecp.pdu import Ecpdu
from protocols.timers import Instant


@dataclass(frozen=True, slots=True)
class Edition:
    """One form of ECP.

    `ethertypes`: those accepted, the first is sent. `destination`: the group address that all ECPDUs go to;
    `also_accepted`: others that are listened to. `max_payload`: octets of the upper protocol in one ECPDU, to which
    `overhead` more are added. `decode` takes what follows the EtherType, and raises DecodeError. `acknowledgement`
    makes the answer to a request. `ack_timer`: us, of the operational RTE. `attempts`: how often a request is sent in
    all, of the operational R. `renumber`: each attempt has a number of its own. `content_counts`: a duplicate is equal
    in number and content.
    """

    name: str
    ethertypes: tuple[int, ...]
    destination: bytes
    also_accepted: tuple[bytes, ...]
    max_payload: int
    overhead: int
    decode: Callable[[bytes], Ecpdu]
    encode: Callable[[Ecpdu], bytes]
    acknowledgement: Callable[[Ecpdu], Ecpdu]
    ack_timer: Callable[[int], Instant]
    attempts: Callable[[int], int]
    renumber: bool
    content_counts: bool
