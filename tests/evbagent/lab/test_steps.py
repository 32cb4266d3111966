"""What the lab makes of lost frames, and lldpad's configuration."""

import re

import pytest

from evbagent.lab.steps import losses
from evbagent.lab.switches import lldpad_config

MS = 1_000_000


def test_nothing_lost() -> None:
    assert losses([(1, 0), (2, MS)], {1, 2, 3}) == (0, 0.0)


def test_the_outage_lasts_until_the_next_frame_that_arrives() -> None:
    stream = [(number, number * MS) for number in range(1, 11)]
    assert losses(stream, {1, 2, 7, 8, 9, 10}) == (4, pytest.approx(0.004))


def test_a_frame_that_got_through_meanwhile_does_not_end_it() -> None:
    stream = [(number, number * MS) for number in range(1, 11)]
    assert losses(stream, {1, 5, 9, 10}) == (6, pytest.approx(0.007))


def test_an_outage_without_an_end_lasts_until_the_end() -> None:
    assert losses([(1, 0), (2, MS), (3, 2 * MS)], {1}) == (2, pytest.approx(0.001))


@pytest.mark.parametrize(("edition", "tlv"), [("ratified", "tlvid0080c20d"), ("draft", "tlvid001b3f00")])
def test_lldpad_is_a_bridge_in_one_edition(edition: str, tlv: str) -> None:
    config = lldpad_config(edition)
    assert re.findall(r"tlvid\w+", config) == [tlv]
    assert config.count("{") == config.count("}")
    assert '"bridge"' in config
