"""Batches as Arrow IPC streams: the columns of the model come in, the columns of the answer go out.

Neither side makes a Python object for a value, which takes longer than a prediction.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bentos.refusals import MAXIMUM_ITEMS, Refused
from mikrobot.models.model import Answered
from mikrobot.serving.served import Served

MAXIMUM_ROWS = 100_000
"""Maximum rows of a batch, which are also limited by the size of a body."""

_SIDES = ("up", "down")

_HEADER_TYPE, _HEADER, _COMPRESSION = 6, 8, 10
"""Slots of FlatBuffers tables in Arrow's format: two of a Message, and one of a RecordBatch."""

_DICTIONARY, _RECORDS = 2, 3
"""Types of the header of a message."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of an Arrow stream.

    Attributes
    ----------
    columns : sequence of str
    values : ndarray of float64, shape (rows, columns)
        NaN where a value is null.
    """

    columns: Sequence[str]
    values: NDArray[np.float64]


def read(body: bytes) -> Batch:
    """Return the rows of an Arrow IPC stream whose columns are numbers.

    Raises
    ------
    Refused
        If it is no such stream, or has too many rows or columns.
    """
    try:
        _require_plain(body)
        with pa.ipc.open_stream(io.BytesIO(body)) as stream:
            names = list(stream.schema.names)
            if len(names) > MAXIMUM_ITEMS["columns"]:
                most = MAXIMUM_ITEMS["columns"]
                raise Refused(f"columns: expected at most {most} items, found {len(names)}", 400)
            for name, kind in zip(names, stream.schema.types, strict=True):
                if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
                    raise Refused(f"{name[:100]}: expected a column of numbers, found {kind}", 400)
            table = stream.read_all()
            table.validate(full=True)
            if table.num_rows > MAXIMUM_ROWS:
                raise Refused(f"rows: expected at most {MAXIMUM_ROWS} items, found {table.num_rows}", 400)
            values = np.empty((table.num_rows, len(names)))
            for number, column in enumerate(table.columns):
                values[:, number] = column.cast(pa.float64()).to_numpy()
    except (pa.ArrowException, OSError, ValueError, struct.error) as error:
        raise Refused(f"body: expected an Arrow IPC stream: {str(error).splitlines()[0][:200]}", 400) from error
    return Batch(names, values)


def _require_plain(body: bytes) -> None:
    """Refuse compressed buffers, since a small body of them can take any amount of memory.

    The compression is a field of the FlatBuffers table of each record batch; PyArrow does not show it.
    """
    reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
    while True:
        try:
            metadata = reader.read_next_message().metadata.to_pybytes()
        except StopIteration:
            return
        root = struct.unpack_from("<I", metadata)[0]
        at = root + _field(metadata, root, _HEADER)
        header = at + struct.unpack_from("<I", metadata, at)[0]
        kind = metadata[root + _field(metadata, root, _HEADER_TYPE)]
        if kind == _DICTIONARY or (kind == _RECORDS and _field(metadata, header, _COMPRESSION)):
            raise Refused("body: expected columns of plain numbers, found compressed or dictionary buffers", 400)


def _field(buffer: bytes, table: int, slot: int) -> int:
    """Return the offset of a field in a FlatBuffers table; 0 if the table does not have it."""
    (back,) = struct.unpack_from("<i", buffer, table)
    (size,) = struct.unpack_from("<H", buffer, table - back)
    return int(struct.unpack_from("<H", buffer, table - back + slot)[0]) if slot < size else 0


def write(served: Served, answered: Answered) -> bytes:
    """Return predictions as an Arrow IPC stream; the schema's metadata describes the model that made them."""
    fields: dict[str, pa.Array] = {}
    absent = np.isnan(answered.probability)
    names = served.outcomes
    for field, values in (("probability", answered.probability), ("low", answered.low), ("high", answered.high)):
        for number, side in enumerate(_SIDES):
            fields[f"{field}_{side}"] = pa.array(
                values[:, number], mask=absent[:, number] | np.isnan(values[:, number])
            )
    for field, words in (("set", names.sets), ("predicted", names.predicted)):
        for number, side in enumerate(_SIDES):
            codes = pa.array(answered.sets[:, number], mask=absent[:, number])
            fields[f"{field}_{side}"] = pa.DictionaryArray.from_arrays(codes, pa.array(words, pa.string()))
    batch = pa.record_batch(fields).replace_schema_metadata(served.description())
    with io.BytesIO() as out:
        with pa.ipc.new_stream(out, batch.schema) as stream:
            stream.write_batch(batch)
        return out.getvalue()
