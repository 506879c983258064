"""The output of a run and of other commands for people."""

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from rich.console import Console as RichConsole
from rich.table import Table
from rich.text import Text

from mikrobot.cli.console import Console, summary_tables
from mikrobot.cli.status_tables import tables as status_tables
from mikrobot.cli.tables import findings_table
from mikrobot.domain.serialisation import plain
from mikrobot.live import pid_records
from mikrobot.monitoring.drift_report import DriftReport
from mikrobot.settings import Settings
from mikrobot.stack.doctor import Finding
from mikrobot.stack.service_log import ServiceStatus
from mikrobot.training.day_bootstrap import Interval
from mikrobot.training.evaluation_figures import Band, BandFigures, Evaluation, Payoff, ReliabilityBin, Uplift
from mikrobot.workflows.gate_counts import GateCounts
from mikrobot.workflows.run import still_up
from mikrobot.workflows.run_summary import (
    AnsweredBy,
    ArmFigures,
    Checks,
    FinishedRun,
    StageLatency,
    TradingFigures,
)
from mikrobot.workflows.status import Overview
from mikrobot.workflows.training_report import ModelTrainings, TrainingReport

AT = datetime(2025, 7, 1, tzinfo=UTC)


def scored(auc):
    return {"auc": auc}


EVALUATION = Evaluation(
    samples=963,
    base_rate=0.14,
    majority_accuracy=0.86,
    metrics=scored(0.8534),
    baselines={"diffusion_atr": scored(0.8327), "diffusion_forecast": scored(0.8514)},
    uplift={
        "over_atr": Uplift(Interval(0.0207, 0.0107, 0.0296), Interval(0.01, None, None)),
        "over_forecast": Uplift(Interval(0.0020, 0.0011, 0.0029), Interval(0.01, None, None)),
    },
    payoff=Payoff(trades=4),
    reliability=(ReliabilityBin(48, 0.1, 0.125),),
    selective=(BandFigures(Band(0.8, 0.9, None, None), 0, None, None, None, None, None),),
    intervals={"samples": 0, "promised": 0.9},
    by_symbol={},
    by_session={},
    by_volatility={},
    by_distance={},
    by_minutes_left={},
)
TRAINED = TrainingReport(
    version="2",
    alias="champion",
    promoted=True,
    champion_of=("BTCUSDT",),
    challenger_of=(),
    reason="skill passed",
    source="simulated",
    symbols=("BTCUSDT",),
    trained_from=AT - timedelta(days=120),
    trained_until=AT,
    horizon_minutes=5,
    metrics=EVALUATION,
)
REFUSED = replace(TRAINED, version="1", alias=None, promoted=False, symbols=("EURUSD",), champion_of=())
SUMMARY = FinishedRun(
    run="20250701-000000",
    source="simulated",
    simulated=True,
    symbols=("EURUSD", "BTCUSDT"),
    bars=297391,
    features=74,
    checks=Checks(passed=10, failed=0, quarantined=3, suites=(GateCounts("bars", 10, 0, 297391, 3),)),
    models={"bos": ModelTrainings.of([REFUSED, TRAINED])},
    answered_by={
        "EURUSD": AnsweredBy("baseline", None, ("EURUSD",)),
        "BTCUSDT": AnsweredBy("bos", "2", ("BTCUSDT",)),
        "ETHUSDT": None,
    },
    drift=DriftReport(
        verdict="stable",
        share=0.07,
        symbols=(),
        events=(),
        report=Path("/tmp/drift.html"),
        source="simulated",
        simulated=True,
        online_rows=2864,
        skewed_rows=0,
        quality=Path("/tmp/quality.html"),
    ),
    trading=TradingFigures(
        signals=5,
        decisions=9,
        approved=2,
        orders=2,
        fills=4,
        trades=2,
        pnl=Decimal("-12.34"),
        max_drawdown=Decimal("20.00"),
        ambiguous_share=0.5,
        seconds_to_first_order=81.5,
        terminal_reasons={"probability": 7, "approved": 2},
    ),
    arms={"careful": ArmFigures("r1-careful", 1, 1, Decimal("3.21"))},
    latency_ms={"predict": StageLatency(9, 2.34, 5.67)},
    reports={"trading": "/tmp/report.html"},
    services={"prefect": "http://127.0.0.1:4200"},
    seconds=140.1,
    pages="/home/you/.mikrobot/pages.html",
)


