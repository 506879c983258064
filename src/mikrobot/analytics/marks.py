"""The account at every bar close: closed trades laid over the bars they were held through.

Values open positions, for equity, exposure and excursions, and books every cash entry. Long
positions are marked at bid, short ones at ask; where a bar has no spread, the instrument's typical
one is taken.
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
from mikrobot.analytics.trades import AT_PAR, OpenTrade, unit_value
from mikrobot.domain.market import instrument
from mikrobot.domain.trading import Fill, FillReason, Side, Trade

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
        M1 bar frame of the traded span by symbol. A trade of a symbol without bars moves the
        equity when it closes only.
    opening : Decimal
        Balance before the first trade, account currency.
    held : sequence of OpenTrade
        Positions still open after the last bar, valued to the end.
    charges : sequence of Charge
        Cash entries beside the fills; slippage among them moves nothing.

    Returns
    -------
    DataFrame
        equity, nav (equity as if nothing had been paid in or out after the opening: what returns and
        drawdowns are computed from), open (number of positions), notional (gross, account currency),
        float64; index the close times, and those of exits, charges and open entries beside them;
        UTC, strictly increasing.
    """
    quotes = {symbol: _quotes(symbol, frame) for symbol, frame in bars.items() if len(frame)}
    positions: list[Trade | OpenTrade] = [*trades, *held]
    entered, left = _instants([each.entry for each in positions]), _instants([trade.exit for trade in trades])
    closed = (each.opens + _MINUTE for each in quotes.values())
    charged = np.array([_instant(charge.at) for charge in charges if charge.is_cash], np.int64)
    times = np.unique(np.concatenate([*closed, left, entered[len(trades) :], charged]))
    starts = np.searchsorted(times, entered)
    ends = np.concatenate([np.searchsorted(times, left), np.full(len(held), len(times), np.int64)])
    closes = {symbol: _as_of(each, times) for symbol, each in quotes.items()}
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
    """Return the unrealised profit and the notional of positions at each mark, account currency."""
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
            unit = unit / price if instrument(symbol).base in AT_PAR else 0.0 * price
        worth += np.bincount(at, (price - entry) * unit * side.sign, count)
        notional += np.bincount(at, price * unit, count)
    return worth, notional


def _unit(position: Trade | OpenTrade) -> float:
    """Return what a move of the price by 1 is worth: to a trade in account currency, to an open position in quote's."""
    if isinstance(position, Trade):
        return float(unit_value(position) or 0)
    return float(position.entry.lots * instrument(position.order.symbol).lot)


def _without_deposits(equity: pd.Series, charges: Sequence[Charge]) -> pd.Series:
    """Return the equity as it would have grown had nothing been paid in or out."""
    nav = equity.copy()
    for charge in charges:
        if charge.kind == DEPOSIT:
            since = equity.index >= pd.Timestamp(charge.at)
            after = float(equity[since].iloc[0])
            if after > 0:
                nav[since] *= (after + float(charge.amount)) / after
    return nav


def excursions(trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame]) -> list[Excursion | None]:
    """Measure each trade's excursions over the bars from its entry to the one before its exit.

    Within the bar of a stop or target nobody knows what came first, so of that bar the exit price
    alone counts. None where there are no bars or no stop behind the entry.
    """
    found: list[Excursion | None] = [None] * len(trades)
    for symbol, frame in bars.items():
        places = [place for place, trade in enumerate(trades) if trade.order.symbol == symbol]
        if places and len(frame):
            measured = _excursions([trades[place] for place in places], _quotes(symbol, frame))
            for place, each in zip(places, measured, strict=True):
                found[place] = each
    return found


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
    """Return the bars of a symbol, with closes and spreads on the tick grid as the accounts are marked."""
    known, spread = instrument(symbol), frame["spread"].to_numpy("float64")
    tick = float(known.tick)
    quoted = np.ceil(np.round(np.where(spread >= 0, spread, float(known.spread)) / tick, 6)) * tick
    return _Quotes(
        opens=frame["open_time"].dt.as_unit("us").astype("int64").to_numpy(),
        low=frame["low"].to_numpy("float64"),
        high=frame["high"].to_numpy("float64"),
        close=np.round(frame["close"].to_numpy("float64") / tick) * tick,
        ask=quoted,
    )


