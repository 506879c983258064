"""The MLflow library: its environment, the metadata of logged models, and the translation of its errors.

Only this module imports mlflow, because mlflow reads its environment on import. Registered models are read through
`tracking_server`.
"""

import importlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mikrobot.domain.errors import ServiceError
from mikrobot.models.tracking_server import failure

if TYPE_CHECKING:
    from mikrobot.models.model import Model

# mlflow reads these on import and when it connects; with them it detects a server that is down within seconds.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import mlflow as mlflow  # after its environment
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


def register(tracking_uri: str, name: str, model_uri: str, model_id: str, *, tags: Mapping[str, str]) -> str:
    """Register a logged model under a name and return its version, without the output of ``mlflow.register_model``."""
    client = mlflow.MlflowClient(tracking_uri)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    version = client.create_model_version(name, model_uri, tags=dict(tags), model_id=model_id)
    return str(version.version)


def signature(model: "Model") -> ModelSignature:
    """Return the MLflow signature of a graph: its inputs and its output."""
    sample = pd.DataFrame(np.zeros((1, len(model.inputs.names)), np.float32), columns=list(model.inputs.names))
    return infer_signature(sample, np.zeros((1, 1), np.float32))


def dataset(name: str, sha256: str) -> MetaDataset:
    """Return the MLflow dataset of a training run, with its name and hash."""
    source = CodeDatasetSource({"mikrobot.data": name})
    # mlflow marks `profile` abstract without being an abstract class: its own metadata dataset has none.
    return MetaDataset(source, name=name, digest=sha256[:32])  # type: ignore[abstract]


@contextmanager
def translated(tracking_uri: str) -> Iterator[None]:
    """Translate the errors of mlflow to `ServiceError`."""
    try:
        yield
    except (MlflowException, OSError) as error:
        raise ServiceError(failure(tracking_uri, str(error))) from error
