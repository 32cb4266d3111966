"""Values, code points and bits in the words of the documents: kebab case, `reserved-N` for what has no name."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import IntEnum, IntFlag
from functools import cache
from types import MappingProxyType
from typing import Any


def word(kind: type[IntEnum], value: int) -> str:
    return _members(kind).get(value) or f"reserved-{value}"


def flag_words(kind: type[IntFlag], bits: int, width: int = 16) -> list[str]:
    """The names of the bits that are set, those without a name after the others."""
    named = _members(kind)
    known = [name for flag, name in named.items() if bits & flag]
    return known + [f"reserved-{bit}" for bit in range(width) if bits & 1 << bit and 1 << bit not in named]


def bit_numbers(bits: int, width: int = 8) -> list[int]:
    """The numbers of the bits that are set: priorities."""
    return [bit for bit in range(width) if bits & 1 << bit]


def plain(value: Any) -> Any:
    """A value type as JSON: its fields in kebab case, octets in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {_kebab(field.name): plain(getattr(value, field.name)) for field in fields(value)}
    return value


@cache
def _members(kind: type[IntEnum] | type[IntFlag]) -> Mapping[int, str]:
    """Plain numbers: an enumeration takes 1 us for each operation with one of its members."""
    return MappingProxyType({int(member): _kebab(str(member.name)) for member in kind})


def _kebab(name: str) -> str:
    return name.lower().replace("_", "-")
