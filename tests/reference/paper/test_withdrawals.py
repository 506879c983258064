"""A withdrawal takes at most the balance, less what orders lock or isolated positions hold; computed by hand."""

from decimal import Decimal
from typing import Any

import pytest

from mikrobot.domain.errors import ScenarioError
from mikrobot.paper.scenario import simulate
from tests.reference.paper.cases import BTCUSDT, CASH, DOLLARS, EURUSD, PERP, TETHER, book, quote, submit

LONG = [quote(0, "1.10000", "1.10010"), submit(10, "a", "buy", "200000")]
HELD = [book(0, [["49999.9", "9"]], [["50000.0", "9"]], "BTCPERP"), submit(10, "a", "buy", "1", symbol="BTCPERP")]
RESTS = [
    book(0, [["40000.00", "9"]], [["40000.01", "9"]]),
    submit(10, "a", "buy", "1", "limit", "BTCUSDT", price="39000.00"),
]
FREE = {"maker_fee": "0", "taker_fee": "0"}


@pytest.mark.parametrize(
    ("account", "instrument", "events", "currency", "free"),
    [
        (DOLLARS, EURUSD, [], "USD", "10000.00"),
        (DOLLARS, EURUSD, [*LONG, quote(20, "1.11010", "1.11020")], "USD", "10000.00"),  # without the open profit
        (DOLLARS, EURUSD, LONG, "EUR", "0.00"),
        (TETHER, PERP | FREE, HELD, "USDT", "5000.00000000"),  # 10,000 - 50,000 / 10
        (CASH, BTCUSDT | FREE, RESTS, "USDT", "61000.00000000"),  # 100,000 - 39,000 locked by the limit order
        (CASH, BTCUSDT | FREE, RESTS, "BTC", "2.00000000"),
    ],
)
def test_a_withdrawal_beyond_what_is_free_is_refused(
    account: dict[str, Any], instrument: dict[str, Any], events: list[dict[str, Any]], currency: str, free: str
) -> None:
    least = Decimal(1).scaleb(Decimal(free).as_tuple().exponent)  # type: ignore[arg-type]

    def withdraw(amount: Decimal) -> Any:
        taken = {"t": 30, "type": "deposit", "currency": currency, "amount": f"{-amount:f}"}
        return simulate({"account": account, "instruments": [instrument], "events": [*events, taken]})

    assert Decimal(withdraw(Decimal(free))["final"]["balances"].get(currency, 0)) >= 0
    with pytest.raises(ScenarioError, match=f"a withdrawal of .* {currency} exceeds the {free} that are free"):
        withdraw(Decimal(free) + least)
