"""An experiment's report in Markdown: the answer first, then what it rests on."""

from collections.abc import Mapping, Sequence

from mikrobot.analytics.experiments.assignment import MISMATCH
from mikrobot.analytics.experiments.conclusion import AA_SPLITS, Conclusion, Contrast
from mikrobot.analytics.experiments.sequential import SKEWED, SKEWED_ALARMS
from mikrobot.domain.experiments import Experiment, Unit


def markdown(experiment: Experiment, conclusion: Conclusion, runs: Mapping[str, Sequence[str]]) -> str:
    """Write the report.

    Parameters
    ----------
    experiment : Experiment
    conclusion : Conclusion
    runs : mapping of str to sequence of str
        Ids of the runs of each arm.
    """
    parts = [
        f"# Experiment {experiment.id}",
        experiment.question,
        *(f"**{contrast.arm}: {contrast.verdict.value}.** {contrast.words}" for contrast in conclusion.contrasts),
        "## Arms",
        _arms(experiment, conclusion, runs),
        "## Tests",
        *(_tests(experiment, contrast) for contrast in conclusion.contrasts),
        "## Checks",
        "\n".join(f"- {line}" for line in _checks(experiment, conclusion)),
        "## Where the next units should go",
        _allocation(experiment, conclusion),
    ]
    return "\n\n".join(parts) + "\n"


def _arms(experiment: Experiment, conclusion: Conclusion, runs: Mapping[str, Sequence[str]]) -> str:
    rows = [
        "| Arm | Takes | Runs | Market days | Observations | Mean, R | Deviation, R |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for arm in experiment.arms:
        record, takes = conclusion.records[arm.name], ", ".join(f"{key}={value}" for key, value in arm.selects.items())
        figures = f"{record.mean:+.3f} | {record.deviation:.3f}" if record.count else "none | none"
        rows.append(
            f"| {arm.name} | {takes} | {', '.join(runs[arm.name]) or 'none'} | {conclusion.units[arm.name]} "
            f"| {record.count} | {figures} |"
        )
    return "\n".join(rows)


def _tests(experiment: Experiment, contrast: Contrast) -> str:
    rows = [
        f"{contrast.arm} against {experiment.control.name}, R a {experiment.unit.value}:",
        "",
        "| Test | Difference | From | To | p | Valid |",
        "|---|---:|---:|---:|---:|---|",
    ]
    state, classical = contrast.sequential, contrast.classical
    if state.difference is not None:
        figures = f"{state.difference:+.4f} | {state.low:+.4f} | {state.high:+.4f} | {state.p_value:.4f}"
        rows.append(f"| always valid (mSPRT) | {figures} | however often one looks |")
    if classical is not None:
        name = "paired t" if experiment.unit is Unit.DAY else "Welch"
        figures = (
            f"{classical.difference:+.4f} | {classical.low:+.4f} | {classical.high:+.4f} | {classical.p_value:.4f}"
        )
        rows.append(f"| classical ({name}) | {figures} | looked at once, at the planned length |")
    return "\n".join(rows) if len(rows) > 4 else f"{rows[0]} no test. {contrast.words}"


def _checks(experiment: Experiment, conclusion: Conclusion) -> list[str]:
    ratio, alarms = conclusion.sample_ratio_p, conclusion.aa_alarms
    seen = "pairs" if experiment.unit is Unit.DAY else "observations of each arm"
    told = "no market day yet" if ratio is None else f"p = {ratio:.3f}, wrong below {MISMATCH:g}"
    split = (
        "too few observations to split"
        if alarms is None
        else f"{alarms:.1%} of {AA_SPLITS} random splits of {experiment.control.name} alarm, {experiment.alpha:.0%} may"
    )
    return [
        f"Plan: an effect of {experiment.effect:g} R a {experiment.unit.value}, deviation {experiment.deviation:g} R, "
        f"false alarms {experiment.alpha:g}, power {experiment.power:g}: {conclusion.plan.fixed:,} {seen} for the "
        f"classical test, at most {conclusion.plan.sequential:,} for the always-valid one.",
        f"Sample ratio of the market days: {told}.",
        f"A/A test: {split}.",
        _skewness(conclusion),
        "Stop rules: wrong sample ratio; difference proven; planned effect ruled out; twice the planned length.",
    ]


def _skewness(conclusion: Conclusion) -> str:
    """Return how skewed the outcomes are, and what that does to the always-valid test."""
    known = {name: record.skewness for name, record in conclusion.records.items()}
    told = ", ".join(f"{name} {'unknown' if value is None else f'{value:+.1f}'}" for name, value in known.items())
    skewed = any(value is not None and abs(value) > SKEWED for value in known.values())
    advice = "It applies here: read a p near the limit as undecided." if skewed else "Rare wins may be still to come."
    return (
        f"Skewness of the outcomes: {told}. The always-valid test keeps its false alarms up to about {SKEWED:g}. "
        f"Where 5 % of the differences win 19 R and the others lose 1 R, it alarms in {SKEWED_ALARMS:.0%} of simulated "
        f"experiments without any difference, where 5 % may. {advice}"
    )


def _allocation(experiment: Experiment, conclusion: Conclusion) -> str:
    rows = [
        "| Bandit |" + "".join(f" {arm.name} |" for arm in experiment.arms),
        "|---|" + "---:|" * len(experiment.arms),
    ]
    rows += [
        f"| {name} |" + "".join(f" {shares[arm.name]:.0%} |" for arm in experiment.arms)
        for name, shares in conclusion.allocation.items()
    ]
    return "\n".join(rows) + f"\n\nNo arm gets less than {experiment.floor:.0%}."
