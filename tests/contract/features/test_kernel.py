"""The compiled kernel: its cache, and argument types fixed before the first bar."""

import os
import subprocess
import sys

import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.features.kernel.compilation import kernel
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.indicators import ema
from mikrobot.features.pipeline import FeaturePipeline

PROGRAM = """
from mikrobot.features.kernel.compilation import kernel
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.indicators import ema
from mikrobot.features.pipeline import FeaturePipeline
pipeline = FeaturePipeline(["A"], Catalog(ema(length=2)))
pipeline.update_raw(0, 60, 1.0, 1.0, 1.0, 1.0, *[0.0] * 4)
hits = kernel(pipeline.catalog).update.stats.cache_hits
print(pipeline.update_raw(0, 120, 1.0, 3.0, 1.0, 3.0, *[0.0] * 4)[0], *hits.values())
"""


def start(folder):
    environment = os.environ | {"MIKROBOT_CACHE": str(folder)}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_of_processes_that_start_at_once_one_compiles_and_the_others_load_its_result(tmp_path):
    results = []
    for process in [start(tmp_path) for _ in range(3)]:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(out.split())
    assert sorted(results) == [["2.0"], ["2.0", "1"], ["2.0", "1"]]  # the one that compiled has no hit
    assert not list(tmp_path.glob("*.tmp"))


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MIKROBOT_CACHE", str(tmp_path / "file" / "kernels"))
    with pytest.raises(StoreError, match=r"file/kernels.*set MIKROBOT_CACHE to a writable folder"):
        kernel(Catalog(ema(length=1234)))


def test_whole_numbers_do_not_compile_in_the_middle_of_trading():
    pipeline = FeaturePipeline(["A"])
    pipeline.update_raw(0, 60, 1, 1, 1, 1, 0, 0, 0, 0)
    assert len(kernel(pipeline.catalog).update.signatures) == 1


@pytest.mark.parametrize("price", ["one", None, [1.0], 1j])
def test_a_price_that_is_no_number_is_refused_and_the_next_bar_is_taken(price):
    pipeline = FeaturePipeline(["A"])
    with pytest.raises(TypeError):
        pipeline.update_raw(0, 60, price, 1.0, 1.0, 1.0, *[0.0] * 4)
    assert pipeline.seen("A").bars == 0
    pipeline.update_raw(0, 60, 1.0, 1.0, 1.0, 1.0, *[0.0] * 4)
    assert pipeline.seen("A").bars == 1


def test_state_is_small_and_readable_by_name():
    pipeline = FeaturePipeline(["A"])
    pipeline.update_raw(0, 60, 1.0, 1.0, 1.0, 1.0, *[0.0] * 4)
    assert pipeline.states[0].m1_ema_9.average.value == 1.0
    assert len(pipeline.snapshot("A")) < 100_000


def test_a_cache_that_can_be_read_but_not_written_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("MIKROBOT_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "__pycache__" / "nowhere"))
    (tmp_path / "__pycache__").write_text("not a folder")
    with pytest.raises(StoreError, match="set MIKROBOT_CACHE to a writable folder"):
        kernel(Catalog(ema(length=1235)))
