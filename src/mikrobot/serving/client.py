"""The prediction service over HTTP: one connection kept open, short retries, a breaker.

Asks and translates; does not choose columns or judge an answer.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import httpx

from mikrobot import telemetry
from mikrobot.domain.errors import FeatureMismatch, ServingError
from mikrobot.runtime import Breaker, BreakerOpen, Clock, retry
from mikrobot.serving.predictor import Answer, Answers

ATTEMPTS = 4

log = telemetry.logger("serving")

CHALLENGER_HOLDS = timedelta(minutes=1)
"""Time for which it is believed that there is a challenger, or none."""

_LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)


class _Away(ServingError):
    """The service is down or not ready, which passes: worth another attempt."""


class PredictionClient:
    """Asks the prediction service.

    Parameters
    ----------
    url : str
        Of the service, as ``http://127.0.0.1:3300``.
    clock : Clock
        Of the breaker.
    timeout_s : float
        For one attempt.
    patience_s : float
        Seconds after which a service that is down or not ready is not tried again by a call.
    """

    def __init__(self, url: str, clock: Clock, *, timeout_s: float = 5.0, patience_s: float = 5.0) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(base_url=self._url, timeout=timeout_s, trust_env=False)
        breaker = Breaker(f"the prediction service at {self._url}", clock)
        self._patiently = retry(on=_Away, attempts=ATTEMPTS, timeout_s=patience_s)(breaker.call)
        self._columns: tuple[str, ...] | None = None
        self._clock = clock
        self._challenger: tuple[tuple[str, ...] | None, datetime] | None = None

    def __enter__(self) -> "PredictionClient":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def ready(self) -> bool:
        """Tell whether the service runs and has a warm model; asks once, and never raises."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def model(self) -> dict[str, Any]:
        """Return the contract of the model served, as JSON values.

        Raises
        ------
        ServingError
            As `predict`.
        """
        contract: dict[str, Any] = self._call("GET", "/model")
        return contract

    def columns(self, *, refresh: bool = False) -> tuple[str, ...]:
        """Return the columns the model served needs, in its order; asked once, unless refreshed.

        Raises
        ------
        ServingError
            As `predict`.
        """
        if self._columns is None or refresh:
            self._columns = tuple(self.model()["columns"])
        return self._columns

    def predict(self, features: Mapping[str, float | None]) -> Answer:
        """Ask about one feature row.

        Parameters
        ----------
        features : mapping of str to float or None
            Exactly the model's columns; None or NaN where a value is missing.

        Raises
        ------
        FeatureMismatch
            If the names or values are not those the model needs, in the service's words.
        ServingError
            If the service is down, not ready, too slow, fails or refuses.
        """
        sent = {name: _sent(name, value) for name, value in features.items()}
        return _answer(self._call("POST", "/predict", {"features": sent}))

    def shadow(self, row: Mapping[str, float]) -> tuple[Answer, dict[str, float]] | None:
        """Ask the challenger about one feature row, once and without waiting.

        Parameters
        ----------
        row : mapping of str to float
            With its columns among others.

        Returns
        -------
        (Answer, dict) or None
            The answer and the inputs it was made from; None where there is no challenger, or it does
            not answer, which is logged: nothing rests on it, and it is left alone for a minute.
        """
        try:
            columns = self._challenger_columns()
            if columns is None:
                return None
            inputs = {name: row[name] for name in columns}
            sent = {name: _sent(name, value) for name, value in inputs.items()}
            return _answer(self._http.post("/shadow", json={"features": sent}).raise_for_status().json()), inputs
        except (httpx.HTTPError, FeatureMismatch, KeyError) as error:
            log.warning("no_answer_of_the_challenger", reason=repr(error))
            self._challenger = (None, self._clock.now())
            return None

    def _challenger_columns(self) -> tuple[str, ...] | None:
        """Return what the challenger needs, as it was known within the last `CHALLENGER_HOLDS`."""
        now = self._clock.now()
        if self._challenger is None or now - self._challenger[1] > CHALLENGER_HOLDS:
            response = self._http.get("/challenger")
            absent = response.status_code == httpx.codes.NOT_FOUND
            columns = None if absent else tuple(response.raise_for_status().json()["columns"])
            self._challenger = (columns, now)
        return self._challenger[0]

    def predict_many(self, columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> Answers:
        """Ask about many rows, their values in the order of `columns`.

        Raises
        ------
        FeatureMismatch, ServingError
            As `predict`.
        """
        sent = [[_sent(name, value) for name, value in zip(columns, row, strict=True)] for row in rows]
        body = self._call("POST", "/predict_batch", {"columns": list(columns), "rows": sent})
        answered = {name: tuple(listed) for name, listed in body.items() if isinstance(listed, list)}
        answered |= {side: tuple(map(_bounds, body[side])) for side in ("interval_up", "interval_down")}
        return Answers(**body | answered | {"trained_until": datetime.fromisoformat(body["trained_until"])})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            response: httpx.Response = self._patiently(lambda: self._attempt(method, path, body))
        except BreakerOpen as error:
            raise ServingError(str(error)) from error
        if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            raise FeatureMismatch(_said(response))
        if response.is_error:
            raise ServingError(f"the prediction service at {self._url} refused {path}: {_said(response)}")
        return response.json()

    def _attempt(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        """Make one attempt; a refusal of the input is an answer, and no failure of the service."""
        try:
            response = self._http.request(method, path, json=body)
        except _LOST as error:
            raise _Away(
                f"the prediction service at {self._url} does not answer ({error}); start it: `mikrobot up`"
            ) from error
        except httpx.TimeoutException as error:
            raise ServingError(f"the prediction service at {self._url} took too long over {path}") from error
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise _Away(f"the prediction service at {self._url} is not ready: {_said(response)}")
        if response.is_server_error:
            raise ServingError(
                f"the prediction service at {self._url} failed over {path}, status {response.status_code}; see its log"
            )
        return response


def _answer(body: Mapping[str, Any]) -> Answer:
    bounds = {side: _bounds(body[side]) for side in ("interval_up", "interval_down")}
    return Answer(**{**body, **bounds, "trained_until": datetime.fromisoformat(body["trained_until"])})


def _sent(name: str, value: float | None) -> float | None:
    """Return what JSON can carry: it has neither NaN nor infinity."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        raise FeatureMismatch(f"{name} is infinite, expected a finite number, or NaN where it is missing")
    return float(value)


def _bounds(sent: Sequence[float] | None) -> tuple[float, float] | None:
    return None if sent is None else (sent[0], sent[1])


def _said(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text.strip()[:200] or f"status {response.status_code}"
