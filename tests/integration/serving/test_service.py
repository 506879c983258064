import os
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from mikrobot.domain.errors import FeatureMismatch, ScopeError, ServingError
from mikrobot.live import pid_records
from mikrobot.live.reports import DATA, MarketData, SymbolData
from mikrobot.models import graph
from mikrobot.models.conformal import BREAK_OR_HOLD, Window
from mikrobot.models.model import Model
from mikrobot.models.registry import WINDOW
from mikrobot.models.scope import Scope
from mikrobot.models.signatures import SIGNED, Signer
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.serving.answers import Answer
from mikrobot.serving.client import PredictionClient
from mikrobot.serving.in_process import InProcess
from mikrobot.settings import Settings
from mikrobot.store.model_registry import open_kept_registry

CLOCK = SystemClock()
ONE = b'{"symbol": "EURUSD", "features": {"m1_rsi_14": '
EURUSD = Scope("simulated", "EURUSD")
Rows = Callable[[int], list[dict[str, float]]]


def expected(model: Model, rows: list[dict[str, float]]) -> list[tuple[float | None, float | None]]:
    values = np.array([[row[name] for name in model.spec.columns] for row in rows])
    return [(None if np.isnan(up) else up, None if np.isnan(down) else down) for up, down in model.predict(values)]


def sides(answer: Answer) -> tuple[float | None, float | None]:
    return answer.probability_up, answer.probability_down


def promoted(stage: Any) -> Model:
    model: Model = stage.promote()
    stage.await_served(model.spec.version)
    return model


def test_the_registry_is_served_by_one_process(mlflow_server: Any) -> None:
    assert psutil.Process(mlflow_server.process.pid).children(recursive=True) == []


def test_without_a_champion_the_service_lives_unready_and_says_why(stage: Any) -> None:
    assert {path: answer.status_code for path, answer in stage.before.items()} == dict.fromkeys(stage.before, 503)
    assert stage.before["/predict"].json() == {
        "error": "no version of model bos is served: none has been trained (`mikrobot train`), "
        "or the registry does not answer (`mikrobot status`)"
    }


def test_with_a_champion_it_is_ready(stage: Any) -> None:
    wait_until(stage.client.ready, "it serves a champion and is not ready", CLOCK, timeout_s=10)


def test_answers_over_http_are_those_of_the_native_model(stage: Any, feature_rows: Rows) -> None:
    model = promoted(stage)
    rows = feature_rows(30)
    answers = [stage.client.predict("EURUSD", dict(reversed(row.items()))) for row in rows]
    assert [sides(answer) for answer in answers] == expected(model, rows)
    assert {None in sides(answer) for answer in answers} == {True, False}


def test_a_client_without_the_service_gives_the_same_answers_in_process(
    stage: Any, state: Settings, feature_rows: Rows, free_port: Callable[[], int]
) -> None:
    rows = feature_rows(50)
    served = [stage.client.predict("EURUSD", row) for row in rows]
    in_process = InProcess(open_kept_registry(state), "simulated")
    url = f"http://127.0.0.1:{free_port()}"
    with PredictionClient(url, "simulated", CLOCK, patience_s=0.1, in_process=in_process) as client:
        assert client.columns("EURUSD") == stage.client.columns("EURUSD")
        answers = [client.predict("EURUSD", row) for row in rows]
    assert list(map(asdict, answers)) == list(map(asdict, served))
    assert {str(answer) for answer in answers} == {f"{served[0]}, in process"}


def test_a_batch_in_any_order_of_columns_answers_as_single_rows(stage: Any, feature_rows: Rows) -> None:
    rows = feature_rows(300)
    columns = tuple(reversed(rows[0]))
    answers = stage.client.predict_many("EURUSD", columns, [[row[name] for name in columns] for row in rows])
    singly = [stage.client.predict("EURUSD", row) for row in rows[:10]]
    assert list(zip(answers.probability_up, answers.probability_down, strict=True))[:10] == list(map(sides, singly))
    assert len(answers.probability_up) == 300


