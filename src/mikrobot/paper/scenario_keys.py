"""Allowed keys of each part of an execution scenario; the reader refuses any other key by name."""

from collections.abc import Mapping

_BAR = frozenset({"t", "type", "symbol", "open", "high", "low", "close", "spread"})
_ASKED = frozenset({"id", "symbol", "side", "qty", "type", "tif", "expire_t", "post_only", "reduce_only", "ticket"})
_PRICES = frozenset({"price", "stop", "trail", "trail_pct", "activation"})

KEYS: Mapping[str, frozenset[str]] = {
    "scenario": frozenset({"id", "title", "account", "instruments", "events", "conventions", "ambiguity"}),
    "account": frozenset(
        {"type", "base_currency", "balances", "leverage", "netting", "commission_per_lot", "commission_ccy", "lot"}
    ),
    "instrument": frozenset(
        {
            "symbol", "type", "base", "quote", "tick", "price_precision", "size_step", "size_precision", "pip", "lot",
            "margin_rate", "maker_fee", "taker_fee", "maintenance_rate", "spread", "swap_long", "swap_short",
            "swap_triple_day", "session", "min_notional",
        }
    ),
    "order": _ASKED | _PRICES,
    "bracket": _ASKED | {"entry", "sl", "tp"},
    "entry": _PRICES | {"type"},
    "detail": _BAR,
}  # fmt: skip
"""Allowed keys by part of a scenario."""

EVENTS: Mapping[str, frozenset[str]] = {
    "quote": frozenset({"t", "type", "symbol", "bid", "ask", "bid_size", "ask_size", "conversion_only"}),
    "book": frozenset({"t", "type", "symbol", "bids", "asks", "conversion_only"}),
    "bar": _BAR | {"detail", "conversion_only"},
    "funding": frozenset({"t", "type", "symbol", "rate", "mark"}),
    "submit": frozenset({"t", "type", "order"}),
    "oco": frozenset({"t", "type", "orders"}),
    "modify": frozenset({"t", "type", "id", "price", "stop", "qty"}),
    "cancel": frozenset({"t", "type", "id"}),
    "deposit": frozenset({"t", "type", "currency", "amount"}),
    "snapshot": frozenset({"t", "type"}),
}
"""Allowed keys by event type."""
