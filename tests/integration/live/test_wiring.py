"""A new market source needs only one module and one entry in `domain/sources`, as docs/architecture.md states."""

import subprocess
import sys
from pathlib import Path

import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.live import wiring
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings

VENUE = '''
"""A venue with two bars of one symbol."""
from datetime import UTC, datetime, timedelta

import numpy as np

from mikrobot.domain.market import empty_bars

FIRST = datetime(2025, 1, 6, tzinfo=UTC)


class ToySource:
    name, simulated, live = "toy", False, False

    def __init__(self, symbols):
        self._symbols = symbols

    def symbols(self):
        return self._symbols

    def span(self, symbol):
        return FIRST, FIRST + timedelta(minutes=2)

    def history(self, symbol, start, end):
        times = [FIRST, FIRST + timedelta(minutes=1)]
        bars = empty_bars().reindex(range(2)).assign(open=1.0, high=1.0, low=1.0, close=1.0, volume=0.0)
        bars["open_time"] = np.array([time.replace(tzinfo=None) for time in times], dtype="datetime64[us]")
        return bars.assign(open_time=bars["open_time"].dt.tz_localize("UTC"))


def open_source(settings, clock):
    return ToySource(settings.symbols)
'''

ENTRY_AND_USE = """
from mikrobot.domain.sources import SOURCES, SourceKind
SOURCES["toy"] = SourceKind("toy", "toy_venue", live=False)

from datetime import UTC, datetime
import click
from mikrobot.cli.parameters import SOURCES as OPTION
from mikrobot.live import wiring
from mikrobot.market.feed import closes
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings

settings = Settings(source=OPTION.convert("toy", None, None), symbols=("EURUSD",))
source = wiring.open_source(settings, SystemClock())
for close_time, bars in closes(source, source.symbols(), datetime(2025, 1, 6, tzinfo=UTC), None, clock=SystemClock()):
    print(close_time.isoformat(), [bar.close for bar in bars])
"""


def test_a_source_is_a_module_and_an_entry(tmp_path: Path) -> None:
    (tmp_path / "toy_venue.py").write_text(VENUE)
    (tmp_path / "use.py").write_text(ENTRY_AND_USE)
    ended = subprocess.run([sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["2025-01-06T00:01:00+00:00 [1.0]", "2025-01-06T00:02:00+00:00 [1.0]"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "no market source is set"),
        ({"source": "mt5", "symbols": ("EURUSD'",)}, "cannot be a symbol of MetaTrader 5"),
        ({"source": "replay"}, "a replay needs bars: give --data"),
    ],
)
def test_a_source_that_cannot_be_opened_is_refused_with_a_remedy(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        wiring.open_source(Settings(**settings), SystemClock())  # type: ignore[arg-type]
