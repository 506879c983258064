"""A window of predictions is judged when all its outcomes are known, since its verdict is stored once."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mikrobot.models.scope import Scope
from mikrobot.monitoring.outcomes import Outcomes
from mikrobot.store.drift_history import Judged
from mikrobot.workflows import drift, performance

START, DAY, HORIZON = datetime(2025, 3, 3, tzinfo=UTC), timedelta(days=1), 5


@pytest.mark.parametrize(("passed", "judged"), [(-1, 0), (0, 0), (HORIZON - 1, 0), (HORIZON, 1), (60, 1)])
def test_a_window_waits_for_its_last_outcome(monkeypatch: pytest.MonkeyPatch, passed: int, judged: int) -> None:
    rng, minutes = np.random.default_rng(1), 1440 + passed - HORIZON
    probability = rng.uniform(0.1, 0.9, minutes)
    outcomes = Outcomes(
        int(START.timestamp()) // 60 + 1 + np.arange(minutes), np.ones(minutes, np.int8), probability,
        rng.random(minutes) < probability,
    )  # fmt: skip
    monkeypatch.setattr(performance, "of_symbol", lambda *of, **options: SimpleNamespace(outcomes=outcomes))
    nothing: Any = None
    windows = drift._windows(
        nothing, Judged(Scope("simulated", "BTCUSDT"), "bos", "4"),
        SimpleNamespace(until=START, window=DAY), SimpleNamespace(horizon_minutes=HORIZON),
        end=START + DAY + timedelta(minutes=passed), entry=0.55,
    )  # fmt: skip
    assert len(windows) == judged
    assert all(window.skill.predictions == 1440 for window in windows)
