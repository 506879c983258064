"""Checks of simulated runs; each uses only the journals and the market data, with independent arithmetic."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from mikrobot.paper import journal, margin
from mikrobot.paper.account import Account
from mikrobot.paper.journal import Amended, Booked, Filled, Moved, Submitted
from tests.property.paper.world import CONTRACTS, Run, Shown

ENDS = {"filled", "canceled", "expired", "rejected"}
DIGITS = {"USD": 2, "USDT": 8, "BTC": 8}


def rounded(amount: Fraction, currency: str) -> int:
    scaled = amount * 10 ** DIGITS[currency]
    return round(scaled)  # Fraction rounds half to even


def booked(account: Account) -> Iterator[Booked]:
    return (record for record in account.journal if isinstance(record, Booked))


def fills(account: Account) -> list[Filled]:
    return [record for record in account.journal if isinstance(record, Filled)]


def cash_adds_up(run: Run) -> None:
    """I1: balances equal deposits, realised profits, trades, swaps and funding less fees, to the minor unit."""
    for account in run.accounts:
        sums: dict[str, int] = defaultdict(int)
        for entry in booked(account):
            assert entry.amount
            sums[entry.currency] += entry.amount
        assert dict(sums) == account.balances
        filled = fills(account)
        kinds: dict[tuple[str, str], int] = defaultdict(int)
        for entry in booked(account):
            kinds[entry.kind, entry.currency] += entry.amount
        paid: dict[str, int] = defaultdict(int)
        for fill in filled:
            paid[fill.fee_currency] += fill.fee
        for currency, total in paid.items():
            assert kinds["fee", currency] == -total
        assert kinds["realised", account.currency] == sum(fill.realised for fill in filled)
        if account.profile.cash:
            _trades_add_up(filled, kinds)


def _trades_add_up(filled: list[Filled], kinds: dict[tuple[str, str], int]) -> None:
    paid = got = 0
    for fill in filled:
        contract = CONTRACTS[fill.symbol]
        price, size = Fraction(contract.price(fill.price)), Fraction(contract.quantity(fill.quantity))
        paid += fill.sign * rounded(price * size, contract.quote)
        got += fill.sign * rounded(size, contract.base)
    assert (kinds["trade", "USDT"], kinds["trade", "BTC"]) == (-paid, got)


def fees_are_owed(run: Run) -> None:
    """I1: each fee equals the venue's rate on its own fill, and is paid, not received."""
    for account in run.accounts:
        for fill in fills(account):
            contract = CONTRACTS[fill.symbol]
            notional = Fraction(contract.price(fill.price)) * Fraction(contract.quantity(fill.quantity))
            share = contract.maker_fee if fill.maker else contract.taker_fee
            owed = rounded(notional * Fraction(share), fill.fee_currency) if share else 0
            lots = Fraction(contract.quantity(fill.quantity)) / Fraction(contract.lot)
            if account.profile.commission_per_lot:
                owed += rounded(lots * Fraction(account.profile.commission_per_lot), fill.fee_currency)
            assert fill.fee == owed >= 0


def profits_are_exact(run: Run) -> None:
    """I1: realised profit is the average-price profit, rounded once per fill (base or quote currency accounts)."""
    for account in run.accounts:
        if account.profile.cash:
            continue
        held: dict[str, tuple[int, Fraction]] = {}
        for fill in fills(account):
            order = account.orders[fill.order]
            key = fill.symbol if account.profile.netting else order.ticket or order.id
            quantity, average = held.get(key, (0, Fraction(0)))
            signed, price = fill.sign * fill.quantity, Fraction(CONTRACTS[fill.symbol].price(fill.price))
            closed = min(abs(quantity), fill.quantity) if quantity * signed < 0 else 0
            gained = (price - average) * closed * (1 if quantity > 0 else -1) * Fraction(CONTRACTS[fill.symbol].step)
            if CONTRACTS[fill.symbol].quote == account.currency:
                assert fill.realised == rounded(gained, account.currency)
            elif CONTRACTS[fill.symbol].base == account.currency:
                assert fill.realised == rounded(gained / price, account.currency)
            after = quantity + signed
            if closed < fill.quantity:
                opened = fill.quantity - closed
                kept = abs(quantity) - closed
                average = (average * kept + price * opened) / (kept + opened)
            held[key] = (after, average)


