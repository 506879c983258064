"""Materialise the feature rows of stored bars into Feast, through the quality gate."""

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from flows.names import flow_run_name
from flows.progress import Progress, minute
from flows.run_log import attach

if TYPE_CHECKING:
    from mikrobot.workflows.gate_counts import Gated
    from mikrobot.workflows.materialize import Materialized


@task(task_run_name="materialize {symbol}")
def materialize_symbol(
    source: str, symbol: str, *, start: datetime, end: datetime, since: datetime | None, lead: str | None
) -> "Gated[Materialized]":
    """Compute, check and store the feature rows of one symbol."""
    from expectations.quality_gate import check
    from mikrobot import settings as configuration
    from mikrobot.runtime import SystemClock
    from mikrobot.store.postgres import database
    from mikrobot.workflows.gate_counts import Gated, Tally
    from mikrobot.workflows.gate_halts import halting
    from mikrobot.workflows.materialize import Stores
    from mikrobot.workflows.materialize import materialize as materialize_rows

    settings = configuration.load()
    with database.exclusive(settings, f"features of {symbol}"), database.open_pool(settings) as pool:
        tally = Tally("features", lambda frame: check(frame, "features", settings.quarantine_share))
        with halting(pool, source, symbol, "features", clock=SystemClock()):
            result = materialize_rows(
                settings,
                Stores.of(settings, pool),
                source,
                symbol,
                start=start,
                end=end,
                check=tally,
                since=since,
                lead=lead,
            )
    get_run_logger().info(
        f"{symbol}: {result.rows:,} feature rows stored, {result.quarantined} bad, newest {result.newest}"
    )
    return Gated(result, tally.counts())


@flow(name="materialize", flow_run_name=flow_run_name, on_running=[attach])
def materialize(
    symbols: list[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    since: datetime | None = None,
    *,
    run_id: str | None = None,
) -> "list[Gated[Materialized]]":
    """Materialise symbols from start to end; by default those of a run, each over its own hours.

    The run is that of `run_id`, by default the latest one that traded. With `since`, writes only rows that close
    later; the features warm up on the bars before. Uses the lead of a symbol if both are materialised together.
    """
    from mikrobot.domain.instruments.registry import leads
    from mikrobot.workflows.default_span import default_spans

    parts = default_spans(symbols, start, end, run_id=run_id)
    asked = [(symbol, leads(part.symbols).get(symbol), part) for part in parts for symbol in part.symbols]
    progress = Progress("materialize", [symbol for symbol, *_ in asked])
    results = []
    for number, (symbol, lead, part) in enumerate(asked):
        progress(symbol, number / len(asked))
        results.append(materialize_symbol(part.source, symbol, start=part.start, end=part.end, since=since, lead=lead))
    written = "feature rows" if since is None else f"feature rows since {since:%Y-%m-%d %H:%M}"
    progress(f"{written} are stored", 1.0)
    description = f"Feature rows of the {parts[-1].source} source."
    table = [shown(symbol.result) for symbol in results]
    create_table_artifact(key="materialize", table=table, description=description)
    return results


def shown(result: "Materialized") -> dict[str, str | int]:
    """Return the table row of a symbol, narrow enough for the Prefect UI."""
    return {
        "symbol": result.symbol,
        "rows": result.rows,
        "quarantined": result.quarantined,
        "newest": minute(result.newest),
    }
