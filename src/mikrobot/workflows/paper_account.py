"""The paper account of a market source: its opening balances for a run, its current value, and its resets.

The account belongs to the source and outlives a run. A run on a live source opens with the final balances
of the newest run of the source. A replay opens with those of an earlier replay whose hours end before its
own begin; hours that are replayed again start from the same balances as before, so that no result is counted
twice and the same replay gives the same trades. If there is no such run, the account opens with the balance
of the newest reset, else with the setting `balance`. Positions that a run has left open are closed at their
last price when the next run continues the account. Does not trade.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from mikrobot.domain.errors import UsageError
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.sources import SOURCES, is_live, is_source, kind_of
from mikrobot.live import accounts, pid_records, wiring
from mikrobot.paper.valuation import Valuation, value
from mikrobot.paper.venue import divided
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres.database import Pool
from mikrobot.store.resets import Reset, Resets
from mikrobot.store.runs import CONTINUES, FOLLOWS, OPENING, Run, Runs

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Opening:
    """The opening balances of a run.

    Attributes
    ----------
    balances : dict of str to Decimal
        By market, dollars.
    continues : str or None
        Id of the run that the balances come from; None at a new start.
    """

    balances: dict[str, Decimal]
    continues: str | None

    @property
    def total(self) -> Decimal:
        """Sum over all markets, dollars."""
        return sum(self.balances.values(), Decimal(0))

    def to_json(self) -> dict[str, Any]:
        """Return the keys that are recorded in the settings of a run."""
        return {OPENING: {name: str(amount) for name, amount in self.balances.items()}, CONTINUES: self.continues}


@dataclass(frozen=True, slots=True)
class PaperAccount:
    """The current paper account of a source; money in dollars.

    Attributes
    ----------
    source : str
    simulated : bool
    run : str or None
        The run that trades or last traded it; None after a reset, and before the first traded minute.
    at : datetime
        Close up to which this run has traded, or the time of the reset or of the run's start, UTC.
    valuation : Valuation
    pnl_today : Decimal
        Change of the equity since midnight UTC, or since the run opened if that is later.
    earned_today : dict of str to Decimal
        Profit and loss of the same period by symbol, realised and unrealised, without financing.
    started_with : Decimal
        Opening balance of the first run since the reset.
    reset_at : datetime or None
        Time of the newest reset, UTC.
    """

    source: str
    simulated: bool
    run: str | None
    at: datetime
    valuation: Valuation
    pnl_today: Decimal
    earned_today: dict[str, Decimal]
    started_with: Decimal
    reset_at: datetime | None

    @property
    def pnl(self) -> Decimal:
        """Change of the equity since the start."""
        return self.valuation.equity - self.started_with

    def to_json(self) -> dict[str, Any]:
        """Return the account as plain JSON values, money as text."""
        return {
            "simulated": self.simulated,
            "run": self.run,
            "at": self.at.isoformat(),
            "balances": {name: str(amount) for name, amount in self.valuation.balances.items()},
            "balance": str(self.valuation.balance),
            "equity": str(self.valuation.equity),
            "pnl_today": str(self.pnl_today),
            "pnl_since_reset": str(self.pnl),
            "started_with": str(self.started_with),
            "reset_at": self.reset_at.isoformat() if self.reset_at else None,
            "positions": [
                {
                    "symbol": held.symbol,
                    "side": held.side.value,
                    "lots": str(held.lots),
                    "price": str(held.price),
                    "pnl": str(held.pnl),
                }
                for held in self.valuation.holdings
            ],
        }


def take_up(settings: Settings, pool: Pool, run: Run) -> Opening:
    """Return the opening balances of a new run; close the positions that the previous run has left open.

    If both runs trade the same markets, each market keeps its balance; otherwise the sum is divided equally.

    Raises
    ------
    UsageError
        If the account has no money left.
    DataError
        If the journal of the previous run is incomplete, or a position of it cannot be closed.
    """
    markets = {instrument(symbol).market for symbol in run.symbols}
    before = _before(pool, run)
    if before is None:
        reset = Resets(pool).latest(run.source)
        return Opening(divided(reset.balance if reset else settings.balance, markets), None)
    for earlier in (before, *Runs(pool).followers(before.id)):
        _close_out(settings, pool, earlier, run.id)
    left = _valued(settings, pool, before, _reached(pool, before)).balances
    total = sum(left.values(), Decimal(0))
    if total <= 0:
        raise UsageError(
            f"the paper account of source {run.source} has {total} USD left: "
            f"`mikrobot account reset --source {run.source}` starts it again"
        )
    return Opening(left if left.keys() == markets else divided(total, markets), before.id)


def overview(settings: Settings, pool: Pool, clock: Clock) -> list[PaperAccount]:
    """Return the account of every source that has been traded or reset, sorted by name."""
    sources = {run.source for run in Runs(pool).all()} | set(Resets(pool).sources())
    return [account for source in sorted(sources) if (account := state(settings, pool, source, clock)) is not None]


def state(settings: Settings, pool: Pool, source: str, clock: Clock) -> PaperAccount | None:
    """Return the account of a source, or None if no run has opened it and it has not been reset."""
    reset, traded = Resets(pool).latest(source), _traded(pool, source)
    if not traded:
        return _untraded(settings, pool, source, reset)
    run = traded[-1]
    at = _reached(pool, run)
    now = _valued(settings, pool, run, at)
    day = _midnight(run, at, clock)
    then = _valued(settings, pool, run, day) if day <= at else now
    earned = {symbol: now.earned[symbol] - then.earned.get(symbol, Decimal(0)) for symbol in now.earned}
    today = now.equity - then.equity
    started_with = _started_with(settings, pool, run)
    return PaperAccount(
        source, run.simulated, run.id, at, now, today, earned, started_with, reset.at if reset else None
    )


def source_to_reset(settings: Settings, pool: Pool, named: str | None) -> str:
    """Return the source whose account may be reset: the named one, else that of the latest run.

    Raises
    ------
    UsageError
        If there is no such source, no run yet, or a run uses the account, even if it does not trade yet.
    """
    latest = Runs(pool).latest()
    if named is None and latest is None:
        raise UsageError("there is no account to reset yet: name a source with --source, or open one by `mikrobot run`")
    source = named or (latest.source if latest else "")
    if not is_source(source):
        raise UsageError(f"there is no source {source!r}; the sources are {', '.join(SOURCES)}")
    used = any(pid_records.find(process, settings.home) is not None for process in ("loop", "worker"))
    if latest is not None and latest.source == source and used:
        raise UsageError(
            f"run {latest.id} uses the account of source {source}: reset it after its end, or end it by `mikrobot down`"
        )
    return source


def reset(pool: Pool, source: str, balance: Decimal, clock: Clock) -> Reset:
    """Start the account of a source again with a balance; its earlier runs and their ledgers do not change."""
    fresh = Reset(source, clock.now(), balance)
    Resets(pool).add(fresh)
    return fresh


def _before(pool: Pool, run: Run) -> Run | None:
    """Return the run that a new run continues."""
    earlier = _traded(pool, run.source)
    if is_live(run.source):
        return earlier[-1] if earlier else None
    ends = [(_reached(pool, replay), number) for number, replay in enumerate(earlier)]
    ended = [end for end in ends if end[0] <= run.starts_at]
    return earlier[max(ended)[1]] if ended else None


def _traded(pool: Pool, source: str) -> list[Run]:
    """Return the runs of a source that have traded since its newest reset, in order of their start, without arms."""
    reset, traded = Resets(pool).latest(source), Ledger(pool).traded_runs()
    return [
        run
        for run in Runs(pool).all()
        if run.source == source
        and FOLLOWS not in run.settings
        and (reset is None or run.started_at > reset.at)
        and run.id in traded
    ]


def _close_out(settings: Settings, pool: Pool, run: Run, next_run: str) -> None:
    at, ledger = _reached(pool, run), Ledger(pool)
    venue = accounts.venue_of(run, wiring.rules_of(settings, run), ledger, BarStore(pool), at=at)
    venue.close_out(at, next_run)
    ledger.append(run.id, accounts.lines_of(venue.unrecorded()))


def _valued(settings: Settings, pool: Pool, run: Run, at: datetime) -> Valuation:
    return value(accounts.venue_at(run, wiring.rules_of(settings, run), Ledger(pool), BarStore(pool), at=at), at)


def _reached(pool: Pool, run: Run) -> datetime:
    return Runs(pool).reached(run.id, "worker") or run.starts_at


def _midnight(run: Run, at: datetime, clock: Clock) -> datetime:
    """Return the start of an account's current day: today on a live market, else the day of its last bar."""
    instant = max(clock.now(), at) if is_live(run.source) else at
    return (instant - _INSTANT).replace(hour=0, minute=0, second=0, microsecond=0)


def _started_with(settings: Settings, pool: Pool, run: Run) -> Decimal:
    """Return the opening balance of the first run in the chain of runs that this one continues."""
    while (before := run.settings.get(CONTINUES)) is not None:
        run = Runs(pool).get(before)
    return wiring.rules_of(settings, run).balance


def _untraded(settings: Settings, pool: Pool, source: str, reset: Reset | None) -> PaperAccount | None:
    """Return an account without a traded minute: the balance of its reset, else the opening of the newest run."""
    if reset is not None:
        at, balances = reset.at, {"undivided": reset.balance}
        simulated = is_source(source) and kind_of(source).simulated
    elif begun := [run for run in Runs(pool).all() if run.source == source and FOLLOWS not in run.settings]:
        at, simulated = begun[-1].started_at, begun[-1].simulated
        balances = accounts.opening_of(begun[-1], wiring.rules_of(settings, begun[-1]).balance)
    else:
        return None
    total = sum(balances.values(), Decimal(0))
    worth = Valuation(balances, total, (), {}, {})
    reset_at = reset.at if reset else None
    return PaperAccount(source, simulated, None, at, worth, Decimal(0), {}, total, reset_at)
