"""Recorded processes that are really started and stopped."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread

import pytest

from mikrobot.domain.errors import ServiceError
from mikrobot.live import pid_records
from mikrobot.runtime import ManualClock, SystemClock, wait_until
from mikrobot.stack import processes
from mikrobot.stack.processes import Service
from tests.killing import alive, kill_9

NOW = datetime(2025, 3, 14, tzinfo=UTC)
SLEEP = (sys.executable, "-c", "import threading; threading.Event().wait()")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, subprocess, sys, threading;"
    "subprocess.Popen([sys.executable, '-c', 'import threading; threading.Event().wait()']);"
    "threading.Event().wait()",
)

_CHILD = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
threading.Event().wait()
"""
_PARENT = f"""
import subprocess, sys, threading
subprocess.Popen([sys.executable, "-c", {_CHILD!r}])
threading.Event().wait()
"""
_NEVER_REAPING = f"""
import subprocess, threading
print(subprocess.Popen({SLEEP!r}).pid, flush=True)
threading.Event().wait()
"""
LISTENING = (sys.executable, "-c", _PARENT)
"""A process whose child listens on a port and prints it."""


@pytest.fixture
def home(tmp_path):
    yield tmp_path
    for name in pid_records.recorded(tmp_path):
        processes.stop(name, tmp_path)


HELD = "from mikrobot.live.entry import live_process; live_process('probe', lambda *_: print('at work'))()"
PROBE = Service("probe", (sys.executable, "-c", HELD, "--run", "r1", "--segment", "0"), {})


@pytest.mark.parametrize("released", [True, False])
def test_a_held_process_works_once_it_is_released_and_ends_without_that(home, released):
    with processes.held(PROBE, home, "127.0.0.1") as release:
        if released:
            release()
    wait_until(lambda: pid_records.find("probe", home) is None, "it goes on", SystemClock(), timeout_s=60)
    log = (home / "logs" / "probe.log").read_text()
    assert ("at work" in log, "not_released" in log) == (released, not released)


def test_a_held_process_that_has_died_is_released_without_an_error(home):
    with processes.held(PROBE, home, "127.0.0.1") as release:
        process = pid_records.find("probe", home)
        process.kill()
        process.wait()
        release()
    assert pid_records.find("probe", home) is None


def test_a_service_with_a_folder_runs_in_it(home):
    code = "import os, threading; print(os.getcwd(), os.listdir(), flush=True); threading.Event().wait()"
    processes.start(Service("at-work", (sys.executable, "-c", code), {}, folder="some/work"), home, "127.0.0.1")
    log = home / "logs" / "at-work.log"
    wait_until(lambda: log.read_text().endswith("\n"), "it wrote nothing", SystemClock(), timeout_s=60)
    assert log.read_text() == f"{home}/some/work []\n"
    assert (home / "some" / "work").stat().st_mode & 0o777 == 0o700


def test_a_second_start_leaves_the_running_process_alone(home):
    service = Service("sleeper", SLEEP, {})
    assert processes.start(service, home, "127.0.0.1") is True
    first = pid_records.find("sleeper", home)
    assert processes.start(service, home, "127.0.0.1") is False
    assert pid_records.find("sleeper", home) == first


def test_stop_ends_the_process_and_its_children_and_forgets_it(home):
    processes.start(Service("parent", STUBBORN, {}), home, "127.0.0.1")
    parent = pid_records.find("parent", home)
    while not (children := parent.children()):
        assert parent.is_running()
    assert processes.stop("parent", home) is True
    assert not any(map(alive, (parent, *children)))
    assert pid_records.recorded(home) == []
    assert processes.stop("parent", home) is False


@pytest.fixture
def orphan(home):
    """A child that listens on a port and outlives its killed parent, by the name `parent`; give it and the port."""
    parent = Service("parent", LISTENING, {})
    processes.start(parent, home, "127.0.0.1")
    log = home / "logs" / "parent.log"
    wait_until(lambda: log.read_text().endswith("\n"), "the child does not listen", SystemClock(), timeout_s=30)
    head = pid_records.find("parent", home)
    (child,) = head.children()
    kill_9(head, children=False)
    assert alive(child)
    return child, int(log.read_text())


def test_what_a_killed_service_has_left_on_its_port_is_ended_by_the_next_start(home, orphan):
    child, port = orphan
    service = Service("parent", SLEEP, {}, port=port)
    processes.require_port(service, home, "127.0.0.1")
    assert processes.start(service, home, "127.0.0.1") is True
    assert not alive(child)
    assert pid_records.orphans("parent", home) == []


