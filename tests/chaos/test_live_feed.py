"""The live feed with a venue that drops, stalls, repeats, withholds and refuses: every bar, once, as it is in truth."""

from statistics import median

import pytest

from tests.chaos.live_feed import coins, differences, follow


@pytest.mark.parametrize(
    ("minutes", "symbols", "faults", "seed"),
    [(20, 3, 8, 1), pytest.param(1_440, 20, 100, 2, marks=pytest.mark.soak)],
)
def test_every_bar_is_yielded_once_whatever_the_venue_does(minutes: int, symbols: int, faults: int, seed: int) -> None:
    followed, truth = follow(coins(symbols), minutes, faults, seed)
    print(followed.faults, followed.states)
    assert followed.faults.total() == faults
    assert min(map(len, truth.values())) >= minutes
    assert differences(followed, truth) == []


def test_a_venue_whose_clock_is_behind_is_followed_without_a_loss_and_without_a_minute_of_delay() -> None:
    followed, truth = follow(coins(2), 12, 0, 3, ahead_s=10)
    assert differences(followed, truth) == []
    assert 10 <= median(followed.late_s[5:]) < 50
