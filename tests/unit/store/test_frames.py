"""Bar frames in PostgreSQL's binary formats."""

import struct
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from mikrobot.domain.errors import BarError
from mikrobot.domain.market import BAR_COLUMNS, empty_bars
from mikrobot.store.postgres import frames


def one_bar(open_time: datetime, *values: float) -> pd.DataFrame:
    columns = dict(zip(BAR_COLUMNS[1:], values, strict=True))
    times = pd.Series([open_time]).astype("datetime64[us, UTC]")
    return pd.DataFrame({"open_time": times, **{name: [value] for name, value in columns.items()}})


def packed(frame: pd.DataFrame) -> bytes:
    """Return the rows of a frame packed as the server packs them."""
    since_2000 = (frame["open_time"] - pd.Timestamp("2000-01-01", tz="UTC")) // pd.Timedelta(microseconds=1)
    values = frame[list(BAR_COLUMNS[1:])].itertuples(index=False)
    return b"".join(struct.pack(">q8d", time, *row) for time, row in zip(since_2000, values, strict=True))


def test_a_row_is_encoded_as_in_the_manual():
    values = (1.0, 2.0, 0.5, 1.5, 7.0, 0.1, 3.0, 4.5)
    encoded = frames.encode("EURUSD", one_bar(datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC), *values))
    fields = b"".join(struct.pack(">id", 8, value) for value in values)
    row = struct.pack(">hiq", 9, 8, 1_000_000) + fields
    assert encoded == b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0) + row + struct.pack(">h", -1)


def test_frames_come_back_with_every_bit(bars):
    frame = bars(1000, gaps=0.2)
    frame.loc[5, ["volume", "spread"]] = np.nan
    assert_frame_equal(frames.decode(packed(frame)), frame, check_exact=True)


def test_no_rows_are_an_empty_bar_frame():
    assert_frame_equal(frames.decode(None), empty_bars())


@settings(deadline=None)
@given(
    open_time=st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)),
    value=st.floats(allow_nan=True, allow_infinity=True),
)
def test_any_time_and_any_float_come_back(open_time, value):
    bar = one_bar(open_time, *[value] * 8)
    assert_frame_equal(frames.decode(packed(bar)), bar, check_exact=True)


def test_nanosecond_frames_are_taken_too(bars):
    frame = bars(10)
    nanoseconds = frame.assign(open_time=frame["open_time"].astype("datetime64[ns, UTC]"))
    assert frames.encode("EURUSD", nanoseconds) == frames.encode("EURUSD", frame)


def test_the_first_row_out_of_order_is_named(bars):
    shuffled = bars(10).iloc[[0, 1, 5, 4, 3]]
    with pytest.raises(BarError, match=r"EURUSD: expected strictly increasing times, row 3 opens at 2024-03-04 00:04"):
        frames.encode("EURUSD", shuffled)
