"""Tables that people write (TOML files, JSON requests): their common rules, and what is wrong with one in words."""

from re import match

from msgspec import Struct


class Table(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A table whose keys are the fields in kebab-case; a key that there is not is an error."""


def in_words(message: str) -> str:
    """msgspec's "Invalid ... - at `$.evb.edition`" with the key in front, as people look for it."""
    text, _, path = message.partition(" - at `")
    about_its_key = path.startswith("key` in `")
    key = path.removeprefix("key` in `").rstrip("`").removeprefix("$").removeprefix(".")
    if about_its_key:
        return f"{key}: {text[0].lower()}{text[1:]} as a key"
    for start, reason in _ABOUT_A_KEY:
        if text.startswith(start):
            name = text.split("`")[1]
            return f"{key + '.' if key else ''}{name}: {reason}"
    if text == "Expected `str` of length >= 1":
        text = "is empty"
    if key and match(r"[a-z][a-z0-9.-]*: ", text):  # a table's own rule about one of its keys
        return f"{key}.{text}"
    return f"{key}: {text}" if key else text


_ABOUT_A_KEY = (
    ("Object contains unknown field `", "unknown key"),
    ("Object missing required field `", "is missing"),
)
