"""VSIs between our station and our bridge, on a wire that behaves, and on one that does not."""

from random import Random

import pytest

from protocols.edge import EdgeSettings
from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import Edition, EvbCapability, EvbParameters
from protocols.port import WithdrawVsis
from protocols.timers import SECOND
from protocols.vdp.rules import PolicyRules, Rule
from protocols.vdp.status import Outcome, VsiState
from protocols.vdp.vsi import Mode, Response
from tests.support.vsis import Client, ecpdus, held, same, vsi, vsi_id
from tests.support.wire import MILLISECOND, OTHER_MAC, End, Weather, Wire, agree, bridge, station

REQUEST, ACKNOWLEDGE = b"\x89\x40\x10\x01", b"\x89\x40\x14\x01"
ALL = EvbCapability.RTE | EvbCapability.ECP | EvbCapability.VDP
EDITIONS = pytest.mark.parametrize("edition", [RATIFIED, DRAFT], ids=lambda edition: edition.name)


def joined(
    edition: Edition = RATIFIED,
    rules: PolicyRules | None = None,
    weather: Weather | None = None,
    seed: int = 0,
    **more: object,
) -> tuple[Wire, End, End, Client]:
    """A station and a bridge that have agreed."""
    more.setdefault("parameters", EvbParameters(capabilities=ALL, max_vsis=8192))
    ends = station(editions=(edition,), **more), bridge(editions=(edition,), rules=rules, **more)
    wire = Wire(*ends, seed=seed)
    wire.start()
    wire.plug()
    wire.run_until(lambda: agree(wire, *ends))
    wire.run(100 * MILLISECOND)
    if weather is not None:
        wire.weather = weather
    return wire, *ends, Client(wire, ends[0])


@EDITIONS
def test_one(edition: Edition) -> None:
    wire, host, switch, client = joined(edition)
    (ticket,) = client.associate([1])
    assert wire.run_until(client.all_answered) < MILLISECOND
    assert client.outcomes() == {ticket: Outcome.GRANTED} and same(host, switch)
    wire.run(SECOND)
    assert ecpdus(wire) == 4, "request, acknowledgement, response, acknowledgement"


@pytest.mark.parametrize("rte", [8, 14, 20])
def test_a_thousand_share_frames(rte: int) -> None:
    """42 of them fit into an ECPDU, whatever the retransmission timer; nobody waits for it."""
    wire, host, switch, client = joined(parameters=EvbParameters(rte=rte))
    client.associate(range(1000))
    assert wire.run_until(client.all_answered) < 20 * MILLISECOND
    wire.run(100 * MILLISECOND)
    assert set(client.outcomes().values()) == {Outcome.GRANTED} and same(host, switch) and len(held(host)) == 1000
    assert ecpdus(wire) <= 100, "the first ECPDU may be shorter: the bridge might be one that is slow"


def test_draft_packs_too() -> None:
    wire, host, switch, client = joined(DRAFT)
    client.associate(range(1000))
    wire.run_until(client.all_answered)
    assert same(host, switch) and ecpdus(wire) <= 150


def test_managers_do_not_share_an_ecpdu() -> None:
    wire, host, switch, client = joined()
    client.ask(*(vsi(number, manager=bytes([number % 3]) * 16) for number in range(90)))
    wire.run_until(client.all_answered)
    assert same(host, switch) and len(held(host)) == 90
    for sent in wire.sent:
        if sent.data[12:16] == b"\x89\x40\x10\x01":
            assert sent.data[18:20] == b"\x0a\x10", "one manager ID, first"


def test_null_vids_are_assigned() -> None:
    wire, host, switch, client = joined(rules=PolicyRules(default=Rule(assign=((700, 701),), pcp=5)))
    client.ask(*(vsi(number, vid=0, type_id=number) for number in range(3)))
    wire.run_until(client.all_answered)
    outcomes = client.outcomes()
    assert [outcomes[ticket] for ticket in range(3)] == [Outcome.GRANTED, Outcome.GRANTED, Outcome.REFUSED]
    assert same(host, switch)
    assert [state[1].entries[0].vid for state in held(host).values()] == [700, 701]
    wire.run(60 * SECOND)
    assert same(host, switch) and len(held(host)) == 2, "keep-alives say what was assigned"


