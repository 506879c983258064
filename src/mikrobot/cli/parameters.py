"""Types of command parameters, checked before a command imports a large package or starts a service."""

import os
from pathlib import Path
from typing import Any

import click

from mikrobot.domain import sources
from mikrobot.domain.errors import BarError, UnknownSymbol
from mikrobot.models import catalog

MODELS = tuple(catalog.MODELS)

SOURCES = click.Choice(list(sources.SOURCES))


class BarPath(click.Path):
    """A bar file, or a folder of bar files, with a known symbol in each file name; does not read the content."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path, or refuse it in one line."""
        from mikrobot.market.bar_files import bar_files

        path = Path(value)
        try:
            files = bar_files(path)
            from mikrobot.market.replay import symbol_of  # imports pandas

            for file in files:
                symbol_of(file)
        except (BarError, UnknownSymbol) as error:
            self.fail(str(error), param, ctx)
        return path


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
    """A symbol of a known instrument, in upper or lower case."""

    name = "symbol"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the symbol in upper case, or refuse an unknown one."""
        from mikrobot.domain.market import instrument  # imports pandas

        try:
            return instrument(str(value).strip().upper()).symbol
        except UnknownSymbol as error:
            self.fail(str(error), param, ctx)
