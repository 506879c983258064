"""A model as files beside its graph: the contract, its curves, its trees, and the hash of the graph.

Written before they are logged and read after they were fetched; where to is the business of the registry.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import xgboost as xgb

from mikrobot.domain.errors import ModelError
from mikrobot.models.calibration import Calibration
from mikrobot.models.contract import Contract, tuples
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.intervals import Intervals
from mikrobot.models.model import Baseline, Model, Start

_CONTRACT, _CURVES, _GRAPH, _EXTRA = "contract.json", "curves.json", "model.onnx", "extra_files"
_BOOSTER = "booster.ubj"


def write(model: Model, booster: xgb.Booster | None, folder: Path) -> list[str]:
    """Write what the graph does not say: the contract, its curves, its hash; and the trees themselves.

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
    contract = json.loads(model.contract.to_json()) | {"graph_sha256": _sha256(model.graph)}
    (folder / _CONTRACT).write_text(json.dumps(contract, indent=1))
    (folder / _CURVES).write_text(json.dumps(curves, indent=1))
    if booster is not None:
        booster.save_model(folder / _BOOSTER)
    return [str(path) for path in sorted(folder.iterdir())]


def read(folder: Path, version: str) -> Model:
    """Read a model as it was fetched.

    Raises
    ------
    ModelError
        If the graph is not the one that was written, or the inputs are not those this program makes.
    OSError, ValueError, KeyError, TypeError
        If a file is missing or not of this make.
    """
    contract = json.loads((folder / _EXTRA / _CONTRACT).read_text())
    curves = json.loads((folder / _EXTRA / _CURVES).read_text())
    graph = (folder / _GRAPH).read_bytes()
    expected, found = contract.pop("graph_sha256"), _sha256(graph)
    if found != expected:
        raise ModelError(f"{_GRAPH} of {len(graph)} bytes has the hash {found[:12]}, expected {expected[:12]}")
    if "scores" not in (curves["intervals"] or {"scores": ()}):
        raise ModelError("it was calibrated by an earlier version of this program")
    model = Model(
        contract=replace(Contract.from_json(json.dumps(contract)), version=version),
        graph=graph,
        start=_start(curves["start"]),
        calibration=Calibration(**tuples(curves["calibration"])),
        intervals=_intervals(curves["intervals"]),
        baseline=_baseline(curves["baseline"]),
    )
    if model.contract.columns != model.inputs.columns:
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


def read_booster(folder: Path, what: str) -> xgb.Booster:
    """Read the trees of a version.

    Raises
    ------
    ModelError
        If it has none.
    """
    trees = folder / _EXTRA / _BOOSTER
    if not trees.exists():
        raise ModelError(f"{what} has no boosted trees, which alone explain an answer; see its card")
    return xgb.Booster(model_file=trees)
