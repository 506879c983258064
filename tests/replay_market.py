"""A replay of recorded bars that tests trade and disturb: real servers, a made-up champion, and exact ledgers.

The servers stay up for the tests of several files; the last of them stops them. Every session imports this module, so
the libraries of training and of Feast are imported where they are used.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mikrobot.domain.market import Timeframe
from mikrobot.domain.news import NewsCalendar
from mikrobot.domain.trading import FillReason
from mikrobot.features.catalog import CATALOG
from mikrobot.live import accounts, arms
from mikrobot.market.replay import read_bars
from mikrobot.models.bos import BosInputs
from mikrobot.models.calibration import Calibration
from mikrobot.models.model import Model
from mikrobot.models.spec import ModelSpec
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack, processes, service_table, supervision, supervisor, wanted
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import bundled, database
from mikrobot.store.runs import NEWS, Run, Runs, Segment
from mikrobot.workflows.gate_counts import Check
from tests.killing import head_of, kill_9

CLOCK = SystemClock()
UNTIL = datetime(2025, 3, 14, 12, tzinfo=UTC)
FROM = UNTIL - timedelta(minutes=100)
HISTORY_FROM = FROM - timedelta(days=2)
SYMBOLS = ("BTCUSDT", "EURUSD")
NOTHING = {"parameters": {}, "metrics": {}, "tags": {}}


@dataclass(frozen=True)
class Market:
    """PostgreSQL, Feast, MLflow and the prediction service, with two days of bars and a champion."""

    settings: Settings
    segment: Segment
    installation: Any
    source: str = "replay"

    def serve(self) -> None:
        """Start the servers that do not run."""
        bundled.start(self.settings.home, self.settings.host, self.settings.postgres_port)
        services = [service_table.services(self.settings)[name] for name in ("mlflow", "bento")]
        for service in services:
            processes.start(service, self.settings.home, self.settings.host)
        for service in services:
            processes.await_ready(service, self.settings.home, CLOCK)
        wanted.want(self.settings, ["postgres", "mlflow", "bento"])

    def trade(self, run_id: str, follow: Callable[[str, float], None] = lambda text, share: None) -> None:
        """Trade the last hours of the files as a run."""
        with supervision.kept(self.settings):
            supervisor.trade(self.settings, run_id, 0, self.segment, clock=CLOCK, tell=follow)

    def begin(self, run_id: str, *, news: NewsCalendar | None = None, **changed: Any) -> None:
        """Record a run and its arms, and delete the online rows of earlier runs."""
        chosen = self.settings.model_copy(update=changed)
        with database.open_pool(self.settings) as pool:
            with pool.connection() as connection:
                connection.execute("DELETE FROM bar WHERE ts >= %s", [FROM])
            started_at = CLOCK.now()
            settings = {
                **chosen.model_dump(mode="json"),
                "segments": [self.segment.to_json()],
                "asked_at": started_at.isoformat(),
                NEWS: None if news is None else news.to_json(),
            }
            run = Run(run_id, self.source, False, self.segment.symbols, FROM, UNTIL, started_at, settings)
            for recorded in (run, *arms.following(run, chosen)):
                Runs(pool).begin(recorded)

    def ledger(self, run_id: str) -> list[str]:
        """Return every record of a run as exact text, without the id of the run."""
        with database.open_pool(self.settings) as pool:
            ledger = Ledger(pool)
            readers = (ledger.predictions, ledger.decisions, ledger.orders, ledger.journal, ledger.skips)
            return [repr(record).replace(run_id, "RUN") for read in readers for record in read(run_id)]

    def materialize_everything(self, check: Check) -> None:
        """Store every bar of the files and their feature rows, as the scheduled flows do."""
        from mikrobot.workflows.materialize import Stores, materialize

        with database.open_pool(self.settings) as pool:
            stores = Stores.of(self.settings, pool)
            for path in self.settings.data:
                symbol, frame = read_bars(path)
                stores.bars.upsert(self.source, symbol, Timeframe.M1, frame)
                materialize(self.settings, stores, self.source, symbol, start=HISTORY_FROM, end=UNTIL, check=check)

    def runs(self, name: str) -> bool:
        """Return True if a process of the stack is alive."""
        return head_of(name, self.settings.home) is not None

    def kill(self, name: str, *, children: bool = True) -> None:
        """End a process of the stack as `kill -9` does, with its children or its head alone."""
        head = head_of(name, self.settings.home)
        assert head is not None, f"{name} does not run"
        kill_9(head, children=children)


@pytest.fixture(scope="session")
def market(install, bar_files: dict[str, Path], tmp_path_factory) -> Iterator[Market]:
    segment = Segment(tuple(bar_files), HISTORY_FROM, FROM, UNTIL)
    chosen = {"source": "replay", "data": tuple(bar_files.values()), "symbols": segment.symbols}
    with install(tmp_path_factory.mktemp("live")) as installation, pytest.MonkeyPatch.context() as patch:
        patch.delenv("MIKROBOT_DATABASE_URL", raising=False)
        settings = installation.settings.model_copy(update={**chosen, "entry_probability": 0.3})
        market = Market(settings, segment, installation)
        bundled.start(settings.home, settings.host, settings.postgres_port)
        database.provision(settings)
        database.migrate(settings)
        services = [service_table.services(settings)[name] for name in ("mlflow", "bento")]
        for service in services:
            processes.start(service, settings.home, settings.host)
        local_stack.run_module("feature_repo", settings)
        store_history(settings, bar_files)
        for service in services:
            processes.await_ready(service, settings.home, CLOCK)
        wanted.want(settings, ["postgres", "mlflow", "bento"])
        registry = open_registry(settings, signing=True)
        version = registry.log(made_up_model(), **NOTHING, data_name="none", data_sha256="0" * 64)
        registry.promote("bos", version, "for the test")
        yield market


def store_history(settings: Settings, bar_files: Mapping[str, Path], source: str = "replay") -> None:
    with database.open_pool(settings) as pool:
        for path in bar_files.values():
            symbol, bars = read_bars(path)
            history = bars[bars["open_time"].between(HISTORY_FROM, FROM, inclusive="left")]
            BarStore(pool).upsert(source, symbol, Timeframe.M1, history)


def made_up_model(swing: int = 5, symbols: tuple[str, ...] = SYMBOLS, source: str = "replay") -> Model:
    """Return a small booster whose probabilities scatter around one half, so that there are many trades."""
    import xgboost as xgb

    from mikrobot.models import graph

    rng, inputs = np.random.default_rng(3), BosInputs(swing)
    values = rng.normal(size=(2_000, len(inputs.names))).astype(np.float32)
    outcome = values.sum(axis=1) + rng.normal(size=len(values)) > 0
    data = xgb.DMatrix(values, outcome)
    booster = xgb.train(
        {"objective": "binary:logistic", "max_depth": 4, "seed": 3, "nthread": 1, "base_score": 0.5}, data, 40
    )
    whole = graph.joined([graph.of_booster("boosted", booster)], len(inputs.names))
    spec = ModelSpec(
        name="bos",
        version="",
        source=source,
        symbols=symbols,
        feature_hash=CATALOG.version,
        columns=inputs.columns,
        swing=swing,
        horizon_minutes=5,
        trained_from=HISTORY_FROM,
        trained_until=FROM,
        metrics={},
    )
    return Model(spec, whole, None, Calibration((0.0, 0.5, 1.0), (0.0, 0.5, 1.0)))


@pytest.fixture(scope="session")
def undisturbed(market: Market) -> list[str]:
    """Return the ledger of a run in which no process is killed."""
    market.begin("calm")
    market.trade("calm")
    with database.open_pool(market.settings) as pool:
        counts = Ledger(pool).counts("calm")
        reasons = {fill.reason for fill in accounts.fills(Ledger(pool), Runs(pool).get("calm"))}
    assert counts["decisions"] == len(market.segment.symbols) * 100
    assert counts["fills"] >= 6
    assert FillReason.ENTRY in reasons
    assert counts["skips"] == 0
    return market.ledger("calm")
