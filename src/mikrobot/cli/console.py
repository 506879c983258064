"""The output of commands for people: steps, progress and the summary of a run.

Everything except the summary goes to standard error. Each finished step leaves one line; a terminal also shows
the progress of the current step. In a file or a pipe, each row of a table is one line of any length.
"""

import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click
from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.status import Status
from rich.table import Table
from rich.text import Text

from mikrobot.store.web_access import USER

if TYPE_CHECKING:
    from mikrobot.workflows.run_summary import AnsweredBy, FinishedRun
    from mikrobot.workflows.training_report import ModelTrainings, TrainingReport

UNBOUNDED = 1_000_000
"""Maximum number of characters of a line in a file or a pipe."""

PAGES = ("prefect", "mlflow", "bento")
"""Services with pages for the browser."""


class Console:
    """Print the steps, the progress and the tables of a command.

    Parameters
    ----------
    quiet : bool
        Do not show steps and progress.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        live = sys.stderr.isatty()
        self._err = RichConsole(
            stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True, force_terminal=live
        )
        self._out = RichConsole(highlight=False, emoji=False)
        self._status: Status | None = None
        self._stage, self._since = "", 0.0

    def say(self, text: str) -> None:
        """Show a step."""
        self.settle()
        if not self._quiet:
            self._err.print(f"  {text}")

    def progress(self, stage: str, text: str, share: float, symbols: Sequence[str] = ()) -> None:
        """Show the progress of a stage with its symbols; `share` runs from 0 to 1."""
        if self._quiet:
            return
        label = f"{stage:<11} {', '.join(symbols):<15}"
        if label != self._stage:
            self._stage, self._since = label, perf_counter()
        if share >= 1.0:
            self._finish(text)
        elif self._err.is_terminal:
            self._live(f"{label} {share:>4.0%}  {text}")

    def settle(self) -> None:
        """Remove the live line."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def summary(self, summary: "FinishedRun") -> None:
        """Print the tables of a run; paths and addresses are never wrapped, not even on a terminal."""
        facts, places = summary_tables(summary)
        self.table(facts)
        click.echo(unbounded(places), nl=False)

    def table(self, table: Table) -> None:
        """Print a table to standard output; its width is limited only on a terminal."""
        self.settle()
        if sys.stdout.isatty():
            self._out.print(table)
        else:
            click.echo(unbounded(table), nl=False)

    def tables(self, tables: Iterable[Table], *, over: bool = False) -> None:
        """Print tables; with `over`, clear the terminal first."""
        if over and sys.stdout.isatty():
            self._out.clear()
        for table in tables:
            self.table(table)

    def _live(self, line: str) -> None:
        if self._status is None:
            self._status = self._err.status(Text(line))
            self._status.start()
        self._status.update(Text(line))

    def _finish(self, text: str) -> None:
        """Print the line of a finished stage."""
        self.settle()
        self._err.print(f"  {self._stage} {perf_counter() - self._since:>4.0f} s  {text}")
        self._stage = ""


def unbounded(table: Table) -> str:
    """Return a table as plain text: each row on one line of any length, without trailing blanks."""
    table.min_width = cell_len(str(table.title or ""))
    console = RichConsole(file=io.StringIO(), width=UNBOUNDED, highlight=False, emoji=False, color_system=None)
    with console.capture() as printed:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in printed.get().splitlines())


def summary_tables(summary: "FinishedRun") -> tuple[Table, Table]:
    """Return the tables of a run's summary: its results, and the paths and addresses of its reports and services.

    Services that are not in ``services`` are listed as stopped, with the command that starts them again.
    """
    market = "SIMULATED market" if summary.simulated else summary.source
    facts = _table(f"Run {summary.run}: {market}")
    for name, value in _facts(summary):
        facts.add_row(name, Text(value))
    where = _table("Where to look")
    if summary.services:
        where.add_row("pages", Text(Path(summary.pages).as_uri()))
        where.add_row("password", Text(password_note(Path(summary.pages))))
    for name, address in {**summary.services, **summary.reports}.items():
        where.add_row(name, Text(address))
    stopped = [name for name in PAGES if name not in summary.services]
    if stopped:
        where.add_row("stopped", Text(f"{', '.join(stopped)}; `mikrobot up` brings their pages up again"))
    return facts, where


