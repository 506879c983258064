import os
import subprocess
import sys
from pathlib import Path

import pytest
from feast.repo_config import load_repo_config

import feature_repo
from feature_repo.__main__ import variables
from feature_repo.applying import apply
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.store.feast.config import configuration, open_feature_store, registered_view

REPO = Path(feature_repo.__file__).parent


def _run(settings: Settings, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | settings.environment()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_module_applies_the_definitions_and_may_do_so_again(database: Settings) -> None:
    for _ in range(2):
        run = _run(database, sys.executable, "-m", "feature_repo")
        assert (run.returncode, run.stderr) == (0, "")
        assert CATALOG.version in run.stdout


def test_the_view_has_a_described_field_for_every_column_in_order(applied: Settings) -> None:
    view = registered_view(open_feature_store(applied))
    assert [field.name for field in view.features] == list(CATALOG.columns)
    assert [field.description for field in view.features] == [spec.summary for spec in CATALOG.specs]
    assert [field.tags["unit"] for field in view.features] == [spec.unit for spec in CATALOG.specs]
    assert [field.tags["range"] for field in view.features] == [f"[{s.low:g}, {s.high:g}]" for s in CATALOG.specs]
    assert [field.tags["lag"] for field in view.features] == [f"{spec.lag} min" for spec in CATALOG.specs]
    assert view.join_keys == ["source", "symbol"]


def test_applying_again_keeps_the_online_rows(applied: Settings) -> None:
    from datetime import UTC, datetime

    import numpy as np

    from mikrobot.store.feast.online import FeatureRows

    at = datetime(2024, 3, 4, tzinfo=UTC)
    FeatureRows(applied).write("replay", "EURUSD", at, np.zeros(len(CATALOG.columns)))
    apply(applied)
    assert FeatureRows(applied).latest("replay", "EURUSD") == at


def test_the_yaml_equals_the_configuration_of_the_platform(database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in variables(database).splitlines():
        name, value = line.removeprefix("export ").split("=", 1)
        monkeypatch.setenv(name, value.strip("'"))
    stored = load_repo_config(REPO, REPO / "feature_store.yaml")
    used = configuration(database)
    assert stored.project == used["project"]
    assert stored.provider == used["provider"]
    assert stored.entity_key_serialization_version == used["entity_key_serialization_version"]
    assert stored.registry_config == used["registry"]
    assert stored.online_config == used["online_store"]
    assert stored.offline_config == used["offline_store"]


def test_the_feast_command_works_with_the_printed_variables(applied: Settings) -> None:
    feast = Path(sys.executable).with_name("feast")
    script = f'eval "$({sys.executable} -m feature_repo --environment)" && {feast} --chdir {REPO} feature-views list'
    run = _run(applied, "bash", "-c", script)
    assert run.returncode == 0, run.stderr
    assert "bar_features" in run.stdout


def test_a_server_that_is_away_is_one_line_and_a_code(settings: Settings) -> None:
    run = _run(settings.model_copy(update={"postgres_port": 1}), sys.executable, "-m", "feature_repo")
    assert run.returncode == 1
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert "mikrobot up" in run.stderr
