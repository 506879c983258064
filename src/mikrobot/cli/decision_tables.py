"""The tables of decisions that commands print. Computes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from mikrobot.analytics.decision_differences import Difference
    from mikrobot.domain.check_results import Check
    from mikrobot.domain.trading import Decision
    from mikrobot.workflows.contributions import Contributions
    from mikrobot.workflows.decision_list import DecisionList
    from mikrobot.workflows.explain import Explanation
    from mikrobot.workflows.replay_run import Replayed
    from mikrobot.workflows.why_not import WhyNot

LARGEST = 12
"""Inputs whose contributions are shown one by one."""


def list_tables(listed: "DecisionList", most: int) -> Iterator[Table]:
    """Show the newest decisions, and the number of all of them by terminal reason."""
    yield _decisions(listed.decisions[-most:], f"run {listed.run.id}")
    yield _counts("closes of each strategy by terminal reason", listed.terminal_reasons)
    if listed.skips:
        yield _counts("skipped closes by reason", listed.skip_reasons)


def explanation_tables(explained: "Explanation") -> Iterator[Table]:
    """Show one decision: its inputs, checks, size, order and outcome."""
    yield _facts(explained)
    yield checks_table(explained.decision.checks)
    inputs = [prediction for prediction in explained.predictions if prediction.features]
    if inputs:
        shown = _table("inputs of the prediction, known at the close", ("feature", "value"))
        for name, value in inputs[0].features.items():
            shown.add_row(Text(name), f"{value:.6g}")
        yield shown
    for one in explained.contributions or ():
        yield contributions_table(one)


def why_not_tables(answered: "WhyNot") -> Iterator[Table]:
    """Show for each strategy the check that stopped it, and the changes that would have passed."""
    for answer in answered.answers:
        decision, refusal = answer.decision, answer.decision.refusal
        shown = _table(decision.id, ("", ""))
        if refusal is None:
            shown.add_row("approved", Text(f"an order was sent: `mikrobot explain {decision.id}`"))
            yield shown
            continue
        shown.add_row("stopped by", Text(str(refusal)))
        if refusal.compared is not None:
            distance = f", {_number(refusal.distance)} from passing" if refusal.distance is not None else ""
            shown.add_row("compared", Text(f"{refusal.compared}{distance}"))
        if answer.reproduced is None:
            shown.add_row("again", "no: the close is later than the hours of the run, which alone are decided again")
            yield shown
            continue
        if not answer.reproduced:
            shown.add_row("again", "the close is not decided today as it was recorded: `mikrobot replay` shows where")
        for number, change in enumerate(answer.changes):
            text = f"{change.kind} {change.name}: {_number(change.needed)} in place of {_number(change.value)}"
            shown.add_row("" if number else "would pass", Text(text))
        if not answer.changes:
            shown.add_row(
                "would pass", "no change was found among the single inputs, settings and parameters that are tried"
            )
        yield shown


def replay_tables(replayed: "Replayed", most: int) -> Iterator[Table]:
    """Show a comparison with the recorded run: hashes, counts, and the first differences."""
    shown = _table(f"run {replayed.run}", ("", ""))
    manifest = replayed.manifest
    shown.add_row("code", manifest["code"])
    shown.add_row("configuration", manifest["configuration"])
    shown.add_row("strategies", Text(", ".join(manifest["strategies"])))
    for model in manifest["models"]:
        shown.add_row(Text(f"{model['model']} {model['version']}"), f"{model['sha256']}, features {model['features']}")
    for key, value in replayed.changed.items():
        shown.add_row("with", Text(f"{key}={value}"))
    for name, (recorded, again) in (("decisions", replayed.decisions), ("orders", replayed.orders)):
        shown.add_row(name, f"{recorded:,} recorded, {again:,} replayed")
    differ = len(replayed.differences)
    shown.add_row(
        "result",
        f"{differ:,} of {replayed.decisions[0]:,} decisions differ" if differ else "every decision is the same",
    )
    yield shown
    if replayed.differences:
        yield _transitions(replayed.transitions)
        yield _differences(replayed.differences[:most])


def _transitions(transitions: Mapping[str, int]) -> Table:
    shown = _table("terminal reasons, recorded -> replayed", ("", "decisions"))
    for pair, count in transitions.items():
        shown.add_row(Text(pair), f"{count:,}")
    return shown


def _differences(differences: "Sequence[Difference]") -> Table:
    shown = _table("first differences", ("decision", "field", "recorded", "replayed"))
    for difference in differences:
        shown.add_row(*map(Text, (difference.id, difference.field, difference.recorded, difference.replayed)))
    return shown


def checks_table(checks: "Sequence[Check]") -> Table:
    """Show checks in the order in which they were made, with their numbers."""
    shown = _table("checks", ("check", "", "value", "", "threshold", "distance", "unit", "text"))
    for check in checks:
        numbers = check.compared
        mark = "[green]passed[/]" if check.passed else "[red]refused[/]"
        relation, unit = ("", "") if numbers is None else (numbers.relation, numbers.unit)
        figures = (_number(check.value), relation, _number(check.threshold), _number(check.distance), unit)
        shown.add_row(Text(check.name), mark, *map(Text, figures), Text(check.text))
    return shown


def _facts(explained: "Explanation") -> Table:
    decision, order = explained.decision, explained.order
    shown = _table(decision.id, ("", ""))
    shown.add_row("decided", f"{decision.close_time:%Y-%m-%d %H:%M} UTC by {decision.strategy}")
    shown.add_row("result", Text(decision.terminal_reason))
    shown.add_row("answered by", Text(explained.answered_by or "not recorded"))
    for prediction in explained.predictions:
        by = f"{prediction.model} {prediction.model_version}, known at {prediction.close_time:%Y-%m-%d %H:%M} UTC"
        shown.add_row(f"{prediction.side.value} probability", Text(f"{prediction.probability:.6g} by {by}"))
    for check in explained.sizing:
        shown.add_row(Text(check.name), Text(check.text))
    if order is not None:
        price = "the next open" if order.entry is None else f"stop {order.entry}"
        terms = f"{order.side.value} {order.lots} lots at {price}, stop {order.stop}, target {order.target}"
        shown.add_row("order", Text(f"{terms}, until {order.expires_at:%Y-%m-%d %H:%M} UTC"))
    for fill in explained.fills:
        text = (
            f"{fill.side.value} {fill.lots} at {fill.price} on {fill.filled_at:%Y-%m-%d %H:%M:%S} UTC, fee {fill.fee}"
        )
        shown.add_row(f"{fill.reason.value} fill", Text(text))
    profit = "" if explained.profit is None else f", profit {explained.profit} USD"
    shown.add_row("outcome", f"{explained.state}{profit}")
    return shown


def _decisions(decisions: "Sequence[Decision]", title: str) -> Table:
    shown = _table(title, ("close, UTC", "symbol", "strategy", "side", "terminal reason", "distance", "text", "id"))
    for decision in decisions:
        refusal = decision.refusal
        distance = "" if refusal is None or refusal.compared is None else _number(refusal.distance)
        unit = "" if not distance or refusal is None or refusal.compared is None else f" {refusal.compared.unit}"
        shown.add_row(
            f"{decision.close_time:%Y-%m-%d %H:%M}",
            Text(decision.symbol),
            Text(decision.strategy.partition("@")[0]),
            "" if decision.side is None else decision.side.value,
            Text(decision.terminal_reason),
            Text(f"{distance}{unit}"),
            Text("" if refusal is None else refusal.text),
            Text(decision.id),
        )
    return shown


def _counts(title: str, counts: Mapping[str, int]) -> Table:
    shown = _table(title, ("reason", "closes"))
    for reason, count in counts.items():
        shown.add_row(Text(reason), f"{count:,}")
    shown.add_row("all", f"{sum(counts.values()):,}")
    return shown


def contributions_table(one: "Contributions") -> Table:
    """Show the largest steps of a prediction in log odds; the last one is its probability."""
    shown = _table(f"what the inputs added to the probability of a {one.side.value}", ("step", "log odds"))
    steps = list(one.steps.added.items())
    rest = sum(value for _, value in steps[LARGEST:-2])
    largest = [*steps[:-2][:LARGEST], ("the other inputs", rest)]
    for name, value in (("the diffusion baseline", one.steps.start), *largest, *steps[-2:]):
        shown.add_row(Text(name), f"{value:+.3f}")
    note = "" if one.explains else f", recorded as {one.recorded:.4f}"
    shown.add_row("all", f"{one.steps.log_odds:+.3f}, probability {one.steps.probability:.4f}{note}")
    return shown


def _table(title: str, columns: Sequence[str]) -> Table:
    shown = Table(title=Text(title), title_justify="left", title_style="bold", box=None, padding=(0, 2))
    for column in columns:
        shown.add_column(column, overflow="fold")
    return shown


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
