"""Names of flow runs: readable by people, instead of two random words."""

from datetime import UTC, datetime

import pytest

from flows.names import named

AT = datetime(2025, 3, 17, 5, 30, tzinfo=UTC)
SPAN = {"symbols": ["EURUSD", "BTCUSDT"], "start": "2025-03-09T10:00:00+00:00", "end": "2025-03-14T10:00:00+00:00"}


@pytest.mark.parametrize(
    ("flow", "parameters", "at", "name"),
    [
        ("ingest", {}, AT, "ingest: symbols of the latest run, 2025-03-17 05:30"),
        ("materialize", SPAN, None, "materialize: EURUSD, BTCUSDT until 2025-03-14 10:00"),
        ("train", SPAN | {"end": AT}, None, "train: EURUSD, BTCUSDT until 2025-03-17 05:30"),
        ("monitor", {"run_id": None}, AT, "monitor: the latest run, 2025-03-17 05:30"),
        ("monitor", {"run_id": "20250314-1"}, None, "monitor: run 20250314-1"),
        ("report", {"days": 7}, AT, "report: the last 7 days of the latest run, 2025-03-17 05:30"),
        ("report", {"run_id": "20250314-1", "days": None}, None, "report: run 20250314-1"),
        ("trade", {"run_id": "20250314-1", "number": 0}, None, "trade: run 20250314-1, segment 1"),
        ("loop", {"run_id": "20250314-1"}, None, "loop: run 20250314-1"),
        ("join", {"run_id": "20250314-1", "symbols": ["SOLUSDT"]}, None, "join: SOLUSDT in run 20250314-1"),
        ("retrain", {"reason": "drift: 61% {x}"}, AT, "retrain: drift: 61% {x}, 2025-03-17 05:30"),
    ],
)
def test_a_flow_run_is_named_after_what_it_does(flow, parameters, at, name):
    assert named(flow, parameters, at) == name
