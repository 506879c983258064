"""The generated code of one row: the same bits as the definition of the inputs on arrays, for every kind of model."""

import numpy as np
import pytest

from mikrobot.models.catalog import MODELS, kind_of
from mikrobot.models.labels.samples import SIDES
from mikrobot.models.one_row import compiled

SPECIAL = (np.nan, 0.0, -0.0, 1.0, -1.0, 1e-300, 1e300, np.pi, -2.5)
CASES = [(kind, mode) for kind in sorted(MODELS) for mode in sorted(kind_of(kind).reach)]


@pytest.mark.parametrize(("kind", "mode"), CASES)
@pytest.mark.parametrize("swing", [5, 15])
def test_a_row_has_the_same_inputs_alone_as_among_others(kind, mode, swing):
    inputs = kind_of(kind).inputs(swing, mode)
    rng = np.random.default_rng(1)
    rows = rng.normal(1.0, 2.0, (300, len(inputs.columns)))
    rows[100:] = np.where(rng.random(rows[100:].shape) < 0.1, rng.choice(SPECIAL, rows[100:].shape), rows[100:])
    together = inputs(np.repeat(rows, 2, axis=0), np.tile(SIDES, len(rows)))
    alone = np.concatenate([inputs.of_one(row) for row in rows])
    np.testing.assert_array_equal(alone.view(np.uint32), together.view(np.uint32))


def test_positive_rows_need_no_array(monkeypatch):
    inputs = kind_of("bos").inputs(5, "close")
    row = np.random.default_rng(2).uniform(1.0, 2.0, len(inputs.columns))
    row[inputs.columns.index("m1_atr_14")] = 0.1
    expected = inputs(np.repeat(row[None], 2, axis=0), SIDES)
    monkeypatch.setattr(type(inputs), "__call__", None)
    np.testing.assert_array_equal(inputs.of_one(row), expected)


def test_a_function_without_a_form_for_one_row_is_refused():
    with pytest.raises(TypeError, match="sinh has no form for one row"):
        compiled(lambda x, side: {"wave": np.sinh(x["a"])}, ("a",))
    with pytest.raises(TypeError, match="median has no form for one row"):
        compiled(lambda x, side: {"middle": np.median(x["a"])}, ("a",))
