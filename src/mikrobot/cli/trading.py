"""The command `mikrobot trading`."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from mikrobot.cli.history import utc
from mikrobot.cli.output import as_json, print_json, stop_on_sigterm
from mikrobot.cli.output import settings as configured
from mikrobot.cli.parameters import Symbol

if TYPE_CHECKING:
    from mikrobot.domain.trading_states import TradingState


@click.group()
def trading() -> None:
    """Show and set trading states: ACTIVE, REDUCING or HALTED.

    REDUCING opens no position; stops, targets and time exits go on. HALTED also cancels pending entries. A state
    holds for every run of this state folder, for every symbol, one symbol or one side of it, until it ends or is
    resumed, over restarts too. Of several states, the strictest one holds.

    Example: mikrobot trading halt --reason "news at 14:30"
    """


@trading.command()
@as_json
def status(json_: bool) -> None:
    """Show the states in force and the recent ones, with who set them, when and why.

    Starts the database if it is down, and stops it again.

    Example: mikrobot trading status --json
    """
    from mikrobot.cli import status_tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database
    from mikrobot.workflows import trading_control

    settings, console = configured(), Console(quiet=json_)
    stop_on_sigterm()
    with local_stack.database_up(settings, console.say), database.open_pool(settings) as pool:
        shown = trading_control.overview(settings, pool, SystemClock())
    if json_:
        print_json(shown.to_json())
    else:
        console.tables(status_tables.trading_tables(shown.in_force, shown.recent))


def _scoped(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where a state holds, and why it is set."""

    @click.option("--symbol", type=Symbol(), help="Only this symbol [default: every symbol].")
    @click.option("--side", type=click.Choice(["buy", "sell"]), help="Only opening orders of this side of --symbol.")
    @click.option("--reason", default="requested by hand", show_default=True, help="Recorded with the state.")
    @wraps(command)
    def wrapped(*args: Any, **given: Any) -> None:
        command(*args, **given)

    return wrapped


@trading.command()
@_scoped
@click.option("--until", callback=utc, help="End of the halt, as 2025-03-14T15:00 (UTC) [default: until resumed].")
@click.option("--flatten", is_flag=True, help="Also close the open positions at the next price.")
@as_json
def halt(symbol: str | None, side: str | None, reason: str, until: datetime | None, flatten: bool, json_: bool) -> None:
    """Stop openings at once and cancel pending entries: the emergency stop.

    Once the command returns, no run accepts an opening order and no pending entry fills. Open positions keep their
    stops, targets and time limits; --flatten closes them at the next price after the next close.

    Example: mikrobot trading halt --symbol EURUSD --side buy --until 2030-03-14T15:00
    """
    _set("HALTED", symbol, side, reason, until, flatten=flatten, json_=json_)


@trading.command()
@_scoped
@click.option("--until", callback=utc, help="End of the state, as 2025-03-14T15:00 (UTC) [default: until resumed].")
@as_json
def reduce(symbol: str | None, side: str | None, reason: str, until: datetime | None, json_: bool) -> None:
    """Stop openings; pending entries and exits go on.

    Example: mikrobot trading reduce --symbol BTCUSDT --reason "thin market"
    """
    _set("REDUCING", symbol, side, reason, until, json_=json_)


@trading.command()
@_scoped
@as_json
def resume(symbol: str | None, side: str | None, reason: str, json_: bool) -> None:
    """End the state that an operator has set for the same symbol and side.

    States of other symbols and sides, and those that the platform has decided, stay in force.

    Example: mikrobot trading resume --symbol EURUSD --side buy
    """
    _set("ACTIVE", symbol, side, reason, None, json_=json_)


def _set(
    permission: str, symbol: str | None, side: str | None, reason: str, until: datetime | None,
    *, json_: bool, flatten: bool = False,
) -> None:  # fmt: skip
    import getpass

    from mikrobot.cli.console import Console
    from mikrobot.domain.trading import Side
    from mikrobot.domain.trading_states import Permission
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database
    from mikrobot.workflows import trading_control
    from mikrobot.workflows.trading_control import Command

    settings, console = configured(), Console(quiet=json_)
    own = Side(side) if side else None
    wanted = Command(Permission(permission), getpass.getuser(), " ".join(reason.split()), symbol, own, until, flatten)
    stop_on_sigterm()
    with local_stack.database_up(settings, console.say), database.open_pool(settings) as pool:
        state = trading_control.command(settings, pool, SystemClock(), wanted)
    if json_:
        print_json(trading_control.to_json(state))
    else:
        click.echo(_acknowledged(state))


def _acknowledged(state: "TradingState") -> str:
    """Return what holds from now on, in one line."""
    if state.permission.value == "ACTIVE":
        return f"trading of {state.subject} is resumed; `mikrobot trading status` lists what still limits it"
    until = f"until {state.until:%Y-%m-%d %H:%M} UTC" if state.until else "until `mikrobot trading resume`"
    rest = {
        "REDUCING": "pending entries and exits go on",
        "HALTED": "pending entries are cancelled, exits go on",
    }[state.permission.value]
    closing = "; open positions are closed at the next price" if state.flatten_at else ""
    return f"{state.permission.value} for {state.subject} {until}: no opening order is accepted; {rest}{closing}"
