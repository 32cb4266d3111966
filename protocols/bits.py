"""Where the fields of a fixed `construct` layout lie, so that they can be read and written by shifts and masks.

`construct` says what a layout is. Its interpreter takes some 20 microseconds for a TLV of a few bit fields (its
compiler leaves bits as slow as they are), shifts take two.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple

from construct import Adapter, Array, BitsInteger, Bytes, Construct, Flag, FormatField, Padded, Struct, Subconstruct

OCTET = 8


class Kind(Enum):
    """What the bits of a field stand for. An octet that is a flag is true unless it is 0."""

    FLAG = auto()
    UNSIGNED = auto()
    SIGNED = auto()
    OCTETS = auto()


class Field(NamedTuple):
    """One named field: its width in bits and how far left of the layout's end each of its values lies.

    `is_array`: its value is a tuple, however many `shifts` there are.
    """

    name: str
    kind: Kind
    width: int
    shifts: tuple[int, ...]
    is_array: bool

    @property
    def mask(self) -> int:
        return (1 << self.width) - 1

    def reader(self) -> Callable[[int], Any]:
        """Gives the field's value in a layout whose octets, taken for one big-endian number, are its argument."""
        if self.is_array:
            elements = [self._element(shift) for shift in self.shifts]
            return lambda number: tuple(element(number) for element in elements)
        return self._element(self.shifts[0])

    def write(self, value: Any) -> int:
        """What the value contributes to the layout's number. ValueError, TypeError: it does not fit."""
        values = value if self.is_array else (value,)
        return sum(self._bits(one) << shift for one, shift in zip(values, self.shifts, strict=True))

    def _element(self, shift: int) -> Callable[[int], Any]:
        mask = self.mask
        match self.kind:
            case Kind.FLAG:
                return lambda number: number >> shift & mask != 0
            case Kind.SIGNED:
                sign = mask // 2 + 1
                return lambda number: ((number >> shift & mask) ^ sign) - sign
            case Kind.OCTETS:
                octets = self.width // OCTET
                return lambda number: (number >> shift & mask).to_bytes(octets, "big")
        return lambda number: number >> shift & mask

    def _bits(self, value: Any) -> int:
        if self.kind is Kind.OCTETS:
            if len(value) * OCTET != self.width:
                raise ValueError(f"{len(value)} octets in place of {self.width // OCTET}")
            return int.from_bytes(value, "big")
        least, most = (-(self.mask + 1) // 2, self.mask // 2) if self.kind is Kind.SIGNED else (0, self.mask)
        if not least <= value <= most:
            raise ValueError(f"{value} is not {least} to {most}")
        return int(value) & self.mask


def fields_of(layout: Construct) -> tuple[Field, ...]:
    """The named fields of a Struct or BitStruct in their order, arrays of numbers included.

    TypeError for anything whose place or meaning is not fixed.
    """
    struct, unit = _opened(layout, OCTET)
    if not isinstance(struct, Struct):
        raise TypeError(f"{layout} is no Struct")
    found: list[Field] = []
    left = layout.sizeof() * OCTET
    for subcon in struct.subcons:
        inner, inner_unit = _opened(subcon, unit)
        if not isinstance(inner, Padded):
            found.append(_field(subcon.name, inner, inner_unit, left))
        left -= subcon.sizeof() * unit
    return tuple(found)


def _field(name: str, layout: Construct, unit: int, left: int) -> Field:
    """The field that begins `left` bits before the end."""
    is_array = isinstance(layout, Array)
    count = layout.count if is_array else 1
    element, unit = _opened(layout.subcon, unit) if is_array else (layout, unit)
    width = element.sizeof() * unit
    return Field(name, _meaning(element), width, tuple(left - n * width for n in range(1, count + 1)), is_array)


def _opened(layout: Construct, unit: int) -> tuple[Construct, int]:
    """Without names and changes between octets and bits around it; how many bits its sizes count in."""
    while isinstance(layout, Subconstruct) and not isinstance(layout, (Adapter, Array, Padded)):
        outer, layout = layout.sizeof(), layout.subcon
        unit = unit * outer // layout.sizeof()
    return layout, unit


def _meaning(element: Construct) -> Kind:
    if element is Flag:
        return Kind.FLAG
    if isinstance(element, BitsInteger) and not element.swapped:
        return Kind.SIGNED if element.signed else Kind.UNSIGNED
    if isinstance(element, FormatField) and element.fmtstr in (">B", ">H", ">L", ">Q"):
        return Kind.UNSIGNED
    if isinstance(element, Bytes):
        return Kind.OCTETS
    raise TypeError(f"{element} has no fixed place or meaning")
