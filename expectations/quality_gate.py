"""The quality gate: validate a frame with a suite, and separate good rows from bad rows.

Stores no bad rows and stops no flow: the caller quarantines the rows, and raises
`mikrobot.domain.errors.GateError` if a failed gate must stop the flow.
"""

import math
from collections.abc import Iterator, Mapping
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

from expectations import suites
from expectations.suites import Expectation
from expectations.vocabulary import column_extremes
from mikrobot.domain.errors import GateError

COLUMNS_AT_ONCE = 4
"""Maximum columns per batch. Great Expectations copies the whole batch for every metric: 160
expectations on 300,000 x 80 take 45 s as one batch, 3 s as batches of two to four columns."""

_BOUNDED: Mapping[str, set[str]] = {
    "expect_column_values_to_be_between": {"column", "min_value", "max_value"},
    "expect_column_values_to_be_known_after": {"column", "rows"},
}
"""The arguments of expectations about bounds, by type; one with other arguments, as `mostly`, is run by itself."""

_ABOUT_SHAPE = {"expect_table_columns_to_match_ordered_list", "expect_table_row_count_to_be_between"}
"""Expectations about a frame that its columns and number of rows decide."""

_UNBOUNDED: Mapping[str, Any] = {"low": -math.inf, "high": math.inf, "known_after": None}

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


def check_ingested(frame: pd.DataFrame, allowed_share: float) -> Checked:
    """Validate bars before they are stored: unless no bad row is allowed, an odd one does not stop a short backfill."""
    return check(frame, "bars", allowed_share, allowed_rows=1 if allowed_share else 0)


def check(frame: pd.DataFrame, suite: str, allowed_share: float = 0.01, *, allowed_rows: int = 0) -> Checked:
    """Validate a frame with a suite.

    Parameters
    ----------
    frame : DataFrame
        Bars or feature rows of one symbol, in time order.
    suite : str
        Name of a suite, "bars" or "features".
    allowed_share : float
        Share of bad rows, 0 to 1, above which the gate fails.
    allowed_rows : int
        Number of bad rows that pass among good ones, also where they are a larger share.

    Raises
    ------
    GateError
        If there is no such suite, or one of its expectations is invalid.
    """
    rows = frame.copy(deep=False)
    rows.index = pd.RangeIndex(len(frame))
    expectations = suites.read(suite)["expectations"]
    with _ONE_AT_A_TIME:
        broken, evaluated = _broken(rows, expectations)
    reasons = _reasons(broken)
    bad = rows.index.isin(reasons.index)
    count = int(bad.sum())
    frame_fails = any(_severity(result) == "critical" for result in broken)
    return Checked(
        good=frame[~bad] if bad.any() else frame,
        bad=frame[bad],
        reasons=reasons.set_axis(frame.index[bad]),
        passed=not frame_fails and (count <= allowed_share * len(frame) or count <= allowed_rows < len(frame)),
        expectations=evaluated,
        failed=tuple(_description(result) for result in broken),
    )


def _broken(rows: pd.DataFrame, expectations: list[Expectation]) -> tuple[list[ExpectationValidationResult], int]:
    """Validate the frame, then its rows if the frame has rows and the required columns.

    Returns
    -------
    list of ExpectationValidationResult
        The broken expectations, in the order of the suite.
    int
        Number of evaluated expectations.
    """
    of_frame = [expectation for expectation in expectations if not _columns([expectation])]
    of_columns = [expectation for expectation in expectations if _columns([expectation])]
    with _batch_definition() as batch_definition:
        broken = _failures(_run(batch_definition, _deciding(rows, of_frame), of_frame))
        if broken:
            return broken, len(of_frame)
        keeping = _keeping_their_bounds(batch_definition, rows, of_columns)
        asked = [expectation for expectation in of_columns if _bounded(expectation) not in keeping]
        for batch in _batches(asked):
            broken += _failures(_run(batch_definition, rows[_columns(batch)], batch))
    return broken, len(expectations)


def _failures(results: list[ExpectationValidationResult]) -> list[ExpectationValidationResult]:
    return [result for result in results if not result.success]


def _deciding(rows: pd.DataFrame, expectations: list[Expectation]) -> pd.DataFrame:
    """Return as many rows as decide expectations about the frame, since Great Expectations fingerprints all it gets."""
    if not {expectation["type"] for expectation in expectations} <= _ABOUT_SHAPE:
        return rows
    limits = [expectation["kwargs"].get(name) for expectation in expectations for name in ("min_value", "max_value")]
    return rows.head(1 + max((limit for limit in limits if limit is not None), default=0))


def _keeping_their_bounds(
    batch_definition: BatchDefinition[Any], rows: pd.DataFrame, expectations: list[Expectation]
) -> set[str]:
    """Return the columns for which no expectation about bounds can be broken, found from their extremes.

    Such an expectation takes Great Expectations 14 ms, and a fingerprint and copies of the columns besides.
    """
    bounds: dict[str, dict[str, Any]] = {}
    for expectation in expectations:
        if column := _bounded(expectation):
            bounds[column] = _narrowed(bounds.get(column, _UNBOUNDED), expectation["kwargs"])
    if not bounds:
        return set()
    (result,) = _run(batch_definition, column_extremes(rows, list(bounds)), [_bounds_expectation(bounds)])
    return bounds.keys() - set(result.result["observed_value"])


def _bounded(expectation: Expectation) -> str | None:
    """Return the column of an expectation about the bounds of rows, without exceptions; None of any other."""
    kwargs = expectation["kwargs"]
    plain = expectation["severity"] == "warning" and kwargs.keys() <= _BOUNDED.get(expectation["type"], set())
    return str(kwargs["column"]) if plain else None


def _narrowed(bound: Mapping[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bound that holds where `bound` and the arguments of an expectation both hold."""
    low, high, rows = (kwargs.get(name) for name in ("min_value", "max_value", "rows"))
    known_after = [number for number in (bound["known_after"], rows) if number is not None]
    return {
        "low": max(bound["low"], -math.inf if low is None else low),
        "high": min(bound["high"], math.inf if high is None else high),
        "known_after": min(known_after, default=None),
    }


def _bounds_expectation(bounds: dict[str, dict[str, Any]]) -> Expectation:
    return {
        "type": "expect_column_extremes_to_keep_their_bounds",
        "kwargs": {"bounds": bounds},
        "description": f"the bounds of {', '.join(bounds)}",
        "severity": "warning",
    }


def _batches(expectations: list[Expectation]) -> Iterator[list[Expectation]]:
    """Group expectations of columns into batches of few columns."""
    batch: list[Expectation] = []
    for expectation in expectations:
        if batch and len(_columns([*batch, expectation])) > COLUMNS_AT_ONCE:
            yield batch
            batch = []
        batch.append(expectation)
    if batch:
        yield batch


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
