import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from mikrobot.domain.errors import FeatureMismatch, ModelError, ScopeError, ServingError
from mikrobot.models.scope import Scope
from mikrobot.serving.predictor import Predictor

ROW = {"m1_rsi_14": 50.0, "m1_return_1": 2.0, "m1_spread_atr": 0.5}
UP = 0.001 * 50.0 + 0.01 * 2.0 + 0.1 * 0.5


@pytest.fixture
def shelf(make_shelf: Callable[[], Any]) -> Any:
    shelf = make_shelf()
    shelf.promote("1")
    return shelf


@pytest.fixture
def predictor(shelf: Any) -> Predictor:
    predictor = Predictor(shelf)
    assert predictor.refresh()
    return predictor


def test_nothing_is_ready_before_there_is_a_champion(make_shelf: Callable[[], Any]) -> None:
    predictor = Predictor(make_shelf())
    assert not predictor.refresh()
    assert not predictor.ready
    with pytest.raises(ServingError, match="no version of model bos is served"):
        predictor.predict("EURUSD", ROW)


def test_a_model_answers_one_row_and_a_batch_before_it_is_served(predictor: Predictor, shelf: Any) -> None:
    assert shelf.models["1"].asked == [(1, 3), (64, 3)]
    assert predictor.ready


def test_a_new_window_of_the_same_version_is_served(predictor: Predictor, shelf: Any) -> None:
    assert not predictor.refresh()
    shelf.kept = "another window"
    assert predictor.refresh()
    assert not predictor.refresh()


def test_a_champion_that_was_withdrawn_is_served_on_and_a_challenger_is_not(shelf: Any) -> None:
    shelf.promote("2", role="challenger")
    champion, challenger = Predictor(shelf), Predictor(shelf, role="challenger", stand_in="")
    for predictor in (champion, challenger):
        assert predictor.refresh()
    shelf.roles = {}
    assert not champion.refresh()
    assert challenger.refresh()
    assert champion.ready
    assert not challenger.ready


def test_the_answer_says_where_it_comes_from(predictor: Predictor) -> None:
    answer = predictor.predict("EURUSD", ROW)
    assert (answer.model, answer.version, answer.fitted_with) == ("bos", "1", "1")
    assert (answer.source, answer.symbol, answer.trained_on) == ("replay", "EURUSD", ("EURUSD",))
    assert answer.feature_hash == "0123456789ab"
    assert answer.trained_until == datetime(2024, 5, 6, tzinfo=UTC)
    assert answer.probability_up == pytest.approx(UP)


def test_a_side_without_a_level_has_no_probability(predictor: Predictor) -> None:
    assert predictor.predict("EURUSD", ROW).probability_down is None


@pytest.mark.parametrize(
    ("rsi", "plausible", "predicted"),
    [(100.0, "holds", "hold"), (300.0, "both", "abstain"), (600.0, "none", "abstain"), (900.0, "breaks", "break")],
)
def test_an_answer_has_its_interval_its_set_and_what_is_predicted(
    predictor: Predictor, rsi: float, plausible: str, predicted: str
) -> None:
    answer = predictor.predict("EURUSD", {"m1_rsi_14": rsi, "m1_return_1": 0.0, "m1_spread_atr": 0.0})
    assert answer.interval_up == pytest.approx((rsi / 1000 - 0.01, rsi / 1000 + 0.01))
    assert (answer.set_up, answer.predicted_up) == (plausible, predicted)
    assert (answer.interval_down, answer.set_down, answer.predicted_down) == (None, None, None)


def test_features_count_by_name_not_by_order(predictor: Predictor) -> None:
    assert predictor.predict("EURUSD", dict(reversed(ROW.items()))) == predictor.predict("EURUSD", ROW)


@pytest.mark.parametrize("missing", [None, math.nan, np.float64("nan")])
def test_a_missing_value_reaches_the_model_as_missing(predictor: Predictor, missing: float | None) -> None:
    assert predictor.predict("EURUSD", ROW | {"m1_spread_atr": missing}).probability_up == pytest.approx(UP - 0.05)


