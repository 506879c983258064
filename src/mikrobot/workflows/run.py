"""`mikrobot run`: run the whole loop once, from an empty folder to a summary.

Chooses the source, checks its data, starts the stack, records the run, starts the loop flow in a process of
its own, and shows its progress. Stops what it started. With `--resume`, continues the latest run instead of another.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from mikrobot.domain.errors import MikrobotError, ServiceError
from mikrobot.domain.instruments import registry
from mikrobot.domain.news import NewsCalendar
from mikrobot.domain.sources import is_live
from mikrobot.live import arms, pid_records, recording, wiring
from mikrobot.live.session import plan, record_of, recorded_plan
from mikrobot.market import news_file
from mikrobot.market.bar_files import digests
from mikrobot.market.feed import Source
from mikrobot.market.inference import off_grid
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import (
    local_market,
    local_stack,
    pages,
    processes,
    service_log,
    service_table,
    supervision,
    supervisor,
    wanted,
)
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.workflows import paper_account, resumption, routing
from mikrobot.workflows.run_summary import FinishedRun
from mikrobot.workflows.run_trouble import REMEDY, ending_on_trouble

RUN_RECORD = "run"

_FINISHED = TypeAdapter(FinishedRun)


class Display(Protocol):
    """The screen on which a person follows a run."""

    def say(self, text: str) -> None:
        """Show a step."""

    def progress(self, stage: str, text: str, share: float, symbols: Sequence[str] = ()) -> None:
        """Show the progress of a stage with its symbols; `share` runs from 0 to 1."""

    def summary(self, summary: FinishedRun) -> None:
        """Show the summary of the run."""


class LoopFailed(MikrobotError):
    """The loop flow failed; the message is the one line that it reported."""


def run(settings: Settings, clock: Clock, display: Display, *, stay: bool) -> FinishedRun:
    """Run the whole loop.

    Parameters
    ----------
    stay : bool
        Also serve the flows, show the summary, and stay up until interrupted.

    Returns
    -------
    FinishedRun
        The summary that `mikrobot run --json` prints; `services` holds those that still run.

    Raises
    ------
    MikrobotError
        If any step fails, with one line of text; everything that this call started has been stopped.
    """
    asked_at = clock.now()
    require_no_session(settings.home)
    arms.planned(settings)
    news = news_file.read(settings.news) if settings.news else None
    settings = settings.model_copy(update={"source": wiring.choose_source(settings, display.say)})
    recording.require_possible(settings)
    with ExitStack() as reserved:
        market = clock
        if settings.venue:
            local_stack.prepare_home(settings.home)
            reserved.enter_context(_alone(settings.home))
            market = reserved.enter_context(local_market.opened(settings, display.say))
        source = wiring.open_source(settings, market)
        registry.use_venue(source.instruments())
        settings = routing.with_routes(settings, source, display.say)
        coming = settings.venue is not None
        segments = recorded_plan(source, settings) or plan(
            source, settings.symbols, settings.hours, settings.history_days, clock=market, coming=coming
        )
        settings = settings.model_copy(update={"symbols": tuple(s for segment in segments for s in segment.symbols)})
        _check_data(source, segments, display)
        if not settings.venue:
            local_stack.prepare_home(settings.home)
            reserved.enter_context(_alone(settings.home))

        def record() -> Run:
            return _record(settings, source, segments, asked_at, clock=clock, display=display, news=news)

        return _carry_out(settings, source, record, asked_at, clock=clock, display=display, stay=stay)


def resume(
    settings: Settings, clock: Clock, display: Display, *, given: Mapping[str, Any], stay: bool
) -> FinishedRun:  # fmt: skip
    """Continue the latest run, a replay that was interrupted, by its own settings.

    What an interrupted run has left running is used or stopped.

    Parameters
    ----------
    given : mapping of str to object
        Settings that the user has named, which must be those of the run; None: not named.
    stay : bool
        As in `run`.

    Raises
    ------
    UsageError
        If there is nothing to resume; see `resumption.interrupted`.
    MikrobotError
        As in `run`.
    """
    asked_at = clock.now()
    resumption.require_home(settings)
    local_stack.prepare_home(settings.home)
    with _alone(settings.home), local_stack.database_up(settings, display.say):
        interrupted = resumption.interrupted(settings, given)
        local_stack.down(settings, [*supervisor.LIVE, "loop"])
        settings = resumption.settings_of(settings, interrupted)
        registry.adopt(interrupted.instruments)
        source = wiring.open_source(settings, clock)
        _check_data(source, interrupted.segments, display)
        display.say(f"run {interrupted.id} goes on where it was interrupted, by the settings that it was started with")
        return _carry_out(
            settings, source, lambda: interrupted, asked_at, clock=clock, display=display, stay=stay
        )  # fmt: skip


def _carry_out(
    settings: Settings, source: Source, record: Callable[[], Run], asked_at: datetime, *, clock: Clock,
    display: Display, stay: bool,
) -> FinishedRun:  # fmt: skip
    """Start the services and the loop of a run, once it is recorded, and follow the loop to its end."""
    with _stopping_what_started(settings, display) as started:
        run = record()
        with _showing_how_to_resume(run, source, display):
            process = start_flow(settings, "flows.loop", run.id)
            local_stack.await_service(settings, "prefect", clock, say=display.say, started=started)
            if stay:
                local_stack.serve_flows(settings, clock, display.say, started)
            printed = follow(process, settings, display)
        seconds = round((clock.now() - asked_at).total_seconds(), 1)
        summary = _FINISHED.validate_python({**printed, "seconds": seconds, "pages": str(pages.path(settings))})
        if stay:
            local_stack.await_all(settings, clock, display.say, started)
            display.summary(summary)
            _stay(settings, source, clock, display)
    return replace(summary, services=still_up(settings, summary.services))


@contextmanager
def _showing_how_to_resume(run: Run, source: Source, display: Display) -> Iterator[None]:
    """Show the command that continues a replay if it is interrupted within the block."""
    try:
        yield
    except KeyboardInterrupt:
        if not source.live:
            display.say(f"run {run.id} is interrupted: `mikrobot run --resume` continues it")
        raise


def still_up(settings: Settings, addresses: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses of the services that still run."""
    return {name: url for name, url in addresses.items() if pid_records.find(name, settings.home) is not None}


