"""A fixed run of octets and the value it stands for: `construct` inside, dataclasses and DecodeError outside."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Generic, TypeVar

from construct import Construct

from protocols.bits import fields_of
from protocols.errors import DecodeError

T = TypeVar("T")


class Layout(Generic[T]):
    """The wire form of `kind`, a dataclass whose fields are named like those of `layout`; arrays become tuples.

    Every value of the octets must mean something (numbers, flags, octet strings; reserved bits as `Padding`), so that
    reading them can only fail for want of octets.
    """

    __slots__ = ("_fields", "_readers", "kind", "size")

    def __init__(self, kind: type[T], layout: Construct) -> None:
        self.kind = kind
        self.size: int = layout.sizeof()
        by_name = {field.name: field for field in fields_of(layout)}
        self._fields = tuple(by_name[field.name] for field in fields(kind))  # type: ignore[arg-type]  # a dataclass
        self._readers = tuple(field.reader() for field in self._fields)

    def decode(self, octets: bytes, offset: int = 0) -> T:
        """The value at `offset`; what follows it is not looked at, reserved bits are ignored."""
        left = max(len(octets) - offset, 0)
        if left < self.size:
            raise DecodeError(f"{left} octets are left, {self.size} are needed", offset)
        number = int.from_bytes(octets[offset : offset + self.size], "big")
        return self.kind(*[read(number) for read in self._readers])

    def encode(self, value: T) -> bytes:
        """The octets, reserved bits 0. ValueError when a field's value does not fit."""
        try:
            number = sum(field.write(getattr(value, field.name)) for field in self._fields)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{value} does not fit its octets: {error}") from error
        octets = number.to_bytes(self.size, "big")
        if self.decode(octets) != value:
            raise ValueError(f"{value} does not fit its octets")
        return octets


def encode_by_kind(layouts: Mapping[int, Layout[Any]], value: object) -> tuple[int, bytes]:
    """Subtype and octets of a value, by the one of `layouts` that is for its type."""
    for subtype, layout in layouts.items():
        if layout.kind is type(value):
            return subtype, layout.encode(value)
    raise ValueError(f"{value} has no layout here")


def decode_entries(layout: Layout[T], octets: bytes, offset: int) -> tuple[T, ...]:
    """Equal entries from `offset` to the end; DecodeError where the last one is cut short."""
    return tuple(layout.decode(octets, start) for start in range(offset, len(octets), layout.size))


def encode_entries(layout: Layout[T], entries: tuple[T, ...]) -> bytes:
    return b"".join(layout.encode(entry) for entry in entries)
