"""Which market a local venue opens, by its options."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.errors import UnknownSymbol, UsageError
from mikrobot.market.local_venue.feed import Window
from mikrobot.market.local_venue.opening import VenueOptions, open_venue
from mikrobot.market.simulated import EPOCH


def opened(**options):
    """Return a venue whose clock stands still."""
    return open_venue(VenueOptions(**options), lambda: 0.0)


def market_time(venue):
    return datetime.fromtimestamp(venue.clock.now_ms() / 1000, UTC)


def test_without_data_the_simulated_market_begins_after_thirty_days():
    venue = opened()
    assert sorted(venue.feeds["spot"]) == sorted(venue.feeds["usdm"]) == ["ADAUSDT", "BTCUSDT", "ETHUSDT", "FILUSDT"]
    assert market_time(venue) == datetime(2025, 1, 31, tzinfo=UTC)
    assert venue.origin == "simulated"
    (first,) = venue.feeds["spot"]["BTCUSDT"].klines(Window(0, None, 1), venue.clock.now_ms(), forming=True)
    assert first[0] == int(EPOCH.timestamp()) * 1000


def test_short_data_begin_in_their_middle_and_end(coin_file, coin_bars):
    venue = opened(data=[coin_file])
    first, last = coin_bars["ts"].iloc[[0, -1]]
    assert market_time(venue) == first + (last + timedelta(minutes=1) - first) / 2
    assert not venue.clock.is_end(venue.clock.now_ms())


def test_a_start_outside_of_the_data_is_refused(coin_file):
    for time in (datetime(2024, 3, 3, tzinfo=UTC), datetime(2024, 3, 8, tzinfo=UTC)):
        with pytest.raises(UsageError, match="give one from 2024-03-04 00:00 and before 2024-03-08 00:00"):
            opened(data=[coin_file], start=time)


def test_only_coins_are_listed(coin_file, coin_bars, tmp_path):
    pair = tmp_path / "EURUSD_M1.parquet"
    coin_bars.assign(**{name: coin_bars[name] / 50_000 for name in ("open", "high", "low", "close")}).to_parquet(pair)
    assert list(opened(data=[pair, coin_file]).feeds["spot"]) == ["BTCUSDT"]
    with pytest.raises(UsageError, match="the data have bars of EURUSD; the venue lists coins"):
        opened(data=[pair])
    with pytest.raises(UnknownSymbol, match="no file has bars of ETHUSDT"):
        opened(data=[coin_file], symbols=["ETHUSDT"])


def test_the_numbers_of_the_simulated_market_follow_its_seed():
    windows = [
        opened(symbols=["BTCUSDT"], seed=seed)
        .feeds["spot"]["BTCUSDT"]
        .trades(Window(None, None, 50), int(datetime(2025, 1, 2, tzinfo=UTC).timestamp() * 1000), first_id=None)
        for seed in (1, 1, 2)
    ]
    assert windows[0] == windows[1] != windows[2]
