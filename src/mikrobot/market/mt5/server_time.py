"""Finds the clock of the server when a source is opened, and looks at it again as time passes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import pandas as pd

from mikrobot.domain.errors import BarError, FeedError, UsageError
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.sessions import SESSIONS, Session, SessionName
from mikrobot.market.border import Times, epoch_us
from mikrobot.market.clocks import HISTDATA, SERVERS, FileClock, clock_of, server_clocks
from mikrobot.market.mt5.bar_loading import BarLoader
from mikrobot.market.mt5.codes import TerminalFailed
from mikrobot.market.mt5.server_clock import Quote, ServerClock, fresh_quote
from mikrobot.market.mt5.symbols import name_at_broker
from mikrobot.market.mt5.terminal import H1, Terminal
from mikrobot.market.mt5.terminal_link import TerminalLink
from mikrobot.market.sessions import is_open
from mikrobot.runtime import Clock
from mikrobot.telemetry import logger

log = logger("market")

_EVERY = timedelta(hours=1)
"""Time after which the clock of the server is looked at again."""

_SOONEST = timedelta(minutes=5)
"""Time after which it is looked at again because quotes are not of the present."""

_PAST, _AHEAD = timedelta(days=400), timedelta(days=1)
"""Bars whose weekends show the clock: with both changes to summer time, in Europe and in America."""

_LATE, _EARLY = timedelta(minutes=-10), timedelta(minutes=1)
"""How far the quotes of open markets may be from the present before the clock is looked at."""

_BEHIND = timedelta(seconds=2)
"""Difference to this machine's clock that counts: a quote is seen up to a second after it has arrived."""

_WITNESSES = ("EURUSD", "USDJPY", "GBPUSD")
"""Symbols whose weekends show the clock of the server, where none of the traded ones closes."""


class ServerTime:
    """The clock of the server of one terminal.

    Parameters
    ----------
    link : TerminalLink
    loader : BarLoader
    clock : Clock
        Of this machine.
    named : str or None
        The clock as the user names it; None: as weekends and quotes show it.
    names : mapping of str to str
        The broker's names of the symbols traded so far.

    Raises
    ------
    UsageError
        If the name is no clock.
    """

    def __init__(
        self, link: TerminalLink, loader: BarLoader, clock: Clock, named: str | None, *, names: Mapping[str, str]
    ) -> None:
        self._link = link
        self._loader = loader
        self._clock = clock
        self._named = None if named is None else clock_of(named)
        self._names = names
        self._server: ServerClock | None = None
        self._looked: datetime | None = None
        self._confirmed: datetime | None = None
        self._behind = timedelta(0)

    def clock(self) -> ServerClock:
        """Return the clock of the server, which is found at the first call.

        Raises
        ------
        FeedError
            If the weekends fit no known clock, or the quotes another one than the weekends or the named one.
        """
        if self._server is None:
            server = ServerClock(*self._candidates())
            self._look(server)
            self._server = server
            log.info("server_clock", clock=server.name, confirmed=self._confirmed is not None)
        return self._server

    def behind(self) -> timedelta:
        """Return by how much the clock of the server is behind this machine's, after a look at it if one is due.

        Raises
        ------
        FeedError
            As `clock`, and if the clock of the server has jumped.
        """
        server, now = self.clock(), self._clock.now()
        since = _EVERY if self._looked is None else now - self._looked
        confirmed = self._confirmed is not None and now - self._confirmed < _EVERY
        if since >= _EVERY or (since >= _SOONEST and not (confirmed and self._is_of_the_present(server))):
            self._look(server)
        return self._behind

    def _candidates(self) -> tuple[tuple[FileClock, ...], str]:
        """Return the clocks that the server may have, and what shows them."""
        if self._named is not None:
            return (self._named,), "named by --clock or data_clock"
        for name, session in self._closing():
            local = self._open_times(name)
            try:
                clocks = server_clocks(f"{name} of the terminal", local, session)
            except BarError as error:
                raise FeedError(str(error)) from error
            if clocks:
                return tuple(clock for clock in clocks if clock is not HISTDATA), f"shown by the weekends of {name}"
        return tuple(clock for clock in SERVERS if clock is not HISTDATA), "no weekend shows it"

    def _closing(self) -> list[tuple[str, Session]]:
        """Return markets that close at the weekend: those that are traded, else usual ones that the broker lists."""
        traded = [(name, SESSIONS[_session(symbol)]) for symbol, name in self._names.items()]
        closing = [(name, session) for name, session in traded if session is not None]
        return closing or self._witnesses()

    def _witnesses(self) -> list[tuple[str, Session]]:
        session = SESSIONS["fx"]
        assert session is not None
        for symbol in _WITNESSES:
            try:
                name = self._link.ask(partial(name_at_broker, symbol=symbol))
            except UsageError:
                continue
            self._link.ask(partial(Terminal.select, name=name))
            return [(name, session)]
        return []

    def _open_times(self, name: str) -> Times:
        now = self._clock.now()
        span = (epoch_us(now - _PAST) // 1_000_000, epoch_us(now + _AHEAD) // 1_000_000)
        times: Times = self._loader.between(name, *span, timeframe=H1)["time"] * 1_000_000
        return times

    def _look(self, server: ServerClock) -> None:
        """Compare the clock with a fresh quote; without one, as at the weekend, nothing is learned."""
        self._looked = None  # a look that fails is repeated at once
        quote = fresh_quote(self._quotes, self._clock) if self._open_names() else None
        if quote is not None:
            server.narrow(quote)
            late = -server.ahead(quote)
            self._behind = late if late > _BEHIND else timedelta(0)
            self._confirmed = self._clock.now()
        self._looked = self._clock.now()

    def _is_of_the_present(self, server: ServerClock) -> bool:
        """Return whether the quotes of open markets are about as late as quotes are; True if none is open."""
        now = self._clock.now()
        aheads = [server.ahead(Quote(time_ms * 1000, now)) for time_ms in self._quotes().values()]
        return not aheads or (max(aheads) <= _EARLY and max(aheads) >= _LATE)

    def _quotes(self) -> dict[str, int]:
        """Return the time of the last quote of each open market that has one, milliseconds of the server."""
        times: dict[str, int] = {}
        for name in self._open_names():
            try:
                times[name] = self._link.ask(partial(Terminal.quote_ms, name=name))
            except TerminalFailed:
                continue
        return {name: time_ms for name, time_ms in times.items() if time_ms > 0}

    def _open_names(self) -> list[str]:
        now = pd.DatetimeIndex([self._clock.now()])
        return [name for symbol, name in self._names.items() if is_open(_session(symbol), now)[0]]


def _session(symbol: str) -> SessionName:
    """Return the session of a symbol; one in no table has that of its asset class."""
    if registry.is_known(symbol):
        return registry.instrument(symbol).session
    shape = registry.guess(symbol)
    session: SessionName = registry.class_defaults(shape.asset if shape else "index")["session"]
    return session
