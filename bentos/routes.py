"""The routes that predict: JSON is decoded and encoded directly, since a web framework costs more than a model.

A one-row prediction runs in the event loop, because handing it to a thread takes longer. Batches and contributions
run in threads.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl

import anyio.to_thread
import orjson
from starlette.routing import Route

from bentos import arrow_batch, open_inference, refusals, requests
from bentos.prediction_metrics import PredictionMetrics
from bentos.refusals import ARROW, JSON, Message, Receive, Refused, Send
from mikrobot import telemetry
from mikrobot.domain.errors import FeatureMismatch, MikrobotError, ModelError, ScopeError, ServiceError, ServingError
from mikrobot.serving.answers import Answer
from mikrobot.serving.predictors import Predictors

log = telemetry.logger("serving")

_CODES = {FeatureMismatch: 422, ScopeError: 404, ServingError: 503, ServiceError: 503}

THREAD_TIMEOUT_S = 30.0
"""Seconds after which a batch, or the contributions of a row, are no longer waited for."""


def refusal(error: MikrobotError) -> Refused:
    """Return the refusal of a request that cannot be answered; an error of the model is also logged."""
    status = _CODES.get(type(error), 500)
    if status == 500:
        log.error("prediction_failed", reason=str(error))
    return Refused(str(error), status)


@dataclass(frozen=True, slots=True)
class Post:
    """An ASGI application that answers the POST requests of one path.

    Attributes
    ----------
    parse : callable
        (body) -> request; raises `Refused`.
    answer : callable
        (request, path parameters) -> the JSON answer, encoded; raises `MikrobotError`.
    in_thread : callable
        (request) -> whether to answer it in a thread.
    kind : str
        Media type of requests and answers. The query is among the path parameters for Arrow.
    """

    parse: Callable[[bytes], Any]
    answer: Callable[[Any, Mapping[str, str]], bytes]
    in_thread: Callable[[Any], bool] = bool
    kind: str = JSON

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it with one JSON object."""
        try:
            body = await refusals.body_of(scope, receive, self.kind)
            parameters = scope.get("path_params", {})
            if self.kind == ARROW:
                parameters = dict(parse_qsl(scope["query_string"].decode("latin-1"))) | parameters
            content = await self._content(self.parse(body), parameters)
        except Refused as refused:
            await refused.answer(scope, receive, send)
            return
        except MikrobotError as error:
            await refusal(error).answer(scope, receive, send)
            return
        headers = [(b"content-type", self.kind.encode()), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _content(self, request: Any, parameters: Mapping[str, str]) -> bytes:
        if not self.in_thread(request):
            return self.answer(request, parameters)
        try:
            async with asyncio.timeout(THREAD_TIMEOUT_S):
                return await anyio.to_thread.run_sync(self.answer, request, parameters, abandon_on_cancel=True)
        except TimeoutError as error:
            raise Refused(f"the answer takes longer than {THREAD_TIMEOUT_S:.0f} s; send fewer rows", 504) from error


@dataclass(frozen=True, slots=True)
class PredictionRoutes:
    """Answers of the champions and of the challenger, encoded as JSON."""

    predictors: Predictors
    metrics: PredictionMetrics
    latest: dict[str, Any]
    """The latest answered request for one row of the traded model, for the API page."""

    def one(self, request: requests.OneRowRequest, parameters: Mapping[str, str]) -> bytes:
        """Answer one row by the champion of the scope."""
        name = parameters.get("model")
        predictor = self.predictors.traded if name is None else self.predictors.champion(name)
        served = predictor.serving(request.symbol, request.source)
        answer = served.predict(request.features)
        self.metrics.count(answer)
        if name is None:
            self.latest.update(symbol=answer.symbol, source=answer.source, features=request.features)
        if not request.contributions:
            return encoded(answer)
        try:
            steps = predictor.contributions(served, request.features)
        except ModelError as error:
            raise Refused(f"contributions: {error}", 422) from error
        return encoded(asdict(answer) | {"contributions": steps})

    def every(self, request: requests.OneRowRequest, _: Mapping[str, str]) -> bytes:
        """Answer one row by every model that serves the scope."""
        answers = self.predictors.predict(request.symbol, request.features, request.source)
        for answer in answers.values():
            self.metrics.count(answer)
        first: Answer = next(iter(answers.values()))
        return encoded({"source": first.source, "symbol": first.symbol, "answers": answers})

    def shadow(self, request: requests.OneRowRequest, _: Mapping[str, str]) -> bytes:
        """Answer one row by the challenger of the scope."""
        try:
            return encoded(self.predictors.challenger.predict(request.symbol, request.features, request.source))
        except ServingError as error:
            raise Refused("there is no challenger", 404) from error

    def many(self, request: requests.ManyRowsRequest, parameters: Mapping[str, str]) -> bytes:
        """Answer many rows by the champion of the scope."""
        predictor = self.predictors.champion(parameters.get("model", self.predictors.traded.name))
        return encoded(predictor.predict_many(request.symbol, request.columns, request.rows, request.source))

    def arrow(self, body: bytes, parameters: Mapping[str, str]) -> bytes:
        """Answer the rows of an Arrow stream by the champion of the scope."""
        if unknown := sorted(parameters.keys() - {"model", "symbol", "source"}):
            raise Refused(f"{unknown[0][:100]}: Extra inputs are not permitted", 400)
        if "symbol" not in parameters:
            raise Refused("symbol: Field required, in the query", 400)
        predictor = self.predictors.champion(parameters.get("model", self.predictors.traded.name))
        batch = arrow_batch.read(body)
        scope = parameters["symbol"], parameters.get("source")
        return arrow_batch.write(*predictor.predict_array(scope[0], batch.columns, batch.values, scope[1]))

    def infer(self, request: open_inference.Inference, parameters: Mapping[str, str]) -> bytes:
        """Answer a request of the Open Inference Protocol."""
        name, version = parameters["model"], parameters.get("version")
        return encoded(open_inference.infer(self.predictors, name, version, request))

    def routes(self) -> list[Route]:
        """Return the routes, the most frequent first."""
        one = Post(requests.one_row, self.one, in_thread=lambda request: bool(request.contributions))
        many = Post(requests.many_rows, self.many, _always)
        infer = Post(open_inference.parse, self.infer, _always)
        return [
            Route("/predict", one, methods=["POST"]),
            Route("/shadow", Post(requests.one_row, self.shadow, _never), methods=["POST"]),
            Route("/predict_all", Post(requests.one_row, self.every, _never), methods=["POST"]),
            Route("/predict_batch", many, methods=["POST"]),
            Route("/predict_arrow", Post(bytes, self.arrow, _always, ARROW), methods=["POST"]),
            Route("/predict/{model}", one, methods=["POST"]),
            Route("/predict_batch/{model}", many, methods=["POST"]),
            Route("/predict_arrow/{model}", Post(bytes, self.arrow, _always, ARROW), methods=["POST"]),
            Route("/v2/models/{model}/infer", infer, methods=["POST"]),
            Route("/v2/models/{model}/versions/{version}/infer", infer, methods=["POST"]),
        ]


def encoded(answer: Any) -> bytes:
    """Return an answer as JSON, its times in UTC."""
    return orjson.dumps(answer, option=orjson.OPT_UTC_Z)


def _always(_: Any) -> bool:
    return True


def _never(_: Any) -> bool:
    return False