def test_stop_ends_what_a_killed_service_has_left_running(home, orphan):
    child, port = orphan
    other = Service("other", SLEEP, {}, port=port, setting="MIKROBOT_OTHER_PORT")
    with pytest.raises(ServiceError, match="is in use by another program"):
        processes.require_port(other, home, "127.0.0.1")
    assert processes.stop("parent", home) is True
    assert not alive(child)
    assert processes.stop("parent", home) is False


def test_stop_does_not_wait_for_the_parent_of_a_process_that_has_ended(home):
    with subprocess.Popen([sys.executable, "-c", _NEVER_REAPING], stdout=subprocess.PIPE, text=True) as parent:
        pid_records.record("probe", home, int(parent.stdout.readline()), 0)
        stop = Thread(target=processes.stop, args=("probe", home), kwargs={"seconds": 7200}, daemon=True)
        stop.start()
        try:
            wait_until(lambda: not stop.is_alive(), "stop waits on", SystemClock(), timeout_s=60)
            assert parent.poll() is None
        finally:
            parent.kill()
    assert pid_records.find("probe", home) is None


def test_a_pid_that_now_belongs_to_another_program_is_never_touched(home):
    pid_records.record("victim", home, os.getpid())
    path = home / "run" / "victim.json"
    path.write_text(json.dumps({"pid": os.getpid(), "created": 1.0}))
    assert pid_records.find("victim", home) is None
    assert processes.stop("victim", home) is False


def test_a_port_of_another_program_is_named_with_its_setting(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = Service("web", SLEEP, {}, port, "MIKROBOT_WEB_PORT")
        with pytest.raises(ServiceError, match=rf"port {port} is in use .* set MIKROBOT_WEB_PORT"):
            processes.start(service, home, "127.0.0.1")
    assert pid_records.recorded(home) == []


def test_a_service_that_dies_while_starting_fails_with_the_last_line_of_its_log(home):
    command = (sys.executable, "-c", "raise SystemExit('no such wheel')")
    service = Service("broken", command, {}, health="http://127.0.0.1:9/never")
    processes.start(service, home, "127.0.0.1")
    with pytest.raises(ServiceError, match="broken stopped while starting: no such wheel"):
        processes.await_ready(service, home, SystemClock())


def test_the_error_is_named_and_not_the_line_of_the_ending_after_it(home):
    wrote = "print('ERROR no such wheel'); print('INFO cleaning up'); raise SystemExit(1)"
    processes.start(Service("broken", (sys.executable, "-c", wrote), {}), home, "127.0.0.1")
    wait_for_the_end("broken", home)
    assert pid_records.last_line("broken", home).startswith("ERROR no such wheel")


def test_a_wait_for_a_living_process_goes_on(home):
    processes.start(Service("sleeper", SLEEP, {}), home, "127.0.0.1")
    clock = ManualClock(NOW)
    pid_records.require_alive("sleeper", home, clock)
    assert clock.now() == NOW


def test_a_wait_for_a_process_that_has_ended_names_it_with_the_last_line_of_its_log(home):
    processes.start(Service("broken", (sys.executable, "-c", "raise SystemExit('no such wheel')"), {}), home, "")
    wait_for_the_end("broken", home)
    with pytest.raises(ServiceError, match=r"^broken has ended and nothing starts it again: no such wheel"):
        pid_records.require_alive("broken", home, ManualClock(NOW))


def test_a_wait_goes_on_while_a_supervisor_lives_and_no_longer(home):
    processes.start(Service("supervisor", SLEEP, {}), home, "127.0.0.1")
    supervisor = pid_records.find("supervisor", home)
    pid_records.require_alive("never started", home, ManualClock(NOW))
    kill_9(supervisor)
    with pytest.raises(ServiceError, match=r"never started has ended .* it wrote nothing"):
        pid_records.require_alive("never started", home, ManualClock(NOW))


def test_a_supervisor_is_none_of_the_processes_that_are_stopped(home):
    with processes.supervising(home):
        assert pid_records.find("supervisor", home).pid == os.getpid()
        assert pid_records.recorded(home) == []
    assert pid_records.find("supervisor", home) is None


def wait_for_the_end(name, home):
    process = pid_records.find(name, home)
    if process is not None:
        process.wait(20)


def test_a_poll_does_not_read_the_certificates_of_this_machine_again(tmp_path, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert processes.answers(url) is True
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
        assert processes.answers(url) is True
        server.shutdown()