def test_an_answer_carries_its_interval_its_set_and_what_is_predicted(stage: Any, feature_rows: Rows) -> None:
    model = promoted(stage)
    rows = feature_rows(40)
    expected = model.answer(np.array([[row[name] for name in model.spec.columns] for row in rows]))
    names = tuple(rows[0])
    many = stage.client.predict_many("EURUSD", names, [[row[name] for name in names] for row in rows])
    for number, row in enumerate(rows):
        answer = stage.client.predict("EURUSD", row)
        for column, side in enumerate(("up", "down")):
            fields = [f"{field}_{side}" for field in ("probability", "interval", "set", "predicted")]
            probability, bounds, plausible, predicted = (getattr(answer, field) for field in fields)
            assert [getattr(many, field)[number] for field in fields] == [probability, bounds, plausible, predicted]
            if probability is None:
                assert (bounds, plausible, predicted) == (None, None, None)
                continue
            low, high = bounds
            assert low < probability < high
            assert probability == pytest.approx(high / (1 - low + high))
            assert bounds == (expected.low[number, column], expected.high[number, column])
            code = expected.sets[number, column]
            assert (plausible, predicted) == (BREAK_OR_HOLD.sets[code], BREAK_OR_HOLD.predicted[code])
    assert {*many.predicted_up, *many.predicted_down} >= {"break", None}


def test_the_page_says_what_probability_interval_and_set_mean(stage: Any) -> None:
    page = httpx.get(f"{stage.service.url}/docs.json").raise_for_status().json()
    for path in ("/predict", "/predict_batch", "/shadow"):
        answer = page["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        fields = answer["properties"]
        for side in ("up", "down"):
            assert "p1 / (1 - p0 + p1)" in fields[f"probability_{side}"]["description"]
            assert "[p0, p1]" in fields[f"interval_{side}"]["description"]
            assert "about 90 %" in fields[f"set_{side}"]["description"]
            assert "abstain" in fields[f"predicted_{side}"]["description"]


def test_an_answer_carries_the_contract_it_was_made_under(stage: Any, feature_rows: Rows) -> None:
    model = promoted(stage)
    answer = stage.client.predict("EURUSD", feature_rows(1)[0])
    spec = model.spec
    assert (answer.symbol, answer.trained_on, answer.fitted_with) == ("EURUSD", ("EURUSD",), spec.version)
    assert (answer.model, answer.version, answer.source, answer.feature_hash, answer.trained_until) == (
        spec.name, spec.version, spec.source, spec.feature_hash, spec.trained_until,
    )  # fmt: skip
    assert stage.client.columns("EURUSD", refresh=True) == spec.columns


def test_a_promotion_is_served_without_a_failed_request(stage: Any, feature_rows: Rows) -> None:
    rows = feature_rows(50)
    models = {stage.served(): None}
    stop = Event()

    def ask(url: str) -> list[Answer]:
        answers = []
        with httpx.Client(base_url=url) as http:
            for number in range(100_000):
                sent = {name: None if np.isnan(value) else value for name, value in rows[number % 50].items()}
                answers.append(
                    http.post("/predict", json={"symbol": "EURUSD", "features": sent}).raise_for_status().json()
                )
                if stop.is_set():
                    break
        return answers

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask, stage.service.url) for _ in range(2)]
        try:
            models[promoted(stage).spec.version] = None
        finally:
            stop.set()
        answered = [answer for asked in asking for answer in asked.result()]
    assert set(Counter(answer["version"] for answer in answered)) == set(models)


