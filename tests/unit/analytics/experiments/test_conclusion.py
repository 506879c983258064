import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mikrobot.analytics.experiments import fixed
from mikrobot.analytics.experiments.conclusion import Verdict, aa_alarms, conclude, plan
from mikrobot.analytics.experiments.observations import by_day, by_trade, market_days, results_in_r
from mikrobot.analytics.experiments.wording import markdown
from mikrobot.domain.experiments import Arm, Experiment, Observation, Unit
from mikrobot.domain.serialisation import plain

START = datetime(2025, 1, 6, tzinfo=UTC)
ARMS = (Arm("control", {"profile": "session1"}, 0.5), Arm("careful", {"profile": "ftmo"}, 0.5))
PLAN = Experiment("profiles", "Is careful better?", ARMS, Unit.DAY, 0.25, 1.0, 0.05, 0.8, 0.1, START)


def observed(edge, days, seed=1, unit=Unit.DAY, common=1.0):
    """Return daily results of two accounts on one market, dominated by a common component."""
    rng = np.random.default_rng(seed)
    market = rng.normal(0, common, days)
    observations = []
    for day in range(days):
        at = START + timedelta(days=day)
        for arm, mean in (("control", 0.0), ("careful", edge)):
            shared = market[day] if unit is Unit.DAY else 0.0
            observations.append(Observation(arm, f"simulated {at:%Y-%m-%d}", at, mean + shared + rng.normal(0, 0.5)))
    return observations


def judge(edge, days, experiment=PLAN, units=None, **given):
    conclusion = conclude(
        experiment, observed(edge, days, unit=experiment.unit, **given), units or {"control": days, "careful": days}
    )
    return conclusion, conclusion.contrasts[0]


def test_a_better_arm_is_adopted():
    _, contrast = judge(0.5, 120)
    assert contrast.verdict is Verdict.BETTER
    assert "careful is better. Stop and adopt it." in contrast.words
    assert contrast.sequential.low > 0


def test_a_worse_arm_is_stopped():
    _, contrast = judge(-0.5, 120)
    assert contrast.verdict is Verdict.WORSE
    assert "keep control" in contrast.words


def test_no_difference_ends_as_futile_once_the_planned_effect_is_ruled_out():
    _, contrast = judge(0.0, 300)
    assert contrast.verdict is Verdict.FUTILE
    assert "A gain of 0.25 R per day is ruled out" in contrast.words


def test_an_experiment_with_too_few_observations_continues():
    _, contrast = judge(0.2, 40)
    assert contrast.verdict is Verdict.CONTINUE
    _, contrast = judge(0.5, 10)
    assert contrast.verdict is Verdict.CONTINUE
    assert "the first test is at 30" in contrast.words


def test_a_wrong_sample_ratio_outweighs_any_difference():
    conclusion, contrast = judge(0.5, 120, units={"control": 120, "careful": 60})
    assert conclusion.sample_ratio_p < 0.001
    assert contrast.verdict is Verdict.INVALID


def test_an_experiment_without_an_answer_ends_at_twice_its_length():
    vague = replace(PLAN, effect=3.0)
    days = 2 * plan(vague).sequential
    _, contrast = judge(0.0, days, vague, seed=3, common=0.0)
    assert contrast.verdict in (Verdict.FUTILE, Verdict.EXHAUSTED)


def test_pairing_removes_what_the_accounts_share():
    paired, independent = judge(0.3, 200, common=2.0)[1], judge(0.3, 200, replace(PLAN, unit=Unit.TRADE), common=2.0)[1]
    width = paired.sequential.high - paired.sequential.low
    assert paired.observations == independent.observations == 200
    assert width < 0.5
    assert paired.classical.difference == pytest.approx(paired.sequential.difference)


def test_several_candidates_share_the_false_alarms():
    arms = (*(replace(arm, share=1 / 3) for arm in ARMS), Arm("bold", {"profile": "lightning"}, 1 / 3))
    three = replace(PLAN, arms=arms)
    assert plan(three).sequential > plan(PLAN).sequential
    extra = [
        replace(observation, arm="bold") for observation in observed(0.0, 100, seed=9) if observation.arm == "control"
    ]
    conclusion = conclude(three, observed(0.0, 100) + extra, dict.fromkeys(("control", "careful", "bold"), 100))
    assert [contrast.arm for contrast in conclusion.contrasts] == ["careful", "bold"]


def test_an_a_a_test_of_independent_observations_keeps_its_false_alarm_rate():
    values = np.random.default_rng(5).normal(0.2, 1.5, 600)
    assert aa_alarms(values, PLAN) <= 0.05
    assert aa_alarms(values[:100], PLAN) is None


