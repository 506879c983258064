"""Processes killed at random instants of a replay: it goes on, and its ledger equals that of an undisturbed run."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random

import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.live import pid_records
from mikrobot.runtime import wait_until
from mikrobot.stack import supervision
from mikrobot.store.postgres import database
from mikrobot.store.runs import Runs
from mikrobot.store.stage_results import StageResults
from tests.killing import head_of, kill_some
from tests.replay_market import CLOCK, FROM, Market

PROCESSES = ("postgres", "mlflow", "bento", "worker", "streamer")


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 21))])
def test_after_kills_at_random_instants_the_ledger_equals_that_of_an_undisturbed_run(
    market: Market, undisturbed: list[str], seed: int
) -> None:
    run_id, rng = f"chaos {seed}", Random(seed)
    market.serve()
    market.begin(run_id)
    with ThreadPoolExecutor(1) as executor:
        run = executor.submit(market.trade, run_id)
        for minute in sorted(rng.sample(range(5, 90), 2)):
            await_minute(market, run_id, FROM + timedelta(minutes=minute), run)
            CLOCK.sleep(rng.uniform(0, 0.5))
            print(kill_some(tuple(filter(market.runs, (*PROCESSES, "supervisor"))), market.settings.home, rng))
        run.result(timeout=600)
    market.serve()  # what was killed last may still be on its way back
    assert market.ledger(run_id) == undisturbed
    assert pid_records.kept_down(market.settings.home) == {}


def await_minute(market: Market, run_id: str, minute: datetime, run: "Future[None]") -> None:
    """Wait until the worker has handled a minute, through restarts of the database."""

    def handled() -> bool:
        if run.done():
            run.result()
        with suppress(StoreError), database.open_pool(market.settings) as pool:
            return (Runs(pool).reached(run_id, "worker") or FROM) >= minute
        return False

    wait_until(handled, f"{minute} was not handled", CLOCK, timeout_s=300)


def test_a_run_killed_while_it_trades_and_resumed_has_the_ledger_of_an_undisturbed_run(
    market: Market, undisturbed: list[str]
) -> None:
    """Everything is killed at once, as without power; the run goes on with settings that only its record has."""
    market.begin("interrupted")
    with database.open_pool(market.settings) as pool:
        for stage in ("ingest", "train"):
            StageResults(pool, "interrupted", 0).add(stage, [])

    def follow(text: str, share: float) -> None:
        if share > 0.3:
            raise Interrupted

    with pytest.raises(Interrupted):
        market.trade("interrupted", follow)
    for name in ("supervisor", "streamer", "worker"):
        market.kill(name)
    assert 0 < len(market.ledger("interrupted")) < len(undisturbed)
    refused = market.installation.run("run", "--resume", "--hours", 3)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[-1].startswith("error: run interrupted has hours 24, not 3: ")
    resumed = market.installation.run("run", "--resume", "--once", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["run"] == "interrupted"
    assert market.ledger("interrupted") == undisturbed
    again = market.installation.run("run", "--resume")
    assert "run, interrupted, has ended, so there is nothing to resume" in again.stderr
    assert again.returncode == 2


class Interrupted(Exception):
    """The end of the power."""


def test_down_after_a_kill_of_the_supervisor_and_of_a_head_leaves_nothing(market: Market) -> None:
    """BentoML and MLflow leave processes that hold a port when their head is killed."""
    market.serve()
    supervision.ensure(market.settings)
    for name in ("supervisor", "bento", "mlflow"):
        market.kill(name, children=False)
    process = market.installation.run("down")
    assert process.returncode == 0, process.stderr
    assert market.installation.left() == []
    assert [head_of(name, market.settings.home) for name in PROCESSES] == [None] * len(PROCESSES)
