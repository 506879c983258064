"""Validation of bars from files and venues, and their conversion to bar frames.

Every check is one vectorised pass over the used rows. Invalid data is refused as a whole, with the
first invalid row in the error; the quality gate cleans data, not this module.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError
from mikrobot.domain.instruments.sessions import SessionName
from mikrobot.market.row_origin import RowOrigin, refuse_rows
from mikrobot.market.sessions import DAY_MINUTES, WEEK_MINUTES, in_weekend, week_minutes

Times = NDArray[np.int64]
"""Open times as microseconds since the epoch, UTC."""

Floats = NDArray[np.float64]

MINUTE_US = 60_000_000

_ROUNDING = 1e-9
"""Share by which the taker volume may exceed the volume, for the rounding error of sums of floats."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bar_frame(
    times: Times,
    prices: Floats,
    volume: Floats,
    spread: Floats,
    *,
    trades: Floats | None = None,
    taker_volume: Floats | None = None,
) -> pd.DataFrame:
    """Build a bar frame.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        Open times in microseconds since the epoch, UTC.
    prices : ndarray of float64, shape (4, n)
        Open, high, low, close.
    volume, spread : ndarray of float64, shape (n,)
        NaN where unknown.
    trades, taker_volume : ndarray of float64, shape (n,), or None
        NaN where unknown; None if the source has none.
    """
    unknown = np.full(len(times), np.nan)
    index = pd.DatetimeIndex(times.view("datetime64[us]")).tz_localize("UTC")
    names = ("open", "high", "low", "close")
    return pd.DataFrame(
        {
            "open_time": index,
            **dict(zip(names, prices, strict=True)),
            "volume": volume,
            "spread": spread,
            "trades": unknown if trades is None else trades,
            "taker_volume": unknown if taker_volume is None else taker_volume,
        }
    )


def epoch_us(time: datetime) -> int:
    """Convert a time to microseconds since the epoch.

    >>> instant(epoch_us(datetime(2025, 1, 1, tzinfo=UTC))).isoformat()
    '2025-01-01T00:00:00+00:00'
    """
    return (time - _EPOCH) // timedelta(microseconds=1)


