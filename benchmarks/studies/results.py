"""docs/results.md: every model trained on years of bars and judged on a later span it never saw.

::

    python -m benchmarks.studies.results FOLDER --out docs/results.md

FOLDER holds the M1 files named by `STUDIES`. Everything in the document comes from this run; the same
files, program and seed give the same figures.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from benchmarks.studies import trials
from mikrobot import settings as configuration
from mikrobot.domain.errors import DataError
from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.training.computed import rows_of
from mikrobot.training.controls import controls
from mikrobot.training.dataset import Dataset, build, joined, needed
from mikrobot.training.evaluation import fit_baselines, predict_baselines
from mikrobot.training.fitting import fit
from mikrobot.training.lineage import code_version
from mikrobot.training.pipeline import assess, check
from mikrobot.training.recipes import Recipe, recipe_of
from mikrobot.training.scores import calibration_noise
from mikrobot.training.splits import Split, at_instants
from mikrobot.training.uplift import uplift

Say = Callable[[str], None]
Bars = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class StudiedMarket:
    """A symbol, what models may learn from, and the span that they are judged on once.

    Attributes
    ----------
    symbol : str
        Its file is ``<symbol>_M1.parquet``, somewhere in the folder.
    train_from, validation_from, judged_from, judged_until : str
        UTC dates: learners see the first span, stop and are calibrated on the second.
    """

    symbol: str
    train_from: str
    validation_from: str
    judged_from: str
    judged_until: str


EURUSD = StudiedMarket("EURUSD", "2015-07-01", "2018-10-01", "2019-07-01", "2020-07-01")
BTCUSDT = StudiedMarket("BTCUSDT", "2022-07-01", "2024-07-01", "2025-01-01", "2025-07-01")

STUDIES: dict[str, tuple[str, int, int, str]] = {
    "n5 h5 close": ("bos", 5, 5, "close"),
    "n5 h15 close": ("bos", 5, 15, "close"),
    "n15 h15 close": ("bos", 15, 15, "close"),
    "n5 h15 wick": ("bos", 5, 15, "wick"),
    "nowcast": ("nowcast", 5, 5, "close"),
    "false break": ("false_break", 5, 5, "close"),
    "retest": ("retest", 5, 5, "close"),
}
"""Task, swing, minutes and mode of each study; the last three have horizons of their own."""

STRANGERS = {"EURUSD": ("GBPUSD", "2018-01-01", "2019-07-01"), "BTCUSDT": ("ETHUSDT", "2025-01-01", "2025-07-01")}
"""Symbols, and their spans, on which the break model of another symbol is judged without having seen them."""

FOLLOWERS = {"BTCUSDT": "ETHUSDT"}
"""Symbols, and one whose lead they are, on which it is tried what the lead's moves add."""

GROUPS: dict[str, tuple[str, ...]] = {
    "volatility": ("season", "activity", "forecast", "volatility", "width", "m5_m1_atr", "h1_m1_atr", "atr_forecast"),
    "several distances to the level": ("level_sigma", "level_atr", "level_forecast_15", "level_forecast_60"),
    "other levels": ("other", "range", "wider_atr", "wider_other", "m5_level", "m5_other", "ema", "m5_ema", "h1_ema"),
    "extremes and round numbers": ("extreme", "day", "round"),
    "structure": ("trend", "wider_trend", "m5_trend", "bos", "choch", "penetration", "level_age", "other_age"),
    "momentum": ("return", "m1_rsi", "m5_rsi", "h1_rsi", "stochastic", "percent_b", "macd"),
    "the path": ("efficiency", "variance_ratio", "autocorrelation", "streak"),
    "the forming M5 bar": ("m5_return", "m5_high", "m5_low", "m5_minutes_left"),
    "time": ("minute", "news"),
    "volume and order flow": ("relative", "trade_size", "taker", "vwap"),
}
"""Inputs of the break model by what their names begin with: what they add is what is lost without them."""

OTHER_SEEDS = 2
"""With how many other seeds all inputs are learned from."""

OMISSION_DAYS = (450, 90)
"""Days before the span of calibration from which, and up to which, a model learns whose inputs are left out."""

FLOORS = {
    ("EURUSD", "n5 h5 close"): 0.006,
    ("EURUSD", "n5 h15 close"): 0.010,
    ("EURUSD", "n15 h15 close"): 0.010,
    ("EURUSD", "n5 h15 wick"): 0.010,
    ("BTCUSDT", "n5 h5 close"): 0.014,
    ("BTCUSDT", "n5 h15 close"): 0.018,
    ("BTCUSDT", "n15 h15 close"): 0.018,
    ("BTCUSDT", "n5 h15 wick"): 0.018,
}
"""Asked uplift in AUC of the walk with the forecast over that with the ATR."""


