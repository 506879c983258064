"""The commands about bar files: inspect, import."""

from pathlib import Path

import click

from mikrobot.cli.output import as_json, print_json, settings
from mikrobot.cli.parameters import BarPath, OutFolder, OutPath, reads_bars
from mikrobot.domain.errors import MikrobotError


@click.command()
@click.argument("files", nargs=-1, required=True, type=BarPath())
@click.option("--html", "page", type=OutPath(), help="Also write it as a page with charts.")
@reads_bars
@as_json
def inspect(files: tuple[Path, ...], page: Path | None, json_: bool, reading: dict[str, str | bool | None]) -> None:
    """Show what bar files hold: format, symbol, clock, span, gaps, spikes and spreads, and what would be refused.

    Example: mikrobot inspect EURUSD_M1_2020.csv --html bars.html
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.market.reading import reading_of
    from mikrobot.workflows.inspect_files import Refused, write_page
    from mikrobot.workflows.inspect_files import inspect as look

    how = reading_of(settings(**reading))
    entries = look(files, how)
    if page is not None:
        write_page(page, entries, how)
    if json_:
        print_json(entries)
    else:
        for entry in entries:
            Console().table(
                tables.refused_table(entry) if isinstance(entry, Refused) else tables.inspected_table(entry)
            )
    refused = sum(isinstance(entry, Refused) for entry in entries)
    if refused:
        raise MikrobotError(f"{refused} of {len(entries)} files would be refused")


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=BarPath())
@click.option("--out", type=OutFolder(), required=True, help="Folder to write to.")
@reads_bars
@as_json
def import_(files: tuple[Path, ...], out: Path, json_: bool, reading: dict[str, str | bool | None]) -> None:
    """Write the bars of files to a folder as Parquet in the shared schema, a file for each symbol.

    Example: mikrobot import DAT_ASCII_EURUSD_M1_2018.csv --out bars
    """
    from mikrobot.market.reading import reading_of
    from mikrobot.workflows.import_files import import_files

    written = import_files(files, out, reading_of(settings(**reading)))
    if json_:
        print_json(written)
        return
    for file in written:
        click.echo(f"{file.bars:,} bars of {file.symbol} in {file.path}")
