"""Klines of data.binance.vision, spot and futures, with or without a header; stamps in milliseconds or microseconds."""

import re

from mikrobot.market.clocks import UTC_CLOCK
from mikrobot.market.formats import stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import read_rows

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
    unread = ("close_time", "quote_volume", "taker_quote_volume", "ignore")
    rows = read_rows(file, _NAMES, headers=int(header), texts=("open_time",) if dated else (), ignored=unread)
    if dated:
        opened = stamps.of_text(rows.text("open_time"), "%Y-%m-%d %H:%M:%S", rows.origin, "YYYY-MM-DD HH:MM:SS")
    else:
        opened = stamps.of_epoch(rows.numbers("open_time"), rows.origin)
    return RawBars(
        opened,
        rows.prices,
        volume=rows.numbers("volume"),
        trades=rows.numbers("trades"),
        taker_volume=rows.numbers("taker_volume"),
        decimals=rows.decimals,
        origin=rows.origin,
        clock=UTC_CLOCK,
    )


FORMAT = Format("binance", "data.binance.vision, klines", "UTC", _recognises, _read)
