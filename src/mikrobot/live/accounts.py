"""Convert the accounts of a run between the simulator and the ledger: journals, fills and charges.

The journal is the only stored state of an account: its positions, balances and orders are rebuilt from it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import takewhile

import pandas as pd

from mikrobot.analytics.charges import Charge, charges
from mikrobot.domain.errors import DataError
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.domain.trading import Fill
from mikrobot.paper import journal
from mikrobot.paper.account import Account
from mikrobot.paper.fills import fills_of
from mikrobot.paper.journal import Noted, Record
from mikrobot.paper.venue import RUN_END, VENUE_RULES, Venue, contract_of, divided, milliseconds
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import JournalLine, Ledger
from mikrobot.store.runs import OPENING, Run, Segment

_OF_FILLS = ("submitted", "filled")


def lines_of(records: Mapping[str, Sequence[Record]]) -> list[JournalLine]:
    """Return records by account as lines of the ledger."""
    return [
        JournalLine(account, record.seq, type(record).__name__.lower(), journal.lines([record]).rstrip())
        for account, account_records in records.items()
        for record in account_records
    ]


def journals(ledger: Ledger, run_id: str, kinds: Sequence[str] | None = None) -> dict[str, list[Record]]:
    """Return the journal of each account of a run; `kinds` None: every kind of record.

    Raises
    ------
    DataError
        If a line is not a valid record.
    """
    by_account: dict[str, list[Record]] = {}
    for line in ledger.journal(run_id, kinds):
        by_account.setdefault(line.account, []).extend(journal.parse(line.record))
    return by_account


def fills(ledger: Ledger, run: Run) -> list[Fill]:
    """Return the fills of a run, in order of time.

    Raises
    ------
    DataError
        If the run has orders but no journal, because it was traded before journals were kept.
    """
    by_account = journals(ledger, run.id, _OF_FILLS)
    if not by_account and ledger.counts(run.id)["orders"]:
        raise DataError(
            f"run {run.id} was traded before journals were kept: its fills are in the table fill only, and its reports "
            f"cannot be written again; trade the same hours in a new run to get a report"
        )
    with registry.using(run.instruments):
        return fills_of(by_account)


def charges_of(ledger: Ledger, run: Run) -> list[Charge]:
    """Return the charges of the accounts of a run other than commission, in order of time."""
    with registry.using(run.instruments):
        contracts = {symbol: contract_of(symbol) for symbol in run.symbols}
    by_account = journals(ledger, run.id)
    accounts = (Account.rebuilt(name, VENUE_RULES[name], contracts, records) for name, records in by_account.items())
    return sorted(charge for account in accounts for charge in charges(account))


def traded_bars(run: Run, bars: BarStore, segments: Sequence[Segment]) -> dict[str, pd.DataFrame]:
    """Return the M1 bar frame of each symbol over the span in which it was traded."""
    return {
        symbol: bars.range(run.source, symbol, Timeframe.M1, run.trades_from(symbol, segment), end=segment.trade_until)
        for segment in segments
        for symbol in segment.symbols
    }


def venue_of(run: Run, settings: Settings, ledger: Ledger, bars: BarStore, *, at: datetime) -> Venue:
    """Return the venue of a run with the final state of its ledger, at a close; a new one if it has no journal yet.

    Raises
    ------
    DataError
        If a journal is incomplete.
    """
    return _venue(run, settings, journals(ledger, run.id), bars, at=at)


def venue_at(run: Run, settings: Settings, ledger: Ledger, bars: BarStore, *, at: datetime) -> Venue:
    """Return the venue of a run with its state at a past close.

    Raises
    ------
    DataError
        If a journal is incomplete.
    """
    return _venue(run, settings, until(journals(ledger, run.id), at), bars, at=at)


def opened_venue(run: Run, settings: Settings) -> Venue:
    """Return a new venue with the opening balances that a run has recorded."""
    venue = _new_venue(run, settings)
    venue.open_with(run.starts_at, opening_of(run, settings.balance))
    return venue


def opening_of(run: Run, balance: Decimal) -> dict[str, Decimal]:
    """Return the opening balances of a run by market; without a record, the balance divided equally."""
    recorded = run.settings.get(OPENING)
    if recorded is None:
        with registry.using(run.instruments):
            return divided(balance, [instrument(symbol).market for symbol in run.symbols])
    return {market: Decimal(amount) for market, amount in recorded.items()}


def until(by_account: Mapping[str, Sequence[Record]], at: datetime) -> dict[str, list[Record]]:
    """Return the records of journals up to an instant; accounts without a record by then are left out."""
    last = milliseconds(at)
    cut = {name: list(takewhile(lambda record: record.ts <= last, records)) for name, records in by_account.items()}
    return {name: records for name, records in cut.items() if records}


def of_the_hours(run: Run, by_account: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
    """Return the records of journals within the hours of a run, without the closing of its open positions."""
    return {
        name: list(takewhile(lambda record: not _ends_the_run(record), records))
        for name, records in until(by_account, run.ends_at).items()
    }


def _ends_the_run(record: Record) -> bool:
    return isinstance(record, Noted) and record.kind == RUN_END


def _venue(
    run: Run, settings: Settings, by_account: Mapping[str, Sequence[Record]], bars: BarStore, *, at: datetime
) -> Venue:
    if not by_account:
        return opened_venue(run, settings)
    venue = _new_venue(run, settings)
    venue.restore(by_account, last_bars(run, bars, at), at)
    return venue


def _new_venue(run: Run, settings: Settings) -> Venue:
    """Return a venue without accounts, with the instruments of a run."""
    with registry.using(run.instruments):
        return Venue(run.symbols, settings.seed)


def last_bars(run: Run, bars: BarStore, at: datetime) -> list[Bar]:
    """Return the newest bar of each symbol of a run that closed by an instant, in order of time."""
    newest = (bars_of(symbol, bars.last(run.source, symbol, Timeframe.M1, 1, until=at)) for symbol in run.symbols)
    return sorted((bar for symbol_bars in newest for bar in symbol_bars), key=lambda bar: bar.close_time)
