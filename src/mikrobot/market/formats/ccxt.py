"""OHLCV as ccxt returns it, and CSV files with the same columns, as of dukascopy-node: an epoch and the prices.

Bitstamp's minutes on Kaggle have the same columns, with rows of NaN for minutes without a trade, which are left out.
"""

import json
import re

import numpy as np
import pyarrow as pa

from mikrobot.domain.errors import BarError
from mikrobot.market.clocks import UTC_CLOCK
from mikrobot.market.formats import json_trades, stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import PRICES, Rows, decimals_of, read_rows
from mikrobot.market.row_origin import RowOrigin

_NAMES = ("timestamp", *PRICES, "volume")
_LINE = re.compile(r"\d{10,19}(?:\.0)?(?:,[\d.eE+-]+){4,5}")
_LINE_START = re.compile(r'"?\d{9,19}(?:\.0)?"?\D')


def _recognises(file: BarFile) -> bool:
    if file.kind == "json":
        return not json_trades.recognises(file)
    names = file.columns
    headed = (
        len(names) > 4 and names[0] == "timestamp" and set(PRICES) <= set(names) and _LINE_START.match(_first(file))
    )
    return bool(headed) or (bool(file.head) and bool(_LINE.fullmatch(file.head[0])))


def _first(file: BarFile) -> str:
    return file.head[1] if len(file.head) > 1 else ""


def _read(file: BarFile) -> RawBars:
    rows = _json_rows(file) if file.kind == "json" else _text_rows(file)
    bars = RawBars(
        stamps.of_epoch(rows.numbers("timestamp"), rows.origin),
        rows.prices,
        volume=rows.numbers("volume", "volume_(btc)"),
        decimals=rows.decimals,
        origin=rows.origin,
        clock=UTC_CLOCK,
        symbol=rows.symbol,
    )
    traded = np.flatnonzero(~np.isnan(bars.prices).all(axis=0))
    return bars.only(traded) if "volume_(btc)" in file.columns and 0 < len(traded) < len(bars.stamps) else bars


def _text_rows(file: BarFile) -> Rows:
    if file.columns[0] != "timestamp":
        return read_rows(file, _NAMES[: len(file.columns)])
    used = (*_NAMES, "volume_(btc)")
    return read_rows(file, file.columns, headers=1, ignored=[name for name in file.columns if name not in used])


def _json_rows(file: BarFile) -> Rows:
    remedy = "expected [[time, open, high, low, close, volume], ...]"
    try:
        values = np.array(json.loads(file.content), dtype=np.float64)
    except (ValueError, TypeError, RecursionError) as error:
        raise BarError(f"{file.path}: not a JSON list of bars of numbers; {remedy}") from error
    if values.ndim != 2 or values.shape[1] < 5 or not len(values):
        raise BarError(f"{file.path}: a JSON list of another form; {remedy}")
    table = pa.table({name: values[:, place] for place, name in enumerate(_NAMES[: values.shape[1]])})
    return Rows(table, RowOrigin(file.name, range(len(values))), decimals_of(values[:, 4]))


FORMAT = Format("ccxt", "ccxt OHLCV, dukascopy-node, freqtrade JSON", "UTC epoch", _recognises, _read)
