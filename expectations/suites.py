"""The suites: ``bars.json``, written by hand, and ``features.json``, generated from the catalog.

An expectation of severity "warning" applies to rows; its description is the reason with which a bad
row is quarantined. An expectation of severity "critical" applies to the whole frame.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

from mikrobot.domain.errors import GateError
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import ColumnSpec

FOLDER = Path(__file__).parent

Expectation = dict[str, Any]
Suite = dict[str, Any]

_FRAME, _ROW = "critical", "warning"


def read(name: str) -> Suite:
    """Read a suite of this folder by name, as ``bars``.

    Raises
    ------
    GateError
        If there is no such suite.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json")))
        raise GateError(f"expected one of the suites {names}; found {name!r}")
    suite: Suite = json.loads(path.read_text())
    return suite


def write_features() -> Path:
    """Generate ``features.json`` from the catalog."""
    path = FOLDER / "features.json"
    path.write_text(json.dumps(features(), indent=2) + "\n")
    return path


def features() -> Suite:
    """Return the suite of feature frames (``symbol``, ``close_time``, every catalog column)."""
    of_columns = [expectation for spec in CATALOG.specs for expectation in _of_column(spec)]
    return {"name": "features", "expectations": [*_of_frame(), *of_columns]}


def _of_frame() -> list[Expectation]:
    columns, time = ["symbol", "close_time", *CATALOG.columns], "close_time"
    return [
        _expectation("table_columns_to_match_ordered_list", "the columns of the catalog", _FRAME, column_list=columns),
        _expectation("table_row_count_to_be_between", "at least one row", _FRAME, min_value=1),
        _expectation("column_values_to_not_be_null", "symbol known", _FRAME, column="symbol"),
        _expectation("column_values_to_not_be_null", "close_time known", _FRAME, column=time),
        _expectation("column_values_to_be_increasing", "close_time increasing", _FRAME, column=time, strictly=True),
        _expectation("column_values_to_be_whole_minutes", "close_time on a whole minute", _ROW, column=time),
    ]


def _of_column(spec: ColumnSpec) -> list[Expectation]:
    within = _expectation(
        "column_values_to_be_between",
        f"{spec.name} finite and within [{spec.low:g}, {spec.high:g}]",
        _ROW,
        column=spec.name,
        min_value=_finite(spec.low),
        max_value=_finite(spec.high),
    )
    if spec.may_be_missing:
        return [within]
    after = f"{spec.name} known after {spec.warmup} bars"
    return [within, _expectation("column_values_to_be_known_after", after, _ROW, column=spec.name, rows=spec.warmup)]


def _expectation(type_: str, description: str, severity: str, **kwargs: Any) -> Expectation:
    return {"type": f"expect_{type_}", "kwargs": kwargs, "description": description, "severity": severity}


def _finite(bound: float) -> float:
    """Return the bound, or the largest float without a bound, so that infinity is still refused."""
    return math.copysign(sys.float_info.max, bound) if math.isinf(bound) else bound
