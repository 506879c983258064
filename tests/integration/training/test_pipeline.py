import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import FeatureMismatch, ModelError, ServiceError
from mikrobot.features.catalog import CATALOG
from mikrobot.models.registry import Registry
from mikrobot.settings import Settings
from mikrobot.training.dataset import Rows
from mikrobot.training.pipeline import TrainingResult, train

Bars = dict[str, pd.DataFrame]
TRADE_FROM = datetime(2024, 3, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def trained(market: Bars, rows: Rows, registry: Registry) -> Callable[..., TrainingResult]:
    def run(**changed: object) -> TrainingResult:
        given: dict[str, object] = {
            "source": "replay",
            "feature_hash": CATALOG.version,
            "trade_from": TRADE_FROM,
            "bars": market,
            "rows": rows,
        }
        return train(registry=registry, settings=Settings(), **(given | changed))  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="module")
def first(trained: Callable[..., TrainingResult], registry: Registry) -> TrainingResult:
    assert registry.champion("bos") is None
    return trained()


def run_of(registry: Registry, version: str) -> mlflow.entities.Run:
    found = {entry.version: entry for entry in registry.versions("bos")}[version]
    return mlflow.MlflowClient(registry.tracking_uri).get_run(found.run_id)


def test_the_first_model_becomes_champion_and_learned_nothing_from_the_traded_hours(
    first: TrainingResult, registry: Registry
) -> None:
    assert first.promoted
    assert first.reason == "there was no champion"
    model = registry.load("bos")
    assert model.contract.version == first.version
    assert model.contract.trained_until <= TRADE_FROM
    assert model.contract.trained_until > TRADE_FROM - timedelta(minutes=30)


def test_a_random_walk_shows_no_skill_over_the_diffusion_baseline(first: TrainingResult) -> None:
    assert first.metrics["metrics"]["auc"] > 0.75
    assert abs(first.metrics["uplift"]["over_atr"]["auc"]["value"]) < 0.03
    assert set(first.metrics["baselines"]) == {"diffusion_atr", "random_forest"}
    assert set(first.metrics["by_symbol"]) == {"EURUSD", "BTCUSDT"}


def test_the_run_tells_where_the_model_comes_from(first: TrainingResult, registry: Registry) -> None:
    run = run_of(registry, first.version)
    assert run.info.status == "FINISHED"
    assert run.data.tags["source"] == "replay"
    assert run.data.tags["symbols"] == "BTCUSDT,EURUSD"
    assert run.data.tags["feature_hash"] == CATALOG.version
    assert run.data.tags["code_version"].startswith("0.")
    assert run.data.params["seed"] == "7"
    assert run.data.metrics["metrics.brier"] == pytest.approx(first.metrics["metrics"]["brier"])
    assert "baselines.random_forest.auc" in run.data.metrics
    (data,) = run.inputs.dataset_inputs
    assert run.data.tags["data_sha256"].startswith(data.dataset.digest)


def test_a_model_predicts_the_same_after_the_round_trip_over_http(
    first: TrainingResult, registry: Registry, market: Bars, rows: Rows
) -> None:
    one, again = registry.load("bos"), registry.load_version("bos", first.version)
    times = (market["EURUSD"]["open_time"] + pd.Timedelta(minutes=1))[2000:2200]
    events = pd.DataFrame({"source": "replay", "symbol": "EURUSD", "event_timestamp": times})
    values = rows(events, one.contract.columns)[list(one.contract.columns)].to_numpy(np.float64)
    expected = one.predict(values)
    assert np.nanmin(expected) > 0
    assert np.nanmax(expected) < 1
    np.testing.assert_array_equal(again.predict(values), expected)
    assert one.contract == again.contract
    assert one.contract.metrics == json.loads(json.dumps(first.metrics))


