"""The table of remote systems: bounds, identity, ageing, tooManyNeighbors and its timer."""

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.lldp.codec import Reading
from protocols.lldp.mib import (
    RemoteAdded,
    RemoteChange,
    RemoteRemoved,
    RemoteSystems,
    RemoteUpdated,
    RemovalReason,
    TooManyNeighbors,
)
from protocols.lldp.tlvs import ChassisId, Lldpdu, PortId, SystemName
from protocols.timers import SECOND

SOURCE = bytes.fromhex("02000000000b")


def reading(number: int, ttl: int = 121, name: bytes = b"", subtype: int = 7) -> Reading:
    optional = (SystemName(name),) if name else ()
    return Reading(Lldpdu(ChassisId(subtype, b"chassis"), PortId(7, number.to_bytes(4, "big")), ttl, optional))


def payload(number: int, ttl: int = 121, name: bytes = b"", padding: int = 0, subtype: int = 7) -> bytes:
    """What stands for the octets of that reading: the table only compares them."""
    return repr((number, ttl, name, subtype)).encode() + bytes(padding)


class Table(RemoteSystems):
    """The table, fed by number. All have one chassis, each number an address of its own unless told otherwise."""

    def hear(
        self,
        number: int,
        now: float,
        ttl: int = 121,
        name: bytes = b"",
        padding: int = 0,
        source: bytes | None = None,
        subtype: int = 7,
    ) -> list[RemoteChange]:
        instant = round(now * SECOND)
        octets = payload(number, ttl, name, padding, subtype)
        source = source or SOURCE[:2] + number.to_bytes(4, "big")
        if self.refresh(source, octets, instant):
            return []
        return self.store(source, octets, reading(number, ttl, name, subtype), instant)

    def leave(self, number: int, now: float = 0) -> list[RemoteChange]:
        return self.delete(msap(number), RemovalReason.SHUTDOWN, round(now * SECOND))

    def forget(self, now: float = 0) -> list[RemoteChange]:
        return self.clear(RemovalReason.REINITIALIZED, round(now * SECOND))

    def age(self, now: float) -> list[RemoteChange]:
        return self.advance(round(now * SECOND))

    def due(self) -> float | None:
        due = self.next_deadline()
        return None if due is None else due / SECOND


def msap(number: int) -> tuple[int, bytes, int, bytes]:
    return reading(number).pdu.msap


def test_a_new_system_a_changed_one_and_an_unchanged_one() -> None:
    table = Table(4)
    (added,) = table.hear(1, 0)
    assert isinstance(added, RemoteAdded) and added.remote.index == 1
    assert table.hear(1, 1) == []
    assert table.hear(1, 2, padding=5) == []
    (updated,) = table.hear(1, 3, name=b"now with a name")
    assert isinstance(updated, RemoteUpdated) and updated.remote is added.remote is table.get(msap(1))
    assert table.hear(1, 4, name=b"now with a name") == []
    known = added.remote
    assert (known.changes, known.refreshes) == (1, 3)
    assert (known.first_heard, known.last_changed, known.last_heard) == (0, 3 * SECOND, 4 * SECOND)
    assert (table.statistics.inserts, table.statistics.deletes, table.statistics.refreshes, len(table)) == (1, 0, 3, 1)


def test_the_octets_of_an_earlier_lldpdu_are_not_recognised_any_more() -> None:
    table = Table(4)
    table.hear(1, 0)
    table.hear(1, 1, name=b"other")
    assert table.refresh(SOURCE, payload(1), 2 * SECOND) is None
    (updated,) = table.hear(1, 2)
    assert isinstance(updated, RemoteUpdated) and updated.former.optional == (SystemName(b"other"),)
    table.leave(1)
    assert table.refresh(SOURCE, payload(1), 2 * SECOND) is None


def test_the_key_is_the_whole_msap_identifier() -> None:
    table = Table(8)
    for subtype in (1, 4, 7):
        table.store(SOURCE, bytes([subtype]), reading(1, subtype=subtype), 0)
    table.hear(2, 0)
    assert len(table) == 4
    assert sorted(remote.index for remote in table.systems()) == [1, 2, 3, 4]


