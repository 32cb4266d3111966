"""The book of VSIs: what is asked for, when, on whose behalf, who is told, and what outlives the agent."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import decode, encode

from evbagent import vsiroom
from evbagent.journal import JOURNAL_FILE
from evbagent.vsiroom import MOST_UNANSWERED_EACH
from evbagent.vsis import VsiBook
from protocols.vdp.status import Outcome, VsiState
from protocols.vdp.vsi import Mode, Response, parse_vsi_id
from tests.support.vsibook import Rig, declared, instance, spec, status, tlv


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.book.port_ready("eth0")
    yield made
    made.book.close()


def kept(*numbers: int, interface: str = "eth0") -> set[tuple[str, str]]:
    return {(interface, instance(number)) for number in numbers}


def associated(rig: Rig, number: int = 1, **more: Any) -> None:
    """A client's VSI that the switch has granted."""
    rig.client().ask(spec(number, **more))
    request = rig.request()
    rig.hold(request)
    rig.grant(request)
    rig.clock.pass_by()


# Clients.


def test_what_a_client_asks_and_is_told(rig: Rig) -> None:
    client = rig.client()
    client.ask(spec(1, id=7))
    request = rig.request()
    assert (request.tlv, request.persistent) == (tlv(1), False)
    rig.hold(request)
    assert rig.show() == [(instance(1), "unassociated", "client")] and not client.answers
    rig.grant(request)
    (answer,) = client.answers
    assert decode(encode(answer)) == {
        "id": 7,
        "result": "granted",
        "response": "success",
        "text": "it is associated",
        "vsi": rig.shown()[0],
    }
    assert rig.show() == [(instance(1), "associated", "client")]
    assert rig.book.is_associated("eth0", parse_vsi_id(instance(1)))
    assert not rig.book.is_associated("eth0", parse_vsi_id(instance(2)))
    assert not rig.book.is_associated("eth1", parse_vsi_id(instance(1)))


def test_requests_that_come_together_are_made_together(rig: Rig) -> None:
    """And they are in the journal by then: what the switch may grant must not be forgotten."""
    rig.client().ask(*(spec(number) for number in range(100)))
    ((interface, requests),) = rig.sent
    assert interface == "eth0" and [request.tlv for request in requests] == [tlv(number) for number in range(100)]
    assert len({request.ticket for request in requests}) == 100
    assert rig.kept_when_sent == [kept(*range(100))]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"type": -1}, "type: "),
        ({"filter": ["1-52:54:00:00:00:01", "4095-52:54:00:00:00:01"]}, "filter 2: VID 4095"),
        ({"colour": "red"}, "colour: "),
        ({"request": "associated"}, "request: "),
    ],
)
def test_a_request_that_means_nothing_is_answered_and_the_others_are_made(
    rig: Rig, wrong: dict[str, Any], text: str
) -> None:
    client = rig.client()
    client.ask(spec(1, id="a"), spec(2, id="b", **wrong), spec(3, id="c"))
    (answer,) = client.answers
    assert (answer["id"], answer["result"], answer["vsi"]) == ("b", "invalid", None)
    assert answer["text"].startswith(text)
    assert [request.tlv for request in rig.requests()] == [tlv(1), tlv(3)]
    assert rig.kept == kept(1, 3)


@pytest.mark.parametrize("request_id", ["x" * 65, 1 << 63, True, 1.5, {"a": 1}])
def test_an_id_that_would_take_more_than_there_is_room_for(rig: Rig, request_id: Any) -> None:
    client = rig.client()
    client.ask(spec(1, id=request_id), spec(2, id="x" * 64))
    (answer,) = client.answers
    assert (answer["id"], answer["result"]) == (None, "invalid")
    assert answer["text"].startswith("id: ")
    assert [request.tlv for request in rig.requests()] == [tlv(2)]


@pytest.mark.parametrize("nonsense", [None, 7, "associate", [], {}, {"id": [1]}, {"instance": 1}])
def test_what_is_no_request_at_all(rig: Rig, nonsense: Any) -> None:
    client = rig.client()
    client.ask(nonsense)
    assert [result for _, result in client.said] == ["invalid"]
    assert not rig.requests() and not rig.kept


def test_the_machine_may_answer_before_it_returns(rig: Rig) -> None:
    rig.machine = lambda interface, requests: [rig.grant(request) for request in requests] and None
    client = rig.client()
    client.ask(spec(1, id=1, wait=30), spec(2, id=2, wait=5))
    assert client.said == [(1, "granted"), (2, "granted")]
    rig.clock.pass_by()
    assert not rig.clock.pending and rig.kept == kept(1, 2)


