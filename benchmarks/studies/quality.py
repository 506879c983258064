"""Study behind docs/data-quality.md: faults put into real bars, and the halts of the bars as they are.

::

    python -m benchmarks.studies.quality ../shared/data

Prints Markdown. Each fault is put into the bars at random places, `--trials` for each file and fault, chosen by
`--seed` among the places where the bars as they are have good scores. Without bar files it uses the simulated market.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import MikrobotError
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Bar, Timeframe
from mikrobot.domain.quality import HALT_BELOW
from mikrobot.live.halts import halted_rows
from mikrobot.market.longer_bars import COMPARED, aggregated, differing, gravity
from mikrobot.market.quality.feed_parts import Arrival, Revision, feed_parts
from mikrobot.market.quality.kernel import PARTS
from mikrobot.market.quality.scoring import combined, score_frame
from mikrobot.market.replay import read_bars
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock

BEFORE, AFTER = 4320, 30
"""Bars before a fault with which the score begins, three days, and bars after it in which it is looked for."""

LARGEST = 4
"""Largest moves of a minute that are listed for each file."""

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume", "spread")
SIMULATED_UNTIL = datetime(2025, 6, 20, tzinfo=UTC)

Rng = np.random.Generator
Columns = dict[str, NDArray[np.float64]]
Damage = Callable[[Columns, int, Rng], None]
"""Changes the columns of bars from a row on; a bar whose prices become NaN is missing."""


def missing(minutes: int) -> Damage:
    """Return a fault that takes bars out."""

    def damage(bars: Columns, row: int, _: Rng) -> None:
        bars["open"][row : row + minutes] = np.nan

    return damage


def stuck(bars: Columns, row: int, _: Rng) -> None:
    """Repeat the last price for half an hour, without volume where the source knows it."""
    for name in PRICES:
        bars[name][row:] = bars["close"][row - 1]
    bars["volume"][row:] *= 0.0


def repeated(bars: Columns, row: int, _: Rng) -> None:
    """Send the bar before again, six times, as the bars of later minutes."""
    for column in bars.values():
        column[row : row + 6] = column[row - 1]


def wrong_close(share: float) -> Damage:
    """Return a fault that moves the last price of a bar by a share of it, up or down."""

    def damage(bars: Columns, row: int, rng: Rng) -> None:
        price = bars["close"][row] * (1 + share * rng.choice([-1, 1]))
        bars["close"][row] = price
        bars["high"][row] = max(bars["high"][row], price)
        bars["low"][row] = min(bars["low"][row], price)

    return damage


def wrong_wick(share: float) -> Damage:
    """Return a fault that adds one wrong price inside a bar, up or down."""

    def damage(bars: Columns, row: int, rng: Rng) -> None:
        if rng.random() < 0.5:
            bars["high"][row] *= 1 + share
        else:
            bars["low"][row] *= 1 - share

    return damage


def wrong_bar(factor: float) -> Damage:
    """Return a fault that multiplies the prices of one bar."""

    def damage(bars: Columns, row: int, _: Rng) -> None:
        for name in PRICES:
            bars[name][row] *= factor

    return damage


def no_volume(bars: Columns, row: int, _: Rng) -> None:
    """Take the volume out of a bar."""
    bars["volume"][row] = 0.0


def half_traded(bars: Columns, row: int, _: Rng) -> None:
    """Take the later half of its trades out of a bar, as if they had not arrived."""
    bars["close"][row] = bars["open"][row]
    bars["volume"][row] /= 2


def less_volume(bars: Columns, row: int, _: Rng) -> None:
    """Take a tenth of its volume out of a bar."""
    bars["volume"][row] *= 0.9


def crossed(bars: Columns, row: int, _: Rng) -> None:
    """Cross the quotes of a bar by their spread; a source without quotes gets one of a ten-thousandth of the price."""
    unknown = np.isnan(bars["spread"])
    bars["spread"][unknown] = 1e-4 * bars["close"][unknown]
    bars["spread"][row] = -abs(bars["spread"][row])


DAMAGES: Mapping[str, Damage] = {
    "1 bar missing": missing(1),
    "3 bars missing": missing(3),
    "10 bars missing": missing(10),
    "the last price stands for 30 minutes": stuck,
    "a bar is sent 6 times more": repeated,
    "a close 1 % off": wrong_close(0.01),
    "a close 0.2 % off": wrong_close(0.002),
    "a wick of 1 %": wrong_wick(0.01),
    "a bar at 1.01 times its prices": wrong_bar(1.01),
    "a bar at 10 times its prices": wrong_bar(10.0),
    "a bar without volume": no_volume,
    "crossed quotes": crossed,
}

KEPT_WRONG: Mapping[str, Damage] = {
    "1 bar missing": missing(1),
    "a close 1 % off": wrong_close(0.01),
    "a close 0.2 % off": wrong_close(0.002),
    "a wick of 0.2 %": wrong_wick(0.002),
    "a bar at 1.01 times its prices": wrong_bar(1.01),
    "a bar without its later trades": half_traded,
    "a bar without a tenth of its volume": less_volume,
}
"""Faults of a stored bar that the longer bars of the venue do not have."""

ARRIVALS: Mapping[str, Arrival] = {
    "a bar 5 s late": Arrival(late_s=5.0),
    "a bar 24 s late": Arrival(late_s=24.0),
    "a bar 60 s late": Arrival(late_s=60.0),
    "a message 10 s on its way": Arrival(delay_s=10.0),
    "another price in a later version": Arrival(revision="price"),
    "another volume in a later version": Arrival(revision="volume"),
    "another price in an M5 bar of the venue": Arrival(aggregates="price"),
    "another volume in an M5 bar of the venue": Arrival(aggregates="volume"),
    "the same minute twice": Arrival(refused=1),
}
"""What a live feed notes about a bar; see `feed_parts`."""


@dataclass(slots=True)
class Detection:
    """How often a fault was found, and how many minutes after its first bar closed."""

    trials: int = 0
    delays: list[int] = field(default_factory=list)

    @property
    def row(self) -> str:
        """The trials, the share that was found, and the delays, as cells of a table."""
        if not self.trials:
            return "| | |"
        middle, most = (int(np.quantile(self.delays, q)) for q in (0.5, 1.0)) if self.delays else ("", "")
        return f"{len(self.delays) / self.trials:.1%} | {middle} | {most}"


def injected(
    bars: pd.DataFrame, symbol: str, good: NDArray[np.int64], *, trials: int, rng: Rng
) -> dict[str, Detection]:
    """Put each fault into the bars at random good places, and look whether the score falls."""
    detections = {name: Detection() for name in DAMAGES}
    for name, damage in DAMAGES.items():
        if name == "a bar without volume" and bars["volume"].isna().all():
            continue
        for place in rng.choice(good, min(trials, len(good)), replace=False).tolist():
            part = bars.iloc[max(place - BEFORE, 0) : place + AFTER]
            row = min(place, BEFORE)
            begun = part["open_time"].iloc[row] + pd.Timedelta(minutes=1)
            columns = {name: part[name].to_numpy(np.float64, copy=True) for name in COLUMNS}
            damage(columns, row, rng)
            scores = score_frame(
                symbol, pd.DataFrame({"open_time": part["open_time"].array, **columns}).dropna(subset="open")
            )
            low = scores[(scores["score"] < HALT_BELOW) & (scores["close_time"] >= begun)]
            detections[name].trials += 1
            if len(low):
                detections[name].delays.append(int((low["close_time"].iloc[0] - begun).total_seconds() // 60))
    return detections


@dataclass(slots=True)
class Contradicted:
    """How often longer bars contradict a fault: in a price, which halts, and in an amount only."""

    trials: int = 0
    kinds: Counter[Revision] = field(default_factory=Counter)

    @property
    def row(self) -> str:
        """The two shares as cells of a table."""
        shares = [f"{self.kinds[kind] / self.trials:.1%}" if self.trials else "" for kind in ("price", "volume")]
        return " | ".join(shares)


def contradicted(
    bars: pd.DataFrame, symbol: str, good: NDArray[np.int64], *, trials: int, rng: Rng
) -> dict[tuple[str, Timeframe], Contradicted]:
    """Put each fault into one minute at random good places, and compare its longer bars with those without it."""
    counts: dict[tuple[str, Timeframe], Contradicted] = {}
    for name, damage in KEPT_WRONG.items():
        for place in rng.choice(good, min(trials, len(good)), replace=False).tolist():
            part = bars.iloc[place - 60 : place + 60].reset_index(drop=True)
            columns = {column: part[column].to_numpy(np.float64, copy=True) for column in COLUMNS}
            damage(columns, 60, rng)
            kept = part.assign(**columns).dropna(subset="open")
            for timeframe in COMPARED:
                opened = part["open_time"].iloc[60].floor(timeframe.delta)
                count = counts.setdefault((name, timeframe), Contradicted())
                count.trials += 1
                count.kinds[gravity(differing(*(_longer(symbol, one, timeframe, opened) for one in (kept, part))))] += 1
    return counts


def _longer(symbol: str, minutes: pd.DataFrame, timeframe: Timeframe, opened: pd.Timestamp) -> Bar:
    inside = minutes["open_time"].dt.floor(timeframe.delta) == opened
    (bar,) = aggregated(symbol, minutes[inside], timeframe)
    return bar


def good_places(scores: pd.DataFrame) -> NDArray[np.int64]:
    """Return the rows with good scores an hour before and `AFTER` bars after, without a hole between."""
    gap = scores["close_time"].diff().ne(pd.Timedelta(minutes=1)) | scores["score"].lt(0.97)
    near = gap.rolling(60 + AFTER, min_periods=1).max().shift(-AFTER).fillna(1.0)
    places = np.flatnonzero(near.to_numpy() == 0)
    return places[places > 1500]


@dataclass(frozen=True, slots=True)
class Halted:
    """The halts of the bars as they are.

    Attributes
    ----------
    days, halts, minutes : int
        UTC days with bars, halts, and closes within them.
    reasons : Counter of str
        Halts by the lowest part at their beginning.
    """

    days: int
    halts: int
    minutes: int
    reasons: Counter[str]


def halts_of(scores: pd.DataFrame) -> tuple[Halted, NDArray[np.bool_]]:
    """Return the halts, and for each close whether it is in one."""
    halted = halted_rows(scores["score"].to_numpy())
    begins = np.flatnonzero(halted & ~np.concatenate(([False], halted[:-1])))
    lowest = scores.loc[begins, list(PARTS)].fillna(1.0).idxmin(axis=1)
    days = scores["close_time"].dt.date.nunique()
    return Halted(days, len(begins), int(halted.sum()), Counter(lowest)), halted


def largest_moves(bars: pd.DataFrame, halted: NDArray[np.bool_]) -> Iterator[str]:
    """Yield the minutes with the largest changes of the close, and whether trading was halted."""
    change = np.log(bars["close"]).diff().abs().to_numpy()
    change[bars["open_time"].diff().ne(pd.Timedelta(minutes=1)).to_numpy()] = np.nan
    for row in np.argsort(-np.nan_to_num(change))[:LARGEST].tolist():
        move = bars["close"].iloc[row] / bars["close"].iloc[row - 1] - 1
        text = "halted" if halted[row : row + 2].any() else "traded"
        yield f"{bars['open_time'].iloc[row]:%Y-%m-%d %H:%M} {move:+.2%} {text}"


def markets(folder: Path) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield the name, the symbol and the bars of each file of M1 bars; without files, of the simulated market."""
    files = sorted(path for path in folder.rglob("*_M1*.parquet"))
    for path in files:
        try:
            symbol, bars = read_bars(path)
        except MikrobotError as error:
            print(f"{path.name} is left out: {error}")
            continue
        yield path.stem, symbol, bars
    if not files:
        source = SimulatedSource(("BTCUSDT", "EURUSD"), 7, ManualClock(SIMULATED_UNTIL))
        for symbol in source.symbols():
            yield (
                f"{symbol} (SIMULATED)", symbol,
                source.history(symbol, SIMULATED_UNTIL - timedelta(days=60), SIMULATED_UNTIL),
            )  # fmt: skip


