"""The routes of a run on several sources: recorded with the run, and the same in each run of that source."""

from collections.abc import Callable, Mapping

from mikrobot.domain.errors import UsageError
from mikrobot.domain.sources import AT
from mikrobot.live import wiring
from mikrobot.market.feed import Source
from mikrobot.settings import Settings
from mikrobot.store.runs import ROUTES, Runs


def with_routes(settings: Settings, source: Source, say: Callable[[str], None]) -> Settings:
    """Return the settings with the member of each symbol of a source that was opened by them.

    Parameters
    ----------
    say : callable
        Called with the members and their symbols, if there are several.

    Raises
    ------
    UsageError
        If a symbol names a source, and the run has another one.
    """
    routes = wiring.routes_of(source)
    if routes:
        say(described(routes))
    else:
        for symbol, named in settings.routes.items():
            if symbol in source.symbols() and source.name not in {named, f"{named}-local"}:
                raise UsageError(f"{symbol}{AT}{named}: the run trades {source.name} only; leave {AT}{named} out")
    return settings.model_copy(update={"routes": routes})


def described(routes: Mapping[str, str]) -> str:
    """Return the members that symbols are traded on as a sentence.

    >>> described({"BTCUSDT": "binance", "EURUSD": "mt5", "XAUUSD": "mt5"})
    'BTCUSDT is traded on binance, EURUSD and XAUUSD on mt5'
    """
    parts: list[str] = []
    for member in dict.fromkeys(routes.values()):
        symbols = [symbol for symbol, chosen in routes.items() if chosen == member]
        verb = "" if parts else (" are traded" if len(symbols) > 1 else " is traded")
        parts.append(f"{_listed(symbols)}{verb} on {member}")
    return ", ".join(parts)


def require_unchanged(source: str, routes: Mapping[str, str], runs: Runs) -> None:
    """Check that earlier runs of a source have traded each symbol on the same member: its bars are stored as one.

    Raises
    ------
    UsageError
        If one has traded a symbol on another member.
    """
    for earlier in runs.all() if routes else ():
        before = earlier.settings.get(ROUTES, {}) if earlier.source == source else {}
        for symbol, member in routes.items():
            if (former := before.get(symbol, member)) != member:
                raise UsageError(
                    f"{symbol} of source {source} is that of {former} since run {earlier.id}, and bars of two "
                    f"venues must not mix: give {symbol}{AT}{former}, or set MIKROBOT_HOME to another folder"
                )


def recorded_routes(source: str, runs: Runs) -> dict[str, str]:
    """Return the member on which the runs of a source have traded each symbol; none of a single source."""
    return {
        symbol: member
        for run in runs.all()
        if run.source == source
        for symbol, member in run.settings.get(ROUTES, {}).items()
    }


def _listed(symbols: list[str]) -> str:
    return f"{', '.join(symbols[:-1])} and {symbols[-1]}" if len(symbols) > 1 else "".join(symbols)
