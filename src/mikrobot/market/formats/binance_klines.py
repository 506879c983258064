"""Klines of data.binance.vision, spot and futures, with or without a header; stamps in milliseconds or microseconds."""

import re

import numpy as np

from mikrobot.market.border import Floats
from mikrobot.market.clocks import UTC_CLOCK
from mikrobot.market.formats import stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import Rows, read_rows

_NAMES = (
    "open_time", "open", "high", "low", "close", "volume", "close_time",
    "quote_volume", "trades", "taker_volume", "taker_quote_volume", "ignore",
)  # fmt: skip
_LINE = re.compile(r"\d{10,19}(?:,[\d.eE+-]+){5},\d{10,19}(?:,[^,]*){5}")


def _recognises(file: BarFile) -> bool:
    return bool(file.head) and (_has_header(file) or bool(_LINE.fullmatch(file.head[0])))


def _has_header(file: BarFile) -> bool:
    names = [name.replace(" ", "_") for name in file.columns]
    return (
        len(names) == len(_NAMES) and names[0] in ("open_time", "opentime") and names[6] in ("close_time", "closetime")
    )


def _read(file: BarFile) -> RawBars:
    header = _has_header(file)
    dated = header and not file.first_value(file.columns[0]).isdigit()
    unread = ("close_time", "ignore")
    rows = read_rows(file, _NAMES, headers=int(header), texts=("open_time",) if dated else (), ignored=unread)
    if dated:
        opened = stamps.of_text(rows.text("open_time"), "%Y-%m-%d %H:%M:%S", rows.origin, "YYYY-MM-DD HH:MM:SS")
    else:
        opened = stamps.of_epoch(rows.numbers("open_time"), rows.origin)
    volume, taker_volume = _in_base_units(rows)
    return RawBars(
        opened,
        rows.prices,
        volume=volume,
        trades=rows.numbers("trades"),
        taker_volume=taker_volume,
        decimals=rows.decimals,
        origin=rows.origin,
        clock=UTC_CLOCK,
    )


def _in_base_units(rows: Rows) -> tuple[Floats, Floats]:
    """Return the volume and that of the takers in base units.

    Futures with a margin in coins count contracts of 10 or 100 dollars, and have base units where others have the
    value in quote currency. The price shows which it is.
    """
    volume, quoted, close = (rows.numbers(name) for name in ("volume", "quote_volume", "close"))
    traded = (volume > 0) & (quoted > 0) & (close > 0)
    if traded.any():
        linear = float(np.median(quoted[traded] / volume[traded] / close[traded]))
        contract = float(np.median(quoted[traded] / volume[traded] * close[traded]))
        miss = min(abs(contract / size - 1) for size in _CONTRACTS)
        if miss < min(_NEAR, abs(linear - 1)):
            return quoted, rows.numbers("taker_quote_volume")
    return volume, rows.numbers("taker_volume")


_CONTRACTS, _NEAR = (10, 100), 0.01
"""Dollars in a contract: https://www.binance.com/en/futures/trading-rules/coin; and how near the median price is."""

FORMAT = Format("binance", "data.binance.vision, klines", "UTC", _recognises, _read)