def test_every_missing_and_unknown_name_is_listed(predictor: Predictor) -> None:
    with pytest.raises(FeatureMismatch) as refused:
        predictor.predict("EURUSD", {"m1_rsi_14": 50.0, "zebra": 1.0, "apple": 2.0})
    assert "missing m1_return_1, m1_spread_atr; unknown apple, zebra" in str(refused.value)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, np.float64("inf"), 10**400])
def test_an_infinite_value_is_refused_by_name(predictor: Predictor, bad: float) -> None:
    with pytest.raises(FeatureMismatch, match="m1_return_1 is infinite"):
        predictor.predict("EURUSD", ROW | {"m1_return_1": bad})


@pytest.mark.parametrize("bad", ["55", True, [1.0], 1j])
def test_a_value_that_is_no_number_is_refused_by_name(predictor: Predictor, bad: Any) -> None:
    with pytest.raises(FeatureMismatch, match=r"m1_return_1 is .* expected a number"):
        predictor.predict("EURUSD", ROW | {"m1_return_1": bad})


def test_a_batch_answers_as_its_rows_do(predictor: Predictor) -> None:
    columns = ("m1_spread_atr", "m1_rsi_14", "m1_return_1")
    rows = [[0.5, 50.0, 2.0], [None, 20.0, -1.0]]
    answers = predictor.predict_many("EURUSD", columns, rows)
    singly = [predictor.predict("EURUSD", dict(zip(columns, row, strict=True))) for row in rows]
    assert answers.probability_up == tuple(answer.probability_up for answer in singly)
    assert answers.interval_up == tuple(answer.interval_up for answer in singly)
    assert answers.set_up == tuple(answer.set_up for answer in singly)
    assert answers.predicted_up == tuple(answer.predicted_up for answer in singly)
    assert answers.probability_down == answers.interval_down == answers.predicted_down == (None, None)
    assert answers.version == "1"


def test_an_empty_batch_has_no_answers(predictor: Predictor) -> None:
    assert predictor.predict_many("EURUSD", tuple(ROW), []).probability_up == ()


@pytest.mark.parametrize(
    ("columns", "rows", "complaint"),
    [
        (("m1_rsi_14", "m1_rsi_14", "m1_return_1", "m1_spread_atr"), [], "given twice m1_rsi_14"),
        (("m1_rsi_14", "m1_return_1"), [], "missing m1_spread_atr"),
        (tuple(ROW), [[1.0, 2.0, 3.0], [1.0, 2.0]], "row 1 has 2 values, expected one for each of 3 columns"),
        (tuple(ROW), [[1.0, 2.0, 3.0], [1.0, math.inf, 3.0]], "row 1: m1_return_1 is infinite"),
    ],
)
def test_a_bad_batch_is_refused_with_the_place(
    predictor: Predictor, columns: tuple[str, ...], rows: list[list[float]], complaint: str
) -> None:
    with pytest.raises(FeatureMismatch, match=complaint):
        predictor.predict_many("EURUSD", columns, rows)


def test_a_promoted_version_takes_over_and_is_loaded_once(predictor: Predictor, shelf: Any) -> None:
    shelf.promote("2")
    assert predictor.refresh()
    assert not predictor.refresh()
    assert predictor.predict("EURUSD", ROW).version == "2"
    assert shelf.models["2"].asked == [(1, 3), (64, 3), (1, 3)]


def test_a_withdrawn_champion_is_served_on(predictor: Predictor, shelf: Any) -> None:
    shelf.roles = {}
    assert not predictor.refresh()
    assert predictor.predict("EURUSD", ROW).version == "1"


def test_a_champion_that_does_not_answer_leaves_the_old_one(predictor: Predictor, shelf: Any) -> None:
    shelf.promote("2").predict = lambda values: np.zeros((len(values), 3))
    with pytest.raises(ModelError, match="version 2 predicts 1 rows with an array of shape"):
        predictor.refresh()
    assert predictor.predict("EURUSD", ROW).version == "1"


