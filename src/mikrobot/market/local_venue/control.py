"""The control address of the venue: faults on request, and counts of what has happened."""

from dataclasses import asdict
from typing import Any

from mikrobot.market.border import instant
from mikrobot.market.local_venue.broadcast import Broadcaster
from mikrobot.market.local_venue.clock import MarketClock
from mikrobot.market.local_venue.faults import FAULTS, Terms
from mikrobot.market.local_venue.injection import Injector, Requested

KEYS = ("fault", "symbol", "stream", "count", "seconds", "delay_ms", "retry_after")
"""Keys of a request; all but `fault` are optional."""


class WrongRequest(Exception):
    """A request to the control address that is malformed."""


class Control:
    """What the control address can do.

    Parameters
    ----------
    clock : MarketClock
    injector : Injector
    broadcaster : Broadcaster
    """

    def __init__(self, clock: MarketClock, injector: Injector, broadcaster: Broadcaster) -> None:
        self._clock = clock
        self._injector = injector
        self._broadcaster = broadcaster

    def request(self, given: Any) -> dict[str, Any]:
        """Carry out a request for a fault.

        One without `count` and `seconds` happens once, or until it is cleared if it is a condition like a wrong clock.
        Faults of connections happen at once, to `count` of them or to all.

        Raises
        ------
        WrongRequest
            If it is malformed; the message names the key and what is expected.
        """
        wanted = self._requested(given)
        action = FAULTS[wanted.fault].on_connection
        if action is None:
            self._injector.request(wanted)
            return {"fault": wanted.fault, "requested": True}
        concerned = self._broadcaster.act(action, wanted)
        self._injector.applied[wanted.fault] += concerned
        return {"fault": wanted.fault, "connections": concerned}

    def clear(self) -> dict[str, Any]:
        """End all requested faults."""
        self._injector.clear()
        return {"cleared": True}

    def state(self, requests: int) -> dict[str, Any]:
        """Return the market time, what is active, and counts since the start."""
        now_ms = self._clock.now_ms()
        connections = self._broadcaster.connections.values()
        return {
            "market_time": instant(now_ms * 1000).isoformat(),
            "speed": self._clock.speed,
            "ended": self._clock.is_end(now_ms),
            "requests": requests,
            "messages": self._broadcaster.sent,
            "connections": {
                "opened": self._broadcaster.opened,
                "open": [
                    {"number": one.number, "market": one.market.name, "streams": list(one.streams), "sent": one.sent}
                    for one in connections
                ],
            },
            "rates": {name: rate for name, rate in self._injector.rates.items() if rate},
            "active": [asdict(wanted) for wanted in self._injector.active()],
            "applied": dict(self._injector.applied),
        }

    def _requested(self, given: Any) -> Requested:
        if not isinstance(given, dict) or given.get("fault") not in FAULTS:
            raise WrongRequest(f'expected {{"fault": NAME}} with one of {", ".join(FAULTS)}')
        unknown = sorted(given.keys() - set(KEYS))
        if unknown:
            raise WrongRequest(f"{unknown[0]} is not a key of a request; the keys are {', '.join(KEYS)}")
        texts = {name: _text(given, name) for name in ("symbol", "stream")}
        count, seconds = _number(given, "count"), _number(given, "seconds")
        if count is None and seconds is None:
            fault = FAULTS[given["fault"]]
            count = None if fault.lasting or fault.on_connection else 1
        return Requested(
            fault=given["fault"],
            symbol=texts["symbol"],
            stream=texts["stream"],
            count=count,
            until_ms=None if seconds is None else self._clock.now_ms() + seconds * 1000,
            terms=Terms(_number(given, "delay_ms"), _number(given, "retry_after")),
        )


def _text(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise WrongRequest(f"{name} is {value!r}; expected a text")
    return value


def _number(given: dict[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise WrongRequest(f"{name} is {value!r}; expected a whole number")
    return value
