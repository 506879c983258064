"""The model card of a model version: its purpose, training data, metrics and limits.

The card is rendered from the spec and the metrics of one training run, as Markdown and as one HTML
page that opens without a network. This module computes no metrics and makes no decisions.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from mikrobot.models.catalog import kind_of
from mikrobot.models.kind import Target
from mikrobot.models.spec import ModelSpec
from mikrobot.training.evaluation_figures import ReliabilityBin
from mikrobot.training.promotion_gate import to_beat
from mikrobot.training.scores import calibration_noise

DIVISIONS = ("symbol", "session", "volatility", "distance", "minutes left")
"""Properties by which the test span is sliced."""

SHOWN_INPUTS = 12
"""Number of inputs whose importance is shown."""


@dataclass(frozen=True, slots=True)
class Card:
    """The contents of a model card: the spec, and the facts of the training run that the spec does not hold.

    Attributes
    ----------
    spec : ModelSpec
    ruling : str
        Ruling of the promotion gate.
    symbols : sequence of str
    data_sha256, code_version : str
    seed : int
    parameters : mapping
        Parameters of the learners.
    importance : mapping of str to float
        Share of each input, the largest first.
    """

    spec: ModelSpec
    ruling: str
    symbols: Sequence[str]
    data_sha256: str
    code_version: str
    seed: int
    parameters: Mapping[str, Any]
    importance: Mapping[str, float]

    @property
    def use(self) -> str:
        """The intended use: trading if the predictions alone earned more than their costs, else information only."""
        payoff = self.spec.metrics["payoff"]
        if payoff["expectancy_r"] is None:
            return (
                f"information only: the predictions alone gave {payoff['trades']} trades on the test span, "
                "too few to measure an expectancy"
            )
        result = (
            f"trading on the predictions alone earned {payoff['expectancy_r']:+.3f} R per trade after costs of "
            f"{payoff['cost_r']:.3f} R, in {payoff['trades']} trades on the test span"
        )
        return f"trading: {result}" if payoff["expectancy_r"] > 0.0 else f"information only: {result}"

    def markdown(self) -> str:
        """Render the card as Markdown."""
        return _render("card.md.j2", self)

    def html(self) -> str:
        """Render the card as one HTML page with embedded pictures."""
        return _render("card.html.j2", self)


def targets(spec: ModelSpec) -> list[tuple[str, float, float, str]]:
    """Compare the metrics with the targets of the requirement.

    Returns
    -------
    list of (metric, target, actual, result)
        The result is "reached", "reached selectively, at coverage ..." or "not reached: " with the reason.
    """
    metrics = spec.metrics["metrics"]
    return [(t.figure, t.least, metrics[t.figure], _result(t, spec)) for t in kind_of(spec.name).card.targets]


def bands(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the target of each confidence band, with its median bounds, and the results of the band."""
    return [(_band_target(result["band"]), result) for result in metrics.get("selective", ())]


def parts(metrics: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any], float, Mapping[str, Any]]]:
    """List the slices of the test span with their metrics.

    Returns
    -------
    list of (division, slice, metrics, baseline AUC, uplift)
        The baseline is the one that `to_beat` names; the uplift is the model's AUC uplift over it.
    """
    baseline = to_beat(metrics["uplift"])
    return [
        (
            division,
            name,
            values,
            values["baselines"][f"diffusion_{baseline}"]["auc"],
            values["uplift"][f"over_{baseline}"]["auc"],
        )
        for division in DIVISIONS
        for name, values in metrics.get(f"by_{division.replace(' ', '_')}", {}).items()
    ]


def _band_target(band: Mapping[str, Any]) -> str:
    target = f"precision {band['precision']:.2f}, recall {band['recall']:.2f}"
    if band["low"] is None:
        return f"{target}: no band qualified"
    return f"{target}: no below {band['low']:.3f}, yes from {band['high']:.3f}"


def _result(target: Target, spec: ModelSpec) -> str:
    if spec.metrics["metrics"][target.figure] >= target.least:
        return "reached"
    figure = {"recall": "recall_covered"}.get(target.figure, target.figure)
    selective = spec.metrics.get("selective", ())
    enough = [band for band in selective if (band.get(figure) or 0.0) >= target.least]
    if not enough:
        return f"not reached: {kind_of(spec.name).card.why_missed}"
    best = max(enough, key=lambda band: float(band["coverage"]))
    return f"reached selectively, at coverage {best['coverage']:.3f} (recall of all events {best['recall_all']:.3f})"


def curve_picture(reliability: Sequence[Mapping[str, float]]) -> str:
    """Draw the observed frequency against the predicted probability; return an SVG image as a data URL."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#c3cad3", linewidth=1)
    axes.plot([p["predicted"] for p in reliability], [p["happened"] for p in reliability], marker="o", markersize=3)
    axes.set(xlabel="predicted probability", ylabel="observed frequency", xlim=(0, 1), ylim=(0, 1))
    image = io.StringIO()
    figure.savefig(image, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(image.getvalue().encode()).decode()


def _render(template: str, card: Card) -> str:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("mikrobot.training"), PackageLoader("mikrobot")]),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    metrics, text = card.spec.metrics, kind_of(card.spec.name).card
    curve = metrics.get("reliability", ())
    return environment.get_template(template).render(
        card=card,
        spec=card.spec,
        metrics=metrics,
        question=text.question,
        limits=text.limits,
        targets=targets(card.spec),
        models={"model": metrics["metrics"], **metrics["baselines"]},
        figures=("auc", "accuracy", "precision", "recall", "f1", "brier", "brier_skill", "log_loss", "ece"),
        noise=calibration_noise([ReliabilityBin(**part) for part in curve]) if curve else None,
        bands=bands(metrics),
        slices=parts(metrics),
        importance=list(card.importance.items())[:SHOWN_INPUTS],
        picture=curve_picture(curve) if curve else "",
    )
