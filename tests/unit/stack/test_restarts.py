"""The back-off between restarts and the budget that refills."""

from mikrobot.stack.restarts import RESTARTS, STABLE_S, WINDOW_S, RestartBudget


def restarted_as_fast_as_allowed(budget: RestartBudget, start: float, times: int) -> list[float]:
    """Restart a service that dies immediately; return the instants."""
    now, instants = start, []
    for _ in range(times):
        now += budget.wait_s(now)
        budget.record(now)
        instants.append(now)
    return instants


def test_the_first_restart_is_immediate_and_each_further_wait_is_twice_as_long():
    assert restarted_as_fast_as_allowed(RestartBudget(), 50.0, RESTARTS) == [50.0, 51.0, 53.0, 57.0, 65.0]


def test_after_the_last_restart_the_service_stays_down_until_the_first_one_is_forgotten():
    budget = RestartBudget()
    restarted_as_fast_as_allowed(budget, 50.0, RESTARTS)
    assert budget.is_spent(65.0)
    assert budget.wait_s(65.0) == 50.0 + WINDOW_S - 65.0
    assert not budget.is_spent(50.0 + WINDOW_S)
    assert budget.wait_s(51.0 + WINDOW_S) < 10


def test_a_service_that_has_run_for_long_has_its_whole_budget_again():
    budget = RestartBudget()
    restarted_as_fast_as_allowed(budget, 50.0, RESTARTS)
    assert budget.wait_s(66.0 + WINDOW_S) == 0.0


def test_a_service_that_works_again_for_a_while_has_its_whole_budget_again():
    budget = RestartBudget()
    restarted_as_fast_as_allowed(budget, 50.0, RESTARTS)
    budget.record_work(64.0 + STABLE_S)
    assert budget.is_spent(64.0 + STABLE_S)
    budget.record_work(65.0 + STABLE_S)
    assert budget.wait_s(65.0 + STABLE_S) == 0.0
