"""Compute feature rows from bars, one bar at a time or a whole frame, with the same compiled step.

A feature row is known at the close of its bar and uses only bars closed by then. A symbol with a
lead reads the lead's newest row at that time. So update the lead's bar of a minute before the bars
of its followers (`mikrobot.domain.instruments.registry.leads_first`), or pass the lead's rows with a whole frame.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError, DataError, MikrobotError, UnknownSymbol
from mikrobot.domain.instruments.registry import instrument, is_known, leads
from mikrobot.domain.market import Bar, Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.bars import (
    BAR_FIELDS,
    BOOK,
    NO_SYMBOL,
    bar_records,
    book_records,
    lead_records,
    refusal,
    utc,
)
from mikrobot.features.kernel.compilation import kernel
from mikrobot.features.kernel.composition import Catalog

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_M1 = Timeframe.M1
_NO_LEAD = -1
_AT_ONCE = 10_000


class Seen(NamedTuple):
    """Input of a symbol so far: number of bars, and number of latest bars in a row without a move."""

    bars: int
    still: int


class FeaturePipeline:
    """Compute the features of one or more symbols, each with its own state.

    Parameters
    ----------
    symbols : sequence of str
        An unknown symbol counts as a market that trades around the clock, like crypto.
    catalog : Catalog
    lead_of : mapping of str to str, optional
        Symbol -> its lead, both among the symbols; by default the leads of the instruments.

    Attributes
    ----------
    symbols : tuple of str
    catalog : Catalog
    lead_of : dict of str to str
    columns : tuple of str
        Names of the values in a row, in order.
    states : ndarray of catalog.state, shape (symbols,)
        The whole state, by name: ``states[0].m1_rsi_14.gain.value``.
    rows : ndarray of float64, shape (symbols, columns)
        The newest row of each symbol, a view of the state; NaN before the first bar.

    Raises
    ------
    StoreError
        If the folder for compiled features cannot be written.
    """

    def __init__(
        self, symbols: Sequence[str], catalog: Catalog = CATALOG, lead_of: Mapping[str, str] | None = None
    ) -> None:
        self.symbols = tuple(symbols)
        self.catalog = catalog
        self.columns = catalog.columns
        self.states: Any = np.zeros(len(self.symbols), catalog.state)
        self.states["market"]["fx"] = [_closes(symbol) for symbol in self.symbols]
        self._memory = self.states.view(np.uint8)
        self.rows = self._newest_rows()
        self.rows[:] = np.nan
        self._row_views: list[NDArray[np.float64]] = list(self.rows)
        self._bars_seen, self._still = self.states["seen"]["bars"], self.states["seen"]["still"]
        self._books = self.states["book"]
        self._index = {symbol: i for i, symbol in enumerate(self.symbols)}
        self.lead_of = leads(symbols) if lead_of is None else dict(lead_of)
        self._leads = [self._index.get(self.lead_of.get(symbol, ""), _NO_LEAD) for symbol in self.symbols]
        compiled = kernel(catalog)
        self._update, self._enter, self._fold = compiled.update, compiled.enter, compiled.fold

    def update(self, bar: Bar, book: tuple[float, ...] | None = None) -> NDArray[np.float64]:
        """Process one closed M1 bar.

        Parameters
        ----------
        bar : Bar
        book : tuple of float, optional
            The order book at its close, in the order of `mikrobot.domain.order_books.BOOK_FIELDS`, NaN where unknown.

        Returns
        -------
        ndarray of float64, shape (columns,)
            The row known at ``bar.close_time``; a view, valid until the symbol's next bar.
            NaN where a value is not known (see `ColumnSpec`).

        Raises
        ------
        BarError
            If it is not a valid M1 bar after the last one of its symbol. The state does not
            change, and the next valid bar is accepted.
        UnknownSymbol
            If the pipeline does not have its symbol.
        """
        try:
            index = self._index[bar.symbol]
            opened = bar.open_time - _EPOCH
            time = -1 if opened.microseconds or bar.timeframe is not _M1 else opened.days * 86_400 + opened.seconds
            if book is not None:
                self._books[index] = (time, *book)
            fault = self._update(
                self._memory,
                index,
                self._leads[index],
                time,
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                bar.volume,
                bar.spread,
                bar.trades,
                bar.taker_volume,
            )
        except (KeyError, TypeError) as error:
            raise self._unusable(bar, error) from error
        if fault:
            raise self._refused(bar, fault)
        return self._row_views[index]

    def update_raw(
        self,
        index: int,
        time: int,
        open: float,
        high: float,
        low: float,
        close: float,
        volume: float,
        spread: float,
        trades: float,
        taker_volume: float,
    ) -> NDArray[np.float64]:
        """Process one closed M1 bar given as plain numbers; faster than `update`, without type checks.

        Parameters
        ----------
        index : int
            Index of the symbol in `symbols`.
        time : int
            Open of the bar, seconds since 1970 UTC.
        open, high, low, close, volume, spread, trades, taker_volume : float
            As in `Bar`; all except the prices may be NaN.

        Returns
        -------
        ndarray of float64, shape (columns,)
            As `update`.

        Raises
        ------
        BarError
            As `update`.
        """
        try:
            lead = self._leads[index]
        except IndexError:
            lead = _NO_LEAD
        fault = self._enter(
            self._memory, index, lead, time, open, high, low, close, volume, spread, trades, taker_volume
        )
        if fault:
            if fault == NO_SYMBOL:
                raise UnknownSymbol(f"no symbol of index {index} in a pipeline of {len(self.symbols)} symbols")
            values = (open, high, low, close, volume, spread, trades, taker_volume)
            raise refusal(self.symbols[index], fault, utc(time), _named(values), self._last(index))
        return self._row_views[index]

    def compute(
        self,
        symbol: str,
        bars: pd.DataFrame,
        lead: pd.DataFrame | None = None,
        *,
        books: pd.DataFrame | None = None,
    ) -> NDArray[np.float64]:
        """Process a frame of closed M1 bars that follow the earlier bars of the symbol.

        Years of bars can be passed in pieces, in order: the rows are the same, with the memory use
        of one piece.

        Parameters
        ----------
        symbol : str
        bars : DataFrame
            Columns `BAR_COLUMNS`, in time order.
        lead : DataFrame, optional
            Rows of the symbol's lead, as returned by `lead_rows`: the rows of the span of `bars`, and the
            newest row before it unless an earlier piece had it. Without them, values of the lead
            are missing.
        books : DataFrame, optional
            Order books at the closes of bars: ``open_time`` of the bar and `mikrobot.domain.order_books.BOOK_FIELDS`,
            in time order. Where a bar has none, the values of the order book are missing.

        Returns
        -------
        ndarray of float64, shape (len(bars), columns)
            Row i is known at the close of bar i, and equals bit for bit what `update` returns.

        Raises
        ------
        BarError
            If `update` would refuse a bar; then no bar of the frame is processed.
        DataError
            If `lead` lacks a column or is not in time order.
        UnknownSymbol
            If the pipeline does not have the symbol.
        """
        return self._folded(symbol, bars, lead, _M1, books)[1]

    def frame(
        self,
        symbol: str,
        bars: pd.DataFrame,
        lead: pd.DataFrame | None = None,
        timeframe: Timeframe = Timeframe.M1,
        *,
        books: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Compute a frame of feature rows from a frame of M1 bars.

        Parameters
        ----------
        symbol, bars, lead, books
            As `compute`.
        timeframe : Timeframe
            Timeframe at whose bar closes rows are returned. The row of a longer bar contains the values
            known at its close, even if its last minutes have no M1 bar. A bar whose close the M1
            bars have not reached has no row yet.

        Returns
        -------
        DataFrame
            Columns ``symbol``, ``close_time`` (datetime64[us, UTC], when the row becomes
            known) and the columns of the catalog, in order; one row per bar.

        Raises
        ------
        BarError, DataError, UnknownSymbol
            As `compute`.
        """
        times, values = self._folded(symbol, bars, lead, timeframe, books)
        rows = pd.DataFrame(values, columns=list(self.columns))
        rows.insert(0, "symbol", symbol)
        rows.insert(1, "close_time", pd.to_datetime(times, unit="s", utc=True).as_unit("us"))
        return rows

    def lead_rows(self, symbol: str, bars: pd.DataFrame, lead: pd.DataFrame | None = None) -> pd.DataFrame:
        """Process bars like `frame`, piece by piece, and return the columns that followers read of a lead.

        Returns
        -------
        DataFrame
            ``close_time`` and the columns `Catalog.lead_columns`; one row per bar.
        """
        kept = ["close_time", *self.catalog.lead_columns]
        pieces = (bars.iloc[start : start + _AT_ONCE] for start in range(0, max(len(bars), 1), _AT_ONCE))
        return pd.concat([self.frame(symbol, piece, lead)[kept] for piece in pieces], ignore_index=True)

    def _folded(
        self,
        symbol: str,
        bars: pd.DataFrame,
        lead: pd.DataFrame | None,
        timeframe: Timeframe,
        books: pd.DataFrame | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Process bars; return the closes of a timeframe (seconds) and the rows known at them."""
        index, layout = self._at(symbol), self.catalog.lead
        records = bar_records(symbol, bars)
        led_by = np.zeros(0, layout) if lead is None else lead_records(symbol, records["time"], lead, layout)
        booked = np.zeros(0, BOOK) if books is None else book_records(records["time"], books)
        at_most = len(records) + (timeframe is not _M1)
        times, rows = np.empty(at_most, np.int64), np.empty(at_most, self.catalog.row)
        n, fault = self._fold(self.states, index, records, led_by, booked, timeframe.seconds, times, rows)
        if fault:
            bad = records[n]
            previous = int(records[n - 1]["time"]) if n else self._last(index)
            raise refusal(f"{symbol} row {n}", fault, utc(bad["time"]), _named(bad.item()[1:]), previous)
        return times[:n], rows[:n].view(np.float64).reshape(n, len(self.columns))

    def seen(self, symbol: str) -> Seen:
        """Return the counts of a symbol's bars since its first one, including bars before a restored snapshot."""
        index = self._at(symbol)
        return Seen(int(self._bars_seen[index]), int(self._still[index]))

    def snapshot(self, symbol: str) -> bytes:
        """Return the state of a symbol as bytes, prefixed with the catalog's version."""
        state: bytes = self.states[self._at(symbol)].tobytes()
        return self.catalog.version.encode() + state

    def restore(self, symbol: str, snapshot: bytes) -> None:
        """Restore the state of a symbol from a snapshot.

        Raises
        ------
        DataError
            If the snapshot has another feature version or is incomplete; the state does not change.
        """
        version, body = snapshot[:12].decode(errors="replace"), snapshot[12:]
        remedy = "rebuild the state from the stored bars"
        if version != self.catalog.version:
            raise DataError(
                f"{symbol}: expected a snapshot of features {self.catalog.version}, found {version!r}; {remedy}"
            )
        if len(body) != self.catalog.state.itemsize:
            raise DataError(
                f"{symbol}: expected a snapshot of {self.catalog.state.itemsize} bytes, found {len(body)}; {remedy}"
            )
        self.states[self._at(symbol)] = np.frombuffer(body, self.catalog.state)[0]

    def _newest_rows(self) -> NDArray[np.float64]:
        """Return the rows inside the states as one matrix, without a copy."""
        layout = self.catalog.state
        assert layout.fields is not None
        shape, start = (len(self.symbols), len(self.columns)), layout.fields["row"][1]
        return np.ndarray(shape, np.float64, self.states, start, (layout.itemsize, 8))

    def _at(self, symbol: str) -> int:
        if symbol not in self._index:
            raise UnknownSymbol(
                f"expected one of this pipeline's symbols, {', '.join(self.symbols) or 'none'}; found {symbol!r}"
            )
        return self._index[symbol]

    def _last(self, index: int) -> int:
        """Return the open of the last accepted bar, seconds since 1970 UTC; 0 before the first."""
        return int(self.states[index].bar.time)

    def _unusable(self, bar: Bar, error: Exception) -> MikrobotError:
        """Return the error for a bar that cannot be passed to the kernel."""
        self._at(bar.symbol)
        return BarError(
            f"{bar.symbol} M1 bar {bar.open_time}: expected an open_time with a time zone and numbers, found {bar}; "
            f"correct it at its source ({error})"
        )

    def _refused(self, bar: Bar, fault: int) -> BarError:
        if bar.timeframe is not _M1:
            return BarError(
                f"{bar.symbol} bar {bar.open_time}: expected an M1 bar, found one of {bar.timeframe.value} "
                f"that closes at {bar.close}; longer bars are built from M1 bars"
            )
        values = [getattr(bar, name) for name in BAR_FIELDS[1:]]
        return refusal(bar.symbol, fault, bar.open_time, _named(values), self._last(self._index[bar.symbol]))


def _closes(symbol: str) -> bool:
    return is_known(symbol) and instrument(symbol).closes


def _named(values: Sequence[float]) -> dict[str, float]:
    return dict(zip(BAR_FIELDS[1:], values, strict=True))
