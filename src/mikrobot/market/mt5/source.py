"""The MetaTrader 5 source: closed one-minute bars of a terminal, converted to UTC.

Bars have the spread of the broker, in price units; one of 0 points counts as unknown. The volume of foreign exchange
and CFDs counts ticks; that of coins is unknown, since the base units are not in it. Places no orders.
"""

import os
import stat
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import SystemRandom

import numpy as np
import pandas as pd

from mikrobot.domain.errors import FeedError, SettingsError, UnknownSymbol
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.market import Timeframe, empty_bars
from mikrobot.domain.market_events import Tick
from mikrobot.domain.sources import SOURCES
from mikrobot.market.border import MINUTE_US, Times, bar_frame, epoch_us, instant
from mikrobot.market.clocks import TWICE
from mikrobot.market.mt5 import symbol_info
from mikrobot.market.mt5.arrays import Rows
from mikrobot.market.mt5.bar_loading import BarLoader
from mikrobot.market.mt5.server_time import ServerTime
from mikrobot.market.mt5.symbols import name_at_broker
from mikrobot.market.mt5.terminal import H1, M1, M5, Login, Terminal, checked
from mikrobot.market.mt5.terminal_link import TerminalLink, require_kind, source_name
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.telemetry import logger

log = logger("market")

DEFAULT_SYMBOLS = ("EURUSD", "GBPUSD")

PASSWORD = "MIKROBOT_MT5_PASSWORD"  # noqa: S105, the name of a variable
"""Variable that may have the password of the account."""

_MINUTE = timedelta(minutes=1)
_BY_BID = 0
"""SYMBOL_CHART_MODE_BID."""

_TIMEFRAMES = {Timeframe.M1: M1, Timeframe.M5: M5, Timeframe.H1: H1}
_LONGEST_CLOSURE = timedelta(days=4)

_SURELY_CLOSED = timedelta(seconds=60)
"""Time after its close at which a bar is closed whatever the quotes show."""


def open_source(settings: Settings, clock: Clock) -> "Mt5Source":
    """Return the source that the settings describe; the terminal is opened when it is first needed.

    Raises
    ------
    SettingsError
        If the file of the password cannot be read.
    UnknownSymbol
        If a symbol cannot be one of MetaTrader 5.
    """
    name = settings.source or "mt5"
    symbols = settings.symbols or DEFAULT_SYMBOLS
    return Mt5Source(symbols, _link_of(settings, clock), clock, name=name, named_clock=settings.data_clock)


def actual_source(settings: Settings, clock: Clock) -> str:
    """Return the source that answers: `mt5`, or `mt5-local` if it is the stand-in.

    Raises
    ------
    FeedError, SettingsError
        If no terminal answers, or it refuses the login.
    """
    link = _link_of(settings, clock)
    try:
        return source_name(link.status())
    finally:
        link.close()


def _link_of(settings: Settings, clock: Clock) -> TerminalLink:
    password = os.environ.get(PASSWORD) or _password_of(settings.mt5_password_file)
    login = Login(settings.mt5_login, password, settings.mt5_server, settings.mt5_terminal)
    return TerminalLink(
        login,
        settings.mt5_host,
        settings.mt5_port,
        timeout_s=settings.mt5_timeout_seconds,
        clock=clock,
        rng=SystemRandom(),
    )


def _password_of(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        shared = os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"mt5_password_file {path} cannot be read ({error}); correct the path") from error
    if shared:
        raise SettingsError(f"mt5_password_file {path} can be read by others; `chmod 600 {path}`")
    return text


