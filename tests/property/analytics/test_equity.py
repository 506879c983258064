"""The equity of the report equals that of the simulator's accounts, over synthetic markets.

The markets have bars, brackets, swap, funding, deposits, and gaps wide enough for stop-outs and liquidations.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.analytics.assessment import Assessment, assess
from mikrobot.analytics.charges import Charge, charges
from mikrobot.analytics.trades import OpenTrade, closed_trades, open_positions
from mikrobot.domain.instruments.instrument import Swap
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import BAR_COLUMNS, Bar
from mikrobot.domain.trading import OrderIntent, Side
from mikrobot.paper import margin
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.fills import fills_of
from mikrobot.paper.journal import Booked, Noted
from mikrobot.paper.venue import CURRENCY, Venue, contract_of, milliseconds

START = datetime(2024, 3, 11, 18, tzinfo=UTC)  # a Monday, three hours before the rollover
OPENING = D("10000")
FIRST = {"EURUSD": 110_000, "USDJPY": 150_000, "BTCUSDT": 6_000_000}
"""Prices in ticks."""

SWAPS = {"EURUSD": Swap(D("-6.5"), D("1.2")), "USDJPY": Swap(D(11), D(-21))}
SIZES = {"EURUSD": D("0.05"), "USDJPY": D("0.05"), "BTCUSDT": D("0.005")}
WIDE = {"EURUSD": 60, "USDJPY": 60, "BTCUSDT": 12_000}
"""Height of a bar in ticks; a gap is fifty times as wide."""

minutes = st.tuples(
    st.integers(-9, 9),  # move of the first symbol; the moves of the others derive from it
    st.integers(0, 19),  # event in addition to the bars
    st.integers(1, 60),  # size of an order, in multiples of the smallest
    st.integers(1, 60),  # distance of its stop and target, in bar heights
)


@dataclass
class Played:
    """A venue with the bars, orders and prices of a played market."""

    venue: Venue
    orders: list[OrderIntent] = field(default_factory=list)
    bars: dict[str, list[tuple[object, ...]]] = field(default_factory=lambda: {symbol: [] for symbol in FIRST})
    prices: dict[str, int] = field(default_factory=lambda: dict(FIRST))
    at: datetime = START

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        frames = {}
        for symbol, rows in self.bars.items():
            frame = pd.DataFrame(rows, columns=list(BAR_COLUMNS))
            frames[symbol] = frame.astype(dict.fromkeys(BAR_COLUMNS[1:], "float64"))
        return frames

    @property
    def charges(self) -> list[Charge]:
        return sorted(charge for account in self.venue.exchange.accounts.values() for charge in charges(account))

    @property
    def held(self) -> tuple[OpenTrade, ...]:
        return open_positions(self.orders, self._fills)

    @property
    def _fills(self) -> list:
        return fills_of({name: account.journal for name, account in self.venue.exchange.accounts.items()})

    def assessed(self) -> Assessment:
        trades = closed_trades(self.orders, self._fills)
        return assess(trades, self.frames, OPENING, held=self.held, charges=self.charges)

    def equity(self) -> D:
        """Return the total equity of the simulator's accounts."""
        exchange, now = self.venue.exchange, milliseconds(self.at)
        equities = [
            margin.equity(account, exchange.markets, exchange.rates, now) for account in exchange.accounts.values()
        ]
        return D(sum(equities)).scaleb(-2)

    def balance(self) -> D:
        return sum((account.balance(CURRENCY) for account in self.venue.exchange.accounts.values()), D(0))

    def deposits(self) -> D:
        return -sum((charge.amount for charge in self.charges if charge.kind == "deposit"), D(0))

    def happened(self) -> Counter[str]:
        records = [record for account in self.venue.exchange.accounts.values() for record in account.journal]
        kinds = Counter(record.kind for record in records if isinstance(record, (Booked, Noted)))
        return kinds + Counter({"held": len(self.held), "deposit later": self.deposits() != 0})


