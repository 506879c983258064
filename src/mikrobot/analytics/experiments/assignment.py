"""Assignment of units to the arms of an experiment by a hash, and the sample ratio check.

The assignment is the same on every machine and needs no stored table.
"""

from collections.abc import Mapping
from hashlib import blake2b

MISMATCH = 0.001
"""p-value of the unit counts below which there is a sample ratio mismatch (Fabijan et al. 2019, KDD)."""

_BITS = 64


def assign(experiment: str, unit: str, shares: Mapping[str, float]) -> str:
    """Return the arm of a unit.

    Assignments of different experiments are independent. An assignment is stable while the shares stay the same.

    Parameters
    ----------
    experiment : str
        Experiment id, the salt of the hash.
    unit : str
    shares : mapping of str to float
        Share by arm; the sum is 1.

    >>> assign("profiles", "2025-06-30", {"control": 0.5, "candidate": 0.5})
    'control'
    """
    point, reached = position(experiment, unit), 0.0
    for arm, share in shares.items():
        reached += share
        if point < reached:
            return arm
    return list(shares)[-1]


def position(experiment: str, unit: str) -> float:
    """Return the hash of a unit, uniform from 0 to 1."""
    digest = blake2b(f"{experiment}\n{unit}".encode(), digest_size=_BITS // 8).digest()
    return int.from_bytes(digest, "big") / float(2**_BITS)


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float]) -> float | None:
    """Return the chi-square p-value of unit counts under the planned shares; None without units.

    >>> sample_ratio({"a": 500, "b": 500}, {"a": 0.5, "b": 0.5})
    1.0
    """
    from scipy.stats import chisquare  # takes a second, which every live process would need

    total = sum(counts.values())
    if total == 0:
        return None
    return float(chisquare([counts[arm] for arm in shares], [share * total for share in shares.values()]).pvalue)
