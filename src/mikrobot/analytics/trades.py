"""What closed trades earned: figures over ledger records. Money is Decimal, shares are float.

Computes from what was recorded; does not price open positions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from statistics import fmean, median
from typing import Any

import pandas as pd

from mikrobot.analytics.figures import Figure, shortfall
from mikrobot.analytics.returns import drawdowns
from mikrobot.domain.errors import DataError
from mikrobot.domain.market import instrument
from mikrobot.domain.trading import Fill, FillReason, OrderIntent, Trade

ZERO = Decimal(0)

SESSIONS = ((0, "Tokyo"), (8, "London"), (13, "London and New York"), (16, "New York"), (21, "Sydney"), (23, "Tokyo"))
"""The hour, UTC, from which a session is counted; winter and summer alike."""

AT_PAR = ("USD", "USDT")
"""Currencies that count as the account's."""


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of a set of closed trades.

    A trade's result is net: price difference less both fees.

    Attributes
    ----------
    trades : int
    pnl : Decimal
        Sum of the net results, account currency.
    fees : Decimal
        Paid on these trades, positive, already taken off `pnl`.
    max_drawdown : Decimal
        The largest drawdown in account currency, 0 or positive.
    max_drawdown_pct : float
        The same in percent of the peak it started from: the figure `max_drawdown`.
    win_rate : float or None
        Trades with a positive result over all trades; None without trades.
    profit_factor : float or None
        Sum of the positive results over the sum of the negative ones, unsigned; None where
        nothing was lost.
    expectancy_r : float or None
        Mean net result in R, the loss at the trade's first stop; None where no trade has one.
    ambiguous_share : float or None
        Trades whose bar held both stop and target, so that the stop was assumed, over all
        trades; None without trades.
    """

    trades: int
    pnl: Decimal
    fees: Decimal
    max_drawdown: Decimal
    max_drawdown_pct: float
    win_rate: float | None
    profit_factor: float | None
    expectancy_r: float | None
    ambiguous_share: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain JSON values, money as text."""
        return {name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class OpenTrade:
    """A position that is still open."""

    order: OrderIntent
    entry: Fill


def closed_trades(orders: Iterable[OrderIntent], fills: Iterable[Fill]) -> tuple[Trade, ...]:
    """Pair entry and exit fills by their order, in order of exit; open positions are left out.

    Raises
    ------
    DataError
        If an exit has no entry or no order, or an order was entered or left twice.
    """
    known = {order.id: order for order in orders}
    entries: dict[str, Fill] = {}
    exits: dict[str, Fill] = {}
    for fill in fills:
        side = entries if fill.reason is FillReason.ENTRY else exits
        if fill.order_id in side:
            raise DataError(f"order {fill.order_id} ({fill.symbol}) has two {fill.reason.value} fills in the ledger")
        side[fill.order_id] = fill
    if orphans := sorted(exits.keys() - (entries.keys() & known.keys())):
        raise DataError(f"exit fills without an entry or an order in the ledger: {', '.join(orphans)}")
    trades = [Trade(known[order_id], entries[order_id], fill) for order_id, fill in exits.items()]
    return tuple(sorted(trades, key=lambda trade: (trade.exit.filled_at, trade.order.id)))


def open_positions(orders: Iterable[OrderIntent], fills: Iterable[Fill]) -> tuple[OpenTrade, ...]:
    """Return what `closed_trades` leaves out: entries without an exit, in order of entry."""
    known, entered = {order.id: order for order in orders}, dict[str, Fill]()
    for fill in fills:
        if fill.reason is FillReason.ENTRY:
            entered[fill.order_id] = fill
        else:
            entered.pop(fill.order_id, None)
    return tuple(OpenTrade(known[order_id], fill) for order_id, fill in entered.items())


def balances(trades: Sequence[Trade], opening: Decimal) -> tuple[tuple[datetime, Decimal], ...]:
    """Return the realised balance after each trade, at the instant it closed, in order of time."""
    curve = []
    balance = opening
    for trade in sorted(trades, key=lambda trade: trade.exit.filled_at):
        balance += trade.pnl
        curve.append((trade.exit.filled_at, balance))
    return tuple(curve)


def performance(trades: Sequence[Trade], opening: Decimal, equity: pd.Series | None = None) -> Performance:
    """Judge closed trades.

    Parameters
    ----------
    trades : sequence of Trade
    opening : Decimal
        Balance before the first of them, positive, account currency.
    equity : Series of float, optional
        The account of these trades at its marks, for the drawdown; by default it is marked at each
        exit, as it is without bars.
    """
    results = [trade.pnl for trade in trades]
    won, lost = _total(r for r in results if r > 0), -_total(r for r in results if r < 0)
    fall, fall_pct = _drawdown(_realised(trades, opening) if equity is None else equity, float(opening))
    count = len(trades)
    in_r = [r for r in map(r_multiple, trades) if r is not None]
    return Performance(
        trades=count,
        pnl=won - lost,
        fees=_total(trade.entry.fee + trade.exit.fee for trade in trades),
        max_drawdown=fall,
        max_drawdown_pct=fall_pct,
        win_rate=sum(r > 0 for r in results) / count if count else None,
        profit_factor=float(won / lost) if lost else None,
        expectancy_r=fmean(in_r) if in_r else None,
        ambiguous_share=sum(trade.exit.ambiguous for trade in trades) / count if count else None,
    )


def grouped(
    trades: Sequence[Trade],
    group: Callable[[Trade], str],
    opening: Decimal,
    mark: Callable[[Sequence[Trade]], pd.Series] | None = None,
) -> dict[str, Performance]:
    """Judge the trades of each group as if it had the account to itself, groups in order of name.

    Parameters
    ----------
    trades : sequence of Trade
    group : callable
        Names the group of a trade, as `by_symbol` and `by_session` do.
    opening : Decimal
    mark : callable, optional
        Gives the equity of an account with these trades alone, as `performance` takes it.
    """
    groups: dict[str, list[Trade]] = defaultdict(list)
    for trade in trades:
        groups[group(trade)].append(trade)
    return {
        name: performance(groups[name], opening, None if mark is None else mark(groups[name]))
        for name in sorted(groups)
    }


def by_symbol(trade: Trade) -> str:
    """Return the symbol traded."""
    return trade.order.symbol


def by_session(trade: Trade) -> str:
    """Return the session of the entry, by the hour of `SESSIONS`."""
    hour = trade.entry.filled_at.hour
    return next(name for start, name in reversed(SESSIONS) if hour >= start)


def by_exit(trade: Trade) -> str:
    """Return what ended the trade."""
    return trade.exit.reason.value


def unit_value(trade: Trade) -> Decimal | None:
    """Return what a move of the price by 1 is worth to the position, account currency, at its exit.

    The account is in dollars. A pair without the dollar is valued by what the trade itself
    realised; None where that moved by nothing.
    """
    known = instrument(trade.order.symbol)
    size = trade.entry.lots * known.lot
    if known.quote in AT_PAR:
        return size
    if known.base in AT_PAR:
        return size / trade.exit.price
    moved = (trade.exit.price - trade.entry.price) * trade.order.side.sign
    return trade.exit.pnl / moved if moved else None


def risk(trade: Trade) -> Decimal | None:
    """Return what the first stop would have lost, costs aside, account currency.

    None where the entry lies at or beyond the stop, which a gap can do.
    """
    distance = (trade.entry.price - trade.order.stop) * trade.order.side.sign
    value = unit_value(trade)
    return distance * value if distance > 0 and value else None


def r_multiple(trade: Trade) -> float | None:
    """Return the net result over the `risk`; None where there is none."""
    at_risk = risk(trade)
    return None if at_risk is None else float(trade.pnl / at_risk)


def holding_minutes(trade: Trade) -> float:
    """Return the minutes from entry to exit."""
    return (trade.exit.filled_at - trade.entry.filled_at).total_seconds() / 60


def trade_figures(trades: Sequence[Trade]) -> Mapping[str, Figure]:
    """Return the figures of `figures.MEASURES` that count per trade.

    None, with the reason, where there is no trade, no win, no loss or no stop to measure by.
    """
    results = [float(trade.pnl) for trade in trades]
    wins, losses = [r for r in results if r > 0], [r for r in results if r < 0]
    in_r = [r for r in map(r_multiple, trades) if r is not None]
    held = [holding_minutes(trade) for trade in trades]

    def judged(name: str, compute: Callable[[], float], undefined: str = "") -> Figure:
        missing = shortfall(name, len(trades)) or undefined
        return Figure(None, missing) if missing else Figure(float(compute()))

    return {
        "win_rate": judged("win_rate", lambda: len(wins) / len(trades)),
        "average_win": judged("average_win", lambda: fmean(wins), "" if wins else "no trade won"),
        "average_loss": judged("average_loss", lambda: fmean(losses), "" if losses else "no trade lost"),
        "payoff": judged(
            "payoff", lambda: -fmean(wins) / fmean(losses), "" if wins and losses else "needs a win and a loss"
        ),
        "profit_factor": judged(
            "profit_factor", lambda: -sum(wins) / sum(losses), "" if losses else "nothing was lost"
        ),
        "expectancy": judged("expectancy", lambda: fmean(results)),
        "expectancy_r": judged(
            "expectancy_r", lambda: fmean(in_r), "" if in_r else "no trade has a stop behind its entry"
        ),
        "holding_median": judged("holding_median", lambda: median(held)),
        "holding_longest": judged("holding_longest", lambda: max(held)),
        "ambiguous_share": judged("ambiguous_share", lambda: fmean(trade.exit.ambiguous for trade in trades)),
    }


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def _realised(trades: Sequence[Trade], opening: Decimal) -> pd.Series:
    """Return the balance at each exit."""
    return pd.Series([float(balance) for _, balance in balances(trades, opening)], dtype="float64")


def _drawdown(equity: pd.Series, opening: float) -> tuple[Decimal, float]:
    """Return the largest drawdown in money and in percent."""
    if equity.empty:
        return ZERO, 0.0
    fallen = drawdowns(equity, opening).to_numpy()
    deepest = int(fallen.argmin())
    peak = max(opening, float(equity.iloc[: deepest + 1].max()))
    fall = Decimal(peak - float(equity.iloc[deepest]))
    return fall.quantize(Decimal("0.01")), 100 * abs(float(fallen[deepest]))
