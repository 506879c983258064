"""The account at every bar close: closed trades laid over the bars they were held through.

Values open positions, for equity, exposure and excursions, and books every cash entry. Long
positions are marked at bid, short ones at ask; where a bar has no spread, the instrument's typical
one is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.analytics.charges import DEPOSIT, Charge
from mikrobot.analytics.trades import AT_PAR, Holding, unit_value
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
    held: Sequence[Holding] = (),
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
    held : sequence of Holding
        Positions still open after the last bar, valued to the end.
    charges : sequence of Charge
        Cash entries beside the fills; slippage among them moves nothing.

    Returns
    -------
    DataFrame
        equity, nav (equity as if nothing had been paid in or out after the opening: what returns and
        drawdowns are computed from), open (number of positions), notional (gross, account currency),
        float64; index the close times, and those of exits, charges and open entries beside them; UTC, strictly
        increasing.
    """
    quotes = {symbol: _quotes(symbol, frame) for symbol, frame in bars.items() if len(frame)}
    entered, left = (_instants(trades, which) for which in (_ENTRY, _EXIT))
    cash = _cash(trades, held, charges)
    closed = (each.opens + _MINUTE for each in quotes.values())
    beside = [charge.at for charge in charges if charge.is_cash] + [holding.entry.filled_at for holding in held]
    times = np.unique(np.concatenate([*closed, left, np.array([_instant(at) for at in beside], np.int64)]))
    account = _Valued(float(opening) + _booked(cash, times), np.zeros(len(times)), np.zeros(len(times)))
    closes = {symbol: _as_of(each, times) for symbol, each in quotes.items()}
    starts, ends = np.searchsorted(times, entered).tolist(), np.searchsorted(times, left).tolist()
    for trade, start, end in zip(trades, starts, ends, strict=True):
        account.hold(trade, closes.get(trade.order.symbol), slice(start, end))
    for holding in held:
        start = int(np.searchsorted(times, _instant(holding.entry.filled_at)))
        account.hold(holding, closes.get(holding.order.symbol), slice(start, len(times)))
    index = pd.to_datetime(times, unit="us", utc=True)
    columns = {"equity": account.equity, "open": account.count, "notional": account.notional}
    found = pd.DataFrame(columns, index=index)
    found.insert(1, "nav", _without_deposits(found["equity"], charges))
    return found


@dataclass(frozen=True, slots=True)
class _Valued:
    """An account at its marks, to which positions are added one by one."""

    equity: Floats
    count: Floats
    notional: Floats

    def hold(self, position: Trade | Holding, closes: dict[Side, Floats] | None, at: slice) -> None:
        """Add a position that is open at these marks; without closes it is counted alone."""
        self.count[at] += 1
        if closes is None:
            return
        order, entry = position.order, float(position.entry.price)
        moved = closes[order.side][at] - entry
        moved[np.isnan(moved)] = 0.0
        value = _value(position, moved + entry)
        self.equity[at] += moved * (order.side.sign * value)
        self.notional[at] += (moved + entry) * value


def _value(position: Trade | Holding, price: Floats) -> Floats | float:
    """Return what a move of the price by 1 is worth to a position, account currency; 0 where that is unknown."""
    if isinstance(position, Trade):
        return float(unit_value(position) or 0)
    known = instrument(position.order.symbol)
    size = float(position.entry.lots * known.lot)
    if known.quote in AT_PAR:
        return size
    return size / price if known.base in AT_PAR else 0.0


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


def _cash(trades: Sequence[Trade], held: Sequence[Holding], charges: Sequence[Charge]) -> list[tuple[int, Decimal]]:
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
    entered, left = (_instants(trades, which) for which in (_ENTRY, _EXIT))
    first = np.maximum(np.searchsorted(quotes.opens, entered, "right") - 1, 0)
    closed = quotes.opens + _MINUTE
    # left at an open, so the bar before it was held to its end
    whole = np.array([trade.exit.reason is FillReason.TIME for trade in trades])
    beyond = np.where(whole, np.searchsorted(closed, left, "right"), np.searchsorted(closed, left, "left"))
    reached = {
        side: (
            _over(np.minimum, quotes.low + ask, first, beyond, np.inf),
            _over(np.maximum, quotes.high + ask, first, beyond, -np.inf),
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


def _over(extreme: np.ufunc, values: Floats, first: Instants, beyond: Instants, none: float) -> Floats:
    """Return the extreme of the values in each of the spans from `first` to before `beyond`."""
    if not len(first):
        return np.empty(0)
    bounds = np.column_stack([first, np.maximum(beyond, first)]).ravel()
    found = extreme.reduceat(np.append(values, none), bounds)[::2]
    return np.where(beyond > first, found, none)


def _instants(trades: Sequence[Trade], which: Callable[[Trade], Fill]) -> Instants:
    return np.array([_instant(which(trade).filled_at) for trade in trades], np.int64)


_ENTRY, _EXIT = attrgetter("entry"), attrgetter("exit")


def _instant(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