def report(folder: Path, trials: int, seed: int) -> Iterator[str]:
    """Yield the lines of the study."""
    detections: dict[str, dict[str, Detection]] = {"crypto": {}, "fx": {}}
    longer: dict[str, dict[tuple[str, Timeframe], Contradicted]] = {"crypto": {}, "fx": {}}
    halts, moves = list[str](), list[str]()
    for name, symbol, bars in markets(folder):
        scores = score_frame(symbol, bars)
        halted, rows = halts_of(scores)
        reasons = ", ".join(f"{part} {count}" for part, count in halted.reasons.most_common())
        per_day, share = halted.halts / halted.days, halted.minutes / len(bars)
        halts.append(f"| {name} | {halted.days:,} | {halted.halts:,} | {per_day:.3f} | {share:.3%} | {reasons} |")
        moves.append(f"| {name} | {'; '.join(largest_moves(bars, rows))} |")
        rng = np.random.default_rng(seed)
        market = detections[instrument(symbol).market]
        for fault, detection in injected(bars, symbol, good_places(scores), trials=trials, rng=rng).items():
            total = market.setdefault(fault, Detection())
            total.trials += detection.trials
            total.delays += detection.delays
        rng = np.random.default_rng(seed)
        of_market = longer[instrument(symbol).market]
        for key, count in contradicted(bars, symbol, good_places(scores), trials=trials, rng=rng).items():
            sum_of = of_market.setdefault(key, Contradicted())
            sum_of.trials += count.trials
            sum_of.kinds += count.kinds
    yield from _detections(detections, trials, seed)
    yield from _contradictions(longer)
    yield from ("", "| file | days | halts | per day | share of the closes | lowest part at the beginning |")
    yield from ("|---|---:|---:|---:|---:|---|", *halts)
    yield from ("", "| file | largest moves of a minute |", "|---|---|", *moves)


