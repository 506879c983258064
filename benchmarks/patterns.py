"""Price action bar by bar, compared with smartmoneyconcepts, which computes a window again at each bar."""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd

from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.bars import bar_records
from mikrobot.features.pipeline import FeaturePipeline

WINDOW = 1_000
"""Bars that smartmoneyconcepts sees at each new one."""

SIDE = 5
PARTS = ("swing", "break", "gap", "order_block", "liquidity")
ROUNDS = 20
WARM = 100
"""Bars streamed before the one that is timed: between two of ours the peer has taken the processor's memory."""


def measure(frame: pd.DataFrame, scale: float = 1.0) -> Iterator[Measurement]:
    """Time a bar streamed through the whole catalog.

    Parameters
    ----------
    frame : DataFrame
        A bar frame of more than ``WINDOW + ROUNDS * (WARM + 1)`` bars.
    """
    bars = iter(bar_records("EURUSD", frame).tolist())
    pipeline, newest = FeaturePipeline(["EURUSD"]), np.empty(len(CATALOG.columns))

    def warm() -> None:
        for bar in islice(bars, WARM):
            pipeline.update_raw(0, *bar)

    def one_bar() -> None:
        pipeline.update_raw(0, *next(bars))

    def copy_row() -> None:
        newest[:] = pipeline.rows[0]

    read, window = smart_money(), frame.head(WINDOW)
    peer = Timed(f"smartmoneyconcepts on a window of {WINDOW}", lambda: read(window))
    name = f"features, one bar streamed, {len(CATALOG.columns)} columns"
    yield compared(
        name,
        "us",
        Timed(name, one_bar, warm),
        peer,
        limit=Timed("copying a row", copy_row),
        rounds=scaled(ROUNDS, scale),
    )


def smart_money(parts: Sequence[str] = PARTS) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a function that computes the readings of smartmoneyconcepts for each bar of a frame, by part and column.

    Parameters
    ----------
    parts : sequence of str
        Of `PARTS`; the others are not computed.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it advertises itself when it is imported
        from smartmoneyconcepts import smc

    def read(frame: pd.DataFrame) -> pd.DataFrame:
        bars = frame.reset_index(drop=True)
        swings = smc.swing_highs_lows(bars, SIDE)
        compute = {
            "swing": lambda: swings,
            "break": lambda: smc.bos_choch(bars, swings),
            "gap": lambda: smc.fvg(bars),
            "order_block": lambda: smc.ob(bars, swings),
            "liquidity": lambda: smc.liquidity(bars, swings),
        }
        readings: pd.DataFrame = pd.concat({part: compute[part]() for part in parts}, axis=1)
        return readings

    return read
