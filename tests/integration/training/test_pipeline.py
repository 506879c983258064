"""One training run from feature rows to a registered version, with a real MLflow server."""

import json
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from mikrobot.cli.console import unbounded
from mikrobot.cli.decision_tables import contributions_table
from mikrobot.domain.errors import FeatureMismatch, ModelError, ServiceError, UnchangedData
from mikrobot.domain.serialisation import plain
from mikrobot.domain.trading import Prediction, Side
from mikrobot.features.catalog import CATALOG
from mikrobot.models.catalog import MODELS, kind_of
from mikrobot.models.conformal import Window
from mikrobot.models.explanation import explain
from mikrobot.models.graph import Scorer
from mikrobot.models.registry import WINDOW, Registry
from mikrobot.models.scope import BASELINE, CHALLENGER, CHAMPION, Scope
from mikrobot.settings import Settings
from mikrobot.store.model_registry import open_registry
from mikrobot.training import repetition
from mikrobot.training.computed import rows_of
from mikrobot.training.controls import control
from mikrobot.training.dataset import Rows, needed
from mikrobot.training.pipeline import TrainingResult, train
from mikrobot.training.recipes import recipe_of
from mikrobot.workflows.contributions import contributions

Bars = dict[str, pd.DataFrame]
TRADE_FROM = datetime(2024, 3, 11, tzinfo=UTC)
SCOPES = BTCUSDT, EURUSD = Scope("replay", "BTCUSDT"), Scope("replay", "EURUSD")


@pytest.fixture(scope="module")
def trained(market: Bars, rows: Rows, registry: Registry) -> Callable[..., TrainingResult]:
    def run(**changed: object) -> TrainingResult:
        arguments: dict[str, object] = {
            "name": "bos",
            "source": "replay",
            "feature_hash": CATALOG.version,
            "trade_from": TRADE_FROM,
            "bars": market,
            "rows": rows,
        }
        return train(registry=registry, settings=Settings(), **(arguments | changed))  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="module")
def first(trained: Callable[..., TrainingResult], registry: Registry) -> TrainingResult:
    assert registry.holders("bos", CHAMPION) == {}
    return trained()


def test_feature_rows_are_released_once_the_samples_are_built(market: Bars, registry: Registry) -> None:
    """The rows of 1.5 million bars take more than a gigabyte."""
    readers: list[weakref.ref[Rows]] = []

    def reader() -> Rows:
        recipe = recipe_of("bos", Settings())
        rows = rows_of(market, needed(recipe.inputs, recipe.task))
        readers.append(weakref.ref(rows))
        return rows

    def progress(stage: str, share: float) -> None:
        held[stage] = readers[0]() is not None
        if stage == "search":
            raise InterruptedError

    held: dict[str, bool] = {}
    with pytest.raises(InterruptedError):
        train(
            "bos",
            market,
            reader(),
            registry,
            settings=Settings(),
            source="replay",
            feature_hash=CATALOG.version,
            progress=progress,
        )
    assert held == {"dataset": True, "search": False}


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Register one more kind of model, which needs only its module and this entry."""
    monkeypatch.setitem(MODELS, "toy", "tests.integration.training.toy_model")
    yield "toy"
    kind_of.cache_clear()


def test_a_model_is_a_module_and_an_entry(
    toy: str, trained: Callable[..., TrainingResult], registry: Registry, market: Bars
) -> None:
    result = trained(name=toy)
    model = registry.load(toy, result.version)
    assert (model.spec.name, model.spec.horizon_minutes, model.spec.task.reach) == ("toy", 2, "extreme")
    ((up, down),) = model.predict(np.ones((1, len(model.spec.columns))))
    assert 0.0 < up < 1.0
    assert 0.0 < down < 1.0
    assert "Will the level be touched soon?" in registry.text(toy, result.version, "card.md")


def run_of(registry: Registry, version: str) -> mlflow.entities.Run:
    entry = {entry.version: entry for entry in registry.versions("bos")}[version]
    return mlflow.MlflowClient(registry.tracking_uri).get_run(entry.run_id)


def test_a_first_model_without_skill_is_not_promoted_and_its_baseline_answers_for_every_symbol(
    first: TrainingResult, registry: Registry
) -> None:
    """The market is a random walk: any uplift over the diffusion baseline is chance."""
    assert first.champion_of == ()
    assert set(first.rulings) == set(SCOPES)
    for scope, ruling in first.rulings.items():
        assert "skill refused: AUC uplift over the diffusion baseline with forecast sigma" in ruling.reason
        assert registry.version("bos", first.version).promotion(scope.symbol) == ruling.reason
    assert registry.holders("bos", CHAMPION) == {}
    assert registry.holders("bos", BASELINE) == dict.fromkeys(SCOPES, first.version)


def test_a_model_learned_nothing_from_the_traded_hours(first: TrainingResult, registry: Registry) -> None:
    spec = registry.load("bos", first.version).spec
    assert spec.version == first.version
    assert spec.symbols == ("BTCUSDT", "EURUSD")
    assert TRADE_FROM - timedelta(minutes=30) < spec.trained_until <= TRADE_FROM


def test_the_baseline_is_the_diffusion_calibrated(
    first: TrainingResult, registry: Registry, market: Bars, rows: Rows
) -> None:
    """Its predictions differ from the model's, and its log odds are those of the diffusion alone."""
    model = registry.load("bos", first.version)
    baseline = model.diffusion()
    inputs = np.random.default_rng(2).normal(1.0, 0.3, (200, len(model.inputs.names))).astype(np.float32)
    odds = baseline.start(inputs, model.inputs)
    np.testing.assert_allclose(baseline.uncalibrated(inputs), 1 / (1 + np.exp(-odds)), rtol=1e-6)
    assert np.abs(baseline.score(inputs) - model.score(inputs)).max() > 1e-3


