"""The reference of the drift verdict as JSON, as it is stored with a model version."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from mikrobot.domain.serialisation import plain
from mikrobot.monitoring.drift_reference import ColumnReference, DriftReference, VolatilityReference


def to_json(reference: DriftReference) -> dict[str, Any]:
    """Return a reference as plain JSON values."""
    return {
        "since": reference.since.isoformat(),
        "until": reference.until.isoformat(),
        "window_days": reference.window / timedelta(days=1),
        "columns": plain(reference.columns),
        "left_out": dict(reference.left_out),
        "share_limit": reference.share_limit,
        "shift_limit": reference.shift_limit,
        "volatility": plain(reference.volatility),
    }


def from_json(value: Mapping[str, Any]) -> DriftReference:
    """Build a reference from the result of `to_json`."""
    return DriftReference(
        since=datetime.fromisoformat(value["since"]),
        until=datetime.fromisoformat(value["until"]),
        window=timedelta(days=value["window_days"]),
        columns={name: _column(column) for name, column in value["columns"].items()},
        left_out=value["left_out"],
        share_limit=value["share_limit"],
        shift_limit=value["shift_limit"],
        volatility=_volatility(value["volatility"]),
    )


def _column(value: Mapping[str, Any]) -> ColumnReference:
    edges, shares = tuple(value["edges"]), tuple(value["shares"])
    return ColumnReference(edges, shares, value["mean"], value["deviation"], value["wander"], value["limit"])


def _volatility(value: Mapping[str, Any]) -> VolatilityReference:
    return VolatilityReference(**{**value, "recent": tuple(value["recent"])})
