"""Commands that list records, where none exists yet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_list_without_experiments_shows_how_one_is_planned(install: Callable[..., Any], tmp_path: Path) -> None:
    with install(tmp_path) as fresh:
        listed = fresh.run("experiment", "status")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout == "no experiment is planned: `mikrobot experiment new --help` shows how\n"
