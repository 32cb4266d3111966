"""The EVB TLV of the pre-standard draft 0.2: OUI 00-1B-3F, subtype 0 (sheet `evb-tlv.md` 5).

It names no role; both sides say what they support and what they have configured.
"""

from dataclasses import dataclass

from construct import BitsInteger, BitStruct, Flag, Padding

from protocols.errors import DecodeError
from protocols.evb.status import Edition, EvbCapability, EvbTlv, RelayStatus, Statement
from protocols.layout import Layout

LENGTH = 9  # after OUI and subtype; exactly this is sent (interop-notes E3)


@dataclass(frozen=True, slots=True)
class DraftTlv:
    """The TLV field by field; capabilities are bits of `EvbCapability`."""

    supported_standard: bool
    supported_relay: bool
    supported_capabilities: int
    configured_standard: bool
    configured_relay: bool
    configured_capabilities: int
    supported_vsis: int
    configured_vsis: int
    rte: int


_BODY = Layout(
    DraftTlv,
    BitStruct(
        "supported_standard" / Flag,
        "supported_relay" / Flag,
        Padding(11),
        "supported_capabilities" / BitsInteger(3),
        "configured_standard" / Flag,
        "configured_relay" / Flag,
        Padding(11),
        "configured_capabilities" / BitsInteger(3),
        "supported_vsis" / BitsInteger(16),
        "configured_vsis" / BitsInteger(16),
        "rte" / BitsInteger(8),
    ),
)


def decode_fields(body: bytes) -> DraftTlv:
    """Read the octets after OUI and subtype; what follows the first nine is ignored, fewer are a DecodeError."""
    if len(body) < LENGTH:
        raise DecodeError(f"draft EVB TLV has {len(body)} octets after its subtype, needs {LENGTH}")
    return _BODY.decode(body)


def encode_fields(fields: DraftTlv) -> bytes:
    """The octets after OUI and subtype; ValueError when a field does not fit."""
    return _BODY.encode(fields)


def decode(body: bytes) -> EvbTlv:
    """What the octets after OUI and subtype say; DecodeError when short, or when no forwarding mode is supported."""
    fields = decode_fields(body)
    if not (fields.supported_standard or fields.supported_relay):
        raise DecodeError("draft EVB TLV supports no forwarding mode")
    supported = EvbCapability(fields.supported_capabilities)
    configured = EvbCapability(fields.configured_capabilities)
    relay = fields.supported_relay
    return EvbTlv(
        role=None,
        relay_capable=relay,
        relay_request=relay,
        relay_control=fields.configured_relay,
        relay_status=RelayStatus.TRUE if fields.configured_relay else RelayStatus.FALSE,
        rte=fields.rte,
        capabilities=supported,
        agreed_capabilities=configured,
        deaf=not configured,
    )


def encode(statement: Statement) -> bytes:
    """The octets after OUI and subtype. One forwarding mode at a time, as lldpad has it (interop-notes E12)."""
    own = statement.parameters
    relay = statement.relay_capable or statement.relay_request
    agreed = statement.agreed_capabilities
    vdp = bool(agreed & EvbCapability.VDP)
    return encode_fields(
        DraftTlv(
            supported_standard=not relay,
            supported_relay=relay,
            supported_capabilities=int(own.capabilities),
            configured_standard=not statement.relay_control,
            configured_relay=statement.relay_control,
            configured_capabilities=int(agreed),
            supported_vsis=min(own.max_vsis, 0xFFFF) if vdp else 0,
            configured_vsis=min(statement.vsis, 0xFFFF) if vdp else 0,
            rte=own.rte,  # never the greater of both: an echo would not come down again (interop-notes E7)
        )
    )


DRAFT = Edition("draft", bytes.fromhex("001b3f"), 0, decode, encode)
