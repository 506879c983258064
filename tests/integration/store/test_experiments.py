"""Experiments: a plan is stored once and read back unchanged, and neither it nor its end can change."""

from datetime import UTC, datetime

import psycopg
import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.domain.experiments import Arm, Experiment, Unit
from mikrobot.store.experiments import End, Experiments

AT = datetime(2025, 6, 30, 12, tzinfo=UTC)
ARMS = (Arm("control", {"profile": "session1"}, 0.5), Arm("careful", {"profile": "ftmo"}, 0.5))
PLAN = Experiment("profiles", "Is careful better?", ARMS, Unit.DAY, 0.25, 1.0, 0.05, 0.8, 0.1, AT)


@pytest.fixture
def experiments(pool):
    return Experiments(pool)


def test_a_plan_comes_back_equal(experiments):
    experiments.begin(PLAN)
    assert experiments.get("profiles") == PLAN
    assert experiments.all() == [PLAN]


def test_a_second_plan_of_the_same_id_is_refused_and_the_first_stays(experiments):
    experiments.begin(PLAN)
    with pytest.raises(UsageError, match="never changes"):
        experiments.begin(PLAN)
    assert experiments.all() == [PLAN]


def test_an_unknown_id_is_refused_with_the_existing_ids(experiments):
    experiments.begin(PLAN)
    with pytest.raises(UsageError, match="no experiment 'nope'; there are profiles"):
        experiments.get("nope")


def test_an_experiment_ends_once(experiments):
    experiments.begin(PLAN)
    assert experiments.end("profiles") is None
    experiments.stop("profiles", AT, "clear", {"verdict": "better"})
    assert experiments.end("profiles") == End(AT, "clear", {"verdict": "better"})
    with pytest.raises(UsageError, match="ended already, on 2025-06-30: clear"):
        experiments.stop("profiles", AT, "again", {})


@pytest.mark.parametrize("statement", ["UPDATE experiment SET plan = '{}'", "DELETE FROM experiment_end"])
def test_the_database_refuses_to_change_evidence(experiments, pool, statement):
    experiments.begin(PLAN)
    experiments.stop("profiles", AT, "clear", {})
    with pool.connection() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)
