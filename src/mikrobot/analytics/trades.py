"""Figures of closed trades from ledger records. Money is Decimal, shares are float.

Uses recorded fills only; does not price open positions.
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
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.instruments.shapes import AT_PAR
from mikrobot.domain.market_sessions import session_at
from mikrobot.domain.trading import Fill, FillReason, OrderIntent, Trade

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of a set of closed trades.

    The result of a trade is net: price difference minus both fees.

    Attributes
    ----------
    trades : int
    pnl : Decimal
        Sum of the net results, account currency.
    fees : Decimal
        Fees of these trades, positive, already deducted from `pnl`.
    max_drawdown : Decimal
        Maximum drawdown in account currency, 0 or positive.
    max_drawdown_pct : float
        The same drawdown in percent of its peak; equals the figure `max_drawdown` times 100.
    win_rate : float or None
        Trades with a positive result over all trades; None without trades.
    profit_factor : float or None
        Sum of the positive results over the sum of the negative results, unsigned; None without a loss.
    expectancy_r : float or None
        Mean net result in R, the loss at the initial stop of a trade; None if no trade has one.
    ambiguous_share : float or None
        Trades whose exit bar reached both stop and target, so that the stop was assumed, over all
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
    """An open position: its order and its entry fill."""

    order: OrderIntent
    entry: Fill


def closed_trades(orders: Iterable[OrderIntent], fills: Iterable[Fill]) -> tuple[Trade, ...]:
    """Pair entry and exit fills by order, sorted by exit; open positions are left out.

    Raises
    ------
    DataError
        If an exit has no entry or no order, or an order has two entries or two exits.
    """
    by_id = {order.id: order for order in orders}
    entries: dict[str, Fill] = {}
    exits: dict[str, Fill] = {}
    for fill in fills:
        side = entries if fill.reason is FillReason.ENTRY else exits
        if fill.order_id in side:
            raise DataError(f"order {fill.order_id} ({fill.symbol}) has two {fill.reason.value} fills in the ledger")
        side[fill.order_id] = fill
    if orphans := sorted(exits.keys() - (entries.keys() & by_id.keys())):
        raise DataError(f"exit fills without an entry or an order in the ledger: {', '.join(orphans)}")
    trades = [Trade(by_id[order_id], entries[order_id], fill) for order_id, fill in exits.items()]
    return tuple(sorted(trades, key=lambda trade: (trade.exit.filled_at, trade.order.id)))


def open_positions(orders: Iterable[OrderIntent], fills: Iterable[Fill]) -> tuple[OpenTrade, ...]:
    """Return the open positions, which are entries without an exit, in order of entry."""
    by_id, entered = {order.id: order for order in orders}, dict[str, Fill]()
    for fill in fills:
        if fill.reason is FillReason.ENTRY:
            entered[fill.order_id] = fill
        else:
            entered.pop(fill.order_id, None)
    return tuple(OpenTrade(by_id[order_id], fill) for order_id, fill in entered.items())


def balances(trades: Sequence[Trade], opening: Decimal) -> tuple[tuple[datetime, Decimal], ...]:
    """Return the exit time of each trade and the realised balance after it, in order of time."""
    curve = []
    balance = opening
    for trade in sorted(trades, key=lambda trade: trade.exit.filled_at):
        balance += trade.pnl
        curve.append((trade.exit.filled_at, balance))
    return tuple(curve)


def performance(trades: Sequence[Trade], opening: Decimal, equity: pd.Series | None = None) -> Performance:
    """Compute the performance of closed trades.

    Parameters
    ----------
    trades : sequence of Trade
    opening : Decimal
        Balance before the first trade, positive, account currency.
    equity : Series of float, optional
        Equity marks of these trades, for the drawdown; by default the balance at each exit.
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
    """Compute the performance of each group of trades as a separate account, sorted by group name.

    Parameters
    ----------
    trades : sequence of Trade
    group : callable
        Returns the group name of a trade, such as `by_symbol` or `by_session`.
    opening : Decimal
    mark : callable, optional
        Returns the equity marks of an account with only the given trades, for `performance`.
    """
    groups: dict[str, list[Trade]] = defaultdict(list)
    for trade in trades:
        groups[group(trade)].append(trade)
    return {
        name: performance(groups[name], opening, None if mark is None else mark(groups[name]))
        for name in sorted(groups)
    }


