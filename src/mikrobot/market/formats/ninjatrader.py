"""NinjaTrader 8's export: semicolons, times in UTC at the end of each bar; read where `--format` names it."""

from mikrobot.market.clocks import UTC_CLOCK
from mikrobot.market.formats import histdata, stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import read_rows


def _recognises(file: BarFile) -> bool:
    """Return False: HistData writes the same lines with other times, and a name is no evidence."""
    return False


def _read(file: BarFile) -> RawBars:
    rows = read_rows(file, ("time", "open", "high", "low", "close", "volume"), texts=("time",))
    return RawBars(
        stamps.of_text(rows.text("time"), "%Y%m%d %H%M%S", rows.origin, "YYYYMMDD HHMMSS"),
        rows.prices,
        volume=rows.numbers("volume"),
        volume_unit="ticks",
        at_close=True,
        decimals=rows.decimals,
        origin=rows.origin,
        clock=UTC_CLOCK,
    )


FORMAT = Format(
    "ninjatrader",
    "NinjaTrader 8; named by --format",
    "UTC, at the end of each bar",
    _recognises,
    _read,
    accepts=histdata.has_ascii_layout,
)
