"""Model inputs for one side of a feature row, computed from catalog columns.

Inputs are relative to the symbol (in ATR, in sigmas, as ratios) and mirrored by side: a fall has the
same sign for the downward side as a rise for the upward side. One model therefore serves all symbols
and both sides, and no raw price is an input. Training and serving call the same function.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.price_grid import BOUNCING, FINEST, ROUNDED
from mikrobot.models.one_row import compiled

Column = NDArray[np.float64]
Row = Mapping[str, Column]
"""Columns of the catalog by name, each of shape (rows,)."""

FORECASTS = (5, 15, 60)
"""Horizons in minutes of the catalog's volatility forecasts."""

CONTEXT = (
    *("m1_atr_14", "m5_atr_14", "h1_atr_14"),
    *("m1_volatility_15", "m1_volatility_60", "m1_volatility_240"),
    *("m1_tick", "m1_tick_noise"),
    *(f"m1_har_s_{minutes}" for minutes in FORECASTS),
    *("m1_season", "m1_season_15", "m1_season_60"),
    *("m1_activity_range_3", "m1_activity_range_30", "m1_activity_range_120"),
    *("m1_activity_move_10", "m1_activity_move_120", "m1_activity_move_3000"),
    *("m1_return_1", "m1_return_5", "m1_return_15", "m1_return_60"),
    *("m1_rsi_14", "m5_rsi_14", "h1_rsi_14", "m1_stochastic_14_k"),
    *("m1_bollinger_20_percent_b", "m1_bollinger_20_width", "m1_macd_12_26_9_histogram"),
    *("m1_ema_9", "m1_minute_sin", "m1_minute_cos", "m1_spread_atr"),
)
"""Columns of `motion` and `state`, which every model uses."""

LEVELS = (
    *("season", "season_15", "season_60"),
    *("activity_range_3", "activity_range_30", "activity_range_120"),
    *("activity_move_10", "activity_move_120", "activity_move_3000"),
)
"""Inputs of `state` that are logarithms of volatilities: the components of the volatility forecast."""

_EXTREMES, _ROUND = (60, 240, 1440), (1, 10)
_FAMILIES = (*(f"m1_extreme_{minutes}" for minutes in _EXTREMES), "m1_day", *(f"m1_round_{step}" for step in _ROUND))
_PATH = ("m1_efficiency_10", "m1_efficiency_30", "m1_variance_ratio_60", "m1_autocorrelation_60")
_FLOW = ("m1_relative_volume", "m1_relative_trades", "m1_trade_size_60")

SURROUNDINGS = (
    *("m1_atr_14", "m5_atr_14", "m1_ema_9", "m1_har_s_15"),
    *(f"{family}_{side}" for family in _FAMILIES for side in ("above", "below")),
    *("m1_day_previous_above", "m1_day_previous_below", "m1_session_minutes"),
    *(*_PATH, "m1_streak", *_FLOW, "m1_taker_balance_60", "m1_taker_share_ema_60", "m1_vwap_score"),
    *("m5_forming_return", "m5_forming_high", "m5_forming_low", "m5_forming_minutes_left"),
    *(f"m1_lead_return_{bars}" for bars in (1, 5, 15)),
    *("m1_lead_break_5_bos", "m1_lead_break_5_trend"),
    *("m1_news_since", "m1_news_until"),
)
"""Columns of `surroundings`."""


