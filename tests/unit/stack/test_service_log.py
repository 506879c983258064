"""Error lines in the format of each service, and lines that only look like errors."""

import os
import re

import pytest

from mikrobot.live import pid_records
from mikrobot.stack import service_log
from mikrobot.stack.service_log import HARMLESS, LogErrors, errors_in, errors_of

ERRORS = [
    "2026-11-29 01:18:29.230 UTC [11441] ERROR:  duplicate key value violates a constraint",
    "2026-11-29 01:18:29.230 UTC [11441] PANIC:  could not write to file",
    "13:37:45.123 | ERROR   | docket.worker - schedule_deployments failed",
    "13:37:45.123 | CRITICAL | prefect.server - out of memory",
    "2026-11-29T01:15:34+0000 [ERROR] [cli] the port is taken",
    "2026-11-29T01:18:32.211304Z [error    ] failed    reason=x component=worker",
    "2026-11-29T01:18:32.211304Z [critical ] failed    reason=x component=worker",
    "2026/11/29 01:18:30 ERROR mlflow.store: no such table",
    "2026/11/29 01:18:30 CRITICAL uvicorn.error: no event loop",
    "ERROR:    Exception in ASGI application",
    "[2026-11-29 01:18:30 +0000] [123] [ERROR] worker failed to boot",
    "2026-11-29 10:00:00,123 - mlflow.server - CRITICAL - no disk",
    "ERROR:root:no space",
    "error: port 4200 is in use by another program",
    '{"event": "failed", "level": "error"}',
    "\x1b[31mERROR\x1b[0m: in red",
]
NO_ERRORS = [
    "2026-11-29T01:18:32.211304Z [info     ] champion_served  error=None",
    "2026-11-29T01:18:32.211304Z [warning  ] ERROR was expected",
    '2026/11/29 01:16:04 INFO:     127.0.0.1:34412 - "GET /error HTTP/1.1" 404 Not Found',
    "13:37:45.123 | WARNING | prefect - 3 ERROR lines were dropped",
    "2026-11-29 01:18:29.230 UTC [11441] LOG:  error count 3",
    "2026-11-29 01:18:29.230 UTC [11441] DETAIL:  Key (error) exists",
    "INFO: 0 ERROR lines",
    "errors: none",
    '  File "error.py", line 3, in error',
]


@pytest.mark.parametrize("line", ERRORS)
def test_an_error_line_of_any_service_is_one_error(line):
    assert errors_in([line]).count == 1


@pytest.mark.parametrize("line", NO_ERRORS)
def test_a_line_that_only_names_an_error_is_none(line):
    assert errors_in([line]) == LogErrors(0, None)


TRACEBACK = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "OSError: disk full"]


def test_a_traceback_without_an_error_line_is_an_error_that_shows_its_exception():
    lines = ["Exception in thread Thread-1:", *TRACEBACK]
    assert errors_in(lines) == LogErrors(1, "OSError: disk full")


def test_the_traceback_of_an_error_line_is_the_same_error():
    assert errors_in(["ERROR:    no answer", *TRACEBACK]) == LogErrors(1, "ERROR:    no answer: OSError: disk full")


def test_the_cause_of_an_exception_is_the_same_error():
    cause = ["", "During handling of the above exception, another exception occurred:", ""]
    second = [TRACEBACK[0], '  File "b.py", line 2, in main', "ValueError: no report"]
    assert errors_in([*TRACEBACK, *cause, *second]) == LogErrors(1, "ValueError: no report")


def test_tracebacks_of_two_threads_are_two_errors():
    assert errors_in([*TRACEBACK, *TRACEBACK]).count == 2


def test_errors_are_counted_over_other_lines_and_the_last_one_is_shown():
    lines = [ERRORS[0], NO_ERRORS[0], *TRACEBACK, NO_ERRORS[3], ERRORS[2]]
    assert errors_in(lines) == LogErrors(3, ERRORS[2])


def test_errors_of_an_earlier_process_do_not_count(tmp_path):
    log = tmp_path / "logs" / "mlflow.log"
    log.parent.mkdir()
    log.write_text("ERROR: of yesterday\n")
    pid_records.record("mlflow", tmp_path, os.getpid(), log_from=log.stat().st_size)
    assert errors_of("mlflow", tmp_path) == LogErrors()
    with log.open("a") as more:
        more.write("ERROR: of today\n")
    assert errors_of("mlflow", tmp_path) == LogErrors(1, "ERROR: of today")


def test_errors_of_an_earlier_postgres_do_not_count(tmp_path):
    started = "2026-11-29 01:15:26.053 UTC [8696] LOG:  starting PostgreSQL 18.6"
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "postgres.log").write_text("\n".join([started, ERRORS[0], started, NO_ERRORS[4], ERRORS[1]]))
    assert errors_of("postgres", tmp_path) == LogErrors(1, ERRORS[1])


def test_a_log_that_was_cut_short_is_read_from_its_beginning(tmp_path):
    log = tmp_path / "logs" / "bento.log"
    log.parent.mkdir()
    log.write_text("ERROR: new\n")
    pid_records.record("bento", tmp_path, os.getpid(), log_from=10_000)
    assert errors_of("bento", tmp_path).count == 1


def test_only_the_end_of_a_huge_log_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(service_log, "MAXIMUM_BYTES", 200)
    log = tmp_path / "logs" / "prefect.log"
    log.parent.mkdir()
    log.write_text("ERROR: one\n" * 1_000)
    assert 0 < errors_of("prefect", tmp_path).count <= 20


def test_a_service_without_a_log_has_no_errors(tmp_path):
    assert errors_of("worker", tmp_path) == LogErrors()


HARMLESS_LINES = [
    "2026-11-29 01:18:29.230 UTC [7] FATAL:  terminating connection due to administrator command",
    "2026-11-29 23:53:31.163 UTC [7] FATAL:  the database system is not yet accepting connections",
    "2026-11-30 08:21:52.677 UTC [12657] FATAL:  connection to client lost",
    '2026-11-29 01:18:29.230 UTC [7] ERROR:  duplicate key value violates unique constraint "registered_model_pk"',
    '2026-11-29 13:05:03.418 UTC [1585] ERROR:  duplicate key value violates unique constraint "pk_task_run"',
]


@pytest.mark.parametrize("line", HARMLESS_LINES)
def test_a_harmless_line_counts_elsewhere_only(line):
    assert errors_in([line], "postgres") == LogErrors()
    assert errors_in([line], "mlflow").count == 1


def test_every_harmless_line_has_a_reason_and_an_example():
    for harmless in HARMLESS:
        assert harmless.reason
        assert any(re.search(harmless.pattern, line) for line in HARMLESS_LINES), harmless