def play(world: Sequence[tuple[int, int, int, int]]) -> Played:
    """Play a world: one minute per entry, with an occasional gap of hours."""
    venue = Venue(FIRST, seed=3)
    contracts = [replace(contract_of(symbol), swap=SWAPS.get(symbol)) for symbol in FIRST]
    venue.exchange = Exchange(contracts, waits_for_open=True)
    venue.open(START, OPENING)
    played = Played(venue)
    for number, (move, event, size, far) in enumerate(world):
        symbol = list(FIRST)[number % 3]
        played.at += timedelta(hours=7) if event == 19 else timedelta(minutes=1)
        for offset, name in enumerate(FIRST):
            _bar(played, name, move * (offset + 1) % 19 - 9, gap=event in (17, 18) and name == symbol)
        venue.leave_expired(played.at)
        if event < 9:
            _order(played, number, symbol, Side.BUY if event % 2 else Side.SELL, size, far)
        elif event == 15:
            venue.exchange.funding(milliseconds(played.at), "BTCUSDT", D(move).scaleb(-4))
        elif event == 16:
            account = list(venue.exchange.accounts.values())[number % 2]
            account.deposit(milliseconds(played.at), CURRENCY, D(size * 10 if move > -7 else -5))
    return played


def _bar(played: Played, symbol: str, move: int, *, gap: bool) -> None:
    tick, wide = instrument(symbol).tick, WIDE[symbol]
    opened = played.prices[symbol] + (50 * wide * (1 if move > 0 else -1) if gap else 0)
    close = max(opened + move * wide // 9, 1000)
    ticks = (opened, max(opened, close) + wide // 5, min(opened, close) - wide // 5, close)
    prices = [float(tick * count) for count in ticks]
    spread = (float("nan"), float(tick * 12), float(tick) * 7)[move % 3]
    begun = played.at - timedelta(minutes=1)
    played.prices[symbol] = close
    played.bars[symbol].append((begun, *prices, float("nan"), spread, float("nan"), float("nan")))
    played.venue.play(Bar(symbol, begun, *prices, spread=spread))


def _order(played: Played, number: int, symbol: str, side: Side, size: int, far: int) -> None:
    traded, price = instrument(symbol), played.prices[symbol]
    away = side.sign * WIDE[symbol] * far
    stop, target = (traded.quantize(traded.tick * max(price + offset, 1)) for offset in (-away, 2 * away))
    lots = traded.quantize_size(SIZES[symbol] * size)
    name = f"made-up/{number}"
    order = OrderIntent(
        name, name, symbol, side, lots, stop, target, played.at, played.at + timedelta(minutes=1 + far // 3)
    )
    engaged = symbol in played.venue.standing(symbol, played.at).engaged  # the live trader makes the same check
    if not engaged and not played.venue.place(order):
        played.orders.append(order)


def reconcile(played: Played) -> None:
    judged = played.assessed()
    entered = sum((holding.entry.fee for holding in played.held), D(0))
    assert OPENING + played.deposits() + judged.total.pnl - entered == played.balance()
    drawn = judged.marks["equity"].iloc[-1] if len(judged.marks) else float(OPENING)
    assert drawn == pytest.approx(float(played.equity()), rel=0, abs=0.005 * len(played.held) + 1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(minutes, min_size=3, max_size=40))
def test_the_equity_of_the_report_equals_that_of_the_accounts(world: list[tuple[int, int, int, int]]) -> None:
    reconcile(play(world))


def test_synthetic_worlds_have_every_kind_of_cash_entry_and_reconcile() -> None:
    rng, happened = np.random.default_rng(1), Counter[str]()
    for _ in range(20):
        world = rng.integers([-9, 0, 1, 1], [10, 20, 61, 61], (60, 4)).tolist()
        played = play([tuple(minute) for minute in world])
        reconcile(played)
        happened += played.happened()
    kinds = {"realised", "fee", "swap", "funding", "insurance", "liquidation", "stop_out", "held", "deposit later"}
    assert kinds <= happened.keys(), happened
