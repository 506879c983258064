"""The command `mikrobot terminal`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mikrobot.cli.output import settings
from mikrobot.cli.parameters import BarPath, FaultRate, SymbolList, reads_bars
from mikrobot.market.local_terminal.faults import FAULTS, describe

if TYPE_CHECKING:
    from mikrobot.market.local_terminal.opening import Served

PORT = 18812


@click.command(epilog="\b\nFaults:\n" + "\n".join(f"  {describe(name)}" for name in FAULTS))
@click.option("--data", type=BarPath(), multiple=True, help="Bar file or folder [default: the simulated market].")
@click.option("--symbols", type=SymbolList(), help="Symbols to list, as EURUSD,XAUUSD [default: all].")
@click.option("--suffix", default="", help="What the broker appends to the names of symbols, as m in EURUSDm.")
@click.option("--server-clock", default="EET", show_default=True, help="EET, NY+7, UTC, or an offset as +03:00.")
@click.option("--start", type=click.DateTime(), help="Market time to begin at, UTC [default: now].")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one.")
@click.option("--fault", "faults", type=FaultRate(FAULTS), multiple=True, help="NAME=RATE, per call.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=7, show_default=True, help="Of prices and faults.")
@reads_bars
def terminal(
    data: tuple[Path, ...],
    symbols: tuple[str, ...] | None,
    suffix: str,
    server_clock: str,
    start: datetime | None,
    port: int,
    faults: tuple[tuple[str, float], ...],
    seed: int,
    reading: dict[str, str | bool | None],
) -> None:
    """Serve a stand-in for a MetaTrader 5 terminal behind an RPyC bridge, until Ctrl-C.

    Prints a line when it is ready, and the settings that point the stack at it. Its bars are those of the source
    mt5-local, SIMULATED. Faults can also be requested while it runs; docs/metatrader.md shows how.

    Example: mikrobot terminal --server-clock NY+7 --fault code_10005=0.01
    """
    from mikrobot.market.local_terminal.opening import TerminalOptions, serve
    from mikrobot.market.reading import reading_of

    options = TerminalOptions(
        data=data,
        symbols=symbols or (),
        suffix=suffix,
        server_clock=server_clock,
        start=None if start is None else start.replace(tzinfo=UTC),
        seed=seed,
        rates=dict(faults),
        reading=reading_of(settings(**reading)),
    )

    def announce(served: "Served") -> None:
        click.echo(f"ready: 127.0.0.1:{served.port} lists SIMULATED {', '.join(served.symbols)}")
        click.echo("MIKROBOT_MT5_HOST=127.0.0.1")
        click.echo(f"MIKROBOT_MT5_PORT={served.port}")

    serve(options, port, announce)
