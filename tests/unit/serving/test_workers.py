"""The states of the workers: when the service is ready, and when a notice has reached everybody."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from mikrobot.models.scope import Scope
from mikrobot.serving.predictor import KEPT_WARM, Predictor
from mikrobot.serving.watch import Watch, poll
from mikrobot.serving.workers import Workers

ROW = {"m1_rsi_14": 50.0, "m1_return_1": 2.0, "m1_spread_atr": 0.5}


@pytest.fixture
def shelf(make_shelf: Callable[[], Any]) -> Any:
    shelf = make_shelf()
    shelf.promote("1")
    return shelf


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Workers, Workers]:
    return Workers(tmp_path, 0, 2), Workers(tmp_path, 1, 2)


def serving(shelf: Any) -> Predictor:
    predictor = Predictor(shelf)
    predictor.refresh()
    return predictor


def test_every_worker_must_be_warm_on_the_same_version(shelf: Any, pair: tuple[Workers, Workers]) -> None:
    first, second = pair
    assert first.obstacle() == second.obstacle() == "worker 0 is starting"
    older = serving(shelf)
    first.publish([older], 0, [])
    assert second.obstacle() == "worker 1 is starting"
    second.publish([Predictor(shelf)], 0, [])
    assert first.obstacle() == "worker 1 has no model"
    second.publish([serving(shelf)], 0, [])
    assert first.obstacle() == second.obstacle() == ""
    shelf.promote("2")
    second.publish([serving(shelf)], 0, [])
    assert first.obstacle() == "the workers serve different versions"
    older.refresh()
    first.publish([older], 0, [])
    assert first.obstacle() == ""


def test_workers_with_another_window_of_a_version_are_not_ready(shelf: Any, pair: tuple[Workers, Workers]) -> None:
    pair[0].publish([serving(shelf)], 0, [])
    shelf.kept = "a newer window"
    pair[1].publish([serving(shelf)], 0, [])
    assert pair[0].obstacle() == "the workers serve different versions"


def test_a_worker_that_has_ended_has_no_state(shelf: Any, pair: tuple[Workers, Workers], tmp_path: Path) -> None:
    for workers in pair:
        workers.publish([serving(shelf)], 0, [])
    path = tmp_path / "worker-1.json"
    ended = os.spawnl(os.P_WAIT, "/bin/true", "true")
    assert ended == 0
    pid = os.spawnl(os.P_NOWAIT, "/bin/true", "true")
    os.waitpid(pid, 0)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": pid}))
    assert pair[0].states()[1] is None
    assert pair[0].obstacle() == "worker 1 is starting"
    pair[0].forget(0)
    assert pair[1].states() == [None, None]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_state_that_cannot_be_read_is_none(pair: tuple[Workers, Workers], tmp_path: Path, text: str) -> None:
    (tmp_path / "worker-0.json").write_text(text)
    assert pair[0].states() == [None, None]


def test_the_state_lists_versions_and_problems(shelf: Any, tmp_path: Path) -> None:
    predictor = serving(shelf)
    shelf.promote("2").predict = lambda values: values
    problems = poll(shelf, [predictor])
    workers = Workers(tmp_path)
    workers.publish([predictor], 7, problems)
    (state,) = workers.states()
    assert state is not None
    listed = state.to_json()
    assert list(listed["served"]) == [
        {"role": "champion", "model": "bos", "source": "replay", "symbol": "EURUSD", "version": "1", "baseline": False,
         "window": False}
    ]  # fmt: skip
    assert (listed["warm"], listed["noticed"], listed["pid"]) == (("bos 1",), 7, os.getpid())
    assert "version 2 predicts 1 rows" in listed["problems"][0]


def test_a_notice_is_answered_before_the_interval_has_passed(shelf: Any, tmp_path: Path) -> None:
    predictor, workers, stop = serving(shelf), Workers(tmp_path), Event()
    settled: list[str] = []
    watching = Thread(
        target=Watch(shelf, [predictor], workers, 600.0, settle=lambda: settled.append("")).run, args=(stop,)
    )
    watching.start()
    try:
        for version in ("2", "3"):
            shelf.promote(version)
            notice = workers.notify()
            for _ in range(500):
                if not workers.late(notice):
                    break
                stop.wait(0.01)
            assert not workers.late(notice)
            assert predictor.predict("EURUSD", ROW).version == version
    finally:
        stop.set()
        watching.join(5.0)
    assert len(settled) >= 2


def test_former_versions_stay_warm_for_a_rollback(shelf: Any) -> None:
    predictor = serving(shelf)
    for number in range(2, KEPT_WARM + 3):
        shelf.promote(str(number))
        predictor.refresh()
    assert predictor.warm() == tuple(str(number) for number in range(3, KEPT_WARM + 3))
    del shelf.models["5"]
    shelf.roles["champion"][Scope("replay", "EURUSD")] = "5"
    assert predictor.refresh()
    assert predictor.predict("EURUSD", ROW).version == "5"
