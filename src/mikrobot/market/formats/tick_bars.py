"""Aggregation of ticks and trades to M1 bars, in the clock of their file."""

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError
from mikrobot.market.border import MINUTE_US, Floats, Times
from mikrobot.market.clocks import FileClock
from mikrobot.market.formats.raw import PartOfRows, RawBars
from mikrobot.market.formats.tables import decimals_of
from mikrobot.market.row_origin import RowOrigin, refuse_rows

Flags = NDArray[np.bool_]


def of_quotes(
    times: Times,
    bid: Floats,
    ask: Floats,
    *,
    origin: RowOrigin,
    clock: FileClock | None,
    server: bool = False,
    symbol: str | None = None,
) -> RawBars:
    """Aggregate quotes to bars of the bid.

    The volume of a bar is its number of quotes, its spread the ask minus the bid of its last quote.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        In the clock of the file, microseconds since the epoch.
    bid, ask : ndarray of float64, shape (n,)
        NaN or 0 where a side did not change: its last value holds. Quotes before the first bid are left out.
    origin, clock, server, symbol
        As in `RawBars`.

    Raises
    ------
    BarError
        If there is no bid, or with the first price that is not one, or the first time out of order.
    """
    bid, ask = _held(bid), _held(ask)
    _check_prices(bid, origin, "bid")
    _check_prices(ask, origin, "ask")
    quoted = np.isfinite(bid)
    if not quoted.any():
        raise BarError(f"{origin.name}: no tick has a bid; export the ticks with bid and ask")
    if not quoted.all():
        places = np.flatnonzero(quoted)
        times, bid, ask, origin = times[places], bid[places], ask[places], part(origin, places)
    times, (bid, ask), origin = _oldest_first(times, (bid, ask), origin)
    first, last = _minutes(times, origin)
    return RawBars(
        times[first] // MINUTE_US * MINUTE_US,
        _prices(bid, first, last),
        volume=(last - first + 1).astype(np.float64),
        volume_unit="ticks",
        spread=(ask - bid)[last],
        decimals=decimals_of(bid),
        origin=part(origin, first),
        clock=clock,
        server=server,
        symbol=symbol,
        ticks=len(times),
    )


def of_trades(
    times: Times,
    price: Floats,
    amount: Floats,
    *,
    origin: RowOrigin,
    clock: FileClock | None,
    bought: Flags | None = None,
    count: Floats | None = None,
    server: bool = False,
    symbol: str | None = None,
) -> RawBars:
    """Aggregate trades to bars.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        In the clock of the file, microseconds since the epoch.
    price, amount : ndarray of float64, shape (n,)
        The amount in base units.
    bought : ndarray of bool, shape (n,), or None
        The buyer took the offer; None where unknown.
    count : ndarray of float64, shape (n,), or None
        Trades of each row, where a row sums up several; None: one.
    origin, clock, server, symbol
        As in `RawBars`.

    Raises
    ------
    BarError
        With the first price or amount that is not one, or the first time out of order.
    """
    _check_prices(price, origin, "price", missing=True)
    refuse_rows(~(np.isfinite(amount) & (amount >= 0)), origin, lambda row: f"amount {amount[row]}; expected 0 or more")
    taken = np.full(len(times), np.nan) if bought is None else np.where(bought, amount, 0.0)
    counts = np.ones(len(times)) if count is None else count
    times, (price, amount, taken, counts), origin = _oldest_first(times, (price, amount, taken, counts), origin)
    first, last = _minutes(times, origin)
    volume, taken, trades = (np.add.reduceat(part, first) for part in (amount, taken, counts))
    return RawBars(
        times[first] // MINUTE_US * MINUTE_US,
        _prices(price, first, last),
        volume=volume,
        taker_volume=taken,
        trades=trades,
        decimals=decimals_of(price),
        origin=part(origin, first),
        clock=clock,
        server=server,
        symbol=symbol,
        ticks=len(times),
    )


def part(origin: RowOrigin, places: NDArray[np.int64]) -> RowOrigin:
    """Return the origin of the rows at some places."""
    return RowOrigin(origin.name, PartOfRows(origin.numbers, places), origin.unit)


def _held(prices: Floats) -> Floats:
    """Return prices with the last value where there is none; NaN before the first."""
    there = np.isfinite(prices) & (prices != 0)
    unfilled = np.isnan(prices) | (prices == 0)
    if not unfilled.any():
        return prices
    places = np.maximum.accumulate(np.where(there, np.arange(len(prices)), -1))
    held: Floats = np.where(unfilled, np.where(places < 0, np.nan, prices[places]), prices)
    return held


def _check_prices(prices: Floats, origin: RowOrigin, name: str, *, missing: bool = False) -> None:
    wrong = (prices <= 0) | np.isinf(prices)
    if missing:
        wrong |= np.isnan(prices)
    refuse_rows(wrong, origin, lambda row: f"{name} {prices[row]}; expected a positive number")


def _oldest_first(
    times: Times, columns: tuple[Floats, ...], origin: RowOrigin
) -> tuple[Times, tuple[Floats, ...], RowOrigin]:
    """Return the rows with the oldest first, where the file begins with the newest."""
    if times[0] <= times[-1]:
        return times, columns, origin
    backwards = np.arange(len(times))[::-1]
    return times[backwards], tuple(column[backwards] for column in columns), part(origin, backwards)


def _minutes(times: Times, origin: RowOrigin) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the first and the last row of each minute, in row order.

    A local time that steps back by an hour begins another minute; within a minute times must not fall.
    """
    steps, minutes = np.diff(times), times // MINUTE_US
    changes = np.diff(minutes) != 0
    refuse_rows(
        np.concatenate(([False], (steps < 0) & ~changes)),
        origin,
        lambda row: "its time comes before the one above; sort the rows by time",
    )
    first = np.flatnonzero(np.concatenate(([True], changes)))
    return first, np.concatenate((first[1:], [len(times)])) - 1


def _prices(price: Floats, first: NDArray[np.int64], last: NDArray[np.int64]) -> Floats:
    high, low = np.maximum.reduceat(price, first), np.minimum.reduceat(price, first)
    return np.stack([price[first], high, low, price[last]])
