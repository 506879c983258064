"""Volatility measures and volatility forecasts.

All values are log returns; a deviation is per square root of a minute. A forecast times the square
root of the minutes ahead is the standard deviation of the price over them. Uses closed bars only.
The coefficients of the forecasts are fitted by `python -m benchmarks.studies.volatility`.
"""

from math import exp, log, nan, sqrt

from mikrobot.features.kernel.feature import LOG_RETURN, Output, Quantity, fading, feature
from mikrobot.features.kernel.parts import AVERAGE, F8, I8, State, approach, compiled
from mikrobot.features.library.grid import spread_of
from mikrobot.features.library.season import LOG_RATIO

SIGMA = Quantity("log return", low=0)

LONGEST_GAP = 3600
"""Maximum seconds between two opens for which the jump between the bars counts as volatility."""

LEAST_DEVIATION = 1e-7
"""Added in quadrature to a bar's deviation, and to mean moves, so that a flat market has a logarithm."""

Weights = tuple[float, ...]
Levels = tuple[float, ...]

GARMAN_KLASS = 2.0 * log(2.0) - 1.0
DAY = 1440

CLIP, CLIP_FADING = 8.0, 1.0 - 0.5 ** (1.0 / 120)
"""A bar counts as at most 8 times the average of half-life 120, so that one shock does not look like a regime."""

NOISE_IN_MOVES = 0.4
"""Share of the variance of the grid's noise in the square of a mean move: 2 / pi where the volatility is constant; less
where it varies, because the noise then shows in quiet minutes only. On NEARUSDT of 2023, with a tick of about a
deviation of a minute, it follows from the mean moves of 1, 5 and 15 minutes."""

SPREAD_IN_DEVIATIONS = 0.8
"""Share of a spread that adds to the deviation of a bar: half the range of a random walk over its deviation."""

SMALLEST_SHARE = 0.5
"""Least share of a volatility that remains without the grid; a random walk of smaller steps would rarely trade."""

RANGES = (3, 10, 30, 120)
MOVES = (10, 120, 3000)
"""Half-lives of the averages in the forecast, in bars."""

HAR_15 = (0.4310, 0.1202, 0.0353, 0.1810)
HAR_S_5 = (0.2673, 0.4892, 0.1120, -0.9296, -0.2480, 1.1454, 0.1040, 0.8949, -0.6825)
HAR_S_15 = (0.1418, 0.4613, 0.1258, -0.9574, -0.1985, 1.2012, 0.1901, 0.9141, -0.3252)
HAR_S_60 = (0.0504, 0.4022, 0.0761, -0.7973, -0.1727, 1.1174, 0.2956, 0.9558, -0.1565)


@feature(
    "bar",
    {
        "deviation": Output(SIGMA, "Garman-Klass deviation of the bar, including the jump to its open"),
        "move": Output(LOG_RETURN, "Log return of the bar; measured from its open after a gap of over an hour"),
    },
    state=lambda: {"close": F8, "time": I8},
    warmup=lambda: 1,
)
def bar(state: State, time: int, open: float, high: float, low: float, close: float) -> tuple[float, float]:
    """Deviation and return of one bar.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    open, high, low, close : price

    Returns
    -------
    deviation : log return
        ``sqrt(max(log(h/l)**2 / 2 - (2 log 2 - 1) log(c/o)**2, 0) + jump**2)``, at least 1e-7; the
        jump is ``log(open / previous close)``, 0 after a gap of over an hour.
    move : log return
        ``log(c/o)`` plus the jump. Both are known from the second bar.

    References
    ----------
    M. B. Garman, M. J. Klass, "On the Estimation of Security Price Volatilities from Historical
    Data", Journal of Business 53 (1980), 67-78.
    """
    before, elapsed = state.close, time - state.time
    first = state.time == 0
    state.close, state.time = close, time
    if first:
        return nan, nan
    reach, body = log(high / low), log(close / open)
    jump = log(open / before) if elapsed <= LONGEST_GAP else 0.0
    within = max(0.5 * reach * reach - GARMAN_KLASS * body * body, 0.0)
    return sqrt(within + jump * jump + LEAST_DEVIATION * LEAST_DEVIATION), body + jump


