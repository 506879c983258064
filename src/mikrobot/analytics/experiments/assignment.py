"""Which arm a unit belongs to, by a hash: the same on every machine, without a table to keep.

Checks as well that the arms got what they were planned to get.
"""

from collections.abc import Mapping
from hashlib import blake2b

from scipy.stats import chisquare

MISMATCH = 0.001
"""Probability of the counts below which their ratio is called wrong (Fabijan et al. 2019, KDD)."""

_BITS = 64


def assign(experiment: str, unit: str, shares: Mapping[str, float]) -> str:
    """Return the arm of a unit.

    Independent between experiments, and stable as long as the shares stay the same.

    Parameters
    ----------
    experiment : str
        Its id, the salt of the hash.
    unit : str
    shares : mapping of str to float
        By arm, adding up to 1.

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
    """Return where a unit lies between 0 and 1, uniformly."""
    digest = blake2b(f"{experiment}\n{unit}".encode(), digest_size=_BITS // 8).digest()
    return int.from_bytes(digest, "big") / float(2**_BITS)


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float]) -> float | None:
    """Return the chi-square probability of these counts under the planned shares; None without a unit.

    >>> sample_ratio({"a": 500, "b": 500}, {"a": 0.5, "b": 0.5})
    1.0
    """
    total = sum(counts.values())
    if total == 0:
        return None
    return float(chisquare([counts[arm] for arm in shares], [share * total for share in shares.values()]).pvalue)
