"""Accounts beside a run's own: arms, each of which follows the run on the same bars, rows and predictions.

An arm is a run of its own that differs in what it trades by. So its decisions, orders, journals and
reports are those of a run, under its own id.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from mikrobot import settings as configuration
from mikrobot.analytics.experiments.assignment import assign
from mikrobot.domain.errors import UsageError
from mikrobot.settings import Settings
from mikrobot.store.runs import FOLLOWS, OPENING, Run

MAIN = "main"
"""Name of the run itself beside its arms."""

ARM = "arm"
"""Key of a run's settings: which arm it is; a run that follows none has no such key."""

MAY_DIFFER = ("profile", "model", "entry_probability", "balance")
"""Settings in which an arm may differ."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which units of the market one of several arms may open positions in: a symbol's UTC days, by a stable hash.

    The same unit falls to the same arm in every run of the same arms, on every machine.

    Attributes
    ----------
    own : str
        The arm.
    arms : tuple of str
        All of them, the run itself first.
    """

    own: str
    arms: tuple[str, ...]

    def owner(self, symbol: str, at: datetime) -> str:
        """Return the arm that a symbol belongs to at an instant."""
        shares = dict.fromkeys(self.arms, 1 / len(self.arms))
        return assign("/".join(self.arms), unit(symbol, at), shares)

    def objection(self, symbol: str, at: datetime) -> str:
        """Return why the arm opens nothing in a symbol, or an empty string."""
        owner = self.owner(symbol, at)
        return "" if owner == self.own else f"{unit(symbol, at)} belongs to arm {owner}"


def unit(symbol: str, at: datetime) -> str:
    """Name a unit of the market.

    >>> from datetime import UTC
    >>> unit("EURUSD", datetime(2024, 3, 11, 8, 30, tzinfo=UTC))
    'EURUSD on 2024-03-11'
    """
    return f"{symbol} on {at:%Y-%m-%d}"


def parse(text: str) -> tuple[str, dict[str, str]]:
    """Read an arm as it is given on the command line, ``NAME:KEY=VALUE,KEY=VALUE``.

    Raises
    ------
    UsageError
        If it is not of that form.

    >>> parse("careful:profile=ftmo,balance=5000")
    ('careful', {'profile': 'ftmo', 'balance': '5000'})
    """
    name, _, pairs = text.partition(":")
    found = [pair.partition("=") for pair in pairs.split(",")]
    if not name.strip() or not all(key.strip() and value.strip() for key, _, value in found):
        raise UsageError(f"an arm is NAME:KEY=VALUE, as candidate:profile=ftmo, not {text!r}")
    return name.strip(), {key.strip(): value.strip() for key, _, value in found}


def planned(settings: Settings) -> dict[str, Settings]:
    """Return what each arm trades by, by its name.

    Raises
    ------
    UsageError
        If one is not of the form of `parse`, has the name of another, or differs where it may not.
    """
    found: dict[str, Settings] = {}
    for name, chosen in map(parse, settings.arms):
        if not name.replace("_", "").isalnum() or name == MAIN or name in found:
            raise UsageError(
                f"arm {name!r}: give each a name of its own of letters, digits and _; {MAIN!r} is the run itself"
            )
        if foreign := chosen.keys() - set(MAY_DIFFER):
            raise UsageError(f"arm {name}: {', '.join(sorted(foreign))} cannot differ; choose {', '.join(MAY_DIFFER)}")
        found[name] = configuration.load(**(settings.model_dump(exclude_none=True) | chosen))
    return found


def following(run: Run, settings: Settings) -> list[Run]:
    """Return the runs of the arms of a run that is about to begin.

    An arm opens with the balances of the run, or divides the balance that it was given.
    """
    with_own_balance = {name for name, chosen in map(parse, settings.arms) if "balance" in chosen}
    runs = []
    for name, own in planned(settings).items():
        recorded = {**run.settings, **own.model_dump(mode="json", include=set(MAY_DIFFER)), ARM: name, FOLLOWS: run.id}
        if name in with_own_balance:
            recorded.pop(OPENING, None)
        runs.append(replace(run, id=f"{run.id}-{name}", settings=recorded))
    return runs


def name_of(run: Run) -> str:
    """Return which arm a recorded run is."""
    return str(run.settings.get(ARM, MAIN))


def share_of(run: Run) -> Share | None:
    """Return the share of the market that a recorded run may open positions in; None for all of it."""
    if not run.settings.get("split"):
        return None
    return Share(name_of(run), (MAIN, *(parse(text)[0] for text in run.settings["arms"])))