@pytest.mark.parametrize(
    ("outcome", "response"),
    [
        (Outcome.REFUSED, "insufficient-resources"),
        (Outcome.TIMED_OUT, None),
        (Outcome.LINK_LOST, None),
        (Outcome.INVALID, None),
    ],
)
def test_what_is_not_granted_is_forgotten(rig: Rig, outcome: Outcome, response: str | None) -> None:
    client = rig.client()
    client.ask(spec(1, id=1), spec(2, id=2))
    first = rig.requests()[0]
    rig.hold(first)
    rig.refuse(first, outcome)
    (answer,) = client.answers
    assert (answer["result"], answer["response"]) == (outcome, response)
    assert answer["text"] == "the switch answered: insufficient-resources"
    rig.clock.pass_by()
    assert rig.kept == kept(2) and rig.show() == []


@pytest.mark.parametrize("outcome", [Outcome.INVALID, Outcome.LINK_LOST])
def test_what_the_machine_does_not_even_take_is_forgotten(rig: Rig, outcome: Outcome) -> None:
    client = rig.client()
    client.ask(spec(1, id=1))
    rig.turn_down(rig.request(), outcome)
    rig.clock.pass_by()
    assert client.answers[0]["text"] == "filter: it is not so"
    assert client.answers[0]["vsi"] is not None
    assert client.said == [(1, str(outcome))] and not rig.kept and not rig.show()


def test_deassociate(rig: Rig) -> None:
    """Not to be restored from the moment it is asked: what the client wants is the last that it said."""
    associated(rig)
    client = rig.client()
    client.ask(spec(1, "deassociate", id=1))
    request = rig.request()
    assert (request.tlv.mode, request.persistent) == (Mode.DEASSOCIATE, False)
    assert rig.kept_when_sent[-1] == set()
    assert rig.show() == [(instance(1), "associated", None)]
    rig.grant(request)
    assert client.answers[0]["text"] == "the switch has confirmed it"
    rig.clock.pass_by()
    assert client.said == [(1, "granted")] and rig.show() == []


def test_deassociate_what_there_is_not(rig: Rig) -> None:
    client = rig.client()
    client.ask(spec(1, "deassociate", id=1))
    request = rig.request()
    rig.book.confirm("eth0", request.ticket, Outcome.GRANTED, status(request.tlv, reason="it was not associated"))
    assert client.answers[0]["text"] == "it was not associated"
    assert client.answers[0]["response"] is None
    assert client.said == [(1, "granted")]


def test_deassociate_and_associate_in_one_message(rig: Rig) -> None:
    associated(rig)
    client = rig.client()
    client.ask(spec(1, "deassociate", id=1), spec(1, id=2, type=9))
    release, request = rig.requests()
    rig.grant(release)
    rig.clock.pass_by()
    assert rig.kept == kept(1)
    rig.hold(request)
    rig.grant(request)
    rig.clock.pass_by()
    assert client.said == [(1, "granted"), (2, "granted")]
    assert rig.kept == kept(1) and rig.shown()[0]["vsi-type-id"] == 9


def test_two_clients_that_want_the_same_are_both_answered(rig: Rig) -> None:
    one, other = rig.client(), rig.client()
    one.ask(spec(1, id="one"))
    other.ask(spec(1, id="other"))
    first, second = rig.requests()
    rig.hold(first)
    rig.grant(first)
    rig.grant(second)
    assert one.said == [("one", "granted")] and other.said == [("other", "granted")]


def test_other_words_take_the_place_of_the_former(rig: Rig) -> None:
    client = rig.client()
    client.ask(spec(1, id=1))
    client.ask(spec(1, "preassociate", id=2))
    first, second = rig.requests()
    rig.hold(first)
    rig.book.confirm("eth0", first.ticket, Outcome.SUPERSEDED, status(second.tlv))
    rig.clock.pass_by()
    assert client.said == [(1, "superseded")] and rig.kept == kept(1)
    rig.grant(second)
    assert client.said == [(2, "granted")]
    assert restored(rig) == [tlv(1, request="preassociate")]


def test_a_client_that_has_left_is_told_nothing(rig: Rig) -> None:
    client = rig.client()
    client.ask(spec(1), spec(2, wait=5))
    assert client.session
    client.session.closed()
    first, second = rig.requests()
    rig.hold(first)
    rig.grant(first)
    rig.hold(second)
    rig.clock.pass_by(5)
    assert not client.answers
    assert rig.kept == kept(1) and rig.request().tlv.mode is Mode.DEASSOCIATE, "what it did not wait for in vain"


