"""The files of a backtest: its report as a page, and the list of its trades.

Gathers what was traded as the report takes it; computes no figure.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from mikrobot.analytics import journal
from mikrobot.analytics import report as reporting
from mikrobot.analytics.assessment import Assessment
from mikrobot.analytics.journal import TradeRow
from mikrobot.analytics.trades import closed_trades, r_multiple
from mikrobot.domain.errors import StoreError, UsageError
from mikrobot.domain.trading import Decision, OrderIntent, Prediction, Side
from mikrobot.live.trader import Traded
from mikrobot.models.catalog import TRADED
from mikrobot.models.spec import ModelSpec
from mikrobot.models.task import Task
from mikrobot.settings import Settings
from mikrobot.workflows.registered import Answering

COLUMNS = (
    *("symbol", "side", "lots", "decided_at", "entered_at", "entry_price", "stop", "target", "left_at", "exit_price"),
    *("exit_reason", "ambiguous", "gross", "fees", "pnl", "r", "probability", "model"),
)
"""Columns of the list of trades: times in UTC, money in dollars, what is unknown empty."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where the report and the list of trades go; None for none."""

    report: Path | None = None
    trades: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is anything to write."""
        return self.report is not None or self.trades is not None

    def check(self, data: Sequence[Path] = ()) -> None:
        """Refuse, before anything is computed, what could not be written or would overwrite what is read.

        Raises
        ------
        UsageError
            If a file is a folder, is one of the bars, or is given twice.
        """
        given = {"--report": self.report, "--trades": self.trades}
        named = {option: path.resolve() for option, path in given.items() if path is not None}
        for option, path in named.items():
            if path.is_dir():
                raise UsageError(f"{option} {path} is a folder; give a file to write")
            if any(path == each.resolve() for each in data):
                raise UsageError(f"{option} {path} holds the bars to read; give another file")
        if len(set(named.values())) < len(named):
            raise UsageError(f"--report and --trades are both {named['--report']}; give each a file of its own")

    def to_json(self) -> dict[str, str | None]:
        """Return both paths as text."""
        given = {"report": self.report, "trades": self.trades}
        return {name: None if path is None else str(path) for name, path in given.items()}


NO_FILES = Files()


@dataclass(slots=True)
class Kept:
    """The decisions that a report shows: each approved one, and how often each check refused."""

    approved: list[Decision] = field(default_factory=list)
    refusals: reporting.Refusals = field(default_factory=reporting.Refusals)

    def __call__(self, decision: Decision) -> None:
        """Take a decision in."""
        if decision.approved:
            self.approved.append(decision)
        else:
            self.refusals.add(decision)


def facts_of(
    settings: Settings,
    done: Traded,
    bars: Mapping[str, pd.DataFrame],
    run_id: str,
    *,
    source: str,
    simulated: bool,
    span: tuple[datetime, datetime],
    written_at: datetime,
    predictions: Sequence[Prediction],
    decisions: Sequence[Decision],
    specs: Sequence[ModelSpec],
    refused: Sequence[reporting.Refusal] = (),
) -> reporting.Facts:
    """Return what was traded as the report takes it.

    Parameters
    ----------
    settings : Settings
        Traded by.
    done : Traded
    bars : mapping of str to DataFrame
        The traded bars by symbol.
    run_id, source : str
    simulated : bool
    span : (datetime, datetime)
        Closes in it were traded, UTC.
    written_at : datetime
    predictions : sequence of Prediction
        At least those that orders were placed on.
    decisions : sequence of Decision
        At least the approved ones; the others are counted in `refused`.
    contracts : sequence of Contract
        Of the models that predicted; none for the rules alone.
    refused : sequence of Refusal
    """
    task = specs[0].task if specs else Task(TRADED, settings.swing)
    approved = sum(decision.approved for decision in decisions)
    return reporting.Facts(
        run_id=run_id,
        source=source,
        simulated=simulated,
        starts_at=span[0],
        ends_at=span[1],
        written_at=written_at,
        profile=settings.profile,
        opening=settings.balance,
        bars=bars,
        predictions=predictions,
        decisions=decisions,
        orders=done.orders,
        fills=done.fills,
        counts={"decisions": done.decisions, "approved": approved, "fills": len(done.fills)},
        models=[_model(spec) for spec in specs],
        checks=[],
        drift_note="not compared in a backtest",
        charges=done.charges,
        rules={"entry probability": f"{settings.entry_probability:g}", "swing": str(task.swing)},
        refused=refused,
        levels=task.columns,
    )


def predictions_of(
    orders: Sequence[OrderIntent], outlooks: Mapping[str, pd.DataFrame], models: Mapping[str, Answering]
) -> list[Prediction]:
    """Return the predictions that orders were placed on, with the levels that they were asked about.

    Parameters
    ----------
    orders : sequence of OrderIntent
    outlooks : mapping of str to DataFrame
        By symbol and close: above, below, up and down.
    models : mapping of str to Answering
        What predicted, by symbol.
    """
    found = []
    for order in orders:
        known = outlooks[order.symbol].loc[pd.Timestamp(order.submitted_at)].to_dict()
        answering = models[order.symbol]
        spec = answering.model.spec
        features = dict(zip(answering.levels, (known["above"], known["below"]), strict=True))
        chance = known["up" if order.side is Side.BUY else "down"]
        origin = (answering.name, spec.version, spec.feature_hash)
        found.append(Prediction(order.symbol, order.side, order.submitted_at, chance, *origin, features))
    return found


def write(files: Files, facts: reporting.Facts, judged: Assessment) -> None:
    """Write the files that are wanted; a folder that is not there is created.

    Parameters
    ----------
    files : Files
    facts : Facts
    judged : Assessment
        Of the trades of `facts`.

    Raises
    ------
    StoreError
        If one cannot be written.
    """
    if files.report is not None:
        _replace(files.report, reporting.page(facts, judged, files.report.parent))
    if files.trades is not None:
        trades = closed_trades(facts.orders, facts.fills)
        _replace(files.trades, listed(journal.rows(trades, facts.decisions, facts.predictions, facts.levels)))


def listed(rows: Sequence[TradeRow]) -> str:
    """Return trades as CSV with a head of `COLUMNS`, in order of entry."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(map(_cells, rows))
    return text.getvalue()


def _model(spec: ModelSpec) -> reporting.ModelFacts:
    """Return a model as the report shows it, beside the baselines of its training."""
    found = spec.metrics
    metrics = {"model": found["metrics"], **found.get("baselines", {})} if "metrics" in found else {}
    span = (spec.trained_from, spec.trained_until)
    return reporting.ModelFacts(spec.name, spec.version, *span, spec.horizon_minutes, metrics)


def _cells(row: TradeRow) -> tuple[object, ...]:
    trade, order, asked, r = row.trade, row.trade.order, row.prediction, r_multiple(row.trade)
    entry, leave = trade.entry, trade.exit
    return (
        *(order.symbol, order.side.value, order.lots, _instant(order.submitted_at)),
        *(_instant(entry.filled_at), entry.price, order.stop, order.target, _instant(leave.filled_at), leave.price),
        *(leave.reason.value, str(leave.ambiguous).lower(), leave.pnl, entry.fee + leave.fee, trade.pnl),
        "" if r is None else f"{r:.4f}",
        *((f"{asked.probability:.6f}", f"{asked.model} {asked.model_version}") if asked else ("", "")),
    )


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}); give a path that can") from error
