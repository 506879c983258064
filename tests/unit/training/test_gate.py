from dataclasses import replace

import pytest

from mikrobot.training.gate import Interval, Standing, against, first

SOUND = Standing(
    calibration_error=0.005, calibration_noise=0.002, latency_ms=0.1, coverage=0.12, precision=0.86, expectancy_r=-0.05
)
SKILL = Interval(0.003, 0.002, 0.004)
EVEN = Interval(0.0, -0.001, 0.001)


def refusals(ruling):
    return [clause.name for clause in ruling.clauses if not clause.passed]


def test_a_challenger_that_passes_every_clause_is_promoted_with_all_of_them_told():
    ruling = against(SOUND, SOUND, SKILL, EVEN)
    assert ruling.promote
    assert [c.name for c in ruling.clauses] == [
        *("skill", "champion", "calibration", "latency", "precision", "expectancy", "shadow")
    ]
    assert ruling.reason.count("passed") == 7


@pytest.mark.parametrize(
    ("clause", "challenger", "over_forecast", "over_champion", "shadow"),
    [
        ("skill", SOUND, Interval(0.001, -0.001, 0.003), EVEN, (0, 0)),
        ("skill", SOUND, Interval(0.02, None, None), EVEN, (0, 0)),
        ("champion", SOUND, SKILL, Interval(-0.003, -0.005, -0.001), (0, 0)),
        ("calibration", replace(SOUND, calibration_error=0.03), SKILL, EVEN, (0, 0)),
        ("latency", replace(SOUND, latency_ms=9.0), SKILL, EVEN, (0, 0)),
        ("precision", replace(SOUND, precision=0.80), SKILL, EVEN, (0, 0)),
        ("precision", replace(SOUND, coverage=0.001), SKILL, EVEN, (0, 0)),
        ("expectancy", replace(SOUND, expectancy_r=-0.06), SKILL, EVEN, (0, 0)),
        ("shadow", SOUND, SKILL, EVEN, (99, 100)),
    ],
)
def test_each_clause_refuses_by_itself_and_is_named(clause, challenger, over_forecast, over_champion, shadow):
    ruling = against(challenger, SOUND, over_forecast, over_champion, shadow)
    assert refusals(ruling) == [clause]
    assert not ruling.promote
    assert ruling.reason.startswith(f"{clause} refused: ")


def test_a_challenger_waits_where_nothing_but_its_shadow_is_missing():
    waiting = against(SOUND, SOUND, SKILL, EVEN, (0, 500))
    assert waiting.waits
    assert waiting.reason == "shadow refused: 0 predictions in the champion's shadow, 500 asked for"
    assert not against(SOUND, SOUND, EVEN, EVEN, (0, 500)).waits
    assert not against(SOUND, SOUND, SKILL, EVEN, (500, 500)).waits
    assert against(SOUND, SOUND, SKILL, EVEN, (500, 500)).promote


def test_accuracy_is_no_clause():
    assert "accuracy" not in against(SOUND, SOUND, SKILL, EVEN).reason


def test_what_was_not_traded_is_not_compared_and_says_so():
    ruling = against(replace(SOUND, expectancy_r=None), SOUND, SKILL, EVEN)
    assert ruling.promote
    assert "not compared: the challenger traded nothing" in ruling.reason


def test_without_a_champion_the_first_one_must_be_calibrated_and_fast():
    assert first(SOUND, "there was no champion").promote
    ruling = first(replace(SOUND, calibration_error=0.05, latency_ms=50.0), "there was no champion")
    assert refusals(ruling) == ["calibration", "latency"]


def test_several_refusals_are_all_told():
    ruling = against(replace(SOUND, calibration_error=0.05, latency_ms=50.0), SOUND, EVEN, EVEN)
    assert [part.split()[0] for part in ruling.reason.split("; ") if "refused" in part] == [
        *("skill", "calibration", "latency")
    ]


def test_what_chance_shows_of_calibration_error_is_forgiven():
    few = replace(SOUND, calibration_error=0.03, calibration_noise=0.015)
    assert first(few, "there was no champion").promote
    assert not first(replace(few, calibration_noise=0.005), "there was no champion").promote
