"""Study behind docs/results.md: trains every model on years of bars and evaluates it on a later, unseen span.

::

    python -m benchmarks.studies.results FOLDER --out docs/results.md

FOLDER contains the M1 files of the symbols. Everything in the document comes from this run; the same
files, code and seed give the same figures.
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
from mikrobot.domain.serialisation import plain
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.training.computed import rows_of
from mikrobot.training.controls import controls
from mikrobot.training.dataset import Dataset, build, joined, needed
from mikrobot.training.evaluation import fit_baselines, predict_baselines
from mikrobot.training.evaluation_figures import ReliabilityBin
from mikrobot.training.fitting import fit
from mikrobot.training.lineage import code_version
from mikrobot.training.pipeline import assess, check
from mikrobot.training.recipes import Recipe, recipe_of
from mikrobot.training.scores import calibration_noise
from mikrobot.training.splits import Split, at_instants
from mikrobot.training.uplift import uplift

Report = Callable[[str], None]
Bars = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class StudiedMarket:
    """A symbol with its training, validation and test spans.

    Attributes
    ----------
    symbol : str
        Its file is ``<symbol>_M1.parquet``, anywhere in the folder.
    train_from, validation_from, judged_from, judged_until : str
        UTC dates. Learners are trained on the first span, use the second for early stopping and calibration,
        and are evaluated once on the third.
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
"""Task, swing, minutes and mode of each study; the last three kinds define their own horizons."""

STRANGERS = {"EURUSD": ("GBPUSD", "2018-01-01", "2019-07-01"), "BTCUSDT": ("ETHUSDT", "2025-01-01", "2025-07-01")}
"""By training symbol: an unseen symbol, with its span, on which the break model is evaluated."""

FOLLOWERS = {"BTCUSDT": "ETHUSDT"}
"""By lead symbol: a symbol that follows it, on which the trial of the lead's moves is run."""

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
"""Groups of inputs of the break model by name prefix, for the ablation study."""

OTHER_SEEDS = 2
"""Number of further seeds with which the model with all inputs is trained."""

OMISSION_DAYS = (450, 90)
"""Start and end of the training span of the ablation study, in days before the validation span."""

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
"""Required AUC uplift of the diffusion baseline with the forecast over the one with the ATR."""


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
        If the folder has no such file, or the file has no bar in the span.
    """
    files = sorted(folder.rglob(f"{symbol}_M1.parquet"))
    if not files:
        raise DataError(f"expected {symbol}_M1.parquet in {folder}, found none; pass the folder of the bars")
    span = [("ts", op, pd.Timestamp(day, tz="UTC")) for op, day in ((">=", start), ("<", end))]
    frame = pd.read_parquet(files[0], filters=span).rename(columns={"ts": "open_time"})
    if frame.empty:
        raise DataError(f"{files[0]} has no bar from {start} to {end}; pass a file with years of bars")
    unknown = frame["volume"].eq(0).all()
    frame = frame.assign(volume=np.nan) if unknown else frame
    return {symbol: frame.reindex(columns=list(BAR_COLUMNS)).reset_index(drop=True)}


def samples(bars: Bars, recipe: Recipe) -> Dataset:
    """Build the samples of a recipe from bars, in memory."""
    return build(bars, rows_of(bars, needed(recipe.inputs, recipe.task)), "file", recipe.inputs, task=recipe.task)


def judge(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> dict[str, Any]:
    """Fit on the first two spans and evaluate on the third, including one diffusion baseline over the other."""
    check(data, split)
    diffusion = fit_baselines(data, split.train, recipe.task, recipe.inputs)
    fitted = fit(recipe, data, split, diffusion, settings=settings, progress=lambda stage, share: None)
    evaluation = assess(recipe, fitted, data, split, seed=settings.seed)
    test = data.only(split.test)
    baselines = predict_baselines(diffusion, test, recipe.inputs)
    over_atr = uplift(baselines["forecast"], baselines["atr"], test.outcome, test.time, seed=settings.seed)
    return {**plain(evaluation), "forecast_over_atr": plain(over_atr.auc)}


def studied(market: StudiedMarket, study: str, folder: Path, settings: Settings) -> dict[str, Any]:
    """Run one study of a market."""
    recipe = study_recipe(study, settings)
    data = samples(bars_of(folder, market.symbol, market.train_from, market.judged_until), recipe)
    split = at_instants(data.time, data.end, recipe.horizon, market.validation_from, test_from=market.judged_from)
    return judge(recipe, data, split, settings)


def controlled(market: StudiedMarket, folder: Path, settings: Settings) -> dict[str, Any]:
    """Train and evaluate the break model on both control markets without an edge, derived from the market's bars."""
    recipe, figures = study_recipe("n5 h5 close", settings), {}
    bars = bars_of(folder, market.symbol, market.train_from, market.judged_until)
    for name, control in controls(bars, settings.seed).items():
        data = samples(control, recipe)
        split = at_instants(data.time, data.end, recipe.horizon, market.validation_from, test_from=market.judged_from)
        figures[name] = judge(recipe, data, split, settings)
    return figures


def transferred(market: StudiedMarket, folder: Path, settings: Settings) -> dict[str, Any]:
    """Evaluate the break model of a market on an unseen symbol."""
    unseen, start, end = STRANGERS[market.symbol]
    recipe = study_recipe("n5 h5 close", settings)
    own = samples(bars_of(folder, market.symbol, market.train_from, market.judged_from), recipe)
    other = samples(bars_of(folder, unseen, start, end), recipe)
    split = at_instants(own.time, own.end, recipe.horizon, market.validation_from, test_from=market.judged_from)
    data = joined([own, other])
    split = replace(split, test=np.arange(len(own), len(data)))
    return {"symbol": unseen, "from": start, "until": end, **judge(recipe, data, split, settings)}


