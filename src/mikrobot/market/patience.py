"""The times that whoever follows a live venue waits after it has failed or refused.

Sends no request and does not wait itself.
"""

from typing import Protocol, runtime_checkable

from mikrobot.domain.errors import FeedError, FeedRefused

LONGEST_REFUSAL_S = 120.0
"""Longest refusal of a venue that a live feed waits for before it begins."""

FIRST_WAIT_S = 2.0
"""Seconds after a venue has not answered until it is asked again; they double up to the next close."""


@runtime_checkable
class HasPatience(Protocol):
    """A source whose requests wait while its venue refuses."""

    def hurry(self) -> None:
        """Raise `FeedRefused` from now on where the venue refuses for more than some seconds.

        For whoever follows bars that arrive by other ways meanwhile.
        """


def is_temporary(error: Exception) -> bool:
    """Return whether the same request may succeed in a few seconds."""
    return isinstance(error, FeedError) and not isinstance(error, FeedRefused)


def wait_s(failures: int) -> float:
    """Return the seconds until a venue is asked again after so many failures in a row.

    >>> [wait_s(failures) for failures in (0, 1, 2, 3, 99)]
    [60.0, 2.0, 4.0, 8.0, 60.0]
    """
    return min(FIRST_WAIT_S * 2.0 ** (failures - 1), 60.0) if 0 < failures < 9 else 60.0