def test_a_random_walk_shows_no_skill_over_the_diffusion_baseline(first: TrainingResult) -> None:
    assert first.evaluation.metrics["auc"] > 0.75
    assert abs(first.evaluation.uplift["over_atr"].auc.value) < 0.03
    assert set(first.evaluation.baselines) == {"diffusion_atr", "diffusion_forecast", "random_forest"}
    assert set(first.evaluation.by_symbol) == {"EURUSD", "BTCUSDT"}


def test_markets_without_an_edge_give_none_to_the_whole_pipeline(market: Bars) -> None:
    evaluations = control("bos", market, Settings())
    assert set(evaluations) == {"flipped", "gaussian"}
    for evaluation in evaluations.values():
        assert evaluation.metrics["auc"] > 0.7
        assert evaluation.uplift["over_atr"].auc.value < 0.03


def test_the_run_records_the_lineage_of_the_model(first: TrainingResult, registry: Registry) -> None:
    run = run_of(registry, first.version)
    assert run.info.status == "FINISHED"
    assert run.data.tags["source"] == "replay"
    assert run.data.tags["symbols"] == "BTCUSDT,EURUSD"
    assert run.data.tags["feature_hash"] == CATALOG.version
    assert run.data.tags["code_version"].startswith("0.")
    assert run.data.params["seed"] == "7"
    assert run.data.metrics["metrics.brier"] == pytest.approx(first.evaluation.metrics["brier"])
    assert "baselines.random_forest.auc" in run.data.metrics
    (data,) = run.inputs.dataset_inputs
    assert run.data.tags["data_sha256"].startswith(data.dataset.digest)


def test_a_model_predicts_the_same_after_the_round_trip_over_http(
    first: TrainingResult, registry: Registry, market: Bars, rows: Rows
) -> None:
    one, again = registry.load("bos", first.version), registry.load("bos", first.version)
    times = (market["EURUSD"]["open_time"] + pd.Timedelta(minutes=1))[2000:2200]
    events = pd.DataFrame({"source": "replay", "symbol": "EURUSD", "event_timestamp": times})
    values = rows(events, one.spec.columns)[list(one.spec.columns)].to_numpy(np.float64)
    expected = one.predict(values)
    assert np.nanmin(expected) > 0
    assert np.nanmax(expected) < 1
    np.testing.assert_array_equal(again.predict(values), expected)
    assert one.spec == again.spec
    assert one.spec.metrics == json.loads(json.dumps(plain(first.evaluation)))


