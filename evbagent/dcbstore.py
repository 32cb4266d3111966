"""What NICs' DCB settings were before the agent changed them, for as long as the machine runs."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import decode, encode

from evbagent.dcbnl import Ieee
from evbagent.statefile import boot_id

FILE, TEMPORARY_FILE = "dcb.before", ".dcb.before.new"
FORM = "evbagent-dcb-1"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Before:
    """A NIC's settings, and its DCBX mode octet (None: the driver does not say)."""

    mode: int | None
    settings: Ieee


class _Entry(Struct):
    name: str
    ifindex: int
    before: Before


class _Document(Struct):
    form: str
    boot_id: str
    nics: list[_Entry]


class DcbStore:
    """A file in the state directory. Never raises: without it, a later agent takes what is there for what was."""

    def __init__(self, directory: Path, boot: Callable[[], str] = boot_id) -> None:
        self._path = directory / FILE
        self._temporary = directory / TEMPORARY_FILE
        self._boot = boot
        self._known: dict[tuple[str, int], Before] = {}

    def load(self) -> None:
        """Take up what agents of this boot have written."""
        try:
            document = decode(self._path.read_bytes(), type=_Document)
        except FileNotFoundError:
            return
        except (OSError, DecodeError, ValidationError, UnicodeDecodeError) as error:
            log.warning("%s is not read, DCB settings of before are not known: %s", self._path, error)
            return
        if document.form == FORM and document.boot_id == self._boot():
            self._known = {(entry.name, entry.ifindex): entry.before for entry in document.nics}

    def get(self, name: str, index: int) -> Before | None:
        return self._known.get((name, index))

    def keep(self, name: str, index: int, before: Before) -> None:
        """To be called before the NIC is changed for the first time."""
        self._known[name, index] = before
        self._write()

    def forget(self, name: str, index: int) -> None:
        """The NIC has its settings again, or is gone."""
        if self._known.pop((name, index), None) is not None:
            self._write()

    def renamed(self, old: str, new: str, index: int) -> None:
        if (before := self._known.pop((old, index), None)) is not None:
            self.keep(new, index, before)

    def _write(self) -> None:
        entries = [_Entry(name, index, before) for (name, index), before in self._known.items()]
        try:
            if not entries:
                self._path.unlink(missing_ok=True)
                return
            self._temporary.unlink(missing_ok=True)
            descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode(_Document(FORM, self._boot(), entries)))
            self._temporary.rename(self._path)
        except OSError as error:
            log.warning("%s cannot be written, DCB settings of before would be lost with us: %s", self._path, error)
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)
