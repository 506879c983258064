"""Which symbols convert the quote currency of another to the account's dollars. Does not look up a price."""

from collections.abc import Iterable

from mikrobot.domain.errors import UsageError
from mikrobot.domain.instruments.registry import guess, instrument, is_known
from mikrobot.domain.instruments.shapes import AT_PAR


def needs_rate(symbol: str) -> bool:
    """Return whether neither side of a symbol is the dollar or a stablecoin.

    >>> needs_rate("EURGBP"), needs_rate("USDJPY"), needs_rate("ETHBTC"), needs_rate("GER40")
    (True, False, True, True)
    """
    traded = instrument(symbol)
    return traded.quote not in AT_PAR and traded.base not in AT_PAR


def rate_symbol(symbol: str, among: Iterable[str]) -> str | None:
    """Return the first symbol among others whose price converts the quote currency of a symbol; None if there is none.

    >>> rate_symbol("EURGBP", ["EURGBP", "EURUSD", "GBPUSD"]), rate_symbol("EURJPY", ["GBPUSD"])
    ('GBPUSD', None)
    """
    currency = instrument(symbol).quote
    for other in among:
        pair = instrument(other)
        if (pair.base == currency and pair.quote in AT_PAR) or (pair.quote == currency and pair.base in AT_PAR):
            return other
    return None


def require_rates(symbols: Iterable[str]) -> None:
    """Check that every symbol that needs a rate to dollars has one among the others.

    Raises
    ------
    UsageError
        If one has none; with the symbol whose bars to add.
    """
    traded = tuple(symbols)
    for symbol in traded:
        if needs_rate(symbol) and rate_symbol(symbol, traded) is None:
            currency, wanted = instrument(symbol).quote, usual_rate(instrument(symbol).quote)
            raise UsageError(
                f"{symbol} is quoted in {currency}, which nothing here converts to the account's USD: add a file of "
                f"{wanted} over the same hours, as --data {wanted}_M1.parquet, and {wanted} to the symbols if named"
            )


def usual_rate(currency: str) -> str:
    """Return the symbol that usually converts a currency to dollars.

    >>> usual_rate("GBP"), usual_rate("JPY"), usual_rate("BTC")
    ('GBPUSD', 'USDJPY', 'BTCUSDT')
    """
    candidates = (f"{currency}USD", f"USD{currency}", f"{currency}USDT")
    listed = [name for name in candidates if is_known(name) and instrument(name).symbol == name]
    named = [name for name in candidates if guess(name) is not None]
    return (listed or named or list(candidates))[0]
