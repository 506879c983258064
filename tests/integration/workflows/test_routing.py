"""A symbol of a combined source is traded on the same member in every run, so that bars of two venues never mix."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.live import wiring
from mikrobot.market.combined.source import CombinedSource
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import ROUTES, Run, Runs
from mikrobot.workflows.routing import require_unchanged, with_routes

START = datetime(2025, 1, 8, 12, tzinfo=UTC)
SOURCE = "binance+mt5"


@pytest.fixture
def runs(pool: Pool) -> Runs:
    """A run of two members."""
    runs = Runs(pool)
    settings = {ROUTES: {"BTCUSDT": "binance", "EURUSD": "mt5"}, "data": [], "seed": 7, "segments": []}
    runs.begin(Run("r1", SOURCE, False, ("BTCUSDT", "EURUSD"), START, START + timedelta(hours=1), START, settings))
    return runs


@pytest.mark.parametrize(
    ("source", "routes"),
    [
        (SOURCE, {"BTCUSDT": "binance", "EURUSD": "mt5"}),
        (SOURCE, {"XAUUSD": "mt5", "BTCUSDT": "binance"}),
        ("binance+mt5+simulated", {"BTCUSDT": "mt5"}),
        ("simulated", {}),
    ],
)
def test_routes_that_agree_with_earlier_runs_are_accepted(runs: Runs, source: str, routes: dict[str, str]) -> None:
    require_unchanged(source, routes, runs)


def test_another_route_of_a_symbol_is_refused_with_the_run_and_what_to_do(runs: Runs) -> None:
    with pytest.raises(
        UsageError,
        match=r"BTCUSDT of source binance\+mt5 is that of binance since run r1, .*: give BTCUSDT@binance, or",
    ):
        require_unchanged(SOURCE, {"EURUSD": "mt5", "BTCUSDT": "mt5"}, runs)


def test_processes_of_a_run_use_its_routes_and_those_of_symbols_that_join(runs: Runs) -> None:
    settings = Settings(routes={"BTCUSDT": "mt5", "XAUUSD": "mt5"})
    routes = wiring.market_of(settings, runs.get("r1")).routes
    assert routes == {"BTCUSDT": "binance", "EURUSD": "mt5", "XAUUSD": "mt5"}


def two_members() -> CombinedSource:
    clock = ManualClock(START)
    members = {"mt5-local": SimulatedSource(["EURUSD"], 1, clock), "simulated": SimulatedSource(["BTCUSDT"], 1, clock)}
    return CombinedSource("simulated+mt5-local", members, {"EURUSD": "mt5-local", "BTCUSDT": "simulated"})


def test_the_routes_of_a_run_are_shown_and_reach_its_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[str] = []
    settings = with_routes(Settings(home=tmp_path, source="simulated+mt5-local"), two_members(), shown.append)
    assert shown == ["EURUSD is traded on mt5-local, BTCUSDT on simulated"]
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    child: Any = Settings()
    assert (child.source, child.routes) == ("simulated+mt5-local", {"EURUSD": "mt5-local", "BTCUSDT": "simulated"})


def test_a_route_in_a_run_on_one_source_is_refused() -> None:
    source = SimulatedSource(["EURUSD"], 1, ManualClock(START))
    with pytest.raises(UsageError, match="EURUSD@mt5: the run trades simulated only; leave @mt5 out"):
        with_routes(Settings(routes={"EURUSD": "mt5"}), source, lambda text: None)
    assert with_routes(Settings(routes={"EURUSD": "simulated"}), source, lambda text: None).routes == {}
