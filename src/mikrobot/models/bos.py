"""What the break-of-structure model sees: inputs of one side, made from catalog columns.

Inputs are relative to the symbol (in ATRs, in sigmas, as ratios) and mirrored: for the level
below, a fall counts as a rise does for the level above. So one model serves all symbols and both
sides, and no price enters raw. Training and serving call the same function.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]


@dataclass(frozen=True)
class BosInputs:
    """The inputs for levels of one swing length.

    Attributes
    ----------
    swing : int
        Bars on each side of the swings whose levels may break; the catalog has 5 and 15 on M1.
    """

    swing: int = 5

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Catalog columns needed, in the order in which `__call__` takes them."""
        own = tuple(f"m1_break_{self.swing}_{name}" for name in _LEVEL)
        wider = tuple(f"m1_break_{_WIDER}_{name}" for name in _WIDER_LEVEL)
        return tuple(dict.fromkeys((*own, *_ages(self.swing), *wider, *_COLUMNS)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return tuple(self._named(np.ones((1, len(self.columns))), np.ones(1)))

    def levels(self, values: Column) -> Column:
        """Pick the prices of the levels above and below.

        Parameters
        ----------
        values : ndarray of float64, shape (rows, columns)

        Returns
        -------
        ndarray of float64, shape (rows, 2)
            NaN where none stands.
        """
        picked = [self.columns.index(f"m1_break_{self.swing}_{name}") for name in ("above", "below")]
        return values[:, picked]

    def __call__(self, values: Column, side: NDArray[np.int8]) -> NDArray[np.float32]:
        """Make the inputs of one side of each row.

        Parameters
        ----------
        values : ndarray of float64, shape (rows, columns)
            Known at the close of the row's bar, in the order of `columns`; NaN where missing.
        side : ndarray of int8, shape (rows,)
            +1 asks about the level above, -1 about the one below.

        Returns
        -------
        ndarray of float32, shape (rows, names)
            NaN where an input is missing or has no finite value; the first one, ``level_atr``, is
            NaN where no level stands on that side.
        """
        named = self._named(values, np.asarray(side, dtype=np.float64))
        inputs = np.empty((len(values), len(named)), dtype=np.float32)
        for number, value in enumerate(named.values()):
            inputs[:, number] = value
        inputs[~np.isfinite(inputs)] = np.nan
        return inputs

    def _named(self, values: Column, side: Column) -> dict[str, Column]:
        x = dict(zip(self.columns, values.T, strict=True))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return _distances(x, side, self.swing) | _motion(x, side, self.swing) | _state(x, side)


_WIDER = 15
_LEVEL = ("above", "below", "above_distance", "below_distance", "trend", "bos", "choch", "penetration")
_WIDER_LEVEL = ("above", "below", "trend")
_COLUMNS = (
    *("m5_break_5_above", "m5_break_5_below", "m5_break_5_trend"),
    *("m1_atr_14", "m5_atr_14", "h1_atr_14"),
    *("m1_volatility_15", "m1_volatility_60", "m1_volatility_240"),
    *("m1_return_1", "m1_return_5", "m1_return_15", "m1_return_60"),
    *("m1_ema_9", "m1_ema_21", "m1_ema_50", "m1_ema_200", "m5_ema_21", "h1_ema_21"),
    *("m1_rsi_14", "m5_rsi_14", "h1_rsi_14", "m1_stochastic_14_k"),
    *("m1_bollinger_20_percent_b", "m1_bollinger_20_width", "m1_macd_12_26_9_histogram"),
    *("m1_minute_sin", "m1_minute_cos", "m1_spread_atr"),
)


def _ages(swing: int) -> tuple[str, str]:
    return f"m1_swing_{swing}_high_age", f"m1_swing_{swing}_low_age"


def _distances(x: Mapping[str, Column], side: Column, swing: int) -> dict[str, Column]:
    """Distances to levels on this side and the other, and to averages; positive when still ahead."""
    up, atr = side > 0, x["m1_atr_14"]
    level, other = _facing(x, f"m1_break_{swing}", up)
    ahead = np.where(up, x[f"m1_break_{swing}_above_distance"], x[f"m1_break_{swing}_below_distance"])
    close = level - side * ahead * atr
    distance = side * np.log(level / close)
    wider, wider_other = _facing(x, f"m1_break_{_WIDER}", up)
    m5, m5_other = _facing(x, "m5_break_5", up)

    def gap(price: Column, unit: Column = atr) -> Column:
        return side * (price - close) / unit

    return {
        "level_atr": ahead,
        **{f"level_sigma_{length}": distance / x[f"m1_volatility_{length}"] for length in (15, 60, 240)},
        "other_atr": -gap(other),
        "range_atr": side * (level - other) / atr,
        "wider_atr": gap(wider),
        "wider_other_atr": -gap(wider_other),
        "m5_level_atr": gap(m5),
        "m5_other_atr": -gap(m5_other),
        **{f"ema_{length}_atr": gap(x[f"m1_ema_{length}"]) for length in (9, 21, 50, 200)},
        "m5_ema_21_atr": gap(x["m5_ema_21"], x["m5_atr_14"]),
        "h1_ema_21_atr": gap(x["h1_ema_21"], x["h1_atr_14"]),
        "atr_sigma": atr / (close * x["m1_volatility_60"]),
    }


def _motion(x: Mapping[str, Column], side: Column, swing: int) -> dict[str, Column]:
    """Where price has been going, towards the level counting as positive, and how old the levels are."""
    up, sigma = side > 0, x["m1_volatility_60"]
    high_age, low_age = (x[name] for name in _ages(swing))
    bos, choch = x[f"m1_break_{swing}_bos"], x[f"m1_break_{swing}_choch"]
    return {
        **{
            f"return_{length}_sigma": side * x[f"m1_return_{length}"] / (sigma * np.sqrt(length))
            for length in (1, 5, 15, 60)
        },
        "trend": side * x[f"m1_break_{swing}_trend"],
        "wider_trend": side * x[f"m1_break_{_WIDER}_trend"],
        "m5_trend": side * x["m5_break_5_trend"],
        "bos": side * bos,
        "choch": side * choch,
        "penetration_atr": side * (bos + choch) * x[f"m1_break_{swing}_penetration"],
        "level_age": np.where(up, high_age, low_age),
        "other_age": np.where(up, low_age, high_age),
    }


def _state(x: Mapping[str, Column], side: Column) -> dict[str, Column]:
    """Oscillators mirrored about their middle, volatility by ratios, time of day, spread."""
    return {
        **{f"{frame}_rsi": side * (x[f"{frame}_rsi_14"] - 50.0) for frame in ("m1", "m5", "h1")},
        "stochastic": side * (x["m1_stochastic_14_k"] - 50.0),
        "percent_b": side * (x["m1_bollinger_20_percent_b"] - 0.5),
        "macd_atr": side * x["m1_macd_12_26_9_histogram"] / x["m1_atr_14"],
        "width_sigma": x["m1_bollinger_20_width"] / x["m1_volatility_60"],
        "volatility_15_60": x["m1_volatility_15"] / x["m1_volatility_60"],
        "volatility_60_240": x["m1_volatility_60"] / x["m1_volatility_240"],
        "m5_m1_atr": x["m5_atr_14"] / x["m1_atr_14"],
        "h1_m1_atr": x["h1_atr_14"] / x["m1_atr_14"],
        "minute_sin": x["m1_minute_sin"],
        "minute_cos": x["m1_minute_cos"],
        "spread_atr": x["m1_spread_atr"],
    }


def _facing(x: Mapping[str, Column], family: str, up: NDArray[np.bool_]) -> tuple[Column, Column]:
    """Return the levels of a family ahead of this side and behind it."""
    above, below = x[f"{family}_above"], x[f"{family}_below"]
    return np.where(up, above, below), np.where(up, below, above)
