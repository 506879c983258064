"""What a run traded and what it did not, by count and by value: the summary at the top of the trading report."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from mikrobot.analytics.trade_journal import TradeRow
from mikrobot.domain.trading import Decision

COSTS = "costs"
"""The check that compares the profit at the target with the costs of the round trip, in dollars."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The closed trades of one strategy with one side and exit.

    Attributes
    ----------
    strategy, side, exit : str
        `strategy` is empty if the ledger has no decision of the trades.
    trades : int
    pnl : Decimal
        Net of fees, dollars.
    """

    strategy: str
    side: str
    exit: str
    trades: int
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class Refusal:
    """A check, and the decisions that it refused.

    Attributes
    ----------
    check : str
    times : int
        Decisions that it refused.
    latest : str
        The values of the latest refusal.
    first : int
        Decisions of which it is the terminal reason: it refused before any other check. Over all checks, these and the
        approved decisions add up to all decisions.
    sized : int
        Those of `first` that had a size and a target, so that a trade of known value was refused.
    at_target : float
        Dollars that these trades would have earned after costs, had each of them reached its target.
    """

    check: str
    times: int
    latest: str
    first: int = 0
    sized: int = 0
    at_target: float = 0.0


@dataclass(slots=True)
class Refusals:
    """A running count of refused decisions by check.

    A refusal reads ``<check> refused: <values>``. A decision counts once for each check that refused it.
    """

    counted: Counter[str] = field(default_factory=Counter)
    latest: dict[str, str] = field(default_factory=dict)
    first: Counter[str] = field(default_factory=Counter)
    sized: Counter[str] = field(default_factory=Counter)
    at_target: dict[str, float] = field(default_factory=dict)

    def add(self, decision: Decision) -> None:
        """Count the checks that refused a decision."""
        terminal = ""
        for reason in decision.reasons:
            head, _, values = reason.partition(":")
            check, refused, _ = head.partition(" refused")
            if refused:
                terminal = terminal or check
                self.counted[check] += 1
                self.latest[check] = values.strip()
        if terminal:
            self.first[terminal] += 1
            if decision.side is not None:
                self._value(terminal, decision)

    def listed(self) -> tuple[Refusal, ...]:
        """Return each check with its counts, the one that refused most decisions first."""
        return tuple(
            Refusal(
                check, count, self.latest[check], self.first[check], self.sized[check], self.at_target.get(check, 0.0)
            )
            for check, count in self.counted.most_common()
        )

    def _value(self, terminal: str, decision: Decision) -> None:
        """Add the value of a refused trade at its target, if it has been sized."""
        for check in decision.checks:
            if check.name == COSTS and check.value is not None and check.threshold is not None:
                self.sized[terminal] += 1
                self.at_target[terminal] = self.at_target.get(terminal, 0.0) + check.value - check.threshold


def refusals(decisions: Sequence[Decision]) -> tuple[Refusal, ...]:
    """Count the refused decisions by check, the most frequent check first; see `Refusals`."""
    counted = Refusals()
    for decision in decisions:
        counted.add(decision)
    return counted.listed()


def outcomes(rows: Iterable[TradeRow]) -> tuple[Outcome, ...]:
    """Return the closed trades by strategy, side and exit, sorted by these."""
    groups: dict[tuple[str, str, str], list[Decimal]] = defaultdict(list)
    for row in rows:
        strategy = "" if row.decision is None else row.decision.strategy.partition("@")[0]
        groups[strategy, row.trade.order.side.value, row.trade.exit.reason.value].append(row.trade.pnl)
    return tuple(Outcome(*group, len(results), sum(results, Decimal(0))) for group, results in sorted(groups.items()))
