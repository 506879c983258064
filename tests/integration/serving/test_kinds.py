"""The routes of every kind of model, against the real registry and the real service."""

from typing import Any

import httpx
import numpy as np
import pytest

from mikrobot.models.catalog import MODELS, kind_of
from mikrobot.models.model import Model
from mikrobot.runtime import SystemClock, wait_until

CLOCK = SystemClock()
OTHERS = sorted(MODELS.keys() - {"bos"})
ORIGIN = ("model", "version", "source", "symbol", "feature_hash")
SIDES = ("up", "down")


def row_of(columns: tuple[str, ...], seed: int = 5) -> dict[str, float]:
    """Return a row with an event upwards for every kind of model."""
    rng = np.random.default_rng(seed)
    row = dict(zip(columns, rng.uniform(0.5, 2.0, len(columns)).tolist(), strict=True))
    return row | {name: 1.0 for name in ("m1_retest_5_here", "m1_break_5_bos", "m1_break_5_choch") if name in row}


def post(stage: Any, path: str, **body: Any) -> httpx.Response:
    request = {"symbol": "EURUSD", "source": "simulated", **body}
    return httpx.post(f"{stage.service.url}{path}", json=request, timeout=60)


@pytest.fixture(scope="module")
def kinds(stage: Any) -> dict[str, Model]:
    """A champion of every kind of model, without boosted trees in the registry."""
    models = {kind: stage.registered(kind=kind) for kind in sorted(MODELS)}
    for kind, model in models.items():
        stage.registry.promote(kind, model.spec.version, "for the test")
    versions = {kind: model.spec.version for kind, model in models.items()}
    wait_until(lambda: {kind: stage.version(kind) for kind in models} == versions, "not served", CLOCK, timeout_s=60)
    return models


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_every_kind_answers_as_its_model_does(stage: Any, kinds: dict[str, Model], kind: str) -> None:
    model = kinds[kind]
    row = row_of(model.spec.columns)
    answer = post(stage, f"/predict/{kind}", features=row).raise_for_status().json()
    spec, outcomes = model.spec, kind_of(kind).outcomes
    assert [answer[name] for name in ORIGIN] == [kind, spec.version, spec.source, "EURUSD", spec.feature_hash]
    expected = model.answer(np.array([[row[name] for name in spec.columns]]))
    for number, side in enumerate(SIDES):
        probability = expected.probability[0, number]
        if np.isnan(probability):
            assert [answer[f"{field}_{side}"] for field in ("probability", "interval", "predicted")] == [None] * 3
            continue
        assert answer[f"probability_{side}"] == probability
        assert answer[f"interval_{side}"] == [expected.low[0, number], expected.high[0, number]]
        assert answer[f"predicted_{side}"] == outcomes.predicted[expected.sets[0, number]]
    assert np.isfinite(expected.probability[0, 0])


def test_one_request_is_answered_by_every_kind(stage: Any, kinds: dict[str, Model]) -> None:
    columns = tuple(dict.fromkeys(name for model in kinds.values() for name in model.spec.columns))
    row = row_of(columns)
    answered = post(stage, "/predict_all", features=row).raise_for_status().json()
    assert set(answered["answers"]) == set(kinds)
    for kind, model in kinds.items():
        own = {name: row[name] for name in model.spec.columns}
        assert answered["answers"][kind] == post(stage, f"/predict/{kind}", features=own).json()
    refused = post(stage, "/predict_all", features=row | {"zebra": 1.0})
    assert (refused.status_code, refused.json()["error"].endswith("unknown zebra")) == (422, True)


@pytest.mark.parametrize("kind", OTHERS)
def test_a_batch_of_a_kind_answers_as_its_rows_do(stage: Any, kinds: dict[str, Model], kind: str) -> None:
    columns = kinds[kind].spec.columns
    rows = [row_of(columns, seed) for seed in range(3)]
    many = post(
        stage, f"/predict_batch/{kind}", columns=list(columns), rows=[list(row.values()) for row in rows]
    ).json()
    singly = [post(stage, f"/predict/{kind}", features=row).json() for row in rows]
    for side in SIDES:
        for field in (f"probability_{side}", f"interval_{side}", f"set_{side}", f"predicted_{side}"):
            assert many[field] == [answer[field] for answer in singly]


