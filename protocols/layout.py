"""A fixed run of octets and the value it stands for: `construct` inside, dataclasses and DecodeError outside."""

from collections.abc import Mapping
from dataclasses import fields
from struct import error as StructError
from typing import Any, Generic, TypeVar

from construct import Construct, ConstructError, Struct

from protocols.errors import DecodeError

T = TypeVar("T")


class Layout(Generic[T]):
    """The wire form of `kind`, a dataclass whose fields are named like those of `layout`; arrays become tuples.

    Every value of the octets must mean something (numbers, flags, octet strings; reserved bits as `Padding`), so that
    reading them can only fail for want of octets.
    """

    __slots__ = ("_fields", "_layout", "kind", "size")

    def __init__(self, kind: type[T], layout: Construct) -> None:
        self.kind = kind
        self.size: int = layout.sizeof()
        self._layout = layout.compile() if isinstance(layout, Struct) else layout  # of bits it makes nothing faster
        self._fields = tuple(field.name for field in fields(kind))  # type: ignore[arg-type]  # it is a dataclass

    def decode(self, octets: bytes, offset: int = 0) -> T:
        """The value at `offset`; what follows it is not looked at, reserved bits are ignored."""
        left = max(len(octets) - offset, 0)
        if left < self.size:
            raise DecodeError(f"{left} octets are left, {self.size} are needed", offset)
        found = self._layout.parse(octets[offset : offset + self.size])
        return self.kind(**{name: _plain(found[name]) for name in self._fields})

    def encode(self, value: T) -> bytes:
        """The octets, reserved bits 0. ValueError when a field's value does not fit."""
        try:
            octets: bytes = self._layout.build({name: getattr(value, name) for name in self._fields})
        except (ConstructError, StructError) as error:
            raise ValueError(f"{value} does not fit its octets: {error}") from error
        if len(octets) != self.size or self.decode(octets) != value:
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


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
