"""Ingest the bars of a market source into the store, through the quality gate."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from flows.names import flow_run_name
from flows.progress import Progress, minute, plain
from flows.run_log import attach


@task(task_run_name="ingest {symbol}")
def ingest_symbol(symbol: str, start: datetime, end: datetime) -> dict[str, Any]:
    """Fetch the missing bars of one symbol, check them, quarantine bad rows, store the others."""
    from expectations.quality_gate import check
    from mikrobot import settings as configuration
    from mikrobot.live import wiring
    from mikrobot.live.session import recorded_run
    from mikrobot.market.history import backfill
    from mikrobot.runtime import SystemClock
    from mikrobot.store.bars import BarStore
    from mikrobot.store.postgres import database
    from mikrobot.store.runs import Runs
    from mikrobot.workflows.gate_counts import Tally

    settings = configuration.load()
    with database.exclusive(settings, f"bars of {symbol}"), database.open_pool(settings) as pool:
        source = wiring.open_source(wiring.market_of(settings, recorded_run(Runs(pool))), SystemClock())
        tally = Tally("bars", lambda frame: check(frame, "bars", settings.quarantine_share))
        result = backfill(source, BarStore(pool), symbol, start, end=end, check=tally)
    get_run_logger().info(
        f"{symbol}: {result.fetched:,} bars fetched, {result.stored:,} stored, {result.quarantined} bad"
    )
    finished: dict[str, Any] = plain(asdict(result) | {"checks": tally.counts()})
    return finished


@flow(name="ingest", flow_run_name=flow_run_name, on_running=[attach])
def ingest(
    symbols: list[str] | None = None, start: datetime | None = None, end: datetime | None = None
) -> list[dict[str, Any]]:
    """Ingest symbols from start to end; by default those of the latest run, each over its own hours."""
    from mikrobot.workflows.default_span import default_spans

    parts = default_spans(symbols, start, end)
    asked = [(symbol, part) for part in parts for symbol in part.symbols]
    progress = Progress("ingest", [symbol for symbol, _ in asked])
    results = []
    for number, (symbol, part) in enumerate(asked):
        progress(symbol, number / len(asked))
        results.append(ingest_symbol(symbol, part.start, part.end))
    progress("bars are stored", 1.0)
    create_table_artifact(
        key="ingest", table=[shown(result) for result in results], description=f"Bars of the {parts[-1].source} source."
    )
    return results


def shown(result: dict[str, Any]) -> dict[str, Any]:
    """Return the table row of a symbol, narrow enough for the Prefect UI."""
    counts = {name: result[name] for name in ("symbol", "fetched", "stored", "quarantined")}
    return counts | {"from": minute(result["first"]), "until": minute(result["last"])}
