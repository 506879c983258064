"""Commands that start PostgreSQL for themselves, several at once: the last one stops it."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from mikrobot.runtime import SystemClock, wait_until
from mikrobot.stack import leases, local_stack, service_table
from mikrobot.store.postgres import bundled, database
from tests.killing import kill_9

USER = """
import sys
from mikrobot import settings
from mikrobot.stack import local_stack, service_table
with local_stack.database_up(settings.load(), lambda line: None):
    print("uses it", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(install, tmp_path):
    with install(tmp_path) as installation:
        yield installation


@pytest.fixture
def use(home) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Return a function that starts a command, which uses PostgreSQL until its input is closed."""
    started: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = subprocess.Popen([sys.executable, "-c", USER], env=home.variables, **pipes)
        started.append(process)
        assert process.stdout.readline() == "uses it\n"
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


def leave(process: subprocess.Popen[str]) -> None:
    assert process.communicate(timeout=60) == ("", None)
    assert process.returncode == 0


def test_the_last_of_two_commands_stops_what_the_first_one_started(home, use):
    first, second = use(), use()
    server = bundled.pid(home.home)
    leave(first)
    assert bundled.pid(home.home) == server
    with database.open_pool(home.settings) as pool, pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (0,)
    leave(second)
    assert home.left() == []


def test_a_command_that_is_killed_does_not_keep_the_next_one_from_stopping_the_server(home, use):
    killed = use()
    kill_9(psutil.Process(killed.pid))
    assert bundled.pid(home.home) is not None
    leave(use())
    assert home.left() == []


def test_a_command_leaves_a_server_alone_that_it_has_not_started(home, use):
    bundled.start(home.home, home.settings.host, home.settings.postgres_port)
    leave(use())
    assert bundled.pid(home.home) is not None


def test_what_the_stack_keeps_is_no_longer_stopped_by_the_command_that_started_it(home, use):
    command = use()
    leases.keep(service_table.SERVICES, home.home)
    leave(command)
    assert bundled.pid(home.home) is not None
    assert local_stack.down(home.settings) == ["postgres"]


def test_a_command_that_comes_while_another_one_stops_the_server_starts_it_again(home, use):
    first = use()
    first.stdin.close()
    second = use()
    first.wait(60)
    with database.open_pool(home.settings) as pool, pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (0,)
    leave(second)
    wait_until(lambda: home.left() == [], "something is left", SystemClock(), timeout_s=10)
