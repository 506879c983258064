"""Error codes of MetaTrader 5's Python package, with their meaning and the remedy.

References
----------
https://www.mql5.com/en/docs/python_metatrader5/mt5lasterror_py
"""

from dataclasses import dataclass

from mikrobot.domain.errors import FeedError, SettingsError

NO_HISTORY = -4
AUTHORISATION = -6
INTERPROCESS = frozenset(range(-10005, -9999))
"""Codes of a broken or late link between the package and the terminal, which `initialize` makes again."""

SHOWN = 120
"""Maximum length of a text of the terminal in a message."""

_START = "start the terminal, or name it with MIKROBOT_MT5_TERMINAL"

MEANINGS: dict[int, tuple[str, str]] = {
    -1: ("failed", "repeat it; if it stays, restart the terminal"),
    -2: ("got arguments that it does not take", "report this"),
    -3: ("has no memory left", "restart the terminal"),
    NO_HISTORY: (
        "has no history",
        "open a chart of the symbol, and set Tools > Options > Charts > Max. bars in chart to Unlimited",
    ),
    -5: ("has another version than its Python package", "update the terminal and the package"),
    AUTHORISATION: (
        "refuses the login",
        "correct MIKROBOT_MT5_LOGIN, MIKROBOT_MT5_PASSWORD and MIKROBOT_MT5_SERVER, or log in to the terminal",
    ),
    -7: ("does not offer this", "update the terminal"),
    -8: ("has algorithmic trading switched off", "switch on Algo Trading in the terminal"),
    -10000: ("has an internal error", "restart the terminal"),
    -10001: ("cannot be sent requests", "restart the terminal"),
    -10002: ("does not send its answer", "restart the terminal"),
    -10003: ("cannot be started", _START),
    -10004: ("is not connected to its Python package", _START),
    -10005: ("does not answer in time", "restart the terminal, or raise MIKROBOT_MT5_TIMEOUT_SECONDS"),
}
"""What the terminal does, and what to do about it, by the code of `last_error`."""


class TerminalLost(FeedError):
    """The bridge or the terminal behind it does not answer; opening it again may help."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What `last_error` has.

    Attributes
    ----------
    code : int
    text : str
    """

    code: int
    text: str

    def describe(self, what: str) -> str:
        """Return one line: what was asked, the meaning of the code, and the remedy.

        >>> Fault(-10005, "IPC timeout").describe("EURUSD")[:54]
        'EURUSD: MetaTrader 5 does not answer in time (code -10'
        """
        meaning, remedy = MEANINGS.get(self.code, ("failed without a known code", "restart the terminal"))
        return f"{what}: MetaTrader 5 {meaning} (code {self.code}, {self.text!r}); {remedy}"


class TerminalFailed(FeedError):
    """A function of the terminal returned no result.

    Attributes
    ----------
    code : int
        Of `last_error`.
    """

    def __init__(self, what: str, fault: Fault) -> None:
        super().__init__(fault.describe(what))
        self.code = fault.code


def error_of(what: str, fault: Fault) -> FeedError | SettingsError:
    """Return the error that a fault means: a refused login is not repeated, since it may lock the account."""
    if fault.code == AUTHORISATION:
        return SettingsError(fault.describe(what))
    if fault.code in INTERPROCESS:
        return TerminalLost(fault.describe(what))
    return TerminalFailed(what, fault)


def first_line(text: object) -> str:
    """Return the first line of a text from the other side, not too long."""
    return next(iter(str(text).splitlines()), "")[:SHOWN]
