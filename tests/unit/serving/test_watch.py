"""The watch of the registry: what it asks, and what it does while the registry does not answer."""

import subprocess
import sys
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest

from mikrobot.serving.predictor import Predictor
from mikrobot.serving.watch import poll, watch

ROW = {"m1_rsi_14": 50.0, "m1_return_1": 2.0, "m1_spread_atr": 0.5}


@pytest.fixture
def shelf(make_shelf: Callable[[], Any]) -> Any:
    shelf = make_shelf()
    shelf.promote("1")
    return shelf


def test_one_poll_asks_for_the_aliases_and_for_the_window_of_each_version_once(shelf: Any) -> None:
    shelf.promote("1", symbols=("BTCUSDT", "EURUSD"))
    shelf.promote("1", role="baseline", symbols=("BTCUSDT", "EURUSD"))
    champion, challenger = Predictor(shelf), Predictor(shelf, role="challenger", stand_in="")
    assert poll(shelf, [champion, challenger]) == ["", ""]
    assert [origin.symbol for origin in champion.served()] == ["BTCUSDT", "EURUSD"]
    assert shelf.asked == 2


def test_a_challenger_that_cannot_be_loaded_is_the_problem_of_its_predictor_alone(shelf: Any) -> None:
    shelf.promote("2", role="challenger").predict = lambda values: values
    champion, challenger = Predictor(shelf), Predictor(shelf, role="challenger", stand_in="")
    problems = poll(shelf, [champion, challenger])
    assert problems[0] == ""
    assert "version 2 predicts 1 rows with an array of shape" in problems[1]
    assert (champion.ready, challenger.ready) == (True, False)


def test_the_watch_outlives_a_registry_that_is_away(shelf: Any) -> None:
    predictor, stop = Predictor(shelf), Event()
    assert predictor.refresh()
    watching = Thread(target=watch, args=(shelf, [predictor], 0.01, stop))
    shelf.away = True
    shelf.promote("2")
    watching.start()
    assert not stop.wait(0.05)
    assert predictor.predict("EURUSD", ROW).version == "1"
    shelf.away = False
    for _ in range(200):
        if predictor.spec("EURUSD").version == "2" or stop.wait(0.01):
            break
    stop.set()
    watching.join(5.0)
    assert not watching.is_alive()
    assert predictor.predict("EURUSD", ROW).version == "2"


WATCHING = """
import sys
from threading import Event
from mikrobot.serving.predictor import Predictor
from mikrobot.serving.watch import watch

class Empty:
    def aliases(self, name):
        return {}

class Once(Event):
    def wait(self, timeout=None):
        self.set()

watch(Empty(), [Predictor(Empty())], 0.01, Once())
print("onnxruntime" in sys.modules, {"xgboost", "sklearn", "pandas", "scipy"} & sys.modules.keys())
"""


def test_the_watch_imports_what_a_model_needs_before_there_is_one_and_nothing_for_training() -> None:
    process = subprocess.run([sys.executable, "-c", WATCHING], capture_output=True, text=True, check=True)
    assert process.stdout == "True set()\n"
