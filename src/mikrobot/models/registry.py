"""Models in MLflow: logged with their lineage, registered by version, served by alias.

What is loaded is an ONNX graph and JSON, read natively and checked by hash;
no class named by an artefact is imported, and nothing is unpickled.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import onnx
import xgboost as xgb

from mikrobot.domain.errors import ModelError
from mikrobot.models import artefacts
from mikrobot.models.intervals import Window
from mikrobot.models.model import Model
from mikrobot.models.tracking import ABSENT, dataset, mlflow, signature, translated

CHAMPION = "champion"

CHALLENGER = "challenger"
"""Alias of the version that answers in the champion's shadow until the gate lets it pass."""

REPLACES = "replaces"
"""Tag of a version: the one it replaced as champion, which a rollback brings back."""

WINDOW = "window"
"""Tag of a version: the outcomes of the newest days, on which its intervals rest since (`intervals.Window`)."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a model.

    Attributes
    ----------
    name, version : str
    aliases : tuple of str
    run_id : str
        The MLflow run that made it.
    tags : mapping of str to str
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    run_id: str
    tags: Mapping[str, str]


class Registry:
    """The model registry behind one tracking server.

    Parameters
    ----------
    tracking_uri : str
        Address of the MLflow server. It should keep the artefacts itself (``--artifacts-destination``),
        so that a client needs HTTP only.
    """

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri
        mlflow.set_tracking_uri(tracking_uri)
        self._client = mlflow.MlflowClient(tracking_uri)

    def log(
        self,
        model: Model,
        *,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        data_name: str,
        data_sha256: str,
        booster: xgb.Booster | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> str:
        """Log one training run and register its model.

        Parameters
        ----------
        model : Model
            Its contract names the registered model.
        parameters, metrics, tags : mapping
            Of the run; the tags are those of the version too.
        data_name, data_sha256 : str
            What it was trained on, logged as the run's dataset.
        booster : Booster, optional
            Its boosted trees, kept as UBJSON: what explains single answers.
        texts : mapping of str to str, optional
            Files of the run by name, as the model card.

        Returns
        -------
        str
            The new version.

        Raises
        ------
        ServiceError
            If the server does not answer or refuses.
        """
        contract = model.contract
        with translated(self.tracking_uri), tempfile.TemporaryDirectory() as folder:
            mlflow.set_experiment(contract.name)
            with mlflow.start_run(tags=dict(tags)):
                mlflow.log_params(dict(parameters))
                mlflow.log_metrics(dict(metrics))
                mlflow.log_input(dataset(data_name, data_sha256), context="training")
                for name, text in (texts or {}).items():
                    mlflow.log_text(text, name)
                logged = mlflow.onnx.log_model(
                    onnx.load_model_from_string(model.graph),
                    name=contract.name,
                    signature=signature(model),
                    pip_requirements=[f"onnxruntime=={installed('onnxruntime')}"],
                    metadata={"feature_hash": contract.feature_hash, "source": contract.source},
                    save_as_external_data=False,
                    extra_files=artefacts.write(model, booster, Path(folder)),
                )
            registered = mlflow.register_model(logged.model_uri, contract.name, tags=dict(tags))
        return str(registered.version)

    def promote(self, name: str, version: str, reason: str = "") -> None:
        """Make a version the champion; it is tagged with the reason, and with the version it replaces.

        Raises
        ------
        ModelError
            If there is no such version.
        ServiceError
            If the server does not answer.
        """
        former = self.champion(name)
        self.note(name, version, "promotion", reason)
        if former is not None and former != version:
            self.note(name, version, REPLACES, former)
        self._crown(name, version)

    def challenge(self, name: str, version: str) -> None:
        """Let a version answer in the champion's shadow, in the place of any other.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        with translated(self.tracking_uri):
            self._client.set_registered_model_alias(name, CHALLENGER, version)

    def dismiss(self, name: str) -> None:
        """Have no challenger any more.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        with translated(self.tracking_uri):
            self._client.delete_registered_model_alias(name, CHALLENGER)

    def rollback(self, name: str, reason: str) -> str:
        """Make the version that the champion replaced the champion again; return it.

        Raises
        ------
        ModelError
            If there is no champion, or it replaced none.
        ServiceError
            If the server does not answer.
        """
        champion = self.champion(name)
        if champion is None:
            raise ModelError(f"model {name} has no champion to roll back; see `mikrobot models list`")
        tags = next(found.tags for found in self.versions(name) if found.version == champion)
        if REPLACES not in tags:
            raise ModelError(f"champion {champion} of model {name} replaced no version; promote one by its number")
        self.note(name, tags[REPLACES], "promotion", reason)
        self._crown(name, tags[REPLACES])
        return tags[REPLACES]

    def text(self, name: str, version: str, file: str) -> str:
        """Return a text file that was logged with a version, as its model card.

        Raises
        ------
        ModelError
            If there is no such version or file.
        ServiceError
            If the server does not answer.
        """
        absent = f"version {version} of model {name} has no {file}"
        with translated(self.tracking_uri, absent=absent), tempfile.TemporaryDirectory() as folder:
            run_id = str(self._client.get_model_version(name, version).run_id)
            if file not in {entry.path for entry in self._client.list_artifacts(run_id)}:
                raise ModelError(f"{absent}; see `mikrobot models list`")
            path = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=file, dst_path=folder, tracking_uri=self.tracking_uri
            )
            return Path(path).read_text(encoding="utf-8")

    def _crown(self, name: str, version: str) -> None:
        """Make a version the champion; a challenger was judged beside the former one, and is none any more."""
        with translated(self.tracking_uri):
            self._client.set_registered_model_alias(name, CHAMPION, version)
        if self.aliased(name, CHALLENGER) is not None:
            self.dismiss(name)

    def note(self, name: str, version: str, key: str, value: str) -> None:
        """Tag a version.

        Raises
        ------
        ModelError
            If there is no such version.
        ServiceError
            If the server does not answer.
        """
        with translated(self.tracking_uri, absent=f"there is no version {version} of model {name}"):
            self._client.set_model_version_tag(name, version, key, value)

    def window(self, name: str, version: str) -> str:
        """Return the window that a version answers by, as it is kept; empty for that of its training.

        Raises
        ------
        ModelError, ServiceError
            As `note`.
        """
        with translated(self.tracking_uri, absent=f"there is no version {version} of model {name}"):
            return str(self._client.get_model_version(name, version).tags.get(WINDOW, ""))

    def champion(self, name: str) -> str | None:
        """Return the version that is the champion; None when there is none yet.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        return self.aliased(name, CHAMPION)

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions of a model, the newest first; none for an unknown name.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        with translated(self.tracking_uri):
            found = self._client.search_model_versions(f"name='{name}'")
            aliases = self._client.get_registered_model(name).aliases if found else {}
        listed = (
            Version(
                name=name,
                version=str(entry.version),
                aliases=tuple(sorted(a for a, v in aliases.items() if str(v) == str(entry.version))),
                run_id=str(entry.run_id),
                tags=dict(entry.tags),
            )
            for entry in found
        )
        return tuple(sorted(listed, key=lambda entry: int(entry.version), reverse=True))

    def load(self, name: str, alias: str = CHAMPION, *, rolled: bool = True) -> Model:
        """Load the version that has the alias; see `load_version`.

        Raises
        ------
        ModelError
            If there is none, or its artefacts are missing, corrupt or of another make.
        ServiceError
            If the server does not answer.
        """
        version = self.aliased(name, alias)
        if version is None:
            raise ModelError(f"model {name} has no version with the alias {alias!r}; train one, or promote one")
        return self.load_version(name, version, rolled=rolled)

    def load_version(self, name: str, version: str, *, rolled: bool = True) -> Model:
        """Load one version.

        Parameters
        ----------
        name, version : str
        rolled : bool
            Take the probabilities and bounds of the window that is kept with it, as the prediction service does.
            False takes those of its training, for judging it on a span that the window may know.

        Raises
        ------
        ModelError, ServiceError
            As `load`.
        """
        what = f"model {name} version {version}"
        with tempfile.TemporaryDirectory() as folder:
            with translated(self.tracking_uri, absent=f"{what} is not in the registry, or lost its artefacts"):
                path = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"models:/{name}/{version}", dst_path=folder, tracking_uri=self.tracking_uri
                )
            try:
                model = artefacts.read(Path(path), version)
                window = self.window(name, version) if rolled else ""
                return replace(model, intervals=Window.from_json(window).intervals()) if window else model
            except (OSError, ValueError, KeyError, TypeError, ModelError) as error:
                raise ModelError(f"{what} cannot be used: {error}; promote another version or train again") from error

    def booster(self, name: str, version: str) -> xgb.Booster:
        """Load the boosted trees of a version, which explain its answers.

        Raises
        ------
        ModelError
            If there is no such version, or it has none.
        ServiceError
            If the server does not answer.
        """
        what = f"model {name} version {version}"
        with tempfile.TemporaryDirectory() as folder:
            with translated(self.tracking_uri, absent=f"{what} is not in the registry, or lost its artefacts"):
                path = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"models:/{name}/{version}", dst_path=folder, tracking_uri=self.tracking_uri
                )
            return artefacts.read_booster(Path(path), what)

    def aliased(self, name: str, alias: str) -> str | None:
        """Return the version that has an alias; None if none has.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        with translated(self.tracking_uri):
            try:
                return str(self._client.get_model_version_by_alias(name, alias).version)
            except mlflow.exceptions.RestException as error:
                if error.error_code in ABSENT:
                    return None
                raise
