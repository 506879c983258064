"""Wrong logins, hostile symbols and addresses without a bridge: one line with the remedy, nothing evaluated."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import rpyc
from rpyc.utils.server import ThreadedServer

from mikrobot.domain.errors import FeedError, SettingsError, UnknownSymbol
from mikrobot.market.local_terminal.structures import RATES
from mikrobot.market.mt5 import source as mt5
from mikrobot.market.mt5.arrays import by_value
from mikrobot.market.mt5.codes import TerminalLost
from mikrobot.market.mt5.terminal import Login
from mikrobot.runtime import ManualClock, SystemClock
from mikrobot.settings import Settings

from .conftest import NOW, link_to

HOSTILE = (
    "EURUSD'",
    'EURUSD"',
    "EURUSD') or __import__('os').system('true') or ('",
    "EURUSD\n",
    "EUR USD",
    "",
    "EURUSD\\",
    "*",
    "EURUSD,!GBPUSD",
    "\u0415URUSD",
    "A" * 40,
    "{0.__class__}",
)


@pytest.mark.parametrize("symbol", HOSTILE)
def test_a_hostile_symbol_is_refused_before_any_bridge_is_opened(symbol):
    with pytest.raises(UnknownSymbol, match="cannot be a symbol of MetaTrader 5; expected letters, digits"):
        mt5.open_source(Settings(source="mt5", symbols=(symbol,)), ManualClock(NOW))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_never_sent_to_the_terminal(broker, name):
    started = broker()
    for ask in ("select", "quote_ms", "names"):
        with pytest.raises(UnknownSymbol, match="cannot be a symbol"):
            link_to(started.port, started.clock).ask(lambda terminal, ask=ask: getattr(terminal, ask)(name))


def test_a_hostile_name_of_the_broker_is_left_out(broker):
    started = broker(listed=("EURUSD",), suffix="m")
    started.module._quotes["EURUSD') or evil('"] = started.module._quotes["EURUSDm"]
    assert link_to(started.port, started.clock).ask(lambda terminal: terminal.names("EURUSD")) == ["EURUSDm"]


@pytest.mark.parametrize(
    "login", [Login(account=5), Login(1_000_001, "wrong"), Login(1_000_001, "paper", "Other-Server")]
)
def test_a_wrong_login_is_one_line_and_tried_once(broker, login):
    started = broker()
    before = started.clock.now()
    with pytest.raises(SettingsError, match=r"refuses the login \(code -6, .*correct MIKROBOT_MT5_LOGIN") as refusal:
        started.another(login=login).first_open("EURUSD")
    assert "\n" not in str(refusal.value)
    assert "wrong" not in str(refusal.value)
    assert started.clock.now() == before


def test_a_right_login_is_accepted(broker):
    started = broker()
    source = started.another(login=Login(1_000_001, "paper", "Mikrobot-Demo", "C:\\terminal64.exe"))
    assert source.first_open("EURUSD")


def test_the_stand_in_is_never_the_source_of_real_bars(broker):
    started = broker()
    with pytest.raises(SettingsError, match=r"source mt5 is Mikrobot's stand-in, .* give --source mt5-local"):
        started.another(name="mt5").history("EURUSD", NOW, NOW)
    started.module.company = "A broker"
    with pytest.raises(SettingsError, match="source mt5-local is that of a broker; give --source mt5"):
        started.source.history("EURUSD", NOW, NOW)


def test_the_terminal_that_answers_decides_the_source(broker):
    started = broker()
    settings = Settings(source="mt5", mt5_host="127.0.0.1", mt5_port=started.port)
    assert mt5.actual_source(settings, started.clock) == "mt5-local"
    started.module.company = "A broker"
    assert mt5.actual_source(settings, started.clock) == "mt5"


def first_line_of(port: int, timeout_s: float = 1.0) -> str:
    with pytest.raises(FeedError) as lost:
        link_to(port, ManualClock(NOW), timeout_s=timeout_s).ask(lambda terminal: terminal.status())
    assert "\n" not in str(lost.value)
    return str(lost.value)


def test_no_bridge_on_the_port_is_one_line_at_once(free_port):
    assert "cannot be reached" in first_line_of(free_port())


@contextmanager
def answering(content: bytes) -> Iterator[int]:
    """Serve a port that sends some bytes to each client and nothing after them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients = []

        def answer() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                clients.append(client)
                client.sendall(content)

        Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"\x00\x00\x10\x00\x00half of a message", b"\xff" * 64, b"SSH-2.0-OpenSSH\r\n", b"\x00" * 99],
)
def test_what_is_no_bridge_is_named_within_the_timeout(content):
    with answering(content) as port:
        assert "does not answer as a bridge" in first_line_of(port)


def test_a_web_server_is_no_bridge():
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        assert "does not answer as a bridge" in first_line_of(server.server_port)
        server.shutdown()


STAND_IN = """
from datetime import UTC, datetime
from mikrobot.market.local_terminal.opening import TerminalOptions, _source
from mikrobot.market.local_terminal.injection import Faults
from mikrobot.market.local_terminal.module import StandIn
from mikrobot.market.local_terminal.quotes import SymbolQuotes
from mikrobot.market.local_terminal.server_zone import ServerZone
from mikrobot.domain.instruments.registry import instrument
from mikrobot.runtime import SystemClock

source, symbols = _source(TerminalOptions(symbols=("EURUSD",)))
quotes = {symbol: SymbolQuotes(source, instrument(symbol), 7) for symbol in symbols}
module = StandIn(
    quotes, ServerZone("EET"), Faults({}, 7), lambda: 1736512496000, hang=lambda: None, drop=lambda: None
)
for name in dir(module):
    if not name.startswith("_"):
        globals()[name] = getattr(module, name)
"""


