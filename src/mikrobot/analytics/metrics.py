"""What closed trades earned: figures over ledger records. Money is Decimal, shares are float.

Computes from what was recorded; does not price open positions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from mikrobot.domain.errors import DataError
from mikrobot.domain.trading import Fill, FillReason, Order, Trade

ZERO = Decimal(0)


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
        Largest fall of the realised balance below its highest value before, account currency,
        0 or positive. The balance moves when a trade closes; the opening balance is the first peak.
    max_drawdown_pct : float
        The largest fall in percent of the peak it started from, 0 to 100.
    win_rate : float or None
        Trades with a positive result over all trades; None without trades.
    profit_factor : float or None
        Sum of the positive results over the sum of the negative ones, unsigned; None where
        nothing was lost.
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
    ambiguous_share: float | None


def closed_trades(orders: Iterable[Order], fills: Iterable[Fill]) -> tuple[Trade, ...]:
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


def balances(trades: Sequence[Trade], opening: Decimal) -> tuple[tuple[datetime, Decimal], ...]:
    """Return the realised balance after each trade, at the instant it closed, in order of time."""
    curve = []
    balance = opening
    for trade in sorted(trades, key=lambda trade: trade.exit.filled_at):
        balance += trade.pnl
        curve.append((trade.exit.filled_at, balance))
    return tuple(curve)


def performance(trades: Sequence[Trade], opening: Decimal) -> Performance:
    """Judge closed trades.

    Parameters
    ----------
    trades : sequence of Trade
    opening : Decimal
        Balance before the first of them, positive, account currency.
    """
    results = [trade.pnl for trade in trades]
    won, lost = _total(r for r in results if r > 0), -_total(r for r in results if r < 0)
    fall, fall_pct = _drawdown([opening, *(balance for _, balance in balances(trades, opening))])
    count = len(trades)
    return Performance(
        trades=count,
        pnl=won - lost,
        fees=_total(trade.entry.fee + trade.exit.fee for trade in trades),
        max_drawdown=fall,
        max_drawdown_pct=fall_pct,
        win_rate=sum(r > 0 for r in results) / count if count else None,
        profit_factor=float(won / lost) if lost else None,
        ambiguous_share=sum(trade.exit.ambiguous for trade in trades) / count if count else None,
    )


def by_symbol(trades: Sequence[Trade], opening: Decimal) -> dict[str, Performance]:
    """Judge the trades of each symbol as if it had the account to itself, symbols in order of name."""
    symbols = sorted({trade.order.symbol for trade in trades})
    return {
        symbol: performance([trade for trade in trades if trade.order.symbol == symbol], opening) for symbol in symbols
    }


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def _drawdown(curve: Sequence[Decimal]) -> tuple[Decimal, float]:
    peak, fall, fall_pct = curve[0], ZERO, 0.0
    for balance in curve:
        peak = max(peak, balance)
        fall = max(fall, peak - balance)
        fall_pct = max(fall_pct, float((peak - balance) / peak * 100))
    return fall, fall_pct
