"""Frames of MetaTrader 5's ``copy_rates``, saved as Parquet, Feather or CSV: an epoch in the time of the server."""

from mikrobot.market.formats import stamps
from mikrobot.market.formats.dated_tables import times_of
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.metatrader5 import server_bars
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import PRICES, read_rows, table_rows

_READ = ("time", *PRICES, "tick_volume", "spread", "real_volume")


def _recognises(file: BarFile) -> bool:
    return {"time", *PRICES, "tick_volume"} <= set(file.columns)


def _read(file: BarFile) -> RawBars:
    if file.kind == "text":
        names = tuple(name or "row" for name in file.columns)
        texts = () if file.first_value("time").isdigit() else ("time",)
        rows = read_rows(file, names, headers=1, texts=texts, ignored=[name for name in names if name not in _READ])
        if texts:
            opened = stamps.of_text(rows.text("time"), "%Y-%m-%d %H:%M:%S", rows.origin, "YYYY-MM-DD HH:MM:SS")
        else:
            opened = stamps.of_epoch(rows.numbers("time"), rows.origin)
    else:
        rows = table_rows(file)
        opened = times_of(rows, "time")
    return server_bars(opened, rows)


FORMAT = Format(
    "copy_rates", "MetaTrader 5, copy_rates frames", "the broker's server: shown by the weekends", _recognises, _read
)
