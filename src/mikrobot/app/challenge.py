"""The gate again, for a challenger that has answered in the champion's shadow."""

from typing import Any

from mikrobot.models.registry import CHALLENGER, Registry
from mikrobot.settings import Settings
from mikrobot.store import database
from mikrobot.store.ledger import Ledger
from mikrobot.training import gate


def reconsider(settings: Settings, name: str = "bos") -> dict[str, Any]:
    """Promote the challenger if it has made enough predictions in the champion's shadow.

    Every other clause was ruled on when it was trained, beside the champion that there still is: another
    champion ends the challenge.

    Returns
    -------
    dict
        version (None without a challenger), promoted, and reason: the clause, with its numbers.

    Raises
    ------
    ServiceError
        If MLflow does not answer.
    """
    registry = Registry(settings.mlflow_url)
    version = registry.aliased(name, CHALLENGER)
    if version is None:
        return {"version": None, "promoted": False, "reason": f"model {name} has no challenger"}
    with database.open_pool(settings) as pool:
        clause = gate.shadowed(Ledger(pool).shadows(name, version), settings.shadow_predictions)
    if clause.passed:
        registry.promote(name, version, f"{clause}; the other clauses passed when it was trained")
    return {"version": version, "promoted": clause.passed, "reason": str(clause)}