def test_a_version_uses_the_intervals_of_its_stored_window(first: TrainingResult, registry: Registry) -> None:
    trained = registry.load("bos", first.version)
    window = Window.of(TRADE_FROM, np.full(50, 0.7), np.arange(50) % 2 == 0)
    try:
        registry.roll("bos", first.version, window)
        rolled = registry.load("bos", first.version)
        assert rolled.intervals == window.intervals() != trained.intervals
        assert rolled.calibration == trained.calibration
        assert registry.load("bos", first.version, rolled=False).intervals == trained.intervals
        registry.note("bos", first.version, WINDOW, "[]")
        with pytest.raises(
            ModelError, match=f"version {first.version} cannot be used: its rolling window was not signed"
        ):
            registry.load("bos", first.version)
    finally:
        registry.note("bos", first.version, WINDOW, "")
    assert registry.load("bos", first.version).intervals == trained.intervals


def test_another_champion_ends_the_challenge_of_its_symbol_alone(first: TrainingResult, registry: Registry) -> None:
    for scope in SCOPES:
        registry.challenge("bos", first.version, scope)
    registry.promote("bos", first.version, "again", ["EURUSD"])
    assert registry.holders("bos", CHALLENGER) == {BTCUSDT: first.version}
    registry.dismiss("bos", BTCUSDT)
    assert registry.holders("bos", CHALLENGER) == {}


def test_an_explanation_adds_up_to_the_answer(first: TrainingResult, registry: Registry) -> None:
    model = registry.load("bos", first.version)
    row = np.random.default_rng(4).uniform(0.5, 1.5, len(model.spec.columns))
    explained = explain(model, registry.booster("bos", first.version), row)
    assert [side.side for side in explained] == [1, -1]
    for side, probability in zip(explained, model.predict(row[None])[0], strict=True):
        assert side.start + sum(side.added.values()) == pytest.approx(np.log(probability / (1 - probability)))
        sizes = [abs(value) for value in side.added.values()][:-2]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("name", ["bos", "baseline"])
def test_recorded_predictions_are_explained_by_the_version_that_made_them(
    first: TrainingResult, registry: Registry, name: str
) -> None:
    model = registry.load("bos", first.version, rolled=False)
    row = np.random.default_rng(4).uniform(0.5, 1.5, len(model.spec.columns))
    answers = (model if name == "bos" else model.diffusion()).predict(row[None])[0]
    features = dict(zip(model.spec.columns, row.tolist(), strict=True))
    recorded = [
        Prediction("EURUSD", side, TRADE_FROM, float(answer), name, first.version, CATALOG.version, features)
        for side, answer in zip((Side.BUY, Side.SELL), answers, strict=True)
    ]
    explained = contributions(registry, recorded)
    assert [one.side for one in explained] == [Side.BUY, Side.SELL]
    assert all(one.explains for one in explained)
    json.dumps([one.to_json() for one in explained], allow_nan=False)
    printed = "".join(unbounded(contributions_table(one)) for one in explained)
    assert printed.count(f"probability {explained[0].steps.probability:.4f}") >= 1
    assert "recorded as" not in printed
    (other,) = contributions(registry, [replace(recorded[0], probability=0.123)])
    assert not other.explains
    assert "recorded as 0.1230" in unbounded(contributions_table(other))
    assert contributions(registry, [replace(recorded[0], probability=np.nan)]) == ()


def test_the_mlflow_flavour_reads_what_was_logged(first: TrainingResult, registry: Registry) -> None:
    mlflow.set_tracking_uri(registry.tracking_uri)
    model = registry.load("bos", first.version)
    loaded = mlflow.pyfunc.load_model(f"models:/bos/{first.version}")
    inputs = np.random.default_rng(1).normal(size=(20, len(model.inputs.names))).astype(np.float32)
    answered = loaded.predict(pd.DataFrame(inputs, columns=list(model.inputs.names)))
    np.testing.assert_allclose(np.ravel(answered["score"]), Scorer(model.graph, inputs.shape[1])(inputs), atol=1e-6)
    info = mlflow.models.get_model_info(f"models:/bos/{first.version}")
    assert info.signature.inputs.input_names() == list(model.inputs.names)
    assert info.metadata == {"feature_hash": CATALOG.version, "source": "replay"}


