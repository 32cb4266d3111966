"""What a bridge goes on holding: forgotten in time, however many there are."""

from protocols.vdp.filter import FilterEntry, FilterFormat, Filters
from protocols.vdp.shadows import Shadows
from protocols.vdp.vsi import Mode, VsiId, VsiTlv


def released(number: int, vid: int = 100) -> VsiTlv:
    filters = Filters(FilterFormat.VID, (FilterEntry(vid, None, None, None),))
    return VsiTlv(Mode.ASSOCIATE, VsiId(5, number.to_bytes(16, "big")), bytes(16), 1, 1, filters)


def test_other_filters_have_to_wait_until_it_is_over() -> None:
    shadows = Shadows()
    shadows.add(released(1), 0, 100)
    assert shadows.until(released(1, vid=200), 50) == 100
    assert shadows.until(released(1), 50) is None
    assert shadows.until(released(1, vid=200)._replace(version=2), 50) is None
    assert shadows.until(released(1, vid=200), 100) is None
    assert not shadows


def test_vsis_that_come_and_go_for_ever_leave_no_more_than_are_held_at_a_time() -> None:
    shadows = Shadows()
    most = 0
    for now in range(10_000):
        shadows.add(released(now), now, now + 100)
        most = max(most, len(shadows._held))
    assert most == 100


def test_one_that_is_released_again_is_held_from_then_on() -> None:
    shadows = Shadows()
    shadows.add(released(1), 0, 100)
    shadows.add(released(2), 50, 150)
    shadows.add(released(1), 90, 190)
    assert shadows.until(released(1, vid=200), 120) == 190
    assert list(shadows._held) == [released(2).vsi_id, released(1).vsi_id]
    shadows.add(released(3), 160, 260)
    assert not shadows.forget(released(2).vsi_id) and shadows.forget(released(1).vsi_id)
