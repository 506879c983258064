"""Later versions of bars on the bundled PostgreSQL: what was known when, and what was traded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pandas.testing import assert_frame_equal

from mikrobot.domain.market import Timeframe, bars_of
from mikrobot.store.bar_versions import TRADES
from mikrobot.store.bars import BarStore
from mikrobot.store.postgres import database
from mikrobot.store.postgres.roles import LIVE

M1 = Timeframe.M1
SOURCE, SYMBOL = "binance", "BTCUSDT"
START = datetime(2024, 3, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
END = START + 10 * MINUTE


@pytest.fixture
def frame(bars):
    return bars(10, start=START).assign(spread=float("nan"))


@pytest.fixture
def store(database, frame):
    """The store of the live processes, in which ten bars were traded."""
    with database_of_live(database) as pool:
        store = BarStore(pool)
        for bar in bars_of(SYMBOL, frame):
            store.append(SOURCE, bar)
        yield store


def database_of_live(settings):
    return database.open_pool(settings, LIVE)


def as_known(store, at):
    return store.versions.as_known(SOURCE, SYMBOL, M1, START, end=END, at=at)


def test_without_a_revision_each_bar_is_known_from_its_close_on(store, frame):
    assert_frame_equal(as_known(store, END), frame)
    assert_frame_equal(as_known(store, START + 4 * MINUTE), frame.head(4))
    assert len(as_known(store, START + 4 * MINUTE - timedelta(microseconds=1))) == 3


def test_history_as_known_at_a_time_has_the_version_of_that_time(store, frame):
    """nautilus#1705, Binance.Net#1267: a different later version of a bar becomes a recorded revision."""
    third = bars_of(SYMBOL, frame)[2]
    versions = [replace(third, close=third.close + step / 100, high=third.high + 1) for step in (1, 2)]
    for number, version in enumerate(versions):
        assert store.versions.add(SOURCE, version, END + number * MINUTE, "another one")
    closes = [as_known(store, END + at * MINUTE)["close"][2] for at in (-1, 0, 1, 9)]
    assert closes == [third.close, versions[0].close, versions[1].close, versions[1].close]
    assert_frame_equal(store.range(SOURCE, SYMBOL, M1, START, end=END), frame)


def test_the_same_version_again_is_no_revision(store, frame):
    third = bars_of(SYMBOL, frame)[2]
    other = replace(third, volume=third.volume + 1)
    assert not store.versions.add(SOURCE, third, END, "the same")
    assert store.versions.add(SOURCE, other, END, "another one")
    assert not store.versions.add(SOURCE, other, END + MINUTE, "the same other one")
    assert store.versions.add(SOURCE, third, END + 2 * MINUTE, "the first again")
    revisions = store.versions.revisions(SOURCE, [SYMBOL], START, end=END)
    assert [(revision.bar.volume, revision.reason) for revision in revisions] == [
        (other.volume, "another one"),
        (third.volume, "the first again"),
    ]


def test_a_bar_that_was_not_traded_is_known_from_its_revision_on(store, frame):
    late = replace(bars_of(SYMBOL, frame)[0], open_time=END)
    store.versions.add(SOURCE, late, END + 3 * MINUTE, "too late")
    span = {"end": END + MINUTE}
    counts = [len(store.versions.as_known(SOURCE, SYMBOL, M1, START, **span, at=END + at * MINUTE)) for at in (1, 2, 3)]
    assert counts == [10, 10, 11]


def test_the_origin_of_a_bar_is_recorded_once(store, frame):
    bar = bars_of(SYMBOL, frame)[5]
    for _ in range(2):
        store.versions.add_origin(SOURCE, bar, TRADES)
    assert store.versions.origins(SOURCE, [SYMBOL], START, end=END) == {(SYMBOL, bar.open_time): TRADES}
    assert store.versions.origins("binance-usdm", [SYMBOL], START, end=END) == {}


def test_a_disagreement_is_read_with_both_bars(store, frame):
    bar = bars_of(SYMBOL, frame)[5]
    built = replace(bar, volume=bar.volume + 2)
    for number in range(2):
        known_at = END + number * MINUTE
        store.disagreements.add(SOURCE, bar, built, fields=["volume"], known_at=known_at)
    read = store.disagreements.disagreements(SOURCE, [SYMBOL], START, end=END)
    assert read["fields"].tolist() == [["volume"]]
    assert (read["open_time"][0], read["known_at"][0]) == (bar.open_time, END)
    assert (read["bar"][0]["volume"], read["trades"][0]["volume"]) == (bar.volume, built.volume)
    assert read["bar"][0]["spread"] is None
    assert store.disagreements.disagreements(SOURCE, [SYMBOL], END, end=END + MINUTE).empty
