"""Assess the quality of feature rows, of a run or of files: ``python -m mikrobot.workflows.feature_quality FILE...``.

Collects the rows and the models that predicted, passes them to the assessment, and writes the report.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd

from mikrobot import telemetry
from mikrobot.domain.errors import MikrobotError
from mikrobot.domain.market import Timeframe, close_times
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.features.quality import Quality, assess
from mikrobot.live.session import recorded_run
from mikrobot.market.replay import read_bars
from mikrobot.models.catalog import TRADED
from mikrobot.models.scope import CHAMPION, scopes_of
from mikrobot.monitoring import quality_report
from mikrobot.monitoring.quality_report import ModelInputs
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.feast import offline
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows.trading_report import report_folder

ROWS = 20_000
"""Number of newest rows assessed per symbol: two weeks of minutes, in which most columns take all their values."""


@dataclass(frozen=True, slots=True)
class SymbolQuality:
    """Counts of the feature rows of one symbol.

    Attributes
    ----------
    rows : int
    findings : int
        Columns with a finding.
    clusters : int
        Clusters of redundant columns.
    """

    rows: int
    findings: int
    clusters: int


@dataclass(frozen=True, slots=True)
class RunQuality:
    """The quality of the feature rows of a run.

    Attributes
    ----------
    report, markdown : Path
        The report as HTML and as Markdown.
    findings : int
        Number of columns with a finding, summed over the symbols.
    by_symbol : mapping of str to SymbolQuality
    """

    report: Path
    markdown: Path
    findings: int
    by_symbol: Mapping[str, SymbolQuality]


def assess_run(settings: Settings, run_id: str | None) -> RunQuality:
    """Assess the newest feature rows of each symbol of a run, and write the report.

    Parameters
    ----------
    run_id : str or None
        None: the latest run.

    Raises
    ------
    UsageError
        If there is no such run.
    DataError
        If a symbol has too few rows.
    StoreError
        If a symbol has no stored rows, or the report cannot be written.
    """
    with database.open_pool(settings) as pool:
        run = recorded_run(Runs(pool), run_id)
        events, versions = _newest_closes(BarStore(pool), run), _versions(Ledger(pool), run)
    qualities = [assess(symbol, _stored(settings, run.source, symbol, closes)) for symbol, closes in events.items()]
    models = _models(settings, run, versions)
    written_at = SystemClock().now()
    report = quality_report.write(
        qualities,
        run.source,
        simulated=run.simulated,
        written_at=written_at,
        models=models,
        folder=report_folder(settings, run),
    )
    by_symbol = {quality.symbol: _counts(quality) for quality in qualities}
    return RunQuality(report.html, report.markdown, sum(counts.findings for counts in by_symbol.values()), by_symbol)


def assess_file(path: Path, rows: int = ROWS) -> Quality:
    """Assess the features of the newest bars of a file, after a warm-up on the bars before them.

    Raises
    ------
    BarError, UnknownSymbol
        If the file does not hold M1 bars of a known instrument.
    DataError
        If it has too few bars.
    """
    symbol, bars = read_bars(path)
    needed = rows + max(spec.warmup for spec in CATALOG.specs)
    return assess(symbol, FeaturePipeline([symbol]).frame(symbol, bars.tail(needed)).tail(rows))


def _newest_closes(bars: BarStore, run: Run) -> dict[str, "pd.Series[Any]"]:
    return {
        symbol: close_times(bars.last(run.source, symbol, Timeframe.M1, ROWS, until=segment.trade_until))
        for segment in run.segments
        for symbol in segment.symbols
    }


def _stored(settings: Settings, source: str, symbol: str, closes: "pd.Series[Any]") -> pd.DataFrame:
    """Read the stored rows of the closes; the newest closes of a live market have no row yet."""
    events = pd.DataFrame({"source": source, "symbol": symbol, "event_timestamp": closes}).reset_index(drop=True)
    columns = list(CATALOG.columns)
    rows = offline.training_rows(settings, events, columns).dropna(subset=columns, how="all")
    return rows.rename(columns={"event_timestamp": "close_time"})


def _versions(ledger: Ledger, run: Run) -> list[str]:
    """Return the model versions that predicted in a run, in order of their first prediction."""
    answers = (answer for answer in ledger.predictions(run.id) if answer.model == TRADED)
    return list(dict.fromkeys(answer.model_version for answer in answers))


def _models(settings: Settings, run: Run, versions: Sequence[str]) -> list[ModelInputs]:
    """Return the input importance of these versions; before a run's first prediction, that of its champions."""
    registry = open_registry(settings)
    champions = registry.holders(TRADED, CHAMPION)
    asked = versions or sorted({champions[s] for s in scopes_of(run.source, run.symbols) if s in champions}, key=int)
    return [ModelInputs(TRADED, version, registry.load(TRADED, version).spec.importance) for version in asked]


def _counts(quality: Quality) -> SymbolQuality:
    return SymbolQuality(quality.rows, len(quality.findings), len(quality.clusters))


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", default="quality", show_default=True, type=click.Path(path_type=Path), help="Folder to write to."
)
@click.option("--rows", default=ROWS, show_default=True, help="Number of newest rows assessed per file.")
def main(files: tuple[Path, ...], out: Path, rows: int) -> None:
    """Assess the features of Parquet or CSV files of M1 bars, and write quality.html and quality.md."""
    telemetry.configure("ERROR")
    try:
        qualities = [assess_file(path, rows) for path in files]
        report = quality_report.write(
            qualities, "files", simulated=False, written_at=SystemClock().now(), models=[], folder=out
        )
    except MikrobotError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    click.echo(report.markdown.read_text(encoding="utf-8"))
    click.echo(f"Full report: {report.html}")


if __name__ == "__main__":
    main()
