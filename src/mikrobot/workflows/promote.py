"""Apply the promotion gate again to challengers that have predicted in the champion's shadow."""

from collections.abc import Sequence
from dataclasses import dataclass

from mikrobot.models.catalog import TRADED
from mikrobot.models.registry import Registry
from mikrobot.models.scope import CHALLENGER, Scope
from mikrobot.settings import Settings
from mikrobot.stack.prediction_notice import notify
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.training import promotion_gate


@dataclass(frozen=True, slots=True)
class Reconsidered:
    """The gate's result for the challenger of one scope.

    Attributes
    ----------
    scope : Scope
    version : str
    promoted : bool
    reason : str
        The clause of the gate with its numbers.
    """

    scope: Scope
    version: str
    promoted: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.scope}: version {self.version}: {self.reason}"


def reconsider(settings: Settings, name: str = TRADED, symbols: Sequence[str] | None = None) -> list[Reconsidered]:
    """Promote each challenger that has made enough predictions in the champion's shadow.

    The other clauses were checked at training time against the same champion: a change of champion ends the
    challenge.

    Parameters
    ----------
    symbols : sequence of str, optional
        Limit to these symbols; default: all.

    Returns
    -------
    list of Reconsidered
        One for each scope that has a challenger.

    Raises
    ------
    ServiceError
        If MLflow does not answer.
    ServingError
        If the prediction service runs and does not serve a promoted version; it is promoted all the same.
    """
    registry = open_registry(settings)
    challengers = registry.holders(name, CHALLENGER)
    results = []
    with database.open_pool(settings) as pool:
        for scope, version in challengers.items():
            if symbols is None or scope.symbol in symbols:
                shadows = Ledger(pool).shadows(name, version, scope.symbol)
                results.append(
                    _reconsider(
                        registry,
                        name,
                        scope,
                        version,
                        clause=promotion_gate.shadowed(shadows, settings.shadow_predictions),
                    )
                )
    if any(result.promoted for result in results):
        notify(settings)
    return results


def _reconsider(
    registry: Registry, name: str, scope: Scope, version: str, *, clause: promotion_gate.Clause
) -> Reconsidered:
    if clause.passed:
        reason = f"{clause}; the other clauses passed when it was trained"
        registry.promote(name, version, reason, [scope.symbol])
    return Reconsidered(scope, version, clause.passed, str(clause))
