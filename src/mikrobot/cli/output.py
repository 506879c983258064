"""What commands print for scripts: one JSON object on standard output, nothing else there."""

import json
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Any

import click


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option --json: one object on standard output, nothing else there."""

    @click.option("--json", "json_", is_flag=True, help="Print one JSON object on standard output.")
    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return command(*args, **kwargs)

    return wrapped


def print_json(value: Any) -> None:
    """Print a value as JSON; Decimals become strings, so that no cent is lost."""
    click.echo(json.dumps(value, default=_plain))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal | Path) else value.isoformat()


def settings() -> Any:
    """Return the settings, as `settings.load` does, loaded when a command needs them."""
    from mikrobot import settings as configuration

    return configuration.load()


def stop_on_sigterm() -> None:
    """End on SIGTERM as on Ctrl-C."""
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
