"""The types of the settings, and how a variable of the environment writes a list or a table: as JSON."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode


def refused(reason: str) -> PydanticCustomError:
    """Return the error that refuses a value, with what is expected."""
    return PydanticCustomError("refused", "{reason}", {"reason": reason})


def _decoded(given: Any) -> Any:
    """Return the list in a text of JSON; a variable is one."""
    return _from_json(given, 'a JSON list, as ["EURUSD","BTCUSDT"]')


def _decoded_table(given: Any) -> Any:
    """Return the table in a text of JSON; a variable is one."""
    return _from_json(given, 'a table of JSON, as {"bars/broker": "EET"}')


def _decoded_routes(given: Any) -> Any:
    """Return the table in a text of JSON; a variable is one."""
    return _from_json(given, 'a table of JSON, as {"EURUSD": "mt5"}')


def _decoded_parameters(given: Any) -> Any:
    """Return the table in a text of JSON; a variable is one."""
    return _from_json(given, 'a table of JSON, as {"simple_break.stop_atr": 2}')


def _from_json(given: Any, expected: str) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        raise refused(f"expected {expected}") from None


Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_decoded), Field(max_length=100)]
FolderClocks = Annotated[dict[str, str], NoDecode, BeforeValidator(_decoded_table), Field(max_length=1000)]
Routes = Annotated[dict[str, str], NoDecode, BeforeValidator(_decoded_routes), Field(max_length=100)]
Parameters = Annotated[dict[str, float], NoDecode, BeforeValidator(_decoded_parameters), Field(max_length=1000)]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_decoded), Field(max_length=1000)]
