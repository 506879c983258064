from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mikrobot.domain.trading import Fill, FillReason, OrderIntent, Side, Trade

AT = datetime(2024, 3, 11, 9, tzinfo=UTC)
ORDER = OrderIntent(
    "o", "d", "EURUSD", Side.BUY, Decimal(1), Decimal("1.098"), Decimal("1.103"), AT, AT + timedelta(minutes=30)
)
ENTRY = Fill(
    "o/entry",
    "o",
    "EURUSD",
    Side.BUY,
    Decimal(1),
    Decimal("1.1"),
    FillReason.ENTRY,
    Decimal("3.50"),
    Decimal(0),
    AT,
)


def test_a_side_has_its_sign_and_its_opposite() -> None:
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert (Side.BUY.opposite, Side.SELL.opposite) == (Side.SELL, Side.BUY)


def test_a_trade_earns_its_exit_less_both_fees() -> None:
    target = replace(ENTRY, id="o/exit", side=Side.SELL, reason=FillReason.TARGET, pnl=Decimal("300.00"))
    assert Trade(ORDER, ENTRY, target).pnl == Decimal("293.00")


@pytest.mark.parametrize("record", [ORDER, ENTRY], ids=lambda record: type(record).__name__)
def test_a_record_of_the_ledger_cannot_be_changed(record: OrderIntent | Fill) -> None:
    with pytest.raises(FrozenInstanceError):
        record.lots = Decimal(2)  # type: ignore[misc]