def positions_are_the_fills(run: Run) -> None:
    """I2: net positions equal the sums of the signed fills by symbol, also as long minus short."""
    for account in run.accounts:
        sums: dict[str, int] = defaultdict(int)
        for fill in fills(account):
            sums[fill.symbol] += fill.sign * fill.quantity
        for symbol in CONTRACTS:
            assert account.net(symbol) == sums[symbol]
            long, short = account.sides(symbol)
            assert long - short == sums[symbol]
        assert all(position.quantity for position in account.positions.values())


@dataclass
class Terms:
    """The current terms of an order, from the journal records so far."""

    price: int
    stop: int
    type: str


def _with_terms(account: Account) -> Iterator[tuple[Filled, Terms]]:
    terms: dict[str, Terms] = {}
    for record in account.journal:
        if isinstance(record, Submitted):
            terms[record.order] = Terms(record.price, record.stop, record.type)
        elif isinstance(record, Amended):
            terms[record.order] = Terms(record.price, record.stop, terms[record.order].type)
        elif isinstance(record, Filled):
            yield record, terms[record.order]


def _shown_at(run: Run, fill: Filled) -> Shown:
    return [shown for shown in run.shown[fill.symbol] if shown.ts <= fill.ts][-1]


def prices_were_there(run: Run) -> None:
    """I3: takers trade at displayed prices and makers at their limits; taker fills in a bar lie within it."""
    for account in run.accounts:
        for fill, terms in _with_terms(account):
            shown = _shown_at(run, fill)
            if terms.type in ("limit", "stop_limit"):
                assert fill.sign * (terms.price - fill.price) >= 0
            if fill.maker:
                assert fill.price == terms.price
            elif shown.bar is None:
                levels = shown.asks if fill.sign > 0 else shown.bids
                assert fill.price in [price for price, _ in levels]
            if shown.bar is not None and not fill.maker:
                _, high, low, _, spread = shown.bar
                spread = spread if fill.sign > 0 else 0
                assert low + spread <= fill.price <= high + spread


def one_leg_fills(run: Run) -> None:
    """I4: of two orders that cancel each other, at most one has fills."""
    for name, first, second in run.pairs:
        if name in run.exchange.accounts:
            orders = run.exchange.accounts[name].orders
            assert min(orders[first].filled, orders[second].filled) == 0


def liquidity_is_used_once(run: Run) -> None:
    """I5: within a snapshot, an account fills no more on a side than was displayed."""
    for account in run.accounts:
        used: dict[tuple[str, int, int], int] = defaultdict(int)
        levels: dict[tuple[str, int, int, int], int] = defaultdict(int)
        for fill in fills(account):
            shown = _shown_at(run, fill)
            side = shown.asks if fill.sign > 0 else shown.bids
            if shown.bar is not None or any(size is None for _, size in side):
                continue
            used[fill.symbol, shown.ts, fill.sign] += fill.quantity
            assert used[fill.symbol, shown.ts, fill.sign] <= sum(size or 0 for _, size in side)
            if not fill.maker:
                levels[fill.symbol, shown.ts, fill.sign, fill.price] += fill.quantity
                assert levels[fill.symbol, shown.ts, fill.sign, fill.price] <= (dict(side)[fill.price] or 0)


def states_are_sound(run: Run) -> None:
    """I6: 0 <= filled <= quantity; "filled" means the full quantity; no record follows a terminal state."""
    for account in run.accounts:
        for order in account.orders.values():
            assert 0 <= order.filled <= order.quantity
            assert (order.status.value == "filled") == (order.filled == order.quantity)
        ended: set[str] = set()
        for record in account.journal:
            if isinstance(record, Moved | Filled | Amended):
                assert record.order not in ended, record
            if isinstance(record, Moved) and record.after in ENDS:
                ended.add(record.order)


def cash_is_never_owed(run: Run) -> None:
    """Section 6: on a cash account, no balance is ever negative or locked twice by working orders."""
    for account in run.accounts:
        if account.profile.cash:
            sums: dict[str, int] = defaultdict(int)
            for entry in booked(account):
                sums[entry.currency] += entry.amount
                assert sums[entry.currency] >= 0
            promised: dict[str, int] = defaultdict(int)
            for order in account.working():
                if order.status.value in ("working", "triggered", "partially_filled") and not order.parent:
                    currency, amount = margin.order_lock(CONTRACTS[order.symbol], order)
                    promised[currency] += amount
            assert all(amount <= account.balances[currency] for currency, amount in promised.items())


