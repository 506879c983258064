"""The fixed limit of drift: half of the columns with a PSI above it."""

import numpy as np
import pandas as pd

from mikrobot.monitoring.fixed_limit import exceeds_fixed_limit


def test_half_of_the_columns_must_have_drifted() -> None:
    rng = np.random.default_rng(0)
    reference = pd.DataFrame({name: rng.normal(size=5_000) for name in "abcd"})
    windows = []
    for drifted in range(4):
        window = pd.DataFrame({name: rng.normal(size=2_000) for name in "abcd"})
        window[list("abcd")[:drifted]] += 1.0
        windows.append(window)
    assert exceeds_fixed_limit(reference, windows, list("abcd")) == [False, False, True, True]
