"""MetaTrader 4's history export: commas, no header, in the time of the broker's server.

HistData offers its bars in the same layout; `histdata` comes first in the registry and recognises those.
"""

import re

from mikrobot.market.formats import stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import read_rows

LINE = re.compile(r'"?\d{4}\.\d\d\.\d\d"?,"?\d\d:\d\d"?(?:,"?[\d.]+"?){4,5}')


def has_layout(file: BarFile) -> bool:
    """Return True for a file that begins with a line of this layout."""
    return bool(file.head) and bool(LINE.fullmatch(file.head[0]))


def _read(file: BarFile) -> RawBars:
    return read_lines(file)


def read_lines(file: BarFile) -> RawBars:
    """Read lines of date, time, prices and number of ticks; the clock is unknown."""
    names = ("date", "time", "open", "high", "low", "close", "tick_volume")[: len(file.columns)]
    rows = read_rows(file, names, texts=("date", "time"))
    return RawBars(
        stamps.of_date_and_time(rows.text("date"), rows.text("time"), origin=rows.origin),
        rows.prices,
        volume=rows.numbers("tick_volume"),
        volume_unit="ticks",
        decimals=rows.decimals,
        origin=rows.origin,
        clock=None,
        server=True,
    )


FORMAT = Format("mt4", "MetaTrader 4, history center", "the broker's server: shown by the weekends", has_layout, _read)
