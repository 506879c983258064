"""The outlook of a symbol at a bar close: its feature row, read online, and the predictions for it.

Fails closed: without a fresh row or a prediction that may be believed, there is a skip with the reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mikrobot import telemetry
from mikrobot.decision.outlook import Outlook
from mikrobot.domain.errors import FeatureMismatch, MikrobotError, ModelError, ServingError, StaleFeatures
from mikrobot.domain.market import Bar
from mikrobot.domain.trading import Prediction, Side
from mikrobot.features.catalog import CATALOG
from mikrobot.live import pid_records
from mikrobot.live.session import PRESENT
from mikrobot.live.trader import ATR, outlook
from mikrobot.models.catalog import TRADED
from mikrobot.models.task import Task
from mikrobot.runtime import Clock, wait_until
from mikrobot.serving.answers import Answer
from mikrobot.serving.client import PredictionClient
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.feast.online import FeatureRows
from mikrobot.store.ledger import Skip
from mikrobot.store.runs import Run

log = telemetry.logger("worker")

PREDICTIONS_BACK_S = 120.0
"""Seconds that a past minute waits for a prediction service that has ended; it starts in about ten."""


@dataclass(frozen=True, slots=True)
class SymbolOutlook:
    """Model output for one symbol at one bar close, shared by all accounts: an outlook, or why there is none.

    Attributes
    ----------
    outlook : Outlook or None
    predictions : list of Prediction
        The predictions of the outlook.
    skips : list of Skip
    challenged : Outlook or None
        The challenger's outlook, if it answered; used only by accounts that trade the challenger.
    shadows : list of Prediction
        The challenger's predictions.
    """

    outlook: Outlook | None
    predictions: list[Prediction] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    challenged: Outlook | None = None
    shadows: list[Prediction] = field(default_factory=list)


@dataclass(slots=True)
class Forecasts:
    """Reads feature rows and requests predictions for one run."""

    run: Run
    settings: Settings
    bars: BarStore
    rows: FeatureRows
    predictions: PredictionClient
    timers: telemetry.Timers
    clock: Clock

    def look(self, bar: Bar, columns: Sequence[str]) -> SymbolOutlook:
        """Return the outlook of a symbol at the close of a bar, or why there is none.

        Parameters
        ----------
        bar : Bar
        columns : sequence of str
            The feature columns that strategies read.
        """
        try:
            with self.timers.stage("online_read"):
                row = self.rows.read(self.run.source, bar.symbol, CATALOG.columns, bar.close_time)
            with self.timers.stage("predict"):
                answer, inputs = self._ask_patiently(bar.symbol, row, bar.close_time)
            self._believable(answer, bar)
        except (StaleFeatures, ServingError, ModelError) as error:
            reason = self._reason(bar.symbol, bar, error)
            log.warning("skipped", symbol=bar.symbol, close_time=bar.close_time, reason=reason)
            return SymbolOutlook(None, skips=[Skip(bar.symbol, bar.close_time, reason)])
        predictions = _predictions(bar.symbol, bar.close_time, answer, inputs)
        challenged, shadows = self._challenged(bar, row, columns)
        chosen = _outlook(bar, row, answer, columns)
        return SymbolOutlook(chosen, predictions, challenged=challenged, shadows=shadows)

    def _challenged(
        self, bar: Bar, row: dict[str, float], columns: Sequence[str]
    ) -> tuple[Outlook | None, list[Prediction]]:
        """Request the challenger's predictions for the same row; if there are none, the minute continues."""
        with self.timers.stage("shadow"):
            shadow = self.predictions.shadow(bar.symbol, row)
        if shadow is None:
            return None, []
        answer, inputs = shadow
        try:
            self._believable(answer, bar)
        except ModelError:
            return None, []
        chosen = _outlook(bar, row, answer, columns)
        return chosen, _predictions(bar.symbol, bar.close_time, answer, inputs)

    def _reason(self, symbol: str, bar: Bar, error: MikrobotError) -> str:
        """Return why a row could not be used; if it is missing, why the streamer has flagged it."""
        flagged = None
        if isinstance(error, StaleFeatures):
            flagged = self.bars.flagged(self.run.source, symbol, bar.close_time)
        return f"the feature row was flagged: {flagged}" if flagged else str(error)

    def _ask_patiently(
        self, symbol: str, row: dict[str, float], close_time: datetime
    ) -> tuple[Answer, dict[str, float]]:
        """Request predictions; past minutes wait for a service that restarts, the present does not."""
        while True:
            try:
                return self._ask(symbol, row)
            except ServingError as error:
                if self.clock.now() - close_time < PRESENT:
                    raise
                log.warning("waiting_for_predictions", close_time=close_time, reason=str(error))
                self.clock.sleep(1.0)
                wait_until(
                    self._predictions_back,
                    f"the prediction service at {self.settings.bento_url} did not come back",
                    self.clock,
                    timeout_s=PREDICTIONS_BACK_S,
                )

    def _predictions_back(self) -> bool:
        pid_records.require_alive("bento", self.settings.home, self.clock)
        return self.predictions.ready()

    def _ask(self, symbol: str, row: dict[str, float]) -> tuple[Answer, dict[str, float]]:
        """Request predictions with the columns that the symbol's model needs; read them again if the model changed."""
        inputs = {name: row[name] for name in self.predictions.columns(symbol) if name in row}
        try:
            return self.predictions.predict(symbol, inputs), inputs
        except FeatureMismatch:
            inputs = {name: row[name] for name in self.predictions.columns(symbol, refresh=True) if name in row}
            return self.predictions.predict(symbol, inputs), inputs

    def _believable(self, answer: Answer, bar: Bar) -> None:
        """Refuse predictions of a model of another market, or of one trained on the hours that it predicts."""
        close_time = bar.close_time
        if bar.symbol not in answer.trained_on:
            raise ModelError(
                f"model {answer.model} v{answer.fitted_with} learned from {', '.join(answer.trained_on)}, "
                f"not from {bar.symbol}; train on its bars"
            )
        if answer.source != self.run.source:
            raise ModelError(
                f"model {answer.model} v{answer.fitted_with} learned from {answer.source} bars, this run trades "
                f"{self.run.source} bars; train on them first"
            )
        if answer.trained_until > close_time:
            raise ModelError(
                f"model {answer.model} v{answer.fitted_with} learned from bars up to "
                f"{answer.trained_until:%Y-%m-%d %H:%M}, later than the close at {close_time:%Y-%m-%d %H:%M}; "
                "train on earlier history"
            )
        if answer.feature_hash != CATALOG.version:
            raise FeatureMismatch(
                f"model {answer.model} v{answer.fitted_with} was made for features {answer.feature_hash}, these are "
                f"{CATALOG.version}; train again"
            )


def _predictions(symbol: str, close_time: datetime, answer: Answer, inputs: dict[str, float]) -> list[Prediction]:
    """Return one prediction for each side that has a level."""
    sides = ((Side.BUY, answer.probability_up), (Side.SELL, answer.probability_down))
    return [
        Prediction(symbol, side, close_time, chance, answer.model, answer.fitted_with, answer.feature_hash, inputs)
        for side, chance in sides
        if chance is not None
    ]


def _outlook(bar: Bar, row: dict[str, float], answer: Answer, columns: Sequence[str]) -> Outlook:
    """Return the outlook with the levels that the answer refers to, and the feature columns of the strategies."""
    above, below = Task(TRADED, answer.swing).columns
    up, down = _number(answer.probability_up), _number(answer.probability_down)
    features = {name: row[name] for name in columns}
    return outlook(bar, row[ATR], row[above], row[below], up=up, down=down, by=str(answer), features=features)


def _number(probability: float | None) -> float:
    return math.nan if probability is None else probability
