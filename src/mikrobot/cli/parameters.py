"""Types of command parameters, checked before a command imports a large package or starts a service."""

import math
import os
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mikrobot.domain import sources
from mikrobot.domain.errors import BarError, UnknownSymbol, UsageError
from mikrobot.domain.instruments import registry
from mikrobot.models import catalog

MODELS = tuple(catalog.MODELS)


class SourceName(click.Choice[str]):
    """A market source, or several joined by +; known sources only."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, of several in the order of `domain.sources.combined`, or refuse it in one line."""
        if sources.JOINT not in str(value):
            return super().convert(value, param, ctx)
        try:
            return sources.combined(sources.members_of(str(value)))
        except UsageError as error:
            self.fail(str(error), param, ctx)


SOURCES = SourceName(list(sources.SOURCES))


class BarPath(click.Path):
    """A bar file, or a folder of bar files; does not read the content."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path, or refuse it in one line."""
        from mikrobot.market.bar_files import bar_files

        path = Path(value)
        try:
            bar_files(path)
        except BarError as error:
            self.fail(str(error), param, ctx)
        return path


def reads_bars(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how bar files are read; the command gets them as `reading`, settings by name."""

    @click.option("--clock", help="Clock of files that do not show it: UTC, EET, NY+7, +02:00 or Europe/London.")
    @click.option("--symbol", type=Symbol(), help="Symbol of the files [default: by their names].")
    @click.option("--format", "format_", help="Format of the files [default: recognised by their content].")
    @click.option("--ticks", is_flag=True, help="The files hold ticks or trades: aggregate them to M1 bars.")
    @wraps(command)
    def wrapped(
        *args: Any, clock: str | None, symbol: str | None, format_: str | None, ticks: bool, **given: Any
    ) -> None:
        reading = {
            "data_clock": clock,
            "data_symbol": symbol,
            "data_format": format_,
            "data_ticks": ticks or None,
        }
        command(*args, reading=reading, **given)

    return wrapped


class FaultRate(click.ParamType[tuple[str, float]]):
    """A fault and its rate as NAME=RATE.

    Parameters
    ----------
    faults : collection of str
        Names of the faults.
    """

    name = "name=rate"

    def __init__(self, faults: Collection[str]) -> None:
        self._faults = faults

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Return the name and the rate, or refuse them in one line."""
        name, _, given = str(value).partition("=")
        if name not in self._faults:
            self.fail(f"there is no fault {name!r}; the faults are {', '.join(self._faults)}", param, ctx)
        try:
            rate = float(given)
        except ValueError:
            rate = -1.0
        if not 0 <= rate <= 1:
            example = next(iter(self._faults))
            self.fail(f"{value!r} gives no rate; expected NAME=RATE, as {example}=0.001", param, ctx)
        return name, rate


class ParameterRange(click.ParamType[tuple[str, float, float]]):
    """A range of a parameter of a strategy, as m5_bos.least_atr=1..8."""

    name = "strategy.parameter=low..high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float, float]:
        """Return the name and the bounds, or refuse them in one line."""
        name, _, given = str(value).partition("=")
        low, dots, high = given.partition("..")
        try:
            bounds = (float(low), float(high))
        except ValueError:
            bounds = (math.nan, math.nan)
        if not name or not dots or not all(map(math.isfinite, bounds)):
            example = "m5_bos.least_atr=1..8"
            self.fail(f"{value!r} is no range; expected STRATEGY.PARAMETER=LOW..HIGH, as {example}", param, ctx)
        return name, *bounds


class OutPath(click.Path):
    """A file to write; missing parent folders can be created."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path, or refuse it in one line."""
        path = Path(value)
        if os.path.isdir(path):
            self.fail(f"{path} is a folder; give a file to write", param, ctx)
        above = next(folder for folder in path.absolute().parents if os.path.exists(folder))
        if not os.path.isdir(above) or not os.access(above, os.W_OK):
            self.fail(f"{path} cannot be written: {above} is not a writable folder; give another file", param, ctx)
        return path


class OutFolder(click.Path):
    """A folder to write to; it and its missing parents can be created."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path, or refuse it in one line."""
        path = Path(value)
        there = next(part for part in (path.absolute(), *path.absolute().parents) if os.path.exists(part))
        if not os.path.isdir(there) or not os.access(there, os.W_OK):
            self.fail(f"{path} cannot be written: {there} is not a writable folder; give another", param, ctx)
        return path


class ModelName(click.ParamType[str]):
    """A registered model as NAME, NAME@ALIAS or NAME@VERSION."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or refuse an unknown model name."""
        name, at, alias = str(value).partition("@")
        if name not in MODELS:
            self.fail(f"there is no model {name!r}; the models are {', '.join(MODELS)}", param, ctx)
        if at and not alias:
            self.fail(f"nothing follows the @ of {value!r}; give an alias or a version", param, ctx)
        return str(value)


class Symbol(click.ParamType[str]):
    """The symbol of an instrument, or a name of its shape, in upper or lower case."""

    name = "symbol"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the symbol in upper case, or refuse one that is in no table and has no shape."""
        from mikrobot import settings as configuration

        name = str(value).strip().upper()
        configuration.load()  # with the user's instruments
        if not registry.is_known(name) and registry.guess(name) is not None:
            return name
        try:
            return registry.instrument(name).symbol
        except UnknownSymbol as error:
            self.fail(str(error), param, ctx)


class RoutedSymbol(Symbol):
    """A symbol with or without the source that it is traded on, as EURUSD@mt5."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the symbol in upper case with its source, or refuse it in one line."""
        symbol, at, source = str(value).strip().partition(sources.AT)
        try:
            sources.routed([f"{symbol}{at}{source}"])
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return f"{super().convert(symbol, param, ctx)}{at}{source}"


class SymbolList(click.ParamType[tuple[str, ...]]):
    """Symbols separated by commas."""

    name = "symbols"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the symbols in upper case, or refuse one as `Symbol` does."""
        return _each(Symbol(), value, param, ctx)


class RoutedSymbolList(click.ParamType[tuple[str, ...]]):
    """Symbols separated by commas, each with or without the source that it is traded on, as EURUSD@mt5."""

    name = "symbols"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the symbols in upper case with their sources, or refuse one in one line."""
        return _each(RoutedSymbol(), value, param, ctx)


def _each(symbol: Symbol, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
    """Return each symbol of a list in upper case, or refuse an empty list."""
    parts = [part for part in str(value).split(",") if part.strip()]
    if not parts:
        symbol.fail("no symbol is named; leave the option out, or name some, as EURUSD,BTCUSDT", param, ctx)
    return tuple(symbol.convert(part, param, ctx) for part in parts)
