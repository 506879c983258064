"""The accounts of a run between the simulator and the ledger: their journals written and read, their fills told.

The journal is the only memory of an account: what it holds, owes and waits for is rebuilt from it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd

from mikrobot.analytics.charges import Charge, charges
from mikrobot.app.session import segments_of
from mikrobot.domain.errors import DataError
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.domain.trading import Fill
from mikrobot.paper import journal, statement
from mikrobot.paper.account import Account
from mikrobot.paper.journal import Record
from mikrobot.paper.venue import PROFILES, Venue, contract_of
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import JournalLine, Ledger
from mikrobot.store.runs import Run

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
    return statement.fills(told)


def charges_of(ledger: Ledger, run: Run) -> list[Charge]:
    """Return what the accounts of a run were charged beside commission, in order of time."""
    contracts = {symbol: contract_of(symbol) for symbol in run.symbols}
    told = journals(ledger, run.id)
    accounts = (Account.rebuilt(name, PROFILES[name], contracts, records) for name, records in told.items())
    return sorted(charge for account in accounts for charge in charges(account))


def traded_bars(run: Run, bars: BarStore) -> dict[str, pd.DataFrame]:
    """Return the M1 bar frame of the traded span of each symbol of a run."""
    return {
        symbol: bars.range(run.source, symbol, Timeframe.M1, segment.trade_from, segment.trade_until)
        for segment in segments_of(run)
        for symbol in segment.symbols
    }


def venue_of(run: Run, settings: Settings, ledger: Ledger, bars: BarStore, at: datetime) -> Venue:
    """Return the venue of a run as its ledger leaves it at a close, or a new one if it has none yet.

    Raises
    ------
    DataError
        If a journal is not whole.
    """
    venue = Venue(run.symbols, settings.seed)
    told = journals(ledger, run.id)
    if not told:
        venue.open(run.starts_at, settings.balance)
        return venue
    venue.restore(told, last_bars(run, bars, at), at)
    return venue


def last_bars(run: Run, bars: BarStore, at: datetime) -> list[Bar]:
    """Return the newest bar of each symbol of a run that had closed by then, in order of time."""
    newest = (bars_of(each, bars.last(run.source, each, Timeframe.M1, 1, until=at)) for each in run.symbols)
    return sorted((bar for each in newest for bar in each), key=lambda bar: bar.close_time)