def test_refusal_says_why() -> None:
    wire, host, switch, client = joined(
        rules=PolicyRules(rules=(Rule(type_ids=((5, 9),), response=Response.OTHER_FAILURE),))
    )
    client.ask(vsi(1, type_id=7), vsi(2, type_id=10))
    wire.run_until(client.all_answered)
    assert client.outcomes() == {0: Outcome.REFUSED, 1: Outcome.GRANTED}
    assert host.confirmed[0][1].status.response is Response.OTHER_FAILURE
    assert same(host, switch)


@EDITIONS
def test_withdrawn_and_back(edition: Edition) -> None:
    wire, host, switch, client = joined(edition)
    client.associate(range(5))
    wire.run_until(client.all_answered)
    for _ in range(2):
        wire.request(switch, WithdrawVsis((vsi_id(3),)))
        wire.run_until(lambda: vsi_id(3) not in held(host))
        wire.run_until(lambda: len(held(host)) == 5, SECOND)
        wire.run(10 * MILLISECOND)
        assert same(host, switch)


def test_link_down_and_up() -> None:
    wire, host, switch, client = joined()
    client.associate(range(100))
    wire.run_until(client.all_answered)
    wire.unplug()
    assert not held(host) and not held(switch)
    wire.run(5 * SECOND)
    wire.plug()
    wire.run_until(lambda: len(held(host)) == 100, SECOND)
    wire.run(10 * MILLISECOND)
    assert same(host, switch)


@pytest.mark.parametrize("mac", [None, OTHER_MAC])
def test_switch_restarts_or_is_replaced(mac: bytes | None) -> None:
    wire, host, switch, client = joined()
    client.associate(range(50))
    wire.run_until(client.all_answered)
    wire.kill(switch)
    wire.run(SECOND)
    other = bridge(mac, "other", editions=(RATIFIED,)) if mac else switch
    if mac:
        wire.ends = (host, other)
    wire.start(other)
    wire.run_until(lambda: len(held(other)) == 50, 200 * SECOND)
    wire.run(10 * MILLISECOND)
    assert same(host, other)


def test_switch_that_restarts_is_asked_at_once() -> None:
    """Not at the next keep-alive: its LLDPDU shows that it has heard nobody yet."""
    wire, _, switch, client = joined()
    client.associate(range(50))
    wire.run_until(client.all_answered)
    wire.kill(switch)
    wire.start(switch)
    assert wire.run_until(lambda: len(held(switch)) == 50) < 100 * MILLISECOND


@EDITIONS
@pytest.mark.parametrize("rte", [8, 10, 14])
def test_switch_that_is_away_is_not_flooded(edition: Edition, rte: int) -> None:
    """However short the time that it has for an acknowledgement: until its LLDPDU is too old nobody knows."""
    wire, host, switch, client = joined(edition, parameters=EvbParameters(rte=rte, capabilities=ALL))
    client.associate(range(50))
    wire.run_until(client.all_answered)
    wire.kill(switch)
    client.associate([50])
    wire.run(3 * SECOND)
    before = ecpdus(wire)
    wire.run(10 * SECOND)
    assert 0 < ecpdus(wire) - before <= 50, "an ECPDU a second, four times each"
    wire.start(switch)
    wire.run_until(lambda: len(held(switch)) == 50, 5 * SECOND)
    wire.run(100 * MILLISECOND)
    assert same(host, switch)


def test_switch_that_forgot() -> None:
    """Its keep-alive is a whole request, so it learns again."""
    wire, host, switch, client = joined()
    client.associate(range(50))
    wire.run_until(client.all_answered)
    switch.stack.edge.vdp.vsis.clear()
    switch.stack.edge.vdp._deadlines.stop_all()
    wire.run(11 * SECOND)
    assert same(host, switch) and len(held(switch)) == 50


