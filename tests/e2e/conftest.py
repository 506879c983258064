"""The stack that the tests of this folder share: a run, then another on services that stay up."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.replay_run import Outcome, run


@pytest.fixture(scope="session")
def program(install, tmp_path_factory) -> Iterator[Any]:
    with install(tmp_path_factory.mktemp("replay")) as installation:
        yield installation


@pytest.fixture(scope="session")
def first(program, bar_files) -> Outcome:
    """Run on an empty folder."""
    outcome = run(program, bar_files)
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.fixture(scope="session")
def running(program, first) -> Any:
    """Start the stack of the same folder by `mikrobot up`."""
    process = program.run("up")
    assert process.returncode == 0, process.stderr
    return program


@pytest.fixture(scope="session")
def second(running, bar_files) -> Outcome:
    """Repeat the run on the stack that is up."""
    outcome = run(running, bar_files)
    assert outcome.code == 0, outcome.err
    return outcome
