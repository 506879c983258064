"""Deliberate defects: each test breaks one function, and the check for that defect must fail."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from mikrobot.paper import bar_path, fees, matching
from mikrobot.paper.account import Account
from mikrobot.paper.book import Taken
from mikrobot.paper.journal import Record
from mikrobot.paper.linked_orders import LinkedOrders
from mikrobot.paper.matching import Matching
from mikrobot.paper.orders import Order, Status
from tests.property.paper import audit
from tests.property.paper.world import Draw, Run, play

WORLDS = 400


def random_world(seed: int) -> list[Draw]:
    rng = random.Random(seed)
    return [
        (
            rng.randint(0, 15), rng.randint(0, 11), rng.randint(-90, 90),
            rng.randint(0, 40), rng.randint(1, 40), rng.randint(0, 63),
        )
        for _ in range(40)
    ]  # fmt: skip


def red(check: Callable[[Run], None], *, waits: bool = False) -> bool:
    """Return whether a check fails on one of the random worlds."""
    for seed in range(WORLDS):
        run = play(random_world(seed), waits=waits)
        try:
            check(run)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("waits", [False, True])
def test_without_a_defect_every_check_passes(waits: bool) -> None:
    for seed in range(WORLDS // 4):
        run = play(random_world(seed), waits=waits)
        for check in audit.CHECKS:
            check(run)


def test_a_target_that_fills_before_the_stop_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    adverse_first = bar_path._low_first
    monkeypatch.setattr(bar_path, "_low_first", lambda *args, **kwargs: not adverse_first(*args, **kwargs))
    assert red(audit.bars_hurt_first)


def test_liquidity_used_twice_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Taken, "take", lambda *args: None)
    assert red(audit.liquidity_is_used_once)


def test_a_fee_that_is_received_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    charged = fees.fee

    def received(*args: Any, **kwargs: Any) -> tuple[int, bool] | None:
        owed = charged(*args, **kwargs)
        return owed and (-owed[0], owed[1])

    monkeypatch.setattr(fees, "fee", received)
    assert red(audit.fees_are_owed)


def test_a_leg_that_becomes_active_again_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The canceled leg becomes active again immediately after its cancellation."""
    ended = LinkedOrders.end

    def ends(self: LinkedOrders, ts: int, order: Order, status: Status, reason: str) -> None:
        ended(self, ts, order, status, reason)
        if reason == "the other leg filled" and not order.parent:
            order.status, order.alive = Status.WORKING, True
            self.account.live[order.id] = order
            self.account.working_orders[order.symbol].seat(order)

    monkeypatch.setattr(LinkedOrders, "end", ends)
    assert red(audit.one_leg_fills)
    assert red(audit.states_are_sound)


def test_a_fill_at_an_open_before_the_order_was_sent_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "sees", lambda order, opened: True)
    assert red(audit.nothing_is_seen_early, waits=True)


def test_cash_that_moves_without_a_record_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    applied = Account.apply

    def leaks(self: Account, record: Record) -> None:
        applied(self, record)
        if type(record).__name__ == "Filled" and self.currency:
            self.balances[self.currency] += 1

    monkeypatch.setattr(Account, "apply", leaks)
    assert red(audit.cash_adds_up)


def test_a_stop_filled_at_its_price_through_a_gap_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = Matching._fill

    def flattering(self: Matching, order: Order, market: Any, price: int, *terms: Any, **named: Any) -> None:
        filled(self, order, market, order.stop if order.triggered and order.stop else price, *terms, **named)

    monkeypatch.setattr(Matching, "_fill", flattering)
    assert red(audit.prices_were_there)
