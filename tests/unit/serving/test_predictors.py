"""The predictors of all kinds: which of them answer for a scope, and the columns that they need together."""

from collections.abc import Callable
from typing import Any

import pytest

from mikrobot.domain.errors import FeatureMismatch, ScopeError, ServingError
from mikrobot.serving.predictors import Predictors

ROW = {"m1_rsi_14": 50.0, "m1_return_1": 2.0, "m1_spread_atr": 0.5}
OTHER = ("m1_rsi_14", "m5_rsi_14", "h1_rsi_14")


@pytest.fixture
def shelf(make_shelf: Callable[[], Any]) -> Any:
    """A registry in which every kind of model has the same versions."""
    shelf = make_shelf()
    shelf.promote("1")
    return shelf


def refreshed(shelf: Any, *kinds: str) -> Predictors:
    predictors = Predictors.of(shelf)
    for kind in kinds:
        predictors.champion(kind).refresh()
    return predictors


def test_the_traded_kind_is_the_first_of_all(shelf: Any) -> None:
    predictors = Predictors.of(shelf)
    assert list(predictors.champions) == ["bos", "nowcast", "retest", "false_break"]
    assert [(predictor.name, predictor.role) for predictor in predictors][:2] == [
        ("bos", "champion"),
        ("bos", "challenger"),
    ]


def test_only_the_kinds_that_serve_the_scope_answer(shelf: Any) -> None:
    assert list(refreshed(shelf, "bos", "retest").predict("EURUSD", ROW)) == ["bos", "retest"]
    assert list(refreshed(shelf, "retest").predict("EURUSD", ROW)) == ["retest"]


def test_all_kinds_take_the_columns_that_they_need_together(shelf: Any) -> None:
    predictors = refreshed(shelf, "bos")
    shelf.promote("2", columns=OTHER)
    predictors.champion("nowcast").refresh()
    together = ROW | dict.fromkeys(OTHER, 1.0)
    answers = predictors.predict("EURUSD", together)
    assert {name: answer.version for name, answer in answers.items()} == {"bos": "1", "nowcast": "2"}
    with pytest.raises(
        FeatureMismatch, match="models bos, nowcast need their 5 columns by name: missing m5_rsi_14, h1_rsi_14"
    ):
        predictors.predict("EURUSD", ROW)
    with pytest.raises(FeatureMismatch, match="unknown zebra"):
        predictors.predict("EURUSD", together | {"zebra": 1.0})


def test_without_any_model_it_says_what_to_do(shelf: Any) -> None:
    with pytest.raises(ServingError, match="no version of model bos is served"):
        refreshed(shelf).predict("EURUSD", ROW)


def test_an_unknown_kind_or_symbol_is_refused(shelf: Any) -> None:
    predictors = refreshed(shelf, "bos")
    with pytest.raises(ScopeError, match="model: expected bos or nowcast or retest or false_break, found 'zebra'"):
        predictors.champion("zebra")
    with pytest.raises(ScopeError, match="no model learned from GBPUSD"):
        predictors.predict("GBPUSD", ROW)