def test_agent_that_is_killed_comes_back_without_a_deassociate() -> None:
    wire, host, switch, client = joined()
    client.associate(range(50))
    wire.run_until(client.all_answered)
    wire.kill(host)
    wire.run(2 * SECOND)
    wire.start(host)
    client.tickets.clear()
    client.associate(range(50), persistent=True)
    news = len(switch.events)
    wire.run_until(lambda: len(held(host)) == 50)
    wire.run(10 * MILLISECOND)
    assert same(host, switch)
    gone = [event for _, event in switch.events[news:] if getattr(event, "gone", False)]
    assert not gone, "the bridge never saw them go"


def test_agent_that_never_comes_back_is_timed_out() -> None:
    wire, host, switch, client = joined()
    client.associate(range(50))
    wire.run_until(client.all_answered)
    wire.kill(host)
    wire.run(30 * SECOND)
    assert not held(switch)


def test_no_evb_no_vdp() -> None:
    host = station(relay=True)
    wire = Wire(host)
    wire.start()
    client = Client(wire, host)
    client.associate([1])
    assert client.outcomes() == {0: Outcome.LINK_LOST}
    wire.plug()
    client.associate([2])
    wire.run(SECOND)
    assert 1 not in client.outcomes(), "nobody was heard: it may still come"
    assert not ecpdus(wire)


@pytest.mark.parametrize(
    ("editions", "granted"), [((RATIFIED,), 1), ((RATIFIED, DRAFT), 1), ((DRAFT, RATIFIED), 1), ((DRAFT,), 0)]
)
def test_ahead_of_evb_when_told(editions: tuple[Edition, ...], granted: int) -> None:
    """The bridge takes requests before it has heard an EVB TLV (interop-notes X5), in an edition of its own."""
    host = station(editions=(RATIFIED,))
    switch = bridge(editions=editions)
    wire = Wire(host, switch)
    wire.start()
    wire.settings(host, edge=EdgeSettings(without_evb=True))
    client = Client(wire, host)
    client.associate([1], persistent=True)
    wire.plug()
    wire.run(SECOND)
    assert len(held(host)) == len(held(switch)) == granted


@pytest.mark.parametrize("hours", [1, pytest.param(24, marks=pytest.mark.slow)])
def test_hours_of_keep_alives(hours: int) -> None:
    wire, host, switch, client = joined()
    client.associate(range(3))
    wire.run_until(client.all_answered)
    wire.run(5 * SECOND)
    events = len(host.events), len(switch.events)
    wire.sent.clear()
    begun = wire.now
    while wire.now - begun < hours * 3600 * SECOND:
        wire.run(3600 * SECOND)
        assert len(held(host)) == 3 and same(host, switch)
    assert (len(host.events), len(switch.events)) == events
    rounds = hours * 3600 / 10.48576
    assert 4 * rounds - 4 <= ecpdus(wire) <= 4 * rounds * 17 / 15


def test_deassociate_overtakes_a_burst() -> None:
    wire, host, switch, client = joined()
    client.associate([5000])
    wire.run_until(client.all_answered)
    client.associate(range(1000))
    (ticket,) = client.ask(vsi(5000, Mode.DEASSOCIATE))
    wire.run_until(lambda: ticket in client.outcomes())
    assert len(client.outcomes()) < 150
    wire.run_until(client.all_answered)
    assert same(host, switch)


def rough(random: Random) -> Weather:
    return Weather(loss=0.2, duplication=0.2, reordering=0.2, latency=random.choice((50, 500, 5000)))


@pytest.mark.parametrize(
    ("count", "seed"),
    [*((200, seed) for seed in range(4)), *(pytest.param(1000, seed, marks=pytest.mark.slow) for seed in range(20))],
)
def test_rough_weather_loses_nobody(count: int, seed: int) -> None:
    """20 % loss, duplication and reordering each way: all VSIs end as both sides agree."""
    random = Random(seed)
    wire, host, switch, client = joined(RATIFIED if seed % 2 else DRAFT, weather=rough(random), seed=seed)
    client.associate(range(count))
    wire.run_until(client.all_answered, 300 * SECOND)
    wire.weather = Weather()
    wire.run(60 * SECOND)
    assert set(client.outcomes().values()) == {Outcome.GRANTED}
    assert same(host, switch) and len(held(host)) == count