def reducers_reduce(run: Run) -> None:
    """I9: a reduce-only fill makes its position smaller and never flips it; on spot, it sells only held coins."""
    for account in run.accounts:
        if account.profile.cash:
            _cash_reducers_reduce(account)
            continue
        held: dict[str, int] = defaultdict(int)
        for fill in fills(account):
            order = account.orders[fill.order]
            key = fill.symbol if account.profile.netting else order.ticket or order.id
            before, held[key] = held[key], held[key] + fill.sign * fill.quantity
            if order.reduce_only:
                assert abs(held[key]) < abs(before)
                assert held[key] * before >= 0


def _cash_reducers_reduce(account: Account) -> None:
    """Check that reduce-only buys are exits of a sale and never buy more than it sold."""
    bought: dict[str, int] = defaultdict(int)
    for fill in fills(account):
        order = account.orders[fill.order]
        if order.reduce_only and fill.sign > 0:
            bought[order.parent] += fill.quantity
            assert bought[order.parent] <= account.orders[order.parent].filled


def tickets_keep_to_their_symbol(run: Run) -> None:
    """An order with a ticket fills only in the symbol of the order that opened the ticket."""
    for account in run.accounts:
        for fill in fills(account):
            ticket = account.orders[fill.order].ticket
            assert not ticket or account.orders[ticket].symbol == fill.symbol


def isolated_losses_are_bounded(run: Run) -> None:
    """From opening to flat, an isolated position loses no more than the margin posted for it."""
    for account in run.accounts:
        if account.profile.isolated:
            _losses_are_bounded(account)


@dataclass
class Life:
    """An isolated position from opening to flat: posted margin and realised result, minor units."""

    posted: Fraction = Fraction(0)
    result: int = 0


def _losses_are_bounded(account: Account) -> None:
    lives: dict[str, list[Life]] = defaultdict(lambda: [Life()])
    held: dict[str, int] = defaultdict(int)
    closed: dict[str, Life] = {}
    for record in account.journal:
        if isinstance(record, Booked) and record.kind == "insurance":
            closed.setdefault(record.cause, Life()).result += record.amount
        elif isinstance(record, Filled):
            contract, before = CONTRACTS[record.symbol], held[record.symbol]
            after = held[record.symbol] = before + record.sign * record.quantity
            opened = min(abs(after), record.quantity) if after * record.sign > 0 else 0
            if before * record.sign < 0:
                closed[record.symbol] = lives[record.symbol][-1]
                closed[record.symbol].result += record.realised
            if before * after <= 0:
                lives[record.symbol].append(Life())
            notional = Fraction(contract.price(record.price)) * Fraction(contract.quantity(opened))
            share = Fraction(contract.margin_rate) / Fraction(account.profile.leverage)
            lives[record.symbol][-1].posted += notional * share * 10 ** DIGITS[account.currency]
    for life in (life for history in lives.values() for life in history):
        assert -life.result <= life.posted + 1


def isolated_accounts_are_never_in_debt(run: Run) -> None:
    """Section 6: when an event has been booked, the balance of an isolated account is not negative."""
    for account in run.accounts:
        if account.profile.isolated:
            balance, ts = 0, 0
            for entry in booked(account):
                assert entry.ts == ts or balance >= 0, entry
                balance, ts = balance + entry.amount, entry.ts
            assert balance >= 0


def money_is_conserved(run: Run) -> None:
    """I10: over all accounts, the cash entries in the journals equal the balances."""
    for currency in DIGITS:
        booked_cash = sum(
            entry.amount for account in run.accounts for entry in booked(account) if entry.currency == currency
        )
        assert booked_cash == sum(account.balances.get(currency, 0) for account in run.accounts)


def journals_hold_no_float(run: Run) -> None:
    """I11: journals hold integers, text and truth values, never floats."""

    def refuse(text: str) -> None:
        raise AssertionError(f"a float in the journal: {text}")

    for account in run.accounts:
        for line in journal.lines(account.journal).splitlines():
            json.loads(line, parse_float=refuse, parse_constant=refuse)


def nothing_is_seen_early(run: Run) -> None:
    """Section 2: no fill before its order arrives, and none in a bar that opened before its submission."""
    for account in run.accounts:
        for fill in fills(account):
            order, shown = account.orders[fill.order], _shown_at(run, fill)
            assert fill.ts >= order.arrives
            forced = order.id.startswith(("stop_out", "liquidation"))
            if run.waits and shown.bar is not None and not forced:
                assert fill.ts == shown.ts
                assert order.parent or _worked(account, fill, shown)


