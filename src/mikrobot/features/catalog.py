"""The catalog of all features: the only list of columns in the platform.

Feast's fields, the expectation suite, Evidently's columns, MLflow's signature and
docs/features.md are generated from it.
"""

from mikrobot.domain.market import Timeframe
from mikrobot.domain.order_books import DEPTHS
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.kernel.feature import on
from mikrobot.features.library.clock import minute, news, session
from mikrobot.features.library.extremes import day, extremes, round_number
from mikrobot.features.library.forming import forming, forming_levels
from mikrobot.features.library.grid import tick
from mikrobot.features.library.habit import relative_volume
from mikrobot.features.library.indicators import atr, bollinger, ema, log_return, sma, spread_atr, volatility
from mikrobot.features.library.lead import lead_break, lead_return
from mikrobot.features.library.levels import grab, levels, retest
from mikrobot.features.library.order_book import book, depth
from mikrobot.features.library.order_flow import (
    relative_trades,
    taker_balance,
    taker_share,
    taker_share_ema,
    trade_size,
)
from mikrobot.features.library.oscillators import cci, macd, rsi, stochastic
from mikrobot.features.library.path import autocorrelation, efficiency, streak, variance_ratio
from mikrobot.features.library.profile import profile
from mikrobot.features.library.season import season
from mikrobot.features.library.structure import breaks, sequence, swing, wick_breaks
from mikrobot.features.library.volatility import activity, bar, ewma_volatility, har, har_s
from mikrobot.features.library.volume import accumulation, money_flow, obv, obv_balance, volume_roc, vwap
from mikrobot.features.library.zones import displacement, gap, order_block

LENGTHS = (9, 21, 50, 200)

CLASSIC = (
    *sma.each(length=LENGTHS),
    *ema.each(length=LENGTHS),
    rsi(length=14),
    atr(length=14),
    bollinger(length=20, width=2.0),
    macd(fast=12, slow=26, signal=9),
    stochastic(length=14, smooth=3, signal=3),
    cci(length=20),
)
"""Indicators on every timeframe."""

PRICE_ACTION = (
    sequence(side=5),
    grab(side=5),
    retest(side=5),
    levels(side=5),
    displacement(),
    gap(),
    order_block(side=5),
)
"""Price action features on both M1 and M5, in addition to swings and breaks."""

FORECAST = (
    tick(),
    bar(),
    *ewma_volatility.each(half_life=(10, 30, 120, 1440)),
    har(),
    season(),
    activity(),
    har_s(),
)
"""Volatility forecasts for the next minutes, and their inputs."""

SURROUNDINGS = (
    *extremes.each(length=(60, 240, 1440)),
    day(),
    *round_number.each(multiple=(1, 10)),
    *efficiency.each(length=(10, 30)),
    variance_ratio(length=60),
    autocorrelation(half_life=60),
    streak(),
)
"""Distances to widely watched prices, and the path of past prices."""

CATALOG = Catalog(
    *CLASSIC,
    *log_return.each(length=(1, 5, 15, 60)),
    *volatility.each(length=(15, 60, 240)),
    *swing.each(side=(5, 15)),
    *breaks.each(side=(5, 15)),
    *PRICE_ACTION,
    *wick_breaks.each(side=(5, 15)),
    sequence(side=15),
    grab(side=15),
    retest(side=15),
    minute(),
    session(),
    news(),
    spread_atr(),
    *lead_return.each(length=(1, 5, 15)),
    *lead_break.each(side=(5, 15)),
    *FORECAST,
    vwap(width=2.0),
    obv(),
    accumulation(),
    obv_balance(length=60),
    money_flow(length=20),
    volume_roc(length=10),
    relative_volume(),
    relative_trades(),
    trade_size(length=60),
    taker_share(),
    taker_share_ema(length=60),
    taker_balance(length=60),
    book(),
    *depth.each(levels=DEPTHS),
    *SURROUNDINGS,
    *on(
        Timeframe.M5,
        [
            *CLASSIC,
            *log_return.each(length=(1, 3, 12)),
            *volatility.each(length=(12, 48)),
            swing(side=5),
            breaks(side=5),
            *PRICE_ACTION,
            profile(length=48),
            forming(minutes=5),
            forming_levels(side=5),
        ],
    ),
    *on(Timeframe.H1, [*CLASSIC, *log_return.each(length=(1, 4, 24)), *volatility.each(length=(24, 120))]),
)
