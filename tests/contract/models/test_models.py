"""The contract of every model."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import xgboost as xgb

from mikrobot.domain.errors import FeatureMismatch, ModelError
from mikrobot.models import graph
from mikrobot.models.bos import BosInputs
from mikrobot.models.calibration import Calibration
from mikrobot.models.conformal import BREAKS, HOLDS, Intervals
from mikrobot.models.explanation import CALIBRATION, MEMBERS, explain
from mikrobot.models.labels.samples import SIDES
from mikrobot.models.model import Model, Start
from mikrobot.models.spec import ModelSpec
from mikrobot.models.task import Task


def bos(swing: int) -> tuple[Model, xgb.Booster]:
    """A model fitted on synthetic rows in which near levels break, and its trees."""
    inputs = BosInputs(swing)
    values = rows_for(inputs.columns, 3000, seed=2)
    made_inputs = inputs(values, np.ones(3000, dtype=np.int8))
    broken = made_inputs[:, 0] < np.random.default_rng(2).exponential(1.0, 3000)
    start = Start.fit(Task("bos", swing, 5), inputs, "level_atr", made_inputs, outcome=broken)
    booster = xgb.train(
        {"objective": "binary:logistic", "max_depth": 3, "base_score": 0.5},
        xgb.DMatrix(made_inputs, broken, base_margin=start(made_inputs, inputs)),
        20,
    )
    whole = graph.joined([graph.of_booster("boosted", booster)], len(inputs.names))
    spec = ModelSpec(
        name="bos",
        version="1",
        source="replay",
        symbols=("BTCUSDT", "EURUSD"),
        feature_hash="abc",
        columns=inputs.columns,
        swing=swing,
        horizon_minutes=5,
        trained_from=datetime(2024, 3, 4, tzinfo=UTC),
        trained_until=datetime(2024, 3, 8, tzinfo=UTC),
        metrics={"metrics": {"auc": 0.8}},
    )
    plain = Model(spec, whole, start, Calibration((0.0, 1.0), (0.0, 1.0)))
    fitted = replace(plain, calibration=Calibration.fit(plain.score(made_inputs), broken))
    return replace(fitted, intervals=Intervals.of(fitted.calibrated(made_inputs), broken)), booster


def rows_for(columns: tuple[str, ...], n: int, seed: int) -> np.ndarray:
    """Rows with levels on both sides of a close of about 100."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.5, 1.5, (n, len(columns)))
    for number, name in enumerate(columns):
        if name.endswith("_distance"):
            values[:, number] = rng.exponential(1.0, n)
        elif name.endswith("above") or name.endswith("below") or "ema" in name:
            values[:, number] = 100 + rng.normal(0, 3, n)
        elif name.startswith("m1_tick"):
            values[:, number] *= 1e-4
    return values


Fitted = tuple[Model, xgb.Booster]
MODELS: dict[str, Callable[[], Fitted]] = {"bos of swing 5": lambda: bos(5), "bos of swing 15": lambda: bos(15)}


@pytest.fixture(params=list(MODELS), scope="module")
def fitted(request: pytest.FixtureRequest) -> Fitted:
    return MODELS[request.param]()


@pytest.fixture(scope="module")
def model(fitted: Fitted) -> Model:
    return fitted[0]


@pytest.fixture
def values(model: Model) -> np.ndarray:
    return rows_for(model.spec.columns, 300, seed=5)


def test_answers_are_probabilities_of_both_sides(model: Model, values: np.ndarray) -> None:
    answers = model.predict(values)
    assert answers.shape == (300, 2)
    assert ((answers > 0) & (answers < 1)).all()
    assert answers.std() > 0.01


def test_a_row_alone_is_answered_as_among_many(model: Model, values: np.ndarray) -> None:
    together = model.predict(values)
    for number in (0, 7, 299):
        np.testing.assert_array_equal(model.predict(values[number : number + 1])[0], together[number])


def other_window(model: Model) -> Model:
    """The model on a window in which only every second near level broke."""
    score = np.random.default_rng(9).beta(1, 3, 4000)
    return replace(model, intervals=Intervals.of(score, np.random.default_rng(10).random(4000) < score / 2))


@pytest.mark.parametrize("of", [lambda model: model, other_window], ids=["as trained", "on another window"])
def test_every_answer_is_the_served_probability_inside_its_interval(
    model: Model, values: np.ndarray, of: Callable[[Model], Model]
) -> None:
    """In an earlier version, 94 % of the probabilities lay outside their served interval."""
    model = of(model)
    answered = model.answer(values)
    assert ((answered.low < answered.probability) & (answered.probability < answered.high)).all()
    np.testing.assert_allclose(answered.probability, answered.high / (1 - answered.low + answered.high), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(values), answered.probability)
    inputs = model.inputs(np.repeat(values, 2, axis=0), np.tile(SIDES, len(values)))
    np.testing.assert_array_equal(model.score(inputs).reshape(-1, 2), answered.probability)