@dataclass(frozen=True)
class SideInputs(ABC):
    """The inputs for one side of a feature row.

    Attributes
    ----------
    swing : int
        Bars on each side of the swings that form the levels; the catalog has 5 and 15 on M1.
    """

    swing: int = 5

    @property
    @abstractmethod
    def needed(self) -> tuple[str, ...]:
        """Catalog columns that `make` reads; may contain duplicates."""

    @abstractmethod
    def make(self, x: Row, side: Column) -> dict[str, Column]:
        """Compute the inputs by name; the first one is NaN where there is nothing to predict."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Required catalog columns, in the order that `__call__` expects."""
        return tuple(dict.fromkeys(self.needed))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return tuple(self._named(np.ones((1, len(self.columns))), np.ones(1)))

    def levels(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the columns `LEVELS` of computed inputs, shape (rows, levels)."""
        return inputs[:, self._levels].astype(np.float64)

    @cached_property
    def _levels(self) -> list[int]:
        return [self.names.index(name) for name in LEVELS]

    def __call__(self, values: Column, side: NDArray[np.int8]) -> NDArray[np.float32]:
        """Compute the inputs of one side of each row.

        Parameters
        ----------
        values : ndarray of float64, shape (rows, columns)
            Known at the close of the row's bar, in the order of `columns`; NaN where missing.
        side : ndarray of int8, shape (rows,)
            +1 for upwards, -1 for downwards.

        Returns
        -------
        ndarray of float32, shape (rows, names)
            NaN where an input is missing or has no finite value; the first one is NaN where there is
            nothing to predict.
        """
        named = self._named(values, np.asarray(side, dtype=np.float64))
        inputs = np.empty((len(values), len(named)), dtype=np.float32)
        for number, value in enumerate(named.values()):
            inputs[:, number] = value
        inputs[~np.isfinite(inputs)] = np.nan
        return inputs

    def of_one(self, row: Column) -> NDArray[np.float32]:
        """Compute the inputs of both sides of one row; the same numbers as by a call, five times as fast.

        Parameters
        ----------
        row : ndarray of float64, shape (columns,)

        Returns
        -------
        ndarray of float32, shape (2, names)
            Upwards, then downwards.
        """
        try:
            values = compiled(self.make, self.columns)(row.tolist())
        except ArithmeticError:
            return self(np.repeat(row[None], 2, axis=0), np.array([1, -1], dtype=np.int8))
        with np.errstate(over="ignore"):
            inputs = np.array(values).astype(np.float32).reshape(2, -1)
        inputs[~np.isfinite(inputs)] = np.nan
        return inputs

    def _named(self, values: Column, side: Column) -> dict[str, Column]:
        x = dict(zip(self.columns, values.T, strict=True))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return self.make(x, side)


def motion(x: Row, side: Column) -> dict[str, Column]:
    """Return the recent direction of price: returns and oscillators, positive towards this side."""
    sigma = x["m1_volatility_60"]
    return {
        **{
            f"return_{length}_sigma": side * x[f"m1_return_{length}"] / (sigma * np.sqrt(length))
            for length in (1, 5, 15, 60)
        },
        **{f"{frame}_rsi": side * (x[f"{frame}_rsi_14"] - 50.0) for frame in ("m1", "m5", "h1")},
        "stochastic": side * (x["m1_stochastic_14_k"] - 50.0),
        "percent_b": side * (x["m1_bollinger_20_percent_b"] - 0.5),
        "macd_atr": side * x["m1_macd_12_26_9_histogram"] / smooth_atr(x),
    }


def state(x: Row) -> dict[str, Column]:
    """Return the state of the market: ratios of current, seasonal and forecast volatility, time of day, spread."""
    forecast, unit = x["m1_har_s_15"], smooth_atr(x)
    return {
        "width_sigma": x["m1_bollinger_20_width"] / x["m1_volatility_60"],
        "volatility_15_60": x["m1_volatility_15"] / x["m1_volatility_60"],
        "volatility_60_240": x["m1_volatility_60"] / x["m1_volatility_240"],
        "volatility_60_forecast": smooth_volatility(x, 60) / forecast,
        "forecast_5_60": x["m1_har_s_5"] / x["m1_har_s_60"],
        "m5_m1_atr": x["m5_atr_14"] / unit,
        "h1_m1_atr": x["h1_atr_14"] / unit,
        **{name.removeprefix("m1_"): x[name] for name in CONTEXT if name.startswith(("m1_season", "m1_activity"))},
        "minute_sin": x["m1_minute_sin"],
        "minute_cos": x["m1_minute_cos"],
        "spread_atr": x["m1_spread_atr"],
    }


def smooth_volatility(x: Row, length: int) -> Column:
    """Return the volatility of so many minutes without the noise of the price grid, at least half of it."""
    volatility = x[f"m1_volatility_{length}"]
    share = x["m1_tick_noise"] / volatility
    return volatility * np.sqrt(np.maximum(1.0 - share * share, 0.25))


def smooth_atr(x: Row) -> Column:
    """Return the ATR of M1 without the spread of the price grid, at least half of it."""
    atr, tick, noise = x["m1_atr_14"], x["m1_tick"], x["m1_tick_noise"]
    spread = (noise * noise / np.maximum(tick, FINEST) - ROUNDED * tick) / (BOUNCING - ROUNDED)
    return atr * np.maximum(1.0 - spread * x["m1_ema_9"] / atr, 0.5)


def surroundings(x: Row, side: Column) -> dict[str, Column]:
    """Return the surroundings: other key levels, recent path, order flow, lead symbol and news; NaN where unavailable.

    Distances are in forecast standard deviations of the next 15 minutes, positive while a level is ahead.
    """
    up, scale = side > 0, x["m1_atr_14"] / (x["m1_ema_9"] * x["m1_har_s_15"] * np.sqrt(15.0))
    distances: dict[str, Column] = {}
    for family in (*_FAMILIES, "m1_day_previous"):
        ahead, behind = facing(x, family, up)
        name = family.removeprefix("m1_")
        distances |= {f"{name}_ahead": ahead * scale, f"{name}_behind": behind * scale}
    highest, lowest = x["m5_forming_high"], x["m5_forming_low"]
    return {
        **distances,
        **{name.removeprefix("m1_"): x[name] for name in (*_PATH, *_FLOW)},
        "streak": side * x["m1_streak"],
        "minutes": x["m1_session_minutes"],
        "taker_balance": side * x["m1_taker_balance_60"],
        "taker_share": side * (x["m1_taker_share_ema_60"] - 0.5),
        "vwap_score": side * x["m1_vwap_score"],
        "m5_return": side * x["m5_forming_return"],
        "m5_high": np.where(up, highest, lowest),
        "m5_low": np.where(up, lowest, highest),
        "m5_minutes_left": x["m5_forming_minutes_left"],
        **{f"lead_{bars}": side * x[f"m1_lead_return_{bars}"] for bars in (1, 5, 15)},
        "lead_bos": side * x["m1_lead_break_5_bos"],
        "lead_trend": side * x["m1_lead_break_5_trend"],
        "news_since": x["m1_news_since"],
        "news_until": x["m1_news_until"],
    }


def facing(x: Row, family: str, up: NDArray[np.bool_]) -> tuple[Column, Column]:
    """Return the levels of a family ahead of this side and behind it."""
    above, below = x[f"{family}_above"], x[f"{family}_below"]
    return np.where(up, above, below), np.where(up, below, above)
