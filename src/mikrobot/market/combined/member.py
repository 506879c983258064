"""One of several sources, which several threads ask in turn. Knows nothing of the others."""

from collections.abc import Callable
from threading import Lock, Thread
from typing import TypeVar

from mikrobot.domain.errors import FeedError, MikrobotError
from mikrobot.market.feed import Source

R = TypeVar("R")

BRIEF_S = 2.0
"""Real seconds that are waited for an answer while a thread follows the member."""


class Member:
    """A source that one thread asks at a time.

    Parameters
    ----------
    source : Source

    Attributes
    ----------
    source : Source
        Gives the bars; the venue itself, or a wrapper of it.
    venue : Source
    followed : bool
        A thread of its own follows the bars of the member, so that no other one may wait for it for long.
    """

    def __init__(self, source: Source) -> None:
        self.source = self.venue = source
        self.followed = False
        self._lock = Lock()
        self._asking: Thread | None = None

    @property
    def name(self) -> str:
        """Name of the source."""
        return self.source.name

    def ask(self, work: Callable[[Source], R]) -> R:
        """Return what a function of the source returns, however long it takes; see `Source` for its errors."""
        with self._lock:
            return work(self.source)

    def ask_briefly(self, work: Callable[[Source], R]) -> R:
        """Return what a function of the source returns; if the member is followed, within `BRIEF_S` seconds.

        Raises
        ------
        FeedError
            If there is no answer by then, or an earlier question has none yet.
        MikrobotError
            As the function.
        """
        if not self.followed:
            return self.ask(work)
        if self._asking is not None and self._asking.is_alive():
            raise FeedError(f"{self.name} has not answered the question before yet")
        answers: list[R] = []
        refusals: list[MikrobotError] = []

        def run() -> None:
            try:
                answers.append(self.ask(work))
            except MikrobotError as error:
                refusals.append(error)

        self._asking = Thread(target=run, daemon=True, name=f"ask-{self.name}")
        self._asking.start()
        self._asking.join(BRIEF_S)
        if refusals:
            raise refusals[0]
        if not answers:
            raise FeedError(f"{self.name} has not answered within {BRIEF_S:g} s")
        return answers[0]