def test_nothing_in_the_artefacts_is_a_pickle(first: TrainingResult, artifacts: Path) -> None:
    files = [path for path in artifacts.rglob("*") if path.is_file()]
    assert {"model.onnx", "booster.ubj", "contract.json", "curves.json", "card.md", "card.html"} <= {
        path.name for path in files
    }
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib")]
    assert not [path for path in files if path.read_bytes()[:1] == b"\x80"]


def test_the_same_data_and_seed_give_the_same_model(
    trained: Callable[..., TrainingResult], first: TrainingResult, registry: Registry
) -> None:
    second = trained()
    assert second.version != first.version
    models = [registry.load("bos", version) for version in (first.version, second.version)]
    assert models[0].graph == models[1].graph
    assert (models[0].start, models[0].calibration) == (models[1].start, models[1].calibration)
    tags = [run_of(registry, version).data.tags["data_sha256"] for version in (first.version, second.version)]
    assert tags[0] == tags[1]


def test_unchanged_data_and_settings_register_no_new_version(
    trained: Callable[..., TrainingResult], first: TrainingResult, registry: Registry
) -> None:
    before = [version.version for version in registry.versions("bos")]
    with pytest.raises(UnchangedData) as refused:
        trained(again=False)
    assert str(refused.value) == (
        f"nothing to train: version {before[0]} of model bos was trained on the same data of replay BTCUSDT, "
        "replay EURUSD with the same settings"
    )
    assert [version.version for version in registry.versions("bos")] == before
    tags = registry.version("bos", before[0]).tags
    identity = {tag: tags[tag] for tag in (repetition.DATA, repetition.CONFIGURATION)}
    for tag in identity:
        repetition.refuse(registry, "bos", SCOPES, identity | {tag: "another"})
    repetition.refuse(registry, "bos", (*SCOPES, Scope("replay", "ETHUSDT")), identity)


def test_a_champion_that_knows_the_traded_hours_is_withdrawn_where_nothing_better_was_trained(
    trained: Callable[..., TrainingResult], first: TrainingResult, registry: Registry
) -> None:
    registry.promote("bos", first.version, "by hand")
    result = trained(trade_from=TRADE_FROM - timedelta(days=1))
    assert "later than the start of trading at 2024-03-10 00:00:00+00:00" in result.rulings[EURUSD].unfit
    assert registry.holders("bos", CHAMPION) == {}
    assert registry.holders("bos", BASELINE) == dict.fromkeys(SCOPES, result.version)
    decisions = registry.version("bos", first.version).promotion("EURUSD")
    assert decisions.startswith(first.rulings[EURUSD].reason)
    assert " | by hand | withdrawn: champion " in decisions


def test_a_failed_training_leaves_the_champion_serving(
    trained: Callable[..., TrainingResult], market: Bars, first: TrainingResult, registry: Registry
) -> None:
    registry.promote("bos", first.version, "by hand")
    with pytest.raises(ModelError, match=r"train span of EURUSD.*expected at least 50 samples"):
        trained(bars={"EURUSD": market["EURUSD"][:300]})
    assert registry.holders("bos", CHAMPION) == dict.fromkeys(SCOPES, first.version)


def test_features_of_another_hash_are_not_accepted(first: TrainingResult, registry: Registry) -> None:
    spec = registry.load("bos", first.version).spec
    spec.accept(CATALOG.version)
    with pytest.raises(FeatureMismatch, match=f"trained on features {CATALOG.version}, found 000000000000"):
        spec.accept("000000000000")


def test_a_graph_that_was_changed_is_not_loaded(
    trained: Callable[..., TrainingResult], registry: Registry, artifacts: Path
) -> None:
    before = set(artifacts.rglob("model.onnx"))
    spoiled = trained()
    (file,) = set(artifacts.rglob("model.onnx")) - before
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match=f"model bos version {spoiled.version} cannot be used: model.onnx"):
        registry.load("bos", spoiled.version)
    registry.promote("bos", spoiled.version, "by hand")
    ruling = trained().rulings[EURUSD]
    assert ruling.reason.startswith("skill refused: ")
    assert str(ruling.clauses[0]).startswith("champion passed: the champion could not be loaded")
    assert registry.champion("bos", EURUSD) == spoiled.version


