"""The ProductOwner: approve, size or reject the signal of a strategy by the account, its limits and the costs.

Pure: the module reads no clock, store or model.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from mikrobot.decision.checks import Check, compared
from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.instruments.shapes import AT_PAR
from mikrobot.domain.market_sessions import session_at
from mikrobot.domain.news import NewsCalendar
from mikrobot.domain.risk_profiles import RiskProfile
from mikrobot.domain.trading import ANSWERED_BY, Decision, OrderIntent, Side
from mikrobot.paper.contracts import Contract
from mikrobot.paper.estimates import bid_ticks, charges, spread_ticks, worth
from mikrobot.paper.venue import CURRENCY, AccountSnapshot

MAX_SPREAD_SHARE = Decimal("0.20")
"""Maximum spread, as a share of the stop distance."""

MARGIN_SHARE = Decimal("0.5")
"""Maximum share of free margin per trade; the rest covers price moves before the fill and a second position."""

MAX_FX_LOTS = Decimal(10)

CENT = Decimal("0.01")

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A proposed trade; distances and prices on the tick grid, money in dollars.

    Its price is the bid for a long trade and the ask for a short one, the side at which it exits: of the close, or of
    the moment at which its stop order is triggered.
    """

    side: Side
    entry: Decimal | None
    price: Decimal
    spread: Decimal
    distance: Decimal
    stop: Decimal
    target: Decimal
    lots: Decimal
    risk: Decimal
    held: timedelta


def decide_trade(
    run_id: str, outlook: Outlook, answer: Signal | NoSignal, standing: AccountSnapshot,
    *, profile: RiskProfile, strategy: str, news: NewsCalendar | None = None,
) -> tuple[Decision, OrderIntent | None]:  # fmt: skip
    """Decide whether to trade the answer of a strategy for one symbol at one bar close.

    Parameters
    ----------
    run_id : str
    outlook : Outlook
    answer : Signal or NoSignal
    standing : AccountSnapshot
        Account state at the close: all fills up to it, and the orders already submitted at it.
    profile : RiskProfile
    strategy : str
        Name and source of the strategy, as ``simple_break@8c1f3a52``.
    news : NewsCalendar or None
        None: the run has no calendar of news.

    Returns
    -------
    Decision
        Its id is ``<run_id>/<symbol>/<close, as 20240311T0930>/<strategy>``. Its reasons are the model that answered
        and every check that could run, each as ``<name> passed`` or ``<name> refused`` with its numbers. Without a
        signal, the checks of the trade itself do not run.
    OrderIntent or None
        If approved, a market order for the next open, or a stop order at the entry of the signal, rounded to a tick
        away from the market. Stop and target are as far from the close, or from the entry, as those of the
        signal, measured on the side at which the position exits. The target
        earns more than the round-trip costs: spread, both taker commissions, and the expected entry slippage
        of the account's profile. The size is chosen so that the stop loses `risk_pct` of the balance, including
        spread and both commissions but not slippage, and uses at most `MARGIN_SHARE` of the free margin. The
        id is ``<symbol>/<close>/<side>``, without the run, so that the venue draws the same latency and
        slippage in every run over the same bars.
    """
    signal, checks = _signal(answer, outlook)
    checks += _account_checks(outlook, standing, profile)
    checks.append(_news_check(outlook, profile, news))
    plan = None
    if signal is not None:
        plan, check = _plan(signal, outlook, standing, profile)
        checks.append(check)
    if plan is not None:
        checks += _plan_checks(plan, outlook, standing, profile)
    decision = Decision(
        id=f"{run_id}/{outlook.symbol}/{outlook.close_time:%Y%m%dT%H%M}/{strategy.partition('@')[0]}",
        symbol=outlook.symbol,
        close_time=outlook.close_time,
        approved=plan is not None and all(check.passed for check in checks),
        side=None if signal is None else signal.side,
        reasons=(f"{ANSWERED_BY}{outlook.answered_by}", *map(str, checks)),
        strategy=strategy,
        comparisons=tuple(check.compared for check in checks),
    )
    return decision, _order(decision, plan) if plan is not None and decision.approved else None


