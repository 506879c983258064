"""The place of a worker among the workers of the prediction service."""

import os
import shutil
from pathlib import Path

from mikrobot.serving.workers import Workers
from mikrobot.settings import Settings

WORKER = "PREDICTION_WORKER"
"""Variable with the number of this worker and the count of all, as ``1 2``; unset: the only one."""


def workers_folder(settings: Settings) -> Path:
    """Return the folder of the states of the workers."""
    return settings.home / "bentoml" / "workers"


def clear(settings: Settings) -> Workers:
    """Remove the states of the workers of an earlier service."""
    shutil.rmtree(workers_folder(settings), ignore_errors=True)
    return Workers(workers_folder(settings))


def own_place(settings: Settings) -> Workers:
    """Return the workers as this one sees them."""
    number, count = map(int, os.environ.get(WORKER, "0 1").split())
    return Workers(workers_folder(settings), number, count)
