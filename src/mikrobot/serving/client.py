"""HTTP client of the prediction service, with open connections, short retries, one hedge and a circuit breaker.

The client sends requests and translates responses; it does not check the predictions.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import httpx

from mikrobot import telemetry
from mikrobot.domain.errors import FeatureMismatch, ScopeError, ServingError
from mikrobot.runtime import Breaker, BreakerOpen, Clock, retry
from mikrobot.serving.answers import Answer, Answers
from mikrobot.serving.in_process import InProcess

ATTEMPTS = 4

HEDGE_S = 1.0
"""Time without an answer after which a prediction is requested again; nearly all take less than 10 ms."""

KEEP_ALIVE_S = 240.0
"""Time for which an idle connection stays open: a minute passes between predictions. The service waits longer."""

log = telemetry.logger("serving")

CHALLENGER_HOLDS = timedelta(minutes=1)
"""Time for which the client caches that there is a challenger, or none."""

_LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)


class _Away(ServingError):
    """The service is temporarily down or not ready; the call is retried."""


class PredictionClient:
    """A client of the prediction service.

    Parameters
    ----------
    url : str
        Address of the service, as ``http://127.0.0.1:3300``.
    source : str
        Market source of every feature row.
    clock : Clock
        Clock of the circuit breaker.
    login : tuple of str or None
        User and password of the service.
    timeout_s : float
        Timeout of one attempt.
    hedge_s : float
        Seconds without an answer after which a prediction is requested once more, on another connection: another
        worker of the service accepts it.
    patience_s : float
        Seconds after which a call no longer retries a service that is down or not ready.
    in_process : InProcess, optional
        Predicts single rows while the service is down.
    """

    def __init__(
        self,
        url: str,
        source: str,
        clock: Clock,
        *,
        login: tuple[str, str] | None = None,
        timeout_s: float = 5.0,
        hedge_s: float = HEDGE_S,
        patience_s: float = 5.0,
        in_process: InProcess | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._source = source
        limits = httpx.Limits(keepalive_expiry=KEEP_ALIVE_S)
        self._http = httpx.Client(base_url=self._url, auth=login, timeout=timeout_s, limits=limits, trust_env=False)
        self._hedge = httpx.Timeout(timeout_s, read=min(hedge_s, timeout_s))
        breaker = Breaker(f"the prediction service at {self._url}", clock)
        self._patiently = retry(on=_Away, attempts=ATTEMPTS, timeout_s=patience_s)(breaker.call)
        self._columns: dict[str, tuple[str, ...]] = {}
        self._clock = clock
        self._in_process = in_process
        self._versions: dict[str, str] = {}
        self._challengers: dict[str, tuple[tuple[str, ...] | None, datetime]] = {}

    def __enter__(self) -> "PredictionClient":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def ready(self) -> bool:
        """Return True if the service runs and has a warm model; make one attempt and never raise."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def served(self) -> dict[str, tuple[str, str | None, str]]:
        """Return the model, the version and the `fitted_with` version that serve each symbol of the source.

        Raises
        ------
        ServingError
            As `predict`.
        """
        listed = self._call("GET", "/models")
        return {
            entry["symbol"]: (entry["model"], entry["version"], entry["fitted_with"])
            for entry in listed
            if entry["source"] == self._source
        }

    def model(self, symbol: str) -> dict[str, Any]:
        """Return the spec of the model that serves a symbol, as JSON values.

        Raises
        ------
        ScopeError, ServingError
            As `predict`.
        """
        spec: dict[str, Any] = self._call("GET", f"/model?{urlencode(self._scope(symbol))}")
        return spec

    def columns(self, symbol: str, *, refresh: bool = False) -> tuple[str, ...]:
        """Return the columns that the model of a symbol needs, in its order; cached unless `refresh` is true.

        Raises
        ------
        ScopeError, ServingError
            As `predict`.
        """
        if symbol not in self._columns or refresh:
            try:
                self._columns[symbol] = tuple(self.model(symbol)["columns"])
            except ServingError:
                if self._in_process is None:
                    raise
                return self._in_process.columns(symbol)
        return self._columns[symbol]

    def predict(self, symbol: str, features: Mapping[str, float | None]) -> Answer:
        """Return the prediction for one feature row.

        Parameters
        ----------
        symbol : str
        features : mapping of str to float or None
            Exactly the model's columns; None or NaN where a value is missing.

        Raises
        ------
        FeatureMismatch
            If the service refuses the names or values.
        ScopeError
            If no model was trained on the symbol.
        ServingError
            If the service is down, not ready, too slow, fails or refuses the request, and there is no prediction in
            process.
        """
        sent = {name: _sent(name, value) for name, value in features.items()}
        try:
            answer = _answer(self._call("POST", "/predict", {**self._scope(symbol), "features": sent}))
        except ServingError as error:
            if self._in_process is None:
                raise
            log.warning("predicted_in_process", symbol=symbol, reason=str(error))
            return self._in_process.predict(symbol, sent, self._versions.get(symbol))
        self._versions[symbol] = answer.fitted_with
        return answer

    def shadow(self, symbol: str, row: Mapping[str, float]) -> tuple[Answer, dict[str, float]] | None:
        """Return the challenger's prediction for one feature row, in one attempt without retries.

        Parameters
        ----------
        symbol : str
        row : mapping of str to float
            Contains at least the challenger's columns.

        Returns
        -------
        (Answer, dict) or None
            The prediction and its inputs; None if there is no challenger, or it does not answer. A failure
            is logged and not raised, because no trade depends on it, and the challenger is not called again
            for a minute.
        """
        try:
            columns = self._challenger_columns(symbol)
            if columns is None:
                return None
            inputs = {name: row[name] for name in columns}
            sent = {name: _sent(name, value) for name, value in inputs.items()}
            body = {**self._scope(symbol), "features": sent}
            return _answer(self._http.post("/shadow", json=body).raise_for_status().json()), inputs
        except (httpx.HTTPError, FeatureMismatch, KeyError) as error:
            log.warning("no_answer_of_the_challenger", reason=repr(error))
            self._challengers[symbol] = (None, self._clock.now())
            return None

    def _challenger_columns(self, symbol: str) -> tuple[str, ...] | None:
        """Return the columns that the challenger needs, cached for `CHALLENGER_HOLDS`; None if there is none."""
        now = self._clock.now()
        if symbol not in self._challengers or now - self._challengers[symbol][1] > CHALLENGER_HOLDS:
            response = self._http.get("/challenger", params=self._scope(symbol))
            absent = response.status_code == httpx.codes.NOT_FOUND
            columns = None if absent else tuple(response.raise_for_status().json()["columns"])
            self._challengers[symbol] = (columns, now)
        return self._challengers[symbol][0]

    def predict_many(self, symbol: str, columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> Answers:
        """Return the predictions for many rows of one symbol, with values in the order of `columns`.

        Raises
        ------
        FeatureMismatch, ScopeError, ServingError
            As `predict`.
        """
        sent = [[_sent(name, value) for name, value in zip(columns, row, strict=True)] for row in rows]
        body = self._call("POST", "/predict_batch", {**self._scope(symbol), "columns": list(columns), "rows": sent})
        answered = {name: tuple(listed) for name, listed in body.items() if isinstance(listed, list)}
        answered |= {side: tuple(map(_bounds, body[side])) for side in ("interval_up", "interval_down")}
        return Answers(**body | answered | _origin(body))

    def _scope(self, symbol: str) -> dict[str, str]:
        return {"symbol": symbol, "source": self._source}

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            response: httpx.Response = self._patiently(lambda: self._attempt(method, path, body))
        except BreakerOpen as error:
            raise ServingError(str(error)) from error
        if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            raise FeatureMismatch(_error(response))
        if response.status_code == httpx.codes.NOT_FOUND and _is_json(response):
            raise ScopeError(_error(response))
        if response.is_error:
            raise ServingError(f"the prediction service at {self._url} refused {path}: {_error(response)}")
        return response.json()

    def _attempt(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        """Make one attempt; a refusal of the input is returned, because it is no failure of the service."""
        try:
            response = self._sent(method, path, body)
        except _LOST as error:
            raise _Away(
                f"the prediction service at {self._url} does not answer ({error}); start it: `mikrobot up`"
            ) from error
        except httpx.TimeoutException as error:
            raise ServingError(f"the prediction service at {self._url} took too long over {path}") from error
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise _Away(f"the prediction service at {self._url} is not ready: {_error(response)}")
        if response.is_server_error:
            raise ServingError(
                f"the prediction service at {self._url} failed over {path}, status {response.status_code}; see its log"
            )
        return response

    def _sent(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        if path != "/predict":
            return self._http.request(method, path, json=body)
        try:
            return self._http.request(method, path, json=body, timeout=self._hedge)
        except httpx.ReadTimeout:
            log.warning("prediction_hedged", url=self._url)
            return self._http.request(method, path, json=body)


def _answer(body: Mapping[str, Any]) -> Answer:
    bounds = {side: _bounds(body[side]) for side in ("interval_up", "interval_down")}
    return Answer(**{**body, **bounds, **_origin(body)})


def _origin(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `AnsweringModel` for which JSON has no type."""
    trained_until = datetime.fromisoformat(body["trained_until"])
    return {"trained_on": tuple(body["trained_on"]), "trained_until": trained_until}


def _sent(name: str, value: float | None) -> float | None:
    """Return a value for JSON, which has neither NaN nor infinity: NaN becomes None, infinity is refused."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        raise FeatureMismatch(f"{name} is infinite, expected a finite number, or NaN where it is missing")
    return float(value)


def _bounds(sent: Sequence[float] | None) -> tuple[float, float] | None:
    return None if sent is None else (sent[0], sent[1])


def _is_json(response: httpx.Response) -> bool:
    """Return True for a response of the service, and False for that of a page that does not exist."""
    return str(response.headers.get("content-type", "")).startswith("application/json")


def _error(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text.strip()[:200] or f"status {response.status_code}"