def _stay(settings: Settings, source: Source, clock: Clock, display: Display) -> None:
    """Keep everything up until Ctrl-C; a live source continues to trade."""
    goes_on = "trading goes on in the present" if source.live else "the replay is finished and nothing trades any more"
    display.say(f"everything stays up, {goes_on}; `mikrobot status --watch` shows it, Ctrl-C stops it")
    wanted.want(settings, ["flows"])
    with suppress(KeyboardInterrupt), processes.recorded_as(pid_records.STAYING, settings.home):
        supervisor.keep_trading(settings, clock, display.say)


def _check_data(source: Source, segments: tuple[Segment, ...], display: Display) -> None:
    """Read the whole span of a replay before anything is started, so that a bad file fails early."""
    if source.live:
        return
    for segment in segments:
        for symbol in segment.symbols:
            display.say(f"checking the bars of {symbol}")
            bars = source.history(symbol, segment.history_from, segment.trade_until)
            if note := off_grid(registry.instrument(symbol), bars):
                display.say(note)


def require_no_loop(home: Path) -> None:
    """Check that no run is on its way, which stops the services at its end; one that stays up after it is none.

    Raises
    ------
    ServiceError
        If there is one.
    """
    starting = None if pid_records.stays_up(home) else pid_records.find(RUN_RECORD, home)
    busy = pid_records.find("loop", home) or starting
    if busy is not None:
        raise ServiceError(f"a run uses {home} (pid {busy.pid}) and starts what it needs; wait for its end")


