"""The model registry in MLflow: models are logged with their lineage, registered by version and served by alias.

A model is loaded from an ONNX graph and JSON, which are parsed directly once their signature has been checked; no class
named by an artefact is imported, and nothing is unpickled. MLflow is imported only where a model is logged, and ONNX
and XGBoost only where one is logged or loaded, so that listing versions is fast.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mikrobot.domain.errors import ModelError
from mikrobot.models.retirement import Retired, retire
from mikrobot.models.scope import BASELINE, CHALLENGER, CHAMPION, Scope, holders_of
from mikrobot.models.signatures import SEAL, SIGNED, Signer, Verifier
from mikrobot.models.tracking_server import TrackingServer
from mikrobot.models.version import PROMOTION, REPLACES, Version

if TYPE_CHECKING:
    import httpx
    import xgboost as xgb

    from mikrobot.models.conformal import Window
    from mikrobot.models.model import Model
    from mikrobot.models.spec import ModelSpec

WINDOW = "window"
"""Tag of a version: the signed rolling window to which its intervals are fitted (`conformal.Window`)."""


class Registry:
    """The model registry behind one tracking server.

    Parameters
    ----------
    tracking_uri : str
        Address of the MLflow server. It should store the artefacts itself (``--artifacts-destination``),
        so that a client needs only HTTP.
    verifier : Verifier
        Checks the files and the window of a version before they are parsed.
    signer : Signer, optional
        Signs the files of a version; needed only to `log` one.
    login : tuple of str, optional
        User and password of the server.
    transport : httpx.BaseTransport, optional
        See `TrackingServer`.
    """

    def __init__(
        self,
        tracking_uri: str,
        verifier: Verifier,
        signer: Signer | None = None,
        *,
        login: tuple[str, str] | None = None,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        self.tracking_uri = tracking_uri
        self._verifier, self._signer, self._login = verifier, signer, login
        self._server = TrackingServer(tracking_uri, login, transport)

    def log(
        self,
        model: "Model",
        *,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        data_name: str,
        data_sha256: str,
        booster: "xgb.Booster | None" = None,
        texts: Mapping[str, str] | None = None,
    ) -> str:
        """Log one training run and register its model.

        Parameters
        ----------
        model : Model
            Its spec has the name of the registered model.
        parameters, metrics, tags : mapping
            Of the run; the version gets the same tags, and its source and symbols.
        data_name, data_sha256 : str
            Training data, logged as the run's dataset.
        booster : Booster, optional
            Boosted trees of the model, stored as UBJSON; they explain single predictions.
        texts : mapping of str to str, optional
            Text files of the run by name, such as the model card.

        Returns
        -------
        str
            The new version.

        Raises
        ------
        ServiceError
            If the server does not answer or refuses a request.
        ValueError
            If the registry was opened without a signer.
        """
        from mikrobot.models import tracking

        signer = self._require_signer()
        labelled = {**tags, "source": model.spec.source, "symbols": ",".join(model.spec.symbols)}
        tracking.sign_in(self._login)
        run = tracking.TrainingRun(parameters, metrics, labelled, data_name, data_sha256, texts or {})
        return tracking.log(self.tracking_uri, model, run, booster, signer=signer)

    def promote(self, name: str, version: str, reason: str, symbols: Sequence[str] | None = None) -> tuple[Scope, ...]:
        """Make a version the champion of its symbols; return the scopes.

        The version is tagged, for each symbol, with the reason and the version that it replaced. A challenger of
        the scope was compared with the former champion, so it is dismissed.

        Parameters
        ----------
        name, version, reason : str
        symbols : sequence of str, optional
            By default every symbol that the version was trained on.

        Raises
        ------
        ModelError
            If there is no such version, or it was not trained on one of the symbols.
        ServiceError
            If the server does not answer.
        """
        promoted = self.version(name, version)
        chosen = promoted.scopes if symbols is None else self._own(promoted, symbols)
        if not chosen:
            raise ModelError(f"version {version} of model {name} names no symbols; train it again")
        aliases = self.aliases(name)
        for scope in chosen:
            former = aliases.get(scope.alias(CHAMPION))
            if former is not None and former != version:
                self.note(name, version, f"{REPLACES}.{scope.symbol}", former)
            self._crown(promoted, scope, reason)
        return chosen

    def record(self, name: str, version: str, symbol: str, reason: str) -> None:
        """Append the reason of a decision to the tag of a version for a symbol.

        Raises
        ------
        ModelError, ServiceError
            As `promote`.
        """
        earlier = self.version(name, version).promotion(symbol)
        self.note(name, version, f"{PROMOTION}.{symbol}", f"{earlier} | {reason}" if earlier else reason)

    def challenge(self, name: str, version: str, scope: Scope) -> None:
        """Make a version the challenger of a scope, in place of any other.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        self._server.set_alias(name, scope.alias(CHALLENGER), version)

    def dismiss(self, name: str, scope: Scope) -> None:
        """Remove the challenger of a scope.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        self._server.remove_alias(name, scope.alias(CHALLENGER))

    def withdraw(self, name: str, scope: Scope, reason: str) -> None:
        """Remove the champion of a scope, so that the baseline serves it; the reason is recorded with the version.

        Raises
        ------
        ModelError, ServiceError
            As `promote`.
        """
        version = self.champion(name, scope)
        if version is not None:
            self.record(name, version, scope.symbol, f"withdrawn: {reason}")
            self._server.remove_alias(name, scope.alias(CHAMPION))

    def stand_in(self, name: str, version: str) -> None:
        """Let the baseline fitted with a version serve its scopes while they have no champion.

        Raises
        ------
        ModelError, ServiceError
            As `promote`.
        """
        for scope in self.version(name, version).scopes:
            self._server.set_alias(name, scope.alias(BASELINE), version)

    def rollback(self, name: str, reason: str, symbols: Sequence[str] | None = None) -> dict[Scope, str]:
        """Restore the versions that the current champions replaced; return them by scope.

        Parameters
        ----------
        name, reason : str
        symbols : sequence of str, optional
            By default every symbol whose champion replaced a version.

        Raises
        ------
        ModelError
            If there is no champion, the champion of a named symbol replaced no version, or that version is deleted;
            nothing is changed then.
        ServiceError
            If the server does not answer.
        """
        champions = {
            scope: self.version(name, version)
            for scope, version in self.holders(name, CHAMPION).items()
            if symbols is None or scope.symbol in symbols
        }
        former = {scope: champion.tags.get(f"{REPLACES}.{scope.symbol}") for scope, champion in champions.items()}
        replaced = {scope: version for scope, version in former.items() if version is not None}
        if missing := set(symbols or ()) - {scope.symbol for scope in replaced}:
            raise ModelError(
                f"model {name} has no champion of {', '.join(sorted(missing))} that replaced a version; "
                "promote one by its number"
            )
        if not replaced:
            raise ModelError(f"model {name} has no champion that replaced a version; promote one by its number")
        restored = {scope: self.version(name, version) for scope, version in replaced.items()}
        for scope, promoted in restored.items():
            self._crown(promoted, scope, reason)
        return replaced

    def text(self, name: str, version: str, file: str) -> str:
        """Return a text file that was logged with a version, such as its model card.

        Raises
        ------
        ModelError
            If there is no such version or file.
        ServiceError
            If the server does not answer.
        """
        absent = f"version {version} of model {name} has no {file}"
        location = self._server.run_location(self.version(name, version).run_id, absent)
        return self._server.file(location, file, absent).decode("utf-8")

    def note(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a version.

        Raises
        ------
        ModelError
            If there is no such version.
        ServiceError
            If the server does not answer.
        """
        self._server.set_tag(name, version, key, value)

    def roll(self, name: str, version: str, window: "Window") -> None:
        """Sign a rolling window, which needs the signer, and store it with a version.

        Raises
        ------
        ModelError, ServiceError
            As `note`.
        ValueError
            If the registry was opened without a signer.
        """
        self.note(name, version, WINDOW, self._require_signer().sign_window(name, version, window.to_json()))

    def window(self, name: str, version: str) -> "Window | None":
        """Return the stored rolling window of a version; None if it uses the intervals of its training.

        Raises
        ------
        ModelError
            If there is no such version, or its window was not signed for it.
        ServiceError
            If the server does not answer.
        """
        from mikrobot.models.conformal import Window

        tag = self.window_tag(name, version)
        if not tag:
            return None
        with _readable(name, version):
            return Window.from_json(self._verifier.window(name, version, tag))

    def window_tag(self, name: str, version: str) -> str:
        """Return the tag of the window of a version as it is stored, unchecked; empty if there is none.

        Raises
        ------
        ModelError, ServiceError
            As `note`.
        """
        return self.version(name, version).tags.get(WINDOW, "")

    def champion(self, name: str, scope: Scope) -> str | None:
        """Return the version that is the champion of a scope; None if there is none.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        return self.aliases(name).get(scope.alias(CHAMPION))

    def holders(self, name: str, role: str) -> dict[Scope, str]:
        """Return the version that has a role in each scope.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        return holders_of(self.aliases(name), role)

    def version(self, name: str, version: str) -> Version:
        """Return one version.

        Raises
        ------
        ModelError
            If there is no such version.
        ServiceError
            If the server does not answer.
        """
        return self._server.version(name, version)

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions of a model, the newest first; none for an unknown name.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        return self._server.versions(name)

    def spec(self, name: str, version: str) -> "ModelSpec":
        """Return the spec of one version, without loading its model.

        Raises
        ------
        ModelError
            If there is no such version, or its spec is missing, corrupt or of another format.
        ServiceError
            If the server does not answer.
        """
        from mikrobot.models import spec

        (text,) = self._files(name, version, spec.FILE)
        with _readable(name, version):
            return spec.read(text, version)

    def load(self, name: str, version: str, *, rolled: bool = True) -> "Model":
        """Load one version.

        Parameters
        ----------
        name, version : str
        rolled : bool
            True uses the intervals of the stored rolling window, as the prediction service does. False uses those
            of its training, for an evaluation on a span whose outcomes the window may contain.

        Raises
        ------
        ModelError
            If there is no such version, or its artefacts or its window are missing, corrupt or of another format.
        ServiceError
            If the server does not answer.
        """
        from mikrobot.models import artefacts

        spec, curves, graph = self._files(name, version, *artefacts.FILES)
        with _readable(name, version):
            model = artefacts.read(spec, curves, graph, version)
        window = self.window(name, version) if rolled else None
        return replace(model, intervals=window.intervals()) if window else model

    def digest(self, name: str, version: str) -> str:
        """Return the SHA-256 of the files of a version, hexadecimal; without its rolling window.

        Raises
        ------
        ModelError
            If there is no such version, or a file is missing or another one than was signed.
        ServiceError
            If the server does not answer.
        """
        from mikrobot.models import artefacts

        return hashlib.sha256(b"".join(self._files(name, version, *artefacts.FILES))).hexdigest()

    def booster(self, name: str, version: str) -> "xgb.Booster":
        """Load the boosted trees of a version, which explain its predictions.

        Raises
        ------
        ModelError
            If there is no such version, or it has no boosted trees.
        ServiceError
            If the server does not answer.
        """
        from mikrobot.models import artefacts

        trees = f"model {name} version {version} has no boosted trees; only they explain a prediction"
        (content,) = self._files(name, version, artefacts.BOOSTER, absent=trees)
        return artefacts.read_booster(content)

    def aliases(self, name: str) -> dict[str, str]:
        """Return the version of each alias of a model; none for an unknown model.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        return self._server.aliases(name)

    def retire(self, name: str, before: datetime, predicted: Callable[[], Set[str]]) -> Retired:
        """Delete the versions of a model that nothing needs, and the runs and logged models without a version.

        A version is needed if it is younger, has an alias, is restored by a rollback of a champion, or has predicted.

        Parameters
        ----------
        before : datetime
            UTC; what is younger stays.
        predicted : callable
            Returns the versions whose predictions are kept; called only if there are versions to delete.

        Raises
        ------
        ServiceError
            If the server does not answer. What was deleted until then stays deleted, and the rest is next time.
        """
        return retire(self._server, name, before, predicted)

    def deleted_runs(self, name: str, before: datetime) -> int:
        """Return the number of runs of a model that began before an instant, and are deleted but not purged.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        return len(self._server.runs(name, before, deleted=True))

    def _own(self, version: Version, symbols: Sequence[str]) -> tuple[Scope, ...]:
        """Return the scopes of these symbols; the version must have been trained on all of them."""
        if foreign := [symbol for symbol in symbols if symbol not in version.symbols]:
            learned = ", ".join(version.symbols) or "nothing"
            raise ModelError(
                f"version {version.version} of model {version.name} learned from {learned}, "
                f"not from {', '.join(foreign)}; train a model on its bars"
            )
        return tuple(scope for scope in version.scopes if scope.symbol in symbols)

    def _crown(self, version: Version, scope: Scope, reason: str) -> None:
        """Make a version the champion of a scope, and dismiss the challenger of the scope."""
        self.record(version.name, version.version, scope.symbol, reason)
        self._server.set_alias(version.name, scope.alias(CHAMPION), version.version)
        if scope.alias(CHALLENGER) in self.aliases(version.name):
            self.dismiss(version.name, scope)

    def _files(self, name: str, version: str, *paths: str, absent: str = "") -> list[bytes]:
        """Return files of a version once they are found to be those that its training signed."""
        absent = absent or f"model {name} version {version} is not in the registry, or lost its artefacts"
        unsigned = f"model {name} version {version} has no signature: an earlier program trained it; train again"
        location = self._server.model_location(name, version, absent)
        files = {path: self._server.file(location, path, absent) for path in paths}
        signed = self._server.file(location, SIGNED, unsigned)
        seal = self.version(name, version).tags.get(SEAL, "")
        with _readable(name, version):
            self._verifier.check(signed, files)
            self._verifier.check_seal(name, version, signed, seal)
        return list(files.values())

    def _require_signer(self) -> Signer:
        if self._signer is None:
            raise ValueError("what is stored with a version is signed, and this registry has no signer")
        return self._signer


@contextmanager
def _readable(name: str, version: str) -> Iterator[None]:
    """Translate errors of unreadable artefacts to a `ModelError` that names the version."""
    try:
        yield
    except (ValueError, KeyError, TypeError, ModelError) as error:
        raise ModelError(
            f"model {name} version {version} cannot be used: {error}; promote another version or train again"
        ) from error
