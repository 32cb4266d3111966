"""The journal of wanted VSIs: what is in it after each way that an agent, or a disk, can end."""

import errno
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from evbagent.journal import JOURNAL_FILE, Change, Journal, Key

BOOT = "0f0e0d0c-0b0a-0908-0706-050403020100"
A, B = ("eth0", "a1412857-60f7-4ce1-e95a-216494353f53"), ("eth1", "02:00:00:00:00:01")


def journal(directory: Path, boot: str = BOOT) -> Journal:
    return Journal(directory, lambda: boot)


def left(directory: Path, boot: str = BOOT) -> dict[Key, bytes]:
    """What the next agent finds."""
    successors = journal(directory, boot)
    try:
        return dict(successors.load())
    finally:
        successors.close()


def spec(number: int = 0) -> bytes:
    return b'{"request":"associate","type":%d}' % number


def written(directory: Path, *changes: Change) -> Path:
    made = journal(directory)
    for change in changes:
        made.write([change])
    made.close()
    return directory / JOURNAL_FILE


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert left(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_the_last_word_counts(tmp_path: Path) -> None:
    file = written(tmp_path, (A, spec(1)), (B, spec(2)), (A, spec(3)))
    assert left(tmp_path) == {A: spec(3), B: spec(2)}
    journal_of_b = journal(tmp_path)
    assert journal_of_b.load()
    journal_of_b.write([(B, None)])
    assert left(tmp_path) == {A: spec(3)}
    assert file.stat().st_mode & 0o777 == 0o600


def test_it_is_lines_of_json(tmp_path: Path) -> None:
    """So that people can read it, and so that a crash costs no more than the last one."""
    text = written(tmp_path, (A, spec(1)), (A, None)).read_text()
    assert [json.loads(line) for line in text.splitlines()] == [
        {"journal": "evbagent-vsis-1", "boot-id": BOOT},
        {"interface": A[0], "vsi": A[1], "spec": {"request": "associate", "type": 1}},
        {"interface": A[0], "vsi": A[1], "spec": None},
    ]


def test_names_are_quoted(tmp_path: Path) -> None:
    key = ('e"\\\n', "local:00")
    written(tmp_path, (key, spec()), (A, spec()))
    assert left(tmp_path) == {key: spec(), A: spec()}


def test_what_is_asked_together_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = journal(tmp_path)
    made.write([(A, spec())])
    calls = counted_writes(monkeypatch)
    made.write([(("eth0", f"local:{number}"), spec(number)) for number in range(250)])
    assert len(calls) == 1
    made.write([])
    assert len(calls) == 1
    assert len(left(tmp_path)) == 251


def test_half_a_line_at_the_end_is_no_line(tmp_path: Path) -> None:
    file = written(tmp_path, (A, spec(1)), (B, spec(2)))
    whole = file.read_bytes()
    for cut in range(1, 40):
        file.write_bytes(whole[:-cut])
        found = journal(tmp_path)
        assert dict(found.load()) == {A: spec(1)}
        found.write([(A, spec(4))])
        assert left(tmp_path) == {A: spec(4)}, "nothing is written behind half a line"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\0" * 100,
        b"not JSON\n",
        b'{"journal":"evbagent-vsis-1"}\n',
        b'{"journal":"evbagent-vsis-2","boot-id":"%b"}\n' % BOOT.encode(),
        b'{"journal":"evbagent-vsis-1","boot-id":"%b"}' % BOOT.encode(),
        b"[" * 100_000 + b"\n",
    ],
)
def test_what_is_no_journal_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / JOURNAL_FILE).write_bytes(content)
    found = journal(tmp_path)
    assert found.load() == []
    found.write([(A, spec())])
    assert left(tmp_path) == {A: spec()}


def test_the_journal_of_another_boot_is_not_read(tmp_path: Path) -> None:
    written(tmp_path, (A, spec()))
    assert left(tmp_path, boot="another") == {}
    assert left(tmp_path) == {A: spec()}


