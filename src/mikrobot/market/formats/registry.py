"""The formats of files of bars and of ticks, in the order in which a file is compared with them."""

from mikrobot.domain.errors import BarError, UsageError
from mikrobot.market.formats import (
    binance_klines,
    binance_trades,
    ccxt,
    copy_rates,
    cryptodatadownload,
    dated_tables,
    dukascopy,
    histdata,
    histdata_ticks,
    json_trades,
    metatrader4,
    metatrader5,
    metatrader5_ticks,
    ninjatrader,
    shared_csv,
    tick_tables,
)
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars

FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        shared_csv.FORMAT,
        metatrader5.FORMAT,
        copy_rates.FORMAT,
        ninjatrader.FORMAT,
        histdata.FORMAT,
        metatrader4.FORMAT,
        binance_klines.FORMAT,
        cryptodatadownload.FORMAT,
        dukascopy.FORMAT,
        ccxt.FORMAT,
        dated_tables.FREQTRADE,
        dated_tables.TRADINGVIEW,
        dated_tables.YFINANCE,
    )
}


def _refused(file: BarFile) -> RawBars:
    raise BarError(f"{file.path}: not a Parquet file; leave out --format, or give that of the file")


SHARED_PARQUET = Format(
    "parquet",
    "the shared schema as Parquet",
    "UTC",
    lambda file: file.kind == "parquet" and {"ts", "open"} <= set(file.columns),
    _refused,
)
"""The shared schema as Parquet, which `market.parquet` reads in pieces; not among `FORMATS`, which are read whole."""

TICK_FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        metatrader5_ticks.FORMAT,
        metatrader5_ticks.COPIED,
        histdata_ticks.FORMAT,
        binance_trades.FORMAT,
        dukascopy.TICKS,
        json_trades.FORMAT,
        tick_tables.FORMAT,
    )
}
"""Formats of quotes and trades; their readers return the M1 bars of these."""

_ALL = {SHARED_PARQUET.name: SHARED_PARQUET, **FORMATS, **TICK_FORMATS}

RECIPE = (
    "save it as Parquet or CSV with the columns ts (open time, UTC, as 2024-03-04T00:00:00+00:00), open, high, low, "
    "close and, if known, volume and spread in price units"
)
"""What to do with a file of bars of no known format."""

TICK_RECIPE = (
    "save it as Parquet or CSV with the columns ts (UTC, as 2024-03-04T00:00:00.250+00:00), bid and ask, or ts, price, "
    "amount and, if known, side"
)
"""What to do with a file of ticks of no known format."""


def format_of(file: BarFile, name: str | None = None, *, ticks: bool = False) -> Format:
    """Return the format of a file.

    Parameters
    ----------
    file : BarFile
    name : str or None
        Format to take where the content has the layout of several; None: recognised by the content.
    ticks : bool
        The file holds ticks or trades, not bars.

    Raises
    ------
    BarError
        If the content has no known format, or not the one of that name, with what it begins with; or the format is
        one of ticks and not of bars, or the other way round.
    UsageError
        If there is no format of that name.
    """
    entry = _recognised(file, ticks=ticks) if name is None else _ALL.get(name)
    if entry is None:
        raise UsageError(f"there is no format {name!r}; the formats are {', '.join(_ALL)}")
    if entry.ticks and not ticks:
        raise BarError(
            f"{file.path}: holds ticks or trades ({entry.vendor}), not bars; give --ticks to aggregate them to M1"
        )
    if ticks and not entry.ticks:
        raise BarError(f"{file.path}: holds bars ({entry.vendor}), not ticks or trades; leave out --ticks")
    if name is not None and entry is not SHARED_PARQUET and not (entry.accepts or entry.recognises)(file):
        raise BarError(
            f"{file.path}: not of the format {name} ({entry.vendor}): {_signature(file)}; leave out --format, or give "
            "that of the file"
        )
    return entry


def _recognised(file: BarFile, *, ticks: bool) -> Format:
    for entry in sorted(_ALL.values(), key=lambda entry: entry.ticks != ticks):
        if entry.recognises(file):
            return entry
    kind, recipe = ("ticks", TICK_RECIPE) if ticks else ("bars", RECIPE)
    raise BarError(f"{file.path}: no known format of {kind}: {_signature(file)}; {recipe}")


def is_recognised(file: BarFile) -> bool:
    """Return whether a format of bars or of ticks other than the shared Parquet recognises a file."""
    return any(entry.recognises(file) for entry in (*FORMATS.values(), *TICK_FORMATS.values()))


def _signature(file: BarFile) -> str:
    if file.kind != "text":
        columns = ", ".join(file.columns[:12]) or "none"
        return f"its columns are {columns}"
    first = next(iter(file.head), "")
    if histdata.LINE.fullmatch(first):
        return (
            f"it begins with {first[:60]!r}, as HistData and NinjaTrader write with different times, and has "
            "volumes, which HistData has not; if it is from NinjaTrader give --format ninjatrader, or else"
        )
    return f"it begins with {first[:60]!r}"
