"""Store the resets of the paper accounts, append-only; the newest reset of a source counts."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from mikrobot.store.postgres.database import Pool, execute

_ADD = "INSERT INTO account_reset (source, at, balance) VALUES (%s, %s, %s)"
_LATEST = "SELECT source, at, balance FROM account_reset WHERE source = %s ORDER BY seq DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Reset:
    """A new start of the paper account of a source.

    Attributes
    ----------
    source : str
    at : datetime
        UTC; runs that began earlier no longer belong to the account.
    balance : Decimal
        Opening balance of the next run, dollars.
    """

    source: str
    at: datetime
    balance: Decimal


class Resets:
    """Records resets; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def add(self, reset: Reset) -> None:
        """Append a reset."""
        values = (reset.source, reset.at, reset.balance)
        execute(self._pool, f"resetting the account of {reset.source}", lambda c: c.execute(_ADD, values))

    def sources(self) -> list[str]:
        """Return every source that has been reset."""
        query = "SELECT DISTINCT source FROM account_reset ORDER BY source"
        return [row[0] for row in execute(self._pool, "reading resets", lambda c: c.execute(query).fetchall())]

    def latest(self, source: str) -> Reset | None:
        """Return the newest reset of a source, or None."""
        row = execute(self._pool, "reading resets", lambda c: c.execute(_LATEST, (source,)).fetchone())
        return Reset(*row) if row else None
