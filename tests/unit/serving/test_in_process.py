"""Predictions in process: by the version that the service answered with, or none."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from mikrobot.domain.errors import ScopeError, ServingError
from mikrobot.runtime import ManualClock
from mikrobot.serving.client import PredictionClient
from mikrobot.serving.in_process import InProcess
from mikrobot.serving.predictor import Predictor

ROW = {"m1_rsi_14": 55.0, "m1_return_1": 0.5, "m1_spread_atr": 1.5}


@pytest.fixture
def shelf(make_shelf: Callable[[], Any]) -> Any:
    shelf = make_shelf()
    shelf.promote("3")
    return shelf


@pytest.mark.parametrize("version", ["3", None])
def test_the_answer_is_that_of_the_service_and_says_where_it_was_made(shelf: Any, version: str | None) -> None:
    served = Predictor(shelf)
    served.refresh()
    answer = InProcess(shelf, "replay").predict("EURUSD", ROW, version)
    assert asdict(answer) == asdict(served.predict("EURUSD", ROW))
    assert str(answer) == "bos 3, learned from EURUSD, in process"


def test_another_version_than_that_of_the_service_predicts_nothing(shelf: Any) -> None:
    with pytest.raises(ServingError, match="answered with version 4, its kept files have version 3: nothing is pre"):
        InProcess(shelf, "replay").predict("EURUSD", ROW, "4")


def test_what_the_service_kept_since_is_used(shelf: Any) -> None:
    in_process = InProcess(shelf, "replay")
    in_process.predict("EURUSD", ROW, "3")
    shelf.promote("4")
    assert in_process.predict("EURUSD", ROW, "4").version == "4"


def test_without_kept_files_nothing_is_predicted(make_shelf: Callable[[], Any]) -> None:
    shelf = make_shelf()
    shelf.away = True
    with pytest.raises(ServingError, match="cannot be used in process: the registry does not answer"):
        InProcess(shelf, "replay").predict("EURUSD", ROW, None)


def test_files_that_vanish_later_change_nothing(shelf: Any) -> None:
    in_process = InProcess(shelf, "replay")
    before = in_process.predict("EURUSD", ROW, "3")
    shelf.away = True
    assert in_process.predict("EURUSD", ROW, "3") == before


def test_another_symbol_or_source_is_refused(shelf: Any) -> None:
    for source, symbol in (("replay", "GBPUSD"), ("binance", "EURUSD")):
        with pytest.raises(ScopeError, match="no model learned from"):
            InProcess(shelf, source).predict(symbol, ROW, None)


def test_a_client_predicts_in_process_only_if_it_may(shelf: Any, free_port: Callable[[], int]) -> None:
    url, clock = f"http://127.0.0.1:{free_port()}", ManualClock(datetime(2024, 5, 6, tzinfo=UTC))
    with PredictionClient(url, "replay", clock, patience_s=0.1, in_process=InProcess(shelf, "replay")) as client:
        assert client.columns("EURUSD") == tuple(ROW)
        assert str(client.predict("EURUSD", ROW)).endswith(", in process")
    with PredictionClient(url, "replay", clock, patience_s=0.1) as client, pytest.raises(ServingError):
        client.predict("EURUSD", ROW)
