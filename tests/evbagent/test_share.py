"""A share of the time, on clocks that stand still."""

from evbagent.share import Share


class Clocks:
    def __init__(self) -> None:
        self.now = 50.0
        self.spent = 7.0

    def work(self, share: Share, seconds: float) -> None:
        with share:
            self.spent += seconds
        self.now += seconds


def test_what_is_used_up_comes_back_with_time() -> None:
    clocks = Clocks()
    share = Share(0.1, 0.5, lambda: clocks.now, lambda: clocks.spent)
    assert not share.is_used_up
    clocks.work(share, 0.05)
    assert not share.is_used_up
    clocks.work(share, 0.3)
    assert share.is_used_up
    clocks.now += 0.05
    assert share.is_used_up
    clocks.now += 0.12
    assert not share.is_used_up


def test_it_is_not_saved_up_without_end() -> None:
    clocks = Clocks()
    share = Share(0.1, 0.5, lambda: clocks.now, lambda: clocks.spent)
    clocks.now += 3600
    assert not share.is_used_up
    clocks.work(share, 0.11)
    clocks.now -= 0.11
    assert share.is_used_up


def test_time_in_which_others_have_the_processor_is_not_counted() -> None:
    clocks = Clocks()
    share = Share(0.1, 0.5, lambda: clocks.now, lambda: clocks.spent)
    with share:
        clocks.now += 10
    assert not share.is_used_up
