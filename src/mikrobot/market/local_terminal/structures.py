"""What the functions of MetaTrader 5's Python package return: named tuples and structured arrays.

Named tuples have the fields that a reader of bars and instruments needs, by the names and types of the package.

References
----------
https://www.mql5.com/en/docs/python_metatrader5
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]

RATES = np.dtype(
    [
        ("time", "<i8"), ("open", "<f8"), ("high", "<f8"), ("low", "<f8"), ("close", "<f8"),
        ("tick_volume", "<u8"), ("spread", "<i4"), ("real_volume", "<u8"),
    ]
)  # fmt: skip

TICKS = np.dtype(
    [
        ("time", "<i8"), ("bid", "<f8"), ("ask", "<f8"), ("last", "<f8"), ("volume", "<u8"),
        ("time_msc", "<i8"), ("flags", "<u4"), ("volume_real", "<f8"),
    ]
)  # fmt: skip

BID_AND_ASK = 6
"""TICK_FLAG_BID and TICK_FLAG_ASK."""


class TerminalInfo(NamedTuple):
    """The terminal; `connected` to the server of its broker, `maxbars` is "Max. bars in chart"."""

    connected: bool
    trade_allowed: bool
    build: int
    maxbars: int
    ping_last: int
    company: str
    name: str
    path: str


class AccountInfo(NamedTuple):
    """The account that the terminal is logged in to."""

    login: int
    leverage: int
    currency: str
    server: str
    company: str
    name: str


class SymbolInfo(NamedTuple):
    """A symbol; volumes in lots, swaps in points, `spread` in points."""

    name: str
    path: str
    description: str
    select: bool
    visible: bool
    digits: int
    point: float
    spread: int
    spread_float: bool
    time: int
    bid: float
    ask: float
    trade_calc_mode: int
    trade_mode: int
    trade_tick_size: float
    trade_contract_size: float
    volume_min: float
    volume_max: float
    volume_step: float
    currency_base: str
    currency_profit: str
    currency_margin: str
    swap_mode: int
    swap_long: float
    swap_short: float
    swap_rollover3days: int
    chart_mode: int


class Tick(NamedTuple):
    """The last quote; times in the clock of the server, in seconds and milliseconds."""

    time: int
    bid: float
    ask: float
    last: float
    volume: int
    time_msc: int
    flags: int
    volume_real: float
