"""Results of closed positions, summed from the fills of an account. Opening a position is not a result."""

from typing import NamedTuple

from mikrobot.paper.journal import Filled


class TradeResult(NamedTuple):
    """The result of one position that has closed completely.

    Attributes
    ----------
    ts : int
        Time of the last fill, milliseconds since 1970.
    symbol : str
    net : int
        Realised profit less the fees of entry and exit, minor units of the account currency.
    by_stop : bool
        True if its stop loss closed the last part.
    """

    ts: int
    symbol: str
    net: int
    by_stop: bool


class TradeResults:
    """Results of the closed positions of one account.

    Attributes
    ----------
    closed : list of TradeResult
        In order of the last fills.
    """

    __slots__ = ("_running", "closed")

    def __init__(self) -> None:
        self.closed: list[TradeResult] = []
        self._running: dict[str, int] = {}

    def add(self, fill: Filled, key: str, currency: str, *, ended: bool, by_stop: bool) -> None:
        """Add a fill of a position; `ended` is true if nothing of the position is left, `by_stop` of a stop loss."""
        fee = fill.fee if fill.fee_currency == currency else 0
        net = self._running.pop(key, 0) + fill.realised - fee
        if ended:
            self.closed.append(TradeResult(fill.ts, fill.symbol, net, by_stop))
        else:
            self._running[key] = net
