"""The share of lines that the tests run, by part of the program, against the targets of the requirement.

python -m tests.coverage_targets    after `coverage run` and `coverage combine`; exits 1 below a target
"""

import io
import sys
from dataclasses import dataclass

from coverage import Coverage


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the program and the share of its lines that the tests have to run, in percent."""

    name: str
    folders: tuple[str, ...]
    target: float


PARTS = (
    Part("machine learning", ("models", "training", "features"), 90),
    Part("data", ("market", "store", "expectations"), 95),
    Part("paper trading", ("paper", "decision"), 98),
)
THE_REST = 85.0


def measured(coverage: Coverage, *, include: list[str], omit: list[str]) -> float:
    """Return the share of lines that ran, in percent."""
    return coverage.report(include=include, omit=omit, file=io.StringIO())


def main() -> int:
    """Print a line for each part; return 1 if one is below its target."""
    coverage = Coverage()
    coverage.load()
    patterns = {part: [f"*/{folder}/*" for folder in part.folders] for part in PARTS}
    elsewhere = [pattern for folders in patterns.values() for pattern in folders]
    lines = [(part.name, measured(coverage, include=patterns[part], omit=[]), part.target) for part in PARTS]
    lines.append(("the rest", measured(coverage, include=["*"], omit=elsewhere), THE_REST))
    for name, share, target in lines:
        print(f"{name:<18}{share:6.1f} %   target {target:.0f} %{'' if share >= target else '   too low'}")
    return int(any(share < target for _, share, target in lines))


if __name__ == "__main__":
    sys.exit(main())
