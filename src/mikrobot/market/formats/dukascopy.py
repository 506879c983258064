"""Dukascopy's historical data export: the first column names its clock."""

import re

from mikrobot.domain.errors import BarError
from mikrobot.market.clocks import EET, UTC_CLOCK, FileClock
from mikrobot.market.formats import stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import read_rows

_CLOCKS = {
    "gmt time": UTC_CLOCK,
    "time (utc)": UTC_CLOCK,
    "utc": UTC_CLOCK,
    "etc/utc": UTC_CLOCK,
    "time (eet)": EET,
    "eet": EET,
}
_OFFSET = re.compile(r" GMT([+-])(\d\d)(\d\d)$")


def _recognises(file: BarFile) -> bool:
    return (
        bool(file.columns)
        and (file.columns[0] in _CLOCKS or file.columns[0] == "local time")
        and "open" in file.columns
    )


def _read(file: BarFile) -> RawBars:
    names = ("time", *file.columns[1:])
    rows = read_rows(file, names, headers=1, texts=("time",))
    first = rows.table["time"][0].as_py()
    clock: FileClock
    if file.columns[0] == "local time":
        if not _OFFSET.search(first):
            raise BarError(f"{rows.origin(0)}: local time {first!r} without its offset; choose GMT in the export")
        opened, clock = stamps.with_offset(rows.text("time"), rows.origin), UTC_CLOCK
    else:
        layout = "%d.%m.%Y %H:%M:%S" if first[2:3] == "." else "%Y-%m-%d %H:%M:%S"
        written = stamps.without_fraction(rows.text("time"))
        opened, clock = stamps.of_text(written, layout, rows.origin, "DD.MM.YYYY HH:MM:SS"), _CLOCKS[file.columns[0]]
    volume = next((name for name in names if name.startswith("volume")), "volume")
    return RawBars(
        opened,
        rows.prices,
        volume=rows.numbers(volume),
        volume_unit="unknown",
        decimals=rows.decimals,
        origin=rows.origin,
        clock=clock,
    )


FORMAT = Format("dukascopy", "Dukascopy, historical data export", "named by its first column", _recognises, _read)