def test_a_client_cannot_have_more_unanswered_than_there_is_room_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vsiroom, "MOST_UNANSWERED", 3)
    client = rig.client()
    client.ask(*(spec(number, id=number) for number in range(5)))
    assert client.said == [(3, "invalid"), (4, "invalid")]
    assert rig.kept == kept(0, 1, 2)
    rig.grant(rig.requests()[0])
    client.ask(spec(3, id=3))
    assert client.said == [(0, "granted")] and rig.request().tlv == tlv(3)


def test_requests_for_one_vsi_that_wait_are_bounded(rig: Rig) -> None:
    client = rig.client()
    client.ask(*(spec(1, id=number) for number in range(MOST_UNANSWERED_EACH + 2)))
    assert client.said == [(MOST_UNANSWERED_EACH, "invalid"), (MOST_UNANSWERED_EACH + 1, "invalid")]
    client.ask(spec(2, id=2))
    assert not client.said and rig.book.room.refused == 2


@pytest.mark.parametrize("interface", ["eth0", "there is none"])
def test_what_is_remembered_for_clients_is_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch, interface: str) -> None:
    monkeypatch.setattr(vsiroom, "MOST_WANTED", 3)
    if interface != "eth0":
        rig.refusing = "interface: it is not served"
    client = rig.client(interface)
    client.ask(*(spec(number, id=number, persistent=True) for number in range(10)))
    for request in rig.requests():
        rig.turn_down(request)  # by a machine that is full itself
    rig.clock.pass_by()
    assert [said for said in client.said if said[0] > 2] == [(number, "invalid") for number in range(3, 10)]
    assert rig.kept == kept(0, 1, 2, interface=interface) and rig.book.room.refused == 7
    # Those that are remembered may be asked for otherwise, and given up, which makes room.
    client.ask(spec(0, id=0, type=9, persistent=True), spec(1, "deassociate", id=1))
    client.ask(spec(9, id=9, persistent=True))
    assert (9, "invalid") not in client.said and rig.kept == kept(0, 2, 9, interface=interface)
    rig.check_counts()


def test_the_octets_that_are_remembered_for_clients_are_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    client = rig.client()
    client.ask(spec(0, id=0))
    monkeypatch.setattr(vsiroom, "MOST_WANTED_OCTETS", 2 * rig.book.room.wanted_octets + 9)
    client.ask(spec(1, id=1), spec(2, id=2), spec(1, id=11, **{"vm-name": "0123456789"}))
    assert [said for said in client.said if said[1] == "invalid"] == [(2, "invalid"), (11, "invalid")]
    rig.check_counts()


def test_what_is_remembered_is_counted_over_a_restart_and_a_new_name(rig: Rig) -> None:
    associated(rig, 1)
    associated(rig, 2)
    rig.book.close()
    successor = Rig(rig.directory)
    successor.book.recover()
    successor.check_counts()
    assert successor.book.room.wanted == 2
    successor.book.port_ready("eth0")
    successor.book.port_renamed("eth0", "eth1")
    successor.check_counts()
    successor.client("eth2").ask(spec(1, persistent=True))
    assert successor.book.room.wanted == 3
    successor.book.port_renamed("eth1", "eth2")
    successor.check_counts()
    successor.book.close()


# Refused, with something to fall back on.


def test_kept_by_the_switch(rig: Rig) -> None:
    """Refused with Keep: what was granted before is what a restart brings back."""
    associated(rig)
    client = rig.client()
    client.ask(spec(1, id=2, type=9))
    request = rig.request()
    assert restored(rig) == [tlv(1, type=9)]
    rig.refuse(request, back_to=tlv(1), keep=True)
    rig.clock.pass_by()
    assert client.said == [(2, "refused")] and restored(rig) == [tlv(1)]
    assert rig.show() == [(instance(1), "associated", "client")]


def test_what_the_machine_does_not_take_changes_nothing(rig: Rig) -> None:
    associated(rig)
    rig.client().ask(spec(1, type=9))
    rig.turn_down(rig.request())
    rig.clock.pass_by()
    assert restored(rig) == [tlv(1)]


def test_what_the_machine_goes_on_asking_for_stays(rig: Rig) -> None:
    """Granted once, refused in other words without Keep: it asks again by itself, in the last words."""
    associated(rig)
    rig.client().ask(spec(1, type=9))
    rig.refuse(rig.request(), gone=False)
    rig.clock.pass_by()
    assert restored(rig) == [tlv(1, type=9)]


