"""The venue of a strategy: brackets over bars, exits at the time limit, and restored accounts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from mikrobot.domain.errors import BarError, DataError
from mikrobot.domain.market import Bar
from mikrobot.domain.trading import Fill, FillReason, OrderIntent, Side
from mikrobot.paper import venue as rules
from mikrobot.paper.fills import fills_of
from mikrobot.paper.slippage import NO_SLIPPAGE
from mikrobot.paper.valuation import Holding, value
from mikrobot.paper.venue import VENUE_RULES, Venue

NINE = datetime(2024, 3, 11, 9, tzinfo=UTC)  # a Monday
MINUTE = timedelta(minutes=1)
FLAT = (1.10000, 1.10020, 1.09980, 1.10000)


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn slippage off, so that every price can be computed by hand."""
    exact = {name: replace(profile, slippage=NO_SLIPPAGE) for name, profile in VENUE_RULES.items()}
    monkeypatch.setattr(rules, "VENUE_RULES", exact)


def opened(*symbols: str, at: datetime = NINE) -> Venue:
    venue = Venue(symbols or ("EURUSD",), seed=7)
    venue.open(at, D("10000.00"))
    return venue


def bar(minute: int, prices: tuple[float, ...] = FLAT, symbol: str = "EURUSD", spread: float = 0.0001) -> Bar:
    """Return a bar that opens `minute` minutes after nine, with a spread of one pip."""
    first, high, low, last = prices
    return Bar(symbol, NINE + minute * MINUTE, first, high, low, last, spread=spread)


def order(
    side: Side = Side.BUY, minute: int = 0, symbol: str = "EURUSD", lots: str = "1", **prices: str
) -> OrderIntent:
    """Return a bracket of one lot, decided `minute` minutes after nine, with a time limit of 30 minutes."""
    stop, target = ("1.09800", "1.10300") if side is Side.BUY else ("1.10200", "1.09700")
    at = NINE + minute * MINUTE
    return OrderIntent(
        f"{symbol}/{minute}", "d", symbol, side, D(lots), D(prices.get("stop", stop)), D(prices.get("target", target)),
        at, at + 30 * MINUTE, D(prices["entry"]) if "entry" in prices else None,
    )  # fmt: skip


def play(venue: Venue, *bars: Bar) -> None:
    for closed in bars:
        venue.play(closed)
        venue.leave_expired(closed.close_time)


def ledger_fills(venue: Venue) -> list[Fill]:
    return fills_of({name: account.journal for name, account in venue.exchange.accounts.items()})


def test_the_opening_balance_is_divided_equally_among_the_markets_to_the_cent() -> None:
    both = Venue(("EURUSD", "BTCUSDT", "GBPUSD"), seed=7)
    both.open(NINE, D("10000.01"))
    balances = {name: account.balance("USD") for name, account in both.exchange.accounts.items()}
    assert sum(balances.values()) == D("10000.01")
    assert set(balances.values()) <= {D("5000.00"), D("5000.01")}
    assert opened("EURUSD").exchange.accounts["fx"].balance("USD") == D("10000.00")


def test_a_buy_enters_at_the_ask_of_the_next_open_and_exits_at_its_target() -> None:
    """Entry at 1.10010, exit at 1.10300: 290.00 dollars, less 3.50 commission per side."""
    venue = opened()
    play(venue, bar(-1))
    assert venue.place(order()) == ""
    play(venue, bar(0), bar(1, (1.10000, 1.10300, 1.09990, 1.10290)))
    entry, exit_ = ledger_fills(venue)
    assert (entry.reason, entry.price, entry.filled_at, entry.fee) == (FillReason.ENTRY, D("1.10010"), NINE, D("3.50"))
    assert (exit_.reason, exit_.price, exit_.pnl) == (FillReason.TARGET, D("1.10300"), D("290.00"))
    assert (entry.lots, exit_.side, exit_.order_id) == (D("1.00"), Side.SELL, "EURUSD/0")
    assert exit_.filled_at == NINE + 2 * MINUTE
    assert venue.exchange.accounts["fx"].balance("USD") == D("10283.00")


