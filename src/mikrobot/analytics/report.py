"""The trading report: the trades of a run, the reasons for them, and which parts are simulated.

Writes one HTML file that opens without a network, the same content in Markdown, and a picture. Does
not compute figures: those of the trades come from `assessment`, everything else from `Facts`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from mikrobot.analytics import trade_journal
from mikrobot.analytics.assessment import Assessment, assess
from mikrobot.analytics.charges import Charge
from mikrobot.analytics.charts import account
from mikrobot.analytics.charts.style import plotly_script
from mikrobot.analytics.charts.trades import trades_figure
from mikrobot.analytics.decision_summary import Refusal, outcomes, refusals
from mikrobot.analytics.skill_facts import SkillFacts
from mikrobot.analytics.trade_journal import TradeRow
from mikrobot.analytics.trades import closed_trades, open_positions, r_multiple
from mikrobot.analytics.wording import TEMPLATES, compared, figure_rows, minute
from mikrobot.domain.errors import StoreError
from mikrobot.domain.trading import ANSWERED_BY, Decision, Fill, OrderIntent, Prediction, Trade
from mikrobot.domain.trading_states import TradingState
from mikrobot.models.catalog import TRADED
from mikrobot.models.task import Task

MARKDOWN_TRADES = 100
"""Trades listed in the Markdown report; the HTML lists all of them."""

TELLING_TRADES = 100
"""With fewer trades, the report warns that the result cannot distinguish skill from luck."""

_COMPARED = ("total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "drawdown_days")


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """The result of a drift comparison, as shown in the report.

    Attributes
    ----------
    verdict : str
    share : float
        Drifted columns over compared columns, 0 to 1.
    drifted : tuple of str
        Names of the drifted columns, the largest drift first.
    report : Path
        The full drift report.
    """

    verdict: str
    share: float
    drifted: tuple[str, ...]
    report: Path


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model that made predictions in the run.

    Attributes
    ----------
    name, version : str
    trained_from, trained_until : datetime
        UTC; training used no data outside this span, including the horizon of the labels.
    horizon_minutes : int
    metrics : mapping of str to mapping of str to float or None
        Value by metric for each predictor evaluated on the same held-out rows: the model first, its
        baselines after it. A metric that was not computed for a baseline is absent or None.
    """

    name: str
    version: str
    trained_from: datetime
    trained_until: datetime
    horizon_minutes: int
    metrics: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """The result of an expectation suite: expectations passed and failed, rows checked and quarantined."""

    suite: str
    passed: int
    failed: int
    rows: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The inputs of the report of one run.

    Attributes
    ----------
    run_id, source : str
    simulated : bool
        The bars were generated, not observed; shown at the top of the report and on each chart.
    starts_at, ends_at, written_at : datetime
        UTC; the start and the end of the traded span, and the time of writing.
    profile : str
        Name of the risk profile.
    rules : mapping of str to str
        Other trading settings of the run, value by name.
    refused : sequence of Refusal
        Counts of refused decisions, for a run whose refusals are not in `decisions`.
    levels : (str, str)
        Feature columns of the levels, above and below the price, whose breaks are predicted.
    opening : Decimal
        Balance before the first trade, `currency`.
    bars : mapping of str to DataFrame
        M1 bar frame of the traded span by symbol.
    predictions, decisions, orders, fills : sequences of ledger records
    counts : mapping of str to int
        Number of signals, decisions, orders and fills, in the order shown.
    models : sequence of ModelFacts
    checks : sequence of CheckFacts
    latencies_ms : mapping of str to mapping of str to float
        n, p50 and p99 by stage.
    drift : DriftFacts or None
        None if drift was not compared; `drift_note` gives the reason.
    charges : sequence of Charge
        Every cash entry of the account that no fill records, and its slippage, from its journal.
    currency : str
    states : sequence of TradingState
        The spans in which no position could be opened, in the order in which they began.
    skills : sequence of SkillFacts
        Of the predictions of the span, by symbol and model version.
    """

    run_id: str
    source: str
    simulated: bool
    starts_at: datetime
    ends_at: datetime
    written_at: datetime
    profile: str
    opening: Decimal
    bars: Mapping[str, pd.DataFrame]
    predictions: Sequence[Prediction]
    decisions: Sequence[Decision]
    orders: Sequence[OrderIntent]
    fills: Sequence[Fill]
    counts: Mapping[str, int]
    models: Sequence[ModelFacts]
    checks: Sequence[CheckFacts]
    latencies_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    drift: DriftFacts | None = None
    drift_note: str = "not compared in this run"
    charges: Sequence[Charge] = ()
    currency: str = "USD"
    rules: Mapping[str, str] = field(default_factory=dict)
    refused: Sequence[Refusal] = ()
    levels: tuple[str, str] = Task(TRADED).columns
    states: Sequence[TradingState] = ()
    skills: Sequence[SkillFacts] = ()

    def since(self, start: datetime) -> "Facts":
        """Return the facts of the decisions from an instant on.

        Orders before that instant are left out unless they are still open. The results of the orders
        left out, and all earlier charges, are added to the opening balance.
        """
        if start <= self.starts_at:
            return self
        still_open = {position.order.id for position in open_positions(self.orders, self.fills)}
        orders = [order for order in self.orders if order.submitted_at >= start or order.id in still_open]
        kept = {order.id for order in orders}
        earned = sum((fill.pnl - fill.fee for fill in self.fills if fill.order_id not in kept), Decimal(0))
        paid = sum((charge.amount for charge in self.charges if charge.is_cash and charge.at < start), Decimal(0))
        return replace(
            self,
            starts_at=start,
            opening=self.opening + earned - paid,
            bars={symbol: frame[frame["open_time"] >= start] for symbol, frame in self.bars.items()},
            predictions=[prediction for prediction in self.predictions if prediction.close_time >= start],
            decisions=[decision for decision in self.decisions if decision.close_time >= start],
            orders=orders,
            fills=[fill for fill in self.fills if fill.order_id in kept],
            charges=[charge for charge in self.charges if charge.at >= start],
            counts={},
            states=[state for state in self.states if state.until is None or state.until > start],
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The files of a written report, and the figures in it."""

    html: Path
    markdown: Path
    png: Path
    assessment: Assessment


