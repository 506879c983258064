"""Builds objects from Settings: the only place that chooses an adapter."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from mikrobot.domain.errors import UsageError
from mikrobot.market.feed import Source
from mikrobot.runtime import Clock
from mikrobot.settings import Settings, SourceName
from mikrobot.store.runs import OPENING, Run

DEFAULT_SYMBOLS = ("EURUSD", "BTCUSDT")
BINANCE_SYMBOLS = ("BTCUSDT", "ETHUSDT")
BINANCE_TIMEOUT_S = 10.0


def choose_source(settings: Settings, say: Callable[[str], None]) -> SourceName:
    """Return the source to use: the one asked for, else Binance if it answers, else simulated.

    Parameters
    ----------
    say : callable
        Told why, where the choice was left to us.
    """
    if settings.source is not None:
        return settings.source
    if settings.data:
        return "replay"
    from mikrobot.market.binance import reachable

    if reachable(settings.binance_url, settings.probe_seconds):
        say("Binance answers: trading its public market data on paper")
        return "binance"
    say(f"Binance did not answer within {settings.probe_seconds:g} s: the market is SIMULATED")
    return "simulated"


def market_of(settings: Settings, run: Run) -> Settings:
    """Return the settings with the market of a recorded run: its source, data, symbols and seed."""
    data = tuple(Path(path) for path in run.settings["data"])
    market = {"source": run.source, "data": data, "symbols": run.symbols, "seed": run.settings["seed"]}
    return settings.model_copy(update=market)


def rules_of(settings: Settings, run: Run) -> Settings:
    """Return the settings with the market of a recorded run and what it trades by; `balance` is what it opened with."""
    ruled = {name: run.settings[name] for name in ("profile", "entry_probability")}
    ruled["model"] = run.settings.get("model", "champion")  # runs of before it was a setting followed the champion
    opening = run.settings.get(OPENING)
    balance = Decimal(run.settings["balance"]) if opening is None else sum(map(Decimal, opening.values()), Decimal(0))
    return market_of(settings, run).model_copy(update={**ruled, "balance": balance})


def open_source(settings: Settings, clock: Clock) -> Source:
    """Return the market source that the settings name.

    Raises
    ------
    UsageError
        If the settings name no source, one that is not built yet, or a replay without data.
    """
    match settings.source:
        case "simulated":
            from mikrobot.market.simulated import SimulatedSource

            return SimulatedSource(settings.symbols or DEFAULT_SYMBOLS, settings.seed, clock)
        case "replay":
            from mikrobot.market.replay import ReplaySource

            if not settings.data:
                raise UsageError("a replay needs bars: give --data FILE_OR_FOLDER, once or more")
            return ReplaySource(settings.data)
        case "binance":
            from mikrobot.market.binance import BinanceSource

            return BinanceSource(settings.symbols or BINANCE_SYMBOLS, settings.binance_url, clock, BINANCE_TIMEOUT_S)
        case "mt5":
            raise UsageError("the MetaTrader 5 source is not built yet; export M1 bars and use --source replay")
        case None:
            raise UsageError("no market source is set: give --source or set MIKROBOT_SOURCE")
