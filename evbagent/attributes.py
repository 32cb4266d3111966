"""Netlink attributes as octets, for those that a message holds in depth or in numbers."""

import struct
from collections.abc import Iterator

from evbagent.rtnl import ATTRIBUTE_TYPE


def attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each attribute that these octets consist of, as far as they do."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(octets):
        length, number = _ATTRIBUTE.unpack_from(octets, offset)
        if length < _ATTRIBUTE.size:
            return
        yield number & ATTRIBUTE_TYPE, octets[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


_ATTRIBUTE = struct.Struct("HH")
