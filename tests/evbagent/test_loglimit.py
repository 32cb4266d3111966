"""Floods of lines: what gets through, what is said of the rest, and that others are not silenced."""

import logging
from collections.abc import Iterator

import pytest

from evbagent import loglimit
from evbagent.loglimit import ALL_LINES_AT_ONCE, LINES_A_SECOND, LINES_AT_ONCE, MOST_KINDS, LineLimit


class Log(logging.Handler):
    """A logger with a limit, on a clock of its own, and what has got through."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.lines: list[str] = []
        self.limit = LineLimit(lambda: self.now)
        self.addFilter(self.limit)
        self.logger = logging.Logger("limited")
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def taken(self) -> list[str]:
        taken, self.lines = self.lines, []
        return taken


@pytest.fixture
def log() -> Iterator[Log]:
    yield Log()


def test_the_first_ones_then_a_few_with_the_number_of_the_others(log: Log) -> None:
    for number in range(LINES_AT_ONCE + 30):
        log.logger.warning("%s: the switch says %d", "eth0", number)
    assert log.taken() == [f"eth0: the switch says {number}" for number in range(LINES_AT_ONCE)]
    assert log.limit.left_out == 30
    log.now += 1
    for number in range(5):
        log.logger.warning("%s: the switch says %d", "eth0", number)
    assert log.taken() == ["eth0: the switch says 0 (30 such lines before were left out)", "eth0: the switch says 1"]
    assert LINES_A_SECOND == 2 and log.limit.left_out == 33
    log.now += 60
    log.logger.warning("%s: the switch says %d", "eth0", 7)
    assert log.taken() == ["eth0: the switch says 7 (3 such lines before were left out)"]


def test_a_flood_about_one_interface_does_not_silence_another_nor_other_words(log: Log) -> None:
    for _ in range(100):
        log.logger.info("%s: link %s", "eth0", "up")
    log.taken()
    log.logger.info("%s: link %s", "eth1", "down")
    log.logger.error("%s: cannot be served: %s", "eth0", "no")
    log.logger.info("done")
    assert log.taken() == ["eth1: link down", "eth0: cannot be served: no", "done"]


def test_all_together_are_bounded_however_different_they_are(log: Log) -> None:
    for number in range(10_000):
        log.logger.warning("%s: something", f"guest{number}")
    assert len(log.taken()) == ALL_LINES_AT_ONCE
    assert log.limit.left_out == 10_000 - ALL_LINES_AT_ONCE
    assert len(log.limit._kinds) <= MOST_KINDS + 1


def test_kinds_that_are_over_are_forgotten(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loglimit, "MOST_KINDS", 8)
    for number in range(1000):
        log.logger.warning("%s: something", f"guest{number}")
        log.now += 1
    assert len(log.taken()) == 1000
    assert len(log.limit._kinds) <= 9


def test_a_list_of_what_is_wrong_is_not_cut_short(log: Log) -> None:
    for number in range(100):
        log.logger.error("%s", f"a.toml: vsi {number}: instance: is missing")
    assert len(log.taken()) == 100


def test_who_wants_to_see_everything_does(log: Log) -> None:
    for _ in range(1000):
        log.logger.debug("%s: a frame", "eth0")
    assert len(log.taken()) == 1000 and log.limit.left_out == 0


def test_a_line_with_an_exception_keeps_it(log: Log) -> None:
    seen = []
    log.emit = seen.append  # type: ignore[method-assign]
    for _ in range(LINES_AT_ONCE + 1):
        log.logger.warning("%s: odd", "eth0")
    log.now += 1
    try:
        raise ValueError
    except ValueError:
        log.logger.exception("%s: odd", "eth0")
    assert seen[-1].exc_info is not None and seen[-1].getMessage() == "eth0: odd (1 such lines before were left out)"
