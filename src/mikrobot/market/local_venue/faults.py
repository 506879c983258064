"""The faults that the venue can show, in one registry: a name, a line of description and what it does.

A fault acts on connections, on stream messages, or on answers of the REST API. Decides nothing; see
`mikrobot.market.local_venue.injection`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mikrobot.market.local_venue.messages import Message

BURST = 650
"""Messages of an overflow: the largest number within 10 ms in recordings of Binance is 648."""

LATE_MS = 24_000
"""Delay of a late kline: JKorf/Binance.Net, issue 1267."""

SKEW_MS = 1_500
BAN_S = 120
"""Shortest ban: Binance spot API, "IP limits"."""

HTML = "<html><head><title>{status}</title></head><body><h1>{status}</h1><p>Request blocked.</p></body></html>"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way to one connection.

    Attributes
    ----------
    message : Message
    copies : int
        Times it is sent; 0: never.
    delay_ms : int
        Market time by which it is late.
    after_next : bool
        It is sent after the message that follows it.
    cut : bool
        Only its first half is sent.
    microseconds : bool
        Its times are in microseconds.
    """

    message: Message
    copies: int = 1
    delay_ms: int = 0
    after_next: bool = False
    cut: bool = False
    microseconds: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the REST API.

    Attributes
    ----------
    status : int
    body : object
        JSON value, or the text of another content.
    retry_after_s : int or None
        Header Retry-After.
    cut, microseconds : bool
        As in `Outgoing`.
    skew_ms : int
        Added to the server time.
    closed_only : bool
        The forming kline is left out.
    longer_differ : bool
        Klines of five minutes and of an hour have other values than their minutes.
    """

    status: int = 200
    body: object = None
    retry_after_s: int | None = None
    cut: bool = False
    microseconds: bool = False
    skew_ms: int = 0
    closed_only: bool = True
    longer_differ: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of a fault as requested; None: those of the fault.

    Attributes
    ----------
    delay_ms : int or None
        Delay of a late kline, or error of the server time.
    retry_after_s : int or None
        Header Retry-After of a refusal.
    """

    delay_ms: int | None = None
    retry_after_s: int | None = None


OnMessage = Callable[[Outgoing, Terms], Outgoing]
OnAnswer = Callable[[Answer, Terms], Answer]
Action = str
"""What happens to a connection: "abort", "stall", "shut_down" or "expire"."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes
    ----------
    description : str
        One line.
    on_connection : Action or None
    on_message : callable or None
    on_answer : callable or None
    applies : callable
        Return True for the messages that it can change.
    whole_stream : bool
        By a rate it is decided once for each stream of a connection, not for each message.
    lasting : bool
        Without a count and a duration it stays until it is ended, instead of happening once.
    rate : float
        Rate without an option.
    """

    description: str
    on_connection: Action | None = None
    on_message: OnMessage | None = None
    on_answer: OnAnswer | None = None
    applies: Callable[[Message], bool] = lambda _: True
    whole_stream: bool = False
    lasting: bool = False
    rate: float = 0.0


def _is_closed(message: Message) -> bool:
    return message.closed


def _is_diff(message: Message) -> bool:
    return message.kind == "depth"


def _withhold(outgoing: Outgoing, _: Terms) -> Outgoing:
    return replace(outgoing, copies=0)