def require_no_session(home: Path) -> None:
    """Check that no run trades the present, since a state folder has the live processes of one run only.

    Raises
    ------
    ServiceError
        If one does.
    """
    live = wanted.read(home).live
    if live is not None and is_live(live.settings["source"]) and pid_records.find("worker", home) is not None:
        raise ServiceError(
            f"run {live.run} trades the present in {home}, and this run would end it; `mikrobot down` first, or set "
            "MIKROBOT_HOME to another folder"
        )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Reserve the state folder for this run; the lock ends with the process, however it ends."""
    lock = FileLock(home / "run.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        other = pid_records.find(RUN_RECORD, home)
        who = f" (pid {other.pid})" if other is not None else ""
        raise ServiceError(f"another run uses {home}{who}; wait for it, or set MIKROBOT_HOME") from error
    try:
        pid_records.record(RUN_RECORD, home, os.getpid())
        yield
    finally:
        pid_records.forget(RUN_RECORD, home)
        lock.release()


@contextmanager
def _stopping_what_started(settings: Settings, display: Display) -> Iterator[list[str]]:
    """Start the services; yield the names of those that this call started, which are stopped at the end."""
    with local_stack.using(settings, service_table.permanent(settings)):
        try:
            started = local_stack.begin(settings, display.say)
            wanted.want(settings, ["postgres", *started])
            with supervision.kept(settings):
                yield started
        finally:
            display.say("stopping what this run started")
            local_stack.down(settings, [*supervisor.LIVE, "loop"])


def _record(
    settings: Settings, source: Source, segments: tuple[Segment, ...], asked_at: datetime, *, clock: Clock,
    display: Display, news: NewsCalendar | None,
) -> Run:  # fmt: skip
    """Record the run and its arms, with the opening balances from the account of the source."""
    local_stack.down(settings, [*supervisor.LIVE, "loop"])
    started_at = clock.now()
    run_id = f"{started_at:%Y%m%d-%H%M%S}"
    record = record_of(run_id, settings, source, segments, started_at=started_at, news=news)
    record.settings["asked_at"] = asked_at.isoformat()
    record.settings[resumption.DIGESTS] = digests(settings.data)
    with database.open_pool(settings) as pool:
        routing.require_unchanged(record.source, settings.routes, Runs(pool))
        opening = paper_account.take_up(settings, pool, record)
        record = replace(record, settings={**record.settings, **opening.to_json()})
        for recorded in (record, *arms.following(record, settings)):
            Runs(pool).begin(recorded)
    display.say(_opening_line(record, opening))
    return record


def _opening_line(run: Run, opening: paper_account.Opening) -> str:
    origin = f"as run {opening.continues} left it" if opening.continues else "a new start"
    return f"the paper account of source {run.source} opens with {opening.total} USD, {origin}"


def start_flow(settings: Settings, module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a flow in a process of its own, recorded as the loop; it waits for each service where it needs it."""
    log = settings.home / "logs" / "loop.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        log_from = errors.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, **service_table.flow_environment(settings), **pid_records.mark("loop", settings.home)},
            cwd=settings.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    pid_records.record("loop", settings.home, process.pid, log_from)
    return process


def follow(process: subprocess.Popen[str], settings: Settings, display: Display) -> dict[str, Any]:
    """Show the progress of a flow to its end; return the summary that it printed.

    Raises
    ------
    LoopFailed
        If it failed.
    """
    summary: dict[str, Any] | None = None
    failure, position = "", supervision.log_end(settings.home)
    assert process.stdout is not None
    with ending_on_trouble(settings) as causes:
        for line in process.stdout:
            event = _event(line)
            match event.get("event"):
                case "progress":
                    display.progress(event["stage"], event["text"], event["share"], event["symbols"])
                case "summary":
                    summary = event["summary"]
                case "error":
                    failure = event["message"]
        code = process.wait()
    if summary is None or code != 0:
        raise LoopFailed("".join(causes) or _ended(settings, position) or failure or _ending(code, settings))
    pid_records.forget("loop", settings.home)
    return summary


def _ending(code: int, settings: Settings) -> str:
    """Return how a loop ended that reported nothing itself: by a signal, or with an error in its log."""
    log = settings.home / "logs" / "loop.log"
    if code < 0:
        return f"the loop was ended by {signal.Signals(-code).name}; {REMEDY} (log: {log})"
    error = service_log.errors_of("loop", settings.home).last or "it reported no error"
    return f"the loop stopped: {error} (log: {log})"


def _ended(settings: Settings, position: int) -> str:
    """Return a message that names the service whose end stopped the loop; empty if there is none."""
    events = supervision.events_since(settings.home, position)
    died = [event["process"] for event in events if event["event"] == "died"]
    names = [name for name in service_table.SERVICES if name in died] + local_stack.ended(settings)
    if not names:
        return ""
    log = settings.home / "logs" / f"{names[0]}.log"
    return f"{names[0]} ended in the middle of the run (log: {log}); {REMEDY}"


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}
