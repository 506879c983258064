"""The command `mikrobot venue`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from mikrobot.cli.output import settings
from mikrobot.cli.parameters import BarPath, FaultRate, SymbolList, reads_bars
from mikrobot.market.local_venue.faults import FAULTS, describe

PORT = 8310

STREAM = click.Path(exists=True, path_type=Path)
SPEED = click.FloatRange(0, 10_000, min_open=True)


@click.command(epilog="\b\nFaults:\n" + "\n".join(f"  {describe(name)}" for name in FAULTS))
@click.option("--data", type=BarPath(), multiple=True, help="Bar file or folder [default: the simulated market].")
@click.option("--symbols", type=SymbolList(), help="Symbols to list, as BTCUSDT,ETHUSDT [default: all coins].")
@click.option("--speed", type=SPEED, default=1.0, show_default=True, help="Market seconds per real second.")
@click.option("--start", type=click.DateTime(), help="Market time to begin at, UTC [default: after 30 days of bars].")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one.")
@click.option("--fault", "faults", type=FaultRate(FAULTS), multiple=True, help="NAME=RATE, per message or per request.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=7, show_default=True, help="Of prices and faults.")
@click.option("--stream", "streams", type=STREAM, multiple=True, help="Recorded stream or session to send again.")
@reads_bars
def venue(
    data: tuple[Path, ...],
    symbols: tuple[str, ...] | None,
    speed: float,
    start: datetime | None,
    port: int,
    faults: tuple[tuple[str, float], ...],
    seed: int,
    streams: tuple[Path, ...],
    reading: dict[str, str | bool | None],
) -> None:
    """Serve a local market that speaks Binance's protocol, spot and USD-M futures, until Ctrl-C.

    Prints a line when it is ready, and the settings that point the stack at it. Prices, trades and order books are
    made from bars: the klines that it sends equal them. Faults can also be requested while it runs:
    curl -d '{"fault": "drop"}' http://127.0.0.1:8310/_control

    Example: mikrobot venue --data BTCUSDT_M1.parquet --speed 60 --fault late_kline=0.01
    """
    from mikrobot.market.local_venue.foreground import serve
    from mikrobot.market.local_venue.opening import VenueOptions, open_venue
    from mikrobot.market.reading import reading_of
    from mikrobot.runtime import uptime_s

    options = VenueOptions(
        data=data,
        symbols=symbols or (),
        speed=speed,
        seed=seed,
        rates=dict(faults),
        start=None if start is None else start.replace(tzinfo=UTC),
        reading=reading_of(settings(**reading)),
        streams=streams,
    )
    opened = open_venue(options, uptime_s)

    def announce(taken: int) -> None:
        begins = datetime.fromtimestamp(opened.clock.now_ms() // 1000, UTC)
        origin = {"simulated": "SIMULATED ", "bars": "", "recording": "recorded "}[opened.origin]
        listed = ", ".join(dict.fromkeys(symbol for feeds in opened.feeds.values() for symbol in feeds))
        http, socket = f"http://127.0.0.1:{taken}", f"ws://127.0.0.1:{taken}"
        moment = f"{begins:%Y-%m-%d %H:%M:%S} UTC"
        click.echo(f"ready: {http} lists {origin}{listed}; it is {moment} there, at {speed:g} times speed")
        click.echo(f"MIKROBOT_BINANCE_URL={http}/api")
        click.echo(f"MIKROBOT_BINANCE_STREAM_URL={socket}")
        click.echo(f"MIKROBOT_BINANCE_FUTURES_URL={http}/fapi")
        click.echo(f"MIKROBOT_BINANCE_FUTURES_STREAM_URL={socket}")

    serve(opened, port, announce)
