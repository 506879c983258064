"""The bar record of the kernel, and the validation of incoming bars.

After validation all prices are finite and positive, no bar contradicts itself, and time increases
from bar to bar.
"""

from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError, DataError
from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.domain.order_books import BOOK_FIELDS
from mikrobot.features.kernel.parts import F8, I8, Layout, State, compiled, record

BAR: Layout = record(time=I8, open=F8, high=F8, low=F8, close=F8, volume=F8, spread=F8, trades=F8, taker_volume=F8)
"""One bar: ``time`` is its open in seconds since 1970 UTC; all but the prices are NaN where unknown."""

BAR_FIELDS: tuple[str, ...] = BAR.names or ()
"""Names of the fields of `BAR`, in order."""

MARKET: Layout = record(fx=I8)
"""Constants of a symbol: ``fx`` is 1 for FX, whose day begins at 17:00 New York, else 0 (00:00 UTC)."""

MARKET_FIELDS: tuple[str, ...] = MARKET.names or ()
"""Names of the fields of `MARKET`."""

BOOK: Layout = record(time=I8, **dict.fromkeys(BOOK_FIELDS, F8))
"""The order book at the close of a bar: ``time`` is the open of that bar, the values are NaN where unknown."""

MAY_BE_UNKNOWN = frozenset({"volume", "spread", "trades", "taker_volume"})
"""The bar fields that may be NaN."""

MINUTE = 60
LEAD_HOLDS = 5 * MINUTE
"""Maximum age of the lead's newest bar, in seconds between the opens of the two bars. Older values of the
lead are unknown. In thin hours a minute or two without a quote is normal; an older bar has no information
about this minute."""

LOWEST_PRICE, HIGHEST_PRICE = 1e-12, 1e12
"""Bounds of a price; beyond them squares overflow float64, and no instrument trades there."""

LOWEST_VOLUME, HIGHEST_VOLUME = 1e-12, 1e18
"""Bounds of a volume other than 0: sums and quotients of such volumes stay finite."""

ROUNDING = 1e-9
"""Share by which the taker volume may exceed the volume, for the rounding error of sums of floats."""

GOOD, NO_SYMBOL, OFF_MINUTE, DUPLICATE, BACKWARDS, PRICE, CONTRADICTION, VOLUME, SPREAD, TRADES, TAKER = range(11)

_EXPECTED = {
    OFF_MINUTE: "an open_time on a whole minute after 1970",
    DUPLICATE: "each bar once",
    BACKWARDS: "bars in time order",
    PRICE: f"finite, positive prices from {LOWEST_PRICE:g} to {HIGHEST_PRICE:g}",
    CONTRADICTION: "low <= open, close <= high",
    VOLUME: f"a finite volume >= 0 (from {LOWEST_VOLUME:g} to {HIGHEST_VOLUME:g} unless 0), or NaN where unknown",
    SPREAD: "a finite spread, or NaN where unknown",
    TRADES: "a finite number of trades >= 0, or NaN where unknown",
    TAKER: "a taker_volume from 0 to the volume, or NaN where unknown",
}
_REMEDY = {
    DUPLICATE: "drop the repeated bar",
    BACKWARDS: "sort the bars by open_time, or restore the state of that time",
}


@compiled
def fault(
    previous: int,
    time: int,
    open: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    spread: float,
    trades: float,
    taker_volume: float,
) -> int:
    """Validate a bar: return GOOD or the code of its first fault.

    Parameters
    ----------
    previous : int
        Open of the previous bar, seconds since 1970 UTC; 0 when there is none.
    time : int
        Open of this bar, seconds since 1970 UTC.
    """
    if time <= 0 or time % MINUTE != 0:
        return OFF_MINUTE
    if time <= previous:
        return DUPLICATE if time == previous else BACKWARDS
    if not (_is_price(open) and _is_price(high) and _is_price(low) and _is_price(close)):
        return PRICE
    if not (low <= open <= high and low <= close <= high):
        return CONTRADICTION
    if not (volume == 0.0 or LOWEST_VOLUME <= volume <= HIGHEST_VOLUME or volume != volume):
        return VOLUME
    if abs(spread) == inf:
        return SPREAD
    if trades < 0.0 or trades == inf:
        return TRADES
    beyond = taker_volume < 0.0 or taker_volume == inf or taker_volume > volume * (1.0 + ROUNDING)
    return TAKER if beyond else GOOD


@compiled
def _is_price(x: float) -> bool:
    return LOWEST_PRICE <= x <= HIGHEST_PRICE


SEEN = record(bars=I8, still=I8, close=F8)
"""Input of a symbol so far: number of bars, number of latest bars in a row without a move, last close."""


@compiled
def count(seen: State, bar: State) -> None:
    """Count an accepted bar, and the bars in a row in which the price did not move."""
    moved = bar.low < bar.high or bar.close != seen.close
    seen.still = 0 if moved else seen.still + 1
    seen.close = bar.close
    seen.bars += 1


def refusal(symbol: str, code: int, open_time: object, values: Mapping[str, float], previous: int) -> BarError:
    """Return the error that describes a refused bar.

    Parameters
    ----------
    symbol : str
    code : int
        Returned by `fault`.
    open_time : object
        Printed in the message.
    values : mapping of str to float
        The fields of the bar.
    previous : int
        Open of the last accepted bar, seconds since 1970 UTC; 0 when there is none.
    """
    fields = ", ".join(f"{name} {value}" for name, value in values.items())
    after = f" after {utc(previous)}" if previous else ""
    remedy = _REMEDY.get(code, "correct the bar at its source, or leave it out")
    return BarError(
        f"{symbol} M1 bar {open_time}{after}: {fields}; expected {_EXPECTED[code]}. "
        f"It was refused and nothing has changed: {remedy}"
    )