def without_groups(market: StudiedMarket, folder: Path, settings: Settings) -> dict[str, Any]:
    """Run the ablation study: leave out one group of inputs at a time; the market's test span is not used.

    The model with all inputs is also trained with further seeds. An omission with an effect no larger than the
    differences between seeds is not significant.
    """
    recipe, data, split = _before_judging(market, market.symbol, folder, settings)
    test = data.only(split.test)
    fitted = fit_baselines(data, split.train, recipe.task, recipe.inputs)
    baseline = predict_baselines(fitted, test, recipe.inputs)["forecast"]

    def over_baseline(visible: Dataset, seed: int) -> Any:
        predicted = trials.learned(recipe, visible, split, settings.model_copy(update={"seed": seed}))
        return plain(uplift(predicted, baseline, test.outcome, test.time, seed=settings.seed).auc)

    uplifts = {"all": over_baseline(data, settings.seed)}
    for more in range(1, OTHER_SEEDS + 1):
        uplifts[f"all, seed {settings.seed + more}"] = over_baseline(data, settings.seed + more)
    for group, begins in GROUPS.items():
        hidden = [n for n, name in enumerate(recipe.inputs.names) if _belongs(name, begins, recipe.starts_from)]
        inputs = data.inputs.copy()
        inputs[:, hidden] = np.nan
        uplifts[group] = over_baseline(replace(data, inputs=inputs), settings.seed)
    return uplifts


def tried(market: StudiedMarket, folder: Path, settings: Settings) -> dict[str, Any]:
    """Run the trials on the same spans; the trial of the lead runs on a follower of the market, if there is one."""
    own = _before_judging(market, market.symbol, folder, settings)
    figures = {
        f"{market.symbol}: minutes around news": trials.added(*own, settings, prefix=trials.NEWS),
        f"{market.symbol}: a calibration for each third of the volatility": trials.regimes(*own, settings),
    }
    if (follower := FOLLOWERS.get(market.symbol)) is not None:
        following = _before_judging(market, follower, folder, settings)
        figures[f"{follower}: recent moves of {market.symbol}"] = trials.added(*following, settings, prefix=trials.LEAD)
    return figures


def _before_judging(
    market: StudiedMarket, symbol: str, folder: Path, settings: Settings
) -> tuple[Recipe, Dataset, Split]:
    """Return the break model's samples of a symbol, with lead features, up to the test span of the market."""
    recipe = replace(study_recipe("n5 h5 close", settings), compared={})
    last = pd.Timestamp(market.validation_from)
    first, middle = (str((last - pd.Timedelta(days=days)).date()) for days in OMISSION_DAYS)
    bars = {name: bars_of(folder, name, first, market.judged_from)[name] for name in (market.symbol, symbol)}
    rows = rows_of(bars, needed(recipe.inputs, recipe.task))
    data = build({symbol: bars[symbol]}, rows, "file", recipe.inputs, task=recipe.task)
    return recipe, data, at_instants(data.time, data.end, recipe.horizon, middle, test_from=market.validation_from)


def _belongs(name: str, begins: Iterable[str], kept: str | None) -> bool:
    return name != kept and name.startswith(tuple(begins))


ASIDE = {"controls": controlled, "transfer": transferred, "omissions": without_groups, "trials": tried}
"""Further experiments on a market, after its studies."""


def run(folder: Path, settings: Settings, say: Report) -> dict[str, Any]:
    """Run every study, control, transfer, omission and trial in sequence.

    Returns
    -------
    dict
        ``studies`` {symbol: {study: figures}}, ``controls`` {symbol: {control: figures}}, ``transfer`` {symbol:
        figures}, ``omissions`` {symbol: {group: AUC uplift}}, ``trials`` {symbol: {trial: uplift}}; figures as
        returned by `evaluate`.
    """
    figures: dict[str, dict[str, Any]] = {"studies": {}, "controls": {}, "transfer": {}, "omissions": {}, "trials": {}}
    for market in (EURUSD, BTCUSDT):
        figures["studies"][market.symbol] = {}
        for study in STUDIES:
            say(f"{market.symbol}: {study}")
            figures["studies"][market.symbol][study] = studied(market, study, folder, settings)
        for name, experiment in ASIDE.items():
            say(f"{market.symbol}: {name}")
            figures[name][market.symbol] = experiment(market, folder, settings)
    return figures


def document(figures: Mapping[str, Any], settings: Settings) -> str:
    """Render the output of `run` as Markdown."""
    environment = Environment(
        loader=PackageLoader("benchmarks.studies"),
        autoescape=False,  # noqa: S701, it writes Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("results.md.j2").render(
        results=figures,
        markets={market.symbol: market for market in (EURUSD, BTCUSDT)},
        noise=lambda curve: calibration_noise([ReliabilityBin(**part) for part in curve]),
        floors={f"{symbol} {study}": floor for (symbol, study), floor in FLOORS.items()},
        seed=settings.seed,
        code=code_version(),
        features=CATALOG.version,
    )


def main() -> None:
    """Run the studies of a folder of bars and write the document."""
    parser = argparse.ArgumentParser(description="evaluate every model on its test spans")
    parser.add_argument("folder", type=Path, help="folder with the M1 files of the studies")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--figures", type=Path, help="JSON file to write with all figures")
    given = parser.parse_args()
    settings = configuration.load()
    figures = run(given.folder, settings, print)
    if given.figures is not None:
        given.figures.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    given.out.write_text(document(figures, settings), encoding="utf-8")


if __name__ == "__main__":
    main()
