"""Benchmarks of the execution simulator, compared with backtesting.py and with a bare loop over the bars."""

from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from decimal import Decimal
from functools import partial
from io import StringIO
from itertools import islice
from typing import Any

import pandas as pd

from benchmarks import backtests
from benchmarks.features import simulated_bars
from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.trading import Side
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import listed
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.orders import Bracket, OrderRequest
from mikrobot.paper.profiles import Profile

BARS = 50_000
EVERY, DENSE = 60, 10
"""Minutes between two looks at whether to enter: a bracket goes out at each that finds the account flat."""

STOP, TARGET = 60, 90
"""Ticks from the close to the exits."""

ACCOUNTS = 50
MINUTES = 200
ORDERS = 500

_SYMBOL = "EURUSD"
_MINUTE_MS = 60_000
_PROFILE = Profile("bench", currency="USD", leverage=Decimal(30), unlimited_depth=True)

Row = tuple[int, int, int, int, int]


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time bars with brackets, orders alone, many accounts on one feed, and the loop of a backtest."""
    count, rounds = scaled(BARS, scale, least=1_000), scaled(5, scale)
    frame = simulated_bars(_SYMBOL, count)
    rows = in_ticks(frame)
    floor = Timed("a loop that compares four integers", lambda: _bare(rows))
    for every in (EVERY, DENSE):
        peer = Timed(f"backtesting.py, a bracket at most every {every} bars", backtesting_on(frame, every))
        named = f"paper, bars with a bracket at most every {every}, a bar"
        yield compared(named, "us", partial(traded, rows, every), peer, limit=floor, rounds=rounds, per=count)
    idle = Timed("idle bars", lambda: _play(_exchange(1), rows))
    yield compared("paper, idle bars, a bar", "us", idle, peer, limit=floor, rounds=rounds, per=count)
    yield _orders(scale)
    yield _accounts(rows, scale)
    for strategy in ("simple_break", "m5_bos"):
        yield backtests.loop(strategy, scale)


def in_ticks(frame: pd.DataFrame) -> list[Row]:
    """Return close time (ms), open, high, low and close in ticks of each bar."""
    tick = float(instrument(_SYMBOL).tick)
    prices = (frame[["open", "high", "low", "close"]] / tick).round().astype("int64")
    closed = range(_MINUTE_MS, (len(frame) + 1) * _MINUTE_MS, _MINUTE_MS)
    return list(zip(closed, *(prices[name].tolist() for name in prices), strict=True))


def traded(rows: list[Row], every: int = EVERY) -> Account:
    """Trade brackets over bars through the exchange, one at a time, and return the account."""
    exchange = _exchange(1)
    account, bar = exchange.accounts["0"], exchange.bar
    for number, (ts, open_, high, low, close) in enumerate(rows):
        bar(ts, _SYMBOL, open_, high, low, close, 8, ts - _MINUTE_MS)
        if number % every == 0 and not account.live:
            exchange.submit("0", ts, _bracket(f"{number}", number // every, close))
    return account


def backtesting_on(frame: pd.DataFrame, every: int = EVERY) -> Callable[[], Any]:
    """Return a call that does the same with backtesting.py."""
    from backtesting import Backtest, Strategy

    tick = float(instrument(_SYMBOL).tick)

    class Brackets(Strategy):  # type: ignore[misc] # the package has no types
        def init(self) -> None:
            pass

        def next(self) -> None:
            number = len(self.data) - 1
            if number % every == 0 and not self.position and not self.orders:
                close, sign = float(self.data.Close[-1]), 1 if number // every % 2 else -1
                enter = self.buy if sign > 0 else self.sell
                enter(size=1, sl=close - sign * STOP * tick, tp=close + sign * TARGET * tick)

    bars = frame[["open", "high", "low", "close"]].rename(columns=str.title)
    bars.index = pd.DatetimeIndex(frame["open_time"])

    def call() -> None:
        with redirect_stderr(StringIO()):  # its progress bar
            Backtest(bars, Brackets, cash=1_000_000, spread=0.00008, finalize_trades=True).run()

    return call


def _exchange(accounts: int) -> Exchange:
    exchange = Exchange([listed(instrument(_SYMBOL))], waits_for_open=True)
    for number in range(accounts):
        exchange.open(str(number), _PROFILE).deposit(0, "USD", Decimal(1_000_000))
    return exchange


def _bracket(name: str, number: int, close: int) -> Bracket:
    side, tick = (Side.BUY if number % 2 else Side.SELL), instrument(_SYMBOL).tick
    entry = OrderRequest(name, _SYMBOL, side, Decimal(10_000))
    return Bracket(name, entry, (close - side.sign * STOP) * tick, (close + side.sign * TARGET) * tick)


def _play(exchange: Exchange, rows: list[Row]) -> None:
    bar = exchange.bar
    for ts, open_, high, low, close in rows:
        bar(ts, _SYMBOL, open_, high, low, close, 8, ts - _MINUTE_MS)


def _bare(rows: list[Row]) -> int:
    low_bid, high_bid, low_ask, high_ask, met = -1, 1 << 62, -1, 1 << 62, 0
    for _, _, high, low, _ in rows:
        if not (low_bid < low and high < high_bid and low_ask < low + 8 and high + 8 < high_ask):
            met += 1
    return met


def _orders(scale: float) -> Measurement:
    """Time market orders from submission to fill and journal, without persistence."""
    requests = [OrderRequest(str(n), _SYMBOL, (Side.BUY, Side.SELL)[n % 2], Decimal(10_000)) for n in range(ORDERS)]

    def send() -> None:
        exchange = Exchange([listed(instrument(_SYMBOL))])
        exchange.open("0", _PROFILE).deposit(0, "USD", Decimal(1_000_000))
        exchange.quote(1, _SYMBOL, 110_000, 110_010)
        for request in requests:
            exchange.submit("0", 1, request)
            exchange.settle(1)

    fields = [(request.id, request.symbol, request.side, request.quantity) for request in requests]
    peer = Timed("building its request", lambda: [OrderRequest(*values) for values in fields])
    floor = Timed("multiplying two Decimals", lambda: [request.quantity * request.quantity for request in requests])
    return compared(
        "paper, a market order to its fill and journal",
        "us",
        send,
        peer,
        limit=floor,
        rounds=scaled(15, scale),
        per=ORDERS,
    )


def _accounts(rows: list[Row], scale: float) -> Measurement:
    """Time one bar on a feed that many accounts with an open bracket share."""
    exchange, alone = _exchange(ACCOUNTS), _exchange(1)
    for venue in (exchange, alone):
        for name in venue.accounts:
            venue.submit(name, 0, _wide(name, rows[0][1]))
    feed, other = iter(rows), iter(rows)

    one = Timed("one account", lambda: _play(alone, list(islice(other, MINUTES))))
    floor = Timed("a loop that compares four integers", lambda: _bare(rows[:MINUTES]))
    named = f"paper, {ACCOUNTS} accounts with a bracket on one feed, a bar"
    return compared(
        named,
        "us",
        lambda: _play(exchange, list(islice(feed, MINUTES))),
        one,
        limit=floor,
        rounds=scaled(50, scale),
        per=MINUTES,
    )


def _wide(name: str, price: int) -> Bracket:
    tick = instrument(_SYMBOL).tick
    entry = OrderRequest(name, _SYMBOL, Side.BUY, Decimal(10_000))
    return Bracket(name, entry, (price // 2) * tick, (price * 2) * tick)
