"""The default span of a flow: the symbols and times of the latest run, from a real database."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.runtime import ManualClock
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.workflows.default_span import default_spans

NOW = datetime(2026, 3, 4, 12, 30, 41, tzinfo=UTC)
FIRST = Segment(("EURUSD",), NOW - timedelta(days=900), NOW - timedelta(days=800), NOW - timedelta(days=799))
LAST = Segment(("BTCUSDT", "ETHUSDT"), NOW - timedelta(days=9), NOW - timedelta(days=2), NOW - timedelta(days=1))


@pytest.fixture
def runs(pool, database, monkeypatch) -> Runs:
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    return Runs(pool)


def begin(runs: Runs, source: str, *segments: Segment, started_at: datetime = NOW) -> Run:
    symbols = tuple(symbol for segment in segments for symbol in segment.symbols)
    settings = {"segments": [segment.to_json() for segment in segments]}
    run = Run(f"{source} {started_at}", source, False, symbols, FIRST.trade_from, NOW, started_at, settings)
    runs.begin(run)
    return run


def test_without_a_run_the_error_asks_for_one(runs):
    with pytest.raises(UsageError, match="`mikrobot run` first"):
        default_spans()


def test_a_replay_is_every_segment_of_the_latest_run_over_its_own_hours(runs):
    begin(runs, "simulated", FIRST, started_at=NOW - timedelta(hours=1))
    latest = begin(runs, "replay", FIRST, LAST)
    spans = default_spans(clock=ManualClock(NOW))
    assert [(part.source, part.symbols, part.run.id) for part in spans] == [
        ("replay", FIRST.symbols, latest.id),
        ("replay", LAST.symbols, latest.id),
    ]
    assert [(part.start, part.end) for part in spans] == [
        (FIRST.history_from, FIRST.trade_until),
        (LAST.history_from, LAST.trade_until),
    ]


def test_a_run_that_has_not_traded_yet_uses_its_own_market(runs):
    before = begin(runs, "simulated", FIRST, started_at=NOW - timedelta(hours=1))
    runs.advance(before.id, "worker", FIRST.trade_until, lambda: None)
    begun = begin(runs, "replay", LAST)
    (span,) = default_spans(["BTCUSDT"], run_id=begun.id)
    assert (span.source, span.run.id) == ("replay", begun.id)
    assert default_spans()[0].run.id == before.id


def test_a_live_market_goes_on_to_the_last_whole_minute(runs):
    begin(runs, "simulated", LAST)
    (span,) = default_spans(clock=ManualClock(NOW))
    assert span.end == NOW.replace(second=0)


def test_given_arguments_replace_the_defaults(runs):
    begin(runs, "simulated", LAST)
    start, end = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    (span,) = default_spans(["ETHUSDT"], start, end)
    assert (span.symbols, span.start, span.end) == (("ETHUSDT",), start, end)


def test_a_symbol_belongs_to_the_segment_that_traded_it_and_one_that_was_not_traded_to_the_last(runs):
    begin(runs, "replay", FIRST, LAST)
    assert [part.symbols for part in default_spans(["EURUSD"])] == [("EURUSD",)]
    assert [part.symbols for part in default_spans(["XAUUSD", "EURUSD"])] == [("EURUSD",), ("XAUUSD",)]
    assert [part.start for part in default_spans(["XAUUSD"])] == [LAST.history_from]
