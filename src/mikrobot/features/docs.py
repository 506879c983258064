"""The feature reference as a page: ``python -m mikrobot.features.docs > docs/features.md``."""

from math import isinf

from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import Catalog, ColumnSpec
from mikrobot.features.kernel.feature import FORGOTTEN

_INTRODUCTION = """\
# Features

The {count} columns of a feature row, in order. Generated from the catalog by
`python -m mikrobot.features.docs > docs/features.md`; a test checks that it is up to date. Feature version `{version}`.

A row belongs to one closed M1 bar and is known at that bar's close. An `m5_` or `h1_` column is computed from closed
bars of that timeframe only: it changes at the close of such a bar and keeps its value until the next one. A column
with `forming` in its name is computed from the bar that is still forming and changes every minute. A `lead` column is
computed from the newest closed bar of the lead: BTCUSDT for the rest of crypto, EURUSD for the rest of FX.

"Lag" is the number of minutes from the close of the bar that a value describes until the value is known: a swing waits
for the bars that confirm it, everything else is known at the close. "Known after" is the number of M1 bars before the
first value; for M5 and H1 it is the maximum, reached when the stream starts in the middle of a bar, because an
incomplete bar is not used. After that a value is missing (NaN) only for the reason given. "Settled after" is the number
of M1 bars after which older bars change a value by no more than {forgotten:g} of its size. It is longer than the
warm-up, or open, where {tails}.

| column | description | unit | range | lag | known after | settled after | missing when |
|---|---|---|---|---|---|---|---|
"""


def page(catalog: Catalog = CATALOG) -> str:
    """Return the catalog as a Markdown page, with one table row for each column."""
    tails = dict.fromkeys(entry.tail.reason for entry in catalog.entries if entry.tail.bars)
    introduction = _INTRODUCTION.format(
        count=len(catalog.columns), version=catalog.version, forgotten=FORGOTTEN, tails=", or ".join(tails)
    )
    return introduction + "".join(map(_row, catalog.specs)) + _references(catalog)


def _references(catalog: Catalog) -> str:
    """Return one line for each reference, with the features it defines."""
    defined: dict[str, dict[str, None]] = {}
    for entry in catalog.entries:
        if entry.feature.reference:
            defined.setdefault(entry.feature.reference, {})[entry.feature.template] = None
    lines = [f"- {', '.join(f'`{name}`' for name in names)}: {reference}\n" for reference, names in defined.items()]
    return "\n## References\n\n" + "".join(lines)


def _row(spec: ColumnSpec) -> str:
    return (
        f"| `{spec.name}` | {spec.summary} | {spec.unit} | {_range(spec)} "
        f"| {spec.lag} | {spec.warmup} | {_bars(spec.settled)} | {spec.may_be_missing or 'never'} |\n"
    )


def _range(spec: ColumnSpec) -> str:
    if isinf(spec.low):
        return "any"
    return f"from {spec.low:g}" if isinf(spec.high) else f"{spec.low:g} to {spec.high:g}"


def _bars(count: float) -> str:
    return "open" if isinf(count) else f"{count:.0f}"


if __name__ == "__main__":
    print(page(), end="")
