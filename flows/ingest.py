"""Ingest the bars of a market source into the store, through the quality gate."""

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from flows.names import flow_run_name
from flows.progress import Progress, minute
from flows.run_log import attach

if TYPE_CHECKING:
    from mikrobot.market.history import Backfill
    from mikrobot.workflows.gate_counts import Gated


@task(task_run_name="ingest {symbol}")
def ingest_symbol(symbol: str, start: datetime, end: datetime, run_id: str) -> "Gated[Backfill]":
    """Fetch the missing bars of one symbol, check them, quarantine bad rows, store the others."""
    from expectations.quality_gate import check_ingested
    from mikrobot import settings as configuration
    from mikrobot.live import wiring
    from mikrobot.live.session import recorded_run
    from mikrobot.market.history import backfill
    from mikrobot.runtime import SystemClock
    from mikrobot.store.bars import BarStore
    from mikrobot.store.postgres import database
    from mikrobot.store.runs import Runs
    from mikrobot.workflows.gate_counts import Gated, Tally
    from mikrobot.workflows.gate_halts import halting
    from mikrobot.workflows.recorded_history import keep_books

    settings = configuration.load()
    with database.exclusive(settings, f"bars of {symbol}"), database.open_pool(settings) as pool:
        run = recorded_run(Runs(pool), run_id)
        clock = wiring.market_time(settings, run, SystemClock())
        market = wiring.market_of(settings, run)
        symbols = tuple(dict.fromkeys((*market.symbols, symbol)))
        source = wiring.open_source(market.model_copy(update={"symbols": symbols}), clock)
        tally = Tally("bars", lambda frame: check_ingested(frame, settings.quarantine_share))
        with halting(pool, source.name, symbol, "bars", clock=clock):
            result = backfill(source, BarStore(pool), symbol, start, end=end, check=tally)
        books = keep_books(market, pool, run, symbol, span=(start, end), clock=clock)
    get_run_logger().info(
        f"{symbol}: {result.fetched:,} bars fetched, {result.stored:,} stored, {result.quarantined} bad, "
        f"{books:,} recorded order books"
    )
    return Gated(result, tally.counts())


@flow(name="ingest", flow_run_name=flow_run_name, on_running=[attach])
def ingest(
    symbols: list[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    run_id: str | None = None,
) -> "list[Gated[Backfill]]":
    """Ingest symbols from start to end; by default those of a run, each over its own hours.

    The run is that of `run_id`, by default the latest one that traded.
    """
    from mikrobot.workflows.default_span import default_spans

    parts = default_spans(symbols, start, end, run_id=run_id)
    asked = [(symbol, part) for part in parts for symbol in part.symbols]
    progress = Progress("ingest", [symbol for symbol, _ in asked])
    results = []
    for number, (symbol, part) in enumerate(asked):
        progress(symbol, number / len(asked))
        results.append(ingest_symbol(symbol, part.start, part.end, part.run.id))
    progress("bars are stored", 1.0)
    table = [shown(symbol.result) for symbol in results]
    create_table_artifact(key="ingest", table=table, description=f"Bars of the {parts[-1].source} source.")
    return results


def shown(result: "Backfill") -> dict[str, str | int]:
    """Return the table row of a symbol, narrow enough for the Prefect UI."""
    return {
        "symbol": result.symbol,
        "fetched": result.fetched,
        "stored": result.stored,
        "quarantined": result.quarantined,
        "from": minute(result.first),
        "until": minute(result.last),
    }
