"""The JSON form of typed values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from mikrobot.domain.serialisation import plain
from mikrobot.domain.trading import Side


@dataclass(frozen=True, slots=True)
class Fill:
    side: Side
    price: Decimal


@dataclass(frozen=True, slots=True)
class Report:
    fills: tuple[Fill, ...]
    scores: Mapping[str, float | None]
    at: datetime
    page: Path | None = None


def test_nested_values_become_json_in_the_order_of_their_fields() -> None:
    report = Report(
        (Fill(Side.BUY, Decimal("1.10")),), {"auc": 0.5, "sharpe": None}, datetime(2025, 3, 14, tzinfo=UTC), Path("/r")
    )
    assert json.dumps(plain(report)) == (
        '{"fills": [{"side": "buy", "price": "1.10"}], "scores": {"auc": 0.5, "sharpe": null}, '
        '"at": "2025-03-14T00:00:00+00:00", "page": "/r"}'
    )


def test_plain_values_do_not_change() -> None:
    document = {"text": "a", "number": 1, "share": 0.1, "flag": True, "none": None, "list": [1, "b", {"c": 2.5}]}
    assert plain(document) == document
