"""A message of a stream, as every connection sends it unless a fault changes it."""

from dataclasses import dataclass
from typing import Any

Payload = dict[str, Any]
"""A JSON object of Binance's protocol."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a stream.

    Attributes
    ----------
    due_ms : int
        Market time at which it is sent.
    stream : str
        As ``btcusdt@kline_1m``.
    kind : str
        Kind of the stream; see `markets.kind_of`.
    symbol : str
    payload : Payload
    closed : bool
        It is the last one of a kline.
    """

    due_ms: int
    stream: str
    kind: str
    symbol: str
    payload: Payload
    closed: bool = False
