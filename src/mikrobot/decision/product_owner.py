"""The first decision rule: trade a sufficiently probable break of a level with a bracket order.

The rule has no trading edge. It turns predictions into orders so that the platform can be tested
end to end. A level that is likely to be crossed soon does not predict the price move after the
crossing, and trading costs are about as large as the stop distance. Pure: the module reads no
clock, store or model.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.trading import ANSWERED_BY, Decision, OrderIntent, Side
from mikrobot.paper.estimates import bid_ticks, charges, spread_ticks, worth
from mikrobot.paper.venue import AccountSnapshot
from mikrobot.settings import RiskProfile

STOP_ATR = 1.5
"""Distance of the stop from the close, in ATR(14) of M1."""

TIME_STOP = timedelta(minutes=30)
"""Maximum holding time; the position is then closed at the next open."""

MAX_SPREAD_SHARE = Decimal("0.20")
"""Maximum spread, as a share of the stop distance."""

MARGIN_SHARE = Decimal("0.5")
"""Maximum share of free margin per trade; the rest covers price moves before the fill and a second position."""

MAX_FX_LOTS = Decimal(10)

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Outlook:
    """Model output and market data for one symbol at one bar close.

    Attributes
    ----------
    symbol : str
    close_time : datetime
        UTC; every value is known at this time.
    close : float
        Bid.
    spread : float
        ask - bid in price units; NaN if unknown, then the instrument's typical spread applies.
    atr : float
        ATR(14) of M1 in price units; NaN during warm-up.
    level_above, level_below : float
        Prices of the current structure levels; NaN if there is none.
    probability_up, probability_down : float
        Probability of a close beyond the level within the model's horizon, 0 to 1; NaN if there is no level.
    answered_by : str
        Model that predicted the probabilities, and the symbols it was trained on.
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
    answered_by: str


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    passed: bool
    text: str

    def __str__(self) -> str:
        return f"{self.name} {'passed' if self.passed else 'refused'}: {self.text}"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A proposed trade; distances and prices on the tick grid, money in dollars.

    The close is the bid for a long trade and the ask for a short one: the side at which it exits.
    """

    side: Side
    close: Decimal
    spread: Decimal
    distance: Decimal
    stop: Decimal
    target: Decimal
    lots: Decimal
    risk: Decimal


def decide_trade(
    run_id: str, outlook: Outlook, standing: AccountSnapshot, profile: RiskProfile, *, entry_probability: float
) -> tuple[Decision, OrderIntent | None]:
    """Decide whether to trade one symbol at one bar close.

    Parameters
    ----------
    run_id : str
    outlook : Outlook
    standing : AccountSnapshot
        Account state at the close: all fills up to it, and the orders already submitted at it.
    profile : RiskProfile
    entry_probability : float
        Minimum break probability for an entry, 0 to 1.

    Returns
    -------
    Decision
        Its id is ``<run_id>/<symbol>/<close, as 20240311T0930>``. Its reasons are the model that answered and
        every check that could run, each as ``<name> passed`` or ``<name> refused`` with its numbers. If no side
        is chosen, the checks of the trade itself do not run.
    OrderIntent or None
        If approved, a market order for the next open. The stop is `STOP_ATR` ATRs behind the close, measured
        on the side at which the position exits. The target is `reward_risk` times as far ahead. The target
        earns more than the round-trip costs: spread, both taker commissions, and the expected entry slippage
        of the account's profile. The size is chosen so that the stop loses `risk_pct` of the balance, including
        spread and both commissions but not slippage, and uses at most `MARGIN_SHARE` of the free margin. The
        id is ``<symbol>/<close>/<side>``, without the run, so that the venue draws the same latency and
        slippage in every run over the same bars.
    """
    side, checks = _taken_side(outlook, entry_probability)
    checks += _account_checks(outlook, standing, profile)
    plan = None
    if side is not None:
        plan, check = _plan(side, outlook, standing, profile)
        checks.append(check)
    if plan is not None:
        checks += _plan_checks(plan, outlook, standing, profile)
    decision = Decision(
        id=f"{run_id}/{outlook.symbol}/{outlook.close_time:%Y%m%dT%H%M}",
        symbol=outlook.symbol,
        close_time=outlook.close_time,
        approved=plan is not None and all(check.passed for check in checks),
        side=side,
        reasons=(f"{ANSWERED_BY}{outlook.answered_by}", *map(str, checks)),
    )
    return decision, _order(decision, plan) if plan is not None and decision.approved else None


def _taken_side(outlook: Outlook, needed: float) -> tuple[Side | None, list[_Check]]:
    """Choose the side whose break probability reaches the minimum; if both do, the more probable one."""
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
        return None, [level, probability, _Check("side", False, f"{answers}, both are equal")]
    side = Side.SELL if math.isnan(up) or down > up else Side.BUY
    return side, [level, probability, _Check("side", True, f"{side.value}, as {answers}")]


def _account_checks(outlook: Outlook, standing: AccountSnapshot, profile: RiskProfile) -> Iterator[_Check]:
    engaged = standing.engaged
    taken = outlook.symbol in engaged
    held = "a position or order is open" if taken else "none is open"
    yield _Check("position", not taken, f"{held} on {outlook.symbol}")
    most = profile.max_open_trades
    yield _Check("open_trades", len(engaged) < most, f"{len(engaged)} open, at most {most} with this one")
    yield _Check("limits", not standing.limit, standing.limit or "no loss limit of the account is reached")


def _plan(side: Side, outlook: Outlook, standing: AccountSnapshot, profile: RiskProfile) -> tuple[_Plan | None, _Check]:
    """Set stop, target and size of the trade; return no plan if a valid stop and target do not exist."""
    if not 0 < outlook.atr < math.inf:
        return None, _Check("stop", False, f"ATR is {_shown(outlook.atr)}, a stop needs a positive ATR")
    traded, contract, account = instrument(outlook.symbol), standing.contract, standing.profile
    if standing.rate is None and account.currency not in (contract.base, contract.quote):
        return None, _Check(
            "rate", False, f"no price of the last minute converts {contract.quote} to {account.currency}"
        )
    width = spread_ticks(contract, outlook.spread)
    distance = traded.quantize(STOP_ATR * outlook.atr, "up")
    close = contract.price(bid_ticks(contract, outlook.close) + (width if side is Side.SELL else 0))
    stop = close - side.sign * distance
    target = close + side.sign * traded.quantize(distance * profile.reward_risk, "up")
    placed = f"stop {stop} and target {target}, {STOP_ATR:g} ATR = {distance} from {close}"
    if min(stop, target) <= 0:
        return None, _Check("stop", False, f"{placed}, a price must be positive")
    loss = _loss_per_lot(standing, distance + contract.price(width), close, stop)
    lots = _size(standing, profile.risk_pct, loss, close)
    plan = _Plan(side, close, contract.price(width), distance, stop, target, lots, _cents(lots * loss))
    return plan, _Check("stop", True, placed)


def _loss_per_lot(standing: AccountSnapshot, distance: Decimal, close: Decimal, stop: Decimal) -> Decimal:
    """Return the loss in dollars of one lot from entry to stop, including both commissions."""
    contract, account = standing.contract, standing.profile
    moved = worth(contract, account.currency, distance * contract.lot, stop, rate=standing.rate)
    return moved + sum(charges(contract, account, contract.lot, price, rate=standing.rate) for price in (close, stop))


def _size(standing: AccountSnapshot, risk_pct: Decimal, loss: Decimal, close: Decimal) -> Decimal:
    """Return the lots that lose `risk_pct` of the balance at the stop, capped by free margin and `MAX_FX_LOTS`."""
    contract, account = standing.contract, standing.profile
    value = worth(contract, account.currency, contract.lot * close, close, rate=standing.rate)
    bound = value * contract.margin_rate / account.leverage
    lots = min(standing.balance * risk_pct / 100 / loss, standing.free_margin * MARGIN_SHARE / bound)
    traded = instrument(contract.symbol)
    if traded.asset == "fx":
        lots = min(lots, MAX_FX_LOTS)
    return traded.quantize_size(max(lots, Decimal(0)))


def _plan_checks(plan: _Plan, outlook: Outlook, standing: AccountSnapshot, profile: RiskProfile) -> Iterator[_Check]:
    share = plan.spread / plan.distance
    yield _Check(
        "spread",
        share < MAX_SPREAD_SHARE,
        f"{plan.spread} is {share:.1%} of the stop distance {plan.distance}, must stay below {MAX_SPREAD_SHARE:.0%}",
    )
    least = instrument(outlook.symbol).min_size
    yield _cost_check(plan, standing, max(plan.lots, least))
    allowed = _cents(standing.balance * profile.risk_pct / 100)
    yield _Check(
        "size",
        plan.lots >= least,
        f"{plan.lots} lots lose {plan.risk} at the stop, {allowed} is allowed, at least {least} lots are traded",
    )
    contract, value = standing.contract, plan.lots * standing.contract.lot * plan.close
    if plan.lots >= least and value < contract.min_notional:
        yield _Check(
            "notional", False, f"{value:f} {contract.quote}, the venue takes {contract.min_notional:f} or more"
        )
    lost, cap = standing.day_loss, _cents(standing.day_opening * profile.daily_loss_pct / 100)
    yield _Check("daily_loss", lost + plan.risk <= cap, f"{lost:.2f} lost today and {plan.risk} at risk, cap {cap}")


def _cost_check(plan: _Plan, standing: AccountSnapshot, lots: Decimal) -> _Check:
    """Compare the profit at the target with the round-trip costs, each amount rounded against the trade."""
    contract, currency = standing.contract, standing.profile.currency
    moved = lots * contract.lot * abs(plan.target - plan.close)
    earned = worth(contract, currency, moved, plan.target, rate=standing.rate)
    gain, costs = earned.quantize(CENT, ROUND_FLOOR), _round_trip(plan, standing, lots * contract.lot)
    listed = ", ".join(f"{name} {amount}" for name, amount in costs.items())
    total = sum(costs.values())
    text = f"the target earns {gain} with {lots} lots, the round trip costs {total}: {listed}"
    return _Check("costs", gain > total, text)


def _round_trip(plan: _Plan, standing: AccountSnapshot, units: Decimal) -> dict[str, Decimal]:
    """Return the costs of entering and exiting at the target, in dollars by kind of cost."""
    contract, account = standing.contract, standing.profile
    slipped = contract.price(account.slippage.expected_ticks(int(plan.spread / contract.tick)))
    spread, slippage = (
        worth(contract, account.currency, units * width, plan.close, rate=standing.rate)
        for width in (plan.spread, slipped)
    )
    sides = [charges(contract, account, units, price, rate=standing.rate) for price in (plan.close, plan.target)]
    amounts = {"spread": [spread], "commissions": sides, "slippage": [slippage]}
    return {
        name: sum((amount.quantize(CENT, ROUND_CEILING) for amount in booked), Decimal(0))
        for name, booked in amounts.items()
    }


def _order(decision: Decision, plan: _Plan) -> OrderIntent:
    return OrderIntent(
        id=f"{decision.symbol}/{decision.close_time:%Y%m%dT%H%M}/{plan.side.value}",
        decision_id=decision.id,
        symbol=decision.symbol,
        side=plan.side,
        lots=plan.lots,
        stop=plan.stop,
        target=plan.target,
        submitted_at=decision.close_time,
        expires_at=decision.close_time + TIME_STOP,
    )


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_EVEN)


def _shown(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.10g}"
