"""Benchmark of a retraining: from the command to the first line of its log, and what it would take alone."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from time import perf_counter
from typing import Any

import httpx

from benchmarks.temporary_stack import temporary_settings
from benchmarks.timing import Measurement, rank, scaled
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.settings import Settings
from mikrobot.stack import local_stack, supervisor
from mikrobot.stack.service_table import ROOT, flow_environment
from mikrobot.store import web_access

ROUNDS = 10
TARGET_S = 6.0
WAIT_S = 120.0


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time what `mikrobot retrain` does until the flow that it starts logs that it begins; it finds no run then."""
    with temporary_settings() as settings:
        local_stack.up(settings, SystemClock(), lambda text: None)
        try:
            times = sorted(_first_line_s(settings) for _ in range(scaled(ROUNDS, scale)))
            alone = _import_s(settings)
        finally:
            local_stack.down(settings)
    yield Measurement(
        "retrain, from the command to the first line of its log", "s", rank(times, 0.5), rank(times, 0.99),
        "the target", TARGET_S, "importing Prefect and the flow", alone,
    )  # fmt: skip


def _first_line_s(settings: Settings) -> float:
    start = SystemClock().now()
    flow_run = supervisor.trigger_retrain(settings, "for the benchmark").rpartition("/")[2]
    lines: list[dict[str, Any]] = []

    def logged() -> bool:
        query = {"logs": {"flow_run_id": {"any_": [flow_run]}}, "sort": "TIMESTAMP_ASC"}
        answer = httpx.post(
            f"{settings.prefect_url}/api/logs/filter",
            json=query,
            auth=web_access.login(settings, "prefect"),
            timeout=30,
        )
        lines[:] = [line for line in answer.raise_for_status().json() if line["message"].startswith("Training again")]
        return bool(lines)

    wait_until(logged, "the retraining logged nothing", SystemClock(), timeout_s=WAIT_S)
    return (datetime.fromisoformat(lines[0]["timestamp"]) - start).total_seconds()


def _import_s(settings: Settings) -> float:
    start = perf_counter()
    subprocess.run([sys.executable, "-c", "import flows.retrain"], cwd=ROOT, env=flow_environment(settings), check=True)
    return perf_counter() - start
