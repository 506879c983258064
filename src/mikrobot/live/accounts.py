"""The accounts of a run between the simulator and the ledger: their journals written and read, their fills told.

The journal is the only memory of an account: what it holds, owes and waits for is rebuilt from it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import takewhile

import pandas as pd

from mikrobot.analytics.charges import Charge, charges
from mikrobot.domain.errors import DataError
from mikrobot.domain.market import Bar, Timeframe, bars_of, instrument
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
    """Return records by account as the ledger keeps them."""
    return [
        JournalLine(account, record.seq, type(record).__name__.lower(), journal.lines([record]).rstrip())
        for account, each in records.items()
        for record in each
    ]


def journals(ledger: Ledger, run_id: str, kinds: Sequence[str] | None = None) -> dict[str, list[Record]]:
    """Return the journal of each account of a run; None for every kind of record.

    Raises
    ------
    DataError
        If a line is no record.
    """
    found: dict[str, list[Record]] = {}
    for line in ledger.journal(run_id, kinds):
        found.setdefault(line.account, []).extend(journal.parse(line.record))
    return found


def fills(ledger: Ledger, run_id: str) -> list[Fill]:
    """Return the fills of a run, in the order they happened.

    Raises
    ------
    DataError
        If the run has orders and no journal, as those have that were traded before journals were kept.
    """
    told = journals(ledger, run_id, _OF_FILLS)
    if not told and ledger.counts(run_id)["orders"]:
        raise DataError(
            f"run {run_id} was traded before journals were kept: its fills are in the table fill only, and its reports "
            f"stand as they were written; run it again to report on it anew"
        )
    return fills_of(told)


def charges_of(ledger: Ledger, run: Run) -> list[Charge]:
    """Return what the accounts of a run were charged beside commission, in order of time."""
    contracts = {symbol: contract_of(symbol) for symbol in run.symbols}
    told = journals(ledger, run.id)
    accounts = (Account.rebuilt(name, VENUE_RULES[name], contracts, records) for name, records in told.items())
    return sorted(charge for account in accounts for charge in charges(account))


def traded_bars(run: Run, bars: BarStore, segments: Sequence[Segment]) -> dict[str, pd.DataFrame]:
    """Return the M1 bar frame of the traded span of each symbol of a run, whose segments they are."""
    return {
        symbol: bars.range(run.source, symbol, Timeframe.M1, segment.trade_from, end=segment.trade_until)
        for segment in segments
        for symbol in segment.symbols
    }


def venue_of(run: Run, settings: Settings, ledger: Ledger, bars: BarStore, *, at: datetime) -> Venue:
    """Return the venue of a run as its ledger leaves it at a close, or a new one if it has none yet.

    Raises
    ------
    DataError
        If a journal is not whole.
    """
    return _venue(run, settings, journals(ledger, run.id), bars, at=at)


def venue_at(run: Run, settings: Settings, ledger: Ledger, bars: BarStore, *, at: datetime) -> Venue:
    """Return the venue of a run as it was at a close that has passed.

    Raises
    ------
    DataError
        If a journal is not whole.
    """
    return _venue(run, settings, until(journals(ledger, run.id), at), bars, at=at)


def opened_venue(run: Run, settings: Settings) -> Venue:
    """Return a new venue with the opening balances that a run has recorded."""
    venue = Venue(run.symbols, settings.seed)
    venue.open_with(run.starts_at, opening_of(run, settings.balance))
    return venue


def opening_of(run: Run, balance: Decimal) -> dict[str, Decimal]:
    """Return the opening balances of a run by market; one that recorded none divided its balance equally."""
    recorded = run.settings.get(OPENING)
    if recorded is None:
        return divided(balance, (instrument(symbol).asset for symbol in run.symbols))
    return {market: Decimal(amount) for market, amount in recorded.items()}


def until(told: Mapping[str, Sequence[Record]], at: datetime) -> dict[str, list[Record]]:
    """Return what journals hold up to an instant; an account that had no record by then is left out."""
    last = milliseconds(at)
    cut = {name: list(takewhile(lambda record: record.ts <= last, records)) for name, records in told.items()}
    return {name: records for name, records in cut.items() if records}


def of_the_hours(run: Run, told: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
    """Return what journals hold of the hours of a run, without the closing of what it left open."""
    return {
        name: list(takewhile(lambda record: not _ends_the_run(record), records))
        for name, records in until(told, run.ends_at).items()
    }


def _ends_the_run(record: Record) -> bool:
    return isinstance(record, Noted) and record.kind == RUN_END


def _venue(
    run: Run, settings: Settings, told: Mapping[str, Sequence[Record]], bars: BarStore, *, at: datetime
) -> Venue:
    if not told:
        return opened_venue(run, settings)
    venue = Venue(run.symbols, settings.seed)
    venue.restore(told, last_bars(run, bars, at), at)
    return venue


def last_bars(run: Run, bars: BarStore, at: datetime) -> list[Bar]:
    """Return the newest bar of each symbol of a run that had closed by then, in order of time."""
    newest = (bars_of(each, bars.last(run.source, each, Timeframe.M1, 1, until=at)) for each in run.symbols)
    return sorted((bar for each in newest for bar in each), key=lambda bar: bar.close_time)
