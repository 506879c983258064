"""The commands of the program, found by walking its groups, so that a test covers a new one by its existence."""

from collections.abc import Iterator

import click

from mikrobot.cli.main import main


def commands(group: click.Group = main, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command
