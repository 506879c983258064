"""Compare the decisions of a run with those of another pass over the same inputs, byte for byte."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mikrobot.domain.trading import Decision

ABSENT = "no decision"


@dataclass(frozen=True, slots=True)
class Difference:
    """The first field in which two decisions with the same id differ.

    Attributes
    ----------
    id : str
    field : str
        ``decision`` if only one of the two exists; for reasons the name of the check, as ``reasons.spread``.
    recorded, replayed : str
        Both values as text.
    terminal_recorded, terminal_replayed : str
        Both terminal reasons; `ABSENT` where the decision does not exist.
    """

    id: str
    field: str
    recorded: str
    replayed: str
    terminal_recorded: str
    terminal_replayed: str

    @property
    def text(self) -> str:
        """The difference in one line."""
        return f"{self.id}, {self.field}: recorded {self.recorded!r}, replayed {self.replayed!r}"


def as_bytes(decision: Decision) -> bytes:
    """Return every field of a decision as bytes, which are equal exactly if the decisions are."""
    return json.dumps(_fields(decision), separators=(",", ":"), allow_nan=False).encode()


def differences(recorded: Sequence[Decision], replayed: Sequence[Decision]) -> list[Difference]:
    """Return one difference for each decision that is not the same in both, in order of time.

    Decisions that were recorded without the numbers of their checks are compared without them.
    """
    before, after = _by_id(recorded), _by_id(replayed)
    both = sorted((before | after).values(), key=lambda decision: (decision.close_time, decision.id))
    pairs = ((before.get(decision.id), after.get(decision.id)) for decision in both)
    return [difference for pair in pairs if (difference := _difference(*pair)) is not None]


def _by_id(decisions: Iterable[Decision]) -> dict[str, Decision]:
    return {decision.id: decision for decision in decisions}


def _difference(before: Decision | None, after: Decision | None) -> Difference | None:
    if before is None or after is None:
        one = before or after
        assert one is not None
        texts = [ABSENT if decision is None else decision.terminal_reason for decision in (before, after)]
        return Difference(one.id, "decision", *texts, *texts)
    if as_bytes(before) == as_bytes(after):
        return None
    here, there = _fields(before), _fields(after)
    if not before.comparisons:
        here["comparisons"] = there["comparisons"]
    terminal = (before.terminal_reason, after.terminal_reason)
    for name, value in here.items():
        if value != there[name]:
            if isinstance(value, list):
                return Difference(before.id, *_first(before, after, name), *terminal)
            return Difference(before.id, name, str(value), str(there[name]), *terminal)
    return None


def _first(before: Decision, after: Decision, name: str) -> tuple[str, str, str]:
    """Return the first element in which two lists of fields differ, with the name of its check, and both as text."""
    here, there = _fields(before)[name], _fields(after)[name]
    length = max(len(here), len(there))
    pairs = zip(_filled(here, length), _filled(there, length), strict=True)
    at = next(number for number, (one, other) in enumerate(pairs) if one != other)
    texts = [_filled(values, length)[at] for values in (here, there)]
    if name == "reasons":
        check = str(texts[0] or texts[1]).partition(" ")[0]
    else:
        checks = max(before.checks, after.checks, key=len)
        check = checks[at].name if at < len(checks) else str(at)
    return f"{name}.{check}", str(texts[0]), str(texts[1])


def _filled(values: Sequence[Any], length: int) -> list[Any]:
    return [*values, *[""] * (length - len(values))]


def _fields(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "symbol": decision.symbol,
        "close_time": decision.close_time.isoformat(),
        "strategy": decision.strategy,
        "reasons": list(decision.reasons),
        "comparisons": [None if numbers is None else numbers.to_json() for numbers in decision.comparisons],
        "side": None if decision.side is None else decision.side.value,
        "approved": decision.approved,
    }
