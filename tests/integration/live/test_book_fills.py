"""A run with stored order books: its orders take their levels, after a kill too, and the backtest of it is equal."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from mikrobot.domain.market import Timeframe
from mikrobot.domain.order_books import ClosingBook
from mikrobot.domain.trading import Fill, FillReason, Side
from mikrobot.live import accounts
from mikrobot.live.recording import Recording, Stored, recorded
from mikrobot.market.recorded_minutes import PUBLISHED, books_of, scores_of
from mikrobot.market.recorded_streams import files_of
from mikrobot.market.replay import read_bars
from mikrobot.runtime import wait_until
from mikrobot.stack import wanted
from mikrobot.store import books
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.postgres.names import Names
from mikrobot.store.postgres.roles import LIVE as LIVE_ROLE
from mikrobot.store.quality import QualityScores
from mikrobot.store.runs import Runs
from mikrobot.workflows import reconcile
from tests.replay_market import CLOCK, FROM, NOTHING, UNTIL, Market, made_up_model, store_history

SOURCE, SYMBOL = "binance-local", "BTCUSDT"
MINUTE = timedelta(minutes=1)
LIVE = ("worker", "streamer")


def closing_book(rng: Random, at: datetime, close: float) -> ClosingBook:
    """Return a thin book about a close, which a usual order walks; every tenth is lost."""
    if rng.random() < 0.1:
        return ClosingBook(SYMBOL, at, "lost", "changes are missing")
    bids, asks = (
        tuple((round(close + sign * (0.4 + number), 2), round(rng.uniform(0.001, 0.01), 5)) for number in range(20))
        for sign in (-1, 1)
    )
    return ClosingBook(SYMBOL, at, "live", "", bids, asks)


@pytest.fixture(scope="module")
def booked(market: Market, bar_files: dict[str, Path]) -> Market:
    """Return the market as a source with order books: its history, the books of its hours and a model."""
    path = bar_files[SYMBOL]
    store_history(market.settings, {SYMBOL: path}, SOURCE)
    _, frame = read_bars(path)
    hours = frame[frame["open_time"].between(FROM - MINUTE, UNTIL, inclusive="left")]
    rng = Random(5)
    with database.open_pool(market.settings) as pool:
        names = Names(pool)
        source, symbol = names.source(SOURCE), names.symbol(SYMBOL)
        with pool.connection() as connection:
            for opened, close in zip(hours["open_time"], hours["close"], strict=True):
                books.insert(connection, source, symbol, closing_book(rng, opened.to_pydatetime() + MINUTE, close))
    registry = open_registry(market.settings, signing=True)
    model = made_up_model(symbols=(SYMBOL,), source=SOURCE)
    version = registry.log(model, **NOTHING, data_name="none", data_sha256="0" * 64)
    registry.promote("bos", version, "for the test")
    return replace(
        market,
        source=SOURCE,
        segment=replace(market.segment, symbols=(SYMBOL,)),
        settings=market.settings.model_copy(update={"data": (path,), "symbols": (SYMBOL,)}),
    )


def trade(market: Market, run_id: str, killed_at: list[datetime]) -> None:
    """Trade a run; kill its worker at some minutes."""
    market.begin(run_id)
    with ThreadPoolExecutor(1) as executor, database.open_pool(market.settings) as pool:
        run, runs = executor.submit(market.trade, run_id), Runs(pool)
        for at in killed_at:
            wait_until(
                lambda at=at: market.runs("worker") and (runs.reached(run_id, "worker") or FROM) >= at,
                "the worker does not go on", CLOCK, timeout_s=120, every_s=0.01,
            )  # fmt: skip
            market.kill("worker")
        run.result(timeout=180)
    wanted.drop(market.settings.home, LIVE)


def taken(market: Market, run_id: str) -> list[Fill]:
    with database.open_pool(market.settings) as pool:
        return accounts.fills(Ledger(pool), Runs(pool).get(run_id))


def rebuilt(market: Market, run_id: str) -> dict[str, object]:
    """Return cash, positions and live orders of each account, rebuilt from the journal."""
    with database.open_pool(market.settings) as pool:
        venue = accounts.venue_of(Runs(pool).get(run_id), market.settings, Ledger(pool), BarStore(pool), at=UNTIL)
    return {
        name: (account.balances, account.totals, account.positions, sorted(account.live))
        for name, account in venue.exchange.accounts.items()
    }


def test_a_live_ledger_has_the_levels_of_the_stored_books_and_its_backtest_differs_in_nothing(booked):
    from expectations.quality_gate import check

    trade(booked, "by levels", [])
    fills = taken(booked, "by levels")
    with database.open_pool(booked.settings, LIVE_ROLE) as pool:
        stored = BookSamples(pool).closing(SOURCE, [SYMBOL], FROM - MINUTE, until=UNTIL)
    opened = [fill for fill in fills if fill.reason in (FillReason.ENTRY, FillReason.TIME)]
    for fill in fills:
        book = stored.get((SYMBOL, fill.filled_at)) if fill in opened else None
        if book is None or book.state != "live":
            assert (fill.levels, fill.spread) == ((), None)
            continue
        side = book.asks if fill.side is Side.BUY else book.bids
        walked = [(float(price), float(lots)) for price, lots in fill.levels]
        assert walked[:-1] == list(side[: len(walked) - 1])
        assert (walked[-1][0], walked[-1][1] <= side[len(walked) - 1][1]) == (side[len(walked) - 1][0], True)
        assert sum(lots for _, lots in fill.levels) == fill.lots or len(walked) == len(side)
    assert sum(len(fill.levels) > 1 for fill in opened) >= 2
    trade(booked, "by levels killed", [FROM + minutes * MINUTE for minutes in (20, 45, 70)])
    assert booked.ledger("by levels killed") == booked.ledger("by levels")
    assert rebuilt(booked, "by levels killed") == rebuilt(booked, "by levels")
    booked.materialize_everything(lambda frame: check(frame, "features", booked.settings.quarantine_share))
    result = reconcile.compare(booked.settings, CLOCK, "by levels", lambda line: None)
    assert result["fidelity"]["differences"] == []
    assert result["fidelity"]["orders_alike"] == result["fidelity"]["orders"]["run"] >= 2
    assert result["fidelity"]["decisions_alike"] == result["decisions"] == 100
    assert result["journals_alike"] == {"crypto": True}


def test_a_replay_of_the_recording_of_a_session_has_its_books_scores_and_fills(booked, tmp_path):
    trade(booked, "recorded", [])
    folder = tmp_path / "recorded"
    record(booked, "recorded", folder)
    check_that_a_restart_records_again(booked, "recorded", tmp_path / "restarted")
    played = replace(
        booked,
        source="replay",
        settings=booked.settings.model_copy(update={"source": "replay", "data": (folder,), "symbols": (SYMBOL,)}),
    )
    trade(played, "again", [])
    assert without_source(taken(played, "again")) == without_source(taken(booked, "recorded"))
    assert any(fill.levels for fill in taken(played, "again"))
    with database.open_pool(booked.settings) as pool:
        books, scores = BookSamples(pool), QualityScores(pool)
        assert list(books.closing("replay", [SYMBOL], FROM, until=UNTIL).values()) == list(
            books.closing(SOURCE, [SYMBOL], FROM, until=UNTIL).values()
        )
        assert scores.between("replay", [SYMBOL], FROM, UNTIL) == scores.between(SOURCE, [SYMBOL], FROM, UNTIL)


def test_a_replay_of_bars_alone_has_none_of_the_books_of_an_earlier_replay(booked, bar_files):
    with database.open_pool(booked.settings) as pool:
        names = Names(pool)
        with pool.connection() as connection:
            book = closing_book(Random(6), FROM + 20 * MINUTE, 100.0)
            books.insert(connection, names.source("replay"), names.symbol(SYMBOL), book)
    settings = booked.settings.model_copy(update={"source": "replay", "data": (bar_files[SYMBOL],)})
    trade(replace(booked, source="replay", settings=settings), "bars alone", [])
    with database.open_pool(booked.settings) as pool:
        assert BookSamples(pool).closing("replay", [SYMBOL], FROM, until=UNTIL) == {}
    assert [fill.levels for fill in taken(booked, "bars alone") if fill.levels] == []


@contextmanager
def recording(market: Market, run_id: str, folder: Path) -> Iterator[tuple[Recording, Stored]]:
    """Record a run into a folder, as its streamer does after each of its starts."""
    settings = market.settings.model_copy(update={"record": folder})
    with database.open_pool(market.settings) as pool:
        run, stored = Runs(pool).get(run_id), Stored.of(pool)
        with recorded(settings, run, market.segment, stored, clock=CLOCK) as started:
            assert started is not None
            yield started, stored


def record(market: Market, run_id: str, folder: Path) -> None:
    """Write the recording that the streamer of a run would have written."""
    with recording(market, run_id, folder) as (started, stored):
        scores = {score.close_time: score for score in stored.scores.between(SOURCE, [SYMBOL], FROM, UNTIL)}
        closing = stored.books.closing(SOURCE, [SYMBOL], FROM, until=UNTIL)
        for bar in stored.bars.closed(SOURCE, [SYMBOL], Timeframe.M1, FROM, until=UNTIL):
            at_close = {SYMBOL: closing[SYMBOL, bar.close_time]}
            started.published(bar.close_time, [bar], at_close, [scores[bar.close_time]])


def check_that_a_restart_records_again(market: Market, run_id: str, folder: Path) -> None:
    """Record a run, lose what was published, and record it again, which has the newest ten minutes as they were."""
    record(market, run_id, folder)
    books, scores = books_of(folder, [SYMBOL]), scores_of(folder)
    for path in files_of(folder, PUBLISHED):
        path.unlink()
    with recording(market, run_id, folder):
        pass
    newest = [(SYMBOL, UNTIL - minutes * MINUTE) for minutes in range(10)]
    again = books_of(folder, [SYMBOL])
    assert {close: bytes(book) for close, book in again.items()} == {close: bytes(books[close]) for close in newest}
    assert scores_of(folder) == {close: scores[close] for close in newest}


def without_source(fills: list[Fill]) -> list[str]:
    """Return fills as text without the ids of their runs."""
    return [repr(fill).replace("recorded", "RUN").replace("again", "RUN") for fill in fills]
