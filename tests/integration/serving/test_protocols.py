"""Arrow streams and the Open Inference Protocol against the real service: both give the answers to single rows."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

Rows = Callable[[int], list[dict[str, float]]]
ARROW = "application/vnd.apache.arrow.stream"
SIDES = ("up", "down")
TENSOR = {"name": "a", "shape": [1], "datatype": "FP64", "data": [1.0]}


@pytest.fixture(scope="module")
def rows(feature_rows: Rows) -> list[dict[str, float]]:
    return feature_rows(40)


def stream(rows: list[dict[str, float]]) -> bytes:
    table = pa.table({name: [row[name] for row in rows] for name in reversed(rows[0])})
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def arrow(stage: Any, body: bytes, path: str = "/predict_arrow?symbol=EURUSD") -> httpx.Response:
    return httpx.post(stage.service.url + path, content=body, headers={"Content-Type": ARROW}, timeout=60)


def inference(row: dict[str, float], **more: Any) -> dict[str, Any]:
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [None if np.isnan(value) else value]}
        for name, value in row.items()
    ]
    return {"parameters": {"symbol": "EURUSD"}, "inputs": inputs, **more}


def test_an_arrow_stream_is_answered_as_its_rows(stage: Any, rows: list[dict[str, float]]) -> None:
    answer = arrow(stage, stream(rows)).raise_for_status()
    assert answer.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(answer.content).read_all()
    singly = [stage.client.predict("EURUSD", row) for row in rows]
    described = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    names = ("model", "version", "source", "symbol", "feature_hash")
    assert [described[name] for name in names] == [getattr(singly[0], name) for name in names]
    for side in SIDES:
        low, high = table[f"low_{side}"].to_pylist(), table[f"high_{side}"].to_pylist()
        intervals = [None if a is None else (a, b) for a, b in zip(low, high, strict=True)]
        assert intervals == [getattr(one, f"interval_{side}") for one in singly]
        for field in ("probability", "set", "predicted"):
            assert table[f"{field}_{side}"].to_pylist() == [getattr(one, f"{field}_{side}") for one in singly]


@pytest.mark.parametrize(
    ("path", "status", "complaint"),
    [
        ("/predict_arrow", 400, "symbol: Field required, in the query"),
        ("/predict_arrow?symbol=EURUSD&threshold=1", 400, "threshold: Extra inputs are not permitted"),
        ("/predict_arrow?symbol=GBPUSD", 404, "no model learned from GBPUSD"),
        ("/predict_arrow/zebra?symbol=EURUSD", 404, "model: expected bos"),
    ],
)
def test_an_arrow_request_for_something_else_is_refused(
    stage: Any, rows: list[dict[str, float]], path: str, status: int, complaint: str
) -> None:
    answer = arrow(stage, stream(rows), path)
    assert (answer.status_code, answer.json()["error"].startswith(complaint)) == (status, True)


def test_columns_or_values_that_do_not_fit_are_named(stage: Any, rows: list[dict[str, float]]) -> None:
    short = [{name: value for name, value in row.items() if name != "m1_rsi_14"} for row in rows]
    answer = arrow(stage, stream(short))
    assert (answer.status_code, answer.json()["error"].endswith("missing m1_rsi_14")) == (422, True)
    answer = arrow(stage, stream([*rows[:2], rows[2] | {"m1_rsi_14": np.inf}]))
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("row 2: m1_rsi_14 is infinite")
    assert arrow(stage, b"{}").status_code == 400


def test_an_inference_is_equal_to_the_answer_to_the_row(stage: Any, rows: list[dict[str, float]]) -> None:
    version = stage.served()
    for row in rows[:6]:
        body = inference(row, id="seven")
        answer = httpx.post(f"{stage.service.url}/v2/models/bos/versions/{version}/infer", json=body).json()
        one = stage.client.predict("EURUSD", row)
        assert (answer["model_name"], answer["model_version"], answer["id"]) == ("bos", one.version, "seven")
        outputs = {output["name"]: output["data"] for output in answer["outputs"]}
        assert {tuple(output["shape"]) for output in answer["outputs"]} == {(1, 2)}
        assert outputs["probability"] == [one.probability_up, one.probability_down]
        bounds = list(zip(outputs["interval_low"], outputs["interval_high"], strict=True))
        assert bounds == [one.interval_up or (None, None), one.interval_down or (None, None)]
        assert outputs["set"] == [one.set_up, one.set_down]
        assert outputs["predicted"] == [one.predicted_up, one.predicted_down]
        assert answer["parameters"]["feature_hash"] == one.feature_hash


def test_a_former_version_answers_while_it_is_warm_and_another_is_refused(
    stage: Any, rows: list[dict[str, float]]
) -> None:
    row = rows[0]
    former, before = stage.served(), stage.client.predict("EURUSD", row)
    stage.await_served(stage.promote().spec.version)
    assert stage.client.predict("EURUSD", row) != before
    body = inference(row, outputs=[{"name": "probability"}])
    answer = httpx.post(f"{stage.service.url}/v2/models/bos/versions/{former}/infer", json=body).json()
    (output,) = answer["outputs"]
    assert (answer["model_version"], output["data"]) == (former, [before.probability_up, before.probability_down])
    refused = httpx.post(f"{stage.service.url}/v2/models/bos/versions/999/infer", json=body)
    assert refused.status_code == 404
    assert refused.json()["error"].startswith("version: expected one of ")
    assert former in refused.json()["error"].partition(" of model bos")[0].split("one of ")[1].split(", ")


@pytest.mark.parametrize(
    ("change", "status", "complaint"),
    [
        ({"inputs": []}, 400, "inputs: List should have at least 1 item"),
        ({"threshold": 1}, 400, "threshold: Extra inputs are not permitted"),
        ({"outputs": [{"name": "zebra"}]}, 400, "outputs: expected probability"),
        ({"inputs": [TENSOR | {"shape": [2]}]}, 400, "inputs.a: expected a shape of [1], found [2]"),
        ({"inputs": [TENSOR | {"datatype": "BYTES"}]}, 400, "inputs.0.datatype: Input should be 'FP64'"),
        ({"inputs": [TENSOR | {"data": ["x"]}]}, 400, "inputs.0.data.0: Input should be a valid number"),
        ({"inputs": [TENSOR]}, 422, "model bos version"),
    ],
)
def test_a_bad_inference_is_refused_by_its_field(
    stage: Any, rows: list[dict[str, float]], change: dict[str, Any], status: int, complaint: str
) -> None:
    refused = httpx.post(f"{stage.service.url}/v2/models/bos/infer", json=inference(rows[0]) | change)
    assert refused.status_code == status
    assert refused.json()["error"].startswith(complaint)


def test_the_protocol_describes_the_service_and_its_models(stage: Any, rows: list[dict[str, float]]) -> None:
    assert httpx.get(f"{stage.service.url}/v2/health/live").json() == {"live": True}
    assert httpx.get(f"{stage.service.url}/v2/health/ready").json() == {"ready": True}
    model = httpx.get(f"{stage.service.url}/v2/models/bos").json()
    assert stage.served() in model["versions"]
    assert {tensor["name"] for tensor in model["inputs"]} == set(rows[0])
    assert httpx.get(f"{stage.service.url}/v2/models/zebra").status_code == 404
    assert httpx.get(f"{stage.service.url}/v2/models/bos/versions/999").status_code == 404
