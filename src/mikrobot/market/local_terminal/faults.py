"""The faults that the stand-in can show, in one registry: a name, a line of description and what it does."""

from collections.abc import Mapping
from dataclasses import dataclass

JUMP_S = 3600
"""Seconds by which the clock of the server jumps."""

TEXTS: Mapping[int, str] = {
    -1: "Terminal: Call failed",
    -2: "Terminal: Invalid params",
    -3: "Terminal: No memory",
    -4: "Terminal: Not found",
    -5: "Terminal: Invalid version",
    -6: "Terminal: Authorization failed",
    -7: "Terminal: Unsupported method",
    -8: "Terminal: Auto trading disabled",
    -10000: "IPC failed",
    -10001: "IPC send failed",
    -10002: "IPC recv failed",
    -10003: "IPC initialize failed",
    -10004: "No IPC connection",
    -10005: "IPC timeout",
}
"""Texts of `last_error` by its code."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes
    ----------
    description : str
        One line.
    code : int or None
        A call returns None, and `last_error` this code.
    lasting : bool
        It stays until it is ended; otherwise it happens to a number of calls.
    """

    description: str
    code: int | None = None
    lasting: bool = False


FAULTS: Mapping[str, Fault] = {
    **{
        f"code_{-code}": Fault(f"a call returns None, and `last_error` ({code}, {text!r})", code)
        for code, text in TEXTS.items()
    },
    "partial_history": Fault("the first call for bars returns none, the second the later half of them"),
    "empty": Fault("a call for bars returns an empty array"),
    "restart": Fault("the terminal restarts: every call fails with -10004 until `initialize`", lasting=True),
    "hang": Fault("a call is answered only after the timeout of the client"),
    "drop": Fault("the connection ends without an answer"),
    "stale_quotes": Fault("quotes stand still, bars go on", lasting=True),
    "no_broker": Fault("the terminal has no connection to the server of its broker", lasting=True),
    "other_ticks": Fault("ticks have bids a hundredth above those of the bars", lasting=True),
    "clock_jump": Fault(f"the clock of the server is {JUMP_S} s ahead", lasting=True),
}
"""Every fault by its name."""


def describe(name: str) -> str:
    """Return the description of a fault as a line of the command's help.

    >>> describe("empty")
    'empty: a call for bars returns an empty array'
    """
    return f"{name}: {FAULTS[name].description}"
