"""TimerTable against a plain dict, and what it costs."""

from hypothesis import given
from hypothesis import strategies as st

from protocols.timers import SECOND, Instant, TimerTable

KEYS = "abcdef"


class Model:
    """The same, by looking at all timers every time."""

    def __init__(self) -> None:
        self.times: dict[str, tuple[Instant, int]] = {}
        self.starts = 0

    def start(self, key: str, deadline: Instant) -> None:
        self.starts += 1
        self.times[key] = deadline, self.starts

    def stop(self, key: str) -> None:
        self.times.pop(key, None)

    def stop_all(self) -> None:
        self.times.clear()

    def next_deadline(self) -> Instant | None:
        return min(self.times.values())[0] if self.times else None

    def expire(self, now: Instant) -> list[str]:
        due = sorted((key for key in self.times if self.times[key][0] <= now), key=lambda key: self.times[key])
        for key in due:
            del self.times[key]
        return due


moments = st.integers(0, 12)
operations = st.one_of(
    st.tuples(st.just("start"), st.sampled_from(KEYS), moments),
    st.tuples(st.just("stop"), st.sampled_from(KEYS)),
    st.tuples(st.just("expire"), moments),
    st.tuples(st.just("next_deadline")),
    st.tuples(st.just("stop_all")),
)


@given(st.lists(operations, max_size=60), st.booleans())
def test_like_a_dict(steps: list[tuple[object, ...]], look: bool) -> None:
    """With and without a look after every step: asking for the next deadline changes nothing."""
    table: TimerTable[str] = TimerTable()
    model = Model()
    for name, *arguments in steps:
        assert getattr(table, str(name))(*arguments) == getattr(model, str(name))(*arguments)
        assert entries(table) <= bound(len(model.times))
        if look:
            assert table.next_deadline() == model.next_deadline()
            for key in KEYS:
                time = model.times.get(key)
                assert table.deadline(key) == (time and time[0])
                assert table.is_running(key) == (key in model.times)
    assert table.next_deadline() == model.next_deadline()
    assert table.expire(100) == model.expire(100)
    assert table.next_deadline() is None


def entries(table: TimerTable[str]) -> int:
    return len(table._heap)


def bound(running: int) -> int:
    return 2 * running + 64


def test_empty() -> None:
    table: TimerTable[str] = TimerTable()
    assert table.next_deadline() is None
    assert table.deadline("a") is None
    assert not table.is_running("a")
    assert table.expire(SECOND) == []
    table.stop("a")
    table.stop_all()
    assert table.next_deadline() is None


def test_due_at_the_very_deadline() -> None:
    table: TimerTable[str] = TimerTable()
    table.start("a", 10)
    assert table.expire(9) == []
    assert table.expire(10) == ["a"]
    assert table.expire(10) == []
    assert not table.is_running("a")


def test_same_deadline_goes_by_start() -> None:
    """Also when a timer came to its deadline by being moved, and whether or not anybody looked in between."""
    for look in (False, True):
        table: TimerTable[str] = TimerTable()
        table.start("a", 10)
        table.start("a", 20)
        if look:
            assert table.next_deadline() == 20
        table.start("b", 20)
        table.start("c", 30)
        table.start("c", 20)
        table.start("d", 20)
        table.start("b", 20)
        assert table.expire(20) == ["a", "c", "d", "b"]


def test_stopped_and_started_again() -> None:
    table: TimerTable[str] = TimerTable()
    table.start("a", 10)
    table.stop("a")
    assert table.next_deadline() is None
    table.start("a", 30)
    assert table.next_deadline() == 30
    assert table.expire(29) == []
    assert table.expire(30) == ["a"]


def test_keys_need_no_order() -> None:
    table: TimerTable[complex | None] = TimerTable()
    for key in (None, 1j, 2j):
        table.start(key, 5)
    assert table.expire(5) == [None, 1j, 2j]


def test_refreshing_grows_nothing() -> None:
    table: TimerTable[str] = TimerTable()
    names = [f"neighbour {number}" for number in range(100)]
    for tick in range(20_000):
        table.start(names[tick % 100], tick + 120 * SECOND)
    assert entries(table) == 100
    assert table.next_deadline() == 19_900 + 120 * SECOND
    assert entries(table) == 100
    assert table.expire(20_000 + 120 * SECOND) == names


def test_hurrying_grows_little() -> None:
    """Each move to an earlier deadline leaves an entry behind, but never more than the bound."""
    table: TimerTable[str] = TimerTable()
    for deadline in range(20_000, 0, -1):
        table.start("a", deadline)
        assert entries(table) <= bound(1)
    assert table.expire(0) == []
    assert table.expire(1) == ["a"]


def test_stopping_leaves_little() -> None:
    table: TimerTable[str] = TimerTable()
    table.start("stays", 0)
    for number in range(5_000):
        table.start(str(number), SECOND + number)
        if number % 3:
            table.stop(str(number - 1))
    for number in range(5_000):
        table.stop(str(number))
    assert entries(table) <= bound(1)
    assert table.next_deadline() == 0


def test_expiring_leaves_little() -> None:
    table: TimerTable[str] = TimerTable()
    table.start("stays", 10)
    for number in range(1_000):
        table.start(str(number), SECOND)
        table.start(str(number), 5)
    assert len(table.expire(5)) == 1_000
    assert entries(table) <= bound(1)
    assert table.next_deadline() == 10
