"""A recorded session is traded again with the same bars in the same order, whatever the venue did in it."""

from datetime import timedelta
from pathlib import Path

import pytest

from mikrobot.domain.market import Bar
from mikrobot.market.feed import closes
from mikrobot.market.recorded_bars import RecordedSession
from mikrobot.market.replay import ReplaySource
from mikrobot.runtime import SystemClock
from tests.chaos.live_feed import coins, differences, follow

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> tuple[Path, list[tuple[object, Bar]]]:
    folder = tmp_path_factory.mktemp("recorded")
    followed, truth = follow(coins(3), 12, 6, 5, record=folder)
    assert differences(followed, truth) == []
    return folder, followed.bars


def replayed(folder: Path) -> list[tuple[object, Bar]]:
    source = ReplaySource([folder])
    symbols = source.symbols()
    start = min(source.first_open(symbol) for symbol in symbols)
    return [(close, bar) for close, bars in closes(source, symbols, start, None, clock=SystemClock()) for bar in bars]


def test_a_replay_yields_the_bars_of_the_live_session_in_their_order(session) -> None:
    folder, live = session
    assert repr(replayed(folder)) == repr(live)


def test_two_replays_are_equal_to_the_byte(session) -> None:
    folder, _ = session
    assert repr(replayed(folder)).encode() == repr(replayed(folder)).encode()


def test_a_replay_of_a_simulated_market_is_marked_as_one(session) -> None:
    folder, _ = session
    source = ReplaySource([folder])
    assert (source.name, source.simulated) == ("replay", True)


def test_the_raw_messages_alone_give_the_same_bars(session, tmp_path) -> None:
    folder, live = session
    (tmp_path / "recording.json").write_text((folder / "recording.json").read_text())
    for path in folder.glob("*.gz"):
        if "-published-" not in path.name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    raw = RecordedSession(tmp_path, SystemClock().now()).frames
    for symbol, frame in raw.items():
        closed = {bar.open_time: bar.close for _, bar in live if bar.symbol == symbol}
        values = dict(zip(frame["open_time"], frame["close"], strict=True))
        assert {time: values.get(time) for time in closed} == closed
