"""A bar file as its bytes: unpacked, decoded to UTF-8, and its first lines."""

import gzip
import io
import lzma
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError

Kind = Literal["text", "json", "parquet", "feather"]

HEAD_BYTES = 1 << 16
"""Bytes of a text file of which the first lines are taken."""

_EXCEL_HINT = re.compile(rb'"?sep=."?\n', re.IGNORECASE)
"""First line of files that Excel shall open: it names the delimiter."""

_MARK = re.compile(rb"\S")

DELIMITERS = ("\t", ";", ",")

_MAGIC: dict[bytes, Kind] = {b"PAR1": "parquet", b"ARROW1": "feather", b"FEA1": "feather"}


_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError)
"""Errors of archives; zipfile raises RuntimeError for a password, and its child for an unknown compression."""


@dataclass(frozen=True)
class BarFile:
    """The content of a bar file.

    Attributes
    ----------
    path : Path
    name : str
        Name of the file, or of the one member of an archive.
    kind : "text", "json", "parquet" or "feather"
    content : bytes
        UTF-8 without a byte order mark and with line feeds at the end of each line where the kind is text or json.
    """

    path: Path
    name: str
    kind: Kind
    content: bytes

    @cached_property
    def head(self) -> list[str]:
        """The first lines of a text file that are not blank; empty for other kinds."""
        if self.kind != "text":
            return []
        text = self.content[:HEAD_BYTES].decode("utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines()]
        if len(self.content) > HEAD_BYTES:
            lines.pop()
        return [line for line in lines if line]

    @cached_property
    def delimiter(self) -> str:
        """The delimiter of the first line; a comma if it has none."""
        first = self.head[0] if self.head else ""
        return next((mark for mark in DELIMITERS if mark in first), ",")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in lower case; of a text file the fields of its first line."""
        if self.kind == "text":
            return self.fields(0)
        if self.kind == "json":
            return ()
        names = tuple(name.lower() for name in self.table_schema.names)
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise BarError(f"{self.path}: several columns are named {repeated or 'nothing'}; keep one of them")
        return names

    def first_value(self, name: str) -> str:
        """Return the value of a column in the line after the header; empty if there is none."""
        values = self.fields(1)
        place = self.columns.index(name)
        return values[place] if place < len(values) else ""

    def fields(self, line: int) -> tuple[str, ...]:
        """Return the fields of one of the first lines, in lower case, without quotes."""
        if line >= len(self.head):
            return ()
        return tuple(field.strip().strip('"').lower() for field in self.head[line].split(self.delimiter))

    @cached_property
    def table_schema(self) -> pa.Schema:
        """Schema of a Parquet or Feather file."""
        return self._arrow(lambda: pq.read_schema(self._bytes) if self.kind == "parquet" else self.table().schema)

    def table(self) -> pa.Table:
        """Read a Parquet or Feather file.

        Raises
        ------
        BarError
            If it is damaged.
        """
        reader = pq.read_table if self.kind == "parquet" else feather.read_table
        return self._arrow(lambda: reader(self._bytes))

    @property
    def _bytes(self) -> Path | io.BytesIO:
        """The table: the file, or the content of an archive."""
        return io.BytesIO(self.content) if self.content else self.path

    def _arrow(self, read: Any) -> Any:
        try:
            return read()
        except (pa.ArrowException, OSError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            label = {"parquet": "Parquet", "feather": "Feather"}[self.kind]
            raise BarError(f"{self.path}: not a readable {label} file ({reason}); export it again") from error


def open_bar_file(path: Path) -> BarFile:
    """Open a file: its bytes, out of a gzip or zip archive, decoded from UTF-16 where needed.

    Raises
    ------
    BarError
        If it cannot be read, is empty, is an archive of several files, or is neither text nor a table.
    """
    try:
        with path.open("rb") as file:
            start = file.read(6)
        kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
        if kind is None and path.suffix.lower() == ".parquet":
            kind = "parquet"
        if kind is not None:
            return BarFile(path, path.name, kind, b"")
        name, content = _unpacked(path, start)
    except (OSError, EOFError, *_DAMAGED) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BarError(f"{path}: cannot be read ({reason}); check its permissions, or export it again") from error
    packed = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)
    if packed is not None:
        return BarFile(path, name, packed, content)
    text = _utf8(path, content)
    first = _MARK.search(text)
    if first is None:
        raise BarError(f"{path}: the file is empty; expected at least one bar")
    return BarFile(path, name, "json" if first[0] in b"[{" else "text", text)


def _unpacked(path: Path, start: bytes) -> tuple[str, bytes]:
    if start.startswith(b"\x1f\x8b"):
        with gzip.open(path) as packed:
            return path.name.removesuffix(".gz"), packed.read()
    if start.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            if "[Content_Types].xml" in archive.namelist():
                raise BarError(f"{path}: an Excel workbook; save the sheet as CSV")
            members = [info for info in archive.infolist() if not info.is_dir() and not _is_note(info.filename)]
            if len(members) != 1:
                listed = ", ".join(info.filename for info in members[:3]) or "none"
                raise BarError(f"{path}: expected one file in the archive, found {len(members)} ({listed}); unpack it")
            return Path(members[0].filename).name, archive.read(members[0])
    return path.name, path.read_bytes()


def _is_note(member: str) -> bool:
    """Return True for what vendors put next to the bars: HistData's report of gaps, hidden files."""
    base = Path(member).name
    return (
        base.startswith((".", "__"))
        or member.startswith("__MACOSX")
        or (base.startswith("DAT_") and base.endswith(".txt"))
    )


def _utf8(path: Path, content: bytes) -> bytes:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = content.decode("utf-16", errors="replace").encode()
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in content[:HEAD_BYTES]:
        raise BarError(f"{path}: neither text nor a Parquet or Feather table; export it as CSV in UTF-8, or as Parquet")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\x1a" in content[-16:]:  # the mark of the end of a file in DOS
        content = content.rstrip(b"\x1a\n")
    if hint := _EXCEL_HINT.match(content):
        content = b"\n" + content[hint.end() :]
    return _without_last_delimiter(content)


def _without_last_delimiter(content: bytes) -> bytes:
    """Cut the delimiter off that ends each line, which begins no field."""
    first = [line.rstrip() for line in content[:HEAD_BYTES].split(b"\n")[:-1] if line.strip()][:50]
    for mark in DELIMITERS:
        ending = mark.encode()
        if mark != "\t" and first and all(line.endswith(ending) for line in first):
            return content.replace(ending + b"\n", b"\n").removesuffix(ending)
    return content


class LineNumbers:
    """Numbers of the lines of a text file that hold rows, from 1; blank lines are counted but hold none.

    Parameters
    ----------
    content : bytes
    before : int
        Lines that are not blank before the first row: headers.
    """

    def __init__(self, content: bytes, before: int) -> None:
        self._content, self._before = content, before

    def __getitem__(self, row: Any) -> Any:
        return self._numbers[self._before :][row]

    def __len__(self) -> int:
        return max(len(self._numbers) - self._before, 0)

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        return np.flatnonzero([bool(line.strip()) for line in self._content.split(b"\n")]) + 1
