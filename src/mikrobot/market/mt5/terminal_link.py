"""The link of one source to a terminal: opened when it is needed, and again after it was lost."""

from collections.abc import Callable
from random import Random
from typing import TypeVar

from mikrobot.domain.errors import SettingsError
from mikrobot.domain.sources import MT5_LOCAL
from mikrobot.market.mt5.bridge import open_module
from mikrobot.market.mt5.codes import TerminalLost
from mikrobot.market.mt5.terminal import Login, Status, Terminal
from mikrobot.market.streams.backoff import Backoff
from mikrobot.runtime import Clock
from mikrobot.telemetry import logger

log = logger("market")

R = TypeVar("R")

STAND_IN = "Mikrobot"
"""Company of the stand-in, which no broker has: its bars are simulated."""

_ATTEMPTS = 3
"""Times that a lost link is opened again before a call fails."""

_LOGIN_S = 15
"""Seconds within which a terminal that has just been started must be connected to its broker."""


class TerminalLink:
    """A terminal that is opened again when it is lost.

    Parameters
    ----------
    login : Login
    host : str or None
    port : int
        Of the bridge; see `bridge.open_module`.
    timeout_s : float
        Seconds within which the terminal must answer.
    clock : Clock
    rng : Random
        Of the waits.
    """

    def __init__(
        self, login: Login, host: str | None, port: int, *, timeout_s: float, clock: Clock, rng: Random
    ) -> None:
        self._login = login
        self._address = (host, port)
        self._timeout_s = timeout_s
        self._clock = clock
        self._rng = rng
        self._terminal: Terminal | None = None
        self._reached = False
        self.opened = 0

    def ask(self, work: Callable[[Terminal], R]) -> R:
        """Return what a function of the terminal returns; open the terminal first, and again if it is lost.

        Raises
        ------
        TerminalLost
            If the terminal does not answer: at once before the first answer, afterwards after `_ATTEMPTS` more
            attempts with longer waits.
        SettingsError
            If the login is refused.
        FeedError
            If the function fails.
        """
        waits = Backoff(self._rng)
        while True:
            try:
                return work(self._terminal or self._open())
            except TerminalLost as error:
                self.close()
                if not self._reached or waits.attempts == _ATTEMPTS:
                    raise
                seconds = waits.next_wait_s()
                log.warning("terminal_lost", seconds=round(seconds, 1), reason=str(error))
                self._clock.sleep(seconds)

    def status(self) -> Status:
        """Return the status of the terminal, once it is connected to its broker.

        Raises
        ------
        TerminalLost
            If it is not connected.
        """
        for _ in range(_LOGIN_S):
            status = self.ask(lambda terminal: terminal.status())
            if status.connected:
                return status
            self._clock.sleep(1.0)
        raise TerminalLost(
            "the terminal has no connection to its broker's server; check its network, and log in with File > Login"
        )

    def close(self) -> None:
        """End the link; the next call opens it again."""
        if self._terminal is not None:
            self._terminal.close()
        self._terminal = None

    def _open(self) -> Terminal:
        opened = open_module(*self._address, self._timeout_s)
        terminal = Terminal(opened)
        try:
            terminal.initialize(self._login, self._timeout_s)
        except Exception:
            terminal.close()
            raise
        self._terminal, self._reached = terminal, True
        self.opened += 1
        return terminal


def require_kind(name: str, status: Status) -> None:
    """Refuse simulated bars under the name of real ones, and the other way round.

    Parameters
    ----------
    name : str
        Of the source.
    status : Status

    Raises
    ------
    SettingsError
        If the terminal is not of the kind of that source.
    """
    actual = source_name(status)
    if actual != name:
        kind = "Mikrobot's stand-in, whose bars are simulated" if actual == MT5_LOCAL else "that of a broker"
        raise SettingsError(f"the terminal of source {name} is {kind}; give --source {actual}")


def source_name(status: Status) -> str:
    """Return the source that a terminal is: `mt5`, or `mt5-local` for the stand-in."""
    return MT5_LOCAL if status.company == STAND_IN else "mt5"
