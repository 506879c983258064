"""Passwords in the state folder."""

from concurrent.futures import ThreadPoolExecutor

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
