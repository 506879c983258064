"""The smallest change of one number that approves a decision."""

import pytest

from mikrobot.decision.nearest_change import Change, Knob, nearest


def test_the_threshold_is_reached_exactly_where_it_has_few_digits() -> None:
    (change,) = nearest([Knob("setting", "entry_probability", 0.55, 0.0, 1.0, lambda number: number <= 0.5123)])
    assert change == Change("setting", "entry_probability", 0.55, 0.5123)


def test_the_change_is_approved_and_a_slightly_smaller_one_is_not() -> None:
    def approves(number: float) -> bool:
        return number**3 > 2

    (change,) = nearest([Knob("input", "atr", 1.0, 0.0, 10.0, approves)])
    assert approves(change.needed)
    assert not approves(change.needed * (1 - 1e-5))


def test_the_nearer_of_both_directions_is_chosen() -> None:
    (change,) = nearest([Knob("input", "x", 5.0, 0.0, 100.0, lambda number: number <= 2 or number >= 50)])
    assert change.needed == 2.0


def test_whole_numbers_stay_whole() -> None:
    (change,) = nearest([Knob("setting", "max_open_trades", 2, 1, 20, lambda number: number > 2.5, whole=True)])
    assert change.needed == 3.0


def test_the_relatively_smallest_change_is_first() -> None:
    knobs = [
        Knob("setting", "far", 1.0, 0.0, 10.0, lambda number: number >= 2),
        Knob("setting", "near", 100.0, 0.0, 200.0, lambda number: number >= 101),
        Knob("setting", "never", 1.0, 0.0, 10.0, lambda number: False),
    ]
    assert [change.name for change in nearest(knobs)] == ["near", "far"]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_number_at_the_end_of_its_range_is_moved_inwards(value: float) -> None:
    (change,) = nearest([Knob("setting", "x", value, 0.0, 1.0, lambda number: 0.25 <= number <= 0.75)])
    assert change.needed == {0.0: 0.25, 1.0: 0.75}[value]
