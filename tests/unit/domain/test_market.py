from datetime import UTC, datetime

import pandas as pd

from mikrobot.domain.market import BAR_COLUMNS, Bar, Timeframe, close_times, empty_bars


def test_a_bar_is_known_one_timeframe_after_it_opens() -> None:
    opened = datetime(2024, 3, 10, 23, 55, tzinfo=UTC)
    bar = Bar("EURUSD", opened, 1.1, 1.1, 1.1, 1.1, timeframe=Timeframe.M5)
    assert bar.close_time == datetime(2024, 3, 11, tzinfo=UTC)
    frame = pd.DataFrame({"open_time": pd.DatetimeIndex([opened]).as_unit("us")})
    assert close_times(frame, Timeframe.M5).tolist() == [bar.close_time]


def test_an_empty_bar_frame_has_the_columns_and_types_of_a_full_one() -> None:
    frame = empty_bars()
    assert tuple(frame.columns) == BAR_COLUMNS
    assert str(frame["open_time"].dtype) == "datetime64[us, UTC]"
    assert {str(frame[name].dtype) for name in BAR_COLUMNS[1:]} == {"float64"}
    assert len(frame) == 0
