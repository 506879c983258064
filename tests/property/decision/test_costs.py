"""A trade that reaches its target earns more than it costs, for any symbol, profile, price and ATR."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from mikrobot.analytics.trades import closed_trades
from mikrobot.decision.outlook import Outlook
from mikrobot.decision.product_owner import decide_trade
from mikrobot.decision.strategies.simple_break import SimpleBreak
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Bar
from mikrobot.domain.risk_profiles import RISK_PROFILES
from mikrobot.domain.trading import FillReason, Side, Trade
from mikrobot.paper.estimates import spread_ticks
from mikrobot.paper.fills import fills_of
from mikrobot.paper.venue import Venue, contract_of

CLOSE = datetime(2024, 3, 12, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PRICES = {"EURUSD": 1.1, "USDJPY": 150.0, "BTCUSDT": 60_000.0, "ADAUSDT": 0.6}


@st.composite
def outlooks(draw: st.DrawFn) -> Outlook:
    symbol = draw(st.sampled_from(sorted(PRICES)))
    traded, price = instrument(symbol), PRICES[symbol] * draw(st.floats(0.7, 1.4))
    close = float(traded.quantize(price))
    ranged = close * draw(st.floats(-5, -2).map(lambda power: 10**power))
    spread = draw(st.one_of(st.just(math.nan), st.floats(0, 0.3).map(lambda share: share * ranged)))
    up = draw(st.booleans())
    return Outlook(
        symbol,
        CLOSE,
        close,
        spread,
        ranged,
        close * 1.01,
        close * 0.99,
        0.9 * up,
        0.9 * (not up),
        "bos 1",
        close,
        close,
        close,
    )


def bar(symbol: str, at: datetime, close: float, spread: float, high: float, low: float) -> Bar:
    return Bar(symbol, at, close, high, low, close, 1.0, spread, math.nan, math.nan)


def played(outlook: Outlook, profile: str, balance: Decimal, seed: int) -> tuple[Any, list[Trade]]:
    """Decide, enter at the price of the decision, and move the price to the target in the next bar."""
    symbol, close, spread = outlook.symbol, outlook.close, outlook.spread
    venue = Venue([symbol], seed)
    venue.open(CLOSE - MINUTE, balance)
    venue.play(bar(symbol, CLOSE - MINUTE, close, spread, close, close))
    decision, order = decide_trade(
        "run", outlook, SimpleBreak().signal(outlook, {}), venue.standing(symbol, CLOSE),
        profile=RISK_PROFILES[profile], strategy="simple_break@0",
    )  # fmt: skip
    if order is None:
        return decision, []
    venue.place(order)
    venue.play(bar(symbol, CLOSE, close, spread, close, close))
    beyond = float(order.target) + order.side.sign * 20 * float(instrument(symbol).tick)
    beyond -= (order.side is Side.SELL) * float(contract_of(symbol).price(spread_ticks(contract_of(symbol), spread)))
    venue.play(bar(symbol, CLOSE + MINUTE, close, spread, max(close, beyond), min(close, beyond)))
    journals = {name: account.journal for name, account in venue.exchange.accounts.items()}
    return decision, list(closed_trades([order], fills_of(journals)))


def unexpected(outlook: Outlook, trade: Trade) -> Decimal:
    """Return the entry slippage beyond the mean that the decision states, in quote currency."""
    contract = contract_of(outlook.symbol)
    width = spread_ticks(contract, outlook.spread)
    ask = contract.price(round(outlook.close / float(contract.tick)) + (width if trade.order.side is Side.BUY else 0))
    slipped = (trade.entry.price - ask) * trade.order.side.sign
    stated = contract.price(math.ceil(0.25 * width / 2 * math.sqrt(2 / math.pi)))
    return max(slipped - stated, Decimal(0)) * trade.entry.lots * contract.lot


@settings(max_examples=400, deadline=None)
@given(
    outlook=outlooks(),
    profile=st.sampled_from(sorted(RISK_PROFILES)),
    balance=st.decimals(100, 1_000_000, places=2),
    seed=st.integers(0, 1000),
)
def test_an_approved_trade_that_reaches_its_target_earns_more_than_its_stated_costs(
    outlook: Outlook, profile: str, balance: Decimal, seed: int
) -> None:
    decision, trades = played(outlook, profile, balance, seed)
    event("approved" if decision.approved else "refused")
    assume(trades)
    (trade,) = trades
    assert trade.exit.reason is FillReason.TARGET
    beyond = unexpected(outlook, trade)
    assert trade.pnl + beyond / (trade.exit.price if outlook.symbol == "USDJPY" else 1) > 0, decision.reasons


@settings(max_examples=200, deadline=None)
@given(
    outlook=outlooks(), profile=st.sampled_from(sorted(RISK_PROFILES)), balance=st.decimals(100, 1_000_000, places=2)
)
def test_the_stated_loss_at_the_stop_is_within_what_the_profile_risks(
    outlook: Outlook, profile: str, balance: Decimal
) -> None:
    decision, _ = played(outlook, profile, balance, 7)
    assume(decision.approved)
    (size,) = (reason for reason in decision.reasons if reason.startswith("size"))
    lost, allowed = Decimal(size.split(" lose ")[1].split()[0]), Decimal(size.split(" stop, ")[1].split()[0])
    assert lost <= allowed
