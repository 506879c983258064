"""The bodies of requests and answers: their forms for validation and for the OpenAPI document.

A request is decoded by msgspec, which checks types as it parses. One that it refuses is parsed again by pydantic,
whose errors name every wrong field.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec
from pydantic import BaseModel, ConfigDict, FailFast, Field

from bentos.refusals import MAXIMUM_ITEMS, parsed

Value = Annotated[float, Field(strict=True, allow_inf_nan=False)] | None
Rows = Annotated[list[Annotated[list[Value], FailFast()]], FailFast(), Field(max_length=MAXIMUM_ITEMS["rows"])]
Chance = Annotated[float, Field(ge=0, le=1)] | None
Bounds = tuple[float, float] | None
Set = Literal["none", "both", "breaks", "holds", "target", "no_target", "return", "stay"] | None
Predicted = Literal["abstain", "break", "hold", "target", "no_target", "return", "stay"] | None

Name = Annotated[str, msgspec.Meta(max_length=MAXIMUM_ITEMS["symbol"])]

PROBABILITY = (
    "Predicted probability of the model's outcome {side}, calibrated on known outcomes; for `bos`, that the level "
    "breaks within the model's horizon. It is p1 / (1 - p0 + p1) of its interval. Of many levels with a probability "
    "of 0.3, about 30 % break. Null if there is nothing to predict, as no level."
)
INTERVAL = (
    "Venn-Abers interval [p0, p1] of the probability, which always lies inside: the share of breaks among known "
    "outcomes with a similar score, with one additional hold (p0) or break (p1). It is narrow if many outcomes are "
    "known; it does not cover changes of the market. Null if there is no level or no outcome is known."
)
SET = (
    "Conformal prediction set: one outcome, both or none. The outcomes are breaks and holds; target and no_target of "
    "`retest`; return and stay of `false_break`. It contains the outcome for about 90 % of the levels that break and "
    "for about 90 % of those that hold. Null if there is no level."
)
PREDICTED = (
    "The only outcome in the prediction set, as break or hold; abstain if the set is both or none. Null if there is no "
    "level."
)
UP, DOWN = "upwards, as for the level above", "downwards, as for the level below"


class OneRow(BaseModel):
    """One feature row of a symbol."""

    model_config = ConfigDict(extra="forbid")
    symbol: str
    features: dict[str, Value] = Field(description="Every column of the model by name; null where a value is missing.")
    source: str | None = Field(None, description="Market source; needed if models of several serve the symbol.")
    contributions: Annotated[bool, Field(strict=True)] = Field(
        False, description="Adds what each input contributes to the log odds of the model with boosted trees."
    )


class ManyRows(BaseModel):
    """Many feature rows of a symbol."""

    model_config = ConfigDict(extra="forbid")
    symbol: str
    columns: list[str] = Field(description="Every column of the model, in any order.")
    rows: Rows = Field(description="Values of each row in the order of `columns`; null where a value is missing.")
    source: str | None = None


class OneRowBody(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of `OneRow`."""

    symbol: Name
    features: Annotated[dict[str, float | None], msgspec.Meta(max_length=MAXIMUM_ITEMS["features"])]
    source: Name | None = None
    contributions: bool = False


class ManyRowsBody(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of `ManyRows`."""

    symbol: Name
    columns: Annotated[list[str], msgspec.Meta(max_length=MAXIMUM_ITEMS["columns"])]
    rows: Annotated[list[list[float | None]], msgspec.Meta(max_length=MAXIMUM_ITEMS["rows"])]
    source: Name | None = None


class OneRowRequest(Protocol):
    """A valid request for one row."""

    symbol: str
    features: dict[str, float | None]
    source: str | None
    contributions: bool


class ManyRowsRequest(Protocol):
    """A valid request for many rows."""

    symbol: str
    columns: list[str]
    rows: list[list[float | None]]
    source: str | None


_one_row = msgspec.json.Decoder(OneRowBody)
_many_rows = msgspec.json.Decoder(ManyRowsBody)


def one_row(body: bytes) -> OneRowRequest:
    """Return the request for one row.

    Raises
    ------
    Refused
        As `refusals.parsed`.
    """
    try:
        return _one_row.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return parsed(OneRow, body)


def many_rows(body: bytes) -> ManyRowsRequest:
    """Return the request for many rows.

    Raises
    ------
    Refused
        As `refusals.parsed`.
    """
    try:
        return _many_rows.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return parsed(ManyRows, body)


class Steps(BaseModel):
    """The steps from the diffusion baseline to the served probability of one side, in log odds."""

    side: Literal["up", "down"]
    start: float = Field(description="Log odds of the diffusion baseline plus the trees' mean correction.")
    added: dict[str, float] = Field(
        description="Contribution of each input, the largest first, then of the other members and of the calibration; "
        "with `start` they add up to the log odds of the probability."
    )


class OneAnswer(BaseModel):
    """Probability, interval, prediction set and predicted class of both sides."""

    model: str
    version: str | None
    fitted_with: str
    source: str
    symbol: str
    trained_on: list[str]
    feature_hash: str
    trained_until: datetime
    swing: int
    probability_up: Chance = Field(description=PROBABILITY.format(side=UP))
    probability_down: Chance = Field(description=PROBABILITY.format(side=DOWN))
    interval_up: Bounds = Field(description=INTERVAL)
    interval_down: Bounds = Field(description=INTERVAL)
    set_up: Set = Field(description=SET)
    set_down: Set = Field(description=SET)
    predicted_up: Predicted = Field(description=PREDICTED)
    predicted_down: Predicted = Field(description=PREDICTED)
    contributions: Sequence[Steps] = Field((), description="Only if the request asks for them.")


class AllAnswers(BaseModel):
    """The answer of every model that serves a scope, by its kind."""

    source: str
    symbol: str
    answers: dict[str, OneAnswer]


class ManyAnswers(BaseModel):
    """The fields of one answer as lists, in the order of the rows."""

    model: str
    version: str | None
    fitted_with: str
    source: str
    symbol: str
    trained_on: list[str]
    feature_hash: str
    trained_until: datetime
    swing: int
    probability_up: list[Chance] = Field(description=PROBABILITY.format(side=UP))
    probability_down: list[Chance] = Field(description=PROBABILITY.format(side=DOWN))
    interval_up: list[Bounds] = Field(description=INTERVAL)
    interval_down: list[Bounds] = Field(description=INTERVAL)
    set_up: list[Set] = Field(description=SET)
    set_down: list[Set] = Field(description=SET)
    predicted_up: list[Predicted] = Field(description=PREDICTED)
    predicted_down: list[Predicted] = Field(description=PREDICTED)