def test_the_mlflow_flavour_reads_what_was_logged(first: TrainingResult, registry: Registry) -> None:
    mlflow.set_tracking_uri(registry.tracking_uri)
    model = registry.load("bos")
    native = mlflow.xgboost.load_model(f"models:/bos/{first.version}")
    assert bytes(native.save_raw("ubj")) == bytes(model.booster.save_raw("ubj"))
    info = mlflow.models.get_model_info(f"models:/bos/{first.version}")
    assert info.signature.inputs.input_names() == list(model.inputs.names)
    assert info.metadata == {"feature_hash": CATALOG.version, "source": "replay"}


def test_nothing_in_the_artefacts_is_a_pickle(first: TrainingResult, artifacts: Path) -> None:
    files = [path for path in artifacts.rglob("*") if path.is_file()]
    assert {"model.ubj", "contract.json", "calibration.json", "model.skops"} <= {path.name for path in files}
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib")]
    assert not [path for path in files if path.read_bytes()[:1] == b"\x80"]


def test_the_same_data_and_seed_give_the_same_model(
    trained: Callable[..., TrainingResult], first: TrainingResult, registry: Registry
) -> None:
    second = trained()
    assert second.version != first.version
    assert second.promoted
    assert "is not worse than the champion's" in second.reason
    assert "had seen 100% of it" in second.reason
    boosters = [
        bytes(registry.load_version("bos", version).booster.save_raw("ubj"))
        for version in (first.version, second.version)
    ]
    assert boosters[0] == boosters[1]
    tags = [run_of(registry, version).data.tags["data_sha256"] for version in (first.version, second.version)]
    assert tags[0] == tags[1]


def test_a_champion_that_knows_the_traded_hours_is_replaced(
    trained: Callable[..., TrainingResult], first: TrainingResult, registry: Registry
) -> None:
    registry.promote("bos", first.version)
    result = trained(trade_from=TRADE_FROM - timedelta(days=1))
    assert result.promoted
    assert "later than 2024-03-10 00:00:00+00:00 from where it would trade" in result.reason
    assert registry.champion("bos") == result.version
    tags = {entry.version: entry.tags for entry in registry.versions("bos")}[result.version]
    assert tags["promotion"] == result.reason


def test_a_failed_training_leaves_the_champion_serving(
    trained: Callable[..., TrainingResult], market: Bars, first: TrainingResult, registry: Registry
) -> None:
    registry.promote("bos", first.version)
    with pytest.raises(ModelError, match=r"train span of EURUSD.*expected at least 50 samples"):
        trained(bars={"EURUSD": market["EURUSD"][:300]})
    assert registry.champion("bos") == first.version


def test_features_of_another_hash_are_not_accepted(first: TrainingResult, registry: Registry) -> None:
    registry.promote("bos", first.version)
    contract = registry.load("bos").contract
    contract.accept(CATALOG.version)
    with pytest.raises(FeatureMismatch, match=f"trained on features {CATALOG.version}, found 000000000000"):
        contract.accept("000000000000")


def test_a_booster_that_was_changed_is_not_loaded(
    trained: Callable[..., TrainingResult], registry: Registry, artifacts: Path
) -> None:
    before = set(artifacts.rglob("model.ubj"))
    spoiled = trained()
    (file,) = set(artifacts.rglob("model.ubj")) - before
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match=f"model bos version {spoiled.version} cannot be used: model.ubj"):
        registry.load_version("bos", spoiled.version)
    registry.promote("bos", spoiled.version)
    mended = trained()
    assert mended.promoted
    assert mended.reason.startswith("the champion could not be loaded")


def test_what_is_not_registered_is_said_to_be_missing(registry: Registry) -> None:
    assert registry.champion("nowhere") is None
    assert registry.versions("nowhere") == ()
    with pytest.raises(ModelError, match="nowhere has no version with the alias 'champion'"):
        registry.load("nowhere")
    with pytest.raises(ModelError, match="nowhere version 3 is not in the registry"):
        registry.load_version("nowhere", "3")
    with pytest.raises(ModelError, match="no version 3 of model nowhere"):
        registry.promote("nowhere", "3")


def test_a_server_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ServiceError, match=r"MLflow at http://127\.0\.0\.1:9 failed"):
        Registry("http://127.0.0.1:9").champion("bos")
