"""Passwords in the state folder."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.store.postgres.passwords import password


def test_a_password_stays_the_same_and_is_its_owners_alone(tmp_path):
    secret = password(tmp_path, "feast")
    assert password(tmp_path, "feast") == secret
    assert len(secret) >= 32
    assert (tmp_path / "secrets" / "feast").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_roles_have_different_passwords(tmp_path):
    assert password(tmp_path, "feast") != password(tmp_path, "mlflow")


def test_all_who_ask_at_once_get_the_same_one(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(lambda _: password(tmp_path, "feast"), range(64)))
    assert len(secrets) == 1
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["feast"]


def test_a_password_put_there_by_hand_may_end_in_a_newline(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "postgres").write_text("chosen\n")
    assert password(tmp_path, "postgres") == "chosen"


def test_a_new_password_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, flushed = tmp_path / "secrets" / "feast", []

    def fsync(descriptor):
        flushed.append((os.path.isdir(os.readlink(f"/proc/self/fd/{descriptor}")), path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    password(tmp_path, "feast")
    assert flushed == [(False, False), (True, True)]


@pytest.mark.parametrize(("content", "fault"), [(b"", "empty"), (b" \n", "empty"), (b"\xff\xfe", "no text")])
def test_a_password_that_is_lost_is_named_with_its_remedy(tmp_path, content, fault):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "feast").write_bytes(content)
    with pytest.raises(StoreError, match=rf"secrets/feast is {fault}: restore it from a backup, or delete it and run"):
        password(tmp_path, "feast")


def test_the_administrators_password_is_not_made_again_for_a_server_that_has_data(tmp_path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18")
    with pytest.raises(StoreError, match=r"the password of the data in .*postgres is missing: restore .*secrets/postg"):
        password(tmp_path, "postgres")
    assert not (tmp_path / "secrets").exists()
