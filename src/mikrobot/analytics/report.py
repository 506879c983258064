"""The trading report: what a run traded, why, and what of it is simulated.

One HTML file that opens without a network, and the same in Markdown. Computes nothing but the
figures of `metrics`; everything else it is told as `Facts`.
"""

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from mikrobot.analytics import charts
from mikrobot.analytics.trades import balances, by_symbol, closed_trades, grouped, performance
from mikrobot.domain.errors import StoreError
from mikrobot.domain.trading import Decision, Fill, FillReason, Order, Prediction, Trade

MARKDOWN_TRADES = 100
"""Trades listed in the Markdown report; the HTML lists all of them."""

TELLING_TRADES = 100
"""Below this many trades the report says that their sum is luck as much as skill."""


class DriftFacts(Protocol):
    """What the report shows of a drift comparison."""

    @property
    def verdict(self) -> str:
        """The verdict in a word."""

    @property
    def share(self) -> float:
        """Drifted columns over compared ones."""

    @property
    def drifted(self) -> tuple[str, ...]:
        """Their names."""

    @property
    def report(self) -> Path:
        """The comparison in full."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model that answered in the run.

    Attributes
    ----------
    name, version : str
    trained_from, trained_until : datetime
        UTC; nothing outside was used, the label's horizon included.
    horizon_minutes : int
    metrics : mapping of str to mapping of str to float or None
        Figures by metric for each thing judged on the same held-out rows: the model first, its
        baselines after it. What a baseline was not judged by is absent or None.
    """

    name: str
    version: str
    trained_from: datetime
    trained_until: datetime
    horizon_minutes: int
    metrics: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What a suite of expectations found: expectations passed and failed, rows seen and quarantined."""

    suite: str
    passed: int
    failed: int
    rows: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the report tells of one run.

    Attributes
    ----------
    run_id, source : str
    simulated : bool
        The bars were generated, not observed; said at the top of the report and on each chart.
    starts_at, ends_at, written_at : datetime
        UTC; the span traded, and now.
    profile : str
        Name of the risk numbers.
    opening : Decimal
        Balance before the first trade, `currency`.
    bars : mapping of str to DataFrame
        M1 bar frame of the traded span by symbol.
    predictions, decisions, orders, fills : sequences of ledger records
    counts : mapping of str to int
        The way from signals to fills, in the order it is shown.
    models : sequence of ModelFacts
    checks : sequence of CheckFacts
    latencies_ms : mapping of str to mapping of str to float
        n, p50 and p99 by stage.
    drift : DriftFacts or None
        None where it was not compared; `drift_note` says why.
    currency : str
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
    orders: Sequence[Order]
    fills: Sequence[Fill]
    counts: Mapping[str, int]
    models: Sequence[ModelFacts]
    checks: Sequence[CheckFacts]
    latencies_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    drift: DriftFacts | None = None
    drift_note: str = "not compared in this run"
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Report:
    """Where a report was written."""

    html: Path
    markdown: Path


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A closed trade with the decision and the prediction behind it; None where the ledger has none."""

    trade: Trade
    decision: Decision | None
    prediction: Prediction | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A check, how many decisions it refused, and the values of the last one."""

    check: str
    times: int
    latest: str


def write(facts: Facts, folder: Path) -> Report:
    """Write ``report.html`` and ``report.md`` into a folder, which is created.

    Raises
    ------
    DataError
        If the fills do not pair up to trades.
    StoreError
        If the folder cannot be written.
    """
    view = _view(facts, folder)
    report = Report(folder / "report.html", folder / "report.md")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(report.html, _TEMPLATES.get_template("report.html.j2").render(view, **_figures(facts, view["trades"])))
        _replace(report.markdown, _TEMPLATES.get_template("report.md.j2").render(view))
    except OSError as error:
        raise StoreError(f"the report cannot be written to {folder}: {error.strerror}") from error
    return report


def refusals(decisions: Sequence[Decision]) -> tuple[Refusal, ...]:
    """Count which checks refused decisions, the most frequent first.

    A reason reads ``<check> refused: <values>``; a decision counts for each check that refused it.
    """
    counted: Counter[str] = Counter()
    latest: dict[str, str] = {}
    for reason in (reason for decision in decisions for reason in decision.reasons):
        head, _, values = reason.partition(":")
        check, refused, _ = head.partition(" refused")
        if refused:
            counted[check] += 1
            latest[check] = values.strip()
    return tuple(Refusal(check, count, latest[check]) for check, count in counted.most_common())


def _view(facts: Facts, folder: Path) -> dict[str, Any]:
    trades = closed_trades(facts.orders, facts.fills)
    return {
        "facts": facts,
        "trades": trades,
        "rows": _rows(facts, trades),
        "total": performance(trades, facts.opening),
        "by_symbol": grouped(trades, by_symbol, facts.opening),
        "open_positions": sum(fill.reason is FillReason.ENTRY for fill in facts.fills) - len(trades),
        "refusals": refusals(facts.decisions),
        "limits": limits(facts, len(trades)),
        "drift_link": _link(facts.drift.report, folder) if facts.drift else "",
        "markdown_trades": MARKDOWN_TRADES,
    }


def _rows(facts: Facts, trades: Sequence[Trade]) -> list[TradeRow]:
    decisions = {decision.id: decision for decision in facts.decisions}
    answers = {(p.symbol, p.side, p.close_time): p for p in facts.predictions}
    rows = []
    for trade in sorted(trades, key=lambda trade: trade.entry.filled_at):
        decision = decisions.get(trade.order.decision_id)
        asked = (trade.order.symbol, trade.order.side, decision.close_time) if decision else None
        rows.append(TradeRow(trade, decision, answers.get(asked) if asked else None))
    return rows


def _figures(facts: Facts, trades: Sequence[Trade]) -> dict[str, Any]:
    curve = balances(trades, facts.opening)
    return {
        "plotly": charts.plotly_script(),
        "balance": charts.balance_figure(curve, facts.opening, facts.starts_at, facts.ends_at, facts.currency),
        "charts": {
            symbol: charts.trades_figure(bars, [trade for trade in trades if trade.order.symbol == symbol])
            for symbol, bars in facts.bars.items()
        },
    }


def limits(facts: Facts, trades: int) -> list[tuple[str, str]]:
    """Say what of a run is simulated, what is real, and what its figures cannot tell."""
    market = (
        "SIMULATED. The bars come from a seeded generator. They look like a market and are none: "
        "nothing here says what the models would have earned in a real one."
        if facts.simulated
        else f"Real bars of the source {facts.source}, checked before use; gaps were not filled with invented ones."
    )
    told = [
        ("Market", market),
        (
            "Account and orders",
            "Virtual. No order left this machine. Entries pay the ask or get the bid after the decision; where the "
            "source quotes no spread, the instrument's typical one is assumed. There is no market impact, no queue "
            "and no partial fill. Where one bar holds both stop and target, the stop is assumed and the trade is "
            "marked ambiguous.",
        ),
        (
            "Model",
            "It gives the probability that the last swing high or low is broken within its horizon. It does not "
            "predict how far the price goes, what a trade earns, or news. Its figures stand beside baselines: where it "
            "is not better than those, it adds nothing.",
        ),
    ]
    if trades < TELLING_TRADES:
        counted = "one closed trade is" if trades == 1 else f"{trades} closed trades are"
        told.append(("Result", f"{counted} too few to tell skill from luck.".capitalize()))
    return told


def _link(target: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(target.resolve(), folder.resolve())).as_posix())


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _minute(at: datetime, beside: datetime | None = None) -> str:
    """Show a minute; without its day where that is the same as beside it."""
    return f"{at:%H:%M}" if beside and at.date() == beside.date() else f"{at:%Y-%m-%d %H:%M}"


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}".replace("-", "\N{MINUS SIGN}")


def _signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}".replace("-", "\N{MINUS SIGN}")


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"


def _measured(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.4f}"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


_TEMPLATES = Environment(
    loader=PackageLoader("mikrobot.analytics"),
    autoescape=lambda name: bool(name and name.endswith(".html.j2")),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "minute": _minute,
    "money": _money,
    "signed": _signed,
    "share": _share,
    "figure": _figure,
    "measured": _measured,
}
