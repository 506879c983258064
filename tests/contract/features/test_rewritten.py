"""Count values that change after they were emitted: none of ours, some of a well-known library."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from benchmarks.patterns import smart_money
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline

FIRST, BARS = 60, 800

Reading = Callable[[pd.DataFrame], pd.DataFrame]


def ours(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(FeaturePipeline(["A"]).compute("A", frame), columns=list(CATALOG.columns))


def rewritten(read: Reading, frame: pd.DataFrame) -> tuple[pd.Series, int]:
    """Return the number of changed values by column, and the number of values per column.

    A value is computed for the newest bar of a prefix; it has changed if the whole frame gives another value.
    """
    replayed = [read(frame.iloc[:length]).iloc[-1] for length in range(FIRST, len(frame) + 1)]
    live = pd.DataFrame(replayed).to_numpy(float)
    final = read(frame).iloc[FIRST - 1 :]
    settled = final.to_numpy(float)
    changed = (live != settled) & ~(np.isnan(live) & np.isnan(settled))
    return pd.Series(changed.sum(axis=0), final.columns), len(final)


@pytest.mark.parametrize("market", ["bars", "real_bars"])
def test_no_reading_of_ours_is_ever_rewritten(market, request):
    changed, _ = rewritten(ours, request.getfixturevalue(market).iloc[:BARS])
    assert changed[changed > 0].to_dict() == {}


def test_the_same_count_sees_what_a_look_ahead_rewrites(bars, capsys):
    changed, count = rewritten(ours, bars.iloc[:BARS])
    theirs, _ = rewritten(smart_money(("swing", "order_block", "liquidity")), bars.iloc[:BARS])
    with capsys.disabled():
        print(f"\nvalues rewritten in {count} bars: ours {changed.sum()} of {count * len(changed):,}, ", end="")
        print(f"smartmoneyconcepts {theirs.sum():,} of {count * len(theirs):,}")
    assert theirs["swing", "HighLow"] > 0
