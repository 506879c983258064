"""Times as files write them, in microseconds since the epoch of their clock."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mikrobot.domain.errors import BarError
from mikrobot.market.border import Floats, Times
from mikrobot.market.clocks import UTC_CLOCK, FileClock
from mikrobot.market.row_origin import RowOrigin

_WIDTHS = {"%Y": 4, "%m": 2, "%d": 2, "%H": 2, "%M": 2, "%S": 2}


def of_text(column: pa.ChunkedArray, layout: str, origin: RowOrigin, shown: str) -> Times:
    """Parse written times.

    Parameters
    ----------
    column : ChunkedArray of string
    layout : str
        As `strptime` takes it; the day of the month as ``%d``.
    origin : RowOrigin
    shown : str
        The layout in words, as ``YYYY.MM.DD HH:MM``.

    Raises
    ------
    BarError
        With the first row that has another layout, or a date that does not exist.
    """
    parsed = pc.strptime(column, format=layout, unit="us", error_is_null=True)
    place = _place_of_day(layout)
    day = pc.utf8_slice_codeunits(pc.if_else(parsed.is_null(), "01" * 10, column), place, place + 2)
    moved = pc.not_equal(pc.day(parsed), day.cast(pa.int64()))  # 30 February becomes 1 March
    wrong = pc.fill_null(moved, True).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise BarError(f"{origin(row)}: time {column[row].as_py()!r}; expected the form {shown} and a date that exists")
    stamps: Times = parsed.cast(pa.int64()).to_numpy()
    return stamps


def of_date_and_time(dates: pa.ChunkedArray, times: pa.ChunkedArray, *, origin: RowOrigin) -> Times:
    """Parse dates as ``2024.03.04`` with times of the day as ``10:00`` or ``10:00:30``; each distinct one once.

    Raises
    ------
    BarError
        As `of_text`.
    """
    seconds = times[0].as_py().count(":") == 2
    layout, shown = "%Y.%m.%d %H:%M" + ":%S" * seconds, "YYYY.MM.DD HH:MM" + ":SS" * seconds

    def parsed(*parts: pa.ChunkedArray | pa.Array | str) -> Times:
        return of_text(pa.chunked_array([pc.binary_join_element_wise(*parts, " ")]), layout, origin, shown)

    days, minutes = (column.combine_chunks().dictionary_encode() for column in (dates, times))
    try:
        midnights = parsed(days.dictionary, "00:00:00" if seconds else "00:00")
        since = parsed("1970.01.01", minutes.dictionary)
    except BarError:
        return parsed(dates.combine_chunks(), times.combine_chunks())  # raises it with the first row
    summed: Times = midnights[days.indices.to_numpy()] + since[minutes.indices.to_numpy()]
    return summed


def of_text_with_fraction(
    column: pa.ChunkedArray, layout: str, origin: RowOrigin, shown: str, *, mark: str = "."
) -> Times:
    """Parse written times that end in the fraction of a second, or in nothing.

    Parameters
    ----------
    column, layout, origin, shown
        As `of_text` takes them, without the fraction.
    mark : str
        Before the fraction; may be empty.

    Raises
    ------
    BarError
        As `of_text`, or with the first row of another fraction.
    """
    width = _width(layout)
    rest = pc.utf8_slice_codeunits(column, width)
    wrong = pc.invert(pc.match_substring_regex(rest, rf"^({re.escape(mark)}\d+)?$")).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise BarError(f"{origin(row)}: time {column[row].as_py()!r}; expected the form {shown} and a fraction")
    digits = pc.utf8_rpad(pc.utf8_slice_codeunits(rest, len(mark), len(mark) + 6), 6, "0")
    whole = of_text(pc.utf8_slice_codeunits(column, 0, width), layout, origin, shown)
    return np.asarray(whole + digits.cast(pa.int64()).to_numpy())


def _place_of_day(layout: str) -> int:
    before, _, _ = layout.partition("%d")
    return _width(before)


def _width(layout: str) -> int:
    for code, width in _WIDTHS.items():
        layout = layout.replace(code, "0" * width)
    return len(layout)


def of_epoch(values: Floats | Times, origin: RowOrigin) -> Times:
    """Convert epoch stamps in seconds, milliseconds, microseconds or nanoseconds, each by its own magnitude.

    Raises
    ------
    BarError
        With the first row that is not a whole positive number.
    """
    numbers = np.asarray(values, dtype=np.float64)
    wrong = ~np.isfinite(numbers) | (numbers <= 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise BarError(f"{origin(row)}: time {numbers[row]:.15g}; expected the seconds or milliseconds since 1970")
    whole = np.asarray(values).astype(np.int64)
    if len(numbers) and numbers.min() >= 1e11 and numbers.max() < 1e14:  # all in milliseconds, without further copies
        whole *= 1_000
        return whole
    times = np.where(numbers < 1e11, whole * 1_000_000, np.where(numbers < 1e14, whole * 1_000, whole))
    return np.where(numbers >= 1e17, whole // 1_000, times)


def of_any(column: pa.ChunkedArray, origin: RowOrigin) -> tuple[Times, FileClock | None]:
    """Parse times that are all epoch stamps, seconds also with a fraction, or else ISO 8601 with or without an offset.

    Returns
    -------
    (ndarray of int64, FileClock or None)
        The times, and UTC; None where they have no offset, so that their clock is unknown.

    Raises
    ------
    BarError
        With the first row that is neither, or has no offset where others have one.
    """
    if pc.all(pc.match_substring_regex(column, r"^\d{9,19}(\.0*)?$")).as_py():
        whole = pc.replace_substring_regex(column, r"\.0*$", "")
        return of_epoch(whole.cast(pa.int64()).to_numpy(), origin), UTC_CLOCK
    if pc.all(pc.match_substring_regex(column, r"^\d{9,10}\.\d+$")).as_py():
        return np.rint(column.cast(pa.float64()).to_numpy() * 1e6).astype(np.int64), UTC_CLOCK
    aware = pc.match_substring_regex(column, r"(?:[Zz]|\d[+-]\d\d:?\d\d|:\d\d(?:\.\d+)?[+-]\d\d)$")
    clock = UTC_CLOCK if aware[0].as_py() else None
    if pc.all(pc.equal(aware, aware[0])).as_py() and (parsed := _parsed(column, clock)) is not None:
        return parsed, clock
    text = pd.Series(column.to_pandas(), dtype=object)
    times = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601").to_numpy(dtype="datetime64[us]")
    wrong = np.isnat(times) | (aware.to_numpy() != aware[0].as_py())
    if wrong.any():
        row = int(wrong.argmax())
        raise BarError(
            f"{origin(row)}: time {text.iloc[row]!r}; expected a form like 2024-03-04T00:00:00+00:00 in each row"
        )
    return times.view(np.int64), clock


def _parsed(column: pa.ChunkedArray, clock: FileClock | None) -> Times | None:
    """Return the times that Arrow reads, which is faster than pandas; None if it does not read one of them."""
    try:
        times = column.cast(pa.timestamp("us", "UTC" if clock else None))
    except pa.ArrowInvalid:
        return None
    return None if times.null_count else times.cast(pa.int64()).to_numpy()


def with_offset(column: pa.ChunkedArray, origin: RowOrigin) -> Times:
    """Parse ``04.03.2024 01:00:00.000 GMT+0100``; UTC.

    Raises
    ------
    BarError
        With the first row of another form.
    """
    text = pd.Series(column.to_pandas(), dtype=object)
    parsed = pd.to_datetime(text, format="%d.%m.%Y %H:%M:%S.%f GMT%z", utc=True, errors="coerce")
    if parsed.isna().any():
        row = int(parsed.isna().to_numpy().argmax())
        raise BarError(f"{origin(row)}: time {text.iloc[row]!r}; expected the form DD.MM.YYYY HH:MM:SS.000 GMT+0100")
    return np.asarray(parsed.to_numpy(dtype="datetime64[us]").view(np.int64))
