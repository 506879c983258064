"""The figures of an evaluation as types. Computes nothing, and imports none of the libraries that do."""

from collections.abc import Mapping
from dataclasses import dataclass

from mikrobot.training.day_bootstrap import Interval


@dataclass(frozen=True, slots=True)
class Uplift:
    """The uplift of a model over a baseline, with 95 % intervals.

    Attributes
    ----------
    auc : Interval
        AUC of the model less that of the baseline.
    brier_skill : Interval
        Share of the baseline's Brier score that the model saves.
    """

    auc: Interval
    brier_skill: Interval


@dataclass(frozen=True, slots=True)
class Payoff:
    """The result of trading the predictions; R is the risk of a trade at its entry.

    Attributes
    ----------
    trades : int
    expectancy_r : float or None
        Mean result after costs, in R. All but `trades` are None on too few trades.
    gross_r : float or None
        Mean result before costs, in R.
    cost_r : float or None
        Mean costs, the typical spread and both commissions, in R.
    sharpe : float or None
        Yearly Sharpe ratio of the daily sums in R.
    """

    trades: int
    expectancy_r: float | None = None
    gross_r: float | None = None
    cost_r: float | None = None
    sharpe: float | None = None


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Samples of about equal probability.

    Attributes
    ----------
    samples : int
    `predicted` : float
        Mean predicted probability.
    happened : float
        Observed frequency.
    """

    samples: int
    predicted: float
    happened: float


@dataclass(frozen=True, slots=True)
class Band:
    """A confidence band: "holds" below `low`, "breaks" from `high` upwards, no prediction in between.

    Attributes
    ----------
    precision, recall : float
        Targets: precision, and recall among covered samples.
    low, high : float or None
        Median bounds over all days; None if the band qualified on none.
    """

    precision: float
    recall: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class BandFigures:
    """Selective prediction with one confidence band; shares from 0 to 1, None where there was nothing to count.

    Attributes
    ----------
    band : Band
    samples : int
        Samples of the days with enough outcomes in the window.
    coverage : float or None
        Share of these samples with a prediction.
    accuracy, precision, recall_covered : float or None
        Among covered samples.
    recall_all : float or None
        Among all events.
    """

    band: Band
    samples: int
    coverage: float | None
    accuracy: float | None
    precision: float | None
    recall_covered: float | None
    recall_all: float | None


@dataclass(frozen=True, slots=True)
class BaselineComparison:
    """A model on some samples, compared with the base rate, the majority class and its baselines.

    Attributes
    ----------
    samples : int
    base_rate : float
        Share of true outcomes, 0 to 1.
    majority_accuracy : float
        Accuracy of always predicting the more frequent outcome.
    metrics : mapping of str to float
        As `training.scores.scores`.
    baselines : mapping of str to mapping
        The same of each baseline: ``diffusion_<name>``, and the compared learners of a training.
    uplift : mapping of str to Uplift
        Over each diffusion baseline: ``over_<name>``.
    """

    samples: int
    base_rate: float
    majority_accuracy: float
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    uplift: Mapping[str, Uplift]


@dataclass(frozen=True, slots=True)
class Evaluation(BaselineComparison):
    """The evaluation of a model on one span.

    Attributes
    ----------
    payoff : Payoff
    reliability : tuple of ReliabilityBin
        In ascending order of probability.
    selective : tuple of BandFigures
    intervals : mapping of str to float or None
        As `training.rolling.intervals`.
    by_symbol, by_session, by_volatility, by_distance, by_minutes_left : mapping of str to BaselineComparison
        Each slice with enough samples of both outcomes.
    """

    payoff: Payoff
    reliability: tuple[ReliabilityBin, ...]
    selective: tuple[BandFigures, ...]
    intervals: Mapping[str, int | float | None]
    by_symbol: Mapping[str, BaselineComparison]
    by_session: Mapping[str, BaselineComparison]
    by_volatility: Mapping[str, BaselineComparison]
    by_distance: Mapping[str, BaselineComparison]
    by_minutes_left: Mapping[str, BaselineComparison]
