"""The EVB TLV of IEEE 802.1Qbg-2012 / 802.1Q clause D.2.12: OUI 00-80-C2, subtype 13 (sheet `evb-tlv.md` 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from construct import BitsInteger, BitStruct, Flag, Padding

from protocols.errors import DecodeError
from protocols.evb.status import Edition, EvbTlv, Exponent, RelayStatus, Role, Statement
from protocols.layout import Layout

LENGTH = 5  # after OUI and subtype. Exactly this is sent: a longer TLV overwrites lldpad's memory (interop-notes E3)
NOT_SUPPORTED, BRIDGE, STATION = 0, 1, 2

_MODES: Mapping[int, Role] = {BRIDGE: Role.BRIDGE, STATION: Role.STATION}


@dataclass(frozen=True, slots=True)
class RatifiedTlv:
    """The TLV field by field, whoever owns them; `_remote` is ROL."""

    bgid: bool
    rrcap: bool
    rrctr: bool
    sgid: bool
    rrreq: bool
    rrstat: int
    retries: int
    rte: int
    mode: int
    rwd_remote: bool
    rwd: int
    rka_remote: bool
    rka: int


_BODY = Layout(
    RatifiedTlv,
    BitStruct(
        Padding(5),
        "bgid" / Flag,
        "rrcap" / Flag,
        "rrctr" / Flag,
        Padding(4),
        "sgid" / Flag,
        "rrreq" / Flag,
        "rrstat" / BitsInteger(2),
        "retries" / BitsInteger(3),
        "rte" / BitsInteger(5),
        "mode" / BitsInteger(2),
        "rwd_remote" / Flag,
        "rwd" / BitsInteger(5),
        Padding(2),
        "rka_remote" / Flag,
        "rka" / BitsInteger(5),
    ),
)


def decode_fields(body: bytes) -> RatifiedTlv:
    """Read the octets after OUI and subtype; what follows the first five is ignored, fewer are a DecodeError."""
    if len(body) < LENGTH:
        raise DecodeError(f"EVB TLV has {len(body)} octets after its subtype, needs {LENGTH}")
    return _BODY.decode(body)


def encode_fields(fields: RatifiedTlv) -> bytes:
    """The octets after OUI and subtype; ValueError when a field does not fit."""
    return _BODY.encode(fields)


def decode(body: bytes) -> EvbTlv:
    """What the octets after OUI and subtype say; see `decode_fields`."""
    fields = decode_fields(body)
    role = _MODES.get(fields.mode)
    bridge = role is Role.BRIDGE
    return EvbTlv(
        role=role,
        usable=role is not None,
        relay_capable=fields.rrcap,
        relay_control=fields.rrctr,
        relay_request=fields.rrreq,
        relay_status=RelayStatus(fields.rrstat),
        group_ids=fields.bgid if bridge else fields.sgid,
        retries=fields.retries,
        rte=fields.rte,
        rwd=Exponent(fields.rwd, fields.rwd_remote),
        rka=Exponent(fields.rka, fields.rka_remote),
        own_octet=body[0] if bridge else body[1],
        deaf=body[1] == 0 if bridge else fields.rrstat == RelayStatus.UNKNOWN,
    )


def encode(statement: Statement) -> bytes:
    """The octets after OUI and subtype; the peer's status octet is copied as it was received."""
    own, rwd, rka = statement.parameters, statement.rwd, statement.rka
    bridge = statement.role is Role.BRIDGE
    fields = RatifiedTlv(
        bgid=own.group_ids,
        rrcap=statement.relay_capable,
        rrctr=statement.relay_control,
        sgid=own.group_ids,
        rrreq=statement.relay_request,
        rrstat=statement.relay_status,
        retries=own.retries,
        rte=own.rte,
        mode=BRIDGE if bridge else STATION,
        rwd_remote=rwd.remote,
        rwd=rwd.value,
        rka_remote=rka.remote,
        rka=rka.value,
    )
    body = bytearray(encode_fields(fields))
    body[1 if bridge else 0] = statement.peer.own_octet if statement.peer else 0
    return bytes(body)


RATIFIED = Edition("ratified", bytes.fromhex("0080c2"), 13, decode, encode)
