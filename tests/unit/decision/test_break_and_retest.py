"""M5 break of structure, M1 break, retest and bounce; each test also runs on the mirrored market."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.break_and_retest import BreakAndRetest, unit_of
from mikrobot.decision.strategies.m1_retest import M1Retest
from mikrobot.decision.strategies.m5_bos import M5Bos
from mikrobot.domain.trading import Side

START = datetime(2024, 3, 11, 9, 30, tzinfo=UTC)
UP, DOWN = 1, -1
BOTH = pytest.mark.parametrize("sign", [UP, DOWN])
MIRROR = 300.0
"""Twice the price at which the market is mirrored."""

Bar = tuple[float, float, float, float]
LEVEL = 146.98
BREAK = (146.97, 147.0, 146.965, 146.99)
AWAY = (146.99, 146.998, 146.99, 146.995)
RETEST = (146.995, 146.996, 146.982, 146.983)
BOUNCE = (146.983, 146.995, 146.982, 146.992)


def broken(strategy: type[BreakAndRetest], sign: int, level: float) -> Mapping[str, float]:
    """Return the feature columns of a break."""
    values = (sign, level, sign) if strategy is M5Bos else (sign, level)
    return dict(zip(strategy.columns, values, strict=True))


def outlook(minute: int, bar: Bar, features: Mapping[str, float], sign: int, atr: float = 0.05) -> Outlook:
    """Return a bar (open, high, low, close), mirrored for a market that falls."""
    opened, high, low, close = (
        bar if sign == UP else (MIRROR - bar[0], MIRROR - bar[2], MIRROR - bar[1], MIRROR - bar[3])
    )
    at = START + timedelta(minutes=minute)
    return Outlook(
        "USDJPY", at, close, 0.01, atr, 1.0, 1.0, 0.5, 0.5, "bos 7", opened, round(high, 6), round(low, 6), features
    )


def answers(
    sign: int, bars: Iterable[Bar], strategy: BreakAndRetest | None = None, *, atr: float = 0.05
) -> list[Signal | NoSignal]:
    """Return the answers to the bars after a break of structure."""
    chosen, memory = strategy or M5Bos(), {}
    level = LEVEL if sign == UP else MIRROR - LEVEL
    features = broken(type(chosen), sign, level)
    first = outlook(0, BREAK, features, sign, atr)
    later = features if isinstance(chosen, M5Bos) else broken(type(chosen), 0, level)
    given = [chosen.signal(first, memory)]
    return given + [chosen.signal(outlook(i, bar, later, sign, atr), memory) for i, bar in enumerate(bars, 1)]


def names(given: Iterable[Signal | NoSignal]) -> list[str]:
    """Return the check that refused each bar, or "signal"."""
    return ["signal" if isinstance(answer, Signal) else answer.name for answer in given]


def price(sign: int, value: float) -> float:
    return value if sign == UP else round(MIRROR - value, 6)


@BOTH
def test_a_held_retest_is_entered_beyond_the_extreme_of_the_break(sign: int) -> None:
    given = answers(sign, [BREAK, AWAY, RETEST, BOUNCE])
    assert names(given) == ["retest", "retest", "retest", "bounce", "signal"]
    signal = given[-1]
    assert isinstance(signal, Signal)
    assert signal.side is (Side.BUY if sign == UP else Side.SELL)
    assert signal.entry == price(sign, 147.006)
    assert signal.stop == price(sign, 146.965)
    assert signal.target is None
    assert [check.name for check in signal.checks] == ["bos", "m1_break", "retest", "bounce", "atr", "entry"]
    assert all(check.passed for check in signal.checks)


@pytest.mark.parametrize(("extreme", "trigger"), [(147.000, 147.006), (171.133, 171.139)])
def test_the_entry_lies_six_tenths_of_a_pip_beyond_the_extreme(extreme: float, trigger: float) -> None:
    shift = extreme - 147.0
    moved = [tuple(value + shift for value in bar) for bar in (BREAK, AWAY, RETEST, BOUNCE)]
    strategy, memory = M5Bos(), {}
    features = broken(M5Bos, UP, LEVEL + shift)
    given = [strategy.signal(outlook(i, bar, features, UP), memory) for i, bar in enumerate([moved[0], *moved])]
    assert given[-1].entry == pytest.approx(trigger, abs=1e-9)


def test_the_units_of_the_instruments() -> None:
    expected = {
        "EURUSD": 0.0001, "USDJPY": 0.01, "BTCUSDT": 10, "ETHUSDT": 1, "BNBUSDT": 0.1, "LTCUSDT": 0.1, "SOLUSDT": 0.01,
        "AVAXUSDT": 0.01, "DOTUSDT": 0.01, "LINKUSDT": 0.01, "XRPUSDT": 0.001, "ADAUSDT": 0.001, "NAS100": 1,
    }  # fmt: skip
    assert {symbol: unit_of(symbol) for symbol in expected} == expected


@BOTH
def test_a_break_against_or_without_a_structure_begins_no_setup(sign: int) -> None:
    for structure in (0, -sign):
        features = dict(zip(M5Bos.columns, (sign, LEVEL, structure), strict=True))
        assert M5Bos().signal(outlook(0, BREAK, features, sign), {}).name == "bos"


@BOTH
def test_the_m1_break_is_a_later_close_beyond_the_level(sign: int) -> None:
    inside = (146.97, 147.0, 146.96, 146.98)
    assert names(answers(sign, [inside, inside, BREAK])) == ["retest", "m1_break", "m1_break", "retest"]


@BOTH
def test_a_level_that_has_not_held_ends_the_setup(sign: int) -> None:
    deep = (146.995, 146.996, 146.9719, 146.983)
    assert names(answers(sign, [BREAK, AWAY, deep, BOUNCE])) == ["retest", "retest", "retest", "retest", "bos"]
    within = (146.995, 146.996, 146.9721, 146.983)
    assert names(answers(sign, [BREAK, AWAY, within, BOUNCE]))[-1] == "signal"


@BOTH
def test_a_retest_comes_within_its_largest_distance(sign: int) -> None:
    for low, expected in ((146.9881, "retest"), (146.988, "signal")):
        bounce = (146.989, 146.995, low, 146.992)
        assert names(answers(sign, [BREAK, AWAY, bounce]))[-1] == expected


@BOTH
def test_a_formation_has_three_bars_at_least(sign: int) -> None:
    assert names(answers(sign, [BREAK, BOUNCE, BOUNCE])) == ["retest", "retest", "formation", "signal"]


@pytest.mark.parametrize(("atr", "expected"), [(0.0399, "atr"), (0.04, "signal"), (0.15, "signal"), (0.1501, "atr")])
def test_an_atr_outside_4_to_15_pips_is_not_traded(atr: float, expected: str) -> None:
    given = answers(UP, [BREAK, AWAY, RETEST, BOUNCE, BOUNCE], atr=atr)
    assert names(given)[-2:] == [expected, "bos"]


@BOTH
def test_an_unknown_atr_is_not_traded(sign: int) -> None:
    assert names(answers(sign, [BREAK, AWAY, RETEST, BOUNCE], atr=float("nan")))[-1] == "atr"


@BOTH
def test_an_entry_that_the_close_has_passed_is_not_traded(sign: int) -> None:
    jump = (146.983, 147.01, 146.982, 147.0061)
    assert names(answers(sign, [BREAK, AWAY, RETEST, jump]))[-1] == "entry"


@BOTH
def test_a_setup_ends_after_its_minutes(sign: int) -> None:
    strategy = M5Bos(setup_minutes=3)
    assert names(answers(sign, [BREAK, AWAY, AWAY, RETEST, BOUNCE], strategy)) == [
        "retest", "retest", "retest", "retest", "setup_age", "bos",
    ]  # fmt: skip


def test_a_new_break_replaces_the_setup() -> None:
    strategy, memory = M5Bos(), {}
    for i, bar in enumerate((BREAK, BREAK, AWAY)):
        strategy.signal(outlook(i, bar, broken(M5Bos, UP, LEVEL), UP), memory)
    answer = strategy.signal(outlook(3, AWAY, broken(M5Bos, UP, 146.99), UP), memory)
    assert answer.text.startswith("146.99 was broken upwards by 2024-03-11T09:33")
    assert memory["setup"]["bars"] == 0


@BOTH
def test_m1_retest_takes_the_bar_of_its_break_and_a_target_of_twice_the_stop(sign: int) -> None:
    given = answers(sign, [AWAY, RETEST, BOUNCE], M1Retest())
    assert names(given) == ["retest", "retest", "bounce", "signal"]
    signal = given[-1]
    assert signal.entry == price(sign, 147.006)
    assert signal.target == pytest.approx(price(sign, 147.006 + 2 * (147.006 - 146.965)))


def test_profiles_choose_the_distances() -> None:
    strategy = M5Bos(trigger_units=0.8, retest_units=0.5)
    assert names(answers(UP, [BREAK, AWAY, (146.989, 146.995, 146.986, 146.992)], strategy))[-1] == "retest"
    signal = answers(UP, [BREAK, AWAY, RETEST, BOUNCE], strategy)[-1]
    assert signal.entry == 147.008
