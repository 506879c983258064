"""The errors of Binance's REST API, and the reading of its parameters."""

import re
from collections.abc import Mapping

import orjson

_NUMBER = re.compile(r"[0-9]{1,20}")
_SYMBOL = re.compile(r"[A-Z0-9\-_.]{1,20}")


class Refusal(Exception):
    """A request that the venue refuses.

    Parameters
    ----------
    code : int
        Error code of Binance.
    reason : str
    status : int
        HTTP status.
    """

    def __init__(self, code: int, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.status = status


def number(query: Mapping[str, str], name: str) -> int | None:
    """Return a whole number of a request; None if it is not given.

    Raises
    ------
    Refusal
        If it is not a whole number.
    """
    text = query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def limit(query: Mapping[str, str], default: int, most: int, *, strict: bool) -> int:
    """Return the limit of a request; one that is too large is cut, or refused if `strict`.

    Raises
    ------
    Refusal
        If it is not a whole number above 0, or too large.
    """
    value = number(query, "limit")
    if value is None:
        return default
    if value < 1 or (strict and value > most):
        raise Refusal(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(value, most)


def symbol_of(query: Mapping[str, str]) -> str:
    """Return the symbol of a request.

    Raises
    ------
    Refusal
        If it is missing or malformed.
    """
    symbol = query.get("symbol", "")
    if not symbol:
        raise Refusal(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    if not _SYMBOL.fullmatch(symbol):
        raise _illegal("symbol")
    return symbol


def symbols_of(query: Mapping[str, str]) -> list[str] | None:
    """Return the symbols of a request by `symbol` or `symbols`; None if it names none.

    Raises
    ------
    Refusal
        If they are malformed, or both are given.
    """
    if "symbol" in query and "symbols" in query:
        raise Refusal(-1128, "Combination of optional parameters invalid.")
    if "symbols" not in query:
        return [symbol_of(query)] if "symbol" in query else None
    try:
        symbols = orjson.loads(query["symbols"])
    except orjson.JSONDecodeError:
        raise _illegal("symbols") from None
    if not isinstance(symbols, list) or not all(isinstance(item, str) and _SYMBOL.fullmatch(item) for item in symbols):
        raise _illegal("symbols")
    return symbols


def _illegal(name: str) -> Refusal:
    return Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[A-Z0-9-_.]{{1,20}}$'.")