def any_run(seed: int) -> None:
    """Random requests and accidents on a bad wire; when it clears, both ends agree and everybody has an answer."""
    random = Random(seed)
    edition = random.choice((RATIFIED, DRAFT))
    wire, host, switch, client = joined(edition, weather=rough(random), seed=seed)
    host_tickets: dict[int, Outcome] = {}
    wanted: dict[int, Mode] = {}
    for _ in range(random.randrange(3, 12)):
        match random.randrange(12):
            case 0:
                wire.kill(switch)
                wire.run(random.randrange(SECOND))
                wire.start(switch)
            case 1:
                host_tickets |= client.outcomes()
                wire.kill(host)
                wire.run(random.randrange(SECOND))
                wire.start(host)
                client.tickets.clear()
                client.ask(*(vsi(number, mode) for number, mode in wanted.items()), persistent=True)
            case 2:
                wire.unplug()
                wire.run(random.randrange(SECOND))
                wire.plug()
            case 3:
                wire.request(switch, WithdrawVsis((vsi_id(random.randrange(6)),)))
            case _:
                number = random.randrange(6)
                mode = random.choice(list(Mode))
                if mode is Mode.DEASSOCIATE:
                    wanted.pop(number, None)
                else:
                    wanted[number] = mode
                client.ask(vsi(number, mode, vid=random.choice((100, 100, 200))), persistent=True)
        wire.run(random.choice((0, 100, MILLISECOND, 100 * MILLISECOND, SECOND)))
    wire.weather = Weather()
    wire.run(90 * SECOND)
    assert client.all_answered(), f"seed {seed}: somebody was left without an answer"
    assert same(host, switch), f"seed {seed}: {held(host)} is not {held(switch)}"
    assert {number: VsiState.after(mode) for number, mode in wanted.items()} == {
        int.from_bytes(key.octets, "big"): state for key, (state, _) in held(host).items()
    }, f"seed {seed}"


@pytest.mark.parametrize("block", range(2))
def test_any_run_ends_in_agreement(block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        any_run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_a_thousand_runs_end_in_agreement(block: int) -> None:
    for seed in range(10_000 + block * 100, 10_000 + block * 100 + 100):
        any_run(seed)


def test_sequence_numbers_of_a_restart_do_not_collide() -> None:
    """The hazard of interop-notes P3: whatever the numbers, a restarted station's request is not taken for a repeat."""
    for seed in range(30):
        wire, host, _, client = joined(seed=seed)
        client.associate([1])
        wire.run_until(client.all_answered)
        wire.kill(host)
        wire.start(host)
        client.tickets.clear()
        client.associate([1])
        wire.run_until(client.all_answered, 4 * SECOND)
        assert client.outcomes() == {0: Outcome.GRANTED}


def test_filters_change_in_place() -> None:
    wire, host, switch, client = joined()
    client.associate([1])
    wire.run_until(client.all_answered)
    changed = vsi(1)._replace(filters=vsi(1, vid=300).filters)
    client.ask(changed)
    wire.run_until(client.all_answered)
    wire.run(MILLISECOND)
    assert same(host, switch) and held(host)[vsi_id(1)][1].entries[0].vid == 300


def test_stations_that_hear_each_other() -> None:
    """Behind a Linux bridge without STP: neither acknowledges the other's requests, nor takes them for the switch's."""
    wire, host, switch, client = joined()
    other = station(OTHER_MAC, "other", editions=(RATIFIED,))
    wire.ends = (host, switch, other)
    wire.start(other)
    wire.run(3 * SECOND)
    client.associate([1])
    wire.run(SECOND)
    said = {sent.data[16:18] for sent in wire.sent if sent.data[12:16] == REQUEST and sent.sender == "station"}
    acked = {sent.data[16:18] for sent in wire.sent if sent.data[12:16] == ACKNOWLEDGE and sent.sender == "other"}
    assert said and not said & acked and client.outcomes() == {0: Outcome.GRANTED}


def test_a_link_of_small_frames() -> None:
    wire, host, switch, client = joined()
    for end in (host, switch):
        wire.settings(end, edge=EdgeSettings(mtu=600))
    client.associate(range(100))
    wire.run_until(client.all_answered)
    assert same(host, switch) and len(held(host)) == 100
    assert max(len(sent.data) for sent in wire.sent if sent.data[12:14] == b"\x89\x40") <= 614
