"""The EVB TLV of the pre-standard draft 0.2: OUI 00-1B-3F, subtype 0 (sheet `evb-tlv.md` 5).

It names no role; both sides say what they support and what they have configured.
"""

from construct import BitsInteger, BitStruct, Flag, Int8ub, Int16ub, Padding, Struct

from protocols.errors import DecodeError
from protocols.evb.status import Edition, EvbCapability, EvbTlv, RelayStatus, Statement

LENGTH = 9  # after OUI and subtype; exactly this is sent (interop-notes E3)

_MODES = BitStruct("standard" / Flag, "relay" / Flag, Padding(6))
_CAPABILITIES = BitStruct(Padding(5), "bits" / BitsInteger(3))
_BODY = Struct(
    "supported_modes" / _MODES,
    "supported_capabilities" / _CAPABILITIES,
    "configured_modes" / _MODES,
    "configured_capabilities" / _CAPABILITIES,
    "supported_vsis" / Int16ub,
    "configured_vsis" / Int16ub,
    "rte" / Int8ub,
).compile()


def decode(body: bytes) -> EvbTlv:
    """Read the octets after OUI and subtype; DecodeError when short, or when no forwarding mode is supported."""
    if len(body) < LENGTH:
        raise DecodeError(f"draft EVB TLV has {len(body)} octets after its subtype, needs {LENGTH}")
    fields = _BODY.parse(body[:LENGTH])  # cannot fail: every value of these octets means something
    if not (fields.supported_modes.standard or fields.supported_modes.relay):
        raise DecodeError("draft EVB TLV supports no forwarding mode")
    supported = EvbCapability(fields.supported_capabilities.bits)
    configured = EvbCapability(fields.configured_capabilities.bits)
    relay = fields.supported_modes.relay
    return EvbTlv(
        role=None,
        relay_capable=relay,
        relay_request=relay,
        relay_control=fields.configured_modes.relay,
        relay_status=RelayStatus.TRUE if fields.configured_modes.relay else RelayStatus.FALSE,
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
    return bytes(
        _BODY.build(
            {
                "supported_modes": {"standard": not relay, "relay": relay},
                "supported_capabilities": {"bits": int(own.capabilities)},
                "configured_modes": {"standard": not statement.relay_control, "relay": statement.relay_control},
                "configured_capabilities": {"bits": int(agreed)},
                "supported_vsis": min(own.max_vsis, 0xFFFF) if vdp else 0,
                "configured_vsis": min(statement.vsis, 0xFFFF) if vdp else 0,
                "rte": own.rte,  # never the greater of both: an echo would not come down again (interop-notes E7)
            }
        )
    )


DRAFT = Edition("draft", bytes.fromhex("001b3f"), 0, decode, encode)