def test_what_the_switch_takes_away_for_good_is_forgotten(rig: Rig) -> None:
    rig.client().ask(spec(1))
    request = rig.request()
    rig.grant(request)
    rig.lose(request)
    rig.clock.pass_by()
    assert not rig.kept and not rig.show()
    associated(rig)
    assert rig.kept == kept(1)


def test_taken_away_while_it_is_asked_for_anew(rig: Rig) -> None:
    associated(rig)
    client = rig.client()
    client.ask(spec(1, id=1, type=9))
    request = rig.request()
    rig.lose(request)
    rig.clock.pass_by()
    assert restored(rig) == [tlv(1, type=9)]
    rig.hold(request)
    rig.grant(request)
    assert client.said == [(1, "granted")]


# Waiting.


def test_a_client_waits_no_longer_than_it_said(rig: Rig) -> None:
    """What was never granted is given up then: nobody would know of it."""
    client = rig.client()
    client.ask(spec(1, id=1, wait=2.5), spec(2, id=2, wait=2.5), spec(3, id=3, wait=10))
    assert len(rig.clock.pending) == 2, "one timer for what is given the same time"
    first, second, _ = requests = rig.requests()
    for request in requests:
        rig.hold(request)
    rig.grant(second)
    rig.clock.pass_by(2.4)
    assert client.said == [(2, "granted")]
    rig.clock.pass_by(0.1)
    assert client.answers[0]["text"] == "no answer within 2.5 s"
    assert client.said == [(1, "timed-out")]
    release = rig.request()
    assert (release.tlv.mode, release.tlv.vsi_id) == (Mode.DEASSOCIATE, first.tlv.vsi_id)
    assert rig.kept == kept(2, 3)
    rig.book.confirm("eth0", first.ticket, Outcome.SUPERSEDED, status(first.tlv))
    rig.grant(release)
    rig.clock.pass_by()
    assert not client.answers
    assert rig.show() == [(instance(2), "associated", "client"), (instance(3), "unassociated", "client")]


def test_why_nothing_came_of_it(rig: Rig) -> None:
    client = rig.client()
    client.ask(spec(1, wait=1))
    request = rig.request()
    rig.book.changed("eth0", request.tlv.vsi_id, status(request.tlv, reason="no bridge has been heard"), False)
    rig.clock.pass_by(1)
    assert client.answers[0]["text"] == "no answer within 1 s: no bridge has been heard"
    assert client.answers[0]["vsi"] is not None


def test_the_timer_ends_with_the_last_answer(rig: Rig) -> None:
    client = rig.client()
    client.ask(spec(1, wait=60), spec(2, wait=60))
    first, second = rig.requests()
    rig.grant(first)
    assert len(rig.clock.pending) == 1
    rig.refuse(second)
    rig.clock.pass_by()
    assert not rig.clock.pending


def test_what_was_granted_before_is_not_given_up(rig: Rig) -> None:
    associated(rig)
    client = rig.client()
    client.ask(spec(1, id=1, type=9, wait=1))
    request = rig.request()
    rig.clock.pass_by(1)
    assert client.said == [(1, "timed-out")] and not rig.requests()
    rig.refuse(request, back_to=tlv(1), keep=True)
    rig.clock.pass_by()
    assert not client.answers and restored(rig) == [tlv(1)]


def test_what_is_asked_for_persistently_is_not_given_up(rig: Rig) -> None:
    client = rig.client()
    client.ask(spec(1, id=1, wait=1, persistent=True))
    request = rig.request()
    assert request.persistent
    rig.hold(request)
    rig.clock.pass_by(1)
    assert client.said == [(1, "timed-out")] and not rig.requests()
    rig.refuse(request, gone=False)
    rig.clock.pass_by()
    assert not client.answers and rig.kept == kept(1)


def test_what_another_client_waits_for_is_not_given_up(rig: Rig) -> None:
    one, other = rig.client(), rig.client()
    one.ask(spec(1, id=1, wait=1))
    other.ask(spec(1, id=2, wait=2))
    rig.hold(rig.requests()[0])
    rig.clock.pass_by(1)
    assert one.said == [(1, "timed-out")] and not rig.requests()
    rig.clock.pass_by(1)
    assert other.said == [(2, "timed-out")] and rig.request().tlv.mode is Mode.DEASSOCIATE


