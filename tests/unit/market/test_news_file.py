from datetime import UTC, datetime
from pathlib import Path

import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.domain.news import NewsCalendar, NewsEvent
from mikrobot.market import news_file

HEADER = "time_utc,currency,impact,title\n"


@pytest.fixture
def read(tmp_path: Path):
    def written(text: str | bytes) -> NewsCalendar:
        path = tmp_path / "news.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return news_file.read(path)

    return written


def test_events_are_read_in_order_of_time_and_in_utc(read) -> None:
    calendar = read(
        HEADER
        + '2025-01-10 13:30,USD,High,"Employment, monthly"\n'
        + "\n"
        + "2025-01-09T12:00:00+01:00,eur,low,Orders\n"
        + "2025-01-09T08:00:00Z,JPY,medium,\n"
    )
    at = [
        datetime(2025, 1, 9, 8, tzinfo=UTC),
        datetime(2025, 1, 9, 11, tzinfo=UTC),
        datetime(2025, 1, 10, 13, 30, tzinfo=UTC),
    ]
    assert calendar.events == (
        NewsEvent(at[0], "JPY", "medium", ""),
        NewsEvent(at[1], "EUR", "low", "Orders"),
        NewsEvent(at[2], "USD", "high", "Employment, monthly"),
    )
    assert calendar.until == at[2]
    assert NewsCalendar.from_json(calendar.to_json()) == calendar


def test_a_file_of_windows_is_read(read) -> None:
    text = HEADER + "2025-01-10 13:30,USD,high,Employment\n"
    assert read(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == read(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected the columns time_utc, currency, impact, title in the first line, found nothing"),
        ("date,title\n", "in the first line, found date, title"),
        (HEADER, "has no event; leave the setting `news` out"),
        (HEADER + "2025-01-10 13:30,USD,high\n", "line 2: expected 4 values, found 3"),
        (HEADER + "2025-01-10 13:30,USD,high,a,b\n", "line 2: expected 4 values, found 5; quote a title with a comma"),
        (HEADER + "10.01.2025 13:30,USD,high,a\n", "line 2: '10.01.2025 13:30' is no time; expected UTC, as 2025"),
        (HEADER + "2025-01-10 13:30,dollar,high,a\n", "line 2: 'dollar' is no currency"),
        (HEADER + "2025-01-10 13:30,USD,huge,a\n", "line 2: the impact 'huge' is none of low, medium, high"),
        (HEADER + '2025-01-10 13:30,USD,high,"a\n', "cannot be read: unexpected end of data"),
        (HEADER.encode() + b"2025-01-10 13:30,USD,high,\xff\n", "cannot be read: 'utf-8' codec can't decode"),
        (HEADER.encode() + b"2025-01-10 13:30,USD,high,a\x00\n", "line 2: the title 'a\\x00' has control characters"),
    ],
)
def test_a_malformed_file_is_refused_with_the_line(text: str | bytes, complaint: str, read) -> None:
    with pytest.raises(UsageError) as refused:
        read(text)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv cannot be read"):
        news_file.read(tmp_path / "none.csv")


def test_only_what_concerns_the_hours_of_a_run_is_kept(read) -> None:
    lines = [f"2025-01-{day:02d} 13:30,USD,high,{day}\n" for day in range(1, 11)]
    calendar = read(HEADER + "".join(lines) + "2025-01-05 10:00,EUR,medium,small\n")
    start, end = datetime(2025, 1, 4, tzinfo=UTC), datetime(2025, 1, 6, tzinfo=UTC)
    assert [event.title for event in calendar.between(start, end).events] == ["3", "4", "5", "6"]
    assert [event.title for event in calendar.between(start, None).events] == [str(day) for day in range(3, 11)]
    assert calendar.between(start, end).until == calendar.until
