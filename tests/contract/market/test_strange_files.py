"""Files as programs and people really leave them: each is read, or refused in one line that names the remedy."""

import gzip
import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from mikrobot.domain.errors import BarError
from mikrobot.market.reading import Reading
from mikrobot.market.replay import read_bars

MT5 = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
ISO = "ts,open,high,low,close,volume"
FIRST = pd.Timestamp("2025-01-06 10:00", tz="UTC")


def text(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def iso(count: int = 3, form: str = "{time},1.1,1.1,1.1,1.1,5") -> list[str]:
    return [form.format(time=(FIRST + pd.Timedelta(minutes=n)).isoformat()) for n in range(count)]


def opens(path: Path, reading: Reading | None = None) -> list[pd.Timestamp]:
    return list(read_bars(path, reading)[1]["open_time"])


def minutes(count: int) -> list[pd.Timestamp]:
    return [FIRST + pd.Timedelta(minutes=n) for n in range(count)]


def test_the_line_by_which_excel_finds_the_delimiter_is_skipped(tmp_path: Path) -> None:
    body = [line.replace(",", ";") for line in (ISO, *iso())]
    assert opens(text(tmp_path / "EURUSD.csv", "sep=;", *body)) == minutes(3)


def test_a_delimiter_at_the_end_of_each_line_is_no_column(tmp_path: Path) -> None:
    assert opens(text(tmp_path / "EURUSD.csv", *(f"{line}," for line in (ISO, *iso())))) == minutes(3)
    lines = [f"20250106 05{n:02d}00;1.1;1.1;1.1;1.1;0;" for n in range(3)]
    assert opens(text(tmp_path / "DAT_ASCII_EURUSD_M1_2025.csv", *lines)) == minutes(3)


def test_thousands_in_quotes_are_refused_with_their_line(tmp_path: Path) -> None:
    path = text(tmp_path / "BTCUSDT.csv", ISO, *iso(form='{time},"93,576.1","93,577.0","93,570.0","93,571.0",5'))
    with pytest.raises(BarError, match=r"line 2: open is '93,576.1'; a comma between thousands; export it without"):
        read_bars(path)


def test_fields_in_quotes_are_read(tmp_path: Path) -> None:
    lines = [",".join(f'"{field}"' for field in line.split(",")) for line in (ISO, *iso())]
    assert opens(text(tmp_path / "EURUSD.csv", *lines)) == minutes(3)


def test_an_export_that_broke_off_is_refused_with_its_last_line(tmp_path: Path) -> None:
    body = [f"2025.01.06\t10:0{n}:00\t1.1\t1.1\t1.1\t1.1\t5\t0\t8" for n in range(3)]
    path = text(tmp_path / "EURUSD.csv", MT5, *body, "2025.01.06\t10:0")
    with pytest.raises(BarError, match=r"line 5: 2 fields where there should be 9; correct the line"):
        read_bars(path)


def test_a_workbook_is_refused_by_that_name(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD_M1.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for member in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            archive.writestr(member, "<xml/>")
    with pytest.raises(BarError, match=r"EURUSD_M1.xlsx: an Excel workbook; save the sheet as CSV"):
        read_bars(path)


def test_an_archive_with_a_password_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("EURUSD.csv", "\n".join((ISO, *iso())))
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1  # the flag of encryption
    path.write_bytes(content)
    with pytest.raises(BarError, match=r"EURUSD.zip: cannot be read \(.*password"):
        read_bars(path)


@pytest.mark.parametrize("place", [30, -9])
def test_a_damaged_archive_is_refused(place: int, tmp_path: Path) -> None:
    content = bytearray(gzip.compress("\n".join((ISO, *iso(400))).encode()))
    content[place : place + 4] = b"\xff" * 4
    path = tmp_path / "EURUSD.csv.gz"
    path.write_bytes(content)
    with pytest.raises(BarError, match=r"EURUSD.csv.gz: cannot be read \(.*\); check its permissions, or export it"):
        read_bars(path)


def test_a_header_of_finam_is_not_taken_for_that_of_metatrader(tmp_path: Path) -> None:
    lines = ["<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", "EURUSD,1,20250106,100000,1,1,1,1,5"]
    with pytest.raises(BarError, match=r"no known format of bars: it begins with '<TICKER>,<PER>,.*save it as Parquet"):
        read_bars(text(tmp_path / "EURUSD.csv", *lines))


def test_minutes_without_a_trade_in_bitstamps_file_on_kaggle_are_left_out(tmp_path: Path) -> None:
    head = "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price"
    lines = [
        f"{int(time.timestamp())}," + ("NaN," * 6 + "NaN" if n == 3 else "9,9,9,9,1,9,9")
        for n, time in enumerate(minutes(6))
    ]
    path = text(tmp_path / "BTCUSDT_bitstamp.csv", head, *lines)
    assert opens(path) == [time for n, time in enumerate(minutes(6)) if n != 3]


def test_gemini_with_its_own_name_of_the_time_is_read(tmp_path: Path) -> None:
    head = "Unix Timestamp,Date,Symbol,Open,High,Low,Close,Volume"
    lines = [f"{int(time.timestamp() * 1000)},{time:%Y-%m-%d %H:%M:%S},BTCUSDT,9,9,9,9,1" for time in minutes(3)[::-1]]
    assert opens(text(tmp_path / "gemini_BTCUSDT_1min.csv", head, *lines)) == minutes(3)


def test_offsets_that_change_within_a_file_are_read(tmp_path: Path) -> None:
    times = pd.date_range("2025-03-09 06:55", periods=10, freq="min", tz="UTC")
    body = [f"{time.isoformat(sep=' ')},9,9,9,9,9,1" for time in times.tz_convert("America/New_York")]
    assert opens(text(tmp_path / "BTCUSDT.csv", "Datetime,Open,High,Low,Close,Adj Close,Volume", *body)) == list(times)


@pytest.mark.parametrize("tail", ["\n\n\n", "   \n", "\x1a", "\x1a\n"])
def test_blank_lines_and_the_mark_of_the_end_are_no_rows(tail: str, tmp_path: Path) -> None:
    path = tmp_path / "EURUSD.csv"
    path.write_text("\n".join((ISO, *iso())) + "\n" + tail)
    assert opens(path) == minutes(3)


def test_a_comment_above_the_header_is_refused_with_what_the_file_begins_with(tmp_path: Path) -> None:
    path = text(tmp_path / "EURUSD.csv", "# exported on 2025-01-06", ISO, *iso())
    with pytest.raises(BarError, match=r"it begins with '# exported on 2025-01-06'; save it as Parquet or CSV"):
        read_bars(path)


def test_a_footer_is_refused_with_its_line(tmp_path: Path) -> None:
    path = text(tmp_path / "EURUSD.csv", ISO, *iso(), "3 bars exported")
    with pytest.raises(BarError, match=r"line 5: 1 fields where there should be 6"):
        read_bars(path)


def test_bytes_of_zero_at_the_end_are_refused_with_their_line(tmp_path: Path) -> None:
    """A disk that was full, or a crash, leaves blocks of zeros."""
    path = tmp_path / "EURUSD.csv"
    path.write_bytes(("\n".join((ISO, *iso(2000))) + "\n").encode() + bytes(4096))
    with pytest.raises(BarError, match=re.escape("line 2002: bytes of zero; the file broke off, export it again")):
        read_bars(path)