def test_a_deassociate_that_is_not_answered(rig: Rig) -> None:
    associated(rig)
    client = rig.client()
    client.ask(spec(1, "deassociate", id=1, wait=1))
    request = rig.request()
    rig.clock.pass_by(1)
    assert client.said == [(1, "timed-out")] and not rig.requests() and not rig.kept
    rig.grant(request)
    rig.clock.pass_by()
    assert not client.answers and not rig.show()


# Persistent.


def test_what_is_asked_for_persistently_outlives_refusals(rig: Rig) -> None:
    client = rig.client()
    client.ask(spec(1, id=1, persistent=True))
    rig.refuse(rig.request(), gone=False)
    assert client.answers[0]["text"].endswith("insufficient-resources; it goes on being asked for")
    client.ask(spec(1, id=2))
    request = rig.request()
    assert request.persistent, "the machine goes on whatever the words"
    rig.clock.pass_by()
    assert rig.kept == kept(1)
    client.ask(spec(1, "deassociate", id=3))
    rig.grant(rig.request())
    rig.clock.pass_by()
    assert not rig.kept and not rig.show()


# Restarts and interfaces.


def restored(rig: Rig) -> list[Any]:
    """What a successor asks for on eth0."""
    successor = Rig(rig.directory)
    successor.book.recover()
    successor.book.port_ready("eth0")
    successor.book.close()
    return [request.tlv for request in successor.requests()]


def test_whose_wish_it_is_outlives_the_agent(rig: Rig) -> None:
    associated(rig, 1, owner="attach")
    assert rig.show() == [(instance(1), "associated", "attach")]
    rig.book.close()
    successor = Rig(rig.directory)
    successor.book.recover()
    successor.book.port_ready("eth0")
    successor.hold(successor.request())
    assert successor.show() == [(instance(1), "unassociated", "attach")]
    successor.book.close()


def test_a_restart_brings_back_what_clients_want(rig: Rig) -> None:
    associated(rig, 1)
    associated(rig, 2)
    rig.client().ask(spec(3, wait=30), spec(4, "preassociate-rr", id="x", persistent=True))
    rig.book.close()
    rig.refuse(rig.requests()[0], Outcome.LINK_LOST)
    rig.clock.pass_by()

    successor = Rig(rig.directory)
    successor.book.recover()
    assert not successor.sent, "there is no interface yet"
    successor.book.port_ready("eth1")
    assert not successor.sent
    successor.book.port_ready("eth0")
    requests = successor.requests()
    assert [request.tlv for request in requests] == [tlv(1), tlv(2), tlv(3), tlv(4, request="preassociate-rr")]
    assert all(request.persistent for request in requests)
    for request in requests:
        successor.hold(request)
        successor.grant(request)
    assert {owner for _, _, owner in successor.show()} == {"client"}
    client = successor.client()
    client.ask(spec(1, "deassociate"))
    successor.grant(successor.request())
    successor.clock.pass_by()
    assert successor.kept == kept(2, 3, 4)


def test_the_interfaces_may_be_there_first(rig: Rig) -> None:
    associated(rig)
    successor = Rig(rig.directory)
    successor.book.port_ready("eth0")
    successor.book.recover()
    assert successor.request().tlv == tlv(1)


def test_what_is_restored_and_refused_is_asked_for_again(rig: Rig) -> None:
    """By the machine; a client that asks meanwhile does not change that it is wanted."""
    associated(rig)
    successor = Rig(rig.directory)
    successor.book.recover()
    successor.book.port_ready("eth0")
    request = successor.request()
    successor.hold(request)
    successor.refuse(request, gone=False)
    successor.clock.pass_by()
    assert successor.kept == kept(1)
    client = successor.client()
    client.ask(spec(1, id=1, wait=1))
    successor.clock.pass_by(1)
    assert client.said == [(1, "timed-out")] and successor.request().tlv == tlv(1) and successor.kept == kept(1)


def test_a_journal_that_says_what_nobody_understands(rig: Rig) -> None:
    associated(rig)
    with (rig.directory / JOURNAL_FILE).open("ab") as file:
        file.write(b'{"interface":"eth0","vsi":"x","spec":{"request":"associate","instance":"x"}}\n')
        file.write(b'{"interface":"eth0","vsi":"y","spec":7}\n')
    assert restored(rig) == [tlv(1)]
    assert rig.kept == kept(1)


def test_without_a_journal() -> None:
    book = VsiBook(None, lambda interface, requests: None, Rig(Path()).clock.call_later)
    book.recover()
    book.open_session("eth0", list).request([spec(1)])
    book.close()


