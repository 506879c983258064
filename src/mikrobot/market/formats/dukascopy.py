"""Dukascopy's historical data export, bars or ticks: the first column names its clock."""

import re

from mikrobot.domain.errors import BarError
from mikrobot.market.border import Times
from mikrobot.market.clocks import EET, UTC_CLOCK, FileClock
from mikrobot.market.formats import stamps, tick_bars
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import Rows, read_rows

_CLOCKS = {
    "gmt time": UTC_CLOCK,
    "time (utc)": UTC_CLOCK,
    "utc": UTC_CLOCK,
    "etc/utc": UTC_CLOCK,
    "time (eet)": EET,
    "eet": EET,
}
_OFFSET = re.compile(r" GMT([+-])(\d\d)(\d\d)$")
_LOCAL = "local time"
_NODE = ("timestamp", "askprice", "bidprice")


def _has_clock(file: BarFile) -> bool:
    return bool(file.columns) and (file.columns[0] in _CLOCKS or file.columns[0] == _LOCAL)


def _recognises(file: BarFile) -> bool:
    return _has_clock(file) and "open" in file.columns


def _recognises_ticks(file: BarFile) -> bool:
    return file.columns[:3] == _NODE or (_has_clock(file) and {"ask", "bid"} <= set(file.columns))


def _read(file: BarFile) -> RawBars:
    names = ("time", *file.columns[1:])
    rows = read_rows(file, names, headers=1, texts=("time",))
    opened, clock = _times(file, rows)
    volume = next((name for name in names if name.startswith("volume")), "volume")
    return RawBars(
        opened,
        rows.prices,
        volume=rows.numbers(volume),
        volume_unit="unknown",
        decimals=rows.decimals,
        origin=rows.origin,
        clock=clock,
        symbol=rows.symbol,
    )


def _read_ticks(file: BarFile) -> RawBars:
    used = ("time", "ask", "bid", "askprice", "bidprice")
    names = ("time", *file.columns[1:])
    rows = read_rows(file, names, headers=1, texts=("time",), ignored=[name for name in names if name not in used])
    times, clock = stamps.of_any(rows.text("time"), rows.origin) if file.columns[:3] == _NODE else _times(file, rows)
    bid, ask = rows.numbers("bid", "bidprice"), rows.numbers("ask", "askprice")
    return tick_bars.of_quotes(times, bid, ask, origin=rows.origin, clock=clock, symbol=rows.symbol)


def _times(file: BarFile, rows: Rows) -> tuple[Times, FileClock]:
    first = rows.table["time"][0].as_py()
    if file.columns[0] == _LOCAL:
        if not _OFFSET.search(first):
            raise BarError(f"{rows.origin(0)}: local time {first!r} without its offset; choose GMT in the export")
        return stamps.with_offset(rows.text("time"), rows.origin), UTC_CLOCK
    layout, shown = _LAYOUTS.get(first.find("."), _ISO)
    return stamps.of_text_with_fraction(rows.text("time"), layout, rows.origin, shown), _CLOCKS[file.columns[0]]


_ISO = ("%Y-%m-%d %H:%M:%S", "YYYY-MM-DD HH:MM:SS")
_LAYOUTS = {
    2: ("%d.%m.%Y %H:%M:%S", "DD.MM.YYYY HH:MM:SS"),
    4: ("%Y.%m.%d %H:%M:%S", "YYYY.MM.DD HH:MM:SS"),
}
"""Layout of a time by the place of its first point; else `_ISO`."""

FORMAT = Format("dukascopy", "Dukascopy, historical data export", "named by its first column", _recognises, _read)
TICKS = Format(
    "dukascopy_ticks", "Dukascopy, ticks", "named by its first column", _recognises_ticks, _read_ticks, ticks=True
)
