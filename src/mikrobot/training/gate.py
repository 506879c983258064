"""Whether a new model takes the champion's place.

A first, thin gate: the Brier score on the same test span decides.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import ModelError
from mikrobot.models.model import Model
from mikrobot.models.registry import Registry
from mikrobot.training.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether to promote, and the reason in one sentence."""

    promote: bool
    reason: str


def judge(
    challenger: Model, registry: Registry, data: Dataset, test: NDArray[np.int64], trade_from: datetime | None
) -> Ruling:
    """Compare a challenger with the champion on the challenger's test span.

    Parameters
    ----------
    challenger : Model
        Not registered yet.
    registry : Registry
    data : Dataset
    test : ndarray of int64
        Samples of the test span.
    trade_from : datetime or None
        UTC; a champion that learned from anything at or after it must not trade from it on.
    """
    name = challenger.contract.name
    version = registry.champion(name)
    if version is None:
        return Ruling(True, "there was no champion")
    try:
        champion = registry.load_version(name, version)
    except ModelError as error:
        return Ruling(True, f"the champion could not be loaded: {error}")
    if why := unfit(champion, challenger, trade_from):
        return Ruling(True, f"champion {version} {why}")
    return compared(champion, challenger, data, test)


def unfit(champion: Model, challenger: Model, trade_from: datetime | None) -> str:
    """Say why a champion may not serve where the challenger would; empty when it may."""
    old, new = champion.contract, challenger.contract
    if old.source != new.source:
        return f"learned from source {old.source}, not {new.source}"
    if old.feature_hash != new.feature_hash:
        return f"reads features {old.feature_hash}, which are {new.feature_hash} now"
    if (old.swing, old.horizon_minutes) != (new.swing, new.horizon_minutes):
        return (
            f"answers for swing {old.swing} within {old.horizon_minutes} minutes, "
            f"not for swing {new.swing} within {new.horizon_minutes}"
        )
    if trade_from is not None and old.trained_until > trade_from:
        return f"had seen data up to {old.trained_until}, later than {trade_from} from where it would trade"
    return ""


def compared(champion: Model, challenger: Model, data: Dataset, test: NDArray[np.int64]) -> Ruling:
    """Promote unless the champion's Brier score on the test span is better.

    What the champion may have learned of that span counts in its favour; the reason says how much.
    """
    old, new = brier(champion, data, test), brier(challenger, data, test)
    trained_until = np.datetime64(champion.contract.trained_until.replace(tzinfo=None))
    seen = float(np.mean(data.end[test] <= trained_until))
    known = f"; champion {champion.contract.version} had seen {seen:.0%} of it" if seen else ""
    verdict = "not worse than" if new <= old else "worse than"
    return Ruling(new <= old, f"Brier score {new:.5f} on the test span is {verdict} the champion's {old:.5f}{known}")


def brier(model: Model, data: Dataset, chosen: NDArray[np.int64]) -> float:
    """Return a model's Brier score on these samples."""
    return float(np.mean((model.score(data.inputs[chosen]) - data.outcome[chosen]) ** 2))
