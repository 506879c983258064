"""HistData's M1 files of foreign exchange: the ASCII layout, and the one for MetaTrader.

Their clock was determined by comparison with independent quotes; see `clocks.histdata_to_utc`. They have no volumes.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from mikrobot.market.clocks import HISTDATA, last_sunday
from mikrobot.market.formats import metatrader4, stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import read_rows

LINE = re.compile(r"\d{8} \d{6}(?:;[\d.]+){5}")
"""A line of the ASCII layout, which NinjaTrader shares."""

_DAY_US = 86_400_000_000


def _recognises(file: BarFile) -> bool:
    return is_ascii_layout(file) or is_metatrader_layout(file)


def is_ascii_layout(file: BarFile) -> bool:
    """Return True for the ASCII layout with HistData's name or without any volume."""
    return has_ascii_layout(file) and (_named(file) or _no_volume(file))


def has_ascii_layout(file: BarFile) -> bool:
    """Return True for the layout that HistData and NinjaTrader share."""
    return bool(file.head) and bool(LINE.fullmatch(file.head[0]))


def is_metatrader_layout(file: BarFile) -> bool:
    """Return True for MetaTrader 4's layout with HistData's name; without it, the weekends show whose clock it is."""
    return metatrader4.has_layout(file) and _named(file)


def _named(file: BarFile) -> bool:
    return file.name.upper().startswith("DAT_")


def _no_volume(file: BarFile) -> bool:
    return all(line.rpartition(";")[2].strip('"') == "0" for line in file.head)


def _read(file: BarFile) -> RawBars:
    if metatrader4.has_layout(file):
        bars = metatrader4.read_lines(file)
    else:
        rows = read_rows(file, ("time", "open", "high", "low", "close", "volume"), texts=("time",))
        written = stamps.of_text(rows.text("time"), "%Y%m%d %H%M%S", rows.origin, "YYYYMMDD HHMMSS")
        bars = RawBars(written, rows.prices, decimals=rows.decimals, origin=rows.origin, clock=None)
    unknown = np.full(len(bars.stamps), np.nan)
    return _without_repeated_hour(replace(bars, clock=HISTDATA, volume=unknown))


def _without_repeated_hour(bars: RawBars) -> RawBars:
    """Drop the duplicated hour that HistData files have on the last Sunday of October since 2019."""
    days = bars.stamps // _DAY_US
    years = np.unique(bars.stamps.view("datetime64[us]").astype("datetime64[Y]").astype(int) + 1970)
    changes = [last_sunday(int(year), 10) // _DAY_US for year in years if year >= 2019]
    if not np.isin(days, changes).any():
        return bars
    copied = pd.DataFrame(np.column_stack((bars.stamps, bars.prices.T))).duplicated().to_numpy()
    return bars.only(~(copied & np.isin(days, changes)))


FORMAT = Format(
    "histdata",
    "HistData, M1 ASCII or MetaTrader",
    "New York time until 2018, then UTC-5 with European dates",
    _recognises,
    _read,
    accepts=lambda file: has_ascii_layout(file) or metatrader4.has_layout(file),
)
