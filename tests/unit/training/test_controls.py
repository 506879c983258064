import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.training.controls import controls, flipped, gaussian


def trending(n: int = 20_000) -> pd.DataFrame:
    """A market whose bars tend to repeat the direction of the previous bar; volatile at 17:00, with a gap."""
    rng = np.random.default_rng(1)
    minute = np.delete(np.arange(n + 100), slice(5000, 5100))
    sigma = 1e-4 * np.where((minute // 60) % 24 == 17, 5.0, 1.0)
    shocks = rng.normal(size=n)
    moves = sigma * (shocks + np.roll(shocks, 1))
    close = np.exp(moves.cumsum())
    opened = np.roll(close, 1) * np.exp(1e-5 * rng.normal(size=n))
    opened[0] = 1.0
    frame = pd.DataFrame(
        {
            "open_time": pd.Timestamp("2024-03-04", tz="UTC") + pd.to_timedelta(minute, "min"),
            "open": opened,
            "high": np.maximum(opened, close) * np.exp(np.abs(sigma * rng.normal(size=n))),
            "low": np.minimum(opened, close) * np.exp(-np.abs(sigma * rng.normal(size=n))),
            "close": close,
            "volume": rng.uniform(1, 10, n),
            "spread": np.full(n, np.nan),
        }
    )
    return frame.assign(**{name: np.nan for name in BAR_COLUMNS if name not in frame})[list(BAR_COLUMNS)]


BARS = trending()


def autocorrelation(bars: pd.DataFrame) -> float:
    moves = np.diff(np.log(bars["close"]))
    return float(np.corrcoef(moves[1:], moves[:-1])[0, 1])


@pytest.mark.parametrize("make", [flipped, gaussian])
def test_a_control_is_sound_bars_at_the_same_times(make) -> None:  # type: ignore[no-untyped-def]
    control = make(BARS, np.random.default_rng(1))
    assert list(control.columns) == list(BARS.columns)
    for name in ("open_time", "volume"):
        pd.testing.assert_series_equal(control[name], BARS[name])
    assert (control["low"] > 0).all()
    assert (control["high"] >= control[["open", "close"]].max(axis=1)).all()
    assert (control["low"] <= control[["open", "close"]].min(axis=1)).all()


@pytest.mark.parametrize("make", [flipped, gaussian])
def test_the_direction_is_gone_and_the_season_stays(make) -> None:  # type: ignore[no-untyped-def]
    assert autocorrelation(BARS) > 0.3
    control = make(BARS, np.random.default_rng(1))
    assert abs(autocorrelation(control)) < 0.03
    noon = BARS["open_time"].dt.hour == 17
    spread = np.log(control["high"] / control["low"])
    assert spread[noon].mean() / spread[~noon].mean() == pytest.approx(5, rel=0.35)


def test_flipped_bars_keep_their_ranges_to_the_minute() -> None:
    control = flipped(BARS, np.random.default_rng(1))
    np.testing.assert_allclose(np.log(control["high"] / control["low"]), np.log(BARS["high"] / BARS["low"]), atol=1e-12)
    body, before = np.log(control["close"] / control["open"]), np.log(BARS["close"] / BARS["open"])
    np.testing.assert_allclose(np.abs(body), np.abs(before), atol=1e-12)
    assert (np.sign(body) == np.sign(before)).mean() == pytest.approx(0.5, abs=0.02)


def test_a_seed_makes_the_same_controls() -> None:
    one, again, other = (controls({"EURUSD": BARS}, seed)["flipped"]["EURUSD"] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert not one["close"].equals(other["close"])


def test_no_bars_stay_none() -> None:
    assert flipped(BARS[:0], np.random.default_rng(1)).empty
    assert gaussian(BARS[:0], np.random.default_rng(1)).empty
