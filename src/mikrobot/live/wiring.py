"""Build objects from Settings: the only module that chooses an adapter."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from mikrobot.domain.errors import DataError, UsageError
from mikrobot.domain.quality import QualityScore
from mikrobot.domain.sources import SOURCES, at_address, combined, kind_of, members_of
from mikrobot.live.steady_clock import market_clock
from mikrobot.market.combined.source import CombinedSource
from mikrobot.market.feed import Source
from mikrobot.market.patience import HasPatience
from mikrobot.market.streams.bar_stream import BarStream
from mikrobot.market.streams.book_stream import BookStream, First
from mikrobot.runtime import Clock, SystemClock
from mikrobot.serving.client import PredictionClient
from mikrobot.serving.in_process import InProcess
from mikrobot.settings import Settings, on_venue
from mikrobot.store import web_access
from mikrobot.store.model_registry import open_kept_registry
from mikrobot.store.runs import OPENING, ROUTES, Run

RULES = (
    "profile", "strategies", "strategy_parameters", "entry_probability", "model", "balance", "swing", "horizon_minutes",
)  # fmt: skip
"""Settings that are recorded with a run and always used to trade it and to report on it."""


def choose_source(settings: Settings, say: Callable[[str], None]) -> str:
    """Return the source to use: the one in the settings, else Binance if it answers, else simulated.

    For `mt5`, alone or among others, the terminal is asked which it is, so that the bars of the stand-in are
    `mt5-local`.

    Parameters
    ----------
    say : callable
        Called with the reason if the settings name no source and no data, or a simulated market takes its place.
    """
    if settings.source is not None:
        members = members_of(settings.source)
        return combined(_terminal(settings, say) if member == "mt5" else member for member in members)
    if settings.data:
        return "replay"
    from mikrobot.market.binance_rest import reachable

    if reachable(settings.binance_url, settings.probe_seconds):
        source = at_address("binance", settings.binance_url)
        if source == "binance":
            say("Binance answers: trading its public market data on paper")
        else:
            say(f"{settings.binance_url} answers, which is not Binance: the market is SIMULATED")
        return source
    say(f"Binance did not answer within {settings.probe_seconds:g} s: the market is SIMULATED")
    return "simulated"


def _terminal(settings: Settings, say: Callable[[str], None]) -> str:
    from mikrobot.market.mt5.source import actual_source

    source = actual_source(settings, SystemClock())
    if SOURCES[source].simulated:
        say("the terminal is Mikrobot's stand-in: the market is SIMULATED")
    return source


def market_of(settings: Settings, run: Run) -> Settings:
    """Return the settings with the market of a recorded run: its source, data, symbols, seed, venue and recording."""
    data, seed = (_recorded(run, name) for name in ("data", "seed"))
    paths = tuple(Path(path) for path in data)
    market = {"source": run.source, "data": paths, "symbols": run.symbols, "seed": seed}
    market |= {name: run.settings[name] for name in ("venue", "venue_speed") if name in run.settings}
    market[ROUTES] = settings.routes | run.settings.get(ROUTES, {})
    if (folder := run.settings.get("record")) is not None:
        market["record"] = Path(folder)
    chosen = settings.model_copy(update=market)
    return on_venue(chosen) if chosen.venue else chosen


def market_time(settings: Settings, run: Run, otherwise: Clock) -> Clock:
    """Return the clock of the market of a recorded run: that of its local venue, or another one."""
    return market_clock(settings.model_copy(update={"venue": run.settings.get("venue")}), otherwise)


def rules_of(settings: Settings, run: Run) -> Settings:
    """Return the settings with the market and the `RULES` of a recorded run instead of the current ones.

    A rule that an old run has not recorded takes its default, by which the run was traded. `balance` is the opening
    balance of the run.

    Raises
    ------
    DataError
        If the record of the run lacks a setting that every run records.
    """
    fields = Settings.model_fields
    recorded = {name: run.settings.get(name, fields[name].default) for name in RULES}
    recorded |= {name: _recorded(run, name) for name in ("profile", "entry_probability")}
    return market_of(settings, run).model_copy(update=recorded | {"balance": _opening(run)})


def _opening(run: Run) -> Decimal:
    opening = run.settings.get(OPENING)
    if opening is None:
        return Decimal(_recorded(run, "balance"))
    return sum(map(Decimal, opening.values()), Decimal(0))


def _recorded(run: Run, name: str) -> Any:
    if name not in run.settings:
        raise DataError(f"the record of run {run.id} has no {name}, which its processes need; start another run")
    return run.settings[name]


def open_source(settings: Settings, clock: Clock) -> Source:
    """Return the market source that the settings name.

    Raises
    ------
    UsageError
        If the settings name no source, or a replay without data.
    """
    if settings.source is None:
        raise UsageError("no market source is set: give --source or set MIKROBOT_SOURCE")
    source: Source = import_module(kind_of(settings.source).module).open_source(settings, clock)
    return source


def open_followed(settings: Settings, clock: Clock) -> Source:
    """Return the source that the settings name, as `open_source` does, for who follows its bars as they arrive."""
    source = open_source(settings, clock)
    if isinstance(source, HasPatience):
        source.hurry()
    return source


def prediction_client(settings: Settings, source: str, clock: Clock) -> PredictionClient:
    """Return the client of the prediction service for the rows of a source."""
    in_process = InProcess(open_kept_registry(settings), source) if settings.predict_in_process else None
    login = web_access.login(settings, "bento")
    return PredictionClient(settings.bento_url, source, clock, login=login, in_process=in_process)


def routes_of(source: Source) -> dict[str, str]:
    """Return the member that each symbol of a combined source is traded on; empty for any other source."""
    return source.routes if isinstance(source, CombinedSource) else {}


def open_stream(settings: Settings, symbols: Sequence[str], clock: Clock) -> BarStream | None:
    """Return the stream of closed bars of the source that the settings name; None if it has none."""
    module = kind_of(settings.source).streams if settings.source is not None else None
    if module is None:
        return None
    stream: BarStream | None = import_module(module).open_stream(settings, symbols, clock)
    return stream


def open_books(settings: Settings, symbols: Sequence[str], clock: Clock, first: First) -> BookStream | None:
    """Return the order books of the source that the settings name; None if it has none."""
    module = kind_of(settings.source).books if settings.source is not None else None
    if module is None:
        return None
    books: BookStream | None = import_module(module).open_books(settings, symbols, clock, first)
    return books


def recorded_scores(settings: Settings) -> dict[tuple[str, datetime], QualityScore]:
    """Return the quality scores of the recorded sessions that are replayed, by symbol and close; none otherwise."""
    from mikrobot.market import recorded_bars, recorded_minutes

    folders = filter(recorded_bars.is_recording, settings.data) if settings.source == "replay" else ()
    return {close: score for folder in folders for close, score in recorded_minutes.scores_of(folder).items()}
