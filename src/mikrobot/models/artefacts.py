"""A model as files beside its graph: the spec, its curves, its trees, and the hash of the graph.

Written before they are logged and read after they were fetched; where to is the business of the registry.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xgboost as xgb

from mikrobot.domain.errors import ModelError
from mikrobot.models import spec as specs
from mikrobot.models.calibration import Calibration
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.intervals import Intervals
from mikrobot.models.model import Baseline, Model, Start
from mikrobot.models.spec import tuples

GRAPH = "model.onnx"
CURVES = "extra_files/curves.json"
BOOSTER = "extra_files/booster.ubj"
FILES = (specs.FILE, CURVES, GRAPH)
"""What `read` takes, as it lies among the files of a version: MLflow puts files that it did not make in a folder."""


def write(model: Model, booster: xgb.Booster | None, folder: Path) -> list[str]:
    """Write what the graph does not say: the spec, its curves, its hash; and the trees themselves.

    Returns
    -------
    list of str
        The files written, in order of name.
    """
    curves = {
        "calibration": asdict(model.calibration),
        "start": model.start and asdict(model.start),
        "intervals": model.intervals and asdict(model.intervals),
        "baseline": model.baseline and asdict(model.baseline),
    }
    (folder / Path(specs.FILE).name).write_text(specs.write(model.spec, _sha256(model.graph)))
    (folder / Path(CURVES).name).write_text(json.dumps(curves, indent=1))
    if booster is not None:
        booster.save_model(folder / Path(BOOSTER).name)
    return [str(path) for path in sorted(folder.iterdir())]


def read(spec: bytes, curves: bytes, graph: bytes, version: str) -> Model:
    """Read a model from the content of `FILES`.

    Raises
    ------
    ModelError
        If the graph is not the one that was written, or the inputs are not those this program makes.
    ValueError, KeyError, TypeError
        If a file is not of this make.
    """
    made_for, expected = specs.read(spec, version)
    kept = json.loads(curves)
    if (found := _sha256(graph)) != expected:
        raise ModelError(f"{GRAPH} of {len(graph)} bytes has the hash {found[:12]}, expected {expected[:12]}")
    if "scores" not in (kept["intervals"] or {"scores": ()}):
        raise ModelError("it was calibrated by an earlier version of this program")
    model = Model(
        spec=made_for,
        graph=graph,
        start=_start(kept["start"]),
        calibration=Calibration(**tuples(kept["calibration"])),
        intervals=_intervals(kept["intervals"]),
        baseline=_baseline(kept["baseline"]),
    )
    if model.spec.columns != model.inputs.columns:
        raise ModelError("it was trained on other inputs than this program makes")
    return model


def _baseline(kept: Mapping[str, Any] | None) -> Baseline | None:
    start = _start(kept["start"]) if kept else None
    if kept is None or start is None:
        return None
    return Baseline(start, Calibration(**tuples(kept["calibration"])), Intervals(**tuples(kept["intervals"])))


def _intervals(kept: Mapping[str, Any] | None) -> Intervals | None:
    return Intervals(**tuples(kept)) if kept else None


def _start(kept: Mapping[str, Any] | None) -> Start | None:
    return Start(**{**kept, "curve": Diffusion(**tuples(kept["curve"]))}) if kept else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_booster(content: bytes) -> xgb.Booster:
    """Read the trees of a version."""
    return xgb.Booster(model_file=bytearray(content))
