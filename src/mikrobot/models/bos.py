"""The break-of-structure model: its inputs (distance of the level in units of several volatilities, and context)."""

from dataclasses import dataclass

import numpy as np

from mikrobot.models.inputs import (
    CONTEXT,
    FORECASTS,
    SURROUNDINGS,
    Column,
    Row,
    SideInputs,
    facing,
    motion,
    smooth_atr,
    smooth_volatility,
    state,
    surroundings,
)
from mikrobot.models.kind import CardText, LabelTerms, LearnerSpec, ModelKind, Target
from mikrobot.models.labels.breaks import HALF_TICK, Mode, bos
from mikrobot.models.labels.samples import Floats, Labels, Prices

_WIDER = 15
_LEVEL = ("above", "below", "above_distance", "below_distance", "trend", "bos", "choch", "penetration")
_WIDER_LEVEL = ("above", "below", "trend")
_OTHERS = (
    *("m5_break_5_above", "m5_break_5_below", "m5_break_5_trend"),
    *("m1_ema_9", "m1_ema_21", "m1_ema_50", "m1_ema_200", "m5_ema_21", "h1_ema_21"),
)


@dataclass(frozen=True)
class BosInputs(SideInputs):
    """Inputs about the unbroken levels of one swing length.

    Attributes
    ----------
    mode : "close" or "wick"
        The price that breaks a level.
    """

    mode: Mode = "close"

    @property
    def needed(self) -> tuple[str, ...]:
        """Catalog columns that `make` reads."""
        own = tuple(f"{self._family}_{name}" for name in _LEVEL)
        wider = tuple(f"m1_break_{_WIDER}_{name}" for name in _WIDER_LEVEL)
        return (*own, *_ages(self.swing), *wider, *_OTHERS, *CONTEXT, *SURROUNDINGS)

    def make(self, x: Row, side: Column) -> dict[str, Column]:
        """Compute the inputs; ``level_atr`` is NaN where there is no unbroken level on that side."""
        own = _distances(x, side, self._family) | _structure(x, side, self._family, self.swing)
        return own | motion(x, side) | state(x) | surroundings(x, side)

    @property
    def _family(self) -> str:
        return f"m1_{'wick' if self.mode == 'wick' else 'break'}_{self.swing}"


def _ages(swing: int) -> tuple[str, str]:
    return f"m1_swing_{swing}_high_age", f"m1_swing_{swing}_low_age"


def _distances(x: Row, side: Column, family: str) -> dict[str, Column]:
    """Return the distances to the levels on both sides and to the moving averages; positive while they are ahead."""
    up, atr = side > 0, x["m1_atr_14"]
    level, other = facing(x, family, up)
    ahead = np.where(up, x[f"{family}_above_distance"], x[f"{family}_below_distance"])
    close = level - side * ahead * atr
    unit = smooth_atr(x)
    distance = side * np.log(level / close) + HALF_TICK * x["m1_tick"]
    wider, wider_other = facing(x, f"m1_break_{_WIDER}", up)
    m5, m5_other = facing(x, "m5_break_5", up)

    def gap(price: Column, unit: Column = unit) -> Column:
        return side * (price - close) / unit

    return {
        "level_atr": (ahead * atr + HALF_TICK * x["m1_tick"] * close) / unit,
        **{f"level_forecast_{minutes}": distance / x[f"m1_har_s_{minutes}"] for minutes in FORECASTS},
        **{f"level_sigma_{length}": distance / smooth_volatility(x, length) for length in (15, 60, 240)},
        "other_atr": -gap(other),
        "range_atr": side * (level - other) / unit,
        "wider_atr": gap(wider),
        "wider_other_atr": -gap(wider_other),
        "m5_level_atr": gap(m5),
        "m5_other_atr": -gap(m5_other),
        **{f"ema_{length}_atr": gap(x[f"m1_ema_{length}"]) for length in (9, 21, 50, 200)},
        "m5_ema_21_atr": gap(x["m5_ema_21"], x["m5_atr_14"]),
        "h1_ema_21_atr": gap(x["h1_ema_21"], x["h1_atr_14"]),
    }


def _structure(x: Row, side: Column, family: str, swing: int) -> dict[str, Column]:
    """Return the trend, the last break and the age of the levels."""
    up = side > 0
    high_age, low_age = (x[name] for name in _ages(swing))
    bos, choch = x[f"{family}_bos"], x[f"{family}_choch"]
    return {
        "trend": side * x[f"{family}_trend"],
        "wider_trend": side * x[f"m1_break_{_WIDER}_trend"],
        "m5_trend": side * x["m5_break_5_trend"],
        "bos": side * bos,
        "choch": side * choch,
        "penetration_atr": side * (bos + choch) * x[f"{family}_penetration"] * x["m1_atr_14"] / smooth_atr(x),
        "level_age": np.where(up, high_age, low_age),
        "other_age": np.where(up, low_age, high_age),
    }


def _label(prices: Prices, levels: Floats, _: Floats, terms: LabelTerms) -> Labels:
    return bos(prices, levels, terms.horizon, terms.mode)


def _starts_from(horizon: int) -> str:
    forecast = next((minutes for minutes in FORECASTS if minutes >= horizon), FORECASTS[-1])
    return f"level_forecast_{forecast}"


KIND = ModelKind(
    name="bos",
    card=CardText(
        question="Does price go beyond the newest unbroken swing within the horizon?",
        targets=(Target("accuracy", 0.88), Target("precision", 0.85), Target("recall", 0.90), Target("auc", 0.90)),
        why_missed="moves within the next minutes depend on information that the inputs at the close do not contain",
        limits=(
            "Most of its accuracy is geometry: the distance of the level divided by the volatility of the market. "
            "The diffusion baselines use nothing else; the model's own skill is its uplift over the second one.",
            "A likely break does not predict where price goes after it: this model is no trading edge.",
        ),
    ),
    inputs=BosInputs,
    label=_label,
    reach={"close": "close", "wick": "extreme"},
    starts_from=_starts_from,
    beyond_ticks=HALF_TICK,
    members=(LearnerSpec("boosted"),),
    compared=(LearnerSpec("random_forest"),),
)
"""Boosted trees that correct the diffusion baseline, compared with a random forest."""