CLASSIC = "from rpyc.cli.rpyc_classic import main; main()"
"""What the script `rpyc_classic` does."""


@contextmanager
def plain_bridge(folder: Path, port: int) -> Iterator[None]:
    """Run the bridge as it is run next to a terminal: `rpyc_classic`, and a module of the name of the package."""
    variables = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", CLASSIC, "--host", "127.0.0.1", "--port", str(port), "-q"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None
                SystemClock().sleep(0.1)
            yield
        finally:
            process.terminate()


def test_a_plain_rpyc_classic_bridge_is_read(tmp_path, free_port):
    (tmp_path / "MetaTrader5.py").write_text(STAND_IN)
    port, clock = free_port(), ManualClock(datetime(2025, 1, 10, 12, 34, 56, tzinfo=UTC))
    with plain_bridge(tmp_path, port):
        source = mt5.Mt5Source(["EURUSD"], link_to(port, clock), clock, name="mt5-local")
        bars = source.history("EURUSD", datetime(2025, 1, 10, 9, tzinfo=UTC), datetime(2025, 1, 10, 12, tzinfo=UTC))
        assert len(bars) > 170
        assert source.instruments()["EURUSD"].origin == "venue"


def test_a_server_with_the_functions_of_the_module_is_read(broker):
    module = broker().module
    names = [name for name in dir(module) if not name.startswith("_") and callable(getattr(module, name))]
    service = type("FunctionsService", (rpyc.Service,), {f"exposed_{name}": getattr(module, name) for name in names})
    server = ThreadedServer(service, "127.0.0.1", protocol_config={"allow_public_attrs": True})
    server.listener.listen()
    Thread(target=server.start, daemon=True).start()
    clock = ManualClock(NOW)
    source = mt5.Mt5Source(["EURUSD"], link_to(server.port, clock), clock, name="mt5-local")
    assert len(source.history("EURUSD", NOW.replace(hour=9), NOW.replace(hour=10))) > 55
    server.close()


def test_a_bridge_without_the_package_is_one_line(tmp_path, free_port):
    port = free_port()
    with (
        plain_bridge(tmp_path, port),
        pytest.raises(SettingsError, match="has no package MetaTrader5; install it there"),
    ):
        link_to(port, ManualClock(NOW)).ask(lambda terminal: terminal.status())


def test_the_stand_in_gives_out_nothing_but_the_module(broker):
    started = broker()
    with rpyc.connect("127.0.0.1", started.port) as connection:
        with pytest.raises(ImportError):
            connection.root.getmodule("os")
        for name in ("eval", "execute", "namespace", "_module"):
            with pytest.raises(AttributeError):
                getattr(connection.root, name)
        module = connection.root.getmodule("MetaTrader5")
        assert module.initialize()
        module.symbol_select("EURUSD", True)
        bars = module.copy_rates_from_pos("EURUSD", 1, 0, 10)
        for thing, names in (
            (module, ("faults", "_quotes", "_zone")),
            (bars, ("tofile", "dump", "base")),
        ):
            for name in names:
                with pytest.raises(AttributeError):
                    getattr(thing, name)
        with pytest.raises(ValueError, match="there is no fault 'fire'"):
            connection.root.fault("fire")


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros(3),
        np.zeros(3, dtype=[("time", "<i8"), ("open", "<f8")]),
        np.zeros(3, dtype=[(name, "O" if name == "open" else "<f8") for name in RATES.names]),
        np.zeros(3, dtype=[*[(name, "<f8") for name in RATES.names], ("more", "S9")]),
    ],
)
def test_an_array_of_another_kind_is_refused(rows):
    with pytest.raises(FeedError, match=r"EURUSD: the terminal sent rows of .*; expected time, open"):
        by_value("EURUSD", rows)


def test_the_password_is_read_from_a_file_that_only_its_owner_reads(tmp_path, monkeypatch):
    file = tmp_path / "password"
    file.write_text("paper\n")
    file.chmod(0o644)
    settings = Settings(source="mt5", mt5_login=1_000_001, mt5_password_file=file)
    with pytest.raises(SettingsError, match="can be read by others; `chmod 600"):
        mt5.open_source(settings, ManualClock(NOW))
    file.chmod(0o600)
    assert mt5._link_of(settings, ManualClock(NOW))._login.password == "paper"
    monkeypatch.setenv("MIKROBOT_MT5_PASSWORD", "other")
    assert mt5._link_of(settings, ManualClock(NOW))._login.password == "other"
    monkeypatch.delenv("MIKROBOT_MT5_PASSWORD")
    with pytest.raises(SettingsError, match="cannot be read"):
        mt5.open_source(settings.model_copy(update={"mt5_password_file": tmp_path / "none"}), ManualClock(NOW))


def test_a_terminal_that_has_gone_for_good_is_one_line(broker):
    started = broker()
    started.source.first_open("EURUSD")
    started.module.faults.request("drop", 1000)
    with pytest.raises(TerminalLost, match=r"bridge at 127\.0\.0\.1:\d+ does not answer"):
        started.source.history("EURUSD", NOW.replace(hour=3), NOW)