def _signal(answer: Signal | NoSignal, outlook: Outlook) -> tuple[Signal | None, list[Check]]:
    """Return the signal if it is a possible trade, and the checks of the strategy."""
    checks = list(answer.checks)
    if isinstance(answer, NoSignal):
        return None, [*checks, answer.refusal]
    if fault := answer.fault(outlook.close):
        return None, [*checks, Check("signal", False, fault)]
    return answer, checks


def _account_checks(outlook: Outlook, standing: AccountSnapshot, profile: RiskProfile) -> Iterator[Check]:
    engaged = standing.engaged
    taken = outlook.symbol in engaged
    held = "a position or order is open" if taken else "none is open"
    yield Check("position", not taken, f"{held} on {outlook.symbol}")
    most = profile.max_open_trades
    numbers = compared(len(engaged) + 1, "<=", most, "trades")
    yield Check("open_trades", numbers.holds, f"{len(engaged)} open, at most {most} with this one", numbers)
    yield Check("limits", not standing.limit, standing.limit or "no loss limit of the account is reached")
    if profile.sessions:
        now = session_at(outlook.close_time)
        yield Check("session", now in profile.sessions, f"{now}, traded are {', '.join(profile.sessions)}")


def _news_check(outlook: Outlook, profile: RiskProfile, news: NewsCalendar | None) -> Check:
    """Refuse a trade near news of high impact on a currency of the symbol."""
    if news is None:
        return Check("news", True, "the run has no calendar of news")
    traded, now = instrument(outlook.symbol), outlook.close_time
    currencies = [CURRENCY if currency in AT_PAR else currency for currency in (traded.base, traded.quote)]
    event, names = news.nearest(currencies, now), " or ".join(dict.fromkeys(currencies))
    ends = f"; the calendar ends {news.until:%Y-%m-%d %H:%M}" if now > news.until else ""
    if event is None:
        return Check("news", True, f"the calendar has none of high impact on {names}{ends}")
    away = abs(event.at - now) / _MINUTE
    text = f"{event.currency} at {event.at:%Y-%m-%d %H:%M}, {event.title}: {away:.0f} minutes away{ends}"
    numbers = compared(away, ">=", profile.news_minutes, "minutes from the news")
    return Check("news", numbers.holds, text, numbers)


def _plan(
    signal: Signal, outlook: Outlook, standing: AccountSnapshot, profile: RiskProfile
) -> tuple[_Plan | None, Check]:
    """Set stop, target and size of the trade; return no plan if a valid stop and target do not exist."""
    side = signal.side
    traded, contract, account = instrument(outlook.symbol), standing.contract, standing.profile
    if standing.rate is None and account.currency not in (contract.base, contract.quote):
        return None, Check(
            "rate", False, f"no price of the last minute converts {contract.quote} to {account.currency}"
        )
    width = spread_ticks(contract, outlook.spread)
    bid, entry = outlook.close, None
    if signal.entry is not None:
        ticks = _beyond(contract, side, signal.entry)
        market = bid_ticks(contract, outlook.close) + (width if side is Side.BUY else 0)
        entry, now = contract.price(ticks), contract.price(market)
        if side.sign * (ticks - market) <= 0:
            text = f"the {side.value} stop {entry} is not beyond the price {now} of now"
            return None, Check("entry", False, text, compared(entry, ">" if side is Side.BUY else "<", now, "price"))
        bid = float(contract.price(ticks - (width if side is Side.BUY else 0)))
    distance = traded.quantize(abs(bid - signal.stop), "up")
    price = contract.price(bid_ticks(contract, bid) + (width if side is Side.SELL else 0))
    stop = price - side.sign * distance
    ahead = distance * profile.reward_risk if signal.target is None else abs(signal.target - bid)
    target = price + side.sign * traded.quantize(ahead, "up")
    placed = f"stop {stop} and target {target}, {distance} and {abs(target - price)} from {price}"
    if entry is not None:
        placed = f"{side.value} stop {entry}, {placed}"
    if side.sign * (bid - signal.stop) <= 0 or min(stop, target) <= 0:
        return None, Check("stop", False, f"{placed}: at the wrong side of the spread, or no positive price")
    loss = _loss_per_lot(standing, distance + contract.price(width), price, stop)
    lots = _size(standing, profile.risk_pct, loss, price)
    held = timedelta(minutes=signal.minutes)
    plan = _Plan(side, entry, price, contract.price(width), distance, stop, target, lots, _cents(lots * loss), held)
    return plan, Check("stop", True, placed)


