"""Money of instruments other than dollar pairs, worked by hand through the venue: result, margin, commission, fees.

Every account opens with 10,000.00 dollars; slippage is off.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.domain.instruments import registry
from mikrobot.domain.market import Bar
from mikrobot.domain.trading import Fill, OrderIntent, Side
from mikrobot.paper import margin
from mikrobot.paper import venue as rules
from mikrobot.paper.fills import fills_of
from mikrobot.paper.slippage import NO_SLIPPAGE
from mikrobot.paper.venue import VENUE_RULES, Venue

NINE = datetime(2024, 3, 11, 9, tzinfo=UTC)  # a Monday
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = {name: replace(profile, slippage=NO_SLIPPAGE) for name, profile in VENUE_RULES.items()}
    monkeypatch.setattr(rules, "VENUE_RULES", exact)


class Desk:
    """A venue whose bars are flat at the given bids, and one position on it."""

    def __init__(self, symbol: str, prices: dict[str, tuple[float, float]]) -> None:
        self.symbol, self.prices = symbol, prices
        self.venue = Venue(prices, seed=7)
        self.venue.open(NINE, D("10000.00"))
        self.account = self.venue.exchange.accounts[self.venue.markets[symbol]]

    def minute(self, number: int, high: float | None = None, low: float | None = None) -> None:
        """Play a minute in which the symbol moves to a high or a low and the others stay."""
        bars = []
        for symbol, (bid, spread) in self.prices.items():
            moved = symbol == self.symbol
            top, bottom = (high if moved and high else bid), (low if moved and low else bid)
            bars.append(Bar(symbol, NINE + number * MINUTE, bid, top, bottom, bid, spread=spread))
        for bar in self.venue.rates_first(bars):
            self.venue.play(bar)
        self.venue.leave_expired(NINE + (number + 1) * MINUTE)

    def enter(self, side: Side, lots: str, stop: str, target: str) -> None:
        """Fill a bracket at the open of minute 0."""
        self.minute(-1)
        order = OrderIntent("o", "d", self.symbol, side, D(lots), D(stop), D(target), NINE, NINE + 30 * MINUTE)
        assert self.venue.place(order) == ""
        self.minute(0)

    @property
    def fills(self) -> Sequence[Fill]:
        return fills_of({name: account.journal for name, account in self.venue.exchange.accounts.items()})

    @property
    def used(self) -> D:
        return D(margin.used(self.account)) / 100

    @property
    def balance(self) -> D:
        return self.account.balance("USD")


def test_gold_is_a_hundred_ounces_a_lot_at_leverage_20() -> None:
    """Buy 0.5 lots, 50 ounces, at the ask 2000.20; sell at the target 2010.00.

    Result 50 x 9.80 = 490.00. Commission 0.5 x 3.50 = 1.75 a side. Margin 50 x 2000.20 / 20 = 5000.50.
    Free margin at the first close: 10000.00 - 1.75 - 50 x 0.20 - 5000.50 = 4987.75.
    """
    desk = Desk("XAUUSD", {"XAUUSD": (2000.00, 0.20)})
    desk.enter(Side.BUY, "0.50", stop="1990.00", target="2010.00")
    assert desk.used == D("5000.50")
    assert desk.venue.standing("XAUUSD", NINE + MINUTE).free_margin == D("4987.75")
    desk.minute(1, high=2010.50)
    entry, leave = desk.fills
    assert (entry.lots, entry.price, entry.fee) == (D("0.50"), D("2000.20"), D("1.75"))
    assert (leave.price, leave.pnl, leave.fee) == (D("2010.00"), D("490.00"), D("1.75"))
    assert desk.balance == D("10486.50")
    assert desk.used == 0


def test_an_index_is_one_index_a_lot_without_commission() -> None:
    """Sell 2 lots of US30 at the bid 39000.0; buy at the target 38900.0.

    Result 2 x 100.0 = 200.00. Margin 2 x 39000.0 / 20 = 3900.00.
    """
    desk = Desk("US30", {"US30": (39_000.0, 2.0)})
    desk.enter(Side.SELL, "2.0", stop="39100.0", target="38900.0")
    assert desk.used == D("3900.00")
    desk.minute(1, low=38_890.0)
    entry, leave = desk.fills
    assert (entry.price, entry.fee, leave.price) == (D("39000.0"), D("0.00"), D("38900.0"))
    assert (leave.pnl, desk.balance) == (D("200.00"), D("10200.00"))


def test_an_index_in_euros_is_converted_at_the_euro_of_the_same_minute() -> None:
    """Buy 2 lots of GER40 at the ask 18001.5; sell at the target 18101.5, with EURUSD at 1.10000 / 1.10010.

    Result 2 x 100.0 = 200 euros, sold at the bid: 220.00. Margin 2 x 18001.5 x 1.10010 / 20 = 1980.35.
    """
    desk = Desk("GER40", {"GER40": (18_000.0, 1.5), "EURUSD": (1.10000, 0.00010)})
    desk.enter(Side.BUY, "2.0", stop="17900.0", target="18101.5")
    assert desk.used == D("1980.35")
    desk.minute(1, high=18_102.0)
    assert (desk.fills[1].price, desk.fills[1].pnl, desk.balance) == (D("18101.5"), D("220.00"), D("10220.00"))


def test_a_yen_cross_is_converted_at_the_dollar_in_yen() -> None:
    """Buy a lot of EURJPY at the ask 163.010; sell at the target 163.500, with USDJPY at 148.000 / 148.010.

    Result 100,000 x 0.490 = 49,000 yen; the dollars for them cost the ask: 49,000 / 148.010 = 331.06.
    Commission 3.50 a side. Margin 100,000 x 163.010 / 148.000 / 30 = 3671.40.
    """
    desk = Desk("EURJPY", {"EURJPY": (163.000, 0.010), "USDJPY": (148.000, 0.010)})
    desk.enter(Side.BUY, "1.00", stop="162.000", target="163.500")
    assert desk.used == D("3671.40")
    desk.minute(1, high=163.600)
    entry, leave = desk.fills
    assert (entry.price, entry.fee) == (D("163.010"), D("3.50"))
    assert (leave.price, leave.pnl, leave.fee) == (D("163.500"), D("331.06"), D("3.50"))
    assert desk.balance == D("10324.06")


def test_a_coin_at_a_hundred_thousandth_of_a_dollar_keeps_every_digit() -> None:
    """Sell 100,000,000 PEPE at 0.00001000; buy at the target 0.00000950.

    Result 100,000,000 x 0.00000050 = 50.00. Taker fee 0.05 % of 1000.00 = 0.50, maker fee 0.02 % of 950.00 = 0.19.
    Margin 1000.00 / 10 = 100.00.
    """
    desk = Desk("PEPEUSDT", {"PEPEUSDT": (0.00001, 0.0)})
    desk.enter(Side.SELL, "100000000", stop="0.00001050", target="0.00000950")
    assert desk.used == D("100.00")
    desk.minute(1, low=0.0000094)
    entry, leave = desk.fills
    assert (entry.price, entry.fee) == (D("0.00001000"), D("0.50"))
    assert (leave.price, leave.pnl, leave.fee) == (D("0.00000950"), D("50.00"), D("0.19"))
    assert desk.balance == D("10049.31")


def test_a_pair_of_coins_is_converted_at_the_bitcoin() -> None:
    """Buy 1 ETH at 0.05000 BTC; sell at the target 0.05100, with BTCUSDT at 60,000.00.

    Result 0.001 BTC = 60.00. Taker fee 0.05 % of 3000.00 = 1.50, maker fee 0.02 % of 3060.00 = 0.61. Margin 300.00.
    """
    desk = Desk("ETHBTC", {"ETHBTC": (0.05, 0.0), "BTCUSDT": (60_000.0, 0.0)})
    desk.enter(Side.BUY, "1", stop="0.04900", target="0.05100")
    assert desk.used == D("300.00")
    desk.minute(1, high=0.0511)
    assert [fill.fee for fill in desk.fills] == [D("1.50"), D("0.61")]
    assert (desk.fills[1].pnl, desk.balance) == (D("60.00"), D("10057.89"))


@pytest.mark.parametrize(
    ("symbols", "wanted"),
    [
        (["EURGBP", "EURUSD"], "GBPUSD"),
        (["GBPJPY"], "USDJPY"),
        (["ETHBTC", "ETHUSDT"], "BTCUSDT"),
        (["HK50"], "USDHKD"),
    ],
)
def test_a_symbol_without_a_rate_to_dollars_is_refused_with_the_one_to_add(symbols: list[str], wanted: str) -> None:
    with pytest.raises(UsageError, match=f"{symbols[0]} is quoted in .* add a file of {wanted}"):
        Venue(symbols, seed=7)


def test_a_symbol_that_converts_others_is_played_before_them() -> None:
    venue = Venue(("EURGBP", "EURUSD", "GBPUSD"), seed=7)
    bars = [Bar(symbol, NINE, 1.0, 1.0, 1.0, 1.0) for symbol in ("EURGBP", "EURUSD", "GBPUSD")]
    assert [bar.symbol for bar in venue.rates_first(bars)] == ["GBPUSD", "EURGBP", "EURUSD"]


def test_no_position_opens_on_a_rate_older_than_a_minute() -> None:
    desk = Desk("EURJPY", {"EURJPY": (163.000, 0.010), "USDJPY": (148.000, 0.010)})
    desk.minute(-1)
    assert desk.venue.standing("EURJPY", NINE).rate == D(1) / D("148.000")
    assert desk.venue.standing("EURJPY", NINE + 2 * MINUTE).rate is None


def test_nothing_trades_in_the_daily_break_of_a_metal() -> None:
    """The break is from 17:00 to 18:00 New York, 21:00 to 22:00 UTC in summer time."""
    contract = rules.contract_of("XAUUSD")
    break_ = datetime(2024, 3, 11, 21, tzinfo=UTC)
    times = (break_ - MINUTE, break_, break_ + 59 * MINUTE, break_ + 60 * MINUTE)
    assert [contract.is_open(rules.milliseconds(at)) for at in times] == [True, False, False, True]
    sunday = datetime(2024, 3, 10, 21, 59, tzinfo=UTC)
    assert [contract.is_open(rules.milliseconds(at)) for at in (sunday, sunday + MINUTE)] == [False, True]


@pytest.mark.parametrize("symbol", ["XAUUSD", "EURUSD"])
def test_the_span_in_which_a_contract_trades_has_no_closed_minute(symbol: str) -> None:
    contract = rules.contract_of(symbol)
    for hour in range(24 * 8):
        at = rules.milliseconds(datetime(2024, 11, 1, tzinfo=UTC) + hour * timedelta(hours=1))
        if contract.is_open(at):
            first, end = contract.open_span(at)
            assert first <= at < end
            assert all(contract.is_open(ts) for ts in range(first, end, 1_800_000))
            assert contract.is_open(end - 1)


def test_the_swap_of_an_instrument_is_charged_overnight() -> None:
    """Half a lot of XAUUSD, 50 ounces, with a swap of -2.5 points of 0.01 costs 1.25 at the rollover of a Monday."""
    entry = registry.recordable(["XAUUSD"])["XAUUSD"]
    with registry.using(registry.recorded({"XAUUSD": {**entry, "swap_long": "-2.5", "swap_short": "1"}})):
        desk = Desk("XAUUSD", {"XAUUSD": (2000.00, 0.20)})
    order = OrderIntent("o", "d", "XAUUSD", Side.BUY, D("0.50"), D("1"), D("9000"), NINE, NINE + timedelta(days=2))
    desk.minute(-1)
    desk.venue.place(order)
    desk.minute(0)
    desk.venue.exchange.settle(rules.milliseconds(NINE + timedelta(days=1)))
    assert desk.balance == D("10000.00") - D("1.75") - D("1.25")


def test_a_venue_keeps_the_numbers_that_it_was_built_with() -> None:
    entry = registry.recordable(["XAUUSD"])["XAUUSD"]
    with registry.using(registry.recorded({"XAUUSD": {**entry, "lot": "10"}})):
        venue = Venue(["XAUUSD"], seed=7)
    assert venue.instruments["XAUUSD"].lot == 10
    assert registry.instrument("XAUUSD").lot == 100
