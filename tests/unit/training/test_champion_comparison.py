"""Rulings by symbol, on synthetic samples of two symbols."""

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from mikrobot.domain.errors import ModelError
from mikrobot.models.bos import BosInputs
from mikrobot.models.scope import Scope
from mikrobot.models.spec import ModelSpec
from mikrobot.models.task import Task
from mikrobot.training.champion_comparison import rule
from mikrobot.training.evaluation import fit_baselines

EURUSD, BTCUSDT = Scope("replay", "EURUSD"), Scope("replay", "BTCUSDT")
INPUTS = BosInputs(5)


EDGE, MARK, NOISE = 5, 7, 8
"""Inputs: one with an edge, one that marks EURUSD, and one without information."""


@dataclass
class Scored:
    """Predicts the true probability of the samples, with noise in the log odds."""

    spec: ModelSpec
    noise: float
    inputs: BosInputs = field(default_factory=lambda: INPUTS)

    def score(self, inputs):
        values = np.where(np.isfinite(inputs), inputs, 0.0).astype(float)
        odds = -0.5 - values[:, 0] + 1.5 * values[:, EDGE] * values[:, MARK] + self.noise * values[:, NOISE]
        return 1 / (1 + np.exp(-odds))


@dataclass
class Shelf:
    champions: dict[Scope, str] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)

    def holders(self, name, role):
        return self.champions

    def load(self, name, version, *, rolled):
        assert not rolled
        if version not in self.models:
            raise ModelError(f"version {version} is corrupt")
        return self.models[version]


@pytest.fixture
def data(make_dataset):
    """Ten days of both symbols; the sixth input has an edge for EURUSD and none for BTCUSDT."""
    parts = [make_dataset(2_880, edge=1.5, seed=3), make_dataset(2_880, edge=0.0, seed=4)]
    joined = type(parts[0])(*(np.concatenate([getattr(p, column.name) for p in parts]) for column in fields(parts[0])))
    start = np.datetime64("2024-03-04T00:01", "us")
    time = np.tile(start + np.arange(2_880) * np.timedelta64(5, "m"), 2)
    symbol = np.repeat(["EURUSD", "BTCUSDT"], 2_880)
    joined.inputs[:, MARK] = symbol == "EURUSD"
    return replace(joined, symbol=symbol, time=time, end=time + np.timedelta64(5, "m"))


@pytest.fixture
def model(data):
    diffusion = fit_baselines(data, np.arange(len(data)), Task(), INPUTS)

    def make(version="", noise=0.0, symbols=("BTCUSDT", "EURUSD"), **changed):
        spec = ModelSpec(
            name="bos", version=version, source="replay", symbols=symbols, feature_hash="0123456789ab",
            columns=INPUTS.columns, swing=5, horizon_minutes=5,
            trained_from=datetime(2024, 1, 1, tzinfo=UTC), trained_until=datetime(2024, 3, 4, tzinfo=UTC),
            metrics={}, diffusion=diffusion,
        )  # fmt: skip
        return Scored(replace(spec, **changed), noise)

    return make


def ruled(challenger, shelf, data, **given):
    return rule(challenger, shelf, data, np.arange(len(data)), trade_from=given.pop("trade_from", None), **given)


def test_a_first_version_is_promoted_for_the_symbol_where_it_has_skill_alone(model, data):
    rulings = ruled(model(), Shelf(), data)
    assert rulings[EURUSD].promote, rulings[EURUSD].reason
    assert [c.name for c in rulings[BTCUSDT].clauses if not c.passed] == ["skill"]


def test_a_version_is_ruled_on_for_the_symbols_that_it_learned_from_alone(model, data):
    assert set(ruled(model(symbols=("EURUSD",)), Shelf(), data)) == {EURUSD}


def test_the_champion_of_another_symbol_refuses_nobody(model, data):
    """In an earlier version, a challenger of BTCUSDT was compared with a champion of EURUSD."""
    shelf = Shelf({BTCUSDT: "7"}, {"7": model("7")})
    rulings = ruled(model(), shelf, data)
    assert rulings[EURUSD].promote
    assert "there was no champion" in str(rulings[EURUSD].clauses[0])


def test_a_champion_that_is_better_beyond_chance_stays(model, data):
    shelf = Shelf({EURUSD: "7"}, {"7": model("7")})
    ruling = ruled(model(noise=2.0), shelf, data)[EURUSD]
    assert "champion refused: AUC over the champion -" in ruling.reason


def test_the_same_model_again_takes_the_place_of_the_champion(model, data):
    shelf = Shelf({EURUSD: "7"}, {"7": model("7")})
    assert ruled(model(), shelf, data)[EURUSD].promote


@pytest.mark.parametrize(
    ("changed", "trade_from", "complaint"),
    [
        ({"feature_hash": "f" * 12}, None, "was trained on features ffffffffffff, the current version is 0123"),
        ({"swing": 15}, None, "predicts for swing 15 and 5 minutes, expected swing 5 and 5 minutes"),
        ({}, datetime(2024, 3, 3, tzinfo=UTC), "was trained on data up to 2024-03-04 00:00:00+00:00, later than"),
    ],
)
def test_a_champion_that_may_not_serve_is_named_and_ruled_out(model, data, changed, trade_from, complaint):
    shelf = Shelf({EURUSD: "7", BTCUSDT: "7"}, {"7": model("7", **changed)})
    rulings = ruled(model(), shelf, data, trade_from=trade_from)
    for scope in (EURUSD, BTCUSDT):
        assert rulings[scope].unfit.startswith(f"champion 7 {complaint}")
    assert rulings[EURUSD].promote
    assert not rulings[BTCUSDT].promote


def test_a_champion_that_cannot_be_loaded_is_passed_over(model, data):
    ruling = ruled(model(), Shelf({EURUSD: "7"}), data)[EURUSD]
    assert ruling.promote
    assert ruling.unfit == ""
    assert "the champion could not be loaded: version 7 is corrupt" in ruling.reason


def test_a_symbol_with_one_outcome_on_the_test_span_is_refused(model, data):
    one_sided = replace(data, outcome=data.outcome & (data.symbol == "EURUSD"))
    rulings = ruled(model(), Shelf(), one_sided)
    assert "samples refused: all 2880 samples of the test span have the same outcome" in rulings[BTCUSDT].reason
    assert rulings[EURUSD].clauses[0].name == "champion"


def test_shadow_predictions_are_asked_for_where_there_is_a_champion(model, data):
    shelf = Shelf({EURUSD: "7"}, {"7": model("7")})
    rulings = ruled(model(), shelf, data, shadow_asked=500)
    assert rulings[EURUSD].waits
    assert not rulings[BTCUSDT].waits
