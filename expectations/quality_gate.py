"""The quality gate: validate a frame with a suite, and separate good rows from bad rows.

Stores no bad rows and stops no flow: the caller quarantines the rows, and raises
`mikrobot.domain.errors.GateError` if a failed gate must stop the flow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuite, ExpectationValidationResult
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.exceptions.exceptions import GreatExpectationsError

import expectations.vocabulary  # noqa: F401  the suites use its expectations
from expectations import suites
from expectations.suites import Expectation, Suite
from mikrobot.domain.errors import GateError

COLUMNS_AT_ONCE = 4
"""Maximum columns per batch. Great Expectations copies the whole batch for every metric: 160
expectations on 300,000 x 80 take 45 s as one batch, 3 s as batches of two to four columns."""

_RESULT_FORMAT = {"result_format": "COMPLETE", "return_unexpected_index_query": False}

_ONE_AT_A_TIME = Lock()
"""Great Expectations keeps its current context in a global variable."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of the quality gate for a frame.

    Attributes
    ----------
    good, bad : DataFrame
        The good and the bad rows of the frame, with their original index.
    reasons : Series of str
        Aligned with `bad`: the broken expectations of each row, joined by "; ".
    passed : bool
        False if the share of bad rows is above the allowed share, or the frame itself fails (its
        columns, no rows, the order of its times). Then `good` must not be used either.
    expectations : int
        Number of evaluated expectations.
    failed : tuple of str
        Descriptions of the broken expectations, in the order of the suite.
    """

    good: pd.DataFrame
    bad: pd.DataFrame
    reasons: pd.Series
    passed: bool
    expectations: int
    failed: tuple[str, ...]


def check(frame: pd.DataFrame, suite: str, allowed_share: float = 0.01) -> Checked:
    """Validate a frame with a suite.

    Parameters
    ----------
    frame : DataFrame
        Bars or feature rows of one symbol, in time order.
    suite : str
        Name of a suite, "bars" or "features".
    allowed_share : float
        Share of bad rows, 0 to 1, above which the gate fails.

    Raises
    ------
    GateError
        If there is no such suite, or one of its expectations is invalid.
    """
    rows = frame.copy(deep=False)
    rows.index = pd.RangeIndex(len(frame))
    with _ONE_AT_A_TIME:
        results = _results(rows, suites.read(suite))
    broken = [result for result in results if not result.success]
    reasons = _reasons(broken)
    bad = rows.index.isin(reasons.index)
    frame_fails = any(_severity(result) == "critical" for result in broken)
    return Checked(
        good=frame[~bad] if bad.any() else frame,
        bad=frame[bad],
        reasons=reasons.set_axis(frame.index[bad]),
        passed=not frame_fails and bad.sum() <= allowed_share * len(frame),
        expectations=len(results),
        failed=tuple(_description(result) for result in broken),
    )


def _results(rows: pd.DataFrame, suite: Suite) -> list[ExpectationValidationResult]:
    """Validate the frame, then its rows if the frame has rows and the required columns."""
    of_frame, *of_columns = _batches(suite["expectations"])
    with _batch_definition() as batch_definition:
        results = _run(batch_definition, rows, of_frame)
        if all(result.success for result in results):
            for expectations in of_columns:
                results += _run(batch_definition, rows[_columns(expectations)], expectations)
    return results


def _batches(expectations: list[Expectation]) -> list[list[Expectation]]:
    """Group the expectations: first those of the frame, then those of a few columns each."""
    of_frame = [expectation for expectation in expectations if not _columns([expectation])]
    batches = [of_frame]
    for expectation in expectations:
        if expectation in of_frame:
            continue
        columns = _columns([*batches[-1], expectation])
        if batches[-1] is of_frame or len(columns) > COLUMNS_AT_ONCE:
            batches.append([])
        batches[-1].append(expectation)
    return batches


def _columns(expectations: list[Expectation]) -> list[str]:
    """Return the columns that the expectations use, without duplicates."""
    keys = ("column", "column_A", "column_B")
    named = [expectation["kwargs"].get(key) for expectation in expectations for key in keys]
    return list(dict.fromkeys(name for name in named if name))


@contextmanager
def _batch_definition() -> Iterator[BatchDefinition[Any]]:
    """Yield a batch definition; delete its data source afterwards, which otherwise keeps all frames."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    try:
        yield asset.add_batch_definition_whole_dataframe("whole")
    finally:
        context.data_sources.delete("frames")


def _run(
    batch_definition: BatchDefinition[Any], rows: pd.DataFrame, expectations: list[Expectation]
) -> list[ExpectationValidationResult]:
    suite = _suite(expectations)
    batch = batch_definition.get_batch({"dataframe": rows})
    results = batch.validate(suite, result_format=_RESULT_FORMAT).results
    for result in results:
        _raise_if_it_could_not_run(result)
    return results


def _suite(expectations: list[Expectation]) -> ExpectationSuite:
    """Build the suite; raise for invalid expectations, some of which Great Expectations only logs and drops."""
    try:
        suite = ExpectationSuite(name="batch", expectations=expectations)
    except (ValueError, GreatExpectationsError) as error:
        raise GateError(f"an expectation is invalid, correct its suite: {error}") from error
    if len(suite.expectations) != len(expectations):
        raise GateError(f"an expectation is invalid, correct its suite; it is one of {expectations}")
    return suite


def _raise_if_it_could_not_run(result: ExpectationValidationResult) -> None:
    info = result.exception_info or {}
    for exception in (info, *(value for value in info.values() if isinstance(value, dict))):
        if exception.get("raised_exception"):
            raise GateError(f"expected {_description(result)}; the check failed: {exception['exception_message']}")


def _reasons(broken: list[ExpectationValidationResult]) -> pd.Series:
    """Return the reasons of every bad row, indexed by row number, in row order."""
    by_row: dict[int, list[str]] = {}
    for result in broken:
        for row in result.result.get("unexpected_index_list") or ():
            by_row.setdefault(row, []).append(_description(result))
    rows = sorted(by_row)
    return pd.Series(["; ".join(by_row[row]) for row in rows], index=pd.Index(rows, dtype="int64"), dtype="str")


def _description(result: ExpectationValidationResult) -> str:
    assert result.expectation_config is not None
    return str(result.expectation_config.description)


def _severity(result: ExpectationValidationResult) -> str:
    assert result.expectation_config is not None
    return result.expectation_config.severity.value
