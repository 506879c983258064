from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mikrobot.domain.errors import LeakageError
from mikrobot.training.dataset import Dataset
from mikrobot.training.leakage import SUSPECT, check, gains

N = 30_000
NAMES = ("honest", "slow", "noise", "planted")


@pytest.fixture(scope="module")
def market() -> tuple[Dataset, np.ndarray]:
    """Three weeks of minutes; outcomes depend on distance and on an hourly regime that the baseline does not have."""
    rng = np.random.default_rng(5)
    regime = np.repeat(rng.normal(size=N // 600), 600)
    distance = rng.exponential(1.0, N)
    logit = 1.0 - 2.0 * distance
    baseline = 1 / (1 + np.exp(-logit))
    outcome = rng.random(N) < 1 / (1 + np.exp(-logit - 0.8 * regime))
    time = np.datetime64("2024-03-04", "us") + np.arange(N) * np.timedelta64(1, "m")
    inputs = np.column_stack([distance, regime, rng.normal(size=(N, 2))]).astype(np.float32)
    inputs[rng.random(inputs.shape) < 0.02] = np.nan
    ones = np.ones(N)
    data = Dataset(
        inputs=inputs,
        outcome=outcome,
        side=np.ones(N, np.int8),
        weight=ones,
        time=time,
        end=time + np.timedelta64(15, "m"),
        symbol=np.full(N, "EURUSD"),
        distance=1e-4 * distance,
        sigma_atr=1e-4 * ones,
        sigma_forecast=np.full(N, np.nan),
        close=ones,
        move=np.zeros(N),
    )
    return data, baseline


def planted(data: Dataset, column: np.ndarray) -> Dataset:
    inputs = data.inputs.copy()
    inputs[:, 3] = column
    return replace(data, inputs=inputs)


def test_a_clean_dataset_passes(market: tuple[Dataset, np.ndarray]) -> None:
    """The regime has a large gain, and the same gain for the next label."""
    data, baseline = market
    measured = check(data, NAMES, baseline, seed=1)
    slow = measured[0]
    assert slow.name == "slow"
    assert slow.shuffled is not None
    assert slow.value > slow.shuffled + SUSPECT
    assert slow.shifted == pytest.approx(slow.value, abs=0.03)
    assert all(gain.value < 0.01 for gain in measured[1:])


def test_the_outcome_itself_is_too_good(market: tuple[Dataset, np.ndarray]) -> None:
    data, baseline = market
    leaking = planted(data, data.outcome.astype(float))
    with pytest.raises(
        LeakageError, match=r"1 of 4 inputs of EURUSD contain the outcome: planted puts 100% .* too good"
    ):
        check(leaking, NAMES, baseline, seed=1)


def test_a_noisy_look_ahead_vanishes_when_the_labels_are_shifted(market: tuple[Dataset, np.ndarray]) -> None:
    data, baseline = market
    noise = np.random.default_rng(1).normal(size=N)
    leaking = planted(data, data.outcome + 1.5 * noise)
    with pytest.raises(LeakageError, match=r"planted puts 1\d% .* of which \d% are left when the labels are shifted"):
        check(leaking, NAMES, baseline, seed=1)


def test_the_return_of_the_next_minutes_is_found(market: tuple[Dataset, np.ndarray]) -> None:
    """A column with a timestamp that is too early: its value belongs to a later close."""
    data, baseline = market
    later = data.outcome + np.random.default_rng(1).normal(0, 0.5, N)
    with pytest.raises(LeakageError, match="planted"):
        check(planted(data, later), NAMES, baseline, seed=1)
    stale = np.roll(later, 20)
    check(planted(data, stale), NAMES, baseline, seed=1)


def test_from_other_days_no_input_adds_anything(market: tuple[Dataset, np.ndarray]) -> None:
    data, baseline = market
    leaking = planted(data, data.outcome.astype(float))
    first = gains(leaking, NAMES, baseline, seed=1)[0]
    assert first.name == "planted"
    assert first.shuffled == pytest.approx(0, abs=0.01)
    assert first.shifted == pytest.approx(0, abs=0.05)


def test_too_few_samples_accuse_nobody(market: tuple[Dataset, np.ndarray]) -> None:
    data, baseline = market
    few = np.arange(900)
    assert check(planted(data, data.outcome.astype(float)).only(few), NAMES, baseline[few], seed=1) == ()


def test_pooled_symbols_are_shifted_each_for_itself(make_dataset: Callable[..., Dataset]) -> None:
    data = make_dataset(8000)
    data = replace(data, symbol=np.repeat(["EURUSD", "BTCUSDT"], 4000), time=np.tile(data.time[:4000], 2))
    data = replace(data, end=data.time + np.timedelta64(5, "m"))
    names = [f"input {number}" for number in range(data.inputs.shape[1])]
    baseline = 1 / (1 + np.exp(0.5 + data.inputs[:, 0].astype(float)))
    check(data, names, baseline, seed=1)
    data.inputs[:, 7] = data.outcome
    with pytest.raises(LeakageError, match="of BTCUSDT, EURUSD contain the outcome: input 7 puts"):
        check(data, names, baseline, seed=1)
