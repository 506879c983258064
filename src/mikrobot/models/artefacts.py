"""Serialisation of a model: the files of its spec, curves, trees and graph, with the signed list of their hashes.

This module writes files before they are logged and parses them after they were fetched; the registry
stores them. It imports XGBoost only for trees, which the prediction service never reads.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mikrobot.domain.errors import ModelError
from mikrobot.models import spec as specs
from mikrobot.models.calibration import Calibration
from mikrobot.models.conformal import Intervals
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.model import Baseline, Model, Start
from mikrobot.models.signatures import SIGNED, Signer
from mikrobot.models.spec import tuples

if TYPE_CHECKING:
    import xgboost as xgb

GRAPH = "model.onnx"
CURVES = "extra_files/curves.json"
BOOSTER = "extra_files/booster.ubj"
FILES = (specs.FILE, CURVES, GRAPH)
"""Paths of the files that `read` takes, among the files of a version; MLflow puts extra files into a folder."""


def write(model: Model, booster: "xgb.Booster | None", folder: Path, signer: Signer) -> list[str]:
    """Write the files that the graph does not contain: the spec, the curves, the trees and the signed list.

    Returns
    -------
    list of str
        Paths of the written files, in order of name.
    """
    curves = {
        "calibration": asdict(model.calibration),
        "start": model.start and asdict(model.start),
        "intervals": model.intervals and asdict(model.intervals),
        "baseline": model.baseline and asdict(model.baseline),
    }
    files = {specs.FILE: model.spec.to_json().encode(), CURVES: json.dumps(curves, indent=1).encode()}
    if booster is not None:
        files[BOOSTER] = bytes(booster.save_raw("ubj"))
    files[SIGNED] = signer.sign(files | {GRAPH: model.graph})
    for path, content in files.items():
        (folder / Path(path).name).write_bytes(content)
    return [str(path) for path in sorted(folder.iterdir())]


def read(spec: bytes, curves: bytes, graph: bytes, version: str) -> Model:
    """Read a model from the content of `FILES`, whose signature has been checked.

    Raises
    ------
    ModelError
        If the model has other inputs than this program computes.
    ValueError, KeyError, TypeError
        If a file does not have the expected format.
    """
    kept = json.loads(curves)
    if "scores" not in (kept["intervals"] or {"scores": ()}):
        raise ModelError("it was calibrated by an earlier version of this program")
    model = Model(
        spec=specs.read(spec, version),
        graph=graph,
        start=_start(kept["start"]),
        calibration=Calibration(**tuples(kept["calibration"])),
        intervals=_intervals(kept["intervals"]),
        baseline=_baseline(kept["baseline"]),
    )
    if model.spec.columns != model.inputs.columns:
        raise ModelError("it was trained on other inputs than this program computes")
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


def read_booster(content: bytes) -> "xgb.Booster":
    """Read the boosted trees of a version."""
    import xgboost as xgb

    return xgb.Booster(model_file=bytearray(content))