def test_an_interface_that_goes_and_comes_back(rig: Rig) -> None:
    associated(rig, 1)
    client = rig.client()
    client.ask(spec(1, id=1, type=9), spec(2, id=2, wait=30), spec(3, id=3, persistent=True))
    for request in rig.requests():
        rig.hold(request)
    rig.book.port_gone("eth0")
    assert client.answers[0]["text"] == "the agent does not serve eth0 any more"
    assert client.said == [(1, "link-lost"), (2, "link-lost"), (3, "link-lost")]
    rig.clock.pass_by()
    assert rig.shown() == [] and rig.kept == kept(1, 3)
    rig.book.port_ready("eth0")
    requests = rig.requests()
    assert [request.tlv for request in requests] == [tlv(1), tlv(3)]
    assert all(request.persistent for request in requests)
    rig.clock.pass_by(60)
    assert not rig.requests()


def test_what_the_machine_holds_is_not_asked_for_again(rig: Rig) -> None:
    associated(rig)
    rig.client().ask(spec(2))
    assert rig.request()
    rig.book.port_ready("eth0")
    assert not rig.requests()


def test_without_an_interface(rig: Rig) -> None:
    """What is asked is answered at once; only what is to last is kept for when there is one."""
    associated(rig, 1)
    rig.book.port_gone("eth0")
    rig.clock.pass_by()
    rig.refusing = "interface: the agent does not serve eth0"
    client = rig.client()
    client.ask(spec(1, "deassociate", id=1), spec(2, id=2, wait=1), spec(3, id=3, persistent=True))
    assert [answer["text"] for answer in client.answers] == [
        "it was not associated: interface: the agent does not serve eth0",
        "interface: the agent does not serve eth0",
        "interface: the agent does not serve eth0; it goes on being asked for",
    ]
    assert client.said == [(1, "granted"), (2, "invalid"), (3, "link-lost")]
    rig.clock.pass_by()
    assert rig.kept == kept(3) and not rig.clock.pending
    rig.refusing = None
    rig.book.port_ready("eth0")
    assert rig.request().tlv == tlv(3)


def test_a_change_that_comes_to_nothing_without_an_interface(rig: Rig) -> None:
    associated(rig, 1)
    rig.book.port_gone("eth0")
    rig.refusing = "interface: the agent does not serve eth0"
    rig.client().ask(spec(1, type=9))
    rig.clock.pass_by()
    assert restored(rig) == [tlv(1)]


def test_what_was_granted_when_nobody_waited_is_gone_back_to(rig: Rig) -> None:
    """The link was down when it was asked for; a change of it is refused with Keep after another change."""
    client = rig.client()
    client.ask(spec(1, "preassociate", id=1, persistent=True))
    first = rig.request()
    rig.hold(first)
    rig.refuse(first, Outcome.LINK_LOST, gone=False)
    granted = status(first.tlv, VsiState.PREASSOCIATED, response=Response.SUCCESS)
    rig.book.changed("eth0", first.tlv.vsi_id, granted, False)
    rig.clock.pass_by()
    client.ask(spec(1, type=2, id=2))
    second = rig.request()
    rig.hold(second)
    client.ask(spec(1, type=3, id=3))
    third = rig.request()
    rig.turn_down(second, Outcome.SUPERSEDED)
    rig.hold(third)
    rig.refuse(third, back_to=first.tlv)
    rig.clock.pass_by()
    assert restored(rig) == [first.tlv]


def test_another_name(rig: Rig) -> None:
    associated(rig, 1)
    rig.book.declare([declared(2, "ens*"), declared(3, "eth0"), declared(4, "e*")])
    for request in rig.requests():
        rig.hold(request)
        rig.grant(request)
    rig.book.port_renamed("eth0", "ens3")
    assert rig.kept == kept(1, interface="ens3")
    assert not rig.requests()
    given_up, asked = rig.requests("ens3")
    assert (given_up.tlv.mode, given_up.tlv.vsi_id) == (Mode.DEASSOCIATE, tlv(3).vsi_id)
    assert asked.tlv == tlv(2)
    rig.grant(given_up, "ens3")
    rig.hold(asked, "ens3")
    rig.clock.pass_by()
    assert rig.show("ens3") == [
        (instance(1), "associated", "client"),
        (instance(4), "associated", "declared"),
        (instance(2), "unassociated", "declared"),
    ]
    assert rig.show("eth0") == []


