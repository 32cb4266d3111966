"""What goes on and what just happened: echoes, silence, and listening to what leaves, on a clock of our own."""

from dataclasses import replace

import pytest

from evbagent.advice import PortFacts
from evbagent.portwatch import LISTEN_AGAIN, LISTEN_AGAIN_SOON, MINUTE, MOST_OVERHEARD, Echoes, Listening, Silence
from protocols.frame import Scope
from protocols.timers import SECOND, Instant
from tests.support.lldpdus import NEAREST_BRIDGE, frame, lldpdu, tlv

MAC = bytes.fromhex("02000000000a")
OTHER = bytes.fromhex("02000000000b")
NCB = Scope.NEAREST_CUSTOMER_BRIDGE
PORT = PortFacts("eth0", MAC, True, False, False, (4, MAC, 3, MAC), {NCB: 0})
OURS = frame(MAC, lldpdu(MAC))
LLDPD = frame(MAC, lldpdu(MAC, port=b"\0\0\0\0\0\1"), NEAREST_BRIDGE)
GUEST = frame(OTHER, lldpdu(OTHER))


# Echoes.


def echoes(*own: int, interval: int = 30, minutes: float = 1) -> list[bool]:
    watch, now, said = Echoes(), 0, []
    for count in own:
        now += round(minutes * MINUTE)
        said.append(watch.go_on(replace(PORT, own=count, interval_us=interval * SECOND), now))
    return said


def test_echoes() -> None:
    assert echoes(0, 0, 0) == [False] * 3
    assert echoes(0, 5, 5, 5) == [False] * 4, "once"
    assert echoes(0, 1, 2, 3) == [False, False, True, True]
    assert echoes(0, 1, 1, 2, 2, 2, 2, 2, 2) == [False, False, False, True, True, True, True, True, True]
    assert echoes(0, 1, 2, *[2] * 6)[-2:] == [True, False], "it was over five minutes ago"
    assert echoes(0, 1, 1, 1, 1, 1, 1, 2) == [False] * 8, "once, and once more long after"


def test_echoes_of_a_slow_speaker() -> None:
    assert echoes(0, 1, 2, interval=3600, minutes=60) == [False, False, True]
    assert echoes(0, 1, 2, interval=30, minutes=60) == [False, False, False]


# Silence.


class Quiet:
    """A port that sends every 30 s and hears nothing, in minutes."""

    def __init__(self) -> None:
        self.watch = Silence()
        self.now: Instant = 0
        self.port = replace(PORT, sends={NCB: 5})
        self.packets: int | None = 100

    def minute(self, packets: int | None = 50, sent: int = 2) -> bool:
        self.now += MINUTE
        self.port = replace(self.port, sends={NCB: self.port.sends[NCB] + sent})
        self.packets = None if packets is None or self.packets is None else self.packets + packets
        return self.watch.lasts(self.port, self.packets, self.now)


def test_silence_is_four_intervals_of_speaking_with_other_frames_about() -> None:
    quiet = Quiet()
    assert [quiet.minute() for _ in range(5)] == [False, False, True, True, True]


@pytest.mark.parametrize("why", ["nothing comes in", "nothing was sent", "it cannot be told", "nothing is announced"])
def test_what_is_no_silence(why: str) -> None:
    quiet = Quiet()
    if why == "nothing is announced":
        quiet.port = replace(quiet.port, sends={})
        assert not any(quiet.watch.lasts(quiet.port, 100 * minute, minute * MINUTE) for minute in range(10))
        return
    packets = {"nothing comes in": 1, "it cannot be told": None}.get(why, 50)
    assert not any(quiet.minute(packets, sent=0 if why == "nothing was sent" else 2) for _ in range(8))


@pytest.mark.parametrize("event", ["heard", "own", "down"])
def test_silence_ends(event: str) -> None:
    quiet = Quiet()
    assert [quiet.minute() for _ in range(3)][-1]
    before = quiet.port
    changes = {"heard": {"heard": 1}, "own": {"own": 1}, "down": {"enabled": False}}
    quiet.port = replace(quiet.port, **changes[event])  # type: ignore[arg-type]
    assert not quiet.minute()
    quiet.port = replace(before, sends=quiet.port.sends)
    assert [quiet.minute() for _ in range(3)] == [False, False, True], "it begins anew"


def test_counters_that_start_again() -> None:
    quiet = Quiet()
    quiet.minute()
    quiet.packets = 0
    assert [quiet.minute() for _ in range(3)] == [False, False, True]


# Listening.


class Tap:
    def __init__(self, ether: "Ether") -> None:
        self.ether = ether
        ether.taps.append(self)
        self.kept: list[bytes] = []

    def frames(self) -> list[bytes]:
        return self.kept

    def close(self) -> None:
        self.ether.taps.remove(self)


class Ether:
    """Looks at one port each minute; what is sent between two looks is kept by the taps that are open."""

    def __init__(self) -> None:
        self.taps: list[Tap] = []
        self.fails = False
        self.listening = Listening(self.open)
        self.port = PORT
        self.company: frozenset[int] = frozenset()
        self.now: Instant = 5 * MINUTE
        self.look()

    def open(self, ifindex: int) -> Tap:
        assert ifindex == 2
        if self.fails:
            raise PermissionError
        return Tap(self)

    def look(self, may_begin: bool = True) -> None:
        self.listening.look(2, self.port, self.company, self.now, may_begin)

    def minute(self, *frames: bytes, ours: int = 2, minutes: float = 1) -> None:
        for tap in self.taps:
            tap.kept += [*[OURS] * ours, *frames]
        self.port = replace(self.port, sends={NCB: self.port.sends[NCB] + ours})
        self.now += round(minutes * MINUTE)
        self.look()

    @property
    def is_listening(self) -> bool:
        return self.listening.is_open

    @property
    def sources(self) -> list[bytes]:
        return [text.source for text in self.listening.overheard]


