"""The bundled PostgreSQL, run as a daemon on loopback while the stack is up.

Its data are in ``home/postgres``, its password in ``home/secrets/postgres``, its log in ``home/logs/postgres.log``.
Any number of processes may call `start` and `stop` at the same time. Does not create databases or roles:
`database` does.
"""

import contextlib
import errno
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from mikrobot.domain.errors import ServiceError
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.store.postgres.passwords import password
from mikrobot.store.postgres.programs import MAJOR, Programs, programs

START_SECONDS = 120
STOP_SECONDS = 15

CONFIGURATION = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
max_connections = 200
shared_buffers = '256MB'
effective_cache_size = '1GB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
max_wal_size = '2GB'
min_wal_size = '128MB'
checkpoint_timeout = '15min'
wal_compression = 'pglz'
recovery_init_sync_method = 'syncfs'
random_page_cost = 1.1
jit = off
client_connection_check_interval = '2s'
idle_in_transaction_session_timeout = '5min'
tcp_keepalives_idle = 30
tcp_keepalives_interval = 10
tcp_keepalives_count = 3
log_min_duration_statement = '1s'
"""
"""TCP only, since a socket path is limited to 107 bytes and the path of a state folder may be longer. The query of
a killed client ends within 2 s."""


def start(home: Path, host: str, port: int) -> str:
    """Start the server, and create its data on first use; return the administrator's URL.

    Does nothing if the server already runs. After a crash, or a kill of the whole process tree, the server recovers
    every acknowledged transaction from its log.

    Parameters
    ----------
    home : Path
        State folder; created if it is missing.
    host : str
        Address to listen on.
    port : int

    Raises
    ------
    ServiceError
        If the platform has no bundled server, the port is in use, the folder cannot be written, the disk is full,
        or the data belong to another version or to a server on another port.
    """
    data = home / "postgres"
    with _guarded(home), _alone(home):
        runner = programs(data)
        secret = password(home, "postgres")
        if not (data / "PG_VERSION").exists():
            _create(runner, data, secret)
        _require_version(data)
        if not _up(data, host, port):
            _require_port(host, port)
            _launch(runner, home, host, port)
    return f"postgresql://postgres:{secret}@{host}:{port}/postgres"


def stop(home: Path) -> None:
    """Stop the server, which rolls back open transactions and writes a checkpoint.

    A server that does not end within 15 s is stopped immediately, and recovers at its next start.

    Raises
    ------
    ServiceError
        If it does not end even then.
    """
    data = home / "postgres"
    if not data.exists():
        return
    with _guarded(home), _alone(home):
        number = pid(home)
        if number is None:
            return
        runner = programs(data)
        for mode in ("fast", "immediate"):
            runner.run("pg_ctl", "-D", data, "-w", "-t", STOP_SECONDS, "-m", mode, "stop")
            if pid(home) is None:
                return
        raise ServiceError(f"PostgreSQL (pid {number}, data in {data}) does not stop; end that process yourself")


def pid(home: Path) -> int | None:
    """Return the process id of the running server, or None."""
    data = home / "postgres"
    recorded = _recorded(data)
    return recorded.pid if recorded is not None and _is_server(recorded.pid, data) else None


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The content of a server's ``postmaster.pid``; the file remains after a server was killed."""

    pid: int
    port: int
    status: str