def shown(summary):
    console = RichConsole(file=io.StringIO(), width=200)
    for table in summary_tables(summary):
        console.print(table)
    return console.file.getvalue()


def test_a_simulated_market_is_called_so_in_the_first_line():
    assert "SIMULATED" in shown(SUMMARY).splitlines()[0]
    assert "SIMULATED" not in shown(replace(SUMMARY, simulated=False, source="replay"))


def test_the_model_is_shown_with_its_baseline_and_the_interval_of_its_uplift():
    assert (
        "v2 from BTCUSDT (champion of BTCUSDT): AUC 0.8534, diffusion 0.8327 by ATR and 0.8514 by forecast, "
        "uplift over the forecast +0.0020 [+0.0011, +0.0029]"
    ) in shown(SUMMARY)


def test_the_model_of_every_segment_is_shown():
    text = shown(SUMMARY)
    assert text.index("v1 from EURUSD (not promoted)") < text.index("v2 from BTCUSDT (champion of BTCUSDT)")


def test_a_summary_that_another_process_prints_is_read_back_unchanged():
    printed = json.loads(json.dumps(plain(SUMMARY)))
    summary = TypeAdapter(FinishedRun).validate_python(printed)
    assert summary == SUMMARY
    assert json.dumps(plain(summary)) == json.dumps(printed)


def test_what_answered_for_each_symbol_is_named():
    text = shown(SUMMARY)
    assert "EURUSD: the diffusion baseline, learned from EURUSD; no model has passed the gate" in text
    assert "BTCUSDT: bos v2, learned from BTCUSDT" in text
    assert "ETHUSDT: nothing, no minute of it was traded" in text


def test_a_run_without_an_order_names_the_checks_that_stopped_its_decisions():
    idle = replace(SUMMARY.trading, orders=0, approved=0, terminal_reasons={"bos": 1_150, "retest": 43})
    assert "bos 1,150, retest 43" in shown(replace(SUMMARY, trading=idle))
    assert "stopped them first" not in shown(SUMMARY)


def test_money_counts_and_addresses_are_there():
    text = shown(SUMMARY)
    for part in (
        "-12.34 USD",
        "297,391",
        "2 of 9 decisions approved",
        "first order after 81.5",
        "arm careful",
        "1 orders, 1 trades, P&L 3.21 USD (run r1-careful)",
        "http://127.0.0.1:4200",
    ):
        assert part in text
    assert "2,864 read, 0 differ" in text


ADDRESSES = {name: f"http://127.0.0.1:{port}" for name, port in (("prefect", 4200), ("mlflow", 5500), ("bento", 3300))}
LONG = "/home/a person [dim]/" + "a-folder-with-a-long-name/" * 20 + "report.html"
PROGRAM = """
import json, sys
from pydantic import TypeAdapter
from mikrobot.cli.console import Console
from mikrobot.workflows.run_summary import FinishedRun
Console().summary(TypeAdapter(FinishedRun).validate_python(json.load(sys.stdin)))
"""


def places(output):
    """Return the entries below "Where to look", by the first word of each line, as another program reads them."""
    lines = output.splitlines()
    below = lines[lines.index("Where to look") + 1 :]
    return dict(line.split(maxsplit=1) for line in below)


@pytest.mark.parametrize("environment", [{"COLUMNS": "40"}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}])
def test_a_pipe_gets_each_path_and_address_whole_on_its_line(environment):
    summary = replace(SUMMARY, reports={"trading": LONG, "drift": "/d.html"}, services=ADDRESSES)
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(plain(summary)),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    shown = places(process.stdout)
    assert shown.pop("pages") == "file:///home/you/.mikrobot/pages.html"
    assert shown.pop("password").endswith("user mikrobot, password in /home/you/.mikrobot/secrets/web_*")
    assert shown == {**ADDRESSES, "trading": LONG, "drift": "/d.html"}


