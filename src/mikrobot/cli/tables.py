"""The tables that commands print. Computes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from mikrobot.domain.instruments.entries import ASSET_CLASSES, Entry

if TYPE_CHECKING:
    from mikrobot.domain.market import Bar
    from mikrobot.live.strategies import Described
    from mikrobot.stack.doctor import Finding
    from mikrobot.store.bar_versions import Revision
    from mikrobot.training.day_bootstrap import Interval
    from mikrobot.training.evaluation_figures import BandFigures
    from mikrobot.workflows.bar_history import Gap, KnownBar
    from mikrobot.workflows.check_strategy import StrategyCheck
    from mikrobot.workflows.drift_overview import DriftOverview
    from mikrobot.workflows.evaluate import ModelEvaluation
    from mikrobot.workflows.file_drift import FileDrift
    from mikrobot.workflows.inspect_files import Inspected, Refused
    from mikrobot.workflows.performance import Performance
    from mikrobot.workflows.repair_history import Repair
    from mikrobot.workflows.replay_book import ReplayedBook
    from mikrobot.workflows.trading_report import TradingReport


def findings_table(findings: "list[Finding]") -> Table:
    """Show findings as a table, the remedy below its finding."""
    shown = Table(box=None, padding=(0, 2))
    for column in ("", "examined", "found"):
        shown.add_column(column, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[red]fix[/]"
        result = finding.found if finding.ok else f"{finding.found}\n{finding.remedy}"
        shown.add_row(mark, finding.what, Text(result))
    return shown


def strategies_table(strategies: "list[tuple[Described, bool]]") -> Table:
    """Show strategies with their parameters, a row for each."""
    shown = Table(box=None, padding=(0, 2))
    for column in ("strategy", "trades", "parameter", "default", "range", ""):
        shown.add_column(column, overflow="fold")
    for strategy, trades in strategies:
        shown.add_row(Text(strategy.identity), "yes" if trades else "no", "", "", "", Text(strategy.description))
        for name, parameter in strategy.parameters.items():
            span = f"{parameter.low:g} to {parameter.high:g}"
            shown.add_row("", "", Text(name), f"{parameter.default:g}", span, Text(parameter.description))
    return shown


def strategy_check_table(checked: "StrategyCheck") -> Table:
    """Show the requirements of the contract."""
    shown = Table(title=checked.strategy, title_justify="left", title_style="bold", box=None, padding=(0, 2))
    for column in ("", "the strategy", ""):
        shown.add_column(column, overflow="fold")
    for finding in checked.findings:
        shown.add_row("[green]ok[/]" if finding.ok else "[red]fix[/]", finding.what, Text(finding.text))
    return shown


def report_table(written: "TradingReport") -> Table:
    """Show every figure of a report with its interval."""
    from mikrobot.analytics.wording import figure_rows

    shown = Table(title=f"Run {written.run.id}", title_justify="left", title_style="bold", box=None, padding=(0, 2))
    for heading in ("figure", "value", "95 % interval"):
        shown.add_column(heading, justify="left" if heading == "figure" else "right")
    for row in figure_rows(written.report.assessment):
        shown.add_row(row["label"], row["value"], row["interval"])
    return shown


def backtest_table(result: Mapping[str, Any]) -> Table:
    """Show the figures of a backtest compared with its benchmarks."""
    title = f"{result['model']} {result['version'] or ''} on {', '.join(result['data']['symbols'])}".replace("  ", " ")
    shown = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2))
    shown.add_column("figure")
    shown.add_column("value", justify="right")
    plain = ("trades", "pnl", "return_pct", "max_drawdown_pct", "sharpe", "sortino", "profit_factor", "win_rate")
    for name in (*plain, "expectancy_r", "ambiguous_share", "decisions", "bars_per_s"):
        shown.add_row(name.replace("_", " "), _backtest_value(result, name))
    for kind, amount in result["costs"].items():
        shown.add_row(kind, amount)
    for name, figures in result["benchmark"].items():
        shown.add_row(f"{name}: return pct", _backtest_value(figures, "return_pct"))
    return shown


def reconciliation_table(comparison: Mapping[str, Any]) -> Table:
    """Show a run compared with its backtest."""
    compared = comparison["fidelity"]
    shown = Table(title=f"Run {comparison['run']} and its backtest", title_justify="left", title_style="bold", box=None)
    for heading in ("", "run", "backtest"):
        shown.add_column(heading, justify="right" if heading else "left")
    for name in ("decisions", "orders", "fills", "pnl"):
        shown.add_row(name, str(compared[name]["run"]), str(compared[name]["backtest"]))
    shown.add_row("equal orders", str(compared["orders_alike"]), "")
    shown.add_row("equal decisions", str(compared["decisions_alike"]), "")
    for name, alike in comparison["journals_alike"].items():
        shown.add_row(f"journal of account {name}", "identical" if alike else "different", "")
    shown.add_row("differences", str(len(compared["differences"])), "")
    return shown


def difference_lines(comparison: Mapping[str, Any]) -> list[str]:
    """Return one line for each difference with its cause."""
    return [
        f"{difference['order']}: {difference['what']}; {difference['cause']}"
        for difference in comparison["fidelity"]["differences"]
    ]


def inspected_table(inspected: "Inspected") -> Table:
    """Show what a bar file holds."""
    from mikrobot.workflows.inspect_files import facts

    shown = _facts(str(inspected.file.path))
    for fact in facts(inspected):
        shown.add_row(*fact)
    return shown


def refused_table(refused: "Refused") -> Table:
    """Show why a bar file would be refused."""
    shown = _facts(str(refused.path))
    shown.add_row("refused", refused.reason)
    return shown


def book_table(replayed: "ReplayedBook") -> Table:
    """Show an order book at the end of a recording."""
    shown = _facts(replayed.file)
    shown.add_row("symbol", replayed.symbol)
    shown.add_row("state", f"{replayed.state}: {replayed.reason}" if replayed.reason else replayed.state)
    shown.add_row("changes", f"{replayed.events:,}, {replayed.applied:,} applied, {replayed.gaps} gaps")
    shown.add_row("crossed", f"after {replayed.crossed} changes")
    shown.add_row("equal to the ticker", f"{replayed.ticker_equal:,} of {replayed.ticker_compared:,} changes")
    if replayed.published_compared:
        shown.add_row("equal to the session", f"{replayed.published_equal:,} of {replayed.published_compared:,} closes")
    low, high = replayed.trusted_range
    due = ", a new snapshot is due" if replayed.needs_snapshot else ""
    shown.add_row("trusted range", (f"{low:.10g} to {high:.10g}" if high > 0 else "none") + due)
    if (sample := replayed.sample) is not None:
        shown.add_row("best prices", f"{sample.bid:.10g} and {sample.ask:.10g}, spread {sample.spread:.4g}")
        shown.add_row("size of 1, 5, 10 bids", ", ".join(f"{size:g}" for size in sample.depth_bid))
        shown.add_row("size of 1, 5, 10 asks", ", ".join(f"{size:g}" for size in sample.depth_ask))
        shown.add_row("imbalance", f"{sample.imbalance:+.2f}, micro-price {sample.micro_price:.10g}")
    shown.add_row("from, to", f"{replayed.first:%Y-%m-%d %H:%M:%S} to {replayed.last:%Y-%m-%d %H:%M:%S} UTC")
    shown.add_row("messages", f"{replayed.messages:,}, {replayed.messages_per_s:,.0f}/s")
    return shown


def _facts(title: str) -> Table:
    shown = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2), show_header=False)
    shown.add_column("fact")
    shown.add_column("value", overflow="fold")
    return shown


def evaluation_table(judged: "ModelEvaluation") -> Table:
    """Show an evaluation: the model compared with its baselines, and its precision and coverage by band."""
    from mikrobot.training.promotion_gate import to_beat

    evaluation = judged.evaluation
    shown = Table(title=f"{judged.model} version {judged.version}", title_justify="left", box=None, padding=(0, 2))
    for heading in ("", "AUC", "Brier", "calibration error", "accuracy", "uplift of the model"):
        shown.add_column(heading, justify="left" if not heading else "right")
    shown.add_row("model", *_figures(evaluation.metrics), "")
    for name, baseline in evaluation.baselines.items():
        over = evaluation.uplift[f"over_{name.removeprefix('diffusion_')}"].auc
        shown.add_row(name.replace("_", " "), *_figures(baseline), _interval(over))
    shown.add_row("majority", "0.5000", "", "", f"{evaluation.majority_accuracy:.4f}", "")
    for name, walk in judged.controls.items():
        over = walk.uplift[f"over_{to_beat(walk.uplift)}"].auc
        shown.add_row(f"{name} control", *_figures(walk.metrics), _interval(over))
    samples = (
        f"{evaluation.samples:,} samples from {judged.start} to {judged.end}, base rate {evaluation.base_rate:.4f}, "
        f"{judged.seen_share:.0%} of them within the span of the training"
    )
    shown.caption = "\n".join([samples, *(_band(band) for band in evaluation.selective if band.coverage)])
    shown.caption_justify = "left"
    return shown


def drift_table(judged: "FileDrift") -> Table:
    """Show the drift of the windows of a bar file."""
    reference = judged.reference
    shown = Table(
        title=f"Drift of {judged.symbol} from {reference.since:%Y-%m-%d} to {reference.until:%Y-%m-%d}",
        title_justify="left", title_style="bold", box=None, padding=(0, 2),
    )  # fmt: skip
    figures = ("columns", "shift", "volatility")
    for heading in ("window from", *figures, "verdict", "by fixed limit", "why"):
        shown.add_column(heading, justify="right" if heading in figures else "left", overflow="fold")
    for window, fixed in zip(judged.windows, judged.fixed_limit, strict=True):
        verdict = ("new drift" if window.onset else "drift") if window.verdict == "drift" else "stable"
        shown.add_row(
            f"{window.since:%Y-%m-%d}", f"{window.share:.0%}", f"{window.mean_shift:.1f}", f"{window.volatility:.2f}",
            verdict, "drift" if fixed else "stable", Text("\n".join(window.reasons) if window.onset else ""),
        )  # fmt: skip
    shown.caption = (
        f"{judged.verdicts} verdicts in {len(judged.windows)} windows, {sum(judged.fixed_limit)} by the fixed limit "
        f"(a PSI of 0.1 in half of {len(reference.columns)} columns)"
    )
    shown.caption_justify = "left"
    return shown


def stored_drift_table(overview: "DriftOverview") -> Table:
    """Show the drift verdicts of a run: those of its symbols, and every window that has drifted."""
    market = f"{overview.run.source}{' (SIMULATED)' if overview.run.simulated else ''}"
    shown = _plain("symbol", "model", "compared", "window from", "verdict", "why")
    shown.title = f"Drift of run {overview.run.id}, {market}: {overview.verdict}"
    for symbol, windows in overview.windows.items():
        judged = overview.judged[symbol]
        if judged is None:
            shown.add_row(symbol, "", "", "", "not judged", "the monitor flow has judged no window yet")
        for window in windows:
            if window.drifted or window.until == windows[-1].until:
                verdict = "new drift" if window.onset else "drift" if window.drifted else "stable"
                shown.add_row(
                    symbol, f"{judged.model} {judged.version}" if judged else "", window.kind.value,
                    f"{window.since:%Y-%m-%d}", verdict, Text("\n".join(window.reasons)),
                )  # fmt: skip
    return shown


def performance_table(measured: "Performance") -> Table:
    """Show the realised and the promised skill of the predictions, by symbol and span."""
    market = f"{measured.run.source}{' (SIMULATED)' if measured.run.simulated else ''}"
    figures = ("AUC", "promised", "Brier", "promised", "bias", "coverage")
    shown = _plain("symbol", "model", "span", "outcomes", "blocks", *figures)
    shown.title = f"Skill of the predictions of run {measured.run.id}, {market}"
    for symbol in measured.symbols:
        model = f"{symbol.model} {symbol.version}"
        for span, skill in symbol.skills.items():
            shown.add_row(
                symbol.symbol, model, span, f"{skill.predictions:,}", f"{skill.blocks:,}", str(skill.auc),
                f"{skill.auc_promised:.3f}", f"{skill.brier.value:.4f}", f"{skill.brier_promised:.4f}",
                f"{skill.bias.value:+.3f}", symbol.covered(span),
            )  # fmt: skip
        if symbol.skill is None:
            shown.add_row(symbol.symbol, model, "too few outcomes", f"{len(symbol.outcomes):,}", *[""] * 7)
    shown.caption = (
        "AUC and coverage with their 95 % intervals; promised: what follows from the probabilities, if they are "
        "calibrated; coverage: share of outcomes in the prediction sets of a rolling window, promised is 0.9"
    )
    shown.caption_justify = "left"
    return shown


def _backtest_value(result: Mapping[str, Any], name: str) -> str:
    """Return a value as text, or the reason why it is missing."""
    value = result[name]
    if value is None:
        return str(result["reasons"].get(name, "none"))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _figures(metrics: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(f"{metrics[name]:.4f}" for name in ("auc", "brier", "ece", "accuracy"))


def _interval(over: "Interval") -> str:
    if over.low is None:
        return f"{over.value:+.4f}"
    return f"{over.value:+.4f} [{over.low:+.4f}, {over.high:+.4f}]"


def _band(figures: "BandFigures") -> str:
    return (
        f"promising precision {figures.band.precision:.2f}: coverage {figures.coverage:.3f}, "
        f"precision {figures.precision or 0.0:.3f}, recall {figures.recall_covered or 0.0:.3f} among the covered, "
        f"{figures.recall_all or 0.0:.3f} of all"
    )


def instruments_table(listed: Sequence[Entry]) -> Table:
    """Show instruments by asset class; an amount in brackets has no public source."""
    shown = Table(box=None, padding=(0, 2))
    for column in ("class", "symbol", "quote", "hours"):
        shown.add_column(column)
    amounts = ("tick", "spread", "lot", "size_step", "leverage")
    for name in amounts:
        shown.add_column(name.replace("_", " "), justify="right")
    shown.add_column("other names", overflow="fold")
    order = {asset: number for number, asset in enumerate(ASSET_CLASSES)}
    before = ""
    for entry in sorted(listed, key=lambda entry: order[entry.instrument.asset]):
        traded = entry.instrument
        asset = "" if traded.asset == before else traded.asset
        before = traded.asset
        values = (f"{getattr(traded, name):f}" for name in amounts)
        marked = (f"({value})" if name in entry.assumed else value for name, value in zip(amounts, values, strict=True))
        symbol = traded.symbol if entry.origin == "table" else f"{traded.symbol} ({entry.origin})"
        shown.add_row(asset, symbol, traded.quote, traded.session, *marked, ", ".join(entry.aliases))
    return shown


def gaps_table(gaps: "Sequence[Gap]") -> Table:
    """Show the gaps of stored bars."""
    shown = _plain("symbol", "first minute, UTC", "last minute, UTC", "minutes", "repaired")
    for gap in gaps:
        span = (f"{gap.first:%Y-%m-%d %H:%M}", f"{gap.last:%Y-%m-%d %H:%M}")
        shown.add_row(gap.symbol, *span, f"{gap.minutes:,}", f"{gap.repaired:,}")
    return shown


def repair_table(repair: "Repair") -> Table:
    """Show what a repair did about each gap."""
    shown = _plain("symbol", "first minute, UTC", "last minute, UTC", "minutes", "result")
    for stretch in repair.stretches:
        span = (f"{stretch.first:%Y-%m-%d %H:%M}", f"{stretch.last:%Y-%m-%d %H:%M}")
        shown.add_row(stretch.symbol, *span, f"{stretch.minutes:,}", stretch.outcome.value)
    return shown


def repair_line(repair: "Repair") -> str:
    """Summarise a repair in one line."""
    if not repair.missing:
        return "nothing to repair: every minute of an open market has a bar, or a later version of one"
    stored = "would be stored" if repair.dry_run else "stored"
    return (
        f"{repair.missing:,} minutes without a bar: {repair.history:,} {stored} as history, {repair.versions:,} as "
        f"later versions, {repair.absent:,} that the venue does not have either, {repair.refused:,} with invalid bars; "
        f"{repair.left:,} are left"
    )


def revisions_table(revisions: "Sequence[Revision]") -> Table:
    """Show later versions of bars."""
    shown = _plain("symbol", "minute, UTC", *_VALUES, "known from, UTC", "reason")
    for revision in revisions:
        known_at = f"{revision.known_at:%Y-%m-%d %H:%M:%S}"
        shown.add_row(revision.bar.symbol, *_cells(revision.bar), known_at, revision.reason)
    return shown


def bars_table(bars: "Sequence[KnownBar]") -> Table:
    """Show bars with what they were made from, if not by the venue."""
    shown = _plain("minute, UTC", *_VALUES, "made from")
    for version in bars:
        shown.add_row(*_cells(version.bar), version.origin)
    return shown


_VALUES = ("open", "high", "low", "close", "volume")


def _cells(bar: "Bar") -> Iterator[str]:
    yield f"{bar.open_time:%Y-%m-%d %H:%M}"
    for name in _VALUES:
        yield f"{getattr(bar, name):.12g}"


def _plain(*headings: str) -> Table:
    shown = Table(box=None, padding=(0, 2))
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    return shown
