"""A run uses the instruments that were recorded with it, whatever the user's file has afterwards."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.domain.instruments import registry
from mikrobot.live.accounts import opened_venue
from mikrobot.live.session import plan, record_of
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.store.runs import INSTRUMENTS, Segment

START = datetime(2024, 3, 11, tzinfo=UTC)
DAY = timedelta(days=1)
REPLAY: Any = SimpleNamespace(
    name="replay", simulated=False, live=False, symbols=lambda: ("XAUUSD", "EURGBP"), first_open=lambda symbol: START,
    span=lambda symbol: (START, START + 30 * DAY),
)  # fmt: skip


def use(folder: Path, text: str) -> None:
    (folder / "instruments.toml").write_text(text)
    registry.use_file(folder / "instruments.toml")


def test_a_recorded_run_keeps_the_numbers_it_began_with(tmp_path: Path) -> None:
    use(tmp_path, "[XAUUSD]\nlot = 10\nleverage = 50\n")
    segment = Segment(("XAUUSD",), START, START + 20 * DAY, START + 21 * DAY)
    run = record_of("r", Settings(), REPLAY, [segment], started_at=START)
    stored = json.loads(json.dumps(run.settings))
    assert stored[INSTRUMENTS]["XAUUSD"]["lot"] == "10"
    use(tmp_path, "[XAUUSD]\nlot = 1000\nleverage = 5\n")
    venue = opened_venue(run, Settings())
    contract = venue.exchange.contracts["XAUUSD"]
    assert (contract.lot, contract.margin_rate) == (D(10), D(30) / D(50))
    registry.adopt(run.instruments)
    assert registry.instrument("XAUUSD").lot == 10


def test_a_run_without_recorded_instruments_uses_those_of_the_tables() -> None:
    segment = Segment(("XAUUSD",), START, START + 20 * DAY, START + 21 * DAY)
    run = record_of("r", Settings(), REPLAY, [segment], started_at=START)
    del run.settings[INSTRUMENTS]
    assert opened_venue(run, Settings()).instruments["XAUUSD"] == registry.instrument("XAUUSD")


def test_a_run_of_a_cross_without_its_rate_is_refused_before_it_starts() -> None:
    with pytest.raises(UsageError, match=r"EURGBP is quoted in GBP, .* add a file of GBPUSD"):
        plan(REPLAY, (), 6, 20, clock=ManualClock(START + 40 * DAY))


def test_a_symbol_may_be_chosen_by_another_name() -> None:
    (segment,) = plan(REPLAY, ("GOLD",), 6, 20, clock=ManualClock(START + 40 * DAY))
    assert segment.symbols == ("XAUUSD",)
