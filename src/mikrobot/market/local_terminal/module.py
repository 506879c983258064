"""The functions of MetaTrader 5's Python package, on made-up quotes.

Results, `None` on an error and the codes of `last_error` are those of the package; times are those of a server with a
clock of its own. There are no orders.

References
----------
https://www.mql5.com/en/docs/python_metatrader5
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import wraps
from threading import RLock
from typing import ParamSpec, TypeVar

import numpy as np

from mikrobot.market.local_terminal.faults import JUMP_S, TEXTS
from mikrobot.market.local_terminal.injection import Faults
from mikrobot.market.local_terminal.quotes import MinuteBars, Quote, SymbolQuotes
from mikrobot.market.local_terminal.server_zone import ServerZone
from mikrobot.market.local_terminal.structures import (
    BID_AND_ASK,
    RATES,
    TICKS,
    AccountInfo,
    Rows,
    SymbolInfo,
    TerminalInfo,
    Tick,
)
from mikrobot.market.mt5.terminal_link import STAND_IN

ACCOUNT, PASSWORD, SERVER = 1_000_001, "paper", "Mikrobot-Demo"
"""The account that the stand-in knows; its password is no secret, since the account has no money."""

M1, M5, H1 = 1, 5, 16_385
"""TIMEFRAME_M1, TIMEFRAME_M5 and TIMEFRAME_H1, the timeframes that the stand-in has."""

_LONGER_S = {M5: 300, H1: 3600}

_SUCCESS = (1, "Success")
_MOST_BARS = 1_000_000
_FULL = 4
"""SYMBOL_TRADE_MODE_FULL."""

_BY_BID = 0
"""SYMBOL_CHART_MODE_BID."""

_SWAP_POINTS, _SWAP_DISABLED = 1, 0


P = ParamSpec("P")
R = TypeVar("R")


def _one_at_a_time(method: Callable[P, R]) -> Callable[P, R]:
    """Let a function of the stand-in wait for the calls of other clients, as a terminal does."""

    @wraps(method)
    def alone(*arguments: P.args, **named: P.kwargs) -> R:
        stand_in = arguments[0]
        assert isinstance(stand_in, StandIn)
        with stand_in._lock:
            return method(*arguments, **named)

    return alone


class StandIn:
    """The module of a terminal.

    Parameters
    ----------
    quotes : mapping of str to SymbolQuotes
        By the name that the broker lists.
    zone : ServerZone
        Clock of the server.
    faults : Faults
    now_ms : callable
        Return the market time, milliseconds since the epoch, UTC.
    hang : callable
        Wait longer than a client does.
    drop : callable
        End the connections.
    most_bars : int
        "Max. bars in chart".
    """

    TIMEFRAME_M1 = M1
    TIMEFRAME_H1 = H1
    COPY_TICKS_ALL = -1

    def __init__(
        self,
        quotes: Mapping[str, SymbolQuotes],
        zone: ServerZone,
        faults: Faults,
        now_ms: Callable[[], int],
        *,
        hang: Callable[[], None],
        drop: Callable[[], None],
        most_bars: int = _MOST_BARS,
    ) -> None:
        self.faults = faults
        self.company = STAND_IN
        self.most_bars = most_bars
        self._lock = RLock()
        self._quotes = dict(quotes)
        self._zone = zone
        self._now_ms = now_ms
        self._hang = hang
        self._drop = drop
        self._selected: set[str] = set()
        self._initialized = False
        self._error = _SUCCESS
        self._stood_still: int | None = None
        self._parts: dict[str, int] = {}

    @_one_at_a_time
    def initialize(self, path: str | None = None, /, **given: object) -> bool:
        """Connect to the terminal, and log in if `login` is given."""
        self.faults.end("restart")
        self._initialized = True
        if self._fails():
            self._initialized = False
            return False
        if not self._accepts(given.get("login"), given.get("password"), given.get("server")):
            self._initialized = False
            return self._failed(-6)
        return True

    @_one_at_a_time
    def login(self, login: int, password: str | None = None, server: str | None = None) -> bool:
        """Log in to an account."""
        if self._fails():
            return False
        return self._accepts(login, password, server) or self._failed(-6)

    @_one_at_a_time
    def shutdown(self) -> bool:
        """End the connection to the terminal."""
        self._initialized = False
        return True

    @_one_at_a_time
    def last_error(self) -> tuple[int, str]:
        """Return the code and the text of the last call."""
        return self._error

    @_one_at_a_time
    def version(self) -> tuple[int, int, str] | None:
        """Return version, build and date of the terminal."""
        return None if self._fails() else (500, 5000, "1 Jan 2026")

    @_one_at_a_time
    def terminal_info(self) -> TerminalInfo | None:
        """Return the status of the terminal."""
        if self._fails():
            return None
        connected = not self.faults.lasts("no_broker")
        return TerminalInfo(connected, False, 5000, self.most_bars, 1000, self.company, "Mikrobot, SIMULATED", "")

    @_one_at_a_time
    def account_info(self) -> AccountInfo | None:
        """Return the account."""
        return None if self._fails() else AccountInfo(ACCOUNT, 30, "USD", SERVER, STAND_IN, "Paper")

    @_one_at_a_time
    def symbols_total(self) -> int | None:
        """Return the number of symbols."""
        return None if self._fails() else len(self._quotes)

    @_one_at_a_time
    def symbols_get(self, group: str = "*") -> tuple[SymbolInfo, ...] | None:
        """Return the symbols whose name is like a pattern."""
        if self._fails():
            return None
        return tuple(self._info(name) for name in sorted(self._quotes) if fnmatchcase(name, group))

    @_one_at_a_time
    def symbol_info(self, symbol: str) -> SymbolInfo | None:
        """Return the conditions of a symbol; None with code -4 if there is none of that name."""
        if self._fails():
            return None
        if symbol not in self._quotes:
            self._failed(-4)
            return None
        return self._info(symbol)

    @_one_at_a_time
    def symbol_select(self, symbol: str, enable: bool = True) -> bool:  # noqa: FBT001, FBT002, the signature of the package
        """Show a symbol in the Market Watch, or hide it."""
        if self._fails():
            return False
        if symbol not in self._quotes:
            return self._failed(-1)
        if enable:
            self._selected.add(symbol)
        else:
            self._selected.discard(symbol)
        return True

    @_one_at_a_time
    def symbol_info_tick(self, symbol: str) -> Tick | None:
        """Return the last quote of a symbol of the Market Watch."""
        if self._fails() or not self._watches(symbol):
            return None
        quote = self._quotes[symbol].last_quote(self._quoted_ms())
        return Tick(0, 0.0, 0.0, 0.0, 0, 0, 0, 0.0) if quote is None else self._tick(symbol, quote)

    @_one_at_a_time
    def copy_rates_range(self, symbol: str, timeframe: int, date_from: int, date_to: int) -> Rows | None:
        """Return the bars that open from `date_from` to `date_to`, both included, the forming one as well."""
        if self._fails() or not self._watches(symbol):
            return None
        if timeframe not in (M1, M5, H1) or type(date_from) is not int or type(date_to) is not int:
            self._failed(-2)
            return None
        margin = 86_400  # the clock of the server is less than a day from UTC
        rows = self._rates(symbol, (date_from - margin) // 60, (date_to + margin) // 60, timeframe)
        rows = rows[(rows["time"] >= date_from) & (rows["time"] <= date_to)]
        return self._loaded_so_far(symbol, rows)

    @_one_at_a_time
    def copy_rates_from_pos(self, symbol: str, timeframe: int, start_pos: int, count: int) -> Rows | None:
        """Return `count` bars up to the one at a position, counted back from the forming bar."""
        if self._fails() or not self._watches(symbol):
            return None
        if timeframe != M1 or start_pos < 0 or count < 1:
            self._failed(-2)
            return None
        count = min(count, self.most_bars - start_pos)
        bars = self._quotes[symbol].newest(self._now_ms(), start_pos, max(count, 0))
        if not len(bars.minute):
            self._failed(-1)
            return None
        return self._minutes(self._quotes[symbol], bars)

    @_one_at_a_time
    def copy_ticks_range(self, symbol: str, date_from: int, date_to: int, flags: int) -> Rows | None:
        """Return the quotes from `date_from` to `date_to`, both included, seconds in the clock of the server."""
        if self._fails() or not self._watches(symbol):
            return None
        shift_s = self._shift_s()
        minutes = range((date_from - shift_s) // 60, min((date_to - shift_s), self._now_ms() // 1000) // 60 + 1)
        quotes = [quote for minute in minutes for quote in self._quotes[symbol].quotes(minute)]
        ticks = [self._tick(symbol, quote) for quote in quotes if quote.time_ms <= self._quoted_ms()]
        rows = np.array([tuple(tick) for tick in ticks if date_from <= tick.time <= date_to], dtype=TICKS)
        if self.faults.lasts("other_ticks"):
            rows["bid"] *= 1.01
        return rows

    def _fails(self) -> bool:
        """Return whether the present call fails, and remember its code."""
        if self.faults.happens("hang"):
            self._hang()
        if self.faults.happens("drop"):
            self._drop()
        if self.faults.lasts("restart") or not self._initialized:
            self._failed(-10004)
            return True
        code = self.faults.code()
        if code is not None:
            self._failed(code)
            return True
        self._error = _SUCCESS
        return False

    def _failed(self, code: int) -> bool:
        self._error = (code, TEXTS[code])
        return False

    def _accepts(self, account: object, password: object, server: object) -> bool:
        given = ((account, ACCOUNT), (password, PASSWORD), (server, SERVER))
        return all(value is None or value == right for value, right in given)

    def _watches(self, symbol: str) -> bool:
        return symbol in self._selected or self._failed(-1)

    def _loaded_so_far(self, symbol: str, rows: Rows) -> Rows:
        """Return what the terminal has loaded of some bars by this call."""
        if self.faults.happens("empty"):
            return rows[:0]
        if self.faults.happens("partial_history"):
            part = self._parts[symbol] = self._parts.get(symbol, 0) + 1
            return rows[:0] if part % 2 else rows[len(rows) // 2 :]
        return rows

    def _rates(self, symbol: str, since: int, until: int, timeframe: int) -> Rows:
        """Return the bars that open in [since, until), minutes in UTC, with times of the server."""
        quotes, now_ms = self._quotes[symbol], self._now_ms()
        minute = now_ms // 60_000
        bars = [quotes.closed(max(since, quotes.first_minute), min(until, minute))]
        if since <= minute < until:
            bars.append(quotes.forming(now_ms))
        minutes = np.concatenate([self._minutes(quotes, part) for part in bars])
        rows = minutes if timeframe == M1 else _longer(minutes, _LONGER_S[timeframe])
        return rows[-self.most_bars :]

    def _minutes(self, quotes: SymbolQuotes, bars: MinuteBars) -> Rows:
        rows = np.zeros(len(bars.minute), dtype=RATES)
        rows["time"] = self._zone.local(bars.minute * 60) + self._jump_s()
        for name, prices in zip(("open", "high", "low", "close"), bars.prices, strict=True):
            rows[name] = quotes.price(prices)
        rows["tick_volume"], rows["spread"] = bars.ticks, bars.spread
        return rows

    def _tick(self, symbol: str, quote: Quote) -> Tick:
        time_ms = quote.time_ms + self._shift_s(quote.time_ms) * 1000
        sides = np.array([quote.bid, quote.bid + quote.spread], dtype=np.int64)
        bid, ask = self._quotes[symbol].price(sides).tolist()
        return Tick(time_ms // 1000, bid, ask, 0.0, 0, time_ms, BID_AND_ASK, 0.0)

    def _shift_s(self, time_ms: int | None = None) -> int:
        """Return the clock of the server minus UTC, in seconds, at a time; without one, now."""
        utc = (self._now_ms() if time_ms is None else time_ms) // 1000
        return int(self._zone.local(np.array([utc], dtype=np.int64))[0]) - utc + self._jump_s()

    def _jump_s(self) -> int:
        return JUMP_S if self.faults.lasts("clock_jump") else 0

    def _quoted_ms(self) -> int:
        """Return the market time of the quotes, which may stand still."""
        if not self.faults.lasts("stale_quotes"):
            self._stood_still = None
            return self._now_ms()
        if self._stood_still is None:
            self._stood_still = self._now_ms()
        return self._stood_still

    def _info(self, name: str) -> SymbolInfo:
        traded = self._quotes[name].instrument
        quote = self._quotes[name].last_quote(self._quoted_ms())
        tick = None if quote is None else self._tick(name, quote)
        swap = traded.swap
        return SymbolInfo(
            name=name,
            path=f"{traded.asset}\\{name}",
            description=f"{traded.base} in {traded.quote}",
            select=name in self._selected,
            visible=name in self._selected,
            digits=self._quotes[name].digits,
            point=float(traded.tick),
            spread=0 if quote is None else quote.spread,
            spread_float=True,
            time=0 if tick is None else tick.time,
            bid=0.0 if tick is None else tick.bid,
            ask=0.0 if tick is None else tick.ask,
            trade_calc_mode=0 if traded.asset == "fx" else 2,
            trade_mode=_FULL,
            trade_tick_size=float(traded.tick),
            trade_contract_size=float(traded.lot),
            volume_min=float(traded.min_size),
            volume_max=500.0,
            volume_step=float(traded.size_step),
            currency_base=traded.base,
            currency_profit=traded.quote,
            currency_margin=traded.base,
            swap_mode=_SWAP_DISABLED if swap is None else _SWAP_POINTS,
            swap_long=0.0 if swap is None else float(swap.long),
            swap_short=0.0 if swap is None else float(swap.short),
            swap_rollover3days=3 if swap is None else swap.triple_day + 1,
            chart_mode=_BY_BID,
        )


def _longer(minutes: Rows, length_s: int) -> Rows:
    """Aggregate M1 bars to bars of a length in the clock of the server."""
    if not len(minutes):
        return minutes
    opened = minutes["time"] // length_s * length_s
    first = np.flatnonzero(np.concatenate(([True], np.diff(opened) > 0)))
    last = np.concatenate((first[1:], [len(minutes)])) - 1
    rows = minutes[first].copy()
    rows["time"], rows["close"] = opened[first], minutes["close"][last]
    rows["high"], rows["low"] = np.maximum.reduceat(minutes["high"], first), np.minimum.reduceat(minutes["low"], first)
    rows["tick_volume"] = np.add.reduceat(minutes["tick_volume"], first)
    return rows
