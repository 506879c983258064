"""The invariants of the execution simulator, each on a many generated worlds."""

from hypothesis import HealthCheck, given, settings

from mikrobot.paper import journal
from mikrobot.paper.account import Account
from tests.property.paper.audit import CHECKS
from tests.property.paper.world import CONTRACTS, NAMES, Draw, play, worlds
from tests.soak import examples

many = settings(max_examples=examples(1000), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def journal_text(account: Account) -> str:
    return journal.lines(account.journal)


@many
@given(worlds)
def test_every_invariant_holds(world: list[Draw]) -> None:
    run = play(world)
    for check in CHECKS:
        check(run)


@many
@given(worlds)
def test_every_invariant_holds_if_orders_wait_for_the_open(world: list[Draw]) -> None:
    run = play(world, waits=True)
    for check in CHECKS:
        check(run)


@many
@given(worlds)
def test_replay_of_the_journal_rebuilds_every_account_and_the_same_bytes(world: list[Draw]) -> None:
    run, again = play(world, models=True), play(world, models=True)
    for account in run.accounts:
        text = journal_text(account)
        assert journal_text(again.exchange.accounts[account.id]) == text
        rebuilt = Account.rebuilt(account.id, account.profile, CONTRACTS, journal.parse(text), seed=account.seed)
        assert journal_text(rebuilt) == text
        assert (rebuilt.balances, rebuilt.positions, rebuilt.totals) == (
            account.balances, account.positions, account.totals,
        )  # fmt: skip
        assert _working(rebuilt) == _working(account)


def _working(account: Account) -> list[tuple[object, ...]]:
    return [(o.id, o.status, o.filled, o.quantity, o.price, o.stop, o.seq) for o in account.working()]


@many
@given(worlds)
def test_accounts_on_one_exchange_do_not_affect_each_other(world: list[Draw]) -> None:
    together, reverse = play(world, models=True), play(world, reversed(NAMES), models=True)
    for name in NAMES:
        alone = journal_text(play(world, (name,), models=True).exchange.accounts[name])
        assert alone == journal_text(together.exchange.accounts[name]) == journal_text(reverse.exchange.accounts[name])


@many
@given(worlds)
def test_later_events_do_not_change_earlier_records(world: list[Draw]) -> None:
    half = len(world) // 2
    before, whole = play(world[:half], models=True), play(world, models=True)
    for account in before.accounts:
        assert journal_text(whole.exchange.accounts[account.id]).startswith(journal_text(account))
