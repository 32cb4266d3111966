"""The queue in front of ECP: what goes first, what goes together, and that nobody waits for ever."""

from collections.abc import Hashable
from random import Random

import pytest

from protocols.vdp.outbox import TURN, Outbox, Rank
from protocols.vdp.vsi import VsiId

ONE, TWO = b"one", b"two"


def vsi(number: int) -> VsiId:
    return VsiId(5, number.to_bytes(16, "big"))


def octets(vsi_id: VsiId) -> bytes:
    """Ten octets a VSI."""
    return vsi_id.octets[6:]


def fill(outbox: Outbox, room: int = 10_000, most: int = 1_000) -> list[int]:
    """The numbers of the VSIs that leave next."""
    filled = outbox.fill(octets, room, most)
    if filled is None:
        return []
    taken, tlvs = filled
    assert tlvs == [octets(vsi_id) for vsi_id in taken]
    assert sum(map(len, tlvs)) <= room or len(tlvs) == 1
    return [int.from_bytes(vsi_id.octets, "big") for vsi_id in taken]


def queued(*places: tuple[int, Rank, Hashable]) -> Outbox:
    outbox = Outbox()
    for number, rank, group in places:
        outbox.add(vsi(number), rank, group)
    return outbox


def test_nothing() -> None:
    assert Outbox().fill(octets, 100, 1) is None


def test_first_come_first_served() -> None:
    outbox = queued(*((number, Rank.REQUEST, ONE) for number in range(5)))
    assert len(outbox) == 5 and vsi(4) in outbox
    assert fill(outbox, most=2) == [0, 1]
    assert fill(outbox) == [2, 3, 4]
    assert not outbox and vsi(4) not in outbox


def test_as_many_as_fit() -> None:
    outbox = queued(*((number, Rank.REQUEST, ONE) for number in range(5)))
    assert fill(outbox, room=39) == [0, 1, 2]
    assert fill(outbox, room=20) == [3, 4]


def test_one_that_is_too_long_goes_alone() -> None:
    """Else it would block the queue for ever; ECP's frame is the limit that the codecs know."""
    outbox = queued((1, Rank.REQUEST, ONE), (2, Rank.REQUEST, ONE))
    assert fill(outbox, room=3) == [1]
    assert fill(outbox, room=3) == [2]


def test_each_once_and_the_newest_rank_counts() -> None:
    outbox = queued((1, Rank.KEEP_ALIVE, ONE), (2, Rank.REQUEST, ONE), (1, Rank.URGENT, ONE), (2, Rank.REQUEST, ONE))
    assert len(outbox) == 2
    assert fill(outbox) == [1, 2]
    assert fill(outbox) == []


def test_groups_take_turns_and_never_share() -> None:
    outbox = queued(*((number, Rank.REQUEST, (ONE, TWO)[number % 2]) for number in range(8)))
    assert [fill(outbox, most=2) for _ in range(4)] == [[0, 2], [1, 3], [4, 6], [5, 7]]


def test_room_that_is_left_goes_to_lower_ranks_of_the_group() -> None:
    outbox = queued((1, Rank.KEEP_ALIVE, ONE), (2, Rank.REQUEST, TWO), (3, Rank.URGENT, ONE), (4, Rank.REQUEST, ONE))
    assert fill(outbox) == [3, 4, 1]
    assert fill(outbox) == [2]


def test_no_rank_starves() -> None:
    """However many requests come, keep-alives get every fifth ECPDU."""
    outbox = queued((0, Rank.KEEP_ALIVE, TWO))
    number = 0
    for turn in range(TURN + 1):
        number += 1
        outbox.add(vsi(number), Rank.REQUEST, ONE)
        outbox.add(vsi(number + 1000), Rank.REQUEST, ONE)
        if fill(outbox, most=1) == [0]:
            assert turn == TURN
            return
    pytest.fail("the keep-alive never left")


def test_urgent_overtakes() -> None:
    outbox = queued(*((number, Rank.REQUEST, ONE) for number in range(100)), (500, Rank.URGENT, TWO))
    assert fill(outbox) == [500]


def test_discard_and_clear() -> None:
    outbox = queued((1, Rank.REQUEST, ONE), (2, Rank.REQUEST, ONE))
    outbox.discard(vsi(1))
    outbox.discard(vsi(3))
    assert fill(outbox) == [2]
    outbox = queued((1, Rank.REQUEST, ONE))
    outbox.clear()
    assert not outbox and fill(outbox) == []


def test_anything_that_goes_in_comes_out_once() -> None:
    random = Random(1)
    for _ in range(50):
        outbox, inside = Outbox(), set[int]()
        for _ in range(300):
            number = random.randrange(40)
            match random.randrange(4):
                case 0:
                    outbox.discard(vsi(number))
                    inside.discard(number)
                case 1:
                    taken = fill(outbox, random.randrange(1, 100), random.randrange(1, 6))
                    assert len(set(taken)) == len(taken) and inside.issuperset(taken)
                    assert taken or not inside
                    inside.difference_update(taken)
                case _:
                    outbox.add(vsi(number), random.choice(list(Rank)), random.choice((ONE, TWO, None)))
                    inside.add(number)
            assert len(outbox) == len(inside)
        while taken := fill(outbox, most=3):
            inside.difference_update(taken)
        assert not inside
