"""What a live market sends between closed bars: ticks, trades, and changes of an order book.

Every source converts the messages of its venue to these at its own border. Prices are float64 in quote currency, sizes
in base units; times are milliseconds since the epoch, UTC, by the clock of the venue.
"""

from collections.abc import Sequence

import msgspec

Level = tuple[float, float]
"""Price and size of a level of an order book; a size of 0 removes the level."""


class Tick(msgspec.Struct, frozen=True, gc=False):
    """The best prices of a symbol.

    Attributes
    ----------
    symbol : str
    update_id : int
        Number of the change of the order book that these prices follow; 0 where the venue numbers none.
    bid, bid_size, ask, ask_size : float
        Sizes are NaN where the venue names none.
    time_ms : int or None
        None where the venue stamps nothing.
    """

    symbol: str
    update_id: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    time_ms: int | None = None


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade, or several of one order at one price.

    Attributes
    ----------
    symbol : str
    id : int
        Increases by 1 from one to the next of a stream.
    time_ms : int
    price, size : float
    bought : bool
        The buyer took the offer.
    """

    symbol: str
    id: int
    time_ms: int
    price: float
    size: float
    bought: bool


class BookUpdate(msgspec.Struct, frozen=True, gc=False):
    """Levels of an order book that changed, in one message.

    Attributes
    ----------
    symbol : str
    time_ms : int
    first_id, last_id : int
        The first and the last of the changes that the message sums up.
    bids, asks : sequence of Level
    previous_id : int or None
        `last_id` of the message before, where the venue sends it.
    """

    symbol: str
    time_ms: int
    first_id: int
    last_id: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    previous_id: int | None = None


class BookSnapshot(msgspec.Struct, frozen=True, gc=False):
    """The levels of an order book next to its best prices, as they were after one change.

    Attributes
    ----------
    last_id : int
        The last change that is included.
    bids, asks : sequence of Level
        The best first; the venue has no other level between the first and the last of a side.
    symbol : str
        Empty in an answer of REST, which does not name it.
    """

    last_id: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    symbol: str = ""