def instant(microseconds: int) -> datetime:
    """Convert microseconds since the epoch to a time, UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def microseconds(times: pd.Series) -> Times:
    """Convert a series of times to microseconds since the epoch, as `bar_frame` takes them."""
    return times.to_numpy(dtype="datetime64[us]").view(np.int64)


def check_times(times: Times, origin: RowOrigin) -> None:
    """Refuse open times that are not strictly increasing or not on whole minutes.

    Raises
    ------
    BarError
        With the first invalid row, its time, and the remedy.
    """
    steps = np.diff(times)
    refuse_rows(
        times % MINUTE_US != 0, origin, lambda i: f"time {_text(times[i])} is not on a whole minute; give M1 bars"
    )
    refuse_rows(
        np.concatenate(([False], steps == 0)), origin, lambda i: f"time {_text(times[i])} appears twice; drop one row"
    )
    refuse_rows(
        np.concatenate(([False], steps < 0)),
        origin,
        lambda i: f"time {_text(times[i])} comes after {_text(times[i - 1])}; sort the rows by time",
    )


def commonest_step(times: Times) -> int:
    """Return the step between rows that occurs most often, in microseconds; 0 for fewer than two rows.

    >>> commonest_step(np.array([0, 1, 2, 60, 61]))
    1
    """
    if len(times) < 2:
        return 0
    between = np.diff(times)
    if 2 * np.count_nonzero(between == MINUTE_US) > len(between):  # without sorting
        return MINUTE_US
    steps, counts = np.unique(between, return_counts=True)
    return int(steps[counts.argmax()])


def check_timeframe(times: Times, origin: RowOrigin) -> None:
    """Refuse times that are mostly more than a minute apart, as in hourly bars.

    Raises
    ------
    BarError
        With the step between most bars.
    """
    step = commonest_step(times)
    if step > MINUTE_US:
        label = next((f", {name}" for name, minutes in _TIMEFRAMES if step == minutes * MINUTE_US), "")
        raise BarError(
            f"{origin.name}: expected M1 bars, but most are {step // MINUTE_US} minutes apart{label}; "
            "export the one-minute timeframe, since finer bars cannot be made of these"
        )


_TIMEFRAMES = (("M5", 5), ("M15", 15), ("M30", 30), ("H1", 60), ("H4", 240), ("D1", 1440))


def check_plausible(times: Times, origin: RowOrigin, latest: datetime) -> None:
    """Refuse times before 2000 or after `latest`.

    Raises
    ------
    BarError
        With the first such row, and the unit that the stamps seem to have.
    """
    bad = (times < _EARLIEST) | (times > epoch_us(latest))
    if bad.any():
        row = int(bad.argmax())
        raise BarError(
            f"{origin(row)}: time {_year_of(int(times[row]))}; expected 2000 to tomorrow{_unit(int(times[row]))}"
        )


_EARLIEST = 946_684_800_000_000  # 2000-01-01


def _year_of(time: int) -> str:
    return str(np.datetime64(time, "us"))[:16].replace("T", " ")


def _unit(time: int) -> str:
    """Return the unit in which the stamp would be plausible."""
    for factor, text in _UNITS:
        if _EARLIEST <= time * factor < 4 * _EARLIEST:
            return f"; these look like {text}"
    return ""


_UNITS = (
    (0.001, "microseconds read as milliseconds: divide them by 1000"),
    (1e-6, "microseconds read as seconds: divide them by 1,000,000"),
    (1_000, "milliseconds read as microseconds: multiply them by 1000"),
    (1_000_000, "seconds read as microseconds: multiply them by 1,000,000"),
)


def check_hours(session: SessionName, times: Times, origin: RowOrigin) -> str | None:
    """Refuse bars that are shifted against the trading hours; return a note on bars of the closed weekend.

    Some brokers send a few bars of the weekend, or quote from an hour before the others. Times in a wrong clock have
    bars of the weekend on one side and none in the last hour of the other.

    Raises
    ------
    BarError
        With the first bar of the weekend.
    """
    if session == "always":
        return None
    since = week_minutes(times)
    closed = in_weekend(times)
    count = int(closed.sum())
    if not count:
        return None
    row = int(closed.argmax())
    where = f"{origin(row)}: {instant(int(times[row])):%A} {_text(int(times[row]))} is in the closed weekend"
    if count > max(_FEW, _MOST_SHARE * len(times)) or (count > _FEW and _shifted(since, closed)):
        raise BarError(
            f"{where}, as are {count} of {len(times)} bars: this looks like local time; convert it to UTC, "
            "or give --clock"
        )
    return where + (f", as {'is' if count == 2 else 'are'} {count - 1} more" if count > 1 else "")


def _shifted(since: NDArray[np.int64], closed: NDArray[np.bool_]) -> bool:
    middle = (WEEK_MINUTES + 7 * DAY_MINUTES) // 2
    late = np.mean(since[closed] < middle) > 0.5
    missing = since < _LAST_MINUTES if late else (since >= WEEK_MINUTES - _LAST_MINUTES) & (since < WEEK_MINUTES)
    return not missing.any()


_LAST_MINUTES, _FEW = 30, 5
_MOST_SHARE = 0.03
"""Share of bars in the closed weekend above which any file is refused; a clock wrong by an hour has 0.8 %."""


def check_prices(prices: Floats, times: Times, origin: RowOrigin) -> None:
    """Refuse prices that are impossible for a bar.

    Parameters
    ----------
    prices : ndarray of float64, shape (4, n)
        Open, high, low, close.
    times : ndarray of int64, shape (n,)
    origin : RowOrigin

    Raises
    ------
    BarError
        For a price that is not finite or not positive, a high below the low, an open or close
        outside low to high; with the first such row and its values.
    """
    opened, high, low, close = prices
    remedy = "correct or remove the row"

    def where(i: int) -> str:
        return f"at {_text(times[i])} (open {opened[i]}, high {high[i]}, low {low[i]}, close {close[i]}); {remedy}"

    refuse_rows(
        np.logical_not(np.isfinite(prices)).any(axis=0),
        origin,
        lambda i: f"a price is missing or not finite {where(i)}",
    )
    refuse_rows((prices <= 0).any(axis=0), origin, lambda i: f"a price is not positive {where(i)}")
    refuse_rows(np.less(high, low), origin, lambda i: f"high < low {where(i)}")
    outside = (np.minimum(opened, close) < low) | (np.maximum(opened, close) > high)
    refuse_rows(outside, origin, lambda i: f"open or close is outside low to high {where(i)}")


def check_volume(volume: Floats, times: Times, origin: RowOrigin) -> None:
    """Refuse volumes that are negative or infinite; NaN means unknown.

    Raises
    ------
    BarError
        With the first such row.
    """
    bad = np.isinf(volume) | (volume < 0)
    refuse_rows(bad, origin, lambda i: f"volume {volume[i]} at {_text(times[i])}; leave unknown volumes empty")


def check_trades(trades: Floats, times: Times, origin: RowOrigin) -> None:
    """Refuse numbers of trades that are negative or infinite; NaN means unknown.

    Raises
    ------
    BarError
        With the first such row.
    """
    bad = np.isinf(trades) | (trades < 0)
    refuse_rows(bad, origin, lambda i: f"{trades[i]} trades at {_text(times[i])}; leave unknown numbers empty")


def taker_volume_of(bought: Floats, volume: Floats, times: Times, origin: RowOrigin) -> Floats:
    """Return the taker volume, limited to the volume where a rounding error exceeds it.

    Parameters
    ----------
    bought, volume : ndarray of float64, shape (n,)
        NaN where unknown.

    Raises
    ------
    BarError
        If it is negative, infinite, or above the volume; with the first such row.
    """
    bad = np.isinf(bought) | (bought < 0) | (bought > volume * (1 + _ROUNDING))

    def values(i: int) -> str:
        return f"taker volume {bought[i]} of volume {volume[i]} at {_text(times[i])}"

    refuse_rows(bad, origin, lambda i: f"{values(i)}; expected 0 to the volume, or empty where unknown")
    return within_volume(bought, volume)


def within_volume(bought: Floats, volume: Floats) -> Floats:
    """Return the taker volume, limited to the volume where it exceeds it by no more than a rounding error.

    >>> within_volume(np.array([1.0, 1 + 1e-12, 2.0]), np.array([2.0, 1.0, 1.0])).tolist()
    [1.0, 1.0, 2.0]
    """
    return np.where((bought > volume) & (bought <= volume * (1 + _ROUNDING)), volume, bought)


def spread_of(spread: Floats) -> Floats:
    """Return spreads with NaN for negative ones, whose bid and ask are from different times.

    >>> spread_of(np.array([0.1, -0.1]))
    array([0.1, nan])
    """
    return np.where(spread < 0, np.nan, spread)


SYMBOL_COLUMNS = ("symbol", "ticker", "pair")
"""Columns that name the symbol of each row, in files of any format."""


def sole_value(column: pa.ChunkedArray, origin: RowOrigin, name: str = "symbol") -> str:
    """Return the one value of a column, `name`, that has the symbol of each row.

    Raises
    ------
    BarError
        If it has several values, with the first row of another.
    """
    try:
        text = column.cast(pa.string())
    except pa.ArrowException as error:
        raise BarError(f"{origin.name}: column {name} is {column.type}; expected text") from error
    first = str(text[0].as_py())
    refuse_rows(
        pc.fill_null(pc.not_equal(text, first), True).to_numpy(),
        origin,
        lambda i: f"column {name} has {text[i].as_py()} after {first}; give a file for each symbol",
    )
    return first


def _text(time: int) -> str:
    return f"{instant(int(time)):%Y-%m-%d %H:%M:%S} UTC"
