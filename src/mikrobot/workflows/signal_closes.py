"""Trade a history by calling the strategies only at closes where a signal can exist.

Orders, fills and positions equal those of `backtest.trade`, which decides at every close and therefore also has the
reasons of every refusal. Trading states of operators and order books do not apply here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from heapq import merge
from itertools import groupby, repeat
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import Signal
from mikrobot.domain.market import close_times
from mikrobot.domain.trading import Decision
from mikrobot.live.strategies import RunningStrategy
from mikrobot.live.trader import Traded
from mikrobot.paper.contracts import Contract
from mikrobot.paper.estimates import spread_ticks
from mikrobot.workflows.backtest_outlooks import AT_ONCE, OUTLOOK, Frames

_PRICES = ["open", "high", "low", "close"]
_MINUTE_MS = 60_000


class _Close(NamedTuple):
    """One closed bar. Times are in milliseconds, prices in ticks.

    `asked` has a bit for each strategy that must be called; `bar` and `row` are positions in the bars and in the
    outlooks of the symbol, `row` is -1 for a close without a decision.
    """

    closed: int
    rank: int
    symbol: str
    open: int
    high: int
    low: int
    close: int
    spread: int
    asked: int
    bar: int
    row: int


def trade_signals(
    account: Traded,
    bars: Frames,
    outlooks: Mapping[str, pd.DataFrame],
    keep: Callable[[Decision], None] = lambda decision: None,
) -> Traded:
    """Trade the bars of a venue that has just been opened, to their end.

    Parameters
    ----------
    account : Traded
        Nothing traded; updated in place and returned.
    bars : mapping of str to DataFrame
        Bar frames by symbol.
    outlooks : mapping of str to DataFrame
        With the columns `backtest_outlooks.OUTLOOK` by close, and no row for closes without a decision.
    keep : callable
        Called with the decision about every signal.
    """
    trader, venue = account.trader, account.trader.venue
    exchange, running = venue.exchange, trader.strategies.running
    accounts = list(exchange.accounts.values())
    closings = {symbol: _Symbol(symbol, frame, outlooks[symbol]) for symbol, frame in bars.items()}
    contracts = exchange.contracts
    closes = merge(*(one.closes(rank, contracts[one.symbol], running) for rank, one in enumerate(closings.values())))
    first = min(frame["open_time"].iloc[0] for frame in bars.values() if len(frame))
    trader.permits.before(venue, first.to_pydatetime())
    engaged = False
    for closed, group in groupby(closes, key=attrgetter("closed")):
        minute, opened = list(group), closed - _MINUTE_MS
        before, engaged = engaged, any(one.live or one.positions for one in accounts)
        if engaged and not before:
            trader.permits.pass_over(_time(opened))
        for bar in venue.rates_first(minute):
            exchange.bar(closed, bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.spread, opened)
        exchange.settle(closed)
        if engaged:
            venue.leave_expired(_time(closed))
            trader.permits.after(venue, _time(closed))
        for close in minute:
            if close.row < 0:
                continue
            account.decisions += len(running)
            for number, strategy in enumerate(running):
                if close.asked >> number & 1 or _waits(strategy, close.symbol):
                    _decide(account, strategy, closings[close.symbol].outlook(close), keep)
    return account


def asked_at(strategy: RunningStrategy, outlooks: pd.DataFrame) -> NDArray[np.bool_]:
    """Return the closes at which a strategy must be called whatever its memory is."""
    chosen = None if strategy.own is None else strategy.own.candidates(outlooks)
    return np.ones(len(outlooks), dtype=np.bool_) if chosen is None else chosen


def _waits(strategy: RunningStrategy, symbol: str) -> bool:
    memory = strategy.memories.get(symbol, {})
    return bool(memory) and (strategy.own is None or strategy.own.waits(memory))


def _decide(account: Traded, strategy: RunningStrategy, outlook: Outlook, keep: Callable[[Decision], None]) -> None:
    answer = strategy.answer(outlook)
    if isinstance(answer, Signal):
        trader, described = account.trader, strategy.described
        profile = described.mandate.within(trader.profile)
        decision, order = trader.decide(outlook, answer, described.identity, profile)
        keep(decision)
        if order is not None:
            trader.venue.place(order)
            account.orders.append(order)


class _Symbol:
    """The bars of a symbol and the outlooks at their closes, as arrays."""

    def __init__(self, symbol: str, bars: pd.DataFrame, outlooks: pd.DataFrame) -> None:
        self.symbol = symbol
        self._bars, self._outlooks = bars, outlooks
        self._prices = bars[[*_PRICES, "spread"]].to_numpy(np.float64)
        numbers = [name for name in outlooks.columns if name != "by"]
        self._values = outlooks[numbers].to_numpy(np.float64)
        self._features = numbers[len(OUTLOOK) - 1 :]
        self._by = str(outlooks["by"].iloc[0]) if len(outlooks) else ""

    def closes(self, rank: int, contract: Contract, running: Iterable[RunningStrategy]) -> Iterator[_Close]:
        """Yield the bars in order of time."""
        closes = pd.DatetimeIndex(close_times(self._bars))
        rows = self._outlooks.index.get_indexer(closes)
        asked = np.zeros(len(self._outlooks), dtype=np.int64)
        for number, strategy in enumerate(running):
            asked |= asked_at(strategy, self._outlooks).astype(np.int64) << number
        asked = np.append(asked, 0)[rows]
        closed = closes.as_unit("ms").asi8
        for first in range(0, len(closes), AT_ONCE):
            piece = slice(first, first + AT_ONCE)
            columns = [*_ticks(contract, self._prices[piece]), asked[piece]]
            positions = range(first, first + len(columns[0]))
            yield from map(
                _Close,
                closed[piece].tolist(), repeat(rank), repeat(self.symbol),
                *(column.tolist() for column in columns), positions, rows[piece].tolist(),
            )  # fmt: skip

    def outlook(self, close: _Close) -> Outlook:
        """Return the outlook at a close."""
        opened, high, low, last, spread = self._prices[close.bar].tolist()
        atr, above, below, up, down, *more = self._values[close.row].tolist()
        features = dict(zip(self._features, more, strict=True))
        at = _time(close.closed)
        return Outlook(
            self.symbol, at, last, spread, atr, above, below, up, down, self._by, opened, high, low, features
        )


def _ticks(contract: Contract, prices: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Return the prices of bars, shape (n, 5), in ticks, with the numbers of `bid_ticks` and `spread_ticks`."""
    bids = np.rint(prices[:, :4] / float(contract.tick)).astype(np.int64)
    places, quoted = pd.factorize(prices[:, 4], use_na_sentinel=False)
    spreads: NDArray[Any] = np.array([spread_ticks(contract, value) for value in quoted.tolist()], dtype=np.int64)
    return [*bids.T, spreads[places]]


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