def test_a_short_sale_of_crypto_needs_no_coins_and_pays_the_fees_of_a_perpetual() -> None:
    """Short 0.1 at 60,000.00, stopped at 60,100.00 + 0.00: -10.00; 0.05 % of 6,000.00 and 6,010.00."""
    venue = opened("BTCUSDT")
    play(venue, bar(-1, (60_000.0, 60_010.0, 59_990.0, 60_000.0), "BTCUSDT", 0.0))
    venue.place(order(Side.SELL, symbol="BTCUSDT", lots="0.1", stop="60100.00", target="59750.00"))
    play(venue, bar(0, (60_000.0, 60_100.0, 59_990.0, 60_090.0), "BTCUSDT", 0.0))
    entry, exit_ = ledger_fills(venue)
    assert (entry.side, entry.price, entry.fee) == (Side.SELL, D("60000.00"), D("3.00"))
    assert (exit_.reason, exit_.price, exit_.pnl, exit_.fee) == (
        FillReason.STOP, D("60100.00"), D("-10.00"), D("3.00"),
    )  # fmt: skip
    assert venue.exchange.accounts["crypto"].balance("USD") == D("9984.00")


def test_a_stop_entry_waits_for_its_price_and_has_its_exits_from_then_on() -> None:
    """The ask of bar 2 reaches 1.10200; the stop, below every price before, is hit in bar 3."""
    venue = opened()
    play(venue, bar(-1))
    assert venue.place(order(entry="1.10200", stop="1.10150", target="1.10500")) == ""
    play(venue, bar(0), bar(1, (1.10100, 1.10180, 1.10090, 1.10180)))
    assert ledger_fills(venue) == []
    assert venue.standing("EURUSD", NINE + 2 * MINUTE).engaged == {"EURUSD"}
    play(venue, bar(2, (1.10180, 1.10250, 1.10170, 1.10230)), bar(3, (1.10230, 1.10240, 1.10100, 1.10120)))
    entry, exit_ = ledger_fills(venue)
    assert (entry.reason, entry.price, entry.filled_at) == (FillReason.ENTRY, D("1.10200"), NINE + 3 * MINUTE)
    assert (exit_.reason, exit_.price, exit_.pnl) == (FillReason.STOP, D("1.10150"), D("-50.00"))


def test_a_stop_entry_whose_price_is_not_reached_is_void_at_its_time_limit() -> None:
    venue = opened()
    play(venue, bar(-1))
    venue.place(order(entry="1.10200", target="1.10500"))
    play(venue, *(bar(minute) for minute in range(31)))
    assert venue.standing("EURUSD", NINE + 31 * MINUTE).engaged == frozenset()
    play(venue, bar(31, (1.10000, 1.10300, 1.10000, 1.10290)))
    assert ledger_fills(venue) == []


def test_a_stop_entry_that_the_open_gaps_through_is_filled_at_the_open() -> None:
    venue = opened()
    play(venue, bar(-1))
    venue.place(order(entry="1.10200", target="1.10500"))
    play(venue, bar(0, (1.10300, 1.10310, 1.10290, 1.10300)))
    assert ledger_fills(venue)[0].price == D("1.10310")


def test_a_stop_that_the_open_gaps_through_is_filled_at_the_open() -> None:
    venue = opened()
    play(venue, bar(-1))
    venue.place(order())
    play(venue, bar(0), bar(1, (1.09700, 1.09750, 1.09650, 1.09700)))
    assert (ledger_fills(venue)[1].reason, ledger_fills(venue)[1].price) == (FillReason.STOP, D("1.09700"))


def test_a_bar_that_reaches_stop_and_target_fills_the_stop_and_marks_it_ambiguous() -> None:
    venue = opened()
    play(venue, bar(-1))
    venue.place(order())
    play(venue, bar(0), bar(1, (1.10000, 1.10400, 1.09700, 1.10300)))
    assert (ledger_fills(venue)[1].reason, ledger_fills(venue)[1].ambiguous) == (FillReason.STOP, True)


