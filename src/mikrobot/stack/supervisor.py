"""Start, supervise and resume the two live processes of a run, the streamer and the worker.

They are separate processes that communicate through the stores. `trade` and `keep_trading` supervise them: a
process that dies is restarted a few times, since both resume where they stopped, and so is the prediction
service, which they wait for. After `trade` or `resume` there is no supervisor: each process then ends when it
waits for one that has ended.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

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
from mikrobot.stack import local_stack, processes
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.resets import Resets
from mikrobot.store.runs import ProcessKind, Run, Runs, Segment

LIVE: tuple[ProcessKind, ...] = ("streamer", "worker")

WATCH_S = 2.0
"""Seconds between two checks of the processes of a run that trades in the present."""

RESTARTS = 3
"""Number of restarts of a segment's processes before the run fails."""


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
        Wall-clock time at which the first order was seen, UTC; None if there was none.

    Raises
    ------
    ServiceError
        If the prediction service is not ready, or a process dies more than `RESTARTS` times.
    """
    with database.open_pool(settings) as pool:
        source = Runs(pool).get(run_id).source
    pair = worker, streamer = local_stack.live_processes(settings, run_id, number)
    watched = (local_stack.services(settings)["bento"], *pair)
    restarts = 0
    ordered: datetime | None = None
    with database.open_pool(settings) as pool, processes.supervising(settings.home):
        for service in pair:
            processes.stop(service.name, settings.home)
        _forget_untraded(pool, run_id, segment)
        processes.start(streamer, settings.home, settings.host)
        with processes.held(worker, settings.home, settings.host) as release:
            await_served(settings, scopes_of(source, segment.symbols), clock)
            release()
        runs, ledger = Runs(pool), Ledger(pool)
        while (handled := traded_until(runs, run_id, segment)) < segment.trade_until and not _over(
            runs, run_id, number
        ):
            tell(f"{handled:%Y-%m-%d %H:%M} UTC", _share(segment, handled))
            gone = _gone(watched, settings)
            ended = [name for name in LIVE if runs.finished(run_id, name, number)]  # after it: the last act of each
            dead = [service for service in gone if service.name not in ended]
            restarts += len(dead)
            if restarts > RESTARTS:
                raise ServiceError(
                    f"the {dead[0].name} keeps dying: {pid_records.last_line(dead[0].name, settings.home)}"
                )
            for service in dead:
                processes.start(service, settings.home, settings.host)
            if ordered is None and ledger.counts(run_id)["orders"]:
                ordered = clock.now()
            clock.sleep(0.25)
    tell("all hours are traded", 1.0)
    return ordered


def _forget_untraded(pool: Pool, run_id: str, segment: Segment) -> None:
    """Delete the bars that the streamer will store: it never changes one, and an earlier replay may have had others."""
    runs = Runs(pool)
    reached = runs.reached(run_id, "streamer")
    start = max(reached, segment.trade_from) if reached else segment.trade_from
    BarStore(pool).forget(runs.get(run_id).source, segment.symbols, Timeframe.M1, start)


def keep_trading(settings: Settings, run: Run, clock: Clock, say: Callable[[str], None]) -> None:
    """Supervise the processes of a run that trades in the present, and restart those that die; never returns.

    A process that has died more than `RESTARTS` times within an hour stays down, which `status` shows.
    """
    pair = local_stack.live_processes(settings, run.id, run.segments[-1].number)
    watched = (local_stack.services(settings)["bento"], *pair) if is_live(run.source) else ()
    deaths: dict[str, list[datetime]] = {service.name: [] for service in watched}
    with processes.supervising(settings.home):
        while True:
            clock.sleep(WATCH_S)
            for service in _gone(watched, settings):
                _revive(service, settings, deaths[service.name], clock, say=say)


def _revive(
    service: processes.Service, settings: Settings, deaths: list[datetime], clock: Clock, *, say: Callable[[str], None]
) -> None:
    """Restart a service that died, unless it has been restarted `RESTARTS` times within the last hour."""
    now = clock.now()
    recent = [at for at in deaths if now - at < timedelta(hours=1)]
    if len(recent) > RESTARTS:
        return
    deaths[:] = [*recent, now]
    last = pid_records.last_line(service.name, settings.home)
    if len(recent) == RESTARTS:
        say(f"the {service.name} keeps dying and stays down: {last}")
        return
    say(f"the {service.name} has ended and is started again: {last}")
    processes.start(service, settings.home, settings.host)


def resume(settings: Settings, say: Callable[[str], None]) -> list[str]:
    """Start the processes of the latest run again if its source is live; return their names.

    They continue after the last traded minute. Bars missed since then are stored and can trigger the stops and
    targets of open positions, but get no decisions. A run whose account has been reset since it began does not
    resume.
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
    pair = local_stack.live_processes(wiring.market_of(settings, run), run.id, run.segments[-1].number)
    return [service.name for service in pair if processes.start(service, settings.home, settings.host)]


def trigger_retrain(settings: Settings, reason: str) -> str:
    """Create a run of the retrain deployment; return the address of the flow run in the UI.

    Raises
    ------
    UsageError
        If Prefect does not run or has no such deployment.
    """
    api = f"{settings.prefect_url}/api"
    try:
        with httpx.Client(timeout=10.0) as client:
            deployment = client.get(f"{api}/deployments/name/retrain/retrain").raise_for_status().json()
            created = client.post(
                f"{api}/deployments/{deployment['id']}/create_flow_run",
                json={"parameters": {"reason": reason}, "state": {"type": "SCHEDULED"}},
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
    """Wait until the service serves the registry's champion, or the baseline, of every scope."""
    bento = local_stack.services(settings)["bento"]
    ready = processes.Service(bento.name, bento.command, {}, health=f"{settings.bento_url}/readyz", timeout_s=60.0)
    processes.await_ready(ready, settings.home, clock)
    wanted = _named(open_registry(settings), scopes)
    with PredictionClient(settings.bento_url, scopes[0].source, clock) as predictions:
        wait_until(
            lambda: wanted.items() <= predictions.served().items(),
            f"the prediction service at {settings.bento_url} does not serve {wanted}",
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


def _gone(watched: Sequence[processes.Service], settings: Settings) -> list[processes.Service]:
    """Return the processes that have ended; none while a command stops the whole stack."""
    gone = [service for service in watched if pid_records.find(service.name, settings.home) is None]
    return [] if pid_records.being_stopped(settings.home) else gone


def _over(runs: Runs, run_id: str, number: int) -> bool:
    """Return True if both processes have reached the end of the source."""
    return all(runs.finished(run_id, name, number) for name in LIVE)


def _share(segment: Segment, handled: datetime) -> float:
    return (handled - segment.trade_from) / (segment.trade_until - segment.trade_from)
