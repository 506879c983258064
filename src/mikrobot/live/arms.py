"""Arms: further accounts that follow a run on the same bars, feature rows and predictions.

An arm is a run of its own that trades by other settings; it has its own id, decisions, orders, journals and
reports.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mikrobot import settings as configuration
from mikrobot.analytics.experiments.assignment import assign
from mikrobot.domain.errors import UsageError
from mikrobot.settings import Settings
from mikrobot.store.runs import FOLLOWS, OPENING, Run

MAIN = "main"
"""Name of the run itself among its arms."""

ARM = "arm"
"""Key of a run's settings with the name of its arm; missing in a run that follows no other run."""

MAY_DIFFER = ("profile", "strategies", "model", "entry_probability", "balance")
"""Settings in which an arm may differ."""


@dataclass(frozen=True, slots=True)
class Share:
    """The units of the market in which one of several arms may open positions: a symbol's UTC days, by a stable hash.

    The same unit belongs to the same arm in every run with the same arms, on every machine.

    Attributes
    ----------
    own : str
        The arm.
    arms : tuple of str
        All arms, the run itself first.
    """

    own: str
    arms: tuple[str, ...]

    def owner(self, symbol: str, at: datetime) -> str:
        """Return the arm that may open positions in a symbol at an instant."""
        shares = dict.fromkeys(self.arms, 1 / len(self.arms))
        return assign("/".join(self.arms), unit(symbol, at), shares)

    def objection(self, symbol: str, at: datetime) -> str:
        """Return why the arm may not open a position in a symbol, or an empty string."""
        owner = self.owner(symbol, at)
        return "" if owner == self.own else f"{unit(symbol, at)} belongs to arm {owner}"


def unit(symbol: str, at: datetime) -> str:
    """Return the name of a unit of the market.

    >>> from datetime import UTC
    >>> unit("EURUSD", datetime(2024, 3, 11, 8, 30, tzinfo=UTC))
    'EURUSD on 2024-03-11'
    """
    return f"{symbol} on {at:%Y-%m-%d}"


def parse(text: str) -> tuple[str, dict[str, str]]:
    """Parse an arm in its command line form, ``NAME:KEY=VALUE,KEY=VALUE``.

    Raises
    ------
    UsageError
        If the text does not have this form.

    >>> parse("careful:profile=ftmo,balance=5000")
    ('careful', {'profile': 'ftmo', 'balance': '5000'})
    """
    name, _, pairs = text.partition(":")
    parts = [pair.partition("=") for pair in pairs.split(",")]
    if not name.strip() or not all(key.strip() and value.strip() for key, _, value in parts):
        raise UsageError(f"an arm is NAME:KEY=VALUE, as candidate:profile=ftmo, not {text!r}")
    return name.strip(), {key.strip(): value.strip() for key, _, value in parts}


def planned(settings: Settings) -> dict[str, Settings]:
    """Return the settings of each arm by its name.

    Raises
    ------
    UsageError
        If an arm does not have the form of `parse`, repeats a name, or changes a setting not in `MAY_DIFFER`.
    """
    by_name: dict[str, Settings] = {}
    for name, chosen in map(parse, settings.arms):
        if not name.replace("_", "").isalnum() or name == MAIN or name in by_name:
            raise UsageError(
                f"arm {name!r}: give each arm its own name of letters, digits and _; {MAIN!r} is the run itself"
            )
        if foreign := chosen.keys() - set(MAY_DIFFER):
            raise UsageError(f"arm {name}: {', '.join(sorted(foreign))} cannot differ; choose {', '.join(MAY_DIFFER)}")
        given: dict[str, Any] = dict(chosen)
        if "strategies" in chosen:
            given["strategies"] = (chosen["strategies"],)
        by_name[name] = configuration.load(**(settings.model_dump(exclude_none=True) | given))
    return by_name


def following(run: Run, settings: Settings) -> list[Run]:
    """Return the runs of the arms of a new run.

    An arm opens with the balances of the run, or divides its own balance if it has one.
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
    """Return the name of a recorded run's arm."""
    return str(run.settings.get(ARM, MAIN))


def share_of(run: Run) -> Share | None:
    """Return the share of the market in which a recorded run may open positions; None: all of it."""
    if not run.settings.get("split"):
        return None
    return Share(name_of(run), (MAIN, *(parse(text)[0] for text in run.settings["arms"])))