def test_it_listens_a_minute_an_hour() -> None:
    ether = Ether()
    assert ether.is_listening
    for _ in range(59):
        ether.minute()
        assert not ether.is_listening
    ether.minute()
    assert ether.is_listening
    assert ether.listening.overheard == () and ether.listening.same_name == frozenset()


def test_a_window_is_not_cut_short() -> None:
    ether = Ether()
    ether.minute(minutes=0.5)
    assert ether.is_listening
    ether.minute(GUEST, minutes=0.5)
    assert ether.sources == [OTHER]


def test_who_is_heard_is_listened_to_more_often_and_forgotten_after_two_windows() -> None:
    ether = Ether()
    ether.minute(LLDPD, LLDPD, GUEST)
    assert sorted(ether.sources) == [MAC, OTHER]
    assert not ether.is_listening
    for _ in range(5):
        ether.minute()
    assert ether.is_listening
    ether.minute(GUEST)
    assert sorted(ether.sources) == [MAC, OTHER] and ether.is_listening, "one window without it: once more, at once"
    ether.minute(GUEST)
    assert ether.sources == [OTHER] and not ether.is_listening


def test_a_guest_that_makes_up_names_is_named_some_times() -> None:
    ether = Ether()
    forged = [frame(OTHER, lldpdu(OTHER, port=bytes([number]))) for number in range(200)]
    for _ in range(3):
        ether.minute(*forged)
        assert len(ether.sources) == MOST_OVERHEARD and ether.listening.unnamed > 0
    ether.minute(LLDPD, minutes=5)
    ether.minute(LLDPD)
    ether.minute(LLDPD)
    assert ether.sources == [MAC], "there is room for others when they have ceased"
    assert ether.listening.unnamed == 0


def test_what_changes_in_what_they_say_is_the_newest() -> None:
    ether = Ether()
    ether.minute(GUEST, frame(OTHER, lldpdu(OTHER, tlv(5, b"named"))))
    assert [text.system for text in ether.listening.overheard] == ["named"]


def test_our_name_is_used_by_somebody_else() -> None:
    """Told by number, and believed at the second time."""
    ether = Ether()
    ether.minute(OURS)
    assert ether.listening.same_name == frozenset() and ether.is_listening
    ether.minute(OURS, OURS)
    assert ether.listening.same_name == {NCB} and not ether.is_listening
    for _ in range(5):
        ether.minute()
    assert ether.is_listening and ether.listening.same_name == {NCB}
    ether.minute()
    assert ether.listening.same_name == frozenset()


def test_a_frame_seen_twice_is_nobody() -> None:
    ether = Ether()
    ether.minute(OURS)
    ether.minute()
    assert ether.listening.same_name == frozenset() and not ether.is_listening


def test_our_name_where_we_say_nothing_is_somebody_elsewhere() -> None:
    ether = Ether()
    ether.minute(frame(MAC, lldpdu(MAC), NEAREST_BRIDGE))
    assert ether.listening.same_name == frozenset()
    assert [text.scope for text in ether.listening.overheard] == [Scope.NEAREST_BRIDGE]


def test_our_own_former_name_is_not_taken_for_another_s() -> None:
    ether = Ether()
    ether.port = replace(ether.port, msap=(4, MAC, 3, OTHER))
    ether.minute()
    assert ether.listening.overheard == () and ether.is_listening, "that window tells nothing"
    ether.minute(ours=0)
    assert not ether.is_listening


def test_company_that_comes_is_listened_to_at_once_and_that_leaves_is_forgotten() -> None:
    ether = Ether()
    ether.minute()
    ether.company = frozenset({77})
    ether.minute()
    assert ether.is_listening
    ether.minute(LLDPD, GUEST, OURS)
    ether.minute(LLDPD, GUEST, OURS)
    assert len(ether.sources) == 2 and ether.listening.same_name == {NCB}
    ether.company = frozenset()
    ether.minute(LLDPD)
    assert ether.sources == [OTHER], "a guest has no socket of its own"
    assert ether.listening.same_name == frozenset() and ether.is_listening
    ether.minute(GUEST)
    assert ether.sources == [OTHER]


def test_a_window_in_which_company_left_tells_nothing() -> None:
    ether = Ether()
    ether.company = frozenset({77})
    ether.look()
    ether.minute()
    ether.minute(minutes=LISTEN_AGAIN / MINUTE)
    ether.company = frozenset()
    ether.minute(LLDPD)
    assert ether.sources == []


def test_it_waits_for_its_turn_for_the_link_and_for_permission() -> None:
    ether = Ether()
    ether.minute()
    ether.now += LISTEN_AGAIN
    ether.look(may_begin=False)
    assert not ether.is_listening
    ether.port = replace(ether.port, enabled=False)
    ether.look()
    assert not ether.is_listening
    ether.port = replace(ether.port, enabled=True)
    ether.fails = True
    ether.look()
    assert not ether.is_listening
    ether.fails = False
    ether.minute()
    assert not ether.is_listening, "not every minute"
    ether.minute(minutes=60)
    assert ether.is_listening


def test_a_link_that_goes_down_meanwhile() -> None:
    ether = Ether()
    ether.port = replace(ether.port, enabled=False)
    ether.minute(GUEST)
    assert ether.sources == [] and not ether.is_listening


def test_close() -> None:
    ether = Ether()
    ether.listening.close()
    ether.listening.close()
    assert ether.taps == [] and LISTEN_AGAIN_SOON < LISTEN_AGAIN
