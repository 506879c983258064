"""Read a calendar of economic news from a CSV file with the columns ``time_utc,currency,impact,title``."""

import csv
from datetime import UTC, datetime
from pathlib import Path

from mikrobot.domain.errors import UsageError
from mikrobot.domain.news import IMPACTS, NewsCalendar, NewsEvent

COLUMNS = ("time_utc", "currency", "impact", "title")

LONGEST = 200
"""Characters of the longest title."""

LARGEST = 50_000_000
"""Bytes of the largest file that is read: half a million events."""


def read(path: Path) -> NewsCalendar:
    """Return the events of a file, in order of time.

    Parameters
    ----------
    path : Path
        UTF-8, a header and one line for each event, in any order. A time as 2025-01-10 13:30 is UTC; one with another
        offset is converted. The impact is low, medium or high.

    Raises
    ------
    UsageError
        If it cannot be read, has other columns or no event, or a line is malformed; the message names the line.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} has more than {LARGEST:,} bytes: this is no calendar of news")
        with path.open(encoding="utf-8-sig", newline="") as file:
            events = _events(path, csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the calendar of news {path} cannot be read: {error}") from error
    if not events:
        raise UsageError(f"{path} has no event; leave the setting `news` out to trade without a calendar")
    events.sort()
    return NewsCalendar(tuple(events), events[-1].at)


def _events(path: Path, rows: "csv._reader") -> list[NewsEvent]:  # type: ignore[name-defined]
    header = tuple(name.strip().lower() for name in next(rows, []))
    if header != COLUMNS:
        names = ", ".join(header) or "nothing"
        raise UsageError(f"{path}: expected the columns {', '.join(COLUMNS)} in the first line, found {names}")
    return [_event(f"{path}, line {rows.line_num}", row) for row in rows if any(value.strip() for value in row)]


def _event(place: str, row: list[str]) -> NewsEvent:
    if len(row) != len(COLUMNS):
        raise UsageError(f"{place}: expected {len(COLUMNS)} values, found {len(row)}; quote a title with a comma")
    time, currency, impact, title = (value.strip() for value in row)
    try:
        at = datetime.fromisoformat(time)
    except ValueError:
        raise UsageError(f"{place}: {time!r} is no time; expected UTC, as 2025-01-10 13:30") from None
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise UsageError(f"{place}: {currency!r} is no currency; expected a code of three letters, as USD")
    if not title.isprintable() or len(title) > LONGEST:
        raise UsageError(f"{place}: the title {title[:20]!r} has control characters, or more than {LONGEST} characters")
    for level in IMPACTS:
        if impact.lower() == level:
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
            return NewsEvent(at, currency.upper(), level, title)
    raise UsageError(f"{place}: the impact {impact!r} is none of {', '.join(IMPACTS)}")