def constant(days, step=0.1):
    """Return daily results of two accounts with a constant difference."""
    rng = np.random.default_rng(7)
    days_at = [(START + timedelta(days=day), rng.normal(0, 1)) for day in range(days)]
    return [
        Observation(arm, f"simulated {at:%Y-%m-%d}", at, value + edge)
        for at, value in days_at
        for arm, edge in (("control", 0.0), ("careful", step))
    ]


def test_a_constant_difference_is_reported_as_one_without_variance():
    conclusion = conclude(PLAN, constant(60), {"control": 60, "careful": 60})
    (contrast,) = conclusion.contrasts
    assert contrast.verdict is Verdict.CONTINUE
    assert "the variance is zero, so p and the interval are undefined" in contrast.words
    assert (contrast.sequential.difference, contrast.sequential.low, contrast.classical) == (None, None, None)
    assert "the variance is zero" in markdown(PLAN, conclusion, {"control": [], "careful": []}).split("## Tests")[1]


def test_the_report_states_the_false_alarms_of_skewed_outcomes():
    conclusion, _ = judge(0.1, 60)
    assert "it gives a false alarm in 12% of simulated experiments" in markdown(
        PLAN, conclusion, {"control": [], "careful": []}
    )
    wins = [
        replace(observation, value=19.0 if n % 20 == 3 else -1.0) for n, observation in enumerate(observed(0.0, 200))
    ]
    skewed = conclude(PLAN, wins, {"control": 200, "careful": 200})
    text = markdown(PLAN, skewed, {"control": [], "careful": []})
    assert skewed.records["careful"].skewness > 2
    assert "This applies here" in text
    assert "This applies here" not in markdown(PLAN, conclusion, {"control": [], "careful": []})


def test_an_earlier_look_does_not_change_a_later_result():
    early, late = judge(0.3, 60)[1], judge(0.3, 200)[1]
    assert late.sequential.p_value <= early.sequential.p_value
    assert late.sequential.low >= early.sequential.low


def test_a_conclusion_is_plain_json_and_a_report(tmp_path):
    for days in (0, 5, 120):
        conclusion, contrast = judge(0.5, days)
        json.dumps(plain(conclusion), allow_nan=False)
        text = markdown(PLAN, conclusion, {"control": ["r1"], "careful": []})
        assert contrast.words in text
        assert "A/A test" in text
        assert "thompson" in text


def test_the_classical_tests_equal_their_formulas():
    rng = np.random.default_rng(6)
    a, b = rng.normal(0.3, 1, 50), rng.normal(0, 2, 80)
    comparison = fixed.independent(a, b, 0.05)
    error = np.sqrt(a.var(ddof=1) / 50 + b.var(ddof=1) / 80)
    assert comparison.difference == pytest.approx(a.mean() - b.mean())
    assert (comparison.high + comparison.low) / 2 == pytest.approx(comparison.difference)
    assert 1.96 * error < (comparison.high - comparison.low) / 2 < 2.02 * error
    pairs = fixed.paired(a, 0.05)
    assert (pairs.high - pairs.low) / 2 == pytest.approx(2.0096 * a.std(ddof=1) / 50**0.5, rel=1e-4)
    assert fixed.paired(np.ones(5), 0.05) is None
    assert fixed.independent(np.ones(5), b, 0.05) is None


def test_a_plan_needs_more_for_smaller_effects_and_for_constant_looking():
    longer = plan(replace(PLAN, effect=0.125))
    assert longer.fixed == pytest.approx(4 * plan(PLAN).fixed, rel=0.05)
    assert plan(PLAN).sequential > plan(PLAN).fixed
    assert plan(replace(PLAN, unit=Unit.TRADE)).fixed == pytest.approx(2 * plan(PLAN).fixed, rel=0.05)


def test_a_day_without_a_trade_counts_as_zero(closed):
    trades = [closed("100", START + timedelta(hours=9)), closed("-50", START + timedelta(hours=10))]
    observations = by_day("control", trades, ["2025-01-06", "2025-01-07"], "replay")
    assert [(observation.unit, observation.value) for observation in observations] == [
        ("replay 2025-01-06", pytest.approx(0.5)),
        ("replay 2025-01-07", 0.0),
    ]
    assert [observation.value for observation in by_trade("control", trades)] == [
        pytest.approx(1.0),
        pytest.approx(-0.5),
    ]


def test_a_trade_filled_beyond_its_stop_uses_the_median_risk(closed):
    good = closed("-100")
    gapped = replace(good, entry=replace(good.entry, price=good.order.stop))
    assert results_in_r([good, good, gapped]) == [pytest.approx(-1.0)] * 3
    assert results_in_r([gapped]) == [0.0]


def test_market_days_leave_out_weekends_of_fx():
    friday = datetime(2025, 6, 27, 12, tzinfo=UTC)
    assert market_days(friday, friday + timedelta(days=3), weekends=True)[1] == "2025-06-28"
    assert market_days(friday, datetime(2025, 6, 28, tzinfo=UTC), weekends=True) == ["2025-06-27"]
