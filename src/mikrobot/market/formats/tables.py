"""Reading delimited text into columns, with the line of what cannot be read."""

import csv as lines
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from mikrobot.domain.errors import BarError
from mikrobot.market.border import SYMBOL_COLUMNS, Floats, sole_value
from mikrobot.market.formats.files import BarFile, LineNumbers
from mikrobot.market.row_origin import RowOrigin

PRICES = ("open", "high", "low", "close")

_MISSING = ("", "nan", "null", "none", "n/a")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+\.\d+")
_FIELD = re.compile(rb"\S")
_BLANK = re.compile(rb"^[ \t]+$", re.MULTILINE)
_DECIMALS = re.compile(r"\d+\.(\d+)")
_MOST_DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file as columns under lower-case names.

    Attributes
    ----------
    table : Table
    origin : RowOrigin
    decimals : int
        Most decimals of a price among the first rows.
    """

    table: pa.Table
    origin: RowOrigin
    decimals: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    def text(self, name: str) -> pa.ChunkedArray:
        """Return a column as text."""
        return self.table[name].cast(pa.string())

    def numbers(self, *names: str) -> Floats:
        """Return the first of these columns that there is, as float64; all NaN if there is none."""
        for name in names:
            if name in self.table.column_names:
                return self._floats(name)
        return np.full(len(self), np.nan)

    def _floats(self, name: str) -> Floats:
        column = self.table[name]
        try:
            halves = pa.types.is_float16(column.type)  # Arrow converts these only to float32
            values: Floats = (column.cast(pa.float32()) if halves else column).cast(pa.float64(), safe=False).to_numpy()
        except pa.ArrowException as error:
            raise BarError(f"{self.origin.name}: column {name} is {column.type}; expected numbers") from error
        return values

    @property
    def prices(self) -> Floats:
        """Open, high, low and close, shape (4, n)."""
        return np.stack([self.numbers(name) for name in PRICES])

    @property
    def symbol(self) -> str | None:
        """The one value of the column that names the symbol; None if there is no such column.

        Raises
        ------
        BarError
            As `sole_value`.
        """
        name = next((name for name in SYMBOL_COLUMNS if name in self.table.column_names), None)
        return None if name is None else sole_value(self.table[name], self.origin, name)


def read_rows(
    file: BarFile, names: Sequence[str], *, headers: int = 0, texts: Sequence[str] = (), ignored: Sequence[str] = ()
) -> Rows:
    """Read the rows of a text file.

    Parameters
    ----------
    file : BarFile
    names : sequence of str
        Name of each column, in the order of the file.
    headers : int
        Lines before the first row, without blank ones.
    texts : sequence of str
        Columns that are not numbers; those that name the symbol are read as such in any case.
    ignored : sequence of str
        Columns that are not read.

    Raises
    ------
    BarError
        If there is no row, if two columns that are read have one name, or with the first line that has another number
        of fields, or no number where one belongs.
    """
    texts, ignored = (*texts, *SYMBOL_COLUMNS), [name for name in ignored if name not in SYMBOL_COLUMNS]
    repeated = next((name for name in names if name not in ignored and names.count(name) > 1), None)
    if repeated is not None:
        raise BarError(f"{file.path}: several columns are named {repeated}; keep one of them")
    numbers = LineNumbers(file.content, headers)
    origin = RowOrigin(file.name, numbers, "line")
    body = _after(file.content, headers)
    if not _FIELD.search(body):
        raise BarError(f"{file.path}: the file has no bar; expected at least one below its header")
    types = {name: pa.string() if name in texts else pa.float64() for name in names if name not in ignored}
    try:
        table = _parsed(file, body, names, types)
    except pa.ArrowException as error:
        raise _first_fault(body, file.delimiter, {name: types.get(name) for name in names}, origin) or BarError(
            f"{file.path}: {str(error).splitlines()[0]}; export it again"
        ) from error
    return Rows(table, origin, _decimals_of_text(file, names, headers))


def _parsed(
    file: BarFile, body: memoryview | bytes, names: Sequence[str], types: Mapping[str, pa.DataType]
) -> pa.Table:
    try:
        return csv.read_csv(
            pa.BufferReader(pa.py_buffer(body)),
            csv.ReadOptions(column_names=list(names)),
            csv.ParseOptions(delimiter=file.delimiter),
            csv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=False),
        )
    except pa.ArrowException:
        emptied = _BLANK.sub(b"", body)  # Arrow skips empty lines only
        if len(emptied) == len(body):
            raise
        return _parsed(file, emptied, names, types)


def table_rows(file: BarFile, prices: Sequence[str] = PRICES) -> Rows:
    """Read a Parquet or Feather file, its columns under lower-case names.

    Parameters
    ----------
    file : BarFile
    prices : sequence of str
        Columns that must be numbers; the last one shows the decimals.

    Raises
    ------
    BarError
        If the file is damaged, has no row, or one of these columns is not of numbers.
    """
    table = file.table()
    table = table.rename_columns([name.lower() for name in table.column_names])
    if not table.num_rows:
        raise BarError(f"{file.path}: the file has no bar; expected at least one")
    for name in prices:
        kind = table.schema.field(name).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
            raise BarError(f"{file.path}: column {name} is {kind}; expected numbers")
    rows = Rows(table, RowOrigin(file.name, range(table.num_rows)), 0)
    return Rows(table, rows.origin, decimals_of(rows.numbers(prices[-1])))


def decimals_of(prices: Floats) -> int:
    """Return the decimals of the grid that the first thousand prices lie on, at most 8.

    >>> decimals_of(np.array([1.12345, 1.2]))
    5
    """
    values = prices[np.isfinite(prices)][:1000]
    for decimals in range(_MOST_DECIMALS):
        scaled = values * 10**decimals
        if np.all(np.abs(scaled - np.round(scaled)) <= np.maximum(1e-9 * np.abs(scaled), 1e-6)):
            return decimals
    return _MOST_DECIMALS


def _decimals_of_text(file: BarFile, names: Sequence[str], headers: int) -> int:
    """Return the most decimals of a price in the first thousand lines; dates and volumes have points too."""
    places = [place for place, name in enumerate(names) if name in PRICES]
    lines_of_fields = [line.split(file.delimiter) for line in file.head[headers : headers + 1000]]
    prices = (fields[place] for fields in lines_of_fields for place in places if place < len(fields))
    counts = (len(_without_noise(match[1])) for price in prices if (match := _DECIMALS.search(price)))
    return max(counts, default=0)


def _without_noise(decimals: str) -> str:
    """Return the decimals of a price without the rounding noise of a float, as in 1.1440299999999998.

    >>> _without_noise("1440299999999998"), _without_noise("14400")
    ('14403', '14400')
    """
    if len(decimals) <= _MOST_DECIMALS:
        return decimals
    return f"{float(f'0.{decimals}'):.{_MOST_DECIMALS}f}".partition(".")[2].rstrip("0")


def _after(content: bytes, headers: int) -> memoryview:
    """Return the content after so many lines that are not blank, without a copy."""
    position = 0
    while headers > 0 and position < len(content):
        end = content.find(b"\n", position)
        end = len(content) if end < 0 else end + 1
        headers -= bool(content[position:end].strip())
        position = end
    return memoryview(content)[position:]


def _first_fault(body: memoryview, delimiter: str, types: Mapping[str, Any], origin: RowOrigin) -> BarError | None:
    """Return the error of the first line that cannot be read; `types` has a type, or None where unread, by column."""
    text = bytes(body).decode("utf-8", errors="replace").split("\n")
    rows = (fields for fields in lines.reader(text, delimiter=delimiter) if any(field.strip() for field in fields))
    for row, fields in enumerate(rows):
        if any("\x00" in field for field in fields):
            return BarError(f"{origin(row)}: bytes of zero; the file broke off, export it again")
        if [field.strip().strip("<>").lower() for field in fields[:2]] == [
            name.strip("<>") for name in list(types)[:2]
        ]:
            following = f"its bars go on in line {origin.numbers[row] + 1}"
            return BarError(f"{origin(row)}: a second header, {following}; remove it, or give two files")
        if len(fields) != len(types):
            return BarError(f"{origin(row)}: {len(fields)} fields where there should be {len(types)}; correct the line")
        for (name, kind), field in zip(types.items(), fields, strict=True):
            if kind == pa.float64() and not _is_number(field):
                return BarError(f"{origin(row)}: {name} is {field!r}; {_remedy(field)}")
    return None


def _is_number(field: str) -> bool:
    if field.strip().lower() in _MISSING:
        return True
    try:
        float(field)
    except ValueError:
        return False
    return True


def _remedy(field: str) -> str:
    if _DECIMAL_COMMA.fullmatch(field.strip()):
        return "a decimal comma; export it with decimal points"
    if _THOUSANDS.fullmatch(field.strip()):
        return "a comma between thousands; export it without"
    return "expected a number"
