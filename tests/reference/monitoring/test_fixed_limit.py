"""The PSI of the fixed limit is that of Evidently."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.monitoring.fixed_limit import equal_width_psi


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "signs", "apart"])
@pytest.mark.parametrize("count", [300, 1_440])
def test_the_psi_is_that_of_evidently(kind: str, count: int) -> None:
    from evidently.legacy.calculations.stattests import psi_stat_test  # here, because its import takes seconds
    from evidently.legacy.core import ColumnType

    rng = np.random.default_rng(count)
    reference = {
        "normal": rng.normal(size=20_000),
        "heavy tails": rng.standard_t(2, size=20_000),
        "signs": rng.choice([-1.0, 0.0, 1.0], size=20_000),
        "apart": rng.normal(size=20_000),
    }[kind]
    current = rng.choice(reference, count) + (8.0 if kind == "apart" else 0.0)
    theirs, _ = psi_stat_test.func(pd.Series(reference), pd.Series(current), ColumnType.Numerical, 0.1)
    ours = equal_width_psi(reference, current, discrete=kind == "signs")
    assert ours == pytest.approx(theirs, rel=1e-9)
