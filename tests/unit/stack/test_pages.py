"""The page of links: only the owner reads it, and its links carry the passwords."""

from pathlib import Path

import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.settings import Settings
from mikrobot.stack import pages
from mikrobot.store import web_access


def test_each_link_has_the_password_of_its_service_and_a_place_that_signs_in(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    pages.write(settings)
    text = pages.path(settings).read_text()
    for service, port in (("prefect", 4200), ("mlflow", 5500), ("bento", 3300)):
        assert f'"http://mikrobot:{web_access.login(settings, service)[1]}@127.0.0.1:{port}/sign-in"' in text
    assert len({web_access.login(settings, service) for service in web_access.SERVICES}) == 3


def test_only_the_owner_reads_the_page_even_if_it_was_open_before(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    pages.path(settings).touch(0o644)
    pages.write(settings)
    assert pages.path(settings).stat().st_mode & 0o777 == 0o600


def test_a_password_of_the_owners_choice_is_escaped(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    web_access.login(settings, "bento")
    web_access.password_file(settings, "bento").write_text("a/b:c@d")
    pages.write(settings)
    assert "http://mikrobot:a%2Fb%3Ac%40d@127.0.0.1:3300/sign-in" in pages.path(settings).read_text()


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    pages.path(settings).mkdir()
    with pytest.raises(StoreError, match=r"pages\.html cannot be written \(.*\); make that folder writable"):
        pages.write(settings)
