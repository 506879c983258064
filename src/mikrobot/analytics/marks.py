"""Mark to market of an account at every bar close, and the excursions of its trades.

Values open positions and books every cash entry. Long positions are marked at the bid, short positions
at the ask. If a bar has no spread, the typical spread of the instrument is used.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.analytics.charges import DEPOSIT, Charge
from mikrobot.analytics.trades import OpenTrade, unit_value
from mikrobot.domain.instruments.rates import rate_symbol
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.instruments.shapes import AT_PAR
from mikrobot.domain.trading import Fill, FillReason, Side, Trade

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]
"""Microseconds since 1970, UTC."""

_MINUTE = 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Excursion:
    """The largest move of the price against and in favour of a trade while it was open.

    Attributes
    ----------
    adverse, favourable : float
        0 or positive; in R, the distance from the entry to the first stop.
    """

    adverse: float
    favourable: float


@dataclass(frozen=True, slots=True)
class _Quotes:
    """Bars of one symbol as arrays; `opens` are open times, `ask` is the spread to add to a bid."""

    opens: Instants
    low: Floats
    high: Floats
    close: Floats
    ask: Floats


def marked(
    trades: Sequence[Trade],
    bars: Mapping[str, pd.DataFrame],
    opening: Decimal,
    held: Sequence[OpenTrade] = (),
    *,
    charges: Sequence[Charge] = (),
) -> pd.DataFrame:
    """Mark the account to market at the close of every bar.

    Parameters
    ----------
    trades : sequence of Trade
    bars : mapping of str to DataFrame
        M1 bar frame of the traded span by symbol. A trade of a symbol without bars changes the
        equity only when it closes.
    opening : Decimal
        Balance before the first trade, account currency.
    held : sequence of OpenTrade
        Positions still open after the last bar, valued up to it.
    charges : sequence of Charge
        Cash entries that no fill records; slippage among them is ignored.

    Returns
    -------
    DataFrame
        equity, nav (equity without deposits and withdrawals after the opening, the basis of returns and
        drawdowns), open (number of positions), notional (gross, account currency); float64. Index: bar
        close times and the times of exits, charges and entries of open positions; UTC, strictly
        increasing.
    """
    quotes = {symbol: _quotes(symbol, frame) for symbol, frame in bars.items() if len(frame)}
    positions: list[Trade | OpenTrade] = [*trades, *held]
    entered, left = _instants([position.entry for position in positions]), _instants([trade.exit for trade in trades])
    closed = (symbol_quotes.opens + _MINUTE for symbol_quotes in quotes.values())
    charged = np.array([_instant(charge.at) for charge in charges if charge.is_cash], np.int64)
    times = np.sort(np.concatenate([*closed, left, entered[len(trades) :], charged]), kind="stable")
    times = times[np.diff(times, prepend=times[:1] - 1) > 0]  # np.unique takes ten times as long on sorted parts
    starts = np.searchsorted(times, entered)
    ends = np.concatenate([np.searchsorted(times, left), np.full(len(held), len(times), np.int64)])
    closes = {symbol: _as_of(symbol_quotes, times) for symbol, symbol_quotes in quotes.items()}
    worth, notional = _open_at(positions, starts, np.maximum(starts, ends), closes, count=len(times))
    counted = np.bincount(starts, minlength=len(times) + 1) - np.bincount(ends, minlength=len(times) + 1)
    equity = pd.Series(
        float(opening) + _booked(_cash(trades, held, charges), times) + worth,
        pd.to_datetime(times, unit="us", utc=True),
    )
    columns = {
        "equity": equity,
        "nav": _without_deposits(equity, charges),
        "open": np.cumsum(counted)[:-1].astype("float64"),
        "notional": notional,
    }
    return pd.DataFrame(columns, equity.index)


def _open_at(
    positions: Sequence[Trade | OpenTrade],
    starts: Instants,
    ends: Instants,
    closes: Mapping[str, dict[Side, Floats]],
    *,
    count: int,
) -> tuple[Floats, Floats]:
    """Return the unrealised profit and the notional of all positions at each mark, account currency."""
    worth, notional = np.zeros(count), np.zeros(count)
    alike: dict[tuple[str, Side, bool], list[int]] = defaultdict(list)
    for place, position in enumerate(positions):
        if position.order.symbol in closes:
            alike[position.order.symbol, position.order.side, isinstance(position, Trade)].append(place)
    for (symbol, side, is_closed), places in alike.items():
        lengths = (ends - starts)[places]
        at = np.repeat(starts[places] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        entry = np.repeat([float(positions[place].entry.price) for place in places], lengths)
        price = closes[symbol][side][at]
        price = np.where(np.isnan(price), entry, price)
        unit = np.repeat([_unit(positions[place]) for place in places], lengths)
        if not is_closed and instrument(symbol).quote not in AT_PAR:
            unit = unit / price if instrument(symbol).base in AT_PAR else unit * _rate(symbol, closes, at)
        worth += np.bincount(at, (price - entry) * unit * side.sign, count)
        notional += np.bincount(at, price * unit, count)
    return worth, notional


def _rate(symbol: str, closes: Mapping[str, dict[Side, Floats]], at: Instants) -> Floats:
    """Return the dollars for one unit of the quote currency at marks; 0 where no bar converts it."""
    other = rate_symbol(symbol, closes)
    if other is None:
        return np.zeros(len(at))
    price = closes[other][Side.BUY][at]
    return np.nan_to_num(price if instrument(other).quote in AT_PAR else 1 / price)


def _unit(position: Trade | OpenTrade) -> float:
    """Return the value of a price move of 1: account currency for a trade, quote currency for an open position."""
    if isinstance(position, Trade):
        return float(unit_value(position) or 0)
    return float(position.entry.lots * instrument(position.order.symbol).lot)


def _without_deposits(equity: pd.Series, charges: Sequence[Charge]) -> pd.Series:
    """Return the equity without the effect of deposits and withdrawals."""
    nav = equity.copy()
    for charge in charges:
        if charge.kind == DEPOSIT:
            since = equity.index >= pd.Timestamp(charge.at)
            after = float(equity[since].iloc[0])
            if after > 0:
                nav[since] *= (after + float(charge.amount)) / after
    return nav


def excursions(trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame]) -> list[Excursion | None]:
    """Measure the excursions of each trade over the bars from its entry bar to the bar before its exit bar.

    The order of prices within the bar of a stop or target is unknown, so only the exit price of that bar
    counts. None if there are no bars or no stop behind the entry.
    """
    measured: list[Excursion | None] = [None] * len(trades)
    for symbol, frame in bars.items():
        places = [place for place, trade in enumerate(trades) if trade.order.symbol == symbol]
        if places and len(frame):
            of_symbol = _excursions([trades[place] for place in places], _quotes(symbol, frame))
            for place, excursion in zip(places, of_symbol, strict=True):
                measured[place] = excursion
    return measured


def spread_cost(trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame]) -> Decimal:
    """Return the total spread cost, account currency, to the cent; the fill prices already include it.

    A long position pays the spread of its entry bar, a short position that of its exit bar. A fill by an order
    book pays the distance from the best bid of the book to the levels that it took instead.
    """
    quotes = {symbol: _quotes(symbol, frame) for symbol, frame in bars.items() if len(frame)}
    paid = 0.0
    for trade in trades:
        symbol_quotes, value = quotes.get(trade.order.symbol), unit_value(trade)
        paid += sum(_spread_of(fill, symbol_quotes) for fill in (trade.entry, trade.exit)) * float(value or 0)
    return Decimal(paid).quantize(Decimal("0.01"))


def notional_traded(trades: Sequence[Trade]) -> float:
    """Return the total notional of all fills, account currency."""
    return sum(
        float(fill.price) * float(unit_value(trade) or 0) for trade in trades for fill in (trade.entry, trade.exit)
    )


def _spread_of(fill: Fill, quotes: _Quotes | None) -> float:
    """Return the price by which a fill paid for the spread: that of the book it took, or of its bar if it is a buy."""
    if fill.spread is not None:
        return float(fill.spread)
    if fill.side is Side.SELL:
        return 0.0
    if quotes is None:
        return float(instrument(fill.symbol).spread)
    position = int(np.searchsorted(quotes.opens, _instant(fill.filled_at), "right")) - 1
    return float(quotes.ask[max(position, 0)])


def _quotes(symbol: str, frame: pd.DataFrame) -> _Quotes:
    """Return the bars of a symbol; closes and spreads are rounded to ticks, as in the marks of the accounts."""
    traded, spread = instrument(symbol), frame["spread"].to_numpy("float64")
    tick = float(traded.tick)
    quoted = np.ceil(np.round(np.where(spread >= 0, spread, float(traded.spread)) / tick, 6)) * tick
    return _Quotes(
        opens=frame["open_time"].dt.as_unit("us").astype("int64").to_numpy(),
        low=frame["low"].to_numpy("float64"),
        high=frame["high"].to_numpy("float64"),
        close=np.round(frame["close"].to_numpy("float64") / tick) * tick,
        ask=quoted,
    )


def _cash(trades: Sequence[Trade], held: Sequence[OpenTrade], charges: Sequence[Charge]) -> list[tuple[int, Decimal]]:
    """Return every cash entry in order of time: fees at the fills, results at the exits, charges."""
    entered = [*(trade.entry for trade in trades), *(holding.entry for holding in held)]
    entries = [(_instant(fill.filled_at), -fill.fee) for fill in entered]
    entries += [(_instant(trade.exit.filled_at), trade.exit.pnl - trade.exit.fee) for trade in trades]
    entries += [(_instant(charge.at), -charge.amount) for charge in charges if charge.is_cash]
    return sorted(entries)


def _booked(entries: Sequence[tuple[int, Decimal]], times: Instants) -> Floats:
    """Return the total cash booked up to each time."""
    total, cash = Decimal(0), [0.0]
    for _, amount in entries:
        total += amount
        cash.append(float(total))
    booked = np.searchsorted(np.array([at for at, _ in entries], np.int64), times, "right")
    return np.array(cash)[booked]


def _as_of(quotes: _Quotes, times: Instants) -> dict[Side, Floats]:
    """Return by position side the price for closing it at each time; NaN before the first bar."""
    last = np.searchsorted(quotes.opens + _MINUTE, times, "right") - 1
    bid = np.where(last >= 0, quotes.close[last], np.nan)
    return {Side.BUY: bid, Side.SELL: bid + quotes.ask[last]}


def _excursions(trades: Sequence[Trade], quotes: _Quotes) -> list[Excursion | None]:
    """Measure the excursions of trades in one symbol."""
    entered, left = (_instants(fills) for fills in ([t.entry for t in trades], [t.exit for t in trades]))
    first = np.maximum(np.searchsorted(quotes.opens, entered, "right") - 1, 0)
    closed = quotes.opens + _MINUTE
    # an exit on request is at a bar open, so the trade was held to the end of the bar before
    whole = np.array([trade.exit.reason in (FillReason.TIME, FillReason.FLATTEN) for trade in trades])
    beyond = np.where(whole, np.searchsorted(closed, left, "right"), np.searchsorted(closed, left, "left"))
    reached = {
        side: (
            _over(np.minimum, quotes.low + ask, first, beyond, none=np.inf),
            _over(np.maximum, quotes.high + ask, first, beyond, none=-np.inf),
        )
        for side, ask in ((Side.BUY, 0.0), (Side.SELL, quotes.ask))
    }
    measured: list[Excursion | None] = []
    for place, trade in enumerate(trades):
        sign, entry, out = trade.order.side.sign, float(trade.entry.price), float(trade.exit.price)
        risk = (entry - float(trade.order.stop)) * sign
        lows, highs = reached[trade.order.side]
        fell = entry - min(entry, out, float(lows[place]))
        rose = max(entry, out, float(highs[place])) - entry
        against, towards = (fell, rose) if sign > 0 else (rose, fell)
        measured.append(Excursion(against / risk, towards / risk) if risk > 0 else None)
    return measured


def _over(extreme: np.ufunc, values: Floats, first: Instants, beyond: Instants, *, none: float) -> Floats:
    """Return the extreme value in each span from `first` up to but not including `beyond`; `none` for an empty span."""
    if not len(first):
        return np.empty(0)
    bounds = np.column_stack([first, np.maximum(beyond, first)]).ravel()
    extremes = extreme.reduceat(np.append(values, none), bounds)[::2]
    return np.where(beyond > first, extremes, none)


def _instants(fills: Sequence[Fill]) -> Instants:
    return np.array([_instant(fill.filled_at) for fill in fills], np.int64)


def _instant(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