@pytest.mark.parametrize(
    "line", [b"x", b"{}", b'{"interface":"eth0","vsi":1,"spec":null}', b'{"interface":"eth0","vsi":"local:1"}', b"\xff"]
)
def test_a_line_that_makes_no_sense_loses_only_itself(tmp_path: Path, line: bytes) -> None:
    file = written(tmp_path, (A, spec(1)))
    with file.open("ab") as stream:
        stream.write(line + b'\n{"interface":"eth1","vsi":"02:00:00:00:00:01","spec":{}}\n')
    found = journal(tmp_path)
    assert dict(found.load()) == {A: spec(1), B: b"{}"}
    found.write([(B, None)])
    assert line not in file.read_bytes()


def test_a_journal_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).mkdir()
    made = journal(tmp_path)
    assert made.load() == []
    made.write([(A, spec())])  # nor written: nothing happens
    (tmp_path / JOURNAL_FILE).rmdir()
    made.write([(B, spec())])
    assert left(tmp_path) == {A: spec(), B: spec()}


def test_what_is_garbage_is_thrown_away(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made.write([(B, spec(7))])
    file = tmp_path / JOURNAL_FILE
    sizes = []
    for number in range(10_000):
        made.write([(A, spec(number))])
        sizes.append(file.stat().st_size)
    assert max(sizes) < 300_000 and sizes[-1] < max(sizes)
    assert left(tmp_path) == {B: spec(7), A: spec(9999)}


def test_what_is_wanted_is_no_garbage(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made.write([(("eth0", f"local:{number}"), b'{"pad":"%b"}' % (b"x" * 1000)) for number in range(500)])
    inode = (tmp_path / JOURNAL_FILE).stat().st_ino
    for _ in range(100):
        made.write([(A, spec()), (A, None)])
    assert (tmp_path / JOURNAL_FILE).stat().st_ino == inode
    assert len(left(tmp_path)) == 500


def test_it_goes_on_with_its_predecessors(tmp_path: Path) -> None:
    file = written(tmp_path, (A, spec(1)))
    inode = file.stat().st_ino
    found = journal(tmp_path)
    found.load()
    found.write([(B, spec(2))])
    assert file.stat().st_ino == inode
    assert left(tmp_path) == {A: spec(1), B: spec(2)}


@pytest.mark.parametrize("taken", [0, 1, 40, None])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int | None) -> None:
    """What is there stays readable; when there is room again all is made up for."""
    made = journal(tmp_path)
    made.write([(A, spec(1))])
    with monkeypatch.context() as full:
        full_disk(full, taken)
        made.write([(B, spec(2))])
        assert left(tmp_path) == {A: spec(1)}
        made.write([(A, None)])
        assert left(tmp_path) == {A: spec(1)}
    made.write([(("eth2", "local:2"), spec(3))])
    assert left(tmp_path) == {B: spec(2), ("eth2", "local:2"): spec(3)}
    assert [path.name for path in tmp_path.iterdir()] == [JOURNAL_FILE]


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    made = journal(directory)
    made.write([(A, spec(1))])
    directory.mkdir()
    made.write([(B, spec(2))])
    assert left(directory) == {A: spec(1), B: spec(2)}


def test_leftovers_are_no_obstacle(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("somebody else's")
    (tmp_path / ".vsis.journal.new").symlink_to(target)
    written(tmp_path, (A, spec()))
    assert left(tmp_path) == {A: spec()}
    assert target.read_text() == "somebody else's"


def test_after_the_end_nothing_is_forgotten(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made.write([(A, spec())])
    made.close()
    made.write([(A, None)])
    made.close()
    assert left(tmp_path) == {A: spec()}


def counted_writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    write: Callable[[int, Any], int] = os.write

    def count(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", count)
    return calls


def full_disk(monkeypatch: pytest.MonkeyPatch, taken: int | None) -> None:
    """Each write takes so many octets before the disk is full; None: it fails at once."""
    write: Callable[[int, Any], int] = os.write
    room = iter(parts(taken))

    def fail(descriptor: int, data: bytes) -> int:
        octets = next(room)
        if octets is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:octets])

    monkeypatch.setattr(os, "write", fail)


def parts(taken: int | None) -> Iterable[int | None]:
    yield taken
    while True:
        yield None