def test_no_request_fails_or_mixes_models_while_versions_change(predictor: Predictor, shelf: Any) -> None:
    renamed = ("other_rsi", "other_return", "other_spread")
    finished = Event()
    wrong: list[str] = []

    def ask() -> None:
        while not finished.is_set():
            try:
                answer = predictor.predict("EURUSD", ROW)
            except FeatureMismatch as refused:
                if not all(name in str(refused) for name in renamed):
                    wrong.append(str(refused))
            else:
                if answer.version.startswith("other"):
                    wrong.append(answer.version)

    asking = [Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    for number in range(60):
        shelf.promote(f"other {number}", renamed) if number % 2 else shelf.promote(f"same {number}")
        predictor.refresh()
    finished.set()
    for thread in asking:
        thread.join()
    assert wrong == []


def test_each_symbol_is_answered_by_the_version_that_learned_from_it(predictor: Predictor, shelf: Any) -> None:
    shelf.promote("2", symbols=("BTCUSDT",))
    assert predictor.refresh()
    for symbol, version in (("EURUSD", "1"), ("BTCUSDT", "2")):
        answer = predictor.predict(symbol, ROW)
        assert (answer.version, answer.symbol, answer.trained_on) == (version, symbol, (symbol,))
    assert [(origin.symbol, origin.version) for origin in predictor.served()] == [("BTCUSDT", "2"), ("EURUSD", "1")]


def test_a_symbol_that_no_model_learned_from_is_not_answered(predictor: Predictor) -> None:
    with pytest.raises(ScopeError, match="no model learned from GBPUSD; the service answers for replay EURUSD"):
        predictor.predict("GBPUSD", ROW)
    with pytest.raises(ScopeError, match="no model learned from binance EURUSD"):
        predictor.predict("EURUSD", ROW, "binance")


def test_a_champion_of_a_symbol_that_it_did_not_learn_from_is_refused(predictor: Predictor, shelf: Any) -> None:
    shelf.roles["champion"][Scope("replay", "BTCUSDT")] = "1"
    with pytest.raises(ModelError, match="replay BTCUSDT: version 1 learned from replay EURUSD"):
        predictor.refresh()
    with pytest.raises(ScopeError):
        predictor.predict("BTCUSDT", ROW)
    assert predictor.predict("EURUSD", ROW).version == "1"


def test_the_source_must_be_named_where_two_answer_for_a_symbol(predictor: Predictor, shelf: Any) -> None:
    shelf.models["2"] = replace(shelf.models["1"], spec=replace(shelf.models["1"].spec, source="binance"))
    shelf.roles["champion"][Scope("binance", "EURUSD")] = "2"
    assert predictor.refresh()
    with pytest.raises(ScopeError, match=r"expected a symbol and a source to choose one of .*; found 'EURUSD'"):
        predictor.predict("EURUSD", ROW)
    assert predictor.predict("EURUSD", ROW, "binance").source == "binance"


def test_the_baseline_answers_until_there_is_a_champion_and_again_when_it_is_withdrawn(make_shelf: Any) -> None:
    shelf = make_shelf()
    shelf.promote("1", role="baseline")
    predictor = Predictor(shelf)
    assert predictor.refresh()
    answer = predictor.predict("EURUSD", ROW)
    assert (answer.model, answer.version, answer.fitted_with) == ("baseline", None, "1")
    assert str(answer) == "the diffusion baseline of version 1, learned from EURUSD"
    shelf.promote("2")
    assert predictor.refresh()
    assert (predictor.predict("EURUSD", ROW).model, predictor.predict("EURUSD", ROW).version) == ("bos", "2")
    del shelf.roles["champion"]
    assert predictor.refresh()
    assert predictor.predict("EURUSD", ROW).model == "baseline"
