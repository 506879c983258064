"""The folds of a walk-forward, and the account that joins their pieces."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pandas as pd
import pytest

from mikrobot.workflows.parameter_search import SpanResult
from mikrobot.workflows.walk_forward import folds_of, joined

START = datetime(2025, 1, 6, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_the_pieces_follow_each_other_and_every_search_ends_where_its_piece_begins(count: int) -> None:
    until = START + timedelta(minutes=10_007)
    folds = folds_of(START, until, count)
    assert len(folds) == count
    assert {fold.since for fold in folds} == {START}
    assert [fold.cut for fold in folds[1:]] == [fold.until for fold in folds[:-1]]
    assert folds[-1].until == until
    cuts = [START, *(fold.cut for fold in folds), until]
    lengths = [later - earlier for earlier, later in pairwise(cuts)]
    assert max(lengths) - min(lengths) <= MINUTE
    assert all((cut - START) % MINUTE == timedelta(0) for cut in cuts)


def result(*equity: float, since: int, costs: str = "1.50") -> SpanResult:
    times = pd.DatetimeIndex([START + timedelta(days=since + number) for number in range(len(equity))])
    return SpanResult(pd.Series(equity, times), (), {"commission": Decimal(costs)})


def test_joined_pieces_compound_and_their_costs_add_up() -> None:
    account = joined([result(110.0, 120.0, since=0), result(90.0, 110.0, since=2)], Decimal(100))
    assert account.nav.tolist() == pytest.approx([110.0, 120.0, 108.0, 132.0])
    assert account.nav.index.is_monotonic_increasing
    assert account.costs == {"commission": Decimal("3.00")}


def test_nothing_follows_a_total_loss() -> None:
    account = joined([result(50.0, -1.0, since=0), result(200.0, since=2)], Decimal(100))
    assert account.nav.tolist() == [50.0, -1.0]
