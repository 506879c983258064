from dataclasses import replace

import pytest

from mikrobot.training.day_bootstrap import Interval
from mikrobot.training.promotion_gate import Differences, ModelFigures, against, first

LOSING = Interval(-7.3, -7.6, -7.0)
EARNING = Interval(0.05, 0.01, 0.09)
SKILL = Interval(0.003, 0.002, 0.004)
SOUND = ModelFigures(
    calibration_error=0.005,
    calibration_noise=0.002,
    brier_skill=SKILL,
    latency_ms=0.1,
    coverage=0.12,
    precision=0.86,
    expectancy_r=EARNING,
)
EVEN = Interval(0.0, -0.001, 0.001)
WORSE = Interval(-0.003, -0.005, -0.001)
ALIKE = Differences(auc=EVEN, precision=EVEN, expectancy_r=EVEN)


def refusals(ruling):
    return [clause.name for clause in ruling.clauses if not clause.passed]


def test_a_challenger_that_passes_every_clause_is_promoted_and_each_is_named():
    ruling = against(SOUND, SOUND, SKILL, ALIKE)
    assert ruling.promote
    assert [c.name for c in ruling.clauses] == [
        *("skill", "champion", "calibration", "brier", "latency", "precision", "expectancy", "shadow")
    ]
    assert ruling.reason.count("passed") == 8


@pytest.mark.parametrize(
    ("clause", "challenger", "over_baseline", "over_champion", "shadow"),
    [
        ("skill", SOUND, Interval(0.001, -0.001, 0.003), ALIKE, (0, 0)),
        ("skill", SOUND, Interval(0.02, None, None), ALIKE, (0, 0)),
        ("champion", SOUND, SKILL, replace(ALIKE, auc=WORSE), (0, 0)),
        ("calibration", replace(SOUND, calibration_error=0.03), SKILL, ALIKE, (0, 0)),
        ("brier", replace(SOUND, brier_skill=WORSE), SKILL, ALIKE, (0, 0)),
        ("latency", replace(SOUND, latency_ms=9.0), SKILL, ALIKE, (0, 0)),
        ("precision", SOUND, SKILL, replace(ALIKE, precision=WORSE), (0, 0)),
        ("precision", replace(SOUND, coverage=0.001), SKILL, ALIKE, (0, 0)),
        ("expectancy", SOUND, SKILL, replace(ALIKE, expectancy_r=WORSE), (0, 0)),
        ("shadow", SOUND, SKILL, ALIKE, (99, 100)),
    ],
)
def test_each_clause_refuses_by_itself_and_is_named(clause, challenger, over_baseline, over_champion, shadow):
    ruling = against(challenger, SOUND, over_baseline, over_champion, shadow=shadow)
    assert refusals(ruling) == [clause]
    assert not ruling.promote
    assert ruling.reason.startswith(f"{clause} refused: ")


@pytest.mark.parametrize("figure", ["auc", "precision", "expectancy_r"])
def test_a_difference_inside_its_interval_refuses_nobody(figure):
    slightly_worse = Interval(-0.01, -0.03, 0.01)
    assert against(SOUND, SOUND, SKILL, replace(ALIKE, **{figure: slightly_worse})).promote


def test_two_expectancies_below_zero_are_not_compared():
    losing = replace(SOUND, expectancy_r=LOSING)
    ruling = against(losing, losing, SKILL, replace(ALIKE, expectancy_r=Interval(-0.1, -0.12, -0.08)))
    assert ruling.promote
    assert "not compared, since neither earns its costs: -7.3000 [-7.6000, -7.0000] R" in ruling.reason


def test_a_challenger_that_loses_where_the_champion_earns_is_refused():
    losing = replace(SOUND, expectancy_r=LOSING)
    ruling = against(losing, SOUND, SKILL, replace(ALIKE, expectancy_r=Interval(-7.35, -7.6, -7.1)))
    assert refusals(ruling) == ["expectancy"]


def test_a_challenger_waits_where_nothing_but_its_shadow_is_missing():
    waiting = against(SOUND, SOUND, SKILL, ALIKE, shadow=(0, 500))
    assert waiting.waits
    assert waiting.reason == "shadow refused: 0 shadow predictions, 500 required"
    assert not against(SOUND, SOUND, EVEN, ALIKE, shadow=(0, 500)).waits
    assert not against(SOUND, SOUND, SKILL, ALIKE, shadow=(500, 500)).waits
    assert against(SOUND, SOUND, SKILL, ALIKE, shadow=(500, 500)).promote


def test_accuracy_is_no_clause():
    assert "accuracy" not in against(SOUND, SOUND, SKILL, ALIKE).reason


def test_what_was_not_traded_is_not_compared():
    ruling = against(replace(SOUND, expectancy_r=None), SOUND, SKILL, replace(ALIKE, expectancy_r=None))
    assert ruling.promote
    assert "not compared: the challenger made too few trades" in ruling.reason


def test_without_a_champion_the_first_one_must_have_skill_and_be_calibrated_and_fast():
    assert first(SOUND, SKILL, "there was no champion").promote
    ruling = first(replace(SOUND, calibration_error=0.05, latency_ms=50.0), EVEN, "there was no champion")
    assert refusals(ruling) == ["skill", "calibration", "latency"]


def test_a_first_one_without_an_interval_is_refused():
    ruling = first(SOUND, Interval(0.02, None, None), "there was no champion")
    assert refusals(ruling) == ["skill"]
    assert "without an interval (it needs 5 days)" in ruling.reason


def test_a_champion_that_may_not_serve_any_more_is_named_by_the_ruling():
    assert first(SOUND, EVEN, "champion 3 reads other features", unfit=True).unfit == "champion 3 reads other features"
    assert first(SOUND, EVEN, "there was no champion").unfit == ""


def test_every_refusal_is_listed():
    ruling = against(replace(SOUND, calibration_error=0.05, latency_ms=50.0), SOUND, EVEN, ALIKE)
    assert [part.split()[0] for part in ruling.reason.split("; ") if "refused" in part] == [
        *("skill", "calibration", "latency")
    ]


def test_the_calibration_error_expected_by_chance_is_allowed():
    few = replace(SOUND, calibration_error=0.03, calibration_noise=0.015)
    assert first(few, SKILL, "there was no champion").promote
    assert not first(replace(few, calibration_noise=0.005), SKILL, "there was no champion").promote