@pytest.mark.parametrize(
    ("symbol", "prices"), [("EURUSD", FLAT), ("BTCUSDT", (60_000.0, 60_020.0, 59_980.0, 60_000.0))]
)
def test_a_position_past_its_time_limit_is_closed_at_the_next_open(symbol: str, prices: tuple[float, ...]) -> None:
    """The hedging account closes it by its ticket, the netting account by its symbol; both exits are canceled."""
    venue = opened(symbol)
    stop, target = f"{prices[3] * 0.99:.2f}", f"{prices[3] * 1.01:.2f}"
    play(venue, bar(-1, prices, symbol))
    venue.place(order(symbol=symbol, lots="0.1", stop=stop, target=target))
    play(venue, *(bar(minute, prices, symbol) for minute in range(30)))
    assert len(ledger_fills(venue)) == 1
    play(venue, bar(30, prices, symbol))
    assert (ledger_fills(venue)[1].reason, ledger_fills(venue)[1].filled_at) == (FillReason.TIME, NINE + 30 * MINUTE)
    assert venue.standing(symbol, NINE + 31 * MINUTE).engaged == frozenset()
    assert not any(account.live for account in venue.exchange.accounts.values())


def test_an_order_without_a_price_before_its_expiry_is_expired() -> None:
    venue = opened()
    play(venue, bar(-1))
    venue.place(order())
    assert venue.standing("EURUSD", NINE).engaged == {"EURUSD"}
    play(venue, bar(31))
    assert ledger_fills(venue) == []
    assert venue.standing("EURUSD", NINE + 32 * MINUTE).engaged == frozenset()


def test_an_exit_that_the_closed_market_refuses_is_sent_again_and_filled_after_the_weekend() -> None:
    """FX closes on Friday at 21:00 UTC in that week, and opens on Sunday at the same hour."""
    friday = (datetime(2024, 3, 15, 20, 29, tzinfo=UTC) - NINE) // MINUTE
    venue = opened()
    play(venue, bar(friday - 1))
    venue.place(order(minute=friday))
    play(venue, *(bar(minute) for minute in range(friday, friday + 31)))
    assert len(ledger_fills(venue)) == 1
    assert venue.exchange.accounts["fx"].rejections()[-1].reason == "EURUSD is closed at this hour"
    sunday = friday + 31 + 48 * 60
    play(venue, bar(sunday))
    assert (ledger_fills(venue)[1].reason, ledger_fills(venue)[1].filled_at) == (
        FillReason.TIME,
        NINE + sunday * MINUTE,
    )


def test_the_account_snapshot_includes_open_positions() -> None:
    """1 lot bought at 1.10010 and marked at 1.09900 has lost 110.00; with 3.50 commission: 113.50."""
    venue = opened()
    play(venue, bar(-1))
    venue.place(order())
    play(venue, bar(0, (1.10000, 1.10000, 1.09900, 1.09900)))
    standing = venue.standing("EURUSD", NINE + MINUTE)
    assert (standing.balance, standing.day_opening, standing.day_loss) == (D("9996.50"), D("10000.00"), D("113.50"))
    assert standing.free_margin == D("10000.00") - D("113.50") - D("3667.00")  # 110,010 / 30
    assert standing.engaged == {"EURUSD"}


def test_the_loss_of_yesterday_does_not_count_today() -> None:
    late = (datetime(2024, 3, 11, 23, 57, tzinfo=UTC) - NINE) // MINUTE
    venue = opened()
    play(venue, bar(late - 1))
    venue.place(order(minute=late))
    play(venue, bar(late, (1.10000, 1.10000, 1.09700, 1.09700)), bar(late + 1))
    assert venue.standing("EURUSD", NINE + (late + 1) * MINUTE).day_loss == D("217.00")
    play(venue, bar(late + 2))
    standing = venue.standing("EURUSD", NINE + (late + 3) * MINUTE)
    assert (standing.day_opening, standing.day_loss) == (D("9783.00"), D("0.00"))


