"""libvirt's VSIs: when it is told what, and what becomes of those that it does not come back to."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from errno import EINVAL, ENXIO
from pathlib import Path
from uuid import UUID

import pytest

from evbagent.libvirtnl import PortProfile, VsiQuery, encode_entry
from evbagent.libvirtvsis import AGREEMENT_S, HOLD_S, PATIENCE_S, REMEMBERED_S, LibvirtVsis
from protocols.vdp.status import Outcome, VsiChanged, VsiRequest, VsiState
from protocols.vdp.vsi import Mode, Response, VsiId, parse_vsi_id
from tests.support.vsibook import Rig, instance, status

ONE, OTHER = 4711, 4712
PENDING = None


@dataclass
class Libvirt:
    """libvirt in front of the book, and all that is between them. Tests answer as the machine."""

    directory: Path
    open: bool = True
    up: bool = True
    told: list[tuple[str, VsiQuery, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rig = Rig(self.directory)
        self.rig.book.port_ready("eth0")
        self.vsis = self._vsis()

    def restart(self) -> None:
        """The agent is started anew."""
        self.rig.book.close()
        self.rig = Rig(self.directory)
        self.rig.book.recover()
        self.rig.book.port_ready("eth0")
        self.vsis = self._vsis()

    def ask(self, number: int = 1, mode: Mode = Mode.ASSOCIATE, owner: int = ONE, sequence: int = 7) -> int:
        return self.vsis.ask("eth0", query(number, mode), owner, sequence)

    def look(self) -> dict[int, int | None]:
        """The answers to a poll, by number."""
        responses = (None, *range(8), 253)
        known = {
            encode_entry(uuid(number), response): (number, response) for number in range(9) for response in responses
        }
        return dict(known[entry] for entry in self.vsis.entries("eth0"))

    def grant(self, request: VsiRequest) -> None:
        was = VsiState.UNASSOCIATED
        self.rig.grant(request)
        self._changed(request, VsiState.after(request.tlv.mode), was)

    def lose(self, number: int = 1, gone: bool = False) -> None:
        """The switch takes it away; the machine asks for it again by itself, unless it is `gone`."""
        vsi = self.rig.book.find("eth0", parsed(number))
        assert vsi and vsi.status
        pending = None if gone else vsi.status.request.mode
        lost = vsi.status._replace(state=VsiState.UNASSOCIATED, pending=pending)
        self.rig.book.changed("eth0", vsi.vsi_id, lost, gone)
        self.vsis.changed("eth0", VsiChanged(vsi.vsi_id, lost, VsiState.ASSOCIATED, gone))

    def back(self, number: int = 1) -> None:
        """Granted to the machine, which asked by itself."""
        vsi = self.rig.book.find("eth0", parsed(number))
        assert vsi and vsi.want
        self.rig.book.changed("eth0", vsi.vsi_id, status(vsi.want.tlv, VsiState.ASSOCIATED), False)

    def is_open(self, interface: str) -> bool:
        return self.open

    def is_up(self, interface: str) -> bool:
        return self.up

    @property
    def owners(self) -> list[int]:
        """Who was told of a loss since the last time."""
        told, self.told = self.told, []
        return [owner for _, _, _, owner in told]

    def _vsis(self) -> LibvirtVsis:
        clock = self.rig.clock
        return LibvirtVsis(
            self.rig.book, self, lambda *told: self.told.append(told), clock.call_later, lambda: clock.now
        )

    def _changed(self, request: VsiRequest, state: VsiState, was: VsiState) -> None:
        self.vsis.changed("eth0", VsiChanged(request.tlv.vsi_id, status(request.tlv, state), was))


def uuid(number: int) -> bytes:
    return UUID(instance(number)).bytes


def parsed(number: int) -> VsiId:
    return parse_vsi_id(instance(number))


def query(number: int = 1, mode: Mode = Mode.ASSOCIATE, vid: int = 0) -> VsiQuery:
    profile = PortProfile(11, 0x123457, 2, uuid(number))
    return VsiQuery(2, "eth0", mode, profile, bytes([0x52, 0x54, 0, 0, 0, number]), vid, 0)


@pytest.fixture
def libvirt(tmp_path: Path) -> Libvirt:
    return Libvirt(tmp_path)


def test_a_guest_is_started(libvirt: Libvirt) -> None:
    assert libvirt.ask() == 0
    request = libvirt.rig.request()
    assert request.untagged and not request.persistent
    tlv = request.tlv
    assert tlv.manager == bytes([11]).ljust(16, b"\0") and (tlv.type_id, tlv.version) == (0x123457, 2)
    assert [entry.text for entry in tlv.filters.entries] == ["0-52:54:00:00:00:01"]
    assert libvirt.look() == {1: PENDING}, "from the first moment on"
    libvirt.grant(request)
    assert libvirt.look() == {1: 0}
    assert libvirt.rig.show() == [(instance(1), "associated", "libvirt")]
    libvirt.rig.clock.pass_by(60)
    assert libvirt.look() == {1: 0} and not libvirt.rig.requests() and not libvirt.told
    assert not libvirt.rig.clock.pending


@pytest.mark.parametrize("answered_ms", [1, 49, 51, 100, 124, 126, 200, 249, 251, 900])
def test_no_switch_is_so_slow_that_looks_without_waiting_would_have_found_it_sooner(
    libvirt: Libvirt, answered_ms: int
) -> None:
    """libvirt looks at once, and again 125 ms after each answer; lldpad answers each look at once."""
    without = next(look for look in range(0, 2_000, 125) if look >= answered_ms)
    libvirt.ask()
    request = libvirt.rig.request()
    answers: list[int | None] = []
    look_ms = 0
    for now_ms in range(without + 1):
        if now_ms == answered_ms:
            libvirt.grant(request)
            libvirt.rig.clock.pass_by()
        if now_ms == look_ms and not libvirt.vsis.hold("eth0", ONE, lambda: answers.append(libvirt.look()[1])):
            answers.append(libvirt.look()[1])
        if answers:
            if answers.pop() is not PENDING:
                assert now_ms >= answered_ms
                return
            look_ms = now_ms + 125
        libvirt.rig.clock.pass_by(0.001)
    raise AssertionError(f"not found after {without} ms")


def test_the_first_look_waits_a_little(libvirt: Libvirt) -> None:
    """A switch that is not busy answers long before libvirt looks again."""
    answers: list[dict[int, int | None]] = []

    def look(owner: int = ONE) -> bool:
        return libvirt.vsis.hold("eth0", owner, lambda: answers.append(libvirt.look()))

    assert not look(), "for nothing"
    libvirt.ask()
    request = libvirt.rig.request()
    assert not look(OTHER), "another libvirt"
    assert look() and not answers
    libvirt.rig.clock.pass_by(0.003)
    libvirt.grant(request)
    libvirt.rig.clock.pass_by()
    assert answers == [{1: 0}]
    assert not look(), "it is known"
    libvirt.ask(2)
    assert look()
    libvirt.rig.clock.pass_by(HOLD_S)
    assert answers[1:] == [{2: PENDING, 1: 0}], "a busy one"
    assert not look(), "only the first one"
    libvirt.rig.clock.pass_by(60)
    libvirt.ask(3)
    assert look()
    libvirt.ask(3, Mode.DEASSOCIATE)
    assert len(answers) == 3, "none is left without an answer"
    libvirt.open = False
    libvirt.ask(4)
    assert not look(), "no switch"
    libvirt.rig.clock.pass_by(60)
    assert len(answers) == 3


def test_the_last_one_asked_for_is_the_first_one_told(libvirt: Libvirt) -> None:
    for number in (1, 2, 3, 1):
        libvirt.ask(number)
    assert list(libvirt.look()) == [1, 3, 2]
    libvirt.rig.clock.pass_by(REMEMBERED_S)
    libvirt.ask(2)
    assert next(iter(libvirt.look())) == 2


@pytest.mark.parametrize(
    ("response", "number"),
    [
        (Response.INVALID_FORMAT, 1),
        (Response.INSUFFICIENT_RESOURCES, 2),
        (Response.MANAGER_UNREACHABLE, 3),
        (Response.OTHER_FAILURE, 4),
        (Response.INVALID_ADDRESS, 5),
        (Response.OUT_OF_SYNC, 6),
        (Response.UNUSED_VTID, 3),
        (Response.VTID_VIOLATION, 4),
        (Response.VTID_VERSION_VIOLATION, 5),
        (None, 4),
        (Response.SUCCESS, 4),
    ],
)
def test_refusals_stay_to_be_seen(libvirt: Libvirt, response: Response | None, number: int) -> None:
    """lldpad forgets them at once, and libvirt reports that an attribute is missing."""
    libvirt.ask()
    request = libvirt.rig.request()
    libvirt.look()
    refused = status(request.tlv, response=response)
    libvirt.rig.book.confirm("eth0", request.ticket, Outcome.REFUSED, refused)
    libvirt.rig.book.changed("eth0", request.tlv.vsi_id, refused, True)
    libvirt.rig.clock.pass_by(9)
    assert libvirt.look() == {1: number}
    libvirt.rig.clock.pass_by(60)
    assert libvirt.look() == {} and not libvirt.rig.kept and not libvirt.rig.requests()


@pytest.mark.parametrize(("outcome", "errno"), [(Outcome.INVALID, EINVAL), (Outcome.LINK_LOST, ENXIO)])
def test_what_cannot_be_asked_is_refused_at_once(libvirt: Libvirt, outcome: Outcome, errno: int) -> None:
    libvirt.rig.machine = lambda interface, requests: libvirt.rig.turn_down(requests[0], outcome)
    assert libvirt.ask() == errno
    libvirt.rig.clock.pass_by()
    assert libvirt.look() == {} and not libvirt.rig.kept


def test_a_switch_that_says_nothing(libvirt: Libvirt) -> None:
    """libvirt gives up and does not say so: the switch is told, in case that it only was slow."""
    libvirt.ask()
    libvirt.rig.hold(libvirt.rig.request())
    libvirt.look()
    libvirt.rig.clock.pass_by(PATIENCE_S - 0.1)
    assert libvirt.look() == {1: PENDING} and not libvirt.rig.requests()
    libvirt.rig.clock.pass_by(0.2)
    assert libvirt.rig.request().tlv.mode is Mode.DEASSOCIATE
    assert libvirt.look() == {1: 253} and not libvirt.rig.kept


def test_an_answer_that_comes_too_late(libvirt: Libvirt) -> None:
    libvirt.ask()
    request = libvirt.rig.request()
    libvirt.look()
    libvirt.rig.clock.pass_by(9.95)
    libvirt.grant(request)
    libvirt.rig.clock.pass_by(5)
    assert libvirt.rig.request().tlv.mode is Mode.DEASSOCIATE, "an orphan"
    assert not libvirt.rig.kept


def test_no_switch_at_all(libvirt: Libvirt) -> None:
    """A little while for one to be heard, as when all have just been started; then no hope is raised."""
    libvirt.open = False
    libvirt.ask()
    request = libvirt.rig.request()
    libvirt.look()
    libvirt.rig.clock.pass_by(AGREEMENT_S - 0.1)
    assert libvirt.look() == {1: PENDING}
    libvirt.rig.clock.pass_by(0.2)
    assert libvirt.look() == {1: 253}
    assert libvirt.rig.request().tlv.mode is Mode.DEASSOCIATE and request.tlv.mode is Mode.ASSOCIATE


def test_a_guest_is_ended(libvirt: Libvirt) -> None:
    """The first look finds success; what libvirt itself asked for is no news to it."""
    libvirt.ask()
    libvirt.grant(libvirt.rig.request())
    libvirt.look()
    assert libvirt.ask(mode=Mode.DEASSOCIATE) == 0
    request = libvirt.rig.request()
    assert request.tlv.mode is Mode.DEASSOCIATE and request.tlv.filters.entries
    assert libvirt.look() == {1: 0}
    libvirt.lose(gone=True)
    libvirt.rig.book.confirm("eth0", request.ticket, Outcome.GRANTED, status(request.tlv))
    assert libvirt.look() == {1: 0} and not libvirt.told
    libvirt.rig.clock.pass_by(60)
    assert libvirt.look() == {} and not libvirt.rig.kept


def test_ending_what_is_not_known_succeeds(libvirt: Libvirt) -> None:
    assert libvirt.ask(mode=Mode.DEASSOCIATE) == 0
    assert libvirt.look() == {1: 0} and not libvirt.rig.requests()
    libvirt.rig.clock.pass_by(60)
    assert libvirt.look() == {}


def test_it_is_told_every_time(libvirt: Libvirt) -> None:
    libvirt.ask(sequence=99)
    libvirt.grant(libvirt.rig.request())
    libvirt.look()
    for _ in range(3):
        libvirt.rig.clock.pass_by(30)
        libvirt.lose()
        [(interface, about, sequence, owner)] = libvirt.told
        assert (interface, sequence, owner) == ("eth0", 99, ONE)
        assert about == replace(query(), index=0, interface=None)
        libvirt.told.clear()
        assert libvirt.ask(sequence=99) == 0, "which is how libvirt takes it"
        request = libvirt.rig.request()
        assert request.persistent, "the guest runs: it is asked for until it is withdrawn"
        libvirt.grant(request)
        assert libvirt.look() == {1: 0}


def test_a_switch_that_insists_is_not_asked_for_ever_faster(libvirt: Libvirt) -> None:
    libvirt.ask()
    libvirt.grant(libvirt.rig.request())
    libvirt.look()
    libvirt.rig.clock.pass_by(30)
    asked = 0
    for _ in range(100):
        libvirt.lose()
        assert libvirt.owners == [ONE]
        libvirt.ask()
        for request in libvirt.rig.requests():
            asked += 1
            libvirt.rig.book.confirm("eth0", request.ticket, Outcome.GRANTED, status(request.tlv, VsiState.ASSOCIATED))
        libvirt.back()
        libvirt.rig.clock.pass_by(0.005)
    assert asked == 1


def test_a_link_that_is_down_is_not_the_switch(libvirt: Libvirt) -> None:
    libvirt.ask()
    libvirt.grant(libvirt.rig.request())
    libvirt.look()
    libvirt.up = False
    libvirt.lose()
    assert not libvirt.told


def test_what_was_lost_before_libvirt_has_looked(libvirt: Libvirt) -> None:
    """The machine asks again by itself, and libvirt waits for what comes of it."""
    libvirt.ask()
    libvirt.look()
    libvirt.grant(libvirt.rig.request())
    libvirt.lose()
    assert not libvirt.told and libvirt.look() == {1: PENDING}
    libvirt.back()
    assert libvirt.look() == {1: 0}


def test_libvirtd_is_started_anew(libvirt: Libvirt) -> None:
    """It asks for what it has, does not look, and is to be told at its new address."""
    libvirt.ask()
    libvirt.grant(libvirt.rig.request())
    libvirt.look()
    libvirt.rig.clock.pass_by(60)
    assert libvirt.ask(owner=OTHER) == 0
    assert not libvirt.rig.requests(), "the switch has nothing to do with it"
    libvirt.rig.clock.pass_by(60)
    libvirt.lose()
    assert libvirt.owners == [OTHER]


def test_the_agent_is_started_anew(libvirt: Libvirt) -> None:
    libvirt.ask()
    libvirt.grant(libvirt.rig.request())
    libvirt.look()
    libvirt.restart()
    request = libvirt.rig.request()
    assert request.tlv.mode is Mode.ASSOCIATE and request.persistent and request.untagged
    libvirt.rig.hold(request)
    assert libvirt.look() == {1: PENDING}
    libvirt.grant(request)
    assert libvirt.look() == {1: 0} and libvirt.rig.show() == [(instance(1), "associated", "libvirt")]
    libvirt.rig.clock.pass_by(60)
    assert not libvirt.rig.requests()
    libvirt.lose()
    assert libvirt.owners == [ONE], "libvirtd has not noticed anything"
    libvirt.ask()
    libvirt.grant(libvirt.rig.request())
    libvirt.ask(mode=Mode.DEASSOCIATE)
    assert libvirt.rig.request().tlv.mode is Mode.DEASSOCIATE
    libvirt.rig.clock.pass_by()
    assert not libvirt.rig.kept


def test_a_migration(libvirt: Libvirt) -> None:
    """PreAssociate when it begins, Associate when it has come to its end."""
    libvirt.ask(mode=Mode.PREASSOCIATE)
    request = libvirt.rig.request()
    assert request.tlv.mode is Mode.PREASSOCIATE
    libvirt.grant(request)
    assert libvirt.look() == {1: 0}
    libvirt.rig.clock.pass_by(60)
    libvirt.ask()
    assert libvirt.look() == {1: PENDING}
    libvirt.grant(libvirt.rig.request())
    assert libvirt.look() == {1: 0}


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.TIMED_OUT])
def test_a_guest_that_runs_is_not_given_up(libvirt: Libvirt, outcome: Outcome) -> None:
    """libvirt asks for it when it starts and does not look: it would not ask again, whatever the switch says."""
    libvirt.ask()
    request = libvirt.rig.request()
    libvirt.rig.refuse(request, outcome)
    libvirt.rig.clock.pass_by(AGREEMENT_S)
    again = libvirt.rig.request()
    assert again.persistent and again.tlv == request.tlv
    libvirt.grant(again)
    libvirt.rig.clock.pass_by(60)
    assert libvirt.look() == {1: 0} and not libvirt.rig.requests()


def test_an_operator_may_take_it_away(libvirt: Libvirt) -> None:
    """libvirt would bring it back at once if it was told."""
    libvirt.ask()
    libvirt.grant(libvirt.rig.request())
    libvirt.look()
    libvirt.rig.client().ask({"request": "deassociate", "instance": instance(1)})
    libvirt.lose(gone=True)
    assert not libvirt.told
    assert libvirt.look() == {1: 4}, "in vain would libvirt wait"


def test_two_libvirts(libvirt: Libvirt) -> None:
    """libvirtd and virtqemud, each with its guests."""
    for number, owner in ((1, ONE), (2, OTHER)):
        libvirt.ask(number, owner=owner)
        libvirt.grant(libvirt.rig.request())
    assert libvirt.look() == {1: 0, 2: 0}
    libvirt.lose(2)
    libvirt.lose(1)
    assert libvirt.owners == [OTHER, ONE]


def test_another_name(libvirt: Libvirt) -> None:
    libvirt.ask()
    request = libvirt.rig.request()
    libvirt.rig.book.port_renamed("eth0", "eth1")
    libvirt.vsis.renamed("eth0", "eth1")
    assert list(libvirt.vsis.entries("eth0")) == []
    libvirt.rig.grant(request, "eth1")
    assert list(libvirt.vsis.entries("eth1")) == [encode_entry(uuid(1), 0)]


def test_too_much(libvirt: Libvirt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evbagent.libvirtvsis.MOST_DIALOGUES", 2)
    assert [libvirt.ask(number, Mode.DEASSOCIATE) for number in (1, 2, 3)] == [0, 0, 12]
    assert libvirt.rig.book.room.refused == 1
    libvirt.rig.clock.pass_by(REMEMBERED_S)
    assert libvirt.ask(3, Mode.DEASSOCIATE) == 0


def test_more_than_can_be_remembered(libvirt: Libvirt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evbagent.vsiroom.MOST_WANTED", 2)
    assert [libvirt.ask(number) for number in (1, 2, 3)] == [0, 0, 12]
    assert libvirt.ask(1) == 0, "what is remembered may be asked for again"
    libvirt.rig.check_counts()


Change = Callable[[VsiQuery], VsiQuery]


@pytest.mark.parametrize(
    "change",
    [
        lambda asked: replace(asked, vid=5),
        lambda asked: replace(asked, priority=3),
        lambda asked: replace(asked, mac=bytes.fromhex("525400ffff01")),
        lambda asked: replace(asked, mac=None, vid=5),
        lambda asked: replace(asked, profile=replace(asked.profile, version=9)),
        lambda asked: replace(asked, profile=replace(asked.profile, manager=65)),
    ],
)
def test_other_words_are_another_request(libvirt: Libvirt, change: Change) -> None:
    libvirt.ask()
    first = libvirt.rig.request()
    libvirt.grant(first)
    assert libvirt.vsis.ask("eth0", change(query()), ONE, 8) == 0
    other = libvirt.rig.request()
    assert other.tlv != first.tlv
    assert libvirt.look() == {1: PENDING}
    libvirt.grant(other)
    assert libvirt.look() == {1: 0}
    libvirt.restart()
    assert libvirt.rig.request().tlv == other.tlv