def test_a_version_that_an_earlier_program_registered_is_refused_in_one_line(
    trained: Callable[..., TrainingResult], registry: Registry, artifacts: Path
) -> None:
    before = set(artifacts.rglob("signed.json"))
    version = trained().version
    (signed,) = set(artifacts.rglob("signed.json")) - before
    signed.unlink()
    with pytest.raises(ModelError) as refused:
        registry.load("bos", version)
    assert f"version {version} has no signature: an earlier program trained it; train again" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert version in [listed.version for listed in registry.versions("bos")]


def test_a_challenger_without_skill_is_refused_by_name_and_the_champion_stays(
    trained: Callable[..., TrainingResult], first: TrainingResult, registry: Registry
) -> None:
    registry.promote("bos", first.version, "by hand")
    refused = trained()
    assert refused.champion_of == ()
    assert "skill refused: AUC uplift over the diffusion baseline" in refused.reason
    assert registry.champion("bos", EURUSD) == first.version


def test_a_version_is_promoted_for_its_own_symbols_alone(
    trained: Callable[..., TrainingResult], market: Bars, first: TrainingResult, registry: Registry
) -> None:
    registry.promote("bos", first.version, "by hand")
    alone = trained(bars={"EURUSD": market["EURUSD"]})
    assert set(alone.rulings) == {EURUSD}
    with pytest.raises(ModelError, match="learned from EURUSD, not from BTCUSDT; train a model on its bars"):
        registry.promote("bos", alone.version, "by hand", ["BTCUSDT"])
    assert registry.promote("bos", alone.version, "by hand") == (EURUSD,)
    assert registry.holders("bos", CHAMPION) == {BTCUSDT: first.version, EURUSD: alone.version}


def test_a_rollback_brings_back_what_the_champion_replaced_symbol_by_symbol(
    trained: Callable[..., TrainingResult], first: TrainingResult, registry: Registry
) -> None:
    registry.promote("bos", first.version, "by hand")
    second = trained()
    registry.promote("bos", second.version, "by hand")
    assert registry.rollback("bos", "the new one was worse", ["EURUSD"]) == {EURUSD: first.version}
    assert registry.holders("bos", CHAMPION) == {BTCUSDT: second.version, EURUSD: first.version}
    assert registry.version("bos", second.version).promotion("EURUSD").endswith(" | by hand")
    with pytest.raises(ModelError, match="no champion of GBPUSD that replaced a version"):
        registry.rollback("bos", "", ["GBPUSD"])
    with pytest.raises(ModelError, match="model nowhere has no champion that replaced a version"):
        registry.rollback("nowhere", "")


def test_the_card_of_a_version_is_kept_with_it(first: TrainingResult, registry: Registry) -> None:
    card = registry.text("bos", first.version, "card.md")
    assert "Promotion gate: BTCUSDT: skill refused: " in card
    assert f"{first.evaluation.metrics['auc']:.4f}" in card
    assert "diffusion_atr" in card
    assert registry.text("bos", first.version, "card.html").startswith("<!doctype html>")
    with pytest.raises(ModelError, match=r"has no nothing\.md"):
        registry.text("bos", first.version, "nothing.md")


def test_a_model_that_is_not_registered_is_an_error(registry: Registry) -> None:
    assert registry.champion("nowhere", EURUSD) is None
    assert registry.versions("nowhere") == ()
    with pytest.raises(ModelError, match="nowhere version 3 is not in the registry"):
        registry.load("nowhere", "3")
    with pytest.raises(ModelError, match="no version 3 of model nowhere"):
        registry.promote("nowhere", "3", "by hand")


def test_a_server_that_is_down_is_named() -> None:
    with pytest.raises(ServiceError, match=r"MLflow at http://127\.0\.0\.1:9 failed"):
        open_registry(Settings(mlflow_port=9)).champion("bos", EURUSD)
