"""The end of the stack that the tests of this folder share, and commands that then start a service for themselves."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mikrobot.market.replay import read_bars
from mikrobot.models.model import Model
from mikrobot.store.model_registry import open_registry
from mikrobot.workflows.evaluate import judged


@pytest.fixture(scope="module")
def model(running: Any, second: Any) -> Model:
    """Return the first version in the registry of the stack, which a training wrote."""
    return open_registry(running.settings).load("bos", "1")


@pytest.fixture(scope="module")
def stopped(running: Any, model: Model) -> Any:
    process = running.run("down")
    assert process.returncode == 0
    return running


def test_down_stops_the_stack_and_status_shows_it(stopped):
    assert stopped.left() == []
    services = json.loads(stopped.run("status", "--json").stdout)["services"]
    assert not any(service["ready"] for service in services)


def test_a_model_is_judged_and_the_registry_stopped_again(stopped, model, bar_files):
    process = stopped.run("evaluate", "--model", "bos@1", "--data", bar_files["EURUSD"], "--control", "--json")
    assert process.returncode == 0, process.stderr
    assert stopped.left() == []
    symbol, bars = read_bars(bar_files["EURUSD"])
    here = judged(model, {symbol: bars}, stopped.settings.seed, files=[bar_files["EURUSD"]], control=True)
    assert json.loads(json.dumps(replace(here, version="1").to_json())) == json.loads(process.stdout)


def test_a_model_that_does_not_exist_is_named_and_the_registry_stopped_again(stopped, bar_files):
    process = stopped.run("evaluate", "--model", "bos@99", "--data", bar_files["EURUSD"])
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith("error: model bos version 99 is not in the registry")
    assert stopped.left() == []


def test_a_training_prints_one_json_document_and_nothing_of_a_framework(stopped, bar_files):
    process = stopped.run("train", "--model", "bos", "--trials", 2, "--data", bar_files["EURUSD"], "--json")
    assert process.returncode == 0, process.stderr
    assert int(json.loads(process.stdout)["bos"]["version"]) > 1
    assert process.stderr == ""
    assert stopped.left() == []
