"""The first decision rule: a break that is probable enough is bought or sold, with a bracket.

This rule is plumbing, not an edge: it exists so that predictions become orders on which the
platform can be proved. That a level is likely to be crossed soon says little about what the price
does afterwards, and costs are of the size of its stop. Pure: it reads no clock, store or model.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from mikrobot.domain.market import Instrument, instrument
from mikrobot.domain.trading import Decision, Order, Side
from mikrobot.paper import costs
from mikrobot.paper.portfolio import Account
from mikrobot.settings import TradingProfile

STOP_ATR = 1.5
"""Distance of the stop from the close, in ATR(14) of M1."""

TIME_STOP = timedelta(minutes=30)
"""After which a position is closed at the next open."""

MAX_SPREAD_SHARE = Decimal("0.20")
"""Largest spread, as a share of the stop distance."""

LEVERAGE = Decimal(100)
"""Largest notional of a trade, over the balance."""

MAX_FX_LOTS = Decimal(10)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of one symbol at the close of one bar.

    Attributes
    ----------
    symbol : str
    close_time : datetime
        UTC; everything here is known at it.
    close : float
        Bid.
    spread : float
        ask - bid in price units; NaN where unknown, and the instrument's typical spread holds.
    atr : float
        ATR(14) of M1 in price units; NaN in warm-up.
    level_above, level_below : float
        Standing structure levels; NaN where there is none.
    probability_up, probability_down : float
        Of a close beyond the level within the model's horizon, 0 to 1; NaN where no level stands.
    """

    symbol: str
    close_time: datetime
    close: float
    spread: float
    atr: float
    level_above: float
    level_below: float
    probability_up: float
    probability_down: float


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    passed: bool
    text: str

    def __str__(self) -> str:
        return f"{self.name} {'passed' if self.passed else 'refused'}: {self.text}"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A trade to be judged; distances and prices on the tick grid, money in dollars."""

    side: Side
    spread: Decimal
    distance: Decimal
    stop: Decimal
    target: Decimal
    lots: Decimal
    risk: Decimal


def decide(
    run_id: str, outlook: Outlook, account: Account, profile: TradingProfile, entry_probability: float
) -> tuple[Decision, Order | None]:
    """Decide about one symbol at one close.

    Parameters
    ----------
    run_id : str
    outlook : Outlook
    account : Account
        With every fill up to the close, and the orders already submitted at it.
    profile : TradingProfile
    entry_probability : float
        Break probability from which a side is taken, 0 to 1.

    Returns
    -------
    Decision
        Its id is ``<run_id>/<symbol>/<close, as 20240311T0930>``; its reasons are all checks that could
        be made, each ``<name> passed`` or ``<name> refused`` with its numbers. Without a side to take
        the checks of the trade itself are not made.
    Order or None
        If approved: a market order for the next open. The stop lies `STOP_ATR` behind the close on the
        side that the exit trades at, the target `reward_risk` times as far ahead. The size loses
        `risk_pct` of the balance at the stop, spread and both commissions included.
    """
    side, checks = _taken_side(outlook, entry_probability)
    checks += _account_checks(outlook, account, profile)
    plan = None
    if side is not None:
        plan, check = _plan(side, outlook, account, profile)
        checks.append(check)
    if plan is not None:
        checks += _plan_checks(plan, outlook, account, profile)
    decision = Decision(
        id=f"{run_id}/{outlook.symbol}/{outlook.close_time:%Y%m%dT%H%M}",
        symbol=outlook.symbol,
        close_time=outlook.close_time,
        approved=plan is not None and all(check.passed for check in checks),
        side=side,
        reasons=tuple(map(str, checks)),
    )
    return decision, _order(decision, plan) if plan is not None and decision.approved else None


def _taken_side(outlook: Outlook, needed: float) -> tuple[Side | None, list[_Check]]:
    """Take the side whose break is probable enough, of two the more probable one."""
    up, down = outlook.probability_up, outlook.probability_down
    up = math.nan if math.isnan(outlook.level_above) else up
    down = math.nan if math.isnan(outlook.level_below) else down
    standing = f"above {_shown(outlook.level_above)}, below {_shown(outlook.level_below)}"
    level = _Check("level", not (math.isnan(up) and math.isnan(down)), standing)
    if not level.passed:
        return None, [level]
    answers = f"up {_shown(round(up, 4))}, down {_shown(round(down, 4))}"
    enough = up >= needed or down >= needed
    probability = _Check("probability", enough, f"{answers}, entry needs {needed:g}")
    if not enough:
        return None, [level, probability]
    if up == down:
        return None, [level, probability, _Check("side", False, f"{answers}, neither is the greater")]
    side = Side.SELL if math.isnan(up) or down > up else Side.BUY
    return side, [level, probability, _Check("side", True, f"{side.value}, as {answers}")]


def _account_checks(outlook: Outlook, account: Account, profile: TradingProfile) -> Iterator[_Check]:
    engaged = account.engaged(outlook.close_time)
    taken = outlook.symbol in engaged
    held = "a position or order is open" if taken else "none is open"
    yield _Check("position", not taken, f"{held} on {outlook.symbol}")
    most = profile.max_open_trades
    yield _Check("open_trades", len(engaged) < most, f"{len(engaged)} open, at most {most} with this one")


def _plan(side: Side, outlook: Outlook, account: Account, profile: TradingProfile) -> tuple[_Plan | None, _Check]:
    """Place stop and target and size the trade, unless they cannot be placed."""
    if not 0 < outlook.atr < math.inf:
        return None, _Check("stop", False, f"ATR is {_shown(outlook.atr)}, a stop needs a positive one")
    known = instrument(outlook.symbol)
    spread = costs.spread(known, outlook.spread)
    distance = known.quantize(STOP_ATR * outlook.atr, "up")
    close = costs.executed(known, side.opposite, outlook.close, spread)
    stop = close - side.sign * distance
    target = close + side.sign * known.quantize(distance * profile.reward_risk, "up")
    placed = f"stop {stop} and target {target}, {STOP_ATR:g} ATR = {distance} from {close}"
    if min(stop, target) <= 0:
        return None, _Check("stop", False, f"{placed}, a price is positive")
    loss = _loss_per_lot(known, distance + spread, close, stop)
    lots = _size(known, account.balance, profile.risk_pct, loss, close)
    plan = _Plan(side, spread, distance, stop, target, lots, costs.booked(lots * loss))
    return plan, _Check("stop", True, placed)


def _loss_per_lot(known: Instrument, distance: Decimal, close: Decimal, stop: Decimal) -> Decimal:
    """Return the dollars that one lot loses from entry to stop, both commissions included."""
    moved = costs.to_account(known, distance * known.lot, stop)
    return moved + costs.commission(known, Decimal(1), close) + costs.commission(known, Decimal(1), stop)


def _size(known: Instrument, balance: Decimal, risk_pct: Decimal, loss: Decimal, close: Decimal) -> Decimal:
    """Return the lots that lose `risk_pct` of the balance, within leverage and the largest FX size."""
    lots = min(balance * risk_pct / 100 / loss, balance * LEVERAGE / costs.notional(known, Decimal(1), close))
    if known.asset == "fx":
        lots = min(lots, MAX_FX_LOTS)
    return known.quantize_size(max(lots, Decimal(0)))


def _plan_checks(plan: _Plan, outlook: Outlook, account: Account, profile: TradingProfile) -> Iterator[_Check]:
    share = plan.spread / plan.distance
    yield _Check(
        "spread",
        share < MAX_SPREAD_SHARE,
        f"{plan.spread} is {share:.1%} of the stop distance {plan.distance}, must stay below {MAX_SPREAD_SHARE:.0%}",
    )
    step = instrument(outlook.symbol).size_step
    allowed = costs.booked(account.balance * profile.risk_pct / 100)
    yield _Check(
        "size",
        plan.lots >= step,
        f"{plan.lots} lots lose {plan.risk} at the stop, {allowed} is allowed, at least {step} lots are traded",
    )
    loss = account.day_loss(outlook.close_time)
    cap = costs.booked(account.day_opening(outlook.close_time) * profile.daily_loss_pct / 100)
    yield _Check("daily_loss", loss + plan.risk <= cap, f"{loss:.2f} lost today and {plan.risk} at risk, cap {cap}")


def _order(decision: Decision, plan: _Plan) -> Order:
    return Order(
        id=f"{decision.id}/{plan.side.value}",
        decision_id=decision.id,
        symbol=decision.symbol,
        side=plan.side,
        lots=plan.lots,
        stop=plan.stop,
        target=plan.target,
        submitted_at=decision.close_time,
        expires_at=decision.close_time + TIME_STOP,
    )


def _shown(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.10g}"