def write(facts: Facts, folder: Path) -> Report:
    """Write ``report.html``, ``report.md`` and ``report.png`` into a folder, created if missing.

    Raises
    ------
    DataError
        If the fills cannot be paired to trades.
    StoreError
        If the folder cannot be written.
    """
    from mikrobot.analytics import picture  # imports matplotlib, which only the picture needs

    trades = closed_trades(facts.orders, facts.fills)
    held = open_positions(facts.orders, facts.fills)
    assessment = assess(trades, facts.bars, facts.opening, held=held, charges=facts.charges)
    report = Report(folder / "report.html", folder / "report.md", folder / "report.png", assessment)
    html = page(facts, assessment, folder)
    markdown = TEMPLATES.get_template("report.md.j2").render(_view(facts, trades, assessment, folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(report.html, html)
        _replace(report.markdown, markdown)
        picture.save(report.png.with_suffix(".partial"), _title(facts), assessment, trades, opening=facts.opening)
        report.png.with_suffix(".partial").replace(report.png)
    except OSError as error:
        raise StoreError(f"the report cannot be written to {folder}: {error.strerror}") from error
    return report


def page(facts: Facts, assessment: Assessment, folder: Path) -> str:
    """Return the report as one HTML page.

    Parameters
    ----------
    facts : Facts
    assessment : Assessment
        The assessment of the same trades.
    folder : Path
        Folder of the page; links are relative to it.

    Raises
    ------
    DataError
        If the fills cannot be paired to trades.
    """
    trades = closed_trades(facts.orders, facts.fills)
    view = _view(facts, trades, assessment, folder)
    return TEMPLATES.get_template("report.html.j2").render(view, **_page(facts, view["rows"], trades, assessment))


def predicted_by(decisions: Sequence[Decision]) -> dict[str, tuple[str, ...]]:
    """Return by symbol the models that predicted and their training data, in order of first use."""
    models: dict[str, dict[str, None]] = {}
    for decision in decisions:
        for reason in decision.reasons:
            if reason.startswith(ANSWERED_BY):
                models.setdefault(decision.symbol, {})[reason.removeprefix(ANSWERED_BY)] = None
    return {symbol: tuple(names) for symbol, names in sorted(models.items())}


def _view(facts: Facts, trades: Sequence[Trade], assessment: Assessment, folder: Path) -> dict[str, Any]:
    rows = trade_journal.rows(trades, facts.decisions, facts.predictions, facts.levels)
    refused, approved = facts.refused or refusals(facts.decisions), sum(one.approved for one in facts.decisions)
    return {
        "facts": facts,
        "trades": trades,
        "rows": rows,
        "assessment": assessment,
        "total": assessment.total,
        "figures": figure_rows(assessment),
        "benchmarks": [compared(name, assessment) for name in _COMPARED],
        "by_symbol": assessment.groups["symbol"],
        "open_positions": len(open_positions(facts.orders, facts.fills)),
        "predicted_by": predicted_by(facts.decisions),
        "refusals": refused,
        "stopped": sorted((one for one in refused if one.first), key=lambda one: -one.first),
        "approved": approved,
        "decided": approved + sum(one.first for one in refused),
        "outcomes": outcomes(rows),
        "limits": limits(facts, len(trades), assessment.ruined),
        "drift_link": _link(facts.drift.report, folder) if facts.drift else "",
        "markdown_trades": MARKDOWN_TRADES,
    }


def _page(facts: Facts, rows: Sequence[TradeRow], trades: Sequence[Trade], assessment: Assessment) -> dict[str, Any]:
    """Return what only the HTML page needs: plotly.js, the charts, and the journal as data."""
    levels = {row.trade.order.id: row.level for row in rows if row.level is not None}
    return {
        "plotly": plotly_script(),
        "equity": account.equity_figure(
            assessment.marks["equity"],
            facts.opening,
            {name: benchmark.equity for name, benchmark in assessment.benchmarks.items()},
            facts.currency,
            nav=assessment.marks["nav"],
        ),
        "marked": len(assessment.marks) > 0,
        "results": account.distribution_figure([r for r in map(r_multiple, trades) if r is not None]),
        "hours": account.hours_figure(trades, facts.currency),
        "costs": account.costs_figure(
            assessment.costs, assessment.total.pnl + sum(assessment.costs.values()), facts.currency
        ),
        "charts": {
            symbol: trades_figure(bars, [trade for trade in trades if trade.order.symbol == symbol], levels)
            for symbol, bars in facts.bars.items()
            if len(bars)
        },
        "journal": trade_journal.script(rows, assessment, facts.bars),
    }


def _title(facts: Facts) -> str:
    market = "SIMULATED market" if facts.simulated else facts.source
    return f"{market} · {', '.join(facts.bars)} · {minute(facts.starts_at)} to {minute(facts.ends_at)} UTC"


def limits(facts: Facts, trades: int, ruined: str = "") -> list[tuple[str, str]]:
    """Return the limits of the report by subject: which parts are simulated, and what the figures do not show."""
    market = (
        "SIMULATED. The bars come from a seeded generator. They resemble market data but are not: "
        "this report does not show what the models would have earned in a real market."
        if facts.simulated
        else f"Real bars from the source {facts.source}, checked before use. Gaps are not filled with artificial bars."
    )
    subjects = [
        ("Market", market),
        (
            "Account and orders",
            "Virtual. No order left this machine. A buy pays the ask after the decision and a sell gets the bid. If "
            "the source quotes no spread, the typical spread of the instrument is assumed. Market impact, queue "
            "position and partial fills are not modelled. A trade that ends at its stop loses the share of the balance "
            "that the profile risks. This share includes the spread and both commissions, but not slippage. R excludes "
            "costs, so such a loss is larger than 1 R. A trade is refused if its target earns no more than a round "
            "trip costs. If one bar reaches both stop and target, the stop is assumed and the trade is marked "
            "ambiguous.",
        ),
        (
            "Model",
            "The model predicts the probability that the price breaks the last swing high or low within the horizon. "
            "It does not predict how far the price moves, what a trade earns, or news. Its metrics are listed next to "
            "those of baselines: a model that does not beat them adds nothing.",
        ),
    ]
    by_book = sum(fill.spread is not None for fill in facts.fills)
    if by_book:
        subjects.append(
            (
                "Order book",
                f"{by_book} of {len(facts.fills)} fills took the levels of a live order book at the open of their bar, "
                "each up to its displayed size, in place of the bar's price and spread. Size beyond the stored levels "
                "was assumed to fill at a worse price than the last one. The venue did not react to these orders.",
            )
        )
    if ruined:
        subjects.append(
            ("Ruin", f"{ruined[0].upper()}{ruined[1:]}. No ratio of returns is computed for a ruined account.")
        )
    if trades < TELLING_TRADES:
        counted = "one closed trade is" if trades == 1 else f"{trades} closed trades are"
        subjects.append(("Result", f"{counted} too few to distinguish skill from luck.".capitalize()))
    return subjects


def _link(target: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(target.resolve(), folder.resolve())).as_posix())


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
