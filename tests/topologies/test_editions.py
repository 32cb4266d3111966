"""Which edition two ends come to: every combination of settings, and what happens when the neighbour changes."""

import pytest

from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import Edition, Relay
from protocols.timers import SECOND
from tests.support.wire import (
    AUTO,
    MILLISECOND,
    OTHER_MAC,
    End,
    Wire,
    agree,
    bridge,
    edition_of,
    evb_octets,
    station,
)

SETTINGS: dict[str, tuple[Edition, ...]] = {"ratified": (RATIFIED,), "draft": (DRAFT,), "auto": AUTO}
OUTCOMES = {
    ("ratified", "ratified"): "ratified",
    ("ratified", "draft"): None,
    ("ratified", "auto"): "ratified",
    ("draft", "ratified"): None,
    ("draft", "draft"): "draft",
    ("draft", "auto"): "draft",
    ("auto", "ratified"): "ratified",
    ("auto", "draft"): "draft",
    ("auto", "auto"): "ratified",
}


def ends(of_station: str, of_bridge: str) -> tuple[Wire, End, End]:
    s, b = station(editions=SETTINGS[of_station]), bridge(editions=SETTINGS[of_bridge])
    wire = Wire(s, b)
    wire.plug()
    return wire, s, b


def agreed(wire: Wire, s: End, b: End, edition: str | None) -> None:
    """Both ends are in this edition, or have none in common, and speak one alone."""
    since = wire.now
    wire.run(60 * SECOND)
    if edition is None:
        assert s.relay is b.relay is Relay.INACTIVE and not b.hairpin
        assert s.reason == b.reason == "the neighbor speaks LLDP but not EVB"
    else:
        assert agree(wire, s, b)
        assert s.stack.forwarding.edition == b.stack.forwarding.edition == edition
        assert {edition_of(sent.data) for sent in wire.frames(since=since)} == {edition}


@pytest.mark.parametrize("first", ["station", "bridge", "both"])
@pytest.mark.parametrize(("of_station", "of_bridge"), OUTCOMES)
def test_every_combination(of_station: str, of_bridge: str, first: str) -> None:
    wire, s, b = ends(of_station, of_bridge)
    if first == "both":
        wire.start()
    else:
        wire.start(s if first == "station" else b)
        wire.run(2 * SECOND)
        wire.start(b if first == "station" else s)
    expected = OUTCOMES[of_station, of_bridge]
    if expected:
        assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND
        wire.run(SECOND // 2)
    agreed(wire, s, b, expected)


@pytest.mark.parametrize("ending", ["with goodbye", "killed"])
@pytest.mark.parametrize(("before", "after"), [("draft", "ratified"), ("ratified", "draft"), ("draft", "auto")])
def test_a_switch_of_another_edition_follows(before: str, after: str, ending: str) -> None:
    s = station(editions=AUTO)
    old, new = bridge(editions=SETTINGS[before]), bridge(OTHER_MAC, "new", editions=SETTINGS[after])
    wire = Wire(s, old, new)
    wire.plug()
    wire.start(s, old)
    wire.run(10 * SECOND)
    assert agree(wire, s, old) and s.stack.forwarding.edition == before
    if ending == "with goodbye":
        wire.stop(old)
    else:
        wire.kill(old)
    wire.run(130 * SECOND)
    assert s.relay is Relay.UNKNOWN and edition_of(wire.sent[-1].data) == "ratified", "the offer while nobody is there"
    wire.start(new)
    assert wire.run_until(lambda: agree(wire, s, new)) <= 20 * MILLISECOND
    assert s.stack.forwarding.edition == ("ratified" if after == "auto" else after)


@pytest.mark.parametrize("who", ["station", "bridge"])
@pytest.mark.parametrize(("before", "after"), [("draft", "ratified"), ("ratified", "draft")])
def test_one_end_is_set_to_another_edition_and_the_other_follows(before: str, after: str, who: str) -> None:
    wire, s, b = ends("auto", before) if who == "bridge" else ends(before, "auto")
    wire.start()
    wire.run(10 * SECOND)
    assert agree(wire, s, b)
    wire.evb_settings(b if who == "bridge" else s, editions=SETTINGS[after])
    wire.run(SECOND)
    agreed(wire, s, b, after)


@pytest.mark.parametrize(("of_station", "of_bridge"), [("ratified", "draft"), ("draft", "ratified")])
@pytest.mark.parametrize("who", ["station", "bridge"])
def test_one_end_is_set_to_auto_and_finds_what_the_other_has_said_all_along(
    of_station: str, of_bridge: str, who: str
) -> None:
    wire, s, b = ends(of_station, of_bridge)
    wire.start()
    wire.run(10 * SECOND)
    assert s.relay is Relay.INACTIVE
    wire.evb_settings(s if who == "station" else b, editions=AUTO)
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND
    agreed(wire, s, b, of_bridge if who == "station" else of_station)


@pytest.mark.parametrize(("of_station", "of_bridge"), OUTCOMES)
def test_never_both_editions_in_one_lldpdu(of_station: str, of_bridge: str) -> None:
    """lldpad refuses the ratified one of a port that has both enabled (interop-notes X1)."""
    wire, *_ = ends(of_station, of_bridge)
    wire.start()
    wire.run(100 * SECOND)
    assert all(len(evb_octets(sent.data)) in (10, 18) for sent in wire.sent)
