"""The command about order books: book."""

from pathlib import Path

import click

from mikrobot.cli.output import as_json, print_json
from mikrobot.cli.parameters import Symbol


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--symbol", type=Symbol(), help="Symbol of the book, where the files have several.")
@as_json
def book(files: tuple[Path, ...], symbol: str | None, json_: bool) -> None:
    """Replay recorded streams into an order book, and compare it with the best prices of the venue.

    Each line of a file is the time of receipt in nanoseconds and a message of a combined stream (depth, bookTicker,
    trade) or a depth snapshot. A file that continues the one before it continues its book. A folder is one that
    `mikrobot run --record` has written.

    Example: mikrobot book btcusdt_20240808.gz btcusdt_20240809.gz

    Example: mikrobot book recorded --symbol BTCUSDT
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows.replay_book import replay

    replayed = replay(files, SystemClock(), symbol)
    if json_:
        print_json(replayed)
        return
    for entry in replayed:
        Console().table(tables.book_table(entry))
