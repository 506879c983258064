r"""The coefficients of the volatility forecasts, fitted on years of bars and evaluated on later ones.

::

    python -m benchmarks.studies.volatility \\
        --fit EURUSD_M1.parquet 2014-01-01 2018-07-01 --fit BTCUSDT_M1.parquet 2022-07-01 2024-07-01 \\
        --judge EURUSD_M1.parquet 2018-07-01 2019-07-01 --judge BTCUSDT_M1.parquet 2024-07-01 2025-01-01

prints the constants of `mikrobot.features.library.volatility`, their goodness of fit, and the AUC uplift for
breaks of structure of a random walk with the forecast deviation over one with the ATR. That module
computes the forecast itself; nothing here runs in production.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from mikrobot.domain.errors import DataError
from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.grid import tick
from mikrobot.features.library.indicators import atr
from mikrobot.features.library.season import season
from mikrobot.features.library.structure import breaks, swing
from mikrobot.features.library.volatility import MOVES, RANGES, activity, bar, ewma_volatility, har, har_s
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.models.labels.breaks import bos
from mikrobot.models.labels.samples import Prices, after_minutes

Floats = NDArray[np.float64]

HORIZONS = (5, 15, 60)
HAR_HALF_LIVES = (10, 30, 120, 1440)
RANGE_OF_A_WALK = 1.6  # sqrt(8 / pi): mean range of a Brownian motion of deviation 1 over time 1
LEAST_RANGE = 2e-5
"""Added to the range of closes before its logarithm is taken: one or two ticks of a currency pair."""

STRIDE = 3
"""Every third bar is used in the fit, because neighbouring bars are nearly redundant."""

CATALOG = Catalog(
    bar(),
    tick(),
    *ewma_volatility.each(half_life=HAR_HALF_LIVES),
    har(),
    season(),
    activity(),
    har_s(),
    atr(length=14),
    *swing.each(side=(5, 15)),
    *breaks.each(side=(5, 15)),
)
LEVELS = [*(f"m1_activity_range_{bars}" for bars in RANGES), *(f"m1_activity_move_{bars}" for bars in MOVES)]


def rows(path: Path, start: str, end: str) -> pd.DataFrame:
    """Compute the feature rows of a span; all earlier bars are the warm-up.

    Parameters
    ----------
    path : Path
        Parquet, columns ``ts`` (UTC), ``open``, ``high``, ``low``, ``close``; one symbol, M1.
    start, end : str
        Days; the end is exclusive.

    Returns
    -------
    DataFrame
        ``close_time``, ``high``, ``low``, ``close`` and the columns of `CATALOG`; rows with every one of `LEVELS`.

    Raises
    ------
    DataError
        If the file has no such rows.
    """
    bars = pd.read_parquet(path, columns=["ts", "open", "high", "low", "close"]).rename(columns={"ts": "open_time"})
    bars = bars[bars["open_time"] < pd.Timestamp(end, tz="UTC")].reindex(columns=list(BAR_COLUMNS))
    frame = FeaturePipeline([path.stem], CATALOG).frame(path.stem, bars)
    frame = frame.assign(**{name: bars[name].to_numpy() for name in ("high", "low", "close")})
    span = frame[(frame["close_time"] > pd.Timestamp(start, tz="UTC")) & frame[LEVELS[0]].notna()]
    if span.empty:
        raise DataError(
            f"{path}: expected bars from {start} to {end} after a day of others, found none; widen the span"
        )
    return span.reset_index(drop=True)


def realised(span: pd.DataFrame, minutes: int) -> Floats:
    """Return the realised log deviation per root minute of the next closes.

    Returns
    -------
    ndarray of float64, shape (rows,)
        Estimated from the range of this close and the closes of the next `minutes`; NaN where a minute is missing.
    """
    closes = np.log(span["close"])
    highest, lowest = (closes.rolling(minutes + 1).agg(kind).shift(-minutes) for kind in ("max", "min"))
    deviation = np.log((highest - lowest).to_numpy() + LEAST_RANGE) - 0.5 * np.log(minutes) - np.log(RANGE_OF_A_WALK)
    row = np.arange(len(span))
    deviation[after_minutes(_prices(span).minute, minutes) != row + minutes] = np.nan
    return np.asarray(deviation)


def fit_har_s(spans: Sequence[pd.DataFrame], minutes: int) -> Floats:
    """Fit the weights of HAR-S by least squares of logarithms; every span has the same total weight.

    Returns
    -------
    ndarray of float64, shape (9,)
        Weights of `LEVELS`, of the season ahead, and of the constant 1.
    """
    parts = [(_regressors(span, minutes), realised(span, minutes)) for span in spans]
    return _least_squares(parts)


def fit_har(spans: Sequence[pd.DataFrame], minutes: int) -> Floats:
    """Fit the weights of the plain HAR by least squares, in units of its slowest average.

    Returns
    -------
    ndarray of float64, shape (4,)
        Weights of the averages of `HAR_HALF_LIVES`.
    """
    parts = []
    for span in spans:
        averages = span[[f"m1_ewma_volatility_{bars}" for bars in HAR_HALF_LIVES]].to_numpy()
        unit = averages[:, -1] + LEAST_RANGE
        parts.append((averages / unit[:, None], np.exp(realised(span, minutes)) / unit))
    return _least_squares(parts)


def forecast(span: pd.DataFrame, weights: Floats, minutes: int) -> Floats:
    """Return the log deviation forecast by HAR-S with these weights."""
    return np.asarray(_regressors(span, minutes) @ weights)


def explained(span: pd.DataFrame, log_forecast: Floats, minutes: int) -> tuple[float, float]:
    """Return the share of the variance of `realised` explained by a log forecast, and its mean error."""
    deviation = realised(span, minutes)
    own = np.isfinite(deviation) & np.isfinite(log_forecast)
    error = deviation[own] - log_forecast[own]
    return float(1.0 - np.mean(error**2) / np.var(deviation[own])), float(np.mean(error))


def break_auc(span: pd.DataFrame, sigma: Floats, side: int, minutes: int) -> float:
    """Return the AUC of a random walk of deviation `sigma` for breaks by the close.

    For every horizon its probability falls with distance over sigma, so that ratio gives the same ranking.
    """
    levels = span[[f"m1_break_{side}_above", f"m1_break_{side}_below"]].to_numpy()
    labels = bos(_prices(span), levels, minutes)
    return float(roc_auc_score(labels.outcome, -labels.distance / sigma[labels.row]))


def fit(spans: Sequence[pd.DataFrame]) -> Iterable[str]:
    """Yield the constants, fitted on all spans, and their goodness of fit on each span."""
    yield _constant("HAR_15", fit_har(spans, 15))
    for minutes in HORIZONS:
        weights = fit_har_s(spans, minutes)
        yield _constant(f"HAR_S_{minutes}", weights)
        for span in spans:
            share, error = explained(span, forecast(span, weights, minutes), minutes)
            yield f"# {span['symbol'].iloc[0]}: R2 {share:.3f}, mean error {error:+.3f}"


def judge(span: pd.DataFrame) -> Iterable[str]:
    """Yield the AUC of the catalog's forecasts on a span, compared with the ATR."""
    by_atr = (span["m1_atr_14"] / span["close"]).to_numpy()
    for side, minutes in ((5, 5), (5, 15), (15, 15)):
        auc = {"ATR": break_auc(span, by_atr, side, minutes)}
        for name in ("m1_har_15", f"m1_har_s_{minutes}"):
            auc[name] = break_auc(span, span[name].to_numpy(), side, minutes)
        values = ", ".join(f"{name} {value:.4f} ({value - auc['ATR']:+.4f})" for name, value in auc.items())
        yield f"{span['symbol'].iloc[0]}, swings of {side}, {minutes} minutes: AUC {values}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the fits, then the evaluations, of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.volatility", description=__doc__.split("\n")[0])
    for name, action in (("fit", "print the constants fitted on"), ("judge", "evaluate the catalog's forecasts on")):
        parser.add_argument(
            f"--{name}",
            nargs=3,
            action="append",
            default=[],
            metavar=("FILE", "FROM", "TO"),
            help=f"{action} these days of an M1 Parquet file; may be repeated",
        )
    given = parser.parse_args(arguments)
    if given.fit:
        spans = [rows(Path(path), start, end) for path, start, end in given.fit]
        print(*fit(spans), sep="\n")
    for path, start, end in given.judge:
        print(*judge(rows(Path(path), start, end)), sep="\n")


def _prices(span: pd.DataFrame) -> Prices:
    minute = np.asarray(span["close_time"].dt.tz_localize(None), dtype="datetime64[m]").astype(np.int64)
    return Prices(minute, *(span[name].to_numpy() for name in ("high", "low", "close")))


def _regressors(span: pd.DataFrame, minutes: int) -> Floats:
    columns = span[[*LEVELS, f"m1_season_{minutes}"]].to_numpy()
    return np.column_stack((columns, np.ones(len(columns))))


def _least_squares(parts: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Fit one set of weights to several samples, each of the same total weight."""
    inputs, outcomes = [], []
    for x, y in parts:
        chosen = np.flatnonzero(np.isfinite(y) & np.isfinite(x).all(axis=1))[::STRIDE]
        inputs.append(x[chosen] / np.sqrt(len(chosen)))
        outcomes.append(y[chosen] / np.sqrt(len(chosen)))
    weights: Floats = np.linalg.lstsq(np.vstack(inputs), np.concatenate(outcomes), rcond=None)[0]
    return weights


def _constant(name: str, weights: Floats) -> str:
    return f"{name} = ({', '.join(f'{weight:.4f}' for weight in weights)})"


if __name__ == "__main__":
    main()