def by_symbol(trade: Trade) -> str:
    """Return the symbol of a trade."""
    return trade.order.symbol


def by_session(trade: Trade) -> str:
    """Return the session of the entry."""
    return session_at(trade.entry.filled_at)


def by_exit(trade: Trade) -> str:
    """Return the exit reason of a trade."""
    return trade.exit.reason.value


def unit_value(trade: Trade) -> Decimal | None:
    """Return the value of a price move of 1 for the position at its exit, account currency.

    The account is in dollars. For a pair without the dollar, the value is the realised result of the trade
    over its price move; None if the price did not move.
    """
    traded = instrument(trade.order.symbol)
    size = trade.entry.lots * traded.lot
    if traded.quote in AT_PAR:
        return size
    if traded.base in AT_PAR:
        return size / trade.exit.price
    moved = (trade.exit.price - trade.entry.price) * trade.order.side.sign
    return trade.exit.pnl / moved if moved else None


def risk(trade: Trade) -> Decimal | None:
    """Return the loss at the initial stop before costs, account currency.

    None if the entry is at or beyond the stop, as can happen after a gap.
    """
    distance = (trade.entry.price - trade.order.stop) * trade.order.side.sign
    value = unit_value(trade)
    return distance * value if distance > 0 and value else None


def r_multiple(trade: Trade) -> float | None:
    """Return the net result over the `risk`; None if the trade has no risk."""
    at_risk = risk(trade)
    return None if at_risk is None else float(trade.pnl / at_risk)


def holding_minutes(trade: Trade) -> float:
    """Return the minutes from entry to exit."""
    return (trade.exit.filled_at - trade.entry.filled_at).total_seconds() / 60


def trade_figures(trades: Sequence[Trade]) -> Mapping[str, Figure]:
    """Return the per-trade figures of `figures.MEASURES`.

    A figure is None with a reason if there is no trade, win, loss or stop to compute it from.
    """
    results = [float(trade.pnl) for trade in trades]
    wins, losses = [r for r in results if r > 0], [r for r in results if r < 0]
    in_r = [r for r in map(r_multiple, trades) if r is not None]
    held = [holding_minutes(trade) for trade in trades]

    def computed(name: str, compute: Callable[[], float], undefined: str = "") -> Figure:
        missing = shortfall(name, len(trades)) or undefined
        return Figure(None, missing) if missing else Figure(float(compute()))

    return {
        "win_rate": computed("win_rate", lambda: len(wins) / len(trades)),
        "average_win": computed("average_win", lambda: fmean(wins), "" if wins else "no winning trade"),
        "average_loss": computed("average_loss", lambda: fmean(losses), "" if losses else "no losing trade"),
        "payoff": computed(
            "payoff", lambda: -fmean(wins) / fmean(losses), "" if wins and losses else "needs a win and a loss"
        ),
        "profit_factor": computed(
            "profit_factor", lambda: -sum(wins) / sum(losses), "" if losses else "nothing was lost"
        ),
        "expectancy": computed("expectancy", lambda: fmean(results)),
        "expectancy_r": computed(
            "expectancy_r", lambda: fmean(in_r), "" if in_r else "no trade has a stop behind its entry"
        ),
        "holding_median": computed("holding_median", lambda: median(held)),
        "holding_longest": computed("holding_longest", lambda: max(held)),
        "ambiguous_share": computed("ambiguous_share", lambda: fmean(trade.exit.ambiguous for trade in trades)),
    }


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def _realised(trades: Sequence[Trade], opening: Decimal) -> pd.Series:
    """Return the balance at each exit."""
    return pd.Series([float(balance) for _, balance in balances(trades, opening)], dtype="float64")


def _drawdown(equity: pd.Series, opening: float) -> tuple[Decimal, float]:
    """Return the maximum drawdown in money and in percent."""
    if equity.empty:
        return ZERO, 0.0
    fallen = drawdowns(equity, opening).to_numpy()
    deepest = int(fallen.argmin())
    peak = max(opening, float(equity.iloc[: deepest + 1].max()))
    fall = Decimal(peak - float(equity.iloc[deepest]))
    return fall.quantize(Decimal("0.01")), 100 * abs(float(fallen[deepest]))
