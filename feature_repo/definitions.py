"""The feature view of the bars: one field for each column of the catalog.

``feast apply`` reads the objects at the end of this module; ``python -m feature_repo`` applies
the same objects.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.data_format import ParquetFormat
from feast.types import Float64, String

from mikrobot import settings as configuration
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import ColumnSpec
from mikrobot.settings import Settings
from mikrobot.store.feast.config import JOIN_KEYS, SERVICE, TIMESTAMP, VERSION_TAG, VIEW, offline_folder

MAX_AGE = timedelta(minutes=1) - timedelta.resolution
"""Maximum age of a row. A row is valid for its own minute only: an earlier row must not replace a missing one."""


def field(spec: ColumnSpec) -> Field:
    """Describe one column of the catalog to Feast."""
    tags = {
        "unit": spec.unit,
        "range": f"[{spec.low:g}, {spec.high:g}]",
        "warm_up": f"{spec.warmup} M1 bars",
        "lag": f"{spec.lag} min",
        "reference": spec.reference or "its docstring",
        "may_be_missing": spec.may_be_missing or "no",
    }
    return Field(name=spec.name, dtype=Float64, description=spec.summary, tags=tags)


def definitions(settings: Settings) -> tuple[Entity, Entity, FileSource, FeatureView, FeatureService]:
    """Return all Feast objects: two entities, the rows, their view and its service."""
    source = Entity(
        name="source",
        join_keys=["source"],
        value_type=ValueType.STRING,
        description="Market source that the bars came from; simulated and real rows are never mixed.",
    )
    symbol = Entity(
        name="symbol", join_keys=["symbol"], value_type=ValueType.STRING, description="Instrument, as EURUSD."
    )
    rows = FileSource(
        name="bar_feature_rows",
        path=str(offline_folder(settings)),
        file_format=ParquetFormat(),
        timestamp_field=TIMESTAMP,
        description="One row per closed M1 bar, known at its close.",
    )
    view = FeatureView(
        name=VIEW,
        entities=[source, symbol],
        ttl=MAX_AGE,
        schema=[*(Field(name=key, dtype=String) for key in JOIN_KEYS), *(field(spec) for spec in CATALOG.specs)],
        source=rows,
        description="Features of closed bars; see docs/features.md.",
        tags={VERSION_TAG: CATALOG.version},
    )
    service = FeatureService(name=SERVICE, features=[view], description="Every column of the catalog.")
    return source, symbol, rows, view, service


source, symbol, rows, bar_features, every_feature = definitions(configuration.load())
