"""Benchmark of the loop of a backtest, compared with backtesting.py on the same breaks of levels."""

from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import pandas as pd

from benchmarks.features import simulated_bars
from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.live.strategies import Strategies, opened
from mikrobot.live.trader import Traded, Trader
from mikrobot.models.catalog import TRADED
from mikrobot.models.task import Task
from mikrobot.paper.venue import Venue
from mikrobot.settings import Settings, load
from mikrobot.workflows.backtest_outlooks import by_rules, columns_read, feature_rows
from mikrobot.workflows.signal_closes import trade_signals

BARS = 50_000
ROUNDS = 5
STOP_ATR, REWARD = 1.5, 2.0
"""Stop of the peer in ATR, as that of simple_break; its target, as a multiple of that distance."""

SPREAD = 0.00008
"""Spread of the peer, as a share of the price."""

_SYMBOL = "EURUSD"


def loop(strategy: str, scale: float = 1.0) -> Measurement:
    """Time the trading of bars whose features are computed, by a strategy and the rules alone."""
    count = scaled(BARS, scale, least=2_000)
    settings, bars = load(strategies=(strategy,)), {_SYMBOL: simulated_bars(_SYMBOL, count)}
    levels = {_SYMBOL: Task(TRADED, settings.swing).columns}
    with opened(settings) as using:
        rows = dict(feature_rows(bars, columns_read({}, levels, using.columns)))[_SYMBOL]
        outlooks = {_SYMBOL: by_rules(bars[_SYMBOL], rows, levels[_SYMBOL], using.columns)}

        def ours() -> Traded:
            return trade_signals(_account(settings, bars[_SYMBOL], using), bars, outlooks)

        return compared(
            f"backtest, the loop with {strategy}, a bar", "us", ours,
            Timed("backtesting.py, a bracket at breaks of levels", _backtesting(bars[_SYMBOL], outlooks[_SYMBOL])),
            limit=Timed("a loop over the rows of its bars", lambda: _bare(bars[_SYMBOL])),
            rounds=scaled(ROUNDS, scale), per=count,
        )  # fmt: skip


def _account(settings: Settings, bars: pd.DataFrame, using: Strategies) -> Traded:
    venue = Venue([_SYMBOL], settings.seed)
    venue.open(bars["open_time"].iloc[0].to_pydatetime(), settings.balance)
    return Traded(Trader("benchmark", venue, settings.trading, using.fresh()))


def _backtesting(bars: pd.DataFrame, outlooks: pd.DataFrame) -> Callable[[], Any]:
    from backtesting import Backtest, Strategy

    class Breaks(Strategy):  # type: ignore[misc] # the package has no types
        def init(self) -> None:
            pass

        def next(self) -> None:
            data = self.data
            if self.position or self.orders or not (data.Up[-1] or data.Down[-1]):
                return
            distance, close, sign = STOP_ATR * data.Atr[-1], data.Close[-1], 1 if data.Up[-1] else -1
            if not REWARD * distance > 2 * SPREAD * close:  # as ours refuses a target below its costs
                return
            enter = self.buy if sign > 0 else self.sell
            enter(size=1, sl=close - sign * distance, tp=close + sign * REWARD * distance)

    frame = bars[["open", "high", "low", "close"]].rename(columns=str.title)
    frame = frame.assign(**{name.title(): outlooks[name].to_numpy() for name in ("up", "down", "atr")})
    frame.index = pd.DatetimeIndex(bars["open_time"])

    def call() -> None:
        with redirect_stderr(StringIO()):  # its progress bar
            Backtest(frame, Breaks, cash=1_000_000, spread=SPREAD, finalize_trades=True).run()

    return call


def _bare(bars: pd.DataFrame) -> int:
    return sum(high >= low for high, low in zip(bars["high"].tolist(), bars["low"].tolist(), strict=True))
