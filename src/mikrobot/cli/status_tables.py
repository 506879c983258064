"""The tables of `status` and `account show`. Computes nothing."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from rich.markup import escape
from rich.table import Table

from mikrobot.cli.console import password_note
from mikrobot.decision.trading_state import text
from mikrobot.domain.trading import Decision
from mikrobot.domain.trading_states import TradingState
from mikrobot.live import clock_report
from mikrobot.market.combined.merging import VenueStatus
from mikrobot.market.streams.connection import StreamStatus
from mikrobot.market.streams.live_book import BookStatus
from mikrobot.market.streams.recorder import RecordingStatus
from mikrobot.paper.valuation import Holding
from mikrobot.stack.schedules import Schedules
from mikrobot.stack.service_log import ServiceStatus
from mikrobot.workflows.paper_account import PaperAccount
from mikrobot.workflows.status import Overview, SymbolState

CLOSED, OPEN = "no position", "{side} {lots} at {price} ({pnl:+})"


def tables(overview: Overview) -> list[Table]:
    """Return the tables of `status`: the services, the run with its symbols and account, and the scheduled flows."""
    shown = [_note(f"[red]{escape(alarm)}[/]") for alarm in overview.alarms]
    shown.append(_services(overview.services))
    if overview.pages is not None:
        shown.append(_note(f"{overview.pages.as_uri()}: {password_note(overview.pages)}"))
    if any(service.errors for service in overview.services):
        shown.append(_last_errors(overview.services))
    if overview.trouble:
        shown.append(_note(overview.trouble))
    if overview.session is not None:
        market = f"{overview.session.source}{', a SIMULATED market' if overview.session.simulated else ''}"
        shown.append(_note(f"Run {overview.session.run} ({market}): {overview.session.text}"))
        shown += [_note(_venue(status)) for status in overview.venues]
        shown += [_note(_stream(status)) for status in overview.streams]
        if overview.recording is not None:
            shown.append(_note(_recording(overview.recording)))
        if overview.clock is not None and not overview.clock.is_tolerated:
            shown.append(_note(f"[yellow]{clock_report.text(overview.clock)}[/]: it decides when bars are closed"))
        shown += [_books(overview.books)] if overview.books else []
        shown += [_symbols(overview.symbols), _reasons(overview.symbols)]
    shown += [_note(f"[yellow]{escape(text(state))}[/]") for state in overview.states]
    if overview.account is not None:
        shown.append(_money([overview.account]))
    if overview.schedules != Schedules():
        shown.append(_scheduled(overview))
    return shown


def account_tables(accounts: Iterable[PaperAccount]) -> list[Table]:
    """Return the tables of `account show`: the balances and the open positions of each source."""
    listed = list(accounts)
    held = _table("account", "market", "balance USD", "open positions")
    for account in listed:
        for market, balance in account.valuation.balances.items():
            own = [holding for holding in account.valuation.holdings if holding.market == market]
            positions = "; ".join(f"{holding.symbol} {_holding(holding)}" for holding in own) or CLOSED
            held.add_row(account.source, market, f"{balance:.2f}", positions)
    return [_money(listed), held]


def trading_tables(in_force: Iterable[TradingState], recent: Iterable[TradingState]) -> list[Table]:
    """Return the tables of `trading status`: the states in force, and the recent ones."""
    limiting = [_note(escape(text(state))) for state in in_force]
    listed = _table("recent state", "of", "since, UTC", "until, UTC", "by", "reason")
    for state in recent:
        until = "" if state.until is None else f"{state.until:%Y-%m-%d %H:%M}"
        span = (f"{state.since:%Y-%m-%d %H:%M}", until)
        listed.add_row(state.permission.value, state.subject, *span, escape(state.by), escape(state.reason))
    return [*(limiting or [_note("no trading state is in force: trading is ACTIVE")]), listed]


def _money(accounts: Iterable[PaperAccount]) -> Table:
    shown = _table("account, USD", "balance", "equity", "today", "since start", "at, UTC")
    for account in accounts:
        worth, at = account.valuation, f"{account.at:%Y-%m-%d %H:%M}"
        today, total = f"{account.pnl_today:+.2f}", f"{account.pnl:+.2f}"
        shown.add_row(account.source, f"{worth.balance:.2f}", f"{worth.equity:.2f}", today, total, at)
    return shown


def _services(services: Iterable[ServiceStatus]) -> Table:
    shown = _table("service", "pid", "state", "address", "errors")
    for service in services:
        word = "ready" if service.ready else "starting" if service.pid else "down"
        errors = str(service.errors) if service.pid else ""
        shown.add_row(service.name, str(service.pid or ""), word, service.address, errors)
    return shown


def _stream(status: StreamStatus) -> str:
    """Return a connection in one line."""
    others = f" and {len(status.streams) - 1} more" if len(status.streams) > 1 else ""
    state = status.state if status.state == "live" else f"[yellow]{status.state}[/], bars are read by REST"
    reason = f": {escape(status.reason)}" if status.reason else ""
    counts = f"{status.messages:,} messages, lost {status.losses} times"
    return f"Streams {escape(status.streams[0])}{others}: {state}{reason}; {counts}"


def _venue(status: VenueStatus) -> str:
    """Return a member of the source in one line."""
    symbols = ", ".join(status.symbols)
    late = f"; {status.late:,} bars came too late" if status.late else ""
    if status.away_since is None:
        return f"Venue {status.venue} ({symbols}): in time{late}"
    since = _minute(status.away_since)
    return f"Venue {status.venue} ({symbols}): [yellow]away since {since}[/]: {escape(status.reason)}{late}"


def _recording(status: RecordingStatus) -> str:
    """Return how a recording fares, in one line."""
    left_out = f", [yellow]{status.left_out:,} left out, the disk is too slow[/]" if status.left_out else ""
    stopped = f"; [red]stopped: {escape(status.stopped)}[/]" if status.stopped else ""
    if status.books_left_out:
        left_out += f", [yellow]{status.books_left_out:,} of order books left out[/]"
    if status.books_stopped and not status.stopped:
        stopped = f"; [yellow]order books stopped: {escape(status.books_stopped)}[/]"
    written = f"{status.messages:,} messages, {status.bytes / 1e6:.1f} MB"
    return f"Recorded into {escape(status.folder)}: {written}{left_out}{stopped}"


def _books(books: Iterable[BookStatus]) -> Table:
    shown = _table("order book", "state", "changes", "gaps", "snapshots", "equal to ticks", "reason")
    for book in books:
        state = book.state if book.state == "live" else f"[yellow]{book.state}[/]"
        equal = f"{book.ticker_equal / book.ticker_compared:.1%}" if book.ticker_compared else ""
        counts = (f"{book.changes:,}", str(book.gaps), str(book.snapshots))
        shown.add_row(book.symbol, state, *counts, equal, escape(book.reason))
    return shown


def _last_errors(services: Iterable[ServiceStatus]) -> Table:
    shown = _table("service", "last error in its log")
    for service in services:
        if service.errors:
            shown.add_row(service.name, f"[red]{escape(service.last_error or '')}[/]")
    return shown


def _symbols(symbols: Iterable[SymbolState]) -> Table:
    shown = _table("symbol", "last bar, UTC", "quality", "position", "P&L today")
    for symbol in symbols:
        position = "; ".join(map(_holding, symbol.holdings)) or CLOSED
        shown.add_row(symbol.symbol, _last_bar(symbol), _quality(symbol), position, _signed(symbol.pnl_today))
    return shown


def _reasons(symbols: Iterable[SymbolState]) -> Table:
    shown = _table("symbol", "last decision, and why it is not traded")
    for symbol in symbols:
        shown.add_row(symbol.symbol, _decision(symbol.decision, symbol.why))
        shown.add_row("", f"[yellow]not trading: {escape(symbol.stopped)}[/]" if symbol.stopped else "not stopped")
    return shown


def _scheduled(overview: Overview) -> Table:
    shown, planned = _table("next flow", "at", "in"), overview.schedules
    now = planned.at or overview.at
    for run in planned.next_runs:
        shown.add_row(run.deployment, _minute(run.at), _span(run.at - now))
    for name in planned.unscheduled:
        shown.add_row(name, "[red]none: Prefect schedules nothing, see `mikrobot doctor`[/]", "")
    for run in planned.late:
        shown.add_row(run.deployment, f"[red]late: due {_minute(run.at)}, not started[/]", "")
    for name in planned.failed:
        shown.add_row(name, "[red]the newest run failed[/]", "")
    return shown


def _last_bar(symbol: SymbolState) -> str:
    if symbol.last_bar is None:
        return "none"
    return f"{symbol.last_bar:%Y-%m-%d %H:%M}" + (f", {_span(symbol.age)} ago" if symbol.age is not None else "")


def _quality(symbol: SymbolState) -> str:
    score = "" if symbol.quality is None else f"{symbol.quality:.3f}"
    return f"{score} [red]halted[/]".strip() if symbol.halts else score


def _decision(decision: Decision | None, why: str) -> str:
    if decision is None:
        return "no decision yet"
    verdict = decision.side.value if decision.approved and decision.side else "no trade"
    return escape(f"{_minute(decision.close_time)} {verdict}: {why}")


def _holding(held: Holding) -> str:
    return OPEN.format(side=held.side.value, lots=held.lots, price=held.price, pnl=held.pnl)


def _signed(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:+}"


def _span(length: timedelta) -> str:
    """Return a length of time in words.

    >>> _span(timedelta(seconds=75)), _span(timedelta(hours=30))
    ('1 min 15 s', '30 h 0 min')
    """
    seconds = max(round(length.total_seconds()), 0)
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _note(text: str) -> Table:
    shown = Table(box=None, show_header=False, padding=(1, 2, 0, 2))
    shown.add_column(overflow="fold")
    shown.add_row(text)
    return shown


def _table(*headings: str) -> Table:
    shown = Table(box=None, padding=(0, 2))
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    return shown
