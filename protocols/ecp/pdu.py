"""The ECPDU, whichever its edition."""

from dataclasses import dataclass
from enum import IntEnum

SUBTYPE_VDP = 1
SUBTYPE_PE_CSP = 2
"""Port extender control and status protocol."""


class Operation(IntEnum):
    """Whether an ECPDU carries something or confirms that something has come."""

    REQUEST = 0
    ACKNOWLEDGE = 1


@dataclass(frozen=True, slots=True)
class Ecpdu:
    """`sequence` has 16 bits. `payload`: the upper protocol's octets, with what padding the frame had."""

    operation: Operation
    subtype: int
    sequence: int
    payload: bytes = b""


# What the machines give.


@dataclass(frozen=True, slots=True)
class SendEcpdu:
    ecpdu: Ecpdu


@dataclass(frozen=True, slots=True)
class Deliver:
    """For the upper protocol, once."""

    subtype: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Delivered:
    """The peer has the last payload. Whether its upper protocol has, only that can tell (interop-notes P6)."""


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The last payload was never acknowledged."""