def test_a_name_that_vsis_are_waiting_for(rig: Rig) -> None:
    associated(rig, 1)
    rig.book.port_gone("eth0")
    rig.clock.pass_by()
    rig.book.port_ready("eth9")
    rig.book.port_renamed("eth9", "eth0")
    assert rig.request().tlv == tlv(1)
    assert rig.kept == kept(1)
    rig.book.port_renamed("eth8", "eth7")


def test_a_name_that_changes_while_somebody_waits(rig: Rig) -> None:
    """What was not granted in time is given up where the interface's machine is now."""
    client = rig.client()
    client.ask(spec(1, id=1, wait=5))
    rig.hold(rig.request())
    rig.book.port_renamed("eth0", "ens3")
    rig.clock.pass_by(5)
    assert client.said == [(1, "timed-out")]
    assert [request.tlv.mode for request in rig.requests("ens3")] == [Mode.DEASSOCIATE]
    assert not rig.requests("eth0")


def test_interfaces_that_are_gone_leave_nothing(rig: Rig) -> None:
    """Links of ever new names come and go, some with VSIs that nobody wants any more."""
    for number in range(100):
        name = f"veth{number}"
        rig.book.port_ready(name)
        if number % 2:
            rig.client(name).ask(spec(1))
            rig.turn_down(rig.request(name), interface=name)
        rig.clock.pass_by()
        rig.book.port_gone(name)
        rig.clock.pass_by()
    assert set(rig.book._ports) == {"eth0"}


# Declared.


def test_what_is_declared_is_asked_for(rig: Rig) -> None:
    rig.book.declare([declared(1), declared(2, "eth1"), declared(3, "e*")])
    requests = rig.requests()
    assert [request.tlv for request in requests] == [tlv(1), tlv(3)] and all(request.persistent for request in requests)
    assert not rig.kept, "the files say it again"
    rig.hold(requests[0])
    assert rig.show() == [(instance(1), "unassociated", "declared")]
    rig.book.port_ready("eth1")
    assert [request.tlv for request in rig.requests("eth1")] == [tlv(2), tlv(3)]


def test_what_changes_with_the_files(rig: Rig) -> None:
    rig.book.declare([declared(1), declared(2), declared(3)])
    for request in rig.requests():
        rig.hold(request)
        rig.grant(request)
    rig.book.declare([declared(1), declared(2, type=9), declared(4)])
    ((_, requests),) = rig.sent
    assert [(request.tlv.mode, request.tlv.vsi_id, request.tlv.type_id) for request in requests] == [
        (Mode.DEASSOCIATE, tlv(3).vsi_id, 7),
        (Mode.ASSOCIATE, tlv(2).vsi_id, 9),
        (Mode.ASSOCIATE, tlv(4).vsi_id, 7),
    ]
    rig.sent.clear()
    rig.book.declare([declared(1), declared(2, type=9), declared(4)])
    assert not rig.sent


def test_files_that_cannot_be_read_take_nothing_away(rig: Rig) -> None:
    rig.book.declare([declared(1), declared(2)])
    for request in rig.requests():
        rig.hold(request)
    rig.book.declare([declared(1, type=9), declared(3)], complete=False)
    assert [request.tlv for request in rig.requests()] == [tlv(1, type=9), tlv(3)]
    rig.book.declare([declared(1, type=9)])
    given_up = {(request.tlv.mode, request.tlv.vsi_id) for request in rig.requests()}
    assert given_up == {(Mode.DEASSOCIATE, tlv(2).vsi_id), (Mode.DEASSOCIATE, tlv(3).vsi_id)}


def test_what_two_declare_is_the_firsts(rig: Rig) -> None:
    rig.book.declare([declared(1, "eth*"), declared(1, "eth0", type=9)])
    assert rig.request().tlv == tlv(1)


def test_what_is_declared_and_cannot_be_asked_for_is_tried_with_the_next_machine(rig: Rig) -> None:
    rig.book.declare([declared(1)])
    rig.turn_down(rig.request())
    rig.clock.pass_by()
    assert not rig.requests()
    rig.book.port_gone("eth0")
    rig.book.port_ready("eth0")
    assert rig.request().tlv == tlv(1)


def test_what_is_declared_no_more_on_an_interface_that_is_not_there(rig: Rig) -> None:
    rig.book.declare([declared(1)])
    rig.hold(rig.request())
    rig.book.port_gone("eth0")
    rig.book.declare([])
    rig.book.port_ready("eth0")
    assert not rig.requests()


