"""What `mikrobot history` lists, from a real database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from mikrobot.cli import tables
from mikrobot.domain.errors import UsageError
from mikrobot.domain.market import Timeframe, bars_of
from mikrobot.store.bars import BarStore
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows import bar_history
from mikrobot.workflows.bar_history import Gap

FRIDAY = datetime(2025, 1, 10, 21, 50, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def run(pool):
    run = Run("r1", "binance", False, ("BTCUSDT", "ETHUSDT"), FRIDAY, FRIDAY, FRIDAY, {})
    Runs(pool).begin(run)
    return run


def test_minutes_of_an_open_market_without_a_bar_are_listed(pool, run, bars):
    frame = bars(60, start=FRIDAY).drop([10, 11, 40]).reset_index(drop=True)
    BarStore(pool).upsert("binance", "ETHUSDT", Timeframe.M1, frame)
    expected = [
        Gap("ETHUSDT", FRIDAY + 10 * MINUTE, FRIDAY + 11 * MINUTE, 2),
        Gap("ETHUSDT", FRIDAY + 40 * MINUTE, FRIDAY + 40 * MINUTE, 1),
    ]
    assert bar_history.gaps(pool, None, ()) == bar_history.gaps(pool, "binance", ("ETHUSDT",)) == expected
    assert "2025-01-10 22:00" in drawn(tables.gaps_table(expected))


def test_a_weekend_is_no_gap_of_foreign_exchange(pool, bars):
    friday, monday = bars(9, start=FRIDAY), bars(9, start=datetime(2025, 1, 13, 0, 5, tzinfo=UTC))
    for frame in (friday, monday):
        BarStore(pool).upsert("replay", "EURUSD", Timeframe.M1, frame)
    (gap,) = bar_history.gaps(pool, "replay", ("EURUSD",))
    assert (gap.first, gap.last) == (friday["open_time"].iloc[-1] + MINUTE, monday["open_time"].iloc[0] - MINUTE)
    assert 100 < gap.minutes < 130  # the last minute of the week, and two hours of Sunday evening


def test_revisions_are_listed_with_the_time_from_which_they_are_known(pool, run, bars):
    bar = bars_of("BTCUSDT", bars(3, start=FRIDAY))[1]
    store = BarStore(pool)
    store.append("binance", bar)
    store.versions.add("binance", replace(bar, volume=bar.volume + 1), FRIDAY + 9 * MINUTE, "another one")
    (revision,) = bar_history.revisions(pool, None, ())
    assert (revision.bar.volume, revision.known_at) == (bar.volume + 1, FRIDAY + 9 * MINUTE)
    assert "another one" in drawn(tables.revisions_table([revision]))
    store.versions.add_origin("binance", bar, "trades")
    span = {"start": FRIDAY, "end": FRIDAY + 5 * MINUTE}
    before, after = (
        bar_history.bars(pool, None, "BTCUSDT", **span, at=FRIDAY + minutes * MINUTE) for minutes in (8, 9)
    )
    assert [(shown.bar.volume, shown.origin) for shown in (*before, *after)] == [
        (bar.volume, "trades"),
        (bar.volume + 1, "trades"),
    ]
    assert "trades" in drawn(tables.bars_table(after))


def test_a_source_that_was_never_traded_needs_symbols(pool, run):
    with pytest.raises(UsageError, match="no run has traded the source replay: name its symbols with --symbols"):
        bar_history.gaps(pool, "replay", ())
    assert bar_history.gaps(pool, "replay", ("EURUSD",)) == []


def drawn(table):
    console = Console(width=240, file=StringIO())
    console.print(table)
    return console.file.getvalue()
