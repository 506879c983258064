"""Decides which fault happens to a call: by rates and the seed, and on request."""

from collections import Counter
from collections.abc import Mapping

from mikrobot.market.local_terminal.faults import FAULTS
from mikrobot.market.local_venue.draws import share_of


class Faults:
    """The faults of one terminal: by rates and the seed, and on request.

    Parameters
    ----------
    rates : mapping of str to float
        Share of the calls in which a fault happens, by its name.
    seed : int

    Attributes
    ----------
    applied : Counter of str
        Times that each fault has happened.
    """

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        self._rates = {name: rate for name, rate in rates.items() if rate > 0}
        self._seed = seed
        self._requested: Counter[str] = Counter()
        self._lasting: set[str] = set()
        self._calls = 0
        self.applied: Counter[str] = Counter()

    def request(self, name: str, count: int = 1) -> None:
        """Let a fault happen to the next calls, or from now on if it lasts.

        Raises
        ------
        KeyError
            If there is no such fault.
        """
        if FAULTS[name].lasting:
            self._lasting.add(name)
        else:
            self._requested[name] += count

    def end(self, name: str) -> None:
        """End a fault."""
        self._lasting.discard(name)
        self._requested.pop(name, None)

    def lasts(self, name: str) -> bool:
        """Return whether a lasting fault has been requested and not ended."""
        return name in self._lasting

    def code(self) -> int | None:
        """Return the code with which the present call fails; None if it does not."""
        names = [name for name, fault in FAULTS.items() if fault.code is not None]
        return next((FAULTS[name].code for name in names if self.happens(name)), None)

    def happens(self, name: str) -> bool:
        """Return whether a fault happens to the present call, and count it."""
        happens = False
        if self._requested[name] > 0:
            self._requested[name] -= 1
            happens = True
        elif name in self._rates:
            self._calls += 1
            happens = share_of(self._seed, name, self._calls) < self._rates[name]
        if happens:
            self.applied[name] += 1
        return happens
