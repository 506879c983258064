from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mikrobot.training.dataset import Dataset
from mikrobot.training.slices import slices

MakeDataset = Callable[..., Dataset]


def parted(data: Dataset, name: str) -> dict[str, int]:
    return {part: len(members) for part, members in dict(slices(data))[name].items()}


def test_every_sample_is_in_one_part_of_each_kind(make_dataset: MakeDataset) -> None:
    data = make_dataset(2000)
    for _, parts in slices(data):
        members = np.concatenate(list(parts.values()))
        assert sorted(members) == list(range(2000))


def test_sessions_follow_the_clock_of_new_york(make_dataset: MakeDataset) -> None:
    """A winter and a summer day, one sample an hour."""
    hours = np.array(["2024-03-06", "2024-03-13"], "datetime64[us]")[:, None] + np.arange(24) * np.timedelta64(1, "h")
    data = replace(make_dataset(48), time=hours.ravel())
    parts = dict(slices(data))["session"]
    winter, summer = ({name: set(m[m // 24 == day] % 24) for name, m in parts.items()} for day in (0, 1))
    assert winter["london"] == {8, 9, 10, 11, 12}
    assert summer["london"] == {7, 8, 9, 10, 11}
    assert winter["overlap"] == {13, 14, 15, 16}
    assert winter["new_york"] == {17, 18, 19, 20, 21}
    assert summer["asia"] == {21, 22, 23, 0, 1, 2, 3, 4, 5, 6}


def test_volatility_is_parted_within_each_symbol(make_dataset: MakeDataset) -> None:
    data = make_dataset(600)
    symbol = np.where(np.arange(600) < 300, "EURUSD", "BTCUSDT")
    sigma = np.random.default_rng(1).random(600) * np.where(symbol == "EURUSD", 1e-4, 1e-2)
    parts = dict(slices(replace(data, symbol=symbol, sigma_atr=sigma)))["volatility"]
    assert {name: np.sum(symbol[members] == "EURUSD") for name, members in parts.items()} == dict.fromkeys(
        ("calm", "usual", "wild"), 100
    )


def test_distances_are_parted_in_atr(make_dataset: MakeDataset) -> None:
    sigma = 1e-4
    distance = sigma * np.array([-0.1, 0.0, 0.4, 0.6, 1.5, 2.0, 9.0])
    data = replace(make_dataset(7), distance=distance, sigma_atr=np.full(7, sigma))
    assert parted(data, "distance") == {"beyond": 1, "0-0.5": 2, "0.5-1": 1, "1-2": 1, "2+": 2}


def test_minutes_left_are_those_to_the_end(make_dataset: MakeDataset) -> None:
    data = make_dataset(8)
    ends = data.time + np.array([1, 2, 3, 4] * 2) * np.timedelta64(1, "m")
    assert parted(replace(data, end=ends), "minutes_left") == dict.fromkeys("1234", 2)
