"""The hours to trade, which are later than all training data."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from mikrobot.domain.errors import DataError, UsageError
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.market import empty_bars
from mikrobot.live.session import plan, record_of
from mikrobot.live.wiring import rules_of
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.store.runs import Segment

NOW = datetime(2026, 3, 4, 12, 30, 41, tzinfo=UTC)
CLOCK = ManualClock(NOW)


@dataclass
class SpannedSource:
    """A source with spans but without bars."""

    spans: dict[str, tuple[datetime, datetime]]
    live: bool = False
    name: str = "replay"
    simulated: bool = False

    def symbols(self) -> tuple[str, ...]:
        return tuple(self.spans)

    def instruments(self) -> dict[str, Entry]:
        return {}

    def span(self, symbol: str) -> tuple[datetime, datetime]:
        return self.spans[symbol]

    def time(self) -> datetime:
        return NOW

    def first_open(self, symbol: str) -> datetime:
        return self.spans[symbol][0]

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        return empty_bars()


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def test_a_replay_trades_its_last_hours_and_learns_from_the_days_before():
    source = SpannedSource({"EURUSD": (at(2019, 1, 1), at(2020, 6, 30))})
    (segment,) = plan(source, (), hours=24, history_days=120, clock=CLOCK)
    assert segment.trade_until == at(2020, 6, 30)
    assert segment.trade_from == at(2020, 6, 29)
    assert segment.history_from == at(2020, 6, 29) - timedelta(days=120)


def test_symbols_that_ended_years_apart_are_traded_one_after_the_other():
    source = SpannedSource({"BTCUSDT": (at(2022, 7, 1), at(2025, 7, 1)), "EURUSD": (at(2014, 1, 1), at(2020, 7, 1))})
    first, second = plan(source, (), hours=24, history_days=120, clock=CLOCK)
    assert (first.symbols, second.symbols) == (("EURUSD",), ("BTCUSDT",))
    assert first.trade_until <= second.history_from


def test_symbols_whose_last_hours_overlap_share_a_segment_that_covers_both():
    source = SpannedSource(
        {"EURUSD": (at(2020, 1, 1), at(2020, 6, 26, 21)), "GBPUSD": (at(2020, 1, 1), at(2020, 6, 26, 20))}
    )
    (segment,) = plan(source, (), hours=6, history_days=30, clock=CLOCK)
    assert set(segment.symbols) == {"EURUSD", "GBPUSD"}
    assert (segment.trade_from, segment.trade_until) == (at(2020, 6, 26, 14), at(2020, 6, 26, 21))


def test_a_live_source_is_traded_up_to_the_last_closed_minute_even_where_a_market_sleeps():
    friday = at(2026, 2, 27, 22)
    source = SpannedSource({"EURUSD": (at(2025, 1, 1), friday), "BTCUSDT": (at(2025, 1, 1), NOW)}, live=True)
    (segment,) = plan(source, (), hours=2, history_days=30, clock=CLOCK)
    assert segment.trade_until == at(2026, 3, 4, 12) + timedelta(minutes=30)
    assert set(segment.symbols) == {"EURUSD", "BTCUSDT"}


def test_on_a_venue_of_its_own_a_run_trades_the_hours_that_come_next():
    source = SpannedSource({"BTCUSDT": (at(2025, 1, 1), NOW)}, live=True, name="binance-local", simulated=True)
    (segment,) = plan(source, (), hours=2, history_days=3, clock=CLOCK, coming=True)
    now = NOW.replace(second=0)
    assert (segment.trade_from, segment.trade_until) == (now, now + timedelta(hours=2))
    assert segment.history_from == now - timedelta(days=3)


def test_a_symbol_that_the_source_has_not_is_named():
    with pytest.raises(UsageError, match="no GBPUSD; it has EURUSD"):
        plan(SpannedSource({"EURUSD": (at(2019, 1, 1), at(2020, 1, 1))}), ("GBPUSD",), 24, 120, clock=CLOCK)


def test_too_little_history_is_refused_before_anything_starts():
    with pytest.raises(UsageError, match="EURUSD has bars from 2020-01-01 00:00 only"):
        plan(SpannedSource({"EURUSD": (at(2020, 1, 1), at(2020, 1, 2))}), (), 24, 120, clock=CLOCK)


def test_a_segment_survives_json():
    segment = Segment(("EURUSD",), at(2020, 1, 1), at(2020, 2, 1), at(2020, 2, 2))
    assert Segment.from_json(segment.to_json()) == segment


def recorded(settings):
    segment = Segment(("EURUSD",), at(2025, 1, 1), at(2025, 1, 6), at(2025, 1, 7))
    return record_of("r1", settings, SpannedSource({}), [segment], started_at=NOW)


def test_a_recorded_run_holds_everything_that_its_processes_trade_by():
    settings = Settings.model_construct(profile="ftmo", balance=Decimal("5000.50"), data=(Path("EURUSD_M1.csv"),))
    ruled = rules_of(Settings.model_construct(), recorded(settings))
    assert (ruled.source, ruled.symbols, ruled.data) == ("replay", ("EURUSD",), settings.data)
    assert (ruled.profile, ruled.balance, ruled.seed) == ("ftmo", Decimal("5000.50"), settings.seed)


@pytest.mark.parametrize("name", ["data", "seed", "profile", "entry_probability", "balance"])
def test_a_run_that_was_recorded_without_a_rule_is_named_with_it(name):
    run = recorded(Settings.model_construct())
    del run.settings[name]
    with pytest.raises(DataError, match=f"record of run r1 has no {name}"):
        rules_of(Settings.model_construct(), run)