class Mt5Source:
    """Closed one-minute bars of a MetaTrader 5 terminal.

    Parameters
    ----------
    symbols : sequence of str
        As the project names them; the broker may have a suffix.
    link : TerminalLink
    clock : Clock
    name : str
        ``mt5``, or ``mt5-local`` for the stand-in.
    named_clock : str or None
        Clock of the server, as `--clock` takes it; None: as its weekends and its quotes show it.

    Raises
    ------
    UnknownSymbol
        If a symbol cannot be one of MetaTrader 5.
    """

    live = True

    def __init__(
        self, symbols: Sequence[str], link: TerminalLink, clock: Clock, *, name: str, named_clock: str | None = None
    ) -> None:
        self.name, self.simulated = name, SOURCES[name].simulated
        self._symbols = tuple(checked(symbol) for symbol in symbols)
        self._link = link
        self._clock = clock
        self._loader = BarLoader(link, clock)
        self._names: dict[str, str] = {}
        self._time = ServerTime(link, self._loader, clock, named_clock, names=self._names)
        self._points: dict[str, float] = {}
        self._accepted = 0

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, in the order given."""
        return self._symbols

    def instruments(self) -> dict[str, Entry]:
        """Return the instruments of the symbols as the broker lists them now.

        Raises
        ------
        FeedError
            If the terminal does not answer, or the broker opens no positions in a symbol at present.
        UnknownSymbol
            If the broker does not list a symbol.
        """
        return {symbol: self._instrument(symbol) for symbol in self._symbols}

    def span(self, symbol: str) -> tuple[datetime, datetime]:
        """Return the open time of the first bar of the terminal, and the close time of the last closed one.

        Raises
        ------
        FeedError
            If the terminal does not answer, or has no closed bar of the last days.
        UnknownSymbol
            If it is not one of the symbols, or the broker does not list it.
        """
        first, now = self.first_open(symbol), self._clock.now()
        latest = self.history(symbol, now - _LONGEST_CLOSURE, now)
        if latest.empty:
            raise FeedError(f"{symbol}: the terminal has no closed bar since {now - _LONGEST_CLOSURE:%Y-%m-%d %H:%M}")
        return first, latest["open_time"].iloc[-1].to_pydatetime() + _MINUTE

    def first_open(self, symbol: str) -> datetime:
        """Return the open time of the first bar that the terminal has.

        Raises
        ------
        FeedError, UnknownSymbol
            As `span`.
        """
        name = self._name(symbol)
        server = self._time.clock()
        first = self._loader.first(name)
        if first is None:
            raise FeedError(f"{symbol}: the terminal has no bars; open a chart of the symbol, and repeat the command")
        return instant(int(server.to_utc(symbol, np.array([first * 1_000_000], dtype=np.int64))[0]))

    def time(self) -> datetime:
        """Return the time up to which bars have closed: that of the clock or of the server, whichever is earlier, UTC.

        Looks at the clock of the server again once an hour, and when quotes are not of the present.

        Raises
        ------
        FeedError
            If the terminal does not answer, has no connection to its broker, or its clock has jumped.
        """
        self._link.status()
        for symbol in self._symbols:
            self._name(symbol)
        return self._clock.now() - self._time.behind()

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed bars that open in [start, end), as a bar frame.

        A bar has closed when its minute is over by the clock of this machine and that of the server.

        Raises
        ------
        FeedError
            If the terminal does not answer, fails, has no history, or the times of its bars may be two.
        UnknownSymbol
            If it is not one of the symbols, or the broker does not list it.
        """
        name = self._name(symbol)
        end = min(end, self._clock.now() - _MINUTE + timedelta(microseconds=1))
        if start >= end:
            return empty_bars()
        rows, utc = self._between(symbol, start, end)
        if len(utc) and not self._has_closed(name, int(utc[-1]), int(rows["time"][-1])):
            rows, utc = rows[:-1], utc[:-1]
        return self._frame(symbol, rows, utc)

    def longer(self, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the bars of a timeframe that open in [start, end) and closed a minute ago, as `history` does M1 bars.

        Raises
        ------
        FeedError, UnknownSymbol
            As `history`.
        """
        end = min(end, self._clock.now() - timeframe.delta - _SURELY_CLOSED + timedelta(microseconds=1))
        if start >= end:
            return empty_bars()
        return self._frame(symbol, *self._between(symbol, start, end, _TIMEFRAMES[timeframe]))

    def ticks(self, symbol: str, start: datetime, end: datetime) -> list[Tick]:
        """Return the quotes in [start, end) in order of time, with their milliseconds in UTC.

        A quote without a bid or an ask is left out. There are none of a symbol whose bars are not made from bids, as
        on an exchange.

        Raises
        ------
        FeedError, UnknownSymbol
            As `history`.
        """
        name, server = self._name(symbol), self._time.clock()
        mode = self._link.ask(lambda terminal: terminal.info(name, {"chart_mode": int}))
        if mode is None or mode["chart_mode"] != _BY_BID:
            return []
        rows = self._link.ask(lambda terminal: terminal.ticks(name, *server.window(start, end)))
        utc = server.to_utc(symbol, rows["time_msc"].astype(np.int64) * 1000)
        inside = (utc >= epoch_us(start)) & (utc < epoch_us(end)) & (rows["bid"] > 0) & (rows["ask"] > 0)
        columns = (rows["bid"][inside].tolist(), rows["ask"][inside].tolist(), (utc[inside] // 1000).tolist())
        unknown = float("nan")
        return [Tick(symbol, 0, bid, unknown, ask, unknown, at) for bid, ask, at in zip(*columns, strict=True)]

    def _between(self, symbol: str, start: datetime, end: datetime, timeframe: int = M1) -> tuple[Rows, Times]:
        """Return the bars that open in [start, end), also one that has not closed, and their open times in UTC."""
        name, server = self._name(symbol), self._time.clock()
        rows = self._loader.between(name, *server.window(start, end), timeframe)
        utc = server.to_utc(symbol, rows["time"] * 1_000_000)
        inside = (utc >= epoch_us(start)) & (utc < epoch_us(end))
        if (lost := int(((utc <= TWICE) & (len(utc) > 0)).sum())) > 0:
            log.warning("bars_left_out", symbol=symbol, rows=lost, reason=f"their hour exists twice in {server.name}")
        rows, utc = rows[inside], utc[inside]
        _check(symbol, utc)
        return rows, utc

    def _instrument(self, symbol: str) -> Entry:
        name = self._name(symbol)
        info = self._link.ask(lambda terminal: terminal.info(name, symbol_info.FIELDS))
        if info is None:
            raise UnknownSymbol(f"{symbol}: the broker does not list {name} any more")
        return symbol_info.entry_of(symbol, info)

    def _has_closed(self, name: str, utc: int, local_s: int) -> bool:
        """Return whether the last bar of an answer has closed, by the quotes where it is of the present."""
        if instant(utc) + _MINUTE <= self._clock.now() - _SURELY_CLOSED:
            return True
        due_ms = (local_s + 60) * 1000
        names = [name, *(other for other in self._names.values() if other != name)]
        return any(self._link.ask(partial(Terminal.quote_ms, name=other)) >= due_ms for other in names)

    def _frame(self, symbol: str, rows: Rows, utc: Times) -> pd.DataFrame:
        if not len(rows):
            return empty_bars()
        prices = np.stack([rows[name] for name in ("open", "high", "low", "close")])
        unknown = np.full(len(rows), np.nan)
        is_coin = registry.is_known(symbol) and registry.instrument(symbol).asset == "crypto"
        volume = unknown if is_coin else rows["tick_volume"].astype(np.float64)
        spread = np.where(rows["spread"] > 0, rows["spread"] * self._points[symbol], np.nan)
        return bar_frame(utc, prices, volume, spread)

    def _name(self, symbol: str) -> str:
        """Return the broker's name of a symbol, shown in the Market Watch."""
        if symbol not in self._symbols:
            raise UnknownSymbol(f"{symbol} is not a symbol of this source; the symbols are {', '.join(self._symbols)}")
        self._require_kind()
        if symbol not in self._names:
            name = self._link.ask(lambda terminal: name_at_broker(terminal, symbol))
            self._points[symbol] = self._link.ask(lambda terminal: _select(terminal, name))
            self._names[symbol] = name
        return self._names[symbol]

    def _require_kind(self) -> None:
        """Refuse a terminal that is not of the kind of this source, each time that it has been opened."""
        if self._accepted == 0 or self._accepted != self._link.opened:
            require_kind(self.name, self._link.status())
            self._accepted = self._link.opened
            self._names.clear()


def _select(terminal: Terminal, name: str) -> float:
    """Show a symbol in the Market Watch; return its point."""
    terminal.select(name)
    info = terminal.info(name, {"point": float})
    if info is None or not 0 < float(info["point"]) < 1e6:
        raise FeedError(f"{name}: the broker lists no point of it; choose another symbol")
    return float(info["point"])


def _check(symbol: str, utc: Times) -> None:
    """Refuse bars that are not on whole minutes in order of time."""
    bad = np.concatenate(([False], np.diff(utc) <= 0)) | (utc % MINUTE_US != 0) if len(utc) else np.zeros(0, dtype=bool)
    if bad.any():
        at = instant(int(utc[int(bad.argmax())]))
        raise FeedError(f"{symbol}: the terminal sent a bar of {at:%Y-%m-%d %H:%M:%S} UTC out of order; restart it")