def _worked(account: Account, fill: Filled, shown: Shown) -> bool:
    """Return whether an order was submitted by the open of a bar, or was working at an earlier price."""
    moves = [record for record in account.journal if isinstance(record, Moved) and record.order == fill.order]
    return account.orders[fill.order].submitted <= shown.opened or moves[0].ts < shown.ts


def stop_outs_fill_at_their_level(run: Run) -> None:
    """Section 4: inside a bar, the account is not yet stopped out one tick before the price of a stop-out.

    The check covers netting accounts that hold only EURUSD, whose level depends only on balance and price.
    """
    for account in run.accounts:
        if not account.profile.netting or account.profile.cash or account.profile.isolated:
            continue
        balance, held, average = Fraction(0), dict.fromkeys(CONTRACTS, 0), Fraction(0)
        for record in account.journal:
            if isinstance(record, Booked):
                balance += Fraction(record.amount, 100)
            if not isinstance(record, Filled):
                continue
            before = held[record.symbol]
            alone = record.symbol == "EURUSD" and not any(held[s] for s in held if s != "EURUSD")
            if record.order.startswith("stop_out") and alone and _inside(run, record):
                price = Fraction(CONTRACTS["EURUSD"].price(record.price - record.sign))
                size = before * Fraction(CONTRACTS["EURUSD"].step)
                level = (balance + size * (price - average)) / (abs(size) * average / 30)
                assert level > Fraction(1, 2)
            held[record.symbol] = before + record.sign * record.quantity
            if record.symbol == "EURUSD":
                average = _average(average, before, held["EURUSD"], Fraction(CONTRACTS["EURUSD"].price(record.price)))


def _inside(run: Run, fill: Filled) -> bool:
    """Return whether a fill is inside a bar and not at its open."""
    shown = _shown_at(run, fill)
    if shown.bar is None or shown.ts != fill.ts:
        return False
    opened, *_, spread = shown.bar
    return fill.price != opened + (spread if fill.sign > 0 else 0)


def _average(average: Fraction, before: int, after: int, price: Fraction) -> Fraction:
    """Return the average price of a position after a fill."""
    if before * after <= 0:
        return price
    return (average * before + price * (after - before)) / after if abs(after) > abs(before) else average


def bars_hurt_first(run: Run) -> None:
    """Section 4 b: if a bar opens between stop and target and reaches both, the stop fills."""
    for account in run.accounts:
        for fill, terms in _with_terms(account):
            order, shown = account.orders[fill.order], _shown_at(run, fill)
            if not (order.parent and fill.maker and shown.bar and shown.ts == fill.ts):
                continue
            if not _gave_way(account, order.rival, fill.ts) or _entered_in(account, order.parent, shown):
                continue
            stop = account.orders[order.rival].stop
            opened, high, low, _, spread = shown.bar
            reached = low <= stop if fill.sign < 0 else high + spread >= stop
            between = stop < opened < terms.price if fill.sign < 0 else terms.price < opened + spread < stop
            net = sum(f.sign * f.quantity for f in fills(account) if f.symbol == fill.symbol and f.ts < fill.ts)
            one_sided = account.profile.netting and net * fill.sign < 0
            assert not (one_sided and reached and between)


def _gave_way(account: Account, order: str, ts: int) -> bool:
    """Return whether an order was working until the other leg filled at this instant."""
    last = [record for record in account.journal if isinstance(record, Moved) and record.order == order][-1]
    return last.ts == ts and last.reason == "the other leg filled"


def _entered_in(account: Account, entry: str, shown: Shown) -> bool:
    return any(fill.order == entry and fill.ts >= shown.ts for fill in fills(account))


CHECKS = (
    cash_adds_up, fees_are_owed, profits_are_exact, positions_are_the_fills, cash_is_never_owed, prices_were_there,
    one_leg_fills, liquidity_is_used_once, states_are_sound, reducers_reduce, tickets_keep_to_their_symbol,
    isolated_losses_are_bounded, isolated_accounts_are_never_in_debt, money_is_conserved,
    journals_hold_no_float, nothing_is_seen_early, bars_hurt_first, stop_outs_fill_at_their_level,
)  # fmt: skip
