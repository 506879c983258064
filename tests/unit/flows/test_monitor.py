"""The artifact about the quality of the data, as the Prefect UI shows it."""

from datetime import UTC, datetime, timedelta

from flows.monitor import data_markdown
from mikrobot.domain.quality import QualityScore
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.workflows.data_quality import DataQuality, summed

NOON = datetime(2025, 1, 6, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def scores(*values: float) -> list[QualityScore]:
    return [QualityScore("EURUSD", NOON + n * MINUTE, value, {"gap": value}) for n, value in enumerate(values)]


def test_scores_and_halts_are_rows():
    halt = TradingState(Permission.HALTED, "data quality", "data quality 0.50: gap 0.50", NOON, NOON + MINUTE, "EURUSD")
    text = data_markdown(DataQuality("replay", False, (summed("EURUSD", scores(0.5, 1.0)),), (halt,)))
    assert "# Data quality: replay\n" in text
    assert "| EURUSD | 1.000 | 0.750 | 0.500 | 2 | 1 | gap 1 |" in text
    assert "| EURUSD | 01-06 12:00 | 01-06 12:01 | data quality 0.50: gap 0.50 |" in text


def test_a_symbol_without_a_score_has_empty_cells_and_a_run_without_halts_shows_none():
    text = data_markdown(DataQuality("simulated", True, (summed("EURUSD", []),), ()))
    assert "# Data quality: simulated (SIMULATED)" in text
    assert "| EURUSD |  |  |  | 0 | 0 |  |" in text
    assert "No halt." in text
