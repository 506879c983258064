"""Order book columns: the stored values of the same close, missing without a book, and never those of another close."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import BarError
from mikrobot.domain.market import Timeframe, bars_of
from mikrobot.domain.order_books import BOOK_FIELDS, DEPTHS
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.kernel.feature import on
from mikrobot.features.library.order_book import book
from mikrobot.features.pipeline import FeaturePipeline

COLUMNS = [name for name in CATALOG.columns if name.startswith("m1_book_")]
FIELD_OF = {f"m1_book_{name}": name for name in ("bid", "ask", "spread", "imbalance", "micro_price")} | {
    f"m1_book_depth_{count}_{side}": f"{side}_{count}" for count in DEPTHS for side in ("bid", "ask")
}


def test_every_value_of_a_stored_book_is_a_column():
    assert set(FIELD_OF) == set(COLUMNS)
    assert set(FIELD_OF.values()) == set(BOOK_FIELDS)


@pytest.mark.parametrize("column", sorted(FIELD_OF))
def test_a_column_is_the_value_of_the_book_of_the_same_close(column, bars, books, matrix):
    stored = books.set_index("open_time")[FIELD_OF[column]].reindex(bars["open_time"]).to_numpy()
    assert np.isnan(stored).any()
    assert stored.tobytes() == matrix[column].to_numpy().tobytes()


def test_without_books_their_columns_are_missing_and_all_others_the_same(led, matrix):
    assert led[COLUMNS].isna().all(axis=None)
    pd.testing.assert_frame_equal(led.drop(columns=COLUMNS), matrix.drop(columns=COLUMNS), check_exact=True)


def test_a_book_is_that_of_its_bar_only_even_after_a_refused_bar(bars, books):
    pipeline = FeaturePipeline(["A"])
    first, second, third = bars_of("A", bars[:3])
    values = tuple(books.loc[0, list(BOOK_FIELDS)])
    place = CATALOG.columns.index("m1_book_bid")
    assert pipeline.update(first, values)[place] == values[0]
    assert np.isnan(pipeline.update(second)[place])
    with pytest.raises(BarError):
        pipeline.update(first, values)
    assert np.isnan(pipeline.update(third)[place])


def test_books_of_other_times_are_not_read(bars, books):
    moved = books.assign(open_time=books["open_time"] + pd.Timedelta(seconds=30))
    rows = FeaturePipeline(["A"]).frame("A", bars[:500], books=moved)
    assert rows[COLUMNS].isna().all(axis=None)


def test_a_higher_timeframe_has_no_order_book():
    with pytest.raises(ValueError, match="reads the order book, which is available on M1 only"):
        Catalog(*on(Timeframe.M5, [book()]))
