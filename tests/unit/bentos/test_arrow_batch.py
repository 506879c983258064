"""Arrow streams: what is read from them, and the ones that are refused."""

import io

import numpy as np
import pyarrow as pa
import pytest

from bentos.arrow_batch import MAXIMUM_ROWS, read
from bentos.refusals import Refused


def stream(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return out.getvalue()


def test_columns_of_numbers_are_read_and_nulls_are_missing_values():
    table = pa.table(
        {
            "a": pa.array([1.5, None]),
            "b": pa.array([2, 3], pa.int32()),
            "c": pa.nulls(2),
            "d": pa.array([0.5, -1.0], pa.float32()),
        }
    )
    batch = read(stream(table))
    assert batch.columns == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(batch.values, [[1.5, 2.0, np.nan, 0.5], [np.nan, 3.0, np.nan, -1.0]])


def test_the_record_batches_of_a_stream_are_joined():
    table = pa.concat_tables([pa.table({"a": [1.0]}), pa.table({"a": [2.0, 3.0]})])
    np.testing.assert_array_equal(read(stream(table)).values[:, 0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "body: expected an Arrow IPC stream"),
        (b"{}", "body: expected an Arrow IPC stream"),
        (stream(pa.table({"a": [1.0]}))[:-40], "body: expected an Arrow IPC stream"),
        (stream(pa.table({"a": ["1.0"]})), "a: expected a column of numbers, found string"),
        (stream(pa.table({"a": [True]})), "a: expected a column of numbers, found bool"),
        (stream(pa.table({"a": [1.0] * 1000}), compression="zstd"), "found compressed or dictionary buffers"),
        (stream(pa.table({"a": [1.0] * 1000}), compression="lz4"), "found compressed or dictionary buffers"),
        (stream(pa.table({"a": pa.array(["x"]).dictionary_encode()})), "found compressed or dictionary buffers"),
        (stream(pa.table({"a": pa.nulls(MAXIMUM_ROWS + 1)})), "rows: expected at most 100000 items, found 100001"),
        (stream(pa.table({f"a{n}": [1.0] for n in range(1001)})), "columns: expected at most 1000 items, found 1001"),
        (stream(pa.table({"a": pa.array([2**62 + 1])})), "body: expected an Arrow IPC stream: Integer value"),
    ],
)
def test_a_stream_that_cannot_be_used_is_refused(body, complaint):
    with pytest.raises(Refused) as refused:
        read(body)
    assert complaint in str(refused.value)
    assert refused.value.answer.status_code == 400


def test_no_altered_stream_is_an_error_of_the_service():
    rng = np.random.default_rng(5)
    whole = stream(pa.table({"a": [1.0, None, 2.0], "b": [1, 2, 3]}))
    refusals: list[str] = []
    for _ in range(500):
        body = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            body[rng.integers(len(body))] = rng.integers(256)
        try:
            read(bytes(body))
        except Refused as refused:
            refusals.append(str(refused))
    assert len(refusals) > 100
    assert not any("\n" in refusal for refusal in refusals)
