"""The functions of MetaTrader 5's Python package that the source uses, with their errors and results by value.

Every symbol is checked before it is sent, and nothing is evaluated on the other side: a function is an attribute of the
module, called with numbers and plain text.

References
----------
https://www.mql5.com/en/docs/python_metatrader5
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mikrobot.domain.errors import FeedError, SettingsError, UnknownSymbol
from mikrobot.market.mt5.arrays import RATES, TICKS, Rows, by_value
from mikrobot.market.mt5.bridge import Opened
from mikrobot.market.mt5.codes import Fault, TerminalLost, error_of, first_line
from mikrobot.telemetry import logger

log = logger("market")

R = TypeVar("R")
Plain = int | float | str | bool

M1, M5, H1 = 1, 5, 16_385
"""TIMEFRAME_M1, TIMEFRAME_M5 and TIMEFRAME_H1."""

NAME = re.compile(r"[A-Za-z0-9#][A-Za-z0-9#._+&-]{0,31}")
"""Names of symbols that are sent to a terminal: no quotation marks, brackets or spaces."""

_QUOTES = 1
"""COPY_TICKS_INFO: ticks in which the bid or the ask changed."""

_UNKNOWN = (-1, -4)
"""Codes of `symbol_info` for a symbol that the broker does not list."""


@dataclass(frozen=True, slots=True)
class Login:
    """The account of a terminal.

    Attributes
    ----------
    account : int or None
        None: the one that the terminal is logged in to.
    password, server, path : str or None
        None: those that the terminal has; `path` is that of its program.
    """

    account: int | None = None
    password: str | None = None
    server: str | None = None
    path: str | None = None

    def arguments(self, timeout_s: float) -> tuple[tuple[str, ...], dict[str, Plain]]:
        """Return the arguments of `initialize`."""
        given = {"login": self.account, "password": self.password, "server": self.server}
        named: dict[str, Plain] = {name: value for name, value in given.items() if value is not None}
        return (self.path,) if self.path else (), named | {"timeout": int(timeout_s * 1000)}


@dataclass(frozen=True, slots=True)
class Status:
    """A terminal and its account.

    Attributes
    ----------
    company : str
        That the terminal is from.
    connected : bool
        To the server of the broker.
    most_bars : int
        The option "Max. bars in chart".
    server : str
        Name of the server of the account.
    """

    company: str
    connected: bool
    most_bars: int
    server: str


class Terminal:
    """An opened module.

    Parameters
    ----------
    opened : Opened
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self.place = opened.place

    def initialize(self, login: Login, timeout_s: float) -> None:
        """Connect the package to the terminal, and log in if an account is given.

        Raises
        ------
        SettingsError
            If the login is refused.
        TerminalLost, FeedError
            If the terminal does not answer, or fails.
        """
        place, given = login.arguments(timeout_s)
        self._call(self.place, "initialize", *place, **given)

    def status(self) -> Status:
        """Return what the terminal is connected to; an account that is not logged in has no server."""
        terminal = self._fields(self.place, self._call(self.place, "terminal_info"), _TERMINAL)
        try:
            account = self._fields(self.place, self._call(self.place, "account_info"), {"server": str})
        except TerminalLost:
            raise
        except FeedError:
            account = {"server": ""}
        return Status(
            str(terminal["company"]), bool(terminal["connected"]), int(terminal["maxbars"]), str(account["server"])
        )

    def info(self, name: str, fields: Mapping[str, type]) -> dict[str, Plain] | None:
        """Return fields of `symbol_info` by name; None if the broker does not list the symbol.

        Raises
        ------
        UnknownSymbol
            If the name is none that a broker would use.
        FeedError
            If the terminal fails, or a field is missing or of another type.
        """
        answer = self._ask(name, "symbol_info", checked(name))
        if answer is None:
            fault = self._last_error()
            if fault.code in _UNKNOWN:
                return None
            raise error_of(name, fault)
        return self._fields(name, answer, fields)

    def names(self, part: str) -> list[str]:
        """Return the names of the broker's symbols that contain a text; one that is no usable name is left out."""
        answer = self._ask(part, "symbols_get", group=f"*{checked(part)}*")
        if answer is None:
            raise error_of(part, self._last_error())
        listed = self._guarded(part, lambda: list(answer))
        names = [str(self._fields(part, symbol, {"name": str})["name"]) for symbol in listed]
        return [name for name in names if NAME.fullmatch(name)]

    def select(self, name: str) -> None:
        """Show a symbol in the Market Watch: only then it has quotes and bars."""
        self._call(name, "symbol_select", checked(name), True)

    def quote_ms(self, name: str) -> int:
        """Return the time of the last quote, milliseconds in the clock of the server; 0 before the first."""
        tick = self._call(name, "symbol_info_tick", checked(name))
        return int(self._fields(name, tick, {"time_msc": int})["time_msc"])

    def rates(self, name: str, timeframe: int, since: int, until: int) -> Rows:
        """Return the bars that open from `since` to `until`, both included, seconds in the clock of the server.

        The forming bar is included. There may be none, also because the terminal still loads them.
        """
        return self._rows(name, "copy_rates_range", timeframe, since, until)

    def ticks(self, name: str, since: int, until: int) -> Rows:
        """Return the changes of bid and ask from `since` to `until`, both included, seconds of the server's clock."""
        return self._rows(name, "copy_ticks_range", since, until, _QUOTES, needed=TICKS)

    def rates_at(self, name: str, position: int, count: int) -> Rows:
        """Return `count` M1 bars up to a position, counted back from the forming bar, which is 0."""
        return self._rows(name, "copy_rates_from_pos", M1, position, count)

    def close(self) -> None:
        """End the connection, but not the link between package and terminal, which other processes may use."""
        self._opened.close()

    def _rows(self, name: str, function: str, *arguments: int, needed: tuple[str, ...] = RATES) -> Rows:
        return self._guarded(
            name, lambda: by_value(name, self._call(name, function, checked(name), *arguments), needed)
        )

    def _call(self, what: str, function: str, *arguments: Plain, **named: Plain) -> Any:
        """Call a function; None and False are errors, whose code `last_error` has."""
        answer = self._ask(what, function, *arguments, **named)
        if answer is None or answer is False:
            raise error_of(what, self._last_error())
        return answer

    def _ask(self, what: str, function: str, *arguments: Plain, **named: Plain) -> Any:
        return self._guarded(what, lambda: getattr(self._opened.module, function)(*arguments, **named))

    def _last_error(self) -> Fault:
        answer = self._ask(self.place, "last_error")
        if type(answer) is not tuple or len(answer) != 2 or type(answer[0]) is not int:
            raise FeedError(f"{self.place}: last_error is {first_line(answer)!r}; expected a code and a text")
        return Fault(answer[0], first_line(answer[1]))

    def _fields(self, what: str, answer: Any, fields: Mapping[str, type]) -> dict[str, Plain]:
        """Return fields of a named tuple, each of its type; whole numbers count as float."""
        values = self._guarded(what, lambda: {name: getattr(answer, name) for name in fields})
        for name, kind in fields.items():
            if kind is float and type(values[name]) is int:
                values[name] = float(values[name])
            if type(values[name]) is not kind:
                shown = first_line(values[name])
                raise FeedError(f"{what}: the terminal has {name} as {shown!r}; expected {kind.__name__}")
        return values

    def _guarded(self, what: str, work: Callable[[], R]) -> R:
        try:
            return work()
        except (EOFError, OSError) as error:
            raise TerminalLost(f"{self.place} does not answer any more ({_named(error)})") from error
        except (FeedError, SettingsError, UnknownSymbol):
            raise
        except Exception as error:  # a bridge passes on whatever is raised on the other side
            raise FeedError(f"{what}: {self.place} failed ({_named(error)}); restart the bridge") from error


_TERMINAL = {"company": str, "connected": bool, "maxbars": int}


def checked(name: str) -> str:
    """Return a name of a symbol; refuse one that no broker would use.

    Raises
    ------
    UnknownSymbol
        If it has other marks than letters, digits and `#._+&-`.

    >>> checked("EURUSD.m")
    'EURUSD.m'
    """
    if not NAME.fullmatch(name):
        raise UnknownSymbol(
            f"{name[:40]!r} cannot be a symbol of MetaTrader 5; expected letters, digits and #._+&-, as EURUSD"
        )
    return name


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}".rstrip(": ")