def _beyond(contract: Contract, side: Side, entry: float) -> int:
    """Return the price of a stop order in ticks, rounded away from the market."""
    ticks = round(entry / float(contract.tick), 6)
    return math.ceil(ticks) if side is Side.BUY else math.floor(ticks)


def _loss_per_lot(standing: AccountSnapshot, distance: Decimal, entry: Decimal, stop: Decimal) -> Decimal:
    """Return the loss in dollars of one lot from entry to stop, including both commissions."""
    contract, account = standing.contract, standing.profile
    moved = worth(contract, account.currency, distance * contract.lot, stop, rate=standing.rate)
    return moved + sum(charges(contract, account, contract.lot, price, rate=standing.rate) for price in (entry, stop))


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


def _plan_checks(plan: _Plan, outlook: Outlook, standing: AccountSnapshot, profile: RiskProfile) -> Iterator[Check]:
    share = plan.spread / plan.distance
    yield Check(
        "spread",
        share < MAX_SPREAD_SHARE,
        f"{plan.spread} is {share:.1%} of the stop distance {plan.distance}, must stay below {MAX_SPREAD_SHARE:.0%}",
        compared(share, "<", MAX_SPREAD_SHARE, "of the stop distance"),
    )
    least = instrument(outlook.symbol).min_size
    yield _cost_check(plan, standing, max(plan.lots, least))
    allowed = _cents(standing.balance * profile.risk_pct / 100)
    yield Check(
        "size",
        plan.lots >= least,
        f"{plan.lots} lots lose {plan.risk} at the stop, {allowed} is allowed, at least {least} lots are traded",
        compared(plan.lots, ">=", least, "lots"),
    )
    contract, value = standing.contract, plan.lots * standing.contract.lot * plan.price
    if plan.lots >= least and value < contract.min_notional:
        text = f"{value:f} {contract.quote}, the venue takes {contract.min_notional:f} or more"
        yield Check("notional", False, text, compared(value, ">=", contract.min_notional, contract.quote))
    lost, cap = standing.day_loss, _cents(standing.day_opening * profile.daily_loss_pct / 100)
    text = f"{lost:.2f} lost today and {plan.risk} at risk, cap {cap}"
    numbers = compared(lost + plan.risk, "<=", cap, standing.profile.currency)
    yield Check("daily_loss", lost + plan.risk <= cap, text, numbers)


def _cost_check(plan: _Plan, standing: AccountSnapshot, lots: Decimal) -> Check:
    """Compare the profit at the target with the round-trip costs, each amount rounded against the trade."""
    contract, currency = standing.contract, standing.profile.currency
    moved = lots * contract.lot * abs(plan.target - plan.price)
    earned = worth(contract, currency, moved, plan.target, rate=standing.rate)
    gain, costs = earned.quantize(CENT, ROUND_FLOOR), _round_trip(plan, standing, lots * contract.lot)
    listed = ", ".join(f"{name} {amount}" for name, amount in costs.items())
    total = sum(costs.values())
    text = f"the target earns {gain} with {lots} lots, the round trip costs {total}: {listed}"
    return Check("costs", gain > total, text, compared(gain, ">", total, currency))


def _round_trip(plan: _Plan, standing: AccountSnapshot, units: Decimal) -> dict[str, Decimal]:
    """Return the costs of entering and exiting at the target, in dollars by kind of cost."""
    contract, account = standing.contract, standing.profile
    slipped = contract.price(account.slippage.expected_ticks(int(plan.spread / contract.tick)))
    spread, slippage = (
        worth(contract, account.currency, units * width, plan.price, rate=standing.rate)
        for width in (plan.spread, slipped)
    )
    sides = [charges(contract, account, units, price, rate=standing.rate) for price in (plan.price, plan.target)]
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
        expires_at=decision.close_time + plan.held,
        entry=plan.entry,
    )


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_EVEN)
