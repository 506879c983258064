"""Feast's classes are imported as they are written, without typeguard's rewriting, which takes seconds."""

import subprocess
import sys

import pytest

ASK = "import feast; print('typeguard' in feast.Entity.__init__.__code__.co_names)"


def rewritten(first: str) -> bool:
    """Return True if Feast's classes are rewritten where `first` is imported before Feast."""
    process = subprocess.run([sys.executable, "-c", f"{first}; {ASK}"], capture_output=True, text=True, check=True)
    return process.stdout.strip() == "True"


@pytest.mark.parametrize(
    "module", ["mikrobot.store.feast.online", "mikrobot.live.streamer", "feature_repo.definitions"]
)
def test_feast_is_not_rewritten(module: str):
    assert not rewritten(f"import {module}")


def test_feast_by_itself_is_rewritten():
    """Without this, the tests above would ask for nothing."""
    assert rewritten("pass")
