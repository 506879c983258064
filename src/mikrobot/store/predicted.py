"""Read what a model version predicted in a scope as arrays, for the join with outcomes."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.trading import Side
from mikrobot.store.drift_history import Judged
from mikrobot.store.postgres.database import Pool, execute

_READ = b"""
SELECT array_agg(minute), array_agg(up), array_agg(probability), array_agg(level) FROM (
    SELECT DISTINCT ON (close_time, side)
        floor(extract(epoch FROM close_time) / 60)::bigint AS minute, side = %(buy)s AS up, probability,
        features[array_position(names, CASE WHEN side = %(buy)s THEN %(above)s ELSE %(below)s END)] AS level
    FROM prediction JOIN feature_list ON feature_list.id = feature_list_id JOIN run ON run.id = run_id
    WHERE model = %(model)s AND model_version = %(version)s AND source = %(source)s AND symbol = %(symbol)s
    AND close_time > %(after)s AND probability <> 'NaN'
    ORDER BY close_time, side, prediction.seq DESC
) AS newest
"""

_VERSIONS = b"""
SELECT model_version FROM prediction JOIN run ON run.id = run_id
WHERE close_time >= %(since)s OR started_at >= %(since)s
UNION SELECT model_version FROM shadow JOIN run ON run.id = run_id
WHERE close_time >= %(since)s OR started_at >= %(since)s
"""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions of one symbol in order of time, each of shape (predictions,).

    Of a close that was traded in several runs, the last prediction counts.

    Attributes
    ----------
    minute : ndarray of int64
        Closes, minutes since 1970 UTC.
    up : ndarray of bool
        Upwards, otherwise downwards.
    probability, level : ndarray of float64
        The served probability of a break, and the price of the level.
    """

    minute: NDArray[np.int64]
    up: NDArray[np.bool_]
    probability: NDArray[np.float64]
    level: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.minute)


def read(pool: Pool, judged: Judged, after: datetime, *, levels: tuple[str, str]) -> Predicted:
    """Return what a version predicted for closes after an instant, in any run.

    Parameters
    ----------
    levels : (str, str)
        Columns of the levels above and below.

    Raises
    ------
    StoreError
        If the database fails.
    """
    values = {
        "model": judged.model, "version": judged.version, "source": judged.scope.source,
        "symbol": judged.scope.symbol, "after": after, "buy": Side.BUY.value, "above": levels[0], "below": levels[1],
    }  # fmt: skip
    ((minute, up, probability, level),) = execute(
        pool, f"reading the predictions of {judged.scope}", lambda c: c.execute(_READ, values).fetchall()
    )
    return Predicted(
        np.array(minute or (), dtype=np.int64),
        np.array(up or (), dtype=bool),
        np.array(probability or (), dtype=np.float64),
        np.array([np.nan if price is None else price for price in level or ()], dtype=np.float64),
    )


def versions_since(pool: Pool, since: datetime) -> frozenset[str]:
    """Return the versions of the traded model that predicted, also as challenger or by their baseline.

    Counts closes since an instant, and every close of a run that was started since, as a replay of older bars.

    Raises
    ------
    StoreError
        If the database fails.
    """
    values = {"since": since}
    rows = execute(pool, "reading which versions predicted", lambda c: c.execute(_VERSIONS, values).fetchall())
    return frozenset(version for (version,) in rows)
