"""Which member of a combined source each symbol is traded on."""

import pytest

from mikrobot.domain.errors import FeedError, UnknownSymbol, UsageError
from mikrobot.market.combined.routes import routes_of

LISTED = {"binance": ("BTCUSDT", "ETHUSDT"), "mt5-local": ("EURUSD", "BTCUSDT")}


class Listing:
    """A venue that lists the given symbols, or does not answer."""

    def __init__(self, name, symbols):
        self.name, self._symbols = name, symbols or LISTED[name]

    def symbols(self):
        return self._symbols

    def instruments(self):
        if "SILENT" in self._symbols and self.name == "binance":
            raise FeedError("the venue is silent")
        for symbol in self._symbols:
            if symbol not in LISTED[self.name]:
                raise UnknownSymbol(f"{symbol}: {self.name} does not list it")
        return {}


def routes(*symbols, **chosen):
    return routes_of(tuple(LISTED), symbols, chosen, Listing)


def test_a_symbol_is_that_of_the_first_member_that_lists_it():
    assert routes("EURUSD", "BTCUSDT") == {"EURUSD": "mt5-local", "BTCUSDT": "binance"}


def test_a_chosen_member_is_not_asked_and_may_be_named_without_its_being_local():
    assert routes("SILENT", "BTCUSDT", SILENT="binance", BTCUSDT="mt5") == {
        "SILENT": "binance",
        "BTCUSDT": "mt5-local",
    }


def test_without_symbols_all_of_the_members_are_traded_each_once():
    assert routes() == {"BTCUSDT": "binance", "ETHUSDT": "binance", "EURUSD": "mt5-local"}


def test_a_symbol_that_no_member_lists_is_refused_with_the_names_of_all():
    with pytest.raises(UnknownSymbol, match="XAUUSD: none of binance, mt5-local lists this symbol; give one that"):
        routes("EURUSD", "XAUUSD")


def test_a_member_that_does_not_answer_is_not_taken_for_one_that_does_not_list_the_symbol():
    with pytest.raises(FeedError, match="the venue is silent"):
        routes("SILENT")


def test_a_chosen_source_that_is_no_member_is_refused():
    with pytest.raises(UsageError, match=r"EURUSD@simulated: simulated is no member of the source binance\+mt5-local"):
        routes("EURUSD", EURUSD="simulated")