def password_note(pages: Path) -> str:
    """Return the user and the files of the passwords, for a browser that asks: they are next to the page of links."""
    return f"the page signs in; a browser that asks: user {USER}, password in {pages.parent / 'secrets' / 'web_*'}"


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2), title_style="bold")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _facts(summary: "FinishedRun") -> list[tuple[str, str]]:
    trading, checks, drift = summary.trading, summary.checks, summary.drift
    rows = [
        ("symbols", ", ".join(summary.symbols)),
        ("bars", f"{summary.bars:,}"),
        ("features", f"{summary.features} columns"),
        ("online rows", f"{drift.online_rows:,} read, {drift.skewed_rows} differ from their offline row"),
        ("checks", f"{checks.passed} passed, {checks.failed} failed, {checks.quarantined} rows quarantined"),
    ]
    rows += [
        (f"model {name}", _model(trained)) for name, model in summary.models.items() for trained in _trained(model)
    ]
    rows += [("answered by", f"{symbol}: {_origin(origin)}") for symbol, origin in summary.answered_by.items()]
    rows += [
        (
            "drift",
            f"{drift.verdict} ({drift.share:.0%} of the features differ from those of the training)",
        ),
        (
            "trading",
            f"{trading.signals} signals, {trading.approved} of {trading.decisions} decisions approved, "
            f"{trading.orders} orders, {trading.fills} fills, {trading.trades} trades",
        ),
        (
            "result",
            f"P&L {trading.pnl} USD on paper, max drawdown {trading.max_drawdown} USD, "
            f"{trading.ambiguous_share:.0%} of the trades ambiguous",
        ),
    ]
    if not trading.orders and trading.terminal_reasons:
        stopped = ", ".join(f"{reason} {count:,}" for reason, count in trading.terminal_reasons.items())
        rows.append(("no order", f"decisions by the check that stopped them first: {stopped}"))
    rows += [
        (f"arm {name}", f"{arm.orders} orders, {arm.trades} trades, P&L {arm.pnl} USD (run {arm.run})")
        for name, arm in summary.arms.items()
    ]
    stages = ", ".join(f"{stage} {t.p50:.1f}/{t.p99:.1f}" for stage, t in summary.latency_ms.items())
    first = trading.seconds_to_first_order
    seconds = f"{summary.seconds}" + (f", first order after {first}" if first is not None else "")
    return [*rows, ("latency ms p50/p99", stages), ("seconds", seconds)]


def _origin(origin: "AnsweredBy | None") -> str:
    """Return the name of the model that predicted for a symbol."""
    if origin is None:
        return "nothing, no minute of it was traded"
    learned = f"learned from {', '.join(origin.trained_on)}"
    if origin.version is None:
        return f"the diffusion baseline, {learned}; no model has passed the gate"
    return f"{origin.model} v{origin.version}, {learned}"


def _trained(model: "ModelTrainings") -> "list[TrainingReport]":
    """Return the training of each segment, the earliest first."""
    return [*reversed(model.earlier), model]


def _model(model: "TrainingReport") -> str:
    """Return a model's AUC compared with the diffusion baselines with the ATR and, if there is one, the forecast."""
    from mikrobot.training.promotion_gate import to_beat  # here, since it imports NumPy

    judged = model.metrics
    walks = {name: baseline["auc"] for name, baseline in judged.baselines.items()}
    baselines = f"{walks['diffusion_atr']:.4f} by ATR"
    if "diffusion_forecast" in walks:
        baselines += f" and {walks['diffusion_forecast']:.4f} by forecast"
    uplift = judged.uplift[f"over_{to_beat(judged.uplift)}"].auc
    interval = "" if uplift.low is None else f" [{uplift.low:+.4f}, {uplift.high:+.4f}]"
    champion_of = ", ".join(model.champion_of)
    state = f"champion of {champion_of}" if champion_of else model.alias or "not promoted"
    return (
        f"v{model.version} from {', '.join(model.symbols)} ({state}): AUC {judged.metrics['auc']:.4f}, "
        f"diffusion {baselines}, uplift over the forecast {uplift.value:+.4f}{interval}"
    )