@contextlib.contextmanager
def _guarded(home: Path) -> Iterator[None]:
    """Translate errors of the file system to `ServiceError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServiceError(
            f"the state folder {home} cannot be used ({reason}: {error.filename or home}); "
            "make it writable, free some space, or set MIKROBOT_HOME to another folder"
        ) from error


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Lock the state folder against other starts and stops of the server; the lock ends with the process."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "postgres.lock"
    writable = not path.exists() or os.access(path, os.W_OK)  # a server on a read-only disk can be stopped
    with path.open("a+b" if writable else "rb") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _create(runner: Programs, data: Path, secret: str) -> None:
    """Initialise the data in a temporary folder, and rename it when they are complete."""
    fresh, pwfile = data.with_name("postgres.new"), data.with_name("postgres.new.password")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    pwfile.touch(0o600)
    try:
        pwfile.write_text(secret)
        for path in (fresh, pwfile):
            runner.own(path)
        created = runner.run(
            "initdb", "--pgdata", fresh, "--username", "postgres", "--auth", "scram-sha-256", "--pwfile", pwfile,
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums", "--no-instructions",
        )  # fmt: skip
    finally:
        pwfile.unlink()
    if created.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        raise ServiceError(f"PostgreSQL could not create its data in {data}: {_complaint(created.stdout)}; {_REMEDY}")
    fresh.rename(data)


_REMEDY = "free some space there, or set MIKROBOT_HOME to another folder"


def _require_version(data: Path) -> None:
    version = (data / "PG_VERSION").read_text().strip()
    if version != MAJOR:
        raise ServiceError(
            f"the data in {data} are of PostgreSQL {version}, the bundled server is {MAJOR}: "
            "dump them with the old version, or set MIKROBOT_HOME to a new folder"
        )


def _recorded(data: Path) -> _Recorded | None:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return _Recorded(int(lines[0]), int(lines[3]), lines[7].strip() if len(lines) > 7 else "")
    except (OSError, ValueError, IndexError):
        return None


def _is_server(number: int, data: Path) -> bool:
    """Return True if the process is a live server on these data, not a zombie or another program with its pid."""
    try:
        process = psutil.Process(number)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == data.resolve()
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def _up(data: Path, host: str, port: int) -> bool:
    """Return True if the server accepts connections; wait for one that is starting or stopping."""
    recorded = _recorded(data)
    if recorded is None or not _is_server(recorded.pid, data):
        return False
    if recorded.port != port:
        raise ServiceError(
            f"PostgreSQL with the data in {data} runs on port {recorded.port}, not {port}: "
            f"stop it first, or set MIKROBOT_POSTGRES_PORT={recorded.port}"
        )
    wait_until(
        lambda: not _is_server(recorded.pid, data) or (_status(data) == "ready" and _listening(host, port)),
        f"PostgreSQL (pid {recorded.pid}) did not accept connections on port {port}",
        SystemClock(),
        timeout_s=START_SECONDS,
    )
    return _is_server(recorded.pid, data)


def _status(data: Path) -> str:
    recorded = _recorded(data)
    return recorded.status if recorded is not None else ""


def _listening(host: str, port: int) -> bool:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def _require_port(host: str, port: int) -> None:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _port_taken(port) from error
            raise ServiceError(
                f"PostgreSQL cannot listen on {host}:{port} ({error.strerror}): "
                "set MIKROBOT_HOST and MIKROBOT_POSTGRES_PORT to an address of this machine"
            ) from error


def _port_taken(port: int) -> ServiceError:
    return ServiceError(
        f"port {port} is in use by another program, PostgreSQL needs it; "
        "stop that program or set MIKROBOT_POSTGRES_PORT to a free port"
    )


def _launch(runner: Programs, home: Path, host: str, port: int) -> None:
    data, log = home / "postgres", home / "logs" / "postgres.log"
    _clear_remains(data)
    _write(runner, data / "postgresql.conf", CONFIGURATION.format(host=host, port=port))
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    runner.own(log)
    log_from = log.stat().st_size
    runner.run("pg_ctl", "-D", data, "-w", "-t", START_SECONDS, "-l", log, "start")
    if _up(data, host, port):
        return
    output = log.read_bytes()[log_from:].decode(errors="replace")
    if "could not bind" in output:
        raise _port_taken(port)
    raise ServiceError(f"PostgreSQL did not start in {data}: {_complaint(output)} (log: {log}); {_REMEDY}")


def _clear_remains(data: Path) -> None:
    """Wait for the orphans of a killed server, then remove its ``postmaster.pid``.

    PostgreSQL mistakes a zombie, or another program with the old pid, for a running server. Without the file, its
    own protection by the key of the shared memory is gone, so no process of the old tree may remain.
    """
    note = data / "postmaster.pid"
    if not note.exists():
        return
    wait_until(
        lambda: not any(_is_server(process.pid, data) for process in psutil.process_iter() if _named_postgres(process)),
        f"processes of a PostgreSQL that was killed (data in {data}) did not end",
        SystemClock(),
        timeout_s=30,
    )
    note.unlink(missing_ok=True)


def _named_postgres(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("postgres")
    except psutil.NoSuchProcess:
        return False


def _write(runner: Programs, path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    runner.own(fresh)
    fresh.replace(path)


def _complaint(output: str) -> str:
    """Return the line of an output that states the error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "error" in line.lower()]
    return (telling or lines or ["it wrote nothing"])[-1][:300]
