"""The account at every bar close: closed trades laid over the bars they were held through.

Values open positions, for equity, exposure and excursions. Long positions are marked at bid,
short ones at ask; where a bar has no spread, the instrument's typical one is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.analytics.trades import unit_value
from mikrobot.domain.market import instrument
from mikrobot.domain.trading import FillReason, Side, Trade

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]
"""Microseconds since 1970, UTC."""

_MINUTE = 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Excursion:
    """How far the price went against and for a trade while it was open.

    Attributes
    ----------
    adverse, favourable : float
        0 or positive; in R, the distance from the entry to the first stop.
    """

    adverse: float
    favourable: float


@dataclass(frozen=True, slots=True)
class _Quotes:
    """Bars of one symbol as arrays; `opens` are open times, `ask` is what is added to a bid."""

    opens: Instants
    low: Floats
    high: Floats
    close: Floats
    ask: Floats


def marked(trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame], opening: Decimal) -> pd.DataFrame:
    """Mark the account to market at the close of every bar.

    Parameters
    ----------
    trades : sequence of Trade
    bars : mapping of str to DataFrame
        M1 bar frame of the traded span by symbol. A trade of a symbol without bars moves the
        equity when it closes only.
    opening : Decimal
        Balance before the first trade, account currency.

    Returns
    -------
    DataFrame
        equity, open (number of positions), notional (gross, account currency), float64; index
        the close times, and those of exits after the last bar; UTC, strictly increasing.
    """
    quotes = {symbol: _quotes(symbol, frame) for symbol, frame in bars.items() if len(frame)}
    exits = np.array([_instant(trade.exit.filled_at) for trade in trades], np.int64)
    times = np.unique(np.concatenate([*(each.opens + _MINUTE for each in quotes.values()), exits]))
    equity = float(opening) + _booked(trades, times)
    count, notional = np.zeros(len(times)), np.zeros(len(times))
    closes = {symbol: _as_of(each, times) for symbol, each in quotes.items()}
    for trade in trades:
        held = _between(times, trade)
        count[held] += 1
        value = unit_value(trade)
        if trade.order.symbol in closes and value is not None:
            bid, ask = closes[trade.order.symbol]
            price = bid[held] if trade.order.side is Side.BUY else ask[held]
            moved = np.nan_to_num(price - float(trade.entry.price))
            equity[held] += moved * (trade.order.side.sign * float(value))
            notional[held] += (moved + float(trade.entry.price)) * float(value)
    index = pd.to_datetime(times, unit="us", utc=True)
    return pd.DataFrame({"equity": equity, "open": count, "notional": notional}, index=index)


def excursions(trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame]) -> list[Excursion | None]:
    """Measure each trade's excursions over the bars from its entry to the one before its exit.

    Within the bar of a stop or target nobody knows what came first, so of that bar the exit price
    alone counts. None where there are no bars or no stop behind the entry.
    """
    quotes = {symbol: _quotes(symbol, frame) for symbol, frame in bars.items() if len(frame)}
    return [_excursion(trade, quotes.get(trade.order.symbol)) for trade in trades]


def spread_cost(trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame]) -> Decimal:
    """Return what the spread has cost, account currency, to the cent; it is inside the prices already.

    A long position pays it at the entry, a short one at the exit, as wide as in that bar.
    """
    quotes = {symbol: _quotes(symbol, frame) for symbol, frame in bars.items() if len(frame)}
    paid = 0.0
    for trade in trades:
        each, value = quotes.get(trade.order.symbol), unit_value(trade)
        at = trade.entry if trade.order.side is Side.BUY else trade.exit
        width = float(instrument(trade.order.symbol).spread)
        if each is not None:
            position = int(np.searchsorted(each.opens, _instant(at.filled_at), "right")) - 1
            width = float(each.ask[max(position, 0)])
        paid += width * float(value or 0)
    return Decimal(paid).quantize(Decimal("0.01"))


def notional_traded(trades: Sequence[Trade]) -> float:
    """Return the notional of every fill, account currency."""
    return sum(
        float(fill.price) * float(unit_value(trade) or 0) for trade in trades for fill in (trade.entry, trade.exit)
    )


def _quotes(symbol: str, frame: pd.DataFrame) -> _Quotes:
    spread = frame["spread"].to_numpy("float64")
    return _Quotes(
        opens=frame["open_time"].dt.as_unit("us").astype("int64").to_numpy(),
        low=frame["low"].to_numpy("float64"),
        high=frame["high"].to_numpy("float64"),
        close=frame["close"].to_numpy("float64"),
        ask=np.where(np.isnan(spread), float(instrument(symbol).spread), spread),
    )


def _booked(trades: Sequence[Trade], times: Instants) -> Floats:
    """Return the cash booked by each of the times: fees at the fills, results at the exits."""
    fills = sorted(
        [(_instant(trade.entry.filled_at), -trade.entry.fee) for trade in trades]
        + [(_instant(trade.exit.filled_at), trade.exit.pnl - trade.exit.fee) for trade in trades]
    )
    total, cash = Decimal(0), [0.0]
    for _, amount in fills:
        total += amount
        cash.append(float(total))
    booked = np.searchsorted(np.array([at for at, _ in fills], np.int64), times, "right")
    return np.array(cash)[booked]


def _as_of(quotes: _Quotes, times: Instants) -> tuple[Floats, Floats]:
    """Return the last bid and ask closed by each of the times; NaN before the first."""
    last = np.searchsorted(quotes.opens + _MINUTE, times, "right") - 1
    known = last >= 0
    bid = np.where(known, quotes.close[last], np.nan)
    return bid, bid + quotes.ask[last]


def _between(times: Instants, trade: Trade) -> slice:
    """Return the times at which a trade was open: from its entry to just before its exit."""
    start, end = np.searchsorted(times, [_instant(trade.entry.filled_at), _instant(trade.exit.filled_at)], "left")
    return slice(int(start), int(end))


def _excursion(trade: Trade, quotes: _Quotes | None) -> Excursion | None:
    sign, entry, left = trade.order.side.sign, float(trade.entry.price), float(trade.exit.price)
    risk = (entry - float(trade.order.stop)) * sign
    if quotes is None or risk <= 0:
        return None
    first = max(int(np.searchsorted(quotes.opens, _instant(trade.entry.filled_at), "right")) - 1, 0)
    closed = quotes.opens + _MINUTE
    whole = trade.exit.reason is FillReason.TIME  # left at an open, so the bar before it was held to its end
    beyond = int(np.searchsorted(closed, _instant(trade.exit.filled_at), "right" if whole else "left"))
    low, high = min(entry, left), max(entry, left)
    if beyond > first:
        ask = quotes.ask[first:beyond] if trade.order.side is Side.SELL else 0.0
        low = min(low, float((quotes.low[first:beyond] + ask).min()))
        high = max(high, float((quotes.high[first:beyond] + ask).max()))
    fell, rose = (entry - low) / risk, (high - entry) / risk
    return Excursion(fell, rose) if sign > 0 else Excursion(rose, fell)


def _instant(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
