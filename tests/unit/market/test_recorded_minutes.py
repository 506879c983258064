"""The minutes of a recorded session are read as they were published, and its hours and instruments as it had them."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mikrobot.domain.errors import BarError
from mikrobot.domain.funding import FundingRate
from mikrobot.domain.instruments import registry
from mikrobot.domain.market import Bar
from mikrobot.domain.order_books import ClosingBook
from mikrobot.domain.quality import QualityScore
from mikrobot.live import wiring
from mikrobot.live.session import recorded_plan
from mikrobot.market.recorded_books import open_books
from mikrobot.market.recorded_funding import funding_row_of
from mikrobot.market.recorded_minutes import line_of
from mikrobot.market.replay import ReplaySource
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings, load
from tests.recorded_session import write_session

CLOSE = datetime(2025, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CLOCK = ManualClock(CLOSE + timedelta(days=1))
BOOK = ClosingBook("BTCUSDT", CLOSE, "live", "", ((99.7, 0.1 + 0.2), (99.0, 1 / 3)), ((100.0, 2.0),))
LOST = ClosingBook("ETHUSDT", CLOSE, "lost", "changes are missing between 7 and 9")
SCORE = QualityScore("BTCUSDT", CLOSE, 0.1 + 0.2, {"gap": 1.0, "book": 1 / 3})
SEGMENT = {
    "symbols": ["BTCUSDT"],
    "history_from": "2025-03-01T00:00:00+00:00",
    "trade_from": "2025-03-04T11:50:00+00:00",
}


def bar(minute: int = 0, symbol: str = "BTCUSDT") -> Bar:
    return Bar(symbol, CLOSE + (minute - 1) * MINUTE, 100.0, 102.0, 98.0, 101.0, volume=3.0, trades=4.0)


def settings(*folders: Path, **changed: object) -> Settings:
    return Settings(source="replay", data=folders, **changed)


def test_books_and_scores_come_back_bit_for_bit(tmp_path):
    folder = write_session(tmp_path / "a", [line_of(CLOSE, [bar()], {"BTCUSDT": BOOK, "ETHUSDT": LOST}, [SCORE])])
    books = open_books(settings(folder), ["BTCUSDT", "ETHUSDT"], CLOCK, tuple)
    assert books is not None
    assert books.at_close(CLOSE, ["BTCUSDT", "ETHUSDT", "ADAUSDT"]) == {"BTCUSDT": BOOK, "ETHUSDT": LOST}
    assert books.at_close(CLOSE + MINUTE, ["BTCUSDT"]) == {}
    assert books.between("BTCUSDT", CLOSE - MINUTE, CLOSE) == [BOOK]
    assert books.between("BTCUSDT", CLOSE, CLOSE + MINUTE) == []
    assert wiring.recorded_scores(settings(folder)) == {("BTCUSDT", CLOSE): SCORE}
    assert wiring.recorded_scores(settings(folder).model_copy(update={"source": "binance"})) == {}


def test_of_a_minute_that_was_recorded_again_the_last_one_counts(tmp_path):
    older = replace(BOOK, bids=((1.0, 1.0),))
    folder = write_session(tmp_path / "a", [line_of(CLOSE, [bar()], {"BTCUSDT": BOOK}, [SCORE])], number="0002")
    write_session(folder, [line_of(CLOSE, [bar()], {"BTCUSDT": older}, [replace(SCORE, score=1.0)])], number="0001")
    books = open_books(settings(folder), ["BTCUSDT"], CLOCK, tuple)
    assert books is not None
    assert books.at_close(CLOSE, ["BTCUSDT"]) == {"BTCUSDT": BOOK}
    assert wiring.recorded_scores(settings(folder)) == {("BTCUSDT", CLOSE): SCORE}


def test_a_recording_without_books_and_settings_without_them_have_none(tmp_path):
    text = b'{"stream":"published","data":{"close":"2025-03-04T12:00:00+00:00","bars":[]}}'
    old = write_session(tmp_path / "old", [text])
    new = write_session(tmp_path / "new", [line_of(CLOSE, [bar()], {"BTCUSDT": BOOK}, [])])
    assert open_books(settings(old), ["BTCUSDT"], CLOCK, tuple) is None
    assert open_books(settings(new), ["ETHUSDT"], CLOCK, tuple) is None
    assert open_books(settings(new, books=False), ["BTCUSDT"], CLOCK, tuple) is None
    assert open_books(settings(tmp_path / "BTCUSDT.parquet"), ["BTCUSDT"], CLOCK, tuple) is None


@pytest.mark.parametrize(
    "data",
    [
        '{"close":"noon","bars":[]}',
        '{"close":"2025-03-04T12:00:00Z"}',
        '{"close":"2025-03-04T12:00:00Z","bars":[],"books":[["BTCUSDT","fine","",[],[]]]}',
        '{"close":"2025-03-04T12:00:00Z","bars":[],"books":[["BTCUSDT","live","",[[1]],[]]]}',
        '{"close":"2025-03-04T12:00:00Z","bars":[],"scores":[["BTCUSDT",null,{}]]}',
    ],
)
def test_a_line_that_is_no_minute_is_refused_with_its_folder(data, tmp_path):
    folder = write_session(tmp_path / "a", [f'{{"stream":"published","data":{data}}}'.encode()])
    with pytest.raises(BarError, match=f"{folder}: .* of the recording cannot be read"):
        open_books(settings(folder), ["BTCUSDT"], CLOCK, tuple)


def test_the_hours_of_the_session_are_traded_unless_the_user_chooses(tmp_path):
    bars = [bar(minute) for minute in range(-4320, 1)]
    folder = write_session(tmp_path / "a", [line_of(one.close_time, [one], {}, []) for one in bars], segment=SEGMENT)
    source = ReplaySource([folder], clock=CLOCK)
    (segment,) = recorded_plan(source, load(source="replay", data=(folder,)))
    assert (segment.symbols, segment.trade_until) == (("BTCUSDT",), CLOSE)
    assert (segment.history_from, segment.trade_from) == (datetime(2025, 3, 1, tzinfo=UTC), CLOSE - 10 * MINUTE)
    for chosen in ({"hours": 1}, {"history_days": 2}, {"symbols": ("BTCUSDT",)}):
        assert recorded_plan(source, load(source="replay", data=(folder,), **chosen)) == ()


def test_a_recording_without_its_history_is_planned_as_any_other_file(tmp_path):
    bars = [bar(minute) for minute in range(-20, 1)]
    folder = write_session(tmp_path / "a", [line_of(one.close_time, [one], {}, []) for one in bars], segment=SEGMENT)
    assert recorded_plan(ReplaySource([folder], clock=CLOCK), settings(folder)) == ()


def test_a_segment_without_times_is_refused(tmp_path):
    folder = write_session(tmp_path / "a", [line_of(CLOSE, [bar()], {}, [])], segment={"trade_from": "noon"})
    with pytest.raises(BarError, match=r"its segment .* has no times; correct it, or remove it"):
        ReplaySource([folder], clock=CLOCK)


def test_the_instruments_of_the_session_are_those_of_the_replay(tmp_path):
    recorded = registry.recordable(["BTCUSDT"])["BTCUSDT"] | {"tick": "0.05", "pip": "0.05", "spread": "0.05"}
    instruments = {"BTCUSDT": recorded, "QQQUSDT": recorded | {"base": "QQQ"}}
    lines = [line_of(CLOSE, [bar(), bar(symbol="QQQUSDT")], {}, [])]
    source = ReplaySource([write_session(tmp_path / "a", lines, instruments=instruments)], clock=CLOCK)
    assert {symbol: str(entry.instrument.tick) for symbol, entry in source.instruments().items()} == {
        "BTCUSDT": "0.05",
        "QQQUSDT": "0.05",
    }
    assert str(registry.instrument("QQQUSDT").tick) == "0.05"
    assert source.notes == []
    instruments["BTCUSDT"]["pip"] = "0.01"
    wrong = write_session(tmp_path / "wrong", lines, instruments=instruments)
    with pytest.raises(BarError, match=f"{wrong}/recording.json: .* pip is 0.01"):
        ReplaySource([wrong], clock=CLOCK)


def test_two_recordings_charge_the_funding_of_both_at_one_minute(tmp_path: Path) -> None:
    rates = {symbol: FundingRate(symbol, CLOSE, Decimal("0.0001")) for symbol in ("BTCUSDT", "ETHUSDT")}
    for symbol, rate in rates.items():
        folder = write_session(tmp_path / symbol, [line_of(CLOSE, [bar(symbol=symbol)], {}, [])])
        data = {"close": (CLOSE + MINUTE).isoformat(), "rates": [funding_row_of(rate)]}
        line = b"1 %s\n" % json.dumps({"stream": "funded", "data": data}).encode()
        (folder / "20250304T12-funded-0001.gz").write_bytes(gzip.compress(line))
    source = ReplaySource([tmp_path / symbol for symbol in rates])
    charged = source.funding_feed(tuple(rates), CLOSE).charged(CLOSE + MINUTE)
    assert charged == list(rates.values())
