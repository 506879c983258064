"""MetaTrader 5's "Export ticks", and frames of ``copy_ticks``: in the time of the broker's server."""

import numpy as np
import pyarrow.compute as pc

from mikrobot.market.border import Times
from mikrobot.market.formats import stamps, tick_bars
from mikrobot.market.formats.dated_tables import times_of
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import Rows, read_rows, table_rows

_BUY, _SELL = 32, 64
"""Flags of a tick whose last trade was a buy or a sell: MQL5 reference, MqlTick."""

_COPIED = ("time", "bid", "ask", "last", "volume", "time_msc", "flags", "volume_real")


def _recognises(file: BarFile) -> bool:
    return {"<date>", "<time>", "<bid>", "<ask>"} <= set(file.columns)


def _recognises_copied(file: BarFile) -> bool:
    return {"time", "bid", "ask", "time_msc", "flags"} <= set(file.columns)


def _read(file: BarFile) -> RawBars:
    names = [name.strip("<>") for name in file.columns]
    rows = read_rows(file, names, headers=1, texts=("date", "time"))
    written = pc.binary_join_element_wise(rows.text("date"), rows.text("time"), " ")
    times = stamps.of_text_with_fraction(written, "%Y.%m.%d %H:%M:%S", rows.origin, "YYYY.MM.DD HH:MM:SS")
    return _bars(times, rows)


def _read_copied(file: BarFile) -> RawBars:
    if file.kind != "text":
        rows = table_rows(file, ("bid", "ask"))
        return _bars(times_of(rows, "time_msc"), rows)
    names = [name or "row" for name in file.columns]
    rows = read_rows(file, names, headers=1, texts=("time_msc",), ignored=[n for n in names if n not in _COPIED[1:]])
    times, _ = stamps.of_any(rows.text("time_msc"), rows.origin)
    return _bars(times, rows)


def _bars(times: Times, rows: Rows) -> RawBars:
    """Return bars of the bid, or of the trades where the file has no quote."""
    bid, ask, last = (rows.numbers(name) for name in ("bid", "ask", "last"))
    if np.nansum(bid) != 0 or not np.nansum(last) > 0:
        return tick_bars.of_quotes(times, bid, ask, origin=rows.origin, clock=None, server=True, symbol=rows.symbol)
    traded = np.flatnonzero(last > 0)
    flags = np.nan_to_num(rows.numbers("flags")).astype(np.int64)[traded]
    sided = bool((flags & (_BUY | _SELL)).all())
    return tick_bars.of_trades(
        times[traded],
        last[traded],
        np.nan_to_num(rows.numbers("volume_real", "volume"))[traded],
        bought=(flags & _BUY) > 0 if sided else None,
        origin=tick_bars.part(rows.origin, traded),
        clock=None,
        server=True,
        symbol=rows.symbol,
    )


_CLOCK = "the broker's server: shown by the weekends"

FORMAT = Format("mt5_ticks", "MetaTrader 5, Export ticks", _CLOCK, _recognises, _read, ticks=True)
COPIED = Format("copy_ticks", "MetaTrader 5, copy_ticks frames", _CLOCK, _recognises_copied, _read_copied, ticks=True)