def _cash(trades: Sequence[Trade], held: Sequence[OpenTrade], charges: Sequence[Charge]) -> list[tuple[int, Decimal]]:
    """Return every cash entry with its instant, in order of time: fees at the fills, results at the exits, charges."""
    entered = [*(trade.entry for trade in trades), *(holding.entry for holding in held)]
    entries = [(_instant(fill.filled_at), -fill.fee) for fill in entered]
    entries += [(_instant(trade.exit.filled_at), trade.exit.pnl - trade.exit.fee) for trade in trades]
    entries += [(_instant(charge.at), -charge.amount) for charge in charges if charge.is_cash]
    return sorted(entries)


def _booked(entries: Sequence[tuple[int, Decimal]], times: Instants) -> Floats:
    """Return the cash booked by each of the times."""
    total, cash = Decimal(0), [0.0]
    for _, amount in entries:
        total += amount
        cash.append(float(total))
    booked = np.searchsorted(np.array([at for at, _ in entries], np.int64), times, "right")
    return np.array(cash)[booked]


def _as_of(quotes: _Quotes, times: Instants) -> dict[Side, Floats]:
    """Return, by the side of a position, the price it could be closed at by each of the times; NaN before the first."""
    last = np.searchsorted(quotes.opens + _MINUTE, times, "right") - 1
    bid = np.where(last >= 0, quotes.close[last], np.nan)
    return {Side.BUY: bid, Side.SELL: bid + quotes.ask[last]}


def _excursions(trades: Sequence[Trade], quotes: _Quotes) -> list[Excursion | None]:
    """Measure the excursions of trades of one symbol."""
    entered, left = (_instants(fills) for fills in ([t.entry for t in trades], [t.exit for t in trades]))
    first = np.maximum(np.searchsorted(quotes.opens, entered, "right") - 1, 0)
    closed = quotes.opens + _MINUTE
    # left at an open, so the bar before it was held to its end
    whole = np.array([trade.exit.reason is FillReason.TIME for trade in trades])
    beyond = np.where(whole, np.searchsorted(closed, left, "right"), np.searchsorted(closed, left, "left"))
    reached = {
        side: (
            _over(np.minimum, quotes.low + ask, first, beyond, none=np.inf),
            _over(np.maximum, quotes.high + ask, first, beyond, none=-np.inf),
        )
        for side, ask in ((Side.BUY, 0.0), (Side.SELL, quotes.ask))
    }
    found: list[Excursion | None] = []
    for place, trade in enumerate(trades):
        sign, entry, out = trade.order.side.sign, float(trade.entry.price), float(trade.exit.price)
        risk = (entry - float(trade.order.stop)) * sign
        lows, highs = reached[trade.order.side]
        fell = entry - min(entry, out, float(lows[place]))
        rose = max(entry, out, float(highs[place])) - entry
        against, towards = (fell, rose) if sign > 0 else (rose, fell)
        found.append(Excursion(against / risk, towards / risk) if risk > 0 else None)
    return found


def _over(extreme: np.ufunc, values: Floats, first: Instants, beyond: Instants, *, none: float) -> Floats:
    """Return the extreme of the values in each of the spans from `first` to before `beyond`."""
    if not len(first):
        return np.empty(0)
    bounds = np.column_stack([first, np.maximum(beyond, first)]).ravel()
    found = extreme.reduceat(np.append(values, none), bounds)[::2]
    return np.where(beyond > first, found, none)


def _instants(fills: Sequence[Fill]) -> Instants:
    return np.array([_instant(fill.filled_at) for fill in fills], np.int64)


def _instant(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