def _detections(detections: Mapping[str, Mapping[str, Detection]], trials: int, seed: int) -> Iterable[str]:
    yield f"{trials} trials for each file and fault, seed {seed}; delays are minutes after the first bad bar."
    yield ""
    yield "| fault | crypto: found | median delay | longest | fx: found | median delay | longest |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name in DAMAGES:
        yield f"| {name} | {' | '.join(detections[market].get(name, Detection()).row for market in ('crypto', 'fx'))} |"
    for name, arrival in ARRIVALS.items():
        share = "100.0%" if combined(feed_parts(arrival)) < HALT_BELOW else "0.0%"
        yield f"| {name} | {share} | 0 | 0 | {share} | 0 | 0 |"


def _contradictions(longer: Mapping[str, Mapping[tuple[str, Timeframe], Contradicted]]) -> Iterable[str]:
    titles = [
        f"{market}: {timeframe.value} {what}"
        for market in longer
        for timeframe in COMPARED
        for what in ("halts", "amount only")
    ]
    yield from ("", f"| fault of one minute | {' | '.join(titles)} |", f"|---{'|---:' * len(titles)}|")
    for name in KEPT_WRONG:
        cells = (
            counts.get((name, timeframe), Contradicted()).row for counts in longer.values() for timeframe in COMPARED
        )
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the study of a folder of bar files."""
    parser = argparse.ArgumentParser(description="put faults into bars and look for them")
    parser.add_argument("folder", type=Path, help="folder with bar files")
    parser.add_argument("--trials", type=int, default=200, help="places for each file and fault")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    for line in report(given.folder, given.trials, given.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