def test_a_clients_word_goes_before_the_files(rig: Rig) -> None:
    rig.book.declare([declared(1)])
    request = rig.request()
    rig.hold(request)
    rig.grant(request)
    client = rig.client()
    client.ask(spec(1, id=1, type=9))
    rig.grant(rig.request())
    assert rig.show() == [(instance(1), "associated", "client")] and rig.kept == kept(1)
    rig.book.declare([declared(1, type=8)])
    rig.book.declare([])
    assert not rig.requests()
    rig.book.declare([declared(1)])
    client.ask(spec(1, "deassociate", id=2))
    rig.grant(rig.request())
    rig.clock.pass_by()
    assert not rig.kept and not rig.requests()
    rig.book.declare([declared(1)])
    assert rig.request().tlv == tlv(1), "reading the files again brings it back"


def test_a_clients_word_that_the_switch_refuses_leaves_the_files(rig: Rig) -> None:
    rig.book.declare([declared(1)])
    request = rig.request()
    rig.hold(request)
    rig.grant(request)
    rig.client().ask(spec(1, type=9))
    rig.refuse(rig.request(), back_to=tlv(1), keep=True)
    rig.clock.pass_by()
    assert rig.show() == [(instance(1), "associated", "declared")] and not rig.kept


# A bridge's, and what is shown.


def test_a_bridge_shows_what_stations_have(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    granted = status(tlv(1), VsiState.ASSOCIATED, response=Response.SUCCESS)
    rig.book.changed("swp1", granted.request.vsi_id, granted, False)
    assert rig.show("swp1") == [(instance(1), "associated", None)]
    gone = status(tlv(1))
    rig.book.changed("swp1", gone.request.vsi_id, gone, True)
    assert decode(rig.book.document("swp1", gone))["state"] == "unassociated"
    rig.clock.pass_by()
    assert rig.show("swp1") == [] and not rig.sent and not rig.kept
    assert decode(rig.book.document("swp1", gone))["vsi-id"] == instance(1)
    assert not list(tmp_path.iterdir())


def test_rows_have_the_interface(rig: Rig) -> None:
    associated(rig)
    rig.book.changed("swp1", tlv(2).vsi_id, status(tlv(2)), False)
    rows = decode(rig.book.rows(["eth0", "swp1", "eth9"]))
    assert [(row["interface"], row["vsi-id"]) for row in rows] == [("eth0", instance(1)), ("swp1", instance(2))]
    assert rows[0] == {"interface": "eth0", **rig.shown()[0]}


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(["come", "change", "go"]), st.integers(0, 299), st.integers(1, 150))))
def test_the_state_file_follows_hundreds_that_come_and_go(changes: list[tuple[str, int, int]]) -> None:
    """Whatever has changed, in whichever piece: `shown` holds it against what is made anew."""
    with TemporaryDirectory() as directory:
        rig = Rig(Path(directory))
        there: set[int] = set()
        for what, first, count in [*changes, ("go", 0, 300)]:
            for number in range(first, min(first + count, 300)):
                now = status(tlv(number), VsiState.UNASSOCIATED if what == "come" else VsiState.ASSOCIATED)
                if what != "change" or number in there:
                    rig.book.changed("swp1", now.request.vsi_id, now, what == "go")
            touched = set(range(first, min(first + count, 300)))
            there = there | touched if what == "come" else there - touched if what == "go" else there
            if count % 2:
                rig.clock.pass_by()
            assert {vsi["vsi-id"] for vsi in rig.shown("swp1")} == set(map(instance, there))
            largest = max(map(len, rig.book.pieces("swp1")))
            assert largest < 70 * 500, "a piece is no larger than it has to be"
        rig.clock.pass_by()
        assert rig.book.pieces("swp1") == [b"[", b"]"]


def test_a_document_is_made_when_it_is_wanted_and_once(rig: Rig) -> None:
    made: list[str] = []
    make = rig.book._documents.make

    def count(now: Any, vsi_id: str, owner: str | None) -> bytes:
        made.append(vsi_id)
        return make(now, vsi_id, owner)

    rig.book._documents.make = count  # type: ignore[method-assign]
    rig.client().ask(*(spec(number) for number in range(10)))
    for request in rig.requests():
        rig.hold(request)
        rig.grant(request)
    assert made == [instance(number) for number in range(10)]
    for _ in range(3):
        rig.shown()
        rig.book.rows(["eth0"])
    assert len(made) == 10
    rig.client().ask(spec(4, "deassociate"))
    rig.shown()
    assert made[10:] == [instance(4)], "it is nobody's any more"
