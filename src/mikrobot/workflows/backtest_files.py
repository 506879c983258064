"""Write the files of a backtest: its report as an HTML page, and the list of its trades as CSV.

Collects the input of the report; computes no figure.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from mikrobot.analytics import report as reporting
from mikrobot.analytics import trade_journal
from mikrobot.analytics.assessment import Assessment
from mikrobot.analytics.decision_summary import Refusal, Refusals
from mikrobot.analytics.trade_journal import TradeRow
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
"""Columns of the list of trades: times in UTC, money in dollars, unknown values empty."""


@dataclass(frozen=True, slots=True)
class Files:
    """Paths of the report and of the list of trades; None: not written."""

    report: Path | None = None
    trades: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is anything to write."""
        return self.report is not None or self.trades is not None

    def check(self, data: Sequence[Path] = ()) -> None:
        """Refuse paths that cannot be written or would overwrite the input, before anything is computed.

        Raises
        ------
        UsageError
            If a path is a folder, is one of the bar files, or is given twice.
        """
        given = {"--report": self.report, "--trades": self.trades}
        named = {option: path.resolve() for option, path in given.items() if path is not None}
        for option, path in named.items():
            if path.is_dir():
                raise UsageError(f"{option} {path} is a folder; give a file to write")
            if any(path == data_path.resolve() for data_path in data):
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
    """The decisions that a report shows: each approved decision, and the number of refusals by each check."""

    approved: list[Decision] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)

    def __call__(self, decision: Decision) -> None:
        """Keep an approved decision; count a refused one."""
        if decision.approved:
            self.approved.append(decision)
        else:
            self.refusals.add(decision)


def facts_of(
    settings: Settings,
    account: Traded,
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
    refused: Sequence[Refusal] = (),
) -> reporting.Facts:
    """Return the trades as input of the report.

    Parameters
    ----------
    settings : Settings
        The rules of the backtest.
    account : Traded
    bars : mapping of str to DataFrame
        The traded bars by symbol.
    run_id, source : str
    simulated : bool
    span : (datetime, datetime)
        First and last traded close, UTC.
    written_at : datetime
    predictions : sequence of Prediction
        At least those that led to orders.
    decisions : sequence of Decision
        At least the approved ones; the others are counted in `refused`.
    specs : sequence of ModelSpec
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
        orders=account.orders,
        fills=account.fills,
        counts={"decisions": account.decisions, "approved": approved, "fills": len(account.fills)},
        models=[_model(spec) for spec in specs],
        checks=[],
        drift_note="not compared in a backtest",
        charges=account.charges,
        rules={"entry probability": f"{settings.entry_probability:g}", "swing": str(task.swing)},
        refused=refused,
        levels=task.columns,
    )


def predictions_of(
    orders: Sequence[OrderIntent], outlooks: Mapping[str, pd.DataFrame], models: Mapping[str, Answering]
) -> list[Prediction]:
    """Return the predictions that led to orders, with the levels that they refer to.

    Parameters
    ----------
    orders : sequence of OrderIntent
    outlooks : mapping of str to DataFrame
        By symbol and close: above, below, up and down.
    models : mapping of str to Answering
        The model that predicted, by symbol.
    """
    predictions = []
    for order in orders:
        row = outlooks[order.symbol].loc[pd.Timestamp(order.submitted_at)].to_dict()
        answering = models[order.symbol]
        spec = answering.model.spec
        features = dict(zip(answering.levels, (row["above"], row["below"]), strict=True))
        chance = row["up" if order.side is Side.BUY else "down"]
        origin = (answering.name, spec.version, spec.feature_hash)
        predictions.append(Prediction(order.symbol, order.side, order.submitted_at, chance, *origin, features))
    return predictions


def write(files: Files, facts: reporting.Facts, judged: Assessment) -> None:
    """Write the files that are wanted; create missing folders.

    Parameters
    ----------
    files : Files
    facts : Facts
    judged : Assessment
        Of the trades of `facts`.

    Raises
    ------
    StoreError
        If a file cannot be written.
    """
    if files.report is not None:
        write_text(files.report, reporting.page(facts, judged, files.report.parent))
    if files.trades is not None:
        trades = closed_trades(facts.orders, facts.fills)
        write_text(files.trades, listed(trade_journal.rows(trades, facts.decisions, facts.predictions, facts.levels)))


def listed(rows: Sequence[TradeRow]) -> str:
    """Return trades as CSV with the header `COLUMNS`, in order of entry."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(map(_cells, rows))
    return text.getvalue()


def _model(spec: ModelSpec) -> reporting.ModelFacts:
    """Return a model as input of the report, with the baselines of its training."""
    recorded = spec.metrics
    metrics = {"model": recorded["metrics"], **recorded.get("baselines", {})} if "metrics" in recorded else {}
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


def write_text(path: Path, text: str) -> None:
    """Write a file at once, with its missing folders.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}); give a writable path") from error
