"""The skill of recorded predictions: joined with the stored bars, by span, with its page and its verdicts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from feature_repo.applying import apply
from mikrobot.domain.market import Timeframe
from mikrobot.domain.trading import BASELINE, Prediction, Side
from mikrobot.features.catalog import CATALOG
from mikrobot.models import scope as roles
from mikrobot.models.labels.samples import Prices
from mikrobot.models.scope import Scope
from mikrobot.store.bars import BarStore
from mikrobot.store.drift_history import Judged
from mikrobot.store.ledger import Ledger
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.workflows import performance
from tests.replay_market import made_up_model

START = datetime(2025, 3, 3, tzinfo=UTC)
HOURS = 10
SCOPE = Scope("simulated", "BTCUSDT")


@pytest.fixture
def run(database, pool, bars, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Store bars, and a prediction of both sides at each close of ten hours, in a run whose baseline answers."""
    apply(database)
    frame = bars(HOURS * 60, start=START, price=60_000.0, step=4e-4)
    segment = Segment(("BTCUSDT",), START, START, START + timedelta(hours=HOURS))
    recorded = {
        **database.model_dump(mode="json", exclude={"database_url"}), "segments": [segment.to_json()], "data": [],
    }  # fmt: skip
    run = Run("r1", "simulated", True, ("BTCUSDT",), START, segment.trade_until, START, recorded)
    runs = Runs(pool)
    runs.begin(run)
    runs.conclude("r1", {})
    BarStore(pool).upsert("simulated", "BTCUSDT", Timeframe.M1, frame)
    spec = replace(
        made_up_model(symbols=("BTCUSDT",), source="simulated").spec, version="4",
        trained_from=START - timedelta(days=60), trained_until=START,
    )  # fmt: skip
    above, below = spec.task.columns
    ledger, rng = Ledger(pool), np.random.default_rng(3)
    for open_time, close in zip(frame["open_time"], frame["close"], strict=True):
        levels = {above: close * 1.0006, below: close * 0.9994}
        time = open_time.to_pydatetime() + timedelta(minutes=1)
        both = [
            Prediction("BTCUSDT", side, time, float(rng.uniform(0.05, 0.5)), BASELINE, "4", CATALOG.version, levels)
            for side in Side
        ]
        ledger.commit("r1", time, predictions=both)
    registry = SimpleNamespace(
        holders=lambda name, role: {SCOPE: "4"} if role == roles.BASELINE else {}, spec=lambda name, version: spec
    )
    monkeypatch.setattr(performance, "open_registry", lambda settings: registry)
    return run


def test_predictions_are_joined_with_the_breaks_that_the_bars_show(database, pool, run) -> None:
    (measured,) = performance.measure(database, run.id).symbols
    assert (measured.model, measured.version, measured.predictions) == ("baseline", "4", 2 * HOURS * 60)
    horizon = 5
    assert len(measured.outcomes) == 2 * (HOURS * 60 - horizon)
    bars = Prices.of(BarStore(pool).range("simulated", "BTCUSDT", Timeframe.M1, START, end=run.ends_at))
    for row in range(0, HOURS * 60 - horizon, 37):
        later, close = bars.close[row + 1 : row + 1 + horizon], bars.close[row]
        expected = {1: (later > close * 1.0006).any(), -1: (later < close * 0.9994).any()}
        own = measured.outcomes.minute == bars.minute[row]
        assert dict(zip(measured.outcomes.side[own], measured.outcomes.outcome[own], strict=True)) == expected
    assert measured.skill is not None
    assert measured.skill.blocks == HOURS * 60 // horizon
    assert measured.skill == measured.rolling["last_day"]


def test_the_page_and_the_document_have_the_same_figures(database, run) -> None:
    measured = performance.measure(database)
    page = measured.write(database).read_text(encoding="utf-8")
    document = measured.to_json()
    (symbol,) = document["symbols"]
    assert (document["simulated"], symbol["outcomes"]) == (True, 2 * (HOURS * 60 - 5))
    assert "SIMULATED market" in page
    assert f"{symbol['skill']['auc']['value']:.3f} ± " in page
    assert page.count('<img src="data:image/svg+xml;base64,') == 1


def test_a_version_without_predictions_has_no_skill(database, pool, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "answering", lambda registry, run: {"BTCUSDT": Judged(SCOPE, "bos", "9")})
    measured = performance.measure(database)
    (symbol,) = measured.symbols
    assert (symbol.predictions, symbol.skill, symbol.windows) == (0, None, ())
    assert "Too few outcomes to measure skill." in measured.write(database).read_text(encoding="utf-8")