def test_names_that_do_not_fit_are_listed_in_one_line(stage: Any, feature_rows: Rows) -> None:
    row = feature_rows(1)[0]
    row["m1_rsi_15"] = row.pop("m1_rsi_14")
    with pytest.raises(FeatureMismatch, match="missing m1_rsi_14; unknown m1_rsi_15"):
        stage.client.predict("EURUSD", row)


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        (
            "/predict",
            ONE + b'"high"}}',
            "features.m1_rsi_14: Input should be a valid number",
        ),
        (
            "/predict",
            ONE + b"true}}",
            "features.m1_rsi_14: Input should be a valid number",
        ),
        (
            "/predict",
            ONE + b"Infinity}}",
            "features.m1_rsi_14: Input should be a finite number",
        ),
        (
            "/predict",
            ONE + b"1e999}}",
            "features.m1_rsi_14: Input should be a finite number",
        ),
        ("/predict", b"{}", "symbol: Field required; features: Field required"),
        ("/predict", b"not json", "body: Invalid JSON"),
        ("/predict_batch", b'{"symbol": "EURUSD", "columns": ["a"], "rows": [1.0]}', "rows.0: Input should be a valid"),
    ],
)
def test_a_bad_body_is_answered_with_one_line(stage: Any, path: str, body: bytes, complaint: str) -> None:
    answer = httpx.post(stage.service.url + path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(complaint)


def test_a_batch_of_bad_rows_names_the_row(stage: Any, feature_rows: Rows) -> None:
    row = feature_rows(1)[0]
    answer = httpx.post(
        f"{stage.service.url}/predict_batch",
        json={"symbol": "EURUSD", "columns": list(row), "rows": [[1.0] * len(row), [1.0]]},
    )
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("row 1 has 1 values")


def test_a_batch_that_is_too_long_is_refused(stage: Any) -> None:
    with pytest.raises(ServingError, match="at most 10000 items"):
        stage.client.predict_many("EURUSD", (), [()] * 10_001)


def test_metrics_count_the_requests(stage: Any, feature_rows: Rows) -> None:
    def counted() -> float:
        lines = httpx.get(f"{stage.service.url}/metrics").text.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith("bentoml_service_request_total")
            and 'endpoint="/predict"' in line
            and 'code="200"' in line
        )

    before = counted()
    for row in feature_rows(7):
        stage.client.predict("EURUSD", row)
    assert counted() == before + 7


def test_metrics_show_the_quality_and_the_halts_that_a_worker_reports(stage: Any, state: Settings) -> None:
    (state.home / "run").mkdir(exist_ok=True)
    DATA.write(MarketData("replay", {"EURUSD": SymbolData(0.25, True, 60.0)}), state.home)
    metrics = f"{stage.service.url}/metrics"
    assert 'symbol="EURUSD"} 0.25' not in httpx.get(metrics).text
    pid_records.record("worker", state.home, os.getpid())
    try:
        text = httpx.get(metrics).text
    finally:
        pid_records.forget("worker", state.home)
    assert 'mikrobot_data_quality{source="replay",symbol="EURUSD"} 0.25' in text
    assert 'mikrobot_halted{source="replay",symbol="EURUSD"} 1.0' in text
    assert "bentoml_service_request_total" in text


def test_a_challenger_answers_in_the_shadow_and_changes_nothing_of_the_champion(stage: Any, feature_rows: Rows) -> None:
    champion, rows = promoted(stage), feature_rows(20)
    assert httpx.get(f"{stage.service.url}/challenger").status_code == 404
    assert stage.client.shadow("EURUSD", rows[0]) is None
    before = [stage.client.predict("EURUSD", row) for row in rows]
    challenger = stage.registered()
    stage.registry.challenge("bos", challenger.spec.version, EURUSD)
    with PredictionClient(stage.service.url, "simulated", CLOCK) as client:
        wait_until(lambda: stage.challenger() == challenger.spec.version, "no challenger", SystemClock(), timeout_s=30)
        answers = [client.shadow("EURUSD", row | {"another": 1.0}) for row in rows]
        assert [sides(answer) for answer, _ in answers] == expected(challenger, rows)
        assert {answer.version for answer, _ in answers} == {challenger.spec.version}
        assert [set(inputs) for _, inputs in answers] == [set(challenger.spec.columns)] * len(rows)
        assert [client.predict("EURUSD", row) for row in rows] == before
        stage.registry.promote("bos", challenger.spec.version, "for the test")
        stage.await_served(challenger.spec.version)
        wait_until(lambda: stage.challenger() is None, "it is a challenger still", CLOCK, timeout_s=30)
        assert client.shadow("EURUSD", rows[0]) is None
        assert sides(client.predict("EURUSD", rows[0])) == expected(challenger, rows[:1])[0]
    assert stage.registry.holders("bos", "challenger") == {}
    assert champion.spec.version != challenger.spec.version


def test_a_challenger_that_cannot_be_loaded_leaves_the_champion_alone(stage: Any, feature_rows: Rows) -> None:
    champion, row = promoted(stage), feature_rows(1)[0]
    broken = stage.registered()
    stage.registry.note("bos", broken.spec.version, "window", "nonsense")
    stage.registry.challenge("bos", broken.spec.version, EURUSD)
    wait_until(
        lambda: "challenger_not_refreshed" in stage.service.log.read_text(), "not noticed", SystemClock(), timeout_s=30
    )
    assert stage.client.shadow("EURUSD", row) is None
    assert sides(stage.client.predict("EURUSD", row)) == expected(champion, [row])[0]
    stage.registry.dismiss("bos", EURUSD)


