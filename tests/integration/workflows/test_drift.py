"""The drift of a recorded run with its stored rows: verdicts, history, report."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from expectations.quality_gate import check
from feature_repo.applying import apply
from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.domain.errors import ModelError, StoreError
from mikrobot.domain.market import Timeframe
from mikrobot.domain.trading import Prediction, Side
from mikrobot.models.model import Model
from mikrobot.models.scope import CHAMPION, Scope
from mikrobot.store.bars import BarStore
from mikrobot.store.drift_history import DriftHistory, Judged
from mikrobot.store.ledger import Ledger
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.workflows import drift, drift_overview
from mikrobot.workflows.materialize import Stores, materialize
from mikrobot.workflows.trading_report import report_folder
from tests.replay_market import made_up_model

START = datetime(2025, 3, 3, tzinfo=UTC)
TRAINED_DAYS, DAYS, CHANGED = 15, 20, 17
"""Days of the training span and of the bars, and the day from which the volatility is doubled."""
SCOPE = Scope("simulated", "BTCUSDT")


def changing_bars(bars: Any) -> pd.DataFrame:
    """Return bars of a random walk whose volatility doubles."""
    before = bars(CHANGED * 1440, start=START, price=60_000.0, step=4e-4)
    after = bars(
        (DAYS - CHANGED) * 1440, seed=8, start=START + timedelta(days=CHANGED), price=float(before["close"].iloc[-1]),
        step=8e-4,
    )  # fmt: skip
    return pd.concat([before, after], ignore_index=True)


@pytest.fixture
def run(database, pool, bars) -> Run:
    """Store a run on a simulated market with its bars and feature rows; return the run."""
    apply(database)
    frame, end = changing_bars(bars), START + timedelta(days=DAYS)
    segment = Segment(("BTCUSDT",), START, START + timedelta(days=TRAINED_DAYS), end)
    recorded = {
        **database.model_dump(mode="json", exclude={"database_url"}), "segments": [segment.to_json()], "data": [],
    }  # fmt: skip
    stored = Run("r1", "simulated", True, ("BTCUSDT",), segment.trade_from, end, START, recorded)
    runs = Runs(pool)
    runs.begin(stored)
    runs.conclude("r1", {})
    BarStore(pool).upsert("simulated", "BTCUSDT", Timeframe.M1, frame)
    materialize(
        database, Stores.of(database, pool), "simulated", "BTCUSDT", start=START, end=end,
        check=lambda rows: check(rows, "features"),
    )  # fmt: skip
    return stored


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """Return the champion of the symbol, trained on the first days."""
    made_up = made_up_model(symbols=("BTCUSDT",), source="simulated")
    until = START + timedelta(days=TRAINED_DAYS)
    champion = replace(made_up, spec=replace(made_up.spec, version="4", trained_from=START, trained_until=until))
    answer_with(monkeypatch, champion)
    return champion


def answer_with(monkeypatch: pytest.MonkeyPatch, champion: Model | None) -> None:
    registry = SimpleNamespace(
        holders=lambda name, role: {SCOPE: "4"} if champion is not None and role == CHAMPION else {},
        load=lambda name, version: champion,
    )
    monkeypatch.setattr(drift, "open_registry", lambda settings: registry)


@pytest.mark.usefixtures("model")
def test_a_doubled_volatility_is_drift_counted_once_and_reported(database, pool, run) -> None:
    compared = drift.compare(database, run.id)
    (symbol,) = compared.symbols
    assert (compared.verdict, symbol.window_days, symbol.version) == ("drift", 1.0, "4")
    features = [window for window in symbol.windows if window.kind is DriftKind.FEATURES]
    assert [window.since for window in features] == [START + timedelta(days=day) for day in range(TRAINED_DAYS, DAYS)]
    assert [window.drifted for window in features[:2]] == [False, False]
    (onset,) = [window for window in features if window.onset]
    assert onset.since >= START + timedelta(days=CHANGED)
    assert any("volatility" in reason for reason in symbol.reasons)
    assert len([event for event in compared.named("drift") if event.kind is DriftKind.FEATURES]) == 1
    assert str(compared.named("drift")[0]).startswith("BTCUSDT, features since 2025-03-")
    killed_before_it_was_emitted = drift.compare(database, run.id)
    assert killed_before_it_was_emitted == compared
    drift.mark_reported(database, compared.events)
    again = drift.compare(database, run.id)
    assert (again.events, again.symbols) == ((), compared.symbols)
    stored = DriftHistory(pool).of(Judged(SCOPE, "bos", "4"))
    assert len(stored) == len(symbol.windows)
    assert [window.reasons for window in stored if window.onset] == [w.reasons for w in symbol.windows if w.onset]


@pytest.mark.usefixtures("model")
def test_the_pages_name_a_simulated_market_and_show_the_same_scores(database, run) -> None:
    compared = drift.compare(database, run.id)
    page = compared.report.read_text(encoding="utf-8")
    (symbol,) = compared.symbols
    assert symbol.page is not None
    assert '<span class="source simulated">SIMULATED market</span>' in page
    assert f'href="{symbol.page.name}"' in page
    distributions = symbol.page.read_text(encoding="utf-8")
    assert "SIMULATED market" in distributions
    assert len(distributions) < 3_000_000
    first = symbol.drifted[0]
    assert f"<td>{first}</td>" in distributions


def test_a_training_span_of_few_days_is_not_judged(database, run, model, monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(model.spec, trained_from=START + timedelta(days=TRAINED_DAYS - 5))
    answer_with(monkeypatch, replace(model, spec=short))
    compared = drift.compare(database, run.id)
    (symbol,) = compared.symbols
    assert (compared.verdict, symbol.windows, compared.events) == ("not judged", (), ())
    assert "has 5 whole days of rows, 12 are needed" in symbol.reasons[0]
    assert "not judged" in compared.report.read_text(encoding="utf-8")


def test_a_training_that_has_just_ended_waits_for_a_window(
    database, run, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = replace(model.spec, trained_until=START + timedelta(days=DAYS, hours=-3))
    answer_with(monkeypatch, replace(model, spec=newest))
    (symbol,) = drift.compare(database, run.id).symbols
    assert symbol.verdict == "not judged"
    assert symbol.reasons == ("no whole window of 1 day has passed since the training",)


@pytest.mark.usefixtures("model")
def test_a_comparison_of_an_earlier_run_leaves_the_reference_whole(database, pool, run) -> None:
    """The model was trained after that run ended; its reference is its training span all the same."""
    early = Segment(("BTCUSDT",), START, START + timedelta(days=12), START + timedelta(days=13))
    runs = Runs(pool)
    runs.begin(
        replace(run, id="r0", ends_at=early.trade_until, settings=run.settings | {"segments": [early.to_json()]})
    )
    runs.conclude("r0", {})
    (before,) = drift.compare(database, "r0").symbols
    assert before.reasons == ("no whole window of 1 day has passed since the training",)
    (symbol,) = drift.compare(database, run.id).symbols
    assert (symbol.since, symbol.until) == (START, START + timedelta(days=TRAINED_DAYS))
    assert symbol.windows[0].since == symbol.until


@pytest.mark.usefixtures("model")
def test_drift_is_reported_after_a_comparison_that_failed(database, pool, run) -> None:
    page = report_folder(database, run) / "drift.html"
    page.mkdir(parents=True)
    with pytest.raises(StoreError):
        drift.compare(database, run.id)
    page.rmdir()
    assert any(event.kind is DriftKind.FEATURES for event in drift.compare(database, run.id).named("drift"))


@pytest.mark.usefixtures("model")
def test_the_command_shows_weeks_without_the_days_before(database, pool, run) -> None:
    history, judged = DriftHistory(pool), Judged(SCOPE, "bos", "4")
    days = [window(timedelta(days=1), day, drifted=day >= 2) for day in range(4)]
    weeks = [window(timedelta(days=7), week, drifted=False) for week in range(3)]
    history.add(judged, days)
    history.add(judged, weeks)
    symbol = drift_overview.read(database).to_json()["symbols"]["BTCUSDT"]
    assert (symbol["verdict"], symbol["verdicts"], len(symbol["windows"])) == ("stable", 0, 3)


def window(length: timedelta, number: int, *, drifted: bool) -> WindowVerdict:
    since = START + number * length
    return WindowVerdict(DriftKind.FEATURES, since, since + length, drifted, drifted and number == 2, ("wide",))


def test_without_a_model_the_error_names_the_symbol(database, run, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, None)
    with pytest.raises(ModelError, match="no model answers for simulated BTCUSDT; train one: `mikrobot retrain`"):
        drift.compare(database, run.id)


def test_a_probability_that_changes_is_drift_of_the_predictions(
    database, pool, run, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The features of the first days are compared with those of a model that answers otherwise later."""
    drift.compare(database, run.id)
    later = model.predict
    monkeypatch.setattr(Model, "predict", lambda self, values: np.clip(later(values) + 0.3, 0, 1))
    (symbol,) = drift.compare(database, run.id).symbols
    predictions = [window for window in symbol.windows if window.kind is DriftKind.PREDICTIONS]
    assert predictions[-1].drifted
    assert "probability_up (+" in predictions[-1].reasons[0]


