"""The TLV of LLDP and VDP: 7 bits of type, 9 bits of length (sheet `lldp.md` 1.1). Walked explicitly."""

from dataclasses import dataclass, field

from protocols.errors import DecodeError

HEADER = 2
MAX_VALUE = 511
END = 0


@dataclass(frozen=True, slots=True)
class RawTlv:
    """One TLV; `offset` is where its header stood."""

    type: int
    value: bytes
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Walk:
    """The TLVs before the End TLV, where that was (None: the data just ended), and what stopped the walk early."""

    tlvs: tuple[RawTlv, ...]
    end: int | None
    error: DecodeError | None


def walk(data: bytes) -> Walk:
    """Split `data` into TLVs. Those before an error are kept; what follows the End TLV is padding."""
    tlvs: list[RawTlv] = []
    offset, size = 0, len(data)
    while offset < size:
        if offset + HEADER > size:
            return Walk(tuple(tlvs), None, DecodeError("one octet is left, too few for a TLV", offset))
        header = data[offset] << 8 | data[offset + 1]
        kind, length = header >> 9, header & 0x1FF
        if kind == END:
            return Walk(tuple(tlvs), offset, None)
        start = offset + HEADER
        if start + length > size:
            left = size - start
            return Walk(
                tuple(tlvs), None, DecodeError(f"TLV type {kind} claims {length} octets of {left} left", offset)
            )
        tlvs.append(RawTlv(kind, data[start : start + length], offset))
        offset = start + length
    return Walk(tuple(tlvs), None, None)


def encode_tlv(kind: int, value: bytes) -> bytes:
    """Header and value; ValueError when the type or the length does not fit its field."""
    if not 0 <= kind <= 127:
        raise ValueError(f"TLV type {kind} does not fit 7 bits")
    if len(value) > MAX_VALUE:
        raise ValueError(f"TLV type {kind} has {len(value)} octets, more than {MAX_VALUE}")
    return (kind << 9 | len(value)).to_bytes(HEADER, "big") + value
