"""Old versions that nothing needs are deleted from a real MLflow server, with their rows and files."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from mikrobot.domain.errors import ModelError
from mikrobot.models.registry import Registry
from mikrobot.models.scope import Scope
from mikrobot.models.tracking import mlflow
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.stack.mlflow_purge import purge

NAME = "ageing"
NOW = SystemClock().now()
BEFORE = NOW - timedelta(days=90)
OLD, YOUNG = NOW - timedelta(days=91), NOW - timedelta(days=89)
SCOPES = [Scope("replay", symbol) for symbol in ("EURUSD", "BTCUSDT")]
ROWS = {
    "model_versions": "SELECT count(*) FROM model_versions WHERE name = 'ageing' AND current_stage = 'None'",
    "runs": "SELECT count(*) FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = 'ageing'",
    "params": "SELECT count(*) FROM params WHERE key = 'ageing'",
    "logged_models": "SELECT count(*) FROM logged_models JOIN experiments USING (experiment_id) "
    "WHERE experiments.name = 'ageing'",
}


def logged(client: mlflow.MlflowClient, experiment: str, *, registered: bool) -> None:
    """Log a run with a parameter and a file, and a logged model with a file, which is registered."""
    run = client.create_run(experiment).info.run_id
    client.log_param(run, NAME, "1")
    client.log_text(run, "card", "card.md")
    model = client.create_logged_model(experiment, NAME, run)
    client.log_model_artifact(model.model_id, __file__)
    client.finalize_logged_model(model.model_id, "READY")
    if registered:
        tags = {"source": "replay", "symbols": "EURUSD,BTCUSDT"}
        client.create_model_version(NAME, f"models:/{model.model_id}", run, tags, model_id=model.model_id)


def files(artifacts: Path, experiment: str) -> list[str]:
    return [path.name for path in (artifacts / experiment).rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def experiment(registry: Registry, mlflow_uri: str, mlflow_store: Path) -> str:
    """Id of an experiment with a run without a version and five versions; all but version 5 are old.

    Nothing needs version 1; champion 3 replaced version 2.
    """
    client = mlflow.MlflowClient(mlflow_uri)
    experiment = client.create_experiment(NAME)
    client.create_registered_model(NAME)
    for registered in (False, True, True, True, True, True):
        logged(client, experiment, registered=registered)
    for version in ("2", "3"):
        registry.promote(NAME, version, "by hand")
    with sqlite3.connect(mlflow_store) as store:
        times = {"model_versions": ("creation_time", "version = 5"), "runs": ("start_time", "run_uuid = ?"),
                 "logged_models": ("creation_timestamp_ms", "source_run_id = ?")}  # fmt: skip
        youngest = registry.version(NAME, "5").run_id
        for table, (column, young) in times.items():
            values = () if table == "model_versions" else (youngest,)
            chosen = "name = 'ageing'" if table == "model_versions" else f"experiment_id = {experiment}"
            for time, condition in ((OLD, f"NOT {young}"), (YOUNG, young)):
                milliseconds = round(time.timestamp() * 1000)
                store.execute(f"UPDATE {table} SET {column} = {milliseconds} WHERE {chosen} AND {condition}", values)
    return experiment


def counts(store: Path) -> dict[str, int]:
    with sqlite3.connect(store) as connection:
        return {table: connection.execute(query).fetchone()[0] for table, query in ROWS.items()}


def test_only_versions_that_nothing_needs_are_deleted_and_purged_with_their_files(
    registry: Registry, experiment: str, mlflow_uri: str, mlflow_store: Path, artifacts: Path, state: Path
) -> None:
    assert len(files(artifacts, experiment)) == 12
    retired = registry.retire(NAME, BEFORE, lambda: {"4"})
    assert (retired.versions, retired.runs) == (("1",), 2)
    assert [version.version for version in registry.versions(NAME)] == ["5", "4", "3", "2"]
    assert registry.deleted_runs(NAME, BEFORE) == 2
    again = registry.retire(NAME, BEFORE, lambda: {"4"})
    assert (again.versions, again.runs) == ((), 0)

    settings = Settings(home=state, mlflow_port=int(mlflow_uri.rpartition(":")[2]))
    purge(settings, f"sqlite:///{mlflow_store}", grace="0s")
    assert counts(mlflow_store) == {"model_versions": 4, "runs": 4, "params": 4, "logged_models": 4}
    assert len(files(artifacts, experiment)) == 8
    assert registry.text(NAME, "2", "card.md") == "card"
    assert registry.rollback(NAME, "worse") == dict.fromkeys(SCOPES, "2")


def test_a_rollback_to_a_deleted_version_changes_nothing(registry: Registry, experiment: str) -> None:
    scope = SCOPES[0]
    champion = registry.champion(NAME, scope)
    assert champion is not None
    registry.note(NAME, champion, f"replaces.{scope.symbol}", "1")
    with pytest.raises(ModelError, match="there is no version 1 of model ageing"):
        registry.rollback(NAME, "worse")
    assert registry.champion(NAME, scope) == champion
