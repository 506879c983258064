"""Custom expectations that Great Expectations does not have.

Import this module before reading a suite that uses them. They support pandas batches only and use the
order of the rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
from great_expectations.expectations.expectation import BatchExpectation, ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider


class WholeMinutes(ColumnMapMetricProvider):
    """Metric: the time is on a whole minute."""

    condition_metric_name = "column_values.whole_minutes"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: Any) -> pd.Series:
        on_minute: pd.Series = column == column.dt.floor("min")
        return on_minute


class NearNeighbours(ColumnMapMetricProvider):
    """Metric: the value is near the median of the values around it, itself included."""

    condition_metric_name = "column_values.near_neighbours"
    condition_value_keys = ("window", "departure")

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, window: int, departure: float, **_: Any) -> pd.Series:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = pd.Series(np.log(column.to_numpy(np.float64)), column.index).replace([np.inf, -np.inf], np.nan)
        medians = logs.rolling(window, center=True, min_periods=1).median()
        return ~((logs - medians).abs() > departure)


class KnownAfter(ColumnMapMetricProvider):
    """Metric: the value is not missing, or its row is one of the first of the batch."""

    condition_metric_name = "column_values.known_after"
    condition_value_keys = ("rows",)
    filter_column_isnull = False

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, rows: int, **_: Any) -> pd.Series:
        return column.notna() | (np.arange(len(column)) < rows)


class ColumnsOutOfBounds(TableMetricProvider):
    """Metric: the columns with a value out of its bounds, a value missing after its first rows, or another type."""

    metric_name = "table.columns_out_of_bounds"
    value_keys = ("bounds",)

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> list[str]:
        frame, *_rest = execution_engine.get_compute_domain(metric_domain_kwargs, MetricDomainTypes.TABLE)
        bounds = metric_value_kwargs["bounds"]
        return [str(row.column) for row in frame.itertuples() if not _keeps(row, **bounds[str(row.column)])]


def _keeps(extremes: Any, low: float, high: float, known_after: int | None) -> bool:
    within = not (extremes.lowest < low or extremes.highest > high)  # NaN, of a column without values, is within
    complete = known_after is None or extremes.last_missing < known_after
    return bool(extremes.floats and within and complete)


def column_extremes(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return what decides whether columns keep their bounds.

    Returns
    -------
    DataFrame
        A row per column: ``column``; ``floats``, False if the type is not float64; ``lowest`` and ``highest`` value,
        NaN if there is none; ``last_missing``, the number of the last row without a value, -1 if there is none.
    """
    return pd.DataFrame(
        [(column, *_extremes(frame[column])) for column in columns],
        columns=["column", "floats", "lowest", "highest", "last_missing"],
    )


def _extremes(values: pd.Series) -> tuple[bool, float, float, int]:
    if values.dtype != np.float64:
        return False, np.nan, np.nan, -1
    array = values.to_numpy()
    missing = np.isnan(array)
    last_missing = len(array) - 1 - int(missing[::-1].argmax()) if missing.any() else -1
    return True, float(np.fmin.reduce(array)), float(np.fmax.reduce(array)), last_missing


class ExpectColumnValuesToBeWholeMinutes(ColumnMapExpectation):
    """Expect the times of a column to be on whole minutes."""

    map_metric = "column_values.whole_minutes"


class ExpectColumnValuesToBeNearNeighbours(ColumnMapExpectation):
    """Expect every price to be near the median of the `window` prices around it.

    A price that jumps and returns is a bad tick. A price that jumps and stays passes, because the
    median moves with it.

    Attributes
    ----------
    window : int
        Odd number of rows, centred on the tested row.
    departure : float
        Largest absolute log ratio of a price to the median.
    """

    map_metric = "column_values.near_neighbours"
    success_keys = ("window", "departure", "mostly")

    window: int
    departure: float


class ExpectColumnValuesToBeKnownAfter(ExpectColumnValuesToNotBeNull):
    """Expect a column without missing values after the first rows of the frame.

    Attributes
    ----------
    rows : int
        Warm-up: number of rows at the start of the batch in which values may be missing.
    """

    map_metric = "column_values.known_after"
    success_keys = ("rows", "mostly")

    rows: int


class ExpectColumnExtremesToKeepTheirBounds(BatchExpectation):
    """Expect the columns of floats whose extremes are the rows of the batch (see `column_extremes`) to keep bounds.

    Equivalent to `expect_column_values_to_be_between` and `expect_column_values_to_be_known_after` for each
    column, without the rows of the result. Names the columns that break their bounds as the observed value.

    Attributes
    ----------
    bounds : mapping of str to mapping
        Column -> low and high (inclusive), and known_after: the number of first rows in which values may be
        missing, None if they always may.
    """

    metric_dependencies = ("table.columns_out_of_bounds",)
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    success_keys: ClassVar[tuple[str, ...]] = ("bounds",)

    bounds: Mapping[str, Mapping[str, Any]]

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        columns = metrics["table.columns_out_of_bounds"]
        return {"success": not columns, "result": {"observed_value": columns}}
