"""The promised skill equals the confidence-based performance estimation of NannyML.

NannyML 0.13.1 cannot be installed with the packages of this project. Its figures for the same probabilities are listed
here; the soak installs it into an environment of its own and computes them again.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from mikrobot.monitoring.skill import promise

THEIRS = {
    "auc": 0.7712409596658789,
    "accuracy": 0.840593,
    "precision": 0.4001823708206687,
    "recall": 0.31914403659272655,
    "f1": 0.35509836947653606,
}
"""For `probabilities(4)` at the threshold 0.3."""

PROGRAM = """
import json, sys
import numpy as np, pandas as pd
from nannyml.performance_estimation.confidence_based import metrics

probability = pd.Series(json.loads(sys.stdin.read()))
predicted = (probability >= 0.3).astype(int)
print(json.dumps({
    "auc": metrics.estimate_roc_auc(probability, probability),
    "accuracy": metrics.estimate_accuracy(predicted, probability),
    "precision": metrics.estimate_precision(predicted, probability),
    "recall": metrics.estimate_recall(predicted, probability),
    "f1": metrics.estimate_f1(predicted, probability),
}))
"""


def probabilities(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).beta(1, 6, 3_000).round(3)


def promised(seed: int) -> dict[str, float]:
    figures = promise(probabilities(seed), 0.3)
    return {name: figures[name] for name in THEIRS}


def test_the_promised_skill_is_that_of_nannyml() -> None:
    assert promised(4) == pytest.approx(THEIRS, abs=1e-9)


@pytest.mark.soak
def test_the_promised_skill_is_that_of_an_installed_nannyml(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "nannyml==0.13.1", "statsmodels"], check=True)
    for seed in range(4, 8):
        given = json.dumps(probabilities(seed).tolist())
        process = subprocess.run([python, "-c", PROGRAM], input=given, capture_output=True, text=True, check=True)
        assert promised(seed) == pytest.approx(json.loads(process.stdout.splitlines()[-1]), abs=1e-9)
