"""The shared schema as CSV: the column ``ts`` in ISO 8601 with an offset or as an epoch, and the prices."""

from mikrobot.market.formats import stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import PRICES, read_rows

_NUMBERS = (*PRICES, "volume", "spread", "ask_close", "trades", "taker_buy_volume")


def _recognises(file: BarFile) -> bool:
    return file.kind == "text" and {"ts", *PRICES} <= set(file.columns)


def _read(file: BarFile) -> RawBars:
    others = [name for name in file.columns if name not in (*_NUMBERS, "ts")]
    rows = read_rows(file, file.columns, headers=1, texts=("ts",), ignored=others)
    spread = rows.numbers("spread")
    if "spread" not in file.columns:
        spread = rows.numbers("ask_close") - rows.numbers("close")
    opened, clock = stamps.of_any(rows.text("ts"), rows.origin)
    return RawBars(
        opened,
        rows.prices,
        volume=rows.numbers("volume"),
        spread=spread,
        trades=rows.numbers("trades"),
        taker_volume=rows.numbers("taker_buy_volume"),
        decimals=rows.decimals,
        origin=rows.origin,
        clock=clock,
        symbol=rows.symbol,
    )


FORMAT = Format("csv", "the shared schema as CSV", "the offset of each time, or UTC for an epoch", _recognises, _read)
