"""Random names and values of settings are used or refused in one line: never a traceback, never in silence."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from mikrobot.domain.errors import SettingsError
from mikrobot.settings import OTHER_VARIABLES, Settings, load
from mikrobot.store.postgres.database import url
from mikrobot.store.postgres.roles import LIVE
from tests.soak import examples

FIELDS = sorted(Settings.model_fields)
NAMES = {f"MIKROBOT_{name.upper()}" for name in FIELDS} | OTHER_VARIABLES.keys()
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)
NUMBERS = st.one_of(
    st.integers(), st.integers().map(lambda power: 10 ** (abs(power) % 4000)), st.floats(), st.decimals()
)
ODD = st.sampled_from(
    ["1e400", "-0", "0x10", "1_0", "inf", "-inf", "nan", "[]", "[[", "{}", "null", "true", '["", 5]', "~x/y", "/", "..",
     "999.1.1.1", "::1", "postgresql://u:hidden@[::1/db", "postgresql://u:hidden@h:99999/", "http://[", "\udcff"]
)  # fmt: skip
VALUES = st.one_of(TEXT, NUMBERS.map(str), ODD)
TOML = st.recursive(
    st.one_of(NUMBERS.map(str), st.booleans().map(lambda given: str(given).lower()), TEXT.map(json.dumps)),
    lambda inner: st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run in a folder without a file of settings, and without a variable of the caller's."""
    folder, former = tmp_path_factory.mktemp("settings"), Path.cwd()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIKROBOT_")}
    with patch.dict(os.environ, kept, clear=True):
        os.chdir(folder)
        yield folder
        os.chdir(former)


def usable(**arguments: object) -> str:
    """Return the refusal of the settings; empty if they can be used."""
    try:
        chosen = load(**arguments)
    except SettingsError as error:
        line = str(error)
        assert line.isprintable(), line
        assert 20 < len(line) < 600
        return line
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert now - timedelta(hours=chosen.hours) - timedelta(days=chosen.history_days) > datetime(1960, 1, 1, tzinfo=UTC)
    assert chosen.balance.is_finite()
    assert chosen.home.is_absolute()
    assert len({chosen.prefect_port, chosen.mlflow_port, chosen.bento_port}) == 3
    return ""


@settings(max_examples=examples(2500), deadline=None)
@given(st.sampled_from(FIELDS), VALUES)
def test_a_variable_is_used_or_refused_by_its_name(name: str, value: str) -> None:
    variable = f"MIKROBOT_{name.upper()}"
    with patch.dict(os.environ, {variable: value}):
        refusal = usable()
    assert not refusal or variable in refusal or "cannot be a path" in refusal
    assert name != "database_url" or "hidden" not in refusal


PART = st.one_of(TEXT.map(lambda text: text.replace("=", "")), st.text("a.-%@:/?#[]é", max_size=80), st.just("x" * 64))


@settings(max_examples=examples(2500), deadline=None)
@given(st.one_of(PART, st.just("hidden%zz")), PART, st.one_of(st.integers(-1, 70_000).map(str), PART))
def test_an_address_of_a_database_is_refused_or_one_that_the_driver_reads(secret: str, host: str, port: str) -> None:
    address = f"postgresql://u:{secret}@{host}:{port}/db"
    if usable(database_url=address):
        return
    for read in (address, url(load(database_url=address), LIVE)):
        conninfo_to_dict(read).get("host", "").encode("idna")


@settings(max_examples=examples(1000), deadline=None)
@given(st.one_of(TEXT, st.sampled_from(sorted(NAMES)).map(lambda name: name[9:] + "S")), VALUES)
def test_an_unknown_variable_is_never_ignored(rest: str, value: str) -> None:
    variable = f"MIKROBOT_{rest.replace('=', '')}"
    if variable.upper() in NAMES:
        return
    with patch.dict(os.environ, {variable: value}):
        refusal = usable()
    assert "is not a setting; the nearest known one is MIKROBOT_" in refusal


@settings(max_examples=examples(2500), deadline=None)
@given(st.dictionaries(st.one_of(st.sampled_from(FIELDS), TEXT), TOML, max_size=3))
def test_a_key_of_the_file_is_used_or_refused_by_its_name(folder: Path, keys: dict[str, str]) -> None:
    file = folder / "mikrobot.toml"
    file.write_text("\n".join(f"{json.dumps(name)} = {value}" for name, value in keys.items()), encoding="utf-8")
    try:
        refusal = usable()
    finally:
        file.unlink()
    assert refusal or keys.keys() <= set(FIELDS)
    assert not refusal or "mikrobot.toml" in refusal or "cannot be a path" in refusal


@settings(max_examples=examples(1000), deadline=None)
@given(st.binary(max_size=200))
def test_a_file_of_anything_is_read_or_refused_by_its_path(folder: Path, content: bytes) -> None:
    file = folder / "mikrobot.toml"
    file.write_bytes(content)
    try:
        refusal = usable()
    finally:
        file.unlink()
    assert not refusal or "mikrobot.toml" in refusal


@settings(max_examples=examples(2500), deadline=None)
@given(st.sampled_from(FIELDS), st.one_of(VALUES, NUMBERS, st.booleans(), st.lists(st.one_of(VALUES, NUMBERS))))
def test_an_argument_is_used_or_refused_by_its_name(name: str, value: object) -> None:
    refusal = usable(**{name: value})
    assert not refusal or f"setting {name}" in refusal or "cannot be a path" in refusal
