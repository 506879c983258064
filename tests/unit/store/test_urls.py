"""URLs of the databases, on the bundled server and on the user's own server."""

import pytest
from pydantic import SecretStr

from mikrobot.domain.errors import StoreError
from mikrobot.settings import Settings
from mikrobot.store.postgres import database
from mikrobot.store.postgres.passwords import password


def own(home, url):
    return Settings(home=home, database_url=SecretStr(url))


def test_the_bundled_server_is_reached_by_the_role_of_the_database(tmp_path):
    settings = Settings(home=tmp_path, host="127.0.0.1", postgres_port=54329)
    secret = password(tmp_path, "prefect")
    assert database.url(settings, "prefect") == f"postgresql://prefect:{secret}@127.0.0.1:54329/prefect"


def test_the_scheme_names_the_driver(tmp_path):
    url = database.url(Settings(home=tmp_path), "prefect", "postgresql+asyncpg")
    assert url.startswith("postgresql+asyncpg://prefect:")


def test_a_server_of_ones_own_keeps_its_place_and_options(tmp_path):
    settings = own(tmp_path, "postgres://admin:p%40ss@db.example:6543/postgres?sslmode=require")
    secret = password(tmp_path, "feast")
    assert database.url(settings, "feast") == f"postgresql://feast:{secret}@db.example:6543/feast?sslmode=require"


def test_the_administrators_credentials_among_the_options_are_not_those_of_a_role(tmp_path):
    settings = own(tmp_path, "postgresql://db.example/postgres?user=admin&sslmode=require&pass%77ord=secret")
    secret = password(tmp_path, "mikrobot_live")
    assert database.url(settings, "mikrobot_live") == (
        f"postgresql://mikrobot_live:{secret}@db.example/mikrobot?sslmode=require"
    )


def test_passwords_that_cannot_be_kept_name_their_folder(tmp_path):
    (tmp_path / "secrets").write_text("not a folder")
    with pytest.raises(StoreError, match=r"the password in .*secrets/mikrobot cannot be used"):
        database.url(Settings(home=tmp_path), "mikrobot")
