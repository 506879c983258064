"""Order book: best prices, sizes near them, and their imbalance at the close of the bar.

The values are those of the live order book that is stored with a bar. They are missing where there is none: for
recorded bars, and while the book is not in step with its venue. They describe one instant, so no value depends on
earlier bars.
"""

from mikrobot.features.kernel.feature import DIFFERENCE, PRICE, SIGN, Output, Quantity, feature

SIZE = Quantity("base units", low=0)

_NO_BOOK = "there is no live order book at the close"
_FEW_LEVELS = f"{_NO_BOOK}, or it has fewer levels"


@feature(
    "book",
    {
        "bid": Output(PRICE, "Best bid of the order book", _NO_BOOK),
        "ask": Output(PRICE, "Best ask of the order book", _NO_BOOK),
        "spread": Output(DIFFERENCE, "Best ask minus best bid of the order book", _NO_BOOK),
        "imbalance": Output(SIGN, "Size at the best bid minus that at the best ask, divided by their sum", _NO_BOOK),
        "micro_price": Output(PRICE, "Best prices of the order book weighted by the size of the other side", _NO_BOOK),
    },
    warmup=lambda: 0,
)
def book(
    book_bid: float, book_ask: float, book_spread: float, book_imbalance: float, book_micro_price: float
) -> tuple[float, float, float, float, float]:
    """Best prices of the order book at the close.

    Parameters
    ----------
    book_bid, book_ask : price
    book_spread : price difference
    book_imbalance : ratio, -1 to 1
    book_micro_price : price

    Returns
    -------
    bid, ask, spread, imbalance, micro_price
    """
    return book_bid, book_ask, book_spread, book_imbalance, book_micro_price


@feature(
    "book_depth_{levels}",
    {
        "bid": Output(SIZE, "Size of the bid levels 1 to `levels` of the order book", _FEW_LEVELS),
        "ask": Output(SIZE, "Size of the ask levels 1 to `levels` of the order book", _FEW_LEVELS),
    },
    warmup=lambda levels: 0,
    inputs={"bids": "book_bid_{levels}", "asks": "book_ask_{levels}"},
    optional=("bids", "asks"),
)
def depth(bids: float, asks: float, levels: int) -> tuple[float, float]:
    """Size of the best levels of each side of the order book at the close.

    Parameters
    ----------
    bids, asks : base units, NaN where a side has fewer levels
    levels : int

    Returns
    -------
    bid, ask : base units
    """
    return bids, asks
