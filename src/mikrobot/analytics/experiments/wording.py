"""The report of an experiment in Markdown: the conclusion first, then arms, tests and checks."""

from collections.abc import Mapping, Sequence

from mikrobot.analytics.experiments.assignment import MISMATCH
from mikrobot.analytics.experiments.conclusion import AA_SPLITS, Conclusion, Contrast
from mikrobot.analytics.experiments.sequential import SKEWED, SKEWED_ALARMS
from mikrobot.domain.experiments import Experiment, Unit


def markdown(experiment: Experiment, conclusion: Conclusion, runs: Mapping[str, Sequence[str]]) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    experiment : Experiment
    conclusion : Conclusion
    runs : mapping of str to sequence of str
        Run ids by arm.
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
        "## Suggested allocation of the next units",
        _allocation(experiment, conclusion),
    ]
    return "\n\n".join(parts) + "\n"


def _arms(experiment: Experiment, conclusion: Conclusion, runs: Mapping[str, Sequence[str]]) -> str:
    rows = [
        "| Arm | Settings | Runs | Market days | Observations | Mean, R | Standard deviation, R |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for arm in experiment.arms:
        record = conclusion.records[arm.name]
        settings = ", ".join(f"{key}={value}" for key, value in arm.selects.items())
        figures = f"{record.mean:+.3f} | {record.deviation:.3f}" if record.count else "none | none"
        rows.append(
            f"| {arm.name} | {settings} | {', '.join(runs[arm.name]) or 'none'} | {conclusion.units[arm.name]} "
            f"| {record.count} | {figures} |"
        )
    return "\n".join(rows)


def _tests(experiment: Experiment, contrast: Contrast) -> str:
    rows = [
        f"{contrast.arm} compared with {experiment.control.name}, R per {experiment.unit.value}:",
        "",
        "| Test | Difference | Lower bound | Upper bound | p | Valid if evaluated |",
        "|---|---:|---:|---:|---:|---|",
    ]
    state, classical = contrast.sequential, contrast.classical
    if state.difference is not None:
        figures = f"{state.difference:+.4f} | {state.low:+.4f} | {state.high:+.4f} | {state.p_value:.4f}"
        rows.append(f"| always valid (mSPRT) | {figures} | at any time |")
    if classical is not None:
        name = "paired t" if experiment.unit is Unit.DAY else "Welch"
        figures = (
            f"{classical.difference:+.4f} | {classical.low:+.4f} | {classical.high:+.4f} | {classical.p_value:.4f}"
        )
        rows.append(f"| classical ({name}) | {figures} | once, at the planned length |")
    return "\n".join(rows) if len(rows) > 4 else f"{rows[0]} no test result. {contrast.words}"


def _checks(experiment: Experiment, conclusion: Conclusion) -> list[str]:
    ratio, alarms = conclusion.sample_ratio_p, conclusion.aa_alarms
    counted = "pairs" if experiment.unit is Unit.DAY else "observations of each arm"
    sample_ratio = "no market day yet" if ratio is None else f"p = {ratio:.3f}, a mismatch below {MISMATCH:g}"
    split = (
        "too few observations to split"
        if alarms is None
        else f"{alarms:.1%} false alarms in {AA_SPLITS} random splits of {experiment.control.name}, "
        f"{experiment.alpha:.0%} allowed"
    )
    return [
        f"Plan: effect {experiment.effect:g} R per {experiment.unit.value}, standard deviation "
        f"{experiment.deviation:g} R, false alarm rate {experiment.alpha:g}, power {experiment.power:g}. The classical "
        f"test needs {conclusion.plan.fixed:,} {counted}, the always-valid test at most "
        f"{conclusion.plan.sequential:,}.",
        f"Sample ratio of the market days: {sample_ratio}.",
        f"A/A test: {split}.",
        _skewness(conclusion),
        "Stop rules: sample ratio mismatch; significant difference; planned effect ruled out; twice the planned "
        "length.",
    ]


def _skewness(conclusion: Conclusion) -> str:
    """Return the skewness of the outcomes and its effect on the always-valid test."""
    skewness = {name: record.skewness for name, record in conclusion.records.items()}
    listed = ", ".join(f"{name} {'unknown' if value is None else f'{value:+.1f}'}" for name, value in skewness.items())
    skewed = any(value is not None and abs(value) > SKEWED for value in skewness.values())
    advice = (
        "This applies here: treat a p near the limit as undecided."
        if skewed
        else "The outcomes so far are not that skewed, but rare large wins may still follow."
    )
    return (
        f"Skewness of the outcomes: {listed}. The always-valid test keeps its false alarm rate up to a skewness of "
        f"about {SKEWED:g}. If 5 % of the differences win 19 R and the others lose 1 R, it gives a false alarm in "
        f"{SKEWED_ALARMS:.0%} of simulated experiments, where 5 % are allowed. {advice}"
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
    return "\n".join(rows) + f"\n\nMinimum share of an arm: {experiment.floor:.0%}."
