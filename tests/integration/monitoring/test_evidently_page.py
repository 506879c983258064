"""Evidently's page: our scores and limits in its report, and a page that a browser unpacks."""

import base64
import gzip
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.monitoring import evidently_page
from mikrobot.monitoring.drift_reference import VOLATILITY, DriftReference, make_reference
from mikrobot.monitoring.drift_report import SymbolDrift
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.stack import processes, service_table
from mikrobot.store import web_access

START = datetime(2025, 3, 3, tzinfo=UTC)
DAYS = 14
COLUMNS = ("m1_rsi_14", VOLATILITY, "m1_volatility_15", "m1_spread_atr")


def rows(seed: int, days: int, since: datetime) -> pd.DataFrame:
    rng, count = np.random.default_rng(seed), days * 288
    frame = pd.DataFrame(rng.normal(size=(count, len(COLUMNS))), columns=COLUMNS)
    frame.loc[rng.random(count) < 0.2, "m1_spread_atr"] = np.nan
    frame.insert(0, "close_time", pd.date_range(since + timedelta(minutes=5), periods=count, freq="5min"))
    return frame


@pytest.fixture(scope="module")
def reference() -> DriftReference:
    until = START + timedelta(days=DAYS)
    return make_reference(rows(1, DAYS, START), COLUMNS, START, until, window=timedelta(days=1))


@pytest.fixture(scope="module")
def moved() -> pd.DataFrame:
    frame = rows(2, 1, START + timedelta(days=DAYS))
    frame["m1_rsi_14"] += 1.0
    return frame


def test_evidently_reports_our_scores_by_our_limits(reference: DriftReference, moved: pd.DataFrame) -> None:
    scores = evidently_page.scores_of(reference, moved)
    assert next(iter(scores)) == "m1_rsi_14"
    metrics = evidently_page.distributions(reference, (rows(1, DAYS, START), moved), scores).dict()["metrics"]
    reported = {metric["config"]["column"]: metric for metric in metrics}
    assert {name: metric["value"] for name, metric in reported.items()} == pytest.approx(scores)
    assert {name: metric["config"]["threshold"] for name, metric in reported.items()} == {
        name: reference.columns[name].limit for name in scores
    }


def test_snapshots_are_served_by_evidently_to_the_owner_alone(
    reference: DriftReference, moved: pd.DataFrame, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """The window of the second comparison replaces that of the first; the third one is of another day."""
    settings = Settings(home=tmp_path, evidently=True, evidently_port=free_port())
    for day in (0, 0, 1):
        window = WindowVerdict(
            DriftKind.FEATURES, START + timedelta(days=day), START + timedelta(days=day + 1), False, False, ()
        )
        drift = SymbolDrift("BTCUSDT", "bos", "4", "stable", (), START, START, windows=(window,))
        of_both = (rows(1, DAYS, START), moved)
        evidently_page.write(
            drift, reference, of_both, tmp_path / "page.html", simulated=True, workspace=tmp_path / "evidently"
        )
    service, clock = service_table.services(settings)["evidently"], SystemClock()
    login = web_access.login(settings, "evidently")
    try:
        processes.start(service, tmp_path, settings.host)
        processes.await_ready(service, tmp_path, clock)
        refused = httpx.get(f"{settings.evidently_url}/api/projects")
        assert refused.status_code == 401
        with httpx.Client(base_url=settings.evidently_url, auth=login, timeout=30) as client:
            assert '<div id="root">' in client.get("/").text
            (project,) = client.get("/api/projects").json()
            assert project["name"] == "BTCUSDT (SIMULATED)"
            listed = client.get(f"/api/projects/{project['id']}/reports").json()
        assert sorted(snapshot["name"] for snapshot in listed) == [
            "bos 4, 2025-03-03 to 2025-03-04", "bos 4, 2025-03-04 to 2025-03-05",
        ]  # fmt: skip
    finally:
        processes.stop("evidently", tmp_path)


def test_the_page_is_one_small_file_that_unpacks_to_evidently_s(
    reference: DriftReference, moved: pd.DataFrame, tmp_path: Path
) -> None:
    since, until = START + timedelta(days=DAYS), START + timedelta(days=DAYS + 1)
    window = WindowVerdict(DriftKind.FEATURES, since, until, True, True, ("moved",))
    drift = SymbolDrift(
        "BTCUSDT", "bos", "4", "drift", ("moved",), START, since, 1.0, 0.25, 0.3, ("m1_rsi_14",), (window,)
    )
    page = tmp_path / "drift-BTCUSDT.html"
    evidently_page.write(drift, reference, (rows(1, DAYS, START), moved), page, simulated=False)
    text = page.read_text(encoding="utf-8")
    assert len(text) < 3_000_000
    assert "SIMULATED" not in text
    packed = re.search(r'<script id="packed" type="application/gzip">([^<]+)</script>', text)
    assert packed is not None
    unpacked = gzip.decompress(base64.b64decode(packed[1])).decode("utf-8")
    assert "</head>" in unpacked
    assert "m1_rsi_14" in unpacked
    assert unpacked.count('"legend": {"orientation": "h"') >= len(COLUMNS)
    assert "http" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert [path.name for path in tmp_path.iterdir()] == [page.name]
