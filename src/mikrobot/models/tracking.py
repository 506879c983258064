"""Log a training run and register its model with the MLflow library.

Only this module imports mlflow, because mlflow reads its environment on import. Registered models are read through
`tracking_server`.
"""

import importlib
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mikrobot.domain.errors import ServiceError
from mikrobot.models.signatures import SEAL, SIGNED
from mikrobot.models.tracking_server import failure

if TYPE_CHECKING:
    import xgboost as xgb

    from mikrobot.models.model import Model
    from mikrobot.models.signatures import Signer

# mlflow reads these on import and when it connects; with them it detects a server that is down within seconds.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import mlflow  # after its environment
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, infer_signature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.utils import plugins

# The caller reports each version, and failures are raised. mlflow re-enables its own log stream by itself.
logging.getLogger("mlflow").setLevel(logging.ERROR)


def _load_without_plugins(module: str) -> None:
    """Import a module of mlflow without the plugins of other packages that it would load on import."""
    original = plugins.get_entry_points
    plugins.get_entry_points = lambda group: []
    try:
        importlib.import_module(module)
    finally:
        plugins.get_entry_points = original


# Feast has a plugin for request headers, which adds none here; importing it takes longer than all of mlflow.
_load_without_plugins("mlflow.tracking.request_header.registry")


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """The record of one training run, except its model; see `Registry.log`."""

    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    data_name: str
    data_sha256: str
    texts: Mapping[str, str]


def log(tracking_uri: str, model: "Model", run: TrainingRun, booster: "xgb.Booster | None", *, signer: "Signer") -> str:
    """Log a training run and its model, register the model, and return its version.

    Raises
    ------
    ServiceError
        If the server does not answer or refuses a request.
    """
    import onnx

    from mikrobot.models import artefacts

    spec = model.spec
    with _translated(tracking_uri), tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_experiment(spec.name)
        with mlflow.start_run(tags=dict(run.tags)):
            mlflow.log_params(dict(run.parameters))
            mlflow.log_input(_dataset(run.data_name, run.data_sha256), context="training")
            for name, text in run.texts.items():
                mlflow.log_text(text, name)
            logged = mlflow.onnx.log_model(
                onnx.load_model_from_string(model.graph),
                name=spec.name,
                signature=_signature(model),
                pip_requirements=[f"onnxruntime=={installed('onnxruntime')}"],
                metadata={"feature_hash": spec.feature_hash, "source": spec.source},
                onnx_execution_providers=["CPUExecutionProvider"],
                save_as_external_data=False,
                extra_files=artefacts.write(model, booster, Path(folder), signer),
            )
            # After the model: MLflow copies existing metrics to the model, and would write each one twice.
            mlflow.log_metrics(dict(run.metrics), model_id=logged.model_id)
            signed = Path(folder, Path(SIGNED).name).read_bytes()
        version = _register(tracking_uri, spec.name, logged.model_uri, logged.model_id, tags=run.tags)
        seal = signer.seal(spec.name, version, signed)
        mlflow.MlflowClient(tracking_uri).set_model_version_tag(spec.name, version, SEAL, seal)
        return version


def sign_in(login: tuple[str, str] | None) -> None:
    """Set the user and the password that mlflow sends from now on; it reads them before each request."""
    if login is not None:
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = login


def _register(tracking_uri: str, name: str, model_uri: str, model_id: str, *, tags: Mapping[str, str]) -> str:
    """Register a logged model under a name and return its version, without the output of ``mlflow.register_model``."""
    client = mlflow.MlflowClient(tracking_uri)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    version = client.create_model_version(name, model_uri, tags=dict(tags), model_id=model_id)
    return str(version.version)


def _signature(model: "Model") -> ModelSignature:
    """Return the MLflow signature of a graph: its inputs and its output."""
    sample = pd.DataFrame(np.zeros((1, len(model.inputs.names)), np.float32), columns=list(model.inputs.names))
    return infer_signature(sample, np.zeros((1, 1), np.float32))


def _dataset(name: str, sha256: str) -> MetaDataset:
    """Return the MLflow dataset of a training run, with its name and hash."""
    source = CodeDatasetSource({"mikrobot.data": name})
    # mlflow marks `profile` abstract without being an abstract class: its own metadata dataset has none.
    return MetaDataset(source, name=name, digest=sha256[:32])  # type: ignore[abstract]


@contextmanager
def _translated(tracking_uri: str) -> Iterator[None]:
    """Translate the errors of mlflow to `ServiceError`."""
    try:
        yield
    except (MlflowException, OSError) as error:
        raise ServiceError(failure(tracking_uri, str(error))) from error
