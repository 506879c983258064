"""Apply the feature definitions to Feast."""

from feature_repo.definitions import definitions
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.store.feast.config import VIEW, open_feature_store


def apply(settings: Settings) -> str:
    """Apply the definitions to Feast's registry and online store; return a one-line summary.

    Idempotent.

    Raises
    ------
    StoreError
        If the database or the state folder cannot be used.
    """
    open_feature_store(settings).apply([*definitions(settings)])
    return f"applied {VIEW} to Feast: {len(CATALOG.columns)} features, version {CATALOG.version}"
