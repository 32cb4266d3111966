"""The journal of VSIs that clients want: what has to outlive the agent, and nothing of what can be found out anew.

A file of JSON lines in the state directory. The first names the form and the boot; each other says of one VSI of one
interface what is asked for it, or that nothing is any more; the last word counts. It is written to before the switch is
asked, by one system call for all that is asked together. Nothing is synchronized to a disk: a boot ends everything.
"""

import errno
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder, encode

from evbagent.statefile import boot_id

JOURNAL_FILE = "vsis.journal"
TEMPORARY_FILE = ".vsis.journal.new"
FORM = "evbagent-vsis-1"
COMPACT_OCTETS = 256 * 1024
NOTHING = b"null"

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Interface, and the text of the VSI ID."""

Change = tuple[Key, bytes | None]
"""What is wanted for a VSI from now on, a JSON object; None: nothing."""


class Journal:
    """Reads its predecessor's journal by `load`, then writes its own. Never raises: without it only a restart is worse.

    While the file cannot be written (disk full) the agent goes on; the next change brings all of it up to date.
    """

    def __init__(self, directory: Path, boot: Callable[[], str] = boot_id) -> None:
        self._path = directory / JOURNAL_FILE
        self._temporary = directory / TEMPORARY_FILE
        self._boot = boot
        self._live: dict[Key, bytes] = {}
        self._live_octets = 0
        self._octets = 0
        self._descriptor: int | None = None  # None: the file has to be made anew before anything is added
        self._failing = False
        self._closed = False

    def load(self) -> list[tuple[Key, bytes]]:
        """What was wanted when the last agent of this boot ended."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("%s is not read, VSIs of before are not restored: %s", self._path, error.strerror)
            return []
        *lines, torn = text.split(b"\n")  # a crash or a full disk can leave half a line at the end
        if fault := self._fault(lines[0] if lines else b""):
            log.warning("%s is ignored, VSIs of before are not restored: %s", self._path, fault)
            return []
        if bad := self._replay(lines[1:]):
            log.warning("%s: %d lines are not understood", self._path, bad)
        elif not torn:
            self._append_to_it(len(text))
        return list(self._live.items())

    def write(self, changes: Iterable[Change]) -> None:
        """Take down what changed, in order."""
        lines = [self._note(key, spec) for key, spec in changes]
        if not lines or self._closed:
            return
        try:
            self._add(b"".join(lines))
        except OSError as error:
            self._failed(error)
        else:
            if self._failing:
                self._failing = False
                log.info("%s is written again", self._path)

    def close(self) -> None:
        """What becomes of VSIs from now on, while the agent ends, is nobody's wish."""
        self._closed = True
        self._let_go()

    def _fault(self, head: bytes) -> str | None:
        try:
            header = Decoder(_Header).decode(head)
        except (DecodeError, RecursionError) as error:
            return f"it is not one of ours: {error}"
        if header.journal != FORM:
            return f"it is not of the form {FORM}"
        return None if header.boot_id == self._boot() else "it is of another boot"

    def _replay(self, lines: Iterable[bytes]) -> int:
        """Returns how many lines make no sense."""
        decoder = Decoder(_Line)
        bad = 0
        for text in lines:
            try:
                line = decoder.decode(text)
            except (DecodeError, RecursionError):
                bad += 1
            else:
                spec = bytes(line.spec)
                self._note((line.interface, line.vsi), None if spec == NOTHING else spec)
        return bad

    def _note(self, key: Key, spec: bytes | None) -> bytes:
        """Remember it; returns the line that says it."""
        before = self._live.pop(key, None)
        if before is not None:
            self._live_octets -= len(_line(key, before))
        line = _line(key, spec)
        if spec is not None:
            self._live[key] = spec
            self._live_octets += len(line)
        return line

    def _append_to_it(self, octets: int) -> None:
        with suppress(OSError):
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
            self._octets = octets

    def _add(self, data: bytes) -> None:
        octets = self._octets + len(data)
        if self._descriptor is None or (octets > COMPACT_OCTETS and octets > 2 * self._live_octets):
            self._rewrite()
            return
        if os.write(self._descriptor, data) < len(data):  # a disk that is nearly full takes a part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._octets = octets

    def _rewrite(self) -> None:
        """Everything that is wanted, and nothing else, in a new file."""
        header = encode({"journal": FORM, "boot-id": self._boot()}) + b"\n"
        data = header + b"".join([_line(key, spec) for key, spec in self._live.items()])
        self._temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self._temporary, flags, 0o600)
        try:
            written = 0
            while written < len(data):
                written += os.write(descriptor, data[written:])
            self._temporary.rename(self._path)
        except BaseException:
            os.close(descriptor)
            with suppress(OSError):
                self._temporary.unlink()
            raise
        self._let_go()
        self._descriptor, self._octets = descriptor, len(data)

    def _failed(self, error: OSError) -> None:
        """Nothing may be added after half a line: what is there is left as it is, to be replaced by the next change."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._octets)
        self._let_go()
        if not self._failing:
            self._failing = True
            log.error("cannot write %s, a restart now would not restore all VSIs: %s", self._path, error.strerror)

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


class _Header(Struct, rename="kebab"):
    journal: str
    boot_id: str


class _Line(Struct):
    """`spec`: what is wanted; null: nothing is any more."""

    interface: str
    vsi: str
    spec: Raw


def _line(key: Key, spec: bytes | None) -> bytes:
    return b'{"interface":%b,"vsi":%b,"spec":%b}\n' % (encode(key[0]), encode(key[1]), spec or NOTHING)
