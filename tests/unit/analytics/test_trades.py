from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mikrobot.analytics.trades import balances, by_symbol, closed_trades, grouped, performance
from mikrobot.domain.errors import DataError
from mikrobot.domain.trading import Fill, FillReason, OrderIntent, Side, Trade

MORNING = datetime(2024, 5, 6, 8, 0, tzinfo=UTC)
OPENING = Decimal("10000")


def order(number: int, symbol: str = "EURUSD") -> OrderIntent:
    at = MORNING + timedelta(minutes=number)
    return OrderIntent(
        f"o{number}", f"d{number}", symbol, Side.BUY, Decimal("0.1"), Decimal("1.07"), Decimal("1.09"), at,
        at + timedelta(minutes=30),
    )  # fmt: skip


def fill(
    of: OrderIntent, reason: FillReason, minutes: int, pnl: str = "0", fee: str = "0.35", ambiguous: bool = False
) -> Fill:
    side = of.side if reason is FillReason.ENTRY else of.side.opposite
    return Fill(
        f"{of.id}-{reason.value}", of.id, of.symbol, side, of.lots, Decimal("1.08"), reason, Decimal(fee), Decimal(pnl),
        of.submitted_at + timedelta(minutes=minutes), ambiguous,
    )  # fmt: skip


def trade(number: int, pnl: str, symbol: str = "EURUSD", fee: str = "0", ambiguous: bool = False) -> Trade:
    placed = order(number, symbol)
    return Trade(
        placed,
        fill(placed, FillReason.ENTRY, 0, fee=fee),
        fill(placed, FillReason.STOP, 5, pnl, fee=fee, ambiguous=ambiguous),
    )


def test_results_are_net_of_both_fees() -> None:
    figures = performance([trade(1, "10.00", fee="0.35")], OPENING)
    assert figures.pnl == Decimal("9.30")
    assert figures.fees == Decimal("0.70")


def test_a_win_smaller_than_its_fees_is_not_a_win() -> None:
    assert performance([trade(1, "0.50", fee="0.35")], OPENING).win_rate == 0.0


def test_drawdown_is_the_largest_fall_from_an_earlier_peak() -> None:
    trades = [trade(n, pnl) for n, pnl in enumerate(["100", "-30", "-50", "200", "-60"])]
    figures = performance(trades, OPENING)
    assert figures.max_drawdown == Decimal("80")
    assert figures.max_drawdown_pct == pytest.approx(80 / 10_100 * 100)


def test_the_drawdown_of_a_first_loss_starts_at_the_opening_balance() -> None:
    assert performance([trade(1, "-25")], OPENING).max_drawdown == Decimal("25")


def test_drawdown_follows_the_time_of_exit_not_the_order_given() -> None:
    late_loss, early_win = trade(9, "-40"), trade(1, "100")
    assert performance([late_loss, early_win], OPENING).max_drawdown_pct == pytest.approx(40 / 10_100 * 100)


def test_profit_factor_divides_wins_by_losses_and_is_none_without_a_loss() -> None:
    assert performance([trade(1, "30"), trade(2, "-20")], OPENING).profit_factor == pytest.approx(1.5)
    assert performance([trade(1, "30")], OPENING).profit_factor is None


def test_ambiguous_share_counts_trades() -> None:
    trades = [trade(1, "1"), trade(2, "-1", ambiguous=True), trade(3, "1"), trade(4, "1")]
    assert performance(trades, OPENING).ambiguous_share == 0.25


def test_without_trades_rates_are_none_and_amounts_are_zero() -> None:
    figures = performance([], OPENING)
    assert (figures.pnl, figures.max_drawdown, figures.trades) == (0, 0, 0)
    assert (figures.win_rate, figures.profit_factor, figures.ambiguous_share) == (None, None, None)


def test_results_by_symbol_add_up_to_the_total() -> None:
    trades = [trade(1, "30"), trade(2, "-20", "BTCUSDT"), trade(3, "5", "BTCUSDT")]
    apart = grouped(trades, by_symbol, OPENING)
    assert list(apart) == ["BTCUSDT", "EURUSD"]
    assert apart["BTCUSDT"].trades == 2
    assert sum(figures.pnl for figures in apart.values()) == performance(trades, OPENING).pnl


def test_balances_conserve_the_account() -> None:
    trades = [trade(n, pnl, fee="0.35") for n, pnl in enumerate(["100", "-30.10", "7"])]
    assert balances(trades, OPENING)[-1][1] == OPENING + sum(t.pnl for t in trades)


def test_fills_are_paired_by_order_and_open_positions_left_out() -> None:
    first, still_open = order(1), order(2)
    fills = [
        fill(first, FillReason.ENTRY, 0),
        fill(still_open, FillReason.ENTRY, 0),
        fill(first, FillReason.TARGET, 9, "12"),
    ]
    (closed,) = closed_trades([first, still_open], fills)
    assert closed.order is first
    assert closed.pnl == Decimal("11.30")


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda o: [fill(o, FillReason.STOP, 5)], "without an entry"),
        (lambda o: [fill(o, FillReason.ENTRY, 0), fill(o, FillReason.ENTRY, 1)], "two entry fills"),
        (
            lambda o: [fill(o, FillReason.ENTRY, 0), fill(o, FillReason.STOP, 1), fill(o, FillReason.TIME, 2)],
            "two time fills",
        ),
    ],
    ids=["exit without entry", "entered twice", "left twice"],
)
def test_fills_that_cannot_be_paired_raise_an_error(
    broken: Callable[[OrderIntent], list[Fill]], complaint: str
) -> None:
    placed = order(1)
    with pytest.raises(DataError, match=complaint):
        closed_trades([placed], broken(placed))
