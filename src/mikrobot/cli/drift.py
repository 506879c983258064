"""The command drift."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from mikrobot.cli.output import as_json, print_json, settings, stop_on_sigterm
from mikrobot.cli.parameters import BarPath, reads_bars


class Span(click.ParamType[tuple[datetime, datetime]]):
    """A span of days, UTC, as FROM..TO."""

    name = "from..to"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[datetime, datetime]:
        """Return the beginnings of both days, or refuse the text in one line."""
        first, _, second = str(value).partition("..")
        try:
            since, until = (datetime.strptime(part, "%Y-%m-%d").replace(tzinfo=UTC) for part in (first, second))
        except ValueError:
            self.fail(f"{value!r} is no span of days; give it as 2018-07-01..2019-07-01", param, ctx)
        if since >= until:
            self.fail(f"{first} is not before {second}", param, ctx)
        return since, until


class Days(click.ParamType[timedelta]):
    """A number of days, as 7d."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the days, or refuse the text in one line."""
        if isinstance(value, timedelta):
            return value
        number = str(value).removesuffix("d")
        if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= 365:
            self.fail(f"{value!r} is no number of days from 1 to 365; give it as 7d", param, ctx)
        return timedelta(days=int(number))


@click.command()
@click.option("--data", "file", type=BarPath(), help="Bar file of one symbol, instead of the running stack.")
@click.option("--reference", type=Span(), help="Days of the file to compare with, as 2018-07-01..2019-07-01 (UTC).")
@click.option("--window", type=Days(), default="7d", show_default=True, help="Length of the windows of the file.")
@reads_bars
@as_json
def drift(
    file: Path | None,
    reference: tuple[datetime, datetime] | None,
    window: timedelta,
    json_: bool,
    reading: dict[str, str | bool | None],
) -> None:
    """Show the drift of the latest run since the training of its models, or judge every window of a bar file.

    The windows of the reference set the limits, since rows of one week always differ from those of a year. Drift
    needs 2 of 3 windows in which more columns differ, or a volatility of the last 3 windows outside the range of the
    reference. The reference of a run is the training span of the model that answers; the monitor flow judges. The
    table of a file also shows the verdict by a fixed limit: a PSI of 0.1 in half of the columns.

    Example: mikrobot drift --data EURUSD_M1.parquet --reference 2018-07-01..2019-07-01
    """
    if file is None:
        _show_stored(json_)
        return
    if reference is None:
        raise click.UsageError("--data needs --reference: the days to compare with, as 2018-07-01..2019-07-01")
    from functools import partial

    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.market.reading import reading_of
    from mikrobot.workflows.file_drift import judge_file

    console = Console()
    stop_on_sigterm()
    try:
        judged = judge_file(
            file, *reference, window,
            reading=reading_of(settings(**reading)), progress=partial(console.progress, "drift"),
        )  # fmt: skip
    finally:
        console.settle()
    if json_:
        print_json(judged.to_json())
    else:
        console.table(tables.drift_table(judged))


def _show_stored(json_: bool) -> None:
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.workflows.drift_overview import read

    overview = read(settings())
    if json_:
        print_json(overview.to_json())
    else:
        Console().table(tables.stored_drift_table(overview))