def test_indexes_are_never_given_twice() -> None:
    table = Table(1)
    for number in range(5):
        table.hear(number, number)
        table.leave(number)
    table.hear(9, 9)
    assert [remote.index for remote in table.systems()] == [6]


def test_each_system_ages_by_its_own_ttl() -> None:
    table = Table(8)
    for number, ttl in ((1, 30), (2, 10), (3, 20)):
        table.hear(number, 0, ttl)
    assert table.due() == 10
    assert table.age(9.9) == []
    gone = [change for now in (10, 20, 30) for change in table.age(now)]
    assert [change.remote.index for change in gone if isinstance(change, RemoteRemoved)] == [2, 3, 1]
    assert {change.reason for change in gone if isinstance(change, RemoteRemoved)} == {RemovalReason.AGED_OUT}
    assert (table.statistics.ageouts, table.statistics.deletes, table.due()) == (3, 3, None)


def test_a_late_clock_removes_all_that_is_due_at_once() -> None:
    table = Table(8)
    for number in range(5):
        table.hear(number, 0, ttl=10 + number)
    assert len(table.age(1000)) == 5
    assert table.age(1000) == []


def test_who_is_deleted_twice_or_was_never_known_is_no_change() -> None:
    table = Table(2)
    table.hear(1, 0)
    assert len(table.leave(1)) == 1
    assert table.leave(1) == []
    assert table.leave(2) == []
    assert (table.statistics.deletes, table.statistics.ageouts) == (1, 0)


# Too many neighbours.


def test_a_full_table_drops_the_newcomer_and_goes_on_serving_the_known() -> None:
    table = Table(2)
    table.hear(1, 0)
    table.hear(2, 0)
    assert table.hear(3, 0) == [TooManyNeighbors(True)]
    assert table.hear(4, 0) == table.hear(3, 1) == []
    assert table.too_many_neighbors
    assert isinstance(table.hear(1, 1, name=b"changed")[0], RemoteUpdated)
    assert (table.statistics.drops, table.statistics.inserts, len(table)) == (3, 2, 2)


def test_the_timer_runs_for_the_longest_ttl_that_found_no_room() -> None:
    table = Table(1)
    table.hear(1, 0, ttl=1000)
    table.hear(2, 0, ttl=50)
    table.hear(3, 10, ttl=10)  # ends before the other: max(timer, TTL)
    assert table.due() == 50
    table.hear(4, 20, ttl=60)
    assert table.age(79.9) == []
    assert table.age(80) == [TooManyNeighbors(False)]
    assert not table.too_many_neighbors and table.due() == 1000


def test_room_that_becomes_free_is_used_but_the_timer_runs_on() -> None:
    table = Table(1)
    table.hear(1, 0)
    table.hear(2, 0)
    table.leave(1)
    assert isinstance(table.hear(2, 1)[0], RemoteAdded)
    assert table.too_many_neighbors
    assert TooManyNeighbors(False) in table.age(121)


NIC = bytes.fromhex("02000000000b")


def test_a_system_that_goes_on_as_another_port_takes_the_place_of_its_former_self() -> None:
    """Without a goodbye, and in a full table: a device that numbers its ports anew each time it starts."""
    table = Table(2)
    table.hear(1, 0, source=NIC)
    table.hear(2, 0)
    table.hear(2, 60)
    removed, added = table.hear(3, 61, source=NIC)
    assert isinstance(removed, RemoteRemoved) and removed.reason is RemovalReason.REPLACED
    assert removed.remote.pdu.msap == msap(1)
    assert isinstance(added, RemoteAdded) and added.remote is table.get(msap(3))
    assert not table.too_many_neighbors and len(table) == 2
    statistics = table.statistics
    assert (statistics.inserts, statistics.deletes, statistics.drops, statistics.ageouts) == (3, 1, 0, 0)
    assert table.due() == 181


def test_nobody_else_makes_room() -> None:
    def full() -> Table:
        table = Table(2)
        table.hear(1, 0, source=NIC)
        table.hear(2, 0)
        return table

    assert full().hear(3, 60, source=NIC) == [TooManyNeighbors(True)], "it was heard less than half its TTL ago"
    assert full().hear(3, 61) == [TooManyNeighbors(True)], "another address"
    assert full().hear(3, 61, source=NIC, subtype=4) == [TooManyNeighbors(True)], "another chassis"
    changed_its_address = full()
    changed_its_address.hear(1, 0, source=SOURCE[:2] + bytes(4))
    assert changed_its_address.hear(3, 61, source=NIC) == [TooManyNeighbors(True)]


