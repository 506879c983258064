"""Every process of the stack has the credentials of its own database role at most, and no administrator's."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from mikrobot.settings import Settings
from mikrobot.stack import service_table
from mikrobot.stack.service_table import environment, live_processes, services
from mikrobot.store.postgres import bundled, passwords
from mikrobot.store.postgres.roles import DATABASES, ROLES

ADMINISTRATOR = "the-password-of-the-administrator"
OWN = {"prefect": {"prefect"}, "mlflow": {"mlflow"}}
"""Roles whose passwords are in the environment of a process."""


def held(variables: Mapping[str, str], home: Path) -> set[str]:
    """Return the roles whose passwords are in an environment."""
    text = "\n".join(variables.values())
    return {role for role in ROLES if passwords.password(home, role) in text}


@pytest.fixture
def own_server(tmp_path: Path) -> Settings:
    """Return settings with a server of the user's own."""
    url = f"postgresql://admin:{ADMINISTRATOR}@db.example/postgres?sslmode=require&password={ADMINISTRATOR}"
    return Settings(home=tmp_path, database_url=SecretStr(url))


def test_no_process_is_given_the_administrators_password(own_server: Settings) -> None:
    processes = [*services(own_server).values(), *live_processes(own_server, "r1", 0)]
    for variables in (environment(own_server), *(process.environment for process in processes)):
        assert [name for name, value in variables.items() if ADMINISTRATOR in value] == []
        assert variables["MIKROBOT_DATABASE_URL"] == "postgresql://db.example/postgres?sslmode=require"


@pytest.mark.parametrize("own", [True, False])
def test_prefect_and_mlflow_are_given_their_own_password_and_the_others_none(own_server: Settings, own: bool) -> None:
    settings = own_server if own else own_server.model_copy(update={"database_url": None})
    processes = [*services(settings).values(), *live_processes(settings, "r1", 0)]
    roles = {process.name: held(process.environment, settings.home) for process in processes}
    assert roles == {
        name: OWN.get(name, set()) for name in ("prefect", "mlflow", "bento", "flows", "worker", "streamer")
    }


@pytest.fixture
def program(install: Callable[..., Any], tmp_path: Path, postgres: Any) -> Iterator[Any]:
    """Yield an installation on the server of this test session, as if it were the user's own."""
    with install(tmp_path) as installation:
        shutil.copytree(postgres.settings.home / "secrets", installation.home / "secrets")
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            for name in DATABASES:
                admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        yield installation


def test_a_stack_on_a_server_of_ones_own_runs_without_the_administrators_password(program: Any, postgres: Any) -> None:
    secret = passwords.password(program.home, "postgres")
    assert secret in postgres.admin_url
    settings = {"database_url": postgres.admin_url}
    started = program.run("up", **settings)
    assert started.returncode == 0, started.stderr
    environments = {process.pid: process.environ() for process in program.processes()}
    try:
        assert len(environments) >= len(service_table.services(program.settings))
        for variables in environments.values():
            assert secret not in "\n".join(variables.values())
            assert len(held(variables, program.home)) <= 1
        assert {role for variables in environments.values() for role in held(variables, program.home)} == {
            "prefect", "mlflow",
        }  # fmt: skip
    finally:
        assert program.run("down", **settings).returncode == 0
    assert bundled.pid(postgres.settings.home) is not None
