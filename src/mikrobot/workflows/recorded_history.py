"""The order books of the minutes before the hours of a replay, as its recordings have them.

The streamer stores those of the hours themselves.
"""

from datetime import datetime

from mikrobot.domain.sources import is_live
from mikrobot.market.recorded_books import open_books
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.books import BookSamples
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run


def keep_books(
    settings: Settings, pool: Pool, run: Run, symbol: str, *, span: tuple[datetime, datetime], clock: Clock
) -> int:
    """Replace the order books of a symbol of a replay by those of its recordings; return their number.

    Parameters
    ----------
    settings : Settings
        Those of the market of the run.
    pool : Pool
    run : Run
    symbol : str
    span : (datetime, datetime)
        Of the bars whose books are replaced, as far as they open before the hours of the run. A live source has
        none to replace.
    clock : Clock

    Raises
    ------
    BarError
        If a recording cannot be read.
    StoreError
        If the database fails.
    """
    if is_live(run.source):
        return 0
    start, end = span
    end = min([end, *(segment.trade_from for segment in run.segments if symbol in segment.symbols)])
    recorded = open_books(settings, [symbol], clock, tuple)
    books = [] if recorded is None else recorded.between(symbol, start, end)
    BookSamples(pool).replace(run.source, [symbol], start, end=end, books=books)
    return len(books)