def test_where_there_is_room_a_former_self_ages() -> None:
    table = Table(3)
    table.hear(1, 0, source=NIC)
    (added,) = table.hear(3, 100, source=NIC)
    assert isinstance(added, RemoteAdded) and len(table) == 2


def test_when_the_table_last_changed() -> None:
    table = Table(1)
    assert table.statistics.last_change is None
    for now, change in (
        (1, lambda: table.hear(1, 1)),
        (1, lambda: table.hear(1, 2)),
        (3, lambda: table.hear(1, 3, name=b"new")),
        (3, lambda: table.hear(2, 4)),  # no room: the table is as it was
        (5, lambda: table.leave(1, 5)),
        (6, lambda: table.hear(1, 6, ttl=4)),
        (10, lambda: table.age(10)),
        (11, lambda: table.hear(1, 11)),
        (12, lambda: table.forget(12)),
    ):
        change()
        assert table.statistics.last_change == now * SECOND


def test_clear_forgets_everybody_and_the_crowd() -> None:
    table = Table(2)
    for number in range(4):
        table.hear(number, 0)
    changes = table.forget()
    assert [type(change) for change in changes] == [RemoteRemoved, RemoteRemoved, TooManyNeighbors]
    assert (len(table), table.due(), table.too_many_neighbors) == (0, None, False)
    assert table.forget() == []


def test_a_lower_limit_keeps_whom_it_has() -> None:
    table = Table(3)
    for number in range(3):
        table.hear(number, 0)
    table.limit = 1
    assert len(table) == 3 and table.hear(0, 1) == []
    table.leave(0)
    assert table.hear(5, 2) == [TooManyNeighbors(True)]


def test_a_thousand_strangers_and_twenty_thousand_refreshes_change_nothing_but_the_counters() -> None:
    table = Table(32)
    for number in range(1000):
        table.hear(number, 0)
    for turn in range(20_000):
        assert table.hear(turn % 32, turn / 1000) == []
    assert len(table) == 32 and table.statistics.drops == 968
    assert table.due() == 121  # the crowd; the neighbours were heard later


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["hear", "delete", "age", "clear"]),
        st.integers(0, 4),
        st.sampled_from([5, 10, 121]),
        st.sampled_from([b"", b"a", b"b"]),
    ),
    max_size=40,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(ACTIONS, st.integers(1, 3))
def test_the_books_balance(actions: list[tuple[str, int, int, bytes]], limit: int) -> None:
    table = Table(limit)
    present: dict[bytes, float] = {}  # port ID and when it ages out: what the changes amount to
    heard: dict[bytes, tuple[float, int]] = {}  # when last, and its TTL
    crowded = False
    for second, (action, number, ttl, name) in enumerate(actions):
        match action:
            case "hear":
                changes = table.hear(number, second, ttl, name, source=NIC)
                key = number.to_bytes(4, "big")
                eldest = next(iter(present), b"")
                replaces = present and key not in present and 2 * (second - heard[eldest][0]) >= heard[eldest][1]
                if key in present or len(present) < limit or replaces:
                    present[key], heard[key] = second + ttl, (second, ttl)
            case "delete":
                changes = table.leave(number)
            case "age":
                changes = table.age(second)
                assert {c.remote.pdu.port_id.id for c in changes if isinstance(c, RemoteRemoved)} == {
                    key for key, end in present.items() if end <= second
                }
            case _:
                changes = table.forget()
        for change in changes:
            if isinstance(change, RemoteRemoved):
                del present[change.remote.pdu.port_id.id]
            elif isinstance(change, TooManyNeighbors):
                assert change.on is not crowded
                crowded = change.on
        assert {remote.pdu.port_id.id for remote in table.systems()} == set(present)
        assert len(table) == table.statistics.inserts - table.statistics.deletes <= limit
        assert table.too_many_neighbors is crowded
        if not crowded:
            assert table.due() == min(present.values(), default=None)
