"""Instruments by the metadata of Binance, with the real python-binance and a real socket."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from mikrobot.domain.errors import FeedError, UnknownSymbol
from mikrobot.domain.instruments import registry
from mikrobot.market.binance import BinanceSource
from mikrobot.market.binance_instruments import entry_of
from mikrobot.runtime import ManualClock

from .conftest import listing

CLOCK = ManualClock(datetime(2025, 1, 10, 12, tzinfo=UTC))
PAYLOADS = Path(__file__).parents[4] / "shared/data/payloads"
GRID = ("tick", "size_step", "min_size", "min_notional")


def source(venue, *symbols):
    return BinanceSource(symbols, venue.url, CLOCK, 20.0)


@pytest.fixture
def listed(venue):
    """Take the listings of the venue for the duration of a test."""

    def take(*symbols):
        registry.use_venue(source(venue, *symbols).instruments())

    yield take
    registry.use_venue({})


def test_the_grid_of_the_venue_precedes_the_table_and_the_file_of_the_user(venue, listed, tmp_path):
    own = tmp_path / "instruments.toml"
    own.write_text("[BTCUSDT]\ntick = 0.5\npip = 0.5\nspread = 0.5\ntaker_fee = 0.0007\n")
    registry.use_file(own)
    venue.listings["BTCUSDT"] = listing("BTCUSDT", tick="0.10000000", step="0.00200000")
    listed("BTCUSDT")
    entry = registry.entry("BTCUSDT")
    assert [getattr(entry.instrument, name) for name in GRID] == [*map(Decimal, ("0.1", "0.002", "0.002", "5"))]
    assert entry.origin == "venue"
    assert entry.instrument.taker_fee == Decimal("0.0007")
    assert not {"tick", "size_step"} & set(entry.assumed)


def test_a_coin_in_no_table_is_traded_by_its_listing(venue, listed):
    assert not registry.is_known("NEWCOINUSDT")
    venue.listings["NEWCOINUSDT"] = listing("NEWCOINUSDT", tick="0.00000100", step="10.00000000")
    listed("NEWCOINUSDT")
    entry = registry.entry("NEWCOINUSDT")
    assert (entry.instrument.asset, entry.instrument.base, entry.instrument.quote) == ("crypto", "NEWCOIN", "USDT")
    assert (entry.instrument.tick, entry.instrument.size_step) == (Decimal("0.000001"), Decimal("10"))
    assert {"spread", "leverage", "taker_fee"} <= set(entry.assumed)


def test_the_listing_is_recorded_with_the_run(venue, listed):
    venue.listings["BTCUSDT"] = listing("BTCUSDT", tick="0.10000000")
    listed("BTCUSDT")
    written = json.loads(json.dumps(registry.recordable(["BTCUSDT"])))
    registry.use_venue({})
    assert registry.instrument("BTCUSDT").tick == Decimal("0.01")
    with registry.using(registry.recorded(written)):
        assert registry.instrument("BTCUSDT").tick == Decimal("0.1")
        assert registry.entry("BTCUSDT").origin == "venue"


def test_a_symbol_that_binance_does_not_list_is_named(venue):
    with pytest.raises(UnknownSymbol, match="GONEUSDT: Binance spot does not list this symbol"):
        source(venue, "BTCUSDT", "GONEUSDT").instruments()


def test_a_symbol_that_is_not_traded_at_present_is_refused_with_its_status(venue):
    venue.listings["BTCUSDT"] = listing("BTCUSDT") | {"status": "BREAK"}
    with pytest.raises(FeedError, match=r"BTCUSDT: Binance does not trade it at present .status 'BREAK'"):
        source(venue, "BTCUSDT").instruments()


@pytest.mark.parametrize("answer", [{}, [], {"symbols": []}, {"symbols": [7]}, {"symbols": None}])
def test_another_answer_is_named(venue, answer):
    venue.script.append((200, {}, answer))
    with pytest.raises(FeedError, match="BTCUSDT: Binance sent no exchangeInfo but"):
        source(venue, "BTCUSDT").instruments()


@pytest.mark.parametrize("tick", [None, 0.01, "", "much", [], {}, "0.00000000", "-1", "NaN", "Infinity"])
def test_an_odd_number_is_named_with_its_key(tick):
    with pytest.raises(FeedError, match=r"BTCUSDT: Binance lists tickSize as .*; expected a number of at least 1E-12"):
        entry_of("BTCUSDT", listing("BTCUSDT", tick=tick))


@pytest.mark.parametrize("filters", [None, [], [7], [{}], "text"])
def test_filters_of_another_shape_are_named(filters):
    with pytest.raises(FeedError, match="BTCUSDT: Binance lists tickSize as None"):
        entry_of("BTCUSDT", listing("BTCUSDT") | {"filters": filters})


@pytest.mark.skipif(not PAYLOADS.exists(), reason="the recorded payloads are not on this machine")
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("nt_http_futures_market_exchange_info.json", ("0.1", "0.001", "0.001", "10")),
        ("nt_http_spot_market_exchange_info.json", ("0.01", "0.00001", "0.00001", "10")),
    ],
)
def test_listings_recorded_from_binance_are_read(file, expected):
    recorded = json.loads((PAYLOADS / file).read_text())["symbols"]
    traded = entry_of("BTCUSDT", next(one for one in recorded if one["symbol"] == "BTCUSDT")).instrument
    assert [getattr(traded, name) for name in GRID] == [*map(Decimal, expected)]
    assert (traded.base, traded.quote, traded.leverage) == ("BTC", "USDT", Decimal(10))
