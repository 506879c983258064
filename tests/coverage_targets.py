"""The share of lines that the tests run, by part of the program, against the targets of the requirement.

python -m tests.coverage_targets    after `coverage run` and `coverage combine`; exits 1 below a target
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

from coverage import Coverage
from coverage.exceptions import NoDataError

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the program and the share of its lines that the tests have to run, in percent."""

    name: str
    folders: tuple[str, ...]
    target: float

    @property
    def patterns(self) -> list[str]:
        """The files of the part, for coverage."""
        return [str(ROOT / folder / "*") for folder in self.folders]


PARTS = (
    Part("machine learning", ("src/mikrobot/models", "src/mikrobot/training", "src/mikrobot/features"), 90),
    Part("data", ("src/mikrobot/market", "src/mikrobot/store", "expectations"), 95),
    Part("paper trading", ("src/mikrobot/paper", "src/mikrobot/decision"), 98),
)
THE_REST = 85.0


def main() -> int:
    """Print a line for each part; return 1 if one is below its target."""
    coverage = Coverage()
    coverage.load()
    elsewhere = [pattern for part in PARTS for pattern in part.patterns]
    try:
        lines = [(part.name, _share(coverage, include=part.patterns), part.target) for part in PARTS]
        lines.append(("the rest", _share(coverage, omit=elsewhere), THE_REST))
    except NoDataError:
        print("no lines were measured: run `make coverage`", file=sys.stderr)
        return 1
    for name, share, target in lines:
        print(f"{name:<18}{share:7.2f} %   target {target:.0f} %{'' if share >= target else '   too low'}")
    return int(any(share < target for _, share, target in lines))


def _share(coverage: Coverage, *, include: list[str] | None = None, omit: list[str] | None = None) -> float:
    return coverage.report(include=include, omit=omit, file=io.StringIO())


if __name__ == "__main__":
    sys.exit(main())
