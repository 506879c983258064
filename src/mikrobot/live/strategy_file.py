"""Load a user's strategy, and say in one line what is wrong with it.

The file is run, so this belongs into a process of its own; see `mikrobot.live.strategy_child`.
"""

import inspect
import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from mikrobot.decision.strategies.catalog import Reference
from mikrobot.decision.strategies.strategy import Strategy
from mikrobot.domain.errors import StrategyError
from mikrobot.features.catalog import CATALOG


def load(reference: Reference) -> type[Strategy]:
    """Import the module of a reference and return the class that it names.

    Raises
    ------
    StrategyError
        If there is no such module or class, it cannot be run, or the class breaks the contract.
    """
    module = _module(reference)
    strategy = getattr(module, reference.name, None)
    if strategy is None:
        classes = [name for name, value in vars(module).items() if is_strategy(value)]
        raise StrategyError(f"{reference.module} has no {reference.name}; {_listed(classes)}")
    if not is_strategy(strategy):
        raise StrategyError(f"{reference.module}: {reference.name} is not a class derived from Strategy")
    require_contract(strategy, reference.module)
    loaded: type[Strategy] = strategy
    return loaded


def is_strategy(value: object) -> bool:
    """Return True for a class that derives from `Strategy`."""
    return inspect.isclass(value) and issubclass(value, Strategy) and value is not Strategy


def require_contract(strategy: type[Strategy], place: str) -> None:
    """Check what can be checked of a strategy without calling it.

    Raises
    ------
    StrategyError
        If a method is missing, a column is not in the catalog, or a parameter has no room between its bounds.
    """
    name = strategy.__name__
    if missing := sorted(strategy.__abstractmethods__):
        raise StrategyError(f"{place}: {name} lacks the method {missing[0]}")
    if unknown := [column for column in strategy.columns if column not in CATALOG.columns]:
        raise StrategyError(f"{place}: {name} reads the column {unknown[0]!r}, which docs/features.md does not list")
    for parameter, chosen in strategy.parameters.items():
        if not chosen.low <= chosen.default <= chosen.high:
            raise StrategyError(
                f"{place}: the default {chosen.default:g} of {name}.{parameter} is not between {chosen.low:g} and "
                f"{chosen.high:g}"
            )


def line_of(error: BaseException, file: str) -> str:
    """Return an exception in one line, with the line of the strategy's file in which it was raised.

    >>> try: 1 / 0
    ... except ZeroDivisionError as error: line_of(error, "rules.py")
    'ZeroDivisionError: division by zero'
    """
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    where = f"line {lines[-1]}: " if lines else ""
    text = " ".join(str(error).split())
    return f"{where}{type(error).__name__}{': ' if text else ''}{text}"


def _module(reference: Reference) -> ModuleType:
    try:
        return _run(Path(reference.module)) if reference.is_file else import_module(reference.module)
    except SyntaxError as error:
        raise StrategyError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
    except FileNotFoundError:
        raise StrategyError(f"{reference.module} does not exist; give the path of the file of the strategy") from None
    except Exception as error:
        raise StrategyError(f"{reference.module}, {line_of(error, reference.module)}") from None


def _run(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _listed(classes: list[str]) -> str:
    return f"its strategies are {', '.join(classes)}" if classes else "it has no class derived from Strategy"
