"""Lines of the log about floods."""

import logging

import pytest

from evbagent.fewlines import LINES_A_SECOND, FewLines


def test_each_one_while_they_are_few_then_their_number(caplog: pytest.LogCaptureFixture) -> None:
    now = 10.0
    lines = FewLines(logging.getLogger("few"), "neighbors", clock=lambda: now)
    with caplog.at_level(logging.INFO, "few"):
        for number in range(LINES_A_SECOND + 5):
            lines.line(f"change {number}")
        assert caplog.messages == [f"change {number}" for number in range(LINES_A_SECOND)]
        caplog.clear()
        now = 11.0
        lines.line("another")
        lines.line("and another")
    assert caplog.messages == ["5 more changes of neighbors before", "another", "and another"]