def _revise(outgoing: Outgoing, _: Terms) -> Outgoing:
    """Make the closed kline lack its last trade: half of the trades, and its close on the open."""
    payload = outgoing.message.payload
    kline = payload["k"]
    changed = payload | {"k": kline | {"c": kline["o"], "n": kline["n"] // 2}}
    return replace(outgoing, message=replace(outgoing.message, payload=changed))


def _late(outgoing: Outgoing, terms: Terms) -> Outgoing:
    return replace(outgoing, delay_ms=LATE_MS if terms.delay_ms is None else terms.delay_ms)


def _skewed(answer: Answer, terms: Terms) -> Answer:
    return replace(answer, skew_ms=SKEW_MS if terms.delay_ms is None else terms.delay_ms)


def _refuse(status: int, code: int, reason: str, retry_after_s: int | None) -> OnAnswer:
    body: object = HTML.format(status=status) if code == 0 else {"code": code, "msg": reason}

    def refuse(answer: Answer, terms: Terms) -> Answer:
        seconds = retry_after_s if terms.retry_after_s is None else terms.retry_after_s
        return replace(answer, status=status, body=body, retry_after_s=seconds)

    return refuse


_MANY = "Too many requests; please use the websocket for live updates to avoid polling the API."
_BANNED = "Way too many requests; IP banned. Please use the websocket for live updates to avoid bans."

FAULTS: Mapping[str, Fault] = {
    "drop": Fault("the connection ends without a close frame", on_connection="abort"),
    "stall": Fault("the connection stays open, pings are answered, and no more messages are sent", "stall"),
    "server_shutdown": Fault("`serverShutdown` is sent, then the connection is closed", "shut_down"),
    "life_limit": Fault("the connection is closed as after its 24 hours", "expire"),
    "silent_stream": Fault(
        "a stream is acknowledged and sends nothing", on_message=_withhold, whole_stream=True, lasting=True
    ),
    "duplicate": Fault("a message is sent twice", on_message=lambda message, _: replace(message, copies=2)),
    "reorder": Fault(
        "a message is sent after the next one", on_message=lambda message, _: replace(message, after_next=True)
    ),
    "id_gap": Fault("a depth update is withheld", on_message=_withhold, applies=_is_diff),
    "late_kline": Fault(
        f"a closed kline is sent {LATE_MS // 1000} s of market time late", on_message=_late, applies=_is_closed
    ),
    "missing_kline": Fault("a closed kline is never sent", on_message=_withhold, applies=_is_closed),
    "revised_kline": Fault(
        "a closed kline is sent with other values than REST has later", on_message=_revise, applies=_is_closed
    ),
    "overflow": Fault(
        f"a message is sent {BURST} times at once", on_message=lambda message, _: replace(message, copies=BURST)
    ),
    "malformed_json": Fault(
        "half of a message, or of an answer, is sent",
        on_message=lambda message, _: replace(message, cut=True),
        on_answer=lambda answer, _: replace(answer, cut=True),
    ),
    "microseconds": Fault(
        "the times of a message, or of an answer, are in microseconds",
        on_message=lambda message, _: replace(message, microseconds=True),
        on_answer=lambda answer, _: replace(answer, microseconds=True),
        lasting=True,
    ),
    "forming_rest": Fault(
        "REST also answers with the forming kline, as Binance does; a rate of 0 ends that",
        on_answer=lambda answer, _: replace(answer, closed_only=False),
        lasting=True,
        rate=1.0,
    ),
    "longer_klines": Fault(
        "klines of 5m and 1h have another high than their minutes",
        on_answer=lambda answer, _: replace(answer, longer_differ=True),
        lasting=True,
    ),
    "clock_skew": Fault(f"the server time is {SKEW_MS / 1000} s ahead", on_answer=_skewed, lasting=True),
    "html": Fault("the answer is a page of HTML with status 200", on_answer=_refuse(200, 0, "", None)),
    "http_403": Fault("HTTP 403 with a page of HTML", on_answer=_refuse(403, 0, "", None)),
    "http_418": Fault(f"HTTP 418, Retry-After {BAN_S}", on_answer=_refuse(418, -1003, _BANNED, BAN_S)),
    "http_418_bare": Fault("HTTP 418 without Retry-After", on_answer=_refuse(418, -1003, _BANNED, None)),
    "http_429": Fault("HTTP 429, Retry-After 10", on_answer=_refuse(429, -1003, _MANY, 10)),
    "http_429_bare": Fault("HTTP 429 without Retry-After", on_answer=_refuse(429, -1003, _MANY, None)),
    "http_451": Fault("HTTP 451 with a page of HTML", on_answer=_refuse(451, 0, "", None)),
}
"""Every fault by its name."""


def describe(name: str) -> str:
    """Return the description of a fault as a line of the command's help.

    >>> describe("id_gap")
    'id_gap: a depth update is withheld'
    """
    return f"{name}: {FAULTS[name].description}"


def first_half(text: str) -> str:
    """Return the first half of a JSON text, which is no JSON.

    >>> first_half('{"a": 1}')
    '{"a"'
    """
    return text[: max(len(text) // 2, 1)]
