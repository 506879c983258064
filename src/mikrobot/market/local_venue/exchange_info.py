"""The answer to exchangeInfo, from the instruments that the venue lists."""

from collections.abc import Iterable
from decimal import Decimal

from mikrobot.market.local_venue.listing import PRICE_DECIMALS, Listing, as_text
from mikrobot.market.local_venue.markets import Market
from mikrobot.market.local_venue.messages import Payload

_MOST_PRICE = 10_000_000
_MOST_SIZE = 1_000_000_000


def exchange_info(market: Market, listings: Iterable[Listing], now_ms: int) -> Payload:
    """Return the answer for the given symbols."""
    limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": market.weight_limit}]
    listed = [_spot(listing) if market.name == "spot" else _usdm(listing) for listing in listings]
    shared = {"timezone": "UTC", "serverTime": now_ms, "rateLimits": limits, "exchangeFilters": []}
    if market.name == "spot":
        return shared | {"symbols": listed}
    return shared | {"futuresType": "U_MARGINED", "assets": [], "symbols": listed}


def _spot(listing: Listing) -> Payload:
    value = {"filterType": "NOTIONAL", "minNotional": _value(listing.min_notional, 8), "applyMinToMarket": True}
    value |= {"maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5}
    return {
        "symbol": listing.symbol,
        "status": "TRADING",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [*_grid(listing, 8, 8), value],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _usdm(listing: Listing) -> Payload:
    return {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": listing.price_places,
        "quantityPrecision": listing.size_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": [
            *_grid(listing, listing.price_places, listing.size_places),
            {"filterType": "MIN_NOTIONAL", "notional": _value(listing.min_notional, 0)},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _grid(listing: Listing, price_places: int, size_places: int) -> list[Payload]:
    tick = as_text(listing.tick, PRICE_DECIMALS, price_places)
    step = as_text(listing.step, listing.size_decimals, size_places)
    least = as_text(listing.min_size, listing.size_decimals, size_places)
    most_price = as_text(_MOST_PRICE, 0, price_places)
    most_size = as_text(_MOST_SIZE, 0, size_places)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": most_price, "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": least, "maxQty": most_size, "stepSize": step},
    ]


def _value(amount: Decimal, places: int) -> str:
    return as_text(int(amount.scaleb(PRICE_DECIMALS)), PRICE_DECIMALS, places)
