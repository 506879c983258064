"""Short builders for the instruments, accounts and events of scenarios."""

from typing import Any

EURUSD = {
    "symbol": "EURUSD", "type": "fx", "base": "EUR", "quote": "USD",
    "tick": "0.00001", "pip": "0.0001", "lot": "100000", "size_step": "1",
}  # fmt: skip
USDJPY = EURUSD | {"symbol": "USDJPY", "base": "USD", "quote": "JPY", "tick": "0.001", "pip": "0.01"}
EURJPY = USDJPY | {"symbol": "EURJPY", "base": "EUR"}
BTCUSDT = {
    "symbol": "BTCUSDT", "type": "spot", "base": "BTC", "quote": "USDT",
    "tick": "0.01", "size_step": "0.000001", "maker_fee": "0.0002", "taker_fee": "0.001",
}  # fmt: skip
PERP = BTCUSDT | {"symbol": "BTCPERP", "type": "perp", "tick": "0.1", "size_step": "0.001", "taker_fee": "0.0005"}

DOLLARS = {"type": "margin", "base_currency": "USD", "balances": {"USD": "10000.00"}, "leverage": "30"}
CASH = {"type": "cash", "base_currency": None, "balances": {"USDT": "100000", "BTC": "2"}}
TETHER = {"type": "margin", "base_currency": "USDT", "balances": {"USDT": "10000"}, "leverage": "10"}


def scenario(*events: dict[str, Any], account: dict[str, Any] = DOLLARS) -> dict[str, Any]:
    """Return a scenario of these events, with an FX account in dollars by default."""
    instruments = [EURUSD, USDJPY, EURJPY, BTCUSDT, PERP]
    return {"id": "case", "account": account, "instruments": instruments, "events": list(events)}


def quote(t: int, bid: str, ask: str, symbol: str = "EURUSD", size: str | None = "10000000") -> dict[str, Any]:
    return {"t": t, "type": "quote", "symbol": symbol, "bid": bid, "ask": ask, "bid_size": size, "ask_size": size}


def book(t: int, bids: list[list[str]], asks: list[list[str]], symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {"t": t, "type": "book", "symbol": symbol, "bids": bids, "asks": asks}


def bar(t: int, open: str, high: str, low: str, close: str, **rest: Any) -> dict[str, Any]:
    return {"t": t, "type": "bar", "symbol": "EURUSD", "open": open, "high": high, "low": low, "close": close, **rest}


def order(id: str, side: str, qty: str = "100000", type: str = "market", symbol: str = "EURUSD", **rest: Any) -> Any:
    return {"id": id, "symbol": symbol, "side": side, "qty": qty, "type": type, **rest}


def submit(t: int, id: str, side: str, *rest: Any, **more: Any) -> dict[str, Any]:
    return {"t": t, "type": "submit", "order": order(id, side, *rest, **more)}


def bracket(t: int, side: str, sl: str, tp: str, entry: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return submit(t, "B", side, type="bracket", entry=entry or {"type": "market"}, sl=sl, tp=tp, **more)


def snapshot(t: int) -> dict[str, Any]:
    return {"t": t, "type": "snapshot"}
