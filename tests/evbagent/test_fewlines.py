"""Lines of the log about floods."""

import logging
from typing import Any

import pytest

from evbagent.fewlines import LINES_A_SECOND, FewLines


def test_each_one_while_they_are_few_then_their_number(caplog: pytest.LogCaptureFixture) -> None:
    now = 10.0
    lines = FewLines(logging.getLogger("few"), "neighbors", clock=lambda: now)
    with caplog.at_level(logging.INFO, "few"):
        for number in range(LINES_A_SECOND + 5):
            lines.line(f"change {number}".format)
        assert caplog.messages == [f"change {number}" for number in range(LINES_A_SECOND)]
        caplog.clear()
        now = 11.0
        lines.line("another".format)
        lines.line("and another".format)
    assert caplog.messages == ["5 more changes of neighbors before", "another", "and another"]


def test_they_wait_until_there_is_time(caplog: pytest.LogCaptureFixture) -> None:
    later: list[Any] = []
    lines = FewLines(logging.getLogger("few"), "VSIs", lambda: 10.0, soon=lambda *call: later.append(call))
    with caplog.at_level(logging.INFO, "few"):
        lines.line("100% of it".format)
        assert not caplog.messages
        for write, *arguments in later:
            write(*arguments)
    assert caplog.messages == ["100% of it"]
