"""The metrics of the market data follow those of the prediction service, and end with the worker."""

import os
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from bentos.data_metrics import DataMetrics
from mikrobot.live import pid_records, reports
from mikrobot.live.reports import MarketData, SymbolData

OWN = 'requests_total{endpoint="/predict"} 3.0\n'


async def metrics(request: Any) -> PlainTextResponse:
    return PlainTextResponse(OWN)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    app: Any = Starlette(routes=[Route("/metrics", metrics), Route("/other", metrics)])
    return TestClient(DataMetrics(app, tmp_path))


@pytest.fixture
def traded(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    symbols = {"EURUSD": SymbolData(0.5, True, 1_700_000_040.0), "BTCUSDT": SymbolData(1.0, False, 1_700_000_040.0)}
    reports.DATA.write(MarketData("replay", symbols), tmp_path)
    pid_records.record("worker", tmp_path, os.getpid())


def test_the_quality_and_the_halt_of_every_symbol_are_gauges(client, traded):
    text = client.get("/metrics").text
    assert text.startswith(OWN)
    lines = [line for line in text.removeprefix(OWN).splitlines() if not line.startswith("#")]
    assert lines == [
        'mikrobot_data_quality{source="replay",symbol="EURUSD"} 0.5',
        'mikrobot_data_quality{source="replay",symbol="BTCUSDT"} 1.0',
        'mikrobot_halted{source="replay",symbol="EURUSD"} 1.0',
        'mikrobot_halted{source="replay",symbol="BTCUSDT"} 0.0',
        'mikrobot_last_bar_timestamp_seconds{source="replay",symbol="EURUSD"} 1.70000004e+09',
        'mikrobot_last_bar_timestamp_seconds{source="replay",symbol="BTCUSDT"} 1.70000004e+09',
    ]


def test_a_worker_that_has_ended_has_no_values(client, traded, tmp_path):
    pid_records.forget("worker", tmp_path)
    assert "EURUSD" not in client.get("/metrics").text


def test_a_report_that_cannot_be_read_has_no_values(client, traded, tmp_path):
    (tmp_path / "run" / "data_quality").write_text("{")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "EURUSD" not in answer.text


def test_other_answers_are_left_alone(client, traded):
    assert client.get("/other").text == OWN
    assert client.head("/metrics").headers["content-length"] == str(len(OWN))
