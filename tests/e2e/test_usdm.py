"""A run of the real command on the USD-M futures of a local venue, and the repair of its bars."""

import json

import psycopg
import pytest

from mikrobot.runtime import SystemClock
from mikrobot.stack import local_stack
from mikrobot.store.postgres import database
from mikrobot.store.postgres.roles import OWNER

HOURS = 9
"""More than the eight hours between two funding times."""


def lose(program, minutes):
    """Delete the stored bar that opened so many minutes before the last one."""
    address = database.url(program.settings, OWNER)
    with local_stack.database_up(program.settings, lambda line: None), psycopg.connect(address) as connection:
        query = "DELETE FROM bar WHERE ts = (SELECT max(ts) - %s * interval '1 minute' FROM bar)"
        assert connection.execute(query, [minutes]).rowcount == 1


@pytest.mark.soak
def test_a_run_on_usdm_futures_pays_funding_and_a_lost_bar_is_repaired(install, tmp_path):
    start = f"{SystemClock().now():%Y-%m-%d %H:%M:%S}"
    with install(tmp_path) as program:
        venue = program.start("venue", "--start", start, "--port", 0, "--symbols", "BTCUSDT")
        lines = [venue.stdout.readline().strip() for _ in range(5)]
        named = dict(line.removeprefix("MIKROBOT_").lower().split("=") for line in lines if "_FUTURES_" in line)
        process = program.run(
            "run", "--once", "--source", "binance-usdm", "--symbols", "BTCUSDT", "--hours", HOURS, "--history-days", 10,
            "--json", **named, entry_probability=0.3,
        )  # fmt: skip
        again = program.run("backtest", "--run", "last", "--json", **named)
        lose(program, 30)
        repaired, nothing, gaps = (
            program.run("history", *words, **named) for words in (("repair", "--json"), ("repair",), ("gaps", "--json"))
        )
        venue.terminate()
        venue.wait(60)
        lose(program, 40)
        failed = program.run("history", "repair", **named)
        streamed = (program.home / "logs" / "streamer.log").read_text()
    assert process.returncode == 0, process.stderr
    summary = json.loads(process.stdout)
    assert (summary["source"], summary["simulated"], summary["symbols"]) == ("binance-usdm-local", True, ["BTCUSDT"])
    assert summary["trading"]["fills"] > 0
    assert summary["checks"]["failed"] == 0
    assert "funding " in streamed
    assert set(json.loads(again.stdout)["journals_alike"].values()) == {True}, again.stderr
    result = json.loads(repaired.stdout)
    assert (result["missing"], result["versions"], result["left"]) == (1, 1, 0)
    assert nothing.stdout.startswith("nothing to repair")
    assert [gap["repaired"] for gap in json.loads(gaps.stdout)] == [1]
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "nothing was stored, repair again when it answers" in failed.stderr
