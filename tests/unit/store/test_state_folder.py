"""The permissions of the state folder."""

import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.stack.local_stack import prepare_home
from mikrobot.store import state_folder
from mikrobot.store.postgres.programs import runs_as_another_account
from mikrobot.store.state_folder import PASSABLE, PRIVATE


@pytest.mark.parametrize("former", [None, 0o755, 0o777, 0o750])
def test_a_state_folder_is_its_owners_alone(tmp_path, former):
    home = tmp_path / "above" / "home"
    if former is not None:
        home.mkdir(parents=True)
        home.chmod(former)
    prepare_home(home)
    mode = PASSABLE if runs_as_another_account(home / "postgres") else PRIVATE
    assert home.stat().st_mode & 0o777 == mode
    assert list(home.iterdir()) == []


def test_a_folder_that_every_account_writes_to_is_left_alone(tmp_path):
    tmp_path.chmod(0o1777)
    with pytest.raises(StoreError, match=r"every account writes to .*: set MIKROBOT_HOME to a folder of its own"):
        prepare_home(tmp_path)
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777


def test_another_account_that_runs_postgresql_may_pass_through_a_new_state_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(state_folder, "runs_as_another_account", lambda data: True)
    prepare_home(tmp_path / "home")
    assert (tmp_path / "home").stat().st_mode & 0o777 == PASSABLE


def test_a_folder_of_other_files_is_refused_and_keeps_its_permissions(tmp_path):
    """As `/`, which nobody but root could enter any more."""
    home = tmp_path / "root"
    (home / "usr").mkdir(parents=True)
    (home / "run").mkdir()
    home.chmod(0o755)
    with pytest.raises(StoreError, match=r"contains usr.*set MIKROBOT_HOME to .*root/mikrobot"):
        prepare_home(home)
    assert home.stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in home.iterdir()) == ["run", "usr"]


@pytest.mark.parametrize("names", [["secrets", "backup"], ["run", "logs", "run.lock"], ["lost+found"]])
def test_a_state_folder_that_others_can_read_becomes_private(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    prepare_home(tmp_path)
    assert tmp_path.stat().st_mode & 0o044 == 0
