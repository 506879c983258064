"""The watch of the registry: what it asks, and what it does while the registry does not answer."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from mikrobot.domain.errors import ServiceError
from mikrobot.serving.predictor import Predictor
from mikrobot.serving.watch import Watch, poll
from mikrobot.serving.workers import Workers

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


class Down(ServiceError):
    """The registry does not answer."""


def test_a_registry_that_is_down_is_asked_once_and_what_was_kept_is_served_only_by_a_cold_predictor(shelf: Any) -> None:
    kept = type(shelf)(dict(shelf.models), dict(shelf.roles))
    warm, cold = Predictor(shelf), Predictor(shelf)
    assert warm.refresh()
    asked = []

    def away(name: str) -> Any:
        asked.append(name)
        raise Down("MLflow does not answer")

    shelf.aliases = away
    kept.promote("2")
    assert poll(shelf, [warm, cold], kept) == ["MLflow does not answer"] * 2
    assert asked == ["bos"]
    assert warm.predict("EURUSD", ROW).version == "1"
    assert cold.predict("EURUSD", ROW).version == "2"


def test_the_watch_outlives_a_registry_that_is_away(shelf: Any, tmp_path: Path) -> None:
    predictor, stop = Predictor(shelf), Event()
    assert predictor.refresh()
    watching = Thread(target=Watch(shelf, [predictor], Workers(tmp_path), 0.01).run, args=(stop,))
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
from pathlib import Path
from threading import Event
from mikrobot.serving.predictor import Predictor
from mikrobot.serving.watch import Watch
from mikrobot.serving.workers import Workers

class Empty:
    def aliases(self, name):
        return {}

class Once(Event):
    def wait(self, timeout=None):
        self.set()
        return True

Watch(Empty(), [Predictor(Empty())], Workers(Path(sys.argv[1])), 0.01).run(Once())
print("onnxruntime" in sys.modules, {"xgboost", "sklearn", "pandas", "scipy"} & sys.modules.keys())
"""


def test_the_watch_imports_what_a_model_needs_before_there_is_one_and_nothing_for_training(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", WATCHING, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert process.stdout == "True set()\n"
