"""`evbagent decode`: the LLDP, ECP and VDP frames of a capture, printed one by one while it is read."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from io import FileIO
from json import dumps
from stat import S_ISREG
from typing import Any

from evbagent.capture import Capture, CaptureError, Octets
from evbagent.decode import Document, documents, selection
from evbagent.show import escape

DONE, FAILED = 0, 1
SOON_READ = 1 << 23


def decode(arguments: argparse.Namespace) -> int:
    """Print all there is before the end of the capture, or before its first damage, which is named then."""
    name = "standard input" if arguments.file == "-" else arguments.file
    try:
        file = FileIO(0, closefd=False) if arguments.file == "-" else FileIO(arguments.file)
    except OSError as error:
        return _complain(f"{name}: {error.strerror}")
    chosen = selection()
    with closing(file), _progress(file) as (stream, pause):
        capture = Capture(stream, chosen)
        try:
            (_print_array if arguments.json else _print_frames)(documents(capture), pause)
        except CaptureError as error:
            return _complain(f"{name}: {error}")
    for linktype in sorted(capture.linktypes - set(chosen.offsets)):
        left_out = f"frames of link type {linktype} are left out"
        print(f"evbagent: {name}: {left_out}: Ethernet and Linux cooked captures are read", file=sys.stderr)
    return DONE


Pause = Callable[[], AbstractContextManager[Any]]
"""What to be in while printing."""


@contextmanager
def _progress(file: FileIO) -> Iterator[tuple[Octets, Pause]]:
    """The file; on a terminal, unless it is soon read, with a bar that shows how much of it was."""
    status = os.fstat(file.fileno())
    size = status.st_size if S_ISREG(status.st_mode) else None
    if not sys.stderr.isatty() or (size is not None and size < SOON_READ):
        yield file, nullcontext
        return
    from tqdm import tqdm

    pause: Pause = partial(tqdm.external_write_mode, sys.stdout) if sys.stdout.isatty() else nullcontext
    with tqdm.wrapattr(file, "read", size, leave=False) as stream:
        yield stream, pause


def _print_array(frames: Iterable[Document], pause: Pause) -> None:
    """One frame a line. Whatever happens, what was printed ends as an array does."""
    separator = "["
    try:
        for document in frames:
            with pause():
                print(f"{separator}\n{dumps(document)}", end="", flush=True)
            separator = ","
    finally:
        print("[]" if separator == "[" else "\n]", flush=True)


def _print_frames(frames: Iterable[Document], pause: Pause) -> None:
    count = 0
    for count, document in enumerate(frames, 1):
        with pause():
            print(("\n" if count > 1 else "") + frame_text(document), end="", flush=True)
    if count == 0:
        print("no LLDP or ECP frames")


def frame_text(document: Document) -> str:
    """A frame for people: a line for itself, one or more for each TLV, and what is wrong. Network text is escaped."""
    return "".join(f"{line}\n" for line in _frame_lines(document))


def _frame_lines(document: Document) -> Iterator[str]:
    time = f" {document['time']}" if document["time"] else ""
    vlan = f" VLAN {document['vlan']}" if document["vlan"] is not None else ""
    addresses = f"{document['source'] or '-'} > {document['destination'] or '-'}"
    yield f"{document['number']}{time} {addresses}{vlan} {document['protocol'].upper()} {document['verdict']}"
    if "ecp" in document:
        yield from _indented(_value_lines("ECP", document["ecp"]))
    for tlv in document["tlvs"]:
        yield from _indented(_tlv_lines(tlv))
    if document["trailer"]:
        yield f"  trailer: {document['trailer']}"
    for error in document["errors"]:
        yield f"  error at offset {error['offset']}: {escape(error['reason'])}"


def _tlv_lines(tlv: Mapping[str, Any]) -> Iterator[str]:
    number = "/".join(str(part) for part in (tlv["type"], tlv["oui"], tlv["subtype"]) if part is not None)
    name = f"{escape(tlv['name'])} ({number})"
    if tlv["value"] is None:
        yield f"{name}: {tlv['hex']}" if tlv["hex"] else name
    else:
        yield from _value_lines(name, tlv["value"])


def _value_lines(name: str, value: Mapping[str, Any]) -> Iterator[str]:
    """Plain fields behind the name, what has fields of its own below it."""
    plain = [f"{escape(key)} {_plain(entry)}" for key, entry in value.items() if not _nested(entry)]
    yield f"{name}: {', '.join(plain)}" if plain else name
    for key, entry in value.items():
        for part in _nested(entry):
            yield from _indented(_value_lines(escape(key), part))


def _nested(value: Any) -> list[Mapping[str, Any]]:
    """The objects that a field consists of."""
    if isinstance(value, Mapping):
        return [value]
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _plain(value: Any) -> str:
    match value:
        case None | [] | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return " ".join(map(_plain, value))
        case _:
            return escape(value)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _complain(text: str) -> int:
    print(f"evbagent: {escape(text)}", file=sys.stderr)
    return FAILED