@pytest.mark.usefixtures("model")
def test_the_command_shows_the_stored_verdicts(database, run) -> None:
    assert drift_overview.read(database).to_json()["symbols"]["BTCUSDT"]["windows"] == []
    drift.compare(database, run.id)
    shown = drift_overview.read(database).to_json()
    symbol = shown["symbols"]["BTCUSDT"]
    assert (shown["verdict"], symbol["verdict"], symbol["version"]) == ("drift", "drift", "4")
    assert symbol["verdicts"] == sum(window["onset"] for window in symbol["windows"]) >= 1


@pytest.mark.usefixtures("model")
def test_predictions_without_skill_on_another_market_are_one_degradation(database, pool, run) -> None:
    """The probabilities of all days after the training are drawn without a look at the market."""
    frame = BarStore(pool).range("simulated", "BTCUSDT", Timeframe.M1, run.starts_at, end=run.ends_at)
    rng, (above, below) = np.random.default_rng(1), made_up_model().spec.task.columns
    drawn = [
        Prediction(
            "BTCUSDT", Side.BUY, opened.to_pydatetime() + timedelta(minutes=1), float(rng.uniform(0.02, 0.98)),
            "bos", "4", "hash", {above: close * 1.0006, below: close * 0.9994},
        )
        for opened, close in zip(frame["open_time"], frame["close"], strict=True)
    ]  # fmt: skip
    Ledger(pool).commit("r1", drawn[-1].close_time, predictions=drawn)
    compared = drift.compare(database, run.id)
    (degraded,) = compared.named("degraded")
    assert str(degraded).startswith("BTCUSDT, bos 4 since 2025-03-")
    assert "worse than the promised" in str(degraded)
    assert drift.compare(database, run.id).named("degraded") == [degraded], "it is asked for after the cooldown"
    drift.mark_reported(database, [degraded])
    assert drift.compare(database, run.id).named("degraded") == []
