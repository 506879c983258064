"""Log lines in a run's log in Prefect: the platform's from INFO, those of libraries from WARNING."""

import logging

import pytest

from flows.run_log import RunLog


@pytest.mark.parametrize(
    ("name", "level", "message", "wanted"),
    [
        ("mikrobot", logging.INFO, "backfilled symbol=EURUSD", True),
        ("mikrobot", logging.DEBUG, "a detail", False),
        ("mlflow.tracking", logging.WARNING, "no artifacts", True),
        ("feast", logging.ERROR, "no registry", True),
        ("great_expectations.data_context", logging.INFO, "Created temporary directory", False),
        ("prefect.flow_runs", logging.ERROR, "sent by Prefect itself", False),
        ("py.warnings", logging.WARNING, "a.py:1: DeprecationWarning: numpy.core is gone", False),
        ("py.warnings", logging.WARNING, "a.py:1: RuntimeWarning: overflow in exp", True),
    ],
)
def test_a_person_reads_what_matters_about_a_run(name: str, level: int, message: str, wanted: bool) -> None:
    record = logging.LogRecord(name, level, "a.py", 1, message, None, None)
    assert bool(RunLog().filter(record)) is wanted
