"""The quality score is the same in a batch as bar by bar, whatever is wrong with the bars."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.domain.market import bars_of
from mikrobot.market.quality.kernel import PARTS
from mikrobot.market.quality.scoring import BarScorer, score_frame
from tests.conftest import made_up_bars

FRIDAY = datetime(2024, 3, 8, 19, tzinfo=UTC)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "EURUSD", "US500"])
@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_a_batch_gives_the_numbers_of_the_stream(symbol, data):
    frame = made_up_bars(400, seed=data.draw(st.integers(0, 1000)), start=FRIDAY, gaps=0.02)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    rows = rng.choice(len(frame), 30, replace=False)
    prices = ["open", "high", "low", "close"]
    frame.loc[rows[:5], prices] *= 1.02
    frame.loc[rows[5:10], "high"] *= 1.05
    frame.loc[rows[10:15], "volume"] = data.draw(st.sampled_from([0.0, float("nan"), 1e6]))
    frame.loc[rows[15:20], "spread"] = data.draw(st.sampled_from([-1.0, -1e-9, float("nan")]))
    stuck = slice(rows[20], rows[20] + 20)
    frame.loc[stuck, prices] = frame.loc[rows[20], "close"]
    frame = frame.drop(index=rows[21:]).reset_index(drop=True)
    scorer = BarScorer()
    streamed = [scorer.score(bar) for bar in bars_of(symbol, frame)]
    batch = score_frame(symbol, frame)
    assert batch["score"].tolist() == [score.score for score in streamed]
    assert list(pd.DatetimeIndex(batch["close_time"]).to_pydatetime()) == [score.close_time for score in streamed]
    rows_of = batch[list(PARTS)].to_dict("records")
    assert [{name: value for name, value in row.items() if value == value} for row in rows_of] == [
        dict(score.parts) for score in streamed
    ]
    assert batch["score"].between(0, 1).all()