def utc(seconds: int) -> str:
    """Format seconds since 1970 UTC as an ISO time.

    >>> utc(60)
    '1970-01-01T00:01:00+00:00'
    """
    return f"{np.datetime64(int(seconds), 's')}+00:00"


def bar_records(symbol: str, frame: pd.DataFrame) -> NDArray[Any]:
    """Convert a bar frame to bar records.

    Parameters
    ----------
    symbol : str
        For error messages.
    frame : DataFrame
        M1 bars with the columns `BAR_COLUMNS`, any index; ``open_time`` of any resolution, with a time zone.

    Returns
    -------
    ndarray of BAR, shape (n,)

    Raises
    ------
    BarError
        If a column is missing or not numeric, ``open_time`` has no time zone or a value that
        is not a whole second, or the bars belong to a higher timeframe.
    """
    if missing := [name for name in BAR_COLUMNS if name not in frame.columns]:
        raise BarError(f"{symbol}: a bar frame has the columns {', '.join(BAR_COLUMNS)}; missing {', '.join(missing)}")
    bars = np.empty(len(frame), BAR)
    bars["time"] = _seconds(symbol, frame["open_time"])
    for name in BAR_COLUMNS[1:]:
        try:
            bars[name] = frame[name].to_numpy(np.float64)
        except (TypeError, ValueError) as error:
            raise BarError(f"{symbol}: expected numbers in column {name}; {error}") from error
    _check_timeframe(symbol, bars["time"])
    return bars


def lead_records(symbol: str, opens: NDArray[np.int64], rows: pd.DataFrame, layout: Layout) -> NDArray[Any]:
    """Return for each bar the newest row of the symbol's lead known at its close.

    Parameters
    ----------
    symbol : str
        For error messages.
    opens : ndarray of int64, shape (n,)
        Open times of the bars, seconds since 1970 UTC, in order.
    rows : DataFrame
        ``close_time`` and the columns of `layout`, in time order.
    layout : layout
        ``time``, the open of the lead's bar, then the columns.

    Returns
    -------
    ndarray of layout, shape (n,)
        All zero where the lead has no row yet.

    Raises
    ------
    DataError
        If a column is missing, or the rows are not in time order.
    """
    names = (layout.names or ())[1:]
    if missing := [name for name in ("close_time", *names) if name not in rows]:
        raise DataError(f"{symbol}: the rows of its lead lack {', '.join(missing)}; compute them again")
    lead_opens = pd.DatetimeIndex(rows["close_time"]).as_unit("s").asi8 - MINUTE
    if (np.diff(lead_opens) <= 0).any():
        raise DataError(f"{symbol}: expected the rows of its lead in time order, each once; sort them")
    newest = np.searchsorted(lead_opens, opens, "right") - 1
    exists = newest >= 0
    records = np.zeros(len(opens), layout)
    records["time"][exists] = lead_opens[newest[exists]]
    for name in names:
        records[name][exists] = rows[name].to_numpy(np.float64)[newest[exists]]
    return records


def book_records(opens: NDArray[np.int64], books: pd.DataFrame) -> NDArray[Any]:
    """Return for each bar the order book at its close.

    Parameters
    ----------
    opens : ndarray of int64, shape (n,)
        Open times of the bars, seconds since 1970 UTC, in order.
    books : DataFrame
        ``open_time`` of the bar (datetime64, UTC), increasing, and the columns `BOOK_FIELDS`.

    Returns
    -------
    ndarray of BOOK, shape (n,)
        All zero where there is no book.
    """
    times = pd.DatetimeIndex(books["open_time"]).as_unit("s").asi8
    _, bar, book = np.intersect1d(opens, times, return_indices=True)
    records = np.zeros(len(opens), BOOK)
    records["time"][bar] = times[book]
    for name in BOOK_FIELDS:
        records[name][bar] = books[name].to_numpy(np.float64)[book]
    return records


def _seconds(symbol: str, open_time: "pd.Series[Any]") -> NDArray[np.int64]:
    if not isinstance(open_time.dtype, pd.DatetimeTZDtype):
        raise BarError(
            f"{symbol}: expected open_time as datetime64[us, UTC], found {open_time.dtype}; "
            "set the time zone of the times (Series.dt.tz_localize), then convert to UTC"
        )
    micros = open_time.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
    seconds: NDArray[np.int64] = micros // 1_000_000
    rest = micros % 1_000_000
    if rest.any() or open_time.isna().any():
        row = int(np.argmax((rest != 0) | open_time.isna().to_numpy()))
        raise BarError(f"{symbol} row {row}: expected {_EXPECTED[OFF_MINUTE]}, found open_time {open_time.iloc[row]}")
    return seconds


def _check_timeframe(symbol: str, times: NDArray[np.int64], enough: int = 20) -> None:
    """Refuse a frame in which every bar opens on a five-minute mark: its bars are longer than M1."""
    if len(times) >= enough and not (times % (5 * MINUTE)).any():
        raise BarError(
            f"{symbol}: expected M1 bars, found {len(times)} bars which all open on five-minute marks, "
            f"from {utc(times[0])}; give the M1 bars: longer bars are built from them"
        )
