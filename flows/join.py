"""Add symbols to a run that trades the present: ``python -m flows.join RUN_ID SYMBOL...``.

Their bars are stored, their features computed and a model is trained on them while the run trades on. Prints its
progress as the loop does.
"""

import asyncio
import sys
from datetime import datetime
from typing import Any

from prefect import flow
from prefect.settings import temporary_settings

from flows.ingest import ingest
from flows.loop import NO_HEARTBEATS
from flows.materialize import materialize_symbol
from flows.names import flow_run_name
from flows.progress import tell
from flows.run_log import attach
from flows.stale import crash_loops
from flows.train import train


@flow(name="join", flow_run_name=flow_run_name, on_running=[attach])
def join(run_id: str, symbols: list[str]) -> dict[str, Any]:
    """Prepare symbols and trade them in a run from its next minute on; return what answers for each."""
    from mikrobot import settings as configuration
    from mikrobot.domain.instruments import registry
    from mikrobot.live import wiring
    from mikrobot.models.scope import scopes_of
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import supervisor
    from mikrobot.workflows import summary

    settings, run = configuration.load(), summary.run_of(run_id)
    clock = wiring.market_time(settings, run, SystemClock())
    wanted = wiring.market_of(settings, run).model_copy(update={"symbols": tuple(symbols)})
    registry.use_venue(wiring.open_source(wanted, clock).instruments())
    start, end = run.segments[-1].history_from, clock.now().replace(second=0, microsecond=0)
    ingest(symbols, start, end, run_id=run_id)
    leads = registry.leads((*run.symbols, *symbols))
    for symbol in symbols:
        materialize_symbol(run.source, symbol, start=start, end=end, since=None, lead=leads.get(symbol))
    trained = train(symbols, start, end, trade_from=end, run_id=run_id, force=True)
    supervisor.await_served(settings, scopes_of(run.source, symbols), SystemClock())

    def catch_up(until: datetime) -> None:
        ingest(symbols, end, until, run_id=run_id)

    supervisor.rejoin(settings, run_id, registry.recordable(symbols), catch_up)
    supervisor.await_live(settings, SystemClock(), lambda text: None)
    return {"run": run_id, "symbols": symbols, "reason": trained[0].reason, "version": trained[0].version}


def main(run_id: str, symbols: list[str]) -> int:
    """Add symbols and print the result, or its error message, as a line of JSON."""
    from mikrobot.domain.errors import MikrobotError

    try:
        asyncio.run(crash_loops())
        with temporary_settings(updates=NO_HEARTBEATS):
            joined = join(run_id, symbols)
    except MikrobotError as error:
        tell(event="error", message=str(error))
        return error.exit_code
    tell(event="summary", summary=joined)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
