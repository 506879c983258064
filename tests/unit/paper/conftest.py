from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mikrobot.domain.market import Bar
from mikrobot.domain.trading import Fill, FillReason, Order, Side

NINE = datetime(2024, 3, 11, 9, tzinfo=UTC)  # a Monday


@pytest.fixture
def at() -> Callable[[float], datetime]:
    """Minutes after nine on a Monday, UTC."""
    return lambda minutes: NINE + timedelta(minutes=minutes)


@pytest.fixture
def bar() -> Callable[..., Bar]:
    """A bar of the minute; the spread is 1 pip of EURUSD unless given."""

    def make(
        minute: float, prices: tuple[float, float, float, float], spread: float = 0.0001, symbol: str = "EURUSD"
    ) -> Bar:
        return Bar(symbol, NINE + timedelta(minutes=minute), *prices, spread=spread)

    return make


@pytest.fixture
def order() -> Callable[..., Order]:
    """An order of one lot of EURUSD submitted at nine, with a life of 30 minutes."""

    def make(side: Side = Side.BUY, minute: float = 0, symbol: str = "EURUSD", lots: str = "1", **prices: str) -> Order:
        stop, target = ("1.09800", "1.10300") if side is Side.BUY else ("1.10200", "1.09700")
        submitted = NINE + timedelta(minutes=minute)
        return Order(
            id=f"run/{symbol}/{minute:g}",
            decision_id=f"decision/{symbol}/{minute:g}",
            symbol=symbol,
            side=side,
            lots=Decimal(lots),
            stop=Decimal(prices.get("stop", stop)),
            target=Decimal(prices.get("target", target)),
            submitted_at=submitted,
            expires_at=submitted + timedelta(minutes=30),
        )

    return make


@pytest.fixture
def fill() -> Callable[..., Fill]:
    """A fill of an order with the cash that is given."""

    def make(order: Order, reason: FillReason, minute: float, pnl: str = "0.00", fee: str = "3.50") -> Fill:
        entering = reason is FillReason.ENTRY
        return Fill(
            id=f"{order.id}/{'entry' if entering else 'exit'}",
            order_id=order.id,
            symbol=order.symbol,
            side=order.side if entering else order.side.opposite,
            lots=order.lots,
            price=Decimal("1.10000"),
            reason=reason,
            fee=Decimal(fee),
            pnl=Decimal(pnl),
            filled_at=NINE + timedelta(minutes=minute),
        )

    return make
