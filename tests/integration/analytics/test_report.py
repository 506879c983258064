import json
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mikrobot.analytics import trade_journal
from mikrobot.analytics.assessment import assess
from mikrobot.analytics.charges import Charge
from mikrobot.analytics.charts.account import costs_figure, thinned
from mikrobot.analytics.charts.trades import longer_bars
from mikrobot.analytics.decision_summary import Refusal, outcomes, refusals
from mikrobot.analytics.figures import MEASURES
from mikrobot.analytics.report import DriftFacts, Facts, Report, limits, write
from mikrobot.analytics.trades import closed_trades, performance
from mikrobot.domain.check_results import Comparison
from mikrobot.domain.errors import StoreError
from mikrobot.domain.market import empty_bars
from mikrobot.domain.trading import Decision, FillReason, Side
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.models.task import Task

Build = Callable[..., Facts]
LOADS = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=", re.IGNORECASE)


class Shown(HTMLParser):
    """The visible text of a page, its links, and its unclosed tags."""

    VOID = {"meta", "br", "hr", "img", "input", "link"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style", "title"):
            self.text += data + " "


def shown(facts: Facts, folder: Path) -> Shown:
    return Shown(write(facts, folder).html.read_text())


@pytest.fixture(scope="module")
def facts(made_up_facts: Build) -> Facts:
    """The facts of a day with 40 trades."""
    return made_up_facts(trades=40)


@pytest.fixture(scope="module")
def report(facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of these facts, for tests that only read it."""
    return write(facts, tmp_path_factory.mktemp("report"))


def test_the_page_loads_nothing_and_carries_plotly_once(report: Report) -> None:
    html = report.html.read_text()
    assert not LOADS.search(html)
    assert html.count("plotly.js v") == 1
    assert html.count('class="plotly-graph-div"') == 6  # equity, results, costs, hours, two symbols


def test_every_tag_is_closed(report: Report) -> None:
    assert Shown(report.html.read_text()).open == []


def test_a_simulated_market_is_stated_at_the_top(facts: Facts, report: Report) -> None:
    assert facts.simulated
    page = Shown(report.html.read_text()).text
    assert page.index("SIMULATED market") < page.index("Profit and loss")
    assert "EURUSD · SIMULATED market" in page
    assert "BTCUSDT · SIMULATED market" in page
    assert "SIMULATED" in report.markdown.read_text().splitlines()[0]


def test_the_summary_counts_every_decision_once_and_the_most_frequent_check_first(facts: Facts, report: Report) -> None:
    refused = [decision for decision in facts.decisions if not decision.approved]
    text = f"{len(facts.decisions):,} decisions: {len(facts.decisions) - len(refused):,} were approved"
    page, markdown = Shown(report.html.read_text()).text, report.markdown.read_text()
    assert text in page
    assert text in markdown
    (table,) = re.findall(r"\| Stopped first by .*?\n\n", markdown, flags=re.DOTALL)
    counts = [int(row.split("|")[2].replace(",", "")) for row in table.strip().splitlines()[2:]]
    assert sum(counts) == len(refused) > 0
    assert counts == sorted(counts, reverse=True)


def test_a_real_market_is_never_called_simulated(made_up_facts: Build, tmp_path: Path) -> None:
    report = write(made_up_facts(simulated=False, source="replay"), tmp_path)
    assert "SIMULATED" not in Shown(report.html.read_text()).text + report.markdown.read_text()
    assert "Source: replay" in Shown(report.html.read_text()).text


def test_the_figures_shown_are_those_of_the_metrics(facts: Facts, report: Report) -> None:
    total = performance(closed_trades(facts.orders, facts.fills), facts.opening)
    pnl = f"{total.pnl:+,.2f}".replace("-", "\N{MINUS SIGN}")
    for text in (Shown(report.html.read_text()).text, report.markdown.read_text()):
        assert pnl in text
        assert f"{report.assessment.total.max_drawdown:,.2f}" in text
        assert f"{total.win_rate:.0%}" in text


def journal(report: Report) -> list[dict[str, Any]]:
    """Return the trades of the journal on the page."""
    page = report.html.read_text()
    data = re.search(r'<script type="application/json" id="journal-data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    trades: list[dict[str, Any]] = json.loads(data.group(1))
    return trades


def test_each_trade_is_in_the_journal_with_its_reasons_its_model_and_its_level(facts: Facts, report: Report) -> None:
    listed = {trade["id"]: trade for trade in journal(report)}
    assert len(listed) == 40
    for order, decision, prediction in zip(facts.orders, facts.decisions, facts.predictions, strict=False):
        trade = listed[order.id]
        assert (trade["stop"], trade["target"]) == (str(order.stop), str(order.target))
        assert trade["reasons"] == list(decision.reasons)
        assert trade["model"] == "bos 3"
        assert trade["level"] == prediction.features[facts.levels[order.side is Side.SELL]]


def test_the_levels_drawn_are_those_of_the_predictions(made_up_facts: Build, tmp_path: Path) -> None:
    """Use the levels of swing 15: the inputs of such a model include the levels of swing 5 too."""
    facts, wide = made_up_facts(trades=9), Task("bos", swing=15).columns
    asked = [
        replace(prediction, features={**prediction.features, wide[prediction.side is Side.SELL]: 1.0 + number})
        for number, prediction in enumerate(facts.predictions)
    ]
    listed = journal(write(replace(facts, predictions=asked, levels=wide), tmp_path))
    assert {trade["level"] for trade in listed} == {1.0 + number for number in range(9)}


def test_both_formats_show_the_trading_settings(made_up_facts: Build, tmp_path: Path) -> None:
    report = write(made_up_facts(profile="ftmo", rules={"entry probability": "0.7", "swing": "15"}), tmp_path)
    for text in (report.html.read_text(), report.markdown.read_text()):
        assert "profile ftmo · entry probability 0.7 · swing 15 · run" in text


def test_results_in_the_journal_are_exact(facts: Facts, report: Report) -> None:
    earned = sum(Decimal(trade["pnl"]) for trade in journal(report))
    assert earned == performance(closed_trades(facts.orders, facts.fills), facts.opening).pnl


def test_the_bars_around_a_trade_hold_its_prices(report: Report) -> None:
    for trade in journal(report):
        bars = trade["bars"]
        assert min(bars["l"]) <= float(trade["entry"]) <= max(bars["h"])
        assert len(bars["at"]) == len(bars["c"]) <= 360
        assert bars["at"][0] == 0


def test_a_trade_without_a_decision_or_bars_is_still_listed(made_up_facts: Build, tmp_path: Path) -> None:
    facts = made_up_facts(trades=4, decisions=[], predictions=[], bars={})
    for trade in journal(write(facts, tmp_path)):
        assert (trade["decision"], trade["reasons"], trade["model"], trade["level"]) == (None, None, None, None)
        assert "bars" not in trade


def test_every_figure_is_shown_with_its_interval_or_reason_and_its_convention(report: Report) -> None:
    for text in (Shown(report.html.read_text()).text, report.markdown.read_text()):
        text = " ".join(text.split())
        for name, figure in report.assessment.figures.items():
            assert MEASURES[name].label in text
            assert MEASURES[name].convention in text or escape(MEASURES[name].convention) in text
            assert figure.value is not None or figure.reason in text
        assert "365 periods a year" in text
        assert "buy and hold" in text


def words(facts: Facts, folder: Path) -> str:
    return " ".join(shown(facts, folder).text.split())


def test_two_days_give_no_annualised_figures(made_up_facts: Build, tmp_path: Path) -> None:
    text = words(made_up_facts(minutes=2880), tmp_path)
    annualised = ("Annualised return", "Annualised volatility", "Sharpe ratio", "Sortino ratio", "Calmar ratio")
    for label in (*annualised, "Longest drawdown", "Beta"):
        assert re.search(rf"{label} 2 days [a-z ]*, \d+ are needed", text), label
    assert "Annualised alpha 2 days of returns in common, 90 are needed" in text
    assert "Days in this report: 2." in text


def test_the_page_shows_a_single_maximum_drawdown(made_up_facts: Build, tmp_path: Path) -> None:
    facts = made_up_facts(trades=40, minutes=190_000)
    report = write(
        replace(
            facts,
            bars={"EURUSD": facts.bars["EURUSD"]},
            orders=[order for order in facts.orders if order.symbol == "EURUSD"],
            fills=[fill for fill in facts.fills if fill.symbol == "EURUSD"],
        ),
        tmp_path,
    )
    total, figures = report.assessment.total, report.assessment.figures
    assert total.max_drawdown_pct == pytest.approx(100 * figures["max_drawdown"].value, rel=1e-12)
    assert figures["calmar"].value == pytest.approx(figures["cagr"].value / figures["max_drawdown"].value, rel=1e-12)
    text = " ".join(Shown(report.html.read_text()).text.split())
    shown_there = re.findall(r"[Mm]aximum drawdown ([\d.,]+\d)", text)
    assert set(shown_there) == {f"{total.max_drawdown:,.2f}", f"{total.max_drawdown_pct:.2f}"}


def test_charges_are_in_the_equity_and_in_the_profit(made_up_facts: Build, tmp_path: Path) -> None:
    at = made_up_facts().starts_at
    paid = [Charge(at + timedelta(hours=9), "insurance", Decimal("-20.00")), Charge(at, "swap", Decimal("6.50"))]
    paid += [Charge(at + timedelta(hours=3), "slippage", Decimal("9.00"))]
    plain, charged = made_up_facts(trades=20), made_up_facts(trades=20, charges=paid)
    before, after = (write(facts, tmp_path / name).assessment for facts, name in ((plain, "a"), (charged, "b")))
    assert after.total.pnl - before.total.pnl == Decimal("13.50")
    assert after.marks["equity"].iloc[-1] - before.marks["equity"].iloc[-1] == pytest.approx(13.5)
    assert after.marks["equity"].iloc[-1] == pytest.approx(float(charged.opening + after.total.pnl))
    assert f"{after.total.pnl:+,.2f}".replace("-", "\N{MINUS SIGN}") in words(charged, tmp_path / "c")


@pytest.mark.parametrize("paid_in", ["5000", "-5000"])
def test_a_deposit_is_in_the_equity_but_not_in_profit_return_or_drawdown(made_up_facts: Build, paid_in: str) -> None:
    facts = made_up_facts(trades=20, minutes=40 * 1440)
    trades, at = closed_trades(facts.orders, facts.fills), facts.starts_at + timedelta(days=20)
    plain = assess(trades, facts.bars, facts.opening)
    moved = assess(trades, facts.bars, facts.opening, charges=[Charge(at, "deposit", -Decimal(paid_in))])
    assert moved.total.pnl == plain.total.pnl
    assert moved.marks["equity"].iloc[-1] - plain.marks["equity"].iloc[-1] == pytest.approx(float(paid_in))
    for name in ("total_return", "max_drawdown"):
        assert moved.figures[name].value == pytest.approx(plain.figures[name].value, abs=0.01), name
    assert moved.costs == plain.costs


def test_an_open_position_is_valued_to_the_end(made_up_facts: Build, tmp_path: Path) -> None:
    facts = made_up_facts(trades=1)
    entry, close = facts.fills[0], facts.bars["EURUSD"]["close"].iloc[-1]
    price = close if entry.side is Side.BUY else close + 0.00008
    judged = write(replace(facts, fills=[entry]), tmp_path).assessment
    value = (price - float(entry.price)) * entry.side.sign * float(entry.lots) * 100_000
    assert judged.marks["equity"].iloc[-1] == pytest.approx(10_000 - 0.35 + value, abs=0.06)  # a tick is 0.10
    assert (judged.total.pnl, judged.costs["commission"]) == (0, 0)


def test_later_facts_start_with_the_charges_before(made_up_facts: Build) -> None:
    at = made_up_facts().starts_at
    paid = [Charge(at + timedelta(days=day), "swap", Decimal(day)) for day in (1, 2, 9)]
    facts = made_up_facts(trades=60, minutes=20_000, charges=paid)
    late = facts.since(at + timedelta(days=7))
    whole, part = (
        assess(closed_trades(run.orders, run.fills), run.bars, run.opening, charges=run.charges)
        for run in (facts, late)
    )
    assert late.opening + part.total.pnl == facts.opening + whole.total.pnl
    assert part.costs["swap"] == 9


def test_a_ruined_account_is_reported_as_ruined(made_up_facts: Build, tmp_path: Path) -> None:
    facts = made_up_facts(trades=40, minutes=150_000, opening=Decimal(18))
    report = write(facts, tmp_path)
    text = " ".join(Shown(report.html.read_text()).text.split())
    annualised = ("Annualised return", "Annualised volatility", "Sharpe ratio", "Sortino ratio", "Calmar ratio")
    for label in (*annualised, "Beta", "Annualised alpha"):
        assert f"{label} ruined: the equity fell to" in text, label
    assert "Ruin Ruined: the equity fell to" in text
    assert "UTC. No ratio" in text
    json.dumps(report.assessment.to_json(), allow_nan=False)


def test_every_convention_states_the_observations_that_it_needs(report: Report) -> None:
    text = " ".join(Shown(report.html.read_text()).text.split())
    for measure in MEASURES.values():
        assert f"needs {measure.least} " in measure.stated
        assert measure.stated in text


def test_the_picture_is_a_png_of_its_size(made_up_facts: Build, report: Report, tmp_path: Path) -> None:
    for written in (report, write(made_up_facts(trades=0), tmp_path)):
        data = written.png.read_bytes()
        assert data.startswith(b"\x89PNG")
        assert struct.unpack(">II", data[16:24]) == (1400, 900)


def test_later_facts_start_with_the_results_before(made_up_facts: Build) -> None:
    facts = made_up_facts(trades=60, minutes=20_000)
    since = facts.starts_at + timedelta(days=7)
    late = facts.since(since)
    trades, all_trades = closed_trades(late.orders, late.fills), closed_trades(facts.orders, facts.fills)
    assert 0 < len(trades) < 60
    assert all(trade.order.submitted_at >= since for trade in trades)
    assert late.opening + sum(t.pnl for t in trades) == facts.opening + sum(t.pnl for t in all_trades)
    assert all((frame["open_time"] >= since).all() for frame in late.bars.values())
    assert facts.since(facts.starts_at) is facts


def test_a_thinned_curve_keeps_its_extremes() -> None:
    curve = pd.Series(np.random.default_rng(1).normal(0, 1, 10_000))
    drawn = thinned(curve, 200)
    assert len(drawn) <= 200
    assert (drawn.min(), drawn.max()) == (curve.min(), curve.max())


def test_markdown_lists_the_first_hundred_trades_and_says_so(made_up_facts: Build, tmp_path: Path) -> None:
    text = write(made_up_facts(trades=130), tmp_path).markdown.read_text()
    assert text.count("probability passed") == 100
    assert "The first 100 of 130" in text


def test_an_open_position_is_counted_separately(made_up_facts: Build, tmp_path: Path) -> None:
    facts = made_up_facts(trades=5)
    without_last_exit = [fill for fill in facts.fills if fill.reason is FillReason.ENTRY or fill is not facts.fills[-1]]
    assert "1 open" in shown(replace(facts, fills=without_last_exit), tmp_path).text


def test_a_run_without_trades_models_or_drift_still_reports(made_up_facts: Build, tmp_path: Path) -> None:
    empty = made_up_facts(trades=0, models=[], checks=[], latencies_ms={}, decisions=[], drift_note="too few rows: 40")
    page = shown(empty, tmp_path).text
    assert "This run closed no trades." in page
    assert "No model made predictions in this run." in page
    assert "Too few rows: 40." in page


def test_a_metric_missing_for_a_baseline_is_left_blank(made_up_facts: Build, tmp_path: Path) -> None:
    (model,) = made_up_facts().models
    judged = {"xgboost": {"auc": 0.8123}, "atr": {"auc": None}, "base rate": {}, "control": {"auc": float("nan")}}
    report = write(made_up_facts(models=[replace(model, metrics=judged)]), tmp_path)
    assert "| auc | 0.8123 |  |  |  |" in report.markdown.read_text()
    assert "0.8123" in Shown(report.html.read_text()).text


def test_a_closed_market_shows_a_sentence_instead_of_a_chart(made_up_facts: Build, tmp_path: Path) -> None:
    html = write(made_up_facts(trades=0, bars={"EURUSD": empty_bars()}), tmp_path).html.read_text()
    text = " ".join(Shown(html).text.split())
    assert "EURUSD · SIMULATED market No closed trades. No bar of EURUSD closed in this period" in text
    assert "the market was closed, and the equity did not change" in text
    assert 'class="plotly-graph-div"' not in html


def test_a_closed_market_next_to_an_open_one_is_not_drawn(made_up_facts: Build, tmp_path: Path) -> None:
    facts = made_up_facts(trades=0)
    html = write(replace(facts, bars={**facts.bars, "EURUSD": empty_bars()}), tmp_path).html.read_text()
    assert html.count('class="plotly-graph-div"') == 2  # equity, and the bars of BTCUSDT
    assert "No bar of EURUSD closed in this period: its market was closed." in Shown(html).text


def test_every_cell_has_a_column_header_on_a_narrow_screen(report: Report) -> None:
    """On a narrow screen each row is a card, and each value is labelled with the header of its column."""
    html = report.html.read_text()
    assert "data-label" in html
    for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        heads, _, rows = table.partition("</thead>")
        cells = {row.count("<td") for row in re.findall(r"<tr>.*?</tr>", rows, re.DOTALL)}
        assert cells <= {heads.count("<th>") + heads.count("<th ")}


def test_the_cost_chart_is_horizontal_with_space_for_its_labels(made_up_facts: Build) -> None:
    """The running sum goes from 0 down to -110; the axis adds half of that span on both sides."""
    drawn = costs_figure({"commission": Decimal(60), "swap": Decimal(40)}, Decimal(-10), "USD")
    assert '"orientation":"h"' in drawn
    assert '"range":[-165.0,55.0]' in drawn


def test_the_drift_report_is_linked_relative_to_the_page(made_up_facts: Build, tmp_path: Path) -> None:
    facts = made_up_facts(drift=DriftFacts("drift", 0.56, ("h1_rsi_14",), tmp_path / "drift" / "last run.html"))
    assert shown(facts, tmp_path / "reports").links == ["../drift/last%20run.html"]


def test_text_from_outside_cannot_become_markup(made_up_facts: Build, tmp_path: Path) -> None:
    html = write(made_up_facts(source="<script>alert(1)</script>", simulated=False), tmp_path).html.read_text()
    assert "<script>alert(1)" not in html


def test_reports_replace_older_ones_and_leave_no_temporary_files(made_up_facts: Build, tmp_path: Path) -> None:
    write(made_up_facts(run_id="older"), tmp_path)
    report = write(made_up_facts(run_id="newer"), tmp_path)
    assert "older" not in report.markdown.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md", "report.png"]


def test_an_unwritable_folder_raises_a_store_error(made_up_facts: Build, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write(made_up_facts(), tmp_path / "file")


def test_the_report_names_the_models_of_each_symbol(made_up_facts: Build, tmp_path: Path) -> None:
    facts = made_up_facts()
    first, *rest = facts.decisions
    named = [replace(first, reasons=("answered by bos 3, learned from EURUSD", *first.reasons))]
    named += [replace(first, reasons=("answered by bos 4, learned from EURUSD",)) for _ in range(2)]
    report = write(replace(facts, decisions=[*named, *rest]), tmp_path)
    line = f"{first.symbol}: predictions by bos 3, learned from EURUSD; then bos 4, learned from EURUSD"
    assert line in report.markdown.read_text(encoding="utf-8")
    assert line in report.html.read_text(encoding="utf-8")


def test_refusals_are_counted_by_check_regardless_of_their_values(made_up_facts: Build) -> None:
    at = made_up_facts().starts_at
    decisions = [
        Decision(
            "a", "EURUSD", at, False, None, ("level passed: 1.07", "probability refused: up 0.41"), "simple_break@0"
        ),
        Decision(
            "b",
            "EURUSD",
            at,
            False,
            None,
            ("probability refused: up 0.32", "open_trades refused: 2 open"),
            "simple_break@0",
        ),
        Decision("c", "EURUSD", at, True, None, ("probability passed: up 0.71",), "simple_break@0"),
    ]
    assert refusals(decisions) == (
        Refusal("probability", 2, "up 0.32", first=2),
        Refusal("open_trades", 1, "2 open", first=0),
    )


def test_the_first_refusals_and_the_approved_decisions_add_up_and_a_refused_trade_has_its_value(
    made_up_facts: Build, tmp_path: Path
) -> None:
    facts = made_up_facts()
    reasons = ("position refused: one is open", "costs passed: 25 to 5", "size refused: 0 lots")
    sized = Decision(
        "s", "EURUSD", facts.starts_at, False, Side.BUY, reasons, "simple_break@0",
        (None, Comparison(25.5, ">", 5.25, "USD"), None),
    )  # fmt: skip
    unsized = replace(sized, id="u", side=None, reasons=("size refused: 0 lots",), comparisons=())
    approved = [decision for decision in facts.decisions if decision.approved]
    counted = {refusal.check: refusal for refusal in refusals([sized, sized, unsized, *approved])}
    assert counted["position"] == Refusal("position", 2, "one is open", first=2, sized=2, at_target=40.5)
    assert counted["size"] == Refusal("size", 3, "0 lots", first=1)
    assert sum(refusal.first for refusal in counted.values()) == 3
    report = write(replace(facts, decisions=[sized, sized, unsized, *approved]), tmp_path)
    text = report.markdown.read_text(encoding="utf-8")
    assert "| position | 2 | 2 | +40.50 |" in text
    assert "| size | 1 | 0 |  |" in text
    page = report.html.read_text(encoding="utf-8")
    assert "What was traded, and what was not" in page
    assert "+40.50" in page


def test_the_closed_trades_are_summed_by_strategy_side_and_exit(made_up_facts: Build) -> None:
    facts = made_up_facts()
    trades = closed_trades(facts.orders, facts.fills)
    summed = outcomes(trade_journal.rows(trades, facts.decisions, facts.predictions, facts.levels))
    assert sum(outcome.trades for outcome in summed) == len(trades) > 0
    assert sum(outcome.pnl for outcome in summed) == sum(trade.pnl for trade in trades)
    assert {outcome.strategy for outcome in summed} == {"simple_break"}


def test_few_trades_get_a_warning_about_luck(made_up_facts: Build) -> None:
    facts = made_up_facts()
    assert any("luck" in text for _, text in limits(facts, 14))
    assert not any("luck" in text for _, text in limits(facts, 400))


def test_the_limits_count_the_fills_by_an_order_book_if_there_are_any(made_up_facts: Build) -> None:
    facts = made_up_facts()
    assert "Order book" not in dict(limits(facts, 400))
    first, *others = facts.fills
    by_book = replace(facts, fills=[replace(first, spread=Decimal("0.00010")), *others])
    assert dict(limits(by_book, 400))["Order book"].startswith(f"1 of {len(facts.fills)} fills took the levels")


def test_long_spans_are_drawn_in_longer_bars_that_keep_the_extremes(made_up_facts: Build) -> None:
    bars = made_up_facts(minutes=6_000).bars["EURUSD"]
    drawn, minutes = longer_bars(bars)
    assert (minutes, len(drawn)) == (5, 1_200)
    assert drawn["high"].max() == bars["high"].max()
    assert drawn["low"].min() == bars["low"].min()
    assert drawn["open"].iloc[0] == bars["open"].iloc[0]
    assert drawn["close"].iloc[-1] == bars["close"].iloc[-1]


def test_halts_are_listed_with_their_span_and_reason_and_one_that_ended_before_is_left_out(
    made_up_facts: Build, tmp_path: Path
) -> None:
    facts = made_up_facts()
    start = facts.starts_at + timedelta(hours=1)
    early = TradingState(Permission.HALTED, "data quality", "an old gap", facts.starts_at, start, "EURUSD")
    ended = TradingState(Permission.HALTED, "data quality", "a gap", start, start + timedelta(minutes=4), "EURUSD")
    open_ = replace(ended, symbol="BTCUSDT", reason="a spike", until=None)
    page = shown(replace(facts, states=(early, ended, open_)).since(start), tmp_path).text
    begun = f"{start:%Y-%m-%d %H:%M}"
    assert f"EURUSD HALTED {begun} {ended.until:%Y-%m-%d %H:%M} 4 data quality a gap" in " ".join(page.split())
    assert f"BTCUSDT HALTED {begun} not ended data quality a spike" in " ".join(page.split())
    assert "an old gap" not in page
    markdown = (tmp_path / "report.md").read_text()
    assert f"| EURUSD | HALTED | {begun} | {ended.until:%Y-%m-%d %H:%M} | 4 | data quality | a gap |" in markdown
    assert "Trading was ACTIVE throughout." in shown(facts, tmp_path).text
