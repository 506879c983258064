"""Output of commands for scripts: one JSON object on standard output, and nothing else."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from mikrobot.domain.serialisation import plain


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --json to a command: it prints one object on standard output, and nothing else."""

    @click.option("--json", "json_", is_flag=True, help="Print one JSON object on standard output.")
    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return command(*args, **kwargs)

    return wrapped


def print_json(value: Any) -> None:
    """Print a value as JSON; see `plain`."""
    click.echo(json.dumps(plain(value)))


def settings(**given: Any) -> Any:
    """Return the settings of `settings.load`, imported only when a command needs them."""
    from mikrobot import settings as configuration

    return configuration.load(**given)


def stop_on_sigterm() -> None:
    """Handle SIGTERM like Ctrl-C."""
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
