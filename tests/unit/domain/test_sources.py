"""Names of several sources that are traded together."""

import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.domain.sources import combined, is_source, kind_of, located, members_of, routed


def test_the_order_in_which_members_are_given_makes_no_difference():
    assert combined(["mt5-local", "simulated", "binance"]) == combined(["binance", "mt5-local", "simulated"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("binance+kraken", "there is no source 'kraken' in binance.kraken; the sources are simulated, "),
        ("binance+", "there is no source '' in binance.; the sources are "),
        ("binance+mt5+binance", "the source binance.mt5.binance has binance twice; name each member once"),
        ("replay+binance", "replay cannot be joined with other sources, since its bars are of the past"),
    ],
)
def test_members_that_cannot_be_joined_are_refused_in_one_line(given, message):
    with pytest.raises(UsageError, match=message):
        combined(members_of(given))
    assert not is_source(given)


def test_a_combined_source_is_live_and_simulated_if_one_of_its_members_is():
    assert (kind_of("binance+mt5").live, kind_of("binance+mt5").simulated) == (True, False)
    assert kind_of("binance+simulated").simulated
    assert (kind_of("binance-usdm+mt5").funding, kind_of("binance+mt5").funding) == (True, False)


def test_each_member_is_the_source_that_answers_at_its_address():
    addresses = {"binance_url": "http://127.0.0.1:8310/api", "binance_futures_url": "https://fapi.binance.com/fapi"}
    name = located("binance+binance-usdm", lambda kind: addresses[kind.address or ""])
    assert name == "binance-usdm+binance-local"


def test_two_members_that_are_the_same_source_at_their_address_are_refused():
    with pytest.raises(UsageError, match="has binance-local twice"):
        located("binance+binance-local", lambda kind: "http://127.0.0.1:8310/api")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("EURUSD@oanda", "there is no source 'oanda'"),
        ("EURUSD@", "there is no source ''"),
        ("EURUSD@mt5,EURUSD@simulated", "EURUSD is given on mt5 and on simulated; a run trades it on one source"),
    ],
)
def test_a_symbol_on_no_source_or_on_two_is_refused_in_one_line(given, message):
    with pytest.raises(UsageError, match=message):
        routed(given.split(","))