def test_an_order_on_the_wrong_side_is_refused_with_the_reason() -> None:
    venue = opened()
    play(venue, bar(-1))
    assert "must be below" in venue.place(order(stop="1.10400"))
    assert venue.standing("EURUSD", NINE).engaged == frozenset()


def test_a_bar_with_a_missing_price_raises_an_error() -> None:
    with pytest.raises(BarError, match="EURUSD: expected a finite price"):
        opened().play(bar(0, (1.1, float("nan"), 1.1, 1.1)))


def test_unrecorded_returns_each_record_once() -> None:
    venue = opened()
    first = venue.unrecorded()
    play(venue, bar(0))
    second = venue.unrecorded()
    assert [record.seq for record in (*first["fx"], *second["fx"])] == list(range(venue.exchange.accounts["fx"].seq))
    assert venue.unrecorded() == {}


def test_a_journal_with_a_missing_record_is_refused() -> None:
    venue = opened()
    play(venue, bar(-1))
    venue.place(order())
    journal = venue.unrecorded()["fx"]
    with pytest.raises(DataError, match="expected journal record 3, found 4"):
        Venue(("EURUSD",), seed=7).restore({"fx": [*journal[:3], *journal[4:]]}, [bar(-1)], NINE)


def test_accounts_restored_years_later_begin_a_new_day_and_week() -> None:
    venue = opened("EURUSD", "BTCUSDT")
    play(venue, bar(-1))
    later = Venue(("EURUSD", "BTCUSDT"), seed=7)
    later.restore(venue.unrecorded(), [bar(-1)], NINE + timedelta(days=700))
    new = later.unrecorded()
    assert {name: [record.kind for record in records] for name, records in new.items()} == {
        "fx": ["day", "week"], "crypto": ["day", "week"],
    }  # fmt: skip


def test_a_position_left_open_by_a_run_is_closed_at_the_last_bid_with_its_commission() -> None:
    """Bought 1 lot at 1.10010, closed at 1.10050: 40.00 dollars, less 3.50 per side."""
    venue = opened()
    play(venue, bar(-1))
    venue.place(order())
    play(venue, bar(0, (1.10000, 1.10060, 1.09990, 1.10050)))
    venue.close_out(NINE + MINUTE, "next run")
    entry, exit_ = ledger_fills(venue)
    assert (exit_.reason, exit_.price, exit_.pnl) == (FillReason.RUN_END, D("1.10050"), D("40.00"))
    assert (exit_.order_id, exit_.filled_at, entry.reason) == ("EURUSD/0", NINE + MINUTE, FillReason.ENTRY)
    account = venue.exchange.accounts["fx"]
    assert account.balance("USD") == D("10033.00")
    assert (account.positions, account.live) == ({}, {})
    assert [record.detail for record in account.journal if getattr(record, "kind", "") == "run_end"] == ["next run"]


def test_closing_out_an_account_without_positions_or_orders_writes_no_record() -> None:
    venue = opened("EURUSD", "BTCUSDT")
    before = {name: account.seq for name, account in venue.exchange.accounts.items()}
    venue.close_out(NINE, "next run")
    assert {name: account.seq for name, account in venue.exchange.accounts.items()} == before


def test_an_order_that_waits_for_a_price_is_canceled_when_the_run_ends() -> None:
    venue = opened()
    play(venue, bar(-1))
    venue.place(order())
    venue.close_out(NINE, "next run")
    play(venue, bar(0))
    assert ledger_fills(venue) == []


def test_the_value_of_a_venue_is_its_cash_plus_unrealised_profit() -> None:
    venue = opened()
    play(venue, bar(-1))
    venue.place(order())
    play(venue, bar(0, (1.10000, 1.10060, 1.09990, 1.10050)))
    valuation = value(venue, NINE + MINUTE)
    assert (valuation.balance, valuation.equity) == (D("9996.50"), D("10036.50"))
    assert valuation.holdings == (Holding("EURUSD", "fx", Side.BUY, D("1.00"), D("1.10010"), D("40.00")),)
    assert valuation.earned == {"EURUSD": D("36.50")}
