"""The configuration of Feast: one project, its stores, and the required feature view.

The view itself is defined in `feature_repo` and reaches the stores through Feast's registry. Does not read or
write features: see `mikrobot.store.feast.online` and `mikrobot.store.feast.offline`.
"""

from pathlib import Path
from typing import Any

from feast import FeatureStore, FeatureView, RepoConfig
from feast.errors import FeastObjectNotFoundException
from sqlalchemy.exc import SQLAlchemyError

from mikrobot.domain.errors import StoreError
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.store.postgres import database

PROJECT = "mikrobot"
VIEW = "bar_features"
SERVICE = "catalog"
JOIN_KEYS = ("source", "symbol")
TIMESTAMP = "close_time"
VERSION_TAG = "catalog_version"

_APPLY = "run `mikrobot up` or `python -m feature_repo`"


def offline_folder(settings: Settings) -> Path:
    """Return the folder of the offline rows; each version of the catalog has its own."""
    return settings.home.absolute() / "offline" / CATALOG.version


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the content of ``feature_store.yaml`` with its variables filled in.

    Raises
    ------
    StoreError
        If the password of the database cannot be read.
    """
    return {
        "project": PROJECT,
        "provider": "local",
        "entity_key_serialization_version": 3,
        "registry": {
            "registry_type": "sql",
            "path": database.url(settings, "feast", "postgresql+psycopg"),
            "sqlalchemy_config_kwargs": {
                "pool_pre_ping": True,
                "connect_args": {"options": f"-c search_path={database.FEAST_REGISTRY_SCHEMA}"},
            },
        },
        "online_store": {
            "type": "mikrobot.store.feast.online_store.PackedOnlineStore",
            "url": database.url(settings, "feast"),
        },
        "offline_store": {"type": "mikrobot.store.feast.offline_store.AsofOfflineStore"},
    }


def open_feature_store(settings: Settings) -> FeatureStore:
    """Open Feast's feature store on the platform's databases and files.

    Raises
    ------
    StoreError
        If the registry's database does not answer or does not exist yet.
    """
    store = FeatureStore(config=RepoConfig(**configuration(settings)))
    try:
        store.registry.list_projects()
    except SQLAlchemyError as error:
        raise _unreachable(error) from error
    return store


def registered_view(store: FeatureStore) -> FeatureView:
    """Return the registered view of the bar features, which must match the current catalog.

    Raises
    ------
    StoreError
        If it is not applied, belongs to another version of the catalog, or the registry does not answer.
    """
    try:
        view = store.get_feature_view(VIEW)
    except FeastObjectNotFoundException as error:
        raise StoreError(f"Feast has no feature view {VIEW}: {_APPLY}") from error
    except SQLAlchemyError as error:
        raise _unreachable(error) from error
    applied = view.tags.get(VERSION_TAG)
    if applied != CATALOG.version:
        raise StoreError(f"expected Feast to hold features {CATALOG.version}, found {applied}: {_APPLY}")
    return view


def _unreachable(error: SQLAlchemyError) -> StoreError:
    reason = " ".join(str(getattr(error, "orig", error)).split())
    return StoreError(f"Feast's registry cannot be used: {reason}; is PostgreSQL up? `mikrobot up` starts it")
