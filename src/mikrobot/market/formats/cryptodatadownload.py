"""CryptoDataDownload's CSV: often a line with its address, a header, the newest bar first; UTC."""

from mikrobot.market.clocks import UTC_CLOCK
from mikrobot.market.formats import stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import PRICES, read_rows


def _recognises(file: BarFile) -> bool:
    return bool(file.head) and _header(file) is not None


def _header(file: BarFile) -> int | None:
    """Return the place of the header among the first two lines."""
    return next(
        (
            line
            for line in (0, 1)
            if file.head[line : line + 1] and {"unix", "symbol", *PRICES} <= {*_names(file, line)}
        ),
        None,
    )


def _names(file: BarFile, line: int) -> tuple[str, ...]:
    fields = (field.strip() for field in file.head[line].lower().split(","))
    return tuple("unix" if field == "unix timestamp" else field for field in fields)


def _read(file: BarFile) -> RawBars:
    line = _header(file) or 0
    names = _names(file, line)
    base = _volume_of_base(file, names, line)
    read = ("unix", "symbol", *PRICES, base, "tradecount")
    rows = read_rows(
        file, names, headers=line + 1, texts=("symbol",), ignored=[name for name in names if name not in read]
    )
    bars = RawBars(
        stamps.of_epoch(rows.numbers("unix"), rows.origin),
        rows.prices,
        volume=rows.numbers(base),
        trades=rows.numbers("tradecount"),
        decimals=rows.decimals,
        origin=rows.origin,
        clock=UTC_CLOCK,
        symbol=rows.symbol,
    )
    return bars.oldest_first()


def _volume_of_base(file: BarFile, names: tuple[str, ...], header: int) -> str:
    """Return the column with the volume in base units: that of the coin, where two columns name their currencies."""
    volumes = [name for name in names if name.startswith("volume")]
    pair = dict(zip(names, file.fields(header + 1), strict=False)).get("symbol", "")
    return next((name for name in volumes if pair.startswith(name.removeprefix("volume").strip(" _()"))), "volume")


FORMAT = Format("cryptodatadownload", "CryptoDataDownload CSV", "UTC epoch", _recognises, _read)
