"""What a format is, and what its reader returns: rows in the clock and the units of the file."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mikrobot.market.border import Floats, Times
from mikrobot.market.clocks import FileClock
from mikrobot.market.formats.files import BarFile
from mikrobot.market.row_origin import Numbers, RowOrigin

SpreadUnit = Literal["price", "points"]
VolumeUnit = Literal["base", "ticks", "unknown"]

_UNKNOWN = np.empty(0)


@dataclass(frozen=True, slots=True)
class PartOfRows:
    """Numbers of some of the rows of a file, or of all in another order; computed only when one is asked for.

    Attributes
    ----------
    numbers : sequence of int, or what is indexed like one
        Of all rows.
    places : ndarray of int64
        Place of each used row among all.
    """

    numbers: Numbers
    places: NDArray[np.int64]

    def __getitem__(self, row: Any) -> Any:
        """Return the number of a used row."""
        return self.numbers[int(self.places[row])]


@dataclass(frozen=True, slots=True)
class RawBars:
    """The rows of one file, in file order.

    Attributes
    ----------
    stamps : ndarray of int64, shape (n,)
        Times as written, in microseconds since the epoch of the file's own clock: open times, or close times
        if `at_close`.
    prices : ndarray of float64, shape (4, n)
        Open, high, low, close.
    volume, spread, trades, taker_volume : ndarray of float64, shape (n,)
        NaN where unknown; the volume in `volume_unit`, the spread in `spread_unit`. All NaN if not given.
    origin : RowOrigin
        Row or line of each row.
    clock : FileClock or None
        The clock that the vendor documents; None if the file may have the clock of any server.
    server : bool
        A clock that is unknown is that of a MetaTrader server, which a weekend shows; else only its user knows it.
    at_close : bool
    volume_unit : "base", "ticks" or "unknown"
        Base units that were traded, or changes of the price.
    spread_unit : "price" or "points"
        A point is the last decimal of the prices.
    decimals : int
        Decimals of the prices as written.
    symbol : str or None
        Value of a column with the symbol.
    ticks : int
        Ticks or trades that the bars are made of; 0 where the file has bars.
    """

    stamps: Times
    prices: Floats
    origin: RowOrigin
    clock: FileClock | None
    volume: Floats = field(default_factory=lambda: _UNKNOWN)
    spread: Floats = field(default_factory=lambda: _UNKNOWN)
    trades: Floats = field(default_factory=lambda: _UNKNOWN)
    taker_volume: Floats = field(default_factory=lambda: _UNKNOWN)
    server: bool = False
    at_close: bool = False
    volume_unit: VolumeUnit = "base"
    spread_unit: SpreadUnit = "price"
    decimals: int = 0
    symbol: str | None = None
    ticks: int = 0

    def __post_init__(self) -> None:
        """Fill what is not given with NaN."""
        for name in ("volume", "spread", "trades", "taker_volume"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self.stamps), np.nan))

    def only(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> "RawBars":
        """Return some of the rows: those of a mask, or of places in another order."""
        columns = {name: getattr(self, name)[kept] for name in ("stamps", "volume", "spread", "trades", "taker_volume")}
        places = np.arange(len(self.stamps))[kept]
        origin = replace(self.origin, numbers=PartOfRows(self.origin.numbers, places))
        return replace(self, **columns, prices=self.prices[:, kept], origin=origin)

    def oldest_first(self) -> "RawBars":
        """Return the rows with the oldest first, where the file begins with the newest."""
        if len(self.stamps) > 1 and self.stamps[0] > self.stamps[-1]:
            return self.only(np.arange(len(self.stamps))[::-1])
        return self


@dataclass(frozen=True, slots=True)
class Format:
    """A format of bar files, or of files of ticks, which its reader aggregates.

    Attributes
    ----------
    name : str
        As in `--format`.
    vendor : str
        Where such files come from, for documents and messages.
    clock : str
        What is known of its clock.
    recognises : callable
        Takes a file and returns True if the file has this format, by its first lines or columns.
    read : callable
        Takes a file and returns its rows.
    ticks : bool
        The file holds ticks or trades.
    accepts : callable or None
        Takes a file and returns True if it has the layout of this format, where that does not show it; None: as
        `recognises`.
    """

    name: str
    vendor: str
    clock: str
    recognises: Callable[[BarFile], bool]
    read: Callable[[BarFile], RawBars]
    ticks: bool = False
    accepts: Callable[[BarFile], bool] | None = None