def test_a_fact_of_the_summary_is_one_line_in_a_pipe_and_has_no_blanks_at_its_end(capsys):
    Console().summary(replace(SUMMARY, symbols=tuple(f"SYMBOL{number}" for number in range(100))))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("SYMBOL98, SYMBOL99") and "SYMBOL0, SYMBOL1" in line for line in lines)
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_terminal_gets_paths_unbroken_too():
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=child, env=os.environ | {"COLUMNS": "80"}
    )
    os.close(child)
    process.stdin.write(json.dumps(plain(replace(SUMMARY, reports={"trading": LONG}))).encode())
    process.stdin.close()
    output = b""
    with contextlib.suppress(OSError), open(parent, "rb", buffering=0) as terminal:
        while part := terminal.read(4096):
            output += part
    assert process.wait() == 0
    assert LONG in output.decode()


@pytest.mark.parametrize("title", [None, "Run 20250701-000000 of " + "EURUSD, " * 40])
def test_titles_and_cells_of_any_table_are_whole_in_a_pipe(title, capsys):
    table = Table("name", "where", title=title, title_justify="left", box=None)
    table.add_row("report", Text(LONG))
    Console().tables([table])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith(" report")] == [LONG]
    assert title is None or title.strip() in lines


def test_doctor_shows_a_long_path_on_one_line_in_a_pipe(capsys):
    Console().table(findings_table([Finding("state folder", False, f"{LONG} is full", "choose another")]))
    assert any(line.endswith(f"{LONG} is full") for line in capsys.readouterr().out.splitlines())


def test_status_shows_a_long_error_of_a_log_on_one_line_in_a_pipe(capsys):
    service = ServiceStatus("mlflow", 7, True, ADDRESSES["mlflow"], 1, f"cannot read {LONG}")
    Console().tables(status_tables(Overview(AT, (service,))))
    assert any(line.endswith(f"cannot read {LONG}") for line in capsys.readouterr().out.splitlines())


def test_the_summary_of_a_stopped_stack_lists_reports_and_no_address(tmp_path, capsys):
    services = still_up(Settings(home=tmp_path), ADDRESSES)
    Console().summary(replace(SUMMARY, services=services, reports={"trading": LONG}))
    output = capsys.readouterr().out
    assert "http" not in output
    assert places(output) == {
        "trading": LONG,
        "stopped": "prefect, mlflow, bento; `mikrobot up` brings their pages up again",
    }


def test_the_summary_lists_the_address_of_a_service_that_was_up_before_the_run_and_still_is(tmp_path, capsys):
    pid_records.record("mlflow", tmp_path, os.getpid())
    Console().summary(replace(SUMMARY, services=still_up(Settings(home=tmp_path), ADDRESSES)))
    shown = places(capsys.readouterr().out)
    assert shown["mlflow"] == ADDRESSES["mlflow"]
    assert shown["stopped"].startswith("prefect, bento; ")


def test_the_line_of_a_finished_stage_names_its_symbols(capsys):
    console = Console()
    for symbol in ("EURUSD", "BTCUSDT"):
        console.progress("materialize", symbol, 0.0, [symbol])
        console.progress("materialize", "feature rows are stored", 1.0, [symbol])
    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert [line[:2] for line in lines] == [["materialize", "EURUSD"], ["materialize", "BTCUSDT"]]
    assert all(line[3:] == ["s", "feature", "rows", "are", "stored"] for line in lines)


def test_a_step_is_shown_as_it_is_written_brackets_and_all(capsys):
    console = Console()
    console.say(f"reading {LONG}")
    console.progress("features", LONG, 1.0)
    lines = capsys.readouterr().err.splitlines()
    assert [line.endswith(LONG) for line in lines] == [True, True]
