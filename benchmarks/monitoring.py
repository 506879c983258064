"""Benchmarks of the drift report and of the join of predictions with their outcomes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from benchmarks.temporary_stack import temporary_database
from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.domain.market import BAR_COLUMNS, Timeframe
from mikrobot.models.catalog import TRADED
from mikrobot.models.labels.samples import Prices
from mikrobot.models.scope import Scope
from mikrobot.models.task import Task
from mikrobot.monitoring import drift_page
from mikrobot.monitoring.drift_page import Comparison
from mikrobot.monitoring.drift_reference import VOLATILITY, make_reference
from mikrobot.monitoring.drift_report import SymbolDrift
from mikrobot.monitoring.drift_verdict import judge
from mikrobot.monitoring.outcomes import Outcomes, join
from mikrobot.store import predicted
from mikrobot.store.bars import BarStore
from mikrobot.store.drift_history import Judged
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs

ROWS, COLUMNS = 20_000, 60
PREDICTIONS = 1_000_000
PART = 25_000
"""Minutes of predictions in one statement, which may not take longer than the server allows."""

ROUNDS = 3

_START = datetime(2024, 1, 1, tzinfo=UTC)
_JUDGED = Judged(Scope("simulated", "EURUSD"), TRADED, "1")
_TASK = Task(TRADED, 5, 5)
_PREDICTED = b"""
INSERT INTO prediction (
    run_id, symbol, side, close_time, probability, model, model_version, feature_hash, feature_list_id, features
)
SELECT 'b', 'EURUSD', side, %(start)s::timestamptz + minute * interval '1 minute', .01 + .98 * random(),
    %(model)s, '1', '0', 'b', ARRAY[1.1 + .001 * random(), 1.1 - .001 * random()]
FROM generate_series(%(first)s::int, %(last)s::int) AS minute, unnest(ARRAY['buy', 'sell']) AS side
"""


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time the drift report of one symbol, and the join of its predictions in the ledger with their outcomes."""
    yield _drift(scale)
    with temporary_database() as settings, database.open_pool(settings) as pool:
        yield _outcomes(pool, scaled(PREDICTIONS, scale) // 2, scaled(ROUNDS, scale))


def _drift(scale: float) -> Measurement:
    """Compare the whole report with Evidently's own on the same rows, a fifth of which are the newest window."""
    count, rounds = scaled(ROWS, scale, least=3_000), scaled(ROUNDS, scale)
    rows, since = _rows(count, scaled(COLUMNS, scale, least=5)), _START
    until = since + count * timedelta(minutes=5) * 4 / 5
    columns = [name for name in rows.columns if name != "close_time"]
    is_older = rows["close_time"] <= pd.Timestamp(until)
    older, newest = rows[is_older], rows[~is_older]
    with TemporaryDirectory() as folder:
        path = Path(folder)

        def ours() -> None:
            reference = make_reference(rows, columns, since, until, window=(until - since) / 12)
            windows = judge(reference, rows, until + (until - since) / 4)
            verdicts = tuple(
                WindowVerdict(
                    DriftKind.FEATURES, w.since, w.until, w.verdict == "drift", w.onset, w.reasons,
                    {"share": w.share, "mean_shift": w.mean_shift, "volatility": w.volatility},
                )
                for w in windows
            )  # fmt: skip
            drift = SymbolDrift("EURUSD", TRADED, "1", "drift", (), since, until, window_days=1.0, windows=verdicts)
            drift_page.write(
                [Comparison(drift, reference, (older, newest))], "simulated", simulated=True, report=path / "drift.html"
            )

        return compared(
            f"drift report, {count:,} rows x {len(columns)} columns", "s", ours,
            Timed("Evidently's own, by PSI", lambda: _evidently(newest[columns], older[columns], path / "theirs.html")),
            limit=Timed("sorting the columns", lambda: np.sort(rows[columns].to_numpy(), axis=0)),
            rounds=rounds, uncounted=scaled(1, scale, least=0),
        )  # fmt: skip


def _rows(count: int, columns: int) -> pd.DataFrame:
    """Return rows every five minutes: autoregressive columns, which differ between windows without drift."""
    rng = np.random.default_rng(7)
    names = [f"column_{number}" for number in range(columns - 1)]
    frame = pd.DataFrame({name: lfilter([1], [1, -0.99], rng.normal(size=count)) for name in names})
    frame[VOLATILITY] = rng.normal(0, 1e-4, count)
    frame.insert(0, "close_time", pd.date_range(_START + timedelta(minutes=5), periods=count, freq="5min"))
    return frame


def _evidently(newest: pd.DataFrame, older: pd.DataFrame, page: Path) -> None:
    from evidently import Report
    from evidently.presets import DataDriftPreset

    Report([DataDriftPreset(method="psi")]).run(newest, older).save_html(str(page))


def _outcomes(pool: Pool, minutes: int, rounds: int) -> Measurement:
    """Compare the join, from the database on, with pandas' merge of predictions and labels that are in memory."""
    end = _START + minutes * timedelta(minutes=1)
    Runs(pool).begin(Run("b", "simulated", True, ("EURUSD",), _START, end, _START, {}))
    with pool.connection() as connection:
        connection.execute("INSERT INTO feature_list VALUES ('b', %s)", [list(_TASK.columns)])
        for first in range(1, minutes + 1, PART):
            part = {"first": first, "last": min(first + PART - 1, minutes)}
            connection.execute(_PREDICTED, {"start": _START, "model": TRADED} | part)
    BarStore(pool).upsert("simulated", "EURUSD", Timeframe.M1, _bars(minutes))
    outcomes, predictions = _joined(pool, end), _read(pool)
    labels = pd.DataFrame({"minute": outcomes.minute, "up": outcomes.side > 0, "outcome": outcomes.outcome})
    given = pd.DataFrame({"minute": predictions.minute, "up": predictions.up, "probability": predictions.probability})
    return compared(
        f"outcome join, {2 * minutes:,} predictions of the ledger", "s",
        lambda: _joined(pool, end),
        Timed("pandas' merge in memory, with the labels given", lambda: given.merge(labels, on=["minute", "up"])),
        limit=Timed("reading the predictions", lambda: _read(pool)), rounds=rounds,
    )  # fmt: skip


def _joined(pool: Pool, end: datetime) -> Outcomes:
    predictions = _read(pool)
    bars = BarStore(pool).range("simulated", "EURUSD", Timeframe.M1, _START, end=end)
    return join(
        _TASK, Prices.of(bars), predictions.minute, predictions.up,
        level=predictions.level, probability=predictions.probability,
    )  # fmt: skip


def _read(pool: Pool) -> predicted.Predicted:
    above, below = _TASK.columns
    return predicted.read(pool, _JUDGED, _START, levels=(above, below))


def _bars(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    close = 1.1 + np.cumsum(rng.normal(0, 1e-5, count))
    frame = pd.DataFrame({"open_time": pd.date_range(_START, periods=count, freq="min", unit="us")})
    prices = {"open": close, "high": close + 1e-5, "low": close - 1e-5, "close": close}
    others = dict.fromkeys(("volume", "spread", "trades", "taker_volume"), 1.0)
    return frame.assign(**prices, **others)[list(BAR_COLUMNS)]