def test_an_altered_model_is_not_served_and_the_last_good_one_answers(stage: Any, feature_rows: Rows) -> None:
    """Somebody who can write to the registry replaces a model, signs it by another key and promotes it."""
    champion, rows = promoted(stage), feature_rows(3)
    before = set(stage.artifacts.rglob("model.onnx"))
    altered = stage.registered()
    (path,) = set(stage.artifacts.rglob("model.onnx")) - before
    path.write_bytes(graph.constant(0.9999, len(altered.inputs.names)))
    extra = {f"extra_files/{file.name}": file.read_bytes() for file in path.with_name("extra_files").iterdir()}
    signed = extra.pop(SIGNED)
    path.with_name("extra_files").joinpath("signed.json").write_bytes(
        Signer("a key of somebody else").sign(extra | {"model.onnx": path.read_bytes()})
    )
    stage.registry.promote("bos", altered.spec.version, "by somebody else")
    refused = f"model bos version {altered.spec.version} cannot be used: its signature is not of the key"
    wait_until(lambda: refused in stage.service.log.read_text(), "not noticed", CLOCK, timeout_s=60)
    path.with_name("extra_files").joinpath("signed.json").write_bytes(signed)
    refused = f"model bos version {altered.spec.version} cannot be used: model.onnx is not the file"
    wait_until(lambda: refused in stage.service.log.read_text(), "not noticed", CLOCK, timeout_s=60)
    assert stage.served() == champion.spec.version
    assert [sides(stage.client.predict("EURUSD", row)) for row in rows] == expected(champion, rows)
    stage.registry.rollback("bos", "after the test")


def test_an_altered_window_is_not_served_and_the_last_good_one_answers(stage: Any, feature_rows: Rows) -> None:
    """Somebody who can write tags makes every level break, with a window of the form that a recalibration stores."""
    champion, rows = promoted(stage), feature_rows(3)
    version, score = champion.spec.version, np.linspace(0, 1, 4_000)
    window = Window.of(champion.spec.trained_until, score, np.ones(len(score), bool))
    refused = f"model bos version {version} cannot be used: its rolling window was not signed for this version"
    for tag in (window.to_json(), Signer("a key of somebody else").sign_window("bos", version, window.to_json())):
        stage.registry.note("bos", version, WINDOW, tag)
        wait_until(lambda: refused in stage.service.log.read_text(), "not noticed", CLOCK, timeout_s=60)
        assert [sides(stage.client.predict("EURUSD", row)) for row in rows] == expected(champion, rows)
    stage.registry.roll("bos", version, window)
    rolled = replace(champion, intervals=window.intervals())
    answers = expected(rolled, rows)
    wait_until(
        lambda: [sides(stage.client.predict("EURUSD", row)) for row in rows] == answers, "not served", CLOCK,
        timeout_s=60,
    )  # fmt: skip
    assert answers != expected(champion, rows)


def test_the_api_page_describes_every_endpoint(stage: Any) -> None:
    assert httpx.get(stage.service.url).status_code == 200
    paths = httpx.get(f"{stage.service.url}/docs.json").json()["paths"]
    assert {"/predict", "/predict_batch", "/shadow"} <= set(paths)


def test_the_examples_of_the_api_page_are_answered(stage: Any, feature_rows: Rows) -> None:
    promoted(stage)
    for _ in range(2):
        described = httpx.get(f"{stage.service.url}/docs.json").json()
        assert f"EURUSD: bos {stage.served()}, learned from EURUSD" in described["info"]["version"]
        for path in ("/predict", "/predict_batch"):
            example = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
            assert httpx.post(stage.service.url + path, json=example).status_code == 200
        stage.client.predict("EURUSD", feature_rows(1)[0])


def test_the_api_page_and_its_parts_load_from_the_service_alone(stage: Any) -> None:
    page = httpx.get(stage.service.url).text
    parts = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {part.partition("/")[0] for part in parts} <= {".", "data:,"}
    loaded = [httpx.get(f"{stage.service.url}/{part}") for part in parts if part.startswith("./")]
    assert [answer.status_code for answer in loaded] == [200] * len(loaded)
    assert "googletagmanager" not in page


