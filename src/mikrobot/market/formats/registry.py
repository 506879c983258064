"""The formats of bar files, in the order in which a file is compared with them."""

from mikrobot.domain.errors import BarError, UsageError
from mikrobot.market.formats import (
    binance_klines,
    ccxt,
    copy_rates,
    cryptodatadownload,
    dated_tables,
    dukascopy,
    histdata,
    metatrader4,
    metatrader5,
    ninjatrader,
    shared_csv,
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


def _elsewhere(file: BarFile) -> RawBars:
    raise AssertionError(f"{file.path} is read by market.parquet, row group by row group")


SHARED_PARQUET = Format("parquet", "the shared schema as Parquet", "UTC", lambda file: "ts" in file.columns, _elsewhere)
"""The shared schema as Parquet, which `market.parquet` reads in pieces; not among `FORMATS`, which are read whole."""

RECIPE = (
    "save it as Parquet or CSV with the columns ts (open time, UTC, as 2024-03-04T00:00:00+00:00), open, high, low, "
    "close and, if known, volume and spread in price units"
)
"""What to do with a file of no known format."""


def format_of(file: BarFile, name: str | None = None) -> Format:
    """Return the format of a file.

    Parameters
    ----------
    file : BarFile
    name : str or None
        Format to take whatever the content looks like; None: recognised by the content.

    Raises
    ------
    BarError
        If the content has no known format, with what it begins with.
    UsageError
        If there is no format of that name.
    """
    if name is not None:
        if name not in FORMATS:
            raise UsageError(f"there is no format {name!r}; the formats are parquet, {', '.join(FORMATS)}")
        return FORMATS[name]
    for entry in FORMATS.values():
        if entry.recognises(file):
            return entry
    raise BarError(f"{file.path}: no known format of bars: {_signature(file)}; {RECIPE}")


def is_known(file: BarFile) -> bool:
    """Return whether a format of the registry recognises a file."""
    return any(entry.recognises(file) for entry in FORMATS.values())


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
