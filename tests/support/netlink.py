"""Netlink messages as the kernel would send them, made by hand."""

import struct
from collections.abc import Sequence

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWNETCONF = 16, 17, 20, 21, 80


def attribute(number: int, value: bytes) -> bytes:
    """One attribute, padded; nested ones are made of others."""
    data = struct.pack("HH", 4 + len(value), number) + value
    return data + bytes(-len(data) % 4)


def word(number: int, value: int) -> bytes:
    return attribute(number, struct.pack("I", value & 0xFFFFFFFF))


def text(number: int, value: str) -> bytes:
    return attribute(number, value.encode() + b"\0")


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("IHHII", 16 + len(body), kind, 0, 0, 0) + body


def kind_of(data: bytes) -> int:
    return int(struct.unpack_from("IH", data)[1])


def link_message(
    index: int, attributes: Sequence[bytes], *, kind: int = RTM_NEWLINK, family: int = 0, flags: int = 0x10001
) -> bytes:
    """Up and running unless `flags` says otherwise."""
    return message(kind, struct.pack("BxHiII", family, 1, index, flags, 0) + b"".join(attributes))


def address_message(index: int, octets: bytes, *attributes: bytes, kind: int = RTM_NEWADDR, flags: int = 0) -> bytes:
    family = 2 if len(octets) == 4 else 10
    return message(
        kind, struct.pack("BBBBI", family, 24, flags, 0, index) + attribute(1, octets) + b"".join(attributes)
    )


def forwarding_message(family: int, index: int, forwarding: int | None) -> bytes:
    said = b"" if forwarding is None else word(2, forwarding)
    return message(RTM_NEWNETCONF, struct.pack("B3x", family) + word(1, index) + said)