@feature(
    "ewma_volatility_{half_life}",
    SIGMA,
    state=lambda half_life: {"square": AVERAGE},
    warmup=lambda half_life: half_life - 1,
    tail=lambda half_life: fading(1.0 - 0.5 ** (1.0 / half_life)),
    inputs={"move": "bar_move"},
)
def ewma_volatility(state: State, move: float, half_life: int) -> float:
    """Square root of the exponential average of squared moves, half-life `half_life` bars.

    Parameters
    ----------
    move : log return
    half_life : int, bars

    Returns
    -------
    log return
        Known from the `half_life`-th move; a plain mean over the first 1.44 half-lives.

    References
    ----------
    J. P. Morgan, Reuters, RiskMetrics Technical Document, 4th ed. (1996), 5.2.
    """
    square = approach(state.square, move * move, 1.0 - 0.5 ** (1.0 / half_life))
    return sqrt(square) if state.square.count >= half_life else nan


@feature(
    "har_15",
    SIGMA,
    warmup=lambda: 0,
    inputs={
        "short": "ewma_volatility_10",
        "middle": "ewma_volatility_30",
        "long": "ewma_volatility_120",
        "day": "ewma_volatility_1440",
    },
)
def har(short: float, middle: float, long: float, day: float) -> float:
    """Forecast of a plain HAR model for the next 15 minutes: deviation per root minute.

    Parameters
    ----------
    short, middle, long, day : log return
        Exponential volatilities of half-lives 10, 30, 120 and 1440 bars.

    Returns
    -------
    log return, per root minute
        Their sum weighted by `HAR_15`. The model has no season and no intercept, so it is scale-free.

    References
    ----------
    F. Corsi, "A Simple Approximate Long-Memory Model of Realized Volatility", Journal of Financial
    Econometrics 7 (2009), 174-196.
    """
    return HAR_15[0] * short + HAR_15[1] * middle + HAR_15[2] * long + HAR_15[3] * day


@feature(
    "activity",
    {
        **{
            f"range_{bars}": Output(
                LOG_RATIO, f"Log of the deseasonalised volatility of bars, averaged with half-life {bars}"
            )
            for bars in RANGES
        },
        **{
            f"move_{bars}": Output(
                LOG_RATIO, f"Log of the deseasonalised size of moves, averaged with half-life {bars}"
            )
            for bars in MOVES
        },
    },
    state=lambda: {
        "bars": I8,
        **dict.fromkeys(("usual_deviation", "usual_move"), F8),
        **{f"range_{bars}": F8 for bars in RANGES},
        **{f"move_{bars}": F8 for bars in MOVES},
    },
    warmup=lambda: DAY - 1,
    tail=lambda: fading(1.0 - 0.5 ** (1.0 / max(MOVES))),
    inputs={
        **{"deviation": "bar_deviation", "move": "bar_move", "season": "season"},
        **{"tick": "tick", "noise": "tick_noise"},
    },
    optional=("tick", "noise"),
)
def activity(
    state: State, deviation: float, move: float, season: float, tick: float, noise: float
) -> tuple[float, float, float, float, float, float, float]:
    """Deseasonalised averages of volatility with several half-lives.

    Parameters
    ----------
    deviation, move : log return
        See `bar`.
    season : log ratio
        Seasonal factor of the bar.
    tick, noise : log return
        See `grid.tick`: once known, the noise is taken out of moves, and its spread out of deviations.

    Returns
    -------
    range_3, range_10, range_30, range_120 : log return, as logarithm
        Mean of the deviation and the absolute move.
    move_10, move_120, move_3000 : log return, as logarithm
        Absolute move, plus 1e-7. All are known after a day of bars. The weight of older bars halves
        in the half-life of a column; through the season it decays over months.
    """
    state.bars += 1
    start = 1.0 / state.bars
    usual = exp(-season)
    deviated, moved = deviation * usual, abs(move) * usual
    share = max(CLIP_FADING, start)
    state.usual_deviation += share * (deviated - state.usual_deviation)
    state.usual_move += share * (moved - state.usual_move)
    deviated, moved = min(deviated, CLIP * state.usual_deviation), min(moved, CLIP * state.usual_move)
    if noise == noise:
        deviated *= without_spread(spread_of(tick, noise) * usual, state.usual_deviation)
        moved *= without_noise(noise * usual, state.usual_move)
    size = 0.5 * (deviated + moved)
    state.range_3 += max(1.0 - 0.5 ** (1.0 / 3), start) * (size - state.range_3)
    state.range_10 += max(1.0 - 0.5 ** (1.0 / 10), start) * (size - state.range_10)
    state.range_30 += max(1.0 - 0.5 ** (1.0 / 30), start) * (size - state.range_30)
    state.range_120 += max(1.0 - 0.5 ** (1.0 / 120), start) * (size - state.range_120)
    state.move_10 += max(1.0 - 0.5 ** (1.0 / 10), start) * (moved - state.move_10)
    state.move_120 += max(1.0 - 0.5 ** (1.0 / 120), start) * (moved - state.move_120)
    state.move_3000 += max(1.0 - 0.5 ** (1.0 / 3000), start) * (moved - state.move_3000)
    if state.bars < DAY:
        return nan, nan, nan, nan, nan, nan, nan
    return (
        log(state.range_3),
        log(state.range_10),
        log(state.range_30),
        log(state.range_120),
        log(state.move_10 + LEAST_DEVIATION),
        log(state.move_120 + LEAST_DEVIATION),
        log(state.move_3000 + LEAST_DEVIATION),
    )


