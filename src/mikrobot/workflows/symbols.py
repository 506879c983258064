"""`mikrobot symbols add`: trade more symbols in a run that trades the present, without an end of the others' trading.

Checks what can be known before anything changes; the flow `join` does the work.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from mikrobot.domain.errors import UsageError
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.rates import require_rates
from mikrobot.domain.sources import is_live, routed
from mikrobot.live import pid_records, wiring
from mikrobot.live.session import MINIMUM_HISTORY
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import processes
from mikrobot.store.postgres import database
from mikrobot.store.runs import OPENING, Run, Runs
from mikrobot.workflows import routing
from mikrobot.workflows.run import Display, follow, require_no_loop, start_flow


@dataclass(frozen=True, slots=True)
class Joined:
    """Symbols that were added to a run.

    Attributes
    ----------
    run : str
    symbols : tuple of str
    version : str
        The model that was trained on them.
    reason : str
        Why it was promoted, or why the baseline answers.
    """

    run: str
    symbols: tuple[str, ...]
    version: str
    reason: str


def add(settings: Settings, symbols: Sequence[str], clock: Clock, display: Display) -> Joined:
    """Add symbols to the run that trades the present.

    Parameters
    ----------
    symbols : sequence of str
        At least one; each may name the source that it is traded on, as EURUSD@mt5.

    Raises
    ------
    UsageError
        If no run trades the present, it trades a symbol already, or cannot trade one.
    UnknownSymbol, FeedError
        If the venue does not list a symbol, or does not trade it at present.
    LoopFailed
        If its bars cannot be used; the run trades on without the symbols.
    """
    run = _trading(settings)
    require_no_loop(settings.home)
    symbols, named = routed(symbols)
    market = wiring.market_of(settings, run)
    market = market.model_copy(update={"routes": named | market.routes})
    market = _checked(market, run, symbols, wiring.market_time(settings, run, clock), display=display)
    process = start_flow(market, "flows.join", run.id, *symbols)
    try:
        joined = follow(process, market, display)
    except KeyboardInterrupt:
        processes.stop("loop", settings.home)
        raise
    finally:
        with suppress(OSError):
            pid_records.forget("loop", settings.home)
    return Joined(joined["run"], tuple(joined["symbols"]), joined["version"], joined["reason"])


def _trading(settings: Settings) -> Run:
    """Return the run that trades the present."""
    run = None
    if pid_records.find("worker", settings.home) is not None and pid_records.find("prefect", settings.home) is not None:
        with database.open_pool(settings) as pool:
            run = Runs(pool).latest()
    if run is None or not is_live(run.source):
        raise UsageError("no run trades the present: `mikrobot run` on a live source, then `mikrobot up`")
    registry.adopt(run.instruments)
    return run


def _checked(market: Settings, run: Run, symbols: Sequence[str], clock: Clock, *, display: Display) -> Settings:
    """Check that a run can trade symbols; return its settings with their routes."""
    if already := [symbol for symbol in symbols if symbol in run.symbols]:
        raise UsageError(f"run {run.id} trades {', '.join(already)} already: leave it out")
    source = wiring.open_source(market.model_copy(update={"symbols": tuple(symbols)}), clock)
    registry.use_venue(source.instruments())
    fresh = routing.with_routes(market, source, display.say).routes
    with database.open_pool(market) as pool:
        routing.require_unchanged(run.source, fresh, Runs(pool))
    require_rates((*run.symbols, *symbols))
    for symbol in symbols:
        account = registry.instrument(symbol).market
        if account not in run.settings.get(OPENING, {account: ""}):
            raise UsageError(
                f"{symbol} needs an account {account}, which run {run.id} has not: trade it in another run"
            )
        first = source.first_open(symbol)
        if clock.now() - first < MINIMUM_HISTORY:
            raise UsageError(
                f"{symbol} has bars from {first:%Y-%m-%d %H:%M} only, and {MINIMUM_HISTORY.days} days are needed for "
                "training: add it later"
            )
    return market.model_copy(update={"routes": market.routes | fresh})