def test_contributions_add_up_to_the_log_odds_of_the_probability(stage: Any, kinds: dict[str, Model]) -> None:
    booster = stage.explained()
    row = row_of(booster.spec.columns)
    answer = post(stage, "/predict", features=row, contributions=True).raise_for_status().json()
    assert answer["version"] == booster.spec.version
    assert [steps["side"] for steps in answer["contributions"]] == list(SIDES)
    for steps in answer["contributions"]:
        log_odds = steps["start"] + sum(steps["added"].values())
        assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(answer[f"probability_{steps['side']}"], abs=1e-6)
    assert "contributions" not in post(stage, "/predict", features=row).json()


def test_a_model_without_boosted_trees_refuses_contributions(stage: Any, kinds: dict[str, Model]) -> None:
    row = row_of(kinds["retest"].spec.columns)
    refused = post(stage, "/predict/retest", features=row, contributions=True)
    assert refused.status_code == 422
    assert "has no boosted trees; only they explain a prediction" in refused.json()["error"]


def test_an_unknown_kind_is_refused(stage: Any, kinds: dict[str, Model]) -> None:
    refused = post(stage, "/predict/zebra", features={})
    assert refused.status_code == 404
    assert refused.json() == {"error": "model: expected bos or nowcast or retest or false_break, found 'zebra'"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {"features": {}}),
        ("/predict_all", {"features": {}}),
        ("/predict_batch", {"columns": [], "rows": []}),
    ],
)
def test_an_unknown_field_of_the_body_is_refused(stage: Any, path: str, body: dict[str, Any]) -> None:
    refused = post(stage, path, **body, threshold=0.5)
    assert refused.status_code == 400
    assert refused.json() == {"error": "threshold: Extra inputs are not permitted"}


@pytest.mark.parametrize(("value", "found"), [(1e308, "1e+308"), (-4e38, "-4e+38")])
def test_a_value_that_is_too_large_for_a_model_is_refused_by_name(
    stage: Any, kinds: dict[str, Model], value: float, found: str
) -> None:
    row = row_of(kinds["bos"].spec.columns) | {"m1_rsi_14": value}
    refused = post(stage, "/predict", features=row)
    assert refused.status_code == 422
    assert refused.json() == {"error": f"m1_rsi_14 is {found}, expected at most 3.4e+38, or null where it is missing"}


def test_the_examples_of_every_route_are_answered(stage: Any, kinds: dict[str, Model]) -> None:
    described = httpx.get(f"{stage.service.url}/docs.json").json()
    for path in ("/predict", "/predict_all", "/predict_batch", "/predict/{model}", "/predict_batch/{model}"):
        example = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert httpx.post(stage.service.url + path.format(model="nowcast"), json=example).status_code == 200


def test_metrics_have_what_is_predicted(stage: Any, kinds: dict[str, Model]) -> None:
    def counted(name: str) -> float:
        lines = httpx.get(f"{stage.service.url}/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f'{name}{{model="nowcast"'))

    names = ("mikrobot_predicted_outcomes_total", "mikrobot_prediction_probability_count")
    row = row_of(kinds["nowcast"].spec.columns)
    post(stage, "/predict/nowcast", features=row).raise_for_status()
    before = [counted(name) for name in names]
    for _ in range(3):
        post(stage, "/predict/nowcast", features=row).raise_for_status()
    assert [counted(name) - earlier for name, earlier in zip(names, before, strict=True)] == [6.0, 6.0]
    text = httpx.get(f"{stage.service.url}/metrics").text
    assert 'le="0.0005"' in text
    assert 'le="0.001"' in text
