"""MetaTrader 5's "Export bars": tab separated, with a header in angle brackets, in the time of the broker's server."""

import numpy as np

from mikrobot.market.border import Floats, Times
from mikrobot.market.formats import stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars, VolumeUnit
from mikrobot.market.formats.tables import Rows, read_rows

_NAMED = {"<date>": "date", "<time>": "time", "<tickvol>": "tick_volume", "<vol>": "real_volume"}


def _recognises(file: BarFile) -> bool:
    return file.columns[:1] == ("<date>",) and {"<time>", "<open>", "<close>"} <= set(file.columns)


def _read(file: BarFile) -> RawBars:
    names = [_NAMED.get(name, name.strip("<>")) for name in file.columns]
    rows = read_rows(file, names, headers=1, texts=("date", "time"))
    return server_bars(stamps.of_date_and_time(rows.text("date"), rows.text("time"), origin=rows.origin), rows)


def server_bars(opened: Times, rows: Rows) -> RawBars:
    """Return rows in the clock of a server, with spreads in points, under the names of ``copy_rates``."""
    volume, unit = _volume_of(rows)
    return RawBars(
        opened,
        rows.prices,
        volume=volume,
        volume_unit=unit,
        spread=rows.numbers("spread"),
        spread_unit="points",
        decimals=rows.decimals,
        origin=rows.origin,
        clock=None,
        server=True,
        symbol=rows.symbol,
    )


def _volume_of(rows: Rows) -> tuple[Floats, VolumeUnit]:
    """Return the real volume if the server knows it, or else the number of ticks, and its unit."""
    real = rows.numbers("real_volume")
    if np.nansum(real) > 0:
        return real, "base"
    return rows.numbers("tick_volume"), "ticks"


FORMAT = Format("mt5", "MetaTrader 5, Export bars", "the broker's server: shown by the weekends", _recognises, _read)
