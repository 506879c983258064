from datetime import UTC, datetime

import numpy as np
import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.features.quality import Quality, assess
from mikrobot.monitoring.quality_report import ModelInputs, write

AT = datetime(2024, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def quality(bars) -> Quality:
    rows = FeaturePipeline(["EURUSD"]).frame("EURUSD", bars(1_000))
    return assess("EURUSD", rows.assign(m1_rsi_14=np.full(1_000, 140.0)))


def test_both_formats_list_every_finding_and_mark_a_simulated_market(quality, tmp_path):
    written = write([quality], "simulated", simulated=True, written_at=AT, models=[], folder=tmp_path / "reports")
    for path in (written.html, written.markdown):
        text = path.read_text(encoding="utf-8")
        assert "SIMULATED" in text
        assert "1,000 values outside of its range; stuck at 140 for 1,000 of 1,000 rows" in text
        assert CATALOG.version in text
        assert "Input importance" not in text


def test_the_page_needs_no_network_and_shows_every_column(quality, tmp_path):
    written = write([quality], "replay", simulated=False, written_at=AT, models=[], folder=tmp_path)
    page = written.html.read_text(encoding="utf-8")
    assert "http" not in page
    assert all(f">{name}</td>" in page for name in CATALOG.columns)
    assert page.count("<svg") == sum(bool(column.histogram) for column in quality.columns) > 10


def test_the_importance_of_each_model_is_shown_under_its_name(quality, tmp_path):
    models = [ModelInputs("bos", "7", {"level_atr": 0.75, "<trend>": 0.25}), ModelInputs("bos", "9", {"age": 1.0})]
    written = write([quality], "replay", simulated=False, written_at=AT, models=models, folder=tmp_path)
    assert all(f"bos v{version}" in written.markdown.read_text(encoding="utf-8") for version in (7, 9))
    page = written.html.read_text(encoding="utf-8")
    assert '<td>level_atr</td><td class="n">75 %</td>' in page
    assert "<td>&lt;trend&gt;</td>" in page


def test_a_folder_that_cannot_be_written_is_named(quality, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="file"):
        write([quality], "replay", simulated=False, written_at=AT, models=[], folder=tmp_path / "file")
