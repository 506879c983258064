"""``python -m feature_repo``: apply the definitions to Feast, with the settings of the environment.

Idempotent. With ``--environment`` it prints the variables that the ``feast`` command needs
instead; they contain the password of Feast's database.
"""

import shlex
import sys

import click

from mikrobot import settings as configuration
from mikrobot.domain.errors import MikrobotError
from mikrobot.settings import Settings


@click.command()
@click.option("--environment", is_flag=True, help="Print the variables for the feast command instead.")
def main(environment: bool) -> None:
    """Apply the feature definitions to Feast's registry and online store."""
    from feature_repo.applying import apply

    try:
        settings = configuration.load()
        print(variables(settings) if environment else apply(settings))
    except MikrobotError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def variables(settings: Settings) -> str:
    """Return shell commands that set the variables of ``feature_store.yaml`` and the definitions."""
    from mikrobot.store.postgres import database

    _, address = database.url(settings, "feast").split("://")
    given = {**settings.environment(), "FEAST_DATABASE": address}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in given.items())


if __name__ == "__main__":
    main()
