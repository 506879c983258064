"""Start and resume the two live processes of a run, the streamer and the worker, and follow them.

They are separate processes that communicate through the stores, and resume where they stopped. The supervisor
restarts those that die, see `watch`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from mikrobot.domain.errors import ModelError, ServiceError, UsageError
from mikrobot.domain.market import Timeframe
from mikrobot.domain.sources import is_live
from mikrobot.domain.trading import BASELINE as BASELINE_MODEL
from mikrobot.live import pid_records, wiring
from mikrobot.live.session import traded_until
from mikrobot.models.catalog import TRADED
from mikrobot.models.registry import Registry
from mikrobot.models.scope import BASELINE, CHAMPION, Scope, scopes_of
from mikrobot.runtime import Clock, wait_until
from mikrobot.serving.client import PredictionClient
from mikrobot.settings import Settings
from mikrobot.stack import local_market, local_stack, processes, service_table, supervision, wanted
from mikrobot.store import web_access
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.resets import Resets
from mikrobot.store.runs import ProcessKind, Run, Runs, Segment

LIVE: tuple[ProcessKind, ...] = ("streamer", "worker")

LOOK_S = 0.25
"""Seconds between two looks at the progress of a segment."""

WATCH_S = 2.0
"""Seconds between two looks at the supervisor of a run that trades in the present."""


def trade(
    settings: Settings, run_id: str, number: int, segment: Segment, *, clock: Clock, tell: Callable[[str, float], None]
) -> datetime | None:
    """Trade one segment of a run to its end.

    While the prediction service loads its model, the streamer restores the state of the features and the worker
    imports its modules; the worker trades after that. On a live source, the two processes stay up and continue in
    the present; otherwise they end with the segment.

    Returns
    -------
    datetime or None
        Wall-clock time at which the first order was seen, UTC; None if there was none, or one before this call.

    Raises
    ------
    ServiceError
        If the prediction service is not ready, or a process has spent its budget of restarts.
    """
    with database.open_pool(settings) as pool:
        source = Runs(pool).get(run_id).source
    ordered: datetime | None = None
    with database.open_pool(settings) as pool:
        local_stack.down(settings, LIVE)
        worker, streamer = service_table.live_processes(settings, run_id, number)
        _forget_untraded(pool, run_id, segment)
        if settings.venue:
            local_market.accelerate(settings)
        processes.start(streamer, settings.home, settings.host)
        with processes.held(worker, settings.home, settings.host) as release:
            await_served(settings, scopes_of(source, segment.symbols), clock)
            release()
        wanted.want_live(settings, run_id, number)
        supervision.ensure(settings)
        runs, ledger = Runs(pool), Ledger(pool)
        begun = bool(ledger.counts(run_id)["orders"])
        while (handled := traded_until(runs, run_id, segment)) < segment.trade_until and not _over(
            runs, run_id, number
        ):
            tell(f"{handled:%Y-%m-%d %H:%M} UTC", _share(segment, handled))
            _require_restarts(settings)
            if ordered is None and not begun and ledger.counts(run_id)["orders"]:
                ordered = clock.now()
            clock.sleep(LOOK_S)
        if not is_live(Runs(pool).get(run_id).source):
            wanted.drop(settings.home, LIVE)
    tell("all hours are traded", 1.0)
    return ordered


def _forget_untraded(pool: Pool, run_id: str, segment: Segment) -> None:
    """Delete the bars that the streamer will store: it never changes one, and an earlier replay may have had others.

    The order books of a replay too; those of a live source cannot be received again.
    """
    runs = Runs(pool)
    reached = runs.reached(run_id, "streamer")
    start = max(reached, segment.trade_from) if reached else segment.trade_from
    source = runs.get(run_id).source
    BarStore(pool).forget(source, segment.symbols, Timeframe.M1, start)
    if not is_live(source):
        BookSamples(pool).replace(source, segment.symbols, start)


def begin(settings: Settings, run_id: str, number: int) -> list[str]:
    """Start the live processes of a segment instead of those of another one, supervised; return their names."""
    local_stack.down(settings, LIVE)
    pair = service_table.live_processes(settings, run_id, number)
    for service in pair:
        processes.start(service, settings.home, settings.host)
    wanted.want_live(settings, run_id, number)
    supervision.ensure(settings)
    return [service.name for service in pair]


def await_live(settings: Settings, clock: Clock, say: Callable[[str], None]) -> None:
    """Wait until the live processes that are wanted work, if there are any.

    Raises
    ------
    ServiceError
        If one keeps dying, or does not work in time.
    """
    live = wanted.read(settings.home).live
    if live is None:
        return
    say("waiting for the worker and the streamer")
    for service in service_table.live_processes(settings, live.run, live.segment):
        processes.await_ready(service, settings.home, clock)


def _require_restarts(settings: Settings) -> None:
    """Check that no process of the run has spent its budget of restarts.

    Raises
    ------
    ServiceError
        If one has.
    """
    kept_down = pid_records.kept_down(settings.home)
    for name in (*LIVE, "bento"):
        if name in kept_down:
            raise ServiceError(f"the {name} keeps dying: {kept_down[name]}")


def keep_trading(settings: Settings, clock: Clock, say: Callable[[str], None]) -> None:
    """Report what the supervisor does to the processes that are up, and start it again if it dies; never returns."""
    position = supervision.log_end(settings.home)
    while True:
        clock.sleep(WATCH_S)
        events = supervision.events_since(settings.home, position)
        position = supervision.log_end(settings.home)
        for sentence in filter(None, map(supervision.sentence, events)):
            say(sentence)
        if supervision.ensure(settings):
            say("the supervisor has ended and is started again")


def resume(settings: Settings, say: Callable[[str], None]) -> list[str]:
    """Start the processes of the latest run again if its source is live; return their names.

    They continue after the last traded minute. Bars missed since then are stored and can trigger the stops and
    targets of open positions, but get no decisions. The market of a local venue has stood still, and goes on after
    that minute. A run whose account has been reset since it began does not resume.
    """
    with database.open_pool(settings) as pool:
        run = Runs(pool).latest()
        reset = None if run is None else Resets(pool).latest(run.source)
    if run is None:
        say("no session yet: `mikrobot run` starts one")
        return []
    if not is_live(run.source):
        say(f"the latest session replayed recorded bars, there is nothing to resume ({run.id})")
        return []
    if reset is not None and reset.at >= run.started_at:
        say(f"the paper account of source {run.source} was reset after run {run.id}: `mikrobot run` starts with it")
        return []
    market, segment = wiring.market_of(settings, run), run.segments[-1]
    live = wanted.read(settings.home).live
    alive = all(pid_records.find(name, settings.home) for name in LIVE)
    if live is not None and (live.run, live.segment) == (run.id, segment.number) and alive:
        return []
    local_stack.down(settings, LIVE)
    return _go_on(market, run)


def _go_on(market: Settings, run: Run) -> list[str]:
    """Start the live processes of the last segment of a run, on a local venue whose market has stood still."""
    number = run.segments[-1].number
    if not market.venue:
        return begin(market, run.id, number)
    local_market.start(market, _published(market, run), rate=market.venue_speed)
    return [service_table.VENUE, *begin(market, run.id, number)]


def _published(settings: Settings, run: Run) -> datetime:
    """Return the close up to which the last segment of a run was streamed."""
    begins = run.segments[-1].trade_from
    with database.open_pool(settings) as pool:
        return max(Runs(pool).reached(run.id, "streamer") or begins, begins)


def rejoin(
    settings: Settings,
    run_id: str,
    instruments: Mapping[str, Mapping[str, Any]],
    catch_up: Callable[[datetime], object],
) -> None:
    """Trade more symbols in a run from its next minute on: start its live processes again, with them.

    The minutes that close meanwhile are handled a few seconds late. If it fails, the run trades on without them.

    Parameters
    ----------
    settings : Settings
    run_id : str
    instruments : mapping of str to mapping
        Entry of each symbol, as `registry.recordable` returns it.
    catch_up : callable
        Stores the bars of the symbols that open before an instant.
    """
    with database.open_pool(settings) as pool:
        run = Runs(pool).get(run_id)
    local_stack.down(settings, LIVE)
    try:
        reached = _published(settings, run)
        catch_up(reached)
        with database.open_pool(settings) as pool:
            run = Runs(pool).add_symbols(run_id, reached, instruments, settings.routes)
    finally:
        _go_on(wiring.market_of(settings, run), run)


def trigger_retrain(settings: Settings, reason: str, *, force: bool = False) -> str:
    """Create a run of the retrain deployment; return the address of the flow run in the UI.

    Parameters
    ----------
    reason : str
    force : bool
        Train also if data and settings are those of the version that answers.

    Raises
    ------
    UsageError
        If Prefect does not run or has no such deployment.
    """
    api = f"{settings.prefect_url}/api"
    try:
        with httpx.Client(auth=web_access.login(settings, "prefect"), timeout=10.0, trust_env=False) as client:
            deployment = client.get(f"{api}/deployments/name/retrain/retrain").raise_for_status().json()
            created = client.post(
                f"{api}/deployments/{deployment['id']}/create_flow_run",
                json={"parameters": {"reason": reason, "force": force}, "state": {"type": "SCHEDULED"}},
            )
            flow_run = created.raise_for_status().json()
    except httpx.HTTPError as error:
        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == httpx.codes.NOT_FOUND:
            state = "does not serve the retrain flow"
        else:
            state = f"does not answer ({type(error).__name__})"
        raise UsageError(f"Prefect at {settings.prefect_url} {state}: `mikrobot up` first") from error
    return f"{settings.prefect_url}/runs/flow-run/{flow_run['id']}"


def await_served(settings: Settings, scopes: Sequence[Scope], clock: Clock) -> None:
    """Wait until the service serves the registry's champion, or the baseline, of every scope.

    Raises
    ------
    ModelError
        If a scope has neither.
    ServiceError
        If the service does not serve them in time.
    """
    models = _named(open_registry(settings), scopes)
    bento = service_table.services(settings)["bento"]
    ready = processes.Service(bento.name, bento.command, {}, health=f"{settings.bento_url}/readyz", timeout_s=60.0)
    processes.await_ready(ready, settings.home, clock)
    login = web_access.login(settings, "bento")
    with PredictionClient(settings.bento_url, scopes[0].source, clock, login=login) as predictions:
        wait_until(
            lambda: models.items() <= predictions.served().items(),
            f"the prediction service at {settings.bento_url} does not serve {models}",
            clock,
            timeout_s=60.0,
        )


def _named(registry: Registry, scopes: Sequence[Scope]) -> dict[str, tuple[str, str | None, str]]:
    """Return the model to serve for each symbol: its champion, or the baseline; see `PredictionClient.served`.

    Raises
    ------
    ModelError
        If a symbol has neither.
    """
    champions, baselines = registry.holders(TRADED, CHAMPION), registry.holders(TRADED, BASELINE)
    named: dict[str, tuple[str, str | None, str]] = {}
    for scope in scopes:
        if scope in champions:
            named[scope.symbol] = (TRADED, champions[scope], champions[scope])
        elif scope in baselines:
            named[scope.symbol] = (BASELINE_MODEL, None, baselines[scope])
        else:
            raise ModelError(f"no model learned from {scope}; train one: `mikrobot train`")
    return named


def _over(runs: Runs, run_id: str, number: int) -> bool:
    """Return True if both processes have reached the end of the source."""
    return all(runs.finished(run_id, name, number) for name in LIVE)


def _share(segment: Segment, handled: datetime) -> float:
    return (handled - segment.trade_from) / (segment.trade_until - segment.trade_from)
