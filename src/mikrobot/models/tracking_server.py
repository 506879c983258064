"""The MLflow tracking server over its REST API: registered versions, their aliases and tags, and stored files.

This module does not log runs; `models.tracking` does, with the MLflow library, which takes seconds to import.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from mikrobot.domain.errors import ModelError, ServiceError
from mikrobot.models.version import Version
from mikrobot.runtime import retry

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Error codes of MLflow for a missing entity; the second one is for a version that is not a number."""

ATTEMPTS = 4
"""Maximum attempts of a call if the connection is lost or the server is overloaded; every call is idempotent."""

RECONNECTS = 4
"""Attempts to connect after the first one; with the pauses between them they take 3.5 s."""

TIMEOUT_S = 30.0

_API = "/api/2.0/mlflow"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_STORED = "mlflow-artifacts:/"
_TRANSIENT = (429, 500, 502, 503, 504)
_IS_A_FOLDER = 400
"""Status of MLflow's answer, without an error code, for a folder in place of a file."""
_UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout)


class _Unavailable(ServiceError):
    """The server is overloaded or the connection was lost; the call is retried."""


class TrackingServer:
    """A client of one tracking server that stores the artefacts itself (``--artifacts-destination``).

    The client keeps no connection open, so it needs no closing; threads may share one.

    Parameters
    ----------
    url : str
        Address of the server, as ``http://127.0.0.1:5500``.
    login : tuple of str or None
        User and password of the server.
    transport : httpx.BaseTransport, optional
        Sends the requests; by default `connecting`.
    """

    def __init__(
        self, url: str, login: tuple[str, str] | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url
        chosen = transport or connecting()
        self._http = httpx.Client(base_url=url, auth=login, timeout=TIMEOUT_S, trust_env=False, transport=chosen)
        self._patiently = retry(on=_Unavailable, attempts=ATTEMPTS, timeout_s=TIMEOUT_S)(self._send)

    def version(self, name: str, version: str) -> Version:
        """Return one version.

        Raises
        ------
        ModelError
            If there is no such version.
        ServiceError
            If the server does not answer.
        """
        entry = self._get("model-versions/get", _no_version(name, version), name=name, version=version)["model_version"]
        return _version(entry, entry.get("aliases", ()))

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions of a model, the newest first; none for an unknown name.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        entries = self._search(name)
        aliases = self.aliases(name) if entries else {}
        listed = (_version(entry, (a for a, v in aliases.items() if v == entry["version"])) for entry in entries)
        return tuple(sorted(listed, key=lambda version: int(version.version), reverse=True))

    def aliases(self, name: str) -> dict[str, str]:
        """Return the version of each alias of a model; none for an unknown model.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        try:
            body = self._get("registered-models/get", f"there is no model {name}", name=name)
        except ModelError:
            return {}
        return {entry["alias"]: entry["version"] for entry in body["registered_model"].get("aliases", ())}

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Set an alias to a version; any other version loses it.

        Raises
        ------
        ModelError, ServiceError
            As `version`.
        """
        body = {"name": name, "alias": alias, "version": version}
        self._call("POST", f"{_API}/registered-models/alias", _no_version(name, version), json=body)

    def remove_alias(self, name: str, alias: str) -> None:
        """Remove an alias of a model.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        self._call("DELETE", f"{_API}/registered-models/alias", json={"name": name, "alias": alias})

    def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a version.

        Raises
        ------
        ModelError, ServiceError
            As `version`.
        """
        body = {"name": name, "version": version, "key": key, "value": value}
        self._call("POST", f"{_API}/model-versions/set-tag", _no_version(name, version), json=body)

    def model_location(self, name: str, version: str, absent: str) -> str:
        """Return the artefact location of a version, as argument of `file`.

        Raises
        ------
        ModelError
            With the message `absent`, if there is no such version.
        ServiceError
            If the server does not answer.
        """
        return str(self._get("model-versions/get-download-uri", absent, name=name, version=version)["artifact_uri"])

    def run_location(self, run_id: str, absent: str) -> str:
        """Return the artefact location of a run, as argument of `file`.

        Raises
        ------
        ModelError, ServiceError
            As `model_location`.
        """
        return str(self._get("runs/get", absent, run_id=run_id)["run"]["info"]["artifact_uri"])

    def file(self, location: str, path: str, absent: str) -> bytes:
        """Return the content of a stored file.

        Raises
        ------
        ModelError
            With the message `absent`, if there is no such file.
        ServiceError
            If the server does not answer, or does not store the artefacts itself.
        """
        if not location.startswith(_STORED):
            raise self._failure(f"its artefacts are at {location}, expected {_STORED}...")
        address = f"{_FILES}/{location.removeprefix(_STORED)}/{path}"
        return self._call("GET", address, absent, missing=_IS_A_FOLDER).content

    def delete_version(self, name: str, version: str) -> None:
        """Delete a version, with its aliases and tags; its run and its logged model stay.

        Raises
        ------
        ModelError, ServiceError
            As `version`.
        """
        body = {"name": name, "version": version}
        self._call("DELETE", f"{_API}/model-versions/delete", _no_version(name, version), json=body)

    def runs(self, name: str, before: datetime, *, deleted: bool = False) -> list[str]:
        """Return the ids of the runs of an experiment that began before an instant; none for an unknown experiment.

        Parameters
        ----------
        name : str
            Of the experiment, which is that of the model.
        before : datetime
            UTC.
        deleted : bool
            List the deleted runs instead of the others.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        began = {"filter": f"attributes.start_time < {_milliseconds(before)}"}
        kind = {"run_view_type": "DELETED_ONLY" if deleted else "ACTIVE_ONLY"}
        return [run["info"]["run_id"] for run in self._pages("runs/search", "runs", name, began | kind)]

    def delete_run(self, run_id: str) -> None:
        """Delete a run; it can be restored until it is purged.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        self._call("POST", f"{_API}/runs/delete", json={"run_id": run_id})

    def logged_models(self, name: str, before: datetime) -> dict[str, str]:
        """Return the run of each logged model of an experiment that was created before an instant.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        created = {"filter": f"creation_timestamp < {_milliseconds(before)}"}
        listed = self._pages("logged-models/search", "models", name, created)
        return {model["info"]["model_id"]: model["info"].get("source_run_id", "") for model in listed}

    def delete_logged_model(self, model_id: str) -> None:
        """Delete a logged model; its files stay until it is purged.

        Raises
        ------
        ServiceError
            If the server does not answer.
        """
        self._call("DELETE", f"{_API}/logged-models/{model_id}")

    def _pages(self, method: str, key: str, experiment: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all entries of a search in an experiment."""
        try:
            described = self._get("experiments/get-by-name", f"no experiment {experiment}", experiment_name=experiment)
        except ModelError:
            return []
        query = query | {"experiment_ids": [described["experiment"]["experiment_id"]]}
        entries: list[dict[str, Any]] = []
        while True:
            page = self._call("POST", f"{_API}/{method}", json=query).json()
            entries += page.get(key, ())
            if not page.get("next_page_token"):
                return entries
            query = query | {"page_token": page["next_page_token"]}

    def _search(self, name: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self._get("model-versions/search", filter=f"name='{name}'", page_token=token)
            entries += page.get("model_versions", ())
            token = page.get("next_page_token", "")
            if not token:
                return entries

    def _get(self, method: str, absent: str = "", **parameters: str) -> dict[str, Any]:
        response = self._call("GET", f"{_API}/{method}", absent, params=parameters)
        try:
            return dict(response.json())
        except (ValueError, TypeError) as error:
            raise self._failure(f"expected JSON from {method}, found {response.text[:60]!r}") from error

    def _call(
        self, verb: str, path: str, absent: str = "", *, missing: int | None = None, **content: Any
    ) -> httpx.Response:
        response = self._patiently(self._http.build_request(verb, path, **content))
        if response.is_success:
            return response
        code, message = _problem(response)
        if absent and (code in ABSENT or (not code and response.status_code == missing)):
            raise ModelError(f"{absent}; see `mikrobot models list`")
        raise self._failure(message)

    def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self._http.send(request)
        except httpx.TransportError as error:
            kind = ServiceError if isinstance(error, _UNREACHABLE) else _Unavailable
            raise self._failure(f"{error} ({type(error).__name__})", kind) from error
        if response.status_code in _TRANSIENT:
            raise self._failure(_problem(response)[1], _Unavailable)
        return response

    def _failure(self, problem: str, kind: type[ServiceError] = ServiceError) -> ServiceError:
        return kind(failure(self.url, problem))


def connecting(retries: int = RECONNECTS) -> httpx.HTTPTransport:
    """Return a transport that connects for each request, and keeps no connection open."""
    return httpx.HTTPTransport(retries=retries, limits=httpx.Limits(max_keepalive_connections=0))


def failure(url: str, problem: str) -> str:
    r"""Return a one-line message about a failure of the tracking server.

    >>> failure("http://127.0.0.1:5500", "no such table\nTraceback ...")
    'MLflow at http://127.0.0.1:5500 failed: no such table; check that it runs (`mikrobot status`)'
    """
    first_line = problem.strip().partition("\n")[0][:300]
    return f"MLflow at {url} failed: {first_line}; check that it runs (`mikrobot status`)"


def _problem(response: httpx.Response) -> tuple[str, str]:
    """Return the error code and the message of an error response, as far as it has them."""
    try:
        body = dict(response.json())
    except (ValueError, TypeError):
        body = {}
    code = str(body.get("error_code", ""))
    return code, f"{code or 'status'} {response.status_code}: {body.get('message') or response.text}"


def _no_version(name: str, version: str) -> str:
    return f"there is no version {version} of model {name}"


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _version(entry: Mapping[str, Any], aliases: Iterable[str]) -> Version:
    return Version(
        name=entry["name"],
        version=str(entry["version"]),
        aliases=tuple(sorted(aliases)),
        run_id=entry.get("run_id", ""),
        created_at=datetime.fromtimestamp(int(entry["creation_timestamp"]) / 1000, UTC),
        tags={tag["key"]: tag.get("value", "") for tag in entry.get("tags", ())},
    )
