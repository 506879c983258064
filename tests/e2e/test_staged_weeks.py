"""Eight weeks of a market, week by week with the real command: what a change of the market leads to, and quiet weeks.

The market repeats a share of its last move, which a model can learn. From the second week on it reverses the move
instead and moves more: the model of the first week is wrong then, until a retraining has learned enough of the new
market to pass the gate.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.drift import DriftKind
from mikrobot.market.bar_files import digests
from mikrobot.models.registry import Registry
from mikrobot.models.scope import CHALLENGER, CHAMPION, Scope
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.store import web_access
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.store.stage_results import StageResults
from mikrobot.workflows.resumption import DIGESTS

pytestmark = pytest.mark.soak

CLOCK = SystemClock()
SCOPE = Scope("replay", "BTCUSDT")
WEEK = timedelta(days=7)
START = datetime(2025, 1, 6, tzinfo=UTC)
"""Beginning of the traded weeks, a Monday."""

HISTORY_DAYS, WEEKS, CHANGE = 42, 8, 1
"""Days that a training learns from before its week, traded weeks, and weeks before the market changes."""

WINDOWS = 2
"""Weeks within which the change must be found."""

PRICE, STEP = 60_000.0, 2e-4


def market(seed: int, *, changes: bool) -> pd.DataFrame:
    """Return the bars of all weeks: each minute repeats .4 of the previous move, after the change it reverses it."""
    rng = np.random.default_rng(seed)
    since = START - timedelta(days=HISTORY_DAYS)
    ts = pd.date_range(since, START + WEEKS * WEEK, freq="1min", inclusive="left")
    changed = (ts >= START + CHANGE * WEEK) & changes
    steps = rng.normal(size=(len(ts), 4)) * np.where(changed, 1.6 * STEP, STEP)[:, None] / 2
    memory, drift, drifts = np.where(changed, -0.4, 0.4), 0.0, np.empty(len(ts))
    for minute, move in enumerate(steps.sum(axis=1)):
        drifts[minute] = drift
        drift = memory[minute] * (move + drift)
    path = np.exp((steps + drifts[:, None] / 4).cumsum(axis=1))
    close = PRICE * path[:, -1].cumprod()
    opened = np.concatenate([[PRICE], close[:-1]])
    prices = np.column_stack([opened, opened[:, None] * path]).round(2)
    volume = rng.gamma(4.0, 2.5, len(ts)).round(3)
    return pd.DataFrame(
        {
            "ts": ts, "open": prices[:, 0], "high": prices.max(1), "low": prices.min(1), "close": prices[:, -1],
            "volume": volume, "spread": 0.5, "trades": rng.integers(50, 500, len(ts)),
            "taker_buy_volume": (volume * rng.uniform(0.3, 0.7, len(ts))).round(3),
        }
    )  # fmt: skip


@dataclass
class Staged:
    """A stack that is up, and the weeks that were traded on it."""

    program: Any
    bars: pd.DataFrame
    folder: Path
    runs: list[str] = field(default_factory=list)

    @property
    def registry(self) -> Registry:
        return open_registry(self.program.settings, signing=True)

    def file(self, week: int) -> Path:
        """Return a file with the bars up to the end of a week."""
        path = self.folder / f"{week}" / "BTCUSDT_M1.parquet"
        if not path.exists():
            path.parent.mkdir()
            self.bars[self.bars["ts"] < START + week * WEEK].to_parquet(path, index=False)
        return path

    def command(self, *arguments: object) -> dict[str, Any]:
        ended = self.program.run(*arguments, "--json", retrain_cooldown_hours=0)
        assert ended.returncode == 0, ended.stderr
        return dict(json.loads(ended.stdout))

    def trade(self, week: int) -> None:
        """Trade a week; the first one trains, the others only use what the registry has."""
        if week == 1:
            once = ("run", "--once", "--source", "replay", "--data", self.file(week))
            summary = self.command(*once, "--hours", 168, "--history-days", HISTORY_DAYS)
        else:
            self.begin(week)
            summary = self.command("run", "--resume", "--once")
        self.runs.append(summary["run"])
        self.await_retrainings()

    def begin(self, week: int) -> None:
        """Record the run of a week as if it had been interrupted after a training that registered nothing."""
        start, end = START + (week - 1) * WEEK, START + week * WEEK
        segment = Segment((SCOPE.symbol,), start - timedelta(days=HISTORY_DAYS), start, end)
        with database.open_pool(self.program.settings) as pool:
            before = Runs(pool).get(self.runs[-1])
            file = self.file(week)
            changed = {"data": [str(file)], "segments": [segment.to_json()], DIGESTS: digests([file])}
            run = Run(
                f"week {week}", SCOPE.source, False, (SCOPE.symbol,), start, end, CLOCK.now(),
                {**before.settings, **changed},
            )  # fmt: skip
            Runs(pool).begin(run)
            StageResults(pool, run.id, 0).add("train", [])

    def prefect(self, path: str, body: dict[str, Any]) -> Any:
        settings = self.program.settings
        url, login = f"{settings.prefect_url}/api/{path}/filter", web_access.login(settings, "prefect")
        return httpx.post(url, json=body, auth=login, timeout=30).raise_for_status().json()

    def retrainings(self) -> list[dict[str, Any]]:
        """Return the runs of the deployment `retrain`, the oldest first."""
        retrain = {"deployments": {"name": {"any_": ["retrain"]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return list(self.prefect("flow_runs", retrain))

    def await_retrainings(self) -> None:
        """Wait until every event that the week has left was handled, and the retrainings that it started have ended."""
        asked = self.asked()

        def ended() -> bool:
            states = [run["state_type"] for run in self.retrainings()]
            return len(states) >= asked and all(state in ("COMPLETED", "FAILED", "CRASHED") for state in states)

        wait_until(ended, "a retraining did not start or end", CLOCK, timeout_s=600, every_s=2)

    def asked(self) -> int:
        """Return how many retrainings were asked for."""
        span = {"since": (CLOCK.now() - timedelta(days=1)).isoformat(), "until": CLOCK.now().isoformat()}
        events = self.prefect("events", {"filter": {"event": {"name": ["mikrobot.degraded"]}, "occurred": span}})
        return len(events["events"])

    def champion(self) -> str:
        return self.registry.holders("bos", CHAMPION)[SCOPE]

    def versions(self, week: int) -> set[str]:
        """Return the versions whose predictions a week was traded on."""
        with database.open_pool(self.program.settings) as pool:
            return {prediction.model_version for prediction in Ledger(pool).predictions(self.runs[week - 1])}

    def windows(self) -> list[dict[str, Any]]:
        """Return the verdicts on what answers, as the command shows them."""
        (symbol,) = self.command("drift")["symbols"].values()
        return list(symbol["windows"])


@contextmanager
def staged(install: Callable[..., Any], folder: Path, *, changes: bool) -> Iterator[Staged]:
    with install(folder) as program:
        up = program.run("up", retrain_cooldown_hours=0)
        assert up.returncode == 0, up.stderr
        yield Staged(program, market(7, changes=changes), folder)


def test_quiet_weeks_do_not_retrain(install: Callable[..., Any], tmp_path: Path) -> None:
    with staged(install, tmp_path, changes=False) as weeks:
        for week in range(1, WEEKS + 1):
            weeks.trade(week)
        assert weeks.champion() == "1"
        assert weeks.retrainings() == []
        windows = weeks.windows()
        assert len(windows) > 3 * WEEKS
        assert sum(window["onset"] for window in windows) <= 1


def test_a_changed_market_is_found_learned_promoted_and_rolled_back(
    install: Callable[..., Any], tmp_path: Path
) -> None:
    with staged(install, tmp_path, changes=True) as weeks:
        weeks.trade(1)
        assert weeks.champion() == "1"
        assert weeks.retrainings() == []
        for week in range(CHANGE + 1, CHANGE + WINDOWS + 1):
            weeks.trade(week)
        onsets = {window["kind"]: window for window in weeks.windows() if window["onset"]}
        assert datetime.fromisoformat(onsets[DriftKind.FEATURES]["from"]) >= START + CHANGE * WEEK
        assert datetime.fromisoformat(onsets[DriftKind.CONCEPT]["from"]) >= START + CHANGE * WEEK
        (retraining, *_) = weeks.retrainings()
        assert retraining["created_by"]["type"] == "AUTOMATION"
        assert retraining["state_type"] == "COMPLETED"
        assert retraining["parameters"]["reason"].startswith("degraded: BTCUSDT, bos 1 since 2025-")
        week = CHANGE + WINDOWS
        while weeks.champion() == "1" and week < WEEKS - 1:
            week += 1
            weeks.trade(week)
            assert weeks.versions(week) == {"1"}
        promoted = weeks.champion()
        assert promoted != "1"
        tags = weeks.registry.version("bos", promoted).tags
        assert weeks.registry.holders("bos", CHALLENGER).get(SCOPE) != promoted
        assert tags["replaces.BTCUSDT"] == "1"
        week += 1
        weeks.trade(week)
        assert weeks.versions(week) == {promoted}
        (answering,) = weeks.command("performance")["symbols"]
        assert answering["version"] == promoted
        assert answering["skill"]["auc"]["value"] > 0.5
        back = weeks.program.run("models", "rollback", "bos")
        assert back.returncode == 0, back.stderr
        assert weeks.champion() == "1"
        settings = weeks.program.settings
        served = httpx.get(f"{settings.bento_url}/model?symbol=BTCUSDT", auth=web_access.login(settings, "bento"))
        assert served.json()["version"] == "1"
