"""The stack that the attacks of this folder share: every service of one home, started by `mikrobot up`."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def stack(install: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with install(tmp_path_factory.mktemp("attacked")) as program:
        started = program.run("up")
        assert started.returncode == 0, started.stderr
        yield program
