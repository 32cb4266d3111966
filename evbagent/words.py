"""Values, code points and bits in the words of the documents: kebab case, `reserved-N` for what has no name."""

from dataclasses import fields, is_dataclass
from enum import IntEnum, IntFlag
from typing import Any


def word(kind: type[IntEnum], value: int) -> str:
    try:
        return _kebab(kind(value).name)
    except ValueError:
        return f"reserved-{value}"


def flag_words(kind: type[IntFlag], bits: int, width: int = 16) -> list[str]:
    """The names of the bits that are set, those without a name after the others."""
    known = [_kebab(str(flag.name)) for flag in kind if bits & flag]
    return known + [f"reserved-{bit}" for bit in range(width) if bits & 1 << bit & ~sum(kind)]


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


def _kebab(name: str) -> str:
    return name.lower().replace("_", "-")
