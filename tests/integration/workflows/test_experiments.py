"""An experiment over the ledger: each run belongs to the arm with its settings, and later runs do not count."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from mikrobot.domain.errors import StoreError, UsageError
from mikrobot.domain.experiments import Experiment, Unit
from mikrobot.domain.trading import Decision, OrderIntent, Side
from mikrobot.runtime import ManualClock
from mikrobot.store.ledger import Ledger
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows import experiments
from tests.journals import lines_of_a_trade

START = datetime(2025, 1, 6, tzinfo=UTC)
DAYS = 50
AFTERWARDS = START + timedelta(days=400)


def planned(**replaced):
    arms = tuple(experiments.parse_arm(text, 2) for text in ("control:profile=session1", "careful:profile=ftmo"))
    fields = {
        "id": "profiles", "question": "Is careful better?", "arms": arms, "unit": Unit.DAY, "effect": 0.5,
        "deviation": 1.0, "alpha": 0.05, "power": 0.8, "floor": 0.1, "begun_at": AFTERWARDS,
    }  # fmt: skip
    return Experiment(**fields | replaced)


def record(pool, run_id, profile, edge, minutes=1):
    """Record a run of `DAYS` days with one trade a day, whose results in R are random around `edge`."""
    until = START + timedelta(days=DAYS)
    segment = {
        "symbols": ["BTCUSDT"], "history_from": START.isoformat(), "trade_from": START.isoformat(),
        "trade_until": until.isoformat(),
    }  # fmt: skip
    begun = AFTERWARDS + timedelta(minutes=minutes)
    Runs(pool).begin(
        Run(run_id, "replay", False, ("BTCUSDT",), START, until, begun, {"profile": profile, "segments": [segment]})
    )
    rng = np.random.default_rng(abs(minutes))
    for day in range(DAYS):
        at = START + timedelta(days=day, hours=9)
        left, key = at + timedelta(minutes=30), f"{run_id}/{day}"
        result = f"{100 * (edge + rng.normal(0, 0.5)):.2f}"
        order = OrderIntent(key, key, "BTCUSDT", Side.BUY, Decimal("0.1"), Decimal(59_000), Decimal(62_000), at, left)
        Ledger(pool).commit(
            run_id, left,
            decisions=[Decision(key, "BTCUSDT", at, True, Side.BUY, (), "simple_break@0")],
            orders=[order],
            journal=lines_of_a_trade(order, ("60000", "60000"), result, "0", left, first=4 * day, by="time"),
        )  # fmt: skip


def test_runs_belong_to_their_arms_and_the_better_arm_is_detected(database, pool):
    experiments.begin(database, planned())
    record(pool, "r1", "session1", 0.0, minutes=1)
    record(pool, "r2", "ftmo", 0.8, minutes=2)
    record(pool, "r3", "lightning", 5.0, minutes=3)
    status = experiments.status(database, "profiles")
    (contrast,) = status.conclusion.contrasts
    assert status.runs == {"control": ["r1"], "careful": ["r2"]}
    assert status.conclusion.units == {"control": DAYS, "careful": DAYS}
    assert contrast.observations == DAYS
    assert contrast.sequential.difference == pytest.approx(0.8, abs=0.2)
    assert "careful is better" in contrast.words


def test_a_run_before_the_plan_counts_only_if_it_is_named(database, pool):
    record(pool, "old", "session1", 0.0, minutes=-10)
    record(pool, "new", "ftmo", 0.0, minutes=10)
    experiments.begin(database, planned())
    assert experiments.status(database, "profiles").runs == {"control": [], "careful": ["new"]}
    arms = tuple(experiments.parse_arm(text, 2) for text in ("control:run=old", "careful:run=new"))
    experiments.begin(database, planned(id="named", arms=arms))
    assert experiments.status(database, "named").runs == {"control": ["old"], "careful": ["new"]}


def test_a_day_that_was_replayed_again_counts_once(database, pool):
    experiments.begin(database, planned())
    record(pool, "r1", "session1", 0.0, minutes=1)
    record(pool, "r2", "ftmo", 0.3, minutes=2)
    record(pool, "r3", "ftmo", 0.8, minutes=3)
    conclusion = experiments.status(database, "profiles").conclusion
    assert conclusion.units == {"control": DAYS, "careful": DAYS}
    assert conclusion.records["careful"].count == DAYS
    assert conclusion.records["careful"].mean == pytest.approx(0.8, abs=0.2)


def test_what_runs_after_the_end_is_not_counted(database, pool):
    experiments.begin(database, planned())
    record(pool, "r1", "session1", 0.0, minutes=1)
    record(pool, "r2", "ftmo", 0.8, minutes=2)
    stopped = experiments.stop(database, "profiles", "clear", ManualClock(AFTERWARDS + timedelta(hours=1)))
    record(pool, "r9", "ftmo", -5.0, minutes=600)
    later = experiments.status(database, "profiles")
    assert later.to_json() == stopped.to_json()
    assert later.end.reason == "clear"


def test_the_report_begins_with_the_answer(database, pool):
    experiments.begin(database, planned(unit=Unit.TRADE))
    record(pool, "r1", "session1", 0.0, minutes=1)
    record(pool, "r2", "ftmo", 0.8, minutes=2)
    _, path = experiments.write_report(database, "profiles")
    text = path.read_text()
    assert text.startswith(
        "# Experiment profiles\n\nIs careful better?\n\n**careful: stop: the candidate earns more.**"
    )
    assert "| careful | profile=ftmo | r2 | 50 | 50 |" in text


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda: experiments.parse_arm("careful", 2), "an arm is NAME:KEY=VALUE"),
        (lambda: experiments.parse_arm("careful:colour=red", 2), "colour is not a setting"),
        (lambda: experiments.parse_arm("careful:profile=reckless", 2), "setting profile: .*reckless"),
    ],
)
def test_an_arm_that_cannot_be_parsed_is_refused_with_the_expected_form(broken, complaint):
    with pytest.raises(UsageError, match=complaint):
        broken()


def test_an_arm_selects_by_the_value_that_runs_record():
    assert experiments.parse_arm("bold:entry_probability=.70", 2).selects == {"entry_probability": "0.7"}


def test_an_arm_of_a_run_that_does_not_exist_is_refused(database):
    arms = tuple(experiments.parse_arm(f"{name}:run={name}", 2) for name in ("old", "new"))
    with pytest.raises(StoreError, match="there is no run 'old'"):
        experiments.begin(database, planned(arms=arms))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"arms": planned().arms[:1]}, "two or more arms"),
        ({"arms": planned().arms[:1] * 2}, "different names"),
        ({"id": "a/b"}, "letters, digits"),
        ({"floor": 0.6}, "cannot have a floor"),
        ({"effect": math.nan}, "finite numbers"),
        ({"deviation": math.inf}, "finite numbers"),
        ({"arms": tuple(replace(planned().arms[0], name=name) for name in "ab")}, "select the same runs"),
    ],
)
def test_a_plan_that_cannot_answer_is_refused(database, change, complaint):
    with pytest.raises(UsageError, match=complaint):
        experiments.begin(database, planned(**change))
