"""HistData's tick files of foreign exchange, ASCII: time with milliseconds, bid, ask, and a volume that is always 0."""

import re

from mikrobot.market.clocks import HISTDATA
from mikrobot.market.formats import stamps, tick_bars
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import read_rows

_LINE = re.compile(r"\d{8} \d{9},[\d.]+,[\d.]+,0")


def _recognises(file: BarFile) -> bool:
    return bool(file.head) and bool(_LINE.fullmatch(file.head[0]))


def _read(file: BarFile) -> RawBars:
    rows = read_rows(file, ("time", "bid", "ask", "volume"), texts=("time",), ignored=("volume",))
    times = stamps.of_text_with_fraction(rows.text("time"), "%Y%m%d %H%M%S", rows.origin, "YYYYMMDD HHMMSSNNN", mark="")
    bid, ask = rows.numbers("bid"), rows.numbers("ask")
    return tick_bars.of_quotes(times, bid, ask, origin=rows.origin, clock=HISTDATA)


FORMAT = Format("histdata_ticks", "HistData, ticks ASCII", "as HistData's M1 files", _recognises, _read, ticks=True)