def test_another_window_changes_probability_interval_and_set_together(model: Model, values: np.ndarray) -> None:
    before, after = model.answer(values), other_window(model).answer(values)
    assert (after.probability < before.probability - 0.02).mean() > 0.5
    assert (after.high < before.probability).mean() > 0.5
    order = np.argsort(model.calibrated(model.inputs(values, np.ones(len(values), dtype=np.int8))))
    for answered in (before, after):
        assert (np.diff(answered.probability[order, 0]) >= 0).all()
    assert (before.sets != after.sets).any()


def test_sets_follow_the_probability(model: Model, values: np.ndarray) -> None:
    answered = model.answer(values)
    breaks, holds = (answered.probability[answered.sets == code] for code in (BREAKS, HOLDS))
    assert holds.max() < breaks.min()


def test_a_model_without_known_outcomes_answers_without_an_interval(model: Model, values: np.ndarray) -> None:
    answered = replace(model, intervals=None).answer(values)
    assert np.isfinite(answered.probability).all()
    assert np.isnan(answered.low).all()
    assert np.isnan(answered.high).all()


def test_an_explanation_ends_at_the_log_odds_of_the_served_probability(fitted: Fitted, values: np.ndarray) -> None:
    """In an earlier version, it ended at .163 while .128 was served."""
    trained, booster = fitted
    for model in (trained, other_window(trained)):
        for row, served in zip(values[:10], model.predict(values[:10]), strict=True):
            for side, probability in zip(explain(model, booster, row), served, strict=True):
                assert side.start + sum(side.added.values()) == pytest.approx(np.log(probability / (1 - probability)))
                assert side.probability == pytest.approx(probability)
                assert list(side.added)[-2:] == [MEMBERS, CALIBRATION]
                assert side.added[MEMBERS] == pytest.approx(0, abs=1e-4)
                sizes = [abs(value) for value in side.added.values()][:-2]
                assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(("name", "side"), [("above", 0), ("below", 1)])
def test_a_side_without_a_level_has_no_probability(model: Model, values: np.ndarray, name: str, side: int) -> None:
    family = f"m1_break_{model.spec.swing}_{name}"
    for column in (family, f"{family}_distance"):
        values[:, model.spec.columns.index(column)] = np.nan
    answered = model.answer(values)
    for answers in (model.predict(values), answered.probability, answered.low, answered.high):
        assert np.isnan(answers[:, side]).all()
        assert np.isfinite(answers[:, 1 - side]).all()


def test_a_row_in_which_all_is_missing_has_no_probability(model: Model, values: np.ndarray) -> None:
    assert np.isnan(model.predict(np.full_like(values, np.nan))).all()


def test_missing_inputs_other_than_the_distance_are_taken(model: Model, values: np.ndarray) -> None:
    for column in ("m1_spread_atr", "h1_rsi_14", "m5_break_5_above"):
        values[:, model.spec.columns.index(column)] = np.nan
    assert np.isfinite(model.predict(values)).all()


def test_no_rows_give_no_answers(model: Model, values: np.ndarray) -> None:
    assert model.predict(values[:0]).shape == (0, 2)


def test_the_values_given_are_left_alone(model: Model, values: np.ndarray) -> None:
    before = values.copy()
    model.predict(values)
    np.testing.assert_array_equal(values, before)


def test_rows_of_another_width_are_refused(model: Model, values: np.ndarray) -> None:
    expected = len(model.spec.columns)
    with pytest.raises(FeatureMismatch, match=f"expected rows of {expected} columns, found shape"):
        model.predict(values[:, 1:])
    with pytest.raises(FeatureMismatch, match="found shape"):
        model.predict(values[0])


def test_features_of_another_hash_are_refused(model: Model) -> None:
    model.spec.accept("abc")
    with pytest.raises(FeatureMismatch, match="trained on features abc, found def; train a model"):
        model.spec.accept("def")


def test_a_spec_survives_as_json(model: Model) -> None:
    assert ModelSpec.from_json(model.spec.to_json()) == model.spec


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "bos"}'])
def test_text_that_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="expected a model spec"):
        ModelSpec.from_json(text)


def test_a_spec_with_an_unknown_field_is_refused(model: Model) -> None:
    text = replace(model.spec, name="x").to_json().replace('"name"', '"extra": 1, "name"')
    with pytest.raises(ModelError, match="expected a model spec"):
        ModelSpec.from_json(text)