def study_recipe(study: str, settings: Settings) -> Recipe:
    """Return the recipe of a study."""
    kind, swing, minutes, mode = STUDIES[study]
    chosen = settings.model_copy(update={"swing": swing, "horizon_minutes": minutes})
    return recipe_of(kind, chosen, "wick" if mode == "wick" else "close")


def bars_of(folder: Path, symbol: str, start: str, end: str) -> Bars:
    """Read the bars of one symbol that open in [start, end).

    Raises
    ------
    DataError
        If the folder has no such file, or it has no bar in the span.
    """
    found = sorted(folder.rglob(f"{symbol}_M1.parquet"))
    if not found:
        raise DataError(f"expected {symbol}_M1.parquet in {folder}, found none; give the folder of the bars")
    span = [("ts", op, pd.Timestamp(day, tz="UTC")) for op, day in ((">=", start), ("<", end))]
    frame = pd.read_parquet(found[0], filters=span).rename(columns={"ts": "open_time"})
    if frame.empty:
        raise DataError(f"{found[0]} has no bar from {start} to {end}; give years of bars")
    unknown = frame["volume"].eq(0).all()
    frame = frame.assign(volume=np.nan) if unknown else frame
    return {symbol: frame.reindex(columns=list(BAR_COLUMNS)).reset_index(drop=True)}


def samples(bars: Bars, recipe: Recipe) -> Dataset:
    """Build the samples of a recipe from bars, in memory."""
    return build(bars, rows_of(bars, needed(recipe.inputs, recipe.task)), "file", recipe.inputs, task=recipe.task)


