"""Decides which fault happens where: by rates and the seed, and by requests of the control address.

The same seed, connections and requests in the same order have the same faults.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mikrobot.market.local_venue.clock import MarketClock
from mikrobot.market.local_venue.draws import share_of
from mikrobot.market.local_venue.faults import FAULTS, Answer, Fault, Outgoing, Terms
from mikrobot.market.local_venue.messages import Message


@dataclass
class Requested:
    """A fault that the control address has requested.

    Attributes
    ----------
    fault : str
        Name.
    symbol, stream : str or None
        Only messages and answers of that symbol, or messages of that stream.
    count : int or None
        Times that it still happens; None: no limit.
    until_ms : int or None
        Market time at which it ends; None: never.
    terms : Terms
    """

    fault: str
    symbol: str | None = None
    stream: str | None = None
    count: int | None = None
    until_ms: int | None = None
    terms: Terms = field(default_factory=Terms)

    def matches(self, symbol: str | None, stream: str | None) -> bool:
        """Return True if it concerns a message or an answer of a symbol and a stream."""
        return self.symbol in (None, symbol) and self.stream in (None, stream)

    def is_active(self, now_ms: int) -> bool:
        """Return True if it can still happen."""
        return (self.count is None or self.count > 0) and (self.until_ms is None or now_ms < self.until_ms)


class Injector:
    """The faults of a running venue.

    Parameters
    ----------
    rates : mapping of str to float
        Share of the messages, or of the answers, in which a fault happens, by its name.
    seed : int
    clock : MarketClock

    Attributes
    ----------
    rates : dict of str to float
    requested : list of Requested
    applied : Counter of str
        Times that each fault has happened.
    """

    def __init__(self, rates: Mapping[str, float], seed: int, clock: MarketClock) -> None:
        self.rates = {name: rates.get(name, fault.rate) for name, fault in FAULTS.items()}
        self.requested: list[Requested] = []
        self.applied: Counter[str] = Counter()
        self._seed = seed
        self._clock = clock

    def request(self, wanted: Requested) -> None:
        """Add a fault that happens from now on."""
        self._forget_ended()
        self.requested.append(wanted)

    def active(self) -> list[Requested]:
        """Return the requested faults that can still happen."""
        self._forget_ended()
        return list(self.requested)

    def clear(self) -> None:
        """End all requested faults; rates stay."""
        self.requested.clear()

    def actions(self, message: Message, connection: int) -> list[str]:
        """Return what happens by rates to a connection that is about to send a message."""
        return [
            fault.on_connection
            for name, fault in self._rated(lambda fault: fault.on_connection is not None)
            if fault.on_connection and self._happens(name, connection, message.stream, message.due_ms)
        ]

    def message(self, message: Message, connection: int) -> Outgoing:
        """Return a message as one connection sends it."""
        outgoing = Outgoing(message)
        for name, fault in self._rated(lambda fault: fault.on_message is not None):
            place = message.stream if fault.whole_stream else f"{message.stream} {message.due_ms}"
            if fault.on_message and fault.applies(message) and self._happens(name, connection, place):
                outgoing = fault.on_message(outgoing, Terms())
        for wanted in self.requested:
            fault = FAULTS[wanted.fault]
            if (
                fault.on_message
                and fault.applies(message)
                and wanted.matches(message.symbol, message.stream)
                and self._take(wanted)
            ):
                outgoing = fault.on_message(outgoing, wanted.terms)
        return outgoing

    def answer(self, symbol: str | None, request: int) -> Answer:
        """Return the conditions of an answer of the REST API; one with a body replaces what was requested."""
        answer = Answer()
        for name, fault in self._rated(lambda fault: fault.on_answer is not None):
            if fault.on_answer and self._happens(name, request):
                answer = fault.on_answer(answer, Terms())
        for wanted in self.requested:
            fault = FAULTS[wanted.fault]
            if fault.on_answer and wanted.stream is None and wanted.matches(symbol, None) and self._take(wanted):
                answer = fault.on_answer(answer, wanted.terms)
        return answer

    def _rated(self, concerns: Callable[[Fault], bool]) -> list[tuple[str, Fault]]:
        return [(name, fault) for name, fault in FAULTS.items() if self.rates[name] > 0 and concerns(fault)]

    def _happens(self, name: str, *place: object) -> bool:
        happens = share_of(self._seed, name, *place) < self.rates[name]
        if happens and name != "forming_rest":
            self.applied[name] += 1
        return happens

    def _take(self, wanted: Requested) -> bool:
        if not wanted.is_active(self._clock.now_ms()):
            return False
        if wanted.count is not None:
            wanted.count -= 1
        self.applied[wanted.fault] += 1
        return True

    def _forget_ended(self) -> None:
        now_ms = self._clock.now_ms()
        self.requested = [wanted for wanted in self.requested if wanted.is_active(now_ms)]