@compiled
def without_spread(spread: float, deviation: float) -> float:
    """Return the share of a mean deviation that remains without the spread in its ranges."""
    return max(1.0 - SPREAD_IN_DEVIATIONS * spread / deviation, SMALLEST_SHARE)


@compiled
def without_noise(noise: float, move: float) -> float:
    """Return the share of a mean move that remains without the noise of the grid; 1 where nothing moves."""
    if move <= 0.0:
        return 1.0
    share = noise / move
    return sqrt(max(1.0 - NOISE_IN_MOVES * share * share, SMALLEST_SHARE * SMALLEST_SHARE))


@feature(
    "har_s",
    {
        f"{minutes}": Output(SIGMA, f"HAR-S forecast of the deviation per root minute over the next {minutes} minutes")
        for minutes in (5, 15, 60)
    },
    warmup=lambda: 0,
    inputs={
        **{f"range_{bars}": f"activity_range_{bars}" for bars in RANGES},
        **{f"move_{bars}": f"activity_move_{bars}" for bars in MOVES},
    },
)
def har_s(
    range_3: float,
    range_10: float,
    range_30: float,
    range_120: float,
    move_10: float,
    move_120: float,
    move_3000: float,
    season_5: float,
    season_15: float,
    season_60: float,
) -> tuple[float, float, float]:
    """HAR-S: a seasonal, heterogeneous autoregression of log volatility.

    Parameters
    ----------
    range_3, range_10, range_30, range_120, move_10, move_120, move_3000 : log return, as logarithm
        See `activity`.
    season_5, season_15, season_60 : log ratio
        Seasonal factor over the minutes ahead.

    Returns
    -------
    next 5, next 15, next 60 minutes : log return, per root minute
        The exponential of the sum weighted by `HAR_S_5`, `HAR_S_15` and `HAR_S_60`, which are the
        same for every symbol. The usual range of the closes over h minutes is 1.6 sqrt(h) times
        the forecast. It is known after a day, but the season takes months to learn. On EURUSD in
        2018 the 15-minute forecast of a new stream differed from that of a stream with months of
        history by 12 % in the median after the first day, 8 % after 5 days, 3 % after 60.

    References
    ----------
    F. Corsi, "A Simple Approximate Long-Memory Model of Realized Volatility", Journal of Financial
    Econometrics 7 (2009), 174-196. T. G. Andersen, T. Bollerslev, "Intraday periodicity and volatility
    persistence in financial markets", Journal of Empirical Finance 4 (1997), 115-158.
    """
    levels = (range_3, range_10, range_30, range_120, move_10, move_120, move_3000)
    return (
        exp(weighed(HAR_S_5, levels, season_5)),
        exp(weighed(HAR_S_15, levels, season_15)),
        exp(weighed(HAR_S_60, levels, season_60)),
    )


@compiled
def weighed(weights: Weights, levels: Levels, ahead: float) -> float:
    """Return the log forecast: the weighted sum of the levels, the season ahead and 1, in this order."""
    ranges = weights[0] * levels[0] + weights[1] * levels[1] + weights[2] * levels[2] + weights[3] * levels[3]
    moves = weights[4] * levels[4] + weights[5] * levels[5] + weights[6] * levels[6]
    return ranges + moves + weights[7] * ahead + weights[8]
