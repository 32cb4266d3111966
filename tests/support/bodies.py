"""What every codec of TLV bodies must stand: its known octets both ways, cut anywhere, and with any octet changed."""

from collections.abc import Callable, Iterator

import pytest

from protocols.errors import DecodeError

Decode = Callable[[bytes], object]
Encode = Callable[[object], bytes]


def changes(octets: bytes) -> Iterator[bytes]:
    """`octets` with one of them changed: every bit of it alone (of many octets: some), and the extremes."""
    bits = range(8) if len(octets) < 40 else (0, 7)
    for place, octet in enumerate(octets):
        for other in {0, 255, *(octet ^ 1 << bit for bit in bits)} - {octet}:
            yield octets[:place] + bytes([other]) + octets[place + 1 :]


def check_both_ways(decode: Decode, encode: Encode, octets: bytes, value: object) -> None:
    assert decode(octets) == value
    assert encode(value) == octets
    assert hash(value) == hash(decode(octets))


def check_cut(decode: Decode, octets: bytes, borders: tuple[int, ...] = ()) -> None:
    """DecodeError for every length but those of `borders`, where it is complete so far; the error is in the octets."""
    for length in range(len(octets)):
        if length in borders:
            decode(octets[:length])
        else:
            with pytest.raises(DecodeError) as error:
                decode(octets[:length])
            assert 0 <= error.value.offset <= length, (length, error.value)


def check_changed(decode: Decode, encode: Encode, octets: bytes, reserved: str = "") -> None:
    """A value that encodes to what was read, but for the bits of the mask `reserved`; or a DecodeError."""
    mask = bytes.fromhex(reserved).ljust(len(octets), b"\0")
    for changed in changes(octets):
        try:
            value = decode(changed)
        except DecodeError as error:
            assert 0 <= error.offset <= len(changed)
            continue
        again = encode(value)
        understood = bytes(octet & ~bits & 0xFF for octet, bits in zip(changed, mask, strict=True))
        assert understood[: len(again)] == again, (changed.hex(), again.hex())
        assert decode(again) == value