@pytest.fixture(scope="module")
def reports(stage: Any) -> Path:
    """The service's reports folder with one report, and a secret file outside it."""
    folder = stage.service.log.parent / "reports"
    (folder / "20250314").mkdir(parents=True)
    (folder / "20250314" / "report.html").write_text("<html>a report</html>")
    (folder.parent / "secret").write_text("a password")
    (folder / "way-out").symlink_to(folder.parent)
    return folder


def test_a_report_is_served_as_a_page(stage: Any, reports: Path) -> None:
    answer = httpx.get(f"{stage.service.url}/reports/20250314/report.html")
    assert (answer.status_code, answer.text) == (200, "<html>a report</html>")
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "path",
    [
        "/reports/../secret", "/reports/%2e%2e/secret", "/reports/..%2fsecret", "/reports/20250314/../../secret",
        "/reports//etc/passwd", "/reports/%2fetc%2fpasswd", "/reports/way-out/secret", "/reports/20250314", "/reports/",
        "/reports/no-such-report.html", "/reports/%00",
    ],
)  # fmt: skip
def test_nothing_but_files_of_the_folder_is_served(stage: Any, reports: Path, path: str) -> None:
    with closing(HTTPConnection("127.0.0.1", stage.service.port, timeout=10)) as raw:
        raw.putrequest("GET", path, skip_host=False)
        raw.putheader("Authorization", stage.service.authorization)
        raw.endheaders()
        answer = raw.getresponse()
        assert answer.status == 404
        assert b"password" not in answer.read()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_reports_are_read_only(stage: Any, reports: Path, method: str) -> None:
    answer = httpx.request(method, f"{stage.service.url}/reports/20250314/report.html", content=b"x")
    assert answer.status_code in (404, 405)
    assert (reports / "20250314" / "report.html").read_text() == "<html>a report</html>"


def test_it_serves_on_without_the_registry_and_finds_it_again(stage: Any, feature_rows: Rows) -> None:
    model = promoted(stage)
    row = feature_rows(1)[0]
    stage.mlflow.stop()
    try:
        for _ in range(20):
            assert stage.client.predict("EURUSD", row).version == model.spec.version
        assert stage.client.ready()
    finally:
        stage.mlflow.start()
    newer = promoted(stage)
    assert stage.client.predict("EURUSD", row).version == newer.spec.version


def test_each_symbol_is_answered_by_the_model_that_learned_from_it(stage: Any, feature_rows: Rows) -> None:
    """The baseline of another version serves the second symbol, and no model serves a third."""
    champion, row = promoted(stage), feature_rows(1)[0]
    other = stage.registered(symbols=("BTCUSDT",))
    assert "BTCUSDT" not in stage.client.served()
    stage.registry.stand_in("bos", other.spec.version)
    wait_until(lambda: "BTCUSDT" in stage.client.served(), "the baseline is not served", CLOCK, timeout_s=30)
    answers = [stage.client.predict(symbol, row) for symbol in ("EURUSD", "BTCUSDT")]
    assert [(a.model, a.version, a.trained_on) for a in answers] == [
        ("bos", champion.spec.version, ("EURUSD",)),
        ("baseline", None, ("BTCUSDT",)),
    ]
    assert answers[1].fitted_with == other.spec.version
    assert sides(answers[1]) == expected(other.diffusion(), [row])[0]
    with pytest.raises(ScopeError, match="no model learned from simulated GBPUSD; the service answers for"):
        stage.client.predict("GBPUSD", row)
    stage.registry.promote("bos", other.spec.version, "for the test")
    wait_until(lambda: stage.client.predict("BTCUSDT", row).model == "bos", "not promoted", CLOCK, timeout_s=30)
    assert stage.client.predict("EURUSD", row).version == champion.spec.version


def test_a_client_without_a_service_gives_up_within_its_patience() -> None:
    with (
        PredictionClient("http://127.0.0.1:9", "simulated", SystemClock(), patience_s=0.2) as client,
        pytest.raises(ServingError, match="does not answer"),
    ):
        client.columns("EURUSD")
