"""The JSON form of typed values, for everything that is printed, stored or passed to another process."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """Return a value as plain JSON values.

    Dataclasses become dicts of their fields in order, tuples lists, amounts and paths text, times ISO 8601 text,
    enums their values. Other values do not change.

    >>> plain({"pnl": Decimal("1.50"), "until": date(2025, 3, 14), "drifted": ("m1_rsi_14",)})
    {'pnl': '1.50', 'until': '2025-03-14', 'drifted': ['m1_rsi_14']}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal | Path):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value
