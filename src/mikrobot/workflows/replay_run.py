"""Decide a recorded run again from its stored inputs, and compare the decisions with the recorded ones.

With changed settings, lists the decisions that change. Stores nothing.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mikrobot
from mikrobot import settings as configuration
from mikrobot.analytics.decision_differences import Difference, differences
from mikrobot.domain.errors import UsageError
from mikrobot.domain.news import NewsCalendar
from mikrobot.domain.serialisation import plain
from mikrobot.live import wiring
from mikrobot.live.session import recorded_run
from mikrobot.live.strategies import Strategies, opened
from mikrobot.models.catalog import TRADED
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.runs import Runs
from mikrobot.workflows import reconcile

CHANGEABLE = ("profile", "entry_probability")
"""Settings with which a run can be decided again, besides the parameters of its strategies."""

_CHANGEABLE = f"{', '.join(CHANGEABLE)} and parameters of its strategies, as m5_bos.least_atr"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A run that was decided again.

    Attributes
    ----------
    run : str
    manifest : dict
        Hashes of the code, the configuration, the strategies and the models that decided, as plain JSON values.
    changed : mapping of str to str
        The settings that differ from those of the run; empty for a comparison.
    decisions, orders : (int, int)
        Of the run, and of the replay.
    differences : list of Difference
        One for each decision that is not the same, in order of time.
    """

    run: str
    manifest: dict[str, Any]
    changed: Mapping[str, str]
    decisions: tuple[int, int]
    orders: tuple[int, int]
    differences: list[Difference]

    @property
    def identical(self) -> bool:
        """True if every decision is the same, byte for byte."""
        return not self.differences

    @property
    def transitions(self) -> dict[str, int]:
        """The number of changed decisions by both terminal reasons, as ``probability -> approved``."""
        pairs = (f"{one.terminal_recorded} -> {one.terminal_replayed}" for one in self.differences)
        return dict(Counter(pairs).most_common())

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "run": self.run,
            "manifest": self.manifest,
            "with": dict(self.changed),
            "identical": self.identical,
            "decisions": dict(zip(("recorded", "replayed"), self.decisions, strict=True)),
            "orders": dict(zip(("recorded", "replayed"), self.orders, strict=True)),
            "first_divergence": _json(self.differences[0]) if self.differences else None,
            "transitions": self.transitions,
            "differences": [_json(difference) for difference in self.differences],
        }


def replay(
    settings: Settings, clock: Clock, run_id: str, say: Callable[[str], None], *, changed: Mapping[str, str]
) -> Replayed:
    """Decide a run again; start the services that are needed and down, and stop them again.

    Parameters
    ----------
    run_id : str
        A run id, or ``last``.
    say : callable
        Shows progress.
    changed : mapping of str to str
        Settings of `CHANGEABLE`, and parameters of strategies as ``m5_bos.least_atr``, with their values.

    Raises
    ------
    UsageError
        If there is no such run or setting, a value is out of its range, or the run has no predictions.
    ModelError, ServiceError, StoreError
        If a model, the registry or the stores cannot be used.
    """
    with local_stack.running(settings, clock, say, ("mlflow",)), database.open_pool(settings) as pool:
        run, ledger = recorded_run(Runs(pool), run_id), Ledger(pool)
        recorded = reconcile.record_of(ledger, run)
        rules = with_changes(wiring.rules_of(settings, run), changed)
        say(f"deciding run {run.id} again")
        with opened(rules) as strategies:
            _require_titles(changed, strategies)
            identities = [strategy.described.identity for strategy in strategies.running]
            again = reconcile.traded_again(pool, run, rules, recorded.predictions, strategies=strategies)
        models = sorted({(p.model, p.model_version, p.feature_hash) for p in recorded.predictions})
        manifest = {
            "code": code_hash(),
            "configuration": configuration_hash(rules, run.news),
            "strategies": identities,
            "models": [_model(settings, *maker) for maker in models],
        }
    return Replayed(
        run.id,
        manifest,
        changed,
        (len(recorded.decisions), len(again.decisions)),
        (len(recorded.orders), len(again.traded.orders)),
        differences(recorded.decisions, again.decisions),
    )


def parse(pairs: Sequence[str]) -> dict[str, str]:
    """Parse changes in their command line form, ``KEY=VALUE``; the keys are those of `replay`.

    Raises
    ------
    UsageError
        If a text does not have this form, a key is named twice or cannot be changed, or a value is invalid.

    >>> parse(["entry_probability=0.6"])
    {'entry_probability': '0.6'}
    """
    changed: dict[str, str] = {}
    for text in pairs:
        key, _, value = (part.strip() for part in text.partition("="))
        if not key or not value:
            raise UsageError(f"--with expects KEY=VALUE, as entry_probability=0.6, not {text!r}")
        if key in changed:
            raise UsageError(f"--with names {key} twice; give it one value")
        if key not in CHANGEABLE and "." not in key:
            raise UsageError(f"--with cannot change {key!r}; it can change {_CHANGEABLE}")
        _value(key, value)
        changed[key] = value
    return changed


def with_changes(rules: Settings, changed: Mapping[str, str]) -> Settings:
    """Return the rules of a run with the changes of `parse`."""
    values = {key: _value(key, value) for key, value in changed.items()}
    own = {key: value for key, value in values.items() if key in CHANGEABLE}
    parameters = {key: value for key, value in values.items() if key not in CHANGEABLE}
    return rules.model_copy(update=own | {"strategy_parameters": {**rules.strategy_parameters, **parameters}})


def code_hash() -> str:
    """Return the SHA-256 of the source of the package, hexadecimal; paths are a part of it."""
    folder, digest = Path(mikrobot.__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def configuration_hash(rules: Settings, news: NewsCalendar | None = None) -> str:
    """Return the SHA-256 of the rules and of the news by which a run is decided, hexadecimal."""
    chosen = {name: getattr(rules, name) for name in (*wiring.RULES, "seed")}
    chosen["news"] = None if news is None else news.to_json()
    return hashlib.sha256(json.dumps(plain(chosen), sort_keys=True).encode()).hexdigest()


def _model(settings: Settings, name: str, version: str, feature_hash: str) -> dict[str, str]:
    digest = open_registry(settings).digest(TRADED, version)
    return {"model": name, "version": version, "features": feature_hash, "sha256": digest}


def _require_titles(changed: Mapping[str, str], strategies: Strategies) -> None:
    titles = [strategy.described.title for strategy in strategies.running]
    for key in changed:
        title, dot, _ = key.partition(".")
        if dot and title not in titles:
            raise UsageError(f"--with cannot change {key!r}: the strategies of the run are {', '.join(titles)}")


def _value(key: str, value: str) -> Any:
    """Return the value of a setting or of a parameter."""
    if key in CHANGEABLE:
        return getattr(configuration.load(**{key: value}), key)
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"--with {key}={value}: {value!r} is no number") from None


def _json(difference: Difference) -> dict[str, str]:
    return {
        "id": difference.id,
        "field": difference.field,
        "recorded": difference.recorded,
        "replayed": difference.replayed,
        "terminal_recorded": difference.terminal_recorded,
        "terminal_replayed": difference.terminal_replayed,
    }
