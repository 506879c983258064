"""Custom expectations that Great Expectations does not have.

Import this module before reading a suite that uses them. They support pandas batches only and use the
order of the rows.
"""

from typing import Any

import numpy as np
import pandas as pd
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)


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
