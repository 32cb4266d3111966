"""Tables that follow the kernel: news in their order, and a new reading when some were lost."""

from collections.abc import Callable
from errno import ENETDOWN, ENOBUFS
from typing import Any

import pytest

from evbagent import follow, rtnl
from evbagent.follow import DATAGRAMS_PER_WAKE_UP, Follower
from tests.support.netlink import link_message


class Socket:
    """Gives what is put in: datagrams, who sent them, errors."""

    def __init__(self) -> None:
        self.queue: list[bytes | OSError | tuple[bytes, int]] = []
        self.groups: list[int] = []
        self.closed = False

    def setsockopt(self, level: int, option: int, value: int) -> None:
        assert (level, option) == (rtnl.SOL_NETLINK, follow.NETLINK_ADD_MEMBERSHIP)
        self.groups.append(value)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
        if not self.queue:
            raise BlockingIOError
        found = self.queue.pop(0)
        if isinstance(found, OSError):
            raise found
        data, sender = found if isinstance(found, tuple) else (found, 0)
        return data, (sender, 1)

    def close(self) -> None:
        self.closed = True


class Loop:
    def __init__(self) -> None:
        self.readers: dict[Any, Callable[[], None]] = {}
        self.soon: list[Callable[[], None]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.cancelled = 0

    def add_reader(self, socket: Any, call: Callable[[], None]) -> None:
        self.readers[socket] = call

    def remove_reader(self, socket: Any) -> None:
        self.readers.pop(socket, None)

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    def call_later(self, seconds: float, call: Callable[[], None]) -> "Loop":
        self.later.append((seconds, call))
        return self

    def cancel(self) -> None:
        self.cancelled += 1


class Counts:
    """A table that only counts."""

    def __init__(self, *groups: int) -> None:
        self.groups = groups
        self.readings = self.messages = 0
        self.error: OSError | None = None

    def read(self, requests: Any) -> None:
        if self.error:
            raise self.error
        self.readings += 1

    def take(self, kind: int, data: bytes, offset: int) -> None:
        assert kind == rtnl.RTM_NEWLINK
        self.messages += 1


class Rig:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.socket, self.loop, self.changes = Socket(), Loop(), 0
        self.tables = Counts(5, 9), Counts(9, 24)
        monkeypatch.setattr(rtnl, "subscribe", lambda size: self.socket)
        monkeypatch.setattr(follow, "RequestSocket", lambda: self)
        self.follower = Follower(self.tables, self.changed)

    def changed(self) -> None:
        self.changes += 1

    def close(self) -> None:
        """As a RequestSocket."""

    def start(self) -> "Rig":
        self.follower.start(self.loop)  # type: ignore[arg-type]
        return self

    def wake(self, *news: bytes | OSError | tuple[bytes, int]) -> None:
        self.socket.queue += news
        self.loop.readers[self.socket]()


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(monkeypatch)


NEWS = link_message(2, [])
LOST = OSError(ENOBUFS, "")


def test_tables_are_read_then_followed(rig: Rig) -> None:
    rig.start()
    assert rig.socket.groups == [5, 9, 24]
    assert [table.readings for table in rig.tables] == [1, 1] and rig.changes == 0
    rig.wake(NEWS + NEWS, NEWS, (NEWS, 4711))
    assert [table.messages for table in rig.tables] == [3, 3], "but what is not from the kernel"
    assert rig.changes == 1, "once for all that came together"
    rig.follower.close()
    assert rig.socket.closed and not rig.loop.readers
    rig.follower.close()


def test_a_burst_does_not_keep_others_waiting(rig: Rig) -> None:
    rig.start().wake(*[NEWS] * (DATAGRAMS_PER_WAKE_UP + 1))
    assert (rig.tables[0].messages, len(rig.socket.queue), rig.changes) == (DATAGRAMS_PER_WAKE_UP, 1, 1)
    assert not rig.loop.soon


def test_after_a_loss_everything_is_read_again(rig: Rig) -> None:
    rig.start().wake(NEWS, LOST, NEWS)
    assert (rig.follower.overflows, rig.tables[0].messages, rig.tables[0].readings, rig.changes) == (1, 2, 2, 1)
    rig.wake(NEWS)
    assert rig.tables[0].readings == 2


def test_what_was_queued_before_the_loss_is_taken_first(rig: Rig) -> None:
    rig.start().wake(LOST, *[NEWS] * DATAGRAMS_PER_WAKE_UP)
    assert (rig.tables[0].readings, len(rig.loop.soon)) == (1, 1)
    rig.loop.soon.pop()()
    assert (rig.tables[0].messages, rig.tables[0].readings) == (DATAGRAMS_PER_WAKE_UP, 2)
    rig.wake(LOST, *[NEWS] * DATAGRAMS_PER_WAKE_UP)
    rig.follower.close()
    rig.loop.soon.pop()()
    assert rig.tables[0].readings == 2, "closed meanwhile"


def test_a_reading_that_fails_is_tried_again(rig: Rig) -> None:
    rig.start()
    rig.tables[1].error = OSError(ENETDOWN, "")
    rig.wake(LOST)
    [(seconds, again)] = rig.loop.later
    assert seconds == follow.RETRY_SECONDS and rig.changes == 0
    again()
    rig.tables[1].error = None
    rig.loop.later.pop()[1]()
    assert rig.changes == 1 and rig.loop.cancelled == 2
    rig.wake(NEWS)
    assert rig.tables[1].readings == 2
    rig.tables[1].error = OSError(ENETDOWN, "")
    rig.wake(LOST)
    rig.follower.close()
    assert rig.loop.cancelled == 3


def test_who_cannot_start_leaves_nothing_open(rig: Rig) -> None:
    rig.tables[0].error = OSError(ENETDOWN, "")
    with pytest.raises(OSError, match=str(ENETDOWN)):
        rig.start()
    assert rig.socket.closed and not rig.loop.readers


def test_other_errors_are_not_hidden(rig: Rig) -> None:
    with pytest.raises(OSError, match=str(ENETDOWN)):
        rig.start().wake(OSError(ENETDOWN, ""))
