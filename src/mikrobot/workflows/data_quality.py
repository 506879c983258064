"""The quality of the data of a run over its last day: the scores and the halts of each symbol."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from mikrobot.domain.quality import HALT_BELOW, QualityScore
from mikrobot.domain.trading_states import TradingState
from mikrobot.live.halts import by_data
from mikrobot.live.session import recorded_run, traded_until
from mikrobot.settings import Settings
from mikrobot.store.postgres import database
from mikrobot.store.quality import QualityScores
from mikrobot.store.runs import FOLLOWS, Runs
from mikrobot.store.trading_states import TradingStates

SPAN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SymbolScores:
    """The scores of one symbol.

    Attributes
    ----------
    symbol : str
    closes : int
        Number of scored closes.
    low : int
        Closes below the score that halts.
    last, mean, least : float or None
        Scores, 0 to 1; None without a close.
    parts : tuple of (str, int)
        The parts below 1 with the number of their closes, the most frequent first.
    """

    symbol: str
    closes: int
    low: int
    last: float | None
    mean: float | None
    least: float | None
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class DataQuality:
    """The quality of the data of a run.

    Attributes
    ----------
    source : str
    simulated : bool
    symbols : tuple of SymbolScores
    halts : tuple of TradingState
        Those of the span, in the order in which they began.
    """

    source: str
    simulated: bool
    symbols: tuple[SymbolScores, ...]
    halts: tuple[TradingState, ...]


def assess(settings: Settings, run_id: str | None) -> DataQuality:
    """Return the quality of the data of the last day that a run has traded.

    Parameters
    ----------
    run_id : str or None
        None: the latest run.

    Raises
    ------
    UsageError
        If there is no such run.
    """
    with database.open_pool(settings) as pool:
        runs = Runs(pool)
        run = recorded_run(runs, run_id)
        symbols, halts = list[SymbolScores](), list[TradingState]()
        states = list(filter(by_data, TradingStates(pool).of_run(str(run.settings.get(FOLLOWS, run.id)))))
        for segment in run.segments:
            until = traded_until(runs, run.id, segment)
            start = max(until - SPAN, segment.trade_from)
            scores = QualityScores(pool).between(run.source, segment.symbols, start, until)
            symbols += [summed(name, [score for score in scores if score.symbol == name]) for name in segment.symbols]
            own = [state for state in states if state.symbol in segment.symbols]
            halts += [state for state in own if state.until is None or state.until > start]
    return DataQuality(run.source, run.simulated, tuple(symbols), tuple(halts))


def summed(symbol: str, scores: Sequence[QualityScore]) -> SymbolScores:
    """Return the figures of the scores of one symbol, which are in order of time."""
    values = [score.score for score in scores]
    parts = Counter(name for score in scores for name, value in score.parts.items() if value < 1)
    return SymbolScores(
        symbol,
        closes=len(values),
        low=sum(value < HALT_BELOW for value in values),
        last=values[-1] if values else None,
        mean=sum(values) / len(values) if values else None,
        least=min(values, default=None),
        parts=tuple(parts.most_common()),
    )
