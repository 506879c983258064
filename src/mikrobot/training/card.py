"""The card of a model version: what it is, what it learned from, how far it can be believed.

Made from the spec and the figures of one training run, as Markdown and as one HTML page that
opens without a network. Judges nothing and computes no figure.
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
from mikrobot.training.promotion_gate import to_beat
from mikrobot.training.scores import calibration_noise

DIVISIONS = ("symbol", "session", "volatility", "distance", "minutes left")
"""What the test span is divided by."""

TELLING = 12
"""Inputs whose importance is shown."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a card tells beside the spec.

    Attributes
    ----------
    spec : ModelSpec
    ruling : str
        What the gate said.
    symbols : sequence of str
    data_sha256, code_version : str
    seed : int
    parameters : mapping
        Of the learners.
    importance : mapping of str to float
        Share of each input, the greatest first.
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
        """What the model is good for: whether who follows its answers earns more than it costs."""
        found = self.spec.metrics["payoff"]
        if found["expectancy_r"] is None:
            return f"it informs: followed alone it would have made {found['trades']} trades on the test span, too few"
        said = (
            f"followed alone it would have made {found['expectancy_r']:+.3f} R a trade after costs of "
            f"{found['cost_r']:.3f} R in {found['trades']} trades on the test span"
        )
        return f"it may trade: {said}" if found["expectancy_r"] > 0.0 else f"it informs: {said}"

    def markdown(self) -> str:
        """Write the card as Markdown."""
        return _render("card.md.j2", self)

    def html(self) -> str:
        """Write the card as one HTML page, its pictures inside."""
        return _render("card.html.j2", self)


def targets(spec: ModelSpec) -> list[tuple[str, float, float, str]]:
    """Hold the figures against the requirement.

    Returns
    -------
    list of (figure, asked, found, state)
        The state is "reached", "reached selectively, at coverage ..." or "not reached: " and why.
    """
    found = spec.metrics["metrics"]
    return [(t.figure, t.least, found[t.figure], _state(t, spec)) for t in kind_of(spec.name).card.targets]


def bands(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Name what each band promised, and say its median bounds, beside what was kept of it."""
    return [(_promise(found["band"]), found) for found in metrics.get("selective", ())]


def parts(metrics: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any], float, Mapping[str, Any]]]:
    """List the parts of the test span: what divides it, the part, its figures, the best walk's AUC, the uplift over it.

    The best walk is that of `to_beat`.
    """
    walk = to_beat(metrics["uplift"])
    return [
        (division, part, found, found["baselines"][f"diffusion_{walk}"]["auc"], found["uplift"][f"over_{walk}"]["auc"])
        for division in DIVISIONS
        for part, found in metrics.get(f"by_{division.replace(' ', '_')}", {}).items()
    ]


def _promise(band: Mapping[str, Any]) -> str:
    said = f"precision {band['precision']:.2f}, recall {band['recall']:.2f}"
    if band["low"] is None:
        return f"{said}: never chosen"
    return f"{said}: no below {band['low']:.3f}, yes from {band['high']:.3f}"


def _state(target: Target, spec: ModelSpec) -> str:
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
    """Draw what was said against what happened; return an SVG as a data address."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#c3cad3", linewidth=1)
    axes.plot([p["said"] for p in reliability], [p["happened"] for p in reliability], marker="o", markersize=3)
    axes.set(xlabel="probability said", ylabel="share that happened", xlim=(0, 1), ylim=(0, 1))
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.getvalue().encode()).decode()


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
    return environment.get_template(template).render(
        card=card,
        spec=card.spec,
        metrics=metrics,
        asks=text.question,
        limits=text.limits,
        targets=targets(card.spec),
        judged={"model": metrics["metrics"], **metrics["baselines"]},
        figures=("auc", "accuracy", "precision", "recall", "f1", "brier", "brier_skill", "log_loss", "ece"),
        chance=calibration_noise(metrics["reliability"]) if metrics.get("reliability") else None,
        bands=bands(metrics),
        parts=parts(metrics),
        importance=list(card.importance.items())[:TELLING],
        picture=curve_picture(metrics["reliability"]) if metrics.get("reliability") else "",
    )
