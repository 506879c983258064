"""List our strategies and those of users that the settings name."""

from mikrobot.decision.strategies.catalog import STRATEGIES, ours, parsed
from mikrobot.live.strategies import Described, Strategies, described, start
from mikrobot.settings import Settings


def listed(settings: Settings) -> list[tuple[Described, bool]]:
    """Return each strategy, and True if the settings let it trade; ours first.

    Raises
    ------
    StrategyError
        If a user's strategy cannot be loaded.
    """
    own = [(described(ours(name)), name in settings.strategies) for name in STRATEGIES]
    users = [reference for reference in settings.strategies if parsed(reference) is not None]
    return own + [(_described(reference, settings), True) for reference in users]


def _described(reference: str, settings: Settings) -> Described:
    with Strategies([start(reference, settings)]) as strategies:
        return strategies.running[0].described
