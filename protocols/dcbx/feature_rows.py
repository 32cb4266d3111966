"""What decides on a feature of CEE or CIN: the sheet's table, row by row (sheet `dcbx.md` 3.5).

Row 1 (what is said has changed) is the machine's: it is about what was said, and decides nothing. Row 8 needs another
version than 0 to change to, and there is none. Two cases in which the peer's settings are not used stand before row 11.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from protocols.dcbx.settings import Dialect


class Use(Enum):
    """Whose configuration is in operation. UNCHANGED: it stays as it is until the peer has answered."""

    LOCAL = "local"
    PEER = "peer"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class View:
    """All that decides on a feature. `peer` False: nobody is there, or several are; `expired`: one was."""

    dialect: Dialect
    advertised: bool
    synced: bool
    acknowledged: bool
    versions_agreed: bool
    peer: bool
    expired: bool
    heard: bool
    duplicated: bool
    feature_versions_agreed: bool
    enabled: bool
    peer_enabled: bool
    willing: bool
    peer_willing: bool
    peer_error: bool
    sound: bool
    compatible: bool


class Row(NamedTuple):
    """A row of the sheet's table: the first whose condition holds decides. `error` None: as it was."""

    number: str
    holds: Callable[[View], bool]
    use: Use
    oper_mode: Callable[[View], bool]
    error: Callable[[View], bool]
    reason: str


def _never(_: View) -> bool:
    return False


def _always(_: View) -> bool:
    return True


def _peer_is_well(view: View) -> bool:
    return not view.peer_error


def _in_cee(view: View) -> bool:
    return view.dialect is Dialect.CEE


def _expired(view: View) -> bool:
    """A peer was there: who has not heard anybody yet reports no error."""
    return view.expired and _in_cee(view)


NOBODY = Row("4", lambda it: not it.peer, Use.LOCAL, _never, _expired, "there is no peer")
UNSOUND = Row(
    "11a",
    lambda it: it.willing and not it.peer_willing and not it.sound,
    Use.LOCAL,
    _never,
    _always,
    "willing, but the peer's settings cannot be used",
)
ROWS: Sequence[Row] = (
    Row("2", lambda it: not it.advertised, Use.LOCAL, lambda it: it.enabled, _never, "it is not advertised"),
    Row("3", lambda it: it.peer and not it.versions_agreed, Use.UNCHANGED, _never, _never, "versions are not agreed"),
    NOBODY,
    Row("5", lambda it: not it.heard, Use.LOCAL, _never, _in_cee, "the peer has no such feature"),
    Row(
        "6",
        lambda it: not it.synced and not it.acknowledged,
        Use.UNCHANGED,
        _never,
        _never,
        "the peer has not acknowledged yet",
    ),
    Row("7", lambda it: it.duplicated, Use.LOCAL, _never, _always, "the peer says it twice"),
    Row(
        "9",
        lambda it: not it.feature_versions_agreed,
        Use.UNCHANGED,
        _never,
        _never,
        "the peer has another version of it in operation",
    ),
    Row(
        "10",
        lambda it: not (it.enabled and it.peer_enabled),
        Use.LOCAL,
        _never,
        _never,
        "it is not enabled on both sides",
    ),
    UNSOUND,
    Row(
        "11b",
        lambda it: it.willing and not it.peer_willing and it.peer_error,
        Use.LOCAL,
        _never,
        _never,
        "the peer reports an error",
    ),
    Row(
        "11",
        lambda it: it.willing and not it.peer_willing,
        Use.PEER,
        _always,
        _never,
        "willing, and the peer is not",
    ),
    Row(
        "12",
        lambda it: it.peer_willing and not it.willing,
        Use.LOCAL,
        _peer_is_well,
        _never,
        "not willing: the peer follows",
    ),
    Row("13", lambda it: it.compatible, Use.LOCAL, _peer_is_well, _never, "both sides are equally willing, and agree"),
    Row("14", _always, Use.LOCAL, _never, _always, "both sides are equally willing, and differ: a mismatch"),
)


def deciding(view: View) -> Row:
    return next(row for row in ROWS if row.holds(view))