def judge(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> dict[str, Any]:
    """Fit on the first two spans and judge on the third, the walks beside each other too."""
    check(data, split)
    diffusion = fit_baselines(data, split.train, recipe.task, recipe.inputs)
    fitted = fit(recipe, data, split, diffusion, settings=settings, progress=lambda stage, share: None)
    found = assess(recipe, fitted, data, split, seed=settings.seed)
    test = data.only(split.test)
    said = predict_baselines(diffusion, test, recipe.inputs)
    found["forecast_over_atr"] = uplift(said["forecast"], said["atr"], test.outcome, test.time, seed=settings.seed)[
        "auc"
    ]
    return found


def studied(market: StudiedMarket, study: str, folder: Path, settings: Settings) -> dict[str, Any]:
    """Run one study of a market, once."""
    recipe = study_recipe(study, settings)
    data = samples(bars_of(folder, market.symbol, market.train_from, market.judged_until), recipe)
    split = at_instants(data.time, data.end, recipe.horizon, market.validation_from, test_from=market.judged_from)
    return judge(recipe, data, split, settings)


def controlled(market: StudiedMarket, folder: Path, settings: Settings) -> dict[str, Any]:
    """Put the break model through both walks without an edge, made of the market's bars."""
    recipe, found = study_recipe("n5 h5 close", settings), {}
    bars = bars_of(folder, market.symbol, market.train_from, market.judged_until)
    for name, walk in controls(bars, settings.seed).items():
        data = samples(walk, recipe)
        split = at_instants(data.time, data.end, recipe.horizon, market.validation_from, test_from=market.judged_from)
        found[name] = judge(recipe, data, split, settings)
    return found


def transferred(market: StudiedMarket, folder: Path, settings: Settings) -> dict[str, Any]:
    """Judge the break model of a market on a symbol that it has never seen."""
    stranger, start, end = STRANGERS[market.symbol]
    recipe = study_recipe("n5 h5 close", settings)
    known = samples(bars_of(folder, market.symbol, market.train_from, market.judged_from), recipe)
    other = samples(bars_of(folder, stranger, start, end), recipe)
    own = at_instants(known.time, known.end, recipe.horizon, market.validation_from, test_from=market.judged_from)
    data = joined([known, other])
    split = replace(own, test=np.arange(len(known), len(data)))
    return {"symbol": stranger, "from": start, "until": end, **judge(recipe, data, split, settings)}


def without_groups(market: StudiedMarket, folder: Path, settings: Settings) -> dict[str, Any]:
    """Leave one group of inputs out at a time, on the validation span: the judged one is not looked at.

    With all inputs it is learned by other seeds too: by how much these differ, no omission can be told from chance.
    """
    recipe, data, split = _before_judging(market, market.symbol, folder, settings)
    test = data.only(split.test)
    fitted = fit_baselines(data, split.train, recipe.task, recipe.inputs)
    walk = predict_baselines(fitted, test, recipe.inputs)["forecast"]

    def over_walk(seen: Dataset, seed: int) -> dict[str, Any]:
        said = trials.learned(recipe, seen, split, settings.model_copy(update={"seed": seed}))
        return uplift(said, walk, test.outcome, test.time, seed=settings.seed)["auc"]

    found = {"all": over_walk(data, settings.seed)}
    for more in range(1, OTHER_SEEDS + 1):
        found[f"all, seed {settings.seed + more}"] = over_walk(data, settings.seed + more)
    for group, begins in GROUPS.items():
        hidden = [n for n, name in enumerate(recipe.inputs.names) if _belongs(name, begins, recipe.starts_from)]
        inputs = data.inputs.copy()
        inputs[:, hidden] = np.nan
        found[group] = over_walk(replace(data, inputs=inputs), settings.seed)
    return found


def tried(market: StudiedMarket, folder: Path, settings: Settings) -> dict[str, Any]:
    """Put the trials through the same spans; that of the lead on the symbol that follows the market's, if one does."""
    own = _before_judging(market, market.symbol, folder, settings)
    found = {
        f"{market.symbol}: minutes around news": trials.added(*own, settings, prefix=trials.NEWS),
        f"{market.symbol}: a calibration for each third of the volatility": trials.regimes(*own, settings),
    }
    if (follower := FOLLOWERS.get(market.symbol)) is not None:
        following = _before_judging(market, follower, folder, settings)
        found[f"{follower}: what {market.symbol} has just done"] = trials.added(
            *following, settings, prefix=trials.LEAD
        )
    return found


def _before_judging(
    market: StudiedMarket, symbol: str, folder: Path, settings: Settings
) -> tuple[Recipe, Dataset, Split]:
    """Return the break model's samples of a symbol, its lead's rows beside, up to where the market is judged."""
    recipe = replace(study_recipe("n5 h5 close", settings), compared={})
    last = pd.Timestamp(market.validation_from)
    first, middle = (str((last - pd.Timedelta(days=days)).date()) for days in OMISSION_DAYS)
    bars = {each: bars_of(folder, each, first, market.judged_from)[each] for each in (market.symbol, symbol)}
    rows = rows_of(bars, needed(recipe.inputs, recipe.task))
    data = build({symbol: bars[symbol]}, rows, "file", recipe.inputs, task=recipe.task)
    return recipe, data, at_instants(data.time, data.end, recipe.horizon, middle, test_from=market.validation_from)


def _belongs(name: str, begins: Iterable[str], kept: str | None) -> bool:
    return name != kept and name.startswith(tuple(begins))


ASIDE = {"controls": controlled, "transfer": transferred, "omissions": without_groups, "trials": tried}
"""What is asked of a market beside its studies."""


def run(folder: Path, settings: Settings, say: Say) -> dict[str, Any]:
    """Run every study, control, transfer, omission and trial, one after the other.

    Returns
    -------
    dict
        ``studies`` {symbol: {study: figures}}, ``controls`` {symbol: {walk: figures}}, ``transfer`` {symbol: figures},
        ``omissions`` {symbol: {group: uplift in AUC}}, ``trials`` {symbol: {trial: what it adds}}; figures as
        `evaluate`.
    """
    found: dict[str, dict[str, Any]] = {"studies": {}, "controls": {}, "transfer": {}, "omissions": {}, "trials": {}}
    for market in (EURUSD, BTCUSDT):
        found["studies"][market.symbol] = {}
        for study in STUDIES:
            say(f"{market.symbol}: {study}")
            found["studies"][market.symbol][study] = studied(market, study, folder, settings)
        for what, made in ASIDE.items():
            say(f"{market.symbol}: {what}")
            found[what][market.symbol] = made(market, folder, settings)
    return found


def document(found: Mapping[str, Any], settings: Settings) -> str:
    """Write what `run` found as Markdown."""
    environment = Environment(
        loader=PackageLoader("benchmarks.studies"),
        autoescape=False,  # noqa: S701, it writes Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("results.md.j2").render(
        found=found,
        markets={market.symbol: market for market in (EURUSD, BTCUSDT)},
        chance=calibration_noise,
        floors={f"{symbol} {study}": floor for (symbol, study), floor in FLOORS.items()},
        seed=settings.seed,
        code=code_version(),
        features=CATALOG.version,
    )


def main() -> None:
    """Run the studies of a folder of bars and write the document."""
    parser = argparse.ArgumentParser(description="judge every model on the spans kept for it")
    parser.add_argument("folder", type=Path, help="with the M1 files of the studies")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--figures", type=Path, help="JSON file for every figure behind it")
    given = parser.parse_args()
    settings = configuration.load()
    found = run(given.folder, settings, print)
    if given.figures is not None:
        given.figures.write_text(json.dumps(found, indent=1), encoding="utf-8")
    given.out.write_text(document(found, settings), encoding="utf-8")


if __name__ == "__main__":
    main()
