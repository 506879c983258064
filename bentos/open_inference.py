"""The Open Inference Protocol (V2): a version of a model is addressed by its path, and rows are tensors.

An inference is equal to the answer to one row: the same code predicts it.

References
----------
https://github.com/kserve/open-inference-protocol, REST API.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from bentos.refusals import MAXIMUM_ITEMS, Refused, parsed
from bentos.requests import Value
from mikrobot.domain.errors import FeatureMismatch
from mikrobot.models.model import Answered
from mikrobot.serving.predictors import Predictors
from mikrobot.serving.requested_rows import array_of
from mikrobot.serving.served import Served

_TYPES = ("FP64", "FP32", "INT64", "INT32")
Type = Literal["FP64", "FP32", "INT64", "INT32"]
Data = Annotated[list[Value], Field(max_length=MAXIMUM_ITEMS["rows"])]


class Scope(BaseModel):
    """The scope of the rows."""

    model_config = ConfigDict(extra="forbid")
    symbol: str | None = None
    source: str | None = None


class Tensor(BaseModel):
    """One column of the model, with a value for each row."""

    model_config = ConfigDict(extra="forbid")
    name: str
    shape: Annotated[list[int], Field(min_length=1, max_length=2)]
    datatype: Type
    data: Data
    parameters: dict[str, Any] = {}


class Output(BaseModel):
    """An output that is wanted."""

    model_config = ConfigDict(extra="forbid")
    name: str
    parameters: dict[str, Any] = {}


class Inference(BaseModel):
    """A request for the predictions of rows; each column of the model is a tensor of the name of the column."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, Field(max_length=100)] | None = None
    parameters: Scope = Scope()
    inputs: Annotated[list[Tensor], Field(min_length=1, max_length=MAXIMUM_ITEMS["inputs"])]
    outputs: Annotated[list[Output], Field(max_length=20)] | None = None


class OutputTensor(BaseModel):
    """One output for each row, upwards and downwards."""

    name: str
    shape: list[int]
    datatype: Literal["FP64", "BYTES"]
    data: list[float | str | None]


class Inferred(BaseModel):
    """The predictions of rows."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, Any]
    outputs: list[OutputTensor]


def parse(body: bytes) -> Inference:
    """Return the request for an inference.

    Raises
    ------
    Refused
        As `refusals.parsed`.
    """
    return parsed(Inference, body)


def infer(predictors: Predictors, name: str, version: str | None, request: Inference) -> dict[str, Any]:
    """Return the predictions of rows by a loaded version, or without a version by the served one.

    Raises
    ------
    Refused
        If shapes differ from data, or an output is unknown.
    FeatureMismatch, ScopeError, ServingError
        As `Predictor.predict`.
    """
    predictor, scope = predictors.champion(name), request.parameters
    if version is None:
        served = predictor.serving(scope.symbol, scope.source)
    else:
        served = predictor.version(version, scope.symbol, scope.source)
    columns = [tensor.name for tensor in request.inputs]
    answered = served.model.answer(array_of(served.model.spec, columns, _values(request.inputs)))
    served.check(answered)
    given = {} if request.id is None else {"id": request.id}
    return {
        "model_name": name,
        "model_version": served.model.spec.version,
        **given,
        "parameters": served.description(),
        "outputs": _outputs(served, answered, request.outputs),
    }


def metadata(predictors: Predictors, name: str, version: str | None = None) -> dict[str, Any]:
    """Return the name, the loaded versions, the inputs and the outputs of a model.

    Raises
    ------
    ScopeError, ServingError
        If there is no such kind of model, or none is served.
    """
    predictor = predictors.champion(name)
    served = next(iter(predictor.serving_all()), None) or predictor.serving(None)
    chosen = served if version is None else predictor.version(version, served.scope.symbol, served.scope.source)
    tensors = [{"name": column, "datatype": "FP64", "shape": [-1]} for column in chosen.model.spec.columns]
    outputs = [{"name": output, "datatype": kind, "shape": [-1, 2]} for output, (kind, _) in _OUTPUTS.items()]
    return {
        "name": name,
        "versions": list(predictor.warm()),
        "platform": "onnx_mikrobot",
        "inputs": tensors,
        "outputs": outputs,
    }


def _values(inputs: list[Tensor]) -> NDArray[np.float64]:
    rows = len(inputs[0].data)
    for tensor in inputs:
        if int(np.prod(tensor.shape)) != len(tensor.data) or tensor.shape[0] != len(tensor.data):
            raise Refused(
                f"inputs.{tensor.name[:100]}: expected a shape of [{len(tensor.data)}], found {tensor.shape}", 400
            )
        if len(tensor.data) != rows:
            raise FeatureMismatch(f"{tensor.name[:100]} has {len(tensor.data)} values, {inputs[0].name[:100]} {rows}")
    return np.array([tensor.data for tensor in inputs], dtype=np.float64).T


def _outputs(served: Served, answered: Answered, wanted: list[Output] | None) -> list[dict[str, Any]]:
    names = list(_OUTPUTS) if wanted is None else [output.name for output in wanted]
    if unknown := [name for name in names if name not in _OUTPUTS]:
        raise Refused(f"outputs: expected {', '.join(_OUTPUTS)}, found {unknown[0][:100]!r}", 400)
    shape = list(answered.probability.shape)
    return [
        {"name": name, "datatype": _OUTPUTS[name][0], "shape": shape, "data": _OUTPUTS[name][1](served, answered)}
        for name in names
    ]


def _numbers(field: str) -> Callable[[Served, Answered], list[Any]]:
    def flat(_: Served, answered: Answered) -> list[Any]:
        values: list[float] = getattr(answered, field).ravel().tolist()
        return [None if value != value else value for value in values]

    return flat


def _words(field: str) -> Callable[[Served, Answered], list[Any]]:
    def flat(served: Served, answered: Answered) -> list[Any]:
        words = getattr(served.outcomes, field)
        absent = np.isnan(answered.probability).ravel().tolist()
        codes = answered.sets.ravel().tolist()
        return [None if gone else words[code] for code, gone in zip(codes, absent, strict=True)]

    return flat


_OUTPUTS: Mapping[str, tuple[str, Callable[[Served, Answered], list[Any]]]] = {
    "probability": ("FP64", _numbers("probability")),
    "interval_low": ("FP64", _numbers("low")),
    "interval_high": ("FP64", _numbers("high")),
    "set": ("BYTES", _words("sets")),
    "predicted": ("BYTES", _words("predicted")),
}
