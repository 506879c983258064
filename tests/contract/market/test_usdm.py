"""USD-M futures with the real python-binance and real sockets: other paths, weights and listings than spot."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.errors import FeedError, UnknownSymbol
from mikrobot.domain.sources import at_address
from mikrobot.market.binance import BinanceSource, open_source
from mikrobot.market.binance_markets import SPOT, USDM
from mikrobot.market.binance_rest import WEIGHT_SHARE, weights_of
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings

from .conftest import listing

NOW = datetime(2025, 1, 10, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
UNTIL = NOW.replace(second=0)
START = UNTIL - 4 * 1440 * MINUTE


@pytest.fixture
def clock():
    return ManualClock(NOW)


def source(venue, clock, *symbols, weights=None):
    venue.now = NOW
    return BinanceSource(symbols, venue.futures_url, clock, 20.0, name="binance-usdm", weights=weights)


def pages(venue):
    return [int(query["limit"]) for path, query in venue.asked if path == "/fapi/v1/klines"]


def test_long_histories_are_read_in_pages_of_1500_and_the_last_bar_for_a_weight_of_1(venue, clock):
    futures = source(venue, clock, "BTCUSDT")
    assert len(futures.history("BTCUSDT", START, NOW)) == 4 * 1440
    assert pages(venue) == [1500, 1500, 1500, 4 * 1440 - 4500]
    venue.asked.clear()
    futures.history("BTCUSDT", UNTIL - MINUTE, NOW)
    assert pages(venue) == [1]


def test_listings_of_all_symbols_are_read_at_once(venue, clock):
    filters = [dict(one) for one in listing("ETHUSDT")["filters"]][:2]
    futures = {"contractType": "PERPETUAL", "filters": [*filters, {"filterType": "MIN_NOTIONAL", "notional": "20"}]}
    venue.listings = {name: listing(name) | futures for name in ("BTCUSDT", "ETHUSDT")}
    entries = source(venue, clock, "BTCUSDT", "ETHUSDT").instruments()
    assert [str(entry.instrument.min_notional) for entry in entries.values()] == ["20", "20"]
    assert [path for path, _ in venue.asked] == ["/fapi/v1/exchangeInfo"]


def test_a_symbol_that_is_not_listed_is_named(venue, clock):
    with pytest.raises(UnknownSymbol, match="GONEUSDT: Binance USD-M does not list this symbol"):
        source(venue, clock, "GONEUSDT").instruments()


def test_a_contract_that_expires_is_refused(venue, clock):
    venue.listings = {"BTCUSDT": listing("BTCUSDT") | {"contractType": "CURRENT_QUARTER"}}
    with pytest.raises(FeedError, match="BTCUSDT: a contract of type CURRENT_QUARTER expires; trade the perpetual"):
        source(venue, clock, "BTCUSDT").instruments()


def test_a_contract_that_is_settling_is_refused(venue, clock):
    venue.listings = {"BTCUSDT": listing("BTCUSDT") | {"contractType": "PERPETUAL", "status": "SETTLING"}}
    with pytest.raises(FeedError, match=r"does not trade it at present .status 'SETTLING'"):
        source(venue, clock, "BTCUSDT").instruments()


def test_the_settings_open_it_with_addresses_of_its_own(venue, clock, tmp_path):
    venue.now = NOW
    name = at_address("binance-usdm", venue.futures_url)
    settings = Settings(home=tmp_path, source=name, binance_futures_url=venue.futures_url, symbols=("BTCUSDT",))
    opened = open_source(settings, clock)
    assert (opened.name, opened.simulated) == ("binance-usdm-local", True)
    assert opened.time() == NOW
    assert USDM.addresses(settings) == (venue.futures_url, "")
    assert USDM.addresses(Settings()) == (USDM.url, USDM.stream_url)
    assert SPOT.addresses(Settings(binance_stream_url="")) == (SPOT.url, "")


# Weights


@pytest.mark.parametrize("market", [SPOT, USDM], ids=lambda market: market.title)
def test_requests_of_all_processes_together_wait_at_four_fifths_of_the_limit(market, clock, tmp_path):
    one, other = weights_of(market, tmp_path), weights_of(market, tmp_path)
    most = int(WEIGHT_SHARE * market.weight_limit)
    assert one.take(NOW, most - 5) == 0
    assert other.take(NOW + timedelta(seconds=10), 6) == pytest.approx(50)
    assert other.take(NOW + timedelta(seconds=10), 5) == 0


def test_a_history_that_is_too_heavy_for_a_minute_takes_another(venue, clock, tmp_path):
    weights = weights_of(USDM, tmp_path)
    futures = source(venue, clock, "BTCUSDT", weights=weights)
    futures.time()
    weights.take(NOW, int(WEIGHT_SHARE * USDM.weight_limit) - 30)
    assert len(futures.history("BTCUSDT", START, NOW)) == 4 * 1440
    assert timedelta(seconds=60) <= clock.now() - NOW < timedelta(seconds=120)


def test_what_other_programs_of_the_machine_ask_is_counted(venue, clock, tmp_path):
    venue.headers = {"X-MBX-USED-WEIGHT-1M": str(int(WEIGHT_SHARE * USDM.weight_limit))}
    futures = source(venue, clock, "BTCUSDT", weights=weights_of(USDM, tmp_path))
    futures.history("BTCUSDT", NOW - 5 * MINUTE, NOW)
    assert clock.now() - NOW >= timedelta(seconds=60)
