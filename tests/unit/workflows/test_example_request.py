"""The symbol of an example request: one that has a feature row."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from mikrobot.domain.errors import UnknownSymbol, UsageError
from mikrobot.store.runs import Run
from mikrobot.workflows.example_request import _symbol_with_a_row

AT = datetime(2024, 3, 10, tzinfo=UTC)
RUN = Run("r1", "simulated", True, ("EURUSD", "BTCUSDT"), AT, AT, AT, {})


@dataclass
class Rows:
    """The online rows of a Sunday."""

    symbols: tuple[str, ...]

    def latest(self, source: str, symbol: str) -> datetime | None:
        return AT if symbol in self.symbols else None


def chosen(asked: str | None, *symbols: str) -> str:
    rows: Any = Rows(symbols)
    return _symbol_with_a_row(rows, RUN, asked)


def test_without_a_symbol_the_first_one_with_a_row_is_shown():
    assert chosen(None, "EURUSD", "BTCUSDT") == "EURUSD"
    assert chosen(None, "BTCUSDT") == "BTCUSDT"


def test_a_symbol_without_a_row_is_refused_and_one_with_a_row_named():
    with pytest.raises(UsageError, match=r"no minute of EURUSD has been traded on source simulated.*--symbol BTCUSDT"):
        chosen("EURUSD", "BTCUSDT")
    with pytest.raises(UsageError, match="no minute of any symbol has been traded"):
        chosen(None)
    with pytest.raises(UnknownSymbol, match="the latest run has no 'GBPUSD'; it has EURUSD, BTCUSDT"):
        chosen("GBPUSD", "BTCUSDT")
